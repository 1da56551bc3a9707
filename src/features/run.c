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
#include "features/extractor.h"
#include "features/remembered.h"

#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

/* AUTO looks at this many readable pictures, among at most so many that stand one after another. */
enum { CALIBRATION_PICTURES = 16, CALIBRATION_WINDOW = 64 };
/* Slots: enough that one slow picture at the head does not leave the other workers idle. */
enum { SLOTS_LEAST = CALIBRATION_WINDOW, SLOTS_PER_PLACE = 4 };
enum { FEW_PICTURES = 16 };
static const long tick_nanoseconds =
    100000000; /* how often a waiting conductor asks about cancelling */

typedef struct slot {
    twi_encoded encoded;
    twi_key digest; /* of the picture's bytes, once read */
    bool done, digested, cached;
    tw_status status;
    char *message; /* NULL with a status: there was no memory for one */
} slot;

typedef struct worker {
    struct run *run;
    tw_ctx *ctx;
    pthread_t thread;
    twi_stream *stream;
    size_t *batch; /* [opts.batch] the pictures decoded into stream->inputs */
    size_t n;      /* of them */
    size_t share;  /* the most this batch may hold */
    double seconds_decode, seconds_network;
} worker;

typedef struct run {
    tw_ctx *ctx;
    twi_extractor *extractor;
    const twi_source *source;
    tw_row_fn row;
    void *user;
    slot *slots; /* [n_slots] */
    size_t n_slots;
    /* [n_slots, features] for each precision this run may compute, else NULL. */
    float *rows[TWI_PRECISIONS];
    tw_precision active; /* being computed; changes only while no slot is with a worker */
    worker *workers;     /* [n_workers] */
    size_t n_workers, n_started;
    twi_remembered memory;                   /* rows computed before; changes with active */
    twi_encoded ahead[CALIBRATION_PICTURES]; /* asked of the source before they are fed */
    size_t n_ahead;
    bool ahead_ended;                             /* the source has no more than those */
    bool few;                                     /* pictures: see divide_budget() */
    size_t batch;                                 /* pictures a worker computes at once */
    size_t threads;                               /* each worker's share of the budget */
    size_t n_rows, n_failed, n_cached, delivered; /* the conductor's alone */
    bool ended; /* the source has no more; the conductor's alone */

    pthread_mutex_t lock; /* guards all below, and slot.done */
    pthread_cond_t work;  /* something to take, or a reason to leave */
    pthread_cond_t news;  /* something is done, or a worker failed */
    size_t fed, taken;
    bool wanted;   /* programs are: a picture waits for them, or surely will */
    bool compiled; /* programs are there */
    bool stop;
    tw_status failure;    /* a worker's, not a picture's */
    const tw_ctx *failed; /* that worker's context */
} run;

static slot *slot_of(run *r, size_t i)
{
    return &r->slots[i % r->n_slots];
}

static float *row_of(run *r, tw_precision precision, size_t i)
{
    return r->rows[precision] + (i % r->n_slots) * r->extractor->features;
}

/* ---- workers ------------------------------------------------------------------------------- */

/* The next picture not done (a second look passes over those), or false: nothing there now, or time
 * to leave. The first of a batch is waited for, and says how many this worker may take: its fair
 * share of what lies there. */
static bool take(worker *w, size_t *i)
{
    run *r = w->run;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (r->taken < r->fed && slot_of(r, r->taken)->done) r->taken++;
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

static void mark_done(run *r, const size_t *pictures, size_t n)
{
    pthread_mutex_lock(&r->lock);
    for (size_t k = 0; k < n; k++) slot_of(r, pictures[k])->done = true;
    pthread_cond_signal(&r->news);
    pthread_mutex_unlock(&r->lock);
}

static void stop_all(run *r, const tw_ctx *failed, tw_status failure)
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
static bool ingest(worker *w, size_t i, slot *s)
{
    run *r = w->run;
    const twi_extractor *ex = r->extractor;
    const char *name = s->encoded.name;
    float *row = row_of(r, r->active, i);
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
static bool gather(worker *w)
{
    run *r = w->run;
    size_t i;
    for (w->n = 0, w->share = 1; w->n < w->share && take(w, &i);) {
        slot *s = slot_of(r, i);
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
static bool wait_compiled(run *r)
{
    pthread_mutex_lock(&r->lock);
    r->wanted = true;
    if (!r->compiled) pthread_cond_signal(&r->news);
    while (!r->compiled && !r->stop) pthread_cond_wait(&r->work, &r->lock);
    const bool go = !r->stop;
    pthread_mutex_unlock(&r->lock);
    return go;
}

static tw_status compute(worker *w)
{
    run *r = w->run;
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
        memcpy(row_of(r, r->active, w->batch[k]), stream->outputs + k * ex->features,
               ex->features * sizeof(float));
    w->seconds_network += twi_seconds() - start;
    return TW_OK;
}

static void *work(void *user)
{
    worker *w = user;
    run *r = w->run;
    tw_status st = twi_stream_inputs(w->ctx, r->extractor, w->stream);
    while (st == TW_OK && gather(w) && wait_compiled(r)) {
        st = compute(w);
        if (st == TW_OK) mark_done(r, w->batch, w->n);
    }
    if (st != TW_OK) stop_all(r, w->ctx, st);
    return NULL;
}

/* ---- the conductor: feeding ---------------------------------------------------------------- */

static bool source_next(const run *r, size_t i, twi_encoded *out)
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

/* Feeds n more pictures, or what the source still has. The source is asked without the lock: it may
 * read a pipe. */
static void feed(run *r, size_t n)
{
    for (; n > 0 && !r->ended; n--) {
        slot *s = slot_of(r, r->fed);
        *s = (slot){0};
        r->ended = !source_next(r, r->fed, &s->encoded);
        if (r->ended) return;
        pthread_mutex_lock(&r->lock);
        r->fed++;
        pthread_cond_signal(&r->work);
        pthread_mutex_unlock(&r->lock);
    }
}

static tw_status compile(run *r)
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

static tw_status progress(run *r)
{
    const size_t total = r->delivered <= r->source->total ? r->source->total : 0;
    return twi_progress(r->ctx, "features", r->delivered, total, r->n_failed);
}

/* How many pictures from the oldest on are done without a gap. Call with the lock held. */
static size_t ready(run *r)
{
    size_t n = 0;
    while (r->delivered + n < r->fed && slot_of(r, r->delivered + n)->done) n++;
    return n;
}

/* Waits until the oldest want pictures are done; *n gets how many are. Compiles when that is
 * wanted. */
static tw_status wait_ready(run *r, size_t want, size_t *n)
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

static tw_status deliver(run *r)
{
    const size_t i = r->delivered;
    slot *s = slot_of(r, i);
    const twi_extractor *ex = r->extractor;
    const char *message = s->message ? s->message : tw_status_name(s->status);
    int stop;
    if (s->status == TW_OK) {
        const float *row = row_of(r, ex->precision, i);
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

static tw_status stream_all(run *r)
{
    tw_status st = TW_OK;
    for (;;) {
        feed(r, r->n_slots - (r->fed - r->delivered));
        if (r->fed == r->delivered) return TW_OK;
        size_t n;
        if ((st = wait_ready(r, 1, &n)) != TW_OK) return st;
        for (; n > 0; n--)
            if ((st = deliver(r)) != TW_OK) return st;
        twi_remembered_flush(r->ctx, &r->memory, false);
    }
}

/* ---- precision by trial -------------------------------------------------------------------- */

/* a, b [n]. Two zero vectors point the same way; a value that is not finite gives NaN, which no
 * bound accepts. */
static double cosine(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    if (aa == 0 && bb == 0) return 1;
    return aa == 0 || bb == 0 ? 0 : ab / (sqrt(aa) * sqrt(bb));
}

static size_t readable_held(run *r)
{
    size_t n = 0;
    for (size_t i = r->delivered; i < r->fed; i++) n += slot_of(r, i)->status == TW_OK;
    return n;
}

/* From here on precision is what is computed. No slot may be with a worker. */
static void activate(run *r, tw_precision precision)
{
    pthread_mutex_lock(&r->lock);
    r->active = precision;
    r->compiled = false; /* the next wait sees to it */
    r->wanted = true;
    pthread_mutex_unlock(&r->lock);
}

static void let_go(run *r, tw_precision precision)
{
    twi_extractor_drop(r->extractor, twi_form(precision, false));
    twi_extractor_drop(r->extractor, twi_form(precision, true));
}

/* Hands the held readable pictures out once more, to be computed in precision. */
static void look_again(run *r, tw_precision precision)
{
    activate(r, precision);
    pthread_mutex_lock(&r->lock);
    for (size_t i = r->delivered; i < r->fed; i++)
        slot_of(r, i)->done = slot_of(r, i)->status != TW_OK;
    r->taken = r->delivered;
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
}

/* In millionths, rounded down: %f would write the caller's decimal point. */
static void tell_choice(run *r, double least, size_t pictures)
{
    const unsigned millionths = least > 0 ? (unsigned)(least * 1e6) : 0;
    twi_log(r->ctx, TW_LOG_INFO,
            "precision %s: bf16 features of %zu pictures have a cosine of %u.%06u to those of f32; "
            "0.999 is needed",
            twi_precision_name(r->extractor->precision), pictures, millionths / 1000000,
            millionths % 1000000);
}

/* Every held picture is done in both precisions: chooses and says so. */
static void choose(run *r)
{
    twi_extractor *ex = r->extractor;
    double least = 1;
    for (size_t i = r->delivered; i < r->fed; i++) {
        if (slot_of(r, i)->status != TW_OK) continue;
        const double c =
            cosine(row_of(r, TW_PRECISION_F32, i), row_of(r, TW_PRECISION_BF16, i), ex->features);
        if (!(c >= least)) least = c;
    }
    const bool bf16 = least >= TWI_AUTO_COSINE;
    ex->precision = bf16 ? TW_PRECISION_BF16 : TW_PRECISION_F32;
    twi_remembered_choice(&r->memory, ex->precision, least);
    twi_remembered_for(&r->memory, ex, ex->precision, r->few);
    if (!bf16) {
        let_go(r, TW_PRECISION_BF16);
        activate(r, TW_PRECISION_F32);
    }
    const tw_precision other = bf16 ? TW_PRECISION_F32 : TW_PRECISION_BF16;
    twi_free(r->rows[other]);
    r->rows[other] = NULL;
    tell_choice(r, least, readable_held(r));
}

/* What the same first pictures were found to need before. False: not known. */
static bool choose_from_memory(run *r)
{
    twi_extractor *ex = r->extractor;
    tw_precision precision;
    double least;
    if (!r->memory.cache || !r->source->path) return false;
    while (r->n_ahead < CALIBRATION_PICTURES) {
        twi_encoded *next = &r->ahead[r->n_ahead];
        *next =
            (twi_encoded){.name = r->source->path(r->source->user, r->n_ahead), .is_file = true};
        r->ahead_ended = next->name == NULL;
        if (r->ahead_ended) break;
        r->n_ahead++;
    }
    if (!twi_remembered_chosen(r->ctx, &r->memory, ex, r->ahead, r->n_ahead, &precision, &least))
        return false;
    ex->precision = precision;
    r->active = precision;
    twi_remembered_for(&r->memory, ex, precision, r->few);
    tell_choice(r, least, r->n_ahead);
    return true;
}

/* Computes the first readable pictures in f32 and then again in bf16, holding their rows back until
 * one is chosen. One after the other, decoding twice, so that there is only ever one set of weights
 * in memory. What is looked at depends only on the pictures, never on timing. Leaves precision at
 * AUTO when none is readable. */
static tw_status calibrate(run *r)
{
    tw_status st = TW_OK;
    size_t n;
    while (!r->ended) {
        size_t room = CALIBRATION_WINDOW - (r->fed - r->delivered);
        const size_t readable = readable_held(r);
        if (room > CALIBRATION_PICTURES - readable) room = CALIBRATION_PICTURES - readable;
        if (room == 0) break;
        feed(r, room);
        if ((st = wait_ready(r, r->fed - r->delivered, &n)) != TW_OK) return st;
        while (r->delivered < r->fed && slot_of(r, r->delivered)->status != TW_OK)
            if ((st = deliver(r)) != TW_OK) return st;
    }
    if (r->delivered == r->fed) return TW_OK;
    let_go(r, TW_PRECISION_F32);
    look_again(r, TW_PRECISION_BF16);
    if ((st = wait_ready(r, r->fed - r->delivered, &n)) != TW_OK) return st;
    choose(r);
    while (r->delivered < r->fed)
        if ((st = deliver(r)) != TW_OK) return st;
    return TW_OK;
}

/* ---- a run --------------------------------------------------------------------------------- */

static tw_status memory_take(run *r)
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
        if (ex->precision == p || ex->precision == TW_PRECISION_AUTO)
            if ((st = twi_alloc(r->ctx, count, &r->rows[p])) != TW_OK) return st;
    if ((st = twi_extractor_streams(r->ctx, ex, r->n_workers)) != TW_OK) return st;
    if ((st = twi_zalloc(r->ctx, r->n_workers, &r->workers)) != TW_OK) return st;
    for (size_t k = 0; k < r->n_workers; k++) {
        worker *w = &r->workers[k];
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
static void divide_budget(run *r)
{
    const twi_extractor *ex = r->extractor;
    const size_t budget = twi_threads(r->ctx), total = r->source->total;
    r->few = total > 0 && total <= FEW_PICTURES;
    r->batch = r->few ? 1 : ex->opts.batch;
    r->n_workers = total > 0 && total < budget ? total : budget;
    r->threads = r->few && ex->heavy && !ex->opts.reference_engine ? budget / r->n_workers : 1;
}

/* Fewer threads than asked for is slower, not wrong; none at all is a failure. */
static tw_status workers_start(run *r)
{
    int error = 0;
    for (; r->n_started < r->n_workers && error == 0; r->n_started += error == 0)
        error =
            pthread_create(&r->workers[r->n_started].thread, NULL, work, &r->workers[r->n_started]);
    if (r->n_started > 0) return TW_OK;
    (void)twi_fail_errno(r->ctx, error, "no worker thread could be started");
    return TW_ERR_NOMEM;
}

static void workers_join(run *r, twi_extract_stats *stats)
{
    stop_all(r, NULL, TW_OK);
    for (size_t k = 0; k < r->n_started; k++) {
        pthread_join(r->workers[k].thread, NULL);
        stats->seconds_decode += r->workers[k].seconds_decode;
        stats->seconds_network += r->workers[k].seconds_network;
    }
}

static void memory_free(run *r)
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

static void locks_init(run *r)
{
    pthread_condattr_t monotonic; /* none of these can fail on Linux */
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, NULL);
    pthread_cond_init(&r->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void locks_destroy(run *r)
{
    pthread_cond_destroy(&r->news);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
}

tw_status twi_extractor_run(tw_ctx *ctx, twi_extractor *extractor, const twi_source *source,
                            tw_row_fn row, void *user, twi_extract_stats *stats)
{
    const double start = twi_seconds();
    run r = {.ctx = ctx, .extractor = extractor, .source = source, .row = row, .user = user};
    twi_extract_stats counted = {0};
    divide_budget(&r);
    bool trial = extractor->precision == TW_PRECISION_AUTO;
    r.active = trial ? TW_PRECISION_F32 : extractor->precision;
    locks_init(&r);
    tw_status st = twi_remembered_open(ctx, extractor, source, &r.memory);
    if (st != TW_OK) goto done;
    if (trial && choose_from_memory(&r)) trial = false;
    if (!trial) twi_remembered_for(&r.memory, extractor, r.active, r.few);
    r.wanted = !r.memory.rows; /* without one, compiling and decoding overlap */
    if ((st = memory_take(&r)) != TW_OK) goto done;
    if ((st = workers_start(&r)) != TW_OK) goto done;
    if (trial && (st = calibrate(&r)) != TW_OK) goto done;
    st = stream_all(&r);
done:
    workers_join(&r, &counted);
    twi_remembered_flush(ctx, &r.memory, true);
    if (stats) {
        *stats = counted;
        stats->rows = r.n_rows;
        stats->failed = r.n_failed;
        stats->cached = r.n_cached;
        stats->seconds_wall = twi_seconds() - start;
    }
    memory_free(&r);
    locks_destroy(&r);
    return st;
}
