/* folds.c - KFold and StratifiedKFold, once and repeated. Source: scikit-learn 1.2.1,
 * model_selection/_split.py. */
#include "dataset/split.h"

#include "base/rng.h"

#include <string.h>

/* KFold: consecutive runs of the (shuffled) samples; the first n % folds runs are one longer. */
static tw_status folds_plain(tw_ctx *ctx, size_t n, size_t folds, twi_rng *rng, uint32_t *fold_of)
{
    size_t *order;
    tw_status st = twi_alloc(ctx, n, &order);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) order[i] = i;
    if (rng) twi_rng_shuffle(rng, order, n);
    for (size_t f = 0, at = 0; f < folds; f++) {
        const size_t size = n / folds + (f < n % folds);
        for (size_t end = at + size; at < end; at++) fold_of[order[at]] = (uint32_t)f;
    }
    twi_free(order);
    return TW_OK;
}

/* Per class: how many members, where its run starts among samples sorted by class, where its next
 * fold is to be taken from. Classes stand in the order of their first appearance. */
typedef struct runs {
    size_t *rank;   /* [classes] class -> order of first appearance; SIZE_MAX: does not occur */
    size_t *counts; /* [n_classes] */
    size_t *next;   /* [n_classes] */
    size_t *dealt;  /* [n] fold numbers, one run a class */
    size_t n_classes;
    twi_arena arena;
} runs;

static tw_status runs_fill(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes, runs *r)
{
    tw_status st = twi_arena_take(ctx, &r->arena, classes, &r->rank);
    if (st == TW_OK) st = twi_arena_take(ctx, &r->arena, classes, &r->counts);
    if (st == TW_OK) st = twi_arena_take(ctx, &r->arena, classes, &r->next);
    if (st == TW_OK) st = twi_arena_take(ctx, &r->arena, n, &r->dealt);
    if (st != TW_OK) return st;
    for (size_t k = 0; k < classes; k++) r->rank[k] = SIZE_MAX;
    memset(r->counts, 0, classes * sizeof *r->counts);
    for (size_t i = 0; i < n; i++) {
        if (labels[i] >= classes)
            return twi_fail(ctx, TW_ERR_ARG, "sample %zu has label %u, there are %zu classes", i,
                            (unsigned)labels[i], classes);
        size_t *rank = &r->rank[labels[i]];
        if (*rank == SIZE_MAX) *rank = r->n_classes++;
        r->counts[*rank]++;
    }
    return TW_OK;
}

/* Deals fold numbers over the samples sorted by class, round robin; a class's run of them, sorted,
 * is what its members get in order (or shuffled). */
static void runs_deal(runs *r, size_t folds, twi_rng *rng)
{
    for (size_t k = 0, at = 0; k < r->n_classes; at += r->counts[k++]) {
        const size_t count = r->counts[k];
        size_t *run = r->dealt + at, filled = 0;
        r->next[k] = at;
        for (size_t f = 0; f < folds && filled < count; f++) {
            /* positions p in [at, at + count) with p % folds == f */
            const size_t first = (f + folds - at % folds) % folds;
            const size_t share = first < count ? (count - first - 1) / folds + 1 : 0;
            for (size_t j = 0; j < share; j++) run[filled++] = f;
        }
        if (rng) twi_rng_shuffle(rng, run, count);
    }
}

static tw_status counts_check(tw_ctx *ctx, const runs *r, size_t folds)
{
    size_t least = SIZE_MAX, most = 0;
    for (size_t k = 0; k < r->n_classes; k++) {
        if (r->counts[k] < least) least = r->counts[k];
        if (r->counts[k] > most) most = r->counts[k];
    }
    if (most < folds)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu folds, but the largest class has only %zu photos to put in them",
                        folds, most);
    if (least < folds)
        twi_log(ctx, TW_LOG_WARNING,
                "the smallest class has only %zu photos, fewer than the %zu folds", least, folds);
    return TW_OK;
}

static tw_status folds_stratified(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes,
                                  size_t folds, twi_rng *rng, uint32_t *fold_of)
{
    runs r = {0};
    tw_status st;
    if ((st = runs_fill(ctx, n, labels, classes, &r)) != TW_OK) goto done;
    if ((st = counts_check(ctx, &r, folds)) != TW_OK) goto done;
    runs_deal(&r, folds, rng);
    for (size_t i = 0; i < n; i++) fold_of[i] = (uint32_t)r.dealt[r.next[r.rank[labels[i]]]++];
done:
    twi_arena_free(&r.arena);
    return st;
}

static tw_status folds_drawn(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes,
                             size_t folds, twi_rng *draw, uint32_t *fold_of)
{
    if (folds < 2) return twi_fail(ctx, TW_ERR_ARG, "%zu folds, at least 2 are needed", folds);
    if (folds > n || n > UINT32_MAX)
        return twi_fail(ctx, TW_ERR_DATA, "%zu photos cannot be put into %zu folds", n, folds);
    if (!labels) return folds_plain(ctx, n, folds, draw, fold_of);
    return folds_stratified(ctx, n, labels, classes, folds, draw, fold_of);
}

tw_status twi_folds(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes, size_t folds,
                    bool shuffle, uint32_t seed, uint32_t *fold_of)
{
    twi_rng rng;
    if (shuffle) twi_rng_seed(&rng, seed);
    return folds_drawn(ctx, n, labels, classes, folds, shuffle ? &rng : NULL, fold_of);
}

tw_status twi_folds_repeated(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes,
                             size_t folds, size_t repeats, uint32_t seed, uint32_t *fold_of)
{
    twi_rng rng;
    tw_status st = TW_OK;
    twi_rng_seed(&rng, seed);
    for (size_t r = 0; r < repeats && st == TW_OK; r++)
        st = folds_drawn(ctx, n, labels, classes, folds, &rng, fold_of + r * n);
    return st;
}
