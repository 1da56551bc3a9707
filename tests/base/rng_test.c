/* rng_test.c - the generator against NumPy's RandomState, bit for bit. */
#include "../testing.h"

#include "base/ctx.h"
#include "base/rng.h"

#include <math.h>

typedef struct golden {
    uint32_t seed, words[4];
    uint64_t words_sum;
    double doubles[3];
    uint64_t bounded_sum, permutations_sum;
} golden;

static const golden goldens[] = {
#include "rng_golden.h"
};

#define FNV_START 0xcbf29ce484222325u

static uint64_t fnv(uint64_t sum, uint32_t value)
{
    for (int shift = 0; shift < 32; shift += 8)
        sum = (sum ^ (value >> shift & 255)) * 0x100000001b3u;
    return sum;
}

static void words(void **state)
{
    (void)state;
    for (size_t g = 0; g < TWI_LEN(goldens); g++) {
        twi_rng rng;
        uint64_t sum = FNV_START;
        twi_rng_seed(&rng, goldens[g].seed);
        for (size_t i = 0; i < 2000; i++) { /* past three refills of the state */
            const uint32_t word = twi_rng_u32(&rng);
            if (i < 4) assert_true(word == goldens[g].words[i]);
            sum = fnv(sum, word);
        }
        assert_true(sum == goldens[g].words_sum);
    }
}

static void doubles(void **state)
{
    (void)state;
    for (size_t g = 0; g < TWI_LEN(goldens); g++) {
        twi_rng rng;
        twi_rng_seed(&rng, goldens[g].seed);
        for (size_t i = 0; i < 3; i++) assert_true(twi_rng_double(&rng) == goldens[g].doubles[i]);
    }
}

static void intervals(void **state)
{
    (void)state;
    for (size_t g = 0; g < TWI_LEN(goldens); g++) {
        twi_rng rng;
        uint64_t sum = FNV_START;
        twi_rng_seed(&rng, goldens[g].seed);
        for (uint32_t max = 1; max < 300; max++) sum = fnv(sum, twi_rng_interval(&rng, max));
        sum = fnv(sum, twi_rng_interval(&rng, 1u << 20));
        sum = fnv(sum, twi_rng_interval(&rng, 1u << 31));
        sum = fnv(sum, twi_rng_interval(&rng, UINT32_MAX));
        assert_true(sum == goldens[g].bounded_sum);
    }
}

static void permutations(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 10, 257, 1000, 5000};
    static size_t order[5000];
    for (size_t g = 0; g < TWI_LEN(goldens); g++) {
        twi_rng rng;
        uint64_t sum = FNV_START;
        twi_rng_seed(&rng, goldens[g].seed);
        for (size_t s = 0; s < TWI_LEN(sizes); s++) {
            twi_rng_permutation(&rng, order, sizes[s]);
            for (size_t i = 0; i < sizes[s]; i++) sum = fnv(sum, (uint32_t)order[i]);
        }
        assert_true(sum == goldens[g].permutations_sum);
    }
}

static void nothing_to_draw(void **state)
{
    (void)state;
    twi_rng rng, before;
    twi_rng_seed(&rng, 3);
    before = rng;
    size_t one = 7;
    twi_rng_shuffle(&rng, &one, 1);
    twi_rng_shuffle(&rng, NULL, 0);
    assert_int_equal(twi_rng_interval(&rng, 0), 0);
    assert_memory_equal(&rng, &before, sizeof rng);
    assert_int_equal(one, 7);
}

static void normal_has_its_moments(void **state)
{
    (void)state;
    twi_rng rng;
    twi_rng_seed(&rng, 9);
    double spare = (double)NAN, sum = 0, squares = 0;
    const size_t n = 100000;
    for (size_t i = 0; i < n; i++) {
        const double x = twi_rng_normal(&rng, &spare);
        assert_true(isfinite(x));
        sum += x, squares += x * x;
    }
    assert_true(fabs(sum / (double)n) < 0.015); /* 4.7 standard errors */
    assert_true(fabs(squares / (double)n - 1.0) < 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),           cmocka_unit_test(doubles),
        cmocka_unit_test(intervals),       cmocka_unit_test(permutations),
        cmocka_unit_test(nothing_to_draw), cmocka_unit_test(normal_has_its_moments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
