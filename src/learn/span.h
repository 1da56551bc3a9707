/* span.h - the objective over the span of the rows, for fewer rows than features.
 *
 * At the optimum w = -C Z^T r: it lies in the span of the rows (the representer theorem, Kimeldorf
 * & Wahba 1971). So does every L-BFGS iterate from 0. Writing w = Z^T a turns scores into u = K a
 * with the Gram matrix K, and |w|^2 into a . u; once K is there an iteration costs n^2, not n d.
 * The iterates are those of the weights' own L-BFGS. */
#ifndef TWI_LEARN_SPAN_H
#define TWI_LEARN_SPAN_H

#include "learn/gram.h"
#include "learn/minimise.h"

/* An unknown is [n, width] coefficients a, then [n, width] their scores u = K a. The intercept is
 * not an unknown: each evaluation solves for the best one; a penalised one is part of the scores,
 * K being that of rows with a feature 1 added (twi_gram_add_one()), and comes to the sum of a. */
typedef struct twi_span {
    const twi_targets *targets;
    double C, tol, goal; /* as in twi_primal */
    size_t cells;        /* n * width */
    twi_rows rows;       /* of K */
    twi_pass pass;
    double *bias;     /* [width] best at the last evaluation */
    double *residual; /* [n, width] */
    double *flat;     /* [width, n] scratch: residual, transposed; then [width] zeros */
} twi_span;

/* The first targets->n rows and columns of gram, which must outlive it. */
tw_status twi_span_new(tw_ctx *ctx, const twi_gram *gram, const twi_targets *targets, double C,
                       twi_span *out);
void twi_span_free(twi_span *span);

/* From x [2 * cells] on; gradient [2 * cells]. */
tw_status twi_span_solve(tw_ctx *ctx, twi_span *span, twi_search *search, double *x,
                         double *gradient);

#endif
