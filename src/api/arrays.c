/* arrays.c - classifiers of features that come from anywhere: no pictures, no files. */
#include "dataset/split.h"
#include "learn/search.h"

#include <math.h>
#include <string.h>

#define FOLDS 5

struct tw_classifier {
    twi_classifier inner;
};

static tw_status check(tw_ctx *ctx, const tw_samples *samples, twi_samples *out)
{
    if (samples->n == 0 || samples->d == 0 || samples->k < 2)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu samples of %zu features in %zu classes; need at least 1, 1 and 2",
                        samples->n, samples->d, samples->k);
    for (size_t i = 0; i < samples->n; i++)
        if (samples->y[i] >= samples->k)
            return twi_fail(ctx, TW_ERR_DATA, "sample %zu has label %u; there are %zu classes", i,
                            (unsigned)samples->y[i], samples->k);
    *out = (twi_samples){
        .x = samples->x, .y = samples->y, .n = samples->n, .d = samples->d, .k = samples->k};
    return TW_OK;
}

static size_t rarest(const twi_samples *samples)
{
    size_t least = SIZE_MAX;
    for (size_t c = 0; c < samples->k; c++) {
        size_t count = 0;
        for (size_t i = 0; i < samples->n; i++) count += samples->y[i] == c;
        if (count < least) least = count;
    }
    return least;
}

/* At most FOLDS, no more than the rarest class has samples. TW_ERR_DATA: fewer than 2. */
static tw_status stratify(tw_ctx *ctx, const twi_samples *samples, uint32_t seed,
                          uint32_t **fold_of, twi_folding *out)
{
    const size_t least = rarest(samples), folds = least < FOLDS ? least : FOLDS;
    if (folds < 2)
        return twi_fail(ctx, TW_ERR_DATA,
                        "a class has %zu samples; cross-validation needs 2 of each", least);
    tw_status st = twi_alloc(ctx, samples->n, fold_of);
    if (st == TW_OK)
        st = twi_folds(ctx, samples->n, samples->y, samples->k, folds, true, seed, *fold_of);
    *out = (twi_folding){*fold_of, folds};
    return st;
}

tw_status tw_classifier_train(tw_ctx *ctx, const tw_samples *samples, const tw_head_opts *opts,
                              tw_classifier **out)
{
    twi_samples rows;
    tw_head_opts head;
    uint32_t *fold_of = NULL;
    twi_folding folding = {0};
    tw_classifier *classifier = NULL;
    tw_status st = check(ctx, samples, &rows);
    if (st == TW_OK) st = twi_head_resolve(ctx, opts, &head);
    if (st != TW_OK) return st;
    const bool open = head.C == TW_AUTO || head.alpha == TW_AUTO;
    if (open || strcmp(head.calibrate, "none") != 0)
        st = stratify(ctx, &rows, head.seed, &fold_of, &folding);
    if (st == TW_OK && open) st = twi_search_strength(ctx, &rows, &folding, &head);
    if (st == TW_OK) st = twi_zalloc(ctx, 1, &classifier);
    if (st == TW_OK) st = twi_classifier_fit(ctx, &rows, &head, &folding, &classifier->inner);
    if (st == TW_OK) *out = classifier, classifier = NULL; /* handed over */
    tw_classifier_free(classifier);
    twi_free(fold_of);
    return st;
}

void tw_classifier_free(tw_classifier *classifier)
{
    if (!classifier) return;
    twi_classifier_free(&classifier->inner);
    twi_free(classifier);
}

size_t tw_classifier_class_count(const tw_classifier *classifier)
{
    return classifier->inner.k;
}

size_t tw_classifier_feature_count(const tw_classifier *classifier)
{
    return classifier->inner.d;
}

tw_status tw_classifier_predict(tw_ctx *ctx, const tw_classifier *classifier, const float *x,
                                size_t n, float *prob, uint32_t *label)
{
    const twi_classifier *c = &classifier->inner;
    twi_answers answers = {.label = label};
    size_t cells;
    if (twi_mul(n, c->k, &cells))
        return twi_fail(ctx, TW_ERR_ARG, "%zu rows of %zu classes are too many", n, c->k);
    tw_status st = prob ? twi_alloc(ctx, cells, &answers.prob) : TW_OK;
    if (st == TW_OK) st = twi_classifier_answer(ctx, c, x, n, &answers);
    for (size_t i = 0; prob && st == TW_OK && i < cells; i++) prob[i] = (float)answers.prob[i];
    twi_free(answers.prob);
    return st;
}

/* ---- cross-validation ---------------------------------------------------------------------- */

/* groups numbered densely, in their order; *n_groups of them. */
static tw_status number_groups(tw_ctx *ctx, const uint32_t *groups, size_t n, uint32_t *out,
                               size_t *n_groups)
{
    uint32_t *place;
    tw_status st = twi_zalloc(ctx, n, &place);
    if (st != TW_OK) return st;
    *n_groups = 0;
    for (size_t i = 0; i < n && st == TW_OK; i++) {
        if (groups[i] >= n)
            st = twi_fail(ctx, TW_ERR_ARG,
                          "sample %zu is in group %u; numbers below %zu are allowed", i,
                          (unsigned)groups[i], n);
        else
            place[groups[i]] = 1;
    }
    for (size_t g = 0; g < n && st == TW_OK; g++)
        if (place[g]) place[g] = (uint32_t)(*n_groups)++;
    for (size_t i = 0; i < n && st == TW_OK; i++) out[i] = place[groups[i]];
    twi_free(place);
    return st;
}

static tw_status make_folds(tw_ctx *ctx, const twi_samples *samples, size_t folds, size_t repeats,
                            uint32_t seed, const uint32_t *groups, uint32_t *fold_of)
{
    uint32_t *numbers;
    size_t n_groups;
    if (!groups)
        return twi_folds_repeated(ctx, samples->n, samples->y, samples->k, folds, repeats, seed,
                                  fold_of);
    tw_status st = twi_alloc(ctx, samples->n, &numbers);
    if (st == TW_OK) st = number_groups(ctx, groups, samples->n, numbers, &n_groups);
    if (st == TW_OK) st = twi_folds_grouped(ctx, samples->n, numbers, n_groups, folds, fold_of);
    twi_free(numbers);
    return st;
}

tw_status tw_cross_validate(tw_ctx *ctx, const tw_samples *samples, const tw_head_opts *opts,
                            size_t folds, size_t repeats, uint32_t seed, const uint32_t *groups,
                            double *accuracy)
{
    twi_samples rows;
    twi_candidate candidate = {0};
    uint32_t *fold_of = NULL;
    double seconds = 0.0;
    size_t cells, columns;
    tw_status st = check(ctx, samples, &rows);
    if (st == TW_OK) st = twi_head_resolve(ctx, opts, &candidate.opts);
    if (st != TW_OK) return st;
    if (candidate.opts.C == TW_AUTO || candidate.opts.alpha == TW_AUTO)
        return twi_fail(ctx, TW_ERR_ARG,
                        "a setting is cross-validated as it is: C and alpha must "
                        "be numbers");
    if (repeats == 0 || (groups && repeats != 1) || twi_mul(repeats, rows.n, &cells) ||
        twi_mul(repeats, folds, &columns))
        return twi_fail(ctx, TW_ERR_ARG, "%zu repeats; need at least 1, and 1 with groups",
                        repeats);
    if ((st = twi_alloc(ctx, cells, &fold_of)) != TW_OK) return st;
    if ((st = make_folds(ctx, &rows, folds, repeats, seed, groups, fold_of)) != TW_OK) goto done;
    for (size_t i = 0; i < columns; i++) accuracy[i] = (double)NAN;
    const twi_view view = {rows.x, rows.d};
    const twi_search_problem problem = {.views = &view,
                                        .n_views = 1,
                                        .y = rows.y,
                                        .n = rows.n,
                                        .k = rows.k,
                                        .candidates = &candidate,
                                        .n_candidates = 1,
                                        .fold_of = fold_of,
                                        .folds = folds,
                                        .repeats = repeats};
    st = twi_search_run(ctx, &problem, accuracy, &seconds, NULL);
done:
    twi_free(fold_of);
    return st;
}
