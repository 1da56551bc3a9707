/* parts.c - the training part and the test part of a data set. */
#include "api/parts.h"

#include "base/memory.h"

/* The folder's or manifest's own parts: test is "test" where there is one, else "val"; with a test
 * part, val joins the training part (what is chosen is cross-validated there). */
static tw_status given_split(tw_ctx *ctx, const tw_dataset *dataset, twi_parts *p)
{
    const size_t n = tw_dataset_count(dataset);
    bool has_test = false;
    for (size_t i = 0; i < n; i++) has_test |= tw_dataset_part(dataset, i) == TW_PART_TEST;
    const tw_part measured = has_test ? TW_PART_TEST : TW_PART_VAL;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < n; i++) {
            const bool test = tw_dataset_part(dataset, i) == measured;
            if (test != (pass == 1)) continue;
            p->order[p->n_train + p->n_test] = i;
            *(test ? &p->n_test : &p->n_train) += 1;
        }
    }
    if (p->n_train == 0 || p->n_test == 0)
        return twi_fail(
            ctx, TW_ERR_DATA,
            "the data set's own split has %zu training and %zu test pictures; both parts need some",
            p->n_train, p->n_test);
    return TW_OK;
}

static tw_status grouped_split(tw_ctx *ctx, const tw_dataset *dataset, const twi_parts_opts *opts,
                               twi_parts *p)
{
    const size_t n = tw_dataset_count(dataset);
    size_t n_groups, *test;
    const uint32_t *groups = twi_dataset_groups(dataset, &n_groups);
    if (!groups)
        return twi_fail(ctx, TW_ERR_DATA,
                        "groups are to be kept apart, and the data set names none: a manifest with "
                        "a column \"group\" does");
    tw_status st = twi_alloc(ctx, n, &test);
    if (st != TW_OK) return st;
    st = twi_split_grouped(ctx, n, groups, n_groups, opts->test_size, opts->seed, p->order,
                           &p->n_train, test, &p->n_test);
    for (size_t i = 0; st == TW_OK && i < p->n_test; i++) p->order[p->n_train + i] = test[i];
    twi_free(test);
    p->grouped = true;
    return st;
}

static tw_status drawn_split(tw_ctx *ctx, const tw_dataset *dataset, const twi_parts_opts *opts,
                             twi_parts *p)
{
    const size_t n = tw_dataset_count(dataset);
    tw_status st = twi_split_sizes(ctx, n, opts->test_size, &p->n_train, &p->n_test);
    if (st == TW_OK && opts->stratify) st = twi_dataset_check_stratified(ctx, dataset);
    if (st != TW_OK) return st;
    return twi_split(ctx, n, opts->stratify ? twi_dataset_labels(dataset) : NULL,
                     tw_dataset_class_count(dataset), opts->seed, p->n_train, p->n_test, p->order,
                     p->order + p->n_train);
}

tw_status twi_parts_make(tw_ctx *ctx, const tw_dataset *dataset, const twi_parts_opts *opts,
                         twi_parts *out)
{
    twi_parts p = {.given = twi_dataset_has_parts(dataset)};
    tw_status st = twi_alloc(ctx, tw_dataset_count(dataset), &p.order);
    if (st == TW_OK)
        st = p.given        ? given_split(ctx, dataset, &p)
             : opts->groups ? grouped_split(ctx, dataset, opts, &p)
                            : drawn_split(ctx, dataset, opts, &p);
    if (st == TW_OK) *out = p, p = (twi_parts){0};
    twi_parts_free(&p);
    return st;
}

void twi_parts_free(twi_parts *parts)
{
    twi_free(parts->order);
    *parts = (twi_parts){0};
}

/* ---- folds --------------------------------------------------------------------------------- */

/* The groups of the rows, numbered densely in the order that all groups have. */
static tw_status groups_of(tw_ctx *ctx, const tw_dataset *dataset, const size_t *sample, size_t n,
                           uint32_t **out, size_t *n_groups)
{
    size_t all;
    const uint32_t *groups = twi_dataset_groups(dataset, &all);
    uint32_t *place = NULL;
    if (!groups) return twi_fail(ctx, TW_ERR_DATA, "the data set names no groups");
    tw_status st = twi_alloc(ctx, n, out);
    if (st == TW_OK) st = twi_zalloc(ctx, all, &place);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) place[groups[sample[i]]] = 1;
    *n_groups = 0;
    for (size_t g = 0; g < all; g++)
        if (place[g]) place[g] = (uint32_t)(*n_groups)++;
    for (size_t i = 0; i < n; i++) (*out)[i] = place[groups[sample[i]]];
    twi_free(place);
    return TW_OK;
}

static size_t rarest(const uint32_t *y, size_t n, size_t k)
{
    size_t least = SIZE_MAX;
    for (size_t c = 0; c < k; c++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++) count += y[i] == c;
        if (count < least) least = count;
    }
    return least;
}

tw_status twi_parts_folds(tw_ctx *ctx, const tw_dataset *dataset, const twi_parts_opts *opts,
                          const size_t *sample, size_t n, const uint32_t *y, size_t k,
                          size_t *folds, size_t repeats, uint32_t **fold_of)
{
    uint32_t *groups = NULL;
    size_t n_groups = 0, cells;
    tw_status st = TW_OK;
    *fold_of = NULL;
    if (opts->groups) {
        if ((st = groups_of(ctx, dataset, sample, n, &groups, &n_groups)) != TW_OK) goto done;
        if (n_groups < *folds) *folds = n_groups;
    } else if (rarest(y, n, k) < *folds) {
        *folds = rarest(y, n, k);
    }
    if (*folds < 2) {
        *folds = 0;
        goto done;
    }
    if (twi_mul(n, repeats, &cells)) {
        st = twi_fail(ctx, TW_ERR_ARG, "%zu repeats are too many", repeats);
        goto done;
    }
    if ((st = twi_alloc(ctx, cells, fold_of)) != TW_OK) goto done;
    if (groups)
        st = twi_folds_grouped(ctx, n, groups, n_groups, *folds, *fold_of);
    else
        st = twi_folds_repeated(ctx, n, y, k, *folds, repeats, opts->seed, *fold_of);
done:
    twi_free(groups);
    return st;
}
