/* resize_test.c - both resizers against their references' answers, and what must hold for any
 * picture. */
#include "golden.h"

#include "base/rng.h"
#include "image/decoder.h"
#include "image/resample.h"

#include <math.h>

static tw_ctx *ctx;
static twi_rng rng;

static int setup(void **state)
{
    (void)state;
    twi_rng_seed(&rng, 7);
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static size_t below(size_t n)
{
    return twi_rng_interval(&rng, (uint32_t)n - 1);
}

/* A picture that borrows exactly size bytes: one read too many is a sanitizer's finding. */
static twi_picture borrowed(size_t width, size_t height, unsigned channels, unsigned bits,
                            void *samples)
{
    return (twi_picture){width, height, channels, bits, samples, 0};
}

/* Random samples, released with free(). */
static twi_picture random_picture(size_t width, size_t height, unsigned channels)
{
    const size_t n = width * height * channels;
    unsigned char *const samples = malloc(n);
    const bool ends = below(2) == 0;
    for (size_t i = 0; i < n; i++) samples[i] = (unsigned char)(ends ? 255 * below(2) : below(256));
    return borrowed(width, height, channels, 8, samples);
}

static void test_pillow_goldens(void **state)
{
    (void)state;
    twi_picture out = {0};
    golden g;
    size_t n = 0;

    for (golden_open(&g, "resize.pack"); golden_next(&g); n++) {
        const size_t *const at = g.integers;
        const twi_picture in = borrowed(at[0], at[1], (unsigned)at[2], 8, g.first);
        twi_filter filter;
        assert_int_equal(twi_filter_parse(ctx, g.name, &filter), TW_OK);
        assert_int_equal(
            twi_resize_pillow(ctx, &in, filter, at[5] ? g.box : NULL, at[3], at[4], &out), TW_OK);
        if (memcmp(out.samples, g.second, g.second_size) != 0)
            fail_msg("%s, %zu x %zu x %zu -> %zu x %zu", g.name, at[0], at[1], at[2], at[3], at[4]);
    }
    assert_int_equal(n, 6 * 3 * 6);
    twi_picture_free(&out);
}

static void test_skimage_goldens(void **state)
{
    (void)state;
    golden g;

    for (golden_open(&g, "skimage.pack"); golden_next(&g);) {
        const size_t *const at = g.integers;
        const twi_picture in = borrowed(at[0], at[1], (unsigned)at[2], (unsigned)at[3], g.first);
        const size_t n = at[4] * at[5] * at[6];
        double *const out = malloc(n * sizeof *out), *const want = (double *)g.second;
        assert_int_equal(n * sizeof *out, g.second_size);
        assert_int_equal(twi_resize_skimage(ctx, &in, at[4], at[5], at[6], out), TW_OK);
        for (size_t i = 0; i < n; i++)
            if (fabs(out[i] - want[i]) > 1e-12)
                fail_msg("%zu x %zu x %zu: value %zu is %g, want %g", at[0], at[1], at[2], i,
                         out[i], want[i]);
        free(out);
    }
}

/* A picture of one colour keeps it, whatever the filter and the sizes. */
static void test_constant(void **state)
{
    (void)state;
    twi_picture out = {0};

    for (int round = 0; round < 60; round++) {
        twi_picture in = random_picture(1 + below(60), 1 + below(60), 3);
        const size_t width = 1 + below(60), height = 1 + below(60);
        const unsigned char value = (unsigned char)below(256);
        memset(in.samples, value, in.width * in.height * 3);
        for (twi_filter f = TWI_NEAREST; f <= TWI_LANCZOS; f++) {
            assert_int_equal(twi_resize_pillow(ctx, &in, f, NULL, width, height, &out), TW_OK);
            const unsigned char *const got = out.samples;
            for (size_t i = 0; i < width * height * 3; i++) assert_int_equal(got[i], value);
        }
        double *const doubles = malloc(width * height * 3 * sizeof *doubles);
        assert_int_equal(twi_resize_skimage(ctx, &in, width, height, 3, doubles), TW_OK);
        for (size_t i = 0; i < width * height * 3; i++)
            assert_true(fabs(doubles[i] - value / 255.0) < 1e-14);
        free(doubles);
        free(in.samples);
    }
    twi_picture_free(&out);
}

/* Only the window is computed, and it is what a crop of the whole would be. */
static void test_window(void **state)
{
    (void)state;
    twi_picture whole = {0}, part = {0};

    for (int round = 0; round < 120; round++) {
        twi_picture in = random_picture(1 + below(80), 1 + below(80), (unsigned)(1 + below(4)));
        const twi_filter filter = (twi_filter)below(6);
        twi_resize_plan plan = {.filter = filter,
                                .box = {0, 0, (double)in.width, (double)in.height},
                                .width = 1 + below(70),
                                .height = 1 + below(70)};
        twi_window *const w = &plan.window;
        w->left = below(plan.width), w->top = below(plan.height);
        w->width = 1 + below(plan.width - w->left), w->height = 1 + below(plan.height - w->top);
        assert_int_equal(twi_resize_pillow(ctx, &in, filter, NULL, plan.width, plan.height, &whole),
                         TW_OK);
        assert_int_equal(twi_resize_pillow_window(ctx, &in, &plan, &part), TW_OK);
        const size_t row = w->width * in.channels;
        for (size_t y = 0; y < w->height; y++)
            assert_memory_equal(
                (char *)part.samples + y * row,
                (char *)whole.samples + ((w->top + y) * plan.width + w->left) * in.channels, row);
        free(in.samples);
    }
    twi_picture_free(&whole);
    twi_picture_free(&part);
}

/* ---- kernels --------------------------------------------------------------------------------- */

#if defined(__x86_64__)

enum { OUTPUTS = 60, STRIDE = 24 };

/* Random weights of the kind a filter makes: sum about 1, some negative, first growing. */
static void random_taps(size_t in, twi_taps *taps)
{
    static size_t first[OUTPUTS], count[OUTPUTS];
    static int32_t weights[OUTPUTS * STRIDE];
    static int16_t high[OUTPUTS * STRIDE], low[OUTPUTS * STRIDE];

    *taps = (twi_taps){1 + below(OUTPUTS), STRIDE, first, count, weights, high, low};
    memset(weights, 0, sizeof weights);
    memset(high, 0, sizeof high);
    memset(low, 0, sizeof low);
    for (size_t i = 0, from = 0; i < taps->n; i++) {
        if (from + 1 < in && below(2)) from += below(in - from);
        first[i] = from;
        count[i] = 1 + below(in - from < STRIDE ? in - from : STRIDE);
        for (size_t j = 0; j < count[i]; j++) {
            const size_t k = i * STRIDE + j;
            weights[k] = ((int32_t)below(1 << 23) - (1 << 21)) / (int32_t)count[i];
            low[k] = (int16_t)(weights[k] & 2047);
            high[k] = (int16_t)((weights[k] - low[k]) / 2048);
        }
    }
}

static void test_rows_kernel(void **state)
{
    (void)state;
    if (!__builtin_cpu_supports("avx2")) skip();
    for (int round = 0; round < 300; round++) {
        const size_t width = 1 + below(90);
        const unsigned channels = (unsigned)(1 + below(4));
        twi_taps taps;
        random_taps(width, &taps);
        const uint8_t *src[TWI_RESAMPLE_ROWS];
        uint8_t *want[TWI_RESAMPLE_ROWS], *got[TWI_RESAMPLE_ROWS];
        for (size_t r = 0; r < TWI_RESAMPLE_ROWS; r++) {
            src[r] = random_picture(width, 1, channels).samples;
            want[r] = malloc(OUTPUTS * 4 + TWI_RESAMPLE_SLACK);
            got[r] = malloc(taps.n * channels + TWI_RESAMPLE_SLACK);
        }
        twi_resample_ref.rows(src, width * channels, channels, &taps, want);
        twi_resample_avx2.rows(src, width * channels, channels, &taps, got);
        for (size_t r = 0; r < TWI_RESAMPLE_ROWS; r++) {
            assert_memory_equal(want[r], got[r], taps.n * channels);
            free((void *)src[r]), free(want[r]), free(got[r]);
        }
    }
}

static void test_column_kernel(void **state)
{
    (void)state;
    if (!__builtin_cpu_supports("avx2")) skip();
    for (int round = 0; round < 300; round++) {
        const uint8_t *rows[STRIDE];
        const size_t n = below(100);
        uint8_t want[100], got[100];
        twi_taps taps;
        random_taps(STRIDE, &taps);
        const size_t i = below(taps.n), from = n ? below(n) : 0;
        for (size_t j = 0; j < taps.count[i]; j++) rows[j] = random_picture(n + 1, 1, 1).samples;
        memset(want, 7, sizeof want);
        memset(got, 7, sizeof got);
        twi_resample_ref.column(rows, &taps, i, from, n, want);
        twi_resample_avx2.column(rows, &taps, i, from, n, got);
        assert_memory_equal(want, got, sizeof got);
        for (size_t j = 0; j < taps.count[i]; j++) free((void *)rows[j]);
    }
}

#endif

/* ---- refusals -------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    static const double boxes[][4] = {{-1, 0, 2, 2}, {0, 0, 5, 2}, {2, 0, 1, 2}, {0, NAN, 2, 2}};
    unsigned char samples[4 * 4 * 3] = {0};
    uint16_t wide[4] = {0};
    twi_picture in = borrowed(4, 4, 3, 8, samples), in16 = borrowed(2, 2, 1, 16, wide), out = {0};

    for (size_t i = 0; i < TWI_LEN(boxes); i++)
        assert_int_equal(twi_resize_pillow(ctx, &in, TWI_BOX, boxes[i], 2, 2, &out), TW_ERR_ARG);
    assert_int_equal(twi_resize_pillow(ctx, &in, TWI_BOX, NULL, 0, 2, &out), TW_ERR_ARG);
    assert_int_equal(twi_resize_pillow(ctx, &in, TWI_SKIMAGE, NULL, 2, 2, &out), TW_ERR_ARG);
    assert_int_equal(twi_resize_pillow(ctx, &in16, TWI_BOX, NULL, 2, 2, &out), TW_ERR_ARG);
    assert_null(out.samples);
}

/* A strip whose weights would fill gigabytes is a message, not an allocation. */
static void test_endless_strip(void **state)
{
    (void)state;
    const size_t width = 40000000;
    twi_picture in = {0}, out = {0};
    double doubles[9 * 3];

    assert_int_equal(twi_picture_reserve(ctx, &in, width, 1, 1, 8), TW_OK);
    memset(in.samples, 0, width);
    assert_int_equal(twi_resize_pillow(ctx, &in, TWI_LANCZOS, NULL, 3, 3, &out), TW_ERR_DATA);
    assert_int_equal(twi_resize_skimage(ctx, &in, 3, 3, 3, doubles), TW_ERR_DATA);
    assert_int_equal(twi_resize_pillow(ctx, &in, TWI_NEAREST, NULL, 3, 3, &out), TW_OK);
    twi_picture_free(&in);
    twi_picture_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pillow_goldens),
        cmocka_unit_test(test_skimage_goldens),
        cmocka_unit_test(test_constant),
        cmocka_unit_test(test_window),
#if defined(__x86_64__)
        cmocka_unit_test(test_rows_kernel),
        cmocka_unit_test(test_column_kernel),
#endif
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_endless_strip),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
