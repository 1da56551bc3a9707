/* network.c - building a graph, and the shapes of its values. */
#include "network/operators.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

tw_status twi_network_new(tw_ctx *ctx, size_t input_channels, twi_network **out)
{
    if (input_channels == 0 || input_channels > TWI_MAX_CHANNELS)
        return twi_fail(ctx, TW_ERR_FORMAT, "a network of %zu input channels; need 1 to %d",
                        input_channels, TWI_MAX_CHANNELS);
    twi_network *network;
    tw_status st = twi_zalloc(ctx, 1, &network);
    if (st != TW_OK) return st;
    network->input_channels = input_channels;
    network->logits = TWI_NO_NODE;
    const twi_node input = {.op = TWI_OP_INPUT, .name = "input"};
    if ((st = twi_network_append(ctx, network, &input, NULL)) != TW_OK) goto done;
    *out = network, network = NULL; /* handed over */
done:
    twi_network_free(network);
    return st;
}

void twi_network_free(twi_network *network)
{
    if (!network) return;
    twi_tensors_free(&network->weights);
    twi_arena_free(&network->memory);
    twi_free(network->nodes);
    twi_free(network);
}

/* ---- adding nodes -------------------------------------------------------------------------- */

static tw_status check_links(tw_ctx *ctx, const twi_network *network, const twi_node *proto)
{
    const twi_operator *op = twi_operator_at(proto->op);
    if (proto->n_inputs < op->min_inputs || proto->n_inputs > op->max_inputs)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %zu inputs; %s takes %zu to %zu",
                        proto->name, proto->n_inputs, op->name, op->min_inputs, op->max_inputs);
    if (proto->op == TWI_OP_INPUT && network->n > 0)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: a second input", proto->name);
    for (size_t i = 0; i < proto->n_inputs; i++)
        if (proto->inputs[i] >= network->n)
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "layer %s: input %zu is layer %zu; only %zu layers come before it",
                            proto->name, i, (size_t)proto->inputs[i], network->n);
    return TW_OK;
}

static tw_status check_name(tw_ctx *ctx, const twi_network *network, const char *name)
{
    if (!name || !*name) return twi_fail(ctx, TW_ERR_FORMAT, "layer %zu has no name", network->n);
    for (size_t i = 0; i < network->n; i++)
        if (strcmp(network->nodes[i].name, name) == 0)
            return twi_fail(ctx, TW_ERR_FORMAT, "two layers are called %s", name);
    return TW_OK;
}

static bool is_float(twi_dtype dtype)
{
    return dtype == TWI_F16 || dtype == TWI_BF16 || dtype == TWI_F32 || dtype == TWI_F64;
}

static tw_status check_param(tw_ctx *ctx, const twi_node *proto, int i)
{
    const twi_operator *op = twi_operator_at(proto->op);
    const twi_tensor *t = proto->params[i];
    if (!t && op->params[i].required)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s is missing", proto->name,
                        op->params[i].name);
    if (!t) return TW_OK;
    if (!op->params[i].name)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s takes no parameter %s", proto->name,
                        op->name, t->name);
    const size_t need = op->params[i].rank;
    if (need == 0 && (t->rank < 1 || t->rank > 3))
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s %s has %zu dimensions; need 1 to 3",
                        proto->name, op->params[i].name, t->name, t->rank);
    if (need != 0 && t->rank != need)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s %s has %zu dimensions; need %zu",
                        proto->name, op->params[i].name, t->name, t->rank, need);
    if (!is_float(t->dtype))
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s %s holds %s; need floating point",
                        proto->name, op->params[i].name, t->name, twi_dtype_name(t->dtype));
    for (size_t d = 0; d < t->rank; d++)
        if (t->dims[d] == 0 || t->dims[d] > TWI_MAX_CHANNELS)
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "layer %s: dimension %zu of %s %s is %zu; need 1 to %d", proto->name, d,
                            op->params[i].name, t->name, t->dims[d], TWI_MAX_CHANNELS);
    return TW_OK;
}

/* Fields that mean "the usual" when left 0; what the operator does not have is cleared. */
static void fill_window(twi_node *node, unsigned attributes)
{
    twi_window *w = &node->window;
    if (attributes & TWI_ATTR_PAD) { /* the padding alone */
        const twi_window padding = *w;
        *w = (twi_window){0};
        memcpy(w->pad_begin, padding.pad_begin, sizeof w->pad_begin);
        memcpy(w->pad_end, padding.pad_end, sizeof w->pad_end);
    } else if (!(attributes & TWI_ATTR_WINDOW)) {
        *w = (twi_window){0};
    }
    for (size_t i = 0; i < 2 && attributes & TWI_ATTR_WINDOW; i++) {
        if (w->dilation[i] == 0) w->dilation[i] = 1;
        if (node->op != TWI_OP_CONV) continue;
        if (w->stride[i] == 0) w->stride[i] = 1;
        if (w->kernel[i] == 0) w->kernel[i] = node->params[TWI_PARAM_WEIGHT]->dims[2 + i];
    }
}

static void fill_defaults(twi_node *node)
{
    const unsigned attributes = twi_operator_at(node->op)->attributes;
    fill_window(node, attributes);
    if (node->groups == 0 || !(attributes & TWI_ATTR_GROUPS)) node->groups = 1;
    if (node->step == 0 && attributes & TWI_ATTR_RANGE_OF_AXIS) node->step = 1;
    if (!(attributes & TWI_ATTR_EPSILON)) node->epsilon = 0;
    if (!(attributes & TWI_ATTR_FLATTEN_ORDER)) node->nhwc = false;
    node->fused = (twi_activation){0};
    node->fused_add = TWI_NO_NODE;
    node->origin = TWI_NO_NODE;
}

tw_status twi_network_append(tw_ctx *ctx, twi_network *network, const twi_node *proto, uint32_t *id)
{
    tw_status st = check_name(ctx, network, proto->name);
    if (st != TW_OK) return st;
    if (network->n == TWI_MAX_NODES)
        return twi_fail(ctx, TW_ERR_FORMAT, "more than %d layers", TWI_MAX_NODES);
    if ((st = check_links(ctx, network, proto)) != TW_OK) return st;
    for (int i = 0; i < TWI_PARAMS; i++)
        if ((st = check_param(ctx, proto, i)) != TW_OK) return st;

    twi_node node = *proto;
    fill_defaults(&node);
    const twi_operator *op = twi_operator_at(node.op);
    if (op->check && (st = op->check(ctx, &node)) != TW_OK) return st;

    char *name;
    uint32_t *inputs;
    st = twi_arena_text(ctx, &network->memory, proto->name, strlen(proto->name), &name);
    if (st != TW_OK) return st;
    st = twi_arena_take(ctx, &network->memory, proto->n_inputs, &inputs);
    if (st != TW_OK) return st;
    if (proto->n_inputs > 0) memcpy(inputs, proto->inputs, proto->n_inputs * sizeof *inputs);
    node.name = name;
    node.inputs = inputs;
    st = twi_grow(ctx, &network->nodes, &network->capacity, network->n + 1);
    if (st != TW_OK) return st;
    if (id) *id = (uint32_t)network->n;
    network->nodes[network->n++] = node;
    return TW_OK;
}

static bool in_weights(const twi_network *network, const twi_tensor *t)
{
    const uintptr_t first = (uintptr_t)network->weights.items, at = (uintptr_t)t;
    return at >= first && at < first + network->weights.n * sizeof *t;
}

/* A list that grows moves its tensors, and params of nodes added before would point nowhere:
 * looking at the latest node that has any is enough, since each one was looked at when it was
 * added. */
static tw_status check_weights_stayed(tw_ctx *ctx, const twi_network *network)
{
    for (size_t n = network->n; n-- > 0;)
        for (int i = 0; i < TWI_PARAMS; i++) {
            const twi_tensor *t = network->nodes[n].params[i];
            if (!t) continue;
            if (in_weights(network, t)) return TW_OK;
            return twi_fail(ctx, TW_ERR_ARG,
                            "weights were added after layer %s; add all of them before the first "
                            "layer that uses one",
                            network->nodes[n].name);
        }
    return TW_OK;
}

tw_status twi_network_add(tw_ctx *ctx, twi_network *network, const twi_node *proto, uint32_t *id)
{
    for (int i = 0; i < TWI_PARAMS; i++)
        if (proto->params[i] && !in_weights(network, proto->params[i]))
            return twi_fail(ctx, TW_ERR_ARG,
                            "layer %s: parameter %d is not in the network's weights",
                            proto->name ? proto->name : "(no name)", i);
    const tw_status st = check_weights_stayed(ctx, network);
    return st == TW_OK ? twi_network_append(ctx, network, proto, id) : st;
}

/* ---- shapes -------------------------------------------------------------------------------- */

static size_t rank_of(const twi_node *node, const size_t *in_ranks)
{
    const twi_operator *op = twi_operator_at(node->op);
    if (op->rank) return op->rank(node, in_ranks);
    return op->out_rank ? op->out_rank : in_ranks[0];
}

void twi_network_ranks(const twi_network *network, size_t *ranks)
{
    size_t in[TWI_MAX_INPUTS];
    for (size_t i = 0; i < network->n; i++) {
        const twi_node *node = &network->nodes[i];
        for (size_t k = 0; k < node->n_inputs; k++) in[k] = ranks[node->inputs[k]];
        ranks[i] = rank_of(node, in);
    }
}

static tw_status check_rank(tw_ctx *ctx, const twi_node *node, const twi_shape *in)
{
    static const char *const words[] = {"", "vector", "list of tokens", "feature map"};
    const unsigned need = twi_operator_at(node->op)->in_ranks;
    char list[64] = "";
    if (need == 0 || need & TWI_RANK(in->rank)) return TW_OK;
    for (size_t rank = 3, at = 0; rank >= 1; rank--)
        if (need & TWI_RANK(rank))
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? " or a " : "",
                                   words[rank]);
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: a %s comes in; %s needs a %s", node->name,
                    words[in->rank], twi_op_name(node->op), list);
}

/* Every value is held to a size that a flattened one may have as well, so no product of it
 * overflows. */
static tw_status check_size(tw_ctx *ctx, const twi_node *node, const twi_shape *shape)
{
    size_t count = 1;
    bool over = false;
    for (size_t i = 0; i < shape->rank; i++) over |= twi_mul(count, shape->dims[i], &count);
    if (!over && count <= UINT32_MAX) return TW_OK;
    return twi_fail(ctx, TW_ERR_ARG, "layer %s: its value has more than %zu elements", node->name,
                    (size_t)UINT32_MAX);
}

tw_status twi_network_shape(tw_ctx *ctx, const twi_network *network, size_t i, twi_shape *shapes)
{
    twi_shape in[TWI_MAX_INPUTS];
    size_t ranks[TWI_MAX_INPUTS];
    const twi_node *node = &network->nodes[i];
    for (size_t k = 0; k < node->n_inputs; k++) {
        in[k] = shapes[node->inputs[k]];
        const tw_status st = check_rank(ctx, node, &in[k]);
        if (st != TW_OK) return st;
        ranks[k] = in[k].rank;
    }
    shapes[i] = (twi_shape){.rank = rank_of(node, ranks)};
    const tw_status st = twi_operator_at(node->op)->shape(ctx, node, in, &shapes[i]);
    return st == TW_OK ? check_size(ctx, node, &shapes[i]) : st;
}

tw_status twi_network_shapes(tw_ctx *ctx, const twi_network *network, size_t height, size_t width,
                             twi_shape *shapes)
{
    if (height == 0 || width == 0 || height > TWI_MAX_SIDE || width > TWI_MAX_SIDE)
        return twi_fail(ctx, TW_ERR_ARG, "an input of %zu x %zu pixels; need 1 to %d a side",
                        height, width, TWI_MAX_SIDE);
    assert(network->n > 0 && network->nodes[0].op == TWI_OP_INPUT);
    shapes[0] = (twi_shape){3, {network->input_channels, height, width}};
    tw_status st = check_size(ctx, &network->nodes[0], &shapes[0]);
    for (size_t i = 1; i < network->n && st == TW_OK; i++)
        st = twi_network_shape(ctx, network, i, shapes);
    return st;
}
