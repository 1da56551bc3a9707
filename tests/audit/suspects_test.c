/* suspects_test.c - confident learning by hand: thresholds, order, classes without members. */
#include "audit/audit.h"
#include "testing.h"

static tw_ctx *ctx;

static int start(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

/* Thresholds: class 0 (0.9 + 0.8 + 0.3) / 3 = 0.6667, class 1 (0.9 + 0.7 + 0.1) / 3 = 0.5667. */
static void test_thresholds(void **state)
{
    (void)state;
    static const double prob[] = {0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.1, 0.9, 0.3, 0.7, 0.9, 0.1};
    static const uint32_t y[] = {0, 0, 0, 1, 1, 1};
    twi_suspect out[6];
    size_t found;
    assert_int_equal(twi_suspects_find(ctx, prob, y, 6, 2, out, &found), TW_OK);
    assert_int_equal(found, 2);
    assert_int_equal(out[0].sample, 5); /* 0.1 against 0.9: the surer one */
    assert_int_equal(out[0].suggested, 0);
    assert_true(out[0].given_p == 0.1 && out[0].suggested_p == 0.9);
    assert_int_equal(out[1].sample, 2);
    assert_int_equal(out[1].suggested, 1);
}

/* Wrong, but not surer than is usual for the class it is taken for. */
static void test_unsure_is_not_suspect(void **state)
{
    (void)state;
    static const double prob[] = {0.95, 0.05, 0.4, 0.6, 0.05, 0.95, 0.1, 0.9};
    static const uint32_t y[] = {0, 0, 1, 1};
    twi_suspect out[4];
    size_t found;
    assert_int_equal(twi_suspects_find(ctx, prob, y, 4, 2, out, &found), TW_OK);
    assert_int_equal(found, 0); /* sample 1: 0.6 is below class 1's mean of 0.925 */
}

static void test_class_without_members(void **state)
{
    (void)state;
    static const double prob[] = {0.2, 0.1, 0.7, 0.3, 0.6, 0.1};
    static const uint32_t y[] = {0, 1};
    twi_suspect out[2];
    size_t found;
    assert_int_equal(twi_suspects_find(ctx, prob, y, 2, 3, out, &found), TW_OK);
    assert_int_equal(found, 0); /* nobody shows what class 2 is like */
}

/* ---- clusters ------------------------------------------------------------------------------ */

static void test_clusters(void **state)
{
    (void)state;
    twi_clusters c;
    assert_int_equal(twi_clusters_new(ctx, 8, &c), TW_OK);
    twi_clusters_join(&c, 7, 5);
    twi_clusters_join(&c, 5, 3);
    twi_clusters_join(&c, 2, 6);
    twi_clusters_join(&c, 6, 6);
    static const size_t want[] = {0, 1, 2, 3, 4, 3, 2, 3};
    for (size_t i = 0; i < 8; i++) assert_int_equal(twi_clusters_root(&c, i), want[i]);
    twi_clusters_join(&c, 7, 6);
    assert_int_equal(twi_clusters_root(&c, 7), 2);
    twi_clusters_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thresholds), cmocka_unit_test(test_unsure_is_not_suspect),
        cmocka_unit_test(test_class_without_members), cmocka_unit_test(test_clusters)};
    return cmocka_run_group_tests(tests, start, stop);
}
