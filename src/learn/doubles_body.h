/* doubles_body.h - the body of one build of doubles.h. The including file defines LANES (doubles in
 * one register), TILE_ROWS x TILE_VECTORS (accumulators of a tile that fit its registers) and
 * DOUBLES, the table's name. */
#include "learn/doubles.h"

#define INLINE static inline __attribute__((always_inline))

typedef double vec __attribute__((vector_size(LANES * 8)));
typedef double vec_unaligned __attribute__((vector_size(LANES * 8), aligned(8), may_alias));
typedef float floats_unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

INLINE vec load(const double *p)
{
    return *(const vec_unaligned *)p;
}

INLINE vec load_floats(const float *p)
{
    return __builtin_convertvector(*(const floats_unaligned *)p, vec);
}

INLINE void store(double *p, vec v)
{
    *(vec_unaligned *)p = v;
}

INLINE vec splat(double a)
{
    return a - (vec){0};
}

INLINE double total(vec v)
{
    double sum = 0;
    for (size_t i = 0; i < LANES; i++) sum += v[i];
    return sum;
}

/* One register tile: TILE_ROWS x (TILE_VECTORS * LANES) accumulators over the whole depth. */
INLINE void tile_part(const double *a, size_t lda, const double *b, size_t depth, double *c,
                      size_t ldc)
{
    vec sum[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    for (size_t p = 0; p < depth; p++, b += TWI_TILE_COLUMNS) {
        vec v[TILE_VECTORS];
        for (int t = 0; t < TILE_VECTORS; t++) v[t] = load(b + t * LANES);
        for (int r = 0; r < TILE_ROWS; r++) {
            const vec s = splat(a[(size_t)r * lda + p]);
            for (int t = 0; t < TILE_VECTORS; t++) sum[r][t] += s * v[t];
        }
    }
    for (int r = 0; r < TILE_ROWS; r++)
        for (int t = 0; t < TILE_VECTORS; t++) {
            double *at = c + (size_t)r * ldc + (size_t)t * LANES;
            store(at, load(at) + sum[r][t]);
        }
}

static void tile(const double *a, size_t lda, const double *b, size_t depth, double *c, size_t ldc)
{
    for (size_t t = 0; t < TWI_TILE_COLUMNS; t += TILE_VECTORS * LANES)
        for (size_t r = 0; r < TWI_TILE_ROWS; r += TILE_ROWS)
            tile_part(a + r * lda, lda, b + t, depth, c + r * ldc + t, ldc);
}

static double dot(const double *a, const double *b, size_t n)
{
    vec sum[4] = {{0}};
    size_t j = 0;
    for (; j + 4 * LANES <= n; j += 4 * LANES)
        for (size_t t = 0; t < 4; t++) sum[t] += load(a + j + t * LANES) * load(b + j + t * LANES);
    double all = total((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; j < n; j++) all += a[j] * b[j];
    return all;
}

static void axpy(double s, const double *x, size_t n, double *y)
{
    size_t j = 0;
    for (; j + LANES <= n; j += LANES) store(y + j, load(y + j) + splat(s) * load(x + j));
    for (; j < n; j++) y[j] += s * x[j];
}

static void fold(double *a, size_t lda, size_t n, const twi_fold *by)
{
    const double *v = by->v, *w = by->w, *u = by->u;
    double *y = by->y;
    vec vr[TWI_FOLD_ROWS], wr[TWI_FOLD_ROWS], ur[TWI_FOLD_ROWS], sum[TWI_FOLD_ROWS] = {{0}};
    for (int r = 0; r < TWI_FOLD_ROWS; r++) {
        vr[r] = splat(by->vr[r]);
        wr[r] = splat(by->wr[r]);
        ur[r] = splat(by->ur[r]);
    }
    size_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        const vec vj = load(v + j), wj = load(w + j), uj = load(u + j);
        vec yj = load(y + j);
        for (int r = 0; r < TWI_FOLD_ROWS; r++) {
            double *at = a + (size_t)r * lda + j;
            const vec x = load(at) - vr[r] * vj - wr[r] * wj;
            store(at, x);
            sum[r] += x * uj;
            yj += x * ur[r];
        }
        store(y + j, yj);
    }
    for (int r = 0; r < TWI_FOLD_ROWS; r++) {
        double *row = a + (size_t)r * lda, all = total(sum[r]);
        for (size_t t = j; t < n; t++) {
            row[t] -= by->vr[r] * v[t] + by->wr[r] * w[t];
            all += row[t] * u[t];
            y[t] += row[t] * by->ur[r];
        }
        by->sum[r] += all;
    }
}

static double floats_dot(const float *z, const double *v, size_t n)
{
    vec sum[4] = {{0}};
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        for (size_t t = 0; t < 4; t++)
            sum[t] += load_floats(z + i + t * LANES) * load(v + i + t * LANES);
    double all = total((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; i < n; i++) all += (double)z[i] * v[i];
    return all;
}

static void floats_axpy(double s, const float *z, size_t n, double *v)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) store(v + i, load(v + i) + splat(s) * load_floats(z + i));
    for (; i < n; i++) v[i] += s * (double)z[i];
}

static double floats_bend(const float *z, const double *h, size_t n)
{
    vec sum[2] = {{0}};
    size_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        for (size_t t = 0; t < 2; t++) {
            const vec at = load_floats(z + i + t * LANES);
            sum[t] += at * at * load(h + i + t * LANES);
        }
    double all = total(sum[0] + sum[1]);
    for (; i < n; i++) all += (double)z[i] * (double)z[i] * h[i];
    return all;
}

static void floats_add(double s, const float *z, const double *h, size_t n, double *v)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store(v + i, load(v + i) + splat(s) * load(h + i) * load_floats(z + i));
    for (; i < n; i++) v[i] += s * h[i] * (double)z[i];
}

const twi_doubles DOUBLES = {DOUBLES_NAME, tile,        dot,         axpy,      fold,
                             floats_dot,   floats_axpy, floats_bend, floats_add};
