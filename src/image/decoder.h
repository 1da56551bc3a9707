/* decoder.h - what a picture format offers, and what the decoders share. */
#ifndef TWI_IMAGE_DECODER_H
#define TWI_IMAGE_DECODER_H

#include "image/image.h"

/* One file format. decode() fills picture as opts->mode asks, not yet turned; *orientation gets the
 * EXIF orientation 1..8 that the mode's reference would obey, 1 when there is none. */
typedef struct twi_decoder {
    const char *format; /* "JPEG" */
    bool (*recognises)(const uint8_t *head, size_t size);
    tw_status (*decode)(tw_ctx *ctx, tw_bytes src, const char *name, const twi_decode_opts *opts,
                        twi_picture *picture, int *orientation);
} twi_decoder;

extern const twi_decoder twi_jpeg_decoder, twi_png_decoder, twi_webp_decoder;

/* TW_ERR_DATA when a declared size is above opts->max_pixels (0: TWI_MAX_PIXELS). Call it before
 * any allocation that depends on the size. */
tw_status twi_picture_check(tw_ctx *ctx, const char *name, size_t width, size_t height,
                            const twi_decode_opts *opts);

/* Gives picture this shape, with samples for it; what the samples hold is undefined. */
tw_status twi_picture_reserve(tw_ctx *ctx, twi_picture *picture, size_t width, size_t height,
                              unsigned channels, unsigned bits);

/* Bytes of one row. */
size_t twi_picture_row_bytes(const twi_picture *picture);

/* Turns the picture upright: orientation as in EXIF 2.3, tag 0x0112; 1 and anything unknown: as it
 * is. */
tw_status twi_picture_orient(tw_ctx *ctx, twi_picture *picture, int orientation);

/* The orientation in an EXIF block ("Exif\0\0" before the TIFF header is optional): 1..8, 0 when it
 * holds none. */
int twi_exif_orientation(const void *data, size_t size);

/* The same in the text of an XMP packet, and in ImageMagick's "Raw profile type exif" (hexadecimal
 * after three lines), the two other places where Pillow 9.4 looks in a PNG. */
int twi_xmp_orientation(const char *text, size_t size);
int twi_exif_hex_orientation(const char *text, size_t size);

#endif
