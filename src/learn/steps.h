/* steps.h - the transformers before a head, in the order of a scikit-learn Pipeline:
 * StandardScaler, PCA, Normalizer, any of which may be left out. */
#ifndef TWI_LEARN_STEPS_H
#define TWI_LEARN_STEPS_H

#include "learn/head.h"
#include "learn/pca.h"

typedef struct twi_steps {
    size_t d, width;   /* features that go in and come out */
    twi_scaler scaler; /* d 0: not a step */
    twi_pca pca;       /* components 0: not a step */
    bool normalise;
} twi_steps;

/* Samples as a head takes them: either copied and transformed, or as they are with the scaler that
 * the head applies as it reads. Borrows from the samples and the steps it was made of. */
typedef struct twi_stepped {
    twi_samples samples;
    const twi_scaler *scaler; /* NULL: nothing is left to do */
    float *copy;              /* behind samples.x; NULL: none */
    uint32_t *labels;         /* behind samples.y; NULL: none */
} twi_stepped;

/* Fits the steps of opts on samples, each on what the one before it made. */
tw_status twi_steps_fit(tw_ctx *ctx, const twi_samples *samples, const tw_head_opts *opts,
                        twi_steps *out);
void twi_steps_free(twi_steps *steps);

/* shifts: the head's. The copy holds the rows of samples in order, so rows is NULL there. */
tw_status twi_steps_prepare(tw_ctx *ctx, const twi_steps *steps, const twi_samples *samples,
                            bool shifts, twi_stepped *out);
void twi_stepped_free(twi_stepped *stepped);

/* x [n, d] -> out [n, width], by all steps. */
tw_status twi_steps_apply(tw_ctx *ctx, const twi_steps *steps, const float *x, size_t n,
                          float *out);
/* Whether what a head that shifts needs of these steps is the scaler alone. */
bool twi_steps_only_shift(const twi_steps *steps);

/* Tensors "scaler.*" and "pca.*", and a JSON object; and back. */
tw_status twi_steps_save(tw_ctx *ctx, const twi_steps *steps, twi_tensors *tensors,
                         twi_json **json);
tw_status twi_steps_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                         const twi_json *json, twi_steps *out);

#endif
