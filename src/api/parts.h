/* parts.h - which pictures of a data set are trained on and which are measured on: the one rule of
 * train, compare and audit. */
#ifndef TWI_API_PARTS_H
#define TWI_API_PARTS_H

#include "dataset/dataset.h"

typedef struct twi_parts {
    size_t *order; /* [n_train + n_test] pictures of the data set, the training part first */
    size_t n_train, n_test;
    bool given;   /* the data set's own split */
    bool grouped; /* groups were kept apart */
} twi_parts;

typedef struct twi_parts_opts {
    double test_size;
    uint32_t seed;
    bool stratify;
    bool groups; /* keep photos of one group on one side; they then are not stratified */
} twi_parts_opts;

/* TW_ERR_DATA: a part would be empty, a class too small to stratify, groups asked for and none
 * named. */
tw_status twi_parts_make(tw_ctx *ctx, const tw_dataset *dataset, const twi_parts_opts *opts,
                         twi_parts *out);
void twi_parts_free(twi_parts *parts);

/* Folds of rows whose pictures are sample [n], with labels y [n] in [0, k): StratifiedKFold
 * (shuffled) or, with opts->groups, GroupKFold, which is not repeated. *folds is what is wanted and
 * becomes what is possible: no more than the rarest class has rows, or than there are groups; below
 * 2: 0, and no folds. *fold_of is fresh memory [repeats, n]. */
tw_status twi_parts_folds(tw_ctx *ctx, const tw_dataset *dataset, const twi_parts_opts *opts,
                          const size_t *sample, size_t n, const uint32_t *y, size_t k,
                          size_t *folds, size_t repeats, uint32_t **fold_of);

#endif
