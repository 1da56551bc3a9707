/* loss.h - softmax cross-entropy of a batch, and its gradient. */
#ifndef TWI_TUNE_LOSS_H
#define TWI_TUNE_LOSS_H

#include "base/memory.h"

typedef struct twi_targets {
    const uint32_t *labels; /* [n] below k */
    const uint32_t *mixed;  /* [n] the other picture's label (mixup); NULL: none */
    const float *share;     /* [n] of labels; mixed has the rest. NULL: 1 */
    const float *weights;   /* [k] of classes; NULL: 1 each */
    double smoothing;       /* label smoothing, 0 to below 1 */
} twi_targets;

/* scores [n, k] -> the loss, and its gradient [n, k] by the scores (NULL: not wanted).
 *
 * With t the share of each class in a picture's labels, T = (1 - smoothing) t + smoothing / k and
 * p = softmax(scores), loss = - sum of w T log p / sum of w t, over pictures and classes: with one
 * label a picture PyTorch's CrossEntropyLoss(weight, label_smoothing), with two the loss of Zhang
 * et al. (2018), mixup, section 2. A class of no weight at all is as if its pictures were absent;
 * without any other the loss is 0. */
double twi_cross_entropy(const twi_targets *targets, const float *scores, size_t n, size_t k,
                         float *gradient);

/* The least that twi_cross_entropy() of labels [n] becomes when all scores [n, k] are multiplied by
 * one number of 0 or more, with k / (n + k) as smoothing: Guo et al. (2017), On Calibration of
 * Modern Neural Networks, section 4.2, with targets by Laplace's rule of succession, without which
 * scores that tell all n apart would be worth 0 at any number large enough. It says how well scores
 * tell classes apart, not how sure they are of it. Not finite where a score is not. */
double twi_calibrated_loss(const float *scores, const uint32_t *labels, size_t n, size_t k);

/* outputs, targets [n, d] -> the mean of their squared differences, and its gradient [n, d] by the
 * outputs (NULL: not wanted). Of targets that are standardised, 1 is the loss of who answers their
 * mean, so 1 - loss is the share of their variance that is explained. */
double twi_squared_error(const float *outputs, const float *targets, size_t n, size_t d,
                         float *gradient);

/* 1 / (classes in labels [n] * how often each comes), scaled to a mean of 1 over the pictures:
 * scikit-learn's class_weight="balanced". weights [k]; a class that never comes gets 1. */
void twi_balanced_weights(const uint32_t *labels, size_t n, size_t k, float *weights);

#endif
