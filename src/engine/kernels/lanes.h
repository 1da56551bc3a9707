/* lanes.h - arithmetic on rows of float32, 16 values at a time. One text (lanes.c) is compiled for
 * several instruction sets; which table to use is chosen at run time. */
#ifndef TWI_ENGINE_KERNELS_LANES_H
#define TWI_ENGINE_KERNELS_LANES_H

#include "base/memory.h"
#include "network/network.h"

#define TWI_LANES 16

/* No two pointers of a call overlap, but out and y may be x. */
typedef struct twi_lanes {
    /* out [n], gradient of the source of a relu that gave y, to which a and b came back (b NULL: a
     * alone): a + b where y > 0, else 0. All are bfloat16, or half false: float32. */
    void (*relu_back)(const void *y, const void *a, const void *b, bool half, size_t n, void *out);
    /* [n] to and from bfloat16, rounded to nearest even; half false: copied. */
    void (*widen)(const void *src, bool half, size_t n, float *dst);
    void (*narrow)(const float *src, bool half, size_t n, void *dst);
    /* out [rows, width] = x op y; y's rows are y_row floats apart (0: one for all), its values
     * y_step (1, or 0: one for all of a row). op: add, sub, mul, div, min, max,
     * prelu (y: the slope). */
    void (*combine)(twi_op op, size_t rows, size_t width, const float *x, const float *y,
                    size_t y_row, size_t y_step, float *out);
    /* y [n] = (x - mean) / sqrt(variance + epsilon) * scale + shift; scale, shift [n] or NULL. */
    void (*standardise)(const float *x, size_t n, double epsilon, const float *scale,
                        const float *shift, float *y);
    /* y [n] = x / max(its length, epsilon) */
    void (*normalise)(const float *x, size_t n, double epsilon, float *y);
    /* y [n] = exp(x - largest) / sum */
    void (*softmax)(const float *x, size_t n, float *y);
    /* c [m, n] = a [m, k] * b [k, n]; n a multiple of TWI_LANES; lda, ldb, ldc floats from row to
     * row. */
    void (*multiply)(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                     size_t ldb, float *c, size_t ldc);
} twi_lanes;

extern const twi_lanes twi_lanes_plain; /* any machine */
/* Null pointers inside where this build has none. */
extern const twi_lanes twi_lanes_avx2;
extern const twi_lanes twi_lanes_avx512;

#endif
