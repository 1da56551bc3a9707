/* canvas.h - a float picture, random numbers and noise for the sample set. */
#ifndef SAMPLES_CANVAS_H
#define SAMPLES_CANVAS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct colour {
    float r, g, b; /* 0..1 */
} colour;

typedef struct canvas {
    size_t width, height;
    colour *pixels; /* [height, width] */
} canvas;

/* splitmix64 (Steele, Lea & Flood 2014): small, seedable, the same everywhere. */
typedef struct dice {
    uint64_t state;
} dice;

static inline uint64_t dice_word(dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in [low, high). */
static inline float dice_in(dice *d, float low, float high)
{
    return low + (high - low) * (float)(dice_word(d) >> 40) * 0x1p-24f;
}

/* Uniform in 0..n-1. */
static inline size_t dice_below(dice *d, size_t n)
{
    return (size_t)(dice_word(d) >> 32) % n;
}

static inline float clamp01(float x)
{
    return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x;
}

/* Plain C and inlined: libm's hypotf, fminf and fmaxf are calls that mind NaN, which half of
 * drawing would be spent in. */
static inline float length(float x, float y)
{
    return sqrtf(x * x + y * y);
}

static inline float least(float a, float b)
{
    return a < b ? a : b;
}

static inline float most(float a, float b)
{
    return a > b ? a : b;
}

static inline colour colour_mix(colour a, colour b, float t)
{
    return (colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

static inline colour colour_scale(colour a, float s)
{
    return (colour){a.r * s, a.g * s, a.b * s};
}

/* Any hue, saturation up to saturation_most, value in [dark, light). */
colour colour_any(dice *d, float saturation_most, float dark, float light);

/* Smooth noise in 0..1 at (x, y), one feature a unit; octaves halve in size and weight. */
float noise_at(uint32_t seed, float x, float y, int octaves);

#endif
