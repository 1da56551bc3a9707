/* look_test.c - what is seen at a glance of drawn pictures, and that a cut, mirrored, dimmed or
 * resized picture is the same one, and another is not. */
#include "audit/audit.h"
#include "base/rng.h"
#include "pictures.h"
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

typedef struct canvas {
    size_t width, height;
    unsigned char *rgb;
} canvas;

/* Patches of light in eight columns and six rows, as seed decides. */
static canvas patches(size_t width, size_t height, uint32_t seed)
{
    canvas c = {width, height, malloc(3 * width * height)};
    unsigned char light[48];
    twi_rng rng;
    twi_rng_seed(&rng, seed);
    for (size_t i = 0; i < 48; i++) light[i] = (unsigned char)twi_rng_interval(&rng, 255);
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            memset(c.rgb + 3 * (y * width + x), light[y * 6 / height * 8 + x * 8 / width], 3);
    return c;
}

static canvas cut(const canvas *c, size_t left, size_t top, size_t width, size_t height)
{
    canvas out = {width, height, malloc(3 * width * height)};
    for (size_t y = 0; y < height; y++)
        memcpy(out.rgb + 3 * y * width, c->rgb + 3 * ((top + y) * c->width + left), 3 * width);
    return out;
}

static canvas mirrored(const canvas *c)
{
    canvas out = {c->width, c->height, malloc(3 * c->width * c->height)};
    for (size_t y = 0; y < c->height; y++)
        for (size_t x = 0; x < c->width; x++)
            memcpy(out.rgb + 3 * (y * c->width + x), c->rgb + 3 * (y * c->width + c->width - 1 - x),
                   3);
    return out;
}

static canvas dimmed(const canvas *c)
{
    canvas out = {c->width, c->height, malloc(3 * c->width * c->height)};
    for (size_t i = 0; i < 3 * c->width * c->height; i++)
        out.rgb[i] = (unsigned char)(10 + c->rgb[i] * 6 / 10);
    return out;
}

/* Through a file, as the audit does; frees the canvas. */
static twi_look look_of(canvas c)
{
    char path[] = "/tmp/topwork-look-XXXXXX";
    static unsigned char bytes[1 << 22];
    twi_recipe_scratch scratch = {0};
    twi_look look;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(png_write(path, c.rgb, (uint32_t)c.width, (uint32_t)c.height), 0);
    const ssize_t n = read(fd, bytes, sizeof bytes);
    assert_true(n >= 0);
    size_t size = (size_t)n;
    if (size == 0) { /* the file was replaced under its name */
        FILE *in = fopen(path, "rb");
        assert_non_null(in);
        size = fread(bytes, 1, sizeof bytes, in);
        fclose(in);
    }
    close(fd);
    unlink(path);
    assert_int_equal(twi_look_take(ctx, (tw_bytes){bytes, size}, "drawn", 0, &scratch, &look),
                     TW_OK);
    twi_recipe_scratch_free(&scratch);
    free(c.rgb);
    return look;
}

static void test_numbers(void **state)
{
    (void)state;
    canvas flat = {90, 60, malloc(3 * 90 * 60)};
    memset(flat.rgb, 40, 3 * 90 * 60);
    const twi_look look = look_of(flat);
    assert_true(look.width == 90.0f && look.height == 60.0f);
    assert_true(look.brightness == 40.0f && look.contrast == 0.0f);
    assert_true(look.luma[0] == 40.0f && look.luma[TWI_LOOK_SIDE * TWI_LOOK_SIDE - 1] == 40.0f);
    assert_true(twi_look_alike(&look, &look) == 0.0); /* of a single tone: nothing to tell by */
}

static void test_alike(void **state)
{
    (void)state;
    canvas c = patches(160, 120, 5);
    canvas small = patches(40, 30, 5);
    const twi_look smaller = look_of(small), turned = look_of(mirrored(&c)),
                   dim = look_of(dimmed(&c));
    const twi_look corner = look_of(cut(&c, 16, 12, 144, 108));
    const twi_look inner = look_of(cut(&c, 16, 12, 128, 96));
    const twi_look whole = look_of(c);
    assert_true(twi_look_alike(&whole, &whole) > 0.9999);
    assert_true(twi_look_alike(&whole, &smaller) > 0.99);
    assert_true(twi_look_alike(&whole, &turned) > 0.99);
    assert_true(twi_look_alike(&whole, &dim) > 0.99);
    assert_true(twi_look_alike(&whole, &corner) > 0.95);
    assert_true(twi_look_alike(&inner, &whole) > 0.95);
    assert_true(twi_look_alike(&whole, &inner) == twi_look_alike(&inner, &whole));
}

static void test_others(void **state)
{
    (void)state;
    size_t alike = 0;
    twi_look looks[12];
    for (uint32_t i = 0; i < 12; i++) looks[i] = look_of(patches(160, 120, 100 + i));
    for (size_t i = 0; i < 12; i++)
        for (size_t j = 0; j < i; j++) alike += twi_look_alike(&looks[i], &looks[j]) >= 0.92;
    assert_int_equal(alike, 0);
}

static void test_damaged(void **state)
{
    (void)state;
    twi_recipe_scratch scratch = {0};
    twi_look look;
    assert_int_equal(twi_look_take(ctx, (tw_bytes){"no picture", 10}, "x.jpg", 0, &scratch, &look),
                     TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_last_error(ctx), "x.jpg"));
    twi_recipe_scratch_free(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_alike),
                                       cmocka_unit_test(test_others),
                                       cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests(tests, start, stop);
}
