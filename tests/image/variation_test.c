/* variation_test.c - parts, mirrors, colours and operations of a photo by hand. Pillow's own
 * answers are parity_operations.py's. */
#include "image/variation.h"

#include "pictures.h"
#include "testing.h"

#include <math.h>

enum { SIDE = 16 };

typedef struct photo { /* a PNG of SIDE x SIDE */
    unsigned char *bytes;
    size_t size;
} photo;

static void must(tw_ctx *ctx, tw_status st)
{
    if (st != TW_OK) print_error("%s\n", tw_last_error(ctx));
    assert_int_equal(st, TW_OK);
}

static photo encode(const unsigned char *rgb)
{
    photo p = {test_malloc(65536), 0};
    char path[] = "/tmp/topwork-variation-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(png_write(path, rgb, SIDE, SIDE), 0);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    p.size = fread(p.bytes, 1, 65536, file);
    fclose(file);
    unlink(path);
    return p;
}

static void pixels(unsigned char *rgb)
{
    for (size_t i = 0; i < SIDE * SIDE * 3; i++) rgb[i] = (unsigned char)(i * 37 % 251);
}

static void choose(const void *user, size_t width, size_t height, twi_variation *out)
{
    assert_int_equal(width, SIDE);
    assert_int_equal(height, SIDE);
    *out = *(const twi_variation *)user;
}

static twi_variation nothing(bool whole)
{
    return (twi_variation){.whole = whole,
                           .box = {0, 0, SIDE, SIDE},
                           .brightness = 1.0,
                           .contrast = 1.0,
                           .saturation = 1.0};
}

/* The photo varied, as 8-bit pixels again: with the recipe named mode, of size SIDE. */
static void vary(const char *mode, const unsigned char *rgb, const twi_variation *v,
                 unsigned char *out)
{
    tw_ctx *ctx;
    twi_recipe recipe;
    twi_recipe_scratch scratch = {0};
    twi_picture picture = {0};
    float input[SIDE * SIDE * 3];
    photo p = encode(rgb);
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    must(ctx, twi_recipe_init(ctx, mode, SIDE, SIDE, &recipe));
    const twi_encoded_photo encoded = {
        .bytes = {p.bytes, p.size}, .name = "x", .max_pixels = TWI_MAX_PIXELS};
    must(ctx, twi_recipe_vary(ctx, &recipe, &encoded, choose, v, &scratch, input));
    must(ctx, twi_recipe_picture(ctx, &recipe, input, &picture));
    memcpy(out, picture.samples, SIDE * SIDE * 3);
    twi_picture_free(&picture);
    twi_recipe_scratch_free(&scratch);
    test_free(p.bytes);
    tw_ctx_free(ctx);
}

static const char *const modes[] = {"caffe", "tf", "torch"}; /* one of them BGR */

static void test_identity(void **state)
{
    (void)state;
    unsigned char rgb[SIDE * SIDE * 3], out[sizeof rgb];
    pixels(rgb);
    for (size_t m = 0; m < 3; m++)
        for (int whole = 0; whole < 2; whole++) {
            twi_variation v = nothing(whole);
            vary(modes[m], rgb, &v, out);
            assert_memory_equal(rgb, out, sizeof rgb);
            v.ops[v.n_ops++] = (twi_variation_op){TWI_IMAGE_IDENTITY, 0.0};
            vary(modes[m], rgb, &v, out); /* whole: through 8 bits and back */
            assert_memory_equal(rgb, out, sizeof rgb);
        }
}

static void test_mirror(void **state)
{
    (void)state;
    unsigned char rgb[SIDE * SIDE * 3], out[sizeof rgb];
    pixels(rgb);
    for (int kind = 0; kind < 3; kind++) {
        twi_variation v = nothing(kind > 0);
        v.mirror = true;
        if (kind == 2) v.ops[v.n_ops++] = (twi_variation_op){TWI_IMAGE_IDENTITY, 0.0};
        vary("caffe", rgb, &v, out);
        for (size_t y = 0; y < SIDE; y++)
            for (size_t x = 0; x < SIDE; x++)
                assert_memory_equal(rgb + (y * SIDE + x) * 3, out + (y * SIDE + SIDE - 1 - x) * 3,
                                    3);
    }
}

/* A part of one colour fills the input with it (Pillow's filters look a pixel beyond the box). */
static void test_part(void **state)
{
    (void)state;
    unsigned char rgb[SIDE * SIDE * 3], out[sizeof rgb];
    pixels(rgb);
    for (size_t y = 3; y < 9; y++)
        for (size_t x = 5; x < 13; x++) memcpy(rgb + (y * SIDE + x) * 3, "\x05\x63\xc8", 3);
    twi_variation v = nothing(false);
    memcpy(v.box, (double[4]){6, 4, 12, 8}, sizeof v.box);
    vary("torch", rgb, &v, out);
    for (size_t i = 0; i < SIDE * SIDE; i++) assert_memory_equal(out + 3 * i, "\x05\x63\xc8", 3);
}

/* The hole has the value that becomes 0: the mean. */
static void test_erase(void **state)
{
    (void)state;
    unsigned char rgb[SIDE * SIDE * 3], out[sizeof rgb];
    pixels(rgb);
    for (int whole = 0; whole < 2; whole++) {
        twi_variation v = nothing(whole);
        memcpy(v.erase, (size_t[4]){3, 5, 9, SIDE}, sizeof v.erase);
        vary("tf", rgb, &v, out);
        for (size_t y = 0; y < SIDE; y++)
            for (size_t x = 0; x < SIDE; x++)
                for (int c = 0; c < 3; c++) {
                    const bool hole = x >= 3 && x < 9 && y >= 5;
                    const size_t i = (y * SIDE + x) * 3 + (size_t)c;
                    assert_int_equal(out[i], hole ? 128 : rgb[i]);
                }
    }
}

static void test_colours(void **state)
{
    (void)state;
    unsigned char rgb[SIDE * SIDE * 3], out[sizeof rgb];
    pixels(rgb);
    twi_variation v = nothing(false);
    v.brightness = 0.5;
    vary("torch", rgb, &v, out);
    for (size_t i = 0; i < sizeof rgb; i++) assert_int_equal(out[i], rgb[i] / 2);
    v = nothing(false), v.saturation = 0.0;
    vary("torch", rgb, &v, out);
    for (size_t i = 0; i < sizeof rgb; i += 3)
        assert_true(out[i] == out[i + 1] && out[i] == out[i + 2]);
    v = nothing(false), v.contrast = 0.0;
    vary("torch", rgb, &v, out);
    for (size_t i = 1; i < sizeof rgb; i++) assert_int_equal(out[i], out[0]);
}

/* A quarter turn and back, and the mean colour where nothing was. */
static void test_angle(void **state)
{
    (void)state;
    unsigned char rgb[SIDE * SIDE * 3], out[sizeof rgb];
    memset(rgb, 200, sizeof rgb);
    rgb[0] = 10; /* the first pixel's red */
    for (int whole = 0; whole < 2; whole++) {
        twi_variation v = nothing(whole);
        v.angle = 90.0; /* counter-clockwise: the upper left goes down */
        vary("tf", rgb, &v, out);
        assert_int_equal(out[(SIDE - 1) * SIDE * 3], 10);
        assert_int_equal(out[0], 200);
        v.angle = 45.0;
        vary("tf", rgb, &v, out);
        assert_int_equal(out[0], 128);
        assert_int_equal(out[(SIDE / 2 * SIDE + SIDE / 2) * 3], 200);
    }
}

static void test_operations(void **state)
{
    (void)state;
    unsigned char rgb[SIDE * SIDE * 3], out[sizeof rgb];
    pixels(rgb);
    twi_variation v = nothing(true);
    v.n_ops = 2;
    v.ops[0] = (twi_variation_op){TWI_IMAGE_TRANSLATE_X, 3.9};
    v.ops[1] = (twi_variation_op){TWI_IMAGE_SOLARIZE, 0.0};
    vary("torch", rgb, &v, out);
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++)
            assert_int_equal(out[(y * SIDE + x) * 3],
                             x < 3 ? 255 : 255 - rgb[(y * SIDE + x - 3) * 3]);
    v.n_ops = 1;
    v.ops[0] = (twi_variation_op){TWI_IMAGE_POSTERIZE, 4.0};
    vary("torch", rgb, &v, out);
    for (size_t i = 0; i < sizeof rgb; i++) assert_int_equal(out[i], rgb[i] & 0xf0);
}

static void test_png(void **state)
{
    (void)state;
    unsigned char rgb[SIDE * SIDE * 3];
    char path[] = "/tmp/topwork-variation-XXXXXX";
    tw_ctx *ctx;
    twi_picture back = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    pixels(rgb);
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    twi_picture picture = {.width = SIDE, .height = SIDE, .channels = 3, .bits = 8, .samples = rgb};
    must(ctx, twi_png_write(ctx, &picture, path));
    unsigned char bytes[65536];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    unlink(path);
    const twi_decode_opts opts = {.mode = TWI_DECODE_RGB};
    must(ctx, twi_picture_decode(ctx, (tw_bytes){bytes, n}, "back", &opts, &back));
    assert_true(back.width == SIDE && back.height == SIDE);
    assert_memory_equal(back.samples, rgb, sizeof rgb);
    picture.channels = 4;
    assert_int_equal(twi_png_write(ctx, &picture, path), TW_ERR_ARG);
    assert_int_not_equal(access(path, F_OK), 0);
    twi_picture_free(&back);
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),   cmocka_unit_test(test_mirror),
        cmocka_unit_test(test_part),       cmocka_unit_test(test_erase),
        cmocka_unit_test(test_colours),    cmocka_unit_test(test_angle),
        cmocka_unit_test(test_operations), cmocka_unit_test(test_png),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
