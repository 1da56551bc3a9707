/* wire.c - fields of a message. */
#include "importer/onnx/wire.h"

#include <string.h>

uint64_t twi_take_varint(twi_cursor *at)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t byte = twi_take_u8(at);
        if (at->failed) return 0;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
    at->failed = true;
    return 0;
}

bool twi_field_next(twi_cursor *at, twi_field *field)
{
    if (at->failed || at->left == 0) return false;
    const uint64_t tag = twi_take_varint(at);
    *field = (twi_field){.number = (uint32_t)(tag >> 3), .type = (twi_wire)(tag & 7)};
    if (at->failed || tag >> 3 == 0 || tag >> 3 > UINT32_MAX) {
        at->failed = true;
        return false;
    }
    switch (field->type) {
    case TWI_WIRE_VARINT:
        field->value = twi_take_varint(at);
        break;
    case TWI_WIRE_64:
        field->value = twi_take_u64le(at);
        break;
    case TWI_WIRE_32:
        field->value = twi_take_u32le(at);
        break;
    case TWI_WIRE_BYTES: {
        const uint64_t size = twi_take_varint(at);
        const uint8_t *bytes = twi_take_bytes(at, size);
        if (bytes) field->bytes = twi_cursor_over(bytes, (size_t)size);
        break;
    }
    default: /* groups, which ONNX never had */
        at->failed = true;
    }
    return !at->failed;
}

float twi_field_float(const twi_field *field)
{
    const uint32_t bits = (uint32_t)field->value;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
