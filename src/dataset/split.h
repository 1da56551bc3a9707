/* split.h - scikit-learn's train_test_split and (Stratified)KFold, bit-equal for the same seed.
 * Source: scikit-learn 1.2.1 model_selection/_split.py; semantics 5.3. */
#ifndef TWI_DATASET_SPLIT_H
#define TWI_DATASET_SPLIT_H

#include "base/memory.h"

/* Sizes for n samples. test_size < 1: ceil(test_size * n) test samples; >= 1: that many.
 * TW_ERR_DATA, with scikit-learn's reason, when either part would be empty or too small. */
tw_status twi_split_sizes(tw_ctx *ctx, size_t n, double test_size, size_t *n_train, size_t *n_test);

/* train_test_split(arange(n), test_size=n_test, train_size=n_train, random_state=seed,
 * stratify=labels). labels [n] in [0, classes) or NULL (not stratified). train [n_train], test
 * [n_test]. */
tw_status twi_split(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes, uint32_t seed,
                    size_t n_train, size_t n_test, size_t *train, size_t *test);

/* StratifiedKFold(folds, shuffle, random_state=seed): fold_of [n] gets the fold in which each
 * sample is the test part. labels NULL: KFold. */
tw_status twi_folds(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes, size_t folds,
                    bool shuffle, uint32_t seed, uint32_t *fold_of);

#endif
