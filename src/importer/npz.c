/* npz.c - torchvision-named weights in a NumPy archive, as numpy.savez writes it: a zip of .npy
 * arrays, stored and not compressed.
 *
 * Source: NumPy's NEP 1 (.npy). */
#include "importer/readers.h"
#include "importer/zip.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

#define MAX_ARRAYS       16384
#define MAX_HEADER_BYTES 4096 /* of an array */

typedef struct npz_reader {
    tw_ctx *ctx;
    const char *path;
    size_t left; /* bytes that arrays may still take: no more than the archive has */
    twi_tensors *out;
} npz_reader;

static uint16_t take_u16(twi_cursor *c)
{
    const unsigned low = twi_take_u8(c);
    return (uint16_t)(low | (unsigned)twi_take_u8(c) << 8);
}

/* Only arrays, and those as they are; their names then lose the ending. */
static tw_status check_entry(const npz_reader *in, twi_zip_entry *entry)
{
    const size_t length = strlen(entry->name);
    if (length < 5 || strcmp(entry->name + length - 4, ".npy") != 0)
        return twi_fail(
            in->ctx, TW_ERR_UNSUPPORTED,
            "%s: a zip archive, such as PyTorch's .pth, that holds neither NumPy arrays "
            "alone nor Keras's model.weights.h5; save the weights as safetensors or "
            "with numpy.savez",
            in->path);
    entry->name[length - 4] = '\0';
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
static tw_status take_array(npz_reader *in, const twi_zip_entry *entry, twi_cursor c)
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
        if (twi_mul(bytes, dims[i], &bytes))
            return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: array %s is too big", in->path,
                            entry->name);
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

tw_status twi_npz_parse(tw_ctx *ctx, const char *path, const void *data, size_t size,
                        twi_tensors *out)
{
    npz_reader in = {ctx, path, size, out};
    twi_zip zip;
    tw_status st = twi_zip_open(ctx, path, data, size, &zip);
    if (st != TW_OK) return st;
    if (zip.entries == 0 || zip.entries > MAX_ARRAYS)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: %zu arrays; 1 to %d are allowed", path,
                        zip.entries, MAX_ARRAYS);
    for (size_t i = 0; i < zip.entries && st == TW_OK; i++) {
        twi_zip_entry entry;
        const uint8_t *bytes;
        st = twi_zip_next(&zip, &entry);
        if (st == TW_OK) st = check_entry(&in, &entry);
        if (st == TW_OK) st = twi_zip_stored(&zip, &entry, &bytes);
        if (st == TW_OK) st = take_array(&in, &entry, twi_cursor_over(bytes, (size_t)entry.bytes));
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

const twi_weights_reader twi_npz_reader = {"npz", twi_zip_recognises, read_file};
