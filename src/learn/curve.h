/* curve.h - accuracy on fixed test rows after training on few, more, all rows of each class. */
#ifndef TWI_LEARN_CURVE_H
#define TWI_LEARN_CURVE_H

#include "learn/classifier.h"

typedef struct twi_curve_problem {
    twi_samples train;
    const float *test_x;    /* [n_test, d] */
    const uint32_t *test_y; /* [n_test] */
    size_t n_test;
    tw_head_opts opts; /* resolved, without TW_AUTO; calibration is left out */
    size_t draws;
    uint32_t seed;
} twi_curve_problem;

/* sizes [n_sizes]: rows of each class, all of a class that has no more. accuracy [n_sizes, draws].
 * In one draw each size adds rows to those of the smaller one. Stage of progress: "curve". Results
 * do not depend on the number of threads. */
tw_status twi_curve_run(tw_ctx *ctx, const twi_curve_problem *problem, const size_t *sizes,
                        size_t n_sizes, double *accuracy);

/* What twice the photos would bring, from means [n] at sizes [n] of ascending order: what the last
 * doubling brought, times how much less that was than the doubling before (error falls about like a
 * power of the size: Hestness et al. 2017), never more than it. *last: what the last one brought.
 */
double twi_curve_outlook(const size_t *sizes, const double *mean, size_t n, double *last);

#endif
