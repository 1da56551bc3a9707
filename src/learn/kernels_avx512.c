/* kernels_avx512.c - kernels.h in AVX-512F: 24 of 32 registers hold the Gram tile. */
#include <immintrin.h>

#define LANES          16
#define TILE_ROWS      12
#define TILE_VECTORS   2
#define KERNELS        twi_kernels_avx512
#define KERNELS_NAME   "avx512"
#define LOAD_HALVES(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
#define STORE_HALVES(p, v)                                                                         \
    _mm256_storeu_si256((__m256i *)(p), _mm512_cvtps_ph((__m512)(v), _MM_FROUND_TO_NEAREST_INT))
#include "learn/kernels_body.h"
