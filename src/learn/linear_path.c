/* linear_path.c - one training part, one tested part, many values of C: the decisions of each.
 *
 * Each C starts from the optimum of the one before. Few rows, many features: one Gram matrix of all
 * rows, under the scaler of the training part, serves every value of C and scores the tested rows
 * as well. */
#include "learn/linear_path.h"

#include "learn/direct.h"
#include "learn/primal.h"
#include "learn/span.h"
#include "learn/sparse.h"
#include "learn/training.h"

#include <math.h>
#include <string.h>

#define GAP        1e-5 /* labels, not coefficients, are what is wanted here */
#define SPARSE_GAP 1e-3

typedef struct walk {
    const twi_samples *train, *tested;
    const twi_logreg_opts *opts;
    const double *grid; /* [n_grid] ascending */
    size_t n_grid;
    size_t *rows; /* [train->n + tested->n] of x */
    twi_training training;
    twi_linear_take take;
    void *user;
} walk;

static size_t row_of(const twi_samples *samples, size_t i)
{
    return samples->rows ? samples->rows[i] : i;
}

static twi_rows rows_of(const walk *w, const size_t *index, size_t n)
{
    const size_t d = w->train->d;
    const float *shift = w->training.shift;
    twi_rows rows = {.x = w->train->x, .index = index, .n = n, .d = d, .stride = d};
    if (shift) rows.shift = (twi_shift){.mean = shift, .inverse = shift + d};
    return rows;
}

static tw_status hand_out(tw_ctx *ctx, const walk *w, twi_pass *test, const double *weights,
                          const double *bias, size_t at, bool limited)
{
    const tw_status st = twi_pass_scores(ctx, test, weights, bias);
    return st == TW_OK ? w->take(ctx, w->user, at, test->scores, limited) : st;
}

/* Every C in the span of the training rows. */
static tw_status in_span(tw_ctx *ctx, walk *w)
{
    const twi_targets *targets = &w->training.targets;
    const size_t width = targets->width, n = w->train->n;
    twi_gram gram = {0};
    twi_span span = {0};
    twi_pass test = {0};
    double *x = NULL, *flat = NULL;
    tw_status st;
    const twi_rows all = rows_of(w, w->rows, n + w->tested->n);
    if ((st = twi_gram_new(ctx, &all, &gram)) != TW_OK) goto done;
    if (twi_intercept_penalised(targets)) twi_gram_add_one(&gram);
    if ((st = twi_span_new(ctx, &gram, targets, w->grid[0], &span)) != TW_OK) goto done;
    const twi_rows tested = {
        .x = gram.k + n * gram.stride, .n = w->tested->n, .d = n, .stride = gram.stride};
    if ((st = twi_pass_new(ctx, &tested, width, &test)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, 4 * span.cells, &x)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, span.cells, &flat)) != TW_OK) goto done;
    span.goal = GAP;
    for (size_t at = 0; at < w->n_grid && st == TW_OK; at++) {
        twi_search search = {.max_iter = w->opts->max_iter};
        span.C = w->grid[at];
        if ((st = twi_span_solve(ctx, &span, &search, x, x + 2 * span.cells)) != TW_OK) goto done;
        for (size_t i = 0; i < n; i++)
            for (size_t c = 0; c < width; c++) flat[c * n + i] = x[i * width + c];
        st = hand_out(ctx, w, &test, flat, span.bias, at, search.end == TWI_END_LIMIT);
    }
done:
    twi_free(flat);
    twi_free(x);
    twi_pass_free(&test);
    twi_span_free(&span);
    twi_gram_free(&gram);
    return st;
}

/* Every C of a squared loss, each at once; *solved false: some matrix is not definite, and nothing
 * was handed out. */
static tw_status directly(tw_ctx *ctx, walk *w, bool *solved)
{
    const size_t d = w->train->d, width = w->training.targets.width;
    twi_direct direct = {0};
    twi_pass test = {0};
    double *x = NULL;
    const twi_rows tested = rows_of(w, w->rows + w->train->n, w->tested->n);
    tw_status st = twi_pass_new(ctx, &tested, width, &test);
    if (st == TW_OK) st = twi_alloc(ctx, width * (d + 1), &x); /* twi_pass_new checked width * d */
    if (st == TW_OK) st = twi_direct_new(ctx, &w->training, &direct);
    /* The weakest penalty is the first to fail. */
    double *bias = x ? x + width * d : NULL;
    if (st == TW_OK) st = twi_direct_solve(ctx, &direct, w->grid[w->n_grid - 1], x, bias, solved);
    for (size_t at = 0; at < w->n_grid && st == TW_OK && *solved; at++) {
        st = twi_direct_solve(ctx, &direct, w->grid[at], x, bias, solved);
        if (st == TW_OK && *solved) st = hand_out(ctx, w, &test, x, bias, at, false);
    }
    twi_direct_free(&direct);
    twi_free(x);
    twi_pass_free(&test);
    return st;
}

/* Every C with an L1 part, whose certificate is far behind what is reached: labels ask for less. */
static tw_status over_features(tw_ctx *ctx, walk *w)
{
    twi_sparse sparse = {0};
    twi_pass test = {0};
    const twi_rows tested = rows_of(w, w->rows + w->train->n, w->tested->n);
    tw_status st = twi_sparse_new(ctx, &w->training, w->opts->l1_ratio, &sparse);
    if (st == TW_OK) st = twi_pass_new(ctx, &tested, w->training.targets.width, &test);
    for (size_t at = 0; at < w->n_grid && st == TW_OK; at++) {
        twi_end end;
        st = twi_sparse_solve(ctx, &sparse, w->grid[at], SPARSE_GAP, w->opts->max_iter, &end);
        if (st == TW_OK)
            st = hand_out(ctx, w, &test, sparse.w, sparse.bias, at, end == TWI_END_LIMIT);
    }
    twi_pass_free(&test);
    twi_sparse_free(&sparse);
    return st;
}

/* Every C over the weights. */
static tw_status over_weights(tw_ctx *ctx, walk *w)
{
    const twi_targets *targets = &w->training.targets;
    twi_primal primal = {0};
    twi_pass test = {0};
    double *x = NULL;
    tw_status st;
    const twi_rows tested = rows_of(w, w->rows + w->train->n, w->tested->n);
    st = twi_primal_new(ctx, &w->training.rows, targets, w->grid[0], &primal);
    if (st != TW_OK) goto done;
    if ((st = twi_pass_new(ctx, &tested, targets->width, &test)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, 2 * primal.length, &x)) != TW_OK) goto done;
    primal.goal = GAP;
    for (size_t at = 0; at < w->n_grid && st == TW_OK; at++) {
        twi_search search = {.max_iter = w->opts->max_iter};
        primal.C = w->grid[at];
        st = twi_primal_solve(ctx, &primal, &search, x, x + primal.length);
        if (st != TW_OK) goto done;
        st = hand_out(ctx, w, &test, x, primal.bias, at, search.end == TWI_END_LIMIT);
    }
done:
    twi_free(x);
    twi_pass_free(&test);
    twi_primal_free(&primal);
    return st;
}

tw_status twi_linear_path(tw_ctx *ctx, const twi_linear_parts *parts, const twi_logreg_opts *opts,
                          const double *grid, size_t n_grid, twi_linear_take take, void *user)
{
    walk w = {.train = parts->train,
              .tested = parts->tested,
              .opts = opts,
              .grid = grid,
              .n_grid = n_grid,
              .take = take,
              .user = user};
    const size_t n = w.train->n;
    tw_status st = twi_alloc(ctx, n + w.tested->n, &w.rows);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) w.rows[i] = row_of(w.train, i);
    for (size_t i = 0; i < w.tested->n; i++) w.rows[n + i] = row_of(w.tested, i);
    st = twi_training_new(ctx, w.train, parts->scaler, opts->balanced, opts->loss, &w.training);
    bool solved = false;
    if (st == TW_OK && twi_direct_pays(&w.training)) st = directly(ctx, &w, &solved);
    if (st == TW_OK && !solved)
        st = opts->l1_ratio > 0.0                 ? over_features(ctx, &w)
             : twi_gram_pays(&w.training, n_grid) ? in_span(ctx, &w)
                                                  : over_weights(ctx, &w);
    twi_training_free(&w.training);
    twi_free(w.rows);
    return st;
}
