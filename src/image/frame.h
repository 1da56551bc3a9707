/* frame.h - where the resized photo and its views lie. */
#ifndef TWI_IMAGE_FRAME_H
#define TWI_IMAGE_FRAME_H

#include "image/image.h"

/* The frame of a photo of width x height pixels. */
tw_status twi_frame_of(tw_ctx *ctx, const twi_recipe *recipe, size_t width, size_t height,
                       twi_frame *out);

/* Views of the frame into scratch->views. */
tw_status twi_frame_views(tw_ctx *ctx, const twi_recipe *recipe, twi_recipe_scratch *scratch);

/* What a geometry that fills the input is enlarged to before views are cut from it: 256 for 224, as
 * torchvision's recipes have it. */
size_t twi_enlarged(size_t side);

#endif
