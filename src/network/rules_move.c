/* rules_move.c - operators that only move values: joining, cutting, turning, windows of tokens. */
#include "network/rules.h"

#include <string.h>

/* ---- joining and reshaping ----------------------------------------------------------------- */

tw_status twi_check_concat(tw_ctx *ctx, const twi_node *node)
{
    return twi_check_range(ctx, node, "axis", node->axis, 0, 2);
}

tw_status twi_shape_concat(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const size_t axis = node->axis;
    if (axis >= in[0].rank) return twi_fail_shape(ctx, node, &in[0], "more axes to join along one");
    *out = in[0];
    for (size_t i = 1; i < node->n_inputs; i++) {
        twi_shape other = in[i];
        if (other.rank == in[0].rank) other.dims[axis] = in[0].dims[axis];
        if (!twi_shape_equal(&in[0], &other))
            return twi_fail_shapes(ctx, node, "equal sizes along the other axes", &in[0], &in[i]);
        out->dims[axis] += in[i].dims[axis]; /* all below the caps */
    }
    return TW_OK;
}

tw_status twi_shape_flatten(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    (void)ctx, (void)node;
    out->dims[0] = twi_shape_elements(&in[0]);
    return TW_OK;
}

/* Sizes from 0 (what is left, once at most) up to the cap of any value. */
tw_status twi_check_target(tw_ctx *ctx, const twi_node *node)
{
    const twi_shape *target = &node->target;
    const bool may_infer = node->op == TWI_OP_RESHAPE;
    size_t zeros = 0;
    if (target->rank < 1 || target->rank > 3 || (!may_infer && target->rank != 3))
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: a shape of %zu axes; need %s", node->name,
                        target->rank, may_infer ? "1 to 3" : "3");
    for (size_t i = 0; i < target->rank; i++) {
        zeros += target->dims[i] == 0;
        if (target->dims[i] > UINT32_MAX || zeros > may_infer)
            return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: axis %zu of its shape is %zu; need 1 up",
                            node->name, i, target->dims[i]);
    }
    return TW_OK;
}

size_t twi_rank_target(const twi_node *node, const size_t *in_ranks)
{
    (void)in_ranks;
    return node->target.rank;
}

tw_status twi_shape_reshape(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const size_t count = twi_shape_elements(&in[0]);
    char need[2 * TWI_SHAPE_TEXT] = "as many values as ";
    size_t known = 1, *left = NULL;
    bool over = false;
    *out = node->target;
    for (size_t i = 0; i < out->rank; i++) {
        if (out->dims[i] == 0)
            left = &out->dims[i];
        else
            over |= twi_mul(known, out->dims[i], &known);
    }
    if (left && !over && count % known == 0) *left = count / known;
    if (!over && known <= count && twi_shape_elements(out) == count) return TW_OK;
    twi_shape_text(&node->target, need + strlen(need));
    return twi_fail_shape(ctx, node, &in[0], need);
}

/* ---- maps ---------------------------------------------------------------------------------- */

tw_status twi_check_block(tw_ctx *ctx, const twi_node *node)
{
    return twi_check_range(ctx, node, "block", node->block, 1, TWI_MAX_BLOCK);
}

tw_status twi_shape_depth_to_space(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                                   twi_shape *out)
{
    const size_t block = node->block;
    if (in[0].dims[0] % (block * block) != 0)
        return twi_fail_shape(ctx, node, &in[0], "channels that fill square blocks of its size");
    *out = (twi_shape){
        3, {in[0].dims[0] / (block * block), in[0].dims[1] * block, in[0].dims[2] * block}};
    return TW_OK;
}

tw_status twi_shape_space_to_depth(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                                   twi_shape *out)
{
    const size_t block = node->block;
    if (in[0].dims[1] % block != 0 || in[0].dims[2] % block != 0)
        return twi_fail_shape(ctx, node, &in[0], "sides that are multiples of its block");
    *out = (twi_shape){
        3, {in[0].dims[0] * block * block, in[0].dims[1] / block, in[0].dims[2] / block}};
    return TW_OK;
}

tw_status twi_check_groups(tw_ctx *ctx, const twi_node *node)
{
    return twi_check_range(ctx, node, "groups", node->groups, 1, TWI_MAX_CHANNELS);
}

tw_status twi_shape_shuffle(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    *out = in[0];
    if (in[0].dims[0] % node->groups == 0) return TW_OK;
    return twi_fail_shape(ctx, node, &in[0], "channels that are a multiple of its groups");
}

/* ---- any value ----------------------------------------------------------------------------- */

tw_status twi_check_slice(tw_ctx *ctx, const twi_node *node)
{
    tw_status st = twi_check_range(ctx, node, "axis", node->axis, 0, 2);
    if (st == TW_OK) st = twi_check_range(ctx, node, "step", node->step, 1, UINT32_MAX);
    if (st == TW_OK) st = twi_check_range(ctx, node, "start", node->start, 0, UINT32_MAX);
    return st;
}

tw_status twi_shape_slice(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const size_t axis = node->axis;
    if (axis >= in[0].rank) return twi_fail_shape(ctx, node, &in[0], "the axis it cuts");
    const size_t stop = node->stop < in[0].dims[axis] ? node->stop : in[0].dims[axis];
    if (node->start >= stop)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "layer %s: values %zu to %zu of axis %zu, which has %zu: none", node->name,
                        node->start, node->stop, axis, in[0].dims[axis]);
    *out = in[0];
    out->dims[axis] = (stop - node->start - 1) / node->step + 1;
    return TW_OK;
}

/* Each axis once at most, each below limit. */
static tw_status check_axes(tw_ctx *ctx, const twi_node *node, size_t limit)
{
    bool seen[3] = {false};
    for (size_t i = 0; i < node->axes.rank; i++) {
        const size_t axis = node->axes.dims[i];
        if (axis >= limit || seen[axis])
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "layer %s: axis %zu in its list; need each from 0 to %zu once at most",
                            node->name, axis, limit - 1);
        seen[axis] = true;
    }
    return TW_OK;
}

tw_status twi_check_transpose(tw_ctx *ctx, const twi_node *node)
{
    if (node->axes.rank < 1 || node->axes.rank > 3)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: a list of %zu axes; need 1 to 3", node->name,
                        node->axes.rank);
    return check_axes(ctx, node, node->axes.rank);
}

tw_status twi_shape_transpose(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                              twi_shape *out)
{
    if (in[0].rank != node->axes.rank)
        return twi_fail_shape(ctx, node, &in[0], "as many axes as its list has");
    for (size_t i = 0; i < in[0].rank; i++) out->dims[i] = in[0].dims[node->axes.dims[i]];
    return TW_OK;
}

tw_status twi_check_reduce(tw_ctx *ctx, const twi_node *node)
{
    if (node->axes.rank < 1 || node->axes.rank > 3)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: a list of %zu axes; need 1 to 3", node->name,
                        node->axes.rank);
    return check_axes(ctx, node, 3);
}

tw_status twi_shape_reduce(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    *out = in[0];
    for (size_t i = 0; i < node->axes.rank; i++) {
        if (node->axes.dims[i] >= in[0].rank)
            return twi_fail_shape(ctx, node, &in[0], "the axes in its list");
        out->dims[node->axes.dims[i]] = 1;
    }
    return TW_OK;
}

/* ---- tokens -------------------------------------------------------------------------------- */

tw_status twi_shape_tokens(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    (void)ctx, (void)node;
    *out = (twi_shape){2, {in[0].dims[1] * in[0].dims[2], in[0].dims[0]}};
    return TW_OK;
}

tw_status twi_check_size(tw_ctx *ctx, const twi_node *node)
{
    for (int i = 0; i < 2; i++) {
        const tw_status st = twi_check_range(ctx, node, "size", node->size[i], 1, TWI_MAX_SIDE);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

tw_status twi_shape_map(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    if (in[0].dims[0] != node->size[0] * node->size[1])
        return twi_fail_shape(ctx, node, &in[0], "a token for every pixel of its size");
    *out = (twi_shape){3, {in[0].dims[1], node->size[0], node->size[1]}};
    return TW_OK;
}

tw_status twi_shape_prepend(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const twi_tensor *token = node->params[TWI_PARAM_TOKEN];
    *out = in[0];
    out->dims[0] += token->dims[0];
    return twi_check_channels(ctx, node, in[0].dims[1], token->dims[1]);
}

tw_status twi_shape_take(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    out->dims[0] = in[0].dims[1];
    if (node->index < in[0].dims[0]) return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: takes token %zu; %zu come in", node->name,
                    node->index, in[0].dims[0]);
}

tw_status twi_shape_partition(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                              twi_shape *out)
{
    *out = (twi_shape){2, {in[0].dims[1] * in[0].dims[2], in[0].dims[0]}};
    if (in[0].dims[1] % node->size[0] == 0 && in[0].dims[2] % node->size[1] == 0) return TW_OK;
    return twi_fail_shape(ctx, node, &in[0], "sides that are multiples of its windows'");
}

tw_status twi_check_windows(tw_ctx *ctx, const twi_node *node)
{
    tw_status st = twi_check_size(ctx, node);
    if (st == TW_OK) st = twi_check_target(ctx, node);
    if (st != TW_OK) return st;
    if (node->target.dims[1] % node->size[0] == 0 && node->target.dims[2] % node->size[1] == 0)
        return TW_OK;
    return twi_fail_shape(ctx, node, &node->target, "sides that are multiples of its windows'");
}

tw_status twi_shape_reverse(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const twi_shape *to = &node->target;
    size_t pixels;
    *out = *to;
    if (!twi_mul(to->dims[1], to->dims[2], &pixels) && pixels == in[0].dims[0] &&
        to->dims[0] == in[0].dims[1])
        return TW_OK;
    return twi_fail_shapes(ctx, node, "a token for every pixel of the second", &in[0], to);
}
