/* sparse.h - LogisticRegression's penalties "l1" and "elasticnet": few features at a time, to a
 * certified optimum.
 *
 * f(w, b) = sum_i loss_i(z_i . w + b) + (l1_ratio |w|_1 + (1 - l1_ratio) |w|^2 / 2) / C. Most
 * weights of the optimum are 0, so the search works on a set of features whose standardised columns
 * it holds, and reads all rows only to see which features it lacks and how far f is from its
 * minimum (working sets: Massias, Gramfort & Salmon 2018). On the set, each class in turn takes
 * a Newton step of its own scores, whose penalised quadratic is minimised one weight at a time
 * (Friedman, Hastie & Tibshirani 2010, section 4.1). */
#ifndef TWI_LEARN_SPARSE_H
#define TWI_LEARN_SPARSE_H

#include "learn/doubles.h"
#include "learn/minimise.h"
#include "learn/training.h"

typedef struct twi_sparse {
    const twi_training *training;
    const twi_doubles *loops;
    double C, l1_ratio;
    twi_pass pass;    /* its scores [n, width] are those of w and bias, its residuals theirs */
    double *w;        /* [width, d] */
    double *gradient; /* [width, d] of the loss, at the last certificate */
    double *bias;     /* [width] */
    double loss;      /* of the scores */
    double f, gap;    /* at the last certificate: an upper bound of f - min f */
    bool *inside;     /* [d] features of the set */
    size_t *set;      /* [set_count] features whose columns are held */
    float *columns;   /* [set_count, n] */
    double *bend;     /* [set_count] scratch: second derivatives, negative: not known */
    double *before;   /* [set_count] scratch: weights a step started from */
    size_t set_count, set_capacity;
    double *row; /* [5, n] scratch of a step */
    size_t iterations;
} twi_sparse;

#define TWI_SPARSE_KEPT 8

/* Iterates of the last rounds over all classes, over one set. Zero-initialise, then use. */
typedef struct twi_sparse_leap {
    double *memory, *iterate[TWI_SPARSE_KEPT + 1], *trial;
    size_t capacity, length, count;
} twi_sparse_leap;

/* training must outlive it; starts from w = 0. TW_ERR_NOMEM. */
tw_status twi_sparse_new(tw_ctx *ctx, const twi_training *training, double l1_ratio,
                         twi_sparse *out);
void twi_sparse_free(twi_sparse *sparse);

/* From the last solution (another C's, say) to the minimum for C: on TWI_END_MET gap <= goal * f.
 * At most max_iter rounds over all classes. Cancels through twi_progress(). TW_ERR_DIVERGED: the
 * loss is not finite. */
tw_status twi_sparse_solve(tw_ctx *ctx, twi_sparse *sparse, double C, double goal, size_t max_iter,
                           twi_end *end);

/* For sparse.c. One Newton step of class c over the set; returns by how much it should lower f. */
double twi_sparse_step(twi_sparse *sparse, size_t c);

/* After a round: notes where it came to; after every few, leaps ahead. *decrease of f >= 0. Forget
 * what was noted (free) when the set changes. */
tw_status twi_sparse_leap_try(tw_ctx *ctx, twi_sparse *sparse, twi_sparse_leap *leap,
                              double *decrease);
void twi_sparse_leap_free(twi_sparse_leap *leap);

static inline double twi_sparse_l1(const twi_sparse *s)
{
    return s->l1_ratio / s->C;
}

static inline double twi_sparse_l2(const twi_sparse *s)
{
    return (1.0 - s->l1_ratio) / s->C;
}

#endif
