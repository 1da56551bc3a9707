/* epochs.h - what finetune and pretrain say of every epoch, and write to their log. */
#ifndef TOPWORK_CLI_EPOCHS_H
#define TOPWORK_CLI_EPOCHS_H

#include "session.h"

#include <stdio.h>

typedef struct epochs {
    session *s;
    void (*print)(const session *s, const tw_epoch *e); /* a line on standard output */
    FILE *log;                                          /* NULL: none */
    int failed;                                         /* errno of the log; 0: none */
} epochs;

/* Where checkpoints go: what --checkpoint says, or output with ".checkpoint" behind it. Release
 * with free(). NULL: no memory. */
char *epochs_checkpoint(const session *s, const char *output);
/* Opens the log that --log names, if it does; goes on at its end when training is resumed. 0, or
 * the exit code after having said why not. */
int epochs_open(epochs *e, session *s, void (*print)(const session *s, const tw_epoch *e));
/* A tw_epoch_fn; user: epochs. */
int epochs_told(void *user, const tw_epoch *epoch);
/* After training ended with status: closes the log and tells of a checkpoint to go on from. 0, or
 * the exit code after having said what failed. */
int epochs_close(epochs *e, tw_status status, const char *checkpoint);

#endif
