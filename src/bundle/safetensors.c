/* safetensors.c - reads the header of a safetensors file that anybody may have written.
 *
 * The format (github.com/huggingface/safetensors): a little-endian 64-bit length, that many bytes
 * of JSON (it starts with '{' and may end in spaces), then the tensors' bytes, which fill the rest
 * of the file without holes or overlap. */
#include "bundle/layout.h"

#include "base/cursor.h"

#include <stdlib.h>
#include <string.h>

/* Of braces, brackets, commas and colons outside strings; a tensor needs about twenty. Keeps a
 * header of
 * "[[],[],[]..." from becoming gigabytes of JSON values. */
#define MAX_MARKS ((size_t)TWI_MAX_TENSORS * 32)
#define MAX_DEPTH 4

typedef struct entry { /* one tensor as the header describes it */
    const char *name;  /* borrowed from the JSON */
    twi_dtype dtype;
    size_t rank, dims[TWI_TENSOR_DIMS];
    size_t begin, end;
} entry;

typedef struct header {
    const char *name; /* of the file */
    const unsigned char *data;
    size_t data_size;
    twi_json *json;
    entry *entries;
    size_t n;
} header;

/* A look at the bytes before jansson turns them into values: are they few and flat enough? */
static tw_status check_marks(tw_ctx *ctx, const char *name, const unsigned char *text, size_t size)
{
    size_t depth = 0, marks = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else
                in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        marks += c == '{' || c == '[' || c == ',' || c == ':';
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && depth > 0) depth--;
        if (depth > MAX_DEPTH)
            return twi_fail(ctx, TW_ERR_FORMAT, "%s: its header nests deeper than %d", name,
                            MAX_DEPTH);
        if (marks > MAX_MARKS)
            return twi_fail(ctx, TW_ERR_FORMAT, "%s: its header holds more than %d tensors", name,
                            TWI_MAX_TENSORS);
    }
    return TW_OK;
}

static tw_status parse_json(tw_ctx *ctx, const void *data, size_t size, header *h)
{
    twi_cursor cursor = twi_cursor_over(data, size);
    const uint64_t length = twi_take_u64le(&cursor);
    if (cursor.failed)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: %zu bytes are not a safetensors file", h->name,
                        size);
    if (length > TWI_MAX_HEADER)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: not a safetensors file, or its header is damaged: it claims %llu "
                        "bytes; at most %zu are read",
                        h->name, (unsigned long long)length, TWI_MAX_HEADER);
    const unsigned char *text = twi_take_bytes(&cursor, length);
    if (cursor.failed)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: cut short: its header claims %llu bytes, %zu follow", h->name,
                        (unsigned long long)length, size - TWI_LENGTH_BYTES);
    if (length == 0 || text[0] != '{')
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: not a safetensors file: no JSON at byte %d",
                        h->name, TWI_LENGTH_BYTES);
    h->data = cursor.at;
    h->data_size = cursor.left;
    const tw_status st = check_marks(ctx, h->name, text, (size_t)length);
    if (st != TW_OK) return st;
    return twi_json_parse(ctx, h->name, (const char *)text, (size_t)length, &h->json);
}

/* ---- entries ------------------------------------------------------------------------------- */

static bool take_size(const twi_json *value, size_t *out)
{
    const int64_t number = twi_json_as_integer(value, -1);
    if (number < 0 || (uint64_t)number > SIZE_MAX) return false;
    *out = (size_t)number;
    return true;
}

static bool find_dtype(const char *word, twi_dtype *out)
{
    for (twi_dtype t = TWI_U8; t <= TWI_F64; t++)
        if (strcmp(twi_dtype_name(t), word) == 0) {
            *out = t;
            return true;
        }
    return false;
}

/* end - begin has to be exactly what dtype and dims say. */
static tw_status check_extent(tw_ctx *ctx, const header *h, const entry *e)
{
    size_t bytes = twi_dtype_size(e->dtype);
    bool over = false;
    for (size_t i = 0; i < e->rank; i++) over |= twi_mul(bytes, e->dims[i], &bytes);
    if (over)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: tensor %s: the product of its dimensions does not fit", h->name,
                        e->name);
    if (e->end > h->data_size || e->begin > e->end)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: tensor %s lies at bytes %zu to %zu; the file holds %zu (cut short?)",
                        h->name, e->name, e->begin, e->end, h->data_size);
    if (e->end - e->begin != bytes)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: tensor %s takes %zu bytes; its shape and type need %zu", h->name,
                        e->name, e->end - e->begin, bytes);
    return TW_OK;
}

static tw_status read_entry(tw_ctx *ctx, const header *h, const twi_json *json, entry *e)
{
    const twi_json *shape = twi_json_get(json, "shape");
    const twi_json *offsets = twi_json_get(json, "data_offsets");
    const char *dtype = twi_json_as_text(twi_json_get(json, "dtype"), NULL);
    if (!dtype || !twi_json_is_array(shape) || !twi_json_is_array(offsets) ||
        twi_json_length(offsets) != 2 || twi_json_length(json) != 3)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: tensor %s is not described by dtype, shape and data_offsets", h->name,
                        e->name);
    if (!find_dtype(dtype, &e->dtype))
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: tensor %s holds %s, which is not supported",
                        h->name, e->name, dtype);
    e->rank = twi_json_length(shape);
    if (e->rank > TWI_TENSOR_DIMS)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: tensor %s has %zu dimensions; at most %d are allowed", h->name,
                        e->name, e->rank, TWI_TENSOR_DIMS);
    bool sound = take_size(twi_json_at(offsets, 0), &e->begin) &&
                 take_size(twi_json_at(offsets, 1), &e->end);
    for (size_t i = 0; i < e->rank && sound; i++)
        sound = take_size(twi_json_at(shape, i), &e->dims[i]);
    if (!sound)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: tensor %s: a dimension or offset is not a size",
                        h->name, e->name);
    return check_extent(ctx, h, e);
}

static tw_status check_metadata(tw_ctx *ctx, const header *h, const twi_json *metadata)
{
    bool sound = twi_json_is_object(metadata);
    for (const char *key = sound ? twi_json_next_key(metadata, NULL) : NULL; key && sound;
         key = twi_json_next_key(metadata, key))
        sound = twi_json_as_text(twi_json_get(metadata, key), NULL) != NULL;
    if (sound) return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "%s: __metadata__ is not an object of texts", h->name);
}

/* In the order of their bytes; tensors without any come before the one that starts where they do.
 */
static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

static tw_status check_contiguous(tw_ctx *ctx, const header *h)
{
    size_t at = 0;
    for (size_t i = 0; i < h->n; i++) {
        const entry *e = &h->entries[i];
        if (e->begin != at)
            return twi_fail(ctx, TW_ERR_FORMAT, "%s: tensor %s starts at byte %zu, %s %zu", h->name,
                            e->name, e->begin,
                            e->begin < at ? "inside the one before, which ends at"
                                          : "leaving a hole after",
                            at);
        at = e->end;
    }
    if (at != h->data_size)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: %zu bytes follow the last tensor", h->name,
                        h->data_size - at);
    return TW_OK;
}

static tw_status read_entries(tw_ctx *ctx, header *h)
{
    const size_t most = twi_json_length(h->json);
    if (most > TWI_MAX_TENSORS + 1)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: %zu tensors; at most %d are read", h->name, most,
                        TWI_MAX_TENSORS);
    tw_status st = twi_zalloc(ctx, most, &h->entries);
    for (const char *key = twi_json_next_key(h->json, NULL); key && st == TW_OK;
         key = twi_json_next_key(h->json, key)) {
        const twi_json *value = twi_json_get(h->json, key);
        if (strcmp(key, "__metadata__") == 0) {
            st = check_metadata(ctx, h, value);
            continue;
        }
        h->entries[h->n].name = key;
        st = read_entry(ctx, h, value, &h->entries[h->n++]);
    }
    if (st != TW_OK) return st;
    if (h->n > 0) qsort(h->entries, h->n, sizeof *h->entries, compare_entries);
    return check_contiguous(ctx, h);
}

/* ---- tensors ------------------------------------------------------------------------------- */

/* Borrowed where it lies, copied where it lies at an address its type cannot be read from. */
static tw_status add_tensor(tw_ctx *ctx, const header *h, const entry *e, twi_tensors *list)
{
    const unsigned char *data = h->data + e->begin;
    void *copy = NULL;
    const bool aligned = (uintptr_t)data % twi_dtype_size(e->dtype) == 0;
    const tw_status st = twi_tensors_add(ctx, list, e->name, e->dtype, e->rank, e->dims,
                                         aligned ? data : NULL, &copy);
    if (st != TW_OK) return twi_fail_prefix(ctx, st, "%s: ", h->name);
    if (copy && e->end > e->begin) memcpy(copy, data, e->end - e->begin);
    return TW_OK;
}

tw_status twi_safetensors_parse(tw_ctx *ctx, const char *name, const void *data, size_t size,
                                twi_tensors *tensors, twi_json **metadata)
{
    header h = {.name = name};
    twi_tensors list = {0};
    tw_status st = parse_json(ctx, data, size, &h);
    if (st != TW_OK) goto done;
    if ((st = read_entries(ctx, &h)) != TW_OK) goto done;
    for (size_t i = 0; i < h.n; i++)
        if ((st = add_tensor(ctx, &h, &h.entries[i], &list)) != TW_OK) goto done;
    if (metadata) {
        const twi_json *found = twi_json_get(h.json, "__metadata__");
        *metadata = twi_json_copy(found);
        if (found && !*metadata) {
            st = twi_fail(ctx, TW_ERR_NOMEM, "%s: no memory for its metadata", name);
            goto done;
        }
    }
    *tensors = list, list = (twi_tensors){0}; /* handed over */
done:
    twi_tensors_free(&list);
    twi_free(h.entries);
    twi_json_free(h.json);
    return st;
}
