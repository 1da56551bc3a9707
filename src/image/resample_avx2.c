/* resample_avx2.c - the resampling kernels for AVX2: same bits as resample.c.
 *
 * A weight has 23 bits and AVX2 multiplies and adds pairs of 16-bit numbers, so each weight is
 * split into high * 2048 + low (resample.h). Both halves' sums stay below 2^31 and (sum high << 11)
 * + sum low is the plain C sum, exactly: integer arithmetic modulo 2^32 does not round. */
#include "image/resample.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))

/* Four pixels of three channels to pairs of 16-bit samples: pixels 0,1 in the low half, 2,3 in the
 * high. */
AVX2 static inline __m256i pairs_of_rgb(__m128i bytes)
{
    const __m256i order =
        _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7,
                         -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), order);
}

/* Four 16-bit weights: the first two, repeated, in the low half; the other two in the high. */
AVX2 static inline __m256i pairs_of_weights(const int16_t *weights)
{
    const __m256i order = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6,
                                           7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
    int64_t four;
    memcpy(&four, weights, sizeof four);
    return _mm256_shuffle_epi8(_mm256_set1_epi64x(four), order);
}

/* r, g, b, 0 before clipping: (high << 11) + low + half, both halves of the pixels, >> 22. */
AVX2 static inline __m128i finish_rgb(__m256i high, __m256i low)
{
    const __m256i sums = _mm256_add_epi32(_mm256_slli_epi32(high, TWI_SPLIT_BITS), low);
    const __m128i sum =
        _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const __m128i half = _mm_set1_epi32(1 << (TWI_PRECISION_BITS - 1));
    return _mm_srai_epi32(_mm_add_epi32(sum, half), TWI_PRECISION_BITS);
}

/* Output i of four rows. Reads 16 bytes for each four taps, writes 4 bytes for each 3. */
AVX2 static inline void pixel_rgb(const uint8_t *const src[TWI_RESAMPLE_ROWS], const twi_taps *taps,
                                  size_t i, uint8_t *const dst[TWI_RESAMPLE_ROWS])
{
    const int16_t *const high = taps->high + i * taps->stride;
    const int16_t *const low = taps->low + i * taps->stride;
    const size_t offset = taps->first[i] * 3;
    __m256i h[TWI_RESAMPLE_ROWS], l[TWI_RESAMPLE_ROWS];

    for (int r = 0; r < TWI_RESAMPLE_ROWS; r++) h[r] = l[r] = _mm256_setzero_si256();
    for (size_t j = 0; j < taps->count[i]; j += 4) {
        const __m256i wh = pairs_of_weights(high + j), wl = pairs_of_weights(low + j);
        for (int r = 0; r < TWI_RESAMPLE_ROWS; r++) {
            const void *const from = src[r] + offset + j * 3;
            const __m256i pixels = pairs_of_rgb(_mm_loadu_si128(from));
            h[r] = _mm256_add_epi32(h[r], _mm256_madd_epi16(pixels, wh));
            l[r] = _mm256_add_epi32(l[r], _mm256_madd_epi16(pixels, wl));
        }
    }
    const __m128i rows01 = _mm_packs_epi32(finish_rgb(h[0], l[0]), finish_rgb(h[1], l[1]));
    const __m128i rows23 = _mm_packs_epi32(finish_rgb(h[2], l[2]), finish_rgb(h[3], l[3]));
    const __m128i bytes = _mm_packus_epi16(rows01, rows23);
    const int four[TWI_RESAMPLE_ROWS] = {_mm_extract_epi32(bytes, 0), _mm_extract_epi32(bytes, 1),
                                         _mm_extract_epi32(bytes, 2), _mm_extract_epi32(bytes, 3)};
    for (int r = 0; r < TWI_RESAMPLE_ROWS; r++) memcpy(dst[r] + i * 3, &four[r], 4);
}

AVX2 static void rows_avx2(const uint8_t *const src[TWI_RESAMPLE_ROWS], size_t readable,
                           unsigned channels, const twi_taps *taps,
                           uint8_t *const dst[TWI_RESAMPLE_ROWS])
{
    size_t safe = taps->n;

    if (channels != 3 || taps->stride > TWI_SPLIT_TAPS) {
        twi_resample_ref.rows(src, readable, channels, taps, dst);
        return;
    }
    /* The last outputs' 16-byte loads would read too far; first only grows, so this finds them all.
     */
    while (safe > 0 && (taps->first[safe - 1] + taps->stride) * 3 + 4 > readable) safe--;
    for (size_t i = 0; i < safe; i++) pixel_rgb(src, taps, i, dst);
    if (safe < taps->n) {
        const twi_taps tail = {.n = taps->n - safe,
                               .stride = taps->stride,
                               .first = taps->first + safe,
                               .count = taps->count + safe,
                               .weights = taps->weights + safe * taps->stride};
        uint8_t *const at[TWI_RESAMPLE_ROWS] = {dst[0] + safe * 3, dst[1] + safe * 3,
                                                dst[2] + safe * 3, dst[3] + safe * 3};
        twi_resample_ref.rows(src, readable, channels, &tail, at);
    }
}

/* Sixteen samples of rows a and b, paired, times a pair of weights, added to sums of 8 + 8. */
AVX2 static inline void add_pair(__m128i a, __m128i b, __m256i high, __m256i low, __m256i sums[4])
{
    const __m256i left = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
    const __m256i right = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(left, high));
    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(right, high));
    sums[2] = _mm256_add_epi32(sums[2], _mm256_madd_epi16(left, low));
    sums[3] = _mm256_add_epi32(sums[3], _mm256_madd_epi16(right, low));
}

AVX2 static inline __m256i finish_column(__m256i high, __m256i low)
{
    const __m256i half = _mm256_set1_epi32(1 << (TWI_PRECISION_BITS - 1));
    const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, TWI_SPLIT_BITS), low);
    return _mm256_srai_epi32(_mm256_add_epi32(sum, half), TWI_PRECISION_BITS);
}

AVX2 static inline __m256i pair_of(const int16_t *weights, size_t j, size_t count)
{
    const unsigned second = j + 1 < count ? (uint16_t)weights[j + 1] : 0U;
    return _mm256_set1_epi32((int)((uint16_t)weights[j] | second << 16));
}

AVX2 static void column_avx2(const uint8_t *const *src, const twi_taps *taps, size_t i, size_t from,
                             size_t to, uint8_t *dst)
{
    const int16_t *const high = taps->high + i * taps->stride;
    const int16_t *const low = taps->low + i * taps->stride;
    const size_t count = taps->count[i];
    size_t x = from;

    for (; x + 16 <= to && taps->stride <= TWI_SPLIT_TAPS; x += 16) {
        __m256i sums[4];
        for (int s = 0; s < 4; s++) sums[s] = _mm256_setzero_si256();
        for (size_t j = 0; j < count; j += 2) {
            const uint8_t *const second = j + 1 < count ? src[j + 1] : src[j];
            add_pair(_mm_loadu_si128((const void *)(src[j] + x)),
                     _mm_loadu_si128((const void *)(second + x)), pair_of(high, j, count),
                     pair_of(low, j, count), sums);
        }
        const __m256i words =
            _mm256_packs_epi32(finish_column(sums[0], sums[2]), finish_column(sums[1], sums[3]));
        /* packs works within halves: put 0-3, 4-7, 8-11, 12-15 back in order */
        const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0x08);
        const __m128i order = _mm_setr_epi8(0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15);
        _mm_storeu_si128((void *)(dst + x), _mm_shuffle_epi8(_mm256_castsi256_si128(bytes), order));
    }
    if (x < to) twi_resample_ref.column(src, taps, i, x, to, dst);
}

const twi_resample_kernels twi_resample_avx2 = {rows_avx2, column_avx2};

#endif
