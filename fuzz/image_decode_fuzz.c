/* image_decode_fuzz.c - any bytes as a photo: both decode modes, turned, resized and normalised. */
#include "image/image.h"

#define SIDE 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float out[SIDE * SIDE * 3];
    const size_t max_pixels = (size_t)1 << 20; /* keeps one input fast; the cap itself has tests */
    twi_recipe recipes[3];
    tw_ctx *ctx;

    if (tw_ctx_new(&ctx) != TW_OK) return 0;
    twi_recipe_init(ctx, "torch", SIDE, SIDE, &recipes[0]);
    recipes[1] = recipes[0];
    recipes[1].fast_decode = true;
    recipes[1].geometry = TWI_LETTERBOX;
    twi_recipe_reference(&recipes[2], SIDE, SIDE);
    twi_recipe_scratch scratch = {0};
    for (size_t i = 0; i < TWI_LEN(recipes); i++)
        twi_recipe_apply(ctx, &recipes[i], (tw_bytes){data, size}, "fuzz", max_pixels, &scratch,
                         out);
    twi_recipe_scratch_free(&scratch);
    tw_ctx_free(ctx);
    return 0;
}
