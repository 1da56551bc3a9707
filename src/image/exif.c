/* exif.c - the one EXIF tag that matters here, orientation (0x0112), read from IFD 0.
 *
 * Our own reader and not libexif: one tag of one directory is forty lines over the cursor that
 * neither allocate nor follow maker notes, thumbnails or chained directories, and it can take a
 * tag's type as Pillow 9.4 takes it. */
#include "image/decoder.h"

#include "base/cursor.h"

#include <string.h>

#define TAG_ORIENTATION 0x0112

enum { TYPE_SHORT = 3, TYPE_LONG = 4, TYPE_SSHORT = 8, TYPE_SLONG = 9 };

typedef struct tiff {
    const uint8_t *data;
    size_t size;
    bool big_endian;
} tiff;

static twi_cursor at(const tiff *t, size_t offset)
{
    twi_cursor cursor = twi_cursor_over(t->data, t->size);
    twi_take_bytes(&cursor, offset);
    return cursor;
}

static unsigned take_u16(const tiff *t, twi_cursor *cursor)
{
    const unsigned value = twi_take_u16be(cursor);
    return t->big_endian ? value : (value >> 8 | (value & 0xff) << 8);
}

static uint32_t take_u32(const tiff *t, twi_cursor *cursor)
{
    return t->big_endian ? twi_take_u32be(cursor) : twi_take_u32le(cursor);
}

/* The first value of an entry whose cursor stands after its tag; 0 when its type is none that
 * Pillow would compare equal to a whole number. An entry of more than 4 bytes holds an offset to
 * its values. */
static uint32_t entry_value(const tiff *t, twi_cursor *entry)
{
    const unsigned type = take_u16(t, entry);
    const uint32_t count = take_u32(t, entry);
    const bool is_short = type == TYPE_SHORT || type == TYPE_SSHORT;
    const bool is_long = type == TYPE_LONG || type == TYPE_SLONG;
    twi_cursor value = *entry;

    if (count == 0 || (!is_short && !is_long)) return 0;
    if (count > (is_short ? 2U : 1U)) value = at(t, take_u32(t, entry));
    const uint32_t found = is_short ? take_u16(t, &value) : take_u32(t, &value);
    return value.failed ? 0 : found;
}

int twi_exif_orientation(const void *data, size_t size)
{
    tiff t = {data, size, false};
    uint32_t orientation = 0;

    if (size >= 6 && memcmp(data, "Exif\0\0", 6) == 0) t.data += 6, t.size -= 6;
    if (t.size < 8) return 0;
    if (memcmp(t.data, "MM\0*", 4) == 0)
        t.big_endian = true;
    else if (memcmp(t.data, "II*\0", 4) != 0)
        return 0;

    twi_cursor cursor = at(&t, 4);
    cursor = at(&t, take_u32(&t, &cursor));
    for (unsigned left = take_u16(&t, &cursor); left > 0; left--) {
        twi_cursor entry = cursor;
        twi_take_bytes(&cursor, 12);
        if (cursor.failed) break;
        /* The last of several counts, as in Pillow, where each overwrites the one before. */
        if (take_u16(&t, &entry) == TAG_ORIENTATION) orientation = entry_value(&t, &entry);
    }
    return orientation <= 8 ? (int)orientation : 0;
}

/* Pillow 9.4 Image.getexif(): the first match of tiff:Orientation(="|>)([0-9]). */
int twi_xmp_orientation(const char *text, size_t size)
{
    static const char key[] = "tiff:Orientation";
    const char *const end = text + size;

    for (const char *p = text; (p = memmem(p, (size_t)(end - p), key, sizeof key - 1)) != NULL;) {
        p += sizeof key - 1;
        if (end - p >= 2 && p[0] == '>')
            p += 1;
        else if (end - p >= 3 && p[0] == '=' && p[1] == '"')
            p += 2;
        else
            continue;
        if (*p >= '0' && *p <= '9') return *p <= '8' ? *p - '0' : 0;
    }
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int twi_exif_hex_orientation(const char *text, size_t size)
{
    /* IFD 0 and its tags stand first; what lies beyond is maker notes and thumbnails. */
    uint8_t bytes[4096];
    size_t n = 0, i = 0;
    int high = -1;

    for (int lines = 0; i < size && lines < 3; i++) lines += text[i] == '\n';
    for (; i < size && n < sizeof bytes; i++) {
        const int digit = hex_digit(text[i]);
        if (digit < 0) continue;
        if (high < 0) {
            high = digit;
        } else {
            bytes[n++] = (uint8_t)(high << 4 | digit);
            high = -1;
        }
    }
    return twi_exif_orientation(bytes, n);
}
