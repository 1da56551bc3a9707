/* cursor.h - reading untrusted bytes. Failure is sticky: read on, check .failed once. */
#ifndef TWI_BASE_CURSOR_H
#define TWI_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct twi_cursor {
    const uint8_t *at;
    size_t left;
    bool failed;
} twi_cursor;

twi_cursor twi_cursor_over(const void *data, size_t size);

/* Each returns 0 (NULL) and sets .failed when fewer bytes remain. */
uint8_t twi_take_u8(twi_cursor *cursor);
uint16_t twi_take_u16be(twi_cursor *cursor);
uint32_t twi_take_u32le(twi_cursor *cursor);
uint32_t twi_take_u32be(twi_cursor *cursor);
uint64_t twi_take_u64le(twi_cursor *cursor);
const uint8_t *twi_take_bytes(twi_cursor *cursor, uint64_t count); /* borrowed */

#endif
