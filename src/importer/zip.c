/* zip.c - zip archives; the only file that may include <zlib.h>.
 *
 * Source: PKWARE's APPNOTE 6.3 (end record, central directory, zip64 extra field 1, methods 0 and
 * 8). */
#include "importer/zip.h"
#include "base/memory.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

#define END_BYTES 22 /* of the record at the end, without its comment */

bool twi_zip_recognises(const unsigned char *data, size_t size)
{
    return size >= 4 && memcmp(data, "PK\3\4", 4) == 0;
}

static uint16_t take_u16(twi_cursor *c)
{
    const unsigned low = twi_take_u8(c);
    return (uint16_t)(low | (unsigned)twi_take_u8(c) << 8);
}

static tw_status damaged(const twi_zip *zip, const char *what)
{
    return twi_fail(zip->ctx, TW_ERR_FORMAT, "%s: a zip archive whose %s is damaged or cut off",
                    zip->path, what);
}

/* Where the record at the end of the archive starts; SIZE_MAX: nowhere. A comment may follow it. */
static size_t find_end(const unsigned char *data, size_t size)
{
    for (size_t back = END_BYTES; back <= size && back <= END_BYTES + UINT16_MAX; back++)
        if (memcmp(data + size - back, "PK\5\6", 4) == 0) return size - back;
    return SIZE_MAX;
}

tw_status twi_zip_open(tw_ctx *ctx, const char *path, const void *data, size_t size, twi_zip *out)
{
    twi_zip zip = {.ctx = ctx, .path = path, .data = data, .size = size};
    const size_t end = find_end(data, size);
    if (end == SIZE_MAX) return damaged(&zip, "end");
    twi_cursor c = twi_cursor_over(zip.data + end + 8, size - end - 8);
    (void)take_u16(&c);
    zip.entries = take_u16(&c);
    (void)twi_take_u32le(&c);
    const uint32_t at = twi_take_u32le(&c);
    if (c.failed || at > end) return damaged(&zip, "end");
    zip.directory = twi_cursor_over(zip.data + at, end - at);
    *out = zip;
    return TW_OK;
}

/* The sizes that did not fit in 32 bits. */
static void take_zip64(twi_cursor extra, twi_zip_entry *entry)
{
    while (extra.left >= 4 && !extra.failed) {
        const unsigned id = take_u16(&extra);
        const size_t size = take_u16(&extra);
        const uint8_t *bytes = twi_take_bytes(&extra, size);
        if (id != 1 || !bytes) continue;
        twi_cursor c = twi_cursor_over(bytes, size);
        if (entry->bytes == UINT32_MAX) entry->bytes = twi_take_u64le(&c);
        if (entry->stored == UINT32_MAX) entry->stored = twi_take_u64le(&c);
        if (entry->at == UINT32_MAX) entry->at = twi_take_u64le(&c);
    }
}

tw_status twi_zip_next(twi_zip *zip, twi_zip_entry *out)
{
    twi_cursor *c = &zip->directory;
    twi_zip_entry entry = {0};
    if (twi_take_u32le(c) != 0x02014b50) return damaged(zip, "directory");
    (void)twi_take_bytes(c, 6); /* versions, flags */
    entry.method = take_u16(c);
    (void)twi_take_bytes(c, 4); /* time, date */
    entry.crc = twi_take_u32le(c);
    entry.stored = twi_take_u32le(c);
    entry.bytes = twi_take_u32le(c);
    const size_t name = take_u16(c), extra = take_u16(c), comment = take_u16(c);
    (void)twi_take_bytes(c, 8); /* disk, attributes */
    entry.at = twi_take_u32le(c);
    const uint8_t *text = twi_take_bytes(c, name), *more = twi_take_bytes(c, extra);
    (void)twi_take_bytes(c, comment);
    if (c->failed) return damaged(zip, "directory");
    if (name > 0 && name < sizeof entry.name && !memchr(text, 0, name))
        memcpy(entry.name, text, name);
    if (extra > 0) take_zip64(twi_cursor_over(more, extra), &entry);
    *out = entry;
    return TW_OK;
}

tw_status twi_zip_find(const twi_zip *zip, const char *name, twi_zip_entry *out)
{
    twi_zip from = *zip;
    twi_zip_entry entry;
    for (size_t i = 0; i < zip->entries; i++) {
        const tw_status st = twi_zip_next(&from, &entry);
        if (st != TW_OK) return st;
        if (strcmp(entry.name, name) != 0) continue;
        *out = entry;
        return TW_OK;
    }
    return twi_fail(zip->ctx, TW_ERR_NOT_FOUND, "%s: a zip archive without %s", zip->path, name);
}

tw_status twi_zip_stored(const twi_zip *zip, const twi_zip_entry *entry, const uint8_t **out)
{
    if (entry->at > zip->size) return damaged(zip, "directory");
    twi_cursor c = twi_cursor_over(zip->data + entry->at, zip->size - (size_t)entry->at);
    const uint32_t magic = twi_take_u32le(&c);
    (void)twi_take_bytes(&c, 22);
    const size_t name = take_u16(&c), extra = take_u16(&c);
    (void)twi_take_bytes(&c, (uint64_t)name + extra);
    const uint8_t *bytes = twi_take_bytes(&c, entry->stored);
    if (c.failed || magic != 0x04034b50 || (entry->method == 0 && entry->stored != entry->bytes))
        return damaged(zip, "entry");
    *out = bytes;
    return TW_OK;
}

/* Raw deflate of all of in [stored] into out [bytes], exactly. */
static bool inflate_all(const uint8_t *in, size_t stored, unsigned char *out, size_t bytes)
{
    z_stream z = {0};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return false;
    int said = Z_OK;
    size_t fed = 0, room = 0;
    while (said == Z_OK) { /* zlib counts in 32 bits */
        if (z.avail_in == 0) {
            const size_t n = stored - fed < INT_MAX ? stored - fed : INT_MAX;
            z.next_in = (z_const Bytef *)(uintptr_t)(in + fed);
            z.avail_in = (uInt)n, fed += n;
        }
        if (z.avail_out == 0) {
            const size_t n = bytes - room < INT_MAX ? bytes - room : INT_MAX;
            z.next_out = out + room;
            z.avail_out = (uInt)n, room += n;
        }
        said = inflate(&z, Z_NO_FLUSH); /* Z_BUF_ERROR: nothing left to read or no room to write */
    }
    const bool fine = said == Z_STREAM_END && room == bytes && z.avail_out == 0;
    inflateEnd(&z);
    return fine;
}

static bool same_crc(const unsigned char *bytes, size_t size, uint32_t want)
{
    return crc32_z(crc32_z(0, NULL, 0), bytes, size) == want;
}

tw_status twi_zip_read(const twi_zip *zip, const twi_zip_entry *entry, size_t most,
                       unsigned char **out)
{
    const uint8_t *stored;
    unsigned char *bytes;
    if (entry->method != 0 && entry->method != 8)
        return twi_fail(zip->ctx, TW_ERR_UNSUPPORTED,
                        "%s: %s is compressed by method %u; need 0 or 8 (deflate)", zip->path,
                        entry->name, entry->method);
    /* No deflated byte makes more than 1,032 (zlib's technical notes): else the size is a lie. */
    if (entry->bytes > most || entry->bytes / 1032 > entry->stored)
        return twi_fail(zip->ctx, TW_ERR_FORMAT,
                        "%s: %s claims %llu bytes from %llu; at most %zu are allowed", zip->path,
                        entry->name, (unsigned long long)entry->bytes,
                        (unsigned long long)entry->stored, most);
    const size_t size = (size_t)entry->bytes;
    tw_status st = twi_zip_stored(zip, entry, &stored);
    if (st == TW_OK) st = twi_alloc(zip->ctx, size, &bytes);
    if (st != TW_OK) return st;
    bool fine = true;
    if (entry->method == 8)
        fine = inflate_all(stored, (size_t)entry->stored, bytes, size);
    else if (size > 0)
        memcpy(bytes, stored, size);
    if (fine && same_crc(bytes, size, entry->crc)) {
        *out = bytes;
        return TW_OK;
    }
    twi_free(bytes);
    return damaged(zip, entry->name);
}
