/* network.h - the graph: operators, shape rules, folding and fusion. Nothing here computes a
 * picture.
 *
 * A network is a list of nodes in topological order; node 0 is the input. Shapes are of one
 * picture, without the batch: a feature map is [channels, height, width], a vector is [features].
 * Weights are tensors by name, in the layouts of PyTorch: convolution [out, in / groups, kernel h,
 * kernel w], dense [out, in]. */
#ifndef TWI_NETWORK_NETWORK_H
#define TWI_NETWORK_NETWORK_H

#include "base/json.h"
#include "base/tensor.h"

typedef enum twi_op {
    TWI_OP_INPUT,
    TWI_OP_CONV,       /* params: weight, bias (may be NULL) */
    TWI_OP_BATCH_NORM, /* params: scale, shift, mean, variance; folded for inference */
    TWI_OP_RELU,
    TWI_OP_MAX_POOL,
    TWI_OP_AVG_POOL,
    TWI_OP_GLOBAL_AVG_POOL, /* [c, h, w] -> [c] */
    TWI_OP_GLOBAL_MAX_POOL,
    TWI_OP_DENSE,   /* params: weight, bias (may be NULL) */
    TWI_OP_ADD,     /* two inputs of one shape */
    TWI_OP_CONCAT,  /* along channels */
    TWI_OP_FLATTEN, /* [c, h, w] -> [h * w * c] (nhwc: Keras) or [c * h * w] (torch) */
    TWI_OP_SOFTMAX, /* of a vector */
    TWI_OP_COUNT
} twi_op;

enum {
    TWI_PARAM_WEIGHT = 0,
    TWI_PARAM_BIAS = 1, /* conv, dense */
    TWI_PARAM_SCALE = 0,
    TWI_PARAM_SHIFT = 1,
    TWI_PARAM_MEAN = 2,
    TWI_PARAM_VARIANCE = 3, /* batch norm */
    TWI_PARAMS = 4
};

#define TWI_NO_NODE UINT32_MAX

typedef struct twi_window { /* of convolutions and pools; [0] is height, [1] is width */
    size_t kernel[2], stride[2], dilation[2];
    size_t pad_begin[2], pad_end[2];
    bool ceil_mode;         /* pools: a last window may start inside but end outside */
    bool count_include_pad; /* average pools */
} twi_window;

typedef struct twi_node {
    twi_op op;
    const char *name; /* unique; owned by the network */
    size_t n_inputs;
    const uint32_t *inputs;               /* earlier nodes; owned by the network */
    const twi_tensor *params[TWI_PARAMS]; /* in the network's weights; unused ones NULL */
    twi_window window;
    size_t groups;  /* convolution; 1 */
    double epsilon; /* batch norm */
    bool nhwc;      /* flatten */
    /* Set only by twi_network_for_inference(): out = relu?(op(input) + bias + value of add_node).
     */
    bool fused_relu;
    uint32_t fused_add; /* an earlier node, or TWI_NO_NODE */
} twi_node;

typedef struct twi_shape {
    size_t rank; /* 3: [c, h, w]; 1: [features] */
    size_t dims[3];
} twi_shape;

typedef struct twi_network {
    twi_node *nodes;
    size_t n, capacity;
    size_t input_channels;
    uint32_t feature; /* the node whose value, pooled, is the features */
    uint32_t logits;  /* the classifier's raw scores, or TWI_NO_NODE */
    twi_tensors weights;
    twi_arena memory; /* names, input lists */
} twi_network;

/* A network with only its input node ("input"). */
tw_status twi_network_new(tw_ctx *ctx, size_t input_channels, twi_network **out);
void twi_network_free(twi_network *network);

/* Appends a copy of proto (name, inputs copied; params must be in network->weights; fused fields
 * ignored) and gives its index (id may be NULL). Checks arity, name, that inputs exist and what
 * params and attributes owe each other; shapes are checked by twi_network_shapes(). Left 0,
 * dilation and groups are 1, and so is a convolution's stride; its kernel is its weight's. Pools
 * must say kernel and stride. All tensors must be in weights before the first node that uses one is
 * added: the list moves when it grows (refused when seen). A batch norm's scale and shift may be
 * NULL. */
tw_status twi_network_add(tw_ctx *ctx, twi_network *network, const twi_node *proto, uint32_t *id);

/* Shapes [network->n] for an input of height x width. Errors name the layer, what came in and what
 * it needs. */
tw_status twi_network_shapes(tw_ctx *ctx, const twi_network *network, size_t height, size_t width,
                             twi_shape *shapes);

/* What to compute. */
typedef enum twi_output {
    TWI_OUTPUT_AVG,          /* features, global average */
    TWI_OUTPUT_MAX,          /* features, global maximum */
    TWI_OUTPUT_FLAT,         /* features, flattened NHWC */
    TWI_OUTPUT_LOGITS,       /* raw class scores */
    TWI_OUTPUT_PROBABILITIES /* softmax of them */
} twi_output;

/* A new network whose last node is output, with what does not lead there removed, batch norm folded
 * into convolutions, ReLU and residual sums fused. Folded weights are float32, its own; others are
 * borrowed, so network must outlive it. A batch norm that follows no convolution or dense layer of
 * its own becomes a 1 x 1 depthwise convolution, so none is left. fuse false: only cut and pooled,
 * batch norm and all (for tests). network must not come from this function. TW_ERR_UNSUPPORTED: no
 * classifier. */
tw_status twi_network_for_inference(tw_ctx *ctx, const twi_network *network, twi_output output,
                                    bool fuse, twi_network **out);

/* The "graph" object of a bundle: nodes with their attributes and the names of their tensors; and
 * back, over weights (taken over on success: *weights is left empty). Everything is checked: order,
 * arity, ranges, tensors present and of the right rank; unknown operators are all named at once
 * (TW_ERR_UNSUPPORTED). */
twi_json *twi_network_to_json(const twi_network *network);
tw_status twi_network_from_json(tw_ctx *ctx, const char *name, const twi_json *graph,
                                twi_tensors *weights, twi_network **out);

const char *twi_op_name(twi_op op); /* "conv" */

#endif
