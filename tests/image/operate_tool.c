/* operate_tool.c - what parity_operations.py talks to.
 *
 *     operate-tool WIDTH HEIGHT (NAME | bilinear) MAGNITUDE
 *
 * reads pixels [height, width, 3] from standard input and writes them changed. */
#include "image/operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    twi_picture picture = {.channels = 3, .bits = 8}, other = {0};
    static const uint8_t fill[3] = {10, 20, 30};
    tw_ctx *ctx;
    if (argc != 5 || tw_ctx_new(&ctx) != TW_OK) return 2;
    picture.width = strtoul(argv[1], NULL, 10);
    picture.height = strtoul(argv[2], NULL, 10);
    const size_t bytes = picture.width * picture.height * 3;
    const double magnitude = strtod(argv[4], NULL);
    tw_status st = twi_zalloc(ctx, bytes, (uint8_t **)&picture.samples);
    picture.capacity_bytes = bytes;
    if (st != TW_OK || fread(picture.samples, 1, bytes, stdin) != bytes) return 2;
    if (strcmp(argv[3], "bilinear") == 0) {
        st = twi_image_rotate(ctx, magnitude, fill, &picture, &other);
    } else {
        unsigned op = 0;
        while (op < TWI_IMAGE_OPS && strcmp(twi_image_op_name((twi_image_op)op), argv[3]) != 0)
            op++;
        if (op == TWI_IMAGE_OPS) return 2;
        st = twi_image_operate(ctx, (twi_image_op)op, magnitude, &picture, &other);
    }
    fwrite(picture.samples, 1, bytes, stdout);
    twi_picture_free(&picture);
    twi_picture_free(&other);
    tw_ctx_free(ctx);
    return st != TW_OK;
}
