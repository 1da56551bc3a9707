/* memory.h - checked size arithmetic, allocation that reports, and an arena for one phase. */
#ifndef TWI_BASE_MEMORY_H
#define TWI_BASE_MEMORY_H

#include "base/ctx.h"

#include <stdalign.h>
#include <stdint.h>

#define TWI_ALIGN 64 /* one cache line, one AVX-512 register */

/* *out = a * b (or a + b); true when it does not fit, and *out is then 0. */
bool twi_mul(size_t a, size_t b, size_t *out);
bool twi_add(size_t a, size_t b, size_t *out);

/* count * size bytes aligned to TWI_ALIGN, not cleared (alloc) or cleared (zalloc). Release with
 * twi_free(). count 0 gives a valid pointer. TW_ERR_NOMEM names the size asked for. *out is typed:
 * pass the address of any object pointer. */
tw_status twi_alloc_bytes(tw_ctx *ctx, size_t count, size_t size, bool clear, void **out);
#define twi_alloc(ctx, count, out)                                                                 \
    twi_alloc_bytes((ctx), (count), sizeof(**(out)), false, (void **)(out))
#define twi_zalloc(ctx, count, out)                                                                \
    twi_alloc_bytes((ctx), (count), sizeof(**(out)), true, (void **)(out))

/* Grows *items (of *capacity elements, got from this function or NULL/0) to hold at least need; the
 * first *capacity elements are kept. Growth is geometric. Release with twi_free(). */
tw_status twi_grow_bytes(tw_ctx *ctx, void **items, size_t *capacity, size_t need, size_t size);
#define twi_grow(ctx, items, capacity, need)                                                       \
    twi_grow_bytes((ctx), (void **)(items), (capacity), (need), sizeof(**(items)))

void twi_free(void *p); /* NULL is fine */

/* A copy of text (length bytes of it for strndup), NUL-terminated. Release with twi_free(). */
tw_status twi_strdup(tw_ctx *ctx, const char *text, char **out);
tw_status twi_strndup(tw_ctx *ctx, const char *text, size_t length, char **out);

/* printf into fresh memory, locale "C" numbers only if no %f/%g is used (see text.h for numbers).
 */
tw_status twi_asprintf(tw_ctx *ctx, char **out, const char *format, ...) TWI_PRINTF(3, 4);

/* An arena: chunks that only grow and are released together. Everything taken is TWI_ALIGN aligned
 * (twi_arena_text: unaligned). Zero-initialise, then use. */
typedef struct twi_arena {
    struct twi_arena_chunk *chunks;
} twi_arena;

tw_status twi_arena_take_bytes(tw_ctx *ctx, twi_arena *arena, size_t count, size_t size,
                               void **out);
#define twi_arena_take(ctx, arena, count, out)                                                     \
    twi_arena_take_bytes((ctx), (arena), (count), sizeof(**(out)), (void **)(out))
tw_status twi_arena_text(tw_ctx *ctx, twi_arena *arena, const char *text, size_t length,
                         char **out);
void twi_arena_free(twi_arena *arena); /* all at once; the arena can be used again */

#endif
