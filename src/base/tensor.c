/* tensor.c - named arrays, and the two half-width floats. */
#include "base/tensor.h"

#include <string.h>

static const struct dtype_row {
    const char *name;
    size_t size;
} dtypes[] = {
    [TWI_U8] = {"U8", 1},     [TWI_I8] = {"I8", 1},   [TWI_I32] = {"I32", 4},
    [TWI_U32] = {"U32", 4},   [TWI_I64] = {"I64", 8}, [TWI_F16] = {"F16", 2},
    [TWI_BF16] = {"BF16", 2}, [TWI_F32] = {"F32", 4}, [TWI_F64] = {"F64", 8},
};

size_t twi_dtype_size(twi_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *twi_dtype_name(twi_dtype dtype)
{
    return dtypes[dtype].name;
}

const twi_tensor *twi_tensors_find(const twi_tensors *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0) return &list->items[i];
    return NULL;
}

tw_status twi_tensors_add(tw_ctx *ctx, twi_tensors *list, const char *name, twi_dtype dtype,
                          size_t rank, const size_t *dims, const void *data, void **data_out)
{
    tw_status st;
    twi_tensor t = {.dtype = dtype, .rank = rank, .count = 1, .data = data};
    if (rank > TWI_TENSOR_DIMS)
        return twi_fail(ctx, TW_ERR_FORMAT, "tensor %s has %zu dimensions; at most %d are allowed",
                        name, rank, TWI_TENSOR_DIMS);
    if (twi_tensors_find(list, name))
        return twi_fail(ctx, TW_ERR_FORMAT, "tensor %s is there twice", name);
    size_t bytes = 0;
    for (size_t i = 0; i < rank; i++) {
        t.dims[i] = dims[i];
        if (twi_mul(t.count, dims[i], &t.count))
            return twi_fail(ctx, TW_ERR_FORMAT, "tensor %s: its dimensions do not fit", name);
    }
    if (twi_mul(t.count, twi_dtype_size(dtype), &bytes))
        return twi_fail(ctx, TW_ERR_FORMAT, "tensor %s: its size does not fit", name);
    if ((st = twi_grow(ctx, &list->items, &list->capacity, list->n + 1)) != TW_OK) return st;
    char *copy;
    if ((st = twi_arena_text(ctx, &list->owned, name, strlen(name), &copy)) != TW_OK) return st;
    t.name = copy;
    if (!data) {
        unsigned char *fresh;
        if ((st = twi_arena_take(ctx, &list->owned, bytes, &fresh)) != TW_OK) return st;
        memset(fresh, 0, bytes);
        t.data = fresh;
        if (data_out) *data_out = fresh;
    }
    list->items[list->n++] = t;
    return TW_OK;
}

void twi_tensors_free(twi_tensors *list)
{
    twi_free(list->items);
    twi_arena_free(&list->owned);
    *list = (twi_tensors){0};
}

tw_status twi_tensor_floats(tw_ctx *ctx, const twi_tensor *t, float *dst)
{
    switch (t->dtype) {
    case TWI_F32:
        if (t->count > 0) memcpy(dst, t->data, t->count * sizeof *dst);
        return TW_OK;
    case TWI_F16: {
        const uint16_t *src = t->data;
        for (size_t i = 0; i < t->count; i++) dst[i] = twi_f16_to_f32(src[i]);
        return TW_OK;
    }
    case TWI_BF16: {
        const uint16_t *src = t->data;
        for (size_t i = 0; i < t->count; i++) dst[i] = twi_bf16_to_f32(src[i]);
        return TW_OK;
    }
    case TWI_F64: {
        const double *src = t->data;
        for (size_t i = 0; i < t->count; i++) dst[i] = (float)src[i];
        return TW_OK;
    }
    default:
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "tensor %s holds %s; need a floating-point type",
                        t->name, twi_dtype_name(t->dtype));
    }
}

/* ---- half-width floats --------------------------------------------------------------------- */

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float twi_bf16_to_f32(uint16_t bits)
{
    return from_bits((uint32_t)bits << 16);
}

uint16_t twi_f32_to_bf16(float value)
{
    const uint32_t bits = to_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u); /* quiet NaN */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* Both directions go through one multiplication by a power of two, which makes subnormals come out
 * right without a loop: the exponent bias of float is 127, of half 15, so the factor is 2^(127 -
 * 15) = 2^112. */
float twi_f16_to_f32(uint16_t half)
{
    /* Without a branch, so that twi_tensor_floats() becomes vector code. Infinity and NaN: the
     * product has the right fraction already, and gets the exponent of all ones. */
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = half & 0x7fffu;
    const uint32_t special = 0u - (uint32_t)(rest > 0x7bffu);
    return from_bits(sign | to_bits(from_bits(rest << 13) * 0x1p112f) | (special & 0x7f800000u));
}

uint16_t twi_f32_to_f16(float value)
{
    const uint32_t bits = to_bits(value), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);  /* NaN */
    if (rest >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* >= 65520 rounds to infinity */
    if (rest < 0x38800000u) {                                   /* below 2^-14: subnormal */
        /* 2^-24 is the unit of the last place here and of 0.5f as a float: adding rounds to even.
         */
        const uint32_t rounded = to_bits(from_bits(rest) + 0.5f) - to_bits(0.5f);
        return (uint16_t)(sign | rounded);
    }
    const uint32_t rounded = rest + 0xfffu + (rest >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}
