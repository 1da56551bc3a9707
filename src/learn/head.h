/* head.h - what a head is to everything around it: one row of a table.
 *
 * A head is fitted on rows that the steps before it (steps.h) have transformed, and answers with
 * decision values, scikit-learn's decision_function in its native width. Adding a head is one file
 * and one row in heads.c. */
#ifndef TWI_LEARN_HEAD_H
#define TWI_LEARN_HEAD_H

#include "learn/learn.h"

typedef struct twi_head_type twi_head_type;

/* The beginning of every head's own struct. */
typedef struct twi_head {
    const twi_head_type *type;
    size_t k, d;       /* classes; features it takes */
    size_t width;      /* decision values a row */
    size_t iterations; /* of its solver; 0 where there is none */
    bool converged;
} twi_head;

/* Takes the decision values [tested->n, width] of setting `at` of a path; they are borrowed for the
 * call. Anything but TW_OK ends the path. */
typedef tw_status (*twi_path_take)(tw_ctx *ctx, void *user, size_t at, const twi_head *shape,
                                   const double *decision);

/* Options that not every head has: bits of twi_head_type.takes. */
enum {
    TWI_TAKES_C = 1 << 0,
    TWI_TAKES_ALPHA = 1 << 1,
    TWI_TAKES_PENALTY = 1 << 2, /* and l1_ratio */
    TWI_TAKES_LOSS = 1 << 3,
    TWI_TAKES_GAMMA = 1 << 4,
    TWI_TAKES_LAYERS = 1 << 5,    /* all that is the MLP's alone */
    TWI_TAKES_NEIGHBORS = 1 << 6, /* and metric and weights */
    TWI_TAKES_BALANCED = 1 << 7,
    TWI_TAKES_LIMITS = 1 << 8 /* max_iter and tol */
};

struct twi_head_type {
    const char *name;    /* what --head and model files call it: "svm-rbf" */
    const char *summary; /* "support vector machine with a Gaussian kernel" */
    /* Standardises rows itself as it reads them, so that no transformed copy is made: scaler may
     * then be given to fit() and decide(). Elsewhere it is always NULL. */
    bool shifts;
    unsigned takes;  /* TWI_TAKES_ bits */
    size_t max_iter; /* defaults; SIZE_MAX: no limit */
    double tol, alpha;
    double grid[8]; /* what TW_AUTO tries for C, or for alpha where there is no C; ascending, ended
                       by 0 */

    /* opts: every field filled in by twi_head_resolve(). Labels are dense: every class of
     * samples->k has a row. Stage of progress: "fit"; every fit can be cancelled. The result does
     * not depend on the number of threads. TW_ERR_DATA: as twi_logreg_fit(). */
    tw_status (*fit)(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                     const tw_head_opts *opts, twi_head **out);
    /* x [n, d] -> decision [n, width] */
    tw_status (*decide)(tw_ctx *ctx, const twi_head *head, const twi_scaler *scaler, const float *x,
                        size_t n, double *decision);
    /* decision [n, width] -> label [n], as predict() answers. NULL: width 1: 1 where decision > 0;
     * else the first largest. */
    void (*label)(const twi_head *head, const double *decision, size_t n, uint32_t *label);
    /* decision [n, width] -> score [n, k], scikit-learn's decision_function(), for ranking and
     * calibration. NULL: width 1: minus and plus the decision; else the decision itself. */
    void (*score)(const twi_head *head, const double *decision, size_t n, double *score);
    /* decision [n, width] -> prob [n, k], each row sums to 1; NULL: it has none of its own. */
    void (*probability)(const twi_head *head, const double *decision, size_t n, double *prob);
    /* The decision values of tested rows under each of n_grid settings (same kind, resolved),
     * sharing what can be shared: a Gram matrix, distances, a warm start. train and tested pick
     * rows of one x. NULL: the settings are fitted one by one. take is called in any order, once
     * each. */
    tw_status (*path)(tw_ctx *ctx, const twi_samples *train, const twi_samples *tested,
                      const twi_scaler *scaler, const tw_head_opts *grid, size_t n_grid,
                      twi_path_take take, void *user);

    /* Tensors "head.*", and its own keys of the JSON object; both are the caller's. */
    tw_status (*save)(tw_ctx *ctx, const twi_head *head, twi_tensors *tensors, twi_json *json);
    /* The file is hostile: every shape is checked, every number finite. base: k, d, iterations and
     * converged as read from json; the row's own struct starts with it. name is for messages. */
    tw_status (*load)(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                      const twi_json *json, const twi_head *base, twi_head **out);
    void (*free)(twi_head *head); /* never NULL's */
};

extern const twi_head_type twi_head_logreg, twi_head_linear_svm, twi_head_svm_rbf, twi_head_mlp,
    twi_head_ridge, twi_head_knn, twi_head_centroid;

/* The logistic regression that model is, which is taken over. */
tw_status twi_logreg_head_new(tw_ctx *ctx, twi_logreg *model, twi_head **out);

/* NULL-ended. The first is the default. */
extern const twi_head_type *const twi_head_types[];
/* The row called name (NULL: the default). TW_ERR_ARG lists those there are. */
tw_status twi_head_find(tw_ctx *ctx, const char *name, const twi_head_type **out);

/* Checks given (of any age: size_bytes) and fills in defaults, which are scikit-learn's. TW_AUTO
 * stays where it stands. TW_ERR_ARG: a value out of its range, an unknown word, or an option that
 * this head does not have. */
tw_status twi_head_resolve(tw_ctx *ctx, const tw_head_opts *given, tw_head_opts *out);

/* Resolved options as the JSON object a model remembers: those that its kind has. New; NULL: no
 * memory. And back: what is missing or of another type is refused as twi_head_resolve() does. */
twi_json *twi_head_opts_to_json(const tw_head_opts *opts);
tw_status twi_head_opts_from_json(tw_ctx *ctx, const twi_json *json, tw_head_opts *out);

/* The rows' own functions, or what NULL stands for. */
tw_status twi_head_fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                       const tw_head_opts *opts, twi_head **out);
void twi_head_label(const twi_head *head, const double *decision, size_t n, uint32_t *label);
void twi_head_score(const twi_head *head, const double *decision, size_t n, double *score);
tw_status twi_head_path(tw_ctx *ctx, const twi_samples *train, const twi_samples *tested,
                        const twi_scaler *scaler, const tw_head_opts *grid, size_t n_grid,
                        twi_path_take take, void *user);
/* What a path of NULL stands for. */
tw_status twi_head_one_by_one(tw_ctx *ctx, const twi_samples *train, const twi_samples *tested,
                              const twi_scaler *scaler, const tw_head_opts *grid, size_t n_grid,
                              twi_path_take take, void *user);
/* The rows that samples picks, one after the other, as decide() takes them; copy, when not NULL, is
 * the caller's to free. */
typedef struct twi_stretch {
    const float *x; /* [n, d] */
    size_t n;
    float *copy;
} twi_stretch;
tw_status twi_head_stretch(tw_ctx *ctx, const twi_samples *samples, twi_stretch *out);

typedef struct twi_path_user {
    twi_path_take take;
    void *user;
} twi_path_user;

void twi_head_free(twi_head *head); /* NULL is fine */

/* For save() and load(): doubles [rows, columns] (rows 0: [columns]) as an F64 tensor, and back,
 * checked: present, of that type and shape, every number finite. Fresh memory. */
tw_status twi_head_put(tw_ctx *ctx, twi_tensors *tensors, const char *name, size_t rows,
                       size_t columns, const double *values);
tw_status twi_head_take(tw_ctx *ctx, const char *file, const twi_tensors *tensors, const char *name,
                        size_t rows, size_t columns, double **out);
/* The same for floats (F32). */
tw_status twi_head_put_floats(tw_ctx *ctx, twi_tensors *tensors, const char *name, size_t rows,
                              size_t columns, const float *values);
tw_status twi_head_take_floats(tw_ctx *ctx, const char *file, const twi_tensors *tensors,
                               const char *name, size_t rows, size_t columns, float **out);

#endif
