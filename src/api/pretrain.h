/* pretrain.h - between the files of tw_backbone_pretrain(). */
#ifndef TWI_API_PRETRAIN_H
#define TWI_API_PRETRAIN_H

#include "api/course.h"
#include "api/extract.h"
#include "api/parts.h"

typedef struct twi_pretraining {
    tw_ctx *ctx;
    const tw_dataset *dataset; /* NULL: opts.photos, which have no labels */
    tw_pretrain_opts opts;
    tw_precision precision;
    const char **paths; /* [n] borrowed */
    uint32_t *labels;   /* [n]; NULL: none */
    bool *readable;     /* [n] */
    size_t n, n_skipped, k;
    size_t *train, *val, *test; /* photos */
    size_t n_train, n_val, n_test;
    unsigned char (*digests)[TWI_DIGEST_BYTES]; /* [n] of the files */
    tw_backbone *backbone;                      /* drawn, then what was learned */
    tw_backbone *teacher_backbone;              /* NULL: none */
    twi_recipe recipe;
    size_t max_pixels;
    twi_network *network; /* the backbone to its scores, or to a projection on the teacher's */
    twi_teacher *teacher;
    twi_trainer *trainer, *validator;
    twi_optimiser *optimiser;
    twi_tune_result result;
    twi_tune_epoch tested;
} twi_pretraining;

/* pretrain_network.c: the backbone, by way of a folder beside out_path. */
tw_status twi_pretrain_draw(twi_pretraining *p, const char *out_path);

/* pretrain_photos.c: which photos can be read, and which are trained on, validated and tested with.
 */
tw_status twi_pretrain_photos(twi_pretraining *p);

/* pretrain_network.c: opens the teacher, compiles. */
tw_status twi_pretrain_compile(twi_pretraining *p);

/* pretrain_write.c: the backbone file of what was learned. */
tw_status twi_pretrain_write(const twi_pretraining *p, const char *out_path);

#endif
