/* checkpoint.h - the bytes of a checkpoint. */
#ifndef TWI_TUNE_CHECKPOINT_H
#define TWI_TUNE_CHECKPOINT_H

#include "base/digest.h"
#include "tune/tune.h"

/* Pointers are borrowed from the bytes, and float32 at any address. */
typedef struct twi_checkpoint {
    const unsigned char *identity; /* [TWI_DIGEST_BYTES] of photos and options */
    uint64_t n_values, n_state;
    uint64_t epoch, step; /* epochs done; steps done in the one after them */
    uint64_t steps;       /* the optimiser's */
    double loss;          /* summed over these steps */
    double rate;          /* the highest of the run */
    twi_tune_epoch first, best;
    const unsigned char *values, *best_values; /* [n_values] parameters: now; of the best epoch */
    const unsigned char *state;                /* [n_state] of the optimiser */
} twi_checkpoint;

/* Nothing is believed before size and digest agree: TW_ERR_FORMAT otherwise, and *out stays. name
 * is for messages. */
tw_status twi_checkpoint_parse(tw_ctx *ctx, const char *name, const void *bytes, size_t size,
                               twi_checkpoint *out);

#endif
