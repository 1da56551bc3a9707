/* kernels_body.h - the body of one build of kernels.h. The including file defines LANES (floats in
 * one register), TILE_ROWS x TILE_VECTORS (accumulators of the Gram tile that fit its registers)
 * and KERNELS, the table's name; and, where the set has them, LOAD_HALVES and STORE_HALVES. */
#include "learn/kernels.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef float vec_unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

INLINE vec load(const float *p)
{
    return *(const vec_unaligned *)p;
}

INLINE void store(float *p, vec v)
{
    *(vec_unaligned *)p = v;
}

INLINE vec splat(float a)
{
    return a - (vec){0};
}

INLINE double total(vec v)
{
    double sum = 0;
    for (size_t i = 0; i < LANES; i++) sum += (double)v[i];
    return sum;
}

/* How the values of a row are stored: a constant in every tile, so that the branches below fold. */
typedef enum storage { AS_IS, SHIFTED, HALVES } storage;

#ifdef LOAD_HALVES
INLINE vec load_halves(const uint16_t *p)
{
    return (vec)LOAD_HALVES(p);
}

INLINE float load_half(const uint16_t *p)
{
    return _cvtsh_ss(*p);
}
#else /* this build has no such instructions, and no caller: to_half is NULL */
INLINE vec load_halves(const uint16_t *p)
{
    return splat((float)*p);
}

INLINE float load_half(const uint16_t *p)
{
    return (float)*p;
}
#endif

INLINE vec value(const void *x, size_t j, twi_shift shift, storage as)
{
    if (as == HALVES) return load_halves((const uint16_t *)x + j);
    const vec v = load((const float *)x + j);
    return as == SHIFTED ? (v - load(shift.mean + j)) * load(shift.inverse + j) : v;
}

INLINE float value1(const void *x, size_t j, twi_shift shift, storage as)
{
    if (as == HALVES) return load_half((const uint16_t *)x + j);
    const float v = ((const float *)x)[j];
    return as == SHIFTED ? (v - shift.mean[j]) * shift.inverse[j] : v;
}

/* Columns a float accumulator may run over before it goes into a double: 32 or 64 adds a lane. */
#define SPAN 1024

INLINE void dots_tile(const void *const *x, size_t d, twi_shift shift, const float *w,
                      size_t stride, double *out, size_t out_stride, int rows, int k, storage as)
{
    for (size_t from = 0; from < d; from += SPAN) {
        const size_t end = d - from < SPAN ? d : from + SPAN;
        vec sum[4][4] = {{{0}}};
        size_t j = from;
        for (; j + LANES <= end; j += LANES) {
            for (int r = 0; r < rows; r++) {
                const vec z = value(x[r], j, shift, as);
                for (int c = 0; c < k; c++) sum[r][c] += z * load(w + (size_t)c * stride + j);
            }
        }
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < k; c++) {
                double s = total(sum[r][c]);
                for (size_t t = j; t < end; t++)
                    s += (double)(value1(x[r], t, shift, as) * w[(size_t)c * stride + t]);
                out[(size_t)r * out_stride + (size_t)c] += s;
            }
    }
}

INLINE void sums_tile(const void *const *x, size_t d, twi_shift shift, const float *a,
                      size_t a_stride, float *g, size_t stride, int rows, int k, storage as)
{
    size_t j = 0;
    for (; j + LANES <= d; j += LANES) {
        vec z[4];
        for (int r = 0; r < rows; r++) z[r] = value(x[r], j, shift, as);
        for (int c = 0; c < k; c++) {
            float *at = g + (size_t)c * stride + j;
            vec sum = load(at);
            for (int r = 0; r < rows; r++) sum += splat(a[(size_t)r * a_stride + (size_t)c]) * z[r];
            store(at, sum);
        }
    }
    for (; j < d; j++)
        for (int c = 0; c < k; c++)
            for (int r = 0; r < rows; r++)
                g[(size_t)c * stride + j] +=
                    a[(size_t)r * a_stride + (size_t)c] * value1(x[r], j, shift, as);
}

/* Calls TILE with constant counts, so that its loops unroll and its sums stay in registers. */
#define WITH_CONSTANT_COUNTS(TILE, rows, k)                                                        \
    do {                                                                                           \
        if ((rows) == 4) {                                                                         \
            if ((k) == 4)                                                                          \
                TILE(4, 4);                                                                        \
            else if ((k) == 2)                                                                     \
                TILE(4, 2);                                                                        \
            else                                                                                   \
                TILE(4, 1);                                                                        \
        } else {                                                                                   \
            if ((k) == 4)                                                                          \
                TILE(1, 4);                                                                        \
            else if ((k) == 2)                                                                     \
                TILE(1, 2);                                                                        \
            else                                                                                   \
                TILE(1, 1);                                                                        \
        }                                                                                          \
    } while (0)

INLINE void dots_all(const void *const *x, size_t rows, size_t d, twi_shift shift, const float *w,
                     size_t stride, size_t k, double *out, storage as)
{
    size_t kt;
    const size_t rt = rows == 4 ? 4 : 1;
    for (size_t r = 0; r < rows; r += rt)
        for (size_t c = 0; c < k; c += kt) {
            kt = k - c >= 4 ? 4 : k - c >= 2 ? 2 : 1;
#define TILE(R, K) dots_tile(x + r, d, shift, w + c * stride, stride, out + r * k + c, k, R, K, as)
            WITH_CONSTANT_COUNTS(TILE, rt, kt);
#undef TILE
        }
}

INLINE void sums_all(const void *const *x, size_t rows, size_t d, twi_shift shift, const float *a,
                     size_t k, float *g, size_t stride, storage as)
{
    size_t kt;
    const size_t rt = rows == 4 ? 4 : 1;
    for (size_t r = 0; r < rows; r += rt)
        for (size_t c = 0; c < k; c += kt) {
            kt = k - c >= 4 ? 4 : k - c >= 2 ? 2 : 1;
#define TILE(R, K) sums_tile(x + r, d, shift, a + r * k + c, k, g + c * stride, stride, R, K, as)
            WITH_CONSTANT_COUNTS(TILE, rt, kt);
#undef TILE
        }
}

static void dots(const void *const *x, size_t rows, size_t d, twi_shift shift, const float *w,
                 size_t stride, size_t k, double *out)
{
    if (shift.half)
        dots_all(x, rows, d, shift, w, stride, k, out, HALVES);
    else if (shift.mean)
        dots_all(x, rows, d, shift, w, stride, k, out, SHIFTED);
    else
        dots_all(x, rows, d, shift, w, stride, k, out, AS_IS);
}

static void sums(const void *const *x, size_t rows, size_t d, twi_shift shift, const float *a,
                 size_t k, float *g, size_t stride)
{
    if (shift.half)
        sums_all(x, rows, d, shift, a, k, g, stride, HALVES);
    else if (shift.mean)
        sums_all(x, rows, d, shift, a, k, g, stride, SHIFTED);
    else
        sums_all(x, rows, d, shift, a, k, g, stride, AS_IS);
}

static void standardise(const float *x, size_t d, twi_shift shift, float *z)
{
    if (!shift.mean) {
        memcpy(z, x, d * sizeof *z);
        return;
    }
    size_t j = 0;
    for (; j + LANES <= d; j += LANES) store(z + j, value(x, j, shift, SHIFTED));
    for (; j < d; j++) z[j] = value1(x, j, shift, SHIFTED);
}

#ifdef LOAD_HALVES
static void to_half(const float *x, size_t d, twi_shift shift, uint16_t *z)
{
    const storage as = shift.mean ? SHIFTED : AS_IS;
    size_t j = 0;
    for (; j + LANES <= d; j += LANES) STORE_HALVES(z + j, value(x, j, shift, as));
    for (; j < d; j++)
        z[j] = (uint16_t)_cvtss_sh(value1(x, j, shift, as), _MM_FROUND_TO_NEAREST_INT);
}
#else
#define to_half NULL
#endif

/* One register tile: TILE_ROWS x (TILE_VECTORS * LANES) accumulators over the whole depth. */
INLINE void gram_tile(const float *a, size_t lda, const float *b, size_t depth, float *c,
                      size_t ldc)
{
    vec sum[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    for (size_t p = 0; p < depth; p++, b += TWI_GRAM_COLUMNS) {
        vec v[TILE_VECTORS];
        for (int t = 0; t < TILE_VECTORS; t++) v[t] = load(b + t * LANES);
        for (int r = 0; r < TILE_ROWS; r++) {
            const vec s = splat(a[(size_t)r * lda + p]);
            for (int t = 0; t < TILE_VECTORS; t++) sum[r][t] += s * v[t];
        }
    }
    for (int r = 0; r < TILE_ROWS; r++)
        for (int t = 0; t < TILE_VECTORS; t++) {
            float *at = c + (size_t)r * ldc + (size_t)t * LANES;
            store(at, load(at) + sum[r][t]);
        }
}

static void gram(const float *a, size_t lda, const float *b, size_t depth, float *c, size_t ldc)
{
    for (size_t t = 0; t < TWI_GRAM_COLUMNS; t += TILE_VECTORS * LANES)
        for (size_t r = 0; r < TWI_GRAM_ROWS; r += TILE_ROWS)
            gram_tile(a + r * lda, lda, b + t, depth, c + r * ldc + t, ldc);
}

const twi_kernels KERNELS = {KERNELS_NAME, dots, sums, standardise, to_half, gram};
