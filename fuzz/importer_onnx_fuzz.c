/* importer_onnx_fuzz.c - an ONNX model from anywhere: a network and a recipe, or what is wrong. */
#include "importer/onnx/onnx.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const twi_onnx_opts opts = {0};
    twi_onnx_import import = {0};
    tw_ctx *ctx;
    if (tw_ctx_new(&ctx) != TW_OK) return 0;
    const tw_status st = twi_onnx_read(ctx, "fuzz", data, size, &opts, &import);
    if ((st == TW_OK) != (import.network != NULL)) abort();
    if (st != TW_OK && !tw_last_error(ctx)[0]) abort();
    if (st == TW_OK) {
        twi_json *graph = twi_network_to_json(import.network);
        if (!graph || !import.recipe) abort(); /* what was read can be written */
        twi_json_free(graph);
    }
    twi_onnx_import_free(&import);
    tw_ctx_free(ctx);
    return 0;
}
