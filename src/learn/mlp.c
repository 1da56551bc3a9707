/* mlp.c - MLPClassifier(solver="adam", activation="relu"): start, order, batches and stopping rules
 * of scikit-learn 1.2.1 for the same seed, in float32 as it trains float32 features.
 *
 * The first epochs agree with scikit-learn's to float's rounding; later ones drift apart as any two
 * orders of summation do. */
#include "learn/head.h"
#include "learn/mlp_net.h"
#include "learn/rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS_AT_ONCE 240 /* when deciding */

typedef struct mlp_head {
    twi_head base;
    twi_net net;
    double loss;
} mlp_head;

static void head_free(twi_head *head)
{
    twi_net_free(&((mlp_head *)head)->net);
    twi_free(head);
}

/* ---- training ------------------------------------------------------------------------------ */

typedef struct training {
    const twi_samples *samples;
    const tw_head_opts *opts;
    twi_rng rng;
    size_t *train, *held, *order, *draw; /* rows of samples; order: of train */
    size_t n_train, n_held, batch_rows;
    twi_net net, best;
    twi_net_batch batch;
    uint32_t *y; /* [batch_rows] */
    double best_loss, best_score, loss;
    size_t idle, steps, epochs;
} training;

static size_t row_of(const twi_samples *s, size_t i)
{
    return s->rows ? s->rows[i] : i;
}

/* How many of each of two classes go into a part of n: _approximate_mode; equal remainders are
 * settled by a draw, and every tie group draws. */
static void approximate_mode(twi_rng *rng, const size_t count[2], size_t n, size_t out[2])
{
    const double all = (double)(count[0] + count[1]);
    double rest[2];
    for (size_t c = 0; c < 2; c++) {
        const double share = (double)count[c] / all * (double)n;
        out[c] = (size_t)floor(share);
        rest[c] = share - floor(share);
    }
    size_t need = n - out[0] - out[1];
    if (need == 0) return;
    size_t order[2];
    if (rest[0] == rest[1]) {
        twi_rng_permutation(rng, order, 2);
        for (size_t i = 0; i < 2 && need > 0; i++, need--) out[order[i]]++;
        return;
    }
    const size_t first = rest[0] > rest[1] ? 0 : 1;
    for (size_t i = 0; i < 2 && need > 0; i++, need--) {
        twi_rng_permutation(rng, order, 1);
        out[i ? 1 - first : first]++;
    }
}

static void permute(twi_rng *rng, size_t *items, size_t n, size_t *scratch)
{
    memcpy(scratch, items, n * sizeof *items); /* permutation(array) is copy, then shuffle */
    twi_rng_shuffle(rng, scratch, n);
    memcpy(items, scratch, n * sizeof *items);
}

/* train_test_split(test_size=0.1, random_state=rng), stratified for two classes only. */
static tw_status hold_back(tw_ctx *ctx, training *t)
{
    const twi_samples *s = t->samples;
    const size_t n = s->n, n_held = (size_t)ceil(0.1 * (double)n), n_train = n - n_held;
    if (n_train == 0 || (s->k == 2 && (n_held < 2 || n_train < 2)))
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu training samples are too few to hold a tenth back for early stopping",
                        n);
    if (s->k > 2) {
        twi_rng_permutation(&t->rng, t->order, n);
        for (size_t i = 0; i < n; i++)
            *(i < n_held ? &t->held[i] : &t->train[i - n_held]) = row_of(s, t->order[i]);
    } else {
        size_t count[2] = {0, 0}, to_train[2], to_held[2], *const class = t->order;
        for (size_t i = 0; i < n; i++) count[s->y[row_of(s, i)]]++;
        approximate_mode(&t->rng, count, n_train, to_train);
        const size_t left[2] = {count[0] - to_train[0], count[1] - to_train[1]};
        approximate_mode(&t->rng, left, n_held, to_held);
        size_t at = 0, trained = 0, held = 0;
        for (uint32_t c = 0; c < 2; c++) {
            at = 0;
            for (size_t i = 0; i < n; i++)
                if (s->y[row_of(s, i)] == c) class[at++] = row_of(s, i);
            twi_rng_permutation(&t->rng, t->draw, count[c]);
            for (size_t i = 0; i < to_train[c]; i++) t->train[trained++] = class[t->draw[i]];
            for (size_t i = 0; i < to_held[c]; i++)
                t->held[held++] = class[t->draw[to_train[c] + i]];
        }
        permute(&t->rng, t->train, trained, t->draw);
        permute(&t->rng, t->held, held, t->draw);
    }
    t->n_train = n_train;
    t->n_held = n_held;
    return TW_OK;
}

static void load_rows(training *t, const size_t *rows, size_t n)
{
    const size_t d = t->samples->d;
    for (size_t r = 0; r < n; r++) {
        memcpy(t->batch.a[0] + r * d, t->samples->x + rows[r] * d, d * sizeof(float));
        t->y[r] = t->samples->y[rows[r]];
    }
}

static tw_status epoch(tw_ctx *ctx, training *t)
{
    double sum = 0.0;
    /* sklearn.utils.shuffle: the order so far, in an order freshly drawn */
    twi_rng_permutation(&t->rng, t->draw, t->n_train);
    for (size_t i = 0; i < t->n_train; i++) t->draw[i] = t->order[t->draw[i]];
    memcpy(t->order, t->draw, t->n_train * sizeof *t->order);
    for (size_t from = 0; from < t->n_train; from += t->batch_rows) {
        const size_t left = t->n_train - from, n = left < t->batch_rows ? left : t->batch_rows;
        double loss;
        for (size_t r = 0; r < n; r++) t->draw[r] = t->train[t->order[from + r]];
        load_rows(t, t->draw, n);
        tw_status st = twi_progress(ctx, "fit", t->epochs, t->opts->max_iter, 0);
        if (st == TW_OK) st = twi_net_forward(ctx, &t->net, &t->batch, n);
        if (st == TW_OK)
            st = twi_net_backward(ctx, &t->net, &t->batch, t->y, n, (float)t->opts->alpha, &loss);
        if (st == TW_OK) st = twi_net_step(ctx, &t->net, t->opts->learning_rate, ++t->steps);
        if (st != TW_OK) return st;
        sum += loss * (double)n;
    }
    t->loss = sum / (double)t->n_train;
    t->epochs++;
    if (isfinite(t->loss)) return TW_OK;
    const tw_status st = twi_finite(ctx, t->samples);
    return st != TW_OK ? st
                       : twi_fail(ctx, TW_ERR_DIVERGED,
                                  "the loss of epoch %zu is not finite; a smaller learning rate "
                                  "may help",
                                  t->epochs);
}

static void label_rows(const twi_net *net, const twi_net_batch *b, size_t n, uint32_t *label)
{
    const size_t out = net->layer[net->layers - 1].out, stride = b->stride[net->layers];
    for (size_t r = 0; r < n; r++) {
        const float *u = b->a[net->layers] + r * stride;
        label[r] = 0;
        if (out == 1) label[r] = u[0] > 0.0f;
        for (uint32_t c = 1; c < out; c++)
            if (u[c] > u[label[r]]) label[r] = c;
    }
}

static void copy_weights(const twi_net *from, twi_net *to)
{
    for (size_t i = 0; i < from->layers; i++) {
        const twi_layer *a = &from->layer[i], *b = &to->layer[i];
        memcpy(b->weights, a->weights, a->cells * sizeof(float));
        memcpy(b->bias, a->bias, a->panels * TWI_GRAM_COLUMNS * sizeof(float));
    }
}

/* Accuracy on the rows held back. */
static tw_status score_held(tw_ctx *ctx, training *t, double *score)
{
    size_t correct = 0;
    uint32_t *label;
    tw_status st = twi_alloc(ctx, t->batch_rows, &label);
    for (size_t from = 0; from < t->n_held && st == TW_OK; from += t->batch_rows) {
        const size_t left = t->n_held - from, n = left < t->batch_rows ? left : t->batch_rows;
        load_rows(t, t->held + from, n);
        st = twi_net_forward(ctx, &t->net, &t->batch, n);
        if (st != TW_OK) break;
        label_rows(&t->net, &t->batch, n, label);
        for (size_t r = 0; r < n; r++) correct += label[r] == t->y[r];
    }
    twi_free(label);
    *score = (double)correct / (double)t->n_held;
    return st;
}

/* True: no more gain. */
static tw_status judge(tw_ctx *ctx, training *t, bool *stop)
{
    if (t->opts->early_stopping) {
        double score;
        const tw_status st = score_held(ctx, t, &score);
        if (st != TW_OK) return st;
        t->idle = score < t->best_score + t->opts->tol ? t->idle + 1 : 0;
        if (score > t->best_score) {
            t->best_score = score;
            copy_weights(&t->net, &t->best);
        }
    } else {
        t->idle = t->loss > t->best_loss - t->opts->tol ? t->idle + 1 : 0;
        t->best_loss = fmin(t->best_loss, t->loss);
    }
    *stop = t->idle > t->opts->n_iter_no_change;
    return TW_OK;
}

static tw_status prepare(tw_ctx *ctx, training *t)
{
    const twi_samples *s = t->samples;
    const tw_head_opts *o = t->opts;
    size_t width[TWI_LAYERS_MAX + 1] = {s->d};
    const size_t layers = o->n_hidden + 1;
    tw_status st;
    for (size_t i = 0; i < o->n_hidden; i++) width[i + 1] = o->hidden[i];
    width[layers] = s->k == 2 ? 1 : s->k;
    if ((st = twi_alloc(ctx, s->n, &t->train)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, s->n, &t->held)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, s->n, &t->order)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, s->n, &t->draw)) != TW_OK) return st;
    if ((st = twi_net_new(ctx, width, layers, true, &t->net)) != TW_OK) return st;
    twi_rng_seed(&t->rng, o->seed);
    twi_net_draw(&t->net, &t->rng);
    t->n_train = s->n;
    for (size_t i = 0; i < s->n; i++) t->train[i] = row_of(s, i);
    if (o->early_stopping) {
        if ((st = hold_back(ctx, t)) != TW_OK) return st;
        if ((st = twi_net_new(ctx, width, layers, false, &t->best)) != TW_OK) return st;
    }
    for (size_t i = 0; i < t->n_train; i++) t->order[i] = i;
    t->batch_rows = o->batch_size ? o->batch_size : 200;
    if (t->batch_rows > t->n_train) t->batch_rows = t->n_train;
    t->best_loss = INFINITY;
    t->best_score = -INFINITY;
    if ((st = twi_alloc(ctx, t->batch_rows, &t->y)) != TW_OK) return st;
    return twi_net_batch_new(ctx, &t->net, t->batch_rows, &t->batch);
}

static void training_free(training *t)
{
    twi_free(t->train);
    twi_free(t->held);
    twi_free(t->order);
    twi_free(t->draw);
    twi_free(t->y);
    twi_net_free(&t->net);
    twi_net_free(&t->best);
    twi_net_batch_free(&t->batch);
}

static tw_status check(tw_ctx *ctx, const twi_samples *s)
{
    if (s->n == 0 || s->d == 0 || s->k < 2)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu training samples of %zu features in %zu classes; need at least 1, 1 "
                        "and 2",
                        s->n, s->d, s->k);
    for (size_t i = 0; i < s->n; i++)
        if (s->y[row_of(s, i)] >= s->k)
            return twi_fail(ctx, TW_ERR_DATA, "sample %zu has label %u; there are %zu classes", i,
                            (unsigned)s->y[row_of(s, i)], s->k);
    return TW_OK;
}

static twi_head base_of(size_t k, size_t d)
{
    return (twi_head){
        .type = &twi_head_mlp, .k = k, .d = d, .width = k == 2 ? 1 : k, .converged = true};
}

/* Hands over the weights without what only training needs. */
static tw_status hand_over(tw_ctx *ctx, training *t, bool stopped, twi_head **out)
{
    size_t width[TWI_LAYERS_MAX + 1];
    mlp_head *head;
    const twi_net *source = t->opts->early_stopping ? &t->best : &t->net;
    for (size_t i = 0; i < source->layers; i++) width[i] = source->layer[i].in;
    width[source->layers] = source->layer[source->layers - 1].out;
    tw_status st = twi_zalloc(ctx, 1, &head);
    if (st != TW_OK) return st;
    head->base = base_of(t->samples->k, t->samples->d);
    head->base.iterations = t->epochs;
    head->base.converged = stopped;
    head->loss = t->loss;
    st = twi_net_new(ctx, width, source->layers, false, &head->net);
    if (st != TW_OK) {
        head_free(&head->base);
        return st;
    }
    copy_weights(source, &head->net);
    if (!stopped)
        twi_log(ctx, TW_LOG_WARNING,
                "Stochastic Optimizer: Maximum iterations (%zu) reached and the optimization "
                "hasn't converged yet.",
                t->opts->max_iter);
    *out = &head->base;
    return TW_OK;
}

static tw_status fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                     const tw_head_opts *opts, twi_head **out)
{
    training t = {.samples = samples, .opts = opts};
    bool stop = false;
    (void)scaler;
    tw_status st = check(ctx, samples);
    if (st != TW_OK) return st;
    if ((st = prepare(ctx, &t)) != TW_OK) goto done;
    while (t.epochs < opts->max_iter && !stop) {
        if ((st = epoch(ctx, &t)) != TW_OK) goto done;
        if ((st = judge(ctx, &t, &stop)) != TW_OK) goto done;
    }
    st = hand_over(ctx, &t, stop, out);
done:
    training_free(&t);
    return st;
}

/* ---- deciding ------------------------------------------------------------------------------ */

static tw_status decide(tw_ctx *ctx, const twi_head *head, const twi_scaler *scaler, const float *x,
                        size_t n, double *decision)
{
    const twi_net *net = &((const mlp_head *)head)->net;
    const size_t rows = n < ROWS_AT_ONCE ? n : ROWS_AT_ONCE, stride_at = net->layers;
    twi_net_batch batch;
    (void)scaler;
    if (n == 0) return TW_OK;
    tw_status st = twi_net_batch_new(ctx, net, rows, &batch);
    if (st != TW_OK) return st;
    for (size_t from = 0; from < n && st == TW_OK; from += rows) {
        const size_t count = n - from < rows ? n - from : rows;
        memcpy(batch.a[0], x + from * head->d, count * head->d * sizeof *x);
        st = twi_net_forward(ctx, net, &batch, count);
        for (size_t r = 0; r < count && st == TW_OK; r++)
            for (size_t c = 0; c < head->width; c++)
                decision[(from + r) * head->width + c] =
                    (double)batch.a[stride_at][r * batch.stride[stride_at] + c];
    }
    twi_net_batch_free(&batch);
    return st;
}

static void probability(const twi_head *head, const double *decision, size_t n, double *prob)
{
    const twi_logreg shape = {.k = head->k, .rows = head->width};
    twi_logreg_probabilities(&shape, decision, n, prob);
}

/* ---- saving, loading ----------------------------------------------------------------------- */

static tw_status save(tw_ctx *ctx, const twi_head *head, twi_tensors *tensors, twi_json *json)
{
    const mlp_head *h = (const mlp_head *)head;
    twi_json *widths = twi_json_array();
    tw_status st = TW_OK;
    bool ok = true;
    for (size_t n = 0; n < h->net.layers && st == TW_OK; n++) {
        const twi_layer *l = &h->net.layer[n];
        char name[32];
        float *plain;
        ok &= twi_json_append(widths, twi_json_integer((int64_t)l->out));
        if ((st = twi_alloc(ctx, l->in * l->out, &plain)) != TW_OK) break;
        for (size_t i = 0; i < l->in; i++)
            for (size_t o = 0; o < l->out; o++)
                plain[i * l->out + o] = l->weights[twi_net_place(l, i, o)];
        snprintf(name, sizeof name, "head.weights_%zu", n);
        st = twi_head_put_floats(ctx, tensors, name, l->in, l->out, plain);
        snprintf(name, sizeof name, "head.biases_%zu", n);
        if (st == TW_OK) st = twi_head_put_floats(ctx, tensors, name, 0, l->out, l->bias);
        twi_free(plain);
    }
    ok &= twi_json_set(json, "layers", widths);
    ok &= twi_json_set(json, "loss", twi_json_number(h->loss));
    if (st == TW_OK && !ok)
        st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for the head's description");
    return st;
}

static tw_status load_layer(tw_ctx *ctx, const char *file, const twi_tensors *tensors, size_t n,
                            twi_layer *l)
{
    char name[32];
    float *plain = NULL, *bias = NULL;
    snprintf(name, sizeof name, "head.weights_%zu", n);
    tw_status st = twi_head_take_floats(ctx, file, tensors, name, l->in, l->out, &plain);
    snprintf(name, sizeof name, "head.biases_%zu", n);
    if (st == TW_OK) st = twi_head_take_floats(ctx, file, tensors, name, 0, l->out, &bias);
    for (size_t i = 0; st == TW_OK && i < l->in; i++)
        for (size_t o = 0; o < l->out; o++)
            l->weights[twi_net_place(l, i, o)] = plain[i * l->out + o];
    if (st == TW_OK) memcpy(l->bias, bias, l->out * sizeof *bias);
    twi_free(plain);
    twi_free(bias);
    return st;
}

/* The widths that the file names, each backed by a tensor before memory is taken for it. */
static tw_status load_widths(tw_ctx *ctx, const char *file, const twi_tensors *tensors,
                             const twi_json *json, const twi_head *base, size_t *width,
                             size_t *layers)
{
    const twi_json *list = twi_json_get(json, "layers");
    *layers = twi_json_length(list);
    if (*layers < 1 || *layers > TWI_LAYERS_MAX)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: the head has %zu layers; allowed are 1 to %d",
                        file, *layers, TWI_LAYERS_MAX);
    width[0] = base->d;
    for (size_t i = 0; i < *layers; i++) {
        char name[32];
        const int64_t units = twi_json_as_integer(twi_json_at(list, i), 0);
        snprintf(name, sizeof name, "head.weights_%zu", i);
        const twi_tensor *t = twi_tensors_find(tensors, name);
        if (units < 1 || !t || t->rank != 2 || t->dims[0] != width[i] ||
            t->dims[1] != (uint64_t)units)
            return twi_fail(ctx, TW_ERR_FORMAT, "%s: layer %zu of the head has no weights", file,
                            i);
        width[i + 1] = (size_t)units;
    }
    if (width[*layers] != base->width)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: the head answers %zu values; need %zu", file,
                        width[*layers], base->width);
    return TW_OK;
}

static tw_status load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                      const twi_json *json, const twi_head *base, twi_head **out)
{
    size_t width[TWI_LAYERS_MAX + 1], layers;
    twi_head whole = base_of(base->k, base->d);
    mlp_head *head;
    whole.iterations = base->iterations;
    whole.converged = base->converged;
    tw_status st = load_widths(ctx, name, tensors, json, &whole, width, &layers);
    if (st != TW_OK || (st = twi_zalloc(ctx, 1, &head)) != TW_OK) return st;
    head->base = whole;
    head->loss = twi_json_as_number(twi_json_get(json, "loss"), (double)NAN);
    st = twi_net_new(ctx, width, layers, false, &head->net);
    for (size_t i = 0; i < layers && st == TW_OK; i++)
        st = load_layer(ctx, name, tensors, i, &head->net.layer[i]);
    if (st == TW_OK)
        *out = &head->base;
    else
        head_free(&head->base);
    return st;
}

const twi_head_type twi_head_mlp = {
    .name = "mlp",
    .summary = "multi-layer perceptron",
    .takes = TWI_TAKES_ALPHA | TWI_TAKES_LAYERS | TWI_TAKES_LIMITS,
    .max_iter = 200,
    .tol = 1e-4,
    .alpha = 1e-4,
    .fit = fit,
    .decide = decide,
    .probability = probability,
    .save = save,
    .load = load,
    .free = head_free,
};
