/* densenet.c - DenseNet: Huang et al. (2016), arXiv:1608.06993. Widths are the weights'.
 *
 * Keras's convolutions have no biases either; its epsilon is 1.001e-5 and its layers are called
 * conv2_block1_0_bn, pool2_bn, ... */
#include "importer/builder.h"

typedef struct densenet {
    twi_builder *b;
    bool keras;
    twi_style style;
} densenet;

static const twi_taps one = {.kernel = 1, .stride = 1},
                      three = {.kernel = 3, .stride = 1, .pad = 1};

static uint32_t norm_relu(const densenet *d, uint32_t in, const char *norm)
{
    return twi_build_act(d->b, twi_build_batch_norm(d->b, in, norm, d->style.epsilon),
                         d->style.act);
}

static twi_layer_name layer_name(const densenet *d, size_t block, size_t layer, int part,
                                 const char *kind)
{
    if (d->keras)
        return twi_name("conv%zu_block%zu_%d_%s", block + 1, layer,
                        kind[0] == 'b' ? part - 1 : part, kind);
    return twi_name("features.denseblock%zu.denselayer%zu.%s%d", block, layer,
                    kind[0] == 'b' ? "norm" : "conv", part);
}

/* What comes in and what the layer adds, side by side. */
static uint32_t dense_layer(const densenet *d, uint32_t in, size_t block, size_t layer)
{
    uint32_t at = norm_relu(d, in, layer_name(d, block, layer, 1, "bn").text);
    at = twi_build_conv(d->b, at, layer_name(d, block, layer, 1, "conv").text, one);
    at = norm_relu(d, at, layer_name(d, block, layer, 2, "bn").text);
    at = twi_build_conv(d->b, at, layer_name(d, block, layer, 2, "conv").text, three);
    return twi_build_join(d->b, 2, (const uint32_t[]){in, at});
}

static uint32_t transition(const densenet *d, uint32_t at, size_t block)
{
    at = norm_relu(d, at,
                   d->keras ? twi_name("pool%zu_bn", block + 1).text
                            : twi_name("features.transition%zu.norm", block).text);
    at = twi_build_conv(d->b, at,
                        d->keras ? twi_name("pool%zu_conv", block + 1).text
                                 : twi_name("features.transition%zu.conv", block).text,
                        one);
    return twi_build_avg_pool(d->b, at, (twi_taps){.kernel = 2, .stride = 2});
}

/* sizes: layers of each block. */
tw_status twi_densenet_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                             twi_network **out)
{
    const bool keras = weights->convention == TWI_KERAS;
    twi_builder b;
    const densenet d = {&b, keras, {keras ? 1.001e-5 : 1e-5, TWI_RELU, false}};
    twi_builder_start(ctx, weights, &b);
    /* Keras's older files call the stem conv1/conv and conv1/bn. */
    const char *conv = !keras                               ? "features.conv0"
                       : twi_builder_has(&b, "conv1_conv.") ? "conv1_conv"
                                                            : "conv1/conv";
    const char *norm = !keras                             ? "features.norm0"
                       : twi_builder_has(&b, "conv1_bn.") ? "conv1_bn"
                                                          : "conv1/bn";
    uint32_t at = twi_build_conv_norm(&b, 0, conv, norm,
                                      (twi_taps){.kernel = 7, .stride = 2, .pad = 3}, d.style);
    at = twi_build_pool(&b, at, (twi_taps){.kernel = 3, .stride = 2, .pad = 1});
    for (size_t block = 1; self->sizes[block - 1] > 0; block++) {
        for (size_t layer = 1; layer <= self->sizes[block - 1]; layer++)
            at = dense_layer(&d, at, block, layer);
        if (self->sizes[block] > 0) at = transition(&d, at, block);
    }
    at = norm_relu(&d, at, keras ? "bn" : "features.norm5");
    const char *dense = !keras                           ? "classifier"
                        : twi_builder_has(&b, "fc1000.") ? "fc1000"
                                                         : "predictions";
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, dense), out);
}
