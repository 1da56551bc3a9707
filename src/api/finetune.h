/* finetune.h - between the files of tw_model_finetune(). */
#ifndef TWI_API_FINETUNE_H
#define TWI_API_FINETUNE_H

#include "api/model.h"
#include "api/parts.h"
#include "tune/tune.h"

/* A head as the last layer of a network, and back. weight [k, d], bias [k]. */
typedef struct twi_dense_head {
    float *weight, *bias;
    size_t k, d;
} twi_dense_head;

/* A logistic regression on rows of x [?, d] (C by cross-validation over fold_of [samples->n]; folds
 * below 2: 1), its scaler folded in. */
tw_status twi_dense_head_fit(tw_ctx *ctx, const twi_samples *samples, const uint32_t *fold_of,
                             size_t folds, double *C, twi_dense_head *out);
void twi_dense_head_free(twi_dense_head *head);
/* The same as a classifier of a model file: of two classes, one row. */
tw_status twi_dense_head_classifier(tw_ctx *ctx, const twi_dense_head *head, twi_classifier *out);

#endif
