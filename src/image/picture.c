/* picture.c - decoding by content: the table of decoders, and the names of formats that have none.
 */
#include "image/decoder.h"

#include <string.h>

static const twi_decoder *const decoders[] = {&twi_jpeg_decoder, &twi_png_decoder,
                                              &twi_webp_decoder};

/* A format known by name only: size bytes at offset. */
typedef struct signature {
    const char *format, *bytes;
    size_t size, offset;
} signature;

static const signature signatures[] = {
    {"GIF", "GIF8", 4, 0},
    {"BMP", "BM", 2, 0},
    {"TIFF", "II*\0", 4, 0},
    {"TIFF", "MM\0*", 4, 0},
    {"BigTIFF", "II+\0", 4, 0},
    {"BigTIFF", "MM\0+", 4, 0},
    {"AVIF", "ftypavif", 8, 4},
    {"AVIF", "ftypavis", 8, 4},
    {"HEIC", "ftyphei", 7, 4},
    {"HEIC", "ftyphev", 7, 4},
    {"HEIF", "ftypmif1", 8, 4},
    {"HEIF", "ftypmsf1", 8, 4},
    {"MP4 or QuickTime video", "ftyp", 4, 4},
    {"JPEG 2000", "\0\0\0\x0cjP  ", 8, 0},
    {"JPEG 2000", "\xff\x4f\xff\x51", 4, 0},
    {"JPEG XL", "\0\0\0\x0cJXL ", 8, 0},
    {"JPEG XL", "\xff\x0a", 2, 0},
    {"Photoshop", "8BPS", 4, 0},
    {"icon", "\0\0\1\0", 4, 0},
    {"MNG", "\x8aMNG", 4, 0},
    {"JNG", "\x8bJNG", 4, 0},
    {"QOI", "qoif", 4, 0},
    {"OpenEXR", "\x76\x2f\x31\x01", 4, 0},
    {"Radiance HDR", "#?RADIANCE", 10, 0},
    {"DirectDraw Surface", "DDS ", 4, 0},
    {"AVI video", "AVI ", 4, 8},
    {"PDF", "%PDF", 4, 0},
    {"SVG", "<svg", 4, 0},
    {"PostScript", "%!PS", 4, 0},
    {"PGM", "P2\n", 3, 0},
    {"PGM", "P5\n", 3, 0},
    {"PPM", "P3\n", 3, 0},
    {"PPM", "P6\n", 3, 0},
    {"ZIP", "PK\3\4", 4, 0},
};

static const twi_decoder *decoder_for(const uint8_t *head, size_t size)
{
    for (size_t i = 0; i < TWI_LEN(decoders); i++)
        if (decoders[i]->recognises(head, size)) return decoders[i];
    return NULL;
}

static const char *other_format(const uint8_t *head, size_t size)
{
    for (size_t i = 0; i < TWI_LEN(signatures); i++) {
        const signature *const s = &signatures[i];
        if (size >= s->offset + s->size && memcmp(head + s->offset, s->bytes, s->size) == 0)
            return s->format;
    }
    return NULL;
}

const char *twi_picture_format(const void *head, size_t size, bool *readable)
{
    const twi_decoder *const decoder = decoder_for(head, size);
    *readable = decoder != NULL;
    return decoder ? decoder->format : other_format(head, size);
}

tw_status twi_picture_decode(tw_ctx *ctx, tw_bytes src, const char *name,
                             const twi_decode_opts *opts, twi_picture *picture)
{
    const twi_decoder *const decoder = decoder_for(src.data, src.size_bytes);
    int orientation = 1;

    if (src.size_bytes == 0) return twi_fail(ctx, TW_ERR_FORMAT, "%s: empty file", name);
    if (!decoder) {
        const char *const format = other_format(src.data, src.size_bytes);
        if (format)
            return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                            "%s: %s files are not supported (JPEG, PNG and WebP are)", name,
                            format);
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: not a picture (JPEG, PNG or WebP)", name);
    }
    const tw_status st = decoder->decode(ctx, src, name, opts, picture, &orientation);
    if (st != TW_OK) return st;
    return opts->exif ? twi_picture_orient(ctx, picture, orientation) : TW_OK;
}

tw_status twi_picture_check(tw_ctx *ctx, const char *name, size_t width, size_t height,
                            const twi_decode_opts *opts)
{
    const size_t most = opts->max_pixels ? opts->max_pixels : TWI_MAX_PIXELS;
    size_t pixels;

    if (width == 0 || height == 0)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: a picture of %zu x %zu pixels", name, width,
                        height);
    if (twi_mul(width, height, &pixels) || pixels > most)
        return twi_fail(ctx, TW_ERR_DATA, "%s: %zu x %zu pixels, more than the %zu allowed", name,
                        width, height, most);
    return TW_OK;
}

size_t twi_picture_row_bytes(const twi_picture *picture)
{
    return picture->width * picture->channels * (picture->bits / 8);
}

tw_status twi_picture_reserve(tw_ctx *ctx, twi_picture *picture, size_t width, size_t height,
                              unsigned channels, unsigned bits)
{
    size_t bytes;

    if (twi_mul(width, height, &bytes) || twi_mul(bytes, (size_t)channels * (bits / 8), &bytes))
        return twi_fail(ctx, TW_ERR_NOMEM, "a picture of %zu x %zu pixels does not fit in memory",
                        width, height);
    if (bytes > picture->capacity_bytes) {
        uint8_t *samples;
        const tw_status st = twi_alloc(ctx, bytes, &samples);
        if (st != TW_OK) return st;
        twi_free(picture->samples);
        picture->samples = samples;
        picture->capacity_bytes = bytes;
    }
    picture->width = width;
    picture->height = height;
    picture->channels = channels;
    picture->bits = bits;
    return TW_OK;
}

void twi_picture_free(twi_picture *picture)
{
    twi_free(picture->samples);
    *picture = (twi_picture){0};
}
