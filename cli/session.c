#include "session.h"

#include "signals.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- callbacks ----------------------------------------------------------------------------- */

static int on_progress(void *user, const tw_progress *p)
{
    session *const s = user;
    if (signals_caught()) {
        progress_hide(&s->progress);
        return 1;
    }
    progress_draw(&s->progress, p);
    return 0;
}

static void on_log(void *user, tw_log_level level, const char *message)
{
    session_note(user, "%s%s", level == TW_LOG_WARNING ? "warning: " : "", message);
}

bool session_begin(session *s)
{
    s->json = (js){.out = stdout};
    progress_init(&s->progress, s->opts.quiet ? PROGRESS_NEVER : s->opts.progress);
    const tw_status status = tw_ctx_new(&s->ctx);
    if (status != TW_OK) {
        s->ctx = NULL;
        session_fail(s, status, PHASE_WRITE);
        return false;
    }
    if (s->opts.threads) tw_ctx_set_threads(s->ctx, s->opts.threads);
    tw_ctx_set_progress(s->ctx, on_progress, s);
    tw_ctx_set_log(s->ctx, on_log, s);
    return true;
}

void session_use_cache(session *s)
{
    tw_cache_opts opts;
    if (s->opts.no_cache) return;
    tw_cache_opts_init(&opts);
    opts.folder = s->opts.cache;
    opts.max_bytes = s->opts.cache_bytes;
    if (tw_cache_open(s->ctx, &opts, &s->cache) == TW_OK)
        tw_ctx_set_cache(s->ctx, s->cache);
    else
        session_note(s, "warning: features are not cached: %s", tw_last_error(s->ctx));
}

/* ---- standard error ------------------------------------------------------------------------ */

PRINTF(2, 0) static void say(session *s, const char *format, va_list args)
{
    progress_hide(&s->progress);
    fflush(
        stdout); /* where both are one terminal, lines come in the order in which they happened */
    fputs("topwork: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void session_error(session *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(s, format, args);
    va_end(args);
}

void session_note(session *s, const char *format, ...)
{
    if (s->opts.quiet) return;
    va_list args;
    va_start(args, format);
    say(s, format, args);
    va_end(args);
}

/* ---- failures ------------------------------------------------------------------------------ */

static int exit_of(tw_status status, phase during)
{
    static const int unreadable[] = {
        [PHASE_DATA] = EXIT_DATA, [PHASE_MODEL] = EXIT_MODEL, [PHASE_WRITE] = EXIT_RESOURCE};
    switch (status) {
    case TW_OK:
        return EXIT_FINE;
    case TW_ERR_ARG:
        return EXIT_USAGE;
    case TW_ERR_NOMEM:
        return EXIT_RESOURCE;
    case TW_ERR_IO:
        return unreadable[during];
    case TW_ERR_FORMAT:
    case TW_ERR_UNSUPPORTED:
        return during == PHASE_DATA ? EXIT_DATA : EXIT_MODEL;
    case TW_ERR_NOT_FOUND:
        return EXIT_MODEL;
    case TW_ERR_DATA:
    case TW_ERR_DIVERGED:
        return EXIT_DATA;
    case TW_ERR_CANCELLED:
        return signals_caught() ? 128 + signals_caught() : EXIT_INTERRUPTED;
    }
    return EXIT_RESOURCE;
}

/* The whole document, or, when an array is being written, its last element: it stays one document.
 */
static void put_json_error(js *j, const char *word, const char *message)
{
    if (j->depth == 0 && j->started)
        return; /* complete before the failure: exit code and stderr tell */
    if (j->depth == 1) js_element_line(j);
    js_object(j, NULL);
    js_object(j, "error");
    js_text(j, "code", word);
    js_text(j, "message", message);
    js_object_end(j);
    js_object_end(j);
    if (j->depth == 1) js_array_end(j);
}

static int fail_with(session *s, int code, const char *word, const char *message)
{
    if (s->out_errno) return code; /* the cause is said when standard output is closed */
    session_error(s, "%s", message);
    if (s->opts.json) put_json_error(&s->json, word, message);
    return code;
}

int session_fail(session *s, tw_status status, phase during)
{
    const char *const message = s->ctx ? tw_last_error(s->ctx) : "";
    const int code = exit_of(status, during);
    if (status == TW_ERR_CANCELLED && s->out_errno) return code;
    if (status == TW_ERR_CANCELLED)
        return fail_with(s, code, tw_status_name(status), "interrupted");
    if (*message) return fail_with(s, code, tw_status_name(status), message);
    return fail_with(s, code, tw_status_name(status),
                     status == TW_ERR_NOMEM ? "out of memory" : tw_status_name(status));
}

int session_fail_text(session *s, int code, const char *word, const char *format, ...)
{
    char message[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return fail_with(s, code, word, message);
}

int session_fail_nomem(session *s)
{
    return fail_with(s, EXIT_RESOURCE, tw_status_name(TW_ERR_NOMEM), "out of memory");
}

int session_fail_usage(session *s, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    fail_with(s, EXIT_USAGE, "usage", message);
    if (s->cmd)
        fprintf(stderr, "Try 'topwork %s --help'.\n", s->cmd->name);
    else
        fputs("Try 'topwork --help'.\n", stderr);
    return EXIT_USAGE;
}

int session_interrupted(session *s)
{
    return signals_caught() ? session_fail(s, TW_ERR_CANCELLED, PHASE_DATA) : 0;
}

/* ---- standard output ----------------------------------------------------------------------- */

void session_before_output(session *s)
{
    progress_hide(&s->progress);
}

bool session_flush(session *s)
{
    if (s->out_errno) return false;
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return true;
    s->out_errno = errno ? errno : EIO;
    return false;
}

int session_end(session *s, int code)
{
    progress_hide(&s->progress);
    tw_ctx_free(s->ctx);
    tw_cache_free(s->cache);
    options_free(&s->opts);
    bool written = session_flush(s);
    if (fclose(stdout) != 0 && written) {
        s->out_errno = errno;
        written = false;
    }
    if (written) return code;
    if (s->out_errno == EPIPE) return EXIT_PIPE;
    fprintf(stderr, "topwork: stdout: %s\n", strerror(s->out_errno));
    return EXIT_RESOURCE;
}
