/* recipe.c - a recipe applied: decode, turn, resize into the network's frame, normalise. */
#include "image/decoder.h"
#include "image/frame.h"
#include "image/resample.h"

#include <string.h>

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

/* Where the part of the resized photo that is in a view lies in both. */
typedef struct overlap {
    size_t from_left, from_top; /* in the part */
    size_t to_left, to_top;     /* in the view */
    size_t width, height;       /* 0: the view sees nothing of it */
} overlap;

static void overlap_1d(size_t view, size_t view_size, size_t part, size_t part_size, size_t *from,
                       size_t *to, size_t *size)
{
    const size_t begin = view > part ? view : part;
    const size_t view_end = view + view_size, part_end = part + part_size;
    const size_t end = view_end < part_end ? view_end : part_end;
    *size = end > begin ? end - begin : 0;
    *from = *size ? begin - part : 0;
    *to = *size ? begin - view : 0;
}

static overlap overlap_of(const twi_frame *f, const twi_photo_view *v)
{
    overlap o;
    overlap_1d(v->left, f->view_width, f->left, f->part_width, &o.from_left, &o.to_left, &o.width);
    overlap_1d(v->top, f->view_height, f->top, f->part_height, &o.from_top, &o.to_top, &o.height);
    return o;
}

/* 8-bit values have 256 answers a channel: a table is exact and costs less than the arithmetic. in:
 * the part of the frame that was kept. */
static void place_u8(const twi_recipe *recipe, const twi_picture *in, const overlap *o, bool mirror,
                     float *dst)
{
    const int r = recipe->bgr ? 2 : 0, b = 2 - r;
    float table[3][256];

    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) table[c][v] = normalise(recipe, c, v);
    for (size_t y = 0; y < o->height; y++) {
        const uint8_t *src =
            (const uint8_t *)in->samples + ((o->from_top + y) * in->width + o->from_left) * 3;
        float *const row = dst + (o->to_top + y) * recipe->width * 3;
        for (size_t x = 0; x < o->width; x++, src += 3) {
            const size_t column = o->to_left + x;
            float *const to = row + (mirror ? recipe->width - 1 - column : column) * 3;
            to[r] = table[r][src[0]];
            to[1] = table[1][src[1]];
            to[b] = table[b][src[2]];
        }
    }
}

/* in [frame height, frame width, 3]: the whole of the resized photo. */
static void place_doubles(const twi_recipe *recipe, const double *in, const twi_frame *f,
                          const overlap *o, bool mirror, float *dst)
{
    const int r = recipe->bgr ? 2 : 0, b = 2 - r;

    for (size_t y = 0; y < o->height; y++) {
        const double *src =
            in + ((f->part_top + o->from_top + y) * f->width + f->part_left + o->from_left) * 3;
        float *const row = dst + (o->to_top + y) * recipe->width * 3;
        for (size_t x = 0; x < o->width; x++, src += 3) {
            const size_t column = o->to_left + x;
            float *const to = row + (mirror ? recipe->width - 1 - column : column) * 3;
            to[r] = normalise(recipe, r, src[0]);
            to[1] = normalise(recipe, 1, src[1]);
            to[b] = normalise(recipe, b, src[2]);
        }
    }
}

/* ---- resizing ------------------------------------------------------------------------------- */

static tw_status resize_pillow(tw_ctx *ctx, const twi_recipe *recipe, twi_recipe_scratch *scratch)
{
    const twi_picture *const in = &scratch->decoded;
    const twi_frame *const f = &scratch->frame;
    const twi_resize_plan plan = {
        .filter = recipe->filter,
        .box = {0, 0, (double)in->width, (double)in->height},
        .width = f->width,
        .height = f->height,
        .window = {f->part_left, f->part_top, f->part_width, f->part_height}};
    return twi_resize_pillow_window(ctx, in, &plan, &scratch->resized);
}

static tw_status resize_skimage(tw_ctx *ctx, twi_recipe_scratch *scratch)
{
    const twi_frame *const f = &scratch->frame;
    size_t values;
    tw_status st;

    if (twi_mul(f->width, f->height, &values) || twi_mul(values, 3, &values))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu x %zu pixels do not fit in memory", f->width,
                        f->height);
    st = twi_grow(ctx, &scratch->doubles, &scratch->doubles_capacity, values);
    if (st != TW_OK) return st;
    return twi_resize_skimage(ctx, &scratch->decoded, f->width, f->height, 3, scratch->doubles);
}

/* A long and narrow photo becomes a huge one when its short side is enlarged. scikit-image's resize
 * makes all of it, Pillow's what is wanted. */
static tw_status check_frame(tw_ctx *ctx, const twi_recipe *recipe, size_t max_pixels,
                             const twi_frame *f)
{
    const bool all = recipe->filter == TWI_SKIMAGE;
    const size_t width = all ? f->width : f->canvas_width;
    const size_t height = all ? f->height : f->canvas_height;
    const size_t most = max_pixels ? max_pixels : TWI_MAX_PIXELS;
    size_t pixels;
    if (width <= recipe->width && height <= recipe->height) return TW_OK;
    if (twi_mul(width, height, &pixels) || pixels > most || width > UINT32_MAX ||
        height > UINT32_MAX)
        return twi_fail(ctx, TW_ERR_DATA,
                        "resized, the photo would have %zu x %zu pixels, more than the %zu allowed",
                        width, height, most);
    return TW_OK;
}

/* ---- the whole line ------------------------------------------------------------------------- */

/* The least size at which a JPEG may be decoded: what the resize will make of it, and not less. The
 * picture's shape is not known yet, so this is the size of the canvas or the short side, whichever
 * is larger. */
static void allow_fast_decode(const twi_recipe *recipe, twi_decode_opts *opts)
{
    twi_frame square;
    const size_t side = recipe->geometry == TWI_CROP ? recipe->short_side : 0;
    opts->fast_width = recipe->width > side ? recipe->width : side;
    opts->fast_height = recipe->height > side ? recipe->height : side;
    if (twi_frame_of(NULL, recipe, 1, 1, &square) != TW_OK) return;
    if (square.canvas_width > opts->fast_width) opts->fast_width = square.canvas_width;
    if (square.canvas_height > opts->fast_height) opts->fast_height = square.canvas_height;
}

tw_status twi_recipe_open(tw_ctx *ctx, const twi_recipe *recipe, const twi_encoded_photo *photo,
                          twi_recipe_scratch *scratch)
{
    const bool skimage = recipe->filter == TWI_SKIMAGE;
    twi_decode_opts opts = {.mode = skimage ? recipe->decode : TWI_DECODE_RGB,
                            .exif = recipe->exif,
                            .max_pixels = photo->max_pixels};
    twi_frame *const f = &scratch->frame;

    if (recipe->fast_decode) allow_fast_decode(recipe, &opts);
    tw_status st = twi_picture_decode(ctx, photo->bytes, photo->name, &opts, &scratch->decoded);
    if (st != TW_OK) return st;
    st = twi_frame_of(ctx, recipe, scratch->decoded.width, scratch->decoded.height, f);
    if (st == TW_OK) st = check_frame(ctx, recipe, photo->max_pixels, f);
    if (st == TW_OK) st = twi_frame_views(ctx, recipe, scratch);
    if (st == TW_OK)
        st = skimage ? resize_skimage(ctx, scratch) : resize_pillow(ctx, recipe, scratch);
    return st == TW_OK ? st : twi_fail_prefix(ctx, st, "%s: ", photo->name);
}

/* A patch of another size than the input's: cut out first, so that the resize sees nothing beyond
 * its edge. */
static tw_status fit_patch(tw_ctx *ctx, const twi_recipe *recipe, twi_recipe_scratch *scratch,
                           const twi_photo_view *v)
{
    const twi_frame *const f = &scratch->frame;
    const overlap o = overlap_of(f, v);
    tw_status st = twi_picture_reserve(ctx, &scratch->patch, f->view_width, f->view_height, 3, 8);
    if (st != TW_OK) return st;
    uint8_t *const samples = scratch->patch.samples;
    memset(samples, 0, f->view_width * f->view_height * 3);
    for (size_t y = 0; y < o.height; y++)
        memcpy(samples + ((o.to_top + y) * f->view_width + o.to_left) * 3,
               (const uint8_t *)scratch->resized.samples +
                   ((o.from_top + y) * scratch->resized.width + o.from_left) * 3,
               o.width * 3);
    return twi_resize_pillow(ctx, &scratch->patch, recipe->filter, NULL, recipe->width,
                             recipe->height, &scratch->fitted);
}

tw_status twi_recipe_view(tw_ctx *ctx, const twi_recipe *recipe, twi_recipe_scratch *scratch,
                          size_t i, float *dst)
{
    const twi_frame *const f = &scratch->frame;
    const twi_photo_view *const v = &scratch->views[i];
    if (f->view_width != recipe->width || f->view_height != recipe->height) {
        const overlap all = {.width = recipe->width, .height = recipe->height};
        const tw_status st = fit_patch(ctx, recipe, scratch, v);
        if (st == TW_OK) place_u8(recipe, &scratch->fitted, &all, v->mirror, dst);
        return st;
    }
    const overlap o = overlap_of(f, v);
    if (o.width < recipe->width || o.height < recipe->height) fill_black(recipe, dst);
    if (recipe->filter == TWI_SKIMAGE)
        place_doubles(recipe, scratch->doubles, f, &o, v->mirror, dst);
    else
        place_u8(recipe, &scratch->resized, &o, v->mirror, dst);
    return TW_OK;
}

tw_status twi_recipe_apply(tw_ctx *ctx, const twi_recipe *recipe, tw_bytes src, const char *name,
                           size_t max_pixels, twi_recipe_scratch *scratch, float *dst)
{
    twi_recipe own = *recipe;
    own.views = TWI_VIEWS_ONE;
    own.patches = (twi_patches){0};
    const twi_encoded_photo photo = {src, name, max_pixels};
    const tw_status st = twi_recipe_open(ctx, &own, &photo, scratch);
    return st == TW_OK ? twi_recipe_view(ctx, &own, scratch, 0, dst) : st;
}

void twi_recipe_scratch_free(twi_recipe_scratch *scratch)
{
    twi_picture_free(&scratch->decoded);
    twi_picture_free(&scratch->resized);
    twi_picture_free(&scratch->patch);
    twi_picture_free(&scratch->fitted);
    twi_free(scratch->doubles);
    twi_free(scratch->views);
    *scratch = (twi_recipe_scratch){0};
}
