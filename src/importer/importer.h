/* importer.h - foreign weights, or a foreign graph with them, to a backbone file. Built into the
 * program topwork-import only.
 *
 * A file goes reader -> architecture -> backbone file. Readers hand over every file's weights in
 * one convention, so that an architecture never asks where they came from, except for the names of
 * the layers. */
#ifndef TWI_IMPORTER_IMPORTER_H
#define TWI_IMPORTER_IMPORTER_H

#include "network/network.h"

/* Whose layer names the weights carry. */
typedef enum twi_convention {
    TWI_TORCHVISION, /* "layer1.0.conv1" */
    TWI_KERAS,       /* "block1_conv1" */
    TWI_CONVENTIONS
} twi_convention;

/* Foreign weights as "<layer>.weight", ".bias", ".running_mean", ".running_var" in PyTorch's
 * layouts: convolution [out, in, height, width], dense [out, in]. Data is borrowed from memory it
 * owns. Zero-initialise. */
typedef struct twi_weights {
    twi_tensors tensors;
    twi_convention convention;
    size_t side; /* of the pictures the network is built for (its recipe's height): padding and
                  * windows of some networks depend on it. 0: 224 */
    const char *format;    /* "safetensors", "keras-hdf5"; static */
    struct twi_plan *plan; /* builders list layers here instead of making a network; NULL: they make
                            * it */
    bool numbered; /* layers are called by class and number ("conv2d_7"): see importer/order.h */
    char *classes; /* class names that the file itself carries, one a line; NULL: none */
    void *owner;   /* what keeps the data alive */
    void (*release)(void *owner);
} twi_weights;
void twi_weights_free(twi_weights *weights); /* zeroes it */

typedef struct twi_weights_reader { /* a row of the table in readers.c */
    const char *format;
    bool (*recognises)(const unsigned char *data, size_t size); /* of the whole file */
    tw_status (*read)(tw_ctx *ctx, const char *path, twi_weights *out);
} twi_weights_reader;

/* Reads path with the first reader that recognises it. TW_ERR_UNSUPPORTED: none does. */
tw_status twi_weights_read(tw_ctx *ctx, const char *path, twi_weights *out);

typedef struct twi_architecture { /* a row of the table in architectures.c */
    const char *name;             /* "vgg16" */
    const char *description;      /* one line */
    /* JSON text of the default recipe (the image room's twi_recipe_from_json() keys) for weights of
     * each convention; NULL: such files are not known for it. */
    const char *recipes[TWI_CONVENTIONS];
    tw_status (*build)(tw_ctx *ctx, const struct twi_architecture *self, const twi_weights *weights,
                       twi_network **out);
    const size_t
        *sizes;     /* what build needs to know: layers a block, blocks a stage; 0-terminated */
    size_t variant; /* of a family, in the words of its build function */
} twi_architecture;
const twi_architecture *twi_architecture_find(const char *name); /* NULL: none */
const twi_architecture *twi_architecture_at(size_t i);           /* NULL past the end */

typedef struct twi_import_opts {
    const char *arch;    /* required for weight files, which hold no graph; NULL for ONNX models */
    const char *feature; /* ONNX: the node or value whose value is the features; NULL: found */
    const char *name;    /* of the backbone; NULL: arch, or the ONNX file's */
    const char
        *dtype; /* "f32": as they came (F64 as F32); "f16": matrices in half precision; NULL: f32 */
    const char *recipe_json; /* overrides single keys of the architecture's recipe; NULL: none */
    const char *labels_path; /* class names, one a line; NULL: what the file itself carries */
} twi_import_opts;

/* Reads path, builds the network, checks every weight (missing, extra, misshapen, not finite:
 * named), writes the backbone file. Same inputs, same bytes: the file holds no path, time or host.
 */
tw_status twi_import(tw_ctx *ctx, const char *path, const twi_import_opts *opts,
                     const char *out_path);

typedef struct twi_random_opts {
    const char *arch;
    const char *name; /* of the backbone; NULL: arch */
    double width;     /* channels of the first stage (sapling: 32, resnet18, resnet34: 64), or how
                       * many times the usual number (mobilenet_v2, squeezenet1_1); 0: the usual */
    size_t side;      /* of the pictures, 16 to 1024 */
    size_t classes;   /* of the classifier; 0: none */
    uint32_t seed;
} twi_random_opts;

/* Writes a backbone whose weights were drawn at random, to be trained from nothing. */
tw_status twi_import_random(tw_ctx *ctx, const twi_random_opts *opts, const char *out_path);

#endif
