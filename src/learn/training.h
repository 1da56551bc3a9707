/* training.h - samples made ready for a fit: checked, weighted, and as rows with a shift. */
#ifndef TWI_LEARN_TRAINING_H
#define TWI_LEARN_TRAINING_H

#include "learn/rows.h"

typedef struct twi_training {
    twi_rows rows; /* standardised by the kernels as they are read */
    twi_targets targets;
    double *weight;      /* [k] */
    float *shift, *copy; /* buffers behind rows; NULL where not needed */
} twi_training;

/* TW_ERR_DATA: no samples or features, fewer than two classes, a label out of range, a class with
 * no sample. scaler may be NULL. A matrix that fits the cache is copied standardised. */
tw_status twi_training_new(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                           bool balanced, twi_loss loss, twi_training *out);
void twi_training_free(twi_training *training);

/* Whether `fits` fits with a Gram matrix cost less than readings of the rows. */
bool twi_gram_pays(const twi_training *training, size_t fits);

#endif
