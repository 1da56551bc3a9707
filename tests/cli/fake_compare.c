/* fake_compare.c - the test double's comparison: a row for each backbone and head, in the order
 * given.
 */
#include "fake.h"

#include <math.h>
#include <stdlib.h>

struct tw_comparison {
    tw_compare_row *rows;
    size_t n;
    int stopped;
};

void tw_compare_opts_init(tw_compare_opts *opts)
{
    *opts = (tw_compare_opts){
        .size_bytes = sizeof *opts, .test_size = 0.2, .seed = 42, .stratify = TW_DEFAULT};
    tw_extract_opts_init(&opts->extract);
}

tw_status tw_compare(tw_ctx *ctx, const tw_dataset *dataset, const tw_compare_opts *opts,
                     tw_comparison **out, tw_model **model, tw_report **report)
{
    static const char *const one = "sapling";
    const size_t n_b = opts->n_backbones ? opts->n_backbones : 1;
    tw_status status = planned(ctx, "tw_compare");
    tw_train_opts train;
    if (status != TW_OK) return status;
    tw_train_opts_init(&train);
    train.test_size = opts->test_size;
    if ((status = tw_model_train(ctx, dataset, &train, model, report)) != TW_OK) return status;
    tw_comparison *const c = calloc(1, sizeof *c);
    if (c) c->rows = calloc(n_b * opts->n_heads, sizeof *c->rows);
    if (!c || !c->rows) abort(); /* a test double may */
    for (size_t i = 0; i < n_b * opts->n_heads; i++) {
        const double mean = 0.95 - 0.01 * (double)i;
        c->rows[c->n++] = (tw_compare_row){
            .backbone = opts->n_backbones ? opts->backbones[i / opts->n_heads] : one,
            .geometry = opts->n_geometries ? opts->geometries[0] : "crop",
            .resize = "bilinear",
            .pooling = "avg",
            .views = opts->n_views ? opts->views[0] : "1",
            .head = opts->heads[i % opts->n_heads],
            .feature_count = 2,
            .folds = opts->folds ? opts->folds : 5,
            .mean = mean,
            .interval = {mean - 0.02, mean + 0.02},
            .p_value = i ? 0.09 / (double)i : 1.0,
            .tied = i < 2,
            .best_of_kind = i < 3,
            .seconds_fit = 0.125,
            .model_bytes = 6 << 20,
            .photos_per_second = i ? 500 : 0};
    }
    c->stopped = opts->budget > 0;
    *out = c;
    return TW_OK;
}

void tw_comparison_free(tw_comparison *c)
{
    if (c) free(c->rows);
    free(c);
}

size_t tw_comparison_count(const tw_comparison *c)
{
    return c->n;
}

void tw_comparison_row(const tw_comparison *c, size_t i, tw_compare_row *out)
{
    *out = i < c->n ? c->rows[i] : (tw_compare_row){0};
}

int tw_comparison_stopped(const tw_comparison *c)
{
    return c->stopped;
}

/* ---- learning curves ----------------------------------------------------------------------- */

struct tw_curve {
    size_t n;
};

tw_status tw_learning_curve(tw_ctx *ctx, const tw_dataset *dataset, const tw_train_opts *opts,
                            size_t draws, tw_curve **out)
{
    const tw_status status = planned(ctx, "tw_learning_curve");
    (void)dataset, (void)opts, (void)draws;
    if (status != TW_OK) return status;
    *out = calloc(1, sizeof **out);
    if (!*out) abort();
    (*out)->n = 4;
    return TW_OK;
}

void tw_curve_free(tw_curve *curve)
{
    free(curve);
}

size_t tw_curve_count(const tw_curve *curve)
{
    return curve->n;
}

void tw_curve_at(const tw_curve *curve, size_t i, tw_curve_point *out)
{
    static const size_t sizes[] = {1, 2, 5, 8};
    (void)curve;
    const double mean = 0.5 + 0.1 * (double)i;
    *out =
        (tw_curve_point){sizes[i], 2 * sizes[i], i < 3 ? 10 : 1, mean, {mean - 0.05, mean + 0.05}};
    if (i == 3) out->interval[0] = out->interval[1] = (double)NAN;
}

void tw_curve_sum(const tw_curve *curve, tw_curve_summary *out)
{
    (void)curve;
    *out = (tw_curve_summary){0.1, 0.08, 1, 20, "logistic-regression", 0.01};
}
