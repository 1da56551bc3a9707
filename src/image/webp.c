/* webp.c - WebP through libwebp; the only file that may include its headers.
 *
 * The first frame on its canvas, as Pillow 9.4 shows it: what the frame does not cover is black and
 * transparent. */
#include "image/decoder.h"

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

static tw_status refuse(tw_ctx *ctx, const char *name, VP8StatusCode error)
{
    switch (error) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return twi_fail(ctx, TW_ERR_NOMEM, "%s: WebP: out of memory", name);
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: WebP with a feature libwebp lacks", name);
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: truncated WebP", name);
    default:
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: damaged WebP (libwebp: %d)", name, (int)error);
    }
}

/* The frame's pixels into its place in picture. */
static tw_status decode_frame(tw_ctx *ctx, const char *name, const WebPIterator *frame,
                              const twi_picture *picture)
{
    const size_t stride = twi_picture_row_bytes(picture);
    const size_t left = (size_t)frame->x_offset, top = (size_t)frame->y_offset;
    const size_t width = (size_t)frame->width, height = (size_t)frame->height;
    WebPDecoderConfig config;

    if (left + width > picture->width || top + height > picture->height || stride > INT32_MAX)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: WebP frame outside its canvas", name);
    if (!WebPInitDecoderConfig(&config))
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: libwebp of another version", name);
    config.output.colorspace = picture->channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba =
        (uint8_t *)picture->samples + top * stride + left * picture->channels;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = (height - 1) * stride + width * picture->channels;
    const VP8StatusCode error = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    return error == VP8_STATUS_OK ? TW_OK : refuse(ctx, name, error);
}

static int orientation_of(const WebPDemuxer *demuxer)
{
    WebPChunkIterator chunk;
    int found = 0;
    if (!WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) return 0;
    found = twi_exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
    WebPDemuxReleaseChunkIterator(&chunk);
    return found;
}

static bool recognises(const uint8_t *head, size_t size)
{
    return size >= 16 && memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WEBPVP8", 7) == 0;
}

static tw_status decode(tw_ctx *ctx, tw_bytes src, const char *name, const twi_decode_opts *opts,
                        twi_picture *picture, int *orientation)
{
    const WebPData data = {src.data, src.size_bytes};
    WebPBitstreamFeatures features;
    WebPDemuxer *demuxer = NULL;
    WebPIterator frame = {0};
    tw_status st;

    const VP8StatusCode error = WebPGetFeatures(src.data, src.size_bytes, &features);
    if (error != VP8_STATUS_OK) return refuse(ctx, name, error);
    if (!(demuxer = WebPDemux(&data)))
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: truncated or damaged WebP", name);
    const size_t width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
    const size_t height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
    const unsigned channels = opts->mode == TWI_DECODE_SKIMAGE && features.has_alpha ? 4 : 3;
    if ((st = twi_picture_check(ctx, name, width, height, opts)) != TW_OK) goto done;
    if (!WebPDemuxGetFrame(demuxer, 1, &frame)) {
        st = twi_fail(ctx, TW_ERR_FORMAT, "%s: WebP without a frame", name);
        goto done;
    }
    if ((st = twi_picture_reserve(ctx, picture, width, height, channels, 8)) != TW_OK) goto done;
    if ((size_t)frame.width != width || (size_t)frame.height != height)
        memset(picture->samples, 0, twi_picture_row_bytes(picture) * height);
    if ((st = decode_frame(ctx, name, &frame, picture)) != TW_OK) goto done;
    const int found =
        opts->mode == TWI_DECODE_RGB ? orientation_of(demuxer) : 0; /* imageio: JPEG only */
    if (found > 0) *orientation = found;
done:
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demuxer);
    return st;
}

const twi_decoder twi_webp_decoder = {"WebP", recognises, decode};
