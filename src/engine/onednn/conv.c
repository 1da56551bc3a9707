/* conv.c - convolution with bias, residual sum and ReLU in one primitive. */
#include "engine/onednn/nodes.h"

tw_status twi_onednn_plain_weight(twi_build *b, twi_dtype dtype, const twi_layout **out)
{
    const twi_node *node = twi_build_node(b);
    const twi_tensor *w = node->params[TWI_PARAM_WEIGHT];
    const size_t g = node->groups;
    if (w->rank == 2)
        return twi_layout_new(b->ctx, b->program->device, 2, w->dims, dtype, TWI_ORDER_PLAIN, out);
    const size_t dims[5] = {g, w->dims[0] / g, w->dims[1], w->dims[2], w->dims[3]};
    return g == 1
               ? twi_layout_new(b->ctx, b->program->device, 4, w->dims, dtype, TWI_ORDER_PLAIN, out)
               : twi_layout_new(b->ctx, b->program->device, 5, dims, dtype, TWI_ORDER_PLAIN, out);
}

/* The weights and bias in the order the primitive takes them. */
static tw_status conv_params(twi_build *b, const twi_primitive *conv, const twi_packed **params)
{
    const twi_layout *plain;
    tw_status st = twi_onednn_plain_weight(b, TWI_F32, &plain);
    if (st == TW_OK) st = twi_onednn_weight(b, conv, plain, &params[TWI_PARAM_WEIGHT]);
    if (st == TW_OK && twi_build_node(b)->params[TWI_PARAM_BIAS])
        st = twi_build_floats(b, b->node, TWI_PARAM_BIAS, &params[TWI_PARAM_BIAS]);
    return st;
}

tw_status twi_onednn_conv(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_packed *params[TWI_PARAMS] = {0};
    const twi_primitive *conv;
    uint32_t in, out = TWI_NO_VALUE;
    const twi_spec spec = {.name = node->name,
                           .batch = b->program->opts.batch,
                           .in = &b->shapes[node->inputs[0]],
                           .out = &b->shapes[b->node],
                           .window = &node->window,
                           .groups = node->groups,
                           .dtype = twi_onednn_dtype(b),
                           .bias = node->params[TWI_PARAM_BIAS] != NULL,
                           .after = node->fused,
                           .sum = node->fused_add != TWI_NO_NODE};
    bool done;
    tw_status st;
    if (!b->program->opts.brief && twi_winograd_conv(b, &st)) return st;
    st = twi_onednn_eight_conv(b, &done);
    if (st != TW_OK || done) return st;
    st = twi_primitive_conv(b->ctx, b->program->device, &spec, &conv);
    if (st == TW_OK)
        st = twi_onednn_as(b, twi_input_value(b, 0), twi_primitive_layout(conv, TWI_ROLE_SRC), &in);
    if (st == TW_OK) st = conv_params(b, conv, params);
    if (st == TW_OK && spec.sum)
        st = twi_onednn_sum(b, twi_primitive_layout(conv, TWI_ROLE_DST), &out);
    if (st == TW_OK) st = twi_onednn_step(b, conv, 1, &in, params, &out);
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}
