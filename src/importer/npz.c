/* npz.c - torchvision-named weights in a NumPy archive, as numpy.savez writes it: a zip of .npy
 * arrays, stored and not compressed.
 *
 * Sources: PKWARE's APPNOTE 6.3 (central directory, zip64 extra field 1), NumPy's NEP 1 (.npy). */
#include "importer/readers.h"
#include "base/cursor.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

#define MAX_ARRAYS       16384
#define MAX_HEADER_BYTES 4096 /* of an array */
#define END_BYTES        22   /* of the record at the end, without its comment */

typedef struct npz_reader {
    tw_ctx *ctx;
    const char *path;
    const unsigned char *data; /* [size] the archive */
    size_t size;
    size_t left; /* bytes that arrays may still take: no more than the archive has */
    twi_tensors *out;
} npz_reader;

typedef struct npz_entry {
    char name[160];
    unsigned method;
    uint64_t stored, bytes, at; /* compressed and full size; where its local header is */
} npz_entry;

static bool recognises(const unsigned char *head, size_t size)
{
    return size >= 4 && memcmp(head, "PK\3\4", 4) == 0;
}

static uint16_t take_u16(twi_cursor *c)
{
    const unsigned low = twi_take_u8(c);
    return (uint16_t)(low | (unsigned)twi_take_u8(c) << 8);
}

static tw_status damaged(const npz_reader *in, const char *what)
{
    return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: a zip archive whose %s is damaged or cut off",
                    in->path, what);
}

/* The sizes that did not fit in 32 bits. */
static void take_zip64(twi_cursor extra, npz_entry *entry)
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

/* One row of the central directory. */
static tw_status take_entry(npz_reader *in, twi_cursor *c, npz_entry *entry)
{
    *entry = (npz_entry){0};
    if (twi_take_u32le(c) != 0x02014b50) return damaged(in, "directory");
    (void)twi_take_bytes(c, 6); /* versions, flags */
    entry->method = take_u16(c);
    (void)twi_take_bytes(c, 8); /* time, date, checksum */
    entry->stored = twi_take_u32le(c);
    entry->bytes = twi_take_u32le(c);
    const size_t name = take_u16(c), extra = take_u16(c), comment = take_u16(c);
    (void)twi_take_bytes(c, 8); /* disk, attributes */
    entry->at = twi_take_u32le(c);
    const uint8_t *text = twi_take_bytes(c, name), *more = twi_take_bytes(c, extra);
    (void)twi_take_bytes(c, comment);
    if (c->failed) return damaged(in, "directory");
    if (name >= sizeof entry->name || name < 5 || memcmp(text + name - 4, ".npy", 4) != 0 ||
        memchr(text, 0, name))
        return twi_fail(
            in->ctx, TW_ERR_UNSUPPORTED,
            "%s: a zip archive, such as PyTorch's .pth or Keras's .keras, that does not "
            "hold NumPy arrays alone; save the weights as safetensors or with "
            "numpy.savez",
            in->path);
    memcpy(entry->name, text, name - 4);
    if (extra > 0) take_zip64(twi_cursor_over(more, extra), entry);
    if (entry->method == 0) return TW_OK;
    return twi_fail(in->ctx, TW_ERR_UNSUPPORTED,
                    "%s: array %s is compressed; save it with numpy.savez, not savez_compressed",
                    in->path, entry->name);
}

/* The element type of a header's text, or -1. */
static int find_dtype(const char *header)
{
    static const struct {
        const char *descr;
        twi_dtype dtype;
    } rows[] = {{"'<f4'", TWI_F32}, {"'<f2'", TWI_F16}, {"'<f8'", TWI_F64}, {"'<i8'", TWI_I64},
                {"'<i4'", TWI_I32}, {"'|u1'", TWI_U8},  {"'|i1'", TWI_I8},  {"'<u4'", TWI_U32}};
    const char *at = strstr(header, "'descr':");
    for (size_t i = 0; at && i < TWI_LEN(rows); i++) {
        const char *value = at + 8 + strspn(at + 8, " ");
        if (strncmp(value, rows[i].descr, strlen(rows[i].descr)) == 0) return (int)rows[i].dtype;
    }
    return -1;
}

/* "'shape': (64, 3, 7, 7)"; false: not that, or too many or too large. */
static bool find_shape(const char *header, size_t *rank, size_t *dims)
{
    const char *at = strstr(header, "'shape':");
    if (!at) return false;
    at += 8 + strspn(at + 8, " ");
    if (*at++ != '(') return false;
    for (*rank = 0;; at++) {
        at += strspn(at, " ,");
        if (*at == ')') return true;
        size_t digits = 0, value = 0;
        for (; at[digits] >= '0' && at[digits] <= '9' && digits < 10; digits++)
            value = value * 10 + (size_t)(at[digits] - '0');
        if (digits == 0 || digits == 10 || *rank == TWI_TENSOR_DIMS) return false;
        dims[(*rank)++] = value;
        at += digits - 1;
    }
}

/* An array's header, then its values. */
static tw_status take_array(npz_reader *in, const npz_entry *entry, twi_cursor c)
{
    char header[MAX_HEADER_BYTES + 1];
    const uint8_t *magic = twi_take_bytes(&c, 6);
    const unsigned version = twi_take_u8(&c);
    (void)twi_take_u8(&c);
    const size_t length = version == 1 ? take_u16(&c) : twi_take_u32le(&c);
    const uint8_t *text = length <= MAX_HEADER_BYTES ? twi_take_bytes(&c, length) : NULL;
    if (!text || memcmp(magic, "\x93NUMPY", 6) != 0)
        return twi_fail(in->ctx, TW_ERR_FORMAT,
                        "%s: %s is no NumPy array with a header of at "
                        "most %d bytes",
                        in->path, entry->name, MAX_HEADER_BYTES);
    memcpy(header, text, length);
    header[length] = '\0';
    size_t rank, dims[TWI_TENSOR_DIMS], bytes;
    const int dtype = find_dtype(header);
    if (dtype < 0 || !find_shape(header, &rank, dims) || strstr(header, "'fortran_order': True"))
        return twi_fail(in->ctx, TW_ERR_UNSUPPORTED,
                        "%s: array %s is not of little-endian numbers in C order, of at most %d "
                        "dimensions",
                        in->path, entry->name, TWI_TENSOR_DIMS);
    bytes = twi_dtype_size((twi_dtype)dtype);
    for (size_t i = 0; i < rank; i++)
        if (twi_mul(bytes, dims[i], &bytes)) return damaged(in, "array");
    if (bytes != c.left || bytes > in->left)
        return twi_fail(in->ctx, TW_ERR_FORMAT,
                        "%s: array %s needs %zu bytes; it has %zu and all of the archive %zu more",
                        in->path, entry->name, bytes, c.left, in->left);
    in->left -= bytes;
    void *values;
    const tw_status st =
        twi_tensors_add(in->ctx, in->out, entry->name, (twi_dtype)dtype, rank, dims, NULL, &values);
    if (st == TW_OK && bytes > 0) memcpy(values, c.at, bytes);
    return st;
}

static tw_status read_entry(npz_reader *in, const npz_entry *entry)
{
    if (entry->at > in->size) return damaged(in, "directory");
    twi_cursor c = twi_cursor_over(in->data + entry->at, in->size - (size_t)entry->at);
    const uint32_t magic = twi_take_u32le(&c);
    (void)twi_take_bytes(&c, 22);
    const size_t name = take_u16(&c), extra = take_u16(&c);
    (void)twi_take_bytes(&c, (uint64_t)name + extra);
    const uint8_t *bytes = twi_take_bytes(&c, entry->bytes);
    if (c.failed || magic != 0x04034b50 || entry->stored != entry->bytes)
        return damaged(in, "entry");
    return take_array(in, entry, twi_cursor_over(bytes, (size_t)entry->bytes));
}

/* Where the record at the end of the archive starts; SIZE_MAX: nowhere. A comment may follow it. */
static size_t find_end(const unsigned char *data, size_t size)
{
    for (size_t back = END_BYTES; back <= size && back <= END_BYTES + UINT16_MAX; back++)
        if (memcmp(data + size - back, "PK\5\6", 4) == 0) return size - back;
    return SIZE_MAX;
}

tw_status twi_npz_parse(tw_ctx *ctx, const char *path, const void *data, size_t size,
                        twi_tensors *out)
{
    npz_reader in = {ctx, path, data, size, size, out};
    const size_t end = find_end(data, size);
    if (end == SIZE_MAX) return damaged(&in, "end");
    twi_cursor c = twi_cursor_over(in.data + end + 8, size - end - 8);
    (void)take_u16(&c);
    const unsigned n = take_u16(&c);
    (void)twi_take_u32le(&c);
    const uint32_t at = twi_take_u32le(&c);
    if (c.failed || at > end) return damaged(&in, "end");
    if (n == 0 || n > MAX_ARRAYS)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: %u arrays; 1 to %d are allowed", path, n,
                        MAX_ARRAYS);
    twi_cursor directory = twi_cursor_over(in.data + at, end - at);
    tw_status st = TW_OK;
    for (unsigned i = 0; i < n && st == TW_OK; i++) {
        npz_entry entry;
        st = take_entry(&in, &directory, &entry);
        if (st == TW_OK) st = read_entry(&in, &entry);
    }
    return st;
}

static tw_status read_file(tw_ctx *ctx, const char *path, twi_weights *out)
{
    twi_weights weights = {.format = "npz", .convention = TWI_TORCHVISION};
    twi_map map;
    tw_status st = twi_map_open(ctx, path, &map);
    if (st != TW_OK) return st;
    st = twi_npz_parse(ctx, path, map.data, map.size, &weights.tensors);
    twi_map_close(&map);
    if (st == TW_OK)
        *out = weights;
    else
        twi_weights_free(&weights);
    return st;
}

const twi_weights_reader twi_npz_reader = {"npz", recognises, read_file};
