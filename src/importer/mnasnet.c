/* mnasnet.c - MNASNet-B1: Tan et al. (2018), arXiv:1807.11626, torchvision's names. Widths are the
 * weights'. */
#include "importer/builder.h"

static const twi_style relu = {1e-5, TWI_RELU, false}, plain = {1e-5, TWI_NO_ACT, false};
static const twi_taps one = {.kernel = 1, .stride = 1};

/* Layers of a list are numbered, activations too: convolution, norm, activation. */
static uint32_t unit(twi_builder *b, uint32_t in, const char *list, size_t module, twi_taps taps,
                     twi_style style)
{
    return twi_build_conv_norm(b, in, twi_name("%s.%zu", list, module).text,
                               twi_name("%s.%zu", list, module + 1).text, taps, style);
}

static uint32_t block(twi_builder *b, uint32_t in, const char *name, size_t kernel, size_t stride)
{
    const twi_taps depthwise = {
        .kernel = kernel, .stride = stride, .pad = kernel / 2, .groups = TWI_DEPTHWISE};
    uint32_t at = unit(b, in, name, 0, one, relu);
    at = unit(b, at, name, 3, depthwise, relu);
    at = unit(b, at, name, 6, one, plain);
    const bool same = stride == 1 && twi_builder_channels(b, at) == twi_builder_channels(b, in);
    return same ? twi_build_sum(b, at, in) : at;
}

tw_status twi_mnasnet_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                            twi_network **out)
{
    static const struct {
        size_t kernel, stride, blocks;
    } stacks[] = {{3, 2, 3}, {5, 2, 3}, {5, 2, 3}, {3, 1, 2}, {5, 2, 4}, {3, 1, 1}};
    const twi_taps three = {.kernel = 3, .stride = 1, .pad = 1, .groups = TWI_DEPTHWISE};
    twi_builder b;
    (void)self;
    twi_builder_start(ctx, weights, &b);
    uint32_t at = unit(&b, 0, "layers", 0, (twi_taps){.kernel = 3, .stride = 2, .pad = 1}, relu);
    at = unit(&b, at, "layers", 3, three, relu);
    at = unit(&b, at, "layers", 6, one, plain);
    for (size_t s = 0; s < TWI_LEN(stacks); s++)
        for (size_t i = 0; i < stacks[s].blocks; i++)
            at = block(&b, at, twi_name("layers.%zu.%zu.layers", s + 8, i).text, stacks[s].kernel,
                       i == 0 ? stacks[s].stride : 1);
    at = unit(&b, at, "layers", 14, one, relu);
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, "classifier.1"), out);
}
