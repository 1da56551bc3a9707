/* dataset_csv_fuzz.c - the CSV manifest: any bytes end in rows or in a message. */
#include "dataset/manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tw_ctx *ctx;
    if (tw_ctx_new(&ctx) != TW_OK) return 0;
    char *bytes =
        malloc(size + 1); /* exactly what the contract asks for, so that ASan sees one more */
    twi_rows rows = {0};
    if (bytes) {
        memcpy(bytes, data, size);
        if (twi_rows_parse(ctx, "fuzz.csv", bytes, size, &rows) == TW_OK) {
            for (size_t i = 0; i < rows.n; i++) {
                const twi_row *row = &rows.items[i];
                if (row->class_id >= rows.n_classes || !row->path[0] ||
                    strcmp(rows.classes[row->class_id], row->label) != 0)
                    abort();
            }
        }
    }
    twi_rows_free(&rows);
    free(bytes);
    tw_ctx_free(ctx);
    return 0;
}
