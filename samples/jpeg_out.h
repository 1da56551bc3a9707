/* jpeg_out.h - writes one JPEG file. */
#ifndef SAMPLES_JPEG_OUT_H
#define SAMPLES_JPEG_OUT_H

#include <stdbool.h>
#include <stddef.h>

/* rgb [height, width, 3]; false, with what went wrong in why [200], when it could not be written.
 */
bool jpeg_write(const char *path, const unsigned char *rgb, size_t width, size_t height,
                int quality, char *why);

#endif
