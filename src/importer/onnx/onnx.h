/* onnx.h - an ONNX model as a network and a recipe. */
#ifndef TWI_IMPORTER_ONNX_ONNX_H
#define TWI_IMPORTER_ONNX_ONNX_H

#include "base/json.h"
#include "network/network.h"

/* Whether the bytes at the start of a file are those of an ONNX model. */
bool twi_onnx_recognises(const unsigned char *head, size_t size);

typedef struct twi_onnx_opts {
    const char *feature;  /* a value or node whose value is the features; NULL: found */
    size_t height, width; /* of the input; 0: what the model says, or 224 */
} twi_onnx_opts;

typedef struct twi_onnx_import {
    twi_network *network;
    char *recipe; /* JSON text, every key of one */
    void *model;  /* what network's weights borrow from */
} twi_onnx_import;

/* Reads a model held in memory, which must outlive what comes out. path: for messages, and as the
 * place that external data lies beside. TW_ERR_FORMAT: damaged, or it contradicts itself;
 * TW_ERR_UNSUPPORTED: operators that are not read, all named at once. */
tw_status twi_onnx_read(tw_ctx *ctx, const char *path, const void *data, size_t size,
                        const twi_onnx_opts *opts, twi_onnx_import *out);
void twi_onnx_import_free(twi_onnx_import *import);

#endif
