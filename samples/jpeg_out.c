/* jpeg_out.c - writes one JPEG file; the only file here that may include <jpeglib.h>. */
#include "jpeg_out.h"

#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#define WHY_BYTES 200

typedef struct failure {
    struct jpeg_error_mgr manager;
    jmp_buf back;
    char *why;
} failure;

/* libjpeg's own would end the process. */
static void on_error(j_common_ptr info)
{
    failure *f = (failure *)(void *)info->err;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    snprintf(f->why, WHY_BYTES, "%.190s", text);
    longjmp(f->back, 1);
}

/* rgb to a malloc'ed JPEG stream. Nothing set before setjmp() is changed after it. */
static bool encode(const unsigned char *rgb, size_t width, size_t height, int quality,
                   unsigned char **stream, unsigned long *size, char *why)
{
    struct jpeg_compress_struct info;
    failure f = {.why = why};
    info.err = jpeg_std_error(&f.manager);
    f.manager.error_exit = on_error;
    if (setjmp(f.back)) {
        jpeg_destroy_compress(&info);
        return false;
    }
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, stream, size);
    info.image_width = (JDIMENSION)width;
    info.image_height = (JDIMENSION)height;
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(rgb + (size_t)info.next_scanline * width * 3);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    return true;
}

bool jpeg_write(const char *path, const unsigned char *rgb, size_t width, size_t height,
                int quality, char *why)
{
    unsigned char *stream = NULL;
    unsigned long size = 0;
    bool ok = encode(rgb, width, height, quality, &stream, &size, why);
    if (ok) {
        FILE *file = fopen(path, "wbx");
        ok = file && fwrite(stream, 1, size, file) == size;
        if (file && fclose(file) != 0) ok = false;
        if (!ok) snprintf(why, WHY_BYTES, "%s", strerror(errno));
    }
    free(stream);
    return ok;
}
