/* importer_build_fuzz.c - weights of any names and shapes: every architecture builds its network or
 * says what is wrong.
 */
#include "bundle/bundle.h"
#include "importer/importer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    twi_weights weights = {.format = "fuzz"};
    tw_ctx *ctx;
    if (tw_ctx_new(&ctx) != TW_OK) return 0;
    if (twi_safetensors_parse(ctx, "fuzz", data, size, &weights.tensors, NULL) == TW_OK) {
        const twi_architecture *arch;
        for (size_t i = 0; (arch = twi_architecture_at(i)); i++) {
            for (int c = 0; c < TWI_CONVENTIONS; c++) {
                twi_network *network = NULL;
                weights.convention = (twi_convention)c;
                const tw_status st = arch->build(ctx, arch, &weights, &network);
                if ((st == TW_OK) != (network != NULL)) abort();
                if (st != TW_OK && !tw_last_error(ctx)[0]) abort();
                twi_network_free(network);
            }
        }
    }
    twi_weights_free(&weights);
    tw_ctx_free(ctx);
    return 0;
}
