#include "unknown.h"

#include "inputs.h"

#include <stdlib.h>
#include <string.h>

typedef struct unknowns {
    session *s;
    const tw_model *model;
    inputs *in;
    tw_ctx *ctx;         /* for asking the model: the session's is busy running photos */
    double *familiarity; /* [count] */
    size_t count, capacity, failed;
    int code; /* of a failure that ended the work; 0: none */
} unknowns;

static bool grow(unknowns *u)
{
    if (u->count < u->capacity) return true;
    const size_t larger = u->capacity ? 2 * u->capacity : 256;
    double *const fresh = realloc(u->familiarity, larger * sizeof *fresh);
    if (!fresh) return false;
    u->familiarity = fresh;
    u->capacity = larger;
    return true;
}

/* A folder may hold other things than pictures: they are told, and are no failure. */
static int row_failed(unknowns *u, const input *item, tw_status status, const char *message)
{
    const bool passed_over = item->walked && status == TW_ERR_UNSUPPORTED;
    const char *const reason = text_reason(message, item->path);
    char *const shown = text_escape(item->path);
    if (!shown) return u->code = session_fail_nomem(u->s);
    if (u->s->opts.strict && !passed_over)
        u->code =
            session_fail_text(u->s, EXIT_DATA, tw_status_name(status), "%s: %s", shown, reason);
    else
        session_note(u->s, "%s: %s: %s", passed_over ? "passed over" : "skipped", shown, reason);
    u->failed += !passed_over;
    free(shown);
    return u->code;
}

static int row_answered(unknowns *u, const float *features)
{
    if (!grow(u)) return u->code = session_fail_nomem(u->s);
    const tw_status status =
        tw_model_familiarity(u->ctx, u->model, features, 1, &u->familiarity[u->count], NULL);
    if (status == TW_OK)
        u->count++;
    else
        u->code = session_fail_text(u->s, status == TW_ERR_NOMEM ? EXIT_RESOURCE : EXIT_MODEL,
                                    tw_status_name(status), "%s", tw_last_error(u->ctx));
    return u->code;
}

/* A tw_path_fn */
static const char *on_next(void *user, size_t i)
{
    return inputs_next(((const unknowns *)user)->in, i);
}

/* A tw_row_fn */
static int on_row(void *user, size_t i, tw_status status, const char *message,
                  const float *features)
{
    unknowns *const u = user;
    const input *const item = inputs_front(u->in);
    int stop;
    (void)i;
    if (item->error)
        stop = row_failed(u, item, TW_ERR_IO, item->error);
    else if (status != TW_OK)
        stop = row_failed(u, item, status, message);
    else
        stop = row_answered(u, features);
    inputs_pop(u->in);
    return stop;
}

static int run(unknowns *u, tw_report *report)
{
    session *const s = u->s;
    tw_extractor *extractor = NULL;
    tw_status status = tw_model_extractor(s->ctx, u->model, &extractor);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    status = tw_extract_paths(s->ctx, extractor, on_next, inputs_total(u->in), on_row, u);
    progress_hide(&s->progress);
    tw_extractor_free(extractor);
    if (u->code) return u->code;
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    if (inputs_failed(u->in)) return session_fail_nomem(s);
    if (u->count == 0)
        return session_fail_text(s, EXIT_DATA, tw_status_name(TW_ERR_DATA),
                                 "--unknown: no picture that can be read was found");
    status = tw_report_unknown(s->ctx, report, u->familiarity, u->count);
    return status == TW_OK ? 0 : session_fail(s, status, PHASE_DATA);
}

int unknown_measure(session *s, const tw_model *model, const char *folder, tw_report *report,
                    size_t *skipped)
{
    unknowns u = {.s = s, .model = model};
    char *const name = strdup(folder);
    int code;
    if (name) u.in = inputs_open(&name, 1, false);
    if (u.in && tw_ctx_new(&u.ctx) == TW_OK)
        code = run(&u, report);
    else
        code = session_fail_nomem(s);
    *skipped = u.failed;
    inputs_free(u.in);
    tw_ctx_free(u.ctx);
    free(u.familiarity);
    free(name);
    return code;
}
