/* scatter.h - products of centred samples with each other, in double. */
#ifndef TWI_LEARN_SCATTER_H
#define TWI_LEARN_SCATTER_H

#include "learn/eigen.h"
#include "learn/learn.h"

/* With z = x - mean, mean [d]: z^T z [d, d], or, when of_samples, z z^T [n, n]; the lower triangle.
 * out->a is to be freed by the caller. Stage of progress: "covariance". The result does not depend
 * on the number of threads. */
tw_status twi_scatter(tw_ctx *ctx, const twi_samples *samples, const double *mean, bool of_samples,
                      twi_symmetric *out);

/* out [rows, stride] = a z: a [rows, n]; rows a multiple of TWI_TILE_ROWS, stride of
 * TWI_TILE_COLUMNS and at least d; columns from d on are 0. */
tw_status twi_combine(tw_ctx *ctx, const twi_samples *samples, const double *mean, const double *a,
                      size_t rows, double *out, size_t stride);

#endif
