/* linear_path.h - a linear head at many values of C on one training part, tested on another. */
#ifndef TWI_LEARN_LINEAR_PATH_H
#define TWI_LEARN_LINEAR_PATH_H

#include "learn/learn.h"

/* train and tested pick rows of one x; scaler (may be NULL) is applied as they are read. */
typedef struct twi_linear_parts {
    const twi_samples *train, *tested;
    const twi_scaler *scaler;
} twi_linear_parts;

/* decision [tested->n, width] at grid[at]; limited: max_iter ran out. */
typedef tw_status (*twi_linear_take)(tw_ctx *ctx, void *user, size_t at, const double *decision,
                                     bool limited);

/* grid [n_grid], n_grid >= 1, ascending. Cancels like a fit. */
tw_status twi_linear_path(tw_ctx *ctx, const twi_linear_parts *parts, const twi_logreg_opts *opts,
                          const double *grid, size_t n_grid, twi_linear_take take, void *user);

#endif
