/* operations.h - single changes of an 8-bit RGB picture, as torchvision 0.14 makes them of
 * Pillow 9.4 pictures (transforms/autoaugment.py, _apply_op), bit for bit. */
#ifndef TWI_IMAGE_OPERATIONS_H
#define TWI_IMAGE_OPERATIONS_H

#include "image/image.h"

/* In the order in which RandAugment numbers them. */
typedef enum twi_image_op {
    TWI_IMAGE_IDENTITY,
    TWI_IMAGE_SHEAR_X, /* by magnitude pixels a row; what is uncovered is black, as below */
    TWI_IMAGE_SHEAR_Y,
    TWI_IMAGE_TRANSLATE_X, /* by the whole pixels of magnitude */
    TWI_IMAGE_TRANSLATE_Y,
    TWI_IMAGE_ROTATE, /* magnitude degrees, counter-clockwise, nearest pixel */
    /* A blend of a picture without any (magnitude -1) and this one (0), and beyond. */
    TWI_IMAGE_BRIGHTNESS,
    TWI_IMAGE_COLOUR,
    TWI_IMAGE_CONTRAST,
    TWI_IMAGE_SHARPNESS,
    TWI_IMAGE_POSTERIZE,     /* keeps magnitude bits, 0 to 8 */
    TWI_IMAGE_SOLARIZE,      /* inverts values from magnitude on */
    TWI_IMAGE_AUTO_CONTRAST, /* these two: no magnitude */
    TWI_IMAGE_EQUALIZE,
    TWI_IMAGE_OPS
} twi_image_op;

const char *twi_image_op_name(twi_image_op op); /* as RandAugment has it: "ShearX", ... */

/* Changes picture (8-bit RGB). other: zeroed, or from an earlier call; the two may change places.
 */
tw_status twi_image_operate(tw_ctx *ctx, twi_image_op op, double magnitude, twi_picture *picture,
                            twi_picture *other);

/* Rotates picture about its centre, bilinear as Pillow's transform(AFFINE), what is uncovered in
 * fill (red, green, blue). */
tw_status twi_image_rotate(tw_ctx *ctx, double degrees, const uint8_t fill[3], twi_picture *picture,
                           twi_picture *other);

#endif
