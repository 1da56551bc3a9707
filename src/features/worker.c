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

static void mark_done(twi_run *r, size_t picture)
{
    pthread_mutex_lock(&r->lock);
    twi_slot_of(r, picture)->done = true;
    pthread_cond_signal(&r->news);
    pthread_mutex_unlock(&r->lock);
}

/* Those whose last view is in the batch. */
static void mark_batch_done(twi_run *r, const twi_place *batch, size_t n)
{
    pthread_mutex_lock(&r->lock);
    for (size_t k = 0; k < n; k++)
        if (batch[k].views > 0) twi_slot_of(r, batch[k].picture)->done = true;
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

/* ---- computing ----------------------------------------------------------------------------- */

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

/* Row of a picture from those of its views, which come one after the other, in this batch or in
 * several: their mean, summed in that order in doubles, so that it does not depend on where batches
 * end. */
static void take_row(twi_worker *w, const twi_place *place, const float *x)
{
    const size_t d = w->run->extractor->features;
    float *row = twi_slot_row(w->run, w->run->active, place->picture);
    double *sum = w->stream->sum;
    if (place->views == 1) {
        memcpy(row, x, d * sizeof *x);
        return;
    }
    for (size_t j = 0; j < d; j++) sum[j] += (double)x[j];
    if (place->views == 0) return; /* more will come */
    for (size_t j = 0; j < d; j++) {
        row[j] = (float)(sum[j] / (double)place->views);
        sum[j] = 0.0;
    }
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
    for (size_t k = 0; k < w->n; k++) take_row(w, &w->batch[k], stream->outputs + k * ex->features);
    w->seconds_network += twi_seconds() - start;
    return TW_OK;
}

/* Computes what is in the batch and empties it. False: time to leave. */
static bool flush(twi_worker *w)
{
    if (!wait_compiled(w->run)) return false;
    const tw_status st = compute(w);
    if (st != TW_OK) {
        twi_run_stop_all(w->run, w->ctx, st);
        return false;
    }
    mark_batch_done(w->run, w->batch, w->n);
    w->n = 0;
    return true;
}

/* ---- taking in ----------------------------------------------------------------------------- */

static void decoded_until_now(twi_worker *w)
{
    const double now = twi_seconds();
    w->seconds_decode += now - w->decoding_since;
    w->decoding_since = now;
}

/* What of picture i has been taken in, as if it had not been. summed: some of it was computed, so
 * the sum is of that alone. */
static void take_back(twi_worker *w, size_t i, bool summed)
{
    const twi_extractor *ex = w->run->extractor;
    while (w->n > 0 && w->batch[w->n - 1].picture == i) w->n--;
    if (summed) memset(w->stream->sum, 0, ex->features * sizeof *w->stream->sum);
}

/* All views of the picture that is open, computing whenever the batch is full. A failure is the
 * slot's. False: time to leave. */
static bool add_views(twi_worker *w, size_t i, twi_slot *s)
{
    const twi_extractor *ex = w->run->extractor;
    const size_t views = w->stream->scratch.n_views;
    bool summed = false;
    for (size_t v = 0; v < views && s->status == TW_OK; v++) {
        if (w->n == w->run->batch) {
            decoded_until_now(w);
            if (!flush(w)) return false;
            w->decoding_since = twi_seconds();
            summed = v > 0;
        }
        s->status =
            twi_stream_view(w->ctx, ex, w->stream, v, w->stream->inputs + w->n * ex->input_floats);
        w->batch[w->n++] = (twi_place){i, v + 1 < views ? 0 : views};
    }
    if (s->status != TW_OK) take_back(w, i, summed);
    return true;
}

/* The row is in the cache: nothing has to be computed. */
static bool is_known(twi_worker *w, size_t i, twi_slot *s)
{
    const twi_run *r = w->run;
    float *row = twi_slot_row(w->run, r->active, i);
    s->digested = true;
    s->cached = twi_remembered_row(&r->memory, &s->digest, row, r->extractor->features);
    return s->cached;
}

/* Reads, and decodes unless the row is known. True: it is open. A failure is the slot's. */
static bool open_picture(twi_worker *w, size_t i, twi_slot *s)
{
    const twi_run *r = w->run;
    tw_bytes src;
    struct stat file;
    double now = 0.0;
    const bool has_stat = twi_remembered_stat(&r->memory, &s->encoded, &file, &now);
    if (has_stat && twi_remembered_file(&r->memory, &file, &s->digest) && is_known(w, i, s))
        return false;
    if ((s->status = twi_stream_read(w->ctx, w->stream, &s->encoded, &src)) != TW_OK) return false;
    if (r->memory.digests) {
        twi_remembered_digest(src, &s->digest);
        if (has_stat) twi_remembered_note(&r->memory, &file, now, &s->digest);
        if (is_known(w, i, s)) return false;
    }
    s->status = twi_stream_open(w->ctx, r->extractor, w->stream, s->encoded.name, src);
    return s->status == TW_OK;
}

/* Takes in pictures until a batch is full or none is waiting: an idle core gains nothing by waiting
 * for a fuller batch. Unreadable and known ones are done at once. False: time to leave. */
static bool gather(twi_worker *w)
{
    twi_run *r = w->run;
    size_t i;
    w->share = 1;
    for (size_t taken = 0; taken < w->share && w->n < r->batch && take(w, &i);) {
        twi_slot *s = twi_slot_of(r, i);
        w->decoding_since = twi_seconds();
        s->status = TW_OK;
        if (open_picture(w, i, s) && !add_views(w, i, s)) return false;
        twi_stream_shed(w->stream);
        decoded_until_now(w);
        if (w->n > 0 && w->batch[w->n - 1].picture == i) {
            taken++;
            continue;
        }
        if (s->status != TW_OK) (void)twi_strdup(NULL, tw_last_error(w->ctx), &s->message);
        mark_done(r, i);
    }
    return w->n > 0;
}

void *twi_worker_main(void *user)
{
    twi_worker *w = user;
    twi_run *r = w->run;
    const tw_status st = twi_stream_inputs(w->ctx, r->extractor, w->stream);
    if (st != TW_OK) twi_run_stop_all(r, w->ctx, st);
    while (st == TW_OK && gather(w) && flush(w)) continue;
    return NULL;
}
