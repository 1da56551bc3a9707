/* raw_pixels.c - what the backbone is worth: logistic regression on the pixels themselves.
 *
 * Same pictures, same split, same scaler, head and choice of C as `topwork train` by default; only
 * the features are a picture's 32 x 32 RGB values. The public header trains on pictures through a
 * backbone, never on a matrix, so this program stands on the rooms of src/. */
#include "base/file.h"
#include "base/memory.h"
#include "dataset/dataset.h"
#include "image/image.h"
#include "learn/learn.h"

#include <stdio.h>
#include <string.h>

#define SIDE      ((size_t)32)
#define D         (SIDE * SIDE * 3)
#define SEED      42
#define TEST_SIZE 0.2
#define FOLDS     5

static const double c_grid[] = {1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1}; /* as topwork train's */

typedef struct trial {
    tw_dataset *dataset;
    size_t n, k, n_train, n_test;
    float *x;             /* [n, D] */
    size_t *train, *test; /* one block, train first */
    twi_scaler scaler;
    twi_logreg head;
    double C;
    size_t correct;
} trial;

/* ---- pixels -------------------------------------------------------------------------------- */

static tw_status pixels_read(tw_ctx *ctx, trial *t)
{
    twi_recipe recipe = {.height = SIDE,
                         .width = SIDE,
                         .geometry = TWI_SQUASH,
                         .filter = TWI_BILINEAR,
                         .exif = true,
                         .scale = 1,
                         .std = {1, 1, 1}};
    twi_recipe_scratch scratch = {0};
    unsigned char *bytes = NULL;
    size_t capacity = 0, size;
    tw_status st = twi_alloc(ctx, t->n * D, &t->x);
    for (size_t i = 0; i < t->n && st == TW_OK; i++) {
        const char *path = tw_dataset_path(t->dataset, i);
        st = twi_file_read(ctx, path, (size_t)256 << 20, &bytes, &capacity, &size);
        if (st == TW_OK)
            st = twi_recipe_apply(ctx, &recipe, (tw_bytes){bytes, size}, path, 0, &scratch,
                                  t->x + i * D);
    }
    twi_recipe_scratch_free(&scratch);
    twi_free(bytes);
    return st;
}

/* ---- head ---------------------------------------------------------------------------------- */

/* In the order of t->train: what train's own cross-validation sees. */
static tw_status c_choose(tw_ctx *ctx, trial *t, const twi_samples *samples,
                          const twi_logreg_opts *opts)
{
    uint32_t *y = NULL, *fold_of = NULL;
    tw_status st = twi_alloc(ctx, t->n_train, &y);
    if (st == TW_OK) st = twi_alloc(ctx, t->n_train, &fold_of);
    if (st == TW_OK) {
        for (size_t i = 0; i < t->n_train; i++) y[i] = tw_dataset_label(t->dataset, t->train[i]);
        st = twi_folds(ctx, t->n_train, y, t->k, FOLDS, true, SEED, fold_of);
    }
    if (st == TW_OK)
        st = twi_logreg_choose_c(ctx, samples, fold_of, FOLDS, c_grid, TWI_LEN(c_grid), opts, &t->C,
                                 NULL);
    twi_free(fold_of);
    twi_free(y);
    return st;
}

static tw_status head_fit(tw_ctx *ctx, trial *t)
{
    const twi_samples samples = {t->x, twi_dataset_labels(t->dataset), t->train, t->n_train, D,
                                 t->k};
    twi_logreg_opts opts = {.C = 1, .tol = 1e-4, .max_iter = 1000};
    tw_status st = c_choose(ctx, t, &samples, &opts);
    opts.C = t->C;
    if (st == TW_OK) st = twi_scaler_fit(ctx, &samples, &t->scaler);
    if (st == TW_OK) st = twi_logreg_fit(ctx, &samples, &t->scaler, &opts, &t->head);
    return st;
}

static tw_status test_measure(tw_ctx *ctx, trial *t)
{
    double *decision;
    tw_status st = twi_alloc(ctx, t->head.rows, &decision);
    for (size_t i = 0; i < t->n_test && st == TW_OK; i++) {
        const float *row = t->x + t->test[i] * D;
        uint32_t label;
        st = twi_logreg_decision(ctx, &t->head, &t->scaler, row, 1, decision);
        if (st != TW_OK) break;
        twi_logreg_labels(&t->head, decision, 1, &label);
        t->correct += label == tw_dataset_label(t->dataset, t->test[i]);
    }
    twi_free(decision);
    return st;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static tw_status trial_run(tw_ctx *ctx, const char *folder, trial *t)
{
    tw_status st = tw_dataset_open(ctx, folder, NULL, &t->dataset);
    if (st != TW_OK) return st;
    t->n = tw_dataset_count(t->dataset), t->k = tw_dataset_class_count(t->dataset);
    if ((st = twi_split_sizes(ctx, t->n, TEST_SIZE, &t->n_train, &t->n_test)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, t->n, &t->train)) != TW_OK) return st;
    t->test = t->train + t->n_train;
    st = twi_split(ctx, t->n, twi_dataset_labels(t->dataset), t->k, SEED, t->n_train, t->n_test,
                   t->train, t->test);
    if (st == TW_OK) st = pixels_read(ctx, t);
    if (st == TW_OK) st = head_fit(ctx, t);
    return st == TW_OK ? test_measure(ctx, t) : st;
}

static void trial_free(trial *t)
{
    twi_logreg_free(&t->head);
    twi_scaler_free(&t->scaler);
    twi_free(t->train);
    twi_free(t->x);
    tw_dataset_free(t->dataset);
}

int main(int argc, char **argv)
{
    tw_ctx *ctx;
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(
            stderr,
            "usage: raw-pixels FOLDER\n"
            "Trains logistic regression on the 32 x 32 RGB pixels of the pictures in FOLDER and\n"
            "prints its accuracy on the same test part as topwork train's.\n");
        return 2;
    }
    if (tw_ctx_new(&ctx) != TW_OK) return 5;
    trial t = {0};
    const tw_status st = trial_run(ctx, argv[1], &t);
    if (st == TW_OK)
        printf("raw %zu x %zu pixels: accuracy %.1f %% (%zu of %zu right, C %g)\n", SIDE, SIDE,
               100.0 * (double)t.correct / (double)t.n_test, t.correct, t.n_test, t.C);
    else
        fprintf(stderr, "raw-pixels: %s\n", tw_last_error(ctx));
    trial_free(&t);
    tw_ctx_free(ctx);
    return st == TW_OK ? 0 : 3;
}
