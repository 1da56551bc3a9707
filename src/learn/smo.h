/* smo.h - the dual of a two-class support vector machine on a kernel matrix at hand. */
#ifndef TWI_LEARN_SMO_H
#define TWI_LEARN_SMO_H

#include "base/memory.h"

/* min 1/2 a' Q a - sum a, y' a = 0, 0 <= a_i <= C_i, Q_ij = y_i y_j k(index_i, index_j). */
typedef struct twi_smo {
    const float *kernel; /* [?, stride] k(row, row') */
    size_t stride;
    const size_t *index;  /* [n] rows of kernel */
    const signed char *y; /* [n] 1 or -1 */
    const double *C;      /* [n] > 0 */
    size_t n;
    double tol;      /* stop at m(a) - M(a) <= tol */
    size_t max_iter; /* SIZE_MAX: no limit */
} twi_smo;

/* a [n] (zeroed first), *rho: the decision is sum_i a_i y_i k(index_i, .) - rho. *iterations is
 * added to; *met false: max_iter ran out. */
tw_status twi_smo_solve(tw_ctx *ctx, const twi_smo *problem, double *a, double *rho,
                        size_t *iterations, bool *met);

#endif
