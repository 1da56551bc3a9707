/* importer.h - foreign weights to a backbone file. Built into the program topwork-import only. */
#ifndef TWI_IMPORTER_IMPORTER_H
#define TWI_IMPORTER_IMPORTER_H

#include "network/network.h"

/* Foreign weights by their own names, as they stand in the file; data borrowed from memory it owns. */
typedef struct twi_weights {
    twi_tensors tensors;
    const char *format; /* "safetensors", "keras-hdf5"; static */
    void *owner;        /* what keeps the data alive */
    void (*release)(void *owner);
} twi_weights;
void twi_weights_free(twi_weights *weights);

typedef struct twi_weights_reader { /* a row of the table in readers.c */
    const char *format;
    bool (*recognises)(const void *head, size_t size);
    tw_status (*read)(tw_ctx *ctx, const char *path, twi_weights *out);
} twi_weights_reader;
tw_status twi_weights_read(tw_ctx *ctx, const char *path, twi_weights *out);

typedef struct twi_architecture { /* a row of the table in architectures.c */
    const char *name;        /* "vgg16" */
    const char *description; /* one line */
    const char *recipe;      /* JSON text of the default recipe (image room's twi_recipe_from_json keys) */
    tw_status (*build)(tw_ctx *ctx, const struct twi_architecture *self, const twi_weights *weights,
                       twi_network **out);
    const size_t *sizes;     /* what build needs to know: blocks, widths; zero-terminated */
} twi_architecture;
const twi_architecture *twi_architecture_find(const char *name); /* NULL: none */
const twi_architecture *twi_architecture_at(size_t i);           /* NULL past the end */

typedef struct twi_import_opts {
    const char *arch;      /* required for weight-only files */
    const char *name;      /* of the backbone; NULL: arch */
    const char *dtype;     /* "f32" (as it came) or "f16"; NULL: f32 */
    const char *recipe_json; /* overrides single keys of the architecture's recipe; NULL: none */
    const char *labels_path; /* class names, one a line; NULL: none */
} twi_import_opts;

/* Reads path, builds the network, checks every weight (missing, extra, misshapen: named), writes the backbone file. */
tw_status twi_import(tw_ctx *ctx, const char *path, const twi_import_opts *opts, const char *out_path);

#endif
