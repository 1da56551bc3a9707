/* columns_plain.c - columns.h built for any machine. */
#define COLUMNS twi_columns_plain
#include "learn/columns_body.h"
