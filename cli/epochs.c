/* epochs.c - one line on standard output and one JSON object in the log for every epoch. */
#include "epochs.h"

#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *epochs_checkpoint(const session *s, const char *output)
{
    const char *const given = s->opts.checkpoint, *const name = given ? given : output;
    const char *const suffix = given ? "" : ".checkpoint";
    const size_t size = strlen(name) + strlen(suffix) + 1;
    char *const path = malloc(size);
    if (path) snprintf(path, size, "%s%s", name, suffix);
    return path;
}

int epochs_open(epochs *e, session *s, void (*print)(const session *s, const tw_epoch *e))
{
    *e = (epochs){.s = s, .print = print};
    if (s->opts.log && !(e->log = fopen(s->opts.log, s->opts.resume ? "ab" : "wb")))
        return session_fail_text(s, EXIT_RESOURCE, "io", "%s: %s", s->opts.log, strerror(errno));
    return 0;
}

/* What went wrong, as errno has it; 0: nothing. */
static int log_epoch(FILE *out, const tw_epoch *e)
{
    js j = {.out = out};
    js_object(&j, NULL);
    js_size(&j, "epoch", e->epoch);
    js_double(&j, "loss", e->loss);
    js_double(&j, "val_loss", e->val_loss);
    js_double(&j, "val_accuracy", e->val_accuracy);
    js_double(&j, "rate", e->rate);
    js_double(&j, "photos_per_second", e->photos_per_second);
    js_double(&j, "seconds", e->seconds);
    js_bool(&j, "best", e->best);
    js_object_end(&j);
    return fflush(out) ? errno : 0;
}

int epochs_told(void *user, const tw_epoch *epoch)
{
    epochs *const e = user;
    if (e->log && !e->failed) e->failed = log_epoch(e->log, epoch);
    if (e->s->opts.json) return 0;
    session_before_output(e->s);
    e->print(e->s, epoch);
    session_flush(e->s);
    return 0;
}

int epochs_close(epochs *e, tw_status status, const char *checkpoint)
{
    session *const s = e->s;
    int code = status == TW_OK ? 0 : session_fail(s, status, PHASE_WRITE);
    if (status == TW_ERR_CANCELLED && access(checkpoint, F_OK) == 0)
        session_note(s, "--resume goes on from %s", checkpoint);
    if (e->log && fclose(e->log) && !e->failed) e->failed = errno;
    if (code == 0 && e->failed)
        code =
            session_fail_text(s, EXIT_RESOURCE, "io", "%s: %s", s->opts.log, strerror(e->failed));
    return code;
}
