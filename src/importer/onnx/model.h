/* model.h - an ONNX file as structs: what it says, not yet what it means. Numbers of fields are
 * those of onnx/onnx.proto (IR 3 to 10). */
#ifndef TWI_IMPORTER_ONNX_MODEL_H
#define TWI_IMPORTER_ONNX_MODEL_H

#include "base/memory.h"
#include "importer/onnx/wire.h"

#define TWI_ONNX_DIMS 8

/* An array of numbers, row-major: integers of any width (and booleans) as int64, floating point of
 * any width as float. Rank 0 is one number. */
typedef struct twi_onnx_const {
    size_t rank, dims[TWI_ONNX_DIMS], count;
    const int64_t *i; /* [count]; NULL: floating point */
    const float *f;   /* [count]; NULL: integers */
    int type;         /* TensorProto.DataType */
} twi_onnx_const;

typedef struct twi_onnx_attribute {
    const char *name;
    float f;
    int64_t i;
    const char *s;
    const int64_t *ints;
    size_t n_ints;
    const float *floats;
    size_t n_floats;
    twi_cursor tensor; /* of a TensorProto; left 0: none */
    twi_cursor graph;  /* of a GraphProto, which is read when it is needed */
} twi_onnx_attribute;

typedef struct twi_onnx_node {
    const char *name, *op, *domain; /* never NULL */
    const char **inputs, **outputs; /* names; "" where an optional one is left out */
    size_t n_inputs, n_outputs;
    twi_onnx_attribute *attributes;
    size_t n_attributes;
} twi_onnx_node;

typedef struct twi_onnx_initializer {
    const char *name;
    twi_cursor tensor; /* TensorProto */
} twi_onnx_initializer;

typedef struct twi_onnx_port { /* an input or output of the graph */
    const char *name;
    int type;
    size_t rank;
    int64_t dims[TWI_ONNX_DIMS]; /* -1: any */
} twi_onnx_port;

typedef struct twi_onnx_property {
    const char *key, *value;
} twi_onnx_property;

typedef struct twi_onnx_model {
    twi_arena memory;
    const char *path;
    int64_t ir_version, opset; /* opset of the default domain */
    twi_onnx_node *nodes;
    twi_onnx_initializer *initializers;
    twi_onnx_port *inputs, *outputs;
    twi_onnx_property *properties;
    size_t n_nodes, n_initializers, n_inputs, n_outputs, n_properties;
    size_t capacity[5];
    struct twi_onnx_model *next; /* branches that were read, one behind the other */
} twi_onnx_model;

/* Strings are copied; tensors stay in data, which must outlive the model. path: for messages and
 * as the place that external data lies beside. */
tw_status twi_onnx_parse(tw_ctx *ctx, const char *path, const void *data, size_t size,
                         twi_onnx_model *out);
void twi_onnx_model_free(twi_onnx_model *model);

/* The graph of a branch, which lives as long as model and shares its path. */
tw_status twi_onnx_parse_branch(tw_ctx *ctx, twi_onnx_model *model, twi_cursor graph,
                                const twi_onnx_model **out);

/* The numbers of a TensorProto, in model->memory. what: its name, for messages. */
tw_status twi_onnx_tensor(tw_ctx *ctx, twi_onnx_model *model, const char *what, twi_cursor tensor,
                          twi_onnx_const *out);

/* NULL: the node has no such attribute. */
const twi_onnx_attribute *twi_onnx_attribute_of(const twi_onnx_node *node, const char *name);
int64_t twi_onnx_int(const twi_onnx_node *node, const char *name, int64_t fallback);
double twi_onnx_float(const twi_onnx_node *node, const char *name, double fallback);
const char *twi_onnx_text(const twi_onnx_node *node, const char *name, const char *fallback);

#endif
