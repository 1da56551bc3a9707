/* xception.c - Xception: Chollet (2016), arXiv:1610.02357, Keras's names. Widths are the weights'.
 */
#include "importer/builder.h"

static const twi_style relu = {0.001, TWI_RELU, false}, plain = {0.001, TWI_NO_ACT, false};

/* A depthwise 3x3 and a 1x1 right after it, then a norm. */
static uint32_t separable(twi_builder *b, uint32_t in, const char *name, twi_style style)
{
    const twi_taps wide = {.kernel = 3, .stride = 1, .same = true, .groups = TWI_DEPTHWISE};
    const uint32_t at = twi_build_conv(b, in, name, wide);
    return twi_build_conv_norm(b, at, twi_name("%s.pointwise", name).text,
                               twi_name("%s_bn", name).text, (twi_taps){.kernel = 1, .stride = 1},
                               style);
}

/* Two separable convolutions and a pool, beside a 1x1 of stride 2 that nobody named. */
static uint32_t down(twi_builder *b, uint32_t in, size_t block, size_t k)
{
    const twi_taps half = {.kernel = 1, .stride = 2, .same = true};
    const uint32_t shortcut =
        twi_build_conv_norm(b, in, twi_builder_numbered(b, "conv2d", k).text,
                            twi_builder_numbered(b, "batch_normalization", k).text, half, plain);
    uint32_t at = block > 2 ? twi_build_act(b, in, TWI_RELU) : in;
    at = separable(b, at, twi_name("block%zu_sepconv1", block).text, relu);
    at = separable(b, at, twi_name("block%zu_sepconv2", block).text, plain);
    at = twi_build_pool(b, at, (twi_taps){.kernel = 3, .stride = 2, .same = true});
    return twi_build_sum(b, at, shortcut);
}

static uint32_t middle(twi_builder *b, uint32_t in, size_t block)
{
    uint32_t at = in;
    for (size_t i = 1; i <= 3; i++)
        at = separable(b, twi_build_act(b, at, TWI_RELU),
                       twi_name("block%zu_sepconv%zu", block, i).text, plain);
    return twi_build_sum(b, at, in);
}

tw_status twi_xception_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                             twi_network **out)
{
    twi_builder b;
    (void)self;
    twi_builder_start(ctx, weights, &b);
    uint32_t at = twi_build_conv_norm(&b, 0, "block1_conv1", "block1_conv1_bn",
                                      (twi_taps){.kernel = 3, .stride = 2}, relu);
    at = twi_build_conv_norm(&b, at, "block1_conv2", "block1_conv2_bn",
                             (twi_taps){.kernel = 3, .stride = 1}, relu);
    for (size_t block = 2; block <= 4; block++) at = down(&b, at, block, block - 2);
    for (size_t block = 5; block <= 12; block++) at = middle(&b, at, block);
    at = down(&b, at, 13, 3);
    at = separable(&b, at, "block14_sepconv1", relu);
    at = separable(&b, at, "block14_sepconv2", relu);
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, "predictions"), out);
}
