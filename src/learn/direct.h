/* direct.h - RidgeClassifier by a direct solve of the normal equations, for samples whose smaller
 * side is small. */
#ifndef TWI_LEARN_DIRECT_H
#define TWI_LEARN_DIRECT_H

#include "learn/eigen.h"
#include "learn/training.h"

/* With rows y_i = sqrt(w_i) (z_i - mean), the weighted mean's, Y^T Y [d, d] or, where samples are
 * fewer, Y Y^T [n, n]: one for every C. */
typedef struct twi_direct {
    const twi_training *training;
    float *y;             /* [n, d] */
    double *mean;         /* [d] of z */
    twi_symmetric square; /* its lower triangle */
    twi_symmetric factor; /* scratch of the same size */
    double *rhs;          /* [max(n, d)] scratch */
    bool of_samples;
} twi_direct;

/* Whether that costs less than an iterative search. */
bool twi_direct_pays(const twi_training *training);

tw_status twi_direct_new(tw_ctx *ctx, const twi_training *training, twi_direct *out);
void twi_direct_free(twi_direct *direct);

/* w [width, d] and b [width] at the minimum of sum_i w_i |t_i - u_i|^2 + |w|^2 / (2 C). *solved
 * false: the matrix is not definite in double. */
tw_status twi_direct_solve(tw_ctx *ctx, twi_direct *direct, double C, double *w, double *b,
                           bool *solved);

#endif
