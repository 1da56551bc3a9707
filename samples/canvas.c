/* canvas.c - colours and value noise. */
#include "canvas.h"

colour colour_any(dice *d, float saturation_most, float dark, float light)
{
    const float hue = dice_in(d, 0, 6), saturation = dice_in(d, 0.05f, saturation_most);
    const float value = dice_in(d, dark, light);
    const float in_sextant = hue - floorf(hue);
    const float p = value * (1 - saturation), q = value * (1 - saturation * in_sextant);
    const float t = value * (1 - saturation * (1 - in_sextant));
    switch ((int)hue) {
    case 0:
        return (colour){value, t, p};
    case 1:
        return (colour){q, value, p};
    case 2:
        return (colour){p, value, t};
    case 3:
        return (colour){p, q, value};
    case 4:
        return (colour){t, p, value};
    default:
        return (colour){value, p, q};
    }
}

static float lattice(uint32_t seed, int32_t x, int32_t y)
{
    uint32_t h = seed ^ (uint32_t)x * 0x8da6b343u ^ (uint32_t)y * 0xd8163841u;
    h = (h ^ (h >> 15)) * 0x2c1b3c6du;
    h = (h ^ (h >> 12)) * 0x297a2d39u;
    return (float)((h ^ (h >> 15)) >> 8) * 0x1p-24f;
}

static float smooth_noise(uint32_t seed, float x, float y)
{
    const float fx = floorf(x), fy = floorf(y);
    const int32_t ix = (int32_t)fx, iy = (int32_t)fy;
    float u = x - fx, v = y - fy;
    u = u * u * (3 - 2 * u), v = v * v * (3 - 2 * v);
    const float top = lattice(seed, ix, iy) * (1 - u) + lattice(seed, ix + 1, iy) * u;
    const float low = lattice(seed, ix, iy + 1) * (1 - u) + lattice(seed, ix + 1, iy + 1) * u;
    return top * (1 - v) + low * v;
}

float noise_at(uint32_t seed, float x, float y, int octaves)
{
    float sum = 0, weight = 0.5f, total = 0;
    for (int i = 0; i < octaves; i++) {
        sum += weight * smooth_noise(seed + (uint32_t)i, x, y);
        total += weight;
        x *= 2, y *= 2, weight *= 0.5f;
    }
    return sum / total;
}
