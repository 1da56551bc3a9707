/* course.h - what tw_model_finetune() and tw_backbone_pretrain() have in common. */
#ifndef TWI_API_COURSE_H
#define TWI_API_COURSE_H

#include "base/json.h"
#include "topwork/topwork.h"
#include "tune/tune.h"

/* The options that both have, by the names they have there. */
typedef struct twi_course {
    const char *optimiser, *checkpoint;
    size_t epochs, patience, batch;
    uint32_t seed;
    double rate, weight_decay, warmup, smoothing, mixup, average;
    double least_area, jitter, erase, checkpoint_minutes;
    bool balanced, mirror, resume;
} twi_course;

/* Of a tw_finetune_opts or tw_pretrain_opts. */
#define TWI_COURSE_OF(o)                                                                           \
    ((twi_course){.optimiser = (o)->optimiser,                                                     \
                  .checkpoint = (o)->checkpoint,                                                   \
                  .epochs = (o)->epochs,                                                           \
                  .patience = (o)->patience,                                                       \
                  .batch = (o)->batch,                                                             \
                  .seed = (o)->seed,                                                               \
                  .rate = (o)->rate,                                                               \
                  .weight_decay = (o)->weight_decay,                                               \
                  .warmup = (o)->warmup,                                                           \
                  .smoothing = (o)->smoothing,                                                     \
                  .mixup = (o)->mixup,                                                             \
                  .average = (o)->average,                                                         \
                  .least_area = (o)->least_area,                                                   \
                  .jitter = (o)->jitter,                                                           \
                  .erase = (o)->erase,                                                             \
                  .checkpoint_minutes = (o)->checkpoint_minutes,                                   \
                  .balanced = (o)->balanced != 0,                                                  \
                  .mirror = !(o)->no_mirror,                                                       \
                  .resume = (o)->resume != 0})

/* Refuses (TW_ERR_ARG) what cannot be: least_batch photos a step are needed. What the loop and the
 * optimiser check is left to them. */
tw_status twi_course_check(tw_ctx *ctx, const twi_course *course, size_t least_batch);
bool twi_course_sgd(const twi_course *course);
/* What asked means here: bf16 where this machine computes it natively; int8 is refused. */
tw_status twi_course_precision(tw_ctx *ctx, tw_precision asked, tw_precision *out);

twi_optimiser_opts twi_course_optimiser(const twi_course *course, double layer_decay,
                                        size_t threads);
/* For pictures of width x height; who is told, and as whom a checkpoint is, is left open. */
twi_tune_opts twi_course_tune(const twi_course *course, size_t width, size_t height);

tw_epoch twi_course_epoch(const twi_tune_epoch *epoch);

/* Sets in json the options, and what came of them. False: no memory. */
bool twi_course_json(twi_json *json, const twi_course *course, tw_precision precision,
                     const twi_tune_result *result);

#endif
