/* plan_test.c - the arena plan: values alive together never overlap, and little is wasted. */
#include "networks.h"

#include "engine/program.h"

static bool apart(const twi_value *a, const twi_value *b)
{
    return a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset;
}

static void test_random_plans(void **state)
{
    (void)state;
    tw_ctx *ctx;
    twi_rng rng;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    for (uint32_t seed = 0; seed < 200; seed++) {
        enum { MOST = 60, STEPS = 40 };
        twi_value values[MOST] = {0};
        twi_rng_seed(&rng, seed);
        const size_t n = between(&rng, 1, MOST);
        size_t alive[STEPS] = {0}, most = 0, bytes;
        for (size_t i = 0; i < n; i++) {
            values[i].bytes = 4096 * between(&rng, 0, 50);
            values[i].first = between(&rng, 0, STEPS - 1);
            values[i].last = between(&rng, values[i].first, STEPS - 1);
            for (size_t s = values[i].first; s <= values[i].last; s++) alive[s] += values[i].bytes;
        }
        must(ctx, twi_plan_arena(ctx, values, n, &bytes));
        for (size_t s = 0; s < STEPS; s++) most = alive[s] > most ? alive[s] : most;
        assert_true(bytes >= most && bytes <= 2 * most);
        for (size_t i = 0; i < n; i++) {
            assert_true(values[i].offset + values[i].bytes <= bytes);
            for (size_t k = 0; k < i; k++) {
                const twi_value *a = &values[i], *b = &values[k];
                if (a->first <= b->last && b->first <= a->last && a->bytes && b->bytes)
                    assert_true(apart(a, b));
            }
        }
    }
    tw_ctx_free(ctx);
}

static void test_too_large(void **state)
{
    (void)state;
    tw_ctx *ctx;
    size_t bytes = 7;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    twi_value values[2] = {{.bytes = SIZE_MAX / 2 + 5000}, {.bytes = SIZE_MAX / 2 + 5000}};
    assert_int_equal(twi_plan_arena(ctx, values, 2, &bytes), TW_ERR_NOMEM);
    values[0].bytes = SIZE_MAX;
    assert_int_equal(twi_plan_arena(ctx, values, 1, &bytes), TW_ERR_NOMEM);
    assert_int_equal(bytes, 7);
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_plans),
                                       cmocka_unit_test(test_too_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
