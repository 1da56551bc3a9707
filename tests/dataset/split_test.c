/* split_test.c - splits and folds against scikit-learn 1.2.1 without Python: cases made by
 * parity.py. */
#include "../testing.h"

#include "dataset/split.h"

#include <math.h>
#include <stdbool.h>

typedef struct golden {
    size_t n, classes;
    uint32_t salt, seed;
    double test_size;
    size_t n_train;
    uint64_t split_sum;
    size_t folds;
    bool shuffle;
    uint64_t fold_sum;
} golden;

static const golden goldens[] = {
#include "splits_golden.h"
};

static tw_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

/* parity.py's made_labels(). */
static void make_labels(const golden *g, uint32_t *labels)
{
    uint32_t state = g->salt * 2654435761u + 12345u;
    for (size_t i = 0; i < g->n; i++) {
        state = state * 1664525u + 1013904223u;
        const uint32_t a = (state >> 8) % (uint32_t)g->classes;
        state = state * 1664525u + 1013904223u;
        const uint32_t b = (state >> 8) % (uint32_t)g->classes;
        labels[i] = g->salt % 2 && b < a ? b : a;
    }
}

#define FNV_START 0xcbf29ce484222325u

static uint64_t fnv(uint64_t sum, uint32_t value)
{
    for (int shift = 0; shift < 32; shift += 8)
        sum = (sum ^ (value >> shift & 255)) * 0x100000001b3u;
    return sum;
}

static void check_split(const golden *g, const uint32_t *labels)
{
    size_t n_train = 0, n_test = 0, *order;
    assert_int_equal(twi_alloc(ctx, g->n, &order), TW_OK);
    tw_status st = twi_split_sizes(ctx, g->n, g->test_size, &n_train, &n_test);
    if (st == TW_OK)
        st = twi_split(ctx, g->n, labels, g->classes, g->seed, n_train, n_test, order,
                       order + n_train);
    assert_int_equal(st, g->n_train ? TW_OK : TW_ERR_DATA);
    if (g->n_train) {
        assert_int_equal(n_train, g->n_train);
        uint64_t sum = FNV_START;
        for (size_t i = 0; i < n_train + n_test; i++) sum = fnv(sum, (uint32_t)order[i]);
        assert_true(sum == g->split_sum);
    }
    twi_free(order);
}

static void check_folds(const golden *g, const uint32_t *labels)
{
    uint32_t *fold_of;
    assert_int_equal(twi_alloc(ctx, g->n, &fold_of), TW_OK);
    const tw_status st =
        twi_folds(ctx, g->n, labels, g->classes, g->folds, g->shuffle, g->seed, fold_of);
    assert_int_equal(st, g->fold_sum ? TW_OK : TW_ERR_DATA);
    if (g->fold_sum) {
        uint64_t sum = FNV_START;
        for (size_t i = 0; i < g->n; i++) sum = fnv(sum, fold_of[i]);
        assert_true(sum == g->fold_sum);
    }
    twi_free(fold_of);
}

static void equal_to_sklearn(void **state)
{
    (void)state;
    static uint32_t labels[4096];
    for (size_t i = 0; i < sizeof goldens / sizeof goldens[0]; i++) {
        const golden *g = &goldens[i];
        assert_true(g->n <= sizeof labels / sizeof labels[0]);
        if (g->classes) make_labels(g, labels);
        check_split(g, g->classes ? labels : NULL);
        check_folds(g, g->classes ? labels : NULL);
    }
}

/* Two goldens in full, so that a failure above can be understood. */
static void plain_and_stratified(void **state)
{
    (void)state;
    static const size_t plain_train[] = {0, 7, 2, 9, 4, 3, 6}, plain_test[] = {8, 1, 5};
    static const size_t train20[] = {17, 10, 8, 9, 11, 12, 6, 15, 19, 5, 2, 0, 1, 18, 13};
    static const size_t test20[] = {4, 16, 3, 14, 7};
    size_t train[20], test[20], n_train, n_test;
    uint32_t labels[20];
    assert_int_equal(twi_split_sizes(ctx, 10, 0.25, &n_train, &n_test), TW_OK);
    assert_int_equal(twi_split(ctx, 10, NULL, 0, 42, n_train, n_test, train, test), TW_OK);
    assert_memory_equal(train, plain_train, sizeof plain_train);
    assert_memory_equal(test, plain_test, sizeof plain_test);
    for (size_t i = 0; i < 20; i++) labels[i] = i < 10 ? 0 : i < 16 ? 1 : 2;
    assert_int_equal(twi_split(ctx, 20, labels, 3, 42, 15, 5, train, test), TW_OK);
    assert_memory_equal(train, train20, sizeof train20);
    assert_memory_equal(test, test20, sizeof test20);
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        double share;
        size_t n, test;
    } traps[] = {{.07, 100, 8}, {.14, 50, 8}, {.28, 25, 8}, {.2, 10, 2}, {.2, 11, 3}, {3, 10, 3}};
    size_t n_train, n_test;
    for (size_t i = 0; i < TWI_LEN(traps); i++) {
        assert_int_equal(twi_split_sizes(ctx, traps[i].n, traps[i].share, &n_train, &n_test),
                         TW_OK);
        assert_int_equal(n_test, traps[i].test);
        assert_int_equal(n_train, traps[i].n - traps[i].test);
    }
    assert_int_equal(twi_split_sizes(ctx, 10, 0.0, &n_train, &n_test), TW_ERR_ARG);
    assert_int_equal(twi_split_sizes(ctx, 10, -0.5, &n_train, &n_test), TW_ERR_ARG);
    assert_int_equal(twi_split_sizes(ctx, 10, (double)NAN, &n_train, &n_test), TW_ERR_ARG);
    assert_int_equal(twi_split_sizes(ctx, 10, 2.5, &n_train, &n_test), TW_ERR_ARG);
    assert_int_equal(twi_split_sizes(ctx, 10, 10, &n_train, &n_test), TW_ERR_DATA);
    assert_int_equal(twi_split_sizes(ctx, 10, 1e300, &n_train, &n_test), TW_ERR_DATA);
    assert_int_equal(twi_split_sizes(ctx, 1, 0.5, &n_train, &n_test), TW_ERR_DATA);
    assert_int_equal(twi_split_sizes(ctx, 0, 0.5, &n_train, &n_test), TW_ERR_DATA);
}

static void refusals(void **state)
{
    (void)state;
    size_t train[8], test[8];
    uint32_t folds[8];
    static const uint32_t lonely[] = {0, 0, 1, 0, 0, 0}, four[] = {0, 1, 2, 3, 0, 1, 2, 3};
    assert_int_equal(twi_split(ctx, 6, lonely, 2, 0, 3, 3, train, test), TW_ERR_DATA);
    assert_non_null(strstr(tw_last_error(ctx), "class 1 has only 1"));
    assert_int_equal(twi_split(ctx, 8, four, 4, 0, 5, 3, train, test), TW_ERR_DATA);
    assert_non_null(strstr(tw_last_error(ctx), "the test part would have 3"));
    assert_int_equal(twi_split(ctx, 8, four, 4, 0, 3, 5, train, test), TW_ERR_DATA);
    assert_int_equal(twi_split(ctx, 8, four, 3, 0, 4, 4, train, test), TW_ERR_ARG);
    assert_int_equal(twi_split(ctx, 8, NULL, 0, 0, 8, 1, train, test), TW_ERR_DATA);
    assert_int_equal(twi_folds(ctx, 8, four, 4, 1, false, 0, folds), TW_ERR_ARG);
    assert_int_equal(twi_folds(ctx, 8, four, 4, 3, false, 0, folds), TW_ERR_DATA);
    assert_int_equal(twi_folds(ctx, 8, NULL, 0, 9, false, 0, folds), TW_ERR_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equal_to_sklearn),
                                       cmocka_unit_test(plain_and_stratified),
                                       cmocka_unit_test(sizes), cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
