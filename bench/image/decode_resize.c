/* decode_resize.c - what each step of the image line costs on a folder of photos, in ms a photo,
 * one thread.
 *
 * usage: decode-resize STEP FILE...
 *     STEP: decode | decode-fast | resize | line | line-crop | skimage | skimage-line
 * Prints one number: the milliseconds that one pass of STEP over all files took, files already read
 * (resize and skimage: and decoded). decode_resize.py runs it in turn with Pillow and scikit-image.
 */
#include "base/file.h"
#include "image/image.h"

#include <stdio.h>
#include <string.h>

typedef struct bench {
    tw_ctx *ctx;
    size_t n;
    tw_bytes *files;
    twi_picture *pictures;
    twi_picture out;
    twi_recipe_scratch scratch;
    twi_recipe recipe;
    float *floats;
    double *doubles;
} bench;

static tw_status decode(bench *b, size_t i, twi_picture *out)
{
    const bool fast = b->recipe.fast_decode;
    const twi_decode_opts opts = {.exif = true,
                                  .fast_width = fast ? b->recipe.width : 0,
                                  .fast_height = fast ? b->recipe.height : 0};
    return twi_picture_decode(b->ctx, b->files[i], "photo", &opts, out);
}

static tw_status step_decode(bench *b, size_t i)
{
    return decode(b, i, &b->out);
}

static tw_status step_resize(bench *b, size_t i)
{
    return twi_resize_pillow(b->ctx, &b->pictures[i], TWI_BILINEAR, NULL, b->recipe.width,
                             b->recipe.height, &b->out);
}

static tw_status step_skimage(bench *b, size_t i)
{
    return twi_resize_skimage(b->ctx, &b->pictures[i], b->recipe.width, b->recipe.height, 3,
                              b->doubles);
}

static tw_status step_line(bench *b, size_t i)
{
    return twi_recipe_apply(b->ctx, &b->recipe, b->files[i], "photo", 0, &b->scratch, b->floats);
}

typedef struct step {
    const char *name;
    bool needs_pictures;
    tw_status (*run)(bench *b, size_t i);
} step;

static const step steps[] = {
    {"decode", false, step_decode},     {"decode-fast", false, step_decode},
    {"resize", true, step_resize},      {"line", false, step_line},
    {"line-crop", false, step_line},    {"skimage", true, step_skimage},
    {"skimage-line", false, step_line},
};

static tw_status prepare(bench *b, const char *name, char **paths)
{
    tw_status st = twi_recipe_init(b->ctx, "caffe", 224, 224, &b->recipe);
    if (st != TW_OK) return st;
    if (strcmp(name, "skimage-line") == 0) twi_recipe_reference(&b->recipe, 224, 224);
    if (strcmp(name, "decode-fast") == 0) b->recipe.fast_decode = true;
    if (strcmp(name, "line-crop") == 0) b->recipe.geometry = TWI_CROP, b->recipe.short_side = 256;
    if ((st = twi_alloc(b->ctx, 224 * 224 * 3, &b->floats)) != TW_OK) return st;
    if ((st = twi_alloc(b->ctx, 224 * 224 * 3, &b->doubles)) != TW_OK) return st;
    if ((st = twi_zalloc(b->ctx, b->n, &b->files)) != TW_OK) return st;
    if ((st = twi_zalloc(b->ctx, b->n, &b->pictures)) != TW_OK) return st;
    for (size_t i = 0; i < b->n; i++) {
        unsigned char *bytes = NULL;
        size_t capacity = 0;
        st = twi_file_read(b->ctx, paths[i], (size_t)1 << 30, &bytes, &capacity,
                           &b->files[i].size_bytes);
        b->files[i].data = bytes;
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

static tw_status run(bench *b, const char *name, char **paths)
{
    const step *chosen = NULL;
    for (size_t i = 0; i < TWI_LEN(steps); i++)
        if (strcmp(name, steps[i].name) == 0) chosen = &steps[i];
    if (!chosen) return twi_fail(b->ctx, TW_ERR_ARG, "no step %s", name);

    tw_status st = prepare(b, name, paths);
    for (size_t i = 0; chosen->needs_pictures && i < b->n && st == TW_OK; i++)
        st = decode(b, i, &b->pictures[i]);
    for (size_t i = 0; i < b->n && i < 3 && st == TW_OK; i++) st = chosen->run(b, i); /* warm */
    const double start = twi_seconds();
    for (size_t i = 0; i < b->n && st == TW_OK; i++) st = chosen->run(b, i);
    if (st == TW_OK) printf("%.6f\n", (twi_seconds() - start) * 1e3);
    return st;
}

int main(int argc, char **argv)
{
    bench b = {.n = argc > 2 ? (size_t)argc - 2 : 0};
    if (b.n == 0) {
        fprintf(stderr, "usage: decode-resize STEP FILE...\n");
        return 2;
    }
    if (tw_ctx_new(&b.ctx) != TW_OK) return 1;
    const tw_status st = run(&b, argv[1], argv + 2);
    if (st != TW_OK) fprintf(stderr, "%s\n", tw_last_error(b.ctx));
    for (size_t i = 0; b.files && i < b.n; i++) twi_free((void *)b.files[i].data);
    for (size_t i = 0; b.pictures && i < b.n; i++) twi_picture_free(&b.pictures[i]);
    twi_free(b.files);
    twi_free(b.pictures);
    twi_free(b.floats);
    twi_free(b.doubles);
    twi_picture_free(&b.out);
    twi_recipe_scratch_free(&b.scratch);
    tw_ctx_free(b.ctx);
    return st == TW_OK ? 0 : 1;
}
