/* skimage.c - scikit-image 0.19.3's transform.resize() with its defaults (order 1, mode 'reflect',
 * anti-aliasing).
 *
 * It blurs with a Gaussian along each axis and then interpolates linearly along each axis, both in
 * doubles at full size (semantics 5.8, checked there against 0.19.3). Both are linear and
 * separable, so each axis here is one list of weights (blur and interpolation multiplied out, the
 * mirrored border folded in) and a picture is read once. Differences from scikit-image are rounding
 * only, below 1e-13. */
#include "image/decoder.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define MAX_WEIGHTS ((size_t)1 << 24)

/* Output i of an axis: sum over j < count[i] of weights[i * stride + j] * input[first[i] + j]. */
typedef struct taps {
    size_t n, stride;
    size_t *first, *count; /* [n] */
    double *weights;       /* [n, stride] */
} taps;

static void taps_free(taps *t)
{
    twi_free(t->first);
    twi_free(t->weights);
    *t = (taps){0};
}

/* scipy.ndimage mode 'mirror': d c b | a b c d | c b a. */
static size_t mirror(ptrdiff_t i, size_t n)
{
    if (n == 1) return 0;
    const ptrdiff_t period = 2 * (ptrdiff_t)n - 2;
    i %= period;
    if (i < 0) i += period;
    return (size_t)(i < (ptrdiff_t)n ? i : period - i);
}

/* Adds weight times the blurred sample at centre to output o. blur [2 * radius + 1]. */
static void add_blurred(taps *t, size_t o, ptrdiff_t centre, double weight, const double *blur,
                        ptrdiff_t radius, size_t in)
{
    double *const weights = t->weights + o * t->stride;
    for (ptrdiff_t d = -radius; d <= radius; d++)
        weights[mirror(centre + d, in) - t->first[o]] += weight * blur[d + radius];
}

/* The input samples that mirror(lo .. hi) can touch. */
static void reach(ptrdiff_t lo, ptrdiff_t hi, size_t in, size_t *first, size_t *count)
{
    const ptrdiff_t last = (ptrdiff_t)in - 1;
    if (hi - lo >= last ||
        in == 1) { /* a kernel as long as the axis: folding may reach everything */
        *first = 0, *count = in;
        return;
    }
    ptrdiff_t from = lo < 0 ? 0 : lo, to = hi > last ? last : hi;
    if (lo < 0 && -lo > to) to = -lo < last ? -lo : last;
    if (hi > last && 2 * last - hi < from) from = 2 * last - hi > 0 ? 2 * last - hi : 0;
    *first = (size_t)from, *count = (size_t)(to - from + 1);
}

static tw_status taps_alloc(tw_ctx *ctx, size_t in, size_t out, size_t stride, taps *result)
{
    taps t = {.n = out, .stride = stride < in ? stride : in};
    size_t weights;
    tw_status st;

    if (twi_mul(out, t.stride, &weights) || weights > MAX_WEIGHTS)
        return twi_fail(ctx, TW_ERR_DATA, "a side of %zu pixels is too long to be resized to %zu",
                        in, out);
    if ((st = twi_alloc(ctx, 2 * out, &t.first)) != TW_OK) return st;
    t.count = t.first + out;
    if ((st = twi_zalloc(ctx, weights, &t.weights)) != TW_OK) {
        taps_free(&t);
        return st;
    }
    *result = t;
    return TW_OK;
}

/* scipy.ndimage.gaussian_filter's kernel, [2 * radius + 1], normalised. */
static void gaussian(double sigma, ptrdiff_t radius, double *blur)
{
    double sum = 0.0;
    for (ptrdiff_t d = -radius; d <= radius; d++)
        sum += blur[d + radius] = radius == 0 ? 1.0 : exp(-0.5 / (sigma * sigma) * (double)(d * d));
    for (ptrdiff_t d = 0; d <= 2 * radius; d++) blur[d] /= sum;
}

static tw_status taps_make(tw_ctx *ctx, size_t in, size_t out, taps *t)
{
    const double factor = (double)in / (double)out;
    const double sigma = factor > 1.0 ? (factor - 1.0) / 2.0 : 0.0;
    const ptrdiff_t radius = (ptrdiff_t)(4.0 * sigma + 0.5); /* truncate = 4 */
    double *blur = NULL;
    tw_status st = taps_alloc(ctx, in, out, 4 * (size_t)radius + 4, t);
    if (st != TW_OK) return st;
    if ((st = twi_alloc(ctx, 2 * (size_t)radius + 1, &blur)) != TW_OK) {
        taps_free(t);
        return st;
    }
    gaussian(sigma, radius, blur);
    for (size_t o = 0; o < out; o++) {
        const double at = factor * ((double)o + 0.5) - 0.5, below = floor(at);
        const ptrdiff_t base = (ptrdiff_t)below;
        reach(base - radius, base + 1 + radius, in, &t->first[o], &t->count[o]);
        assert(t->count[o] <= t->stride);
        add_blurred(t, o, base, 1.0 - (at - below), blur, radius, in);
        add_blurred(t, o, base + 1, at - below, blur, radius, in);
    }
    twi_free(blur);
    return TW_OK;
}

/* ---- passes --------------------------------------------------------------------------------- */

/* row [n] = the weighted sum of the picture's rows under output row o, still in its integer scale.
 */
static void down_u8(const twi_picture *in, const taps *t, size_t o, size_t n, double *restrict row)
{
    const uint8_t *src = (const uint8_t *)in->samples + t->first[o] * n;
    const double *const weights = t->weights + o * t->stride;
    const size_t count = t->count[o];

    for (size_t x = 0; x < n; x++) row[x] = weights[0] * src[x];
    for (size_t j = 1; j < count; j++) {
        src += n;
        for (size_t x = 0; x < n; x++) row[x] += weights[j] * src[x];
    }
}

static void down_u16(const twi_picture *in, const taps *t, size_t o, size_t n, double *restrict row)
{
    const uint16_t *src = (const uint16_t *)in->samples + t->first[o] * n;
    const double *const weights = t->weights + o * t->stride;

    for (size_t x = 0; x < n; x++) row[x] = 0.0;
    for (size_t j = 0; j < t->count[o]; j++, src += n)
        for (size_t x = 0; x < n; x++) row[x] += weights[j] * src[x];
}

/* dst [t->n, channels] from row [in width, channels]. channels is a constant where this is called.
 */
static inline void across(const double *restrict row, const taps *t, unsigned channels,
                          double *restrict dst)
{
    for (size_t i = 0; i < t->n; i++, dst += channels) {
        const double *const weights = t->weights + i * t->stride;
        const double *from = row + t->first[i] * channels;
        double sum[4] = {0};
        for (size_t j = 0; j < t->count[i]; j++, from += channels)
            for (unsigned c = 0; c < channels; c++) sum[c] += weights[j] * from[c];
        for (unsigned c = 0; c < channels; c++) dst[c] = sum[c];
    }
}

static void across_any(const double *row, const taps *t, unsigned channels, double *dst)
{
    switch (channels) {
    case 1:
        across(row, t, 1, dst);
        break;
    case 2:
        across(row, t, 2, dst);
        break;
    case 3:
        across(row, t, 3, dst);
        break;
    default:
        across(row, t, 4, dst);
    }
}

/* Channels are an axis like the others: src [n, in] -> dst [n, t->n]. */
static void channels_pass(const double *src, size_t n, size_t in, const taps *t, double *dst)
{
    for (size_t i = 0; i < n; i++, src += in)
        for (size_t c = 0; c < t->n; c++) {
            double sum = 0.0;
            for (size_t j = 0; j < t->count[c]; j++)
                sum += t->weights[c * t->stride + j] * src[t->first[c] + j];
            *dst++ = sum;
        }
}

/* The least and the greatest sample, to which the result is clipped. */
static void range(const twi_picture *in, unsigned *least, unsigned *greatest)
{
    const size_t n = in->width * in->height * in->channels;
    unsigned lo = UINT16_MAX, hi = 0;

    if (in->bits == 8) {
        const uint8_t *const s = in->samples;
        uint8_t lo8 = UINT8_MAX, hi8 = 0; /* bytes throughout, or the loop is four times slower */
        for (size_t i = 0; i < n; i++) {
            lo8 = s[i] < lo8 ? s[i] : lo8;
            hi8 = s[i] > hi8 ? s[i] : hi8;
        }
        lo = lo8, hi = hi8;
    } else {
        const uint16_t *const s = in->samples;
        for (size_t i = 0; i < n; i++) {
            lo = s[i] < lo ? s[i] : lo;
            hi = s[i] > hi ? s[i] : hi;
        }
    }
    *least = lo, *greatest = hi;
}

/* From the integer scale to 0..1, clipped. */
static void finish(const twi_picture *in, double *out, size_t n)
{
    const double unit = 1.0 / (in->bits == 8 ? UINT8_MAX : UINT16_MAX);
    unsigned least, greatest;

    range(in, &least, &greatest);
    const double lo = least * unit, hi = greatest * unit;
    for (size_t i = 0; i < n; i++) {
        const double value = out[i] * unit;
        out[i] = value < lo ? lo : value > hi ? hi : value;
    }
}

/* ---- the resize ----------------------------------------------------------------------------- */

typedef struct resize {
    taps down, across, channels;
    double *row;    /* [in width, in channels] */
    double *narrow; /* [width, in channels] */
} resize;

static void resize_free(resize *r)
{
    taps_free(&r->down);
    taps_free(&r->across);
    taps_free(&r->channels);
    twi_free(r->row);
    twi_free(r->narrow);
}

static tw_status resize_make(tw_ctx *ctx, const twi_picture *in, size_t width, size_t height,
                             size_t channels, resize *r)
{
    tw_status st;
    if ((st = taps_make(ctx, in->height, height, &r->down)) != TW_OK) return st;
    if ((st = taps_make(ctx, in->width, width, &r->across)) != TW_OK) return st;
    if ((st = taps_make(ctx, in->channels, channels, &r->channels)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, in->width * in->channels, &r->row)) != TW_OK) return st;
    return twi_alloc(ctx, width * in->channels, &r->narrow);
}

tw_status twi_resize_skimage(tw_ctx *ctx, const twi_picture *in, size_t width, size_t height,
                             size_t channels, double *out)
{
    resize r = {0};
    size_t pixels;

    if (channels == 0) channels = in->channels;
    if (width == 0 || height == 0 || twi_mul(width, height, &pixels) ||
        twi_mul(pixels, channels * sizeof *out, &pixels))
        return twi_fail(ctx, TW_ERR_ARG, "cannot resize to %zu x %zu", width, height);
    const tw_status st = resize_make(ctx, in, width, height, channels, &r);
    if (st == TW_OK) {
        const size_t n = in->width * in->channels;
        for (size_t y = 0; y < height; y++) {
            double *const dst = out + y * width * channels;
            (in->bits == 8 ? down_u8 : down_u16)(in, &r.down, y, n, r.row);
            across_any(r.row, &r.across, in->channels, channels == in->channels ? dst : r.narrow);
            if (channels != in->channels)
                channels_pass(r.narrow, width, in->channels, &r.channels, dst);
        }
        finish(in, out, width * height * channels);
    }
    resize_free(&r);
    return st;
}
