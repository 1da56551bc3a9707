/* layers.c - what architectures share beyond single operators: convolutions with their norms,
 * squeezes, layers of every pixel. */
#include "importer/builder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static uint32_t simple(twi_builder *b, twi_node node, uint32_t in)
{
    node.n_inputs = 1;
    node.inputs = &in;
    return twi_build_node(b, &node, (struct twi_extent){.channels = twi_builder_channels(b, in)});
}

uint32_t twi_build_act(twi_builder *b, uint32_t in, twi_activation act)
{
    if (act.op == TWI_OP_INPUT) return in;
    twi_node node = {.op = act.op, .alpha = act.alpha, .beta = act.beta};
    if (act.op == TWI_OP_CLIP) node.low = act.alpha, node.high = act.beta;
    return simple(b, node, in);
}

uint32_t twi_build_pool(twi_builder *b, uint32_t in, twi_taps taps)
{
    return twi_build_max_pool(b, in, NULL, taps);
}

uint32_t twi_build_pad(twi_builder *b, uint32_t in, size_t begin, size_t end)
{
    const twi_node node = {
        .op = TWI_OP_PAD,
        .n_inputs = 1,
        .inputs = &in,
        .window = {.pad_begin = {begin, begin}, .pad_end = {end, end}},
    };
    return twi_build_node(
        b, &node,
        (struct twi_extent){twi_builder_channels(b, in), twi_builder_side(b, in) + begin + end});
}

/* The number of a layer "<prefix>_<number>.<part>", 0 for "<prefix>.<part>"; SIZE_MAX: another. */
static size_t number_of(const char *name, const char *prefix)
{
    const size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0) return SIZE_MAX;
    name += length;
    if (*name == '.') return 0;
    if (*name++ != '_') return SIZE_MAX;
    size_t number = 0, digits = 0;
    for (; *name >= '0' && *name <= '9' && digits < 9; digits++)
        number = number * 10 + (size_t)(*name++ - '0');
    return digits > 0 && *name == '.' ? number : SIZE_MAX;
}

twi_layer_name twi_builder_numbered(const twi_builder *b, const char *prefix, size_t k)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < b->weights->tensors.n; i++) {
        const size_t number = number_of(b->weights->tensors.items[i].name, prefix);
        if (number < first) first = number;
    }
    const size_t number = first == SIZE_MAX ? k : first + k;
    return number == 0 ? twi_name("%s", prefix) : twi_name("%s_%zu", prefix, number);
}

uint32_t twi_build_sum(twi_builder *b, uint32_t one, uint32_t other)
{
    return twi_build_add(b, one, other, NULL);
}

uint32_t twi_build_join(twi_builder *b, size_t n, const uint32_t *parts)
{
    size_t channels = 0;
    for (size_t i = 0; i < n; i++) channels += twi_builder_channels(b, parts[i]);
    const twi_node node = {.op = TWI_OP_CONCAT, .n_inputs = n, .inputs = parts};
    return twi_build_node(b, &node, (struct twi_extent){.channels = channels});
}

uint32_t twi_build_channel_slice(twi_builder *b, uint32_t in, size_t start, size_t stop)
{
    const twi_node node = {
        .op = TWI_OP_SLICE, .n_inputs = 1, .inputs = &in, .start = start, .stop = stop, .step = 1};
    return twi_build_node(b, &node, (struct twi_extent){.channels = stop - start});
}

uint32_t twi_build_conv_norm(twi_builder *b, uint32_t in, const char *conv, const char *norm,
                             twi_taps taps, twi_style style)
{
    in = twi_build_conv(b, in, conv, taps);
    in = twi_build_norm(b, in, norm, style);
    return twi_build_act(b, in, style.act);
}

uint32_t twi_build_squeeze(twi_builder *b, uint32_t in, const char *first, const char *second,
                           const twi_activation acts[2])
{
    const size_t channels = twi_builder_channels(b, in);
    const twi_taps one = {.kernel = 1, .stride = 1, .bias = true};
    uint32_t at = simple(b, (twi_node){.op = TWI_OP_REDUCE_MEAN, .axes = {2, {1, 2}}}, in);
    at = twi_build_act(b, twi_build_conv(b, at, first, one), acts[0]);
    const twi_taps back = {.kernel = 1, .stride = 1, .bias = true, .out = channels};
    at = twi_build_act(b, twi_build_conv(b, at, second, back), acts[1]);
    const twi_node node = {.op = TWI_OP_MUL, .n_inputs = 2, .inputs = (const uint32_t[]){in, at}};
    return twi_build_node(b, &node, (struct twi_extent){.channels = channels});
}

uint32_t twi_build_layer_norm(twi_builder *b, uint32_t in, const char *name, double epsilon)
{
    const size_t channels = twi_builder_channels(b, in);
    const twi_node node = {
        .op = TWI_OP_LAYER_NORM,
        .name = name,
        .params = {twi_builder_claim(b, twi_name("%s.weight", name).text, 1, &channels, TWI_AS_IS),
                   twi_builder_claim(b, twi_name("%s.bias", name).text, 1, &channels, TWI_AS_IS)},
        .epsilon = epsilon};
    return simple(b, node, in);
}

double twi_head_scale(size_t features, size_t heads)
{
    const size_t each = features / heads;
    return each > 0 ? 1 / sqrt((double)each) : 1;
}

uint32_t twi_build_pixel_dense(twi_builder *b, uint32_t in, const char *name, bool bias)
{
    const size_t need[] = {0, twi_builder_channels(b, in)};
    const twi_tensor *weight =
        twi_builder_claim(b, twi_name("%s.weight", name).text, 2, need, TWI_AS_KERNEL);
    const size_t out = weight ? weight->dims[0] : 0;
    const twi_tensor *shift =
        bias ? twi_builder_claim(b, twi_name("%s.bias", name).text, 1, &out, TWI_AS_IS) : NULL;
    const twi_node node = {.op = TWI_OP_CONV,
                           .name = name,
                           .n_inputs = 1,
                           .inputs = &in,
                           .params = {weight, shift},
                           .groups = 1};
    return twi_build_layer(b, &node, (struct twi_extent){.channels = out}, "dense");
}

uint32_t twi_build_with_weight(twi_builder *b, uint32_t in, twi_op op, const char *name,
                               size_t rank, const size_t *need)
{
    const char *dot = strrchr(name, '.');
    const twi_layer_name layer = twi_name("%.*s", dot ? (int)(dot - name) : 0, name);
    const twi_node node = {.op = op,
                           .name = b->plan ? layer.text : NULL,
                           .n_inputs = 1,
                           .inputs = &in,
                           .params = {twi_builder_claim(b, name, rank, need, TWI_SQUEEZED)}};
    return twi_build_layer(b, &node, (struct twi_extent){.channels = twi_builder_channels(b, in)},
                           "layer_scale");
}

uint32_t twi_build_classifier(twi_builder *b, uint32_t in, const char *name)
{
    if (!twi_builder_has(b, twi_name("%s.", name).text)) return TWI_NO_NODE;
    return twi_build_dense(b, twi_build_global_avg_pool(b, in, NULL), name);
}
