/* lanes.c - compiled once for each instruction set, which names its table TWI_LANES_TABLE. */
#include "engine/kernels/lanes.h"

#include <math.h>
#include <string.h>

#if defined(TWI_LANES_EVERYWHERE) || defined(__AVX2__)

#define INLINE static inline __attribute__((always_inline))

/* GCC's vectors, which clang has as well: whatever their size, they become what the machine has. */
typedef float lanes __attribute__((vector_size(64)));
typedef int32_t int_lanes __attribute__((vector_size(64)));
typedef uint32_t bit_lanes __attribute__((vector_size(64)));
typedef uint16_t half_lanes __attribute__((vector_size(32)));

INLINE lanes load(const float *at)
{
    lanes v;
    memcpy(&v, at, sizeof v);
    return v;
}

INLINE void store(float *at, lanes v)
{
    memcpy(at, &v, sizeof v);
}

INLINE lanes splat(float x)
{
    return x - (lanes){0};
}

/* The n < TWI_LANES values at at; the rest is rest. */
INLINE lanes load_part(const float *at, size_t n, float rest)
{
    float v[TWI_LANES];
    for (size_t i = 0; i < TWI_LANES; i++) v[i] = i < n ? at[i] : rest;
    return load(v);
}

INLINE void store_part(float *at, size_t n, lanes v)
{
    float all[TWI_LANES];
    store(all, v);
    for (size_t i = 0; i < n; i++) at[i] = all[i];
}

INLINE lanes choose(int_lanes where, lanes a, lanes b)
{
    return (lanes)(((int_lanes)a & where) | ((int_lanes)b & ~where));
}

INLINE lanes largest(lanes a, lanes b)
{
    return choose(a > b, a, b);
}

/* ---- bfloat16 ------------------------------------------------------------------------------ */

static void widen(const void *src, bool half, size_t n, float *dst)
{
    const uint16_t *from = src;
    size_t i = 0;
    if (!half) {
        memmove(dst, src, n * sizeof *dst);
        return;
    }
    for (; i + TWI_LANES <= n; i += TWI_LANES) {
        half_lanes v;
        memcpy(&v, from + i, sizeof v);
        store(dst + i, (lanes)(__builtin_convertvector(v, bit_lanes) << 16));
    }
    for (; i < n; i++) {
        const uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(dst + i, &bits, sizeof bits);
    }
}

INLINE bit_lanes rounded(lanes x)
{
    const bit_lanes bits = (bit_lanes)x, even = (bits >> 16) & 1;
    const bit_lanes nan = (bit_lanes)(x != x);
    return (((bits + 0x7fff + even) >> 16) & ~nan) | (nan & 0x7fc0);
}

static void narrow(const float *src, bool half, size_t n, void *dst)
{
    uint16_t *to = dst;
    if (!half) {
        memmove(dst, src, n * sizeof *src);
        return;
    }
    for (size_t i = 0; i < n; i += TWI_LANES) {
        const size_t left = n - i < TWI_LANES ? n - i : TWI_LANES;
        const lanes x = left == TWI_LANES ? load(src + i) : load_part(src + i, left, 0.0f);
        const half_lanes v = __builtin_convertvector(rounded(x), half_lanes);
        memcpy(to + i, &v, left * sizeof *to);
    }
}

/* ---- relu, backward ------------------------------------------------------------------------ */

INLINE lanes load_as(const void *src, bool half, size_t i)
{
    half_lanes v;
    if (!half) return load((const float *)src + i);
    memcpy(&v, (const uint16_t *)src + i, sizeof v);
    return (lanes)(__builtin_convertvector(v, bit_lanes) << 16);
}

INLINE void store_as(void *dst, bool half, size_t i, lanes x)
{
    if (!half) {
        store((float *)dst + i, x);
        return;
    }
    const half_lanes v = __builtin_convertvector(rounded(x), half_lanes);
    memcpy((uint16_t *)dst + i, &v, sizeof v);
}

/* half and two (b is there) are constants in each call. */
INLINE void relu_back_as(const void *y, const void *a, const void *b, bool half, bool two, size_t n,
                         void *out)
{
    for (size_t i = 0; i + TWI_LANES <= n; i += TWI_LANES) {
        const lanes sum = two ? load_as(a, half, i) + load_as(b, half, i) : load_as(a, half, i);
        store_as(out, half, i, choose(load_as(y, half, i) > (lanes){0}, sum, (lanes){0}));
    }
}

/* Of n only what fills lanes. */
static void relu_back_whole(const void *y, const void *a, const void *b, bool half, size_t n,
                            void *out)
{
    if (half && b)
        relu_back_as(y, a, b, true, true, n, out);
    else if (half)
        relu_back_as(y, a, b, true, false, n, out);
    else if (b)
        relu_back_as(y, a, b, false, true, n, out);
    else
        relu_back_as(y, a, b, false, false, n, out);
}

static void relu_back(const void *y, const void *a, const void *b, bool half, size_t n, void *out)
{
    const void *const from[3] = {y, a, b};
    const size_t size = half ? sizeof(uint16_t) : sizeof(float);
    const size_t whole = n / TWI_LANES * TWI_LANES;
    float end[3][TWI_LANES] = {{0}}; /* or as many halves */
    relu_back_whole(y, a, b, half, n, out);
    if (whole == n) return;
    for (size_t k = 0; k < 3; k++)
        if (from[k])
            memcpy(end[k], (const unsigned char *)from[k] + whole * size, (n - whole) * size);
    relu_back_whole(end[0], end[1], b ? end[2] : NULL, half, TWI_LANES, end[0]);
    memcpy((unsigned char *)out + whole * size, end[0], (n - whole) * size);
}

/* ---- two operands -------------------------------------------------------------------------- */

INLINE lanes compute(twi_op op, lanes x, lanes y)
{
    switch (op) {
    case TWI_OP_SUB:
        return x - y;
    case TWI_OP_MUL:
        return x * y;
    case TWI_OP_DIV:
        return x / y;
    case TWI_OP_MIN:
        return choose(x < y, x, y);
    case TWI_OP_MAX:
        return choose(x > y, x, y);
    case TWI_OP_PRELU:
        return choose(x > (lanes){0}, x, x * y);
    default:
        return x + y;
    }
}

INLINE void combine_row(twi_op op, size_t n, const float *x, const float *y, size_t y_step,
                        float *out)
{
    size_t i = 0;
    for (; i + TWI_LANES <= n; i += TWI_LANES)
        store(out + i, compute(op, load(x + i), y_step ? load(y + i) : splat(*y)));
    if (i == n) return;
    const lanes rest = y_step ? load_part(y + i, n - i, 1.0f) : splat(*y);
    store_part(out + i, n - i, compute(op, load_part(x + i, n - i, 1.0f), rest));
}

INLINE void combine_as(twi_op op, size_t rows, size_t width, const float *x, const float *y,
                       size_t y_row, size_t y_step, float *out)
{
    for (size_t r = 0; r < rows; r++)
        combine_row(op, width, x + r * width, y + r * y_row, y_step, out + r * width);
}

/* op is a constant in each call: one text, seven loops. */
static void combine(twi_op op, size_t rows, size_t width, const float *x, const float *y,
                    size_t y_row, size_t y_step, float *out)
{
    switch (op) {
    case TWI_OP_SUB:
        combine_as(TWI_OP_SUB, rows, width, x, y, y_row, y_step, out);
        break;
    case TWI_OP_MUL:
        combine_as(TWI_OP_MUL, rows, width, x, y, y_row, y_step, out);
        break;
    case TWI_OP_DIV:
        combine_as(TWI_OP_DIV, rows, width, x, y, y_row, y_step, out);
        break;
    case TWI_OP_MIN:
        combine_as(TWI_OP_MIN, rows, width, x, y, y_row, y_step, out);
        break;
    case TWI_OP_MAX:
        combine_as(TWI_OP_MAX, rows, width, x, y, y_row, y_step, out);
        break;
    case TWI_OP_PRELU:
        combine_as(TWI_OP_PRELU, rows, width, x, y, y_row, y_step, out);
        break;
    default:
        combine_as(TWI_OP_ADD, rows, width, x, y, y_row, y_step, out);
        break;
    }
}

/* ---- norms --------------------------------------------------------------------------------- */

/* Sums keep TWI_LANES partial sums in double: one order on every machine. */
static double fold(const double part[TWI_LANES])
{
    double sum = 0.0;
    for (size_t i = 0; i < TWI_LANES; i++) sum += part[i];
    return sum;
}

static double sum_of(const float *x, size_t n)
{
    double part[TWI_LANES] = {0};
    size_t i = 0;
    for (; i + TWI_LANES <= n; i += TWI_LANES)
        for (size_t k = 0; k < TWI_LANES; k++) part[k] += (double)x[i + k];
    for (size_t k = 0; i + k < n; k++) part[k] += (double)x[i + k];
    return fold(part);
}

/* The sum of (x - middle) squared. */
static double squares_of(const float *x, size_t n, double middle)
{
    double part[TWI_LANES] = {0};
    size_t i = 0;
    for (; i + TWI_LANES <= n; i += TWI_LANES)
        for (size_t k = 0; k < TWI_LANES; k++) {
            const double d = (double)x[i + k] - middle;
            part[k] += d * d;
        }
    for (size_t k = 0; i + k < n; k++) {
        const double d = (double)x[i + k] - middle;
        part[k] += d * d;
    }
    return fold(part);
}

static void standardise(const float *x, size_t n, double epsilon, const float *scale,
                        const float *shift, float *y)
{
    const double mean = sum_of(x, n) / (double)n;
    const double variance = squares_of(x, n, mean) / (double)n;
    const float middle = (float)mean, factor = (float)(1.0 / sqrt(variance + epsilon));
    for (size_t i = 0; i < n; i++) y[i] = (x[i] - middle) * factor;
    for (size_t i = 0; scale && i < n; i++) y[i] *= scale[i];
    for (size_t i = 0; shift && i < n; i++) y[i] += shift[i];
}

static void normalise(const float *x, size_t n, double epsilon, float *y)
{
    const double length = fmax(sqrt(squares_of(x, n, 0.0)), epsilon);
    const float factor = length > 0.0 ? (float)(1.0 / length) : 0.0f;
    for (size_t i = 0; i < n; i++) y[i] = x[i] * factor;
}

/* ---- softmax ------------------------------------------------------------------------------- */

/* exp(x) for x <= 0, to 1 or 2 units in the last place: 2^n exp(r), r within ln 2 / 2 of 0; the
 * polynomial is Cephes's (Moshier 1992, expf.c). */
INLINE lanes exp_lanes(lanes x)
{
    const lanes magic = splat(12582912.0f); /* 3 * 2^22: the last bit is 1 */
    x = largest(x, splat(-87.0f));
    const lanes shifted = x * splat(1.44269504f) + magic;
    const lanes n = shifted - magic;
    const lanes r = (x - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f);
    lanes p = splat(1.9875691500e-4f);
    p = p * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    p = p * r * r + r + splat(1.0f);
    const int_lanes power = ((int_lanes)shifted - (int_lanes)magic) << 23;
    return (lanes)((int_lanes)p + power);
}

static float largest_of(const float *x, size_t n)
{
    lanes most = splat(-INFINITY);
    size_t i = 0;
    for (; i + TWI_LANES <= n; i += TWI_LANES) most = largest(most, load(x + i));
    if (i < n) most = largest(most, load_part(x + i, n - i, -INFINITY));
    float all[TWI_LANES], answer = -INFINITY;
    store(all, most);
    for (size_t k = 0; k < TWI_LANES; k++) answer = all[k] > answer ? all[k] : answer;
    return answer;
}

static void softmax(const float *x, size_t n, float *y)
{
    const lanes most = splat(largest_of(x, n));
    size_t i = 0;
    for (; i + TWI_LANES <= n; i += TWI_LANES) store(y + i, exp_lanes(load(x + i) - most));
    if (i < n) store_part(y + i, n - i, exp_lanes(load_part(x + i, n - i, *x) - most));
    const float factor = (float)(1.0 / sum_of(y, n));
    for (i = 0; i < n; i++) y[i] *= factor;
}

/* ---- matrices ------------------------------------------------------------------------------ */

#define TILE 4 /* rows at once */

/* c [rows <= TILE, LANES * wide] of one tile; rows and wide are constants in each call. */
INLINE void multiply_tile(size_t rows, size_t wide, size_t k, const float *a, size_t lda,
                          const float *b, size_t ldb, float *c, size_t ldc)
{
    lanes sum[TILE][2] = {{{0}}};
    for (size_t i = 0; i < k; i++)
        for (size_t r = 0; r < rows; r++)
            for (size_t w = 0; w < wide; w++)
                sum[r][w] += splat(a[r * lda + i]) * load(b + i * ldb + w * TWI_LANES);
    for (size_t r = 0; r < rows; r++)
        for (size_t w = 0; w < wide; w++) store(c + r * ldc + w * TWI_LANES, sum[r][w]);
}

static void multiply_rows(size_t rows, size_t n, size_t k, const float *a, size_t lda,
                          const float *b, size_t ldb, float *c, size_t ldc)
{
    size_t j = 0;
    for (; j + 2 * TWI_LANES <= n; j += 2 * TWI_LANES) {
        if (rows == TILE)
            multiply_tile(TILE, 2, k, a, lda, b + j, ldb, c + j, ldc);
        else
            for (size_t r = 0; r < rows; r++)
                multiply_tile(1, 2, k, a + r * lda, lda, b + j, ldb, c + r * ldc + j, ldc);
    }
    for (size_t r = 0; j < n && r < rows; r++)
        multiply_tile(1, 1, k, a + r * lda, lda, b + j, ldb, c + r * ldc + j, ldc);
}

static void multiply(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                     size_t ldb, float *c, size_t ldc)
{
    for (size_t i = 0; i < m; i += TILE)
        multiply_rows(m - i < TILE ? m - i : TILE, n, k, a + i * lda, lda, b, ldb, c + i * ldc,
                      ldc);
}

const twi_lanes TWI_LANES_TABLE = {relu_back,   widen,     narrow,  combine,
                                   standardise, normalise, softmax, multiply};

#else

const twi_lanes TWI_LANES_TABLE = {0};

#endif
