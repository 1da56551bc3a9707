/* inference.c - from the graph as it came to the graph that computes one output: cut, folded,
 * fused. */
#include "network/operators.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A node on its way from the old graph to the new; its inputs are numbers of the old graph. */
typedef struct item {
    twi_node node;
    bool alive;
    uint32_t
        value;   /* the item that now holds this one's value: itself, or what it was merged into */
    size_t uses; /* how many living nodes (and the output) read its value */
    uint32_t id; /* in the new graph */
} item;

typedef struct plan {
    const twi_network *from;
    twi_network *to;
    item *items; /* [from->n] */
    size_t *ranks;
} plan;

/* The item that holds the value of old node i. */
static uint32_t holder(const plan *p, uint32_t i)
{
    while (p->items[i].value != i) i = p->items[i].value;
    return i;
}

/* node now gives the value that of gave. */
static void take_value(twi_node *node, const twi_node *of)
{
    memcpy(node->observed, of->observed, sizeof node->observed);
    node->origin = of->origin;
}

/* Merges item i into target: readers of i now read target. */
static void merge(plan *p, uint32_t i, uint32_t target)
{
    p->items[i].alive = false;
    p->items[i].value = target;
    p->items[target].uses = p->items[i].uses;
    take_value(&p->items[target].node, &p->items[i].node);
}

static void mark_alive(plan *p, uint32_t target)
{
    p->items[target].uses = 1;
    for (uint32_t i = target + 1; i-- > 0;) {
        item *it = &p->items[i];
        it->alive = it->uses > 0;
        for (size_t k = 0; it->alive && k < it->node.n_inputs; k++)
            p->items[it->node.inputs[k]].uses++;
    }
    p->items[0].alive = true;
}

static bool has_weights(const item *it)
{
    return it->node.op == TWI_OP_CONV || it->node.op == TWI_OP_DENSE;
}

static bool may_fold(const twi_node *node)
{
    return node->op == TWI_OP_BATCH_NORM || node->op == TWI_OP_MUL_CONSTANT ||
           node->op == TWI_OP_ADD_CONSTANT;
}

/* Into the convolution or dense layer before it, or, if it is a norm, to a layer of its own. */
static tw_status fold_one(tw_ctx *ctx, plan *p, uint32_t i)
{
    item *it = &p->items[i];
    const uint32_t source = holder(p, it->node.inputs[0]);
    item *before = &p->items[source];
    if (has_weights(before) && before->uses == 1 &&
        twi_fold_suits(&it->node, p->ranks[i], before->node.params[TWI_PARAM_WEIGHT]->dims[0])) {
        const tw_status st = twi_fold_into(ctx, &it->node, &before->node, p->to);
        merge(p, i, source);
        return st;
    }
    return it->node.op == TWI_OP_BATCH_NORM ? twi_fold_alone(ctx, &it->node, p->ranks[i], p->to)
                                            : TW_OK;
}

static tw_status fold_affine(tw_ctx *ctx, plan *p)
{
    twi_tensors *weights = &p->to->weights;
    size_t n = 0;
    for (uint32_t i = 0; i < p->from->n; i++) n += may_fold(&p->from->nodes[i]);
    /* All room at once: nodes point at tensors of this list, which must not move. */
    tw_status st = twi_grow(ctx, &weights->items, &weights->capacity, 2 * n);
    for (uint32_t i = 0; i < p->from->n && st == TW_OK; i++)
        if (p->items[i].alive && may_fold(&p->items[i].node)) st = fold_one(ctx, p, i);
    return st;
}

static bool can_take_sum(const plan *p, uint32_t i)
{
    const item *it = &p->items[i];
    return has_weights(it) && it->uses == 1 && it->node.fused_add == TWI_NO_NODE;
}

/* The layer moves to where the sum stood: it has no other reader, and there the other summand
 * exists. */
static void fuse_sums(plan *p)
{
    for (uint32_t i = 0; i < p->from->n; i++) {
        item *it = &p->items[i];
        if (!it->alive || it->node.op != TWI_OP_ADD) continue;
        const uint32_t a = holder(p, it->node.inputs[0]), b = holder(p, it->node.inputs[1]);
        if (a == b) continue;
        const uint32_t later = a > b ? a : b, earlier = a > b ? b : a;
        uint32_t layer;
        if (can_take_sum(p, later))
            layer = later;
        else if (can_take_sum(p, earlier))
            layer = earlier;
        else
            continue;
        const twi_node sum = it->node;
        it->node = p->items[layer].node;
        take_value(&it->node, &sum);
        it->node.fused_add = layer == a ? b : a;
        p->items[layer].alive = false;
    }
}

static void fuse_activations(plan *p)
{
    for (uint32_t i = 0; i < p->from->n; i++) {
        const twi_activation activation = twi_activation_of(&p->items[i].node);
        if (!p->items[i].alive || activation.op == TWI_OP_INPUT) continue;
        const uint32_t source = holder(p, p->items[i].node.inputs[0]);
        item *it = &p->items[source];
        if (!has_weights(it) || it->uses != 1 || it->node.fused.op != TWI_OP_INPUT) continue;
        it->node.fused = activation;
        merge(p, i, source);
    }
}

/* ---- the new graph ------------------------------------------------------------------------- */

static tw_status emit(tw_ctx *ctx, plan *p, item *it)
{
    uint32_t inputs[TWI_MAX_INPUTS];
    twi_node node = it->node;
    for (size_t k = 0; k < node.n_inputs; k++) inputs[k] = p->items[holder(p, node.inputs[k])].id;
    node.inputs = inputs;
    const tw_status st = twi_network_append(ctx, p->to, &node, &it->id);
    if (st != TW_OK) return st;
    twi_node *made = &p->to->nodes[it->id];
    made->fused = it->node.fused;
    made->origin = it->node.origin;
    if (it->node.fused_add != TWI_NO_NODE)
        made->fused_add = p->items[holder(p, it->node.fused_add)].id;
    assert(made->fused_add == TWI_NO_NODE || made->fused_add < it->id);
    return TW_OK;
}

/* Appends a node called "output", or "output.2" and so on where a layer has that name. */
static tw_status append_output(tw_ctx *ctx, twi_network *network, twi_op op)
{
    char name[32] = "output";
    const uint32_t last = (uint32_t)(network->n - 1);
    for (size_t i = 0, tries = 2; i < network->n; i++)
        if (strcmp(network->nodes[i].name, name) == 0) {
            snprintf(name, sizeof name, "output.%zu", tries++);
            i = 0; /* node 0 is "input": looked at already */
        }
    const twi_node node = {.op = op, .name = name, .n_inputs = 1, .inputs = &last, .nhwc = true};
    return twi_network_append(ctx, network, &node, NULL);
}

/* What stands behind the target for each output. */
static const struct output_row {
    bool classifier;   /* the target is logits, not the feature node */
    twi_op op;         /* appended; TWI_OP_INPUT: nothing */
    unsigned in_ranks; /* ... when the target has one of these: TWI_RANK() */
} outputs[] = {
    [TWI_OUTPUT_AVG] = {false, TWI_OP_GLOBAL_AVG_POOL, TWI_RANK(3) | TWI_RANK(2)},
    [TWI_OUTPUT_MAX] = {false, TWI_OP_GLOBAL_MAX_POOL, TWI_RANK(3) | TWI_RANK(2)},
    [TWI_OUTPUT_FLAT] = {false, TWI_OP_FLATTEN, TWI_RANK(3) | TWI_RANK(2)},
    [TWI_OUTPUT_LOGITS] = {true, TWI_OP_INPUT, 0},
    [TWI_OUTPUT_PROBABILITIES] = {true, TWI_OP_SOFTMAX, TWI_RANK(1)},
};

static tw_status build(tw_ctx *ctx, plan *p, uint32_t target, const struct output_row *row)
{
    tw_status st = TW_OK;
    p->items[0].id = 0; /* twi_network_new() made it */
    take_value(&p->to->nodes[0], &p->items[0].node);
    for (uint32_t i = 1; i <= target && st == TW_OK; i++)
        if (p->items[i].alive) st = emit(ctx, p, &p->items[i]);
    if (st != TW_OK) return st;
    assert(p->items[holder(p, target)].id == p->to->n - 1);
    if (row->in_ranks & TWI_RANK(p->ranks[target])) st = append_output(ctx, p->to, row->op);
    p->to->feature = row->classifier ? 0 : (uint32_t)(p->to->n - 1);
    p->to->logits = row->classifier ? (uint32_t)(p->to->n - 1) : TWI_NO_NODE;
    return st;
}

static tw_status find_target(tw_ctx *ctx, const twi_network *network, const struct output_row *row,
                             const size_t *ranks, uint32_t *target)
{
    *target = row->classifier ? network->logits : network->feature;
    if (*target == TWI_NO_NODE)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "this network came without its classifier");
    if (*target >= network->n)
        return twi_fail(ctx, TW_ERR_FORMAT, "the output is layer %zu of %zu", (size_t)*target,
                        network->n);
    if (row->classifier && ranks[*target] != 1)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: class scores have %zu axes; need a vector",
                        network->nodes[*target].name, ranks[*target]);
    return TW_OK;
}

tw_status twi_network_for_inference(tw_ctx *ctx, const twi_network *network, twi_output output,
                                    bool fuse, twi_network **out)
{
    const struct output_row *row = &outputs[output];
    plan p = {.from = network};
    uint32_t target;
    tw_status st = twi_alloc(ctx, network->n, &p.ranks);
    if (st != TW_OK) return st;
    twi_network_ranks(network, p.ranks);
    if ((st = find_target(ctx, network, row, p.ranks, &target)) != TW_OK) goto done;
    if ((st = twi_network_new(ctx, network->input_channels, &p.to)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, network->n, &p.items)) != TW_OK) goto done;
    for (uint32_t i = 0; i < network->n; i++) {
        assert(network->nodes[i].fused.op == TWI_OP_INPUT &&
               network->nodes[i].fused_add == TWI_NO_NODE);
        p.items[i].node = network->nodes[i];
        p.items[i].node.origin = i;
        p.items[i].value = i;
    }
    mark_alive(&p, target);
    if (fuse) {
        if ((st = fold_affine(ctx, &p)) != TW_OK) goto done;
        fuse_sums(&p);
        fuse_activations(&p);
    }
    if ((st = build(ctx, &p, target, row)) != TW_OK) goto done;
    *out = p.to, p.to = NULL; /* handed over */
done:
    twi_network_free(p.to);
    twi_free(p.items);
    twi_free(p.ranks);
    return st;
}
