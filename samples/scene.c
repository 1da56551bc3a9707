/* scene.c - composing a picture. */
#include "scene.h"

#include <string.h>

#define TAU   6.2831853f
#define REACH 1.45f /* no part of a thing is farther from its centre: a leaf's stem is 1.4 */

/* Where a thing stands: picture to thing coordinates, and the light that falls on it. */
typedef struct stand {
    float x, y;        /* centre, in pixels */
    float size;        /* pixels in one unit */
    float to_thing[4]; /* 2 x 2, in units a pixel */
    float light[2];
} stand;

static stand stand_make(float x, float y, float size, float turn, float squash, bool flip)
{
    const float c = cosf(turn), s = sinf(turn), mirror = flip ? -1.0f : 1.0f;
    return (stand){.x = x,
                   .y = y,
                   .size = size,
                   .to_thing = {mirror * c / size, mirror * s / size, -s / (size * squash),
                                c / (size * squash)}};
}

static void to_thing(const stand *at, float px, float py, float *x, float *y)
{
    px -= at->x, py -= at->y;
    *x = at->to_thing[0] * px + at->to_thing[1] * py;
    *y = at->to_thing[2] * px + at->to_thing[3] * py;
}

typedef struct window {
    size_t x0, x1, y0, y1;
} window;

static size_t clip(float v, size_t limit)
{
    return v <= 0 ? 0 : v >= (float)limit ? limit : (size_t)v;
}

static window window_of(const stand *at, float reach, const canvas *c)
{
    const float r = at->size * reach;
    return (window){clip(at->x - r, c->width), clip(at->x + r + 1, c->width),
                    clip(at->y - r, c->height), clip(at->y + r + 1, c->height)};
}

/* ---- surfaces ------------------------------------------------------------------------------ */

/* How much of the second colour the pattern shows at (x, y): 0..1. */
static float pattern_at(int pattern, uint32_t seed, const float along[2], float x, float y)
{
    const float u = along[0] * x + along[1] * y, v = along[0] * y - along[1] * x;
    switch (pattern) {
    case PATTERN_STRIPES:
        return clamp01(0.5f + 2.5f * sinf(TAU * (u + 0.3f * noise_at(seed, x, y, 1))));
    case PATTERN_SPOTS: {
        const float du = u - floorf(u) - 0.5f, dv = v - floorf(v) - 0.5f;
        return clamp01((0.3f - length(du, dv)) * 12);
    }
    case PATTERN_BLOTCHES:
        return clamp01((noise_at(seed, 1.5f * x, 1.5f * y, 2) - 0.5f) * 10);
    default:
        return 0;
    }
}

static colour part_colour(const look *l, const part *p, float x, float y)
{
    if (p->colour == -1) return (colour){0.08f, 0.07f, 0.07f};
    if (p->colour == -2) return (colour){0.92f, 0.9f, 0.86f};
    const colour base = l->colours[p->colour];
    if (!p->patterned) return base;
    const float f = l->frequency;
    return colour_mix(base, l->colours[3], pattern_at(l->pattern, l->seed, l->along, f * x, f * y));
}

static colour shaded(const stand *at, const look *l, const part *p, float distance,
                     const float xy[2])
{
    const float deep = clamp01(-distance / 0.3f);
    const float round = sqrtf(1 - (1 - deep) * (1 - deep));
    float light = 1 - 0.45f * p->relief * (1 - round);
    light += 0.28f * (at->light[0] * xy[0] + at->light[1] * xy[1]);
    light += 0.25f * (noise_at(l->seed, 9 * xy[0], 9 * xy[1], 2) - 0.5f);
    return colour_scale(part_colour(l, p, xy[0], xy[1]), light);
}

/* ---- things -------------------------------------------------------------------------------- */

static void shadow_paint(canvas *c, const shape *what, const look *l, stand at, float drop)
{
    at.x += drop * at.size, at.y += 0.6f * fabsf(drop) * at.size;
    const window w = window_of(&at, REACH + 0.1f, c);
    for (size_t y = w.y0; y < w.y1; y++) {
        for (size_t x = w.x0; x < w.x1; x++) {
            float u, v, nearest = 9;
            to_thing(&at, (float)x, (float)y, &u, &v);
            if (length(u, v) > REACH + 0.1f) continue; /* the shadow's soft edge is 0.1 wide */
            for (size_t i = 0; i < what->n_parts; i++)
                nearest = least(nearest, what->parts[i].distance(l, u, v));
            const float dark = 0.45f * clamp01(0.5f - nearest * 5);
            colour *pixel = &c->pixels[y * c->width + x];
            *pixel = colour_scale(*pixel, 1 - dark);
        }
    }
}

static void thing_paint(canvas *c, const shape *what, const look *l, const stand *at)
{
    const window w = window_of(at, REACH, c);
    for (size_t y = w.y0; y < w.y1; y++) {
        for (size_t x = w.x0; x < w.x1; x++) {
            float xy[2];
            to_thing(at, (float)x, (float)y, &xy[0], &xy[1]);
            if (length(xy[0], xy[1]) > REACH) continue;
            colour *pixel = &c->pixels[y * c->width + x];
            for (size_t i = 0; i < what->n_parts; i++) {
                const float d = what->parts[i].distance(l, xy[0], xy[1]);
                const float cover = clamp01(0.5f - d * at->size);
                if (cover > 0)
                    *pixel = colour_mix(*pixel, shaded(at, l, &what->parts[i], d, xy), cover);
            }
        }
    }
}

static void figure_paint(canvas *c, dice *d, float size_least, float size_most)
{
    const float side = (float)(c->width < c->height ? c->width : c->height);
    const stand at = stand_make(dice_in(d, 0, (float)c->width), dice_in(d, 0, (float)c->height),
                                side * dice_in(d, size_least, size_most), dice_in(d, 0, TAU),
                                dice_in(d, 0.5f, 1), false);
    const int figure = (int)dice_below(d, 4);
    const colour base = colour_any(d, 0.5f, 0.25f, 0.8f);
    const uint32_t seed = (uint32_t)dice_word(d);
    const float grain = dice_in(d, 0.05f, 0.6f), lean = dice_in(d, -0.3f, 0.3f);
    const window w = window_of(&at, 1.3f, c);
    for (size_t y = w.y0; y < w.y1; y++) {
        for (size_t x = w.x0; x < w.x1; x++) {
            float u, v;
            to_thing(&at, (float)x, (float)y, &u, &v);
            const float cover = clamp01(0.5f - figure_distance(figure, u, v) * at.size);
            if (cover <= 0) continue;
            const float light = 1 + lean * u + grain * (noise_at(seed, 4 * u, 4 * v, 2) - 0.5f);
            colour *pixel = &c->pixels[y * c->width + x];
            *pixel = colour_mix(*pixel, colour_scale(base, light), cover);
        }
    }
}

/* ---- the picture --------------------------------------------------------------------------- */

static void background_paint(canvas *c, dice *d)
{
    const colour a = colour_any(d, 0.4f, 0.25f, 0.6f), third = colour_any(d, 0.4f, 0.25f, 0.6f);
    const colour b = colour_mix(a, colour_any(d, 0.4f, 0.25f, 0.6f), 0.7f);
    const uint32_t seed = (uint32_t)dice_word(d);
    const float coarse = dice_in(d, 0.008f, 0.05f), fine = dice_in(d, 0.06f, 0.3f);
    const float grain = dice_in(d, 0.05f, 0.4f), angle = dice_in(d, 0, TAU);
    const float along[2] = {cosf(angle), sinf(angle)};
    const float frequency = dice_in(d, 0.02f, 0.1f), strength = dice_in(d, 0, 0.35f);
    const float slope = dice_in(d, -0.004f, 0.004f);
    const int pattern = (int)dice_below(d, PATTERNS);
    for (size_t y = 0; y < c->height; y++) {
        for (size_t x = 0; x < c->width; x++) {
            const float u = (float)x, v = (float)y;
            const float broad = clamp01(1.6f * noise_at(seed, coarse * u, coarse * v, 2) - 0.3f);
            colour pixel = colour_mix(a, b, clamp01(broad + slope * (v - 90)));
            const float p = pattern_at(pattern, seed + 17, along, frequency * u, frequency * v);
            pixel = colour_mix(pixel, third, strength * p);
            const float rough = noise_at(seed + 31, fine * u, fine * v, 2) - 0.5f;
            c->pixels[y * c->width + x] = colour_scale(pixel, 1 + grain * rough);
        }
    }
}

static look look_make(dice *d)
{
    look l = {.seed = (uint32_t)dice_word(d),
              .pattern = (int)dice_below(d, PATTERNS),
              .frequency = dice_in(d, 1.5f, 5)};
    const float angle = dice_in(d, 0, TAU);
    l.along[0] = cosf(angle), l.along[1] = sinf(angle);
    for (size_t i = 0; i < KNOBS; i++) l.knobs[i] = dice_in(d, 0, 1);
    for (size_t i = 0; i < 4; i++) l.colours[i] = colour_any(d, 0.85f, 0.5f, 1.0f);
    return l;
}

/* Somewhere in the middle square, which is what most networks get to see. */
static stand place(const shape *what, dice *d, const canvas *c)
{
    const float w = (float)c->width, h = (float)c->height;
    const float side = w < h ? w : h, size = side * dice_in(d, 0.37f, 0.47f) * what->size;
    const float shift = 0.09f * side;
    const float x = 0.5f * w + dice_in(d, -shift, shift), y = 0.5f * h + dice_in(d, -shift, shift);
    const float turn = dice_in(d, -what->tilt, what->tilt);
    const float squash = dice_in(d, 0.78f, 1.0f), bearing = dice_in(d, 0, TAU);
    stand at = stand_make(x, y, size, turn, squash, dice_below(d, 2) == 1);
    at.light[0] = cosf(bearing), at.light[1] = sinf(bearing);
    return at;
}

/* One pass of a 3 x 3 blur: a lens slightly out of focus. */
static void blur(canvas *c, colour *scratch, float amount)
{
    memcpy(scratch, c->pixels, c->width * c->height * sizeof *scratch);
    const float side = amount / 8, middle = 1 - amount;
    for (size_t y = 1; y + 1 < c->height; y++) {
        for (size_t x = 1; x + 1 < c->width; x++) {
            const colour *at = &scratch[y * c->width + x];
            colour sum = colour_scale(*at, middle - side);
            for (int dy = -1; dy <= 1; dy++) {
                for (int dx = -1; dx <= 1; dx++) {
                    const colour *n = at + dy * (ptrdiff_t)c->width + dx;
                    sum.r += side * n->r, sum.g += side * n->g, sum.b += side * n->b;
                }
            }
            c->pixels[y * c->width + x] = sum;
        }
    }
}

static unsigned char byte_of(float v)
{
    return (unsigned char)(255 * clamp01(v) + 0.5f);
}

#define STEPS 1024

/* Exposure, colour cast, vignette, tone curve, noise; to bytes. */
static void expose(const canvas *c, dice *d, unsigned char *bytes)
{
    float curve[STEPS + 1];
    const float gain = dice_in(d, 0.65f, 1.25f), gamma = dice_in(d, 0.75f, 1.35f);
    const float noise = dice_in(d, 0.0f, 0.05f), vignette = dice_in(d, 0, 0.5f);
    const float cast[3] = {dice_in(d, 0.85f, 1.15f), 1, dice_in(d, 0.85f, 1.15f)};
    for (size_t i = 0; i <= STEPS; i++) curve[i] = powf((float)i / STEPS, gamma);
    for (size_t y = 0; y < c->height; y++) {
        for (size_t x = 0; x < c->width; x++) {
            const float u = (float)x / (float)c->width - 0.5f,
                        v = (float)y / (float)c->height - 0.5f;
            const float light = gain * (1 - vignette * 2 * (u * u + v * v));
            const colour *p = &c->pixels[y * c->width + x];
            const float rgb[3] = {p->r, p->g, p->b};
            uint64_t word = dice_word(d);
            for (size_t k = 0; k < 3; k++, word >>= 20) { /* a sum of two: bell enough */
                const float sum = (float)(word & 1023) + (float)(word >> 10 & 1023);
                const float grain = noise * (sum / 1023 - 1);
                *bytes++ =
                    byte_of(curve[(size_t)(STEPS * clamp01(light * cast[k] * rgb[k]))] + grain);
            }
        }
    }
}

void scene_draw(const shape *what, dice *d, canvas *picture, colour *scratch, unsigned char *bytes)
{
    background_paint(picture, d);
    for (size_t n = 3 + dice_below(d, 5); n > 0; n--) figure_paint(picture, d, 0.05f, 0.3f);
    const look l = look_make(d);
    const stand at = place(what, d, picture);
    shadow_paint(picture, what, &l, at, dice_in(d, -0.3f, 0.3f));
    thing_paint(picture, what, &l, &at);
    for (size_t n = dice_below(d, 3); n > 0; n--) figure_paint(picture, d, 0.03f, 0.13f);
    blur(picture, scratch, dice_in(d, 0, 0.9f));
    expose(picture, d, bytes);
}
