/* eigen_test.c - loops in double against sums by hand, and eigenvectors of matrices whose spectra
 * are known or awkward. */
#include "testing.h"
#include "base/memory.h"
#include "base/rng.h"
#include "learn/doubles.h"
#include "learn/eigen.h"

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

static double *drawn(size_t count, uint32_t seed)
{
    double *x;
    twi_rng rng;
    assert_int_equal(twi_alloc(NULL, count, &x), TW_OK);
    twi_rng_seed(&rng, seed);
    for (size_t i = 0; i < count; i++) x[i] = twi_rng_double(&rng) * 4.0 - 2.0;
    return x;
}

/* ---- loops --------------------------------------------------------------------------------- */

static void near(double found, double wanted)
{
    if (!(fabs(found - wanted) <= 1e-11)) fail_msg("%.17g is not %.17g", found, wanted);
}

static void check_tile(const twi_doubles *loops, size_t depth)
{
    const size_t lda = depth + 3, ldc = TWI_TILE_COLUMNS + 5;
    double *a = drawn(TWI_TILE_ROWS * lda, 1), *b = drawn(depth * TWI_TILE_COLUMNS + 1, 2);
    double *c = drawn(TWI_TILE_ROWS * ldc, 3), *before = drawn(TWI_TILE_ROWS * ldc, 3);
    loops->tile(a, lda, b, depth, c, ldc);
    for (size_t i = 0; i < TWI_TILE_ROWS; i++)
        for (size_t j = 0; j < ldc; j++) {
            double sum = before[i * ldc + j];
            for (size_t p = 0; j < TWI_TILE_COLUMNS && p < depth; p++)
                sum += a[i * lda + p] * b[p * TWI_TILE_COLUMNS + j];
            near(c[i * ldc + j], sum);
        }
    twi_free(a);
    twi_free(b);
    twi_free(c);
    twi_free(before);
}

static void check_vectors(const twi_doubles *loops, size_t n)
{
    double *a = drawn(n + 1, 4), *b = drawn(n + 1, 5), *y = drawn(n + 1, 6);
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += a[i + 1] * b[i]; /* no alignment is promised */
    near(loops->dot(a + 1, b, n), sum);
    const double past = y[n];
    loops->axpy(0.75, a + 1, n, y);
    double *was = drawn(n + 1, 6);
    for (size_t i = 0; i < n; i++) near(y[i], was[i] + 0.75 * a[i + 1]);
    assert_true(y[n] == past);
    twi_free(a);
    twi_free(b);
    twi_free(y);
    twi_free(was);
}

static void check_floats(const twi_doubles *loops, size_t n)
{
    double *v = drawn(n + 1, 4), *h = drawn(n + 1, 5), *was = drawn(n + 1, 4);
    float *z;
    double dot = 0.0, bend = 0.0;
    assert_int_equal(twi_alloc(NULL, n + 2, &z), TW_OK);
    for (size_t i = 0; i < n + 2; i++) z[i] = (float)sin((double)(7 * i + 1));
    for (size_t i = 0; i < n; i++) {
        dot += (double)z[i + 1] * v[i];
        bend += (double)z[i + 1] * (double)z[i + 1] * h[i + 1];
    }
    near(loops->floats_dot(z + 1, v, n), dot);
    near(loops->floats_bend(z + 1, h + 1, n), bend);
    loops->floats_add(-0.75, z + 1, h + 1, n, v);
    for (size_t i = 0; i < n; i++) near(v[i], was[i] - 0.75 * h[i + 1] * (double)z[i + 1]);
    assert_true(v[n] == was[n]);
    loops->floats_axpy(0.5, z + 1, n, was);
    for (size_t i = 0; i < n; i++)
        near(was[i] - v[i], 0.5 * (double)z[i + 1] + 0.75 * h[i + 1] * (double)z[i + 1]);
    assert_true(v[n] == was[n]);
    twi_free(z);
    twi_free(v);
    twi_free(h);
    twi_free(was);
}

static void check_fold(const twi_doubles *loops, size_t n)
{
    const size_t lda = n + 3;
    double *a = drawn(TWI_FOLD_ROWS * lda, 7), *was = drawn(TWI_FOLD_ROWS * lda, 7);
    double *x = drawn(3 * n + 3 * TWI_FOLD_ROWS, 8), *y = drawn(n + 1, 9), *y_was = drawn(n + 1, 9);
    const double *vr = x + 3 * n, *wr = vr + TWI_FOLD_ROWS, *ur = wr + TWI_FOLD_ROWS;
    double sum[TWI_FOLD_ROWS] = {1.0, 2.0, 3.0, 4.0};
    const twi_fold by = {x, x + n, x + 2 * n, vr, wr, ur, y, sum};
    loops->fold(a, lda, n, &by);
    for (size_t r = 0; r < TWI_FOLD_ROWS; r++) {
        double wanted = (double)r + 1.0;
        for (size_t j = 0; j < n; j++) {
            double *at = was + r * lda + j;
            *at -= vr[r] * x[j] + wr[r] * x[n + j];
            wanted += *at * x[2 * n + j];
            y_was[j] += *at * ur[r];
        }
        near(sum[r], wanted);
        for (size_t j = 0; j < lda; j++) near(a[r * lda + j], was[r * lda + j]);
    }
    for (size_t j = 0; j <= n; j++) near(y[j], y_was[j]);
    twi_free(a);
    twi_free(was);
    twi_free(x);
    twi_free(y);
    twi_free(y_was);
}

static void every_build_computes_the_same(void **state)
{
    (void)state;
    const twi_doubles *builds[3] = {&twi_doubles_plain};
    size_t n = 1;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        builds[n++] = &twi_doubles_avx2;
    if (__builtin_cpu_supports("avx512f")) builds[n++] = &twi_doubles_avx512;
#endif
    static const size_t lengths[] = {0, 1, 3, 4, 7, 8, 9, 15, 16, 31, 32, 33, 100, 257};
    for (size_t b = 0; b < n; b++)
        for (size_t i = 0; i < TWI_LEN(lengths); i++) {
            check_tile(builds[b], lengths[i]);
            check_vectors(builds[b], lengths[i]);
            check_floats(builds[b], lengths[i]);
            check_fold(builds[b], lengths[i]);
        }
}

/* ---- eigenvectors -------------------------------------------------------------------------- */

/* Fills a [n, n]. */
typedef void (*make_fn)(double *a, size_t n);

static void make_toeplitz(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        a[i * n + i] = 2.0;
        if (i) a[i * n + i - 1] = a[(i - 1) * n + i] = -1.0;
    }
}

static void make_identity(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++) a[i * n + i] = 1.0;
}

static void make_zero(double *a, size_t n)
{
    (void)a, (void)n;
}

/* Wilkinson's: |i - m| on the diagonal, ones beside it; pairs of eigenvalues equal to 15 digits. */
static void make_wilkinson(double *a, size_t n)
{
    make_toeplitz(a, n);
    for (size_t i = 0; i < n; i++) {
        a[i * n + i] = fabs((double)i - (double)(n / 2));
        if (i) a[i * n + i - 1] = a[(i - 1) * n + i] = 1.0;
    }
}

/* The same block again and again: every eigenvalue many times over. */
static void make_blocks(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if (i / 5 == j / 5) a[i * n + j] = 1.0 / (1.0 + fabs((double)i - (double)j));
}

/* Rank 3, and tiny. */
static void make_thin(double *a, size_t n)
{
    double *x = drawn(3 * n, 31);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t r = 0; r < 3; r++) a[i * n + j] += 1e-30 * x[r * n + i] * x[r * n + j];
    twi_free(x);
}

/* Eigenvalues over 15 orders of magnitude. */
static void make_graded(double *a, size_t n)
{
    double *x = drawn(n * n, 32);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t r = 0; r < n; r++)
                a[i * n + j] +=
                    pow(10.0, -15.0 * (double)r / (double)n) * x[r * n + i] * x[r * n + j];
    twi_free(x);
}

static void make_drawn(double *a, size_t n)
{
    double *x = drawn(n * n, 33);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) a[i * n + j] = a[j * n + i] = x[i * n + j];
    twi_free(x);
}

/* Residuals, lengths, angles and order; value [count] for the caller. */
static void check_eigen(const char *name, make_fn make, size_t n, size_t count, double *value)
{
    const size_t stride = n + 3;
    double *a, *copy, *vector, most = 0.0;
    assert_int_equal(twi_zalloc(NULL, n * n, &a), TW_OK);
    assert_int_equal(twi_alloc(NULL, n * stride, &copy), TW_OK);
    assert_int_equal(twi_alloc(NULL, count * n, &vector), TW_OK);
    make(a, n);
    for (size_t i = 0; i < n; i++) /* what is above the diagonal must not matter */
        for (size_t j = 0; j < stride; j++) copy[i * stride + j] = j <= i ? a[i * n + j] : 1e9;
    const twi_symmetric s = {n, stride, copy};
    const tw_status st = twi_eigen_top(ctx, &s, count, value, vector);
    if (st != TW_OK) fail_msg("%s: %s", name, tw_last_error(ctx));
    for (size_t i = 0; i < n * n; i++) most = fmax(most, fabs(a[i]));
    for (size_t c = 0; c < count; c++) {
        const double *v = vector + c * n;
        double worst = 0.0;
        for (size_t i = 0; i < n; i++) {
            double sum = -value[c] * v[i];
            for (size_t j = 0; j < n; j++) sum += a[i * n + j] * v[j];
            worst = fmax(worst, fabs(sum));
        }
        if (!(worst <= 2e-14 * (double)n * most))
            fail_msg("%s: residual of vector %zu is %g", name, c, worst);
        if (c && value[c] > value[c - 1]) fail_msg("%s: value %zu is out of order", name, c);
        for (size_t b = 0; b <= c; b++) {
            double inner = b == c ? -1.0 : 0.0;
            for (size_t i = 0; i < n; i++) inner += vector[b * n + i] * v[i];
            if (!(fabs(inner) < 1e-13 * sqrt((double)n) + 1e-14))
                fail_msg("%s: vectors %zu and %zu: %g", name, b, c, inner);
        }
    }
    twi_free(a);
    twi_free(copy);
    twi_free(vector);
}

static void finds_values_known_in_closed_form(void **state)
{
    (void)state;
    double value[200];
    const size_t n = 101;
    check_eigen("toeplitz", make_toeplitz, n, n, value);
    for (size_t c = 0; c < n; c++) {
        const double angle = 3.14159265358979323846 * (double)(n - c) / (double)(n + 1);
        assert_true(fabs(value[c] - (2.0 - 2.0 * cos(angle))) < 1e-14 * (double)n);
    }
    check_eigen("identity", make_identity, 9, 9, value);
    for (size_t c = 0; c < 9; c++) assert_true(fabs(value[c] - 1.0) < 1e-15);
    check_eigen("zero", make_zero, 6, 4, value);
    for (size_t c = 0; c < 4; c++) assert_true(value[c] == 0.0);
    check_eigen("one entry", make_toeplitz, 1, 1, value);
    assert_true(fabs(value[0] - 2.0) < 1e-15);
    check_eigen("rank 3", make_thin, 40, 20, value);
    for (size_t c = 3; c < 20; c++) assert_true(fabs(value[c]) < 1e-14 * value[0]);
    check_eigen("Wilkinson", make_wilkinson, 21, 21, value);
    assert_true(fabs(value[0] - 10.746194182903393) < 1e-13); /* Wilkinson (1965), p. 309 */
    assert_true(fabs(value[0] - value[1]) < 1e-13);
}

static void vectors_are_orthonormal_however_close_the_values(void **state)
{
    (void)state;
    double value[200];
    check_eigen("Wilkinson", make_wilkinson, 101, 101, value);
    check_eigen("equal blocks", make_blocks, 100, 100, value);
    check_eigen("equal blocks and a part of one", make_blocks, 63, 40, value);
    check_eigen("graded", make_graded, 80, 80, value);
    for (size_t n = 1; n < 40; n++) check_eigen("drawn", make_drawn, n, n, value);
}

/* Large enough to be worked on by several threads. */
static void no_bit_depends_on_the_threads(void **state)
{
    (void)state;
    enum { N = 1500, COUNT = 9 };
    double *vector[3], value[3][COUNT], *x = drawn((size_t)N * N, 11), *a;
    assert_int_equal(twi_alloc(NULL, (size_t)N * N, &a), TW_OK);
    for (size_t t = 0; t < 3; t++) {
        memcpy(a, x, sizeof *a * N * N);
        const twi_symmetric s = {N, N, a};
        assert_int_equal(twi_alloc(NULL, COUNT * N, &vector[t]), TW_OK);
        tw_ctx_set_threads(ctx, t + 1);
        assert_int_equal(twi_eigen_top(ctx, &s, COUNT, value[t], vector[t]), TW_OK);
    }
    tw_ctx_set_threads(ctx, 0);
    for (size_t t = 1; t < 3; t++) {
        assert_memory_equal(value[0], value[t], sizeof value[0]);
        assert_memory_equal(vector[0], vector[t], sizeof **vector * COUNT * N);
    }
    for (size_t c = 0; c < COUNT; c++) /* and they are right: A read from its lower triangle */
        for (size_t i = 0; i < N; i++) {
            double sum = -value[0][c] * vector[0][c * N + i];
            for (size_t j = 0; j < N; j++)
                sum += (j <= i ? x[i * N + j] : x[j * N + i]) * vector[0][c * N + j];
            assert_true(fabs(sum) < 1e-11);
        }
    for (size_t t = 0; t < 3; t++) twi_free(vector[t]);
    twi_free(x);
    twi_free(a);
}

static void refuses_numbers_that_are_not_finite(void **state)
{
    (void)state;
    double a[4] = {1.0, 0.0, (double)NAN, 1.0}, value[2], vector[4];
    const twi_symmetric s = {2, 2, a};
    assert_int_equal(twi_eigen_top(ctx, &s, 2, value, vector), TW_ERR_DIVERGED);
    assert_non_null(strstr(tw_last_error(ctx), "not finite"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_build_computes_the_same),
        cmocka_unit_test(finds_values_known_in_closed_form),
        cmocka_unit_test(vectors_are_orthonormal_however_close_the_values),
        cmocka_unit_test(no_bit_depends_on_the_threads),
        cmocka_unit_test(refuses_numbers_that_are_not_finite),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
