/* eigen.c - Householder tridiagonalisation, bisection, inverse iteration.
 *
 * Golub & Van Loan, Matrix Computations (4th ed.): reduction 8.3.1, bisection by Sturm counts
 * 8.4.1; Wilkinson (1965) ch. 5 for inverse iteration on the tridiagonal matrix. Only the vectors
 * asked for are made, so that the reduction, 4/3 n^3, is nearly all of the work. */
#include "learn/eigen.h"
#include "base/rng.h"
#include "base/threads.h"
#include "learn/doubles.h"
#include "learn/rows.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#define STAGE      "components"
#define CHUNKS     8  /* of a pass over a large triangle, whatever the number of threads */
#define TOGETHER   8  /* vectors transformed back while a reflector is in cache */
#define TRIES      12 /* of inverse iteration: two or three are usual */
#define HUGE_ENTRY 1e100

/* Row i of the lower triangle is left holding v of H_i = I - tau[i] v v^T, v [i]. */
typedef struct reduction {
    const twi_doubles *loops;
    double *a;
    size_t n, stride;
    double *diagonal, *off, *tau; /* [n]; off[i] stands between i - 1 and i */
    double *w;                    /* [n] */
    double *y;                    /* [CHUNKS, n] */
    double *zero;                 /* [n] */
    const double *v;              /* of the reflector being applied; then of the next one */
    const double *u;
    size_t m, chunks; /* rows of the pass */
} reduction;

static double *row_of(const reduction *r, size_t i)
{
    return r->a + i * r->stride;
}

/* Turns x [n] into v of the reflector that leaves of x only its last entry, *left. A rest too small
 * to matter to a matrix of entries up to 1 is dropped: tau 0. */
static double reflector(const twi_doubles *loops, double *x, size_t n, double *left)
{
    const double alpha = x[n - 1], rest = loops->dot(x, x, n - 1);
    *left = alpha;
    if (rest < DBL_EPSILON * DBL_EPSILON * DBL_EPSILON) return 0.0;
    const double length = sqrt(alpha * alpha + rest);
    *left = alpha > 0.0 ? -length : length;
    x[n - 1] = alpha - *left;
    return 2.0 / (rest + x[n - 1] * x[n - 1]);
}

/* One entry on or below the diagonal: as fold(), by hand. */
static void fold_entry(const reduction *r, size_t i, size_t j, double *y)
{
    double *at = row_of(r, i) + j;
    *at -= r->v[i] * r->w[j] + r->w[i] * r->v[j];
    y[i] += *at * r->u[j];
    if (j < i) y[j] += *at * r->u[i];
}

/* Groups of rows in front of chunk c, by equal areas of the triangle. */
static size_t first_group(const reduction *r, size_t groups, size_t c)
{
    return (size_t)((double)groups * sqrt((double)c / (double)r->chunks));
}

/* Rows of chunk c of the leading [m, m]: A -= v w^T + w v^T, and y of the chunk = A u. */
static tw_status fold_chunk(tw_ctx *ctx, void *user, size_t c)
{
    (void)ctx;
    const reduction *r = user;
    double *y = r->y + c * r->n;
    const size_t head = r->m % TWI_FOLD_ROWS, groups = r->m / TWI_FOLD_ROWS;
    memset(y, 0, r->m * sizeof *y);
    for (size_t i = 0; c == 0 && i < head; i++)
        for (size_t j = 0; j <= i; j++) fold_entry(r, i, j, y);
    for (size_t g = first_group(r, groups, c); g < first_group(r, groups, c + 1); g++) {
        const size_t first = head + g * TWI_FOLD_ROWS;
        const twi_fold by = {r->w,         r->v,         r->u, r->v + first,
                             r->w + first, r->u + first, y,    y + first};
        r->loops->fold(row_of(r, first), r->stride, first, &by);
        for (size_t i = first; i < first + TWI_FOLD_ROWS; i++)
            for (size_t j = first; j <= i; j++) fold_entry(r, i, j, y);
    }
    return TW_OK;
}

/* Applies the reflector (v, w) to the leading [m, m] and multiplies what comes out with u. */
static tw_status fold_triangle(tw_ctx *ctx, reduction *r)
{
    const bool large = r->m * r->m / 2 >= TWI_WORTH_A_THREAD / 4;
    r->chunks = large ? CHUNKS : 1;
    const tw_status st = twi_parallel(ctx, large ? 0 : 1, r->chunks, fold_chunk, r);
    if (st != TW_OK) return st;
    for (size_t c = 1; c < r->chunks; c++) r->loops->axpy(1.0, r->y + c * r->n, r->m, r->y);
    return TW_OK;
}

/* Each pass over the triangle applies one reflector and prepares the next. */
static tw_status reduce(tw_ctx *ctx, reduction *r)
{
    tw_status st;
    r->v = r->zero;
    for (size_t i = r->n - 1;; i--) {
        double *row = row_of(r, i);
        if (i < r->n - 1) { /* what the pass below does to all rows, for this one first */
            const double vi = r->v[i], wi = r->w[i];
            r->loops->axpy(-vi, r->w, i + 1, row);
            r->loops->axpy(-wi, r->v, i + 1, row);
        }
        r->diagonal[i] = row[i];
        if (i == 0) return TW_OK;
        r->tau[i] = reflector(r->loops, row, i, &r->off[i]);
        r->u = row;
        r->m = i;
        if ((st = twi_progress(ctx, STAGE, r->n - i, r->n, 0)) != TW_OK) return st;
        if ((st = fold_triangle(ctx, r)) != TW_OK) return st;
        /* w = p - (tau / 2)(p . v) v with p = tau A v: Golub & Van Loan, 8.3.1 */
        const double tau = r->tau[i], inner = r->loops->dot(r->y, row, i);
        for (size_t j = 0; j < i; j++) r->w[j] = tau * (r->y[j] - 0.5 * tau * inner * row[j]);
        r->v = row;
    }
}

/* ---- the tridiagonal matrix ---------------------------------------------------------------- */

typedef struct tridiagonal {
    const twi_doubles *loops;
    const double *diagonal; /* [n] */
    double *off;            /* [n]; off[i] stands between i - 1 and i, off[0] = 0 */
    size_t n;
    double norm;                      /* max row sum of |T| */
    double *lower, *pivot, *up, *up2; /* [n] T - x = P L U, U of three diagonals */
    bool *swapped;                    /* [n] */
} tridiagonal;

/* Off-diagonal entries that are rounding errors go, so that the matrix falls into blocks. */
static void split(tridiagonal *t)
{
    t->norm = 0.0;
    t->off[0] = 0.0;
    for (size_t i = 0; i < t->n; i++) {
        const double right = i + 1 < t->n ? fabs(t->off[i + 1]) : 0.0;
        t->norm = fmax(t->norm, fabs(t->diagonal[i]) + fabs(t->off[i]) + right);
    }
    for (size_t i = 1; i < t->n; i++)
        if (fabs(t->off[i]) <= DBL_EPSILON * t->norm) t->off[i] = 0.0;
}

/* How many eigenvalues lie below x: the negative pivots of T - x. */
static size_t count_below(const tridiagonal *t, double x)
{
    const double least = DBL_MIN / DBL_EPSILON;
    size_t count = 0;
    double q = 1.0;
    for (size_t i = 0; i < t->n; i++) {
        q = t->diagonal[i] - x - t->off[i] * t->off[i] / q;
        if (fabs(q) < least) q = -least;
        count += q < 0.0;
    }
    return count;
}

/* The eigenvalue with `below` others below it, known to be at most `most`. */
static double bisect(const tridiagonal *t, size_t below, double most)
{
    double low = -1.01 * t->norm, high = most;
    while (high - low > DBL_EPSILON * t->norm / 4.0) {
        const double middle = low + (high - low) / 2.0;
        if (middle <= low || middle >= high) break;
        if (count_below(t, middle) <= below)
            low = middle;
        else
            high = middle;
    }
    return low + (high - low) / 2.0;
}

/* T - x = P L U by elimination with row swaps. */
static void factor(const tridiagonal *t, double x)
{
    const size_t n = t->n;
    for (size_t i = 0; i < n; i++) {
        t->pivot[i] = t->diagonal[i] - x;
        t->lower[i] = t->up[i] = i + 1 < n ? t->off[i + 1] : 0.0;
        t->up2[i] = 0.0;
        t->swapped[i] = false;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        const double under = t->lower[i];
        t->swapped[i] = fabs(under) > fabs(t->pivot[i]);
        if (t->swapped[i]) {
            const double up = t->up[i];
            t->lower[i] = t->pivot[i] / under;
            t->pivot[i] = under;
            t->up[i] = t->pivot[i + 1];
            t->pivot[i + 1] = up - t->lower[i] * t->up[i];
            t->up2[i] = t->up[i + 1];
            t->up[i + 1] *= -t->lower[i];
        } else if (under != 0.0) {
            t->lower[i] = under / t->pivot[i];
            t->pivot[i + 1] -= t->lower[i] * t->up[i];
        }
    }
    const double least = DBL_EPSILON * t->norm;
    for (size_t i = 0; i < n; i++)
        if (fabs(t->pivot[i]) < least) t->pivot[i] = least;
}

/* b [n] = a multiple of (T - x)^-1 b; *grown is multiplied by that multiple's inverse. */
static void solve(const tridiagonal *t, double *b, double *grown)
{
    const size_t n = t->n;
    for (size_t i = 0; i + 1 < n; i++) {
        if (t->swapped[i]) {
            const double kept = b[i];
            b[i] = b[i + 1];
            b[i + 1] = kept;
        }
        b[i + 1] -= t->lower[i] * b[i];
    }
    for (size_t i = n; i-- > 0;) {
        if (i + 1 < n) b[i] -= t->up[i] * b[i + 1];
        if (i + 2 < n) b[i] -= t->up2[i] * b[i + 2];
        b[i] /= t->pivot[i];
        if (fabs(b[i]) <= HUGE_ENTRY) continue;
        *grown *= HUGE_ENTRY;
        for (size_t j = 0; j < n; j++) b[j] /= HUGE_ENTRY;
    }
}

/* Takes the parts along vector [count, n] out of x, twice (Kahan: enough), and makes its length 1.
 * Returns the length before that. */
static double orthonormalise(const twi_doubles *loops, const double *vector, size_t count, size_t n,
                             double *x)
{
    for (size_t round = 0; round < 2; round++)
        for (size_t c = 0; c < count; c++)
            loops->axpy(-loops->dot(vector + c * n, x, n), vector + c * n, n, x);
    const double length = sqrt(loops->dot(x, x, n));
    for (size_t j = 0; length > 0.0 && j < n; j++) x[j] /= length;
    return length;
}

/* Vector number c, of eigenvalue x, by inverse iteration: the growth of a solution of unit right
 * side is the inverse of the residual. One more round follows the first that is good enough. */
static tw_status iterate(tw_ctx *ctx, const tridiagonal *t, double x, size_t c, double *vector)
{
    double *b = vector + c * t->n;
    const double wanted = 1.0 / (16.0 * DBL_EPSILON * t->norm * sqrt((double)t->n));
    twi_rng rng;
    bool good = false;
    twi_rng_seed(&rng, (uint32_t)c);
    for (size_t j = 0; j < t->n; j++) b[j] = twi_rng_double(&rng) - 0.5;
    orthonormalise(t->loops, vector, c, t->n, b);
    factor(t, x);
    for (size_t round = 0; round < TRIES; round++) {
        double grown = 1.0;
        solve(t, b, &grown);
        grown *= orthonormalise(t->loops, vector, c, t->n, b);
        if (good) return TW_OK;
        good = grown >= wanted;
    }
    return twi_fail(ctx, TW_ERR_DIVERGED, "component %zu was not found in %d iterations", c, TRIES);
}

static tw_status solve_tridiagonal(tw_ctx *ctx, tridiagonal *t, size_t count, double *value,
                                   double *vector)
{
    tw_status st;
    split(t);
    for (size_t c = 0; c < count; c++) {
        if (twi_cancelled(ctx)) return twi_fail(ctx, TW_ERR_CANCELLED, "stopped as asked");
        value[c] =
            bisect(t, t->n - 1 - c, c ? value[c - 1] + DBL_EPSILON * t->norm : 1.01 * t->norm);
        if (c && value[c] > value[c - 1]) value[c] = value[c - 1];
        if ((st = iterate(ctx, t, value[c], c, vector)) != TW_OK) return st;
    }
    return TW_OK;
}

/* ---- both ---------------------------------------------------------------------------------- */

typedef struct returning {
    const reduction *r;
    double *vector;
    size_t count;
} returning;

/* x = H_{n-1} ... H_1 x for a few vectors. */
static tw_status transform_back(tw_ctx *ctx, void *user, size_t group)
{
    (void)ctx;
    const returning *b = user;
    const reduction *r = b->r;
    const size_t from = group * TOGETHER, left = b->count - from;
    const size_t end = from + (left < TOGETHER ? left : TOGETHER);
    for (size_t i = 1; i < r->n; i++) {
        const double *v = row_of(r, i);
        for (size_t c = from; c < end; c++) {
            double *x = b->vector + c * r->n;
            r->loops->axpy(-r->tau[i] * r->loops->dot(v, x, i), v, i, x);
        }
    }
    return TW_OK;
}

/* Divides by the largest |entry|, so that what is small can be told; returns that, NaN where an
 * entry is not finite. */
static double scale_down(reduction *r)
{
    double most = 0.0;
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = 0; j <= i; j++) {
            const double size = fabs(row_of(r, i)[j]);
            if (!isfinite(size)) return (double)NAN;
            if (size > most) most = size;
        }
    for (size_t i = 0; most > 0.0 && i < r->n; i++)
        for (size_t j = 0; j <= i; j++) row_of(r, i)[j] /= most;
    return most;
}

tw_status twi_eigen_top(tw_ctx *ctx, const twi_symmetric *a, size_t count, double *value,
                        double *vector)
{
    const size_t n = a->n;
    const twi_doubles *loops = twi_doubles_best();
    reduction r = {.loops = loops, .a = a->a, .n = n, .stride = a->stride};
    tridiagonal t = {.loops = loops, .n = n};
    double *memory = NULL;
    size_t cells;
    tw_status st;
    assert(count <= n);
    if (count == 0) return TW_OK;
    if (twi_mul(n, 9 + CHUNKS, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu x %zu is too large a matrix", n, n);
    if ((st = twi_zalloc(ctx, cells, &memory)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, n, &t.swapped)) != TW_OK) goto done;
    double *const parts[] = {memory,         memory + n,     memory + 2 * n,
                             memory + 3 * n, memory + 4 * n, memory + 5 * n,
                             memory + 6 * n, memory + 7 * n, memory + 8 * n};
    r.diagonal = parts[0], r.off = parts[1], r.tau = parts[2], r.w = parts[3], r.zero = parts[4];
    r.y = memory + 9 * n;
    t.diagonal = r.diagonal, t.off = r.off;
    t.lower = parts[5], t.pivot = parts[6], t.up = parts[7], t.up2 = parts[8];
    const double scale = scale_down(&r);
    if (isnan(scale)) {
        st = twi_fail(ctx, TW_ERR_DIVERGED, "the matrix holds numbers that are not finite");
        goto done;
    }
    if (scale == 0.0) { /* any vectors will do */
        memset(vector, 0, count * n * sizeof *vector);
        for (size_t c = 0; c < count; c++) vector[c * n + c] = 1.0, value[c] = 0.0;
        goto done;
    }
    if ((st = reduce(ctx, &r)) != TW_OK) goto done;
    if ((st = solve_tridiagonal(ctx, &t, count, value, vector)) != TW_OK) goto done;
    for (size_t c = 0; c < count; c++) value[c] *= scale;
    returning back = {&r, vector, count};
    const size_t groups = (count + TOGETHER - 1) / TOGETHER;
    st = twi_parallel(ctx, n * n * count < TWI_WORTH_A_THREAD ? 1 : 0, groups, transform_back,
                      &back);
done:
    twi_free(t.swapped);
    twi_free(memory);
    return st;
}
