/* mobilenet.c - MobileNet: Howard et al. (2017), arXiv:1704.04861 (Keras alone), V2: Sandler et al.
 * (2018), arXiv:1801.04381, V3: Howard et al. (2019), arXiv:1905.02244. Widths are the weights'.
 *
 * torchvision pads alike on all sides, Keras as TensorFlow does; epsilon is 1e-5 in torchvision's
 * V2 and 0.001 elsewhere. */
#include "importer/builder.h"

#include <stdio.h>

static twi_taps window(size_t kernel, size_t stride, bool keras)
{
    return (twi_taps){.kernel = kernel, .stride = stride, .pad = kernel / 2, .same = keras};
}

static twi_taps depthwise(size_t kernel, size_t stride, bool keras)
{
    twi_taps taps = window(kernel, stride, keras);
    taps.groups = TWI_DEPTHWISE;
    return taps;
}

/* ---- version 1 ------------------------------------------------------------------------------ */

/* conv_preds is a convolution of one pixel. */
static uint32_t pixel_classifier(twi_builder *b, uint32_t at, const char *name)
{
    if (!twi_builder_has(b, twi_name("%s.", name).text)) return TWI_NO_NODE;
    at = twi_build_conv(b, at, name, (twi_taps){.kernel = 1, .stride = 1, .bias = true});
    return twi_build_global_avg_pool(b, at, NULL); /* the mean of one pixel, or of scores */
}

/* sizes: the stride of each depthwise convolution. */
tw_status twi_mobilenet_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                              twi_network **out)
{
    const twi_style relu6 = {0.001, TWI_RELU6, false};
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    uint32_t at = twi_build_conv_norm(&b, 0, "conv1", "conv1_bn", window(3, 2, true), relu6);
    for (size_t i = 1; self->sizes[i - 1] > 0; i++) {
        at = twi_build_conv_norm(&b, at, twi_name("conv_dw_%zu", i).text,
                                 twi_name("conv_dw_%zu_bn", i).text,
                                 depthwise(3, self->sizes[i - 1], true), relu6);
        at = twi_build_conv_norm(&b, at, twi_name("conv_pw_%zu", i).text,
                                 twi_name("conv_pw_%zu_bn", i).text, window(1, 1, true), relu6);
    }
    /* Scores are linear in the pixels, so their mean is the score of the mean. */
    return twi_builder_finish(&b, at, pixel_classifier(&b, at, "conv_preds"), out);
}

/* ---- versions 2 and 3: one block ------------------------------------------------------------ */

typedef struct inverted { /* one inverted residual */
    size_t kernel, stride;
    bool expand, squeeze;
    twi_style style;
    /* Names of convolutions and norms: expansion, depthwise, projection; of the squeeze. */
    twi_layer_name conv[3], norm[3], gate[2];
} inverted;

static uint32_t inverted_block(twi_builder *b, uint32_t in, const inverted *v)
{
    const bool keras = b->weights->convention == TWI_KERAS;
    const twi_activation gates[2] = {TWI_RELU, TWI_HARD_SIGMOID};
    twi_style plain = v->style;
    plain.act = TWI_NO_ACT;
    uint32_t at = in;
    if (v->expand)
        at = twi_build_conv_norm(b, at, v->conv[0].text, v->norm[0].text, window(1, 1, keras),
                                 v->style);
    at = twi_build_conv_norm(b, at, v->conv[1].text, v->norm[1].text,
                             depthwise(v->kernel, v->stride, keras), v->style);
    if (v->squeeze) at = twi_build_squeeze(b, at, v->gate[0].text, v->gate[1].text, gates);
    at = twi_build_conv_norm(b, at, v->conv[2].text, v->norm[2].text, window(1, 1, keras), plain);
    const bool same = v->stride == 1 && twi_builder_channels(b, at) == twi_builder_channels(b, in);
    return same ? twi_build_sum(b, at, in) : at;
}

static void v2_names(inverted *v, bool keras, size_t block)
{
    static const char *const parts[] = {"expand", "depthwise", "project"};
    for (size_t i = 0; i < 3; i++) {
        const twi_layer_name prefix =
            block == 0 ? twi_name("expanded_conv") : twi_name("block_%zu", block);
        const size_t module = v->expand ? i : i - 1;
        if (keras) {
            v->conv[i] = twi_name("%s_%s", prefix.text, parts[i]);
            v->norm[i] = twi_name("%s_%s_BN", prefix.text, parts[i]);
        } else if (i < 2) {
            v->conv[i] = twi_name("features.%zu.conv.%zu.0", block + 1, module);
            v->norm[i] = twi_name("features.%zu.conv.%zu.1", block + 1, module);
        } else {
            v->conv[i] = twi_name("features.%zu.conv.%zu", block + 1, module);
            v->norm[i] = twi_name("features.%zu.conv.%zu", block + 1, module + 1);
        }
    }
}

tw_status twi_mobilenet_v2_build(tw_ctx *ctx, const twi_architecture *self,
                                 const twi_weights *weights, twi_network **out)
{
    static const size_t blocks[] = {1, 2, 3, 4, 3, 3, 1}, strides[] = {1, 2, 2, 2, 1, 2, 1};
    const bool keras = weights->convention == TWI_KERAS;
    const twi_style style = {keras ? 0.001 : 1e-5, TWI_RELU6, false};
    size_t block = 0;
    twi_builder b;
    (void)self;
    twi_builder_start(ctx, weights, &b);
    uint32_t at =
        twi_build_conv_norm(&b, 0, keras ? "Conv1" : "features.0.0",
                            keras ? "bn_Conv1" : "features.0.1", window(3, 2, keras), style);
    for (size_t s = 0; s < TWI_LEN(blocks); s++)
        for (size_t i = 0; i < blocks[s]; i++, block++) {
            inverted v = {.kernel = 3,
                          .stride = i == 0 ? strides[s] : 1,
                          .expand = block > 0,
                          .style = style};
            v2_names(&v, keras, block);
            at = inverted_block(&b, at, &v);
        }
    at = twi_build_conv_norm(&b, at, keras ? "Conv_1" : "features.18.0",
                             keras ? "Conv_1_bn" : "features.18.1", window(1, 1, keras), style);
    const char *dense = !keras                           ? "classifier.1"
                        : twi_builder_has(&b, "Logits.") ? "Logits"
                                                         : "predictions";
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, dense), out);
}

/* ---- version 3 ------------------------------------------------------------------------------ */

typedef struct v3_row { /* kernel, stride, squeeze and excitation, hard swish for ReLU */
    unsigned char kernel, stride, squeeze, swish;
} v3_row;

static const v3_row v3_large[] = {{3, 1, 0, 0}, {3, 2, 0, 0}, {3, 1, 0, 0}, {5, 2, 1, 0},
                                  {5, 1, 1, 0}, {5, 1, 1, 0}, {3, 2, 0, 1}, {3, 1, 0, 1},
                                  {3, 1, 0, 1}, {3, 1, 0, 1}, {3, 1, 1, 1}, {3, 1, 1, 1},
                                  {5, 2, 1, 1}, {5, 1, 1, 1}, {5, 1, 1, 1}},
                    v3_small[] = {{3, 2, 1, 0}, {3, 2, 0, 0}, {3, 1, 0, 0}, {5, 2, 1, 1},
                                  {5, 1, 1, 1}, {5, 1, 1, 1}, {5, 1, 1, 1}, {5, 1, 1, 1},
                                  {5, 2, 1, 1}, {5, 1, 1, 1}, {5, 1, 1, 1}};

static void v3_torchvision_names(inverted *v, size_t block)
{
    size_t module = 0;
    for (size_t i = 0; i < 3; i++) {
        if (i == 0 && !v->expand) continue;
        if (i == 2 && v->squeeze) {
            v->gate[0] = twi_name("features.%zu.block.%zu.fc1", block + 1, module);
            v->gate[1] = twi_name("features.%zu.block.%zu.fc2", block + 1, module++);
        }
        v->conv[i] = twi_name("features.%zu.block.%zu.0", block + 1, module);
        v->norm[i] = twi_name("features.%zu.block.%zu.1", block + 1, module++);
    }
}

/* Keras 2 divides with slashes and says BatchNorm, Keras 3 with underscores and says bn. */
static void v3_keras_names(inverted *v, size_t block, bool slashes)
{
    static const char *const parts[] = {"expand", "depthwise", "project"};
    const char divider = slashes ? '/' : '_';
    const twi_layer_name prefix = block == 0 ? twi_name("expanded_conv%c", divider)
                                             : twi_name("expanded_conv_%zu%c", block, divider);
    for (size_t i = 0; i < 3; i++) {
        v->conv[i] = twi_name("%s%s", prefix.text, parts[i]);
        v->norm[i] = twi_name("%s%s%s", prefix.text, parts[i], slashes ? "/BatchNorm" : "_bn");
    }
    for (size_t i = 0; i < 2; i++)
        v->gate[i] = twi_name("%ssqueeze_excite%c%s%s", prefix.text, divider,
                              slashes ? "Conv" : "conv", i == 0 ? "" : "_1");
}

static uint32_t v3_keras_classifier(twi_builder *b, uint32_t at, bool slashes)
{
    const twi_taps one = {.kernel = 1, .stride = 1, .bias = true};
    if (!twi_builder_has(b, slashes ? "Logits." : "logits.")) return TWI_NO_NODE;
    const twi_node mean = {
        .op = TWI_OP_REDUCE_MEAN, .n_inputs = 1, .inputs = &at, .axes = {2, {1, 2}}};
    at = twi_build_node(b, &mean, (struct twi_extent){twi_builder_channels(b, at), 1});
    at =
        twi_build_act(b, twi_build_conv(b, at, slashes ? "Conv_2" : "conv_2", one), TWI_HARD_SWISH);
    return pixel_classifier(b, at, slashes ? "Logits" : "logits");
}

static uint32_t v3_classifier(twi_builder *b, uint32_t at)
{
    if (!twi_builder_has(b, "classifier.")) return TWI_NO_NODE;
    at = twi_build_dense(b, twi_build_global_avg_pool(b, at, NULL), "classifier.0");
    return twi_build_dense(b, twi_build_act(b, at, TWI_HARD_SWISH), "classifier.3");
}

/* variant: 0 large, 1 small. */
tw_status twi_mobilenet_v3_build(tw_ctx *ctx, const twi_architecture *self,
                                 const twi_weights *weights, twi_network **out)
{
    const bool keras = weights->convention == TWI_KERAS, small = self->variant == 1;
    const v3_row *rows = small ? v3_small : v3_large;
    const size_t n = small ? TWI_LEN(v3_small) : TWI_LEN(v3_large);
    twi_style style = {0.001, TWI_HARD_SWISH, false};
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    const bool slashes = twi_builder_has(&b, "Conv/BatchNorm.");
    uint32_t at = twi_build_conv_norm(&b, 0,
                                      !keras    ? "features.0.0"
                                      : slashes ? "Conv"
                                                : "conv",
                                      !keras    ? "features.0.1"
                                      : slashes ? "Conv/BatchNorm"
                                                : "conv_bn",
                                      window(3, 2, keras), style);
    for (size_t i = 0; i < n; i++) {
        style.act = rows[i].swish ? TWI_HARD_SWISH : TWI_RELU;
        inverted v = {.kernel = rows[i].kernel,
                      .stride = rows[i].stride,
                      .squeeze = rows[i].squeeze != 0,
                      .expand = i > 0,
                      .style = style};
        if (keras)
            v3_keras_names(&v, i, slashes);
        else
            v3_torchvision_names(&v, i);
        at = inverted_block(&b, at, &v);
    }
    style.act = TWI_HARD_SWISH;
    const twi_layer_name last =
        !keras ? twi_name("features.%zu.0", n + 1) : twi_name(slashes ? "Conv_1" : "conv_1");
    const twi_layer_name norm = !keras ? twi_name("features.%zu.1", n + 1)
                                       : twi_name(slashes ? "Conv_1/BatchNorm" : "conv_1_bn");
    at = twi_build_conv_norm(&b, at, last.text, norm.text, window(1, 1, keras), style);
    const uint32_t logits = keras ? v3_keras_classifier(&b, at, slashes) : v3_classifier(&b, at);
    return twi_builder_finish(&b, at, logits, out);
}
