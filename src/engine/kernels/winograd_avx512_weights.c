/* winograd_avx512_weights.c - the kernels for AVX-512 that gradients of weights need. Compiled with
 * that instruction set on, as winograd_avx512.c is. */
#include "engine/kernels/winograd_avx512.h"

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)

INLINE void spread_1d(const constants *c, const __m512 y[4], __m512 t[6])
{
    const __m512 even_a = _mm512_fmadd_ps(c->a2, y[2], y[0]);
    const __m512 even_b = _mm512_fmadd_ps(c->b2, y[2], y[0]);
    const __m512 odd_a = _mm512_fmadd_ps(c->a3, y[3], _mm512_mul_ps(c->a, y[1]));
    const __m512 odd_b = _mm512_fmadd_ps(c->b3, y[3], _mm512_mul_ps(c->b, y[1]));
    t[0] = y[0];
    t[1] = _mm512_add_ps(even_a, odd_a);
    t[2] = _mm512_sub_ps(even_a, odd_a);
    t[3] = _mm512_add_ps(even_b, odd_b);
    t[4] = _mm512_sub_ps(even_b, odd_b);
    t[5] = y[3];
}

INLINE void spread_16(const void *gradient, const twi_wino_strides *strides, twi_wino_inside inside,
                      void *m, size_t m_point, twi_dtype dtype, place where)
{
    const constants c = constants_get();
    __m512 down[TWI_WINO_IN][TWI_WINO_OUT]; /* [point][column] */
    for (int x = 0; x < TWI_WINO_OUT; x++) {
        __m512 y[TWI_WINO_OUT], t[TWI_WINO_IN];
        for (int row = 0; row < TWI_WINO_OUT; row++)
            y[row] = x < inside.column_end && row < inside.row_end
                         ? load(gradient, row * strides->row + x * strides->pixel, dtype)
                         : _mm512_setzero_ps();
        spread_1d(&c, y, t);
        for (int i = 0; i < TWI_WINO_IN; i++) down[i][x] = t[i];
    }
    for (int i = 0; i < TWI_WINO_IN; i++) {
        __m512 t[TWI_WINO_IN];
        spread_1d(&c, down[i], t);
        for (int j = 0; j < TWI_WINO_IN; j++)
            put(m, (size_t)(i * TWI_WINO_IN + j) * m_point, t[j], dtype, where);
    }
}

INLINE void spread(const void *gradient, const twi_wino_strides *strides, twi_wino_inside inside,
                   size_t n_blocks, void *m, size_t m_point, twi_dtype dtype, place where)
{
    const uintptr_t size = (uintptr_t)size_of(dtype);
    for (size_t i = 0; i < n_blocks; i++)
        spread_16((const void *)((uintptr_t)gradient + i * (uintptr_t)strides->block * size),
                  strides, inside, (uint32_t *)m + i * TWI_WINO_LANES, m_point, dtype, where);
}

/* outputs and lanes16 are constants, as in multiply_small(). */
INLINE void accumulate_small(int outputs, int lanes16, const twi_wino_product *p, size_t from,
                             bool half)
{
    __m512 sum[6][4];
    float *to = p->sum + from * p->sum_row;
    const float *m = (const float *)p->m + from, *v = p->v;
    for (int o = 0; o < outputs; o++)
        for (int z = 0; z < lanes16; z++)
            sum[o][z] = p->first ? _mm512_setzero_ps()
                                 : _mm512_loadu_ps(to + (size_t)o * p->sum_row + 16 * z);
    for (size_t r = 0; r < p->rows; r++, m += p->m_row, v += p->v_row) {
        __m512 w[4];
        for (int z = 0; z < lanes16; z++) w[z] = _mm512_loadu_ps(v + 16 * z);
        for (int o = 0; o < outputs; o++) {
            const __m512 x = _mm512_set1_ps(m[o]);
            for (int z = 0; z < lanes16; z++)
                sum[o][z] = half ? _mm512_dpbf16_ps(sum[o][z], (__m512bh)x, (__m512bh)w[z])
                                 : _mm512_fmadd_ps(x, w[z], sum[o][z]);
        }
    }
    for (int o = 0; o < outputs; o++)
        for (int z = 0; z < lanes16; z++)
            _mm512_storeu_ps(to + (size_t)o * p->sum_row + 16 * z, sum[o][z]);
}

/* Outputs come by 16: twice 6 and 4. */
INLINE void accumulate_lanes(int lanes16, const twi_wino_product *p, bool half)
{
    size_t o = 0;
    for (; p->outputs - o >= 6; o += 6) accumulate_small(6, lanes16, p, o, half);
    for (; p->outputs - o >= 4; o += 4) accumulate_small(4, lanes16, p, o, half);
    for (; o < p->outputs; o++) accumulate_small(1, lanes16, p, o, half);
}

INLINE void accumulate(const twi_wino_product *p, bool half)
{
    switch (p->lanes16) {
    case 4:
        accumulate_lanes(4, p, half);
        break;
    case 3:
        accumulate_lanes(3, p, half);
        break;
    case 2:
        accumulate_lanes(2, p, half);
        break;
    default:
        accumulate_lanes(1, p, half);
        break;
    }
}

INLINE void collect_1d(const __m512 t[6], __m512 x[3])
{
    const double a = TWI_WINO_A, b = TWI_WINO_B, a2 = a * a, b2 = b * b;
    const double at_a = 0.5 / (a2 * (a2 - b2)), at_b = 0.5 / (b2 * (b2 - a2));
    const __m512 even_a = _mm512_add_ps(t[1], t[2]), odd_a = _mm512_sub_ps(t[1], t[2]);
    const __m512 even_b = _mm512_add_ps(t[3], t[4]), odd_b = _mm512_sub_ps(t[3], t[4]);
    x[0] = _mm512_mul_ps(_mm512_set1_ps((float)(1.0 / (a2 * b2))), t[0]);
    x[0] = _mm512_fmadd_ps(_mm512_set1_ps((float)at_a), even_a, x[0]);
    x[0] = _mm512_fmadd_ps(_mm512_set1_ps((float)at_b), even_b, x[0]);
    x[1] = _mm512_mul_ps(_mm512_set1_ps((float)(at_a * a)), odd_a);
    x[1] = _mm512_fmadd_ps(_mm512_set1_ps((float)(at_b * b)), odd_b, x[1]);
    x[2] = _mm512_fmadd_ps(_mm512_set1_ps((float)(at_a * a2)), even_a, t[5]);
    x[2] = _mm512_fmadd_ps(_mm512_set1_ps((float)(at_b * b2)), even_b, x[2]);
}

void twi_wino_collect(const float *u, size_t u_point, float *weights)
{
    const __m512i apart =
        _mm512_setr_epi32(0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99, 108, 117, 126, 135);
    __m512 half[3][TWI_WINO_IN], x[3]; /* [row][column's point] */
    for (int j = 0; j < TWI_WINO_IN; j++) {
        __m512 t[TWI_WINO_IN];
        for (int i = 0; i < TWI_WINO_IN; i++)
            t[i] = _mm512_loadu_ps(u + (size_t)(i * TWI_WINO_IN + j) * u_point);
        collect_1d(t, x);
        for (int y = 0; y < 3; y++) half[y][j] = x[y];
    }
    for (int y = 0; y < 3; y++) {
        collect_1d(half[y], x);
        for (int k = 0; k < 3; k++)
            _mm512_i32scatter_ps(weights + 3 * y + k, apart, x[k], sizeof *weights);
    }
}

INLINE void add(const void *src, ptrdiff_t pixel, size_t count, float sums[TWI_WINO_LANES],
                twi_dtype dtype)
{
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < count; i++)
        sum = _mm512_add_ps(sum, load(src, (ptrdiff_t)i * pixel, dtype));
    _mm512_storeu_ps(sums, sum);
}

/* ---- the two element types ----------------------------------------------------------------- */

#define KERNELS(suffix, type)                                                                      \
    void twi_wino_gather_##suffix(const void *src, const twi_wino_strides *strides,                \
                                  twi_wino_inside inside, size_t n_blocks, void *v,                \
                                  size_t v_point, bool odd)                                        \
    {                                                                                              \
        if (odd)                                                                                   \
            input(src, strides, inside, n_blocks, v, v_point, type, type, PLACE_UPPER);            \
        else                                                                                       \
            input(src, strides, inside, n_blocks, v, v_point, type, type, PLACE_LOWER);            \
    }                                                                                              \
    void twi_wino_spread_##suffix(const void *gradient, const twi_wino_strides *strides,           \
                                  twi_wino_inside inside, size_t n_blocks, void *m,                \
                                  size_t m_point, bool odd)                                        \
    {                                                                                              \
        if (odd)                                                                                   \
            spread(gradient, strides, inside, n_blocks, m, m_point, type, PLACE_UPPER);            \
        else                                                                                       \
            spread(gradient, strides, inside, n_blocks, m, m_point, type, PLACE_LOWER);            \
    }                                                                                              \
    void twi_wino_accumulate_##suffix(const twi_wino_product *product)                             \
    {                                                                                              \
        accumulate(product, type == TWI_BF16);                                                     \
    }                                                                                              \
    void twi_wino_add_##suffix(const void *src, ptrdiff_t pixel, size_t count,                     \
                               float sums[TWI_WINO_LANES])                                         \
    {                                                                                              \
        add(src, pixel, count, sums, type);                                                        \
    }

KERNELS(f32, TWI_F32)
KERNELS(bf16, TWI_BF16)

#else

typedef int none; /* a translation unit may not be empty */

#endif
