/* orient.c - the eight EXIF orientations: turn a decoded picture upright. */
#include "image/decoder.h"

#include <string.h>

/* Where the upright picture's pixels come from: source index = start + x * step_x + y * step_y, in
 * pixels. */
typedef struct pixel_walk {
    ptrdiff_t start, step_x, step_y;
    bool transposed;
} pixel_walk;

/* EXIF 2.3, tag 0x0112: which visual edges the 0th row and the 0th column of the file are. */
static pixel_walk walk_of(int orientation, ptrdiff_t w, ptrdiff_t h)
{
    switch (orientation) {
    case 2:
        return (pixel_walk){w - 1, -1, w, false}; /* mirrored left to right */
    case 3:
        return (pixel_walk){w * h - 1, -1, -w, false}; /* half a turn */
    case 4:
        return (pixel_walk){w * (h - 1), 1, -w, false}; /* mirrored top to bottom */
    case 5:
        return (pixel_walk){0, w, 1, true}; /* mirrored along the main diagonal */
    case 6:
        return (pixel_walk){w * (h - 1), -w, 1, true}; /* a quarter turn clockwise puts it right */
    case 7:
        return (pixel_walk){w * h - 1, -w, -1, true}; /* mirrored along the other diagonal */
    default:
        return (pixel_walk){w - 1, w, -1, true}; /* 8: a quarter turn anticlockwise */
    }
}

/* Copies pixels of size bytes into dst [height, width] along the walk. Square blocks, because a
 * transposed walk touches a new cache line at each step and a block of 32 x 32 keeps them all at
 * hand. */
static inline void copy_pixels(const uint8_t *src, size_t size, const pixel_walk *walk,
                               size_t width, size_t height, uint8_t *dst)
{
    enum { BLOCK = 32 };

    for (size_t top = 0; top < height; top += BLOCK) {
        const size_t bottom = top + BLOCK < height ? top + BLOCK : height;
        for (size_t left = 0; left < width; left += BLOCK) {
            const size_t right = left + BLOCK < width ? left + BLOCK : width;
            for (size_t y = top; y < bottom; y++) {
                ptrdiff_t from =
                    walk->start + (ptrdiff_t)y * walk->step_y + (ptrdiff_t)left * walk->step_x;
                uint8_t *to = dst + (y * width + left) * size;
                for (size_t x = left; x < right; x++, to += size, from += walk->step_x)
                    memcpy(to, src + from * (ptrdiff_t)size, size);
            }
        }
    }
}

tw_status twi_picture_orient(tw_ctx *ctx, twi_picture *picture, int orientation)
{
    if (orientation < 2 || orientation > 8) return TW_OK;

    const pixel_walk walk =
        walk_of(orientation, (ptrdiff_t)picture->width, (ptrdiff_t)picture->height);
    const size_t width = walk.transposed ? picture->height : picture->width;
    const size_t height = walk.transposed ? picture->width : picture->height;
    twi_picture upright = {0};
    const tw_status st =
        twi_picture_reserve(ctx, &upright, width, height, picture->channels, picture->bits);
    if (st != TW_OK) return st;

    const size_t pixel = picture->channels * picture->bits / 8;
    switch (pixel) { /* a constant size makes each memcpy a move */
    case 1:
        copy_pixels(picture->samples, 1, &walk, width, height, upright.samples);
        break;
    case 3:
        copy_pixels(picture->samples, 3, &walk, width, height, upright.samples);
        break;
    case 4:
        copy_pixels(picture->samples, 4, &walk, width, height, upright.samples);
        break;
    default:
        copy_pixels(picture->samples, pixel, &walk, width, height, upright.samples);
    }
    twi_picture_free(picture);
    *picture = upright;
    return TW_OK;
}
