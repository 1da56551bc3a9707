/* pointwise.c - ReLU and sums that fusion did not hang on another operator. */
#include "engine/onednn/nodes.h"

tw_status twi_onednn_relu(twi_build *b)
{
    const uint32_t in = twi_input_value(b, 0);
    const twi_primitive *relu;
    uint32_t out = TWI_NO_VALUE;
    tw_status st = twi_primitive_relu(b->ctx, b->program->device, twi_value_layout(b, in), &relu);
    if (st == TW_OK) st = twi_onednn_step(b, relu, 1, &in, NULL, &out);
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}

tw_status twi_onednn_add(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    uint32_t in[2] = {twi_input_value(b, 0), twi_input_value(b, 1)}, out = TWI_NO_VALUE;
    const twi_layout *layout = twi_value_layout(b, in[0]);
    const bool three = node->fused_add != TWI_NO_NODE;
    const twi_primitive *add;
    tw_status st = twi_onednn_as(b, in[1], layout, &in[1]);
    if (st == TW_OK)
        st = twi_primitive_add(b->ctx, b->program->device, layout,
                               node->fused.op == TWI_OP_RELU && !three, &add);
    if (st == TW_OK) st = twi_onednn_step(b, add, 2, in, NULL, &out);
    if (st == TW_OK && three) {
        in[0] = out;
        st = twi_onednn_as(b, b->value_of[node->fused_add], layout, &in[1]);
        if (st == TW_OK)
            st = twi_primitive_add(b->ctx, b->program->device, layout,
                                   node->fused.op == TWI_OP_RELU, &add);
        if (st == TW_OK) st = twi_onednn_step(b, add, 2, in, NULL, &out);
    }
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}
