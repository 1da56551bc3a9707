/* tune.h - the loop: epochs over photos, validation, the best weights so far, checkpoints. */
#ifndef TWI_TUNE_TUNE_H
#define TWI_TUNE_TUNE_H

#include "tune/augment.h"
#include "tune/loss.h"
#include "tune/optimiser.h"
#include "tune/teacher.h"

typedef struct twi_tune_photos {
    const char *(*path)(const void *user, size_t photo);
    const void *user;
    const uint32_t *labels;    /* by photo; NULL with a teacher */
    const size_t *train, *val; /* photos */
    size_t n_train, n_val;     /* both at least 1 */
    size_t k;                  /* classes; with a teacher, its features */
    const twi_recipe *recipe;
    size_t max_pixels;
} twi_tune_photos;

typedef struct twi_tune_epoch {
    size_t epoch, epochs;          /* 0: before the first step */
    double loss;                   /* mean over the epoch's batches, augmented; NaN for epoch 0 */
    double val_loss, val_accuracy; /* twi_calibrated_loss(), or, with a teacher, the mean squared
                                      error; accuracy: NaN with a teacher */
    double rate, photos_per_second, seconds;
    bool best; /* so far */
} twi_tune_epoch;

typedef struct twi_tune_opts {
    uint32_t seed;
    size_t epochs, batch, patience; /* patience: epochs without a better one; 0: all are run */
    double rate, warmup;            /* warmup: share of all steps */
    bool find_rate;                 /* instead of rate: by a range test before the first epoch */
    const uint32_t *train_from;     /* [epochs] the first node trained in each, none above the one
                                       before     it; NULL: 0 */
    double smoothing, mixup;        /* mixup: alpha of its beta distribution; 0: none */
    bool balanced;
    twi_augment_opts augment;
    /* Whose features the outputs are to be, instead of scores: the loss is twi_squared_error() of
     * them, standardised. It sees each photo varied and blended as the trainer sees it, through its
     * own recipe. NULL: labels. */
    twi_teacher *teacher;
    /* A trainer of the same network with stored statistics, to validate with: one with batch
     * statistics would answer by what else is in the batch. NULL: trainer itself. */
    twi_trainer *validator;
    const char *checkpoint;    /* written after each epoch and when cancelled; NULL: none */
    double checkpoint_seconds; /* and within an epoch, when the last is older; 0: not so */
    bool resume;               /* start from it */
    const char *identity;      /* what a checkpoint must have been made with, besides the above */
    /* Told of each epoch; may be NULL. Non-zero: stop, and keep the best. */
    int (*told)(void *user, const twi_tune_epoch *epoch);
    void *user;
} twi_tune_opts;

typedef struct twi_tune_result {
    twi_tune_epoch first, best; /* before the first step; the epoch whose weights are kept */
    size_t epochs;              /* run, in all */
    double rate;                /* the highest, given or found */
} twi_tune_result;

/* Trains trainer, whose output is class scores (or features of a teacher) [batch, k], with
 * optimiser; both of opts->batch. At the end the trainer's parameters are those of the epoch that
 * did best on val (by its loss), which may be epoch 0: those it came with. Where the optimiser
 * averages, averages are what is measured and kept. Equal inputs give equal bits, also when stopped
 * and resumed. TW_ERR_DIVERGED: the loss is not finite. TW_ERR_CANCELLED: through progress (stage
 * "tune" or "validate"); once the first epoch has begun, a checkpoint of that very step is there.
 */
tw_status twi_tune_run(tw_ctx *ctx, twi_trainer *trainer, twi_optimiser *optimiser,
                       const twi_tune_photos *photos, const twi_tune_opts *opts,
                       twi_tune_result *out);

/* Draws a picture of photos (spread over photos->train) as training sees them: one a row, first
 * as the recipe has it, then as epochs 1 to columns - 1 vary it. Writes it to path as PNG. */
tw_status twi_tune_sheet(tw_ctx *ctx, const twi_tune_photos *photos, const twi_tune_opts *opts,
                         size_t rows, size_t columns, const char *path);

/* Measures trainer as it is on photos->val, once: out->val_loss and val_accuracy. A teacher must
 * have been settled, by twi_tune_run(). */
tw_status twi_tune_measure(tw_ctx *ctx, twi_trainer *trainer, const twi_tune_photos *photos,
                           const twi_tune_opts *opts, twi_tune_epoch *out);

#endif
