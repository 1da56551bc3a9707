/* importer_zip_fuzz.c - zip archives: the directory, and what it says of every entry. */
#include "base/memory.h"
#include "importer/zip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tw_ctx *ctx;
    twi_zip zip;
    if (size == 0 || tw_ctx_new(&ctx) != TW_OK) return 0;
    tw_status st = twi_zip_open(ctx, "fuzz", data, size, &zip);
    for (size_t i = 0; st == TW_OK && i < zip.entries; i++) {
        twi_zip_entry entry;
        unsigned char *bytes = NULL;
        if ((st = twi_zip_next(&zip, &entry)) != TW_OK) break;
        const tw_status read = twi_zip_read(&zip, &entry, (size_t)1 << 20, &bytes);
        if (read != TW_OK && !tw_last_error(ctx)[0]) abort();
        twi_free(bytes);
    }
    if (st != TW_OK && !tw_last_error(ctx)[0]) abort();
    tw_ctx_free(ctx);
    return 0;
}
