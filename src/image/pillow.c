/* pillow.c - Pillow 9.4's Image.resize() for 8-bit pictures, bit for bit.
 *
 * Source of every formula: Pillow 9.4, src/libImaging/Resample.c (weights, fixed point, two passes)
 * and Geometry.c (nearest). Between the passes each sample is rounded and clipped to 8 bits, so the
 * order (along x, then along y) is part of the result. A row is resampled along x when the second
 * pass first asks for it and lives in a small ring until the pass has gone by, so a resize needs
 * memory for a few rows, not for a picture. */
#include "image/decoder.h"
#include "image/resample.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A picture this many times longer than it becomes is no photo; its weights alone would fill
 * memory. */
#define MAX_WEIGHTS ((size_t)1 << 24)

/* ---- filters, x in output pixels ------------------------------------------------------------ */

static double filter_box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double filter_bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double filter_hamming(double x)
{
    x = fabs(x);
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x *= M_PI;
    return sin(x) / x * (0.54f + 0.46f * cos(x)); /* the constants are float in Pillow too */
}

/* Keys (1981) with a = -0.5. */
static double filter_bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x)
{
    if (x == 0.0) return 1.0;
    x *= M_PI;
    return sin(x) / x;
}

static double filter_lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

typedef struct filter_kernel {
    double (*weight)(double x);
    double support;
} filter_kernel;

static const filter_kernel kernels[] = {
    [TWI_BOX] = {filter_box, 0.5},         [TWI_BILINEAR] = {filter_bilinear, 1.0},
    [TWI_HAMMING] = {filter_hamming, 1.0}, [TWI_BICUBIC] = {filter_bicubic, 2.0},
    [TWI_LANCZOS] = {filter_lanczos, 3.0},
};

/* ---- weights -------------------------------------------------------------------------------- */

/* One axis: source [from, to) of in samples -> out samples, of which [skip, skip + n) are wanted.
 */
typedef struct resize_axis {
    size_t in, out, skip, n;
    float from, to; /* float, because Pillow's box is */
} resize_axis;

/* The x (which 0) or y (1) axis of a plan over a source of in samples. */
static resize_axis axis_of(size_t in, const twi_resize_plan *plan, int which)
{
    const twi_window *const w = &plan->window;
    return (resize_axis){.in = in,
                         .out = which ? plan->height : plan->width,
                         .skip = which ? w->top : w->left,
                         .n = which ? w->height : w->width,
                         .from = (float)plan->box[which],
                         .to = (float)plan->box[which + 2]};
}

static void taps_free(twi_taps *taps)
{
    twi_free(taps->first);
    twi_free(taps->weights);
    *taps = (twi_taps){0};
}

static tw_status taps_alloc(tw_ctx *ctx, const resize_axis *axis, size_t most, twi_taps *out)
{
    twi_taps taps = {.n = axis->n, .stride = (most + 3) & ~(size_t)3};
    size_t weights;
    tw_status st;

    if (twi_mul(taps.n, taps.stride, &weights) || weights > MAX_WEIGHTS)
        return twi_fail(ctx, TW_ERR_DATA, "a side of %zu pixels is too long to be resized to %zu",
                        axis->in, axis->out);
    if ((st = twi_alloc(ctx, 2 * taps.n, &taps.first)) != TW_OK) return st;
    taps.count = taps.first + taps.n;
    if ((st = twi_zalloc(ctx, 2 * weights, &taps.weights)) != TW_OK) {
        taps_free(&taps);
        return st;
    }
    taps.high = (int16_t *)(taps.weights + weights);
    taps.low = taps.high + weights;
    *out = taps;
    return TW_OK;
}

/* The weights of output i, normalised to sum 1: Resample.c precompute_coeffs(). raw has room for
 * stride. */
static void weigh(const filter_kernel *kernel, const resize_axis *axis, size_t i, double *raw,
                  twi_taps *taps)
{
    const double scale = (double)(axis->to - axis->from) / (double)axis->out;
    const double stretch = scale < 1.0 ? 1.0 : scale;
    const double support = kernel->support * stretch, shrink = 1.0 / stretch;
    const double centre = axis->from + ((double)(axis->skip + i) + 0.5) * scale;
    const double low = centre - support + 0.5, high = centre + support + 0.5;
    const size_t first = low > 0 ? (size_t)low : 0;
    const size_t last = high < (double)axis->in ? (size_t)high : axis->in;
    const size_t count = last - first;
    double sum = 0.0;

    assert(first <= last && count <= taps->stride);
    for (size_t j = 0; j < count; j++) {
        raw[j] = kernel->weight(((double)(j + first) - centre + 0.5) * shrink);
        sum += raw[j];
    }
    if (sum != 0.0)
        for (size_t j = 0; j < count; j++) raw[j] /= sum;
    taps->first[i] = first;
    taps->count[i] = count;
}

/* To fixed point, rounding half away from zero: Resample.c normalize_coeffs_8bpc(). */
static void quantise(const double *raw, size_t i, twi_taps *taps)
{
    int32_t *const weights = taps->weights + i * taps->stride;
    int16_t *const high = taps->high + i * taps->stride, *const low = taps->low + i * taps->stride;

    for (size_t j = 0; j < taps->count[i]; j++) {
        const double fixed = raw[j] * (1 << TWI_PRECISION_BITS);
        weights[j] = (int32_t)(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
        low[j] = (int16_t)(weights[j] & ((1 << TWI_SPLIT_BITS) - 1));
        high[j] = (int16_t)((weights[j] - low[j]) / (1 << TWI_SPLIT_BITS));
    }
}

static tw_status taps_make(tw_ctx *ctx, const filter_kernel *kernel, const resize_axis *axis,
                           twi_taps *out)
{
    const double scale = (double)(axis->to - axis->from) / (double)axis->out;
    const double support = kernel->support * (scale < 1.0 ? 1.0 : scale);
    double *raw = NULL;
    tw_status st = taps_alloc(ctx, axis, (size_t)ceil(support) * 2 + 1, out);
    if (st != TW_OK) return st;
    if ((st = twi_alloc(ctx, out->stride, &raw)) != TW_OK) {
        taps_free(out);
        return st;
    }
    for (size_t i = 0; i < out->n; i++) {
        weigh(kernel, axis, i, raw, out);
        quantise(raw, i, out);
    }
    twi_free(raw);
    return TW_OK;
}

/* ---- the two passes ------------------------------------------------------------------------- */

/* Rows already resampled along x, row y in slot y % n. */
typedef struct row_ring {
    uint8_t *samples;
    size_t n, stride, next; /* next: the first row not yet made */
    const uint8_t **column; /* [n] scratch: the rows under one output row */
} row_ring;

static tw_status ring_alloc(tw_ctx *ctx, size_t rows, size_t row_bytes, row_ring *out)
{
    row_ring ring = {.n = rows + TWI_RESAMPLE_ROWS,
                     .stride = (row_bytes + TWI_RESAMPLE_SLACK + 63) & ~(size_t)63};
    size_t bytes;
    tw_status st;

    if (twi_mul(ring.n, ring.stride, &bytes))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu rows do not fit in memory", ring.n);
    if ((st = twi_alloc(ctx, bytes, &ring.samples)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, ring.n, &ring.column)) != TW_OK) {
        twi_free(ring.samples);
        return st;
    }
    *out = ring;
    return TW_OK;
}

/* Makes rows until those before end are there, TWI_RESAMPLE_ROWS at a time but none from last on:
 * the last group repeats its last row. */
static void ring_fill(const twi_picture *in, const twi_taps *taps, size_t end, size_t last,
                      row_ring *ring)
{
    const twi_resample_kernels *const k = twi_resample_pick();
    const size_t row_bytes = twi_picture_row_bytes(in);
    const uint8_t *const samples = in->samples;

    while (ring->next < end) {
        const uint8_t *src[TWI_RESAMPLE_ROWS];
        uint8_t *dst[TWI_RESAMPLE_ROWS];
        for (size_t r = 0; r < TWI_RESAMPLE_ROWS; r++) {
            const size_t y = ring->next + r < last ? ring->next + r : last - 1;
            src[r] = samples + y * row_bytes;
            dst[r] = ring->samples + y % ring->n * ring->stride;
        }
        /* the lowest row has the least behind it */
        const size_t readable =
            (size_t)(samples + in->height * row_bytes - src[TWI_RESAMPLE_ROWS - 1]);
        k->rows(src, readable, in->channels, taps, dst);
        ring->next += TWI_RESAMPLE_ROWS;
    }
}

static void passes(const twi_picture *in, const twi_taps *across, const twi_taps *down,
                   row_ring *ring, twi_picture *out)
{
    const twi_resample_kernels *const k = twi_resample_pick();
    const size_t row_bytes = twi_picture_row_bytes(out);
    const size_t last = down->first[down->n - 1] + down->count[down->n - 1];
    uint8_t *dst = out->samples;

    for (size_t y = 0; y < down->n; y++, dst += row_bytes) {
        const size_t first = down->first[y], count = down->count[y];
        if (ring->next < first) ring->next = first;
        ring_fill(in, across, first + count, last, ring);
        for (size_t j = 0; j < count; j++)
            ring->column[j] = ring->samples + (first + j) % ring->n * ring->stride;
        k->column(ring->column, down, y, 0, row_bytes, dst);
    }
}

static tw_status resample(tw_ctx *ctx, const twi_picture *in, const twi_resize_plan *plan,
                          twi_picture *out)
{
    const filter_kernel *const kernel = &kernels[plan->filter];
    const twi_window *const w = &plan->window;
    const resize_axis x = axis_of(in->width, plan, 0), y = axis_of(in->height, plan, 1);
    twi_taps across = {0}, down = {0};
    row_ring ring = {0};
    tw_status st;

    if ((st = taps_make(ctx, kernel, &x, &across)) != TW_OK) goto done;
    if ((st = taps_make(ctx, kernel, &y, &down)) != TW_OK) goto done;
    st = twi_picture_reserve(ctx, out, w->width, w->height, in->channels, 8);
    if (st != TW_OK) goto done;
    if ((st = ring_alloc(ctx, down.stride, twi_picture_row_bytes(out), &ring)) != TW_OK) goto done;
    passes(in, &across, &down, &ring, out);
done:
    taps_free(&across);
    taps_free(&down);
    twi_free(ring.samples);
    twi_free(ring.column);
    return st;
}

/* ---- nearest, and no resizing at all -------------------------------------------------------- */

/* Source index of each wanted output, SIZE_MAX outside: Geometry.c ImagingScaleAffine(), whose
 * coordinate is a running sum (and its rounding errors therefore part of the result). */
static void nearest_indices(const resize_axis *axis, size_t *index)
{
    const double step = (double)(axis->to - axis->from) / (double)axis->out;
    double at = axis->from + step * 0.5;
    for (size_t i = 0; i < axis->skip + axis->n; i++, at += step) {
        if (i < axis->skip) continue;
        index[i - axis->skip] = at >= 0.0 && at < (double)axis->in ? (size_t)at : SIZE_MAX;
    }
}

static tw_status nearest(tw_ctx *ctx, const twi_picture *in, const twi_resize_plan *plan,
                         twi_picture *out)
{
    const twi_window *const w = &plan->window;
    const resize_axis x = axis_of(in->width, plan, 0), y = axis_of(in->height, plan, 1);
    const size_t pixel = in->channels, row_bytes = twi_picture_row_bytes(in);
    size_t *columns = NULL;
    tw_status st = twi_alloc(ctx, w->width + w->height, &columns);
    if (st != TW_OK) return st;
    st = twi_picture_reserve(ctx, out, w->width, w->height, in->channels, 8);
    if (st != TW_OK) goto done;

    size_t *const rows = columns + w->width;
    uint8_t *dst = out->samples;
    nearest_indices(&x, columns);
    nearest_indices(&y, rows);
    for (size_t i = 0; i < w->height; i++)
        for (size_t j = 0; j < w->width; j++, dst += pixel) {
            if (rows[i] == SIZE_MAX || columns[j] == SIZE_MAX)
                memset(dst, 0, pixel);
            else
                memcpy(dst, (const uint8_t *)in->samples + rows[i] * row_bytes + columns[j] * pixel,
                       pixel);
        }
done:
    twi_free(columns);
    return st;
}

static bool is_plain_crop(const twi_resize_plan *plan)
{
    const double *const box = plan->box;
    return box[0] == floor(box[0]) && box[1] == floor(box[1]) &&
           box[2] - box[0] == (double)plan->width && box[3] - box[1] == (double)plan->height;
}

static tw_status crop(tw_ctx *ctx, const twi_picture *in, const twi_resize_plan *plan,
                      twi_picture *out)
{
    const twi_window *const w = &plan->window;
    const tw_status st = twi_picture_reserve(ctx, out, w->width, w->height, in->channels, 8);
    if (st != TW_OK) return st;
    const size_t left = (size_t)plan->box[0] + w->left, top = (size_t)plan->box[1] + w->top;
    const size_t in_bytes = twi_picture_row_bytes(in), out_bytes = twi_picture_row_bytes(out);
    for (size_t y = 0; y < w->height; y++)
        memcpy((uint8_t *)out->samples + y * out_bytes,
               (const uint8_t *)in->samples + (top + y) * in_bytes + left * in->channels,
               out_bytes);
    return TW_OK;
}

/* ---- alpha ---------------------------------------------------------------------------------- */

/* Pillow resamples LA and RGBA with colours multiplied by alpha, Convert.c rgbA2rgba() and
 * rgba2rgbA(). */
static void multiply_alpha(const uint8_t *in, size_t pixels, unsigned channels, uint8_t *out)
{
    for (size_t i = 0; i < pixels; i++, in += channels, out += channels) {
        const unsigned alpha = in[channels - 1];
        for (unsigned c = 0; c + 1 < channels; c++) {
            const unsigned product = in[c] * alpha + 128;
            out[c] = (uint8_t)((product + (product >> 8)) >> 8);
        }
        out[channels - 1] = (uint8_t)alpha;
    }
}

static void divide_alpha(uint8_t *samples, size_t pixels, unsigned channels)
{
    for (size_t i = 0; i < pixels; i++, samples += channels) {
        const unsigned alpha = samples[channels - 1];
        if (alpha == 0 || alpha == 255) continue;
        for (unsigned c = 0; c + 1 < channels; c++) {
            const unsigned value = 255 * samples[c] / alpha;
            samples[c] = (uint8_t)(value < 255 ? value : 255);
        }
    }
}

static tw_status resample_alpha(tw_ctx *ctx, const twi_picture *in, const twi_resize_plan *plan,
                                twi_picture *out)
{
    twi_picture multiplied = {0};
    tw_status st = twi_picture_reserve(ctx, &multiplied, in->width, in->height, in->channels, 8);
    if (st != TW_OK) return st;
    multiply_alpha(in->samples, in->width * in->height, in->channels, multiplied.samples);
    st = is_plain_crop(plan) ? crop(ctx, &multiplied, plan, out)
                             : resample(ctx, &multiplied, plan, out);
    if (st == TW_OK) divide_alpha(out->samples, out->width * out->height, out->channels);
    twi_picture_free(&multiplied);
    return st;
}

/* ---- the choice among them ------------------------------------------------------------------ */

tw_status twi_resize_pillow_window(tw_ctx *ctx, const twi_picture *in, const twi_resize_plan *plan,
                                   twi_picture *out)
{
    const double *const box = plan->box;

    assert(plan->window.left + plan->window.width <= plan->width);
    assert(plan->window.top + plan->window.height <= plan->height);
    if (in->bits != 8)
        return twi_fail(ctx, TW_ERR_ARG, "Pillow's filters need 8-bit samples, not %u", in->bits);
    if (plan->filter > TWI_LANCZOS)
        return twi_fail(ctx, TW_ERR_ARG, "filter %d is none of Pillow's", (int)plan->filter);
    if (plan->width == 0 || plan->height == 0)
        return twi_fail(ctx, TW_ERR_ARG, "cannot resize to %zu x %zu", plan->width, plan->height);
    if (!(box[0] >= 0 && box[1] >= 0 && box[0] <= box[2] && box[1] <= box[3] &&
          box[2] <= (double)in->width && box[3] <= (double)in->height))
        return twi_fail(ctx, TW_ERR_ARG, "the box to resize is not inside %zu x %zu pixels",
                        in->width, in->height);
    const bool whole =
        box[2] - box[0] == (double)in->width && box[3] - box[1] == (double)in->height;
    const bool has_alpha = in->channels == 2 || in->channels == 4;
    /* Pillow goes through multiplied colours, which lose bits, even to cut a piece out; but not for
     * a copy. */
    if (has_alpha && plan->filter != TWI_NEAREST && !(whole && is_plain_crop(plan)))
        return resample_alpha(ctx, in, plan, out);
    if (is_plain_crop(plan)) return crop(ctx, in, plan, out);
    if (plan->filter == TWI_NEAREST) return nearest(ctx, in, plan, out);
    return resample(ctx, in, plan, out);
}

tw_status twi_resize_pillow(tw_ctx *ctx, const twi_picture *in, twi_filter filter,
                            const double box[4], size_t width, size_t height, twi_picture *out)
{
    twi_resize_plan plan = {.filter = filter,
                            .box = {0, 0, (double)in->width, (double)in->height},
                            .width = width,
                            .height = height,
                            .window = {0, 0, width, height}};
    for (int i = 0; box && i < 4; i++) plan.box[i] = (float)box[i]; /* as Pillow parses it */
    return twi_resize_pillow_window(ctx, in, &plan, out);
}
