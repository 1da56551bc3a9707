/* frame.c - where the resized photo and its views lie: the arithmetic of torchvision's crops, of
 * Pillow's pad() and of scikit-learn's patches. No pixel is touched here. */
#include "image/frame.h"

#include "base/rng.h"

#include <math.h>

size_t twi_enlarged(size_t side)
{
    return (side * 256 + 112) / 224;
}

/* ---- the frame ------------------------------------------------------------------------------ */

/* torchvision's Resize(short_side) and CenterCrop: long = int(short_side * long / short). */
static tw_status crop_frame(tw_ctx *ctx, const twi_recipe *recipe, size_t width, size_t height,
                            twi_frame *f)
{
    const size_t side = recipe->short_side;
    size_t product;
    if (side < recipe->width || side < recipe->height)
        return twi_fail(ctx, TW_ERR_ARG, "a short side of %zu cannot be cropped to %zu x %zu", side,
                        recipe->width, recipe->height);
    if (twi_mul(side, width > height ? width : height, &product))
        return twi_fail(ctx, TW_ERR_ARG, "a short side of %zu is too long", side);
    *f = (twi_frame){.width = side, .height = side};
    if (width > height)
        f->width = product / height;
    else
        f->height = product / width;
    return TW_OK;
}

/* Pillow 9.4 ImageOps.pad() to canvas_width x canvas_height: as large as fits, centred; round()
 * there is half to even, as nearbyint() is. */
static void letterbox_frame(size_t width, size_t height, twi_frame *f)
{
    const double w = (double)width, h = (double)height;
    const double ratio = w / h, wanted = (double)f->canvas_width / (double)f->canvas_height;
    f->width = f->canvas_width;
    f->height = f->canvas_height;
    if (ratio > wanted)
        f->height = (size_t)nearbyint(h / w * (double)f->canvas_width);
    else if (ratio < wanted)
        f->width = (size_t)nearbyint(w / h * (double)f->canvas_height);
    if (f->width == 0) f->width = 1;
    if (f->height == 0) f->height = 1;
    f->left = (size_t)nearbyint((double)(f->canvas_width - f->width) * 0.5);
    f->top = (size_t)nearbyint((double)(f->canvas_height - f->height) * 0.5);
}

tw_status twi_frame_of(tw_ctx *ctx, const twi_recipe *recipe, size_t width, size_t height,
                       twi_frame *out)
{
    /* More than the recipe's own view is cut from something larger than it. */
    const bool patches = recipe->views == TWI_VIEWS_ONE && recipe->patches.height > 0;
    const bool whole = patches || recipe->views == TWI_VIEWS_FIVE || recipe->views == TWI_VIEWS_TEN;
    twi_frame f = {.canvas_width = whole ? twi_enlarged(recipe->width) : recipe->width,
                   .canvas_height = whole ? twi_enlarged(recipe->height) : recipe->height};
    if (recipe->geometry == TWI_CROP) {
        const tw_status st = crop_frame(ctx, recipe, width, height, &f);
        if (st != TW_OK) return st;
        f.canvas_width = whole ? f.width : recipe->width;
        f.canvas_height = whole ? f.height : recipe->height;
        f.part_left = (f.width - f.canvas_width) / 2;
        f.part_top = (f.height - f.canvas_height) / 2;
    } else if (recipe->geometry == TWI_LETTERBOX) {
        letterbox_frame(width, height, &f);
    } else {
        f.width = f.canvas_width;
        f.height = f.canvas_height;
    }
    f.part_width = recipe->geometry == TWI_CROP ? f.canvas_width : f.width;
    f.part_height = recipe->geometry == TWI_CROP ? f.canvas_height : f.height;
    f.view_width = patches ? recipe->patches.width : recipe->width;
    f.view_height = patches ? recipe->patches.height : recipe->height;
    *out = f;
    return TW_OK;
}

/* ---- crops ---------------------------------------------------------------------------------- */

/* Python's round(n / 2.0): half to even. torchvision 0.14's center_crop(). */
static size_t half(size_t n)
{
    return n / 2 + (n % 4 == 3);
}

static tw_status room_for(tw_ctx *ctx, twi_recipe_scratch *scratch, size_t n)
{
    scratch->n_views = n;
    return twi_grow(ctx, &scratch->views, &scratch->views_capacity, n);
}

/* torchvision 0.14's five_crop() and ten_crop(): the latter's second half are the five crops of the
 * mirrored picture, so that a crop at left there lies at right - left here. */
static tw_status corner_views(tw_ctx *ctx, bool ten, twi_recipe_scratch *scratch)
{
    const twi_frame *f = &scratch->frame;
    const size_t right = f->canvas_width - f->view_width,
                 bottom = f->canvas_height - f->view_height;
    const twi_photo_view five[] = {{0, 0, false},
                                   {right, 0, false},
                                   {0, bottom, false},
                                   {right, bottom, false},
                                   {half(right), half(bottom), false}};
    const tw_status st = room_for(ctx, scratch, ten ? 10 : 5);
    for (size_t i = 0; st == TW_OK && i < scratch->n_views; i++) {
        twi_photo_view *v = &scratch->views[i];
        *v = five[i % 5];
        v->mirror = i >= 5;
        if (v->mirror) v->left = right - v->left;
    }
    return st;
}

static tw_status own_views(tw_ctx *ctx, bool flip, twi_recipe_scratch *scratch)
{
    const tw_status st = room_for(ctx, scratch, flip ? 2 : 1);
    for (size_t i = 0; st == TW_OK && i < scratch->n_views; i++)
        scratch->views[i] = (twi_photo_view){.mirror = i == 1};
    return st;
}

/* ---- patches -------------------------------------------------------------------------------- */

/* scikit-learn 1.2's _compute_n_patches(). */
static tw_status count_patches(tw_ctx *ctx, const twi_patches *p, const twi_frame *f, size_t *n)
{
    size_t all;
    if (p->height > f->canvas_height || p->width > f->canvas_width)
        return twi_fail(ctx, TW_ERR_DATA,
                        "patches of %zu x %zu do not fit into the resized photo of %zu x %zu",
                        p->height, p->width, f->canvas_height, f->canvas_width);
    if (twi_mul(f->canvas_height - p->height + 1, f->canvas_width - p->width + 1, &all))
        all = SIZE_MAX;
    const double share = p->most * (double)all;
    *n = all;
    if (p->most > 0.0 && p->most < 1.0)
        *n = share < 1e18 ? (size_t)share : all;
    else if (p->most > 0.0 && p->most < (double)all)
        *n = (size_t)p->most;
    if (*n == 0) return twi_fail(ctx, TW_ERR_DATA, "that share of the %zu patches is none", all);
    if (*n > TWI_MAX_VIEWS)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu patches of one photo (resized to %zu x %zu); at most %d are allowed: "
                        "say how many to draw",
                        *n, f->canvas_height, f->canvas_width, TWI_MAX_VIEWS);
    return TW_OK;
}

/* scikit-learn 1.2's extract_patches_2d(): all, row by row; or drawn with replacement, first all
 * rows, then all columns, by NumPy's RandomState(seed).randint(), which is masked rejection. */
static tw_status patch_views(tw_ctx *ctx, const twi_patches *p, twi_recipe_scratch *scratch)
{
    const twi_frame *f = &scratch->frame;
    twi_rng rng;
    size_t n;
    tw_status st = count_patches(ctx, p, f, &n);
    if (st == TW_OK) st = room_for(ctx, scratch, n);
    if (st != TW_OK) return st;
    const size_t rows = f->canvas_height - p->height + 1, columns = f->canvas_width - p->width + 1;
    twi_rng_seed(&rng, p->seed);
    for (size_t i = 0; i < n; i++)
        scratch->views[i] = (twi_photo_view){
            .top = p->most > 0.0 ? twi_rng_interval(&rng, (uint32_t)(rows - 1)) : i / columns};
    for (size_t i = 0; i < n; i++)
        scratch->views[i].left =
            p->most > 0.0 ? twi_rng_interval(&rng, (uint32_t)(columns - 1)) : i % columns;
    return TW_OK;
}

tw_status twi_frame_views(tw_ctx *ctx, const twi_recipe *recipe, twi_recipe_scratch *scratch)
{
    if (recipe->views == TWI_VIEWS_FIVE || recipe->views == TWI_VIEWS_TEN)
        return corner_views(ctx, recipe->views == TWI_VIEWS_TEN, scratch);
    if (recipe->views == TWI_VIEWS_ONE && recipe->patches.height > 0)
        return patch_views(ctx, &recipe->patches, scratch);
    return own_views(ctx, recipe->views == TWI_VIEWS_FLIP, scratch);
}

/* ---- what can be asked for ------------------------------------------------------------------ */

size_t twi_recipe_view_count(const twi_recipe *recipe)
{
    static const size_t counts[] = {
        [TWI_VIEWS_ONE] = 1, [TWI_VIEWS_FLIP] = 2, [TWI_VIEWS_FIVE] = 5, [TWI_VIEWS_TEN] = 10};
    if (recipe->patches.height == 0) return counts[recipe->views];
    return recipe->patches.most >= 1.0 ? (size_t)recipe->patches.most : 0;
}

tw_status twi_recipe_check_views(tw_ctx *ctx, const twi_recipe *recipe)
{
    const twi_patches *p = &recipe->patches;
    const bool crop = recipe->geometry == TWI_CROP;
    /* What a resized photo has at most; a crop's long side may be any. */
    const size_t height = crop ? recipe->short_side : twi_enlarged(recipe->height);
    const size_t width = crop ? recipe->short_side : twi_enlarged(recipe->width);
    if (p->height == 0 && p->width == 0) return TW_OK;
    if (p->height == 0 || p->width == 0 || p->height > 16384 || p->width > 16384)
        return twi_fail(ctx, TW_ERR_ARG, "patches of %zu x %zu; each side must be 1 to 16384",
                        p->height, p->width);
    if (recipe->views != TWI_VIEWS_ONE)
        return twi_fail(ctx, TW_ERR_ARG, "patches take the place of views: give one of them");
    if (!(p->most >= 0.0 && p->most <= TWI_MAX_VIEWS) ||
        (p->most > 1.0 && p->most != floor(p->most)))
        return twi_fail(ctx, TW_ERR_ARG,
                        "the number of patches must be a whole one up to %d, or a share below 1",
                        TWI_MAX_VIEWS);
    if (crop && p->height > height && p->width > width)
        return twi_fail(
            ctx, TW_ERR_ARG,
            "patches of %zu x %zu do not fit into photos resized to a short side of %zu", p->height,
            p->width, height);
    if (!crop && (p->height > height || p->width > width))
        return twi_fail(ctx, TW_ERR_ARG,
                        "patches of %zu x %zu do not fit into photos resized to %zu x %zu",
                        p->height, p->width, height, width);
    if (recipe->filter == TWI_SKIMAGE && (p->height != recipe->height || p->width != recipe->width))
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "with scikit-image's resize patches must have the input's size, %zu x %zu",
                        recipe->height, recipe->width);
    return TW_OK;
}
