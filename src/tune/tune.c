/* tune.c - epochs. */
#include "tune/tune.h"

#include "tune/private.h"

#include <math.h>
#include <string.h>

void twi_tune_gather(const twi_tune_loop *l, float *to)
{
    for (size_t i = 0; i < twi_trainer_parameter_count(l->trainer); i++) {
        const twi_parameter *p = twi_trainer_parameter(l->trainer, i);
        memcpy(to, p->value, p->count * sizeof *to);
        to += p->count;
    }
}

void twi_tune_scatter(const twi_tune_loop *l, const float *from)
{
    for (size_t i = 0; i < twi_trainer_parameter_count(l->trainer); i++) {
        const twi_parameter *p = twi_trainer_parameter(l->trainer, i);
        memcpy(p->value, from, p->count * sizeof *from);
        from += p->count;
    }
}

/* ---- validation ---------------------------------------------------------------------------- */

static size_t count_right(const float *scores, const uint32_t *labels, size_t n, size_t k)
{
    size_t right = 0;
    for (size_t i = 0; i < n; i++) {
        const float *z = scores + i * k;
        size_t largest = 0;
        for (size_t c = 1; c < k; c++) largest = z[c] > z[largest] ? c : largest;
        right += largest == labels[i];
    }
    return right;
}

static void fill_up(float *pictures, size_t n, size_t batch, size_t each)
{
    for (size_t i = n; i < batch; i++) memcpy(pictures + i * each, pictures, each * sizeof(float));
}

/* The first n outputs, of photos from at on: kept until all are there, or, with a teacher, their
 * loss. */
static tw_status judge_batch(twi_tune_loop *l, size_t at, size_t n, double *loss)
{
    const twi_tune_photos *p = l->photos;
    if (!l->opts->teacher) {
        memcpy(l->val_scores + at * p->k, l->scores, n * p->k * sizeof *l->scores);
        for (size_t i = 0; i < n; i++) l->val_labels[at + i] = p->labels[p->val[at + i]];
        return TW_OK;
    }
    const tw_status st = twi_teacher_targets(l->ctx, l->opts->teacher, l->shown, n, l->taught);
    if (st == TW_OK) *loss += (double)n * twi_squared_error(l->scores, l->taught, n, p->k, NULL);
    return st;
}

static void summarise(const twi_tune_loop *l, double loss, twi_tune_epoch *e)
{
    const twi_tune_photos *p = l->photos;
    e->val_loss = loss / (double)p->n_val;
    e->val_accuracy = (double)NAN;
    if (l->opts->teacher) return;
    e->val_loss = twi_calibrated_loss(l->val_scores, l->val_labels, p->n_val, p->k);
    e->val_accuracy =
        (double)count_right(l->val_scores, l->val_labels, p->n_val, p->k) / (double)p->n_val;
}

/* The last batch is filled up with its own first photo, which does not count. */
static tw_status measure(twi_tune_loop *l, twi_tune_epoch *e)
{
    const twi_tune_photos *p = l->photos;
    const size_t batch = l->opts->batch;
    twi_trainer *judge = l->opts->validator ? l->opts->validator : l->trainer;
    double loss = 0.0;
    for (size_t i = 0; judge != l->trainer && i < twi_trainer_parameter_count(judge); i++) {
        const twi_parameter *to = twi_trainer_parameter(judge, i);
        memcpy(to->value, twi_trainer_parameter(l->trainer, i)->value, to->count * sizeof(float));
    }
    for (size_t at = 0; at < p->n_val; at += batch) {
        const size_t n = p->n_val - at < batch ? p->n_val - at : batch;
        const size_t left = p->n_val - at - n;
        tw_status st = twi_tune_load(l, p->val + at, n, 0);
        if (st != TW_OK) return st;
        if (left > 0) twi_tune_load_ahead(l, p->val + at + n, left < batch ? left : batch, 0);
        fill_up(l->pictures, n, batch, l->each);
        st = twi_trainer_forward(l->ctx, judge, l->pictures, l->scores);
        if (st == TW_OK) st = twi_progress(l->ctx, "validate", at + n, p->n_val, 0);
        if (st == TW_OK) st = judge_batch(l, at, n, &loss);
        if (st != TW_OK) return st;
    }
    summarise(l, loss, e);
    return TW_OK;
}

/* By the loss: of a few dozen photos the accuracy says little. It is the calibrated one: the first
 * head is penalised strongly and so unsure of itself, which must not make every epoch look better.
 */
static bool better(const twi_tune_epoch *a, const twi_tune_epoch *b)
{
    if (a->val_loss != b->val_loss) return a->val_loss < b->val_loss;
    return a->val_accuracy > b->val_accuracy;
}

/* Measures what would be kept now, and keeps it if it is the best. */
static tw_status judge(twi_tune_loop *l, twi_tune_epoch *e)
{
    twi_optimiser_exchange(l->optimiser);
    const tw_status st = measure(l, e);
    if (st == TW_OK && !(isfinite(e->val_loss))) {
        twi_optimiser_exchange(l->optimiser);
        return twi_fail(l->ctx, TW_ERR_DIVERGED,
                        "the validation loss is not finite; try a smaller learning rate");
    }
    e->best = st == TW_OK && (e->epoch == 0 || better(e, &l->result.best));
    if (e->best) {
        l->result.best = *e;
        twi_tune_gather(l, l->best);
    }
    twi_optimiser_exchange(l->optimiser);
    return st;
}

/* ---- training ------------------------------------------------------------------------------ */

/* A share from Beta(alpha, alpha), by Johnk's method (1964): exact for alpha up to 1. */
static double beta(twi_rng *rng, double alpha)
{
    for (int tries = 0; tries < 1000; tries++) {
        const double x = pow(twi_rng_double(rng), 1.0 / alpha);
        const double y = pow(twi_rng_double(rng), 1.0 / alpha);
        if (x + y > 0.0 && x + y <= 1.0) return x / (x + y);
    }
    return 1.0;
}

static void blend(float *pictures, size_t batch, size_t each, double share)
{
    for (size_t i = 0; i < batch / 2; i++) {
        float *a = pictures + i * each, *b = pictures + (batch - 1 - i) * each;
        for (size_t k = 0; k < each; k++) {
            const float x = a[k], y = b[k];
            a[k] = (float)share * x + (float)(1.0 - share) * y;
            b[k] = (float)share * y + (float)(1.0 - share) * x;
        }
    }
}

/* Zhang et al. (2018), mixup: each picture with the one that lies opposite in the batch. */
static void mix(twi_tune_loop *l, size_t epoch)
{
    const size_t batch = l->opts->batch;
    twi_rng rng; /* of this step: what it draws does not depend on the steps before */
    twi_draw_rng(l->opts->seed, epoch, SIZE_MAX - l->step, &rng);
    const double drawn = beta(&rng, l->opts->mixup), share = fmax(drawn, 1.0 - drawn);
    for (size_t i = 0; i < batch; i++) {
        l->mixed[i] = l->labels[batch - 1 - i];
        l->share[i] = (float)share;
    }
    blend(l->pictures, batch, l->each, share);
    if (l->shown) blend(l->shown, batch, l->shown_each, share);
}

/* What comes after photo: the epoch's next batch, or the validation's first. */
static void load_coming(twi_tune_loop *l, const size_t *photo, size_t epoch)
{
    const twi_tune_photos *p = l->photos;
    const size_t batch = l->opts->batch, *const next = photo + batch;
    if (next + batch <= l->order + twi_tune_steps(l) * batch)
        twi_tune_load_ahead(l, next, batch, epoch);
    else if (epoch <= l->opts->epochs)
        twi_tune_load_ahead(l, p->val, p->n_val < batch ? p->n_val : batch, 0);
}

/* The loss of the outputs, and its gradient into l->gradient. */
static tw_status differentiate(twi_tune_loop *l, double *loss)
{
    const size_t batch = l->opts->batch, k = l->photos->k;
    twi_targets targets = {.labels = l->labels,
                           .weights = l->opts->balanced ? l->weights : NULL,
                           .smoothing = l->opts->smoothing};
    if (l->opts->teacher) {
        const tw_status st =
            twi_teacher_targets(l->ctx, l->opts->teacher, l->shown, batch, l->taught);
        if (st == TW_OK) *loss = twi_squared_error(l->scores, l->taught, batch, k, l->gradient);
        return st;
    }
    if (l->opts->mixup > 0.0) targets.mixed = l->mixed, targets.share = l->share;
    *loss = twi_cross_entropy(&targets, l->scores, batch, k, l->gradient);
    return TW_OK;
}

tw_status twi_tune_batch(twi_tune_loop *l, const size_t *photo, size_t epoch, double *loss)
{
    const size_t batch = l->opts->batch;
    tw_status st = twi_tune_load(l, photo, batch, epoch);
    if (st != TW_OK) return st;
    load_coming(l, photo, epoch);
    for (size_t i = 0; i < batch; i++)
        l->labels[i] = l->photos->labels ? l->photos->labels[photo[i]] : 0;
    if (l->opts->mixup > 0.0) mix(l, epoch);
    if ((st = twi_trainer_forward(l->ctx, l->trainer, l->pictures, l->scores)) != TW_OK) return st;
    if ((st = differentiate(l, loss)) != TW_OK) return st;
    if (!isfinite(*loss))
        return twi_fail(l->ctx, TW_ERR_DIVERGED,
                        "the loss is not finite in epoch %zu; try a smaller learning rate", epoch);
    return twi_trainer_backward(l->ctx, l->trainer, l->gradient);
}

size_t twi_tune_steps(const twi_tune_loop *l)
{
    return l->photos->n_train / l->opts->batch; /* what is left over comes in another epoch */
}

void twi_tune_shuffle(twi_tune_loop *l, size_t epoch)
{
    twi_rng rng;
    twi_tune_load_none(l); /* it might read the order */
    twi_draw_rng(l->opts->seed, epoch, 0, &rng);
    memcpy(l->order, l->photos->train, l->photos->n_train * sizeof *l->order);
    twi_rng_shuffle(&rng, l->order, l->photos->n_train);
}

void twi_tune_thaw(twi_tune_loop *l, size_t epoch)
{
    if (!l->opts->train_from) return;
    twi_trainer_train_from(l->trainer, l->opts->train_from[epoch - 1]);
    twi_optimiser_train_from(l->optimiser, l->opts->train_from[epoch - 1]);
}

/* From l->step on, which counts what was done. */
static tw_status train_epoch(twi_tune_loop *l, twi_tune_epoch *e)
{
    const twi_tune_opts *o = l->opts;
    const size_t steps = twi_tune_steps(l), all = steps * o->epochs, from = l->step;
    const twi_schedule schedule = {
        .rate = l->rate, .floor = 0.0, .warmup = (size_t)(o->warmup * (double)all), .steps = all};
    double loss = 0.0;
    const double start = twi_seconds();
    twi_tune_thaw(l, e->epoch);
    twi_tune_shuffle(l, e->epoch);
    while (l->step < steps) {
        const size_t done = (e->epoch - 1) * steps + l->step;
        tw_status st = twi_tune_batch(l, l->order + l->step * o->batch, e->epoch, &loss);
        if (st != TW_OK) return st;
        twi_optimiser_step(l->optimiser, twi_schedule_rate(&schedule, done));
        l->loss += loss;
        l->step++;
        if ((st = twi_progress(l->ctx, "tune", done + 1, all, 0)) != TW_OK) return st;
        if (o->checkpoint && o->checkpoint_seconds > 0.0 &&
            twi_seconds() - l->saved >= o->checkpoint_seconds && (st = twi_tune_save(l)) != TW_OK)
            return st;
    }
    e->rate = twi_schedule_rate(&schedule, e->epoch * steps - 1);
    e->loss = l->loss / (double)steps;
    e->photos_per_second = (double)((steps - from) * o->batch) / (twi_seconds() - start);
    return TW_OK;
}

/* ---- the loop ------------------------------------------------------------------------------ */

static tw_status prepare(twi_tune_loop *l)
{
    const size_t batch = l->opts->batch, k = l->photos->k;
    l->each = l->photos->recipe->height * l->photos->recipe->width * 3;
    for (size_t i = 0; i < twi_trainer_parameter_count(l->trainer); i++)
        l->n_values += twi_trainer_parameter(l->trainer, i)->count;
    tw_status st = twi_zalloc(l->ctx, batch, &l->slots);
    if (st == TW_OK) st = twi_alloc(l->ctx, batch * l->each, &l->pictures);
    if (st == TW_OK && twi_threads(l->ctx) > 1) st = twi_alloc(l->ctx, batch * l->each, &l->next);
    if (st == TW_OK) st = twi_alloc(l->ctx, batch * k, &l->scores);
    if (st == TW_OK) st = twi_alloc(l->ctx, batch * k, &l->gradient);
    const size_t n_val = l->opts->teacher ? 0 : l->photos->n_val;
    if (st == TW_OK) st = twi_alloc(l->ctx, n_val * k, &l->val_scores);
    if (st == TW_OK) st = twi_alloc(l->ctx, n_val, &l->val_labels);
    if (st == TW_OK) st = twi_alloc(l->ctx, batch, &l->labels);
    if (st == TW_OK) st = twi_alloc(l->ctx, batch, &l->mixed);
    if (st == TW_OK) st = twi_alloc(l->ctx, batch, &l->share);
    if (st == TW_OK) st = twi_alloc(l->ctx, k, &l->weights);
    if (st == TW_OK) st = twi_alloc(l->ctx, l->photos->n_train, &l->order);
    if (st == TW_OK) st = twi_alloc(l->ctx, l->n_values, &l->values);
    if (st == TW_OK) st = twi_alloc(l->ctx, l->n_values, &l->best);
    if (st != TW_OK || !l->opts->teacher) return st;
    const twi_recipe *recipe = twi_teacher_recipe(l->opts->teacher);
    l->shown_each = recipe->height * recipe->width * 3;
    st = twi_alloc(l->ctx, batch * l->shown_each, &l->shown);
    return st == TW_OK ? twi_alloc(l->ctx, batch * k, &l->taught) : st;
}

/* The teacher's features of photos as they are, from the first on: means and deviations of a few
 * thousand say enough, and are the same when the run is resumed. */
static tw_status settle(twi_tune_loop *l)
{
    const twi_tune_photos *p = l->photos;
    const size_t batch = l->opts->batch, d = p->k, most = p->n_train < 4096 ? p->n_train : 4096;
    double *sums;
    tw_status st = twi_zalloc(l->ctx, 2 * d, &sums);
    for (size_t at = 0; st == TW_OK && at < most; at += batch) {
        const size_t n = most - at < batch ? most - at : batch;
        if ((st = twi_tune_load(l, p->train + at, n, 0)) != TW_OK) break;
        if ((st = twi_teacher_features(l->ctx, l->opts->teacher, l->shown, n, l->taught)) != TW_OK)
            break;
        for (size_t i = 0; i < n * d; i++) {
            const double x = (double)l->taught[i];
            sums[i % d] += x;
            sums[d + i % d] += x * x;
        }
        st = twi_progress(l->ctx, "teacher", at + n, most, 0);
    }
    if (st == TW_OK) twi_teacher_settle(l->opts->teacher, sums, sums + d, most);
    twi_free(sums);
    return st;
}

static tw_status balance(twi_tune_loop *l)
{
    const twi_tune_photos *p = l->photos;
    uint32_t *labels;
    const tw_status st = twi_alloc(l->ctx, p->n_train, &labels);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < p->n_train; i++) labels[i] = p->labels[p->train[i]];
    twi_balanced_weights(labels, p->n_train, p->k, l->weights);
    twi_free(labels);
    return TW_OK;
}

static void release(twi_tune_loop *l)
{
    twi_tune_load_none(l);
    for (size_t i = 0; l->slots && i < l->opts->batch; i++) {
        twi_recipe_scratch_free(&l->slots[i].scratch);
        twi_free(l->slots[i].file);
    }
    twi_free(l->slots);
    twi_free(l->pictures);
    twi_free(l->next);
    twi_free(l->scores);
    twi_free(l->gradient);
    twi_free(l->val_scores);
    twi_free(l->val_labels);
    twi_free(l->labels);
    twi_free(l->mixed);
    twi_free(l->share);
    twi_free(l->shown);
    twi_free(l->taught);
    twi_free(l->weights);
    twi_free(l->order);
    twi_free(l->values);
    twi_free(l->best);
}

static tw_status check(tw_ctx *ctx, const twi_trainer *trainer, const twi_tune_photos *p,
                       const twi_tune_opts *o)
{
    if (p->n_train < o->batch || o->batch == 0 || p->n_val == 0)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu photos to train on and %zu to validate on; a batch of %zu and at "
                        "least 1 are needed",
                        p->n_train, p->n_val, o->batch);
    if (o->teacher && twi_teacher_feature_count(o->teacher) != p->k)
        return twi_fail(ctx, TW_ERR_ARG, "the teacher has %zu features, not %zu",
                        twi_teacher_feature_count(o->teacher), p->k);
    if (o->validator &&
        twi_trainer_parameter_count(o->validator) != twi_trainer_parameter_count(trainer))
        return twi_fail(ctx, TW_ERR_ARG, "the network to validate with is another one");
    if (twi_trainer_output_count(trainer) != p->k)
        return twi_fail(ctx, TW_ERR_ARG, "the network gives %zu scores for %zu classes",
                        twi_trainer_output_count(trainer), p->k);
    if (!(o->rate > 0.0 || o->find_rate) || !(o->warmup >= 0.0 && o->warmup < 1.0) ||
        !(o->smoothing >= 0.0 && o->smoothing < 1.0) || !(o->mixup >= 0.0 && o->mixup <= 1.0))
        return twi_fail(ctx, TW_ERR_ARG,
                        "the learning rate must be above 0, warm-up and label smoothing 0 to "
                        "below 1, mixup 0 to 1");
    return TW_OK;
}

/* One epoch, or what is left of it, and the checkpoint behind it. */
static tw_status epoch(twi_tune_loop *l, twi_tune_epoch *e)
{
    const double start = twi_seconds();
    tw_status st = train_epoch(l, e);
    if (st == TW_OK) st = judge(l, e);
    if (st == TW_OK) {
        e->seconds = twi_seconds() - start;
        l->epoch = e->epoch, l->step = 0, l->loss = 0.0;
    }
    if (l->opts->checkpoint && (st == TW_OK || st == TW_ERR_CANCELLED)) {
        const tw_status saved = twi_tune_save(l);
        if (saved != TW_OK) return saved;
    }
    return st;
}

static tw_status epochs(twi_tune_loop *l, bool *stop)
{
    const twi_tune_opts *o = l->opts;
    while (!*stop && l->epoch < o->epochs) {
        twi_tune_epoch e = {.epoch = l->epoch + 1, .epochs = o->epochs};
        const tw_status st = epoch(l, &e);
        if (st != TW_OK) return st;
        if (o->told && o->told(o->user, &e)) *stop = true;
        if (o->patience > 0 && l->epoch - l->result.best.epoch >= o->patience) *stop = true;
    }
    return TW_OK;
}

tw_status twi_tune_run(tw_ctx *ctx, twi_trainer *trainer, twi_optimiser *optimiser,
                       const twi_tune_photos *photos, const twi_tune_opts *opts,
                       twi_tune_result *out)
{
    twi_tune_loop l = {.ctx = ctx,
                       .trainer = trainer,
                       .optimiser = optimiser,
                       .photos = photos,
                       .opts = opts,
                       .rate = opts->rate,
                       .saved = twi_seconds()};
    bool stop = false;
    tw_status st = check(ctx, trainer, photos, opts);
    if (st != TW_OK) return st;
    if ((st = prepare(&l)) != TW_OK) goto done;
    if ((st = opts->teacher ? settle(&l) : balance(&l)) != TW_OK) goto done;
    if (opts->resume) {
        if ((st = twi_tune_restore(&l)) != TW_OK) goto done;
        stop = opts->patience > 0 && l.epoch - l.result.best.epoch >= opts->patience;
    } else {
        twi_tune_epoch e = {.epochs = opts->epochs, .loss = (double)NAN};
        const double start = twi_seconds();
        if ((st = judge(&l, &e)) != TW_OK) goto done;
        e.seconds = twi_seconds() - start;
        l.result.first = e;
        if (opts->told && opts->told(opts->user, &e)) stop = true;
        if (opts->find_rate && (st = twi_tune_find_rate(&l, &l.rate)) != TW_OK) goto done;
    }
    st = epochs(&l, &stop);
    if (st == TW_ERR_DIVERGED && l.result.best.epoch > 0) {
        twi_log(ctx, TW_LOG_WARNING, "%s; the weights of epoch %zu are kept", tw_last_error(ctx),
                l.result.best.epoch);
        st = TW_OK;
    }
    if (st != TW_OK) goto done;
    twi_tune_scatter(&l, l.best);
    l.result.epochs = l.epoch;
    l.result.rate = l.rate;
    *out = l.result;
done:
    release(&l);
    return st;
}

tw_status twi_tune_measure(tw_ctx *ctx, twi_trainer *trainer, const twi_tune_photos *photos,
                           const twi_tune_opts *opts, twi_tune_epoch *out)
{
    twi_tune_loop l = {.ctx = ctx, .trainer = trainer, .photos = photos, .opts = opts};
    twi_tune_epoch e = {.epochs = opts->epochs, .loss = (double)NAN};
    tw_status st = check(ctx, trainer, photos, opts);
    if (st != TW_OK) return st;
    if ((st = prepare(&l)) == TW_OK) st = measure(&l, &e);
    if (st == TW_OK) *out = e;
    release(&l);
    return st;
}
