/* loss_test.c - the loss by hand, its gradient against differences. */
#include "tune/loss.h"

#include "base/rng.h"
#include "testing.h"

#include <math.h>

static void test_by_hand(void **state)
{
    (void)state;
    const float scores[] = {0.0f, 0.0f, logf(2.0f), 0.0f};
    const uint32_t labels[] = {1, 0};
    const float weights[] = {3.0f, 1.0f};
    float gradient[4];
    twi_targets t = {.labels = labels};
    /* p: 1/2 1/2; 2/3 1/3 */
    assert_true(fabs(twi_cross_entropy(&t, scores, 2, 2, gradient) - (log(2.0) + log(1.5)) / 2) <
                1e-6);
    assert_true(fabs((double)gradient[0] - 0.25) < 1e-6);
    assert_true(fabs((double)gradient[2] + 1.0 / 6.0) < 1e-6);
    t.weights = weights;
    assert_true(fabs(twi_cross_entropy(&t, scores, 2, 2, NULL) - (log(2.0) + 3 * log(1.5)) / 4) <
                1e-6);
    t.weights = NULL, t.smoothing = 0.2;
    const double first = log(2.0), second = 0.9 * log(1.5) + 0.1 * log(3.0);
    assert_true(fabs(twi_cross_entropy(&t, scores, 2, 2, NULL) - (first + second) / 2) < 1e-6);
}

static void test_gradient(void **state)
{
    (void)state;
    enum { N = 4, K = 5 };
    float scores[N * K], gradient[N * K], share[N] = {1.0f, 0.3f, 0.6f, 0.9f};
    const uint32_t labels[N] = {0, 4, 2, 2}, mixed[N] = {0, 1, 2, 3};
    const float weights[K] = {1.0f, 2.0f, 0.5f, 0.0f, 3.0f};
    twi_rng rng;
    twi_rng_seed(&rng, 3);
    for (size_t i = 0; i < N * K; i++) scores[i] = (float)(4.0 * twi_rng_double(&rng) - 2.0);
    const twi_targets t = {labels, mixed, share, weights, 0.1};
    (void)twi_cross_entropy(&t, scores, N, K, gradient);
    for (size_t i = 0; i < N * K; i++) {
        const float kept = scores[i];
        double sides[2];
        for (int side = 0; side < 2; side++) {
            scores[i] = kept + (side ? 0.01f : -0.01f);
            sides[side] = twi_cross_entropy(&t, scores, N, K, NULL);
        }
        const double step = ((double)kept + 0.01) - ((double)kept - 0.01);
        scores[i] = kept;
        assert_true(fabs((sides[1] - sides[0]) / step - (double)gradient[i]) < 1e-4);
    }
}

/* Whatever the scores are multiplied by, the calibrated loss is the same; it is the least over a
 * grid of numbers; scores that say nothing are worth log k. */
static void test_calibrated(void **state)
{
    (void)state;
    enum { N = 12, K = 3 };
    float scores[N * K], scaled[N * K];
    uint32_t labels[N];
    twi_rng rng;
    for (uint32_t seed = 0; seed < 30; seed++) {
        twi_rng_seed(&rng, seed);
        for (size_t i = 0; i < N; i++) labels[i] = (uint32_t)(i % K);
        for (size_t i = 0; i < N * K; i++) /* seeds from 20 on: all are told apart */
            scores[i] = (float)(4.0 * twi_rng_double(&rng) - 2.0) +
                        (i % K == i / K % K ? (seed < 20 ? 1.0f : 5.0f) : 0.0f);
        const double loss = twi_calibrated_loss(scores, labels, N, K);
        const twi_targets t = {.labels = labels, .smoothing = (double)K / (N + K)};
        assert_true(loss > 0.0 && loss <= log(K) + 1e-9);
        double least = INFINITY;
        for (double factor = 1e-3; factor < 1e3; factor *= 1.01) {
            for (size_t i = 0; i < N * K; i++) scaled[i] = (float)factor * scores[i];
            least = fmin(least, twi_cross_entropy(&t, scaled, N, K, NULL));
        }
        assert_true(loss <= least + 1e-6 && loss >= least - 1e-3);
        const float factors[] = {1e-6f, 1e-2f, 37.0f, 1e20f};
        for (size_t f = 0; f < TWI_LEN(factors); f++) {
            for (size_t i = 0; i < N * K; i++) scaled[i] = factors[f] * scores[i];
            assert_true(fabs(twi_calibrated_loss(scaled, labels, N, K) - loss) < 1e-6);
        }
    }
    for (size_t i = 0; i < N * K; i++) scores[i] = 2.5f;
    assert_true(fabs(twi_calibrated_loss(scores, labels, N, K) - log(K)) < 1e-9);
    for (size_t i = 0; i < N * K; i++)
        scores[i] = i % K == i / K % K ? -1.0f : 1.0f; /* all wrong */
    assert_true(fabs(twi_calibrated_loss(scores, labels, N, K) - log(K)) < 1e-9);
    scores[5] = NAN;
    assert_true(isnan(twi_calibrated_loss(scores, labels, N, K)));
    scores[5] = INFINITY;
    assert_true(isnan(twi_calibrated_loss(scores, labels, N, K)));
}

/* Scores that would overflow, and pictures of no weight. */
static void test_extremes(void **state)
{
    (void)state;
    const float scores[] = {1e30f, -1e30f, 0.0f, 0.0f}, none[] = {0.0f, 0.0f};
    const uint32_t labels[] = {0, 1};
    float gradient[4];
    twi_targets t = {.labels = labels};
    assert_true(fabs(twi_cross_entropy(&t, scores, 2, 2, gradient) - log(2.0) / 2) < 1e-6);
    t.weights = none;
    assert_true(twi_cross_entropy(&t, scores, 2, 2, gradient) == 0.0);
    for (size_t i = 0; i < 4; i++) assert_true(gradient[i] == 0.0f);
}

/* By hand, and the gradient against differences. */
static void test_squared_error(void **state)
{
    (void)state;
    float outputs[] = {1.0f, 2.0f, -1.0f, 0.5f};
    const float targets[] = {0.0f, 2.0f, 1.0f, 0.0f};
    float gradient[4];
    assert_true(fabs(twi_squared_error(outputs, targets, 2, 2, gradient) - 5.25 / 4) < 1e-6);
    for (size_t i = 0; i < 4; i++) {
        const float kept = outputs[i];
        outputs[i] = kept + 0.25f;
        const double above = twi_squared_error(outputs, targets, 2, 2, NULL);
        outputs[i] = kept - 0.25f;
        const double below = twi_squared_error(outputs, targets, 2, 2, NULL);
        outputs[i] = kept;
        assert_true(fabs((above - below) / 0.5 - (double)gradient[i]) < 1e-6);
    }
}

static void test_balanced(void **state)
{
    (void)state;
    const uint32_t labels[] = {0, 0, 0, 2};
    float weights[3];
    twi_balanced_weights(labels, 4, 3, weights);
    assert_true(fabs((double)weights[0] - 4.0 / 6.0) < 1e-6);
    assert_true(weights[1] == 1.0f);
    assert_true(fabs((double)weights[2] - 2.0) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),       cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_calibrated),    cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_squared_error), cmocka_unit_test(test_balanced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
