/* sheet.c - a contact sheet of varied photos. */
#include "tune/tune.h"

#include "base/file.h"

#include <string.h>

#define GAP        4                 /* pixels between pictures, and around them */
#define MOST_BYTES ((size_t)1 << 30) /* of one encoded photo */

typedef struct sheet {
    tw_ctx *ctx;
    const twi_tune_photos *photos;
    const twi_tune_opts *opts;
    twi_picture all, one;
    twi_recipe_scratch scratch;
    float *input;
    unsigned char *file;
    size_t capacity;
} sheet;

static tw_status reserve(sheet *s, size_t rows, size_t columns)
{
    const twi_recipe *r = s->photos->recipe;
    size_t width, height, bytes;
    if (twi_mul(columns, r->width + GAP, &width) || twi_mul(rows, r->height + GAP, &height) ||
        twi_mul(width + GAP, height + GAP, &bytes) || bytes > TWI_MAX_PIXELS)
        return twi_fail(s->ctx, TW_ERR_ARG, "a sheet of %zu x %zu pictures of %zu x %zu: too large",
                        rows, columns, r->height, r->width);
    s->all = (twi_picture){.width = width + GAP, .height = height + GAP, .channels = 3, .bits = 8};
    s->all.capacity_bytes = 3 * s->all.width * s->all.height;
    const tw_status st = twi_alloc(s->ctx, s->all.capacity_bytes, (uint8_t **)&s->all.samples);
    if (st == TW_OK) memset(s->all.samples, 0xff, s->all.capacity_bytes);
    return st == TW_OK ? twi_alloc(s->ctx, r->height * r->width * 3, &s->input) : st;
}

static void paste(sheet *s, size_t row, size_t column)
{
    const size_t left = GAP + column * (s->one.width + GAP), line = 3 * s->one.width;
    const size_t top = GAP + row * (s->one.height + GAP);
    for (size_t y = 0; y < s->one.height; y++)
        memcpy((uint8_t *)s->all.samples + ((top + y) * s->all.width + left) * 3,
               (const uint8_t *)s->one.samples + y * line, line);
}

/* epoch 0: not varied. */
static tw_status draw(sheet *s, size_t photo, const twi_encoded_photo *encoded, size_t epoch)
{
    const twi_recipe *recipe = s->photos->recipe;
    const twi_draw of = {&s->opts->augment, s->opts->seed, photo, epoch};
    const tw_status st = epoch == 0
                             ? twi_recipe_apply(s->ctx, recipe, encoded->bytes, encoded->name,
                                                encoded->max_pixels, &s->scratch, s->input)
                             : twi_recipe_vary(s->ctx, recipe, encoded, twi_draw_variation, &of,
                                               &s->scratch, s->input);
    return st == TW_OK ? twi_recipe_picture(s->ctx, recipe, s->input, &s->one) : st;
}

static tw_status draw_row(sheet *s, size_t photo, size_t row, size_t columns)
{
    const twi_tune_photos *p = s->photos;
    twi_encoded_photo encoded = {.name = p->path(p->user, photo), .max_pixels = p->max_pixels};
    size_t size;
    tw_status st = twi_file_read(s->ctx, encoded.name, MOST_BYTES, &s->file, &s->capacity, &size);
    encoded.bytes = (tw_bytes){s->file, size};
    for (size_t c = 0; c < columns && st == TW_OK; c++) {
        st = draw(s, photo, &encoded, c);
        if (st == TW_OK) paste(s, row, c);
    }
    return st;
}

tw_status twi_tune_sheet(tw_ctx *ctx, const twi_tune_photos *photos, const twi_tune_opts *opts,
                         size_t rows, size_t columns, const char *path)
{
    sheet s = {.ctx = ctx, .photos = photos, .opts = opts};
    if (rows > photos->n_train) rows = photos->n_train;
    tw_status st = reserve(&s, rows, columns);
    for (size_t i = 0; i < rows && st == TW_OK; i++)
        st = draw_row(&s, photos->train[i * photos->n_train / rows], i, columns);
    if (st == TW_OK) st = twi_png_write(ctx, &s.all, path);
    twi_picture_free(&s.all);
    twi_picture_free(&s.one);
    twi_recipe_scratch_free(&s.scratch);
    twi_free(s.input);
    twi_free(s.file);
    return st;
}
