/* gram.h - the Gram matrix of standardised rows, and the products of two sets of rows, in float, by
 * tiles of our own kernels. */
#ifndef TWI_LEARN_GRAM_H
#define TWI_LEARN_GRAM_H

#include "learn/rows.h"

typedef struct twi_gram {
    size_t n, stride; /* stride >= n, the tail of each row is zero */
    float *k;         /* [n rounded up, stride] z_i . z_j, symmetric to the bit */
} twi_gram;

tw_status twi_gram_new(tw_ctx *ctx, const twi_rows *rows, twi_gram *out);
/* The Gram matrix of the rows with one more feature, always 1. */
void twi_gram_add_one(twi_gram *gram);
void twi_gram_free(twi_gram *gram);

/* The products of rows a with rows b, each under its own shift. */
typedef struct twi_products {
    size_t m, n, stride; /* of a, of b; stride >= n */
    float *p;            /* [m rounded up, stride] a_i . b_j */
} twi_products;

tw_status twi_products_new(tw_ctx *ctx, const twi_rows *a, const twi_rows *b, twi_products *out);
void twi_products_free(twi_products *products);

#endif
