/* child.h - the program topwork-import in a process of its own: what reads foreign files and what
 * speaks to the network is kept out of the caller's process. */
#ifndef TWI_API_CHILD_H
#define TWI_API_CHILD_H

#include "base/text.h"

#include <sys/types.h>

#define TWI_CHILD_ARGS 24

/* Zero-initialise, set the fields of the first group and the arguments, run, free. */
typedef struct twi_child {
    tw_ctx *ctx;
    const char *stage;      /* for twi_progress(); static */
    const char *subject;    /* what it works on, for messages: a path, an address */
    bool hears_output;      /* its standard output, too, ends up in said */
    unsigned cpu_seconds;   /* what it was told to keep to, for messages */
    unsigned wall_seconds;  /* stopped after these; 0: no limit */
    unsigned quiet_seconds; /* stopped when it says nothing for so long; 0: no limit */

    char *program;
    const char *args[TWI_CHILD_ARGS]; /* NULL-ended; borrowed */
    size_t n_args;
    pid_t pid;
    int pipe;                    /* its standard error; -1: closed */
    twi_text said;               /* without the lines of progress */
    size_t parsed;               /* of said: lines that have been looked at */
    size_t done, total;          /* of its last line "topwork-import: progress DONE TOTAL" */
    double deadline, last_heard; /* twi_seconds() */
} twi_child;

/* Finds the program. TW_ERR_UNSUPPORTED: it is not there. */
tw_status twi_child_find(twi_child *child);
/* Adds option and, unless NULL, its value; both are borrowed until the child has run. */
void twi_child_add(twi_child *child, const char *option, const char *value);
/* Starts it and waits for its end, telling twi_progress(); a cancelled or overdue child is killed.
 * What it complains of becomes the sentence and the status. */
tw_status twi_child_run(twi_child *child);
void twi_child_free(twi_child *child);

#endif
