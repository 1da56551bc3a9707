/* image_decode_fuzz.c - any bytes as a photo: both decode modes, turned, resized and normalised. */
#include "image/image.h"

#define SIDE 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float out[SIDE * SIDE * 3];
    const size_t max_pixels = (size_t)1 << 20; /* keeps one input fast; the cap itself has tests */
    twi_recipe recipes[5];
    tw_ctx *ctx;

    if (tw_ctx_new(&ctx) != TW_OK) return 0;
    twi_recipe_init(ctx, "torch", SIDE, SIDE, &recipes[0]);
    recipes[1] = recipes[0];
    recipes[1].fast_decode = true;
    recipes[1].geometry = TWI_LETTERBOX;
    twi_recipe_reference(&recipes[2], SIDE, SIDE);
    recipes[3] = recipes[0];
    recipes[3].geometry = TWI_CROP;
    recipes[3].short_side = SIDE + 3;
    recipes[3].views = TWI_VIEWS_TEN;
    recipes[4] = recipes[1];
    recipes[4].patches = (twi_patches){.height = 5, .width = 7, .most = 3, .seed = 1};
    twi_recipe_scratch scratch = {0};
    for (size_t i = 0; i < TWI_LEN(recipes); i++)
        twi_recipe_apply(ctx, &recipes[i], (tw_bytes){data, size}, "fuzz", max_pixels, &scratch,
                         out);
    const twi_encoded_photo photo = {{data, size}, "fuzz", max_pixels};
    for (size_t i = 3; i < TWI_LEN(recipes); i++)
        if (twi_recipe_open(ctx, &recipes[i], &photo, &scratch) == TW_OK)
            for (size_t v = 0; v < scratch.n_views; v++)
                twi_recipe_view(ctx, &recipes[i], &scratch, v, out);
    twi_recipe_scratch_free(&scratch);
    tw_ctx_free(ctx);
    return 0;
}
