/* kernels.h - the inner loops of this room over float rows: scores, gradients and Gram tiles.
 *
 * One body (kernels_body.h) is compiled once per instruction set; the plain build is the reference
 * the others are tested against. A row is standardised in registers, z = (x - mean) * inverse, so
 * no copy of the data is needed. */
#ifndef TWI_LEARN_KERNELS_H
#define TWI_LEARN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TWI_ROWS_AT_ONCE 4  /* rows a dots or sums call may take */
#define TWI_GRAM_ROWS    12 /* the row tile of gram(): a multiple of every build's */
#define TWI_GRAM_COLUMNS 32 /* rows of z interleaved in one packed panel */

/* What makes z of a row x. mean and inverse [d]; both NULL: x is used as it is. half: x is not
 * floats but IEEE halves, standardised before. */
typedef struct twi_shift {
    const float *mean, *inverse;
    bool half;
} twi_shift;

typedef struct twi_kernels {
    const char *name;
    /* out [rows, k] += z(x[r]) . w[c]: x [rows] pointers to rows [d], w [k, stride]; float lanes
     * over short column blocks, double across them. rows <= TWI_ROWS_AT_ONCE. */
    void (*dots)(const void *const *x, size_t rows, size_t d, twi_shift shift, const float *w,
                 size_t stride, size_t k, double *out);
    /* g [k, stride] += sum_r a[r, c] z(x[r]). */
    void (*sums)(const void *const *x, size_t rows, size_t d, twi_shift shift, const float *a,
                 size_t k, float *g, size_t stride);
    /* z [d] = z(x); x are floats. */
    void (*standardise)(const float *x, size_t d, twi_shift shift, float *z);
    /* z [d] = z(x) as halves, rounded to nearest even, too large ones infinite; NULL where halves
     * are not supported. */
    void (*to_half)(const float *x, size_t d, twi_shift shift, uint16_t *z);
    /* c [TWI_GRAM_ROWS, TWI_GRAM_COLUMNS of stride ldc] += a . b: a [TWI_GRAM_ROWS, depth of stride
     * lda] row-major, b [depth, TWI_GRAM_COLUMNS] interleaved. */
    void (*gram)(const float *a, size_t lda, const float *b, size_t depth, float *c, size_t ldc);
} twi_kernels;

extern const twi_kernels twi_kernels_plain;
#if defined(__x86_64__)
extern const twi_kernels twi_kernels_avx2;
extern const twi_kernels twi_kernels_avx512;
#endif

/* The fastest build this machine runs; never NULL. */
const twi_kernels *twi_kernels_best(void);

#endif
