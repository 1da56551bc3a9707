/* swin.c - Swin Transformer: Liu et al. (2021), arXiv:2103.14030, torchvision's names. Widths are
 * the weights'; heads have 32 features. The features are the last map, normalised.
 *
 * Positions' biases and the masks of shifted windows are computed here, once, for the recipe's
 * input size: networks of other sizes are to be imported as such. */
#include "importer/builder.h"

#include <stdio.h>
#include <string.h>

enum { SPAN = 7, TOKENS = SPAN * SPAN };

static const double epsilon = 1e-5;

static uint32_t one_in(twi_builder *b, twi_node node, uint32_t in, size_t channels)
{
    node.n_inputs = 1;
    node.inputs = &in;
    return twi_build_node(b, &node, (struct twi_extent){.channels = channels});
}

/* bias [heads, TOKENS, TOKENS] from the table [(2 SPAN - 1)^2, heads] of relative positions. */
static const twi_tensor *position_bias(twi_builder *b, const char *name, size_t heads)
{
    const size_t span = 2 * SPAN - 1, dims[] = {heads, TOKENS, TOKENS};
    const twi_layer_name key = twi_name("%s.relative_position_bias_table", name);
    float *values, *table;
    const twi_tensor *t = twi_builder_expect(b, key.text, 2, (const size_t[]){span * span, heads});
    const twi_tensor *bias = twi_builder_fresh(b, twi_name("%s.bias", name).text, 3, dims, &values);
    if (b->status != TW_OK) return NULL;
    if ((b->status = twi_alloc(b->ctx, t->count, &table)) != TW_OK) return NULL;
    b->status = twi_tensor_floats(b->ctx, t, table);
    for (size_t h = 0; h < heads && b->status == TW_OK; h++)
        for (size_t q = 0; q < TOKENS; q++)
            for (size_t k = 0; k < TOKENS; k++) {
                const size_t dy = q / SPAN + SPAN - 1 - k / SPAN,
                             dx = q % SPAN + SPAN - 1 - k % SPAN;
                values[(h * TOKENS + q) * TOKENS + k] = table[(dy * span + dx) * heads + h];
            }
    twi_free(table);
    return b->status == TW_OK ? bias : NULL;
}

/* Where a row or column lies after the shift: before what wraps, beside it, in it. */
static int region(size_t at, size_t side, size_t shift)
{
    return at < side - SPAN ? 0 : at < side - shift ? 1 : 2;
}

/* mask [windows, TOKENS, TOKENS]: -100 between pixels that the roll brought together. */
static const twi_tensor *shift_mask(twi_builder *b, const char *name, size_t side, size_t shift)
{
    const size_t across = side / SPAN, dims[] = {across * across, TOKENS, TOKENS};
    float *values;
    const twi_tensor *mask = twi_builder_fresh(b, twi_name("%s.mask", name).text, 3, dims, &values);
    if (!mask) return NULL;
    int regions[TOKENS];
    for (size_t w = 0; w < across * across; w++) {
        for (size_t i = 0; i < TOKENS; i++)
            regions[i] = 3 * region(w / across * SPAN + i / SPAN, side, shift) +
                         region(w % across * SPAN + i % SPAN, side, shift);
        for (size_t q = 0; q < TOKENS; q++)
            for (size_t k = 0; k < TOKENS; k++)
                values[(w * TOKENS + q) * TOKENS + k] = regions[q] == regions[k] ? 0.0f : -100.0f;
    }
    return mask;
}

static uint32_t projection(twi_builder *b, uint32_t in, const char *name, size_t part, size_t d)
{
    static const char *const words[] = {"q", "k", "v"};
    const twi_layer_name weight = twi_name("%s.qkv.weight", name),
                         bias = twi_name("%s.qkv.bias", name);
    const twi_node node = {
        .op = TWI_OP_DENSE,
        .params = {twi_builder_rows(b, weight.text,
                                    twi_name("%s.%s", weight.text, words[part]).text, part * d, d),
                   twi_builder_rows(b, bias.text, twi_name("%s.%s", bias.text, words[part]).text,
                                    part * d, d)}};
    return one_in(b, node, in, d);
}

/* Attention inside windows of tokens. */
static uint32_t attend(twi_builder *b, uint32_t in, const char *name, const twi_tensor *mask)
{
    const size_t d = twi_builder_channels(b, in), heads = d / 32 > 0 ? d / 32 : 1;
    twi_builder_expect(b, twi_name("%s.qkv.weight", name).text, 2, (const size_t[]){3 * d, d});
    twi_builder_expect(b, twi_name("%s.qkv.bias", name).text, 1, (const size_t[]){3 * d});
    const twi_tensor *bias = position_bias(b, name, heads);
    uint32_t qkv[3];
    for (size_t i = 0; i < 3; i++) qkv[i] = projection(b, in, name, i, d);
    const twi_node node = {.op = TWI_OP_ATTENTION,
                           .n_inputs = 3,
                           .inputs = qkv,
                           .params = {bias, mask},
                           .heads = heads,
                           .tokens = TOKENS,
                           .scale = twi_head_scale(d, heads)};
    const uint32_t at = twi_build_node(b, &node, (struct twi_extent){.channels = d});
    return twi_build_dense(b, at, twi_name("%s.proj", name).text);
}

/* Map to map: pads to whole windows, rolls, attends, and takes both back. */
static uint32_t window_attention(twi_builder *b, uint32_t in, const char *name, bool shifted)
{
    const size_t side = twi_builder_side(b, in), d = twi_builder_channels(b, in);
    const size_t pad = (SPAN - side % SPAN) % SPAN, padded = side + pad;
    const long shift = shifted && padded > SPAN ? SPAN / 2 : 0;
    uint32_t at = in;
    if (pad > 0) at = twi_build_pad(b, at, 0, pad);
    if (shift > 0) at = one_in(b, (twi_node){.op = TWI_OP_ROLL, .shift = {-shift, -shift}}, at, d);
    const twi_tensor *mask = shift > 0 ? shift_mask(b, name, padded, (size_t)shift) : NULL;
    at = one_in(b, (twi_node){.op = TWI_OP_WINDOW_PARTITION, .size = {SPAN, SPAN}}, at, d);
    at = attend(b, at, name, mask);
    at = one_in(b,
                (twi_node){.op = TWI_OP_WINDOW_REVERSE,
                           .size = {SPAN, SPAN},
                           .target = {3, {d, padded, padded}}},
                at, d);
    if (shift > 0) at = one_in(b, (twi_node){.op = TWI_OP_ROLL, .shift = {shift, shift}}, at, d);
    for (size_t axis = 1; axis <= 2 && pad > 0; axis++)
        at =
            one_in(b, (twi_node){.op = TWI_OP_SLICE, .axis = axis, .stop = side, .step = 1}, at, d);
    return at;
}

static uint32_t block(twi_builder *b, uint32_t in, const char *name, bool shifted)
{
    uint32_t at = twi_build_layer_norm(b, in, twi_name("%s.norm1", name).text, epsilon);
    at = window_attention(b, at, twi_name("%s.attn", name).text, shifted);
    /* The map keeps the side of the block's input whatever stood between. */
    in = twi_build_sum(b, in, at);
    at = twi_build_layer_norm(b, in, twi_name("%s.norm2", name).text, epsilon);
    at = twi_build_pixel_dense(b, at, twi_name("%s.mlp.0", name).text, true);
    at = twi_build_act(b, at, TWI_GELU);
    at = twi_build_pixel_dense(b, at, twi_name("%s.mlp.3", name).text, true);
    return twi_build_sum(b, in, at);
}

/* Four neighbours become one pixel. */
static uint32_t merge(twi_builder *b, uint32_t in, const char *name)
{
    static const size_t at[4][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}};
    const size_t d = twi_builder_channels(b, in), side = twi_builder_side(b, in);
    uint32_t parts[4];
    for (size_t i = 0; i < 4; i++) {
        parts[i] = in;
        for (size_t axis = 0; axis < 2; axis++) {
            const twi_node node = {.op = TWI_OP_SLICE,
                                   .n_inputs = 1,
                                   .inputs = &parts[i],
                                   .axis = axis + 1,
                                   .start = at[i][axis],
                                   .stop = side,
                                   .step = 2};
            parts[i] =
                twi_build_node(b, &node, (struct twi_extent){d, axis == 1 ? side / 2 : side});
        }
    }
    const uint32_t joined = twi_build_join(b, 4, parts);
    const uint32_t norm = twi_build_layer_norm(b, joined, twi_name("%s.norm", name).text, epsilon);
    return twi_build_pixel_dense(b, norm, twi_name("%s.reduction", name).text, false);
}

/* sizes: blocks of each stage. */
tw_status twi_swin_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                         twi_network **out)
{
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    uint32_t at =
        twi_build_conv(&b, 0, "features.0.0", (twi_taps){.kernel = 4, .stride = 4, .bias = true});
    at = twi_build_layer_norm(&b, at, "features.0.2", epsilon);
    for (size_t stage = 0; self->sizes[stage] > 0; stage++) {
        if (stage > 0) at = merge(&b, at, twi_name("features.%zu", 2 * stage).text);
        for (size_t i = 0; i < self->sizes[stage]; i++) {
            const twi_layer_name name = twi_name("features.%zu.%zu", 2 * stage + 1, i);
            at = block(&b, at, name.text, i % 2 == 1);
            /* Which row of the table a pair of pixels takes: what position_bias() computes. */
            twi_builder_ignore(&b, twi_name("%s.attn.relative_position_index", name.text).text);
        }
    }
    at = twi_build_layer_norm(&b, at, "norm", epsilon);
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, "head"), out);
}
