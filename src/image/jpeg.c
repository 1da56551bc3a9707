/* jpeg.c - JPEG through libjpeg; the only file that may include jpeglib.h.
 *
 * As Pillow 9.4 decodes: slow integer DCT, fancy upsampling, corrupt-data warnings tolerated, a
 * file that ends before its last row refused (one that only lacks the end-of-image marker is not).
 * libjpeg reports a failure by longjmp; it never leaves this file. */
#include "image/decoder.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

/* A progressive file may declare any number of scans and each is a walk over the whole picture,
 * however few bytes it holds. Real encoders stop near a dozen; these let such a bomb run for
 * seconds, not hours. */
#define MAX_SCANS       100
#define MAX_SCAN_PIXELS (UINT64_C(1) << 32)

#define ROWS_AT_ONCE 16

/* One decoding. Lives in decode()'s frame, outside the one that calls setjmp. */
typedef struct jpeg_job {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr error;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    bool truncated, too_many_scans, all_rows;
    char message[JMSG_LENGTH_MAX];

    tw_ctx *ctx;
    tw_bytes src;
    const char *name;
    const twi_decode_opts *opts;
    twi_picture *picture;
    int orientation;
} jpeg_job;

static jpeg_job *job_of(j_common_ptr jpeg)
{
    return jpeg->client_data;
}

/* ---- what libjpeg calls --------------------------------------------------------------------- */

static void on_error(j_common_ptr jpeg)
{
    jpeg_job *const job = job_of(jpeg);
    jpeg->err->format_message(jpeg, job->message);
    longjmp(job->escape, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0) jpeg->err->num_warnings++; /* corrupt data: tolerated, as Pillow does */
}

static void on_output(j_common_ptr jpeg)
{
    (void)jpeg; /* the default prints */
}

static void on_progress(j_common_ptr common)
{
    jpeg_job *const job = job_of(common);
    const j_decompress_ptr jpeg = &job->jpeg;
    const uint64_t scans = (uint64_t)jpeg->input_scan_number;

    if (scans > MAX_SCANS || scans * jpeg->image_width * jpeg->image_height > MAX_SCAN_PIXELS) {
        job->too_many_scans = true;
        longjmp(job->escape, 1);
    }
}

static void source_start(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

/* The whole file is the buffer, so asking for more means that the file is cut short. */
static boolean source_fill(j_decompress_ptr jpeg)
{
    jpeg_job *const job = job_of((j_common_ptr)jpeg);
    job->truncated = true;
    longjmp(job->escape, 1);
    return FALSE;
}

static void source_skip(j_decompress_ptr jpeg, long count)
{
    struct jpeg_source_mgr *const source = jpeg->src;
    if (count <= 0) return;
    if ((size_t)count > source->bytes_in_buffer) source_fill(jpeg);
    source->next_input_byte += count;
    source->bytes_in_buffer -= (size_t)count;
}

/* ---- decoding ------------------------------------------------------------------------------- */

/* Pillow takes the first APP1 segment that starts with "Exif\0". */
static int orientation_of(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
        if (m->data_length >= 6 && memcmp(m->data, "Exif", 5) == 0)
            return twi_exif_orientation(m->data, m->data_length);
    return 0;
}

/* The largest of 1/1, 1/2, 1/4, 1/8 that stays at least as large as asked; these four have fast
 * transforms. */
static unsigned denominator(const jpeg_job *job)
{
    const bool turned = job->opts->exif && job->orientation >= 5;
    const size_t least_w = turned ? job->opts->fast_height : job->opts->fast_width;
    const size_t least_h = turned ? job->opts->fast_width : job->opts->fast_height;
    unsigned d = 8;

    if (least_w == 0 || least_h == 0) return 1;
    while (d > 1 && (job->jpeg.image_width / d < least_w || job->jpeg.image_height / d < least_h))
        d /= 2;
    return d;
}

/* CMYK as Adobe stores it, inverted, to RGB: Pillow 9.4 reads every 4-component JPEG as "CMYK;I",
 * and its convert('RGB') gives (255 - k) - c * (255 - k) / 255 for plain c and k, with its rounded
 * division by 255. */
static void rgb_from_inverted_cmyk(const uint8_t *in, size_t pixels, uint8_t *out)
{
    for (size_t i = 0; i < pixels; i++, in += 4, out += 3)
        for (int c = 0; c < 3; c++) {
            const unsigned product = (255U - in[c]) * in[3] + 128U;
            out[c] = (uint8_t)(in[3] - ((product + (product >> 8)) >> 8));
        }
}

static tw_status choose_colours(jpeg_job *job, unsigned *channels)
{
    struct jpeg_decompress_struct *const jpeg = &job->jpeg;

    *channels = 3;
    switch (jpeg->num_components) {
    case 1:
        if (job->opts->mode == TWI_DECODE_SKIMAGE) *channels = 1;
        jpeg->out_color_space = *channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
        return TW_OK;
    case 3:
        jpeg->out_color_space = JCS_RGB;
        return TW_OK;
    case 4:
        jpeg->out_color_space = JCS_CMYK;
        return TW_OK;
    default:
        return twi_fail(job->ctx, TW_ERR_UNSUPPORTED,
                        "%s: a JPEG of %d components (1, 3 and 4 are supported)", job->name,
                        jpeg->num_components);
    }
}

static void read_rows(jpeg_job *job)
{
    struct jpeg_decompress_struct *const jpeg = &job->jpeg;
    const size_t stride = twi_picture_row_bytes(job->picture);
    uint8_t *const samples = job->picture->samples;
    JSAMPROW rows[ROWS_AT_ONCE];

    while (jpeg->output_scanline < jpeg->output_height) {
        const unsigned left = jpeg->output_height - jpeg->output_scanline;
        const unsigned n = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE;
        for (unsigned i = 0; i < n; i++) rows[i] = samples + (jpeg->output_scanline + i) * stride;
        jpeg_read_scanlines(jpeg, rows, n);
    }
}

static void read_cmyk_rows(jpeg_job *job)
{
    struct jpeg_decompress_struct *const jpeg = &job->jpeg;
    const size_t stride = twi_picture_row_bytes(job->picture);
    JSAMPARRAY row =
        jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, jpeg->output_width * 4, 1);

    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *const out = (uint8_t *)job->picture->samples + jpeg->output_scanline * stride;
        jpeg_read_scanlines(jpeg, row, 1);
        rgb_from_inverted_cmyk(row[0], jpeg->output_width, out);
    }
}

/* The part that libjpeg may leave by longjmp: keeps everything in job. */
static tw_status decode_job(jpeg_job *job)
{
    struct jpeg_decompress_struct *const jpeg = &job->jpeg;
    unsigned channels;
    tw_status st;

    jpeg_create_decompress(jpeg);
    jpeg->src = &job->source;
    jpeg->progress = &job->progress;
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    while (jpeg_read_header(jpeg, FALSE) == JPEG_HEADER_TABLES_ONLY) continue;
    st = twi_picture_check(job->ctx, job->name, jpeg->image_width, jpeg->image_height, job->opts);
    if (st != TW_OK) return st;
    if ((st = choose_colours(job, &channels)) != TW_OK) return st;
    job->orientation = orientation_of(jpeg);
    jpeg->scale_num = 1;
    jpeg->scale_denom = denominator(job);
    jpeg_start_decompress(jpeg);
    st = twi_picture_reserve(job->ctx, job->picture, jpeg->output_width, jpeg->output_height,
                             channels, 8);
    if (st != TW_OK) return st;
    if (jpeg->out_color_space == JCS_CMYK)
        read_cmyk_rows(job);
    else
        read_rows(job);
    job->all_rows = true;
    jpeg_finish_decompress(jpeg); /* reads to the end-of-image marker */
    return TW_OK;
}

/* After an escape: what went wrong, in words. */
static tw_status explain(const jpeg_job *job)
{
    if (job->truncated && job->all_rows) return TW_OK;
    if (job->truncated)
        return twi_fail(job->ctx, TW_ERR_FORMAT, "%s: truncated JPEG: it ends after %zu bytes",
                        job->name, job->src.size_bytes);
    if (job->too_many_scans)
        return twi_fail(job->ctx, TW_ERR_FORMAT,
                        "%s: a progressive JPEG of %u x %u pixels in more than %d scans", job->name,
                        job->jpeg.image_width, job->jpeg.image_height,
                        job->jpeg.input_scan_number - 1);
    switch (job->error.msg_code) {
    case JERR_OUT_OF_MEMORY:
        return twi_fail(job->ctx, TW_ERR_NOMEM, "%s: JPEG: %s", job->name, job->message);
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
        return twi_fail(job->ctx, TW_ERR_UNSUPPORTED, "%s: JPEG: %s", job->name, job->message);
    case JERR_IMAGE_TOO_BIG:
        return twi_fail(job->ctx, TW_ERR_DATA, "%s: JPEG: %s", job->name, job->message);
    default:
        return twi_fail(job->ctx, TW_ERR_FORMAT, "%s: damaged JPEG: %s", job->name, job->message);
    }
}

static bool recognises(const uint8_t *head, size_t size)
{
    return size >= 3 && memcmp(head, "\xff\xd8\xff", 3) == 0;
}

static tw_status decode(tw_ctx *ctx, tw_bytes src, const char *name, const twi_decode_opts *opts,
                        twi_picture *picture, int *orientation)
{
    jpeg_job job = {.ctx = ctx, .src = src, .name = name, .opts = opts, .picture = picture};
    tw_status st;

    job.jpeg.err = jpeg_std_error(&job.error);
    job.jpeg.client_data = &job;
    job.error.error_exit = on_error;
    job.error.emit_message = on_message;
    job.error.output_message = on_output;
    job.progress.progress_monitor = on_progress;
    job.source = (struct jpeg_source_mgr){.next_input_byte = src.data,
                                          .bytes_in_buffer = src.size_bytes,
                                          .init_source = source_start,
                                          .fill_input_buffer = source_fill,
                                          .skip_input_data = source_skip,
                                          .resync_to_restart = jpeg_resync_to_restart,
                                          .term_source = source_start};
    if (setjmp(job.escape) == 0)
        st = decode_job(&job);
    else
        st = explain(&job);
    jpeg_destroy_decompress(&job.jpeg);
    if (st == TW_OK && job.orientation > 0) *orientation = job.orientation;
    return st;
}

const twi_decoder twi_jpeg_decoder = {"JPEG", recognises, decode};
