/* convnext.c - ConvNeXt: Liu et al. (2022), arXiv:2201.03545. Widths are the weights'.
 *
 * The features are those that the classifier sees: the global average, normalised. */
#include "importer/builder.h"

#include <string.h>

static const double epsilon = 1e-6;

typedef struct convnext {
    twi_builder *b;
    bool keras;
    twi_layer_name prefix; /* of Keras's layers: "convnext_tiny" */
} convnext;

/* What stands before "_stem_conv": the name that the Keras model had. */
static twi_layer_name find_prefix(const twi_weights *weights)
{
    static const char tail[] = "_stem_conv.weight";
    for (size_t i = 0; i < weights->tensors.n; i++) {
        const char *name = weights->tensors.items[i].name, *at = strstr(name, tail);
        if (at && at[sizeof tail - 1] == '\0' && at - name < 64)
            return twi_name("%.*s", (int)(at - name), name);
    }
    return twi_name("convnext");
}

static uint32_t block(const convnext *c, uint32_t in, size_t stage, size_t i)
{
    twi_builder *b = c->b;
    const size_t channels = twi_builder_channels(b, in);
    const twi_layer_name name = c->keras
                                    ? twi_name("%s_stage_%zu_block_%zu", c->prefix.text, stage, i)
                                    : twi_name("features.%zu.%zu", 2 * stage + 1, i);
    const char *n = name.text;
    const twi_taps seven = {
        .kernel = 7, .stride = 1, .pad = 3, .bias = true, .groups = TWI_DEPTHWISE, .conv2d = true};
    uint32_t at = twi_build_conv(
        b, in, twi_name(c->keras ? "%s_depthwise_conv" : "%s.block.0", n).text, seven);
    at = twi_build_layer_norm(b, at, twi_name(c->keras ? "%s_layernorm" : "%s.block.2", n).text,
                              epsilon);
    at = twi_build_pixel_dense(
        b, at, twi_name(c->keras ? "%s_pointwise_conv_1" : "%s.block.3", n).text, true);
    at = twi_build_act(b, at, TWI_GELU);
    at = twi_build_pixel_dense(
        b, at, twi_name(c->keras ? "%s_pointwise_conv_2" : "%s.block.5", n).text, true);
    const size_t map[] = {channels, 1, 1};
    at = twi_build_with_weight(
        b, at, TWI_OP_MUL_CONSTANT,
        twi_name(c->keras ? "%s_layer_scale.weight" : "%s.layer_scale", n).text, c->keras ? 1 : 3,
        map);
    return twi_build_sum(b, at, in);
}

static uint32_t downsample(const convnext *c, uint32_t in, size_t stage)
{
    const twi_taps halve = {.kernel = 2, .stride = 2, .bias = true};
    const twi_layer_name norm =
        c->keras ? twi_name("%s_downsampling_layernorm_%zu", c->prefix.text, stage - 1)
                 : twi_name("features.%zu.0", 2 * stage);
    const twi_layer_name conv =
        c->keras ? twi_name("%s_downsampling_conv_%zu", c->prefix.text, stage - 1)
                 : twi_name("features.%zu.1", 2 * stage);
    twi_builder_enter(c->b);
    in = twi_build_conv(c->b, twi_build_layer_norm(c->b, in, norm.text, epsilon), conv.text, halve);
    twi_builder_leave(c->b);
    return in;
}

tw_status twi_convnext_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                             twi_network **out)
{
    twi_builder b;
    const convnext c = {&b, weights->convention == TWI_KERAS, find_prefix(weights)};
    const char *p = c.prefix.text;
    const twi_taps patch = {.kernel = 4, .stride = 4, .bias = true};
    twi_builder_start(ctx, weights, &b);
    twi_builder_enter(&b);
    uint32_t at =
        twi_build_conv(&b, 0, c.keras ? twi_name("%s_stem_conv", p).text : "features.0.0", patch);
    at = twi_build_layer_norm(
        &b, at, c.keras ? twi_name("%s_stem_layernorm", p).text : "features.0.1", epsilon);
    twi_builder_leave(&b);
    for (size_t stage = 0; self->sizes[stage] > 0; stage++) {
        if (stage > 0) at = downsample(&c, at, stage);
        for (size_t i = 0; i < self->sizes[stage]; i++) at = block(&c, at, stage, i);
    }
    twi_layer_name norm = twi_name("classifier.0"), dense = twi_name("classifier.2");
    if (c.keras) {
        dense = twi_name("%s_head_dense", p);
        norm = twi_builder_has(&b, twi_name("%s.", dense.text).text)
                   ? twi_name("%s_head_layernorm", p)
                   : twi_builder_numbered(&b, "layer_normalization", 0);
    }
    if (c.keras || twi_builder_has(&b, "classifier.")) {
        at = twi_build_global_avg_pool(&b, at, NULL);
        at = twi_build_layer_norm(&b, at, norm.text, epsilon);
    }
    const bool top = twi_builder_has(&b, twi_name("%s.", dense.text).text);
    const uint32_t logits = top ? twi_build_dense(&b, at, dense.text) : TWI_NO_NODE;
    return twi_builder_finish(&b, at, logits, out);
}
