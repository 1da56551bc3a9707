/* squeezenet.c - SqueezeNet: Iandola et al. (2016), arXiv:1602.07360, and 1.1, the authors' later,
 * cheaper layout; module numbers of torchvision.models.squeezenet1_0 and 1_1. Widths are the
 * weights'. */
#include "importer/builder.h"

static uint32_t conv_relu(twi_builder *b, uint32_t in, const char *name, twi_taps taps)
{
    taps.bias = true;
    const uint32_t conv = twi_build_conv(b, in, name, taps);
    return twi_build_relu(b, conv, twi_name("%s.relu", name).text);
}

/* 1x1 down, then 1x1 and 3x3 beside each other. */
static uint32_t fire(twi_builder *b, uint32_t in, size_t module)
{
    const twi_taps one = {.kernel = 1, .stride = 1}, three = {.kernel = 3, .stride = 1, .pad = 1};
    const uint32_t squeezed = conv_relu(b, in, twi_name("features.%zu.squeeze", module).text, one);
    const uint32_t left =
        conv_relu(b, squeezed, twi_name("features.%zu.expand1x1", module).text, one);
    const uint32_t right =
        conv_relu(b, squeezed, twi_name("features.%zu.expand3x3", module).text, three);
    return twi_build_concat(b, left, right, twi_name("features.%zu", module).text);
}

/* sizes: fires after each pool. */
static tw_status build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                       size_t stem, twi_network **out)
{
    const twi_taps pool = {.kernel = 3, .stride = 2, .ceil_mode = true};
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    uint32_t at = conv_relu(&b, 0, "features.0", (twi_taps){.kernel = stem, .stride = 2});
    size_t module = 2; /* features.1 is the ReLU */
    for (const size_t *fires = self->sizes; *fires > 0; fires++) {
        at = twi_build_max_pool(&b, at, twi_name("features.%zu", module++).text, pool);
        for (size_t i = 0; i < *fires; i++) at = fire(&b, at, module++);
    }
    const uint32_t feature = at;
    uint32_t logits = TWI_NO_NODE;
    if (twi_builder_has(&b, "classifier.")) {
        at = conv_relu(&b, at, "classifier.1", (twi_taps){.kernel = 1, .stride = 1});
        logits = twi_build_global_avg_pool(&b, at, "classifier.3");
    }
    return twi_builder_finish(&b, feature, logits, out);
}

tw_status twi_squeezenet_build(tw_ctx *ctx, const twi_architecture *self,
                               const twi_weights *weights, twi_network **out)
{
    return build(ctx, self, weights, 3, out);
}

tw_status twi_squeezenet_1_0_build(tw_ctx *ctx, const twi_architecture *self,
                                   const twi_weights *weights, twi_network **out)
{
    return build(ctx, self, weights, 7, out);
}
