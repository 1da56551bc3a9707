/* memory.c - checked sizes, aligned allocation, arenas. */
#include "base/memory.h"

#include "topwork/topwork.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool twi_mul(size_t a, size_t b, size_t *out)
{
    const bool over = __builtin_mul_overflow(a, b, out);
    if (over) *out = 0;
    return over;
}

bool twi_add(size_t a, size_t b, size_t *out)
{
    const bool over = __builtin_add_overflow(a, b, out);
    if (over) *out = 0;
    return over;
}

/* bytes rounded up to TWI_ALIGN, at least one unit, as aligned_alloc() wants it. */
static bool round_up(size_t bytes, size_t *out)
{
    if (bytes == 0) bytes = 1;
    if (twi_add(bytes, TWI_ALIGN - 1, out)) return true;
    *out &= ~(size_t)(TWI_ALIGN - 1);
    return false;
}

tw_status twi_alloc_bytes(tw_ctx *ctx, size_t count, size_t size, bool clear, void **out)
{
    size_t bytes;
    if (twi_mul(count, size, &bytes) || round_up(bytes, &bytes))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu elements of %zu bytes do not fit in memory", count,
                        size);
    void *p = aligned_alloc(TWI_ALIGN, bytes);
    if (!p) return twi_fail(ctx, TW_ERR_NOMEM, "no memory for %zu bytes", bytes);
    if (clear) memset(p, 0, bytes);
    *out = p;
    return TW_OK;
}

tw_status twi_grow_bytes(tw_ctx *ctx, void **items, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity) return TW_OK;
    size_t wanted;
    if (twi_add(*capacity, *capacity / 2 + 8, &wanted) || wanted < need) wanted = need;
    void *grown;
    const tw_status st = twi_alloc_bytes(ctx, wanted, size, false, &grown);
    if (st != TW_OK) return st;
    if (*items) memcpy(grown, *items, *capacity * size);
    twi_free(*items);
    *items = grown;
    *capacity = wanted;
    return TW_OK;
}

void twi_free(void *p)
{
    free(p);
}

void tw_free(void *p)
{
    free(p);
}

tw_status twi_strndup(tw_ctx *ctx, const char *text, size_t length, char **out)
{
    size_t bytes;
    if (twi_add(length, 1, &bytes))
        return twi_fail(ctx, TW_ERR_NOMEM, "a text of %zu bytes does not fit", length);
    char *copy;
    const tw_status st = twi_alloc(ctx, bytes, &copy);
    if (st != TW_OK) return st;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *out = copy;
    return TW_OK;
}

tw_status twi_strdup(tw_ctx *ctx, const char *text, char **out)
{
    return twi_strndup(ctx, text, strlen(text), out);
}

tw_status twi_asprintf(tw_ctx *ctx, char **out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) return twi_fail(ctx, TW_ERR_ARG, "a text could not be formatted");
    char *text;
    const tw_status st = twi_alloc(ctx, (size_t)length + 1, &text);
    if (st != TW_OK) return st;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    *out = text;
    return TW_OK;
}

/* ---- arena --------------------------------------------------------------------------------- */

#define CHUNK_BYTES ((size_t)64 << 10)

struct twi_arena_chunk {
    struct twi_arena_chunk *next;
    size_t size, used; /* of the whole chunk, this header included */
};

/* Room for bytes at an address that is a multiple of align (a power of two). */
static tw_status take(tw_ctx *ctx, twi_arena *arena, size_t bytes, size_t align, void **out)
{
    struct twi_arena_chunk *chunk = arena->chunks;
    size_t start = chunk ? (chunk->used + align - 1) & ~(align - 1) : 0;
    if (!chunk || start > chunk->size || bytes > chunk->size - start) {
        size_t size;
        if (twi_add(bytes, TWI_ALIGN + sizeof *chunk, &size))
            return twi_fail(ctx, TW_ERR_NOMEM, "%zu bytes do not fit in memory", bytes);
        if (size < CHUNK_BYTES) size = CHUNK_BYTES;
        const tw_status st = twi_alloc_bytes(ctx, size, 1, false, (void **)&chunk);
        if (st != TW_OK) return st;
        chunk->size = size;
        chunk->used = sizeof *chunk;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        start = (chunk->used + align - 1) & ~(align - 1);
    }
    *out = (char *)chunk + start;
    chunk->used = start + bytes;
    return TW_OK;
}

tw_status twi_arena_take_bytes(tw_ctx *ctx, twi_arena *arena, size_t count, size_t size, void **out)
{
    size_t bytes;
    if (twi_mul(count, size, &bytes))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu elements of %zu bytes do not fit in memory", count,
                        size);
    return take(ctx, arena, bytes, TWI_ALIGN, out);
}

tw_status twi_arena_text(tw_ctx *ctx, twi_arena *arena, const char *text, size_t length, char **out)
{
    size_t bytes;
    if (twi_add(length, 1, &bytes))
        return twi_fail(ctx, TW_ERR_NOMEM, "a text of %zu bytes does not fit", length);
    void *copy;
    const tw_status st = take(ctx, arena, bytes, 1, &copy);
    if (st != TW_OK) return st;
    memcpy(copy, text, length);
    ((char *)copy)[length] = '\0';
    *out = copy;
    return TW_OK;
}

void twi_arena_free(twi_arena *arena)
{
    while (arena->chunks) {
        struct twi_arena_chunk *next = arena->chunks->next;
        twi_free(arena->chunks);
        arena->chunks = next;
    }
}
