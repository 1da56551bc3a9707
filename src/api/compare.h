/* compare.h - inside tw_compare(): the sets of features, the settings, and the table they end in.
 */
#ifndef TWI_API_COMPARE_H
#define TWI_API_COMPARE_H

#include "api/harvest.h"
#include "api/model.h"
#include "api/parts.h"
#include "features/cache.h"
#include "learn/search.h"

/* One set of features of the training part. */
typedef struct twi_compare_view {
    const char *backbone; /* as asked for: what tw_backbone_open() takes */
    tw_extract_opts extract;
    char *name, *geometry, *resize, *views; /* what they turned out to be */
    const char *pooling;                    /* static */
    twi_harvest harvest;
    tw_precision precision;
    size_t weight_bytes;                    /* of the backbone in a model file */
    unsigned char digest[TWI_DIGEST_BYTES]; /* of the matrix */
} twi_compare_view;

struct tw_comparison {
    twi_compare_view *views; /* [n_views] */
    size_t n_views;
    twi_candidate *candidates; /* [n_candidates] */
    size_t n_candidates, columns;
    double *accuracy; /* [n_candidates, columns] */
    double *seconds;  /* [n_candidates] */
    double test_to_train;
    tw_compare_row *rows; /* [n_rows], the best first */
    size_t *order;        /* [n_rows] their candidates */
    size_t n_rows;
    bool stopped;
};

/* Sorts what is known into rows, with intervals and tests against the first. */
tw_status twi_comparison_rank(tw_ctx *ctx, tw_comparison *c);
/* The name under which something about a setting is remembered: its own key, with a fold and a
 * word. */
twi_key twi_compare_key(const twi_key *setting, size_t fold, const char *what);
/* Fits the best of each kind once on all rows: time and size, unless the cache of ctx knows them.
 * samples: x and d are set here; keys [n_candidates] or NULL. */
tw_status twi_comparison_measure(tw_ctx *ctx, tw_comparison *c, const twi_samples *samples,
                                 const twi_folding *folding, const twi_key *keys);
/* What a model remembers of it. New; NULL: no memory. */
twi_json *twi_comparison_to_json(const tw_comparison *c, size_t folds, size_t repeats);

#endif
