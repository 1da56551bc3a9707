/* png.c - PNG through libspng; the only file that may include spng.h.
 *
 * TWI_DECODE_RGB is Pillow 9.4's convert('RGB'), alpha dropped, with one stated difference: 16-bit
 * grey gives its high byte, where Pillow's mode I saturates at 255 and turns nearly every such
 * picture white. */
#include "image/decoder.h"

#include <string.h>

#include <spng.h>

/* Pillow's own limit for what one text chunk may inflate to, and a cap for all that is kept. */
#define MAX_CHUNK_BYTES ((size_t)1 << 20)
#define MAX_CACHE_BYTES ((size_t)16 << 20)

typedef struct png_job {
    tw_ctx *ctx;
    const char *name;
    spng_ctx *png;
    struct spng_ihdr header;
    twi_picture *picture;
} png_job;

static tw_status refuse(const png_job *job, int error)
{
    switch (error) {
    case SPNG_EMEM:
        return twi_fail(job->ctx, TW_ERR_NOMEM, "%s: PNG: out of memory", job->name);
    case SPNG_IO_EOF:
    case SPNG_EOF:
    case SPNG_EIDAT_TOO_SHORT:
        return twi_fail(job->ctx, TW_ERR_FORMAT, "%s: truncated PNG", job->name);
    default:
        return twi_fail(job->ctx, TW_ERR_FORMAT, "%s: damaged PNG: %s", job->name,
                        spng_strerror(error));
    }
}

/* Decodes into the picture, which gets this shape; format is what gives it. */
static tw_status decode_as(png_job *job, int format, unsigned channels, unsigned bits)
{
    size_t bytes;
    int error = spng_decoded_image_size(job->png, format, &bytes);
    if (error) return refuse(job, error);
    const tw_status st = twi_picture_reserve(job->ctx, job->picture, job->header.width,
                                             job->header.height, channels, bits);
    if (st != TW_OK) return st;
    if (bytes != twi_picture_row_bytes(job->picture) * job->picture->height)
        return twi_fail(job->ctx, TW_ERR_FORMAT, "%s: PNG: %zu bytes of pixels in %u x %u",
                        job->name, bytes, job->header.width, job->header.height);
    error = spng_decode_image(job->png, job->picture->samples, bytes, format, 0);
    return error ? refuse(job, error) : TW_OK;
}

/* ---- palette pictures as imageio 2.4.1 hands them over -------------------------------------- */

/* Calls for each pixel would be slow; this unpacks one row of 1, 2, 4 or 8-bit indices, the
 * leftmost in the high bits. */
static void unpack_row(const uint8_t *packed, unsigned bits, size_t width, uint8_t *indices)
{
    const unsigned mask = (1U << bits) - 1;
    for (size_t x = 0; x < width; x++) {
        const size_t bit = x * bits;
        indices[x] = (uint8_t)(packed[bit / 8] >> (8 - bits - bit % 8) & mask);
    }
}

/* imageio: grey when every palette entry from the least to the greatest index in use is grey. */
static bool palette_is_grey(const struct spng_plte *palette, const uint8_t *indices, size_t n)
{
    unsigned least = 255, greatest = 0;
    for (size_t i = 0; i < n; i++) {
        if (indices[i] < least) least = indices[i];
        if (indices[i] > greatest) greatest = indices[i];
    }
    for (unsigned i = least; i <= greatest && i < palette->n_entries; i++) {
        const struct spng_plte_entry *const e = &palette->entries[i];
        if (e->red != e->green || e->green != e->blue) return false;
    }
    return true;
}

/* Indices [n] to grey, or to RGBA. An index past the palette is black and opaque, as in Pillow. */
static tw_status apply_palette(png_job *job, const struct spng_plte *palette,
                               const uint8_t *indices)
{
    const size_t n = (size_t)job->header.width * job->header.height;
    const bool grey = palette_is_grey(palette, indices, n);
    struct spng_trns alpha = {0};
    uint8_t table[256][4] = {{0}};

    if (spng_get_trns(job->png, &alpha) != 0) alpha.n_type3_entries = 0;
    for (unsigned i = 0; i < 256; i++) {
        const bool known = i < palette->n_entries;
        table[i][0] = known ? palette->entries[i].red : 0;
        table[i][1] = known ? palette->entries[i].green : 0;
        table[i][2] = known ? palette->entries[i].blue : 0;
        table[i][3] = i < alpha.n_type3_entries ? alpha.type3_alpha[i] : 255;
    }
    const tw_status st = twi_picture_reserve(job->ctx, job->picture, job->header.width,
                                             job->header.height, grey ? 1 : 4, 8);
    if (st != TW_OK) return st;
    uint8_t *const out = job->picture->samples;
    if (grey)
        for (size_t i = 0; i < n; i++) out[i] = table[indices[i]][0];
    else
        for (size_t i = 0; i < n; i++) memcpy(out + 4 * i, table[indices[i]], 4);
    return TW_OK;
}

static tw_status decode_palette(png_job *job)
{
    const size_t width = job->header.width, height = job->header.height;
    const unsigned bits = job->header.bit_depth;
    const size_t stride = (width * bits + 7) / 8;
    struct spng_plte palette;
    uint8_t *packed = NULL, *indices = NULL;
    size_t bytes;
    tw_status st;

    int error = spng_get_plte(job->png, &palette);
    if (!error) error = spng_decoded_image_size(job->png, SPNG_FMT_PNG, &bytes);
    if (error) return refuse(job, error);
    if (bytes != stride * height)
        return twi_fail(job->ctx, TW_ERR_FORMAT, "%s: PNG: %zu bytes of indices in %zu x %zu",
                        job->name, bytes, width, height);
    if ((st = twi_alloc(job->ctx, bytes, &packed)) != TW_OK) goto done;
    if ((st = twi_alloc(job->ctx, width * height, &indices)) != TW_OK) goto done;
    if ((error = spng_decode_image(job->png, packed, bytes, SPNG_FMT_PNG, 0)) != 0) {
        st = refuse(job, error);
        goto done;
    }
    for (size_t y = 0; y < height; y++)
        unpack_row(packed + y * stride, bits, width, indices + y * width);
    st = apply_palette(job, &palette, indices);
done:
    twi_free(packed);
    twi_free(indices);
    return st;
}

/* What skimage.io.imread hands over (imageio 2.4.1 on Pillow 9.4). */
static tw_status decode_skimage(png_job *job)
{
    switch (job->header.color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE:
        if (job->header.bit_depth == 16) return decode_as(job, SPNG_FMT_PNG, 1, 16);
        return decode_as(job, SPNG_FMT_G8, 1, 8);
    case SPNG_COLOR_TYPE_INDEXED:
        return decode_palette(job);
    case SPNG_COLOR_TYPE_TRUECOLOR:
        return decode_as(job, SPNG_FMT_RGB8, 3, 8);
    default:
        return decode_as(job, SPNG_FMT_RGBA8, 4, 8);
    }
}

/* ---- orientation: where Pillow's exif_transpose looks --------------------------------------- */

static int text_orientation(spng_ctx *png)
{
    struct spng_text texts[64];
    uint32_t n = 0;
    int found = 0;

    if (spng_get_text(png, NULL, &n) != 0 || n > TWI_LEN(texts)) return 0;
    if (spng_get_text(png, texts, &n) != 0) return 0;
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(texts[i].keyword, "Raw profile type exif") == 0)
            found = twi_exif_hex_orientation(texts[i].text, texts[i].length);
    for (uint32_t i = 0; i < n && found == 0; i++)
        if (strcmp(texts[i].keyword, "XML:com.adobe.xmp") == 0)
            found = twi_xmp_orientation(texts[i].text, texts[i].length);
    return found;
}

static int orientation_of(spng_ctx *png)
{
    struct spng_exif exif;
    const int found =
        spng_get_exif(png, &exif) == 0 ? twi_exif_orientation(exif.data, exif.length) : 0;
    return found > 0 ? found : text_orientation(png);
}

/* ---- the decoder ---------------------------------------------------------------------------- */

static tw_status decode_job(png_job *job, tw_bytes src, const twi_decode_opts *opts,
                            int *orientation)
{
    tw_status st;
    int error;

    spng_set_chunk_limits(job->png, MAX_CHUNK_BYTES, MAX_CACHE_BYTES);
    if ((error = spng_set_png_buffer(job->png, src.data, src.size_bytes)) != 0)
        return refuse(job, error);
    if ((error = spng_get_ihdr(job->png, &job->header)) != 0) return refuse(job, error);
    st = twi_picture_check(job->ctx, job->name, job->header.width, job->header.height, opts);
    if (st != TW_OK) return st;
    st = opts->mode == TWI_DECODE_SKIMAGE ? decode_skimage(job)
                                          : decode_as(job, SPNG_FMT_RGB8, 3, 8);
    if (st != TW_OK) return st;
    /* What follows the pixels is read for the orientation and to see that the file is whole. */
    if ((error = spng_decode_chunks(job->png)) != 0) return refuse(job, error);
    const int found =
        opts->mode == TWI_DECODE_RGB ? orientation_of(job->png) : 0; /* imageio: JPEG only */
    if (found > 0) *orientation = found;
    return TW_OK;
}

static bool recognises(const uint8_t *head, size_t size)
{
    return size >= 8 && memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static tw_status decode(tw_ctx *ctx, tw_bytes src, const char *name, const twi_decode_opts *opts,
                        twi_picture *picture, int *orientation)
{
    png_job job = {.ctx = ctx, .name = name, .picture = picture};

    job.png = spng_ctx_new(0);
    if (!job.png) return twi_fail(ctx, TW_ERR_NOMEM, "%s: PNG: out of memory", name);
    const tw_status st = decode_job(&job, src, opts, orientation);
    spng_ctx_free(job.png);
    return st;
}

const twi_decoder twi_png_decoder = {"PNG", recognises, decode};
