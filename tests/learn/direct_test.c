/* direct_test.c - Cholesky's factor, and ridge regression by it: the gradient at its answer by
 * plain sums. */
#include "learn_data.h"

#include "learn/cholesky.h"
#include "learn/direct.h"

#include <string.h>

static tw_ctx *ctx;

static int start(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx);
}

static int stop(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

/* B B^T + I for a drawn B [n, n], laid out as a factor wants it. */
static twi_symmetric drawn(size_t n, uint32_t seed)
{
    twi_symmetric a = {.n = n, .stride = (n + 47) / 48 * 48};
    double *b;
    twi_rng rng;
    twi_rng_seed(&rng, seed);
    assert_int_equal(twi_zalloc(NULL, a.stride * a.stride, &a.a), TW_OK);
    assert_int_equal(twi_alloc(NULL, n * n, &b), TW_OK);
    for (size_t i = 0; i < n * n; i++) b[i] = twi_rng_double(&rng) - 0.5;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = i == j ? 1.0 : 0.0;
            for (size_t p = 0; p < n; p++) sum += b[i * n + p] * b[j * n + p];
            a.a[i * a.stride + j] = sum;
        }
    twi_free(b);
    return a;
}

static void factors_solve(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 15, 47, 48, 49, 96, 97, 200, 331};
    for (size_t s = 0; s < TWI_LEN(sizes); s++)
        for (size_t threads = 1; threads <= 3; threads += 2) {
            const size_t n = sizes[s];
            twi_symmetric a = drawn(n, (uint32_t)n), whole = drawn(n, (uint32_t)n);
            double *x, worst = 0.0;
            bool definite;
            tw_ctx_set_threads(ctx, threads);
            assert_int_equal(twi_alloc(NULL, n, &x), TW_OK);
            for (size_t i = 0; i < n; i++) x[i] = cos((double)i);
            assert_int_equal(twi_cholesky(ctx, &a, &definite), TW_OK);
            assert_true(definite);
            twi_cholesky_solve(&a, x);
            for (size_t i = 0; i < n; i++) {
                double sum = -cos((double)i);
                for (size_t j = 0; j < n; j++)
                    sum += x[j] * whole.a[i > j ? i * a.stride + j : j * a.stride + i];
                worst = fmax(worst, fabs(sum));
            }
            assert_true(worst < 1e-11 * (double)n);
            twi_free(x);
            twi_free(a.a);
            twi_free(whole.a);
        }
    tw_ctx_set_threads(ctx, 0);
}

static void what_is_not_definite_is_told(void **state)
{
    (void)state;
    static const size_t at[] = {0, 30, 60, 99};
    for (size_t i = 0; i < TWI_LEN(at); i++) {
        twi_symmetric a = drawn(100, 5);
        bool definite = true;
        a.a[at[i] * (a.stride + 1)] = -1.0;
        assert_int_equal(twi_cholesky(ctx, &a, &definite), TW_OK);
        assert_false(definite);
        twi_free(a.a);
    }
}

/* The gradient of sum w (t - u)^2 + alpha |w|^2 over what it is at most at 0. */
static double slope(const twi_samples *s, const twi_scaler *scaler, bool balanced, double alpha,
                    const double *w, double b, size_t c)
{
    const size_t d = s->d;
    double *g, gb = 0.0, size = 0.0, off = 0.0, count[8] = {0};
    float *z;
    assert_int_equal(twi_zalloc(NULL, d, &g), TW_OK);
    assert_int_equal(twi_alloc(NULL, d, &z), TW_OK);
    for (size_t i = 0; i < s->n; i++) count[s->y[i]]++;
    for (size_t i = 0; i < s->n; i++) {
        double u = b;
        twi_scaler_apply(scaler, s->x + i * d, 1, z);
        for (size_t j = 0; j < d; j++) u += w[j] * (double)z[j];
        const bool own = s->k == 2 ? s->y[i] == 1 : s->y[i] == c;
        const double weight = balanced ? (double)s->n / ((double)s->k * count[s->y[i]]) : 1.0;
        const double r = 2.0 * weight * (u - (own ? 1.0 : -1.0));
        gb += r;
        size += 2.0 * weight;
        for (size_t j = 0; j < d; j++) g[j] += r * (double)z[j];
    }
    for (size_t j = 0; j < d; j++) off = fmax(off, fabs(g[j] + 2.0 * alpha * w[j]));
    twi_free(g);
    twi_free(z);
    return fmax(off, fabs(gb)) / size;
}

static void solutions_are_flat(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{40, 90, 2}, {200, 30, 2}, {70, 70, 3}, {60, 250, 4}};
    for (size_t i = 0; i < TWI_LEN(shapes); i++)
        for (int balanced = 0; balanced < 2; balanced++) {
            const size_t n = shapes[i][0], d = shapes[i][1], k = shapes[i][2];
            sample_set set;
            twi_scaler scaler;
            twi_training training;
            twi_direct direct;
            double *w, b[4];
            assert_int_equal(twi_alloc(NULL, k * d, &w), TW_OK);
            sample_set_make(n, d, k, (uint32_t)d, 0.3, &set);
            assert_int_equal(twi_scaler_fit(ctx, &set.samples, &scaler), TW_OK);
            assert_int_equal(
                twi_training_new(ctx, &set.samples, &scaler, balanced, TWI_LOSS_SQUARED, &training),
                TW_OK);
            assert_true(twi_direct_pays(&training));
            assert_int_equal(twi_direct_new(ctx, &training, &direct), TW_OK);
            for (double alpha = 0.01; alpha < 200.0; alpha *= 100.0) {
                bool solved;
                assert_int_equal(twi_direct_solve(ctx, &direct, 0.5 / alpha, w, b, &solved), TW_OK);
                assert_true(solved);
                for (size_t c = 0; c < training.targets.width; c++) {
                    const double off =
                        slope(&set.samples, &scaler, balanced, alpha, w + c * d, b[c], c);
                    assert_true(off < 1e-5); /* what standardising in float leaves */
                }
            }
            twi_direct_free(&direct);
            twi_training_free(&training);
            twi_scaler_free(&scaler);
            sample_set_free(&set);
            twi_free(w);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_solve),
        cmocka_unit_test(what_is_not_definite_is_told),
        cmocka_unit_test(solutions_are_flat),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
