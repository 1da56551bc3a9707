/* store.h - what a data set holds, and how folder.c and manifest.c fill it: add photos in order,
 * examine them, (folders) shuffle them, then finish. */
#ifndef TWI_DATASET_STORE_H
#define TWI_DATASET_STORE_H

#include "dataset/dataset.h"

#include "base/memory.h"

#define TWI_PATH_BYTES_MAX (1u << 20) /* longer than any file system takes */

typedef struct twi_photo { /* 24 bytes: there may be millions */
    const char *path;
    const char *group;      /* NULL: the manifest names none */
    uint32_t relative : 29; /* where in path the part after the opened folder begins */
    uint32_t part : 2;      /* tw_part */
    uint32_t regular : 1;   /* the folder listing said: a regular file */
    uint32_t label;
} twi_photo;

typedef struct twi_skip {
    const char *path, *reason; /* reason: static, or in the arena */
} twi_skip;

struct tw_dataset {
    twi_arena text; /* every path and name */
    twi_photo *photos;
    size_t n_photos, photos_capacity;
    twi_skip *skips;
    size_t n_skips, skips_capacity;
    const char **names; /* [n_classes] in byte order */
    size_t n_classes, names_capacity;
    uint32_t *labels; /* [n_photos], made by twi_store_finish() */
    uint32_t *groups; /* [n_photos] likewise, by sorted names; NULL: there are none */
    size_t n_groups;
    bool has_parts;
};

tw_status twi_store_photo(tw_ctx *ctx, tw_dataset *set, twi_photo photo);
/* reason is kept, not copied. */
tw_status twi_store_skip(tw_ctx *ctx, tw_dataset *set, const char *path, const char *reason);
/* name is kept, not copied; at most UINT32_MAX. */
tw_status twi_store_class(tw_ctx *ctx, tw_dataset *set, const char *name);

/* Looks at photos [from, n_photos): those that are hidden (unless named in a manifest: listed), not
 * regular files, not readable or do not start like a picture move to the skipped ones; the rest
 * close up, in order. */
tw_status twi_store_examine(tw_ctx *ctx, tw_dataset *set, size_t from, bool listed);

/* load_files' order: RandomState(0).shuffle() over photos [from, n_photos). */
tw_status twi_store_shuffle(tw_ctx *ctx, tw_dataset *set, size_t from);

/* Checks what every data set promises (two classes, each with a photo to train on; to_measure: one
 * class, with any photo) and makes labels. */
tw_status twi_store_finish(tw_ctx *ctx, tw_dataset *set, const char *path, bool to_measure);

/* Which class names to keep. wanted [n] sorted; NULL: all. */
typedef struct twi_filter {
    const char **wanted;
    size_t n;
} twi_filter;

bool twi_filter_keeps(const twi_filter *filter, const char *name);
/* TW_ERR_DATA unless every wanted name is among names [n], which are sorted. */
tw_status twi_filter_check(tw_ctx *ctx, const twi_filter *filter, const char *path,
                           const char *const *names, size_t n);

/* Fill set from a folder or a manifest. */
tw_status twi_folder_read(tw_ctx *ctx, const char *path, const twi_filter *filter, tw_dataset *set);
tw_status twi_manifest_read(tw_ctx *ctx, const char *path, const twi_filter *filter,
                            tw_dataset *set);

#endif
