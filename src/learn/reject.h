/* reject.h - knowing what it does not know: how familiar a photo's features are, and below what
 * they count as those of no class.
 *
 * Familiarity is the mean cosine between a row and the nearest rows of the training part, taken as
 * the network made them: no scaler, no labels, no head. docs/reject.md compares it with the other
 * scores of the literature; the nearest neighbours are Sun et al.'s (2022). */
#ifndef TWI_LEARN_REJECT_H
#define TWI_LEARN_REJECT_H

#include "learn/learn.h"

typedef struct twi_reject {
    size_t n, d;      /* rows kept, features; n 0: nothing is rejected */
    size_t neighbors; /* whose cosines are averaged */
    float *rows;      /* [n, d] of length 1, each value one of IEEE's halves */
    double accept;    /* share of the classes' photos that was asked for */
    double expected;  /* share the threshold stands for: less where there were too few photos */
    double threshold; /* a familiarity below it: unknown */
    size_t photos;    /* that the threshold was set on */
} twi_reject;

/* Keeps rows of samples and sets the threshold so that accept, in (0, 1), of further rows like them
 * lie at or above it. Each sample's familiarity is taken without itself, so that none vouches for
 * its own. own [n] (may be NULL) gets these. TW_ERR_DATA: fewer than 2 samples, a feature that is
 * not finite. Cancels through twi_progress (stage "fit"). Independent of the thread count. */
tw_status twi_reject_fit(tw_ctx *ctx, const twi_samples *samples, double accept, double *own,
                         twi_reject *out);
void twi_reject_free(twi_reject *reject);

/* familiarity [n] of x [n, d], in [-1, 1] but for rounding. TW_ERR_DATA: a feature that is not
 * finite. */
tw_status twi_reject_score(tw_ctx *ctx, const twi_reject *reject, const float *x, size_t n,
                           double *familiarity);

/* Tensor "reject.rows" and a JSON object, new; and back, hostile. json NULL: nothing is rejected.
 * d: what the model's features number. */
tw_status twi_reject_save(tw_ctx *ctx, const twi_reject *reject, twi_tensors *tensors,
                          twi_json **json);
tw_status twi_reject_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                          const twi_json *json, size_t d, twi_reject *out);

#endif
