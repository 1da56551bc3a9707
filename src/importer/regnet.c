/* regnet.c - RegNet: Radosavovic et al. (2020), arXiv:2003.13678, torchvision's names. Widths and
 * groups are the weights'; blocks with squeeze and excitation are those that have its weights. */
#include "importer/builder.h"

static const twi_style relu = {1e-5, TWI_RELU, false}, plain = {1e-5, TWI_NO_ACT, false};

static uint32_t unit(twi_builder *b, uint32_t in, const char *block, const char *part,
                     twi_taps taps, twi_style style)
{
    return twi_build_conv_norm(b, in, twi_name("%s.%s.0", block, part).text,
                               twi_name("%s.%s.1", block, part).text, taps, style);
}

static uint32_t residual(twi_builder *b, uint32_t in, const char *name, size_t stride, bool y)
{
    const twi_activation gates[2] = {TWI_RELU, TWI_SIGMOID};
    const twi_taps one = {.kernel = 1, .stride = 1};
    const twi_taps wide = {.kernel = 3, .stride = stride, .pad = 1, .groups = TWI_GROUPED};
    uint32_t at = unit(b, in, name, "f.a", one, relu);
    at = unit(b, at, name, "f.b", wide, relu);
    if (y)
        at = twi_build_squeeze(b, at, twi_name("%s.f.se.fc1", name).text,
                               twi_name("%s.f.se.fc2", name).text, gates);
    at = unit(b, at, name, "f.c", one, plain);
    uint32_t shortcut = in;
    if (stride != 1 || twi_builder_channels(b, at) != twi_builder_channels(b, in))
        shortcut = unit(
            b, in, name, "proj",
            (twi_taps){.kernel = 1, .stride = stride, .out = twi_builder_channels(b, at)}, plain);
    return twi_build_act(b, twi_build_sum(b, shortcut, at), relu.act);
}

/* sizes: blocks of each stage. variant: 1 with squeeze and excitation (y), 0 without (x). */
tw_status twi_regnet_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                           twi_network **out)
{
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    uint32_t at = twi_build_conv_norm(&b, 0, "stem.0", "stem.1",
                                      (twi_taps){.kernel = 3, .stride = 2, .pad = 1}, relu);
    for (size_t stage = 1; self->sizes[stage - 1] > 0; stage++)
        for (size_t i = 0; i < self->sizes[stage - 1]; i++)
            at = residual(&b, at,
                          twi_name("trunk_output.block%zu.block%zu-%zu", stage, stage, i).text,
                          i == 0 ? 2 : 1, self->variant == 1);
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, "fc"), out);
}
