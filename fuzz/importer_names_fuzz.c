/* importer_names_fuzz.c - names of layers and weights out of an HDF5 file, and recipes from the
 * command line. The HDF5 library itself is not fuzzed here: it is known to fail and runs in a child
 * (tests/importer/child_test.c). */
#include "importer/keras.h"
#include "importer/recipe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first line is a layer's name, the rest a weight's and then a recipe. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char recipe[] =
        "{\"height\":1,\"resize\":\"box\",\"exif\":true,\"scale\":1.5,\"mean\":[1,2,3]}";
    tw_ctx *ctx;
    twi_json *merged = NULL;
    if (tw_ctx_new(&ctx) != TW_OK) return 0;
    char *text = malloc(size + 1);
    if (text) {
        if (size > 0) memcpy(text, data, size);
        text[size] = '\0';
        char *rest = strchr(text, '\n');
        if (rest) *rest++ = '\0';
        (void)twi_keras_part(text, rest ? rest : text);
        char owner[16];
        const char *const names[] = {text, rest ? rest : text};
        (void)twi_keras_is_nested(names, 2);
        (void)twi_keras_is_count(names[1]);
        if (twi_keras_owner(names[1], owner, sizeof owner) && strlen(owner) >= sizeof owner)
            abort();
        const tw_status st = twi_recipe_override(ctx, recipe, rest ? rest : text, &merged);
        if (st == TW_OK && twi_json_length(merged) != 5) abort();
        if (st != TW_OK && !tw_last_error(ctx)[0]) abort();
    }
    twi_json_free(merged);
    free(text);
    tw_ctx_free(ctx);
    return 0;
}
