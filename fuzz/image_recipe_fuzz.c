/* image_recipe_fuzz.c - any text as a recipe; one that is accepted survives being written and read
 * again. */
#include "image/image.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    twi_json *json = NULL, *again = NULL;
    twi_recipe recipe, copy;
    tw_ctx *ctx;

    if (tw_ctx_new(&ctx) != TW_OK) return 0;
    if (twi_json_parse(ctx, "fuzz", (const char *)data, size, &json) == TW_OK &&
        twi_recipe_from_json(ctx, "fuzz", json, &recipe) == TW_OK) {
        again = twi_recipe_to_json(&recipe);
        if (again && twi_recipe_from_json(ctx, "fuzz", again, &copy) != TW_OK) abort();
    }
    twi_json_free(json);
    twi_json_free(again);
    tw_ctx_free(ctx);
    return 0;
}
