/* loss.h - the losses of linear heads, as functions of a row's scores; and the intercept that is
 * best for given scores. */
#ifndef TWI_LEARN_LOSS_H
#define TWI_LEARN_LOSS_H

#include "learn/learn.h"

typedef struct twi_targets {
    const uint32_t *y;    /* class of each row, indexed through rows */
    const size_t *rows;   /* [n] or NULL */
    const double *weight; /* [k] weight of each class */
    size_t n, k;
    size_t width; /* scores a row: 1 when k == 2, else k */
    twi_loss loss;
} twi_targets;

/* LinearSVC's intercept is one more weight, on a feature that is always 1, and penalised with them;
 * the others' intercept is free. */
static inline bool twi_intercept_penalised(const twi_targets *targets)
{
    return targets->loss == TWI_LOSS_SQUARED_HINGE;
}

/* Weighted loss of row i, summed over its scores, with scores u [width]; residual [width] = d loss
 * / d u. */
double twi_loss_row(const twi_targets *targets, size_t i, const double *u, double *residual);

/* b [width]: the intercept that minimises the loss of scores [n, width] + b, by Newton's method
 * from the b given (logistic), or at once (squared). Not for penalised intercepts. loss and
 * residual [n, width] are those at the end, where the residuals sum to nothing over the rows. */
tw_status twi_intercept_solve(tw_ctx *ctx, const twi_targets *targets, const double *scores,
                              double *b, double *residual, double *loss);

#endif
