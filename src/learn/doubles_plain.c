/* doubles_plain.c - doubles.h for any machine: two lanes, whatever the compiler makes of them. */
#define LANES        2
#define TILE_ROWS    4
#define TILE_VECTORS 2
#define DOUBLES      twi_doubles_plain
#define DOUBLES_NAME "plain"
#include "learn/doubles_body.h"
