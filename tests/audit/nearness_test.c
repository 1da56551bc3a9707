/* nearness_test.c - rows that are copies of others but for noise are found among many, alone, and
 * whatever the number of threads; refusals. */
#include "audit/audit.h"
#include "base/rng.h"
#include "testing.h"

#include <math.h>

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

static float normal(twi_rng *rng)
{
    double spare = (double)NAN;
    return (float)twi_rng_normal(rng, &spare);
}

/* Features as networks make them: a few directions that all share, on top of them noise. */
static float *rows_new(size_t n, size_t d, uint32_t seed)
{
    float *x = malloc(n * d * sizeof *x), *axes = malloc(4 * d * sizeof *axes);
    twi_rng rng;
    twi_rng_seed(&rng, seed);
    for (size_t i = 0; i < 4 * d; i++) axes[i] = 3.0f * normal(&rng);
    for (size_t i = 0; i < n; i++) {
        const float a = normal(&rng), b = normal(&rng), c = normal(&rng), e = normal(&rng);
        for (size_t j = 0; j < d; j++)
            x[i * d + j] = 10.0f + a * axes[j] + b * axes[d + j] + c * axes[2 * d + j] +
                           e * axes[3 * d + j] + normal(&rng);
    }
    free(axes);
    return x;
}

static void plant(float *x, size_t d, size_t from, size_t to, float noise, uint32_t seed)
{
    twi_rng rng;
    twi_rng_seed(&rng, seed);
    for (size_t j = 0; j < d; j++) x[to * d + j] = x[from * d + j] + noise * normal(&rng);
}

static void check(size_t n, size_t d)
{
    float *x = rows_new(n, d, 7);
    twi_nears one, two;
    plant(x, d, 3, n - 1, 0.1f, 1);
    plant(x, d, n / 2, 10, 0.1f, 2);
    tw_ctx_set_threads(ctx, 1);
    assert_int_equal(twi_near_pairs(ctx, x, n, d, 0.8, &one), TW_OK);
    tw_ctx_set_threads(ctx, 3);
    assert_int_equal(twi_near_pairs(ctx, x, n, d, 0.8, &two), TW_OK);
    tw_ctx_set_threads(ctx, 0);
    assert_int_equal(one.n, 2);
    assert_int_equal(one.items[0].a, 3);
    assert_int_equal(one.items[0].b, n - 1);
    assert_int_equal(one.items[1].a, 10);
    assert_int_equal(one.items[1].b, n / 2);
    assert_true(one.items[0].cosine > 0.9f && one.items[0].cosine < 1.001f);
    assert_int_equal(two.n, one.n);
    for (size_t i = 0; i < one.n; i++)
        assert_true(two.items[i].cosine == one.items[i].cosine && two.items[i].a == one.items[i].a);
    twi_nears_free(&one);
    twi_nears_free(&two);
    free(x);
}

static void test_few_features(void **state)
{
    (void)state;
    check(700, 48); /* more than one block of rows */
}

static void test_more_features_than_rows(void **state)
{
    (void)state;
    check(150, 900);
}

/* A film: every row has more copies than are kept, and all hang together. */
static void test_many_copies(void **state)
{
    (void)state;
    enum { N = 300, D = 64 };
    float *x = rows_new(N, D, 9);
    twi_nears nears;
    twi_clusters clusters;
    for (size_t i = 101; i < 160; i++) plant(x, D, 100, i, 0.05f, (uint32_t)i);
    assert_int_equal(twi_near_pairs(ctx, x, N, D, 0.8, &nears), TW_OK);
    assert_int_equal(twi_clusters_new(ctx, N, &clusters), TW_OK);
    assert_true(nears.n <= (size_t)60 * 16);
    for (size_t i = 0; i < nears.n; i++) {
        assert_true(nears.items[i].a >= 100 && nears.items[i].b < 160);
        twi_clusters_join(&clusters, nears.items[i].a, nears.items[i].b);
    }
    for (size_t i = 100; i < 160; i++) assert_int_equal(twi_clusters_root(&clusters, i), 100);
    twi_clusters_free(&clusters);
    twi_nears_free(&nears);
    free(x);
}

static void test_too_few_and_not_finite(void **state)
{
    (void)state;
    twi_nears nears;
    float *x = rows_new(20, 5, 1);
    assert_int_equal(twi_near_pairs(ctx, x, 3, 5, 0.5, &nears), TW_OK);
    assert_int_equal(nears.n, 0);
    x[17] = (float)NAN;
    assert_int_equal(twi_near_pairs(ctx, x, 20, 5, 0.5, &nears), TW_ERR_DATA);
    assert_non_null(strstr(tw_last_error(ctx), "NaN"));
    for (size_t i = 0; i < 100; i++) x[i] = 1.0f; /* all the same, of no variance */
    assert_int_equal(twi_near_pairs(ctx, x, 20, 5, 0.5, &nears), TW_OK);
    assert_int_equal(nears.n, 0);
    twi_nears_free(&nears);
    free(x);
}

static int stop_at_once(void *user, const tw_progress *progress)
{
    (void)user, (void)progress;
    return 1;
}

static void test_cancel(void **state)
{
    (void)state;
    twi_nears nears;
    float *x = rows_new(200, 20, 1);
    tw_ctx_set_progress(ctx, stop_at_once, NULL);
    assert_int_equal(twi_near_pairs(ctx, x, 200, 20, 0.5, &nears), TW_ERR_CANCELLED);
    tw_ctx_set_progress(ctx, NULL, NULL);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_features), cmocka_unit_test(test_more_features_than_rows),
        cmocka_unit_test(test_many_copies), cmocka_unit_test(test_too_few_and_not_finite),
        cmocka_unit_test(test_cancel)};
    return cmocka_run_group_tests(tests, start, stop);
}
