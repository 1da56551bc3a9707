/* finetune_head.c - a logistic regression as the last layer of a network, and back. */
#include "api/finetune.h"

#include <math.h>
#include <string.h>

void twi_dense_head_free(twi_dense_head *head)
{
    twi_free(head->weight);
    twi_free(head->bias);
    *head = (twi_dense_head){0};
}

static tw_status dense_new(tw_ctx *ctx, size_t k, size_t d, twi_dense_head *out)
{
    size_t count;
    *out = (twi_dense_head){.k = k, .d = d};
    if (twi_mul(k, d, &count))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu classes of %zu features do not fit", k, d);
    const tw_status st = twi_zalloc(ctx, count, &out->weight);
    return st == TW_OK ? twi_zalloc(ctx, k, &out->bias) : st;
}

/* (x - mean) / scale * coef + intercept = x * (coef / scale) + (intercept - sum mean coef / scale).
 * One row of two classes becomes minus and plus half of it: softmax of these is its sigmoid. */
static void fold(const twi_logreg *model, const twi_scaler *scaler, twi_dense_head *head)
{
    for (size_t c = 0; c < head->k; c++) {
        const size_t row = model->rows == 1 ? 0 : c;
        const double factor = model->rows > 1 ? 1.0 : c == 0 ? -0.5 : 0.5;
        double bias = model->intercept[row];
        for (size_t i = 0; i < head->d; i++) {
            const double w = model->coef[row * head->d + i] / scaler->scale[i];
            bias -= scaler->mean[i] * w;
            head->weight[c * head->d + i] = (float)(factor * w);
        }
        head->bias[c] = (float)(factor * bias);
    }
}

/* The strongest penalty within a standard error of the best (Breiman et al. 1984, Classification
 * and Regression Trees, section 3.4.3): a head that is sure of itself pulls the backbone hard. */
static double cautious(const double *accuracy, const double *grid, size_t n_grid, size_t n)
{
    double best = 0.0;
    for (size_t i = 0; i < n_grid; i++) best = fmax(best, accuracy[i]);
    const double error = sqrt(best * (1.0 - best) / (double)n);
    for (size_t i = 0; i < n_grid; i++)
        if (accuracy[i] >= best - error) return grid[i];
    return grid[n_grid - 1];
}

tw_status twi_dense_head_fit(tw_ctx *ctx, const twi_samples *samples, const uint32_t *fold_of,
                             size_t folds, double *C, twi_dense_head *out)
{
    const twi_logreg_opts opts = {.C = 1.0, .tol = 1e-4, .max_iter = 1000};
    twi_logreg_opts chosen = opts;
    twi_dense_head head = {0};
    twi_scaler scaler = {0};
    twi_logreg model = {0};
    double accuracy[TWI_LEN(twi_head_logreg.grid)];
    size_t n = 0;
    while (n < TWI_LEN(twi_head_logreg.grid) && twi_head_logreg.grid[n] > 0.0) n++;
    tw_status st = TW_OK;
    if (folds > 1)
        st = twi_logreg_choose_c(ctx, samples, fold_of, folds, twi_head_logreg.grid, n, &opts,
                                 &chosen.C, accuracy);
    if (st == TW_OK && folds > 1)
        chosen.C = cautious(accuracy, twi_head_logreg.grid, n, samples->n);
    if (st == TW_OK) st = twi_scaler_fit(ctx, samples, &scaler);
    if (st == TW_OK) st = twi_logreg_fit(ctx, samples, &scaler, &chosen, &model);
    if (st == TW_OK) st = dense_new(ctx, samples->k, samples->d, &head);
    if (st == TW_OK) {
        fold(&model, &scaler, &head);
        *C = chosen.C;
        *out = head, head = (twi_dense_head){0}; /* handed over */
    }
    twi_dense_head_free(&head);
    twi_scaler_free(&scaler);
    twi_logreg_free(&model);
    return st;
}

static tw_status logreg_of(tw_ctx *ctx, const twi_dense_head *head, twi_logreg *out)
{
    const size_t k = head->k, d = head->d, rows = k == 2 ? 1 : k;
    *out = (twi_logreg){.k = k, .d = d, .rows = rows, .converged = true};
    tw_status st = twi_alloc(ctx, rows * d, &out->coef);
    if (st == TW_OK) st = twi_alloc(ctx, rows, &out->intercept);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < rows * d; i++)
        out->coef[i] = k == 2 ? (double)head->weight[d + i] - (double)head->weight[i]
                              : (double)head->weight[i];
    for (size_t c = 0; c < rows; c++)
        out->intercept[c] =
            k == 2 ? (double)head->bias[1] - (double)head->bias[0] : (double)head->bias[c];
    return TW_OK;
}

tw_status twi_dense_head_classifier(tw_ctx *ctx, const twi_dense_head *head, twi_classifier *out)
{
    twi_logreg model = {0};
    twi_classifier classifier = {
        .k = head->k, .d = head->d, .steps = {.d = head->d, .width = head->d}};
    tw_status st = logreg_of(ctx, head, &model);
    if (st == TW_OK) st = twi_logreg_head_new(ctx, &model, &classifier.head);
    if (st == TW_OK) *out = classifier;
    twi_logreg_free(&model);
    return st;
}
