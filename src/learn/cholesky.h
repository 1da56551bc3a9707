/* cholesky.h - the factor of a positive definite matrix, in double. Ours rather than LAPACK's for
 * the reasons of eigen.h. */
#ifndef TWI_LEARN_CHOLESKY_H
#define TWI_LEARN_CHOLESKY_H

#include "learn/eigen.h"

/* A = L L^T: the lower triangle of a becomes L's. a's stride is a multiple of 48 and a has as many
 * rows; those past n are zero. *definite false: a pivot was not above 0, and a is spoilt. The
 * result does not depend on the number of threads. TW_ERR_CANCELLED. */
tw_status twi_cholesky(tw_ctx *ctx, twi_symmetric *a, bool *definite);
/* x [n] = A^-1 x, l from twi_cholesky(). */
void twi_cholesky_solve(const twi_symmetric *l, double *x);

#endif
