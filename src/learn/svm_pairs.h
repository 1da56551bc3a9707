/* svm_pairs.h - one support vector machine for each pair of classes on one kernel matrix. */
#ifndef TWI_LEARN_SVM_PAIRS_H
#define TWI_LEARN_SVM_PAIRS_H

#include "learn/gram.h"

/* The rows of one fit, grouped by class in their own order. */
typedef struct twi_pairs {
    const twi_samples *samples;
    size_t n, k, pairs;
    size_t *rows;   /* [n] of samples->x, grouped by class */
    size_t *begin;  /* [k + 1] */
    double *weight; /* [k] */
    twi_gram gram;  /* of the grouped rows */
    double *square; /* [n] */
} twi_pairs;

typedef struct twi_kernel_job {
    const float *products; /* [rows, stride] */
    size_t stride, columns;
    const double *left, *right; /* squares */
    double gamma;
    float *out; /* [rows, stride] */
} twi_kernel_job;

typedef struct twi_solving {
    const twi_pairs *t;
    const tw_head_opts *opts;
    const float *kernel; /* [n, gram.stride] */
    double *a;           /* [k - 1, n] a y, as libsvm's sv_coef; zeroed */
    double *intercept;   /* [pairs] */
    size_t *iterations;  /* [pairs] */
    bool *met;           /* [pairs] */
} twi_solving;

/* Groups the rows by class and takes their products. TW_ERR_DATA: as twi_logreg_fit(). */
tw_status twi_pairs_new(tw_ctx *ctx, const twi_samples *samples, bool balanced, twi_pairs *out);
void twi_pairs_free(twi_pairs *t);
/* gamma > 0 as it is; 0: "scale"; TW_AUTO: "auto". */
double twi_pairs_gamma(const twi_pairs *t, double gamma);
/* out [rows, stride] = exp(-gamma |a - b|^2) of products; out may be products. */
tw_status twi_kernel_fill(tw_ctx *ctx, const twi_kernel_job *job, size_t rows);
double twi_square_of(const float *x, size_t d);

/* Room for the solutions; kernel is still to be set. */
tw_status twi_solving_new(tw_ctx *ctx, const twi_pairs *t, const tw_head_opts *opts,
                          twi_solving *out);
tw_status twi_solving_run(tw_ctx *ctx, twi_solving *s);
/* Sums up, and warns in scikit-learn's words of machines that ran out of iterations. */
void twi_solving_judge(tw_ctx *ctx, const twi_solving *s, bool *all_met, size_t *iterations);
void twi_solving_free(twi_solving *s);

#endif
