/* variation.h - a recipe applied to a part of a photo, mirrored and with other colours: what
 * augmentation asks of this room. Which part and which colours is not decided here. */
#ifndef TWI_IMAGE_VARIATION_H
#define TWI_IMAGE_VARIATION_H

#include "image/operations.h"

#define TWI_VARIATION_OPS 4 /* at most */

typedef struct twi_variation_op {
    twi_image_op op;
    double magnitude;
} twi_variation_op;

typedef struct twi_variation {
    bool whole;    /* the recipe's own frame; box is not looked at */
    double box[4]; /* left, top, right, bottom of the part that fills the input, in pixels */
    bool mirror;   /* left becomes right */
    /* Factors, 1 for none, applied in this order as Pillow's ImageEnhance words them: towards
     * black, towards the picture's mean grey, towards its own grey. */
    double brightness, contrast, saturation; /* not looked at when whole */
    double angle; /* degrees counter-clockwise, after that; what is uncovered is the mean colour */
    twi_variation_op ops[TWI_VARIATION_OPS]; /* [n_ops] after that */
    size_t n_ops;
    size_t erase[4]; /* left, top, right, bottom of a part of the input set to the mean (0 after
                        normalising), in its pixels; empty: none */
} twi_variation;

/* Chooses a variation for a photo of that size; called between decoding and resizing. */
typedef void (*twi_variation_fn)(const void *user, size_t width, size_t height, twi_variation *out);

/* twi_recipe_apply() with what choose says. TW_ERR_UNSUPPORTED: a recipe that resizes as
 * scikit-image does. */
tw_status twi_recipe_vary(tw_ctx *ctx, const twi_recipe *recipe, const twi_encoded_photo *photo,
                          twi_variation_fn choose, const void *user, twi_recipe_scratch *scratch,
                          float *dst);

/* src [recipe height, width, 3], as twi_recipe_apply() writes them, as an 8-bit picture again:
 * exact for recipes that resize to 8 bits. */
tw_status twi_recipe_picture(tw_ctx *ctx, const twi_recipe *recipe, const float *src,
                             twi_picture *out);

#endif
