/* look.c - a picture at a glance, and whether two of them are one picture. */
#include "audit/audit.h"

#include <math.h>
#include <string.h>

#define SIDE   TWI_LOOK_SIDE
#define GRID   24  /* points a side at which two looks are compared */
#define FLAT   2.0 /* standard deviation of luma below which there is nothing to compare */
#define SHIFTS 5   /* places a side that a smaller window is tried at */

/* ITU-R BT.601, as Pillow's convert('L'). */
static float luma_of(const uint8_t *rgb)
{
    return (299.0f * (float)rgb[0] + 587.0f * (float)rgb[1] + 114.0f * (float)rgb[2]) / 1000.0f;
}

static void measure(twi_look *look)
{
    double sum = 0.0, square = 0.0;
    for (size_t i = 0; i < SIDE * SIDE; i++) sum += (double)look->luma[i];
    const double mean = sum / (SIDE * SIDE);
    for (size_t i = 0; i < SIDE * SIDE; i++)
        square += ((double)look->luma[i] - mean) * ((double)look->luma[i] - mean);
    look->brightness = (float)mean;
    look->contrast = (float)sqrt(square / (SIDE * SIDE));
}

tw_status twi_look_take(tw_ctx *ctx, tw_bytes src, const char *name, size_t max_pixels,
                        twi_recipe_scratch *scratch, twi_look *out)
{
    const twi_decode_opts opts = {
        .exif = true, .max_pixels = max_pixels, .fast_width = 4 * SIDE, .fast_height = 4 * SIDE};
    tw_status st = twi_picture_decode(ctx, src, name, &opts, &scratch->decoded);
    if (st != TW_OK) return st;
    st = twi_resize_pillow(ctx, &scratch->decoded, TWI_BOX, NULL, SIDE, SIDE, &scratch->resized);
    if (st != TW_OK) return st;
    out->width = (float)scratch->decoded.width;
    out->height = (float)scratch->decoded.height;
    const uint8_t *rgb = scratch->resized.samples;
    for (size_t i = 0; i < SIDE * SIDE; i++) out->luma[i] = luma_of(rgb + 3 * i);
    measure(out);
    return TW_OK;
}

/* ---- comparing ----------------------------------------------------------------------------- */

static float at(const float *luma, float y, float x)
{
    const float last = SIDE - 1;
    y = y < 0 ? 0 : y > last ? last : y;
    x = x < 0 ? 0 : x > last ? last : x;
    const size_t y0 = (size_t)y, x0 = (size_t)x;
    const size_t y1 = y0 + (y0 < SIDE - 1), x1 = x0 + (x0 < SIDE - 1);
    const float fy = y - (float)y0, fx = x - (float)x0;
    const float top = luma[y0 * SIDE + x0] * (1 - fx) + luma[y0 * SIDE + x1] * fx;
    const float bottom = luma[y1 * SIDE + x0] * (1 - fx) + luma[y1 * SIDE + x1] * fx;
    return top * (1 - fy) + bottom * fy;
}

/* A part of a picture, in shares of its sides. */
typedef struct window {
    float top, left, size;
    bool mirrored;
} window;

/* The window at GRID x GRID points, less their mean, of length 1; false: of a single tone. */
static bool sample(const twi_look *look, window w, float *out)
{
    double sum = 0.0, square = 0.0;
    for (size_t y = 0; y < GRID; y++)
        for (size_t x = 0; x < GRID; x++) {
            const float u = ((float)(w.mirrored ? GRID - 1 - x : x) + 0.5f) / GRID;
            const float v = ((float)y + 0.5f) / GRID;
            const float value = at(look->luma, (w.top + w.size * v) * SIDE - 0.5f,
                                   (w.left + w.size * u) * SIDE - 0.5f);
            out[y * GRID + x] = value;
            sum += (double)value;
        }
    const double mean = sum / (GRID * GRID);
    for (size_t i = 0; i < GRID * GRID; i++) {
        out[i] -= (float)mean;
        square += (double)out[i] * (double)out[i];
    }
    if (square < FLAT * FLAT * GRID * GRID) return false;
    const float scale = (float)(1.0 / sqrt(square));
    for (size_t i = 0; i < GRID * GRID; i++) out[i] *= scale;
    return true;
}

static double product(const float *a, const float *b)
{
    double sum = 0.0;
    for (size_t i = 0; i < GRID * GRID; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* The best correlation of the whole of one with a part of other. */
static double best_within(const float *one, const twi_look *other, bool mirrored)
{
    static const float sizes[] = {1.0f, 0.95f, 0.9f, 0.85f, 0.8f};
    float part[GRID * GRID];
    double best = -1.0;
    for (size_t s = 0; s < TWI_LEN(sizes); s++) {
        const size_t places = s == 0 ? 1 : SHIFTS;
        const float step = (1.0f - sizes[s]) / (SHIFTS - 1);
        for (size_t p = 0; p < places * places; p++) {
            const window w = {(float)(p / places) * step, (float)(p % places) * step, sizes[s],
                              mirrored};
            if (sample(other, w, part)) best = fmax(best, product(one, part));
        }
    }
    return best;
}

double twi_look_alike(const twi_look *a, const twi_look *b)
{
    const window whole = {0.0f, 0.0f, 1.0f, false};
    float x[GRID * GRID], y[GRID * GRID];
    double best = -1.0;
    if (!sample(a, whole, x) || !sample(b, whole, y)) return 0.0;
    for (int mirrored = 0; mirrored < 2; mirrored++) {
        best = fmax(best, best_within(x, b, mirrored != 0));
        best = fmax(best, best_within(y, a, mirrored != 0));
    }
    return best;
}
