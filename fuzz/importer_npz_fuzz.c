/* importer_npz_fuzz.c - NumPy archives: the zip's directory and every array's header. */
#include "importer/readers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    twi_tensors list = {0};
    tw_ctx *ctx;
    if (size == 0 || tw_ctx_new(&ctx) != TW_OK) return 0;
    if (twi_npz_parse(ctx, "fuzz", data, size, &list) != TW_OK && !tw_last_error(ctx)[0]) abort();
    twi_tensors_free(&list);
    tw_ctx_free(ctx);
    return 0;
}
