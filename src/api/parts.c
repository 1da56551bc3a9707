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
