/* nasnet.c - NASNet-A: Zoph et al. (2017), arXiv:1707.07012, Keras's names. Widths are the
 * weights'.
 *
 * Each cell reads the two values before it. The older one is first made to fit ("adjust"): halved
 * by two 1x1 convolutions that see every other pixel, one of them shifted by a pixel, or else given
 * the cell's width. */
#include "importer/builder.h"

static const twi_style plain = {0.001, TWI_NO_ACT, false};

typedef struct nasnet {
    twi_builder *b;
    const char *id; /* of the cell: "stem_1", "0", "reduce_4" */
} nasnet;

static uint32_t relu(const nasnet *n, uint32_t in)
{
    return twi_build_act(n->b, in, TWI_RELU);
}

static twi_layer_name layer(const nasnet *n, const char *what)
{
    return twi_name("%s_%s", what, n->id);
}

/* A ReLU, a depthwise convolution, a 1x1 right after it, and a norm; step is "1" or "2". */
static uint32_t separable(const nasnet *n, uint32_t in, const char *step, const char *what,
                          twi_taps taps)
{
    taps.groups = TWI_DEPTHWISE;
    taps.same = true;
    const twi_layer_name name = twi_name("separable_conv_%s_%s_%s", step, what, n->id);
    uint32_t at = relu(n, in);
    /* Keras pads by a layer of its own before it strides, by as much as "same" does. */
    if (taps.stride > 1) at = twi_build_pass(n->b, at);
    at = twi_build_conv(n->b, at, name.text, taps);
    return twi_build_conv_norm(n->b, at, twi_name("%s.pointwise", name.text).text,
                               twi_name("separable_conv_%s_bn_%s_%s", step, what, n->id).text,
                               (twi_taps){.kernel = 1, .stride = 1}, plain);
}

/* Two of them, the first with the stride. */
static uint32_t twice(const nasnet *n, uint32_t in, const char *what, size_t kernel, size_t stride)
{
    in = separable(n, in, "1", what, (twi_taps){.kernel = kernel, .stride = stride});
    return separable(n, in, "2", what, (twi_taps){.kernel = kernel, .stride = 1});
}

/* Every other row and column, from the second on, and as many as from the first on: zeros stand
 * past the end. */
static uint32_t shifted(const nasnet *n, uint32_t in)
{
    const size_t side = twi_builder_side(n->b, in), channels = twi_builder_channels(n->b, in);
    uint32_t at = twi_build_pad(n->b, in, 0, 1);
    for (size_t axis = 1; axis <= 2; axis++) {
        const twi_node node = {.op = TWI_OP_SLICE,
                               .n_inputs = 1,
                               .inputs = &at,
                               .axis = axis,
                               .start = 1,
                               .stop = side + 1,
                               .step = 2};
        at = twi_build_node(n->b, &node, (struct twi_extent){channels, (side + 1) / 2});
    }
    return at;
}

static uint32_t halved(const nasnet *n, uint32_t in)
{
    const twi_taps one = {.kernel = 1, .stride = 1}, two = {.kernel = 1, .stride = 2};
    const uint32_t at = relu(n, in);
    uint32_t parts[2];
    parts[0] = twi_build_conv(n->b, at, layer(n, "adjust_conv_1").text, two);
    parts[1] = twi_build_conv(n->b, shifted(n, at), layer(n, "adjust_conv_2").text, one);
    return twi_build_norm(n->b, twi_build_join(n->b, 2, parts), layer(n, "adjust_bn").text, plain);
}

/* The older value p in the size of in, and in the width of the cell: what its 1x1 makes of in. */
static uint32_t adjusted(const nasnet *n, uint32_t p, uint32_t in, uint32_t cell)
{
    twi_builder *b = n->b;
    const size_t width = twi_builder_channels(b, cell);
    if (p == in) return p; /* the first cell has nothing older */
    if (twi_builder_side(b, p) != twi_builder_side(b, in)) return halved(n, p);
    /* Before widths are known, they differ: cells put 4 or 6 side by side. */
    if (twi_builder_channels(b, p) == width && width > 0) return p;
    return twi_build_conv_norm(b, relu(n, p), layer(n, "adjust_conv_projection").text,
                               layer(n, "adjust_bn").text,
                               (twi_taps){.kernel = 1, .stride = 1, .out = width}, plain);
}

static uint32_t first_conv(const nasnet *n, uint32_t in, const char *kind)
{
    return twi_build_conv_norm(n->b, relu(n, in), twi_name("%s_conv_1_%s", kind, n->id).text,
                               twi_name("%s_bn_1_%s", kind, n->id).text,
                               (twi_taps){.kernel = 1, .stride = 1}, plain);
}

/* Keras leaves padding out of the mean. */
static uint32_t smooth(const nasnet *n, uint32_t in)
{
    return twi_build_avg_pool(n->b, in, (twi_taps){.kernel = 3, .stride = 1, .same = true});
}

static uint32_t normal_cell(const nasnet *n, uint32_t in, uint32_t p)
{
    twi_builder *b = n->b;
    const uint32_t h = first_conv(n, in, "normal");
    uint32_t parts[6], other;
    p = parts[0] = adjusted(n, p, in, h);
    parts[1] = twice(n, h, "normal_left1", 5, 1);
    other = twice(n, p, "normal_right1", 3, 1);
    parts[1] = twi_build_sum(b, parts[1], other);
    parts[2] = twice(n, p, "normal_left2", 5, 1);
    other = twice(n, p, "normal_right2", 3, 1);
    parts[2] = twi_build_sum(b, parts[2], other);
    parts[3] = twi_build_sum(b, smooth(n, h), p);
    parts[4] = smooth(n, p); /* Keras takes this mean twice */
    parts[4] = twi_build_sum(b, parts[4], parts[4]);
    parts[5] = twi_build_sum(b, twice(n, h, "normal_left5", 3, 1), h);
    return twi_build_join(b, 6, parts);
}

static uint32_t reduction_cell(const nasnet *n, uint32_t in, uint32_t p)
{
    twi_builder *b = n->b;
    const twi_taps window = {.kernel = 3, .stride = 2};
    const uint32_t h = first_conv(n, in, "reduction");
    p = adjusted(n, p, in, h);
    /* Zeros that take part in maximum and mean. */
    const uint32_t padded = twi_build_pad(b, h, twi_builder_side(b, h) % 2, 1);
    uint32_t parts[4], x1 = twice(n, h, "reduction_left1", 5, 2);
    uint32_t other = twice(n, p, "reduction_right1", 7, 2);
    x1 = twi_build_sum(b, x1, other);
    const uint32_t largest = twi_build_pool(b, padded, window); /* wanted twice */
    parts[0] = twi_build_sum(b, largest, twice(n, p, "reduction_right2", 7, 2));
    const uint32_t mean = twi_build_avg_pool(b, padded, window);
    parts[1] = twi_build_sum(b, mean, twice(n, p, "reduction_right3", 5, 2));
    parts[2] = twi_build_sum(b, parts[0], smooth(n, x1));
    parts[3] = twi_build_sum(b, twice(n, x1, "reduction_left4", 3, 1), largest);
    return twi_build_join(b, 4, parts);
}

typedef struct pair { /* the value that stands, and the one before it */
    uint32_t at, older;
} pair;

static pair next_normal(nasnet *n, pair v, const char *id)
{
    n->id = id;
    return (pair){normal_cell(n, v.at, v.older), v.at};
}

static pair next_reduction(nasnet *n, pair v, const char *id)
{
    n->id = id;
    return (pair){reduction_cell(n, v.at, v.older), v.at};
}

/* sizes: normal cells of each of the three stages, alike. variant: 1 when a reduction leaves the
 * older value as it was (Keras: skip_reduction, NASNet Large's). */
tw_status twi_nasnet_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                           twi_network **out)
{
    twi_builder b;
    nasnet n = {&b, ""};
    twi_builder_start(ctx, weights, &b);
    pair v = {0, 0};
    v.at = v.older = twi_build_conv_norm(&b, 0, "stem_conv1", "stem_bn1",
                                         (twi_taps){.kernel = 3, .stride = 2}, plain);
    v = next_reduction(&n, v, "stem_1");
    v = next_reduction(&n, v, "stem_2");
    for (size_t stage = 0; self->sizes[stage] > 0; stage++) {
        const size_t first = stage * self->sizes[0];
        const uint32_t older = v.older;
        if (stage > 0) v = next_reduction(&n, v, twi_name("reduce_%zu", first).text);
        if (stage > 0 && self->variant == 1) v.older = older;
        for (size_t i = 0; i < self->sizes[stage]; i++)
            v = next_normal(&n, v, twi_name("%zu", first + i + (stage > 0)).text);
    }
    const uint32_t feature = relu(&n, v.at);
    return twi_builder_finish(&b, feature, twi_build_classifier(&b, feature, "predictions"), out);
}
