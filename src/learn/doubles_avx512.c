/* doubles_avx512.c - doubles.h in AVX-512F: 24 of 32 registers hold the tile. */
#define LANES        8
#define TILE_ROWS    12
#define TILE_VECTORS 2
#define DOUBLES      twi_doubles_avx512
#define DOUBLES_NAME "avx512"
#include "learn/doubles_body.h"
