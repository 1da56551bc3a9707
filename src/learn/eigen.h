/* eigen.h - the largest eigenvalues of a symmetric matrix and their vectors, in double.
 *
 * Ours rather than LAPACK's: the BLAS under LAPACK keeps threads of its own for the whole process,
 * its sums depend on how many, and no call of it can be cancelled. */
#ifndef TWI_LEARN_EIGEN_H
#define TWI_LEARN_EIGEN_H

#include "base/memory.h"

typedef struct twi_symmetric {
    size_t n, stride;
    double *a; /* [n, stride]; only the lower triangle is read */
} twi_symmetric;

/* value [count], descending, and vector [count, n], orthonormal; count <= n. Errors are of the
 * order of rounding times the largest |eigenvalue|. a is destroyed. Stage of progress:
 * "components". The result does not depend on the number of threads. TW_ERR_DIVERGED: a holds
 * numbers that are not finite. */
tw_status twi_eigen_top(tw_ctx *ctx, const twi_symmetric *a, size_t count, double *value,
                        double *vector);

#endif
