/* curve.c - learning curves. */
#include "learn/curve.h"

#include "base/rng.h"
#include "base/threads.h"

#include <math.h>
#include <string.h>

typedef struct curve {
    const twi_curve_problem *p;
    const size_t *sizes;
    size_t from; /* first task of this batch */
    double *accuracy;
} curve;

/* The first size rows of each class in the order of this draw. */
static tw_status pick(tw_ctx *ctx, const twi_curve_problem *p, size_t size, size_t draw,
                      size_t **out, size_t *n)
{
    const twi_samples *s = &p->train;
    size_t *members = NULL, *order = NULL;
    twi_rng rng;
    tw_status st = twi_alloc(ctx, s->n, out);
    if (st == TW_OK) st = twi_alloc(ctx, s->n, &members);
    if (st == TW_OK) st = twi_alloc(ctx, s->n, &order);
    *n = 0;
    twi_rng_seed(&rng, p->seed + (uint32_t)draw);
    for (uint32_t c = 0; c < s->k && st == TW_OK; c++) {
        size_t count = 0;
        for (size_t i = 0; i < s->n; i++) {
            const size_t row = s->rows ? s->rows[i] : i;
            if (s->y[row] == c) members[count++] = row;
        }
        twi_rng_permutation(&rng, order, count);
        for (size_t i = 0; i < count && i < size; i++) (*out)[(*n)++] = members[order[i]];
    }
    twi_free(members);
    twi_free(order);
    return st;
}

static tw_status run_one(tw_ctx *ctx, void *user, size_t task)
{
    const curve *c = user;
    const twi_curve_problem *p = c->p;
    const size_t at = c->from + task;
    twi_samples train = p->train;
    tw_head_opts opts = p->opts;
    twi_classifier classifier = {0};
    size_t *rows = NULL, n, correct = 0;
    uint32_t *label = NULL;
    tw_status st = pick(ctx, p, c->sizes[at / p->draws], at % p->draws, &rows, &n);
    if (st != TW_OK) goto done;
    train.rows = rows;
    train.n = n;
    opts.calibrate = "none";
    if (opts.neighbors > n) opts.neighbors = n;
    if (opts.pca > n) opts.pca = n;
    if ((st = twi_classifier_fit(ctx, &train, &opts, NULL, &classifier)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, p->n_test, &label)) != TW_OK) goto done;
    st = twi_classifier_answer(ctx, &classifier, p->test_x, p->n_test,
                               &(twi_answers){.label = label});
    for (size_t i = 0; i < p->n_test && st == TW_OK; i++) correct += label[i] == p->test_y[i];
    c->accuracy[at] = (double)correct / (double)p->n_test;
done:
    twi_classifier_free(&classifier);
    twi_free(label);
    twi_free(rows);
    return st;
}

tw_status twi_curve_run(tw_ctx *ctx, const twi_curve_problem *problem, const size_t *sizes,
                        size_t n_sizes, double *accuracy)
{
    const size_t threads = twi_threads(ctx), total = n_sizes * problem->draws;
    curve c = {problem, sizes, 0, accuracy};
    tw_status st = TW_OK;
    for (c.from = 0; c.from < total && st == TW_OK; c.from += threads) {
        const size_t n = total - c.from < threads ? total - c.from : threads;
        st = twi_progress(ctx, "curve", c.from, total, 0);
        if (st != TW_OK) return st;
        tw_ctx_set_threads(ctx, 1); /* one fit a thread */
        st = twi_parallel(ctx, threads, n, run_one, &c);
        tw_ctx_set_threads(ctx, threads);
    }
    return st;
}

double twi_curve_outlook(const size_t *sizes, const double *mean, size_t n, double *last)
{
    *last = 0.0;
    if (n < 2) return 0.0;
    const double doublings = log2((double)sizes[n - 1] / (double)sizes[n - 2]);
    *last = (mean[n - 1] - mean[n - 2]) / doublings;
    if (n < 3 || *last <= 0.0) return fmax(0.0, *last);
    const double before =
        (mean[n - 2] - mean[n - 3]) / log2((double)sizes[n - 2] / (double)sizes[n - 3]);
    const double shrink = before > 0.0 ? fmin(1.0, fmax(0.25, *last / before)) : 1.0;
    return *last * shrink;
}
