/* kernels_avx2.c - kernels.h in AVX2, FMA and F16C: 12 of 16 registers hold the Gram tile. */
#include <immintrin.h>

#define LANES          8
#define TILE_ROWS      6
#define TILE_VECTORS   2
#define KERNELS        twi_kernels_avx2
#define KERNELS_NAME   "avx2"
#define LOAD_HALVES(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define STORE_HALVES(p, v)                                                                         \
    _mm_storeu_si128((__m128i *)(p), _mm256_cvtps_ph((__m256)(v), _MM_FROUND_TO_NEAREST_INT))
#include "learn/kernels_body.h"
