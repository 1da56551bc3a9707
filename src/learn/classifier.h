/* classifier.h - what is learned from features, whole: steps, head and calibration. A scikit-learn
 * Pipeline, in a CalibratedClassifierCV(ensemble=False) where probabilities are calibrated. */
#ifndef TWI_LEARN_CLASSIFIER_H
#define TWI_LEARN_CLASSIFIER_H

#include "learn/calibration.h"
#include "learn/steps.h"

typedef struct twi_classifier {
    size_t k, d; /* classes; features it takes */
    twi_steps steps;
    twi_head *head;
    twi_calibration calibration; /* method NONE: the head's own probabilities */
} twi_classifier;

/* In which fold each sample is tested. */
typedef struct twi_folding {
    const uint32_t *fold_of; /* [n] */
    size_t folds;            /* 0: there are none to be had */
} twi_folding;

/* Fits steps and head on all samples. opts: resolved, without TW_AUTO. Calibration needs decisions
 * of heads that have not seen the sample: folding says how (NULL or 0 folds: TW_ERR_ARG). */
tw_status twi_classifier_fit(tw_ctx *ctx, const twi_samples *samples, const tw_head_opts *opts,
                             const twi_folding *folding, twi_classifier *out);
void twi_classifier_free(twi_classifier *c);

/* Any of the outputs may be NULL. x [n, d] -> prob [n, k]: each row sums to 1; score [n, k]: for
 * ranking; label [n]. Calibrated: score is prob and the label the most probable class, so that the
 * two never disagree; else both are the head's. A head that has no probabilities and is not
 * calibrated answers with the softmax of its scores: they order, they do not tell how often. */
typedef struct twi_answers {
    double *prob, *score;
    uint32_t *label;
} twi_answers;
tw_status twi_classifier_answer(tw_ctx *ctx, const twi_classifier *c, const float *x, size_t n,
                                const twi_answers *out);
/* x [n, d] -> decision [n, head->width] */
tw_status twi_classifier_decide(tw_ctx *ctx, const twi_classifier *c, const float *x, size_t n,
                                double *decision);

/* out [n, k]: scores of every sample by a classifier fitted on the other folds. */
tw_status twi_classifier_out_of_fold(tw_ctx *ctx, const twi_samples *samples,
                                     const tw_head_opts *opts, const twi_folding *folding,
                                     double *out);

/* Tensors "scaler.*", "pca.*", "head.*", "calibration.*" and a JSON object
 * {"type": kind, ..., "steps": {...}, "calibration": {...}}; and back. */
tw_status twi_classifier_save(tw_ctx *ctx, const twi_classifier *c, twi_tensors *tensors,
                              twi_json **json);
tw_status twi_classifier_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                              const twi_json *json, twi_classifier *out);

#endif
