/* variation.c - photos as augmentation wants them. */
#include "image/variation.h"

#include "image/resample.h"

#include <math.h>
#include <string.h>

/* ITU-R BT.601 luma, as Pillow's convert("L") weighs it. */
static double grey_of(const uint8_t *p)
{
    return (19595.0 * p[0] + 38470.0 * p[1] + 7471.0 * p[2]) / 65536.0;
}

static uint8_t rounded(double v)
{
    return (uint8_t)(v <= 0.0 ? 0.0 : v >= 255.0 ? 255.0 : v + 0.5);
}

/* Each step rounds to 8 bits, as Pillow's blends do. */
static void colour(const twi_variation *v, twi_picture *picture)
{
    uint8_t *p = picture->samples;
    const size_t pixels = picture->width * picture->height;
    double mean = 0.0;
    for (size_t i = 0; v->brightness != 1.0 && i < 3 * pixels; i++)
        p[i] = rounded(v->brightness * p[i]);
    for (size_t i = 0; v->contrast != 1.0 && i < pixels; i++) mean += grey_of(p + 3 * i);
    mean /= (double)pixels;
    for (size_t i = 0; v->contrast != 1.0 && i < 3 * pixels; i++)
        p[i] = rounded(mean + v->contrast * (p[i] - mean));
    for (size_t i = 0; v->saturation != 1.0 && i < pixels; i++) {
        const double grey = grey_of(p + 3 * i);
        for (int c = 0; c < 3; c++)
            p[3 * i + c] = rounded(grey + v->saturation * (p[3 * i + c] - grey));
    }
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
    for (size_t y = v->erase[1]; y < v->erase[3] && y < in->height; y++)
        for (size_t x = v->erase[0]; x < v->erase[2] && x < in->width; x++)
            memset(dst + (y * in->width + x) * 3, 0, 3 * sizeof *dst);
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
                     twi_recipe_scratch *scratch, float *dst)
{
    twi_resize_plan plan = {.filter = recipe->filter,
                            .width = recipe->width,
                            .height = recipe->height,
                            .window = {0, 0, recipe->width, recipe->height}};
    memcpy(plan.box, v->box, sizeof plan.box);
    const tw_status st = twi_resize_pillow_window(ctx, &scratch->decoded, &plan, &scratch->resized);
    if (st != TW_OK) return st;
    colour(v, &scratch->resized);
    place(recipe, v, &scratch->resized, dst);
    return TW_OK;
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
    if (!v.whole) {
        st = cut(ctx, recipe, &v, scratch, dst);
        return st == TW_OK ? st : twi_fail_prefix(ctx, st, "%s: ", photo->name);
    }
    st = twi_recipe_apply(ctx, recipe, photo->bytes, photo->name, photo->max_pixels, scratch, dst);
    if (st == TW_OK && v.mirror) mirror(recipe, dst);
    return st;
}
