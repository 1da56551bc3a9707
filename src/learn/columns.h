/* columns.h - the scaler's inner loops. Apart from kernels.h because their bits are promised: they
 * are built without fused multiply-add, and each column's operations run in the order NumPy's do
 * whatever the instruction set. */
#ifndef TWI_LEARN_COLUMNS_H
#define TWI_LEARN_COLUMNS_H

#include <stddef.h>

typedef struct twi_columns {
    /* sum [width] += x [width] */
    void (*add)(const float *x, size_t width, double *sum);
    /* e = x - mean: error [width] += e, square [width] += e * e */
    void (*moments)(const float *x, const double *mean, size_t width, double *error,
                    double *square);
    /* z [width] = (x - mean) / scale, rounded to float after each step */
    void (*transform)(const float *x, const double *mean, const double *scale, size_t width,
                      float *z);
} twi_columns;

extern const twi_columns twi_columns_plain;
#if defined(__x86_64__)
extern const twi_columns twi_columns_avx2;
extern const twi_columns twi_columns_avx512;
#endif

/* The fastest build this machine runs; never NULL. All give the same bits. */
const twi_columns *twi_columns_best(void);

#endif
