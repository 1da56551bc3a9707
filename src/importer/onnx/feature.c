/* feature.c - the point before the classifier, and the network that leads there. */
#include "importer/onnx/feature.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_vector(const twi_onnx_graph *g, uint32_t id)
{
    return g->shapes[id].rank == 1;
}

/* Through dense layers and what lies between them to what they were given. */
static uint32_t before_dense(const twi_onnx_graph *g, uint32_t id)
{
    for (;;) {
        const twi_node *node = twi_onnx_node_of(g, id);
        const bool between = is_vector(g, id) && twi_activation_of(node).op != TWI_OP_INPUT;
        const bool layer = node->op == TWI_OP_DENSE || node->op == TWI_OP_ADD_CONSTANT ||
                           node->op == TWI_OP_BATCH_NORM || node->op == TWI_OP_HARD_SWISH ||
                           node->op == TWI_OP_CLIP;
        if (node->op != TWI_OP_FLATTEN && node->op != TWI_OP_RESHAPE && !between &&
            !(layer && is_vector(g, id)))
            return id;
        id = node->inputs[0];
    }
}

/* The map or tokens that were averaged: taken themselves, they can also be pooled otherwise. */
static uint32_t before_pool(const twi_onnx_graph *g, uint32_t id)
{
    return twi_onnx_node_of(g, id)->op == TWI_OP_GLOBAL_AVG_POOL
               ? twi_onnx_node_of(g, id)->inputs[0]
               : id;
}

/* SqueezeNet's way: a 1 x 1 convolution to classes, averaged. Told from a last layer of features by
 * the softmax that follows, or by ImageNet's number of classes. */
static bool find_conv_classifier(const twi_onnx_graph *g, uint32_t id, bool softmax,
                                 uint32_t *feature)
{
    const size_t classes = g->shapes[id].dims[0];
    if (twi_onnx_node_of(g, id)->op != TWI_OP_GLOBAL_AVG_POOL) return false;
    if (!softmax && classes != 1000 && classes != 1001) return false;
    uint32_t at = twi_onnx_node_of(g, id)->inputs[0];
    while (twi_activation_of(twi_onnx_node_of(g, at)).op != TWI_OP_INPUT)
        at = twi_onnx_node_of(g, at)->inputs[0];
    const twi_node *conv = twi_onnx_node_of(g, at);
    if (conv->op != TWI_OP_CONV || conv->params[TWI_PARAM_WEIGHT]->dims[2] != 1) return false;
    *feature = conv->inputs[0];
    return true;
}

static void find_classifier(const twi_onnx_graph *g, uint32_t id, uint32_t *feature,
                            uint32_t *logits)
{
    bool softmax = false;
    *logits = TWI_NO_NODE;
    for (uint32_t at = twi_onnx_behind(g, id);;
         at = twi_onnx_behind(g, twi_onnx_node_of(g, at)->inputs[0])) {
        const twi_op op = twi_onnx_node_of(g, at)->op;
        const bool share = op == TWI_OP_SOFTMAX || op == TWI_OP_LOG || op == TWI_OP_CLIP;
        id = at;
        if (!share) break;
        softmax = softmax || op == TWI_OP_SOFTMAX;
    }
    uint32_t dense = id;
    if (twi_onnx_node_of(g, dense)->op == TWI_OP_ADD_CONSTANT)
        dense = twi_onnx_node_of(g, dense)->inputs[0];
    if (twi_onnx_node_of(g, dense)->op == TWI_OP_DENSE && is_vector(g, id)) {
        *logits = id;
        *feature = before_pool(g, before_dense(g, twi_onnx_node_of(g, dense)->inputs[0]));
    } else if (find_conv_classifier(g, id, softmax, feature)) {
        *logits = id;
    } else {
        *feature = before_pool(g, id);
    }
}

/* ---- outputs by name ---------------------------------------------------------------------------
 */

static bool says(const char *name, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(name, *words)) return true;
    return false;
}

/* The first output whose name says one of words (NULL: the first of all) and which depends on the
 * picture. */
static const twi_onnx_value *output_like(twi_onnx_graph *g, const char *const *words)
{
    for (size_t i = 0; i < g->model->n_outputs; i++) {
        twi_onnx_value *value;
        if (words && !says(g->model->outputs[i].name, words)) continue;
        if (twi_onnx_slot(g, g->model->outputs[i].name, &value) != TW_OK) return NULL;
        if (value->kind == TWI_ONNX_NODE) return value;
    }
    return NULL;
}

/* How many letters two names share from where they are most alike: a crude nearness. */
static size_t nearness(const char *a, const char *b)
{
    size_t best = 0;
    for (const char *at = b; *at; at++) {
        size_t n = 0;
        while (a[n] && at[n] == a[n]) n++;
        if (n > best) best = n;
    }
    return best;
}

static tw_status fail_name(twi_onnx_graph *g, const char *name)
{
    const char *near = "";
    size_t best = 0;
    for (size_t n = 0; n < g->model->n_nodes; n++)
        for (size_t o = 0; o <= g->model->nodes[n].n_outputs; o++) {
            const twi_onnx_node *node = &g->model->nodes[n];
            const char *one = o < node->n_outputs ? node->outputs[o] : node->name;
            if (nearness(name, one) < best || !*one) continue;
            best = nearness(name, one);
            near = one;
        }
    return twi_fail(g->ctx, TW_ERR_ARG, "%s: no node or value is called %s; the nearest is %s",
                    g->model->path, name, near);
}

tw_status twi_onnx_named(twi_onnx_graph *g, const char *name, const char **value)
{
    for (size_t n = 0; n < g->model->n_nodes; n++) {
        const twi_onnx_node *node = &g->model->nodes[n];
        for (size_t o = 0; o < node->n_outputs; o++)
            if (strcmp(node->outputs[o], name) == 0 ||
                (o == 0 && *node->name && strcmp(node->name, name) == 0)) {
                *value = node->outputs[o];
                return TW_OK;
            }
    }
    return fail_name(g, name);
}

static tw_status asked_for(twi_onnx_graph *g, const char *name, uint32_t *feature)
{
    const char *value_name;
    twi_onnx_value *value;
    tw_status st = twi_onnx_named(g, name, &value_name);
    if (st == TW_OK) st = twi_onnx_slot(g, value_name, &value);
    if (st != TW_OK) return st;
    if (value->kind != TWI_ONNX_NODE)
        return twi_fail(g->ctx, TW_ERR_ARG, "%s: %s does not depend on the picture", g->model->path,
                        name);
    *feature = before_pool(g, value->node);
    return TW_OK;
}

/* A value with one axis only, whatever its shape, is a vector. */
static tw_status as_vector(twi_onnx_graph *g, uint32_t *feature)
{
    const twi_shape *s = &g->shapes[*feature];
    size_t axes = 0;
    for (size_t d = 0; d < s->rank; d++) axes += s->dims[d] != 1;
    if (s->rank == 1 || axes > 1) return TW_OK;
    return twi_onnx_make1(g, (twi_node){.op = TWI_OP_FLATTEN}, *feature, feature);
}

static tw_status choose(twi_onnx_graph *g, const char *name, uint32_t *feature, uint32_t *logits)
{
    static const char *const features[] = {"feature", "embed", NULL};
    static const char *const scores[] = {"logit", "prob", "score", "class", "softmax", NULL};
    *logits = TWI_NO_NODE;
    if (name) return asked_for(g, name, feature);
    const twi_onnx_value *wanted = output_like(g, features), *other = output_like(g, scores);
    const twi_onnx_value *first = other ? other : output_like(g, NULL);
    uint32_t unused;
    if (!first)
        return twi_fail(g->ctx, TW_ERR_FORMAT, "%s: no output depends on the picture",
                        g->model->path);
    if (!wanted) {
        find_classifier(g, first->node, feature, logits);
        return TW_OK;
    }
    *feature = before_pool(g, twi_onnx_behind(g, wanted->node));
    if (first != wanted) find_classifier(g, first->node, &unused, logits);
    return TW_OK;
}

tw_status twi_onnx_features(twi_onnx_graph *g, const char *name, uint32_t *feature,
                            uint32_t *logits)
{
    const tw_status st = choose(g, name, feature, logits);
    return st == TW_OK ? as_vector(g, feature) : st;
}

/* ---- the network -------------------------------------------------------------------------------
 */

static void mark(const twi_onnx_graph *g, uint32_t feature, uint32_t logits, bool *live)
{
    live[0] = live[feature] = true;
    if (logits != TWI_NO_NODE) live[logits] = true;
    for (size_t i = g->network->n; i-- > 0;)
        for (size_t k = 0; live[i] && k < g->network->nodes[i].n_inputs; k++)
            live[g->network->nodes[i].inputs[k]] = true;
}

static tw_status add_weights(twi_onnx_graph *g, const bool *live, twi_network *to)
{
    tw_status st = TW_OK;
    for (size_t i = 0; i < g->network->n; i++) {
        const twi_node *node = &g->network->nodes[i];
        for (size_t p = 0; p < TWI_PARAMS && live[i] && st == TW_OK; p++) {
            const twi_tensor *t = node->params[p];
            char *name;
            if (!t) continue;
            st = twi_asprintf(g->ctx, &name, "%s.%s", node->name,
                              twi_operator_at(node->op)->params[p].name);
            if (st != TW_OK) return st;
            st = twi_tensors_add(g->ctx, &to->weights, name, t->dtype, t->rank, t->dims, t->data,
                                 NULL);
            twi_free(name);
        }
    }
    return st;
}

static tw_status add_nodes(twi_onnx_graph *g, const bool *live, uint32_t *place, twi_network *to)
{
    size_t weight = 0;
    tw_status st = TW_OK;
    for (size_t i = 1; i < g->network->n && st == TW_OK; i++) {
        twi_node node = g->network->nodes[i];
        uint32_t in[TWI_MAX_INPUTS];
        if (!live[i]) continue;
        for (size_t k = 0; k < node.n_inputs; k++) in[k] = place[node.inputs[k]];
        node.inputs = in;
        for (size_t p = 0; p < TWI_PARAMS; p++)
            if (node.params[p]) node.params[p] = &to->weights.items[weight++];
        st = twi_network_add(g->ctx, to, &node, &place[i]);
    }
    return st;
}

tw_status twi_onnx_assemble(twi_onnx_graph *g, uint32_t feature, uint32_t logits, twi_network **out)
{
    twi_network *network = NULL;
    bool *live = NULL;
    uint32_t *place = NULL;
    tw_status st;
    if ((st = twi_zalloc(g->ctx, g->network->n, &live)) != TW_OK) goto done;
    if ((st = twi_zalloc(g->ctx, g->network->n, &place)) != TW_OK) goto done;
    if ((st = twi_network_new(g->ctx, g->network->input_channels, &network)) != TW_OK) goto done;
    mark(g, feature, logits, live);
    if ((st = add_weights(g, live, network)) != TW_OK) goto done;
    if ((st = add_nodes(g, live, place, network)) != TW_OK) goto done;
    network->feature = place[feature];
    network->logits = logits == TWI_NO_NODE ? TWI_NO_NODE : place[logits];
    *out = network, network = NULL;
done:
    twi_network_free(network);
    twi_free(live);
    twi_free(place);
    return st;
}
