/* augment.c - drawing variations. */
#include "tune/augment.h"

#include <math.h>
#include <string.h>

/* Steele, Lea & Flood (2014), SplitMix64's finaliser: near numbers become far ones. */
static uint64_t mixed(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void twi_draw_rng(uint32_t seed, size_t epoch, size_t stream, twi_rng *out)
{
    const uint64_t x = mixed(mixed(mixed(seed) ^ (uint64_t)epoch) ^ (uint64_t)stream);
    twi_rng_seed(out, (uint32_t)(x >> 32));
}

static double between(twi_rng *rng, double least, double most)
{
    return least + (most - least) * twi_rng_double(rng);
}

static void take(double left, double top, double width, double height, double box[4])
{
    box[0] = left, box[1] = top, box[2] = left + width, box[3] = top + height;
}

/* width : height of the input is 1 here; the shapes are of the part. */
static void random_part(const twi_augment_opts *o, twi_rng *rng, double w, double h, double box[4])
{
    for (int tries = 0; tries < 10; tries++) {
        const double area = w * h * between(rng, o->least_area, 1.0);
        const double shape = exp(between(rng, -log(o->stretch), log(o->stretch)));
        const double width = floor(sqrt(area * shape) + 0.5);
        const double height = floor(sqrt(area / shape) + 0.5);
        if (width < 1.0 || height < 1.0 || width > w || height > h) continue;
        const double left = floor(between(rng, 0.0, w - width + 1.0));
        take(left, floor(between(rng, 0.0, h - height + 1.0)), width, height, box);
        return;
    }
    const double width = fmin(w, floor(h * o->stretch + 0.5));
    const double height = fmin(h, floor(w * o->stretch + 0.5));
    take(floor((w - width) / 2), floor((h - height) / 2), width, height, box);
}

static void random_hole(const twi_augment_opts *o, twi_rng *rng, size_t erase[4])
{
    const double w = (double)o->width, h = (double)o->height;
    const double area = w * h * between(rng, 0.02, 0.2), shape = exp(between(rng, -1.2, 1.2));
    const double width = fmin(w, floor(sqrt(area * shape) + 0.5));
    const double height = fmin(h, floor(sqrt(area / shape) + 0.5));
    erase[0] = (size_t)floor(between(rng, 0.0, w - width + 1.0));
    erase[1] = (size_t)floor(between(rng, 0.0, h - height + 1.0));
    erase[2] = erase[0] + (size_t)width;
    erase[3] = erase[1] + (size_t)height;
}

double twi_randaugment_magnitude(twi_image_op op, size_t bin, size_t width, size_t height,
                                 bool *has_sign)
{
    static const struct {
        double from, to; /* at the first and the last bin */
        bool has_sign;
    } rows[TWI_IMAGE_OPS] = {
        [TWI_IMAGE_SHEAR_X] = {0.0, 0.3, true},
        [TWI_IMAGE_SHEAR_Y] = {0.0, 0.3, true},
        [TWI_IMAGE_TRANSLATE_X] = {0.0, 150.0 / 331.0, true}, /* of the width */
        [TWI_IMAGE_TRANSLATE_Y] = {0.0, 150.0 / 331.0, true},
        [TWI_IMAGE_ROTATE] = {0.0, 30.0, true},
        [TWI_IMAGE_BRIGHTNESS] = {0.0, 0.9, true},
        [TWI_IMAGE_COLOUR] = {0.0, 0.9, true},
        [TWI_IMAGE_CONTRAST] = {0.0, 0.9, true},
        [TWI_IMAGE_SHARPNESS] = {0.0, 0.9, true},
        [TWI_IMAGE_POSTERIZE] = {8.0, 4.0, false}, /* whole bits, half to even */
        [TWI_IMAGE_SOLARIZE] = {255.0, 0.0, false},
    };
    const double share = (double)bin / (TWI_RANDAUGMENT_BINS - 1);
    double m = rows[op].from + share * (rows[op].to - rows[op].from);
    if (op == TWI_IMAGE_TRANSLATE_X) m *= (double)width;
    if (op == TWI_IMAGE_TRANSLATE_Y) m *= (double)height;
    if (op == TWI_IMAGE_POSTERIZE) m = 8.0 - nearbyint(8.0 - m);
    *has_sign = rows[op].has_sign;
    return m;
}

static void random_ops(const twi_augment_opts *o, twi_rng *rng, twi_variation *out)
{
    for (size_t i = 0; i < TWI_RANDAUGMENT_OPS; i++) {
        const twi_image_op op = (twi_image_op)twi_rng_interval(rng, TWI_IMAGE_OPS - 1);
        const bool minus = twi_rng_double(rng) < 0.5;
        bool has_sign;
        const double m =
            twi_randaugment_magnitude(op, o->randaugment, o->width, o->height, &has_sign);
        out->ops[i] = (twi_variation_op){op, minus && has_sign ? -m : m};
    }
    out->n_ops = o->randaugment ? TWI_RANDAUGMENT_OPS : 0;
}

void twi_draw_variation(const void *user, size_t width, size_t height, twi_variation *out)
{
    const twi_draw *draw = user;
    const twi_augment_opts *o = draw->opts;
    twi_rng rng;
    twi_draw_rng(draw->seed, draw->epoch, draw->photo + 1, &rng);
    *out = (twi_variation){.whole = o->least_area >= 1.0};
    /* Everything is drawn whether or not it is used, so that one option does not change another's
     * draws. */
    random_part(o, &rng, (double)width, (double)height, out->box);
    out->mirror = twi_rng_double(&rng) < 0.5 && o->mirror;
    out->brightness = between(&rng, 1.0 - o->jitter, 1.0 + o->jitter);
    out->contrast = between(&rng, 1.0 - o->jitter, 1.0 + o->jitter);
    out->saturation = between(&rng, 1.0 - o->jitter, 1.0 + o->jitter);
    size_t hole[4];
    const bool erased = twi_rng_double(&rng) < o->erase;
    random_hole(o, &rng, hole);
    if (erased) memcpy(out->erase, hole, sizeof hole);
    out->angle = between(&rng, -o->rotate, o->rotate);
    random_ops(o, &rng, out);
}
