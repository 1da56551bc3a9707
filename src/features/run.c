/* run.c - the pipeline: one ring of pictures, workers that decode and compute, rows handed out in
 * order.
 *
 * The calling thread (the conductor) asks the source for pictures, puts them into a ring of slots,
 * and hands finished rows to the caller in order. Each worker takes the next pictures, reads and
 * decodes them, runs the network on them with one thread, and marks their slots done. Decoding and
 * network overlap because workers are at different places at any moment; the cores are never
 * oversubscribed, because the conductor only sleeps and hands over.
 *
 * The usual design, decode threads beside an engine that spreads over all cores, meets a barrier
 * after every layer: a thread that takes a core away from one OpenMP worker stalls all of them.
 * Measured on two Zen 4 cores with VGG16 while another process wanted a core: one stream of two
 * threads fell from 13.6 to 3.7 pictures a second, two streams of one thread from 12.7 to 11.4.
 *
 * A slot goes round: fed (conductor) -> taken (a worker) -> done (that worker) -> delivered
 * (conductor). Indices only grow; the slot of picture i is slots[i % n_slots]. A slot belongs to
 * whoever moved it last, so only the counters and the done flags need the lock. */
#include "features/pipeline.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* Slots: enough that one slow picture at the head does not leave the other workers idle. */
enum { SLOTS_LEAST = CALIBRATION_WINDOW, SLOTS_PER_PLACE = 4 };
enum { FEW_PICTURES = 16 };
static const long tick_nanoseconds =
    100000000; /* how often a waiting conductor asks about cancelling */

/* ---- the conductor: feeding ---------------------------------------------------------------- */

static bool source_next(const twi_run *r, size_t i, twi_encoded *out)
{
    const twi_source *source = r->source;
    if (i < r->n_ahead) {
        *out = r->ahead[i];
        return true;
    }
    if (r->ahead_ended) return false; /* it has answered NULL: not to be asked once more */
    *out = (twi_encoded){.is_file = source->path != NULL};
    if (source->path) {
        out->name = source->path(source->user, i);
        return out->name != NULL;
    }
    const bool more = source->bytes(source->user, i, &out->bytes, &out->name);
    if (!out->name) out->name = "picture";
    return more;
}

void twi_run_feed(twi_run *r, size_t n)
{
    for (; n > 0 && !r->ended; n--) {
        twi_slot *s = twi_slot_of(r, r->fed);
        *s = (twi_slot){0};
        r->ended = !source_next(r, r->fed, &s->encoded);
        if (r->ended) return;
        pthread_mutex_lock(&r->lock);
        r->fed++;
        pthread_cond_signal(&r->work);
        pthread_mutex_unlock(&r->lock);
    }
}

static tw_status compile(twi_run *r)
{
    const tw_status st =
        twi_extractor_compile(r->ctx, r->extractor, twi_form(r->active, r->few), r->threads);
    if (st != TW_OK) return st;
    pthread_mutex_lock(&r->lock);
    r->compiled = true;
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
    return TW_OK;
}

/* ---- the conductor: waiting and delivering -------------------------------------------------- */

static tw_status progress(twi_run *r)
{
    const size_t total = r->delivered <= r->source->total ? r->source->total : 0;
    return twi_progress(r->ctx, "features", r->delivered, total, r->n_failed);
}

/* How many pictures from the oldest on are done without a gap. Call with the lock held. */
static size_t ready(twi_run *r)
{
    size_t n = 0;
    while (r->delivered + n < r->fed && twi_slot_of(r, r->delivered + n)->done) n++;
    return n;
}

tw_status twi_run_wait_ready(twi_run *r, size_t want, size_t *n)
{
    tw_status st = TW_OK;
    pthread_mutex_lock(&r->lock);
    bool due = r->wanted;
    pthread_mutex_unlock(&r->lock);
    while (st == TW_OK) {
        if (due && !r->compiled && (st = compile(r)) != TW_OK) return st;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += tick_nanoseconds;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        int error = 0;
        pthread_mutex_lock(&r->lock);
        while ((*n = ready(r)) < want && r->failure == TW_OK && error != ETIMEDOUT &&
               (r->compiled || !r->wanted))
            error = pthread_cond_timedwait(&r->news, &r->lock, &until);
        const tw_status failure = r->failure;
        due = r->wanted;
        pthread_mutex_unlock(&r->lock);
        if (failure != TW_OK) return twi_ctx_adopt(r->ctx, r->failed, failure);
        if (*n >= want) return TW_OK;
        st = progress(r);
    }
    return st;
}

tw_status twi_run_deliver(twi_run *r)
{
    const size_t i = r->delivered;
    twi_slot *s = twi_slot_of(r, i);
    const twi_extractor *ex = r->extractor;
    const char *message = s->message ? s->message : tw_status_name(s->status);
    int stop;
    if (s->status == TW_OK) {
        const float *row = twi_slot_row(r, ex->precision, i);
        r->n_rows++;
        r->n_cached += s->cached;
        if (s->digested && !s->cached)
            twi_remembered_keep(&r->memory, &s->digest, row, ex->features);
        if (s->digested && r->source->digest)
            r->source->digest(r->source->user, i, s->digest.bytes);
        stop = r->row(r->user, i, TW_OK, "", row);
    } else if (ex->opts.strict) {
        return twi_fail(r->ctx, s->status, "%s", message);
    } else {
        r->n_failed++;
        stop = r->row(r->user, i, s->status, message, NULL);
    }
    twi_free(s->message);
    s->message = NULL;
    r->delivered++;
    if (stop != 0)
        return twi_fail(r->ctx, TW_ERR_CANCELLED, "stopped by the caller after %zu pictures",
                        r->delivered);
    return progress(r);
}

static tw_status stream_all(twi_run *r)
{
    tw_status st = TW_OK;
    for (;;) {
        twi_run_feed(r, r->n_slots - (r->fed - r->delivered));
        if (r->fed == r->delivered) return TW_OK;
        size_t n;
        if ((st = twi_run_wait_ready(r, 1, &n)) != TW_OK) return st;
        for (; n > 0; n--)
            if ((st = twi_run_deliver(r)) != TW_OK) return st;
        twi_remembered_flush(r->ctx, &r->memory, false);
    }
}

/* ---- a run --------------------------------------------------------------------------------- */

static tw_status memory_take(twi_run *r)
{
    twi_extractor *ex = r->extractor;
    size_t places, count;
    tw_status st;
    if (twi_mul(r->n_workers, r->batch, &places) || twi_mul(places, SLOTS_PER_PLACE, &r->n_slots))
        return twi_fail(r->ctx, TW_ERR_ARG, "a batch of %zu pictures is too large", r->batch);
    if (r->n_slots < SLOTS_LEAST) r->n_slots = SLOTS_LEAST;
    if (twi_mul(r->n_slots, ex->features, &count))
        return twi_fail(r->ctx, TW_ERR_ARG, "%zu features are too many", ex->features);
    if ((st = twi_zalloc(r->ctx, r->n_slots, &r->slots)) != TW_OK) return st;
    for (tw_precision p = TW_PRECISION_F32; p < TWI_PRECISIONS; p++)
        if (ex->precision == p || (ex->precision == TW_PRECISION_AUTO && p != TW_PRECISION_INT8))
            if ((st = twi_alloc(r->ctx, count, &r->rows[p])) != TW_OK) return st;
    if ((st = twi_extractor_streams(r->ctx, ex, r->n_workers)) != TW_OK) return st;
    if ((st = twi_zalloc(r->ctx, r->n_workers, &r->workers)) != TW_OK) return st;
    for (size_t k = 0; k < r->n_workers; k++) {
        twi_worker *w = &r->workers[k];
        w->run = r;
        w->stream = &ex->streams[k];
        if ((st = twi_alloc(r->ctx, r->batch, &w->batch)) != TW_OK) return st;
        if ((st = twi_ctx_child(r->ctx, &w->ctx)) != TW_OK) return st;
    }
    return TW_OK;
}

/* One thread a worker. Of few pictures what counts is the wait, not the rate: they are computed one
 * at a time, and a heavy network is lent the threads that have no picture. The reference engine
 * gets none of them: they are OpenMP's, which ThreadSanitizer cannot follow. */
static void divide_budget(twi_run *r)
{
    const twi_extractor *ex = r->extractor;
    const size_t budget = twi_threads(r->ctx), total = r->source->total;
    const size_t views = twi_recipe_view_count(&ex->opts.recipe); /* 0: not known */
    r->few = total > 0 && total <= FEW_PICTURES && views > 0 && total * views <= FEW_PICTURES;
    r->batch = r->few ? 1 : ex->opts.batch;
    r->n_workers = total > 0 && total < budget ? total : budget;
    r->threads = r->few && ex->heavy && !ex->opts.reference_engine ? budget / r->n_workers : 1;
}

/* Fewer threads than asked for is slower, not wrong; none at all is a failure. */
static tw_status workers_start(twi_run *r)
{
    int error = 0;
    for (; r->n_started < r->n_workers && error == 0; r->n_started += error == 0)
        error = pthread_create(&r->workers[r->n_started].thread, NULL, twi_worker_main,
                               &r->workers[r->n_started]);
    if (r->n_started > 0) return TW_OK;
    (void)twi_fail_errno(r->ctx, error, "no worker thread could be started");
    return TW_ERR_NOMEM;
}

static void workers_join(twi_run *r, twi_extract_stats *stats)
{
    twi_run_stop_all(r, NULL, TW_OK);
    for (size_t k = 0; k < r->n_started; k++) {
        pthread_join(r->workers[k].thread, NULL);
        stats->seconds_decode += r->workers[k].seconds_decode;
        stats->seconds_network += r->workers[k].seconds_network;
    }
}

static void memory_free(twi_run *r)
{
    for (size_t k = 0; r->workers && k < r->n_workers; k++) {
        twi_free(r->workers[k].batch);
        tw_ctx_free(r->workers[k].ctx);
    }
    twi_free(r->workers);
    for (size_t p = 0; p < TWI_PRECISIONS; p++) twi_free(r->rows[p]);
    for (size_t k = 0; r->slots && k < r->n_slots; k++) twi_free(r->slots[k].message);
    twi_free(r->slots);
}

static void locks_init(twi_run *r)
{
    pthread_condattr_t monotonic; /* none of these can fail on Linux */
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, NULL);
    pthread_cond_init(&r->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void locks_destroy(twi_run *r)
{
    pthread_cond_destroy(&r->news);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
}

tw_status twi_extractor_run(tw_ctx *ctx, twi_extractor *extractor, const twi_source *source,
                            tw_row_fn row, void *user, twi_extract_stats *stats)
{
    const double start = twi_seconds();
    twi_run r = {.ctx = ctx, .extractor = extractor, .source = source, .row = row, .user = user};
    twi_extract_stats counted = {0};
    divide_budget(&r);
    bool trial = extractor->precision == TW_PRECISION_AUTO;
    r.active = trial ? TW_PRECISION_F32 : extractor->precision;
    locks_init(&r);
    tw_status st = twi_remembered_open(ctx, extractor, source, &r.memory);
    if (st != TW_OK) goto done;
    if (trial && twi_run_choose_from_memory(&r)) trial = false;
    if (!trial) twi_remembered_for(&r.memory, extractor, r.active, r.few);
    r.wanted = !r.memory.rows; /* without one, compiling and decoding overlap */
    if ((st = memory_take(&r)) != TW_OK) goto done;
    if ((st = workers_start(&r)) != TW_OK) goto done;
    if (trial && (st = twi_run_calibrate(&r)) != TW_OK) goto done;
    st = stream_all(&r);
done:
    workers_join(&r, &counted);
    const size_t computed = r.n_rows - r.n_cached;
    counted.seconds_wall = twi_seconds() - start;
    if (computed >= 32) {
        counted.rate = (double)computed / counted.seconds_wall;
        twi_remembered_keep_rate(&r.memory, counted.rate);
    } else {
        counted.rate = twi_remembered_rate(&r.memory);
    }
    twi_remembered_flush(ctx, &r.memory, true);
    if (stats) {
        *stats = counted;
        stats->rows = r.n_rows;
        stats->failed = r.n_failed;
        stats->cached = r.n_cached;
    }
    memory_free(&r);
    locks_destroy(&r);
    return st;
}
