/* network_json_fuzz.c - a graph object from anywhere: read, measured, compiled and written again.
 */
#include "network/network.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Tensors a graph may name: a (vector), w (dense), k1 and k3 (kernels), s and m (scores). */
static tw_status some_weights(tw_ctx *ctx, twi_tensors *list)
{
    static const struct {
        const char *name;
        size_t rank, dims[4];
    } rows[] = {{"a", 1, {4}},           {"w", 2, {4, 4}},    {"k1", 4, {4, 4, 1, 1}},
                {"k3", 4, {4, 2, 3, 3}}, {"s", 3, {2, 4, 4}}, {"m", 3, {4, 3, 3}}};
    tw_status st = TW_OK;
    for (size_t i = 0; i < TWI_LEN(rows) && st == TW_OK; i++)
        st = twi_tensors_add(ctx, list, rows[i].name, TWI_F32, rows[i].rank, rows[i].dims, NULL,
                             NULL);
    return st;
}

/* The last layers, and one that is not there. */
static void join(tw_ctx *ctx, const twi_network *network)
{
    uint32_t layers[3], id;
    for (size_t i = 0; i < 3; i++)
        layers[i] = (uint32_t)(network->n > i ? network->n - 1 - i : network->n);
    for (int output = TWI_OUTPUT_AVG; output <= TWI_OUTPUT_FLAT; output++) {
        twi_network *joined, *fused;
        for (size_t n = 1; n <= 3; n++) {
            if (twi_network_join(ctx, network, layers, n, (twi_output)output, &joined) != TW_OK)
                continue;
            if (twi_network_for_inference(ctx, joined, (twi_output)output, true, &fused) == TW_OK)
                twi_network_free(fused);
            twi_network_free(joined);
        }
    }
    (void)twi_network_find(ctx, network, "conv1.2", &id);
}

static void compile(tw_ctx *ctx, const twi_network *network)
{
    twi_shape *shapes;
    if (twi_alloc(ctx, network->n, &shapes) != TW_OK) return;
    (void)twi_network_shapes(ctx, network, 17, 23, shapes);
    twi_free(shapes);
    for (int output = TWI_OUTPUT_AVG; output <= TWI_OUTPUT_PROBABILITIES; output++) {
        twi_network *fused;
        if (twi_network_for_inference(ctx, network, (twi_output)output, true, &fused) == TW_OK)
            twi_network_free(fused);
    }
    join(ctx, network);
    for (int same = 0; same < 2; same++)
        (void)twi_network_check_size(ctx, network, (size_t[]){17, 23}, (size_t[]){23, 17},
                                     same == 1);
    twi_json *graph = twi_network_to_json(network);
    if (!graph) abort(); /* what was read can be written */
    twi_json_free(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tw_ctx *ctx;
    twi_json *graph = NULL;
    twi_network *network = NULL;
    twi_tensors weights = {0};
    if (tw_ctx_new(&ctx) != TW_OK) return 0;
    if (some_weights(ctx, &weights) == TW_OK &&
        twi_json_parse(ctx, "fuzz", (const char *)data, size, &graph) == TW_OK &&
        twi_network_from_json(ctx, "fuzz", graph, &weights, &network) == TW_OK)
        compile(ctx, network);
    twi_network_free(network);
    twi_tensors_free(&weights);
    twi_json_free(graph);
    tw_ctx_free(ctx);
    return 0;
}
