/* progress.h - the line on standard error that says how far we are. */
#ifndef TOPWORK_CLI_PROGRESS_H
#define TOPWORK_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "topwork/topwork.h"

typedef struct progress_line {
    bool enabled;
    bool redraws;       /* a terminal: one line drawn over; else a line of its own now and then */
    bool shown;         /* a drawn line stands on the terminal */
    const char *stage;  /* of the last call; static, the library's */
    double stage_start; /* seconds */
    double last_drawn;
    size_t first; /* done when counting began: bytes of an earlier run have no rate */
    bool counting;
} progress_line;

/* mode: PROGRESS_AUTO, _ALWAYS or _NEVER. */
void progress_init(progress_line *line, int mode);
void progress_draw(progress_line *line, const tw_progress *p);

/* Takes the drawn line away; before anything else is printed. */
void progress_hide(progress_line *line);

#endif
