/* doubles_avx2.c - doubles.h in AVX2 and FMA: 12 of 16 registers hold the tile. */
#define LANES        4
#define TILE_ROWS    6
#define TILE_VECTORS 2
#define DOUBLES      twi_doubles_avx2
#define DOUBLES_NAME "avx2"
#include "learn/doubles_body.h"
