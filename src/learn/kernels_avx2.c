/* kernels_avx2.c - kernels.h in AVX2 and FMA: 12 of 16 registers hold the Gram tile. */
#define LANES        8
#define TILE_ROWS    6
#define TILE_VECTORS 2
#define KERNELS      twi_kernels_avx2
#define KERNELS_NAME "avx2"
#include "learn/kernels_body.h"
