/* eights.c - which values of a network are kept in 8 bits, and in what steps.
 *
 * A value that was never negative is unsigned and has 255 steps, another is signed and has 127 each
 * way around 0; 0 is a step of both, so that padding needs no care. Values that are joined or
 * pooled without arithmetic share their steps with what they are made from, so that they can be
 * moved as they are. Jacob et al. (2018), Quantization and Training of Neural Networks for
 * Efficient Integer-Arithmetic-Only Inference, section 2, with zero points of 0. */
#include "engine/program.h"

/* Values whose steps are the same, as a forest: groups[i] is i's parent, or i itself. */
static uint32_t group_of(const uint32_t *groups, uint32_t i)
{
    while (groups[i] != i) i = groups[i];
    return i;
}

static bool is_known(const twi_node *node)
{
    return node->observed[0] != 0 || node->observed[1] != 0;
}

/* Values pass through it unchanged, or averaged. */
static bool passes(const twi_node *node, const twi_shape *shape)
{
    return node->op == TWI_OP_MAX_POOL || node->op == TWI_OP_AVG_POOL ||
           (node->op == TWI_OP_CONCAT && shape->rank == 3 && node->axis == 0);
}

/* Who reads in 8 bits, from the last node back, and whose steps are shared. */
static void want(const twi_network *network, const twi_shape *shapes, twi_eight *eights,
                 uint32_t *groups)
{
    for (uint32_t i = (uint32_t)network->n; i-- > 1;) {
        const twi_node *node = &network->nodes[i];
        const bool on = passes(node, &shapes[i]) && eights[i].wanted && is_known(node);
        for (size_t k = 0; on && k < node->n_inputs; k++) {
            eights[node->inputs[k]].wanted = true;
            groups[group_of(groups, node->inputs[k])] = group_of(groups, i);
        }
        if (node->op == TWI_OP_CONV) eights[node->inputs[0]].wanted = true;
        eights[i].wanted = eights[i].wanted && is_known(node);
    }
}

tw_status twi_plan_eights(tw_ctx *ctx, const twi_network *network, const twi_shape *shapes,
                          twi_eight *eights)
{
    uint32_t *groups = NULL;
    double(*range)[2] = NULL;
    tw_status st = twi_alloc(ctx, network->n, &groups);
    if (st == TW_OK) st = twi_zalloc(ctx, network->n, &range);
    if (st != TW_OK) goto done;
    for (uint32_t i = 0; i < network->n; i++) groups[i] = i, eights[i] = (twi_eight){0};
    want(network, shapes, eights, groups);
    for (uint32_t i = 0; i < network->n; i++) {
        const double *seen = network->nodes[i].observed;
        double *whole = range[group_of(groups, i)];
        if (seen[0] < whole[0]) whole[0] = seen[0];
        if (seen[1] > whole[1]) whole[1] = seen[1];
    }
    for (uint32_t i = 0; i < network->n; i++) {
        const double *whole = range[group_of(groups, i)];
        if (!is_known(&network->nodes[i])) continue;
        eights[i].dtype = whole[0] < 0 ? TWI_I8 : TWI_U8;
        const double most = -whole[0] > whole[1] ? -whole[0] : whole[1];
        eights[i].scale = (float)(most / (whole[0] < 0 ? 127 : 255));
    }
done:
    twi_free(groups);
    twi_free(range);
    return st;
}
