/* backbone.h - the struct behind tw_backbone, for the files of this room. */
#ifndef TWI_API_BACKBONE_H
#define TWI_API_BACKBONE_H

#include "bundle/bundle.h"
#include "image/image.h"
#include "network/network.h"

struct tw_backbone {
    char *name;
    char digest[72];    /* "sha256:..." */
    twi_bundle *bundle; /* NULL when it lives inside a model, whose bundle holds the weights */
    const twi_json *document; /* borrowed from a bundle, or own_document; "recipe", "graph", ... */
    twi_json *own_document;   /* NULL unless calibrated since it was opened */
    twi_network *network;
    twi_recipe recipe;
    twi_tensors extras; /* tensors of the file that are not weights: "labels" */
    char **labels;      /* [n_labels] or NULL */
    size_t n_labels;
    char *labels_text; /* what labels points into */
};

/* Reads the backbone whose document is document and whose tensors are those of bundle that start
 * with prefix ("" or "backbone."). Nothing is copied: bundle must outlive it. name is for messages.
 */
tw_status twi_backbone_read(tw_ctx *ctx, const char *name, const twi_bundle *bundle,
                            const twi_json *document, const char *prefix, tw_backbone **out);

#define TWI_MODEL_BACKBONE_PREFIX "backbone."

/* The one inside a model's bundle, with the digest that its document states. */
tw_status twi_backbone_embedded(tw_ctx *ctx, const char *path, const twi_bundle *bundle,
                                const twi_json *document, tw_backbone **out);

/* Where backbones are looked for, in order: calls fn with each folder until it returns true. */
tw_status twi_backbone_folders(tw_ctx *ctx, bool (*fn)(void *user, const char *folder), void *user);

/* The file that name is looked up as, fresh memory; NULL: it is not installed. */
tw_status twi_backbone_find(tw_ctx *ctx, const char *name, char **path);

/* The folder of the user's own backbones, whether it is there or not. Fresh memory. */
tw_status twi_backbone_user_folder(tw_ctx *ctx, char **out);

/* What topwork-import --random is asked for; see twi_random_opts of the importer. */
typedef struct twi_draw_opts {
    const char *arch, *name; /* name NULL: arch */
    double width;            /* 0: the usual */
    size_t side, classes;    /* classes 0: no classifier */
    uint32_t seed;
} twi_draw_opts;

/* A backbone whose weights topwork-import drew, by way of a folder beside the path beside, which is
 * gone again. TW_ERR_ARG: an architecture or a width that it does not know. */
tw_status twi_backbone_draw(tw_ctx *ctx, const twi_draw_opts *opts, const char *beside,
                            tw_backbone **out);

#endif
