/* kernels_test.c - every build of the inner loops against the plain one, on shapes with tails. */
#include "testing.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/tensor.h"
#include "learn/columns.h"
#include "learn/kernels.h"
#include "learn/gram.h"

#include <math.h>

#define D_MAX 2100
#define K_MAX 11

static float numbers[6 * D_MAX + K_MAX * D_MAX];
static const size_t widths[] = {0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 100, 1023, 1024, 1025, 2099};

static int draw(void **state)
{
    (void)state;
    twi_rng rng;
    twi_rng_seed(&rng, 1);
    for (size_t i = 0; i < TWI_LEN(numbers); i++)
        numbers[i] = (float)(twi_rng_double(&rng) * 4.0 - 2.0);
    return 0;
}

static size_t builds(const twi_kernels *out[3])
{
    size_t n = 0;
    out[n++] = &twi_kernels_plain;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        out[n++] = &twi_kernels_avx2;
    if (__builtin_cpu_supports("avx512f")) out[n++] = &twi_kernels_avx512;
#endif
    return n;
}

static double z_of(const float *x, size_t j, twi_shift shift)
{
    return shift.mean ? ((double)x[j] - (double)shift.mean[j]) * (double)shift.inverse[j]
                      : (double)x[j];
}

static void near(double found, double wanted, double size)
{
    if (fabs(found - wanted) > 1e-5 * (1.0 + size)) fail_msg("%.9g is not %.9g", found, wanted);
}

static void check_dots(const twi_kernels *k, size_t rows, size_t d, twi_shift shift, size_t classes)
{
    const void *x[4];
    const float *w = numbers + 6 * D_MAX;
    double out[4 * K_MAX];
    for (size_t r = 0; r < rows; r++) x[r] = numbers + r * D_MAX + r; /* no alignment is promised */
    for (size_t i = 0; i < rows * classes; i++) out[i] = 0.5;
    k->dots(x, rows, d, shift, w, D_MAX, classes, out);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < classes; c++) {
            double sum = 0.5;
            for (size_t j = 0; j < d; j++) sum += z_of(x[r], j, shift) * (double)w[c * D_MAX + j];
            near(out[r * classes + c], sum, (double)d);
        }
}

static void check_sums(const twi_kernels *k, size_t rows, size_t d, twi_shift shift, size_t classes)
{
    static float g[K_MAX * D_MAX];
    const void *x[4];
    const float *a = numbers + 6 * D_MAX;
    for (size_t r = 0; r < rows; r++) x[r] = numbers + r * D_MAX + r;
    for (size_t i = 0; i < classes * D_MAX; i++) g[i] = 0.25f;
    k->sums(x, rows, d, shift, a, classes, g, D_MAX);
    for (size_t c = 0; c < classes; c++)
        for (size_t j = 0; j < D_MAX; j++) {
            double sum = 0.25;
            for (size_t r = 0; r < rows && j < d; r++)
                sum += (double)a[r * classes + c] * z_of(x[r], j, shift);
            near((double)g[c * D_MAX + j], sum, 10.0);
        }
}

static void dots_and_sums(void **state)
{
    (void)state;
    const twi_kernels *list[3];
    const size_t n = builds(list);
    const twi_shift shifts[] = {{NULL, NULL, false},
                                {numbers + 4 * D_MAX, numbers + 5 * D_MAX, false}};
    for (size_t b = 0; b < n; b++)
        for (size_t w = 0; w < TWI_LEN(widths); w++)
            for (size_t rows = 1; rows <= 4; rows++)
                for (size_t s = 0; s < 2; s++)
                    for (size_t k = 1; k <= K_MAX; k += k == 1 ? 1 : 3) {
                        check_dots(list[b], rows, widths[w], shifts[s], k);
                        check_sums(list[b], rows, widths[w], shifts[s], k);
                    }
}

/* Halves are rounded as tensor.h rounds them, and dots and sums then see exactly those values. */
static void halves(void **state)
{
    (void)state;
    const twi_kernels *list[3];
    const size_t n = builds(list);
    const twi_shift shift = {numbers + 4 * D_MAX, numbers + 5 * D_MAX, false},
                    as_halves = {.half = true};
    static uint16_t half[4][D_MAX];
    static float z[4][D_MAX], g[2][3 * D_MAX];
    for (size_t b = 0; b < n; b++) {
        if (!list[b]->to_half) continue;
        for (size_t w = 0; w < TWI_LEN(widths); w++) {
            const size_t d = widths[w];
            const void *x[4] = {half[0], half[1], half[2], half[3]},
                       *y[4] = {z[0], z[1], z[2], z[3]};
            double out[2][12] = {{0}};
            for (size_t r = 0; r < 4; r++) {
                list[b]->to_half(numbers + r * D_MAX + r, d, shift, half[r]);
                list[b]->standardise(numbers + r * D_MAX + r, d, shift, z[r]);
                for (size_t j = 0; j < d; j++) {
                    assert_int_equal(half[r][j], twi_f32_to_f16(z[r][j]));
                    z[r][j] = twi_f16_to_f32(half[r][j]);
                }
            }
            list[b]->dots(x, 4, d, as_halves, numbers, D_MAX, 3, out[0]);
            list[b]->dots(y, 4, d, (twi_shift){0}, numbers, D_MAX, 3, out[1]);
            assert_memory_equal(out[0], out[1], sizeof out[0]);
            memset(g, 0, sizeof g);
            list[b]->sums(x, 4, d, as_halves, numbers, 3, g[0], D_MAX);
            list[b]->sums(y, 4, d, (twi_shift){0}, numbers, 3, g[1], D_MAX);
            assert_memory_equal(g[0], g[1], sizeof g[0]);
        }
    }
}

static void gram_matrices(void **state)
{
    (void)state;
    tw_ctx *ctx;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    const size_t n_of[] = {1, 2, 5, 12, 33, 197}, d_of[] = {1, 2, 16, 511, 512, 513, 1100};
    float *x;
    assert_int_equal(twi_alloc(ctx, 197 * 1100, &x), TW_OK);
    for (size_t i = 0; i < 197 * 1100; i++) x[i] = numbers[(i * 7919) % TWI_LEN(numbers)];
    const twi_shift shift = {numbers, numbers + D_MAX, false};
    for (size_t a = 0; a < TWI_LEN(n_of); a++)
        for (size_t b = 0; b < TWI_LEN(d_of); b++) {
            const twi_rows rows = {
                .x = x, .n = n_of[a], .d = d_of[b], .stride = 1100, .shift = shift};
            twi_gram gram;
            assert_int_equal(twi_gram_new(ctx, &rows, &gram), TW_OK);
            for (size_t i = 0; i < rows.n; i += 1 + rows.n / 9)
                for (size_t j = 0; j < rows.n; j += 1 + rows.n / 9) {
                    double sum = 0.0;
                    for (size_t p = 0; p < rows.d; p++)
                        sum += z_of(x + i * 1100, p, shift) * z_of(x + j * 1100, p, shift);
                    near((double)gram.k[i * gram.stride + j], sum, 4.0 * (double)rows.d);
                    assert_true(gram.k[i * gram.stride + j] == gram.k[j * gram.stride + i]);
                }
            twi_gram_free(&gram);
        }
    twi_free(x);
    tw_ctx_free(ctx);
}

static void gram_tiles(void **state)
{
    (void)state;
    const twi_kernels *list[3];
    const size_t n = builds(list);
    static float c[3][TWI_GRAM_ROWS * TWI_GRAM_COLUMNS];
    for (size_t b = 0; b < n; b++) {
        memset(c[b], 0, sizeof c[b]);
        list[b]->gram(numbers, 100, numbers + 3000, 97, c[b], TWI_GRAM_COLUMNS);
        for (size_t i = 0; i < TWI_LEN(c[b]); i++) near((double)c[b][i], (double)c[0][i], 100.0);
    }
}

static void columns_have_the_same_bits(void **state)
{
    (void)state;
    const twi_columns *list[3] = {&twi_columns_plain};
    size_t n = 1;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) list[n++] = &twi_columns_avx2;
    if (__builtin_cpu_supports("avx512f")) list[n++] = &twi_columns_avx512;
#endif
    static double mean[D_MAX], scale[D_MAX], sum[3][D_MAX], error[3][D_MAX], square[3][D_MAX];
    static float z[3][D_MAX];
    for (size_t j = 0; j < D_MAX; j++) {
        mean[j] = (double)numbers[j] / 3.0;
        scale[j] = 0.1 + fabs((double)numbers[D_MAX + j]) / 7.0;
    }
    for (size_t b = 0; b < n; b++)
        for (size_t w = 0; w < TWI_LEN(widths); w++) {
            list[b]->add(numbers + 1, widths[w], sum[b]);
            list[b]->moments(numbers + 1, mean, widths[w], error[b], square[b]);
            list[b]->transform(numbers + 1, mean, scale, widths[w], z[b]);
        }
    for (size_t b = 1; b < n; b++) {
        assert_memory_equal(sum[0], sum[b], sizeof sum[0]);
        assert_memory_equal(error[0], error[b], sizeof error[0]);
        assert_memory_equal(square[0], square[b], sizeof square[0]);
        assert_memory_equal(z[0], z[b], sizeof z[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dots_and_sums),
        cmocka_unit_test(halves),
        cmocka_unit_test(gram_tiles),
        cmocka_unit_test(gram_matrices),
        cmocka_unit_test(columns_have_the_same_bits),
    };
    return cmocka_run_group_tests(tests, draw, NULL);
}
