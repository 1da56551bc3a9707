/* operations.c - see operations.h. */
#include "image/operations.h"

#include "image/decoder.h"

#include <math.h>
#include <string.h>

const char *twi_image_op_name(twi_image_op op)
{
    static const char *const names[TWI_IMAGE_OPS] = {
        "Identity",  "ShearX",     "ShearY",       "TranslateX", "TranslateY",
        "Rotate",    "Brightness", "Color",        "Contrast",   "Sharpness",
        "Posterize", "Solarize",   "AutoContrast", "Equalize"};
    return names[op];
}

static void exchange(twi_picture *a, twi_picture *b)
{
    const twi_picture kept = *a;
    *a = *b;
    *b = kept;
}

/* ---- moved pixels -------------------------------------------------------------------------- */

/* The source of a pixel's centre: (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]). */
typedef struct affine {
    double m[6];
} affine;

static int64_t fixed(double v)
{
    return (int64_t)floor(v * 65536.0 + 0.5);
}

/* Pillow's Geometry.c, nearest: 16.16 fixed point, added up along rows and columns. */
static void move_nearest(const twi_picture *in, const affine *a, twi_picture *out)
{
    const double *m = a->m;
    const int64_t w = (int64_t)in->width, h = (int64_t)in->height;
    const uint8_t *src = in->samples;
    uint8_t *dst = out->samples;
    int64_t row_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5);
    int64_t row_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
    for (int64_t y = 0; y < h; y++, row_x += fixed(m[1]), row_y += fixed(m[4])) {
        int64_t at_x = row_x, at_y = row_y;
        for (int64_t x = 0; x < w; x++, dst += 3, at_x += fixed(m[0]), at_y += fixed(m[3])) {
            const int64_t from_x = at_x >> 16, from_y = at_y >> 16;
            const bool inside = from_x >= 0 && from_x < w && from_y >= 0 && from_y < h;
            if (inside)
                memcpy(dst, src + (from_y * w + from_x) * 3, 3);
            else
                memset(dst, 0, 3);
        }
    }
}

static double mixed(const uint8_t *row, int64_t a, int64_t b, int c, double share)
{
    return row[3 * a + c] + share * (row[3 * b + c] - row[3 * a + c]);
}

/* Its bilinear filter: neighbours beyond the border are the border, results are cut off. */
static void move_bilinear(const twi_picture *in, const affine *a, const uint8_t fill[3],
                          twi_picture *out)
{
    const double *m = a->m;
    const int64_t w = (int64_t)in->width, h = (int64_t)in->height;
    const uint8_t *src = in->samples;
    uint8_t *dst = out->samples;
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++, dst += 3) {
            const double cx = (double)x + 0.5, cy = (double)y + 0.5;
            double from_x = m[0] * cx + m[1] * cy + m[2], from_y = m[3] * cx + m[4] * cy + m[5];
            memcpy(dst, fill, 3);
            if (!(from_x >= 0.0 && from_x < (double)w && from_y >= 0.0 && from_y < (double)h))
                continue;
            from_x -= 0.5, from_y -= 0.5;
            const int64_t left = (int64_t)floor(from_x), top = (int64_t)floor(from_y);
            const double dx = from_x - (double)left, dy = from_y - (double)top;
            const int64_t x0 = left < 0 ? 0 : left, x1 = left + 1 < w ? left + 1 : w - 1;
            const uint8_t *upper = src + (top < 0 ? 0 : top) * w * 3;
            const uint8_t *lower = src + (top + 1 < h ? top + 1 : h - 1) * w * 3;
            for (int c = 0; c < 3; c++) {
                const double u = mixed(upper, x0, x1, c, dx), l = mixed(lower, x0, x1, c, dx);
                dst[c] = (uint8_t)(u + dy * (l - u));
            }
        }
}

/* Pillow's Image.rotate(): about the centre, the sines rounded to 15 digits there. */
static affine rotation(double degrees, double w, double h)
{
    static const double pi = 3.14159265358979323846;
    const double angle = -degrees * pi / 180.0;
    affine a = {{cos(angle), sin(angle), 0.0, -sin(angle), cos(angle), 0.0}};
    for (int i = 0; i < 5; i++) a.m[i] = nearbyint(a.m[i] * 1e15) / 1e15;
    a.m[2] = a.m[0] * -(w / 2) + a.m[1] * -(h / 2) + w / 2;
    a.m[5] = a.m[3] * -(w / 2) + a.m[4] * -(h / 2) + h / 2;
    return a;
}

static affine affine_of(twi_image_op op, double magnitude, const twi_picture *p)
{
    const double whole = trunc(magnitude);
    switch (op) {
    case TWI_IMAGE_SHEAR_X:
        return (affine){{1.0, magnitude, 0.0, 0.0, 1.0, 0.0}};
    case TWI_IMAGE_SHEAR_Y:
        return (affine){{1.0, 0.0, 0.0, magnitude, 1.0, 0.0}};
    case TWI_IMAGE_TRANSLATE_X:
        return (affine){{1.0, 0.0, -whole, 0.0, 1.0, 0.0}};
    case TWI_IMAGE_TRANSLATE_Y:
        return (affine){{1.0, 0.0, 0.0, 0.0, 1.0, -whole}};
    default:
        return rotation(magnitude, (double)p->width, (double)p->height);
    }
}

/* ---- blends -------------------------------------------------------------------------------- */

/* Pillow's Blend.c: from and to mixed in float32 and cut off, clipped where factor lies outside of
 * 0 to 1. */
static uint8_t blend(int from, int to, float factor)
{
    const float v = (float)from + factor * (float)(to - from);
    return v <= 0.0f ? 0 : v >= 255.0f ? 255 : (uint8_t)v;
}

/* ITU-R BT.601 luma as Pillow's convert("L") rounds it. */
static int luma(const uint8_t *p)
{
    return (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16;
}

static int mean_luma(const uint8_t *p, size_t pixels)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < pixels; i++) sum += (uint64_t)luma(p + 3 * i);
    return pixels ? (int)((double)sum / (double)pixels + 0.5) : 0;
}

/* Towards one grey for all, or (grey below 0) each pixel's own. */
static void blend_with(uint8_t *p, size_t pixels, int grey, float factor)
{
    for (size_t i = 0; i < pixels; i++, p += 3) {
        const int to = grey < 0 ? luma(p) : grey;
        for (int c = 0; c < 3; c++) p[c] = blend(to, p[c], factor);
    }
}

/* Pillow's SMOOTH: 1 1 1, 1 5 1, 1 1 1 over 13; pixels of the border stay. */
static int smooth(const uint8_t *p, size_t row)
{
    int sum = 4 * p[0];
    for (int y = -1; y <= 1; y++)
        for (int x = -1; x <= 1; x++) sum += p[y * (ptrdiff_t)row + 3 * x];
    return (2 * sum + 13) / 26;
}

static void sharpen(const twi_picture *in, float factor, twi_picture *out)
{
    const size_t w = in->width, h = in->height, row = 3 * w;
    memcpy(out->samples, in->samples, row * h);
    for (size_t y = 1; y + 1 < h; y++)
        for (size_t i = 3; i + 3 < row; i++) {
            const uint8_t *p = (const uint8_t *)in->samples + y * row + i;
            ((uint8_t *)out->samples)[y * row + i] = blend(smooth(p, row), *p, factor);
        }
}

/* ---- tables -------------------------------------------------------------------------------- */

static void stretched(const size_t count[256], uint8_t table[256])
{
    int low = 0, high = 255;
    while (low < 255 && count[low] == 0) low++;
    while (high > 0 && count[high] == 0) high--;
    const double scale = high > low ? 255.0 / (high - low) : 1.0;
    const double offset = high > low ? -low * scale : 0.0;
    for (int i = 0; i < 256; i++) {
        const double v = trunc(i * scale + offset);
        table[i] = (uint8_t)(v < 0.0 ? 0.0 : v > 255.0 ? 255.0 : v);
    }
}

/* Pillow's ImageOps.equalize(). */
static void equalised(const size_t count[256], uint8_t table[256])
{
    size_t sum = 0, last = 0, used = 0;
    for (int i = 0; i < 256; i++) {
        sum += count[i];
        if (count[i] > 0) last = count[i], used++;
    }
    const size_t step = used > 1 ? (sum - last) / 255 : 0;
    size_t n = step / 2;
    for (int i = 0; i < 256; i++) {
        const size_t v = step ? n / step : (size_t)i;
        table[i] = (uint8_t)(v > 255 ? 255 : v);
        n += count[i];
    }
}

static void table_of(twi_image_op op, double magnitude, const size_t count[256], uint8_t table[256])
{
    const unsigned bits = magnitude < 0.0 ? 0 : magnitude > 8.0 ? 8 : (unsigned)magnitude;
    for (int i = 0; i < 256; i++) {
        table[i] = (uint8_t)i;
        if (op == TWI_IMAGE_POSTERIZE) table[i] &= (uint8_t)(0xff00u >> bits);
        if (op == TWI_IMAGE_SOLARIZE && i >= magnitude) table[i] = (uint8_t)(255 - i);
    }
    if (op == TWI_IMAGE_AUTO_CONTRAST) stretched(count, table);
    if (op == TWI_IMAGE_EQUALIZE) equalised(count, table);
}

/* Each channel through a table of its own values. */
static void look_up(twi_image_op op, double magnitude, twi_picture *picture)
{
    const size_t n = 3 * picture->width * picture->height;
    uint8_t *p = picture->samples, table[256];
    for (size_t c = 0; c < 3; c++) {
        size_t count[256] = {0};
        for (size_t i = c; i < n; i += 3) count[p[i]]++;
        table_of(op, magnitude, count, table);
        for (size_t i = c; i < n; i += 3) p[i] = table[p[i]];
    }
}

/* ---- the line ------------------------------------------------------------------------------ */

static tw_status alike(tw_ctx *ctx, const twi_picture *picture, twi_picture *other)
{
    if (picture->channels != 3 || picture->bits != 8)
        return twi_fail(ctx, TW_ERR_ARG, "a picture of %u channels of %u bits; need 3 of 8",
                        picture->channels, picture->bits);
    return twi_picture_reserve(ctx, other, picture->width, picture->height, 3, 8);
}

tw_status twi_image_operate(tw_ctx *ctx, twi_image_op op, double magnitude, twi_picture *picture,
                            twi_picture *other)
{
    const size_t pixels = picture->width * picture->height;
    const float factor = (float)(1.0 + magnitude);
    uint8_t *p = picture->samples;
    affine a;
    const tw_status st = alike(ctx, picture, other);
    if (st != TW_OK) return st;
    switch (op) {
    case TWI_IMAGE_SHEAR_X:
    case TWI_IMAGE_SHEAR_Y:
    case TWI_IMAGE_TRANSLATE_X:
    case TWI_IMAGE_TRANSLATE_Y:
    case TWI_IMAGE_ROTATE:
        a = affine_of(op, magnitude, picture);
        move_nearest(picture, &a, other);
        exchange(picture, other);
        break;
    case TWI_IMAGE_SHARPNESS:
        sharpen(picture, factor, other);
        exchange(picture, other);
        break;
    case TWI_IMAGE_BRIGHTNESS:
        blend_with(p, pixels, 0, factor);
        break;
    case TWI_IMAGE_COLOUR:
        blend_with(p, pixels, -1, factor);
        break;
    case TWI_IMAGE_CONTRAST:
        blend_with(p, pixels, mean_luma(p, pixels), factor);
        break;
    case TWI_IMAGE_POSTERIZE:
    case TWI_IMAGE_SOLARIZE:
    case TWI_IMAGE_AUTO_CONTRAST:
    case TWI_IMAGE_EQUALIZE:
        look_up(op, magnitude, picture);
        break;
    default:
        break;
    }
    return TW_OK;
}

tw_status twi_image_rotate(tw_ctx *ctx, double degrees, const uint8_t fill[3], twi_picture *picture,
                           twi_picture *other)
{
    const affine a = rotation(degrees, (double)picture->width, (double)picture->height);
    const tw_status st = alike(ctx, picture, other);
    if (st != TW_OK) return st;
    move_bilinear(picture, &a, fill, other);
    exchange(picture, other);
    return TW_OK;
}
