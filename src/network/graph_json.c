/* graph_json.c - the "graph" object of a bundle: docs/format.md says what it holds. */
#include "network/operators.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME    1024 /* bytes of a layer's name */
#define MAX_UNKNOWN 20   /* operators named in one message */

typedef struct reader {
    tw_ctx *ctx;
    const char *name;         /* of the file, for messages */
    const char *layer;        /* being read */
    const twi_tensor **index; /* [n], sorted by name */
    size_t n;
} reader;

static tw_status fail_key(const reader *r, const char *key, const char *need)
{
    return twi_fail(r->ctx, TW_ERR_FORMAT, "%s: layer %s: \"%s\" is not %s", r->name, r->layer, key,
                    need);
}

/* A number that a size may be; the operator's own check knows what is sensible. */
static bool take_size(const twi_json *value, size_t *out)
{
    const int64_t number = twi_json_as_integer(value, -1);
    if (number < 0 || number > UINT32_MAX) return false;
    *out = (size_t)number;
    return true;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* Every child goes into its parent as soon as it exists, so that a failure has one thing to free:
 * the root. */
static bool write_links(const twi_node *node, twi_json *to)
{
    const twi_operator *op = twi_operator_at(node->op);
    twi_json *inputs = twi_json_array();
    bool ok = inputs != NULL;
    for (size_t i = 0; ok && i < node->n_inputs; i++)
        ok = twi_json_append(inputs, twi_json_integer(node->inputs[i]));
    ok = twi_json_set(to, "inputs", inputs) && ok;
    if (!op->params[0].name) return ok;

    twi_json *params = twi_json_object();
    ok = ok && params;
    for (int i = 0; ok && i < TWI_PARAMS; i++)
        if (node->params[i])
            ok = twi_json_set(params, op->params[i].name, twi_json_text(node->params[i]->name));
    return twi_json_set(to, "params", params) && ok;
}

static twi_json *node_to_json(const twi_node *node)
{
    twi_json *to = twi_json_object();
    bool ok = twi_json_set(to, "name", twi_json_text(node->name)) &&
              twi_json_set(to, "op", twi_json_text(twi_op_name(node->op)));
    if (node->op != TWI_OP_INPUT) ok = ok && write_links(node, to);
    if (ok && twi_attributes_write(node, to)) return to;
    twi_json_free(to);
    return NULL;
}

twi_json *twi_network_to_json(const twi_network *network)
{
    twi_json *graph = twi_json_object(), *nodes = twi_json_array();
    bool ok = nodes != NULL;
    for (size_t i = 0; ok && i < network->n; i++)
        ok = twi_json_append(nodes, node_to_json(&network->nodes[i]));
    ok =
        twi_json_set(graph, "input_channels", twi_json_integer((int64_t)network->input_channels)) &&
        ok;
    ok = ok && twi_json_set(graph, "feature", twi_json_integer(network->feature));
    if (network->logits != TWI_NO_NODE)
        ok = ok && twi_json_set(graph, "logits", twi_json_integer(network->logits));
    ok = twi_json_set(graph, "nodes", nodes) && ok;
    if (ok) return graph;
    twi_json_free(graph);
    return NULL;
}

/* ---- reading ------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const twi_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static const twi_tensor *find_tensor(const reader *r, const char *name)
{
    const twi_tensor key = {.name = name}, *at = &key;
    const twi_tensor **found =
        r->n ? bsearch(&at, r->index, r->n, sizeof *r->index, compare_names) : NULL;
    return found ? *found : NULL;
}

static tw_status index_tensors(reader *r, const twi_tensors *weights)
{
    const tw_status st = twi_alloc(r->ctx, weights->n, &r->index);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < weights->n; i++) r->index[i] = &weights->items[i];
    r->n = weights->n;
    if (r->n > 0) qsort(r->index, r->n, sizeof *r->index, compare_names);
    return TW_OK;
}

static tw_status read_params(const reader *r, const twi_json *from, twi_node *node)
{
    const twi_operator *op = twi_operator_at(node->op);
    const twi_json *params = twi_json_get(from, "params");
    size_t known = 0;
    if (params && !twi_json_is_object(params)) return fail_key(r, "params", "an object");
    for (int i = 0; i < TWI_PARAMS; i++) {
        if (!op->params[i].name) continue;
        const twi_json *value = twi_json_get(params, op->params[i].name);
        if (!value) continue; /* a required one is missed by twi_network_append() */
        const char *tensor = twi_json_as_text(value, NULL);
        if (!tensor) return fail_key(r, op->params[i].name, "the name of a tensor");
        node->params[i] = find_tensor(r, tensor);
        if (!node->params[i])
            return twi_fail(r->ctx, TW_ERR_FORMAT, "%s: layer %s: no tensor %s in the file",
                            r->name, r->layer, tensor);
        known++;
    }
    /* A parameter this build does not know would change what the layer computes: never ignored. */
    if (known != twi_json_length(params))
        return twi_fail(r->ctx, TW_ERR_FORMAT, "%s: layer %s: %zu parameters; %s knows %zu of them",
                        r->name, r->layer, twi_json_length(params), op->name, known);
    return TW_OK;
}

static tw_status read_inputs(const reader *r, const twi_json *from, uint32_t *inputs, size_t *n)
{
    const twi_json *array = twi_json_get(from, "inputs");
    if (!twi_json_is_array(array)) return fail_key(r, "inputs", "an array");
    *n = twi_json_length(array);
    if (*n > TWI_MAX_INPUTS)
        return twi_fail(r->ctx, TW_ERR_FORMAT, "%s: layer %s: %zu inputs; at most %d are allowed",
                        r->name, r->layer, *n, TWI_MAX_INPUTS);
    for (size_t i = 0; i < *n; i++) {
        size_t input;
        if (!take_size(twi_json_at(array, i), &input))
            return fail_key(r, "inputs", "an array of layer numbers");
        inputs[i] = (uint32_t)input;
    }
    return TW_OK;
}

static tw_status read_node(reader *r, const twi_json *from, twi_network *network)
{
    uint32_t inputs[TWI_MAX_INPUTS];
    twi_node node = {.inputs = inputs};
    tw_status st;
    node.name = twi_json_as_text(twi_json_get(from, "name"), "");
    r->layer = node.name;
    if (strlen(node.name) > MAX_NAME)
        return twi_fail(r->ctx, TW_ERR_FORMAT, "%s: layer %zu: a name of %zu bytes", r->name,
                        network->n, strlen(node.name));
    twi_operator_find(twi_json_as_text(twi_json_get(from, "op"), ""),
                      &node.op); /* known: checked */
    if ((st = read_inputs(r, from, inputs, &node.n_inputs)) != TW_OK) return st;
    if ((st = read_params(r, from, &node)) != TW_OK) return st;
    st = twi_attributes_read(r->ctx, from, &node);
    if (st == TW_OK) st = twi_network_append(r->ctx, network, &node, NULL);
    return st == TW_OK ? TW_OK : twi_fail_prefix(r->ctx, st, "%s: ", r->name);
}

/* All unknown operators in one message: somebody who wants to add them sees the whole of the job.
 */
static tw_status check_operators(const reader *r, const twi_json *nodes)
{
    const char *unknown[MAX_UNKNOWN];
    size_t n = 0;
    twi_text list = {0};
    tw_status st = TW_OK;
    for (size_t i = 0; i < twi_json_length(nodes) && n < MAX_UNKNOWN; i++) {
        const char *word = twi_json_as_text(twi_json_get(twi_json_at(nodes, i), "op"), NULL);
        twi_op op;
        size_t k = 0;
        if (!word || strlen(word) > MAX_NAME)
            return twi_fail(r->ctx, TW_ERR_FORMAT, "%s: layer %zu has no \"op\"", r->name, i);
        if (twi_operator_find(word, &op)) continue;
        while (k < n && strcmp(unknown[k], word) != 0) k++;
        if (k == n) unknown[n++] = word;
    }
    for (size_t i = 0; i < n; i++) {
        if (i > 0) twi_text_add(&list, ", ");
        twi_text_add(&list, unknown[i]);
    }
    if (list.failed)
        st = twi_fail(r->ctx, TW_ERR_NOMEM, "no memory for a message");
    else if (n > 0)
        st = twi_fail(r->ctx, TW_ERR_UNSUPPORTED, "%s: operators this build does not know: %s",
                      r->name, list.text);
    twi_text_free(&list);
    return st;
}

static tw_status read_outputs(const reader *r, const twi_json *graph, twi_network *network)
{
    const twi_json *logits = twi_json_get(graph, "logits");
    size_t id;
    if (!take_size(twi_json_get(graph, "feature"), &id) || id >= network->n)
        return twi_fail(r->ctx, TW_ERR_FORMAT, "%s: \"feature\" is not the number of a layer",
                        r->name);
    network->feature = (uint32_t)id;
    network->logits = TWI_NO_NODE;
    if (!logits) return TW_OK;
    if (!take_size(logits, &id) || id >= network->n)
        return twi_fail(r->ctx, TW_ERR_FORMAT, "%s: \"logits\" is not the number of a layer",
                        r->name);
    network->logits = (uint32_t)id;
    return TW_OK;
}

static tw_status read_graph(reader *r, const twi_json *graph, twi_network *network)
{
    const twi_json *nodes = twi_json_get(graph, "nodes");
    const twi_json *first = twi_json_at(nodes, 0);
    const size_t n = twi_json_length(nodes);
    tw_status st;
    if (!twi_json_is_array(nodes) || n == 0 || n > TWI_MAX_NODES)
        return twi_fail(r->ctx, TW_ERR_FORMAT, "%s: \"nodes\" is not an array of 1 to %d layers",
                        r->name, TWI_MAX_NODES);
    if ((st = check_operators(r, nodes)) != TW_OK) return st;
    if (strcmp(twi_json_as_text(twi_json_get(first, "op"), ""), "input") != 0 ||
        strcmp(twi_json_as_text(twi_json_get(first, "name"), ""), "input") != 0)
        return twi_fail(r->ctx, TW_ERR_FORMAT, "%s: layer 0 is not the input, called input",
                        r->name);
    r->layer = "input";
    if ((st = twi_attributes_read(r->ctx, first, &network->nodes[0])) != TW_OK) return st;
    for (size_t i = 1; i < n; i++)
        if ((st = read_node(r, twi_json_at(nodes, i), network)) != TW_OK) return st;
    return read_outputs(r, graph, network);
}

tw_status twi_network_from_json(tw_ctx *ctx, const char *name, const twi_json *graph,
                                twi_tensors *weights, twi_network **out)
{
    reader r = {.ctx = ctx, .name = name};
    twi_network *network = NULL;
    size_t channels;
    tw_status st;
    if (!take_size(twi_json_get(graph, "input_channels"), &channels))
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: a graph without \"input_channels\"", name);
    if ((st = twi_network_new(ctx, channels, &network)) != TW_OK)
        return twi_fail_prefix(ctx, st, "%s: ", name);
    if ((st = index_tensors(&r, weights)) != TW_OK) goto done;
    if ((st = read_graph(&r, graph, network)) != TW_OK) goto done;
    network->weights = *weights; /* taken over: nodes point at its items, which do not move */
    *weights = (twi_tensors){0};
    *out = network, network = NULL;
done:
    twi_network_free(network);
    twi_free(r.index);
    return st;
}
