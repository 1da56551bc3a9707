/* bundle_safetensors_fuzz.c - a safetensors file from anywhere; and, its digest put right, a
 * bundle. */
#include "bundle/layout.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte a tensor claims, so that a sanitizer sees one outside. */
static void touch(const twi_tensors *tensors)
{
    volatile unsigned char last = 0;
    for (size_t i = 0; i < tensors->n; i++) {
        const twi_tensor *t = &tensors->items[i];
        const unsigned char *bytes = t->data;
        if ((uintptr_t)t->data % twi_dtype_size(t->dtype) != 0) abort();
        for (size_t k = 0; k < t->count * twi_dtype_size(t->dtype); k++) last = bytes[k];
    }
    (void)last;
}

static void parse(tw_ctx *ctx, const uint8_t *data, size_t size)
{
    twi_tensors tensors = {0};
    twi_json *metadata = NULL;
    if (twi_safetensors_parse(ctx, "fuzz", data, size, &tensors, &metadata) == TW_OK)
        touch(&tensors);
    else if (tensors.n > 0 || metadata)
        abort(); /* outputs change only on TW_OK */
    twi_json_free(metadata);
    twi_tensors_free(&tensors);
}

static void read_bundle(tw_ctx *ctx, const uint8_t *data, size_t size)
{
    char hex[TWI_DIGEST_HEX + 1];
    uint8_t *copy;
    twi_bundle *bundle = NULL;
    if (size < TWI_DIGEST_OFFSET + TWI_DIGEST_HEX || twi_alloc(ctx, size, &copy) != TW_OK) return;
    memcpy(copy, data, size);
    twi_bundle_compute_digest(copy, size, hex);
    memcpy(copy + TWI_DIGEST_OFFSET, hex, TWI_DIGEST_HEX);
    if (twi_bundle_read(ctx, "fuzz", copy, size, &bundle) == TW_OK)
        touch(twi_bundle_tensors(bundle));
    twi_bundle_free(bundle);
    twi_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tw_ctx *ctx;
    if (tw_ctx_new(&ctx) != TW_OK) return 0;
    parse(ctx, data, size);
    read_bundle(ctx, data, size);
    tw_ctx_free(ctx);
    return 0;
}
