/* sniff.c - the first bytes of picture formats. Sources: the formats' own specifications. */
#include "dataset/sniff.h"

#include "base/ctx.h"

#include <string.h>

typedef struct magic {
    size_t at;
    const char *bytes;
    size_t size;
} magic;

#define MAGIC(at, bytes)                                                                           \
    {                                                                                              \
        (at), (bytes), sizeof(bytes) - 1                                                           \
    }

static const magic magics[] = {
    MAGIC(0, "\xff\xd8"), /* JPEG; a damaged one may end here */
    MAGIC(0, "\x89PNG"),  /* also one whose line ends were mangled */
    MAGIC(8, "WEBP"),     /* RIFF is checked below */
    MAGIC(0, "GIF87a"),
    MAGIC(0, "GIF89a"),
    MAGIC(0, "II*\0"), /* TIFF, little endian; most raw formats too */
    MAGIC(0, "MM\0*"), /* TIFF, big endian */
    MAGIC(0, "II+\0"), /* BigTIFF */
    MAGIC(0, "MM\0+"),
    MAGIC(0, "\0\0\0\x0cjP  \r\n\x87\n"), /* JPEG 2000 */
    MAGIC(0, "\xff\x4f\xff\x51"),         /* JPEG 2000 codestream */
    MAGIC(0, "\0\0\0\x0cJXL \r\n\x87\n"), /* JPEG XL */
    MAGIC(0, "\xff\x0a"),                 /* JPEG XL codestream */
    MAGIC(0, "8BPS\0"),                   /* Photoshop */
    MAGIC(0, "\0\0\1\0"),                 /* Windows icon */
    MAGIC(0, "\x76\x2f\x31\x01"),         /* OpenEXR */
    MAGIC(0, "qoif"),                     /* QOI */
    MAGIC(0, "DDS "),                     /* DirectDraw surface */
    MAGIC(0, "#?RADIANCE"),               /* Radiance HDR */
};

/* Brands of ISO base media files that hold pictures (HEIF, AVIF). */
static const char *const brands[] = {"heic", "heix", "heim", "heis", "hevc", "hevx",
                                     "mif1", "mif2", "msf1", "avif", "avis", "miaf"};

static bool is_bmp(const unsigned char *head, size_t size)
{
    /* "BM" alone also begins plain text: look for the size of a known information header. */
    static const unsigned char headers[] = {12, 40, 52, 56, 64, 108, 124};
    if (size < 18 || memcmp(head, "BM", 2) != 0 || head[15] || head[16] || head[17]) return false;
    return memchr(headers, head[14], sizeof headers) != NULL;
}

static bool is_heif(const unsigned char *head, size_t size)
{
    if (size < 12 || memcmp(head + 4, "ftyp", 4) != 0) return false;
    for (size_t i = 0; i < TWI_LEN(brands); i++)
        if (memcmp(head + 8, brands[i], 4) == 0) return true;
    return false;
}

/* Netpbm: P1..P7, white space, then a number or a comment. */
static bool is_netpbm(const unsigned char *head, size_t size)
{
    if (size < 4 || head[0] != 'P' || head[1] < '1' || head[1] > '7') return false;
    if (!memchr(" \t\r\n", head[2], 4)) return false;
    return (head[3] >= '0' && head[3] <= '9') || memchr("# \t\r\nW", head[3], 6) != NULL;
}

bool twi_sniff_picture(const unsigned char *head, size_t size)
{
    for (size_t i = 0; i < TWI_LEN(magics); i++) {
        const magic *m = &magics[i];
        if (size < m->at + m->size || memcmp(head + m->at, m->bytes, m->size) != 0) continue;
        if (m->at == 0 || memcmp(head, "RIFF", 4) == 0) return true;
    }
    return is_bmp(head, size) || is_heif(head, size) || is_netpbm(head, size);
}
