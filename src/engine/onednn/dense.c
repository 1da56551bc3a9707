/* dense.c - inner product. A vector is float32 in every precision, being small and near the end; so
 * are tokens that add up through a network. Other tokens have the network's precision. */
#include "engine/onednn/nodes.h"

tw_status twi_onednn_dense(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_packed *params[TWI_PARAMS] = {0};
    const twi_primitive *dense;
    const twi_layout *plain;
    uint32_t in, out = TWI_NO_VALUE;
    twi_spec spec = {.name = node->name,
                     .batch = b->program->opts.batch,
                     .in = &b->shapes[node->inputs[0]],
                     .out = &b->shapes[b->node],
                     .dtype = twi_onednn_dtype(b),
                     .bias = node->params[TWI_PARAM_BIAS] != NULL,
                     .after = node->fused,
                     .sum = node->fused_add != TWI_NO_NODE};
    const bool wide = b->shapes[b->node].rank == 1 || spec.sum;
    tw_status st =
        twi_node_layout(b, b->node, wide ? TWI_F32 : spec.dtype, TWI_ORDER_PLAIN, &spec.dst);
    bool done = false;
    if (st == TW_OK) st = twi_onednn_eight_dense(b, &spec, &done);
    if (st != TW_OK || done) return st;
    if (st == TW_OK) st = twi_primitive_dense(b->ctx, b->program->device, &spec, &dense);
    if (st == TW_OK)
        st =
            twi_onednn_as(b, twi_input_value(b, 0), twi_primitive_layout(dense, TWI_ROLE_SRC), &in);
    if (st == TW_OK) st = twi_onednn_plain_weight(b, TWI_F32, &plain);
    if (st == TW_OK) st = twi_onednn_weight(b, dense, plain, &params[TWI_PARAM_WEIGHT]);
    if (st == TW_OK && spec.bias)
        st = twi_build_floats(b, b->node, TWI_PARAM_BIAS, &params[TWI_PARAM_BIAS]);
    if (st == TW_OK && spec.sum)
        st = twi_onednn_sum(b, twi_primitive_layout(dense, TWI_ROLE_DST), &out);
    if (st == TW_OK) st = twi_onednn_step(b, dense, 1, &in, params, &out);
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}
