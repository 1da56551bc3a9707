/* tensor.c - the numbers of a TensorProto: in its own fields, as raw bytes, or in a file beside the
 * model. */
#include "importer/onnx/model.h"
#include "base/file.h"
#include "base/tensor.h"

#include <string.h>
#include <sys/stat.h>

/* TensorProto.DataType */
enum {
    FLOAT = 1,
    UINT8 = 2,
    INT8 = 3,
    UINT16 = 4,
    INT16 = 5,
    INT32 = 6,
    INT64 = 7,
    BOOL = 9,
    FLOAT16 = 10,
    DOUBLE = 11,
    UINT32 = 12,
    UINT64 = 13,
    BFLOAT16 = 16,
    UINT4 = 21,
    INT4 = 22
};

static size_t size_of(int type)
{
    switch (type) {
    case UINT8:
    case INT8:
    case BOOL:
        return 1;
    case UINT16:
    case INT16:
    case FLOAT16:
    case BFLOAT16:
        return 2;
    case FLOAT:
    case INT32:
    case UINT32:
        return 4;
    case DOUBLE:
    case INT64:
    case UINT64:
        return 8;
    default:
        return 0;
    }
}

static bool is_float(int type)
{
    return type == FLOAT || type == FLOAT16 || type == DOUBLE || type == BFLOAT16;
}

typedef struct proto {
    tw_ctx *ctx;
    twi_onnx_model *model;
    const char *what;
    twi_onnx_const made;
    twi_cursor raw;
    bool has_raw, external;
    const char *location;
    uint64_t offset, length; /* of external data; length 0: to the end */
} proto;

static tw_status damaged(const proto *p, const char *why)
{
    return twi_fail(p->ctx, TW_ERR_FORMAT, "%s: tensor %s %s", p->model->path, p->what, why);
}

static tw_status take_dims(proto *p, const twi_field *field)
{
    twi_cursor packed = field->bytes;
    twi_onnx_const *c = &p->made;
    bool more = true;
    while (more) {
        if (field->type == TWI_WIRE_BYTES && packed.left == 0) break;
        const uint64_t dim =
            field->type == TWI_WIRE_BYTES ? twi_take_varint(&packed) : field->value;
        if (packed.failed || c->rank == TWI_ONNX_DIMS || dim > UINT32_MAX)
            return damaged(p, "has a shape that cannot be");
        c->dims[c->rank++] = (size_t)dim;
        more = field->type == TWI_WIRE_BYTES;
    }
    return TW_OK;
}

static bool take_number(twi_cursor digits, uint64_t *out)
{
    *out = 0;
    while (digits.left > 0) {
        const uint8_t digit = twi_take_u8(&digits);
        if (digit < '0' || digit > '9' || *out > UINT64_MAX / 10 - 10) return false;
        *out = *out * 10 + (digit - '0');
    }
    return true;
}

/* One key and value of external_data. */
static tw_status take_external(proto *p, twi_cursor message)
{
    twi_field field;
    twi_cursor key = {0}, value = {0};
    while (twi_field_next(&message, &field)) {
        if (field.type != TWI_WIRE_BYTES) continue;
        if (field.number == 1) key = field.bytes;
        if (field.number == 2) value = field.bytes;
    }
    bool fine = !message.failed;
    char *text;
    if (key.left == 8 && memcmp(key.at, "location", 8) == 0) {
        fine = fine && value.left > 0 && value.left < 4096 && !memchr(value.at, 0, value.left);
        if (!fine) return damaged(p, "names no file that could hold its numbers");
        const tw_status st =
            twi_arena_text(p->ctx, &p->model->memory, (const char *)value.at, value.left, &text);
        p->location = text;
        return st;
    }
    if (key.left == 6 && memcmp(key.at, "offset", 6) == 0)
        fine = fine && take_number(value, &p->offset);
    if (key.left == 6 && memcmp(key.at, "length", 6) == 0)
        fine = fine && take_number(value, &p->length);
    return fine ? TW_OK : damaged(p, "is damaged where it says which file holds its numbers");
}

static tw_status take_fields(proto *p, twi_cursor at)
{
    twi_field field;
    tw_status st = TW_OK;
    while (st == TW_OK && twi_field_next(&at, &field)) {
        if (field.number == 1)
            st = take_dims(p, &field);
        else if (field.number == 2 && field.type == TWI_WIRE_VARINT)
            p->made.type = (int)(field.value & 0xffff);
        else if (field.number == 3)
            st = damaged(p, "comes in segments");
        else if (field.number == 9 && field.type == TWI_WIRE_BYTES)
            p->raw = field.bytes, p->has_raw = true;
        else if (field.number == 13 && field.type == TWI_WIRE_BYTES)
            st = take_external(p, field.bytes);
        else if (field.number == 14 && field.type == TWI_WIRE_VARINT)
            p->external = field.value == 1;
    }
    return st == TW_OK && at.failed ? damaged(p, "is damaged") : st;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static double double_of(const uint8_t *at)
{
    double value;
    memcpy(&value, at, sizeof value); /* little-endian, as this program runs on */
    return value;
}

static float float_at(const uint8_t *at, int type)
{
    uint16_t half;
    float value;
    if (type == DOUBLE) return (float)double_of(at);
    if (type == FLOAT) {
        memcpy(&value, at, sizeof value);
        return value;
    }
    memcpy(&half, at, sizeof half);
    return type == FLOAT16 ? twi_f16_to_f32(half) : twi_bf16_to_f32(half);
}

static int64_t int_at(const uint8_t *at, int type)
{
    uint64_t bits = 0;
    memcpy(&bits, at, size_of(type));
    switch (type) {
    case INT8:
        return (int8_t)bits;
    case INT16:
        return (int16_t)bits;
    case INT32:
        return (int32_t)bits;
    default:
        return (int64_t)bits;
    }
}

static tw_status from_bytes(proto *p, const uint8_t *bytes, size_t size, int64_t *i, float *f)
{
    const size_t width = size_of(p->made.type);
    if (size / width != p->made.count || size % width != 0)
        return damaged(p, "holds another number of bytes than its shape says");
    for (size_t at = 0; at < p->made.count; at++) {
        if (f) f[at] = float_at(bytes + at * width, p->made.type);
        if (i) i[at] = int_at(bytes + at * width, p->made.type);
    }
    return TW_OK;
}

/* Only a plain file in the model's own folder, or below it, is read: a model must not be able to
 * make us read what its sender could not. */
static bool stays_inside(const char *location)
{
    if (location[0] == '/') return false;
    for (const char *at = location; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL)
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0')) return false;
    return true;
}

static tw_status from_file(proto *p, int64_t *i, float *f)
{
    const char *slash = strrchr(p->model->path, '/');
    char *path = NULL;
    struct stat info;
    twi_map map = {0};
    if (!p->location || !stays_inside(p->location))
        return damaged(p, "keeps its numbers in a file outside the model's folder");
    tw_status st =
        twi_asprintf(p->ctx, &path, "%.*s%s", slash ? (int)(slash - p->model->path) + 1 : 0,
                     p->model->path, p->location);
    if (st != TW_OK) return st;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode))
        st = damaged(p, "keeps its numbers behind a symbolic link");
    if (st == TW_OK) st = twi_map_open(p->ctx, path, &map);
    if (st != TW_OK) goto done;
    const uint64_t left = p->offset <= map.size ? map.size - p->offset : 0;
    const uint64_t length = p->length ? p->length : left;
    if (p->offset > map.size || length > left)
        st = damaged(p, "lies beyond the end of the file that holds its numbers");
    else
        st = from_bytes(p, map.data + p->offset, (size_t)length, i, f);
done:
    twi_map_close(&map);
    twi_free(path);
    return st;
}

/* ---- typed fields ------------------------------------------------------------------------------
 */

/* float_data 4, int32_data 5 (also halves as bits), int64_data 7, double_data 10, uint64_data 11 */
static tw_status from_fields(proto *p, twi_cursor at, int64_t *i, float *f)
{
    const int type = p->made.type;
    const uint32_t wanted = type == FLOAT                      ? 4
                            : type == DOUBLE                   ? 10
                            : type == INT64                    ? 7
                            : type == UINT64 || type == UINT32 ? 11
                                                               : 5;
    size_t n = 0;
    twi_field field;
    while (twi_field_next(&at, &field)) {
        if (field.number != wanted) continue;
        twi_cursor packed = field.bytes;
        bool more = true;
        while (more) {
            uint64_t bits = field.value;
            if (field.type == TWI_WIRE_BYTES) {
                if (packed.left == 0) break;
                bits = wanted == 4    ? twi_take_u32le(&packed)
                       : wanted == 10 ? twi_take_u64le(&packed)
                                      : twi_take_varint(&packed);
            }
            more = field.type == TWI_WIRE_BYTES;
            if (packed.failed || n == p->made.count)
                return damaged(p, "holds another number of values than its shape says");
            if (f) f[n] = float_at((const uint8_t *)&bits, type);
            if (i) i[n] = type == INT32 ? (int32_t)bits : (int64_t)bits;
            n++;
        }
    }
    return n == p->made.count ? TW_OK
                              : damaged(p, "holds another number of values than its shape says");
}

tw_status twi_onnx_tensor(tw_ctx *ctx, twi_onnx_model *model, const char *what, twi_cursor tensor,
                          twi_onnx_const *out)
{
    proto p = {.ctx = ctx, .model = model, .what = what};
    int64_t *i = NULL;
    float *f = NULL;
    tw_status st = take_fields(&p, tensor);
    if (st != TW_OK) return st;
    const size_t width = size_of(p.made.type);
    if (p.made.type == UINT4 || p.made.type == INT4)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "%s: tensor %s holds integers of 4 bits; 8 to 64 are read", model->path,
                        what);
    if (width == 0)
        return damaged(&p, "holds neither whole numbers nor floating point of 16 to 64 bits");
    p.made.count = 1;
    for (size_t d = 0; d < p.made.rank; d++)
        if (twi_mul(p.made.count, p.made.dims[d], &p.made.count))
            return damaged(&p, "has a shape that cannot be");
    /* Before memory is asked for: no number takes less than a byte of the file. */
    if (!p.external && p.made.count > (p.has_raw ? p.raw.left : tensor.left))
        return damaged(&p, "is larger than the file");
    if (p.made.count > (size_t)1 << 30) return damaged(&p, "is too large");
    if (is_float(p.made.type))
        st = twi_arena_take(ctx, &model->memory, p.made.count, &f);
    else
        st = twi_arena_take(ctx, &model->memory, p.made.count, &i);
    if (st != TW_OK) return st;
    if (p.external)
        st = from_file(&p, i, f);
    else if (p.has_raw)
        st = from_bytes(&p, p.raw.at, p.raw.left, i, f);
    else
        st = from_fields(&p, tensor, i, f);
    p.made.i = i;
    p.made.f = f;
    if (st == TW_OK) *out = p.made;
    return st;
}
