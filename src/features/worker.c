/* worker.c - a worker of the pipeline: takes pictures, looks them up, decodes, computes. */
#include "features/pipeline.h"

#include <string.h>

/* The next picture not done (a second look passes over those), or false: nothing there now, or time
 * to leave. The first of a batch is waited for, and says how many this worker may take: its fair
 * share of what lies there. */
static bool take(twi_worker *w, size_t *i)
{
    twi_run *r = w->run;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (r->taken < r->fed && twi_slot_of(r, r->taken)->done) r->taken++;
        if (w->n > 0 || r->stop || r->taken < r->fed) break;
        pthread_cond_wait(&r->work, &r->lock);
    }
    if (w->n == 0) {
        w->share = (r->fed - r->taken + r->n_workers - 1) / r->n_workers;
        if (w->share > r->batch) w->share = r->batch;
    }
    const bool got = !r->stop && r->taken < r->fed;
    if (got) *i = r->taken++;
    pthread_mutex_unlock(&r->lock);
    return got;
}

static void mark_done(twi_run *r, const size_t *pictures, size_t n)
{
    pthread_mutex_lock(&r->lock);
    for (size_t k = 0; k < n; k++) twi_slot_of(r, pictures[k])->done = true;
    pthread_cond_signal(&r->news);
    pthread_mutex_unlock(&r->lock);
}

void twi_run_stop_all(twi_run *r, const tw_ctx *failed, tw_status failure)
{
    pthread_mutex_lock(&r->lock);
    if (failure != TW_OK && r->failure == TW_OK) {
        r->failure = failure;
        r->failed = failed;
    }
    r->stop = true;
    pthread_cond_broadcast(&r->work);
    pthread_cond_signal(&r->news);
    pthread_mutex_unlock(&r->lock);
}

/* Reads, and decodes unless the row is known. True: it is in the batch. A failure is the slot's. */
static bool ingest(twi_worker *w, size_t i, twi_slot *s)
{
    twi_run *r = w->run;
    const twi_extractor *ex = r->extractor;
    const char *name = s->encoded.name;
    float *row = twi_slot_row(r, r->active, i);
    tw_bytes src;
    struct stat file;
    double now = 0.0;
    const bool has_stat = twi_remembered_stat(&r->memory, &s->encoded, &file, &now);
    if (has_stat && twi_remembered_file(&r->memory, &file, &s->digest)) {
        s->digested = true;
        s->cached = twi_remembered_row(&r->memory, &s->digest, row, ex->features);
        if (s->cached) return false;
    }
    if ((s->status = twi_stream_read(w->ctx, w->stream, &s->encoded, &src)) != TW_OK) return false;
    if (r->memory.digests) {
        s->digested = true;
        twi_remembered_digest(src, &s->digest);
        if (has_stat) twi_remembered_note(&r->memory, &file, now, &s->digest);
        s->cached = twi_remembered_row(&r->memory, &s->digest, row, ex->features);
        if (s->cached) return false;
    }
    s->status = twi_stream_decode(w->ctx, ex, w->stream, name, src,
                                  w->stream->inputs + w->n * ex->input_floats);
    return s->status == TW_OK;
}

/* Takes in pictures until a batch is full or none is waiting: an idle core gains nothing by waiting
 * for a fuller batch. Unreadable and known ones are done at once. False: time to leave. */
static bool gather(twi_worker *w)
{
    twi_run *r = w->run;
    size_t i;
    for (w->n = 0, w->share = 1; w->n < w->share && take(w, &i);) {
        twi_slot *s = twi_slot_of(r, i);
        const double start = twi_seconds();
        s->status = TW_OK;
        const bool taken = ingest(w, i, s);
        w->seconds_decode += twi_seconds() - start;
        if (taken) {
            w->batch[w->n++] = i;
            continue;
        }
        if (s->status != TW_OK) (void)twi_strdup(NULL, tw_last_error(w->ctx), &s->message);
        mark_done(r, &i, 1);
    }
    return w->n > 0;
}

/* Decoding starts while the conductor still compiles; this is where it has to be ready. */
static bool wait_compiled(twi_run *r)
{
    pthread_mutex_lock(&r->lock);
    r->wanted = true;
    if (!r->compiled) pthread_cond_signal(&r->news);
    while (!r->compiled && !r->stop) pthread_cond_wait(&r->work, &r->lock);
    const bool go = !r->stop;
    pthread_mutex_unlock(&r->lock);
    return go;
}

static tw_status compute(twi_worker *w)
{
    twi_run *r = w->run;
    const twi_extractor *ex = r->extractor;
    twi_stream *stream = w->stream;
    const size_t form = twi_form(r->active, r->few);
    const double start = twi_seconds();
    tw_status st = twi_stream_workspace(w->ctx, ex, form, stream);
    if (st == TW_OK)
        st = twi_program_run(w->ctx, ex->programs[form], stream->workspaces[form], stream->inputs,
                             w->n, stream->outputs);
    if (st != TW_OK) return st;
    for (size_t k = 0; k < w->n; k++)
        memcpy(twi_slot_row(r, r->active, w->batch[k]), stream->outputs + k * ex->features,
               ex->features * sizeof(float));
    w->seconds_network += twi_seconds() - start;
    return TW_OK;
}

void *twi_worker_main(void *user)
{
    twi_worker *w = user;
    twi_run *r = w->run;
    tw_status st = twi_stream_inputs(w->ctx, r->extractor, w->stream);
    while (st == TW_OK && gather(w) && wait_compiled(r)) {
        st = compute(w);
        if (st == TW_OK) mark_done(r, w->batch, w->n);
    }
    if (st != TW_OK) twi_run_stop_all(r, w->ctx, st);
    return NULL;
}
