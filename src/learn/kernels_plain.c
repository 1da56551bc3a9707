/* kernels_plain.c - kernels.h for any machine: four lanes, whatever the compiler makes of them. */
#define LANES        4
#define TILE_ROWS    4
#define TILE_VECTORS 2
#define KERNELS      twi_kernels_plain
#define KERNELS_NAME "plain"
#include "learn/kernels_body.h"
