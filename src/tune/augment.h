/* augment.h - which part and which colours of a photo an epoch sees. */
#ifndef TWI_TUNE_AUGMENT_H
#define TWI_TUNE_AUGMENT_H

#include "base/rng.h"
#include "image/variation.h"

typedef struct twi_augment_opts {
    double least_area;    /* of the photo that a part may have: 0.35; 1: no random parts */
    double stretch;       /* a part's width : height lies within 1 / stretch .. stretch; 4/3 */
    bool mirror;          /* one photo in two */
    double jitter;        /* brightness, contrast and saturation within 1 - jitter .. 1 + jitter */
    double erase;         /* probability that a part of the input is erased */
    double rotate;        /* degrees to either side, at most */
    size_t randaugment;   /* magnitude, 1 to TWI_RANDAUGMENT_BINS - 1; 0: none */
    size_t width, height; /* of the input */
} twi_augment_opts;

/* What a photo looks like in an epoch: it depends on these numbers alone, whatever thread draws it,
 * and whatever was drawn before. */
typedef struct twi_draw {
    const twi_augment_opts *opts;
    uint32_t seed;
    size_t photo, epoch;
} twi_draw;

/* A twi_variation_fn of a twi_draw. Parts as torchvision's RandomResizedCrop draws them (ten tries,
 * then the largest part in the middle that keeps to the shapes allowed), erased parts as in Zhong
 * et al. (2020), Random Erasing, algorithm 1, with areas 2 to 20 %. */
void twi_draw_variation(const void *draw, size_t width, size_t height, twi_variation *out);

/* Cubuk et al. (2020), RandAugment: two of the operations of twi_image_op, drawn for each photo, at
 * one magnitude of 31, either sign where they have one; with the ranges of torchvision 0.14. */
#define TWI_RANDAUGMENT_BINS 31
#define TWI_RANDAUGMENT_OPS  2
double twi_randaugment_magnitude(twi_image_op op, size_t bin, size_t width, size_t height,
                                 bool *has_sign);

/* A generator for the epoch's order (stream 0) or whatever else it draws. */
void twi_draw_rng(uint32_t seed, size_t epoch, size_t stream, twi_rng *out);

#endif
