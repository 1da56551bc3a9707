/* groups.c - GroupKFold and GroupShuffleSplit. Source: scikit-learn 1.2.1,
 * model_selection/_split.py. */
#include "dataset/split.h"

#include <string.h>

/* NumPy's introsort of indices by value, which says which of equally large groups comes first:
 * median of three, the smaller part first, insertion below 17. Its escape to heapsort is left out:
 * counts would have to be arranged against it. Source: numpy 1.24, npysort/quicksort.cpp. */
static void swap(size_t *a, size_t *b)
{
    const size_t kept = *a;
    *a = *b;
    *b = kept;
}

static void insertion(const size_t *v, size_t *low, size_t *high)
{
    for (size_t *i = low + 1; i <= high; i++) {
        const size_t moved = *i;
        size_t *j = i;
        for (; j > low && v[moved] < v[j[-1]]; j--) *j = j[-1];
        *j = moved;
    }
}

static void sort_by(const size_t *v, size_t *index, size_t n)
{
    enum { SMALL = 15, DEPTH = 128 };
    size_t *stack[DEPTH], depth = 0;
    size_t *low = index, *high = index + n - 1;
    if (n < 2) return;
    for (;;) {
        while (high - low > SMALL) {
            size_t *middle = low + ((high - low) >> 1);
            if (v[*middle] < v[*low]) swap(middle, low);
            if (v[*high] < v[*middle]) swap(high, middle);
            if (v[*middle] < v[*low]) swap(middle, low);
            const size_t pivot = v[*middle];
            size_t *i = low, *j = high - 1;
            swap(middle, j);
            for (;;) {
                do ++i;
                while (v[*i] < pivot);
                do --j;
                while (pivot < v[*j]);
                if (i >= j) break;
                swap(i, j);
            }
            swap(i, high - 1);
            if (i - low < high - i) { /* the larger part waits */
                stack[depth++] = i + 1;
                stack[depth++] = high;
                high = i - 1;
            } else {
                stack[depth++] = low;
                stack[depth++] = i - 1;
                low = i + 1;
            }
        }
        insertion(v, low, high);
        if (depth == 0) return;
        high = stack[--depth];
        low = stack[--depth];
    }
}

static tw_status count_groups(tw_ctx *ctx, size_t n, const uint32_t *groups, size_t n_groups,
                              size_t *count)
{
    for (size_t i = 0; i < n; i++) {
        if (groups[i] >= n_groups)
            return twi_fail(ctx, TW_ERR_ARG, "sample %zu is in group %u of %zu", i,
                            (unsigned)groups[i], n_groups);
        count[groups[i]]++;
    }
    for (size_t g = 0; g < n_groups; g++)
        if (count[g] == 0) return twi_fail(ctx, TW_ERR_ARG, "group %zu has no sample", g);
    return TW_OK;
}

tw_status twi_folds_grouped(tw_ctx *ctx, size_t n, const uint32_t *groups, size_t n_groups,
                            size_t folds, uint32_t *fold_of)
{
    size_t *count = NULL, *order = NULL, *filled = NULL;
    uint32_t *fold = NULL;
    if (folds < 2) return twi_fail(ctx, TW_ERR_ARG, "%zu folds, at least 2 are needed", folds);
    if (folds > n_groups)
        return twi_fail(ctx, TW_ERR_DATA, "%zu groups cannot be put into %zu folds", n_groups,
                        folds);
    tw_status st = twi_zalloc(ctx, n_groups, &count);
    if (st == TW_OK) st = twi_alloc(ctx, n_groups, &order);
    if (st == TW_OK) st = twi_alloc(ctx, n_groups, &fold);
    if (st == TW_OK) st = twi_zalloc(ctx, folds, &filled);
    if (st == TW_OK) st = count_groups(ctx, n, groups, n_groups, count);
    if (st != TW_OK) goto done;
    for (size_t g = 0; g < n_groups; g++) order[g] = g;
    sort_by(count, order, n_groups);
    for (size_t at = n_groups; at-- > 0;) { /* the largest first, each to the emptiest fold */
        size_t lightest = 0;
        for (size_t f = 1; f < folds; f++)
            if (filled[f] < filled[lightest]) lightest = f;
        filled[lightest] += count[order[at]];
        fold[order[at]] = (uint32_t)lightest;
    }
    for (size_t i = 0; i < n; i++) fold_of[i] = fold[groups[i]];
done:
    twi_free(count);
    twi_free(order);
    twi_free(fold);
    twi_free(filled);
    return st;
}

tw_status twi_split_grouped(tw_ctx *ctx, size_t n, const uint32_t *groups, size_t n_groups,
                            double test_size, uint32_t seed, size_t *train, size_t *n_train,
                            size_t *test, size_t *n_test)
{
    size_t *parts = NULL, *count = NULL, groups_train, groups_test, trained = 0, tested = 0;
    bool *is_test = NULL;
    tw_status st = twi_split_sizes(ctx, n_groups, test_size, &groups_train, &groups_test);
    if (st != TW_OK) return st;
    if ((st = twi_alloc(ctx, n_groups, &parts)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, n_groups, &count)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, n_groups, &is_test)) != TW_OK) goto done;
    if ((st = count_groups(ctx, n, groups, n_groups, count)) != TW_OK) goto done;
    st = twi_split(ctx, n_groups, NULL, 0, seed, groups_train, groups_test, parts,
                   parts + groups_train);
    if (st != TW_OK) goto done;
    for (size_t g = groups_train; g < n_groups; g++) is_test[parts[g]] = true;
    for (size_t i = 0; i < n; i++) *(is_test[groups[i]] ? &test[tested++] : &train[trained++]) = i;
    *n_train = trained;
    *n_test = tested;
done:
    twi_free(parts);
    twi_free(count);
    twi_free(is_test);
    return st;
}
