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

/* The same `repeats` times over, fold_of [repeats, n], with one generator that is seeded once:
 * RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed), or RepeatedKFold
 * where labels is NULL. */
tw_status twi_folds_repeated(tw_ctx *ctx, size_t n, const uint32_t *labels, size_t classes,
                             size_t folds, size_t repeats, uint32_t seed, uint32_t *fold_of);

/* GroupKFold(folds): groups [n] in [0, n_groups), each numbered as it stands among the sorted names
 * and with at least one sample; all samples of a group are in one fold, and folds are about equally
 * large. */
tw_status twi_folds_grouped(tw_ctx *ctx, size_t n, const uint32_t *groups, size_t n_groups,
                            size_t folds, uint32_t *fold_of);

/* GroupShuffleSplit(1, test_size=test_size, random_state=seed): train and test have room for n
 * each; both come in the order of the samples. */
tw_status twi_split_grouped(tw_ctx *ctx, size_t n, const uint32_t *groups, size_t n_groups,
                            double test_size, uint32_t seed, size_t *train, size_t *n_train,
                            size_t *test, size_t *n_test);

#endif
