/* variation.c - photos as augmentation wants them. */
#include "image/variation.h"

#include "image/decoder.h"
#include "image/resample.h"

#include <math.h>
#include <string.h>

static tw_status colour(tw_ctx *ctx, const twi_variation *v, twi_recipe_scratch *scratch)
{
    const twi_variation_op blends[] = {{TWI_IMAGE_BRIGHTNESS, v->brightness - 1.0},
                                       {TWI_IMAGE_CONTRAST, v->contrast - 1.0},
                                       {TWI_IMAGE_COLOUR, v->saturation - 1.0}};
    tw_status st = TW_OK;
    for (size_t i = 0; i < TWI_LEN(blends) && st == TW_OK; i++)
        if (blends[i].magnitude != 0.0)
            st = twi_image_operate(ctx, blends[i].op, blends[i].magnitude, &scratch->resized,
                                   &scratch->decoded);
    return st;
}

/* The 8-bit value of channel c (of red, green, blue) that becomes value, or is nearest to it. */
static uint8_t byte_of(const twi_recipe *recipe, int c, double value)
{
    const int at = recipe->bgr ? 2 - c : c;
    const double v = (value * recipe->std[at] + recipe->mean[at]) / recipe->scale;
    return (uint8_t)(v <= 0.0 ? 0.0 : v >= 255.0 ? 255.0 : v + 0.5);
}

/* What is done to the picture once it has the input's size; decoded is not needed any more. */
static tw_status change(tw_ctx *ctx, const twi_recipe *recipe, const twi_variation *v,
                        twi_recipe_scratch *scratch)
{
    tw_status st = v->whole ? TW_OK : colour(ctx, v, scratch);
    if (st == TW_OK && v->angle != 0.0) {
        const uint8_t fill[3] = {byte_of(recipe, 0, 0.0), byte_of(recipe, 1, 0.0),
                                 byte_of(recipe, 2, 0.0)};
        st = twi_image_rotate(ctx, v->angle, fill, &scratch->resized, &scratch->decoded);
    }
    for (size_t i = 0; i < v->n_ops && st == TW_OK; i++)
        st = twi_image_operate(ctx, v->ops[i].op, v->ops[i].magnitude, &scratch->resized,
                               &scratch->decoded);
    return st;
}

static void erase(const twi_recipe *recipe, const twi_variation *v, float *dst)
{
    for (size_t y = v->erase[1]; y < v->erase[3] && y < recipe->height; y++)
        for (size_t x = v->erase[0]; x < v->erase[2] && x < recipe->width; x++)
            memset(dst + (y * recipe->width + x) * 3, 0, 3 * sizeof *dst);
}

static void place(const twi_recipe *recipe, const twi_variation *v, const twi_picture *in,
                  float *dst)
{
    const uint8_t *src = in->samples;
    float table[3][256]; /* of red, green, blue */
    for (int c = 0; c < 3; c++) {
        const int at = recipe->bgr ? 2 - c : c;
        for (int i = 0; i < 256; i++)
            table[c][i] = (float)((i * recipe->scale - recipe->mean[at]) / recipe->std[at]);
    }
    for (size_t y = 0; y < in->height; y++)
        for (size_t x = 0; x < in->width; x++, src += 3) {
            const size_t column = v->mirror ? in->width - 1 - x : x;
            float *to = dst + (y * in->width + column) * 3;
            for (int c = 0; c < 3; c++) to[recipe->bgr ? 2 - c : c] = table[c][src[c]];
        }
    erase(recipe, v, dst);
}

/* The recipe's own frame, mirrored. */
static void mirror(const twi_recipe *recipe, float *dst)
{
    for (size_t y = 0; y < recipe->height; y++) {
        float *row = dst + y * recipe->width * 3;
        for (size_t x = 0; x < recipe->width / 2; x++) {
            float kept[3], *a = row + 3 * x, *b = row + 3 * (recipe->width - 1 - x);
            memcpy(kept, a, sizeof kept);
            memcpy(a, b, sizeof kept);
            memcpy(b, kept, sizeof kept);
        }
    }
}

static tw_status cut(tw_ctx *ctx, const twi_recipe *recipe, const twi_variation *v,
                     twi_recipe_scratch *scratch)
{
    twi_resize_plan plan = {.filter = recipe->filter,
                            .width = recipe->width,
                            .height = recipe->height,
                            .window = {0, 0, recipe->width, recipe->height}};
    memcpy(plan.box, v->box, sizeof plan.box);
    return twi_resize_pillow_window(ctx, &scratch->decoded, &plan, &scratch->resized);
}

tw_status twi_recipe_picture(tw_ctx *ctx, const twi_recipe *recipe, const float *src,
                             twi_picture *out)
{
    const tw_status st = twi_picture_reserve(ctx, out, recipe->width, recipe->height, 3, 8);
    if (st != TW_OK) return st;
    uint8_t *p = out->samples;
    for (size_t i = 0; i < recipe->width * recipe->height; i++, src += 3, p += 3)
        for (int c = 0; c < 3; c++) p[c] = byte_of(recipe, c, (double)src[recipe->bgr ? 2 - c : c]);
    return TW_OK;
}

/* The photo as the recipe has it; changed, it goes through 8 bits once more, which lose nothing. */
static tw_status whole(tw_ctx *ctx, const twi_recipe *recipe, const twi_encoded_photo *photo,
                       const twi_variation *v, twi_recipe_scratch *scratch, float *dst)
{
    tw_status st =
        twi_recipe_apply(ctx, recipe, photo->bytes, photo->name, photo->max_pixels, scratch, dst);
    if (st != TW_OK) return st;
    if (v->angle == 0.0 && v->n_ops == 0) {
        if (v->mirror) mirror(recipe, dst);
        erase(recipe, v, dst);
        return TW_OK;
    }
    st = twi_recipe_picture(ctx, recipe, dst, &scratch->resized);
    if (st == TW_OK) st = change(ctx, recipe, v, scratch);
    if (st == TW_OK) place(recipe, v, &scratch->resized, dst);
    return st;
}

tw_status twi_recipe_vary(tw_ctx *ctx, const twi_recipe *recipe, const twi_encoded_photo *photo,
                          twi_variation_fn choose, const void *user, twi_recipe_scratch *scratch,
                          float *dst)
{
    const twi_decode_opts opts = {
        .mode = TWI_DECODE_RGB, .exif = recipe->exif, .max_pixels = photo->max_pixels};
    twi_variation v;
    if (recipe->filter == TWI_SKIMAGE)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "photos are not varied with scikit-image's resize; use one of Pillow's");
    tw_status st = twi_picture_decode(ctx, photo->bytes, photo->name, &opts, &scratch->decoded);
    if (st != TW_OK) return st;
    choose(user, scratch->decoded.width, scratch->decoded.height, &v);
    if (v.whole) return whole(ctx, recipe, photo, &v, scratch, dst);
    st = cut(ctx, recipe, &v, scratch);
    if (st == TW_OK) st = change(ctx, recipe, &v, scratch);
    if (st == TW_OK) place(recipe, &v, &scratch->resized, dst);
    return st == TW_OK ? st : twi_fail_prefix(ctx, st, "%s: ", photo->name);
}
