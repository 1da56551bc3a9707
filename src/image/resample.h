/* resample.h - separable resampling: one axis as weights, and the kernels that apply them. */
#ifndef TWI_IMAGE_RESAMPLE_H
#define TWI_IMAGE_RESAMPLE_H

#include "image/image.h"

/* The part of a resized picture that is wanted; the rest is never computed. */
typedef struct twi_window {
    size_t left, top, width, height;
} twi_window;

/* A resize: region box of the source -> width x height, of which window is kept. */
typedef struct twi_resize_plan {
    twi_filter filter;
    double box[4]; /* left, top, right, bottom; Pillow keeps them as float */
    size_t width, height;
    twi_window window;
} twi_resize_plan;

/* twi_resize_pillow() of which only plan->window is made: out gets the window's size. */
tw_status twi_resize_pillow_window(tw_ctx *ctx, const twi_picture *in, const twi_resize_plan *plan,
                                   twi_picture *out);

/* Fixed point weights of one axis. Output i = sum over j < count[i] of weights[i * stride + j] *
 * input[first[i] + j]; weights beyond count are 0 up to stride. */
#define TWI_PRECISION_BITS                                                                         \
    (32 - 8 - 2) /* Pillow 9.4 Resample.c: 8 bits of pixel, 2 of head room                         \
                  */
typedef struct twi_taps {
    size_t n;         /* outputs */
    size_t stride;    /* weights an output has room for, a multiple of 4 */
    size_t *first;    /* [n] */
    size_t *count;    /* [n] */
    int32_t *weights; /* [n, stride] */
    int16_t *high,
        *low; /* [n, stride]: weight = high * 2048 + low, 0 <= low < 2048; see resample_avx2.c */
} twi_taps;

#define TWI_SPLIT_BITS 11
#define TWI_SPLIT_TAPS 4096 /* with this many taps 255 * 2047 * taps still fits 31 bits */

#define TWI_RESAMPLE_ROWS 4
/* Rows that kernels write have this many bytes behind them that may be written too. */
#define TWI_RESAMPLE_SLACK 32

typedef struct twi_resample_kernels {
    /* Resamples TWI_RESAMPLE_ROWS rows along x: src[r] [in width, channels] -> dst[r]
     * [taps->n, channels]. From each src[r] on, readable bytes may be read: a row and what follows
     * it in memory. */
    void (*rows)(const uint8_t *const src[TWI_RESAMPLE_ROWS], size_t readable, unsigned channels,
                 const twi_taps *taps, uint8_t *const dst[TWI_RESAMPLE_ROWS]);
    /* Samples [from, to) of output row i: dst[x] = clip(sum over j of weights[j] * src[j][x]). */
    void (*column)(const uint8_t *const *src, const twi_taps *taps, size_t i, size_t from,
                   size_t to, uint8_t *dst);
} twi_resample_kernels;

extern const twi_resample_kernels twi_resample_ref;
#if defined(__x86_64__)
extern const twi_resample_kernels twi_resample_avx2; /* only where the processor has AVX2 */
#endif

/* The fastest table this processor can run; all give the same bits. */
const twi_resample_kernels *twi_resample_pick(void);

#endif
