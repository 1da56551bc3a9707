/* cursor.c - the sticky-failure cursor over untrusted bytes. */
#include "base/cursor.h"

twi_cursor twi_cursor_over(const void *data, size_t size)
{
    return (twi_cursor){data, size, false};
}

const uint8_t *twi_take_bytes(twi_cursor *cursor, uint64_t count)
{
    if (cursor->failed || count > cursor->left) {
        cursor->failed = true;
        return NULL;
    }
    const uint8_t *at = cursor->at;
    if (count > 0) cursor->at += count;
    cursor->left -= (size_t)count;
    return at;
}

/* count <= 8 bytes as a number, the least significant first (little) or last. */
static uint64_t take_number(twi_cursor *cursor, size_t count, int little)
{
    const uint8_t *at = twi_take_bytes(cursor, count);
    uint64_t value = 0;
    for (size_t i = 0; at && i < count; i++) value = value << 8 | at[little ? count - 1 - i : i];
    return value;
}

uint8_t twi_take_u8(twi_cursor *cursor)
{
    return (uint8_t)take_number(cursor, 1, 1);
}

uint16_t twi_take_u16be(twi_cursor *cursor)
{
    return (uint16_t)take_number(cursor, 2, 0);
}

uint32_t twi_take_u32le(twi_cursor *cursor)
{
    return (uint32_t)take_number(cursor, 4, 1);
}

uint32_t twi_take_u32be(twi_cursor *cursor)
{
    return (uint32_t)take_number(cursor, 4, 0);
}

uint64_t twi_take_u64le(twi_cursor *cursor)
{
    return take_number(cursor, 8, 1);
}
