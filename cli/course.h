/* course.h - options of training that finetune and pretrain have in common. */
#ifndef TOPWORK_CLI_COURSE_H
#define TOPWORK_CLI_COURSE_H

#include "session.h"

/* Where they go in a tw_finetune_opts or tw_pretrain_opts. */
typedef struct course {
    double *rate, *warmup, *weight_decay, *smoothing, *mixup, *average, *least_area, *jitter,
        *erase, *checkpoint_minutes, *test_size;
    size_t *epochs, *patience, *batch;
    uint32_t *seed;
    tw_tristate *stratify;
    tw_precision *precision;
    const char **optimiser;
    int *groups, *balanced, *no_mirror, *resume;
} course;

#define COURSE_OF(t)                                                                               \
    ((course){.rate = &(t)->rate,                                                                  \
              .warmup = &(t)->warmup,                                                              \
              .weight_decay = &(t)->weight_decay,                                                  \
              .smoothing = &(t)->smoothing,                                                        \
              .mixup = &(t)->mixup,                                                                \
              .average = &(t)->average,                                                            \
              .least_area = &(t)->least_area,                                                      \
              .jitter = &(t)->jitter,                                                              \
              .erase = &(t)->erase,                                                                \
              .checkpoint_minutes = &(t)->checkpoint_minutes,                                      \
              .test_size = &(t)->test_size,                                                        \
              .epochs = &(t)->epochs,                                                              \
              .patience = &(t)->patience,                                                          \
              .batch = &(t)->batch,                                                                \
              .seed = &(t)->seed,                                                                  \
              .stratify = &(t)->stratify,                                                          \
              .precision = &(t)->precision,                                                        \
              .optimiser = &(t)->optimiser,                                                        \
              .groups = &(t)->groups,                                                              \
              .balanced = &(t)->balanced,                                                          \
              .no_mirror = &(t)->no_mirror,                                                        \
              .resume = &(t)->resume})

/* Writes what was given, and leaves the rest as the library has it. */
void course_read(const options *o, const course *to);

/* *to = from where the option was given. */
void course_number(const options *o, option_id id, double from, double *to);
void course_size(const options *o, option_id id, size_t from, size_t *to);

#endif
