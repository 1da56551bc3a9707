/* finetune.h - between the files of tw_model_finetune(). */
#ifndef TWI_API_FINETUNE_H
#define TWI_API_FINETUNE_H

#include "api/course.h"
#include "api/model.h"
#include "api/parts.h"

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

typedef struct twi_finetuning {
    tw_ctx *ctx;
    const tw_dataset *dataset;
    tw_finetune_opts opts;
    twi_parts_opts parts_opts;
    tw_backbone *backbone;
    twi_extractor_opts extract;
    twi_parts parts;
    twi_harvest harvest; /* of the training part */
    tw_report *report;
    uint32_t *y;         /* [harvest.rows] */
    size_t *train, *val; /* rows of harvest */
    size_t n_train, n_val, k;
    double C;
    twi_dense_head head;
    twi_network *network; /* the backbone to its pooled features, and the head */
    uint32_t head_node;
    bool *trained;        /* [network->n] */
    uint32_t *train_from; /* [opts.epochs] first node trained in each; NULL: what trained says */
    tw_precision precision;
    twi_trainer *trainer;
    twi_optimiser *optimiser;
    twi_tune_result result;
    double start, seconds_fit; /* when it began; of the first head and the epochs */
} twi_finetuning;

/* Warns of test photos that the backbone, where it is a model's, was trained on. */
tw_status twi_finetune_seen(twi_finetuning *f);
/* Puts the first head behind the backbone and compiles both for training. */
tw_status twi_finetune_compile(twi_finetuning *f);
/* The model of what was learned, measured on the test part; takes the backbone over. */
tw_status twi_finetune_model(twi_finetuning *f, tw_model **out, tw_report **report);

#endif
