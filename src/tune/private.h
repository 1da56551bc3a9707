/* private.h - shared by the files of this room: a run of the loop. */
#ifndef TWI_TUNE_PRIVATE_H
#define TWI_TUNE_PRIVATE_H

#include "tune/tune.h"

typedef struct twi_tune_slot { /* one picture of a batch */
    twi_recipe_scratch scratch;
    unsigned char *file;
    size_t capacity;
} twi_tune_slot;

typedef struct twi_tune_ahead twi_tune_ahead;

typedef struct twi_tune_loop {
    tw_ctx *ctx;
    twi_trainer *trainer;
    twi_optimiser *optimiser;
    const twi_tune_photos *photos;
    const twi_tune_opts *opts;
    twi_tune_slot *slots;                /* [batch] */
    float *pictures, *scores, *gradient; /* of one batch */
    float *next;                         /* pictures of the batch that is loaded ahead */
    float *val_scores;                   /* [n_val, k], without a teacher */
    uint32_t *val_labels;                /* [n_val] */
    twi_tune_ahead *ahead;               /* NULL: none is */
    uint32_t *labels, *mixed;            /* [batch] */
    float *share, *weights;              /* [batch], [k] */
    float *shown, *taught; /* with a teacher: its pictures and its answers [batch, k] */
    size_t shown_each;     /* floats of such a picture */
    size_t *order;         /* [n_train] */
    float *values, *best;  /* parameters: for a checkpoint; of the best epoch */
    size_t n_values, each; /* each: floats of a picture */
    size_t epoch, step;    /* epochs done; steps done in the one after them */
    double loss;           /* summed over these steps */
    double rate;           /* the highest */
    double saved;          /* when the last checkpoint was written, or the run began */
    twi_tune_result result;
} twi_tune_loop;

/* Pictures photo [n] into l->pictures, and l->shown; epoch 0: as they are, not varied. */
tw_status twi_tune_load(twi_tune_loop *l, const size_t *photo, size_t n, size_t epoch);
/* Begins to load what the next call of twi_tune_load() will ask for, on half of the threads, beside
 * what the caller does; photo [n] must stay as it is until then. With one thread, with a teacher
 * (whose pictures have one buffer), or where none can be had, nothing happens: loading then waits
 * for its call. */
void twi_tune_load_ahead(twi_tune_loop *l, const size_t *photo, size_t n, size_t epoch);
void twi_tune_load_none(twi_tune_loop *l); /* waits for, and drops, what was begun */

/* One batch forward and backward; epoch: of how the photos are varied. */
tw_status twi_tune_batch(twi_tune_loop *l, const size_t *photo, size_t epoch, double *loss);
void twi_tune_shuffle(twi_tune_loop *l, size_t epoch); /* l->order */
/* Trains nodes from opts->train_from of the epoch on. */
void twi_tune_thaw(twi_tune_loop *l, size_t epoch);

/* range.c: the rate for l, which is left as it was; before the first step. */
tw_status twi_tune_find_rate(twi_tune_loop *l, double *rate);

size_t twi_tune_steps(const twi_tune_loop *l); /* of an epoch */

void twi_tune_gather(const twi_tune_loop *l, float *to); /* the trainer's parameters */
void twi_tune_scatter(const twi_tune_loop *l, const float *from);

tw_status twi_tune_save(twi_tune_loop *l);
tw_status twi_tune_restore(twi_tune_loop *l);

#endif
