/* columns_avx512.c - columns.h built for AVX-512F. */
#define COLUMNS twi_columns_avx512
#include "learn/columns_body.h"
