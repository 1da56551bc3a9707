/* efficientnet.c - EfficientNet: Tan and Le (2019), arXiv:1905.11946, and V2 (2021),
 * arXiv:2104.00298. Widths are the weights'.
 *
 * torchvision pads alike on all sides, Keras as TensorFlow does. Keras's first version scales and
 * normalises pictures in its graph, by numbers that the weight file has. */
#include "importer/builder.h"

#include <math.h>
#include <string.h>

typedef struct stage_row {
    unsigned char kernel, stride;
    bool expand, fused; /* fused: one 3x3 in place of expansion and depthwise */
} stage_row;

static const stage_row v1_stages[] = {
    {3, 1, false, false}, {3, 2, true, false}, {5, 2, true, false}, {3, 2, true, false},
    {5, 1, true, false},  {5, 2, true, false}, {3, 1, true, false}};
static const stage_row v2_stages[] = {{3, 1, false, true}, {3, 2, true, true},  {3, 2, true, true},
                                      {3, 2, true, false}, {3, 1, true, false}, {3, 2, true, false},
                                      {3, 1, true, false}};

typedef struct block_names {
    twi_layer_name conv[3], norm[3], gate[2]; /* expansion, depthwise, projection; squeeze */
} block_names;

static void keras_names(block_names *n, size_t stage, size_t block, bool v2)
{
    const twi_layer_name p = block < 26
                                 ? twi_name("block%zu%c_", stage + 1, (char)('a' + block))
                                 : twi_name("block%zu%c_", stage + 1, (char)('A' + block - 26));
    n->conv[0] = twi_name("%sexpand_conv", p.text);
    n->norm[0] = twi_name("%sexpand_bn", p.text);
    n->conv[1] = twi_name(v2 ? "%sdwconv2" : "%sdwconv", p.text);
    n->norm[1] = twi_name("%sbn", p.text);
    n->conv[2] = twi_name("%sproject_conv", p.text);
    n->norm[2] = twi_name("%sproject_bn", p.text);
    n->gate[0] = twi_name("%sse_reduce", p.text);
    n->gate[1] = twi_name("%sse_expand", p.text);
}

static void torchvision_names(block_names *n, size_t stage, size_t block, const stage_row *row)
{
    size_t module = 0;
    for (size_t i = 0; i < 3; i++) {
        if (i == 0 && !row->expand) continue;
        if (i == 1 && row->fused) continue;
        if (i == 2 && !row->fused) {
            n->gate[0] = twi_name("features.%zu.%zu.block.%zu.fc1", stage + 1, block, module);
            n->gate[1] = twi_name("features.%zu.%zu.block.%zu.fc2", stage + 1, block, module++);
        }
        n->conv[i] = twi_name("features.%zu.%zu.block.%zu.0", stage + 1, block, module);
        n->norm[i] = twi_name("features.%zu.%zu.block.%zu.1", stage + 1, block, module++);
    }
}

static twi_taps window(size_t kernel, size_t stride, bool keras)
{
    return (twi_taps){.kernel = kernel, .stride = stride, .pad = kernel / 2, .same = keras};
}

static uint32_t build_block(twi_builder *b, uint32_t in, const block_names *n, stage_row row,
                            twi_style style)
{
    const bool keras = b->weights->convention == TWI_KERAS;
    const twi_activation gates[2] = {TWI_SILU, TWI_SIGMOID};
    const twi_taps wide = window(row.kernel, row.stride, keras), one = window(1, 1, keras);
    twi_style plain = style;
    plain.act = TWI_NO_ACT;
    uint32_t at = in;
    if (row.expand)
        at = twi_build_conv_norm(b, at, n->conv[0].text, n->norm[0].text, row.fused ? wide : one,
                                 style);
    if (!row.fused) {
        twi_taps depthwise = wide;
        depthwise.groups = TWI_DEPTHWISE;
        at = twi_build_conv_norm(b, at, n->conv[1].text, n->norm[1].text, depthwise, style);
        at = twi_build_squeeze(b, at, n->gate[0].text, n->gate[1].text, gates);
    }
    const bool alone = row.fused && !row.expand; /* the one convolution of its block */
    at = twi_build_conv_norm(b, at, n->conv[2].text, n->norm[2].text, alone ? wide : one,
                             alone ? style : plain);
    const bool same = row.stride == 1 && twi_builder_channels(b, at) == twi_builder_channels(b, in);
    return same ? twi_build_sum(b, at, in) : at;
}

/* Keras's Normalization layer, and its 1 / sqrt(deviation) after it where the layer was set for
 * ImageNet (keras.applications.efficientnet): y = (x - mean) / max(sqrt(variance), 1e-7) *
 * factor. */
static uint32_t normalise(twi_builder *b)
{
    static const double deviation[3] = {0.229, 0.224, 0.225};
    const size_t three = 3;
    float mean[3], variance[3], *shift, *scale;
    const uint32_t input = 0;
    if (b->plan)
        return twi_build_layer(b,
                               &(twi_node){.op = TWI_OP_MUL_CONSTANT,
                                           .name = "normalization",
                                           .n_inputs = 1,
                                           .inputs = &input},
                               (struct twi_extent){.channels = 3}, "normalization");
    const twi_tensor *m = twi_builder_expect(b, "normalization.running_mean", 1, &three);
    const twi_tensor *v = twi_builder_expect(b, "normalization.running_var", 1, &three);
    const twi_tensor *minus = twi_builder_fresh(b, "normalization.shift", 1, &three, &shift);
    const twi_tensor *times = twi_builder_fresh(b, "normalization.scale", 1, &three, &scale);
    if (b->status != TW_OK) return 0;
    b->status = twi_tensor_floats(b->ctx, m, mean);
    if (b->status == TW_OK) b->status = twi_tensor_floats(b->ctx, v, variance);
    if (b->status != TW_OK) return 0;
    bool set = false;
    for (size_t c = 0; c < 3; c++) set = set || mean[c] != 0 || variance[c] != 1;
    for (size_t c = 0; c < 3; c++) {
        const double root = sqrt((double)variance[c]);
        shift[c] = -mean[c];
        scale[c] = (float)((set ? 1 / sqrt(deviation[c]) : 1) / (root > 1e-7 ? root : 1e-7));
    }
    twi_node node = {.op = TWI_OP_ADD_CONSTANT, .n_inputs = 1, .inputs = &input, .params = {minus}};
    const uint32_t at = twi_build_node(b, &node, (struct twi_extent){.channels = 3});
    node = (twi_node){.op = TWI_OP_MUL_CONSTANT, .n_inputs = 1, .inputs = &at, .params = {times}};
    return twi_build_node(b, &node, (struct twi_extent){.channels = 3});
}

static tw_status build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                       bool v2, twi_network **out)
{
    const bool keras = weights->convention == TWI_KERAS;
    const stage_row *stages = v2 ? v2_stages : v1_stages;
    const twi_style style = {keras || v2 || self->variant == 1 ? 0.001 : 1e-5, TWI_SILU, false};
    size_t stage = 0;
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    uint32_t at = keras && !v2 && twi_builder_has(&b, "normalization.") ? normalise(&b) : 0;
    at = twi_build_conv_norm(&b, at, keras ? "stem_conv" : "features.0.0",
                             keras ? "stem_bn" : "features.0.1", window(3, 2, keras), style);
    for (; self->sizes[stage] > 0; stage++)
        for (size_t i = 0; i < self->sizes[stage]; i++) {
            block_names names;
            stage_row row = stages[stage];
            if (i > 0) row.stride = 1;
            if (keras)
                keras_names(&names, stage, i, v2);
            else
                torchvision_names(&names, stage, i, &row);
            at = build_block(&b, at, &names, row, style);
        }
    const twi_layer_name conv =
                             keras ? twi_name("top_conv") : twi_name("features.%zu.0", stage + 1),
                         norm = keras ? twi_name("top_bn") : twi_name("features.%zu.1", stage + 1);
    at = twi_build_conv_norm(&b, at, conv.text, norm.text, window(1, 1, keras), style);
    return twi_builder_finish(
        &b, at, twi_build_classifier(&b, at, keras ? "predictions" : "classifier.1"), out);
}

/* sizes: blocks of each stage. variant 1: epsilon is 0.001 in torchvision too. */
tw_status twi_efficientnet_build(tw_ctx *ctx, const twi_architecture *self,
                                 const twi_weights *weights, twi_network **out)
{
    return build(ctx, self, weights, false, out);
}

tw_status twi_efficientnet_v2_build(tw_ctx *ctx, const twi_architecture *self,
                                    const twi_weights *weights, twi_network **out)
{
    return build(ctx, self, weights, true, out);
}
