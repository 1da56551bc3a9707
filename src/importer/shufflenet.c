/* shufflenet.c - ShuffleNet V2: Ma et al. (2018), arXiv:1807.11164, torchvision's names. Widths are
 * the weights'. */
#include "importer/builder.h"

static const twi_style relu = {1e-5, TWI_RELU, false}, plain = {1e-5, TWI_NO_ACT, false};
static const twi_taps one = {.kernel = 1, .stride = 1};

static uint32_t unit(twi_builder *b, uint32_t in, const char *branch, size_t module, twi_taps taps)
{
    const bool depthwise = taps.groups == TWI_DEPTHWISE;
    return twi_build_conv_norm(b, in, twi_name("%s.%zu", branch, module).text,
                               twi_name("%s.%zu", branch, module + 1).text, taps,
                               depthwise ? plain : relu);
}

/* Half of the channels go through, or at a stride both ways change all of them. */
static uint32_t block(twi_builder *b, uint32_t in, const char *name, size_t stride)
{
    const twi_taps depthwise = {.kernel = 3, .stride = stride, .pad = 1, .groups = TWI_DEPTHWISE};
    const twi_layer_name left = twi_name("%s.branch1", name), right = twi_name("%s.branch2", name);
    uint32_t parts[2] = {in, in};
    if (stride == 1) {
        const size_t half = twi_builder_channels(b, in) / 2;
        parts[0] = twi_build_channel_slice(b, in, 0, half);
        parts[1] = twi_build_channel_slice(b, in, half, 2 * half);
    } else {
        parts[0] = unit(b, parts[0], left.text, 0, depthwise);
        parts[0] = unit(b, parts[0], left.text, 2, one);
    }
    parts[1] = unit(b, parts[1], right.text, 0, one);
    parts[1] = unit(b, parts[1], right.text, 3, depthwise);
    parts[1] = unit(b, parts[1], right.text, 5, one);
    const uint32_t joined = twi_build_join(b, 2, parts);
    const twi_node node = {
        .op = TWI_OP_CHANNEL_SHUFFLE, .n_inputs = 1, .inputs = &joined, .groups = 2};
    return twi_build_node(b, &node,
                          (struct twi_extent){.channels = twi_builder_channels(b, joined)});
}

/* sizes: blocks of each stage. */
tw_status twi_shufflenet_build(tw_ctx *ctx, const twi_architecture *self,
                               const twi_weights *weights, twi_network **out)
{
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    uint32_t at = unit(&b, 0, "conv1", 0, (twi_taps){.kernel = 3, .stride = 2, .pad = 1});
    at = twi_build_pool(&b, at, (twi_taps){.kernel = 3, .stride = 2, .pad = 1});
    for (size_t stage = 0; self->sizes[stage] > 0; stage++)
        for (size_t i = 0; i < self->sizes[stage]; i++)
            at = block(&b, at, twi_name("stage%zu.%zu", stage + 2, i).text, i == 0 ? 2 : 1);
    at = unit(&b, at, "conv5", 0, one);
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, "fc"), out);
}
