/* wire.h - Protocol Buffers' wire format, field by field.
 *
 * What an ONNX file says lies at a fixed depth of messages, and each is read by a loop of its own:
 * nothing recurses, so no nesting however deep costs a stack. Source: protobuf.dev, "Encoding". */
#ifndef TWI_IMPORTER_ONNX_WIRE_H
#define TWI_IMPORTER_ONNX_WIRE_H

#include "base/cursor.h"

typedef enum twi_wire { TWI_WIRE_VARINT, TWI_WIRE_64, TWI_WIRE_BYTES, TWI_WIRE_32 = 5 } twi_wire;

typedef struct twi_field {
    uint32_t number;
    twi_wire type;
    uint64_t value;   /* varint, or the bits of a fixed one */
    twi_cursor bytes; /* of TWI_WIRE_BYTES */
} twi_field;

/* The next field of the message that remains under at. False at its end, or with at->failed set
 * where the bytes are no field. */
bool twi_field_next(twi_cursor *at, twi_field *field);
uint64_t twi_take_varint(twi_cursor *at);

float twi_field_float(const twi_field *field); /* of a 32-bit field */

#endif
