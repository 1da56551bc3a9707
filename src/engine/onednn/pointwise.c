/* pointwise.c - functions of one value and sums that fusion did not hang on another operator; local
 * response normalisation. */
#include "engine/onednn/nodes.h"

tw_status twi_onednn_activation(twi_build *b)
{
    const twi_activation f = twi_function_of(twi_build_node(b));
    const uint32_t in = twi_input_value(b, 0);
    const twi_primitive *primitive;
    uint32_t out = twi_onednn_last_use(b, in) ? in : TWI_NO_VALUE;
    tw_status st =
        twi_primitive_eltwise(b->ctx, b->program->device, twi_value_layout(b, in), &f, &primitive);
    if (st == TW_OK) st = twi_onednn_step(b, primitive, 1, &in, NULL, &out);
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}

/* In float32: small numbers to powers of 3/4. */
tw_status twi_onednn_lrn(twi_build *b)
{
    const uint32_t from = twi_build_node(b)->inputs[0];
    uint32_t in, out = TWI_NO_VALUE;
    const twi_primitive *lrn;
    const twi_layout *layout;
    tw_status st = twi_node_layout(b, from, TWI_F32, TWI_ORDER_NHWC, &layout);
    if (st == TW_OK) st = twi_onednn_as(b, twi_input_value(b, 0), layout, &in);
    if (st == TW_OK)
        st = twi_primitive_lrn(b->ctx, b->program->device, layout, twi_build_node(b), &lrn);
    if (st == TW_OK) st = twi_onednn_step(b, lrn, 1, &in, NULL, &out);
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}

tw_status twi_onednn_add(twi_build *b)
{
    uint32_t in[2] = {twi_input_value(b, 0), twi_input_value(b, 1)}, out = TWI_NO_VALUE;
    const twi_layout *layout = twi_value_layout(b, in[0]);
    const twi_primitive *add;
    tw_status st = twi_onednn_as(b, in[1], layout, &in[1]);
    if (st == TW_OK) st = twi_primitive_add(b->ctx, b->program->device, layout, NULL, &add);
    if (st == TW_OK) st = twi_onednn_step(b, add, 2, in, NULL, &out);
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}
