/* network.h - the graph: operators, shape rules, folding and fusion. Nothing here computes a
 * picture.
 *
 * A network is a list of nodes in topological order; node 0 is the input. Shapes are of one
 * picture, without the batch: a feature map is [channels, height, width], a list of tokens is
 * [tokens, features], a vector is [features]. The channel axis is the first of a map and the last
 * of the others. Weights are tensors by name, in the layouts of PyTorch: convolution [out, in /
 * groups, kernel h, kernel w], dense [out, in]. */
#ifndef TWI_NETWORK_NETWORK_H
#define TWI_NETWORK_NETWORK_H

#include "base/json.h"
#include "base/tensor.h"

/* docs/graph.md says what each computes. */
typedef enum twi_op {
    TWI_OP_INPUT,
    TWI_OP_CONV,       /* params: weight, bias (may be NULL) */
    TWI_OP_BATCH_NORM, /* params: scale, shift, mean, variance; folded for inference */
    TWI_OP_RELU,
    TWI_OP_MAX_POOL,
    TWI_OP_AVG_POOL,
    TWI_OP_GLOBAL_AVG_POOL, /* [c, h, w] -> [c]; [tokens, d] -> [d] */
    TWI_OP_GLOBAL_MAX_POOL,
    TWI_OP_DENSE,   /* params: weight, bias (may be NULL); of every token */
    TWI_OP_ADD,     /* two inputs of one shape */
    TWI_OP_CONCAT,  /* axis */
    TWI_OP_FLATTEN, /* [c, h, w] -> [h * w * c] (nhwc: Keras) or [c * h * w] (torch) */
    TWI_OP_SOFTMAX, /* along the last axis */
    /* Activations: one value at a time, of any rank. */
    TWI_OP_CLIP,       /* low, high */
    TWI_OP_LEAKY_RELU, /* alpha */
    TWI_OP_ELU,        /* alpha */
    TWI_OP_PRELU,      /* param: slope, one a channel or one for all */
    TWI_OP_SIGMOID,
    TWI_OP_TANH,
    TWI_OP_HARD_SIGMOID, /* alpha, beta: clip(alpha x + beta, 0, 1) */
    TWI_OP_HARD_SWISH,   /* x clip(x / 6 + 1 / 2, 0, 1) */
    TWI_OP_SILU,         /* x sigmoid(x) */
    TWI_OP_GELU,         /* with erf */
    TWI_OP_GELU_TANH,    /* its approximation */
    TWI_OP_MISH,         /* x tanh(log(1 + exp(x))) */
    TWI_OP_SOFTPLUS,
    TWI_OP_EXP,
    TWI_OP_LOG,
    TWI_OP_ERF,
    TWI_OP_SQRT,
    TWI_OP_ABS,
    TWI_OP_NEG,
    TWI_OP_RECIPROCAL,
    TWI_OP_POW, /* alpha: the exponent */
    /* Arithmetic of two values; the smaller is repeated along axes where it has 1 element, and a
     * vector along all axes but the channels'. */
    TWI_OP_ADD_BROADCAST,
    TWI_OP_SUB,
    TWI_OP_MUL,
    TWI_OP_DIV,
    TWI_OP_MIN,
    TWI_OP_MAX,
    TWI_OP_ADD_CONSTANT, /* param: value, which is repeated like that */
    TWI_OP_MUL_CONSTANT, /* param: value */
    TWI_OP_CONSTANT,     /* no input; param: value */
    /* Normalisation. */
    TWI_OP_LRN,          /* size, alpha, beta, bias; across channels */
    TWI_OP_LAYER_NORM,   /* params: scale, shift (may be NULL); epsilon; along the channel axis */
    TWI_OP_GROUP_NORM,   /* groups; else as layer_norm; over a group's channels, height, width */
    TWI_OP_L2_NORMALISE, /* epsilon; along the channel axis */
    /* Moving values of a map. */
    TWI_OP_PAD,             /* window.pad_begin, pad_end; pad_mode; value */
    TWI_OP_RESIZE,          /* resize; size or scales */
    TWI_OP_DEPTH_TO_SPACE,  /* block, crd */
    TWI_OP_SPACE_TO_DEPTH,  /* block, crd */
    TWI_OP_CHANNEL_SHUFFLE, /* groups */
    TWI_OP_ROLL,            /* shift: cyclic, [height, width] */
    /* Moving values of anything. */
    TWI_OP_SLICE,       /* axis, start, stop (past the end: the end), step */
    TWI_OP_TRANSPOSE,   /* axes: output axis i is input axis axes[i] */
    TWI_OP_RESHAPE,     /* target; one 0 in it: what is left */
    TWI_OP_REDUCE_MEAN, /* axes, which become 1 */
    TWI_OP_REDUCE_MAX,
    /* Transformers. */
    TWI_OP_TOKENS,           /* [c, h, w] -> [h * w, c] */
    TWI_OP_MAP,              /* size: [h * w, c] -> [c, h, w] */
    TWI_OP_PREPEND_TOKEN,    /* param: token [n, d] */
    TWI_OP_TAKE_TOKEN,       /* index: [tokens, d] -> [d] */
    TWI_OP_WINDOW_PARTITION, /* size, grid: [c, h, w] -> [windows * size, c] */
    TWI_OP_WINDOW_REVERSE,   /* the way back; target: [c, h, w] */
    TWI_OP_MATMUL,           /* transpose_a, transpose_b, scale; rank 2, or 3 with a batch first */
    TWI_OP_ATTENTION,        /* q, k, v; heads, scale, tokens; params: bias, mask (may be NULL) */
    TWI_OP_COUNT
} twi_op;

enum {
    TWI_PARAM_WEIGHT = 0,
    TWI_PARAM_BIAS = 1, /* conv, dense */
    TWI_PARAM_SCALE = 0,
    TWI_PARAM_SHIFT = 1, /* layer norm, group norm as well */
    TWI_PARAM_MEAN = 2,
    TWI_PARAM_VARIANCE = 3,       /* batch norm */
    TWI_PARAM_SLOPE = 0,          /* prelu */
    TWI_PARAM_VALUE = 0,          /* add_constant, mul_constant, constant */
    TWI_PARAM_TOKEN = 0,          /* prepend_token */
    TWI_PARAM_ATTENTION_BIAS = 0, /* [heads, queries, keys] of one window */
    TWI_PARAM_ATTENTION_MASK = 1, /* [windows, queries, keys] */
    TWI_PARAMS = 4
};

#define TWI_NO_NODE UINT32_MAX

typedef struct twi_window { /* of convolutions and pools; [0] is height, [1] is width */
    size_t kernel[2], stride[2], dilation[2];
    size_t pad_begin[2], pad_end[2];
    bool ceil_mode;         /* pools: a last window may start inside but end outside */
    bool count_include_pad; /* average pools */
} twi_window;

typedef struct twi_shape {
    size_t rank; /* 3: [c, h, w]; 2: [tokens, features]; 1: [features] */
    size_t dims[3];
} twi_shape;

typedef enum twi_pad_mode { TWI_PAD_CONSTANT, TWI_PAD_REFLECT, TWI_PAD_EDGE } twi_pad_mode;

typedef enum twi_resampling { TWI_RESAMPLE_NEAREST, TWI_RESAMPLE_BILINEAR } twi_resampling;

/* Where in the input output pixel x lies, as ONNX's Resize words it (opset 13); scale = out / in.
 */
typedef enum twi_coordinates {
    TWI_COORDINATES_HALF_PIXEL,    /* (x + 1/2) / scale - 1/2 */
    TWI_COORDINATES_PYTORCH,       /* the same, but 0 when there is 1 output pixel */
    TWI_COORDINATES_ALIGN_CORNERS, /* x (in - 1) / (out - 1) */
    TWI_COORDINATES_ASYMMETRIC     /* x / scale */
} twi_coordinates;

typedef enum twi_rounding { /* of those coordinates, when the filter is nearest */
                            TWI_ROUND_FLOOR,
                            TWI_ROUND_CEIL,
                            TWI_ROUND_PREFER_FLOOR,
                            TWI_ROUND_PREFER_CEIL
} twi_rounding;

/* An activation that fusion hung on another operator. */
typedef struct twi_activation {
    twi_op op;          /* TWI_OP_INPUT: none */
    double alpha, beta; /* clip: low, high */
} twi_activation;

typedef struct twi_node {
    twi_op op;
    const char *name; /* unique; owned by the network */
    size_t n_inputs;
    const uint32_t *inputs;               /* earlier nodes; owned by the network */
    const twi_tensor *params[TWI_PARAMS]; /* in the network's weights; unused ones NULL */
    /* Attributes: what an operator has none of is 0, and so ignored. */
    twi_window window;     /* pad: pad_begin, pad_end alone */
    size_t groups;         /* convolution: 1; channel_shuffle, group_norm */
    double epsilon;        /* norms */
    bool nhwc;             /* flatten */
    double alpha, beta;    /* activations, lrn */
    double low, high;      /* clip */
    double bias;           /* lrn */
    size_t span;           /* lrn: "size", odd */
    double value;          /* pad */
    double scale;          /* matmul, attention: what products are multiplied by */
    twi_pad_mode pad_mode; /* pad */
    twi_resampling filter; /* resize */
    twi_coordinates coordinates;
    twi_rounding rounding;
    size_t size[2];                /* resize (0: see scales), map, windows: [height, width] */
    double scales[2];              /* resize, when size is 0 */
    size_t block;                  /* depth_to_space, space_to_depth */
    bool crd;                      /* the same: channels outermost (PyTorch's pixel_shuffle) */
    long shift[2];                 /* roll */
    size_t axis;                   /* concat, slice */
    size_t start, stop, step;      /* slice */
    twi_shape axes;                /* transpose, reduce: as many axes as rank says */
    twi_shape target;              /* reshape, window_reverse */
    size_t index;                  /* take_token */
    bool grid;                     /* windows: of pixels far apart (Tu et al. 2022, MaxViT) */
    bool transpose_a, transpose_b; /* matmul: swap the last two axes first */
    size_t heads;                  /* attention */
    size_t tokens;                 /* attention: keys that attend to each other; 0: all */
    /* What its value reached on the photos the network was calibrated with: least, greatest; both
     * 0: not known. */
    double observed[2];
    /* Set only by twi_network_for_inference(): out = activation(op(input) + bias + value of
     * fused_add). */
    twi_activation fused;
    uint32_t fused_add; /* an earlier node of the same shape, or TWI_NO_NODE */
    uint32_t origin; /* the node of the network it came from that had this value, or TWI_NO_NODE */
} twi_node;

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

/* shape with as many axes as rank: a vector of a map or of tokens gets axes of 1 element, so that
 * it lies along the channels. false: it has another rank, and is no vector. */
bool twi_shape_align(const twi_shape *shape, size_t rank, twi_shape *out);
/* The shape of a value made of two, each repeated along axes where it has 1 element. false: they do
 * not fit each other. */
bool twi_shape_broadcast(const twi_shape *a, const twi_shape *b, twi_shape *out);
/* The shape of a tensor of 1 to 3 dimensions, as a value. */
twi_shape twi_shape_of_tensor(const twi_tensor *tensor);
bool twi_shape_equal(const twi_shape *a, const twi_shape *b);
size_t
twi_shape_elements(const twi_shape *shape); /* twi_network_shapes() has checked the product */

/* What to compute. Features that are a vector are taken as they are. */
typedef enum twi_output {
    TWI_OUTPUT_AVG,          /* features, global average: over pixels, over tokens */
    TWI_OUTPUT_MAX,          /* features, global maximum */
    TWI_OUTPUT_FLAT,         /* features, flattened NHWC */
    TWI_OUTPUT_LOGITS,       /* raw class scores */
    TWI_OUTPUT_PROBABILITIES /* softmax of them */
} twi_output;

/* The activation that node is: relu, clip and the like; op TWI_OP_INPUT when it is none that can be
 * fused. */
twi_activation twi_activation_of(const twi_node *node);

/* The axis of channels of a value of that rank. */
static inline size_t twi_channel_axis(size_t rank)
{
    return rank == 3 ? 0 : rank - 1;
}

/* A new network whose last node is output, with what does not lead there removed, batch norm folded
 * and constants a channel into convolutions and dense layers, activations (those that
 * twi_activation_of() knows) and residual sums fused. Folded weights are float32, its own; others
 * are borrowed, so network must outlive it. A batch norm that follows no convolution or dense layer
 * of its own becomes a 1 x 1 depthwise convolution, so none is left. fuse false: only cut and
 * pooled, batch norm and all (for tests). network must not come from this function.
 * TW_ERR_UNSUPPORTED: no classifier. */
tw_status twi_network_for_inference(tw_ctx *ctx, const twi_network *network, twi_output output,
                                    bool fuse, twi_network **out);

#define TWI_MAX_LAYERS 64

/* A copy of network whose features are the values of layers [n] (1 to TWI_MAX_LAYERS, different
 * nodes), each pooled as output says (AVG, MAX or FLAT; a vector as it is), one after the other.
 * Weights are borrowed from network; the copy may be freed before a network that
 * twi_network_for_inference() made of it. */
tw_status twi_network_join(tw_ctx *ctx, const twi_network *network, const uint32_t *layers,
                           size_t n, twi_output output, twi_network **out);

/* The node called name. TW_ERR_ARG: none is; the message lists those that are, the nearest names
 * first. */
tw_status twi_network_find(tw_ctx *ctx, const twi_network *network, const char *name,
                           uint32_t *out);

/* Whether network, whose graph was made for inputs of made_for [height, width], means the same for
 * inputs of another size. TW_ERR_UNSUPPORTED: it does not; which layer says so, and which sizes
 * near that it can take. same_padding:
 * its paddings may have come from TensorFlow's "same", which depends on the size. */
tw_status twi_network_check_size(tw_ctx *ctx, const twi_network *network, const size_t made_for[2],
                                 const size_t size[2], bool same_padding);

/* The "graph" object of a bundle: nodes with their attributes and the names of their tensors; and
 * back, over weights (taken over on success: *weights is left empty). Everything is checked: order,
 * arity, ranges, tensors present and of the right rank; unknown operators are all named at once
 * (TW_ERR_UNSUPPORTED). */
twi_json *twi_network_to_json(const twi_network *network);
tw_status twi_network_from_json(tw_ctx *ctx, const char *name, const twi_json *graph,
                                twi_tensors *weights, twi_network **out);

const char *twi_op_name(twi_op op); /* "conv" */

#endif
