/* views_test.c - several views of one photo: where each is cut, that one decode and one resize
 * serve all, and what is refused. parity_views.py compares with torchvision and scikit-learn. */
#include "../pictures.h"
#include "../testing.h"

#include "base/file.h"
#include "image/image.h"

static tw_ctx *ctx;
static twi_recipe_scratch scratch;

static int set_up(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    twi_recipe_scratch_free(&scratch);
    tw_ctx_free(ctx);
    return 0;
}

/* A picture whose pixel (x, y) is red x, green y (modulo 256); its file in memory, to be freed. */
static twi_encoded_photo map_of(uint32_t width, uint32_t height)
{
    char path[] = "/tmp/topwork-views-XXXXXX";
    unsigned char *rgb = calloc((size_t)width * height, 3), *file = NULL;
    size_t capacity = 0, size;
    assert_non_null(rgb);
    for (uint32_t i = 0; i < width * height; i++) {
        rgb[3 * i] = (unsigned char)(i % width);
        rgb[3 * i + 1] = (unsigned char)(i / width);
    }
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(png_write(path, rgb, width, height), 0);
    assert_int_equal(twi_file_read(ctx, path, 1 << 20, &file, &capacity, &size), TW_OK);
    remove(path);
    free(rgb);
    return (twi_encoded_photo){{file, size}, "photo", 0};
}

static void photo_free(twi_encoded_photo *photo)
{
    twi_free((void *)(uintptr_t)photo->bytes.data);
}

/* Values as they are; of a photo whose short side is short_side nothing is resized. */
static twi_recipe recipe_of(size_t height, size_t width, size_t short_side)
{
    return (twi_recipe){.height = height,
                        .width = width,
                        .geometry = short_side ? TWI_CROP : TWI_SQUASH,
                        .short_side = short_side,
                        .filter = TWI_BILINEAR,
                        .scale = 1,
                        .std = {1, 1, 1}};
}

typedef struct corner {
    size_t left, top;
    bool mirror;
} corner;

/* Opens photo and checks that its views are whole windows of the map, at these places. */
static void views_are(const twi_recipe *r, const twi_encoded_photo *photo, const corner *want,
                      size_t n)
{
    static float view[64 * 64 * 3];
    const tw_status st = twi_recipe_open(ctx, r, photo, &scratch);
    if (st != TW_OK) fail_msg("%s", tw_last_error(ctx));
    assert_int_equal(scratch.n_views, n);
    for (size_t i = n; i-- > 0;) { /* in any order */
        assert_int_equal(twi_recipe_view(ctx, r, &scratch, i, view), TW_OK);
        for (size_t y = 0; y < r->height; y++)
            for (size_t x = 0; x < r->width; x++) {
                const float *p = view + (y * r->width + x) * 3;
                const size_t column = want[i].mirror ? r->width - 1 - x : x;
                assert_true(p[0] == (float)((want[i].left + column) % 256));
                assert_true(p[1] == (float)((want[i].top + y) % 256));
            }
    }
}

/* ---- crops --------------------------------------------------------------------------------- */

static void flip_is_the_own_view_mirrored(void **state)
{
    (void)state;
    twi_encoded_photo photo = map_of(41, 30);
    twi_recipe r = recipe_of(24, 24, 30);
    r.views = TWI_VIEWS_FLIP;
    views_are(&r, &photo, (corner[]){{8, 3, false}, {8, 3, true}}, 2);
    r.views = TWI_VIEWS_ONE;
    views_are(&r, &photo, (corner[]){{8, 3, false}}, 1);
    photo_free(&photo);
}

/* What is left beside the crop: 17 and 7, of which Python's round() makes 8 and 4. */
static void five_and_ten_are_torchvisions(void **state)
{
    (void)state;
    twi_encoded_photo photo = map_of(41, 30);
    twi_recipe r = recipe_of(23, 24, 30);
    const corner ten[] = {{0, 0, false}, {17, 0, false}, {0, 7, false}, {17, 7, false},
                          {8, 4, false}, {17, 0, true},  {0, 0, true},  {17, 7, true},
                          {0, 7, true},  {9, 4, true}};
    r.views = TWI_VIEWS_FIVE;
    views_are(&r, &photo, ten, 5);
    r.views = TWI_VIEWS_TEN;
    views_are(&r, &photo, ten, 10);
    photo_free(&photo);
}

static void a_recipe_that_squashes_is_enlarged_first(void **state)
{
    (void)state;
    twi_encoded_photo photo = map_of(32, 64); /* 28 x 56 enlarged by 256/224: not resized */
    twi_recipe r = recipe_of(56, 28, 0);
    const corner five[] = {
        {0, 0, false}, {4, 0, false}, {0, 8, false}, {4, 8, false}, {2, 4, false}};
    r.views = TWI_VIEWS_FIVE;
    views_are(&r, &photo, five, 5);
    photo_free(&photo);
}

static void borders_of_a_letterbox_are_black(void **state)
{
    (void)state;
    static float view[28 * 28 * 3];
    twi_encoded_photo photo = map_of(32, 16); /* on a canvas of 32 x 32: rows 8 to 23 */
    twi_recipe r = recipe_of(28, 28, 0);
    r.geometry = TWI_LETTERBOX;
    r.views = TWI_VIEWS_TEN;
    r.mean[0] = r.mean[1] = r.mean[2] = 5;
    assert_int_equal(twi_recipe_open(ctx, &r, &photo, &scratch), TW_OK);
    assert_int_equal(twi_recipe_view(ctx, &r, &scratch, 6, view), TW_OK); /* mirrored, at 0, 0 */
    for (size_t y = 0; y < 28; y++)
        for (size_t x = 0; x < 28; x++) {
            const bool inside = y >= 8 && y < 24;
            const float *p = view + (y * 28 + x) * 3;
            assert_true(p[0] == (inside ? (float)(27 - x) : 0.0f) - 5.0f);
            assert_true(p[1] == (inside ? (float)(y - 8) : 0.0f) - 5.0f);
        }
    photo_free(&photo);
}

/* apply() is the recipe's own view, whatever its views are. */
static void apply_is_the_own_view(void **state)
{
    (void)state;
    static float one[24 * 24 * 3], same[24 * 24 * 3];
    twi_encoded_photo photo = map_of(41, 30);
    twi_recipe r = recipe_of(24, 24, 27);
    assert_int_equal(twi_recipe_apply(ctx, &r, photo.bytes, "p", 0, &scratch, one), TW_OK);
    r.views = TWI_VIEWS_TEN;
    assert_int_equal(twi_recipe_apply(ctx, &r, photo.bytes, "p", 0, &scratch, same), TW_OK);
    assert_memory_equal(one, same, sizeof one);
    r.views = TWI_VIEWS_ONE;
    r.patches = (twi_patches){8, 8, 3, 1};
    assert_int_equal(twi_recipe_apply(ctx, &r, photo.bytes, "p", 0, &scratch, same), TW_OK);
    assert_memory_equal(one, same, sizeof one);
    photo_free(&photo);
}

/* ---- patches ------------------------------------------------------------------------------- */

/* scikit-learn 1.2.1: extract_patches_2d(picture, (8, 10), max_patches=..., random_state=...). */
static void patches_are_scikit_learns(void **state)
{
    (void)state;
    twi_encoded_photo photo = map_of(41, 30);
    twi_recipe r = recipe_of(8, 10, 30);
    const corner drawn[] = {{6, 6, false},   {25, 19, false}, {18, 14, false},
                            {22, 10, false}, {10, 7, false},  {10, 20, false}};
    const corner zero[] = {{7, 12, false}, {9, 15, false}, {19, 21, false},
                           {21, 0, false}, {18, 3, false}, {4, 3, false}};
    const corner share[] = {{7, 3, false}, {20, 2, false}, {0, 12, false}};
    r.patches = (twi_patches){8, 10, 6, 42};
    views_are(&r, &photo, drawn, 6);
    r.patches.seed = 0;
    views_are(&r, &photo, zero, 6);
    r.patches = (twi_patches){8, 10, 0.005, 4294967295u};
    views_are(&r, &photo, share, 3);
    corner all[23 * 32];
    for (size_t i = 0; i < 23 * 32; i++) all[i] = (corner){i % 32, i / 32, false};
    r.patches = (twi_patches){8, 10, 0, 0};
    views_are(&r, &photo, all, 23 * 32);
    photo_free(&photo);
}

/* One that has another size than the input is resized by itself: nothing beyond its edge is seen.
 */
static void patches_of_another_size_are_resized(void **state)
{
    (void)state;
    static float view[16 * 16 * 3];
    twi_encoded_photo photo = map_of(16, 16);
    twi_recipe r = recipe_of(16, 16, 16);
    r.patches = (twi_patches){1, 1, 0, 0};
    assert_int_equal(twi_recipe_open(ctx, &r, &photo, &scratch), TW_OK);
    assert_int_equal(scratch.n_views, 256);
    assert_int_equal(twi_recipe_view(ctx, &r, &scratch, 16 * 5 + 9, view), TW_OK);
    for (size_t i = 0; i < 256; i++) assert_true(view[3 * i] == 9.0f && view[3 * i + 1] == 5.0f);
    photo_free(&photo);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void not_opened(const twi_recipe *r, const twi_encoded_photo *photo, tw_status want,
                       const char *part)
{
    assert_int_equal(twi_recipe_open(ctx, r, photo, &scratch), want);
    if (strncmp(tw_last_error(ctx), "photo: ", 7) != 0 || !strstr(tw_last_error(ctx), part))
        fail_msg("\"%s\" is not in \"%s\"", part, tw_last_error(ctx));
}

static void photos_that_have_no_such_views_say_so(void **state)
{
    (void)state;
    static float view[32 * 32 * 3];
    twi_encoded_photo strip = map_of(20000, 1), photo = map_of(41, 30), upright = map_of(30, 41);
    twi_recipe r = recipe_of(32, 32, 256);
    assert_int_equal(twi_recipe_apply(ctx, &r, strip.bytes, "p", 0, &scratch, view), TW_OK);
    r.views = TWI_VIEWS_FIVE; /* of 256 x 5,120,000 pixels */
    not_opened(&r, &strip, TW_ERR_DATA, "5120000 x 256 pixels, more than the 178956970 allowed");
    r.views = TWI_VIEWS_ONE;
    r.filter = TWI_SKIMAGE; /* which resizes all of it */
    not_opened(&r, &strip, TW_ERR_DATA, "5120000 x 256 pixels");
    r = recipe_of(8, 8, 30);
    photo.max_pixels = upright.max_pixels = 2000;
    r.patches = (twi_patches){20, 40, 1, 1};
    assert_int_equal(twi_recipe_open(ctx, &r, &photo, &scratch), TW_OK);
    not_opened(&r, &upright, TW_ERR_DATA,
               "patches of 20 x 40 do not fit into the resized photo of "
               "41 x 30");
    r.patches = (twi_patches){20, 20, 0.0001, 1};
    not_opened(&r, &photo, TW_ERR_DATA, "that share of the 242 patches is none");
    r = recipe_of(8, 8, 300);
    photo.max_pixels = 0;
    r.patches = (twi_patches){8, 8, 0, 1};
    not_opened(&r, &photo, TW_ERR_DATA, "118079 patches of one photo (resized to 300 x 410)");
    photo_free(&strip);
    photo_free(&photo);
    photo_free(&upright);
}

static void recipes_whose_views_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        twi_patches patches;
        twi_view_kind views;
        twi_filter filter;
        tw_status want;
    } cases[] = {
        {{0, 0, 0, 0}, TWI_VIEWS_TEN, TWI_BILINEAR, TW_OK},
        {{256, 9000, 0, 0}, TWI_VIEWS_ONE, TWI_BILINEAR, TW_OK}, /* of some long photo */
        {{224, 224, 5, 0}, TWI_VIEWS_ONE, TWI_SKIMAGE, TW_OK},
        {{0, 8, 0, 0}, TWI_VIEWS_ONE, TWI_BILINEAR, TW_ERR_ARG},
        {{8, 0, 0, 0}, TWI_VIEWS_ONE, TWI_BILINEAR, TW_ERR_ARG},
        {{8, 16385, 0, 0}, TWI_VIEWS_ONE, TWI_BILINEAR, TW_ERR_ARG},
        {{SIZE_MAX, SIZE_MAX, 0, 0}, TWI_VIEWS_ONE, TWI_BILINEAR, TW_ERR_ARG},
        {{257, 257, 0, 0}, TWI_VIEWS_ONE, TWI_BILINEAR, TW_ERR_ARG},
        {{8, 8, 0, 0}, TWI_VIEWS_FLIP, TWI_BILINEAR, TW_ERR_ARG},
        {{8, 8, -1, 0}, TWI_VIEWS_ONE, TWI_BILINEAR, TW_ERR_ARG},
        {{8, 8, 1.5, 0}, TWI_VIEWS_ONE, TWI_BILINEAR, TW_ERR_ARG},
        {{8, 8, 10001, 0}, TWI_VIEWS_ONE, TWI_BILINEAR, TW_ERR_ARG},
        {{8, 8, 0.0 / 0.0, 0}, TWI_VIEWS_ONE, TWI_BILINEAR, TW_ERR_ARG},
        {{8, 8, 5, 0}, TWI_VIEWS_ONE, TWI_SKIMAGE, TW_ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        twi_recipe r = recipe_of(224, 224, 256);
        r.patches = cases[i].patches;
        r.views = cases[i].views;
        r.filter = cases[i].filter;
        assert_int_equal(twi_recipe_check_views(ctx, &r), cases[i].want);
    }
    twi_recipe r = recipe_of(224, 112, 0); /* squashed: enlarged to 256 x 128 */
    r.patches = (twi_patches){256, 128, 0, 0};
    assert_int_equal(twi_recipe_check_views(ctx, &r), TW_OK);
    r.patches.width = 129;
    assert_int_equal(twi_recipe_check_views(ctx, &r), TW_ERR_ARG);
}

static void counts_are_known_beforehand(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 5, 10};
    twi_recipe r = recipe_of(8, 8, 8);
    for (r.views = TWI_VIEWS_ONE; r.views <= TWI_VIEWS_TEN; r.views++) {
        twi_view_kind back;
        assert_int_equal(twi_recipe_view_count(&r), counts[r.views]);
        assert_int_equal(twi_views_parse(ctx, twi_views_name(r.views), &back), TW_OK);
        assert_int_equal(back, r.views);
    }
    assert_int_equal(twi_views_parse(ctx, "2", &r.views), TW_ERR_ARG);
    assert_string_equal(tw_last_error(ctx), "views \"2\" is none of 1, flip, 5, 10");
    r.views = TWI_VIEWS_ONE;
    r.patches = (twi_patches){4, 4, 7, 0};
    assert_int_equal(twi_recipe_view_count(&r), 7);
    r.patches.most = 0.5;
    assert_int_equal(twi_recipe_view_count(&r), 0);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void json_round_trip(const twi_recipe *r, const char *part)
{
    twi_recipe back;
    char *text;
    size_t size;
    twi_json *json = twi_recipe_to_json(r);
    assert_non_null(json);
    assert_int_equal(twi_json_print(ctx, json, &text, &size), TW_OK);
    if (part && !strstr(text, part)) fail_msg("%s is not in %s", part, text);
    if (!part) assert_true(!strstr(text, "views") && !strstr(text, "patches"));
    assert_int_equal(twi_recipe_from_json(ctx, "file", json, &back), TW_OK);
    assert_int_equal(back.views, r->views);
    assert_int_equal(back.patches.height, r->patches.height);
    assert_int_equal(back.patches.width, r->patches.width);
    assert_true(back.patches.most == r->patches.most);
    assert_int_equal(back.patches.seed, r->patches.seed);
    twi_json_free(json);
    twi_free(text);
}

static void recipes_remember_views(void **state)
{
    (void)state;
    twi_recipe r = recipe_of(224, 224, 256);
    json_round_trip(&r, NULL);
    r.views = TWI_VIEWS_FLIP;
    json_round_trip(&r, "\"views\":\"flip\"");
    r.views = TWI_VIEWS_ONE;
    r.patches = (twi_patches){20, 10, 0, 4294967295u};
    json_round_trip(&r, "\"patches\":{\"height\":20,\"width\":10,\"max\":0,\"seed\":4294967295}");
    r.patches.most = 10000;
    json_round_trip(&r, "\"max\":10000,");
    r.patches.most = 0.1;
    json_round_trip(&r, "\"max\":0.1");
}

static void damaged_views_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\"views\":\"3\"",
        "\"views\":5",
        "\"views\":null",
        "\"patches\":7",
        "\"patches\":{}",
        "\"patches\":{\"height\":8}",
        "\"patches\":{\"height\":8,\"width\":-8}",
        "\"patches\":{\"height\":8,\"width\":8,\"max\":\"all\"}",
        "\"patches\":{\"height\":8,\"width\":8,\"max\":1e300}",
        "\"patches\":{\"height\":8,\"width\":8,\"max\":2.5}",
        "\"patches\":{\"height\":8,\"width\":8,\"seed\":4294967296}",
        "\"patches\":{\"height\":8,\"width\":8,\"seed\":\"x\"}",
        "\"patches\":{\"height\":800,\"width\":800}",
        "\"views\":\"10\",\"patches\":{\"height\":8,\"width\":8}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        twi_json *json;
        twi_recipe r;
        const int n = snprintf(
            text, sizeof text,
            "{\"height\":32,\"width\":32,\"geometry\":\"squash\",\"resize\":\"box\",\"channels\":"
            "\"rgb\",\"scale\":1,\"mean\":[0,0,0],\"std\":[1,1,1],%s}",
            cases[i]);
        assert_int_equal(twi_json_parse(ctx, "t", text, (size_t)n, &json), TW_OK);
        if (twi_recipe_from_json(ctx, "file", json, &r) != TW_ERR_FORMAT)
            fail_msg("%s was taken", cases[i]);
        assert_int_equal(strncmp(tw_last_error(ctx), "file: recipe: ", 14), 0);
        twi_json_free(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flip_is_the_own_view_mirrored),
        cmocka_unit_test(five_and_ten_are_torchvisions),
        cmocka_unit_test(a_recipe_that_squashes_is_enlarged_first),
        cmocka_unit_test(borders_of_a_letterbox_are_black),
        cmocka_unit_test(apply_is_the_own_view),
        cmocka_unit_test(patches_are_scikit_learns),
        cmocka_unit_test(patches_of_another_size_are_resized),
        cmocka_unit_test(photos_that_have_no_such_views_say_so),
        cmocka_unit_test(recipes_whose_views_cannot_be_are_refused),
        cmocka_unit_test(counts_are_known_beforehand),
        cmocka_unit_test(recipes_remember_views),
        cmocka_unit_test(damaged_views_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
