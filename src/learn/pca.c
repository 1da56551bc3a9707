/* pca.c - eigenvectors of the covariance where features are fewer than samples, else of the Gram
 * matrix, whose vectors u give the axes z^T u / |z^T u|: Bishop (2006), 12.1.4. */
#include "learn/pca.h"
#include "base/threads.h"
#include "learn/columns.h"
#include "learn/doubles.h"
#include "learn/head.h"
#include "learn/kernels.h"
#include "learn/rows.h"
#include "learn/scatter.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* Share of the first variance below which an axis made from the Gram matrix is no longer
 * orthogonal to the others to float's precision by itself: the error is DBL_EPSILON over it. */
#define WEAK  1e-6
#define TIE   1e-6 /* share by which one sample must lie farther than another to count as farther */
#define BLOCK 32   /* rows projected at once */
#define SPAN  1024 /* columns of them: axes and rows of a span stay in the L2 cache */

typedef struct fitting {
    const twi_samples *samples;
    const twi_doubles *loops;
    const double *mean; /* [d] */
    size_t p, padded;   /* components; the same as a multiple of TWI_TILE_ROWS */
    size_t stride;      /* of axes: d as a multiple of TWI_TILE_COLUMNS */
    double *value;      /* [p] eigenvalues */
    double *axes;       /* [padded, stride] */
} fitting;

static const float *sample(const twi_samples *s, size_t i)
{
    return s->x + (s->rows ? s->rows[i] : i) * s->d;
}

static void average(const twi_samples *s, double *mean)
{
    const twi_columns *columns = twi_columns_best();
    memset(mean, 0, s->d * sizeof *mean);
    for (size_t i = 0; i < s->n; i++) columns->add(sample(s, i), s->d, mean);
    for (size_t j = 0; j < s->d; j++) mean[j] /= (double)s->n;
}

/* ---- axes ---------------------------------------------------------------------------------- */

static void flip(double *axis, size_t n)
{
    for (size_t j = 0; j < n; j++) axis[j] = -axis[j];
}

/* The first of the entries that are largest by size, but for rounding. */
static double farthest(const double *u, size_t n)
{
    double most = 0.0;
    size_t i = 0;
    for (size_t j = 0; j < n; j++) most = fmax(most, fabs(u[j]));
    while (i + 1 < n && fabs(u[i]) < (1.0 - TIE) * most) i++;
    return u[i];
}

/* Takes the parts along axes 0 to c - 1 out of axis c, twice, and makes its length 1; false where
 * next to nothing is left. */
static bool straighten(const fitting *f, size_t c)
{
    double *axis = f->axes + c * f->stride;
    double before = 0.0, after = 0.0;
    for (size_t round = 0; round < 2; round++) {
        before = sqrt(f->loops->dot(axis, axis, f->stride));
        for (size_t b = 0; b < c; b++) {
            const double *other = f->axes + b * f->stride;
            f->loops->axpy(-f->loops->dot(other, axis, f->stride), other, f->stride, axis);
        }
        after = sqrt(f->loops->dot(axis, axis, f->stride));
        if (!(after > 1e-3 * before)) return false;
    }
    for (size_t j = 0; j < f->stride; j++) axis[j] /= after;
    return true;
}

/* Axis c where there is no variance left: the unit vector that the others cover least,
 * straightened. At most c / d < 1 of it is covered. */
static void complete(const fitting *f, size_t c)
{
    size_t best = 0;
    double least = INFINITY;
    for (size_t j = 0; j < f->samples->d; j++) {
        double covered = 0.0;
        for (size_t b = 0; b < c; b++) {
            const double at = f->axes[b * f->stride + j];
            covered += at * at;
        }
        if (covered < least) {
            least = covered;
            best = j;
        }
    }
    memset(f->axes + c * f->stride, 0, f->stride * sizeof *f->axes);
    f->axes[c * f->stride + best] = 1.0;
    straighten(f, c);
}

/* u [padded, n]: axes of the Gram matrix's vectors. */
static tw_status axes_of_samples(tw_ctx *ctx, fitting *f, const twi_symmetric *gram)
{
    const size_t n = gram->n;
    const double nothing = (double)n * DBL_EPSILON;
    double *u;
    size_t cells;
    if (twi_mul(f->padded, n, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu components do not fit in memory", f->p);
    tw_status st = twi_zalloc(ctx, cells, &u);
    if (st != TW_OK) return st;
    if ((st = twi_eigen_top(ctx, gram, f->p, f->value, u)) != TW_OK) goto done;
    for (size_t c = 0; c < f->p; c++)
        if (farthest(u + c * n, n) < 0.0) flip(u + c * n, n);
    st = twi_combine(ctx, f->samples, f->mean, u, f->padded, f->axes, f->stride);
    if (st != TW_OK) goto done;
    for (size_t c = 0; c < f->p; c++) {
        double *axis = f->axes + c * f->stride;
        const double length = sqrt(f->loops->dot(axis, axis, f->stride));
        const bool some = f->value[c] > nothing * f->value[0] && length > 0.0;
        for (size_t j = 0; some && j < f->stride; j++) axis[j] /= length;
        if (some && f->value[c] >= WEAK * f->value[0]) continue;
        if (!some || !straighten(f, c)) complete(f, c);
    }
done:
    twi_free(u);
    return st;
}

static tw_status axes_of_features(tw_ctx *ctx, fitting *f, const twi_symmetric *covariance)
{
    const size_t d = covariance->n;
    tw_status st = twi_eigen_top(ctx, covariance, f->p, f->value, f->axes);
    /* spread the rows [p, d] to their stride, the last first */
    for (size_t c = f->p; st == TW_OK && c-- > 0;) {
        memmove(f->axes + c * f->stride, f->axes + c * d, d * sizeof *f->axes);
        memset(f->axes + c * f->stride + d, 0, (f->stride - d) * sizeof *f->axes);
    }
    return st;
}

/* ---- signs --------------------------------------------------------------------------------- */

typedef struct turning {
    const twi_samples *samples;
    const twi_pca *pca;
    double *most; /* [components, blocks] the farthest of each block of samples */
    size_t blocks;
} turning;

static tw_status find_farthest(tw_ctx *ctx, void *user, size_t block)
{
    const turning *t = user;
    const size_t p = t->pca->components, first = block * BLOCK, left = t->samples->n - first;
    const size_t n = left < BLOCK ? left : BLOCK;
    const size_t *rows = t->samples->rows;
    double u[BLOCK];
    float *z;
    tw_status st = twi_alloc(ctx, n * p, &z);
    if (st != TW_OK) return st;
    if (!rows) st = twi_pca_apply(ctx, t->pca, sample(t->samples, first), n, z);
    for (size_t i = 0; rows && st == TW_OK && i < n; i++)
        st = twi_pca_apply(ctx, t->pca, sample(t->samples, first + i), 1, z + i * p);
    for (size_t c = 0; st == TW_OK && c < p; c++) {
        for (size_t i = 0; i < n; i++) u[i] = (double)z[i * p + c];
        t->most[c * t->blocks + block] = farthest(u, n);
    }
    twi_free(z);
    return st;
}

/* svd_flip by u: u's signs are those of the projected samples. */
static tw_status turn(tw_ctx *ctx, const twi_samples *samples, twi_pca *pca)
{
    const size_t p = pca->components;
    turning t = {samples, pca, NULL, (samples->n + BLOCK - 1) / BLOCK};
    size_t cells;
    if (twi_mul(t.blocks, p, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu components do not fit in memory", p);
    tw_status st = twi_alloc(ctx, cells, &t.most);
    if (st != TW_OK) return st;
    const size_t threads = samples->n * samples->d < TWI_WORTH_A_THREAD / p ? 1 : 0;
    if ((st = twi_parallel(ctx, threads, t.blocks, find_farthest, &t)) != TW_OK) goto done;
    for (size_t c = 0; c < p; c++) {
        if (farthest(t.most + c * t.blocks, t.blocks) >= 0.0) continue;
        for (size_t j = 0; j < pca->d; j++) pca->axes[c * pca->d + j] *= -1.0f;
    }
done:
    twi_free(t.most);
    return st;
}

/* ---- fitting ------------------------------------------------------------------------------- */

static tw_status check(tw_ctx *ctx, const twi_samples *s, size_t components)
{
    if (components == 0) return twi_fail(ctx, TW_ERR_ARG, "PCA to 0 components; need at least 1");
    if (s->n < 2) return twi_fail(ctx, TW_ERR_DATA, "PCA of %zu samples; need at least 2", s->n);
    if (components > s->n || components > s->d)
        return twi_fail(
            ctx, TW_ERR_DATA,
            "PCA to %zu components of %zu samples with %zu features; at most the lesser "
            "of the two, %zu, is possible",
            components, s->n, s->d, s->n < s->d ? s->n : s->d);
    return twi_finite(ctx, s);
}

static void hand_over(const fitting *f, twi_pca *pca)
{
    for (size_t c = 0; c < f->p; c++) {
        const double *axis = f->axes + c * f->stride;
        pca->variance[c] = fmax(f->value[c], 0.0) / (double)(f->samples->n - 1);
        for (size_t j = 0; j < pca->d; j++) pca->axes[c * pca->d + j] = (float)axis[j];
    }
}

tw_status twi_pca_fit(tw_ctx *ctx, const twi_samples *samples, size_t components, twi_pca *out)
{
    const bool of_samples = samples->n < samples->d;
    twi_pca pca = {.d = samples->d, .components = components};
    fitting f = {.samples = samples, .loops = twi_doubles_best(), .p = components};
    twi_symmetric matrix = {0};
    size_t cells, axes;
    tw_status st;
    if ((st = check(ctx, samples, components)) != TW_OK) return st;
    f.padded = (f.p + TWI_TILE_ROWS - 1) / TWI_TILE_ROWS * TWI_TILE_ROWS;
    f.stride = (pca.d + TWI_TILE_COLUMNS - 1) / TWI_TILE_COLUMNS * TWI_TILE_COLUMNS;
    if (twi_mul(f.p, pca.d, &axes) || twi_mul(f.padded, f.stride, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu components of %zu features do not fit in memory",
                        f.p, pca.d);
    if ((st = twi_alloc(ctx, pca.d, &pca.mean)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, axes, &pca.axes)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, f.p, &pca.variance)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, f.p, &f.value)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, cells, &f.axes)) != TW_OK) goto done;
    average(samples, pca.mean);
    f.mean = pca.mean;
    if ((st = twi_scatter(ctx, samples, pca.mean, of_samples, &matrix)) != TW_OK) goto done;
    st = of_samples ? axes_of_samples(ctx, &f, &matrix) : axes_of_features(ctx, &f, &matrix);
    if (st != TW_OK) goto done;
    hand_over(&f, &pca);
    if (!of_samples && (st = turn(ctx, samples, &pca)) != TW_OK) goto done;
    *out = pca, pca = (twi_pca){0};
done:
    twi_free(matrix.a);
    twi_free(f.axes);
    twi_free(f.value);
    twi_pca_free(&pca);
    return st;
}

void twi_pca_free(twi_pca *pca)
{
    twi_free(pca->mean);
    twi_free(pca->axes);
    twi_free(pca->variance);
    *pca = (twi_pca){0};
}

/* ---- applying ------------------------------------------------------------------------------ */

/* sum [rows, components] += z . axes over the columns of one span; z [BLOCK, SPAN] is room. */
static void project_span(const twi_pca *pca, const float *x, size_t rows, size_t from, float *z,
                         double *sum)
{
    const twi_kernels *kernels = twi_kernels_best();
    const size_t p = pca->components, left = pca->d - from, width = left < SPAN ? left : SPAN;
    const void *row[TWI_ROWS_AT_ONCE];
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < width; j++)
            z[i * SPAN + j] = (float)((double)x[i * pca->d + from + j] - pca->mean[from + j]);
    for (size_t i = 0; i < rows; i += TWI_ROWS_AT_ONCE) {
        const size_t some = rows - i < TWI_ROWS_AT_ONCE ? rows - i : TWI_ROWS_AT_ONCE;
        for (size_t r = 0; r < some; r++) row[r] = z + (i + r) * SPAN;
        kernels->dots(row, some, width, (twi_shift){NULL, NULL, false}, pca->axes + from, pca->d, p,
                      sum + i * p);
    }
}

tw_status twi_pca_apply(tw_ctx *ctx, const twi_pca *pca, const float *x, size_t n, float *out)
{
    const size_t p = pca->components;
    double *sum = NULL;
    float *z = NULL;
    size_t cells;
    tw_status st;
    if (twi_mul(BLOCK, p, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu components do not fit in memory", p);
    if ((st = twi_alloc(ctx, cells, &sum)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, BLOCK * SPAN, &z)) != TW_OK) goto done;
    for (size_t first = 0; first < n; first += BLOCK) {
        const size_t rows = n - first < BLOCK ? n - first : BLOCK;
        memset(sum, 0, rows * p * sizeof *sum);
        for (size_t from = 0; from < pca->d; from += SPAN)
            project_span(pca, x + first * pca->d, rows, from, z, sum);
        for (size_t i = 0; i < rows * p; i++) out[first * p + i] = (float)sum[i];
    }
done:
    twi_free(z);
    twi_free(sum);
    return st;
}

/* ---- as tensors, and back ------------------------------------------------------------------ */

tw_status twi_pca_save(tw_ctx *ctx, const twi_pca *pca, twi_tensors *tensors)
{
    const size_t p = pca->components;
    tw_status st = twi_head_put(ctx, tensors, "pca.mean", 0, pca->d, pca->mean);
    if (st == TW_OK) st = twi_head_put_floats(ctx, tensors, "pca.components", p, pca->d, pca->axes);
    if (st == TW_OK) st = twi_head_put(ctx, tensors, "pca.variance", 0, p, pca->variance);
    return st;
}

tw_status twi_pca_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors, size_t d,
                       size_t components, twi_pca *out)
{
    twi_pca pca = {.d = d, .components = components};
    tw_status st;
    if (components == 0 || components > d)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: PCA of %zu features to %zu", name, d, components);
    st = twi_head_take(ctx, name, tensors, "pca.mean", 0, d, &pca.mean);
    if (st == TW_OK)
        st = twi_head_take_floats(ctx, name, tensors, "pca.components", components, d, &pca.axes);
    if (st == TW_OK)
        st = twi_head_take(ctx, name, tensors, "pca.variance", 0, components, &pca.variance);
    for (size_t c = 0; st == TW_OK && c < components; c++)
        if (pca.variance[c] < 0.0)
            st = twi_fail(ctx, TW_ERR_FORMAT, "%s: variance of component %zu is below 0", name, c);
    if (st == TW_OK) *out = pca, pca = (twi_pca){0};
    twi_pca_free(&pca);
    return st;
}
