/* segments.c - where a network is cut so that activations need not be kept: Chen et al. (2016),
 * Training Deep Nets with Sublinear Memory Cost, section 4.
 *
 * Of each segment but the last only the output stays; the rest is computed once more when the
 * backward pass comes to it. A cut may be where one node alone is read by what follows. */
#include "engine/training/tape.h"

#include <string.h>

typedef struct plan {
    const twi_tape *t;
    size_t *bytes; /* [network->n] of a node's value, 0 where nothing of it is kept */
    bool *may;     /* [network->n] a cut may be behind the node */
} plan;

/* Sizes stay far below overflow: each is less than what the arena could hold, or it would not be
 * planned at all; their sum saturates. */
static void measure(plan *p)
{
    const twi_network *network = p->t->network;
    size_t reach = 0; /* the last reader of all nodes before the one looked at */
    for (size_t i = 0; i < network->n; i++) {
        size_t last = i;
        if (p->t->wants[i]) p->bytes[i] = twi_shape_elements(&p->t->shapes[i]);
        for (size_t j = i + 1; j < network->n; j++)
            for (size_t k = 0; k < network->nodes[j].n_inputs; k++)
                if (network->nodes[j].inputs[k] == i) last = j;
        p->may[i] = p->t->wants[i] && reach <= i && p->t->joined[i] <= i && i + 1 < network->n;
        if (last > reach) reach = last;
    }
}

static size_t saturated(size_t a, size_t b)
{
    size_t sum;
    return twi_add(a, b, &sum) ? SIZE_MAX : sum;
}

/* Segments of at most limit where that can be; what is in memory at once: all outputs, and the
 * largest segment. ends (may be NULL): set behind which nodes one ends. */
static size_t divide(const plan *p, size_t limit, bool *ends)
{
    size_t kept = 0, largest = 0, open = 0, since = 0; /* since: the bytes behind the last place */
    size_t place = SIZE_MAX;
    for (size_t i = 0; i < p->t->network->n; i++) {
        open = saturated(open, p->bytes[i]);
        since = saturated(since, p->bytes[i]);
        if (open > limit && place != SIZE_MAX) {
            kept = saturated(kept, p->bytes[place]);
            if (open - since > largest) largest = open - since;
            if (ends) ends[place] = true;
            open = since, place = SIZE_MAX;
        }
        if (p->may[i]) place = i, since = 0;
    }
    return saturated(kept, open > largest ? open : largest);
}

enum { TRIES = 64 };

tw_status twi_tape_segments(twi_tape *t, bool *ends)
{
    plan p = {.t = t};
    size_t all = 0, best = SIZE_MAX, limit = SIZE_MAX;
    tw_status st = twi_zalloc(t->ctx, t->network->n, &p.bytes);
    if (st == TW_OK) st = twi_zalloc(t->ctx, t->network->n, &p.may);
    if (st == TW_OK) {
        measure(&p);
        for (size_t i = 0; i < t->network->n; i++) all = saturated(all, p.bytes[i]);
        for (size_t k = 1; k <= TRIES; k++) {
            const size_t needed = divide(&p, all / TRIES * k, NULL);
            if (needed < best) best = needed, limit = all / TRIES * k;
        }
        memset(ends, 0, t->network->n * sizeof *ends);
        divide(&p, limit, ends);
    }
    twi_free(p.bytes);
    twi_free(p.may);
    return st;
}
