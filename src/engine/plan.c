/* plan.c - one arena for all activations: values that are never alive together share memory.
 *
 * Largest first, each at the lowest offset where it fits ("greedy by size": Pisarchyk & Lee, 2020,
 * Efficient Memory Management for Deep Neural Net Inference, section 4.3). */
#include "engine/program.h"

#include <stdlib.h>

/* A page, so that a value does not share one with its neighbour. */
#define PLACE_ALIGN ((size_t)4096)

static int larger_first(const void *a, const void *b)
{
    const twi_value *const *x = a, *const *y = b;
    if ((*x)->bytes != (*y)->bytes) return (*x)->bytes < (*y)->bytes ? 1 : -1;
    return *x < *y ? -1 : 1; /* a total order: the plan is the same everywhere */
}

static bool alive_together(const twi_value *a, const twi_value *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which value overlaps none of placed [n] (which are in the order of offset).
 */
static tw_status place(tw_ctx *ctx, twi_value *value, twi_value *const *placed, size_t n,
                       size_t *end)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const twi_value *other = placed[i];
        if (!alive_together(value, other)) continue;
        if (other->offset >= at && other->offset - at >= value->bytes) break; /* fits before it */
        if (other->offset + other->bytes > at) at = other->offset + other->bytes;
    }
    value->offset = at;
    if (twi_add(at, value->bytes, end))
        return twi_fail(ctx, TW_ERR_NOMEM, "the network's activations do not fit in memory");
    return TW_OK;
}

/* Inserts value into list [n], which is in the order of offset. */
static void insert(twi_value **list, size_t n, twi_value *value)
{
    size_t i = n;
    for (; i > 0 && list[i - 1]->offset > value->offset; i--) list[i] = list[i - 1];
    list[i] = value;
}

tw_status twi_plan_arena(tw_ctx *ctx, twi_value *values, size_t n, size_t *arena_bytes)
{
    twi_value **order = NULL, **placed = NULL;
    tw_status st = twi_alloc(ctx, n, &order);
    if (st == TW_OK) st = twi_alloc(ctx, n, &placed);
    size_t total = 0;
    for (size_t i = 0; i < n && st == TW_OK; i++) {
        order[i] = &values[i];
        if (twi_add(values[i].bytes, PLACE_ALIGN - 1, &values[i].bytes))
            st = twi_fail(ctx, TW_ERR_NOMEM, "the network's activations do not fit in memory");
        values[i].bytes &= ~(PLACE_ALIGN - 1);
    }
    if (st == TW_OK) qsort(order, n, sizeof *order, larger_first);
    for (size_t i = 0; i < n && st == TW_OK; i++) {
        size_t end = 0;
        st = place(ctx, order[i], placed, i, &end);
        if (end > total) total = end;
        insert(placed, i, order[i]);
    }
    twi_free(order);
    twi_free(placed);
    if (st == TW_OK) *arena_bytes = total;
    return st;
}
