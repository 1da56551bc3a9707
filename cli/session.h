/* session.h - one run of one command: its options, its context, its standard output and its
 * failures.
 *
 * Everything that can go wrong ends here, so that exit codes, the words of error.code and the text
 * on standard error agree in every command. */
#ifndef TOPWORK_CLI_SESSION_H
#define TOPWORK_CLI_SESSION_H

#include "json.h"
#include "options.h"
#include "progress.h"
#include "text.h"

#include "topwork/topwork.h"

enum {
    EXIT_FINE = 0,
    EXIT_SOME = 1,
    EXIT_USAGE = 2,
    EXIT_DATA = 3,
    EXIT_MODEL = 4,
    EXIT_RESOURCE = 5,
    EXIT_INTERRUPTED = 130, /* 128 + SIGINT; other signals likewise */
    EXIT_PIPE = 141         /* 128 + SIGPIPE: who was to read has gone; nothing is said */
};

typedef struct session {
    const char *program; /* how it was called: what the next command to type starts with */
    const command *cmd;
    options opts;
    tw_ctx *ctx;
    tw_cache *cache; /* NULL: none */
    js json;         /* the document on standard output, with --json */
    progress_line progress;
    int out_errno; /* the first failed write to standard output; 0: none */
} session;

/* What a call was about decides what an unreadable or damaged file means. */
typedef enum phase {
    PHASE_DATA,  /* reading photos, folders, lists: exit 3 */
    PHASE_MODEL, /* reading a model or backbone: exit 4 */
    PHASE_WRITE  /* making the output: a failed read or write is exit 5 */
} phase;

/* A context with the session's callbacks and thread budget. False: no memory, and it has been said.
 */
bool session_begin(session *s);

/* Opens the cache that the options say and puts it under the context. Trouble with it is told and
 * the work goes on without. */
void session_use_cache(session *s);

/* Flushes standard output and releases everything; returns the exit code, which a failed write
 * changes. */
int session_end(session *s, int code);

/* Reports the failure of a call on s->ctx, in words and in JSON; returns the exit code. */
int session_fail(session *s, tw_status status, phase during);

/* The same for a failure that the command found itself; word is that of error.code. */
int session_fail_text(session *s, int code, const char *word, const char *format, ...) PRINTF(4, 5);
int session_fail_nomem(session *s);
int session_fail_usage(session *s, const char *format, ...) PRINTF(2, 3);

/* What the library would answer for a signal that came between two calls: 0, or the exit code after
 * having said "interrupted". */
int session_interrupted(session *s);

/* Lines on standard error. warn and note are silent with --quiet. */
void session_error(session *s, const char *format, ...) PRINTF(2, 3);
void session_note(session *s, const char *format, ...) PRINTF(2, 3);

/* Call before printing to standard output: the drawn progress line must not end up in it. */
void session_before_output(session *s);

/* Hands what was printed to the reader. False: it could not be written, stop the work. */
bool session_flush(session *s);

#endif
