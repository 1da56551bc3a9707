/* winograd_avx512.h - what the two files of kernels for AVX-512 share. */
#ifndef TWI_ENGINE_KERNELS_WINOGRAD_AVX512_H
#define TWI_ENGINE_KERNELS_WINOGRAD_AVX512_H

#include "engine/kernels/winograd.h"

/* winograd_avx512_weights.c: see twi_wino_kernels. */
#define DECLARE(suffix)                                                                            \
    void twi_wino_gather_##suffix(const void *src, const twi_wino_strides *strides,                \
                                  twi_wino_inside inside, size_t n_blocks, void *v,                \
                                  size_t v_point, bool odd);                                       \
    void twi_wino_spread_##suffix(const void *gradient, const twi_wino_strides *strides,           \
                                  twi_wino_inside inside, size_t n_blocks, void *m,                \
                                  size_t m_point, bool odd);                                       \
    void twi_wino_accumulate_##suffix(const twi_wino_product *product);                            \
    void twi_wino_add_##suffix(const void *src, ptrdiff_t pixel, size_t count,                     \
                               float sums[TWI_WINO_LANES]);
DECLARE(f32)
DECLARE(bf16)
#undef DECLARE
void twi_wino_collect(const float *u, size_t u_point, float *weights);

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

/* What is a dtype here is a constant in every caller: one text, several kernels. */
INLINE __m512 load(const void *at, ptrdiff_t i, twi_dtype dtype)
{
    if (dtype == TWI_F32) return _mm512_loadu_ps((const float *)at + i);
    if (dtype == TWI_BF16) {
        const __m256i bits = _mm256_loadu_si256((const __m256i *)((const uint16_t *)at + i));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
    }
    const __m128i bytes = _mm_loadu_si128((const __m128i *)((const uint8_t *)at + i));
    return _mm512_cvtepi32_ps(dtype == TWI_U8 ? _mm512_cvtepu8_epi32(bytes)
                                              : _mm512_cvtepi8_epi32(bytes));
}

INLINE void store(void *at, ptrdiff_t i, __m512 value, twi_dtype dtype)
{
    if (dtype == TWI_F32) {
        _mm512_storeu_ps((float *)at + i, value);
    } else if (dtype == TWI_BF16) {
        _mm256_storeu_si256((__m256i *)((uint16_t *)at + i), (__m256i)_mm512_cvtneps_pbh(value));
    } else {
        const __m512i whole = _mm512_cvtps_epi32(value);
        const __m128i bytes =
            dtype == TWI_U8
                ? _mm512_cvtusepi32_epi8(_mm512_max_epi32(whole, _mm512_setzero_si512()))
                : _mm512_cvtsepi32_epi8(whole);
        _mm_storeu_si128((__m128i *)((uint8_t *)at + i), bytes);
    }
}

/* In bytes. */
INLINE ptrdiff_t size_of(twi_dtype dtype)
{
    return dtype == TWI_F32 ? 4 : dtype == TWI_BF16 ? 2 : 1;
}

typedef struct constants { /* see winograd_plain.c */
    __m512 a, b, a2, b2, a3, b3, product, sum;
} constants;

INLINE constants constants_get(void)
{
    const double a = TWI_WINO_A, b = TWI_WINO_B;
    return (constants){.a = _mm512_set1_ps((float)a),
                       .b = _mm512_set1_ps((float)b),
                       .a2 = _mm512_set1_ps((float)(a * a)),
                       .b2 = _mm512_set1_ps((float)(b * b)),
                       .a3 = _mm512_set1_ps((float)(a * a * a)),
                       .b3 = _mm512_set1_ps((float)(b * b * b)),
                       .product = _mm512_set1_ps((float)(a * a * b * b)),
                       .sum = _mm512_set1_ps((float)(a * a + b * b))};
}

INLINE void input_1d(const constants *c, const __m512 x[6], __m512 t[6])
{
    const __m512 p = _mm512_fnmadd_ps(c->b2, x[2], x[4]), q = _mm512_fnmadd_ps(c->b2, x[1], x[3]);
    const __m512 r = _mm512_fnmadd_ps(c->a2, x[2], x[4]), s = _mm512_fnmadd_ps(c->a2, x[1], x[3]);
    t[0] = _mm512_fmadd_ps(c->product, x[0], _mm512_fnmadd_ps(c->sum, x[2], x[4]));
    t[1] = _mm512_fmadd_ps(c->a, q, p);
    t[2] = _mm512_fnmadd_ps(c->a, q, p);
    t[3] = _mm512_fmadd_ps(c->b, s, r);
    t[4] = _mm512_fnmadd_ps(c->b, s, r);
    t[5] = _mm512_fmadd_ps(c->product, x[1], _mm512_fnmadd_ps(c->sum, x[3], x[5]));
}

/* How a transformed tile is stored: one element beside the other, or, for gradients of weights, a
 * word each, of which bfloat16 takes the lower or the upper half. A constant everywhere. */
typedef enum place { PLACE_CLOSE, PLACE_LOWER, PLACE_UPPER } place;

INLINE void put(void *v, size_t i, __m512 value, twi_dtype to, place where)
{
    if (to != TWI_BF16 || where == PLACE_CLOSE) {
        store(v, (ptrdiff_t)i, value, to);
        return;
    }
    void *at = (uint32_t *)v + i;
    __m512i words = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(value));
    if (where == PLACE_UPPER)
        words = _mm512_or_si512(_mm512_loadu_si512(at), _mm512_slli_epi32(words, 16));
    _mm512_storeu_si512(at, words);
}

/* whole: the tile is inside the picture, a constant too. */
INLINE void input_16(const void *src, const twi_wino_strides *strides, twi_wino_inside inside,
                     void *v, size_t v_point, twi_dtype from, twi_dtype to, place where, bool whole)
{
    const constants c = constants_get();
    const ptrdiff_t size = size_of(from);
    __m512 down[TWI_WINO_IN][TWI_WINO_IN]; /* [point][column] */
    /* The columns that the next tile to the right does not share: without this a third of the time
     * is spent waiting for them. */
    for (int y = 0; whole && y < TWI_WINO_IN; y++)
        for (int x = TWI_WINO_IN; x < TWI_WINO_IN + TWI_WINO_OUT; x++)
            _mm_prefetch((const char *)src + (y * strides->row + x * strides->pixel) * size,
                         _MM_HINT_T0);
    for (int x = 0; x < TWI_WINO_IN; x++) {
        __m512 d[TWI_WINO_IN], t[TWI_WINO_IN];
        const bool column = whole || (x >= inside.column_first && x < inside.column_end);
        for (int y = 0; y < TWI_WINO_IN; y++) {
            const bool pixel = whole || (column && y >= inside.row_first && y < inside.row_end);
            d[y] = pixel ? load(src, y * strides->row + x * strides->pixel, from)
                         : _mm512_setzero_ps();
        }
        input_1d(&c, d, t);
        for (int i = 0; i < TWI_WINO_IN; i++) down[i][x] = t[i];
    }
    for (int i = 0; i < TWI_WINO_IN; i++) {
        __m512 t[TWI_WINO_IN];
        input_1d(&c, down[i], t);
        for (int j = 0; j < TWI_WINO_IN; j++)
            put(v, (size_t)(i * TWI_WINO_IN + j) * v_point, t[j], to, where);
    }
}

INLINE void input(const void *src, const twi_wino_strides *strides, twi_wino_inside inside,
                  size_t n_blocks, void *v, size_t v_point, twi_dtype from, twi_dtype to,
                  place where)
{
    const uintptr_t size = (uintptr_t)size_of(from);
    const size_t step = TWI_WINO_LANES * (where == PLACE_CLOSE ? (size_t)size_of(to) : 4);
    const bool whole = inside.row_first == 0 && inside.row_end == TWI_WINO_IN &&
                       inside.column_first == 0 && inside.column_end == TWI_WINO_IN;
    for (size_t i = 0; i < n_blocks; i++) {
        const void *at = (const void *)((uintptr_t)src + i * (uintptr_t)strides->block * size);
        void *into = (char *)v + i * step;
        if (whole)
            input_16(at, strides, inside, into, v_point, from, to, where, true);
        else
            input_16(at, strides, inside, into, v_point, from, to, where, false);
    }
}

#endif
#endif
