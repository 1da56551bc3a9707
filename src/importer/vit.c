/* vit.c - Vision Transformer: Dosovitskiy et al. (2020), arXiv:2010.11929, torchvision's names.
 * Widths are the weights'; the features are the class token, normalised. */
#include "importer/builder.h"

static const double epsilon = 1e-6;

/* One of the three layers that self-attention keeps in one weight [3 d, d]. */
static uint32_t projection(twi_builder *b, uint32_t in, const char *name, size_t part, size_t d)
{
    static const char *const words[] = {"q", "k", "v"};
    const twi_layer_name weight = twi_name("%s.in_proj_weight", name),
                         bias = twi_name("%s.in_proj_bias", name);
    const twi_node node = {
        .op = TWI_OP_DENSE,
        .n_inputs = 1,
        .inputs = &in,
        .params = {twi_builder_rows(b, weight.text,
                                    twi_name("%s.%s", weight.text, words[part]).text, part * d, d),
                   twi_builder_rows(b, bias.text, twi_name("%s.%s", bias.text, words[part]).text,
                                    part * d, d)}};
    return twi_build_node(b, &node, (struct twi_extent){.channels = d});
}

/* Rows are cut out of them, so their shapes are looked at first. */
static void check_projection(twi_builder *b, const char *name, size_t d)
{
    const twi_layer_name weight = twi_name("%s.in_proj_weight", name),
                         bias = twi_name("%s.in_proj_bias", name);
    twi_builder_expect(b, weight.text, 2, (const size_t[]){3 * d, d});
    twi_builder_expect(b, bias.text, 1, (const size_t[]){3 * d});
}

static uint32_t mlp(twi_builder *b, uint32_t in, const char *layer)
{
    /* Older files call the two layers linear_1 and linear_2. */
    const bool old = twi_builder_has(b, twi_name("%s.mlp.linear_1.", layer).text);
    uint32_t at = twi_build_layer_norm(b, in, twi_name("%s.ln_2", layer).text, epsilon);
    at = twi_build_dense(b, at, twi_name("%s.mlp.%s", layer, old ? "linear_1" : "0").text);
    at = twi_build_act(b, at, TWI_GELU);
    at = twi_build_dense(b, at, twi_name("%s.mlp.%s", layer, old ? "linear_2" : "3").text);
    return twi_build_sum(b, at, in);
}

static uint32_t encoder(twi_builder *b, uint32_t in, const char *layer, size_t heads)
{
    const size_t d = twi_builder_channels(b, in);
    const twi_layer_name name = twi_name("%s.self_attention", layer);
    check_projection(b, name.text, d);
    const uint32_t norm = twi_build_layer_norm(b, in, twi_name("%s.ln_1", layer).text, epsilon);
    uint32_t qkv[3];
    for (size_t i = 0; i < 3; i++) qkv[i] = projection(b, norm, name.text, i, d);
    const twi_node node = {.op = TWI_OP_ATTENTION,
                           .n_inputs = 3,
                           .inputs = qkv,
                           .heads = heads,
                           .scale = twi_head_scale(d, heads)};
    uint32_t at = twi_build_node(b, &node, (struct twi_extent){.channels = d});
    at = twi_build_dense(b, at, twi_name("%s.out_proj", name.text).text);
    return mlp(b, twi_build_sum(b, at, in), layer);
}

static uint32_t embed(twi_builder *b, size_t patch)
{
    const twi_taps taps = {.kernel = patch, .stride = patch, .bias = true};
    uint32_t at = twi_build_conv(b, 0, "conv_proj", taps);
    const size_t d = twi_builder_channels(b, at), side = twi_builder_side(b, at);
    const struct twi_extent extent = {.channels = d};
    twi_node node = {.op = TWI_OP_TOKENS, .n_inputs = 1, .inputs = (const uint32_t[]){at}};
    at = twi_build_node(b, &node, extent);
    const twi_tensor *token =
        twi_builder_claim(b, "class_token", 3, (const size_t[]){1, 1, d}, TWI_AS_ROWS);
    node = (twi_node){.op = TWI_OP_PREPEND_TOKEN,
                      .n_inputs = 1,
                      .inputs = (const uint32_t[]){at},
                      .params = {token}};
    at = twi_build_node(b, &node, extent);
    const twi_tensor *where = twi_builder_claim(
        b, "encoder.pos_embedding", 3, (const size_t[]){1, side * side + 1, d}, TWI_AS_ROWS);
    node = (twi_node){.op = TWI_OP_ADD_CONSTANT,
                      .n_inputs = 1,
                      .inputs = (const uint32_t[]){at},
                      .params = {where}};
    return twi_build_node(b, &node, extent);
}

/* sizes: layers, heads; variant: pixels a side of a patch. */
tw_status twi_vit_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                        twi_network **out)
{
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    uint32_t at = embed(&b, self->variant);
    for (size_t i = 0; i < self->sizes[0]; i++)
        at = encoder(&b, at, twi_name("encoder.layers.encoder_layer_%zu", i).text, self->sizes[1]);
    at = twi_build_layer_norm(&b, at, "encoder.ln", epsilon);
    const size_t d = twi_builder_channels(&b, at);
    const twi_node token = {.op = TWI_OP_TAKE_TOKEN, .n_inputs = 1, .inputs = &at};
    const uint32_t feature = twi_build_node(&b, &token, (struct twi_extent){.channels = d});
    const bool top = twi_builder_has(&b, "heads.head.");
    const uint32_t logits = top ? twi_build_dense(&b, feature, "heads.head") : TWI_NO_NODE;
    return twi_builder_finish(&b, feature, logits, out);
}
