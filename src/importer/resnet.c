/* resnet.c - residual networks: He et al. (2015), arXiv:1512.03385. Widths are the weights'.
 *
 * torchvision puts a bottleneck's stride on its 3x3 convolution, Keras (like the paper) on the
 * first 1x1 and gives convolutions biases; batch norm's epsilon is 1e-5 in one and 1.001e-5 in the
 * other. */
#include "importer/builder.h"

#include <string.h>

typedef struct residual {
    twi_builder *b;
    bool keras, bottleneck, biases;
    size_t groups; /* of a bottleneck's 3x3 */
    double epsilon;
} residual;

/* Layer names of one block; part 0 is the shortcut. */
static twi_layer_name block_layer(const residual *r, size_t stage, size_t block, size_t part,
                                  const char *kind)
{
    if (r->keras) return twi_name("conv%zu_block%zu_%zu_%s", stage + 1, block + 1, part, kind);
    if (part == 0)
        return twi_name("layer%zu.%zu.downsample.%d", stage, block, kind[0] == 'c' ? 0 : 1);
    return twi_name("layer%zu.%zu.%s%zu", stage, block, kind, part);
}

/* Joins of a block, which have no weights. */
static twi_layer_name block_node(const residual *r, size_t stage, size_t block, const char *what)
{
    return r->keras ? twi_name("conv%zu_block%zu_%s", stage + 1, block + 1, what)
                    : twi_name("layer%zu.%zu.%s", stage, block, what);
}

typedef struct place { /* where in the network a convolution stands */
    size_t stage, block, part;
} place;

static uint32_t conv_norm(const residual *r, uint32_t in, place at, twi_taps taps)
{
    taps.bias = r->biases;
    const uint32_t conv =
        twi_build_conv(r->b, in, block_layer(r, at.stage, at.block, at.part, "conv").text, taps);
    return twi_build_batch_norm(r->b, conv, block_layer(r, at.stage, at.block, at.part, "bn").text,
                                r->epsilon);
}

static uint32_t conv_norm_relu(const residual *r, uint32_t in, place at, twi_taps taps)
{
    const uint32_t norm = conv_norm(r, in, at, taps);
    const twi_layer_name name = twi_name("relu%zu", at.part);
    return twi_build_relu(r->b, norm, block_node(r, at.stage, at.block, name.text).text);
}

/* Two 3x3 convolutions of one width. keep: the width that has to come out; 0: any. */
static uint32_t basic_branch(const residual *r, uint32_t in, place at, size_t stride, size_t keep)
{
    const twi_taps first = {.kernel = 3, .stride = stride, .pad = 1, .out = keep};
    at.part = 1;
    const uint32_t mid = conv_norm_relu(r, in, at, first);
    const twi_taps second = {
        .kernel = 3, .stride = 1, .pad = 1, .out = twi_builder_channels(r->b, mid)};
    at.part = 2;
    return conv_norm(r, mid, at, second);
}

/* 1x1 down, 3x3, 1x1 up. */
static uint32_t bottleneck_branch(const residual *r, uint32_t in, place at, size_t stride,
                                  size_t keep)
{
    const bool early = r->keras && r->groups == 1; /* Keras's ResNeXt strides in the 3x3 too */
    const twi_taps down = {.kernel = 1, .stride = early ? stride : 1};
    const twi_taps wide = {
        .kernel = 3, .stride = early ? 1 : stride, .pad = 1, .groups = r->groups};
    const twi_taps up = {.kernel = 1, .stride = 1, .out = keep};
    at.part = 1;
    in = conv_norm_relu(r, in, at, down);
    at.part = 2;
    in = conv_norm_relu(r, in, at, wide);
    at.part = 3;
    return conv_norm(r, in, at, up);
}

/* relu(branch(in) + shortcut(in)); the shortcut is a 1x1 convolution where shapes differ. Keras's
 * has one at the start of every stage, and so has torchvision's wherever stride or width changes.
 */
static uint32_t residual_block(const residual *r, uint32_t in, place at, size_t stride)
{
    const size_t keep = at.block > 0 ? twi_builder_channels(r->b, in) : 0;
    const uint32_t branch = r->bottleneck ? bottleneck_branch(r, in, at, stride, keep)
                                          : basic_branch(r, in, at, stride, keep);
    const size_t out = twi_builder_channels(r->b, branch);
    uint32_t shortcut = in;
    if (stride != 1 || out != twi_builder_channels(r->b, in) || (r->keras && at.block == 0)) {
        at.part = 0;
        shortcut = conv_norm(r, in, at, (twi_taps){.kernel = 1, .stride = stride, .out = out});
    }
    const twi_layer_name sum = block_node(r, at.stage, at.block, "add");
    /* Keras names the shortcut first, which its order of layers hangs on. */
    const uint32_t added = r->b->plan ? twi_build_add(r->b, shortcut, branch, sum.text)
                                      : twi_build_add(r->b, branch, shortcut, sum.text);
    return twi_build_relu(r->b, added, block_node(r, at.stage, at.block, "out").text);
}

static uint32_t stem(const residual *r, twi_taps taps, bool pool)
{
    taps.bias = r->biases;
    uint32_t at = twi_build_conv(r->b, 0, r->keras ? "conv1_conv" : "conv1", taps);
    at = twi_build_batch_norm(r->b, at, r->keras ? "conv1_bn" : "bn1", r->epsilon);
    at = twi_build_relu(r->b, at, r->keras ? "conv1_relu" : "relu");
    if (!pool) return at;
    /* Keras pads with zeros before it pools; after a ReLU that is the same as leaving padding out.
     */
    return twi_build_max_pool(r->b, at, r->keras ? "pool1_pool" : "maxpool",
                              (twi_taps){.kernel = 3, .stride = 2, .pad = 1});
}

static tw_status build(twi_builder *b, residual *r, const size_t *sizes, twi_taps first, bool pool,
                       twi_network **out)
{
    r->b = b;
    r->keras = b->weights->convention == TWI_KERAS;
    if (r->groups == 0) r->groups = 1;
    r->biases = r->keras && r->groups == 1;
    r->epsilon = r->keras ? 1.001e-5 : 1e-5;
    uint32_t at = stem(r, first, pool);
    for (size_t stage = 1; sizes[stage - 1] > 0; stage++)
        for (size_t block = 0; block < sizes[stage - 1]; block++)
            at = residual_block(r, at, (place){.stage = stage, .block = block},
                                stage > 1 && block == 0 ? 2 : 1);
    const char *const dense = r->keras ? "predictions" : "fc";
    uint32_t logits = TWI_NO_NODE;
    if (twi_builder_has(b, r->keras ? "predictions." : "fc.")) {
        logits = twi_build_global_avg_pool(b, at, "avgpool");
        logits = twi_build_dense(b, logits, dense);
    }
    return twi_builder_finish(b, at, logits, out);
}

static const twi_taps stem7x7 = {.kernel = 7, .stride = 2, .pad = 3};

tw_status twi_resnet_basic_build(tw_ctx *ctx, const twi_architecture *self,
                                 const twi_weights *weights, twi_network **out)
{
    residual r = {.bottleneck = false};
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    return build(&b, &r, self->sizes, stem7x7, true, out);
}

tw_status twi_resnet_bottleneck_build(tw_ctx *ctx, const twi_architecture *self,
                                      const twi_weights *weights, twi_network **out)
{
    residual r = {.bottleneck = true};
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    return build(&b, &r, self->sizes, stem7x7, true, out);
}

/* For small inputs: a 3x3 stem and no pool after it keep four times the pixels. */
tw_status twi_sapling_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                            twi_network **out)
{
    residual r = {.bottleneck = false};
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    return build(&b, &r, self->sizes, (twi_taps){.kernel = 3, .stride = 2, .pad = 1}, false, out);
}

/* Xie et al. (2016), arXiv:1611.05431. variant: groups of the 3x3 convolutions. */
tw_status twi_resnext_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                            twi_network **out)
{
    residual r = {.bottleneck = true, .groups = self->variant};
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    return build(&b, &r, self->sizes, stem7x7, true, out);
}

/* ---- version 2, Keras alone: He et al. (2016), arXiv:1603.05027 ------------------------------ */

static const twi_style v2_style = {1.001e-5, TWI_RELU, false};

/* Norm and activation come first; the stride is on the 3x3 of a stage's last block. */
static uint32_t v2_block(twi_builder *b, uint32_t in, const char *name, bool first, size_t stride)
{
    const twi_taps one = {.kernel = 1, .stride = 1},
                   three = {.kernel = 3, .stride = stride, .pad = 1};
    const uint32_t active = twi_build_act(
        b, twi_build_norm(b, in, twi_name("%s_preact_bn", name).text, v2_style), v2_style.act);
    uint32_t at = twi_build_conv_norm(b, active, twi_name("%s_1_conv", name).text,
                                      twi_name("%s_1_bn", name).text, one, v2_style);
    at = twi_build_conv_norm(b, at, twi_name("%s_2_conv", name).text,
                             twi_name("%s_2_bn", name).text, three, v2_style);
    const twi_taps up = {.kernel = 1, .stride = 1, .bias = true};
    at = twi_build_conv(b, at, twi_name("%s_3_conv", name).text, up);
    uint32_t shortcut = in;
    if (first)
        shortcut = twi_build_conv(
            b, active, twi_name("%s_0_conv", name).text,
            (twi_taps){
                .kernel = 1, .stride = stride, .bias = true, .out = twi_builder_channels(b, at)});
    else if (stride > 1)
        shortcut = twi_build_pool(b, in, (twi_taps){.kernel = 1, .stride = stride});
    return twi_build_sum(b, shortcut, at);
}

tw_status twi_resnet_v2_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                              twi_network **out)
{
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    const twi_taps stem_taps = {.kernel = 7, .stride = 2, .pad = 3, .bias = true};
    uint32_t at = twi_build_conv(&b, 0, "conv1_conv", stem_taps);
    /* Zeros that take part in the maximum: nothing has made these values positive. */
    at = twi_build_pad(&b, at, 1, 1);
    at = twi_build_pool(&b, at, (twi_taps){.kernel = 3, .stride = 2});
    for (size_t stage = 0; self->sizes[stage] > 0; stage++)
        for (size_t block = 1; block <= self->sizes[stage]; block++)
            at = v2_block(&b, at, twi_name("conv%zu_block%zu", stage + 2, block).text, block == 1,
                          block == self->sizes[stage] && self->sizes[stage + 1] > 0 ? 2 : 1);
    at = twi_build_act(&b, twi_build_norm(&b, at, "post_bn", v2_style), v2_style.act);
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, "predictions"), out);
}
