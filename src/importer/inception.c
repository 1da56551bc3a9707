/* inception.c - Inception v3: Szegedy et al. (2015), arXiv:1512.00567.
 *
 * Written as lists of convolutions, in the order in which Keras numbers them, each with both
 * libraries' idea of its name; torchvision's classifier of training is left out. Epsilon is 0.001
 * in both; Keras's batch norms have no scale. */
#include "importer/builder.h"

#include <stdio.h>

typedef struct inception {
    twi_builder *b;
    bool keras;
    size_t convs;       /* made so far: Keras has numbers, no names */
    const char *module; /* torchvision's, with its dot: "Mixed_5b." */
} inception;

static const twi_taps point = {.kernel = 1, .stride = 1},
                      three = {.kernel = 3, .stride = 1, .pad = 1},
                      five = {.kernel = 5, .stride = 1, .pad = 2},
                      row = {.kernel = 1, .width = 7, .stride = 1, .pad_width = 3},
                      column = {.kernel = 7, .width = 1, .stride = 1, .pad = 3},
                      short_row = {.kernel = 1, .width = 3, .stride = 1, .pad_width = 1},
                      short_column = {.kernel = 3, .width = 1, .stride = 1, .pad = 1},
                      halve = {.kernel = 3, .stride = 2};

static uint32_t unit(inception *n, uint32_t in, const char *name, twi_taps taps)
{
    const twi_style style = {0.001, TWI_RELU, n->keras};
    if (!n->keras)
        return twi_build_conv_norm(n->b, in, twi_name("%s%s.conv", n->module, name).text,
                                   twi_name("%s%s.bn", n->module, name).text, taps, style);
    const twi_layer_name conv = twi_builder_numbered(n->b, "conv2d", n->convs);
    const twi_layer_name norm = twi_builder_numbered(n->b, "batch_normalization", n->convs++);
    return twi_build_conv_norm(n->b, in, conv.text, norm.text, taps, style);
}

/* Keras's average leaves padding out, torchvision's counts it. */
static uint32_t smooth(inception *n, uint32_t in)
{
    return twi_build_avg_pool(n->b, in,
                              (twi_taps){.kernel = 3, .stride = 1, .pad = 1, .counts = !n->keras});
}

/* 35 x 35: Mixed_5b to 5d. */
static uint32_t block_a(inception *n, uint32_t in)
{
    uint32_t parts[4];
    parts[0] = unit(n, in, "branch1x1", point);
    parts[1] = unit(n, in, "branch5x5_1", point);
    parts[1] = unit(n, parts[1], "branch5x5_2", five);
    parts[2] = unit(n, in, "branch3x3dbl_1", point);
    parts[2] = unit(n, parts[2], "branch3x3dbl_2", three);
    parts[2] = unit(n, parts[2], "branch3x3dbl_3", three);
    parts[3] = unit(n, smooth(n, in), "branch_pool", point);
    return twi_build_join(n->b, 4, parts);
}

/* 35 to 17: Mixed_6a. */
static uint32_t block_b(inception *n, uint32_t in)
{
    uint32_t parts[3];
    parts[0] = unit(n, in, "branch3x3", halve);
    parts[1] = unit(n, in, "branch3x3dbl_1", point);
    parts[1] = unit(n, parts[1], "branch3x3dbl_2", three);
    parts[1] = unit(n, parts[1], "branch3x3dbl_3", halve);
    parts[2] = twi_build_pool(n->b, in, halve);
    return twi_build_join(n->b, 3, parts);
}

/* 17 x 17: Mixed_6b to 6e. */
static uint32_t block_c(inception *n, uint32_t in)
{
    uint32_t parts[4];
    parts[0] = unit(n, in, "branch1x1", point);
    parts[1] = unit(n, in, "branch7x7_1", point);
    parts[1] = unit(n, parts[1], "branch7x7_2", row);
    parts[1] = unit(n, parts[1], "branch7x7_3", column);
    parts[2] = unit(n, in, "branch7x7dbl_1", point);
    parts[2] = unit(n, parts[2], "branch7x7dbl_2", column);
    parts[2] = unit(n, parts[2], "branch7x7dbl_3", row);
    parts[2] = unit(n, parts[2], "branch7x7dbl_4", column);
    parts[2] = unit(n, parts[2], "branch7x7dbl_5", row);
    parts[3] = unit(n, smooth(n, in), "branch_pool", point);
    return twi_build_join(n->b, 4, parts);
}

/* 17 to 8: Mixed_7a. */
static uint32_t block_d(inception *n, uint32_t in)
{
    uint32_t parts[3];
    parts[0] = unit(n, in, "branch3x3_1", point);
    parts[0] = unit(n, parts[0], "branch3x3_2", halve);
    parts[1] = unit(n, in, "branch7x7x3_1", point);
    parts[1] = unit(n, parts[1], "branch7x7x3_2", row);
    parts[1] = unit(n, parts[1], "branch7x7x3_3", column);
    parts[1] = unit(n, parts[1], "branch7x7x3_4", halve);
    parts[2] = twi_build_pool(n->b, in, halve);
    return twi_build_join(n->b, 3, parts);
}

/* 8 x 8: Mixed_7b and 7c. */
static uint32_t block_e(inception *n, uint32_t in)
{
    uint32_t parts[6];
    parts[0] = unit(n, in, "branch1x1", point);
    uint32_t at = unit(n, in, "branch3x3_1", point);
    parts[1] = unit(n, at, "branch3x3_2a", short_row);
    parts[2] = unit(n, at, "branch3x3_2b", short_column);
    at = unit(n, in, "branch3x3dbl_1", point);
    at = unit(n, at, "branch3x3dbl_2", three);
    parts[3] = unit(n, at, "branch3x3dbl_3a", short_row);
    parts[4] = unit(n, at, "branch3x3dbl_3b", short_column);
    parts[5] = unit(n, smooth(n, in), "branch_pool", point);
    if (!n->b->plan) return twi_build_join(n->b, 6, parts);
    /* Keras joins by twos first, which its order of layers hangs on. */
    parts[1] = twi_build_join(n->b, 2, parts + 1);
    parts[2] = twi_build_join(n->b, 2, parts + 3);
    parts[3] = parts[5];
    return twi_build_join(n->b, 4, parts);
}

tw_status twi_inception_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                              twi_network **out)
{
    static const struct {
        const char *name;
        uint32_t (*build)(inception *n, uint32_t in);
    } modules[] = {{"Mixed_5b.", block_a}, {"Mixed_5c.", block_a}, {"Mixed_5d.", block_a},
                   {"Mixed_6a.", block_b}, {"Mixed_6b.", block_c}, {"Mixed_6c.", block_c},
                   {"Mixed_6d.", block_c}, {"Mixed_6e.", block_c}, {"Mixed_7a.", block_d},
                   {"Mixed_7b.", block_e}, {"Mixed_7c.", block_e}};
    twi_builder b;
    inception n = {.b = &b, .keras = weights->convention == TWI_KERAS, .module = ""};
    (void)self;
    twi_builder_start(ctx, weights, &b);
    if (!n.keras) twi_builder_ignore(&b, "AuxLogits.");
    uint32_t at = unit(&n, 0, "Conv2d_1a_3x3", halve);
    at = unit(&n, at, "Conv2d_2a_3x3", (twi_taps){.kernel = 3, .stride = 1});
    at = twi_build_pool(&b, unit(&n, at, "Conv2d_2b_3x3", three), halve);
    at = unit(&n, at, "Conv2d_3b_1x1", point);
    at = unit(&n, at, "Conv2d_4a_3x3", (twi_taps){.kernel = 3, .stride = 1});
    at = twi_build_pool(&b, at, halve);
    for (size_t i = 0; i < TWI_LEN(modules); i++) {
        n.module = modules[i].name;
        at = modules[i].build(&n, at);
    }
    const uint32_t logits = twi_build_classifier(&b, at, n.keras ? "predictions" : "fc");
    return twi_builder_finish(&b, at, logits, out);
}
