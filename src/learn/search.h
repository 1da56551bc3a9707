/* search.h - cross-validation of many settings over several sets of features.
 *
 * What stands before a head is fitted inside each fold. Settings of one kind over one set of
 * features go through a fold together (twi_head_path()), so that Gram matrices, distances and
 * starts are shared. */
#ifndef TWI_LEARN_SEARCH_H
#define TWI_LEARN_SEARCH_H

#include "learn/classifier.h"

/* One set of features of the samples. */
typedef struct twi_view {
    const float *x; /* [n, d] */
    size_t d;
} twi_view;

typedef struct twi_candidate {
    size_t view;
    tw_head_opts opts; /* resolved, without TW_AUTO */
} twi_candidate;

typedef struct twi_search_problem {
    const twi_view *views; /* [n_views] */
    size_t n_views;
    const uint32_t *y; /* [n] in [0, k) */
    size_t n, k;
    const twi_candidate *candidates; /* [n_candidates] */
    size_t n_candidates;
    const uint32_t *fold_of; /* [repeats, n] */
    size_t folds, repeats;
    double until; /* twi_seconds() at which to stop, with halving on the way; 0: never */
    /* May be NULL. Told, from the thread that called, of each accuracy once it is known. */
    void (*learned)(void *user, size_t candidate, size_t fold, double accuracy, double seconds);
    void *user;
} twi_search_problem;

/* accuracy [n_candidates, repeats * folds]: NaN where it was not asked; on entry, what is not NaN
 * is known and not computed again. seconds [n_candidates]: time of fits and tests, added to. A test
 * row whose class the training part of its fold lacks counts as wrong. *stopped (may be NULL): the
 * time ran out before all was known.
 *
 * With `until`, folds are gone through round by round, and after each round only the better half of
 * the candidates goes on (successive halving: Jamieson & Talwalkar 2016), never fewer than four.
 * Stage of progress: "compare". Accuracies do not depend on the number of threads. */
tw_status twi_search_run(tw_ctx *ctx, const twi_search_problem *problem, double *accuracy,
                         double *seconds, bool *stopped);

/* Of the candidates that got furthest, the first of those with the highest mean. */
size_t twi_search_best(const double *accuracy, size_t n_candidates, size_t columns);
/* C or alpha of opts, whichever is TW_AUTO: the one of those its kind is worth trying with that is
 * right most often in cross-validation; without folds (0), 1. */
tw_status twi_search_strength(tw_ctx *ctx, const twi_samples *samples, const twi_folding *folding,
                              tw_head_opts *opts);
/* How many columns of a candidate are known, and their mean. */
size_t twi_search_mean(const double *accuracy, size_t columns, double *mean);

#endif
