/* rules_attention.c - products of values with values. */
#include "network/rules.h"

tw_status twi_check_matmul(tw_ctx *ctx, const twi_node *node)
{
    return twi_check_finite(ctx, node, "scale", node->scale);
}

/* [m, k] times [k, n], either turned round first; with a third axis in front one product each. */
tw_status twi_shape_matmul(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const twi_shape *a = &in[0], *b = &in[1];
    const size_t row = a->rank - 2, column = a->rank - 1;
    if (a->rank != b->rank || (a->rank == 3 && a->dims[0] != b->dims[0]) ||
        a->dims[node->transpose_a ? row : column] != b->dims[node->transpose_b ? column : row])
        return twi_fail_shapes(ctx, node, "matrices that can be multiplied", a, b);
    *out = *a;
    out->dims[row] = a->dims[node->transpose_a ? column : row];
    out->dims[column] = b->dims[node->transpose_b ? row : column];
    return TW_OK;
}

tw_status twi_check_attention(tw_ctx *ctx, const twi_node *node)
{
    const twi_tensor *bias = node->params[TWI_PARAM_ATTENTION_BIAS];
    tw_status st = twi_check_finite(ctx, node, "scale", node->scale);
    if (st == TW_OK) st = twi_check_range(ctx, node, "heads", node->heads, 1, TWI_MAX_HEADS);
    if (st == TW_OK) st = twi_check_range(ctx, node, "tokens", node->tokens, 0, TWI_MAX_TOKENS);
    if (st != TW_OK || !bias || bias->dims[0] == node->heads) return st;
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: bias %s is for %zu heads; the layer has %zu",
                    node->name, bias->name, bias->dims[0], node->heads);
}

/* A bias or mask is [first, queries, keys]. */
static tw_status check_scores(tw_ctx *ctx, const twi_node *node, int param, const size_t need[3])
{
    const twi_tensor *t = node->params[param];
    if (!t) return TW_OK;
    for (size_t i = 0; i < 3; i++)
        if (t->dims[i] != need[i])
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "layer %s: dimension %zu of %s is %zu; what comes in needs %zu",
                            node->name, i, t->name, t->dims[i], need[i]);
    return TW_OK;
}

/* q [queries, heads dk], k [keys, h dk], v [keys, h dv] -> [queries, heads dv]; h heads of keys
 * serve heads / h of queries each (Ainslie et al. 2023: grouped queries). */
tw_status twi_shape_attention(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                              twi_shape *out)
{
    const size_t heads = node->heads, each = in[0].dims[1] / heads;
    const size_t keys = in[1].dims[0], window = node->tokens ? node->tokens : keys;
    if (each == 0 || in[0].dims[1] % heads != 0)
        return twi_fail_shape(ctx, node, &in[0], "features that are a multiple of its heads");
    const size_t key_heads = in[1].dims[1] / each;
    if (key_heads == 0 || in[1].dims[1] % each != 0 || heads % key_heads != 0)
        return twi_fail_shapes(ctx, node, "keys as wide as queries, or fewer heads of them", &in[0],
                               &in[1]);
    if (in[2].dims[0] != keys || in[2].dims[1] % key_heads != 0)
        return twi_fail_shapes(ctx, node, "a value for every key, in as many heads", &in[1],
                               &in[2]);
    if (window > TWI_MAX_TOKENS || keys % window != 0 || in[0].dims[0] % (keys / window) != 0)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "layer %s: %zu queries and %zu keys come in; need whole windows of %zu "
                        "keys, at most %d",
                        node->name, in[0].dims[0], keys, window, TWI_MAX_TOKENS);
    const size_t windows = keys / window, queries = in[0].dims[0] / windows;
    tw_status st =
        check_scores(ctx, node, TWI_PARAM_ATTENTION_BIAS, (size_t[3]){heads, queries, window});
    if (st == TW_OK)
        st = check_scores(ctx, node, TWI_PARAM_ATTENTION_MASK,
                          (size_t[3]){windows, queries, window});
    if (twi_mul(heads, in[2].dims[1] / key_heads, &out->dims[1]))
        return twi_fail_shape(ctx, node, &in[2], "fewer values");
    out->dims[0] = in[0].dims[0];
    return st;
}
