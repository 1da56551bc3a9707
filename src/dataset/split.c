/* split.c - train_test_split, plain and stratified.
 * Source: scikit-learn 1.2.1, model_selection/_split.py (_validate_shuffle_split, ShuffleSplit,
 * StratifiedShuffleSplit) and utils/__init__.py (_approximate_mode). */
#include "dataset/split.h"

#include "base/rng.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* NumPy changes to 64-bit draws above this; nobody has that many photos, so we stop instead. */
#define SAMPLES_MAX ((size_t)UINT32_MAX)

static tw_status samples_check(tw_ctx *ctx, size_t n)
{
    if (n > SAMPLES_MAX)
        return twi_fail(ctx, TW_ERR_DATA, "%zu samples, at most %zu can be split", n, SAMPLES_MAX);
    return TW_OK;
}

tw_status twi_split_sizes(tw_ctx *ctx, size_t n, double test_size, size_t *n_train, size_t *n_test)
{
    if (!(test_size > 0.0) || !isfinite(test_size))
        return twi_fail(ctx, TW_ERR_ARG,
                        "test size must be a share between 0 and 1, or a number of photos");
    if (test_size >= 1.0 && test_size != floor(test_size))
        return twi_fail(ctx, TW_ERR_ARG, "test size of 1 or more must be a whole number of photos");
    tw_status st = samples_check(ctx, n);
    if (st != TW_OK) return st;
    if (test_size >= (double)n && test_size >= 1.0)
        return twi_fail(ctx, TW_ERR_DATA,
                        "test size is %.0f photos, it must be smaller than their number, %zu",
                        fmin(test_size, 1e15), n);
    /* ceil of the double product, as scikit-learn: 0.07 * 100 gives 8, not 7. */
    const size_t test = (size_t)(test_size < 1.0 ? ceil(test_size * (double)n) : test_size);
    if (test == 0 || test >= n)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu photos with %zu of them for testing leave %zu for training", n, test,
                        n - test);
    *n_test = test;
    *n_train = n - test;
    return TW_OK;
}

/* ---- stratified ---------------------------------------------------------------------------- */

/* The classes that occur, in order of their number, and their members in order of the samples. */
typedef struct strata {
    size_t n_classes;
    size_t *counts;  /* [n_classes] */
    size_t *members; /* [n] grouped by class */
    twi_arena arena;
} strata;

static tw_status strata_fill(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes,
                             strata *out)
{
    size_t *starts;
    tw_status st = twi_arena_take(ctx, &out->arena, n, &out->members);
    if (st == TW_OK) st = twi_arena_take(ctx, &out->arena, classes, &out->counts);
    if (st == TW_OK) st = twi_arena_take(ctx, &out->arena, classes, &starts);
    if (st != TW_OK) return st;
    memset(out->counts, 0, classes * sizeof *out->counts);
    for (size_t i = 0; i < n; i++) {
        if (labels[i] >= classes)
            return twi_fail(ctx, TW_ERR_ARG, "sample %zu has label %u, there are %zu classes", i,
                            (unsigned)labels[i], classes);
        out->counts[labels[i]]++;
    }
    for (size_t k = 0, at = 0; k < classes; at += out->counts[k++]) starts[k] = at;
    for (size_t i = 0; i < n; i++) out->members[starts[labels[i]]++] = i;
    /* np.unique() sees only the classes that occur: an empty one must not take part in ties. */
    for (size_t k = 0; k < classes; k++) {
        if (out->counts[k] == 1)
            return twi_fail(ctx, TW_ERR_DATA,
                            "class %zu has only 1 photo; a stratified split needs at least 2 of "
                            "every class",
                            k);
        if (out->counts[k] > 0) out->counts[out->n_classes++] = out->counts[k];
    }
    return TW_OK;
}

typedef struct leftover {
    double part; /* fractional part of the class's share */
    size_t k;
} leftover;

static int leftover_order(const void *a, const void *b)
{
    const leftover *x = a, *y = b;
    if (x->part != y->part) return x->part > y->part ? -1 : 1;
    return (x->k > y->k) - (x->k < y->k);
}

/* Shares draws over classes of counts [n] in proportion -> out [n]: floors first, then one more to
 * the largest fractional parts; of parts exactly equal, a random choice. The generator is drawn
 * from even when a whole group of equals is taken. left [n] and order [n] are scratch. */
static void approximate_mode(const size_t *counts, size_t n, size_t draws, twi_rng *rng,
                             size_t *out, leftover *left, size_t *order)
{
    size_t sum = 0, given = 0;
    for (size_t k = 0; k < n; k++) sum += counts[k];
    if (sum == 0) sum = 1; /* nothing remains and nothing is drawn */
    for (size_t k = 0; k < n; k++) {
        /* volatile: a fused multiply-subtract would change which parts are exactly equal. */
        volatile double share = (double)counts[k] / (double)sum * (double)draws;
        out[k] = (size_t)floor(share);
        given += out[k];
        left[k] = (leftover){share - floor(share), k};
    }
    size_t need = draws > given ? draws - given : 0;
    if (need == 0) return;
    qsort(left, n, sizeof *left, leftover_order);
    for (size_t from = 0, to; from < n && need > 0; from = to) {
        for (to = from + 1; to < n && left[to].part == left[from].part;) to++;
        twi_rng_permutation(rng, order, to - from);
        const size_t take = need < to - from ? need : to - from;
        for (size_t j = 0; j < take; j++) out[left[from + order[j]].k]++;
        need -= take;
    }
}

/* How many of each class go to each part. scratch is strata's own arena. */
static tw_status strata_shares(tw_ctx *ctx, strata *s, twi_rng *rng, size_t n_train, size_t n_test,
                               size_t **train_share, size_t **test_share)
{
    size_t *rest, *order;
    leftover *left;
    const size_t k = s->n_classes;
    tw_status st = twi_arena_take(ctx, &s->arena, k, train_share);
    if (st == TW_OK) st = twi_arena_take(ctx, &s->arena, k, test_share);
    if (st == TW_OK) st = twi_arena_take(ctx, &s->arena, k, &rest);
    if (st == TW_OK) st = twi_arena_take(ctx, &s->arena, k, &order);
    if (st == TW_OK) st = twi_arena_take(ctx, &s->arena, k, &left);
    if (st != TW_OK) return st;
    approximate_mode(s->counts, k, n_train, rng, *train_share, left, order);
    for (size_t i = 0; i < k; i++) {
        assert((*train_share)[i] <= s->counts[i]);
        rest[i] = s->counts[i] - (*train_share)[i];
    }
    approximate_mode(rest, k, n_test, rng, *test_share, left, order);
    return TW_OK;
}

static tw_status stratified_check(tw_ctx *ctx, size_t classes, size_t n_train, size_t n_test)
{
    const char *part = n_train < classes ? "training" : "test";
    const size_t size = n_train < classes ? n_train : n_test;
    if (size >= classes) return TW_OK;
    return twi_fail(ctx, TW_ERR_DATA,
                    "the %s part would have %zu photos, a stratified split into %zu classes needs "
                    "at least one of each",
                    part, size, classes);
}

static tw_status split_stratified(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes,
                                  twi_rng *rng, size_t n_train, size_t n_test, size_t *train,
                                  size_t *test)
{
    strata s = {0};
    size_t *order, *train_share, *test_share, in_train = 0, in_test = 0;
    tw_status st;
    if ((st = strata_fill(ctx, n, labels, classes, &s)) != TW_OK) goto done;
    if ((st = stratified_check(ctx, s.n_classes, n_train, n_test)) != TW_OK) goto done;
    if ((st = twi_arena_take(ctx, &s.arena, n, &order)) != TW_OK) goto done;
    st = strata_shares(ctx, &s, rng, n_train, n_test, &train_share, &test_share);
    if (st != TW_OK) goto done;

    const size_t *members = s.members;
    for (size_t k = 0; k < s.n_classes; members += s.counts[k++]) {
        const size_t count = s.counts[k], a = train_share[k], b = a + test_share[k];
        twi_rng_permutation(rng, order, count);
        for (size_t j = 0; j < a && in_train < n_train; j++) train[in_train++] = members[order[j]];
        for (size_t j = a; j < b && j < count && in_test < n_test; j++)
            test[in_test++] = members[order[j]];
    }
    if (in_train != n_train || in_test != n_test) {
        st = twi_fail(ctx, TW_ERR_DATA, "%zu + %zu photos cannot be shared over %zu classes",
                      n_train, n_test, s.n_classes);
        goto done;
    }
    twi_rng_shuffle(rng, train, n_train);
    twi_rng_shuffle(rng, test, n_test);
done:
    twi_arena_free(&s.arena);
    return st;
}

/* ---- the door ------------------------------------------------------------------------------ */

/* ShuffleSplit: the head of one permutation is the test part, what follows it the training part. */
static tw_status split_plain(tw_ctx *ctx, size_t n, twi_rng *rng, size_t n_train, size_t n_test,
                             size_t *train, size_t *test)
{
    size_t *order;
    tw_status st = twi_alloc(ctx, n, &order);
    if (st != TW_OK) return st;
    twi_rng_permutation(rng, order, n);
    memcpy(test, order, n_test * sizeof *test);
    memcpy(train, order + n_test, n_train * sizeof *train);
    twi_free(order);
    return TW_OK;
}

tw_status twi_split(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes, uint32_t seed,
                    size_t n_train, size_t n_test, size_t *train, size_t *test)
{
    tw_status st = samples_check(ctx, n);
    if (st != TW_OK) return st;
    if (n_train == 0 || n_test == 0 || n_train > n || n_test > n - n_train)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu photos cannot be split into %zu for training and %zu for testing", n,
                        n_train, n_test);
    twi_rng rng;
    twi_rng_seed(&rng, seed);
    if (!labels) return split_plain(ctx, n, &rng, n_train, n_test, train, test);
    return split_stratified(ctx, n, labels, classes, &rng, n_train, n_test, train, test);
}
