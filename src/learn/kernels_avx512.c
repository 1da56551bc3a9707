/* kernels_avx512.c - kernels.h in AVX-512F: 24 of 32 registers hold the Gram tile. */
#define LANES        16
#define TILE_ROWS    12
#define TILE_VECTORS 2
#define KERNELS      twi_kernels_avx512
#define KERNELS_NAME "avx512"
#include "learn/kernels_body.h"
