/* dataset.h - the room's own door: the tw_dataset functions of topwork.h are implemented in this
 * room; what follows is for the rooms above. */
#ifndef TWI_DATASET_DATASET_H
#define TWI_DATASET_DATASET_H

#include "dataset/split.h"

/* Labels of all pictures [tw_dataset_count()], borrowed. */
const uint32_t *twi_dataset_labels(const tw_dataset *dataset);
/* The group of each picture [tw_dataset_count()], borrowed, and how many there are; NULL: the data
 * set names none. */
const uint32_t *twi_dataset_groups(const tw_dataset *dataset, size_t *n_groups);
/* The path of picture i relative to the folder or manifest that was opened, borrowed: what a model
 * file remembers (never an absolute path). */
const char *twi_dataset_relative_path(const tw_dataset *dataset, size_t i);
/* True when the folder or manifest names the parts itself: at least one photo is in val or test. A
 * folder with only train/ in it has none, and is split as any other. */
bool twi_dataset_has_parts(const tw_dataset *dataset);
/* TW_ERR_DATA, with its name, when a class has one photo only: twi_split() knows classes by number.
 */
tw_status twi_dataset_check_stratified(tw_ctx *ctx, const tw_dataset *dataset);

/* A data set of photos known otherwise: label [n] in [0, n_classes), part [n] train or test, paths
 * [n] relative. Texts are copied. */
typedef struct twi_known_photos {
    const char *const *classes; /* [n_classes] in byte order */
    size_t n_classes;
    const char *const *paths; /* [n] */
    const uint32_t *label;
    const tw_part *part;
    size_t n;
} twi_known_photos;
tw_status twi_dataset_of(tw_ctx *ctx, const twi_known_photos *photos, tw_dataset **out);

#endif
