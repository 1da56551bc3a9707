/* recipe.c - a recipe applied: decode, turn, resize into the network's frame, normalise. */
#include "image/decoder.h"
#include "image/resample.h"

#include <math.h>
#include <string.h>

/* Where the resized picture goes: full size, the window of it that is kept, and where that window
 * lands in the input. */
typedef struct placement {
    size_t width, height;
    twi_window window;
    size_t left, top;
} placement;

/* torchvision's Resize(short_side) and CenterCrop: long = int(short_side * long / short). */
static placement crop_frame(const twi_recipe *recipe, size_t width, size_t height)
{
    const size_t side = recipe->short_side;
    placement f = {.width = side, .height = side, .window = {0, 0, recipe->width, recipe->height}};

    if (width > height)
        f.width = side * width / height;
    else
        f.height = side * height / width;
    f.window.left = (f.width - recipe->width) / 2;
    f.window.top = (f.height - recipe->height) / 2;
    return f;
}

/* Pillow 9.4 ImageOps.pad(): as large as fits, centred; round() there is half to even, as
 * nearbyint() is. */
static placement letterbox_frame(const twi_recipe *recipe, size_t width, size_t height)
{
    const double w = (double)width, h = (double)height;
    const double ratio = w / h, wanted = (double)recipe->width / (double)recipe->height;
    placement f = {.width = recipe->width, .height = recipe->height};

    if (ratio > wanted)
        f.height = (size_t)nearbyint(h / w * (double)recipe->width);
    else if (ratio < wanted)
        f.width = (size_t)nearbyint(w / h * (double)recipe->height);
    if (f.width == 0) f.width = 1;
    if (f.height == 0) f.height = 1;
    f.left = (size_t)nearbyint((double)(recipe->width - f.width) * 0.5);
    f.top = (size_t)nearbyint((double)(recipe->height - f.height) * 0.5);
    f.window = (twi_window){0, 0, f.width, f.height};
    return f;
}

static tw_status frame_of(tw_ctx *ctx, const twi_recipe *recipe, size_t width, size_t height,
                          placement *out)
{
    size_t product;

    switch (recipe->geometry) {
    case TWI_LETTERBOX:
        *out = letterbox_frame(recipe, width, height);
        return TW_OK;
    case TWI_CROP:
        if (recipe->short_side < recipe->width || recipe->short_side < recipe->height)
            return twi_fail(ctx, TW_ERR_ARG, "a short side of %zu cannot be cropped to %zu x %zu",
                            recipe->short_side, recipe->width, recipe->height);
        if (twi_mul(recipe->short_side, width > height ? width : height, &product))
            return twi_fail(ctx, TW_ERR_ARG, "a short side of %zu is too long", recipe->short_side);
        *out = crop_frame(recipe, width, height);
        return TW_OK;
    default:
        *out = (placement){.width = recipe->width,
                           .height = recipe->height,
                           .window = {0, 0, recipe->width, recipe->height}};
        return TW_OK;
    }
}

/* ---- normalising ---------------------------------------------------------------------------- */

static float normalise(const twi_recipe *recipe, int c, double value)
{
    return (float)((value * recipe->scale - recipe->mean[c]) / recipe->std[c]);
}

/* The border of a letterbox is a black picture's value. */
static void fill_black(const twi_recipe *recipe, float *dst)
{
    const size_t pixels = recipe->width * recipe->height;
    float black[3];
    for (int c = 0; c < 3; c++) black[c] = normalise(recipe, c, 0.0);
    for (size_t i = 0; i < pixels; i++, dst += 3) memcpy(dst, black, sizeof black);
}

/* 8-bit values have 256 answers a channel: a table is exact and costs less than the arithmetic. */
static void place_u8(const twi_recipe *recipe, const twi_picture *in, const placement *f,
                     float *dst)
{
    const int r = recipe->bgr ? 2 : 0, b = 2 - r;
    float table[3][256];

    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) table[c][v] = normalise(recipe, c, v);
    const uint8_t *src = in->samples;
    for (size_t y = 0; y < in->height; y++) {
        float *to = dst + ((f->top + y) * recipe->width + f->left) * 3;
        for (size_t x = 0; x < in->width; x++, src += 3, to += 3) {
            to[r] = table[r][src[0]];
            to[1] = table[1][src[1]];
            to[b] = table[b][src[2]];
        }
    }
}

/* in [f->height, f->width, 3], of which f->window is kept. */
static void place_doubles(const twi_recipe *recipe, const double *in, const placement *f,
                          float *dst)
{
    const int r = recipe->bgr ? 2 : 0, b = 2 - r;
    const twi_window *const w = &f->window;

    for (size_t y = 0; y < w->height; y++) {
        const double *src = in + ((w->top + y) * f->width + w->left) * 3;
        float *to = dst + ((f->top + y) * recipe->width + f->left) * 3;
        for (size_t x = 0; x < w->width; x++, src += 3, to += 3) {
            to[r] = normalise(recipe, r, src[0]);
            to[1] = normalise(recipe, 1, src[1]);
            to[b] = normalise(recipe, b, src[2]);
        }
    }
}

/* ---- the whole line ------------------------------------------------------------------------- */

static tw_status apply_pillow(tw_ctx *ctx, const twi_recipe *recipe, const placement *f,
                              twi_recipe_scratch *scratch, float *dst)
{
    const twi_picture *const in = &scratch->decoded;
    const twi_resize_plan plan = {.filter = recipe->filter,
                                  .box = {0, 0, (double)in->width, (double)in->height},
                                  .width = f->width,
                                  .height = f->height,
                                  .window = f->window};
    const tw_status st = twi_resize_pillow_window(ctx, in, &plan, &scratch->resized);
    if (st == TW_OK) place_u8(recipe, &scratch->resized, f, dst);
    return st;
}

static tw_status apply_skimage(tw_ctx *ctx, const twi_recipe *recipe, const placement *f,
                               twi_recipe_scratch *scratch, float *dst)
{
    size_t values;
    tw_status st;

    if (twi_mul(f->width, f->height, &values) || twi_mul(values, 3, &values))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu x %zu pixels do not fit in memory", f->width,
                        f->height);
    st = twi_grow(ctx, &scratch->doubles, &scratch->doubles_capacity, values);
    if (st != TW_OK) return st;
    st = twi_resize_skimage(ctx, &scratch->decoded, f->width, f->height, 3, scratch->doubles);
    if (st == TW_OK) place_doubles(recipe, scratch->doubles, f, dst);
    return st;
}

/* The least size at which a JPEG may be decoded: what the resize will make of it, and not less. The
 * picture's shape is not known yet, so this is the network's input or the short side, whichever is
 * larger. */
static void allow_fast_decode(const twi_recipe *recipe, twi_decode_opts *opts)
{
    const size_t side = recipe->geometry == TWI_CROP ? recipe->short_side : 0;
    opts->fast_width = recipe->width > side ? recipe->width : side;
    opts->fast_height = recipe->height > side ? recipe->height : side;
}

tw_status twi_recipe_apply(tw_ctx *ctx, const twi_recipe *recipe, tw_bytes src, const char *name,
                           size_t max_pixels, twi_recipe_scratch *scratch, float *dst)
{
    const bool skimage = recipe->filter == TWI_SKIMAGE;
    twi_decode_opts opts = {.mode = skimage ? recipe->decode : TWI_DECODE_RGB,
                            .exif = recipe->exif,
                            .max_pixels = max_pixels};
    placement f;
    tw_status st;

    if (recipe->fast_decode) allow_fast_decode(recipe, &opts);
    st = twi_picture_decode(ctx, src, name, &opts, &scratch->decoded);
    if (st != TW_OK) return st;
    st = frame_of(ctx, recipe, scratch->decoded.width, scratch->decoded.height, &f);
    if (st == TW_OK) {
        if (recipe->geometry == TWI_LETTERBOX) fill_black(recipe, dst);
        st = skimage ? apply_skimage(ctx, recipe, &f, scratch, dst)
                     : apply_pillow(ctx, recipe, &f, scratch, dst);
    }
    return st == TW_OK ? st : twi_fail_prefix(ctx, st, "%s: ", name);
}

void twi_recipe_scratch_free(twi_recipe_scratch *scratch)
{
    twi_picture_free(&scratch->decoded);
    twi_picture_free(&scratch->resized);
    twi_free(scratch->doubles);
    *scratch = (twi_recipe_scratch){0};
}
