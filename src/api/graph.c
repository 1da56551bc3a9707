/* graph.c - the nodes of a backbone's graph, one by one, with their shapes. */
#include "api/backbone.h"

#include <string.h>

static size_t parameters_of(const twi_node *node)
{
    size_t count = 0;
    for (size_t p = 0; p < TWI_PARAMS; p++)
        if (node->params[p]) count += node->params[p]->count;
    return count;
}

static tw_graph_node node_at(const twi_network *network, const twi_shape *shapes, size_t i,
                             size_t *inputs)
{
    const twi_node *node = &network->nodes[i];
    tw_graph_node out = {.index = i,
                         .name = node->name,
                         .op = twi_op_name(node->op),
                         .inputs = inputs,
                         .n_inputs = node->n_inputs,
                         .rank = shapes[i].rank,
                         .parameters = parameters_of(node),
                         .is_feature = i == network->feature,
                         .is_logits = i == network->logits};
    for (size_t k = 0; k < node->n_inputs; k++) inputs[k] = node->inputs[k];
    memcpy(out.dims, shapes[i].dims, sizeof out.dims);
    return out;
}

tw_status tw_backbone_graph(tw_ctx *ctx, const tw_backbone *backbone, tw_graph_fn fn, void *user)
{
    const twi_network *network = backbone->network;
    twi_shape *shapes = NULL;
    size_t *inputs = NULL, most = 1, height, width;
    tw_backbone_input(backbone, &height, &width);
    for (size_t i = 0; i < network->n; i++)
        if (network->nodes[i].n_inputs > most) most = network->nodes[i].n_inputs;
    tw_status st = twi_alloc(ctx, network->n, &shapes);
    if (st == TW_OK) st = twi_alloc(ctx, most, &inputs);
    if (st == TW_OK) st = twi_network_shapes(ctx, network, height, width, shapes);
    for (size_t i = 0; i < network->n && st == TW_OK; i++) {
        const tw_graph_node node = node_at(network, shapes, i, inputs);
        fn(user, &node);
    }
    twi_free(shapes);
    twi_free(inputs);
    return st;
}
