/* importer_keras_config_fuzz.c - the config.json of a .keras archive, which names layers. */
#include "importer/readers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"conv2d.weight", "conv2d_1.weight", "dense.bias",
                                        "sequential/conv2d.weight", "outside/dense.weight"};
    const size_t one = 1;
    twi_weights weights = {.numbered = true};
    tw_ctx *ctx;
    if (size == 0 || tw_ctx_new(&ctx) != TW_OK) return 0;
    for (size_t i = 0; i < TWI_LEN(names); i++)
        if (twi_tensors_add(ctx, &weights.tensors, names[i], TWI_F32, 1, &one, NULL, NULL) != TW_OK)
            abort();
    if (twi_keras_name_by_config(ctx, "fuzz", data, size, &weights) != TW_OK &&
        !tw_last_error(ctx)[0])
        abort();
    twi_weights_free(&weights);
    tw_ctx_free(ctx);
    return 0;
}
