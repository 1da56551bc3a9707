/* builder.h - what architectures are written with: each call claims weights by name, checks their
 * shapes and appends one node. Failure is sticky: build on, ask once in twi_builder_finish(). */
#ifndef TWI_IMPORTER_BUILDER_H
#define TWI_IMPORTER_BUILDER_H

#include "importer/importer.h"
#include "importer/order.h"

typedef struct twi_builder {
    tw_ctx *ctx;
    const twi_weights *weights;
    twi_network *network;
    bool *used; /* [weights->tensors.n] claimed by a node */
    struct twi_extent {
        size_t channels; /* or features; 0: depends on the input */
        size_t side;     /* pixels a side of a map; it is square where pictures are */
    } * extents;         /* [network->n] of each value */
    size_t capacity;     /* of extents */
    twi_plan *plan;      /* not NULL: layers are listed, and no network is made */
    tw_status status;
} twi_builder;

typedef struct twi_layer_name {
    char text[96];
} twi_layer_name;

/* A layer's name from its parts. */
twi_layer_name twi_name(const char *format, ...) TWI_PRINTF(1, 2);

typedef struct twi_taps { /* a window of convolutions and pools */
    size_t kernel, stride, pad;
    size_t width, pad_width; /* when it is not square (kernel, pad: height's); width 0: square */
    size_t out;              /* convolution: channels that come out; 0: what the weight says */
    size_t groups;  /* convolution: 0: one; TWI_DEPTHWISE: as many as channels; TWI_GROUPED: what
                     * the weight's shape says */
    bool bias;      /* convolution has one */
    bool ceil_mode; /* pool */
    bool counts;    /* average pool: padding counts */
    /* TensorFlow's "same": pad is ignored, and what is odd of the padding goes to the end. In all
     * ceil(side / stride) windows. */
    bool same;
    bool conv2d; /* convolution: Keras's Conv2D even where it is depthwise */
} twi_taps;
#define TWI_DEPTHWISE (SIZE_MAX - 1)
#define TWI_GROUPED   SIZE_MAX

/* Activations as builders name them. */
#define TWI_NO_ACT     ((twi_activation){.op = TWI_OP_INPUT})
#define TWI_RELU       ((twi_activation){.op = TWI_OP_RELU})
#define TWI_RELU6      ((twi_activation){.op = TWI_OP_CLIP, .beta = 6})
#define TWI_SILU       ((twi_activation){.op = TWI_OP_SILU})
#define TWI_HARD_SWISH ((twi_activation){.op = TWI_OP_HARD_SWISH})
#define TWI_GELU       ((twi_activation){.op = TWI_OP_GELU})
#define TWI_SIGMOID    ((twi_activation){.op = TWI_OP_SIGMOID})
#define TWI_HARD_SIGMOID                                                                           \
    ((twi_activation){.op = TWI_OP_HARD_SIGMOID, .alpha = 1.0 / 6, .beta = 0.5})

typedef struct twi_style { /* what follows a convolution */
    double epsilon;        /* of its batch norm */
    twi_activation act;
    bool unscaled; /* its batch norm has no scale */
} twi_style;

/* Starts a network for pictures of three channels; builder must be given to twi_builder_finish(),
 * whatever comes. */
void twi_builder_start(tw_ctx *ctx, const twi_weights *weights, twi_builder *builder);

/* True when a weight's name starts with prefix. */
bool twi_builder_has(const twi_builder *builder, const char *prefix);

/* The layer that a weight "<layer>.weight" is of whose layer ends in tail, or "". */
twi_layer_name twi_builder_ending(const twi_builder *builder, const char *tail);

/* Each appends a node called name over the values in, and gives its index. */
uint32_t twi_build_conv(twi_builder *b, uint32_t in, const char *name, twi_taps taps);
uint32_t twi_build_batch_norm(twi_builder *b, uint32_t in, const char *name, double epsilon);
uint32_t twi_build_relu(twi_builder *b, uint32_t in, const char *name);
uint32_t twi_build_max_pool(twi_builder *b, uint32_t in, const char *name, twi_taps taps);
uint32_t twi_build_global_avg_pool(twi_builder *b, uint32_t in, const char *name);
uint32_t twi_build_add(twi_builder *b, uint32_t one, uint32_t other, const char *name);
uint32_t twi_build_concat(twi_builder *b, uint32_t one, uint32_t other, const char *name);
uint32_t twi_build_flatten(twi_builder *b, uint32_t in, const char *name, bool nhwc);
uint32_t twi_build_dense(twi_builder *b, uint32_t in, const char *name);

/* Those below name nodes without weights by operator and number ("relu12"). */
uint32_t twi_build_act(twi_builder *b, uint32_t in, twi_activation act); /* TWI_NO_ACT: in */
uint32_t twi_build_avg_pool(twi_builder *b, uint32_t in, twi_taps taps);
uint32_t twi_build_pool(twi_builder *b, uint32_t in, twi_taps taps); /* max */
/* Zeros around a map. */
uint32_t twi_build_pad(twi_builder *b, uint32_t in, size_t begin, size_t end);
uint32_t twi_build_norm(twi_builder *b, uint32_t in, const char *name, twi_style style);
uint32_t twi_build_sum(twi_builder *b, uint32_t one, uint32_t other);
uint32_t twi_build_join(twi_builder *b, size_t n, const uint32_t *parts); /* of channels */
uint32_t twi_build_channel_slice(twi_builder *b, uint32_t in, size_t start, size_t stop);
/* A convolution, a batch norm and an activation. */
uint32_t twi_build_conv_norm(twi_builder *b, uint32_t in, const char *conv, const char *norm,
                             twi_taps taps, twi_style style);
/* in * gate(second(act(first(mean of in)))): Hu et al. (2017), arXiv:1709.01507. first and second
 * are 1x1 convolutions with biases. */
uint32_t twi_build_squeeze(twi_builder *b, uint32_t in, const char *first, const char *second,
                           const twi_activation acts[2]);
/* Along the channels of a map, of tokens or of a vector. */
uint32_t twi_build_layer_norm(twi_builder *b, uint32_t in, const char *name, double epsilon);
/* A dense layer of every pixel of a map: the weight [out, in] as a 1x1 convolution. */
uint32_t twi_build_pixel_dense(twi_builder *b, uint32_t in, const char *name, bool bias);
/* op (add_constant, mul_constant) with the weight called name of shape need [rank] (0: any size),
 * whose dimensions of 1 are left out. */
uint32_t twi_build_with_weight(twi_builder *b, uint32_t in, twi_op op, const char *name,
                               size_t rank, const size_t *need);
/* Global average and, when the file has a weight "<name>....", a dense layer; else TWI_NO_NODE. */
uint32_t twi_build_classifier(twi_builder *b, uint32_t in, const char *name);

/* For what has no function of its own. proto's inputs must be nodes, its params from claims. name
 * NULL: by operator and number. side 0: the first input's. */
uint32_t twi_build_node(twi_builder *b, const twi_node *proto, struct twi_extent extent);
/* The same for a layer with weights. kind: how Keras 3 calls its class in files ("conv2d"); NULL:
 * proto's operator says it. */
uint32_t twi_build_layer(twi_builder *b, const twi_node *proto, struct twi_extent extent,
                         const char *kind);
/* Nothing but a step in twi_builder's plan: a layer of Keras's that has no node here, because its
 * neighbour does its work, between two whose order hangs on how many stand between. */
uint32_t twi_build_pass(twi_builder *b, uint32_t in);
/* What comes between stands in a Sequential of Keras's. */
void twi_builder_enter(twi_builder *b);
void twi_builder_leave(twi_builder *b);
typedef enum twi_form {
    TWI_AS_IS,
    TWI_SQUEEZED, /* without dimensions of 1 */
    TWI_AS_ROWS,  /* without a first dimension, of 1 */
    TWI_AS_KERNEL /* with two dimensions of 1 more at the end */
} twi_form;
/* The weight called name, of shape need [rank] (0 in it: any size), now in the network's list in
 * that form. NULL: not there, or failed before. */
const twi_tensor *twi_builder_claim(twi_builder *b, const char *name, size_t rank,
                                    const size_t *need, twi_form form);
/* The same, checked and taken, but left out of the network: something is computed from it. */
const twi_tensor *twi_builder_expect(twi_builder *b, const char *name, size_t rank,
                                     const size_t *need);
/* 1 / sqrt(features of a head). */
double twi_head_scale(size_t features, size_t heads);
/* Rows [start, start + rows) of the first dimension of weight, which is of the network's list, as a
 * tensor of their own. */
const twi_tensor *twi_builder_rows(twi_builder *b, const char *weight, const char *as, size_t start,
                                   size_t rows);
/* A fresh F32 tensor of the network's own, to be filled through values. */
const twi_tensor *twi_builder_fresh(twi_builder *b, const char *name, size_t rank,
                                    const size_t *dims, float **values);
/* Keras numbers the layers that nobody named, in the order in which they are made, from anywhere
 * on: "conv2d_7" for prefix "conv2d" and k = 2 in a file that starts with "conv2d_5". */
twi_layer_name twi_builder_numbered(const twi_builder *b, const char *prefix, size_t k);
/* Weights whose name starts with prefix belong to what is not used: heads of training alone. */
void twi_builder_ignore(twi_builder *b, const char *prefix);
/* Stops the building with a sentence, unless it has stopped before. */
void twi_builder_fail(twi_builder *b, const char *format, ...) TWI_PRINTF(2, 3);

size_t twi_builder_channels(const twi_builder *builder, uint32_t node);
size_t twi_builder_side(const twi_builder *builder, uint32_t node);

/* Checks that every weight was claimed and hands over the network, or what went wrong first. */
tw_status twi_builder_finish(twi_builder *builder, uint32_t feature, uint32_t logits,
                             twi_network **out);

/* The architectures' build functions. */
tw_status twi_vgg_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                        twi_network **out);
tw_status twi_sapling_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                            twi_network **out);
tw_status twi_resnet_basic_build(tw_ctx *ctx, const twi_architecture *self,
                                 const twi_weights *weights, twi_network **out);
tw_status twi_resnet_bottleneck_build(tw_ctx *ctx, const twi_architecture *self,
                                      const twi_weights *weights, twi_network **out);
tw_status twi_squeezenet_build(tw_ctx *ctx, const twi_architecture *self,
                               const twi_weights *weights, twi_network **out);
typedef tw_status twi_build_fn(tw_ctx *ctx, const twi_architecture *self,
                               const twi_weights *weights, twi_network **out);
twi_build_fn twi_vgg_bn_build, twi_squeezenet_1_0_build, twi_resnext_build, twi_densenet_build,
    twi_googlenet_build, twi_inception_build, twi_shufflenet_build, twi_mnasnet_build,
    twi_mobilenet_build, twi_mobilenet_v2_build, twi_mobilenet_v3_build, twi_efficientnet_build,
    twi_efficientnet_v2_build, twi_regnet_build, twi_convnext_build, twi_vit_build, twi_swin_build,
    twi_resnet_v2_build, twi_xception_build, twi_inception_resnet_build, twi_nasnet_build;

#endif
