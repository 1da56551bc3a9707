/* choose_c.c - the C whose heads do best on parts of the data they have not seen. */
#include "learn/linear_path.h"
#include "learn/rows.h"
#include "base/threads.h"

#include <math.h>
#include <string.h>

typedef struct choosing {
    const twi_samples *samples;
    const uint32_t *fold_of;
    size_t folds;
    const double *grid;
    size_t n_grid;
    const twi_logreg_opts *opts;
    double *accuracy; /* [folds, n_grid] */
    bool *limited;    /* [folds] max_iter ran out at least once */
} choosing;

/* One fold. The classes its training rows lack are left out; test rows of such a class count as
 * wrong. */
typedef struct fold {
    const choosing *choice;
    size_t number, n_train, n_test;
    size_t *rows;      /* [n] row of x: training rows, then tested rows */
    uint32_t *compact; /* [max row + 1] as y, with the classes present numbered densely */
    size_t k;          /* classes present */
    twi_scaler scaler;
} fold;

static size_t row_of(const twi_samples *samples, size_t i)
{
    return samples->rows ? samples->rows[i] : i;
}

static tw_status split(tw_ctx *ctx, fold *f)
{
    const choosing *s = f->choice;
    const twi_samples *samples = s->samples;
    tw_status st = twi_alloc(ctx, samples->n, &f->rows);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < samples->n; i++)
        if (s->fold_of[i] != f->number) f->rows[f->n_train++] = row_of(samples, i);
    for (size_t i = 0; i < samples->n; i++)
        if (s->fold_of[i] == f->number) f->rows[f->n_train + f->n_test++] = row_of(samples, i);
    if (f->n_train > 0 && f->n_test > 0) return TW_OK;
    return twi_fail(ctx, TW_ERR_DATA,
                    "fold %zu of %zu has %zu samples to train on and %zu to test on", f->number,
                    s->folds, f->n_train, f->n_test);
}

/* compact[row] for training rows: dense numbers of the classes present; for tested rows too, or k
 * when absent. */
static tw_status relabel(tw_ctx *ctx, fold *f)
{
    const twi_samples *samples = f->choice->samples;
    const size_t n = f->n_train + f->n_test;
    size_t last = 0;
    uint32_t *number;
    for (size_t i = 0; i < n; i++) last = f->rows[i] > last ? f->rows[i] : last;
    tw_status st = twi_alloc(ctx, last + 1, &f->compact);
    if (st != TW_OK) return st;
    if ((st = twi_alloc(ctx, samples->k, &number)) != TW_OK) return st;
    memset(number, 0xff, samples->k * sizeof *number);
    for (size_t i = 0; i < n && st == TW_OK; i++)
        if (samples->y[f->rows[i]] >= samples->k)
            st = twi_fail(ctx, TW_ERR_DATA, "a sample has label %u; there are %zu classes",
                          (unsigned)samples->y[f->rows[i]], samples->k);
    for (size_t i = 0; i < f->n_train && st == TW_OK; i++) number[samples->y[f->rows[i]]] = 0;
    for (size_t c = 0; c < samples->k && st == TW_OK; c++)
        if (number[c] == 0) number[c] = (uint32_t)f->k++;
    for (size_t i = 0; i < n && st == TW_OK; i++)
        f->compact[f->rows[i]] = number[samples->y[f->rows[i]]];
    twi_free(number);
    if (st == TW_OK && f->k < 2)
        st = twi_fail(ctx, TW_ERR_DATA,
                      "the training part of fold %zu has one class only; need at least 2",
                      f->number);
    return st;
}

static tw_status measure(tw_ctx *ctx, void *user, size_t at, const double *decision, bool limited)
{
    const fold *f = user;
    const choosing *s = f->choice;
    const size_t width = f->k == 2 ? 1 : f->k;
    size_t correct = 0;
    (void)ctx;
    for (size_t i = 0; i < f->n_test; i++) {
        const double *u = decision + i * width;
        size_t best = 0;
        for (size_t c = 1; c < width; c++)
            if (u[c] > u[best]) best = c;
        if (width == 1) best = u[0] > 0.0;
        correct += f->compact[f->rows[f->n_train + i]] == best;
    }
    s->accuracy[f->number * s->n_grid + at] = (double)correct / (double)f->n_test;
    s->limited[f->number] = s->limited[f->number] || limited;
    return TW_OK;
}

static tw_status run_fold(tw_ctx *ctx, void *user, size_t number)
{
    const choosing *s = user;
    fold f = {.choice = s, .number = number};
    tw_status st;
    if ((st = split(ctx, &f)) != TW_OK) goto done;
    if ((st = relabel(ctx, &f)) != TW_OK) goto done;
    const twi_samples part = {.x = s->samples->x,
                              .y = f.compact,
                              .rows = f.rows,
                              .n = f.n_train,
                              .d = s->samples->d,
                              .k = f.k};
    twi_samples tested = part;
    tested.rows = f.rows + f.n_train;
    tested.n = f.n_test;
    if ((st = twi_scaler_fit(ctx, &part, &f.scaler)) != TW_OK) goto done;
    const twi_linear_parts parts = {&part, &tested, &f.scaler};
    st = twi_linear_path(ctx, &parts, s->opts, s->grid, s->n_grid, measure, &f);
done:
    twi_scaler_free(&f.scaler);
    twi_free(f.compact);
    twi_free(f.rows);
    return st;
}

/* Small folds run beside each other, large ones one after the other with all threads each: one
 * matrix at a time. */
static tw_status run_folds(tw_ctx *ctx, choosing *s)
{
    size_t work;
    if (!twi_mul(s->samples->n, s->samples->d, &work) && work < TWI_WORTH_A_THREAD)
        return twi_parallel(ctx, 0, s->folds, run_fold, s);
    for (size_t number = 0; number < s->folds; number++) {
        tw_status st = twi_progress(ctx, "choose C", number, s->folds, 0);
        if (st == TW_OK) st = run_fold(ctx, s, number);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

static tw_status check(tw_ctx *ctx, const choosing *s)
{
    if (s->folds < 2)
        return twi_fail(ctx, TW_ERR_ARG, "cross-validation needs at least 2 folds, not %zu",
                        s->folds);
    if (s->n_grid == 0) return twi_fail(ctx, TW_ERR_ARG, "no value of C to choose from");
    for (size_t at = 0; at < s->n_grid; at++)
        if (!(s->grid[at] > 0.0) || !isfinite(s->grid[at]))
            return twi_fail(ctx, TW_ERR_ARG, "C must be a finite number above 0");
    for (size_t i = 0; i < s->samples->n; i++)
        if (s->fold_of[i] >= s->folds)
            return twi_fail(ctx, TW_ERR_ARG, "sample %zu is in fold %u of %zu", i,
                            (unsigned)s->fold_of[i], s->folds);
    return TW_OK;
}

/* Mean over the folds, each fold counting the same, and the first of the best: GridSearchCV. */
static double pick(const choosing *s, double *mean_accuracy)
{
    size_t best = 0;
    double highest = -1.0;
    for (size_t at = 0; at < s->n_grid; at++) {
        double sum = 0.0;
        for (size_t number = 0; number < s->folds; number++)
            sum += s->accuracy[number * s->n_grid + at];
        const double mean = sum / (double)s->folds;
        if (mean_accuracy) mean_accuracy[at] = mean;
        if (mean > highest) {
            highest = mean;
            best = at;
        }
    }
    return s->grid[best];
}

static void warn(tw_ctx *ctx, const choosing *s)
{
    size_t limited = 0;
    for (size_t number = 0; number < s->folds; number++) limited += s->limited[number];
    if (limited > 0)
        twi_log(ctx, TW_LOG_WARNING,
                "choosing C: lbfgs reached the limit of %zu iterations in %zu of %zu folds; their "
                "accuracies are "
                "those of heads not fully fitted.",
                s->opts->max_iter, limited, s->folds);
}

tw_status twi_logreg_choose_c(tw_ctx *ctx, const twi_samples *samples, const uint32_t *fold_of,
                              size_t folds, const double *grid, size_t n_grid,
                              const twi_logreg_opts *opts, double *C, double *mean_accuracy)
{
    choosing s = {.samples = samples,
                  .fold_of = fold_of,
                  .folds = folds,
                  .grid = grid,
                  .n_grid = n_grid,
                  .opts = opts};
    size_t cells;
    tw_status st = check(ctx, &s);
    if (st != TW_OK) return st;
    if (twi_mul(folds, n_grid, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu folds are too many", folds);
    if ((st = twi_zalloc(ctx, cells, &s.accuracy)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, folds, &s.limited)) != TW_OK) goto done;
    if ((st = run_folds(ctx, &s)) != TW_OK) goto done;
    *C = pick(&s, mean_accuracy);
    warn(ctx, &s);
done:
    twi_free(s.accuracy);
    twi_free(s.limited);
    return st;
}
