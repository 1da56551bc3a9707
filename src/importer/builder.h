/* builder.h - what architectures are written with: each call claims weights by name, checks their
 * shapes and appends one node. Failure is sticky: build on, ask once in twi_builder_finish(). */
#ifndef TWI_IMPORTER_BUILDER_H
#define TWI_IMPORTER_BUILDER_H

#include "importer/importer.h"

typedef struct twi_builder {
    tw_ctx *ctx;
    const twi_weights *weights;
    twi_network *network;
    bool *used;       /* [weights->tensors.n] claimed by a node */
    size_t *channels; /* [network->n] channels or features of each value; 0: depends on the input */
    size_t capacity;  /* of channels */
    tw_status status;
} twi_builder;

typedef struct twi_layer_name {
    char text[96];
} twi_layer_name;

/* A layer's name from its parts. */
twi_layer_name twi_name(const char *format, ...) TWI_PRINTF(1, 2);

typedef struct twi_taps { /* a square window of convolutions and pools */
    size_t kernel, stride, pad;
    size_t out;     /* convolution: channels that come out; 0: what the weight says */
    bool bias;      /* convolution has one */
    bool ceil_mode; /* pool */
} twi_taps;

/* Starts a network for pictures of three channels; builder must be given to twi_builder_finish(),
 * whatever comes. */
void twi_builder_start(tw_ctx *ctx, const twi_weights *weights, twi_builder *builder);

/* True when a weight's name starts with prefix. */
bool twi_builder_has(const twi_builder *builder, const char *prefix);

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

size_t twi_builder_channels(const twi_builder *builder, uint32_t node);

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

#endif
