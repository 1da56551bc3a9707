/* loss.h - logistic loss of scores: sigmoid for two classes, softmax for more; and the intercept
 * that is best for given scores. */
#ifndef TWI_LEARN_LOSS_H
#define TWI_LEARN_LOSS_H

#include "learn/learn.h"

typedef struct twi_targets {
    const uint32_t *y;    /* class of each row, indexed through rows */
    const size_t *rows;   /* [n] or NULL */
    const double *weight; /* [k] weight of each class */
    size_t n, k;
    size_t width; /* scores a row: 1 when k == 2, else k */
} twi_targets;

/* Weighted loss of row i with scores u [width]; residual [width] = d loss / d u. */
double twi_loss_row(const twi_targets *targets, size_t i, const double *u, double *residual);

/* b [width]: the intercept that minimises the loss of scores [n, width] + b, by Newton's method
 * from the b given. loss and residual [n, width] are those at the end, where the residuals sum to
 * nothing over the rows. */
tw_status twi_intercept_solve(tw_ctx *ctx, const twi_targets *targets, const double *scores,
                              double *b, double *residual, double *loss);

#endif
