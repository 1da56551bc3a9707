/* shape.c - operators that only move values. */
#include "engine/onednn/nodes.h"

/* Joined in the order the first source has, so that as few as possible are reordered: blocks of 16
 * when it is blocked and every source's channels fill whole blocks, otherwise pixel by pixel. */
static tw_status concat_order(twi_build *b, twi_dtype dtype, twi_order *order)
{
    const twi_node *node = twi_build_node(b);
    const twi_layout *blocked;
    *order = TWI_ORDER_PLAIN;
    if (b->shapes[b->node].rank != 3) return TW_OK;
    *order = TWI_ORDER_NHWC;
    if (node->axis != 0) return TW_OK;
    for (size_t i = 0; i < node->n_inputs; i++)
        if (b->shapes[node->inputs[i]].dims[0] % 16 != 0) return TW_OK;
    const tw_status st = twi_node_layout(b, node->inputs[0], dtype, TWI_ORDER_BLOCK16, &blocked);
    if (st == TW_OK && twi_layout_equal(twi_value_layout(b, twi_input_value(b, 0)), blocked))
        *order = TWI_ORDER_BLOCK16;
    return st;
}

tw_status twi_onednn_concat(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    /* Of the layouts: behind the batch, which is in one with the tokens. */
    const size_t axis = b->shapes[b->node].rank == 2 ? 1 : node->axis + 1;
    const twi_layout **layouts = NULL, *dst;
    uint32_t *in = NULL, out = TWI_NO_VALUE;
    twi_order order = TWI_ORDER_PLAIN;
    if (b->shapes[b->node].rank == 2 && node->axis == 0) return twi_onednn_concat_tokens(b);
    /* Vectors come from dense layers and global pools, which give float32. */
    const bool eight = twi_onednn_eight_concat(b);
    const twi_dtype dtype = eight                          ? b->eights[b->node].dtype
                            : b->shapes[b->node].rank == 3 ? twi_onednn_dtype(b)
                                                           : TWI_F32;
    tw_status st = concat_order(b, dtype, &order);
    if (st == TW_OK) st = twi_alloc(b->ctx, node->n_inputs, &layouts);
    if (st == TW_OK) st = twi_alloc(b->ctx, node->n_inputs, &in);
    for (size_t i = 0; i < node->n_inputs && st == TW_OK; i++) in[i] = twi_input_value(b, i);
    if (st == TW_OK && eight) st = twi_onednn_eight_inputs(b, in);
    for (size_t i = 0; i < node->n_inputs && st == TW_OK; i++) {
        st = twi_node_layout(b, node->inputs[i], dtype, order, &layouts[i]);
        if (st == TW_OK) st = twi_onednn_as(b, in[i], layouts[i], &in[i]);
    }
    const twi_primitive *concat;
    if (st == TW_OK) st = twi_node_layout(b, b->node, dtype, order, &dst);
    if (st == TW_OK)
        st = twi_primitive_concat(b->ctx, b->program->device, node->n_inputs, axis, layouts, dst,
                                  &concat);
    if (st == TW_OK) st = twi_onednn_step(b, concat, node->n_inputs, in, NULL, &out);
    twi_free(in);
    twi_free(layouts);
    if (st == TW_OK) twi_onednn_eight_done(b, out, eight ? b->eights[b->node].scale : 0.0f);
    return st;
}

/* The map in the order asked for, copied, and from there on called a vector. */
tw_status twi_onednn_flatten(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const uint32_t from = node->inputs[0], value = twi_input_value(b, 0);
    const twi_order order =
        node->nhwc && b->shapes[from].rank == 3 ? TWI_ORDER_NHWC : TWI_ORDER_PLAIN;
    const twi_layout *flat;
    const twi_primitive *reorder;
    uint32_t out = TWI_NO_VALUE;
    tw_status st = twi_node_layout(b, from, TWI_F32, order, &flat);
    if (st == TW_OK)
        st = twi_primitive_reorder(b->ctx, b->program->device, twi_value_layout(b, value), flat,
                                   &reorder);
    if (st == TW_OK) st = twi_onednn_step(b, reorder, 1, &value, NULL, &out);
    if (st == TW_OK) st = twi_node_layout(b, b->node, TWI_F32, TWI_ORDER_PLAIN, &flat);
    if (st != TW_OK) return st;
    b->program->values[out].layout = flat; /* the same bytes */
    twi_onednn_done(b, out);
    return TW_OK;
}
