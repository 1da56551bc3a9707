/* regnet.c - RegNet: Radosavovic et al. (2020), arXiv:2003.13678. Widths and groups are the
 * weights'.
 *
 * torchvision pads alike on all sides, Keras as TensorFlow does; Keras divides pictures by 255 in
 * its graph and does no more to them. */
#include "importer/builder.h"

#include <stdio.h>
#include <string.h>

static const twi_style relu = {1e-5, TWI_RELU, false}, plain = {1e-5, TWI_NO_ACT, false};

typedef struct regnet {
    twi_builder *b;
    bool keras, y;       /* y: with squeeze and excitation */
    const char *name;    /* what Keras's layers start with: the model's name */
    twi_layer_name part; /* of the block that is built: "trunk_output.block1.block1-0" */
} regnet;

/* Names of one convolution of a block and its norm: torchvision's "f.a.0" and "f.a.1", Keras's
 * "conv_1x1_1" and "conv_1x1_1_bn", but for the shortcut's. */
static uint32_t unit(const regnet *r, uint32_t in, const char *part, twi_taps taps, twi_style style)
{
    static const char *const keras[][3] = {{"f.a", "conv_1x1_1", "conv_1x1_1_bn"},
                                           {"f.b", "conv_3x3", "conv_3x3_bn"},
                                           {"f.c", "conv_1x1_2", "conv_1x1_2_bn"},
                                           {"proj", "skip_1x1", "skip_bn"}};
    twi_layer_name conv = twi_name("%s.%s.0", r->part.text, part),
                   norm = twi_name("%s.%s.1", r->part.text, part);
    for (size_t i = 0; i < TWI_LEN(keras) && r->keras; i++)
        if (strcmp(keras[i][0], part) == 0) {
            conv = twi_name("%s_%s", r->part.text, keras[i][1]);
            norm = twi_name("%s_%s", r->part.text, keras[i][2]);
        }
    return twi_build_conv_norm(r->b, in, conv.text, norm.text, taps, style);
}

static uint32_t squeeze(const regnet *r, uint32_t in)
{
    const twi_activation gates[2] = {TWI_RELU, TWI_SIGMOID};
    const char *down = r->keras ? "%s_squeeze_and_excite_squeeze" : "%s.f.se.fc1",
               *up = r->keras ? "%s_squeeze_and_excite_excite" : "%s.f.se.fc2";
    return twi_build_squeeze(r->b, in, twi_name(down, r->part.text).text,
                             twi_name(up, r->part.text).text, gates);
}

/* Keras's shortcut has a convolution where the stride is 2, and so has torchvision's wherever
 * stride or width changes, which is there too. */
static uint32_t residual(const regnet *r, uint32_t in, size_t stride)
{
    const twi_taps one = {.kernel = 1, .stride = 1};
    const twi_taps wide = {
        .kernel = 3, .stride = stride, .pad = 1, .groups = TWI_GROUPED, .same = r->keras};
    uint32_t at = unit(r, in, "f.a", one, relu);
    at = unit(r, at, "f.b", wide, relu);
    if (r->y) at = squeeze(r, at);
    at = unit(r, at, "f.c", one, plain);
    uint32_t shortcut = in;
    const size_t out = twi_builder_channels(r->b, at);
    if (stride != 1 || out != twi_builder_channels(r->b, in))
        shortcut =
            unit(r, in, "proj", (twi_taps){.kernel = 1, .stride = stride, .out = out}, plain);
    return twi_build_act(r->b, twi_build_sum(r->b, at, shortcut), relu.act);
}

static uint32_t trunk(regnet *r, uint32_t at, const size_t *sizes)
{
    for (size_t stage = 0; sizes[stage] > 0; stage++)
        for (size_t i = 0; i < sizes[stage]; i++) {
            r->part =
                r->keras ? twi_name("%s_Stage_%zu_%cBlock_%zu", r->name, stage, r->y ? 'Y' : 'X', i)
                         : twi_name("trunk_output.block%zu.block%zu-%zu", stage + 1, stage + 1, i);
            at = residual(r, at, i == 0 ? 2 : 1);
        }
    return at;
}

/* Keras numbers the head before its name, from anywhere on: "1head_dense". */
static twi_layer_name head_name(const twi_builder *b, bool keras)
{
    const twi_layer_name found = twi_builder_ending(b, "head_dense");
    return !keras ? twi_name("fc") : found.text[0] ? found : twi_name("1head_dense");
}

/* sizes: blocks of each stage. variant: 1 with squeeze and excitation (y), 0 without (x). */
tw_status twi_regnet_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                           twi_network **out)
{
    const bool keras = weights->convention == TWI_KERAS;
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    const twi_layer_name stem = keras ? twi_builder_ending(&b, "_stem_conv") : twi_name("stem.0");
    const size_t length = strlen(stem.text), tail = keras ? strlen("_stem_conv") : 0;
    const twi_layer_name name = length > tail ? twi_name("%.*s", (int)(length - tail), stem.text)
                                              : twi_name("%s", self->name);
    regnet r = {.b = &b, .keras = keras, .y = self->variant == 1, .name = name.text};
    uint32_t at =
        twi_build_conv_norm(&b, 0, keras ? twi_name("%s_stem_conv", r.name).text : "stem.0",
                            keras ? twi_name("%s_stem_bn", r.name).text : "stem.1",
                            (twi_taps){.kernel = 3, .stride = 2, .pad = 1, .same = keras}, relu);
    at = trunk(&r, at, self->sizes);
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, head_name(&b, keras).text), out);
}
