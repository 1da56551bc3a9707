/* winograd_avx512.c - the kernels for AVX-512, and AVX512-BF16. Compiled with those instruction
 * sets on: call it only where oneDNN reports them. */
#include "engine/kernels/winograd_avx512.h"

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)

INLINE void output_1d(const constants *c, const __m512 m[6], __m512 y[4])
{
    const __m512 p = _mm512_add_ps(m[1], m[2]), q = _mm512_sub_ps(m[1], m[2]);
    const __m512 r = _mm512_add_ps(m[3], m[4]), s = _mm512_sub_ps(m[3], m[4]);
    y[0] = _mm512_add_ps(m[0], _mm512_add_ps(p, r));
    y[1] = _mm512_fmadd_ps(c->a, q, _mm512_mul_ps(c->b, s));
    y[2] = _mm512_fmadd_ps(c->a2, p, _mm512_mul_ps(c->b2, r));
    y[3] = _mm512_fmadd_ps(c->a3, q, _mm512_fmadd_ps(c->b3, s, m[5]));
}

INLINE void weight_1d(const __m512 x[3], __m512 t[6])
{
    const double a = TWI_WINO_A, b = TWI_WINO_B, a2 = a * a, b2 = b * b;
    const __m512 at_zero = _mm512_set1_ps((float)(1.0 / (a2 * b2)));
    const __m512 at_a = _mm512_set1_ps((float)(0.5 / (a2 * (a2 - b2))));
    const __m512 at_b = _mm512_set1_ps((float)(0.5 / (b2 * (b2 - a2))));
    const __m512 even_a = _mm512_fmadd_ps(_mm512_set1_ps((float)a2), x[2], x[0]);
    const __m512 even_b = _mm512_fmadd_ps(_mm512_set1_ps((float)b2), x[2], x[0]);
    const __m512 odd_a = _mm512_mul_ps(_mm512_set1_ps((float)a), x[1]);
    const __m512 odd_b = _mm512_mul_ps(_mm512_set1_ps((float)b), x[1]);
    t[0] = _mm512_mul_ps(at_zero, x[0]);
    t[1] = _mm512_mul_ps(at_a, _mm512_add_ps(even_a, odd_a));
    t[2] = _mm512_mul_ps(at_a, _mm512_sub_ps(even_a, odd_a));
    t[3] = _mm512_mul_ps(at_b, _mm512_add_ps(even_b, odd_b));
    t[4] = _mm512_mul_ps(at_b, _mm512_sub_ps(even_b, odd_b));
    t[5] = x[2];
}

static void filters(const float *g, ptrdiff_t stride, ptrdiff_t step,
                    float u[TWI_WINO_POINTS][TWI_WINO_LANES])
{
    const __m512i lanes =
        _mm512_mullo_epi32(_mm512_set1_epi32((int)stride),
                           _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    __m512 half[TWI_WINO_IN][3], t[TWI_WINO_IN]; /* [point][column] */
    for (int x = 0; x < 3; x++) {
        __m512 column[3];
        for (int y = 0; y < 3; y++)
            column[y] = _mm512_i32gather_ps(lanes, g + (3 * y + x) * step, sizeof *g);
        weight_1d(column, t);
        for (int i = 0; i < TWI_WINO_IN; i++) half[i][x] = t[i];
    }
    for (int i = 0; i < TWI_WINO_IN; i++) {
        weight_1d(half[i], t);
        for (int j = 0; j < TWI_WINO_IN; j++) _mm512_storeu_ps(u[i * TWI_WINO_IN + j], t[j]);
    }
}

/* ---- 8 bits -------------------------------------------------------------------------------- */

static void quantise_i8(const float *v, size_t channels, float unit, uint8_t *q, size_t q_point,
                        float *scales, size_t scale_point)
{
    for (size_t i = 0; i < TWI_WINO_POINTS; i++, v += channels, q += q_point) {
        __m512 most = _mm512_setzero_ps();
        for (size_t k = 0; k < channels; k += 16)
            most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(v + k)));
        const float largest = _mm512_reduce_max_ps(most);
        scales[i * scale_point] = largest / 127.0f * unit;
        const __m512 inverse = _mm512_set1_ps(largest > 0.0f ? 127.0f / largest : 0.0f);
        for (size_t k = 0; k < channels; k += 16) {
            const __m512i whole =
                _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(v + k), inverse));
            const __m512i high = _mm512_add_epi32(whole, _mm512_set1_epi32(128));
            _mm_storeu_si128((__m128i *)(q + k), _mm512_cvtepi32_epi8(high));
        }
    }
}

/* sum += u8 by s8 products, four a lane. GCC 12 copies and spills half the sums around its builtin:
 * the loop takes twice as long. */
INLINE __m512i dot(__m512i sum, __m512i x, __m512i w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
}

/* m as multiply_small() below; sums are whole numbers. */
INLINE void multiply_eight(int tiles, int lanes16, size_t depth, const void *v, const void *u,
                           const twi_wino_scales *scales, float *m)
{
    __m512i sum[6][4];
    const size_t steps = depth / 4;
    const int32_t *row = v, *weights = u;
    for (int t = 0; t < tiles; t++)
        for (int z = 0; z < lanes16; z++) sum[t][z] = _mm512_loadu_si512(scales->start + 16 * z);
    for (size_t k = 0; k < steps; k++) {
        __m512i w[4];
        for (int z = 0; z < lanes16; z++) w[z] = _mm512_loadu_si512(weights + 16 * z);
        weights += 16 * lanes16;
        for (int t = 0; t < tiles; t++) {
            const __m512i x = _mm512_set1_epi32(row[(size_t)t * steps + k]);
            for (int z = 0; z < lanes16; z++) sum[t][z] = dot(sum[t][z], x, w[z]);
        }
    }
    for (int t = 0; t < tiles; t++) {
        const __m512 scale = _mm512_set1_ps(scales->rows[t]);
        for (int z = 0; z < lanes16; z++) {
            const __m512 both = _mm512_mul_ps(scale, _mm512_loadu_ps(scales->columns + 16 * z));
            _mm512_storeu_ps(m + t * TWI_WINO_GROUP + 16 * z,
                             _mm512_mul_ps(_mm512_cvtepi32_ps(sum[t][z]), both));
        }
    }
}

/* ---- products ------------------------------------------------------------------------------ */

/* m [tiles, 16 * lanes16]: tiles and lanes16 are constants; 6 * 4 sums fill 24 of the 32 registers.
 */
INLINE void multiply_small(int tiles, int lanes16, size_t depth, const void *v, const void *u,
                           float *m, bool half)
{
    __m512 sum[6][4];
    const size_t steps = half ? depth / 2 : depth; /* 32 bits of each row at a time */
    const float *row = v, *weights = u;
    for (int t = 0; t < tiles; t++)
        for (int z = 0; z < lanes16; z++) sum[t][z] = _mm512_setzero_ps();
    for (size_t k = 0; k < steps; k++) {
        __m512 w[4];
        for (int z = 0; z < lanes16; z++) w[z] = _mm512_loadu_ps(weights + 16 * z);
        weights += 16 * lanes16;
        for (int t = 0; t < tiles; t++) {
            const __m512 x = _mm512_set1_ps(row[(size_t)t * steps + k]);
            for (int z = 0; z < lanes16; z++)
                sum[t][z] = half ? _mm512_dpbf16_ps(sum[t][z], (__m512bh)x, (__m512bh)w[z])
                                 : _mm512_fmadd_ps(x, w[z], sum[t][z]);
        }
    }
    for (int t = 0; t < tiles; t++)
        for (int z = 0; z < lanes16; z++)
            _mm512_storeu_ps(m + t * TWI_WINO_GROUP + 16 * z, sum[t][z]);
}

INLINE void multiply_any(int tiles, int lanes16, size_t depth, const void *v, const void *u,
                         const twi_wino_scales *scales, float *m, twi_dtype dtype)
{
    if (dtype == TWI_I8)
        multiply_eight(tiles, lanes16, depth, v, u, scales, m);
    else
        multiply_small(tiles, lanes16, depth, v, u, m, dtype == TWI_BF16);
}

INLINE void multiply_lanes(int lanes16, size_t tiles, size_t depth, const void *v, const void *u,
                           const twi_wino_scales *scales, float *m, twi_dtype dtype)
{
    const size_t row = depth * (size_t)size_of(dtype);
    const char *at = v;
    twi_wino_scales here = scales ? *scales : (twi_wino_scales){0};
    for (; tiles >= 6; tiles -= 6, at += 6 * row, m += 6 * TWI_WINO_GROUP) {
        multiply_any(6, lanes16, depth, at, u, &here, m, dtype);
        if (dtype == TWI_I8) here.rows += 6;
    }
    switch (tiles) {
    case 5:
        multiply_any(5, lanes16, depth, at, u, &here, m, dtype);
        break;
    case 4:
        multiply_any(4, lanes16, depth, at, u, &here, m, dtype);
        break;
    case 3:
        multiply_any(3, lanes16, depth, at, u, &here, m, dtype);
        break;
    case 2:
        multiply_any(2, lanes16, depth, at, u, &here, m, dtype);
        break;
    case 1:
        multiply_any(1, lanes16, depth, at, u, &here, m, dtype);
        break;
    default:
        break;
    }
}

INLINE void multiply(size_t tiles, size_t depth, size_t lanes16, const void *v, const void *u,
                     const twi_wino_scales *scales, float *m, twi_dtype dtype)
{
    switch (lanes16) {
    case 4:
        multiply_lanes(4, tiles, depth, v, u, scales, m, dtype);
        break;
    case 3:
        multiply_lanes(3, tiles, depth, v, u, scales, m, dtype);
        break;
    case 2:
        multiply_lanes(2, tiles, depth, v, u, scales, m, dtype);
        break;
    default:
        multiply_lanes(1, tiles, depth, v, u, scales, m, dtype);
        break;
    }
}

/* ---- outputs ------------------------------------------------------------------------------- */

/* What is added: where types have 8 bits, which of them is asked anew each time. */
INLINE __m512 old_value(const void *dst, ptrdiff_t at, const twi_wino_end *end, twi_dtype dtype)
{
    if (dtype != TWI_U8 && dtype != TWI_I8) return load(dst, at, dtype);
    const __m512 old = end->old_dtype == TWI_U8 ? load(dst, at, TWI_U8) : load(dst, at, TWI_I8);
    return _mm512_mul_ps(old, _mm512_set1_ps(end->old_scale));
}

/* whole: all 4 x 4 outputs are inside the picture; a constant, as dtype, relu and sum are. */
INLINE void output_16(const float *m, size_t m_point, __m512 bias, bool relu, bool sum,
                      const twi_wino_end *end, twi_wino_inside inside,
                      const twi_wino_strides *strides, void *dst, twi_dtype dtype, bool whole)
{
    const constants c = constants_get();
    __m512 down[TWI_WINO_OUT][TWI_WINO_IN]; /* [row][point] */
    for (int j = 0; j < TWI_WINO_IN; j++) {
        __m512 x[TWI_WINO_IN], y[TWI_WINO_OUT];
        for (int i = 0; i < TWI_WINO_IN; i++)
            x[i] = _mm512_loadu_ps(m + (size_t)(i * TWI_WINO_IN + j) * m_point);
        output_1d(&c, x, y);
        for (int i = 0; i < TWI_WINO_OUT; i++) down[i][j] = y[i];
    }
    const __m512 least = _mm512_setzero_ps(), unit = _mm512_set1_ps(end->unit);
    for (int row = 0; row < TWI_WINO_OUT && (whole || row < inside.row_end); row++) {
        __m512 y[TWI_WINO_OUT];
        output_1d(&c, down[row], y);
        for (int x = 0; x < TWI_WINO_OUT; x++) {
            if (!whole && x >= inside.column_end) break;
            const ptrdiff_t at = row * strides->row + x * strides->pixel;
            __m512 value = _mm512_add_ps(y[x], bias);
            if (sum) value = _mm512_add_ps(value, old_value(dst, at, end, dtype));
            if (relu) value = _mm512_max_ps(value, least);
            if (dtype == TWI_U8 || dtype == TWI_I8) value = _mm512_mul_ps(value, unit);
            store(dst, at, value, dtype);
        }
    }
}

INLINE void output(const float *m, size_t m_point, size_t lanes16, const float *bias,
                   const twi_wino_end *end, twi_wino_inside inside, const twi_wino_strides *strides,
                   void *dst, twi_dtype dtype)
{
    const uintptr_t size = (uintptr_t)size_of(dtype);
    const bool whole = inside.row_end == TWI_WINO_OUT && inside.column_end == TWI_WINO_OUT;
    const bool relu = end->relu, sum = end->sum;
    for (size_t i = 0; i < lanes16; i++) {
        void *to = (char *)dst + i * (uintptr_t)strides->block * size;
        const __m512 shift = _mm512_loadu_ps(bias + 16 * i);
        const float *from = m + 16 * i;
        if (whole && relu && !sum)
            output_16(from, m_point, shift, true, false, end, inside, strides, to, dtype, true);
        else if (whole)
            output_16(from, m_point, shift, relu, sum, end, inside, strides, to, dtype, true);
        else
            output_16(from, m_point, shift, relu, sum, end, inside, strides, to, dtype, false);
    }
}

/* ---- the three element types --------------------------------------------------------------- */

#define MULTIPLY(suffix, type)                                                                     \
    static void multiply_##suffix(size_t tiles, size_t depth, size_t lanes16, const void *v,       \
                                  const void *u, const twi_wino_scales *scales, float *m)          \
    {                                                                                              \
        multiply(tiles, depth, lanes16, v, u, scales, m, type);                                    \
    }

#define KERNELS(suffix, type)                                                                      \
    static void input_##suffix(const void *src, twi_dtype dtype, const twi_wino_strides *strides,  \
                               twi_wino_inside inside, size_t n_blocks, void *v, size_t v_point)   \
    {                                                                                              \
        (void)dtype;                                                                               \
        input(src, strides, inside, n_blocks, v, v_point, type, type, PLACE_CLOSE);                \
    }                                                                                              \
    MULTIPLY(suffix, type)                                                                         \
    static void output_##suffix(const float *m, size_t m_point, size_t lanes16, const float *bias, \
                                const twi_wino_end *end, twi_wino_inside inside,                   \
                                const twi_wino_strides *strides, void *dst)                        \
    {                                                                                              \
        output(m, m_point, lanes16, bias, end, inside, strides, dst, type);                        \
    }                                                                                              \
    static const twi_wino_kernels kernels_##suffix = {.element = type == TWI_BF16 ? 2 : 4,         \
                                                      .filters = filters,                          \
                                                      .input = input_##suffix,                     \
                                                      .multiply = multiply_##suffix,               \
                                                      .output = output_##suffix,                   \
                                                      .gather = twi_wino_gather_##suffix,          \
                                                      .spread = twi_wino_spread_##suffix,          \
                                                      .accumulate = twi_wino_accumulate_##suffix,  \
                                                      .collect = twi_wino_collect,                 \
                                                      .add = twi_wino_add_##suffix};

KERNELS(f32, TWI_F32)
KERNELS(bf16, TWI_BF16)

static void input_i8(const void *src, twi_dtype dtype, const twi_wino_strides *strides,
                     twi_wino_inside inside, size_t n_blocks, void *v, size_t v_point)
{
    if (dtype == TWI_U8)
        input(src, strides, inside, n_blocks, v, v_point, TWI_U8, TWI_F32, PLACE_CLOSE);
    else if (dtype == TWI_I8)
        input(src, strides, inside, n_blocks, v, v_point, TWI_I8, TWI_F32, PLACE_CLOSE);
    else
        input(src, strides, inside, n_blocks, v, v_point, TWI_BF16, TWI_F32, PLACE_CLOSE);
}

MULTIPLY(i8, TWI_I8)

static void output_i8(const float *m, size_t m_point, size_t lanes16, const float *bias,
                      const twi_wino_end *end, twi_wino_inside inside,
                      const twi_wino_strides *strides, void *dst)
{
    if (end->dtype == TWI_U8)
        output(m, m_point, lanes16, bias, end, inside, strides, dst, TWI_U8);
    else if (end->dtype == TWI_I8)
        output(m, m_point, lanes16, bias, end, inside, strides, dst, TWI_I8);
    else
        output(m, m_point, lanes16, bias, end, inside, strides, dst, TWI_BF16);
}

static const twi_wino_kernels kernels_i8 = {.element = 1,
                                            .filters = filters,
                                            .input = input_i8,
                                            .quantise = quantise_i8,
                                            .multiply = multiply_i8,
                                            .output = output_i8};

const twi_wino_kernels *twi_wino_avx512(twi_dtype dtype)
{
    return dtype == TWI_I8 ? &kernels_i8 : dtype == TWI_BF16 ? &kernels_bf16 : &kernels_f32;
}

#else

const twi_wino_kernels *twi_wino_avx512(twi_dtype dtype)
{
    (void)dtype;
    return NULL;
}

#endif
