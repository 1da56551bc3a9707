/* png_write.c - 8-bit RGB pictures as PNG, through libspng. */
#include "image/decoder.h"

#include "base/file.h"

#include <stdlib.h>

#include <spng.h>

static tw_status encode(tw_ctx *ctx, const twi_picture *picture, void **out, size_t *size)
{
    struct spng_ihdr header = {.width = (uint32_t)picture->width,
                               .height = (uint32_t)picture->height,
                               .bit_depth = 8,
                               .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    const size_t bytes = picture->width * picture->height * 3;
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    int error = png ? spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1) : SPNG_EMEM;
    if (!error) error = spng_set_ihdr(png, &header);
    if (!error)
        error = spng_encode_image(png, picture->samples, bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (!error) *out = spng_get_png_buffer(png, size, &error);
    spng_ctx_free(png);
    if (error == SPNG_EMEM) return twi_fail(ctx, TW_ERR_NOMEM, "PNG: out of memory");
    return error ? twi_fail(ctx, TW_ERR_ARG, "%zu x %zu pixels as PNG: %s", picture->width,
                            picture->height, spng_strerror(error))
                 : TW_OK;
}

tw_status twi_png_write(tw_ctx *ctx, const twi_picture *picture, const char *path)
{
    void *bytes = NULL;
    size_t size;
    twi_outfile *file = NULL;
    if (picture->channels != 3 || picture->bits != 8 || picture->width == 0 ||
        picture->height == 0 || picture->width > INT32_MAX || picture->height > INT32_MAX)
        return twi_fail(ctx, TW_ERR_ARG,
                        "%s: %zu x %zu pixels, %u channels of %u bits; need 3 of 8", path,
                        picture->width, picture->height, picture->channels, picture->bits);
    tw_status st = encode(ctx, picture, &bytes, &size);
    if (st == TW_OK) st = twi_outfile_open(ctx, path, &file);
    if (st == TW_OK) st = twi_outfile_write(ctx, file, bytes, size);
    if (st == TW_OK) st = twi_outfile_commit(ctx, file);
    twi_outfile_free(file);
    free(bytes); /* libspng's, by malloc() */
    return st;
}
