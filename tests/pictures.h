/* pictures.h - pictures for tests: drawn from a seed, written as PNG with stored (not compressed)
 * deflate blocks. */
#ifndef TW_TESTS_PICTURES_H
#define TW_TESTS_PICTURES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline uint32_t png_crc(uint32_t crc, const unsigned char *p, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static inline void png_u32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static inline void png_chunk(FILE *file, const char type[5], const unsigned char *data, size_t n)
{
    unsigned char word[4];
    png_u32(word, (uint32_t)n);
    fwrite(word, 1, 4, file);
    fwrite(type, 1, 4, file);
    fwrite(data, 1, n, file);
    uint32_t crc = png_crc(0, (const unsigned char *)type, 4);
    png_u32(word, png_crc(crc, data, n));
    fwrite(word, 1, 4, file);
}

/* rgb [height, width, 3] to path; height * (1 + 3 * width) must be below 65536. Returns 0 when
 * written. */
static inline int png_write(const char *path, const unsigned char *rgb, uint32_t width,
                            uint32_t height)
{
    const size_t row = 1 + 3 * (size_t)width, raw = row * height;
    unsigned char *z = calloc(1, raw + 11);
    unsigned char head[13] = {0};
    FILE *file = fopen(path, "wb");
    if (!z || !file || raw > 65535) {
        free(z);
        if (file) fclose(file);
        return 1;
    }
    z[0] = 0x78, z[1] = 0x01, z[2] = 1; /* zlib header; one last stored block */
    z[3] = (unsigned char)raw, z[4] = (unsigned char)(raw >> 8);
    z[5] = (unsigned char)~z[3], z[6] = (unsigned char)~z[4];
    uint32_t a = 1, b = 0;
    for (uint32_t y = 0; y < height; y++)
        memcpy(z + 7 + y * row + 1, rgb + (size_t)y * 3 * width, 3 * (size_t)width);
    for (size_t i = 0; i < raw; i++) {
        a = (a + z[7 + i]) % 65521;
        b = (b + a) % 65521;
    }
    png_u32(z + 7 + raw, b << 16 | a);
    png_u32(head, width);
    png_u32(head + 4, height);
    head[8] = 8, head[9] = 2;
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, file);
    png_chunk(file, "IHDR", head, sizeof head);
    png_chunk(file, "IDAT", z, raw + 11);
    png_chunk(file, "IEND", head, 0);
    free(z);
    return fclose(file);
}

/* A noisy picture of stripes whose direction is kind (0 across, 1 down, 2 both, 3 diagonal) into
 * rgb [height, width, 3]. */
static inline void draw_stripes(unsigned char *rgb, uint32_t width, uint32_t height, unsigned kind,
                                uint32_t seed)
{
    const uint32_t period = 6 + seed % 5;
    uint32_t noise = seed * 2654435761u + 12345u;
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            const uint32_t along[] = {y, x, (x / period) % 2 ? x : y, x + y};
            const unsigned bright = (along[kind % 4] + seed) / period % 2 ? 170 : 70;
            for (uint32_t c = 0; c < 3; c++) {
                noise = noise * 1664525u + 1013904223u;
                rgb[((size_t)y * width + x) * 3 + c] =
                    (unsigned char)(bright + (noise >> 26) + 5 * c);
            }
        }
    }
}

#endif
