/* inception_resnet.c - Inception-ResNet v2: Szegedy et al. (2016), arXiv:1602.07261, Keras's names
 * and numbers. Widths are the weights'. */
#include "importer/builder.h"

static const twi_style relu = {0.001, TWI_RELU, true}; /* Keras's norms have no scale here */
static const twi_taps point = {.kernel = 1, .stride = 1},
                      three = {.kernel = 3, .stride = 1, .pad = 1},
                      five = {.kernel = 5, .stride = 1, .pad = 2},
                      halve = {.kernel = 3, .stride = 2}, narrow = {.kernel = 3, .stride = 1},
                      row7 = {.kernel = 1, .width = 7, .stride = 1, .pad_width = 3},
                      column7 = {.kernel = 7, .width = 1, .stride = 1, .pad = 3},
                      row3 = {.kernel = 1, .width = 3, .stride = 1, .pad_width = 1},
                      column3 = {.kernel = 3, .width = 1, .stride = 1, .pad = 1};

typedef struct numbered { /* convolutions that have numbers for names */
    twi_builder *b;
    size_t made;
} numbered;

static uint32_t unit(numbered *n, uint32_t in, twi_taps taps)
{
    const twi_layer_name conv = twi_builder_numbered(n->b, "conv2d", n->made);
    const twi_layer_name norm = twi_builder_numbered(n->b, "batch_normalization", n->made++);
    return twi_build_conv_norm(n->b, in, conv.text, norm.text, taps, relu);
}

/* A chain of convolutions; the last has kernel 0. */
static uint32_t chain(numbered *n, uint32_t in, const twi_taps *taps)
{
    for (; taps->kernel > 0; taps++) in = unit(n, in, *taps);
    return in;
}

/* in + factor * conv(branches side by side), and a ReLU but for the last. */
static uint32_t residual(numbered *n, uint32_t in, const char *name, const twi_taps branches[][4],
                         size_t count, float factor)
{
    twi_builder *b = n->b;
    uint32_t parts[3];
    for (size_t i = 0; i < count; i++) parts[i] = chain(n, in, branches[i]);
    const size_t channels = twi_builder_channels(b, in), one = 1;
    uint32_t at = twi_build_join(b, count, parts);
    at = twi_build_conv(b, at, twi_name("%s_conv", name).text,
                        (twi_taps){.kernel = 1, .stride = 1, .bias = true, .out = channels});
    if (factor != 1) {
        float *value;
        const twi_tensor *scale =
            twi_builder_fresh(b, twi_name("%s_scale", name).text, 1, &one, &value);
        if (scale) *value = factor;
        const twi_node node = {
            .op = TWI_OP_MUL_CONSTANT, .n_inputs = 1, .inputs = &at, .params = {scale}};
        at = twi_build_node(b, &node, (struct twi_extent){.channels = channels});
    }
    at = twi_build_sum(b, in, at);
    return factor != 1 ? twi_build_act(b, at, TWI_RELU) : at;
}

static uint32_t stem(numbered *n)
{
    static const twi_taps first[] = {{.kernel = 3, .stride = 2},
                                     {.kernel = 3, .stride = 1},
                                     {.kernel = 3, .stride = 1, .pad = 1},
                                     {.kernel = 0}};
    uint32_t at = twi_build_pool(n->b, chain(n, 0, first), halve);
    at = unit(n, unit(n, at, point), narrow);
    at = twi_build_pool(n->b, at, halve);
    uint32_t parts[4];
    parts[0] = unit(n, at, point);
    parts[1] = unit(n, unit(n, at, point), five);
    parts[2] = unit(n, unit(n, unit(n, at, point), three), three);
    parts[3] = unit(n, twi_build_avg_pool(n->b, at, (twi_taps){.kernel = 3, .stride = 1, .pad = 1}),
                    point);
    return twi_build_join(n->b, 4, parts);
}

static uint32_t reduce_a(numbered *n, uint32_t in)
{
    uint32_t parts[3];
    parts[0] = unit(n, in, halve);
    parts[1] = unit(n, unit(n, unit(n, in, point), three), halve);
    parts[2] = twi_build_pool(n->b, in, halve);
    return twi_build_join(n->b, 3, parts);
}

static uint32_t reduce_b(numbered *n, uint32_t in)
{
    uint32_t parts[4];
    parts[0] = unit(n, unit(n, in, point), halve);
    parts[1] = unit(n, unit(n, in, point), halve);
    parts[2] = unit(n, unit(n, unit(n, in, point), three), halve);
    parts[3] = twi_build_pool(n->b, in, halve);
    return twi_build_join(n->b, 4, parts);
}

tw_status twi_inception_resnet_build(tw_ctx *ctx, const twi_architecture *self,
                                     const twi_weights *weights, twi_network **out)
{
    const twi_taps end = {.kernel = 0};
    const twi_taps a[][4] = {{point, end}, {point, three, end}, {point, three, three, end}};
    const twi_taps c[][4] = {{point, end}, {point, row7, column7, end}};
    const twi_taps e[][4] = {{point, end}, {point, row3, column3, end}};
    twi_builder b;
    numbered n = {&b, 0};
    (void)self;
    twi_builder_start(ctx, weights, &b);
    uint32_t at = stem(&n);
    for (size_t i = 1; i <= 10; i++)
        at = residual(&n, at, twi_name("block35_%zu", i).text, a, 3, 0.17f);
    at = reduce_a(&n, at);
    for (size_t i = 1; i <= 20; i++)
        at = residual(&n, at, twi_name("block17_%zu", i).text, c, 2, 0.1f);
    at = reduce_b(&n, at);
    for (size_t i = 1; i <= 10; i++)
        at = residual(&n, at, twi_name("block8_%zu", i).text, e, 2, i < 10 ? 0.2f : 1.0f);
    at = twi_build_conv_norm(&b, at, "conv_7b", "conv_7b_bn", point, relu);
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, "predictions"), out);
}
