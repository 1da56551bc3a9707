/* svm_pairs.c - training a machine for each pair of classes. */
#include "learn/svm_pairs.h"

#include "learn/smo.h"

#include "base/threads.h"

#include <math.h>
#include <string.h>

double twi_square_of(const float *x, size_t d)
{
    double sum[4] = {0};
    size_t j = 0;
    for (; j + 4 <= d; j += 4)
        for (size_t lane = 0; lane < 4; lane++)
            sum[lane] += (double)x[j + lane] * (double)x[j + lane];
    for (; j < d; j++) sum[0] += (double)x[j] * (double)x[j];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

void twi_pairs_free(twi_pairs *t)
{
    twi_free(t->rows);
    twi_free(t->begin);
    twi_free(t->weight);
    twi_free(t->square);
    twi_gram_free(&t->gram);
}

static tw_status group(tw_ctx *ctx, twi_pairs *t)
{
    const twi_samples *s = t->samples;
    size_t at = 0;
    for (size_t c = 0; c <= t->k; c++) {
        t->begin[c] = at;
        if (c == t->k) break;
        for (size_t i = 0; i < s->n; i++) {
            const size_t row = s->rows ? s->rows[i] : i;
            if (s->y[row] == c) t->rows[at++] = row;
        }
        if (at == t->begin[c])
            return twi_fail(ctx, TW_ERR_DATA,
                            "class %zu of %zu has no training sample; each needs at least 1", c,
                            t->k);
    }
    if (at < s->n)
        return twi_fail(ctx, TW_ERR_DATA, "a sample has a label that is none of %zu classes", t->k);
    return TW_OK;
}

/* The float diagonal of the Gram matrix, so that a row is at distance 0 of itself to the bit. */
static tw_status products_of(tw_ctx *ctx, twi_pairs *t)
{
    const twi_samples *s = t->samples;
    const twi_rows rows = {.x = s->x, .index = t->rows, .n = t->n, .d = s->d, .stride = s->d};
    tw_status st = twi_gram_new(ctx, &rows, &t->gram);
    if (st == TW_OK) st = twi_alloc(ctx, t->n, &t->square);
    for (size_t i = 0; i < t->n && st == TW_OK; i++) {
        t->square[i] = (double)t->gram.k[i * t->gram.stride + i];
        if (!isfinite(t->square[i])) st = twi_finite(ctx, s);
        if (st == TW_OK && !isfinite(t->square[i]))
            st = twi_fail(ctx, TW_ERR_DIVERGED, "sample %zu is too large for a kernel", i);
    }
    return st;
}

tw_status twi_pairs_new(tw_ctx *ctx, const twi_samples *samples, bool balanced, twi_pairs *out)
{
    twi_pairs t = {.samples = samples,
                   .n = samples->n,
                   .k = samples->k,
                   .pairs = samples->k * (samples->k - 1) / 2};
    tw_status st;
    if (samples->n == 0 || samples->d == 0 || samples->k < 2)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu training samples of %zu features in %zu classes; need at least 1, 1 "
                        "and 2",
                        samples->n, samples->d, samples->k);
    if ((st = twi_progress(ctx, "fit", 0, 0, 0)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, t.n, &t.rows)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, t.k + 1, &t.begin)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, t.k, &t.weight)) != TW_OK) goto done;
    if ((st = group(ctx, &t)) != TW_OK) goto done;
    for (size_t c = 0; c < t.k; c++)
        t.weight[c] =
            balanced ? (double)t.n / ((double)t.k * (double)(t.begin[c + 1] - t.begin[c])) : 1.0;
    if ((st = products_of(ctx, &t)) != TW_OK) goto done;
    *out = t, t = (twi_pairs){0};
done:
    twi_pairs_free(&t);
    return st;
}

/* gamma = "scale" is 1 / (d var), var over all entries; 1 where they are all the same. */
double twi_pairs_gamma(const twi_pairs *t, double gamma)
{
    const twi_samples *s = t->samples;
    const double d = (double)s->d, cells = (double)t->n * d;
    if (gamma > 0.0) return gamma;
    if (gamma == TW_AUTO) return 1.0 / d;
    double mean = 0.0, var = 0.0;
    for (size_t i = 0; i < t->n; i++) {
        const float *x = s->x + t->rows[i] * s->d;
        double sum = 0.0;
        for (size_t j = 0; j < s->d; j++) sum += (double)x[j];
        mean += sum / cells;
    }
    for (size_t i = 0; i < t->n; i++) {
        const float *x = s->x + t->rows[i] * s->d;
        double sum = 0.0;
        for (size_t j = 0; j < s->d; j++) sum += ((double)x[j] - mean) * ((double)x[j] - mean);
        var += sum / cells;
    }
    return var > 0.0 ? 1.0 / (d * var) : 1.0;
}

static tw_status kernel_row(tw_ctx *ctx, void *user, size_t i)
{
    const twi_kernel_job *j = user;
    const float *p = j->products + i * j->stride;
    float *out = j->out + i * j->stride;
    (void)ctx;
    for (size_t c = 0; c < j->columns; c++) {
        const double square = j->left[i] + j->right[c] - 2.0 * (double)p[c];
        out[c] = expf((float)(-j->gamma * (square > 0.0 ? square : 0.0)));
    }
    return TW_OK;
}

tw_status twi_kernel_fill(tw_ctx *ctx, const twi_kernel_job *job, size_t rows)
{
    const size_t threads = rows * job->columns < 100000 ? 1 : 0;
    return twi_parallel(ctx, threads, rows, kernel_row, (void *)job);
}

/* ---- all pairs ----------------------------------------------------------------------------- */

/* The classes of machine number `pair`, i < j, counted row by row. */
static void classes_of(size_t k, size_t pair, size_t *i, size_t *j)
{
    for (*i = 0; pair >= k - 1 - *i; ++*i) pair -= k - 1 - *i;
    *j = *i + 1 + pair;
}

static tw_status solve_pair(tw_ctx *ctx, void *user, size_t pair)
{
    const twi_solving *s = user;
    const twi_pairs *t = s->t;
    size_t i, j;
    classes_of(t->k, pair, &i, &j);
    const size_t n_i = t->begin[i + 1] - t->begin[i], n = n_i + t->begin[j + 1] - t->begin[j];
    size_t *index = NULL;
    signed char *y = NULL;
    double *C = NULL, *a = NULL, rho;
    tw_status st = twi_alloc(ctx, n, &index);
    if (st == TW_OK) st = twi_alloc(ctx, n, &y);
    if (st == TW_OK) st = twi_alloc(ctx, n, &C);
    if (st == TW_OK) st = twi_alloc(ctx, n, &a);
    if (st != TW_OK) goto done;
    for (size_t r = 0; r < n; r++) {
        index[r] = r < n_i ? t->begin[i] + r : t->begin[j] + r - n_i;
        y[r] = r < n_i ? 1 : -1;
        C[r] = s->opts->C * t->weight[r < n_i ? i : j];
    }
    const twi_smo problem = {.kernel = s->kernel,
                             .stride = t->gram.stride,
                             .index = index,
                             .y = y,
                             .C = C,
                             .n = n,
                             .tol = s->opts->tol,
                             .max_iter = s->opts->max_iter};
    st = twi_smo_solve(ctx, &problem, a, &rho, &s->iterations[pair], &s->met[pair]);
    if (st != TW_OK) goto done;
    s->intercept[pair] = -rho;
    for (size_t r = 0; r < n; r++) /* a vector of i keeps its part against j in row j - 1 */
        s->a[(r < n_i ? j - 1 : i) * t->n + index[r]] = a[r] * (double)y[r];
done:
    twi_free(index);
    twi_free(y);
    twi_free(C);
    twi_free(a);
    return st;
}

tw_status twi_solving_run(tw_ctx *ctx, twi_solving *s)
{
    return twi_parallel(ctx, 0, s->t->pairs, solve_pair, s);
}

void twi_solving_judge(tw_ctx *ctx, const twi_solving *s, bool *all_met, size_t *iterations)
{
    *all_met = true;
    *iterations = 0;
    for (size_t p = 0; p < s->t->pairs; p++) {
        *all_met = *all_met && s->met[p];
        *iterations += s->iterations[p];
    }
    if (!*all_met)
        twi_log(ctx, TW_LOG_WARNING,
                "Solver terminated early (max_iter=%zu). Consider pre-processing your data with "
                "StandardScaler or MinMaxScaler.",
                s->opts->max_iter);
}

tw_status twi_solving_new(tw_ctx *ctx, const twi_pairs *t, const tw_head_opts *opts,
                          twi_solving *out)
{
    twi_solving s = {.t = t, .opts = opts};
    size_t cells;
    if (twi_mul(t->k - 1, t->n, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu classes are too many", t->k);
    tw_status st = twi_zalloc(ctx, cells, &s.a);
    if (st == TW_OK) st = twi_alloc(ctx, t->pairs, &s.intercept);
    if (st == TW_OK) st = twi_zalloc(ctx, t->pairs, &s.iterations);
    if (st == TW_OK) st = twi_zalloc(ctx, t->pairs, &s.met);
    *out = s;
    return st;
}

void twi_solving_free(twi_solving *s)
{
    twi_free(s->a);
    twi_free(s->intercept);
    twi_free(s->iterations);
    twi_free(s->met);
}
