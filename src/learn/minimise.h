/* minimise.h - limited-memory BFGS over any space with an inner product. */
#ifndef TWI_LEARN_MINIMISE_H
#define TWI_LEARN_MINIMISE_H

#include "base/memory.h"

/* A smooth convex function of vectors of length doubles. A vector may carry more than its
 * coordinates (its scores, say) as long as all of it is linear: the minimiser only adds, scales and
 * asks for inner products. */
typedef struct twi_problem {
    size_t length;
    void *self;
    tw_status (*evaluate)(tw_ctx *ctx, void *self, const double *x, double *f, double *gradient);
    double (*inner)(const void *self, const double *a, const double *b);
    /* Asked at the start and after each step; true ends the search. */
    bool (*good_enough)(void *self, const double *x, double f, const double *gradient);
} twi_problem;

typedef enum twi_end {
    TWI_END_MET,      /* good_enough */
    TWI_END_LIMIT,    /* max_iter steps were taken */
    TWI_END_PRECISION /* no step lowers f any more: the floating-point numbers end here */
} twi_end;

/* A certified gap, relative to f, that scores in float cannot tell from none. A sum over very many
 * rows gets here before its gradient gets to an absolute tolerance. */
#define TWI_GAP_NOTHING 1e-10

typedef struct twi_search {
    size_t max_iter;
    const char *stage; /* for twi_progress(); NULL: only looks whether to stop */
    double scale;      /* in: first guess of the inverse curvature, 0: none; out: the last one */
    size_t done;       /* iterations before this search, for progress */
    size_t iterations, evaluations; /* out */
    double f;                       /* out, at x */
    twi_end end;                    /* out */
} twi_search;

/* From x [length] to the minimum; gradient [length] is that at the x returned. */
tw_status twi_minimise(tw_ctx *ctx, const twi_problem *problem, twi_search *search, double *x,
                       double *gradient);

#endif
