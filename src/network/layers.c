/* layers.c - features of several layers: nodes by name, and a graph that joins their values. */
#include "network/operators.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* ---- by name ------------------------------------------------------------------------------- */

enum { NAMES_TOLD = 12, NAME_COMPARED = 64 };

/* Levenshtein's distance of the first NAME_COMPARED bytes. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_COMPARED + 1];
    const size_t n = strnlen(a, NAME_COMPARED), m = strnlen(b, NAME_COMPARED);
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t above = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best) best = above + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[m];
}

/* What a name is worth as an answer to another: that it begins with it, or is begun by it, counts
 * as near. */
static size_t unlikeness(const char *wanted, const char *name)
{
    const size_t n = strlen(wanted), m = strlen(name);
    const bool begins = strncmp(wanted, name, n < m ? n : m) == 0;
    return 2 * distance(wanted, name) - (begins && n > 0 ? distance(wanted, name) : 0);
}

tw_status twi_network_find(tw_ctx *ctx, const twi_network *network, const char *name, uint32_t *out)
{
    uint32_t near[NAMES_TOLD];
    size_t cost[NAMES_TOLD], told = 0;
    twi_text text = {0};
    for (uint32_t i = 0; i < network->n; i++) {
        if (strcmp(network->nodes[i].name, name) == 0) {
            *out = i;
            return TW_OK;
        }
        const size_t c = unlikeness(name, network->nodes[i].name);
        size_t at = told < NAMES_TOLD ? told++ : NAMES_TOLD;
        for (; at > 0 && cost[at - 1] > c; at--)
            if (at < NAMES_TOLD) cost[at] = cost[at - 1], near[at] = near[at - 1];
        if (at < NAMES_TOLD) cost[at] = c, near[at] = i;
    }
    for (size_t k = 0; k < told; k++)
        twi_text_format(&text, "%s%s", k ? ", " : "", network->nodes[near[k]].name);
    if (network->n > told) twi_text_format(&text, " and %zu more", network->n - told);
    const tw_status st =
        text.failed
            ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message")
            : twi_fail(ctx, TW_ERR_ARG, "no layer is called %s; there are %s", name, text.text);
    twi_text_free(&text);
    return st;
}

/* ---- joining ------------------------------------------------------------------------------- */

/* Appends a node with a name of its own: "layers", or "layers.2" and so on where that is taken. */
static tw_status append(tw_ctx *ctx, twi_network *network, twi_node *node, uint32_t *id)
{
    char name[32] = "layers";
    for (size_t i = 1, tries = 2; i < network->n; i++)
        if (strcmp(network->nodes[i].name, name) == 0) {
            snprintf(name, sizeof name, "layers.%zu", tries++);
            i = 0; /* node 0 is "input" */
        }
    node->name = name;
    node->nhwc = true;
    return twi_network_append(ctx, network, node, id);
}

static tw_status pooled(tw_ctx *ctx, twi_network *network, uint32_t layer, size_t rank,
                        twi_output output, uint32_t *id)
{
    twi_node node = {.op = output == TWI_OUTPUT_AVG   ? TWI_OP_GLOBAL_AVG_POOL
                           : output == TWI_OUTPUT_MAX ? TWI_OP_GLOBAL_MAX_POOL
                                                      : TWI_OP_FLATTEN,
                     .n_inputs = 1,
                     .inputs = &layer};
    *id = layer;
    return rank == 1 ? TW_OK : append(ctx, network, &node, id);
}

static tw_status check_layers(tw_ctx *ctx, const twi_network *network, const uint32_t *layers,
                              size_t n, twi_output output)
{
    if (output > TWI_OUTPUT_FLAT)
        return twi_fail(ctx, TW_ERR_ARG, "class scores are no features: no layers can be named");
    if (n == 0 || n > TWI_MAX_LAYERS)
        return twi_fail(ctx, TW_ERR_ARG, "%zu layers; 1 to %d are allowed", n, TWI_MAX_LAYERS);
    for (size_t i = 0; i < n; i++) {
        if (layers[i] >= network->n)
            return twi_fail(ctx, TW_ERR_ARG, "layer %zu of %zu", (size_t)layers[i], network->n);
        const twi_node *node = &network->nodes[layers[i]];
        if (node->op == TWI_OP_INPUT || node->op == TWI_OP_CONSTANT)
            return twi_fail(ctx, TW_ERR_ARG, "layer %s computes nothing: it is the %s", node->name,
                            node->op == TWI_OP_INPUT ? "input" : "network's constant");
        for (size_t k = 0; k < i; k++)
            if (layers[k] == layers[i])
                return twi_fail(ctx, TW_ERR_ARG, "layer %s is named twice", node->name);
    }
    return TW_OK;
}

tw_status twi_network_join(tw_ctx *ctx, const twi_network *network, const uint32_t *layers,
                           size_t n, twi_output output, twi_network **out)
{
    twi_network *joined = NULL;
    uint32_t parts[TWI_MAX_LAYERS];
    size_t *ranks = NULL;
    tw_status st = check_layers(ctx, network, layers, n, output);
    if (st == TW_OK) st = twi_network_new(ctx, network->input_channels, &joined);
    if (st == TW_OK) st = twi_alloc(ctx, network->n, &ranks);
    if (st != TW_OK) goto done;
    twi_network_ranks(network, ranks);
    memcpy(joined->nodes[0].observed, network->nodes[0].observed, sizeof joined->nodes[0].observed);
    for (size_t i = 1; i < network->n; i++)
        if ((st = twi_network_append(ctx, joined, &network->nodes[i], NULL)) != TW_OK) goto done;
    for (size_t i = 0; i < n; i++)
        if ((st = pooled(ctx, joined, layers[i], ranks[layers[i]], output, &parts[i])) != TW_OK)
            goto done;
    joined->feature = parts[0];
    if (n > 1) {
        twi_node concat = {.op = TWI_OP_CONCAT, .n_inputs = n, .inputs = parts};
        if ((st = append(ctx, joined, &concat, &joined->feature)) != TW_OK) goto done;
    }
    *out = joined, joined = NULL; /* handed over */
done:
    twi_network_free(joined);
    twi_free(ranks);
    return st;
}
