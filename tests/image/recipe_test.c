/* recipe_test.c - recipes: names, JSON and back, and what applying one gives. */
#include "golden.h"

#include "image/decoder.h"

#include <math.h>

static tw_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static bool same(const twi_recipe *a, const twi_recipe *b)
{
    return a->height == b->height && a->width == b->width && a->geometry == b->geometry &&
           a->short_side == b->short_side && a->filter == b->filter && a->decode == b->decode &&
           a->exif == b->exif && a->fast_decode == b->fast_decode && a->bgr == b->bgr &&
           a->scale == b->scale && memcmp(a->mean, b->mean, sizeof a->mean) == 0 &&
           memcmp(a->std, b->std, sizeof a->std) == 0;
}

/* Through text, as it lies in a file. */
static void round_trip(const twi_recipe *recipe)
{
    twi_json *json = twi_recipe_to_json(recipe);
    char *text;
    size_t size;
    twi_recipe back = {0};

    assert_non_null(json);
    assert_int_equal(twi_json_print(ctx, json, &text, &size), TW_OK);
    twi_json_free(json);
    assert_int_equal(twi_json_parse(ctx, "m.tw", text, size, &json), TW_OK);
    assert_int_equal(twi_recipe_from_json(ctx, "m.tw", json, &back), TW_OK);
    assert_true(same(recipe, &back));
    twi_json_free(json);
    twi_free(text);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const char *const modes[] = {"caffe", "tf", "torch"};
    twi_recipe r;

    for (size_t i = 0; i < TWI_LEN(modes); i++)
        for (twi_filter filter = TWI_NEAREST; filter <= TWI_SKIMAGE; filter++)
            for (twi_geometry geometry = TWI_SQUASH; geometry <= TWI_LETTERBOX; geometry++) {
                assert_int_equal(twi_recipe_init(ctx, modes[i], 160, 192, &r), TW_OK);
                twi_recipe_set_filter(&r, filter);
                r.geometry = geometry;
                r.short_side = 199;
                r.exif = filter % 2;
                r.fast_decode = geometry % 2;
                round_trip(&r);
            }
    twi_recipe_reference(&r, 224, 224);
    round_trip(&r);
}

static void refused(const char *text, const char *words)
{
    twi_recipe r = {.height = 77};
    twi_json *json;
    assert_int_equal(twi_json_parse(ctx, "m.tw", text, strlen(text), &json), TW_OK);
    assert_int_equal(twi_recipe_from_json(ctx, "m.tw", json, &r), TW_ERR_FORMAT);
    if (!strstr(tw_last_error(ctx), words)) fail_msg("\"%s\" lacks %s", tw_last_error(ctx), words);
    assert_int_equal(r.height, 77);
    twi_json_free(json);
}

#define REST "\"resize\":\"box\",\"channels\":\"rgb\",\"scale\":1,\"mean\":[0,0,0],\"std\":[1,1,1]"

static void test_json_refusals(void **state)
{
    (void)state;
    refused("[]", "recipe");
    refused("{}", "height");
    refused("{\"height\":0,\"width\":4,\"geometry\":\"squash\"," REST "}", "height");
    refused("{\"height\":4,\"width\":99999,\"geometry\":\"squash\"," REST "}", "width");
    refused("{\"height\":4,\"width\":4.5,\"geometry\":\"squash\"," REST "}", "width");
    refused("{\"height\":4,\"width\":4,\"geometry\":\"fold\"," REST "}", "geometry");
    refused("{\"height\":4,\"width\":4,\"geometry\":\"crop\"," REST "}", "short_side");
    refused("{\"height\":4,\"width\":4,\"geometry\":\"squash\",\"exif\":1," REST "}", "exif");
    refused("{\"height\":4,\"width\":4,\"geometry\":\"squash\",\"decode\":\"raw\"," REST "}",
            "decode");
    refused(
        "{\"height\":4,\"width\":4,\"geometry\":\"squash\",\"resize\":\"box\",\"channels\":\"rgb\","
        "\"scale\":0,\"mean\":[0,0,0],\"std\":[1,1,1]}",
        "scale");
    refused(
        "{\"height\":4,\"width\":4,\"geometry\":\"squash\",\"resize\":\"box\",\"channels\":\"rgb\","
        "\"scale\":1,\"mean\":[0,0],\"std\":[1,1,1]}",
        "mean");
    refused(
        "{\"height\":4,\"width\":4,\"geometry\":\"squash\",\"resize\":\"box\",\"channels\":\"rgb\","
        "\"scale\":1,\"mean\":[0,0,0],\"std\":[1,0,1]}",
        "std");
}

static void test_words(void **state)
{
    (void)state;
    twi_filter filter;
    twi_geometry geometry;
    twi_recipe r;

    for (twi_filter f = TWI_NEAREST; f <= TWI_SKIMAGE; f++) {
        assert_int_equal(twi_filter_parse(ctx, twi_filter_name(f), &filter), TW_OK);
        assert_int_equal(filter, f);
    }
    for (twi_geometry g = TWI_SQUASH; g <= TWI_LETTERBOX; g++) {
        assert_int_equal(twi_geometry_parse(ctx, twi_geometry_name(g), &geometry), TW_OK);
        assert_int_equal(geometry, g);
    }
    assert_int_equal(twi_filter_parse(ctx, "cubic", &filter), TW_ERR_ARG);
    assert_int_equal(twi_geometry_parse(ctx, "", &geometry), TW_ERR_ARG);
    assert_int_equal(twi_recipe_init(ctx, "theano", 2, 2, &r), TW_ERR_ARG);
}

/* ---- applying -------------------------------------------------------------------------------- */

/* The file and the RGB samples of a golden picture; released with free(). */
static void golden_picture(const char *name, tw_bytes *file, twi_picture *rgb)
{
    golden g;
    void *bytes = NULL;
    for (golden_open(&g, "decode.pack"); golden_next(&g);) {
        if (strcmp(g.name, name) != 0 || g.integers[0] != TWI_DECODE_RGB) continue;
        bytes = malloc(g.first_size);
        memcpy(bytes, g.first, g.first_size);
        *file = (tw_bytes){bytes, g.first_size};
        *rgb = (twi_picture){g.integers[1], g.integers[2], 3, 8, malloc(g.second_size), 0};
        memcpy(rgb->samples, g.second, g.second_size);
    }
    assert_non_null(bytes);
}

typedef struct applied {
    tw_bytes file;
    twi_picture rgb; /* decoded */
    twi_picture resized;
    twi_recipe_scratch scratch;
    float out[64 * 64 * 3];
} applied;

static void apply(applied *a, const char *name, const twi_recipe *r, size_t width, size_t height)
{
    golden_picture(name, &a->file, &a->rgb);
    assert_int_equal(twi_recipe_apply(ctx, r, a->file, name, 0, &a->scratch, a->out), TW_OK);
    assert_int_equal(twi_resize_pillow(ctx, &a->rgb, r->filter, NULL, width, height, &a->resized),
                     TW_OK);
}

static void applied_free(applied *a)
{
    free((void *)a->file.data);
    free(a->rgb.samples);
    twi_picture_free(&a->resized);
    twi_recipe_scratch_free(&a->scratch);
}

/* Value of input channel c where the resized picture has a pixel. */
static float value_at(const applied *a, const twi_recipe *r, size_t x, size_t y, size_t c)
{
    const unsigned char *const s = a->resized.samples;
    const double v = s[(y * a->resized.width + x) * 3 + (r->bgr ? 2 - c : c)];
    return (float)((v * r->scale - r->mean[c]) / r->std[c]);
}

static void test_squash(void **state)
{
    (void)state;
    static const char *const modes[] = {"caffe", "tf", "torch"};
    for (size_t m = 0; m < TWI_LEN(modes); m++) {
        applied a = {0};
        twi_recipe r;
        assert_int_equal(twi_recipe_init(ctx, modes[m], 12, 20, &r), TW_OK);
        apply(&a, "png-rgb", &r, 20, 12);
        for (size_t i = 0; i < 12 * 20 * 3; i++)
            assert_true(a.out[i] == value_at(&a, &r, i / 3 % 20, i / 60, i % 3));
        applied_free(&a);
    }
}

/* 27 x 19 -> short side 16: 22 x 16, and the middle 12 x 10 of it. */
static void test_crop(void **state)
{
    (void)state;
    applied a = {0};
    twi_recipe r;
    assert_int_equal(twi_recipe_init(ctx, "torch", 10, 12, &r), TW_OK);
    r.geometry = TWI_CROP;
    r.short_side = 16;
    apply(&a, "png-rgb", &r, 22, 16);
    for (size_t y = 0; y < 10; y++)
        for (size_t x = 0; x < 12; x++)
            for (size_t c = 0; c < 3; c++)
                assert_true(a.out[(y * 12 + x) * 3 + c] == value_at(&a, &r, x + 5, y + 3, c));
    applied_free(&a);
}

/* 27 x 19 in 20 x 20: 20 x 14 of picture between three rows of black above and below. */
static void test_letterbox(void **state)
{
    (void)state;
    applied a = {0};
    twi_recipe r;
    assert_int_equal(twi_recipe_init(ctx, "tf", 20, 20, &r), TW_OK);
    r.geometry = TWI_LETTERBOX;
    apply(&a, "png-rgb", &r, 20, 14);
    for (size_t y = 0; y < 20; y++)
        for (size_t x = 0; x < 20; x++)
            for (size_t c = 0; c < 3; c++) {
                const bool inside = y >= 3 && y < 17;
                const float want = inside ? value_at(&a, &r, x, y - 3, c) : -1.0F;
                assert_true(a.out[(y * 20 + x) * 3 + c] == want);
            }
    applied_free(&a);
}

/* A side that rounds to nothing still gets one row. */
static void test_letterbox_of_a_strip(void **state)
{
    (void)state;
    applied a = {0};
    twi_recipe r;
    assert_int_equal(twi_recipe_init(ctx, "tf", 64, 1, &r), TW_OK);
    r.geometry = TWI_LETTERBOX;
    apply(&a, "png-rgb", &r, 1, 1);
    applied_free(&a);
}

/* The script's recipe: 0..1 into caffe mode, so everything lies near minus the mean (semantics 6).
 */
static void test_reference(void **state)
{
    (void)state;
    applied a = {0};
    twi_recipe r;
    twi_recipe_reference(&r, 16, 16);
    golden_picture("png-rgb", &a.file, &a.rgb);
    assert_int_equal(twi_recipe_apply(ctx, &r, a.file, "p", 0, &a.scratch, a.out), TW_OK);
    double values[16 * 16 * 3];
    assert_int_equal(twi_resize_skimage(ctx, &a.rgb, 16, 16, 3, values), TW_OK);
    for (size_t i = 0; i < 16 * 16; i++)
        for (size_t c = 0; c < 3; c++)
            assert_true(a.out[i * 3 + c] == (float)(values[i * 3 + 2 - c] - r.mean[c]));
    applied_free(&a);
}

/* Another filter leaves the network's scale alone. */
static void test_set_filter(void **state)
{
    (void)state;
    applied a = {0}, b = {0};
    twi_recipe r, s;
    assert_int_equal(twi_recipe_init(ctx, "torch", 16, 16, &r), TW_OK);
    s = r;
    twi_recipe_set_filter(&s, TWI_SKIMAGE);
    apply(&a, "png-rgb", &r, 16, 16);
    golden_picture("png-rgb", &b.file, &b.rgb);
    assert_int_equal(twi_recipe_apply(ctx, &s, b.file, "p", 0, &b.scratch, b.out), TW_OK);
    double distance = 0;
    for (size_t i = 0; i < 16 * 16 * 3; i++) distance += fabs((double)a.out[i] - (double)b.out[i]);
    assert_true(distance / (16 * 16 * 3) <
                0.2); /* the filters differ a little, 255 times they do not */
    twi_recipe_set_filter(&s, TWI_BILINEAR);
    assert_true(fabs(s.scale - r.scale) < 1e-15);
    applied_free(&a);
    applied_free(&b);
}

/* A JPEG may be decoded smaller, but never smaller than the input; turned pictures count turned. */
static void test_fast_decode(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t least_w, least_h, want_w, want_h;
    } cases[] = {{"jpeg-exif1", 13, 9, 14, 10}, {"jpeg-exif1", 14, 10, 27, 19},
                 {"jpeg-exif6", 9, 13, 10, 14}, {"jpeg-exif6", 13, 9, 19, 27},
                 {"jpeg-exif1", 1, 1, 4, 3},    {"png-rgb", 1, 1, 27, 19}};

    for (size_t i = 0; i < TWI_LEN(cases); i++) {
        const twi_decode_opts opts = {
            .exif = true, .fast_width = cases[i].least_w, .fast_height = cases[i].least_h};
        twi_picture rgb, out = {0};
        tw_bytes file;
        golden_picture(cases[i].name, &file, &rgb);
        assert_int_equal(twi_picture_decode(ctx, file, "p", &opts, &out), TW_OK);
        assert_int_equal(out.width, cases[i].want_w);
        assert_int_equal(out.height, cases[i].want_h);
        free((void *)file.data);
        free(rgb.samples);
        twi_picture_free(&out);
    }
}

static void test_failures_name_the_photo(void **state)
{
    (void)state;
    twi_recipe_scratch scratch = {0};
    twi_recipe r;
    float out[4 * 4 * 3];
    applied a = {0};

    assert_int_equal(twi_recipe_init(ctx, "tf", 4, 4, &r), TW_OK);
    assert_int_equal(
        twi_recipe_apply(ctx, &r, (tw_bytes){"GIF89a", 6}, "x/y.jpg", 0, &scratch, out),
        TW_ERR_UNSUPPORTED);
    assert_int_equal(strncmp(tw_last_error(ctx), "x/y.jpg: ", 9), 0);
    r.geometry = TWI_CROP; /* and no short side: a recipe made by hand */
    golden_picture("png-rgb", &a.file, &a.rgb);
    assert_int_equal(twi_recipe_apply(ctx, &r, a.file, "x/y.jpg", 0, &scratch, out), TW_ERR_ARG);
    assert_int_equal(strncmp(tw_last_error(ctx), "x/y.jpg: ", 9), 0);
    applied_free(&a);
    twi_recipe_scratch_free(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_json_refusals),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_squash),
        cmocka_unit_test(test_crop),
        cmocka_unit_test(test_letterbox),
        cmocka_unit_test(test_letterbox_of_a_strip),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_set_filter),
        cmocka_unit_test(test_fast_decode),
        cmocka_unit_test(test_failures_name_the_photo),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
