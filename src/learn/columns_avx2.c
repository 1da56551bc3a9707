/* columns_avx2.c - columns.h built for AVX2. */
#define COLUMNS twi_columns_avx2
#include "learn/columns_body.h"
