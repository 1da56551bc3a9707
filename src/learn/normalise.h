/* normalise.h - Normalizer('l2'): rows of length 1. */
#ifndef TWI_LEARN_NORMALISE_H
#define TWI_LEARN_NORMALISE_H

#include <stddef.h>

/* out [n, d] = each row of x [n, d] divided by its Euclidean length; a row of zeros, or shorter
 * than 10 FLT_EPSILON, stays as it is. out may be x. */
void twi_normalise(const float *x, size_t n, size_t d, float *out);

#endif
