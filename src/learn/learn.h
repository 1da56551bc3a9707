/* learn.h - scaler, logistic regression, choice of C, metrics. Knows matrices and labels; no
 * pictures, no files. scikit-learn's words mean scikit-learn's things (semantics 5.4, 5.5). */
#ifndef TWI_LEARN_LEARN_H
#define TWI_LEARN_LEARN_H

#include "base/json.h"
#include "base/tensor.h"

/* Labelled features; borrowed. rows picks and orders: sample i is row rows[i] of x (NULL: row i).
 */
typedef struct twi_samples {
    const float *x;     /* [?, d] */
    const uint32_t *y;  /* [?], indexed as x; in [0, k) */
    const size_t *rows; /* [n] or NULL */
    size_t n, d, k;
} twi_samples;

/* ---- StandardScaler ------------------------------------------------------------------------ */

typedef struct twi_scaler {
    size_t d;
    double *mean, *var, *scale; /* [d] each; transform: (x - mean) / scale; var: NULL once loaded */
} twi_scaler;

tw_status twi_scaler_fit(tw_ctx *ctx, const twi_samples *samples, twi_scaler *out);
/* out [n, d] = (x - mean) / scale as scikit-learn does it for float32 input. */
void twi_scaler_apply(const twi_scaler *scaler, const float *x, size_t n, float *out);
void twi_scaler_free(twi_scaler *scaler);

/* ---- linear heads: LogisticRegression, and others over the same solvers
 * -------------------------------------------------------------------- */

/* With t = 1 for the class of a score and -1 for the others: */
typedef enum twi_loss {
    TWI_LOSS_LOGISTIC,      /* sigmoid for two classes, softmax for more */
    TWI_LOSS_SQUARED_HINGE, /* max(0, 1 - t u)^2, one class against the rest: LinearSVC */
    TWI_LOSS_SQUARED        /* (t - u)^2, one class against the rest: RidgeClassifier */
} twi_loss;

typedef struct twi_logreg_opts {
    double C;   /* > 0 */
    double tol; /* stop at max |gradient| <= tol, of the sum objective (scikit-learn < 1.4) */
    size_t max_iter;
    bool balanced; /* class_weight='balanced' */
    twi_loss loss;
    double gap; /* certified: (f - min f) / f at most this; 0: 1e-6 */
    /* Of the logistic loss, for the fits and paths that say so: penalty (l1_ratio |w|_1 + (1 -
     * l1_ratio) |w|^2 / 2) / C; 0: "l2", 1: "l1", between: "elasticnet". tol is not used then. */
    double l1_ratio;
} twi_logreg_opts;

typedef struct twi_logreg {
    size_t k, d;
    size_t rows;       /* of coef: 1 when k == 2, else k */
    double *coef;      /* [rows, d] on the scaled features */
    double *intercept; /* [rows] */
    double objective;  /* sum_i w_i loss_i + the penalty / C at the end */
    double gradient;   /* max |g| at the end, of the smallest subgradient with an L1 part */
    size_t iterations;
    double traffic; /* bytes of samples the fit read, and wrote as a copy; not saved */
    bool converged;
} twi_logreg;

/* Fits on standardised samples: scaler (may be NULL: none) is applied to rows as they are read, x
 * is not changed. Unless max_iter runs out first, the objective is certified to lie within 1e-6 of
 * its minimum (relative); a squared loss may be solved at once instead. Running out is not an
 * error: where the gradient is then above tol, converged is false and a warning is logged in
 * scikit-learn's words. Memory: less than half of x beside it. Cancels through twi_progress (stage
 * "fit"). Result independent of the thread count. TW_ERR_DATA: no samples, one class, a class
 * without samples, a feature that is not finite. */
tw_status twi_logreg_fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                         const twi_logreg_opts *opts, twi_logreg *out);
/* decision [n, rows]: scaled x times coef plus intercept. */
tw_status twi_logreg_decision(tw_ctx *ctx, const twi_logreg *model, const twi_scaler *scaler,
                              const float *x, size_t n, double *decision);
/* prob [n, k] from decision [n, rows]: sigmoid for k == 2, softmax with the maximum subtracted
 * else. */
void twi_logreg_probabilities(const twi_logreg *model, const double *decision, size_t n,
                              double *prob);
/* predict(): k == 2: decision > 0; else the first largest. label [n] */
void twi_logreg_labels(const twi_logreg *model, const double *decision, size_t n, uint32_t *label);
void twi_logreg_free(twi_logreg *model);

/* LinearSVC's loss="hinge", as twi_logreg_fit() otherwise. opts: resolved. */
tw_status twi_hinge_fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                        const tw_head_opts *opts, twi_logreg *out);
/* LogisticRegression's penalties "l1" and "elasticnet": opts->l1_ratio > 0. As twi_logreg_fit()
 * otherwise; memory: beside the model the columns of the features it works on, usually few. */
tw_status twi_sparse_fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                         const twi_logreg_opts *opts, twi_logreg *out);

/* Cross-validated choice of C: for each value of grid [n_grid] (ascending), the mean accuracy over
 * folds (scaler fitted inside each fold); the first of the best. fold_of [samples->n] says in which
 * fold sample i is tested. mean_accuracy [n_grid] may be NULL. */
tw_status twi_logreg_choose_c(tw_ctx *ctx, const twi_samples *samples, const uint32_t *fold_of,
                              size_t folds, const double *grid, size_t n_grid,
                              const twi_logreg_opts *opts, double *C, double *mean_accuracy);

/* ---- metrics ------------------------------------------------------------------------------- */

/* confusion [k, k], row truth, column predicted; zeroed first. */
void twi_confusion(const uint32_t *truth, const uint32_t *predicted, size_t n, size_t k,
                   size_t *confusion);
size_t twi_correct(const size_t *confusion, size_t k);
/* precision_recall_fscore_support(zero_division=0) of class c. */
void twi_class_score(const size_t *confusion, size_t k, size_t c, tw_class_score *out);
/* Rows whose truth is among the top best scores; ties as scikit-learn's top_k_accuracy_score. score
 * [n, k] */
size_t twi_top_k_correct(const double *score, const uint32_t *truth, size_t n, size_t k,
                         size_t top);
/* Wilson score interval, 95 % (z = 1.959963984540054). n 0: [0, 1]. Source: Wilson (1927), eq. 2.
 */
void twi_wilson(size_t correct, size_t n, double interval[2]);
/* Area under the ROC curve of known [n] against unknown [m], both ascending and of at least one. */
double twi_auroc(const double *known, size_t n, const double *unknown, size_t m);
/* How many of sorted [n], ascending, are at least `least`. */
size_t twi_count_from(const double *sorted, size_t n, double least);

#endif
