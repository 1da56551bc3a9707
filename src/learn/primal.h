/* primal.h - the objective over weights: one reading of the rows an evaluation. */
#ifndef TWI_LEARN_PRIMAL_H
#define TWI_LEARN_PRIMAL_H

#include "learn/minimise.h"
#include "learn/rows.h"

/* f(w, b) = sum_i loss_i(z_i . w + b) + |w|^2 / (2 C), with |b|^2 beside |w|^2 where the intercept
 * is penalised. An unknown is [width, d] weights, then
 * [width] intercepts divided by sigma. */
typedef struct twi_primal {
    const twi_targets *targets;
    twi_pass pass;
    double C, sigma;
    double tol;             /* wanted: max |gradient| <= tol */
    double goal;            /* wanted: a certified gap <= goal * f */
    size_t weights, length; /* width * d, and with the intercepts */
    double *bias;           /* [width] of the last evaluation */
    double *best;           /* [width] scratch: a better intercept */
    double *residual;       /* [n, width] scratch */
    tw_status failed;       /* of good_enough(), which cannot return it */
} twi_primal;

tw_status twi_primal_new(tw_ctx *ctx, const twi_rows *rows, const twi_targets *targets, double C,
                         twi_primal *out);
void twi_primal_free(twi_primal *primal);

/* From x [length] on; gradient [length]. */
tw_status twi_primal_solve(tw_ctx *ctx, twi_primal *primal, twi_search *search, double *x,
                           double *gradient);
/* Gives x its best intercept and evaluates there: *f, gradient, and an upper bound of f - min f. */
tw_status twi_primal_certify(tw_ctx *ctx, twi_primal *primal, double *x, double *gradient,
                             double *f, double *gap);
/* max |gradient| in the unknowns as the user knows them. */
double twi_primal_steepness(const twi_primal *primal, const double *gradient);

#endif
