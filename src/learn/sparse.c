/* sparse.c - which features to work on, and the proof that the minimum was reached. */
#include "learn/sparse.h"

#include "base/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SET_FIRST 64 /* features taken in at first; then as many as there are */
#define GAP       1e-6
#define VAIN      8 /* certificates without progress: rounding hides the rest of the way */

tw_status twi_sparse_new(tw_ctx *ctx, const twi_training *training, double l1_ratio,
                         twi_sparse *out)
{
    const size_t n = training->rows.n, d = training->rows.d, width = training->targets.width;
    twi_sparse s = {
        .training = training, .loops = twi_doubles_best(), .l1_ratio = l1_ratio, .loss = INFINITY};
    size_t rows;
    tw_status st;
    if (twi_mul(n, 5, &rows))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu rows do not fit in memory", n);
    if ((st = twi_pass_new(ctx, &training->rows, width, &s.pass)) != TW_OK) goto done;
    /* twi_pass_new checked width * d and n * width */
    if ((st = twi_zalloc(ctx, width * d, &s.w)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, width * d, &s.gradient)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, width, &s.bias)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, d, &s.inside)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, rows, &s.row)) != TW_OK) goto done;
    memset(s.pass.scores, 0, n * width * sizeof *s.pass.scores);
    *out = s, s = (twi_sparse){0};
done:
    twi_sparse_free(&s);
    return st;
}

void twi_sparse_free(twi_sparse *sparse)
{
    twi_pass_free(&sparse->pass);
    twi_free(sparse->w);
    twi_free(sparse->gradient);
    twi_free(sparse->bias);
    twi_free(sparse->inside);
    twi_free(sparse->set);
    twi_free(sparse->columns);
    twi_free(sparse->bend);
    twi_free(sparse->before);
    twi_free(sparse->row);
    *sparse = (twi_sparse){0};
}

/* ---- the certificate ----------------------------------------------------------------------- */

static double xlogx(double x)
{
    return x > 0.0 ? x * log(x) : 0.0;
}

/* Sum over the rows of the loss's conjugate at scale times the residuals: with p' = y + scale (p -
 * y), which is a distribution again, w sum_c p'_c log p'_c. */
static double conjugate(const twi_sparse *s, double scale)
{
    const twi_targets *t = &s->training->targets;
    double sum = 0.0;
    for (size_t i = 0; i < t->n; i++) {
        const size_t truth = t->y[t->rows ? t->rows[i] : i];
        const double weight = t->weight[truth];
        const double *r = s->pass.residual + i * t->width;
        double row = 0.0, miss = 0.0; /* miss: 1 - p' of the true class */
        for (size_t c = 0; c < t->width; c++) {
            const double p = scale * fabs(r[c]) / weight;
            if (t->width == 1 || c == truth) miss = fmin(p, 1.0);
            if (t->width == 1 || c != truth) row += xlogx(p);
        }
        if (miss < 1.0) row += (1.0 - miss) * log1p(-miss);
        sum += weight * row;
    }
    return sum;
}

/* The penalty's conjugate at scale times the gradient: sum (|g| - l1)_+^2 / (2 l2); with l2 = 0 the
 * scale keeps |g| <= l1. */
static double penalty_conjugate(const twi_sparse *s, double scale)
{
    const size_t cells = s->training->targets.width * s->training->rows.d;
    const double l1 = twi_sparse_l1(s), l2 = twi_sparse_l2(s);
    double sum = 0.0;
    if (l2 == 0.0) return 0.0;
    for (size_t i = 0; i < cells; i++) {
        const double over = scale * fabs(s->gradient[i]) - l1;
        if (over > 0.0) sum += over * over;
    }
    return sum / (2.0 * l2);
}

/* The gradient of the set's features again, in double: the largest of them are all but l1, and the
 * gap is only as small as they are exact. */
static void sharpen(const twi_sparse *s)
{
    const size_t n = s->training->rows.n, d = s->training->rows.d;
    const size_t width = s->training->targets.width;
    for (size_t c = 0; c < width; c++) {
        for (size_t i = 0; i < n; i++) s->row[i] = s->pass.residual[i * width + c];
        for (size_t at = 0; at < s->set_count; at++)
            s->gradient[c * d + s->set[at]] = s->loops->floats_dot(s->columns + at * n, s->row, n);
    }
}

/* A constant added to all scores of a softmax changes nothing: theirs is that of scikit-learn's
 * intercepts, which sum to nothing. */
static void move_bias(twi_sparse *s, double *by)
{
    const size_t n = s->training->rows.n, width = s->training->targets.width;
    double mean = 0.0;
    for (size_t c = 0; c < width && width > 1; c++) mean += (s->bias[c] + by[c]) / (double)width;
    for (size_t c = 0; c < width; c++) {
        by[c] -= mean;
        s->bias[c] += by[c];
    }
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < width; c++) s->pass.scores[i * width + c] += by[c];
}

/* By Fenchel's duality: residuals that sum to nothing (the intercept is free), scaled by at most 1,
 * are feasible for the dual, whose value is a lower bound of f. */
static tw_status certify(tw_ctx *ctx, twi_sparse *s)
{
    const twi_targets *t = &s->training->targets;
    const size_t d = s->training->rows.d, cells = t->width * d;
    const double l1 = twi_sparse_l1(s), l2 = twi_sparse_l2(s);
    double *better = s->row; /* [width] */
    double *owned = NULL, size = 0.0, square = 0.0, top = 0.0, all = 0.0;
    tw_status st = TW_OK;
    if (t->width > 5 * t->n && (st = twi_alloc(ctx, t->width, &owned)) != TW_OK) return st;
    if (owned) better = owned;
    memset(better, 0, t->width * sizeof *better);
    st = twi_intercept_solve(ctx, t, s->pass.scores, better, s->pass.residual, &s->loss);
    if (st != TW_OK) goto done;
    move_bias(s, better);
    if ((st = twi_pass_sums(ctx, &s->pass, s->gradient)) != TW_OK) goto done;
    sharpen(s);
    for (size_t i = 0; i < cells; i++) {
        size += fabs(s->w[i]);
        square += s->w[i] * s->w[i];
        top = fmax(top, fabs(s->gradient[i]));
        all += fabs(s->gradient[i]); /* fmax() would not see a NaN */
    }
    s->f = s->loss + l1 * size + 0.5 * l2 * square;
    if (!isfinite(s->f) || !isfinite(all)) {
        st = twi_fail(ctx, TW_ERR_DIVERGED, "the loss is not finite");
        goto done;
    }
    const double shrunk = top > l1 ? l1 / top : 1.0;
    double bound = -conjugate(s, shrunk) - penalty_conjugate(s, shrunk);
    if (l2 > 0.0) bound = fmax(bound, -conjugate(s, 1.0) - penalty_conjugate(s, 1.0));
    s->gap = s->f - bound;
done:
    twi_free(owned);
    return st;
}

/* ---- the working set ----------------------------------------------------------------------- */

typedef struct lacking {
    double by; /* |gradient| above l1 */
    size_t feature;
} lacking;

static int most_first(const void *a, const void *b)
{
    const lacking *x = a, *y = b;
    if (x->by != y->by) return x->by > y->by ? -1 : 1;
    return x->feature < y->feature ? -1 : x->feature > y->feature;
}

static tw_status find_lacking(tw_ctx *ctx, const twi_sparse *s, lacking **out, size_t *count)
{
    const size_t d = s->training->rows.d, width = s->training->targets.width;
    const double l1 = twi_sparse_l1(s);
    lacking *all;
    const tw_status st = twi_alloc(ctx, d, &all);
    if (st != TW_OK) return st;
    *count = 0;
    for (size_t j = 0; j < d; j++) {
        double by = 0.0;
        for (size_t c = 0; c < width && !s->inside[j]; c++)
            by = fmax(by, fabs(s->gradient[c * d + j]) - l1);
        if (by > 0.0) all[(*count)++] = (lacking){by, j};
    }
    qsort(all, *count, sizeof *all, most_first);
    *out = all;
    return TW_OK;
}

typedef struct gathering {
    twi_sparse *s;
    size_t from, rows; /* first new place in the set; rows a task */
} gathering;

static tw_status gather(tw_ctx *ctx, void *user, size_t task)
{
    (void)ctx;
    const gathering *g = user;
    const twi_sparse *s = g->s;
    const twi_rows *rows = &s->training->rows;
    const size_t first = task * g->rows;
    const size_t last = rows->n - first < g->rows ? rows->n : first + g->rows;
    const float *mean = rows->shift.mean, *inverse = rows->shift.inverse;
    for (size_t at = g->from; at < s->set_count; at++) {
        const size_t j = s->set[at];
        float *column = s->columns + at * rows->n;
        for (size_t i = first; i < last; i++) {
            const float x = ((const float *)twi_row(rows, i))[j];
            column[i] = mean ? (x - mean[j]) * inverse[j] : x;
        }
    }
    return TW_OK;
}

static tw_status make_room(tw_ctx *ctx, twi_sparse *s, size_t need)
{
    const size_t n = s->training->rows.n, d = s->training->rows.d;
    if (need <= s->set_capacity) return TW_OK;
    size_t capacity = 2 * s->set_capacity > need ? 2 * s->set_capacity : need, cells;
    if (capacity > d) capacity = d;
    float *columns = NULL;
    if (twi_mul(capacity, n, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu features of %zu rows do not fit in memory",
                        capacity, n);
    size_t sets = s->set_capacity, bends = sets, befores = sets;
    tw_status st = twi_alloc(ctx, cells, &columns);
    if (st == TW_OK) st = twi_grow(ctx, &s->set, &sets, capacity);
    if (st == TW_OK) st = twi_grow(ctx, &s->bend, &bends, capacity);
    if (st == TW_OK) st = twi_grow(ctx, &s->before, &befores, capacity);
    if (st != TW_OK) {
        twi_free(columns);
        return st;
    }
    if (s->set_count) memcpy(columns, s->columns, s->set_count * n * sizeof *columns);
    twi_free(s->columns);
    s->columns = columns;
    s->set_capacity = capacity;
    return TW_OK;
}

/* Takes in the features that are furthest from where 0 would suit them; *added: how many. */
static tw_status widen(tw_ctx *ctx, twi_sparse *s, size_t *added)
{
    const size_t n = s->training->rows.n, from = s->set_count;
    lacking *all;
    size_t room = from > SET_FIRST ? from : SET_FIRST;
    tw_status st = find_lacking(ctx, s, &all, added);
    if (st != TW_OK) return st;
    if (*added > room) *added = room;
    st = make_room(ctx, s, from + *added);
    if (st == TW_OK) {
        for (size_t i = 0; i < *added; i++) {
            s->set[s->set_count++] = all[i].feature;
            s->inside[all[i].feature] = true;
        }
        gathering g = {s, from, 64};
        const size_t threads = n * *added < TWI_WORTH_A_THREAD ? 1 : 0;
        st = twi_parallel(ctx, threads, (n + g.rows - 1) / g.rows, gather, &g);
    }
    twi_free(all);
    return st;
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* Rounds over the classes until one promised less than `least`. */
static tw_status work_on_set(tw_ctx *ctx, twi_sparse *s, double least, size_t max_iter)
{
    const size_t width = s->training->targets.width;
    twi_sparse_leap leap = {0};
    tw_status st = TW_OK;
    while (s->iterations < max_iter) {
        double round = 0.0, gained = 0.0;
        for (size_t c = 0; c < width; c++) {
            if ((st = twi_progress(ctx, "fit", s->iterations, max_iter, 0)) != TW_OK) goto done;
            round += twi_sparse_step(s, c);
        }
        s->iterations++;
        if (width > 1) st = twi_sparse_leap_try(ctx, s, &leap, &gained);
        if (st != TW_OK) goto done;
        if (!(round + gained > least)) break;
    }
done:
    twi_sparse_leap_free(&leap);
    return st;
}

tw_status twi_sparse_solve(tw_ctx *ctx, twi_sparse *sparse, double C, double goal, size_t max_iter,
                           twi_end *end)
{
    double share = 0.1, best = INFINITY;
    size_t vain = 0; /* certificates in a row that were no better */
    sparse->C = C;
    sparse->iterations = 0;
    for (;;) {
        size_t added;
        tw_status st = certify(ctx, sparse);
        if (st != TW_OK) return st;
        vain = sparse->gap < 0.9 * best ? 0 : vain + 1;
        best = fmin(best, sparse->gap);
        *end = sparse->gap <= goal * sparse->f  ? TWI_END_MET
               : sparse->iterations >= max_iter ? TWI_END_LIMIT
                                                : TWI_END_PRECISION;
        if (*end != TWI_END_PRECISION || vain > VAIN) return TW_OK;
        if ((st = widen(ctx, sparse, &added)) != TW_OK) return st;
        if (added == 0) share *= 0.1;
        st = work_on_set(ctx, sparse, share * sparse->gap, max_iter);
        if (st != TW_OK) return st;
    }
}

/* ---- a fit --------------------------------------------------------------------------------- */

static tw_status hand_over(tw_ctx *ctx, twi_sparse *s, twi_end end, twi_logreg *out)
{
    const twi_targets *t = &s->training->targets;
    const double l1 = twi_sparse_l1(s), l2 = twi_sparse_l2(s);
    const size_t d = s->training->rows.d;
    double steepest = 0.0; /* of f's smallest subgradient */
    for (size_t i = 0; i < t->width * d; i++) {
        const double w = s->w[i], g = s->gradient[i] + l2 * w;
        steepest = fmax(steepest, w == 0.0 ? fmax(0.0, fabs(g) - l1) : fabs(g + copysign(l1, w)));
    }
    *out = (twi_logreg){.k = t->k,
                        .d = d,
                        .rows = t->width,
                        .coef = s->w,
                        .intercept = s->bias,
                        .objective = s->f,
                        .gradient = steepest,
                        .iterations = s->iterations,
                        .traffic = s->pass.traffic,
                        .converged = end == TWI_END_MET};
    s->w = NULL;
    s->bias = NULL;
    if (end == TWI_END_LIMIT) /* scikit-learn 1.2.1, linear_model/_sag.py */
        twi_log(ctx, TW_LOG_WARNING,
                "The max_iter was reached which means the coef_ did not converge (max_iter is %zu)",
                s->iterations);
    if (end == TWI_END_PRECISION)
        twi_log(ctx, TW_LOG_WARNING,
                "the penalised fit stopped where rounding hides the rest of the way");
    return TW_OK;
}

tw_status twi_sparse_fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                         const twi_logreg_opts *opts, twi_logreg *out)
{
    twi_training training = {0};
    twi_sparse s = {0};
    twi_end end;
    tw_status st =
        twi_training_new(ctx, samples, scaler, opts->balanced, TWI_LOSS_LOGISTIC, &training);
    if (st == TW_OK) st = twi_sparse_new(ctx, &training, opts->l1_ratio, &s);
    if (st == TW_OK) st = twi_sparse_solve(ctx, &s, opts->C, GAP, opts->max_iter, &end);
    if (st == TW_OK) st = hand_over(ctx, &s, end, out);
    if (st == TW_ERR_DIVERGED) {
        const tw_status cause = twi_finite(ctx, samples);
        if (cause != TW_OK) st = cause;
    }
    twi_sparse_free(&s);
    twi_training_free(&training);
    return st;
}
