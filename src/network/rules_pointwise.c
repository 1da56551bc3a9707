/* rules_pointwise.c - activations, arithmetic, norms and dense layers: what keeps the places of
 * values. */
#include "network/rules.h"

#include <math.h>

/* ---- activations --------------------------------------------------------------------------- */

tw_status twi_shape_same(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    (void)ctx, (void)node;
    *out = in[0];
    return TW_OK;
}

tw_status twi_check_activation(tw_ctx *ctx, const twi_node *node)
{
    tw_status st = twi_check_finite(ctx, node, "alpha", node->alpha);
    if (st == TW_OK) st = twi_check_finite(ctx, node, "beta", node->beta);
    if (st == TW_OK) st = twi_check_finite(ctx, node, "low", node->low);
    if (st == TW_OK) st = twi_check_finite(ctx, node, "high", node->high);
    if (st == TW_OK && node->low > node->high)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: clips to %g at least and %g at most",
                        node->name, node->low, node->high);
    return st;
}

tw_status twi_shape_prelu(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const size_t n = node->params[TWI_PARAM_SLOPE]->count;
    *out = in[0];
    if (n == 1) return TW_OK; /* for all channels */
    return twi_check_channels(ctx, node, in[0].dims[twi_channel_axis(in[0].rank)], n);
}

twi_activation twi_activation_of(const twi_node *node)
{
    switch (node->op) {
    case TWI_OP_RELU:
    case TWI_OP_LEAKY_RELU:
    case TWI_OP_ELU:
    case TWI_OP_SIGMOID:
    case TWI_OP_TANH:
    case TWI_OP_HARD_SIGMOID:
    case TWI_OP_HARD_SWISH:
    case TWI_OP_SILU:
    case TWI_OP_GELU:
    case TWI_OP_GELU_TANH:
    case TWI_OP_MISH:
        return (twi_activation){node->op, node->alpha, node->beta};
    case TWI_OP_CLIP:
        return (twi_activation){node->op, node->low, node->high};
    default:
        return (twi_activation){TWI_OP_INPUT, 0, 0};
    }
}

/* ---- arithmetic of two values -------------------------------------------------------------- */

bool twi_shape_align(const twi_shape *shape, size_t rank, twi_shape *out)
{
    if (shape->rank == rank) {
        *out = *shape;
        return true;
    }
    if (shape->rank != 1) return false;
    const size_t n = shape->dims[0];
    *out = (twi_shape){.rank = rank, .dims = {1, 1, 1}};
    out->dims[twi_channel_axis(rank)] = n;
    return true;
}

bool twi_shape_broadcast(const twi_shape *a, const twi_shape *b, twi_shape *out)
{
    const size_t rank = a->rank > b->rank ? a->rank : b->rank;
    twi_shape x, y;
    if (!twi_shape_align(a, rank, &x) || !twi_shape_align(b, rank, &y)) return false;
    for (size_t i = 0; i < rank; i++) {
        if (x.dims[i] != y.dims[i] && x.dims[i] != 1 && y.dims[i] != 1) return false;
        if (y.dims[i] > x.dims[i]) x.dims[i] = y.dims[i];
    }
    *out = x;
    return true;
}

twi_shape twi_shape_of_tensor(const twi_tensor *tensor)
{
    twi_shape shape = {.rank = tensor->rank};
    for (size_t i = 0; i < tensor->rank && i < TWI_LEN(shape.dims); i++)
        shape.dims[i] = tensor->dims[i];
    return shape;
}

size_t twi_shape_elements(const twi_shape *shape)
{
    size_t count = 1;
    for (size_t i = 0; i < shape->rank; i++) count *= shape->dims[i];
    return count;
}

bool twi_shape_equal(const twi_shape *a, const twi_shape *b)
{
    if (a->rank != b->rank) return false;
    for (size_t i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

tw_status twi_shape_add(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    if (!twi_shape_equal(&in[0], &in[1]))
        return twi_fail_shapes(ctx, node, "two of one shape", &in[0], &in[1]);
    *out = in[0];
    return TW_OK;
}

size_t twi_rank_broadcast(const twi_node *node, const size_t *in_ranks)
{
    (void)node;
    return in_ranks[0] > in_ranks[1] ? in_ranks[0] : in_ranks[1];
}

tw_status twi_shape_broadcast_of(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                                 twi_shape *out)
{
    if (twi_shape_broadcast(&in[0], &in[1], out)) return TW_OK;
    return twi_fail_shapes(ctx, node, "equal sizes, or 1, along every axis", &in[0], &in[1]);
}

/* ---- constants ----------------------------------------------------------------------------- */

tw_status twi_shape_with_constant(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                                  twi_shape *out)
{
    const twi_shape value = twi_shape_of_tensor(node->params[TWI_PARAM_VALUE]);
    if (twi_shape_broadcast(&in[0], &value, out) && twi_shape_equal(out, &in[0])) return TW_OK;
    return twi_fail_shapes(ctx, node, "a value that repeats to the shape of the first", &in[0],
                           &value);
}

size_t twi_rank_constant(const twi_node *node, const size_t *in_ranks)
{
    (void)in_ranks;
    return node->params[TWI_PARAM_VALUE]->rank;
}

tw_status twi_shape_constant(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    (void)ctx, (void)in;
    *out = twi_shape_of_tensor(node->params[TWI_PARAM_VALUE]);
    return TW_OK;
}

/* ---- norms --------------------------------------------------------------------------------- */

static tw_status check_epsilon(tw_ctx *ctx, const twi_node *node)
{
    if (isfinite(node->epsilon) && node->epsilon >= 0) return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: epsilon is negative or not finite", node->name);
}

tw_status twi_check_batch_norm(tw_ctx *ctx, const twi_node *node)
{
    const size_t channels = node->params[TWI_PARAM_MEAN]->count;
    const tw_status known = check_epsilon(ctx, node);
    if (known != TW_OK) return known;
    for (int i = 0; i < TWI_PARAMS; i++) {
        const tw_status st = twi_check_vector(ctx, node, i, channels);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

tw_status twi_shape_batch_norm(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                               twi_shape *out)
{
    *out = in[0];
    return twi_check_channels(ctx, node, in[0].dims[twi_channel_axis(in[0].rank)],
                              node->params[TWI_PARAM_MEAN]->count);
}

/* Odd, as in every published network: the channel itself is in the middle. */
tw_status twi_check_lrn(tw_ctx *ctx, const twi_node *node)
{
    tw_status st = twi_check_range(ctx, node, "size", node->span, 1, TWI_MAX_WINDOW);
    if (st == TW_OK) st = twi_check_finite(ctx, node, "alpha", node->alpha);
    if (st == TW_OK) st = twi_check_finite(ctx, node, "beta", node->beta);
    if (st == TW_OK) st = twi_check_finite(ctx, node, "bias", node->bias);
    if (st != TW_OK) return st;
    if (node->span % 2 == 0)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "layer %s: size is %zu; need an odd number",
                        node->name, node->span);
    if (node->alpha < 0 || node->bias <= 0)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "layer %s: alpha is %g and bias is %g; need 0 or more and above 0",
                        node->name, node->alpha, node->bias);
    return TW_OK;
}

/* Layer norm, group norm, division by the length. */
tw_status twi_check_norm(tw_ctx *ctx, const twi_node *node)
{
    const twi_tensor *scale = node->params[TWI_PARAM_SCALE];
    const tw_status st = check_epsilon(ctx, node);
    if (st != TW_OK) return st;
    return scale ? twi_check_vector(ctx, node, TWI_PARAM_SHIFT, scale->count) : TW_OK;
}

tw_status twi_shape_norm(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const size_t channels = in[0].dims[twi_channel_axis(in[0].rank)];
    *out = in[0];
    for (int i = TWI_PARAM_SCALE; i <= TWI_PARAM_SHIFT; i++) {
        const tw_status st = twi_check_vector(ctx, node, i, channels);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

tw_status twi_shape_group_norm(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                               twi_shape *out)
{
    if (in[0].dims[0] % node->groups != 0)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "layer %s: %zu groups; need a divisor of the %zu channels that come in",
                        node->name, node->groups, in[0].dims[0]);
    return twi_shape_norm(ctx, node, in, out);
}

/* ---- dense --------------------------------------------------------------------------------- */

tw_status twi_check_dense(tw_ctx *ctx, const twi_node *node)
{
    return twi_check_vector(ctx, node, TWI_PARAM_BIAS, node->params[TWI_PARAM_WEIGHT]->dims[0]);
}

tw_status twi_shape_dense(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const twi_tensor *weight = node->params[TWI_PARAM_WEIGHT];
    const size_t axis = twi_channel_axis(in[0].rank);
    *out = in[0];
    if (in[0].dims[axis] != weight->dims[1])
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "layer %s: %zu features come in; its weight %s [%zu, %zu] needs %zu",
                        node->name, in[0].dims[axis], weight->name, weight->dims[0],
                        weight->dims[1], weight->dims[1]);
    out->dims[axis] = weight->dims[0];
    return TW_OK;
}
