/* permute.c - any order of any number of axes, with moves of at most three axes.
 *
 * Axes of 1 element drop out and neighbours that stay neighbours merge. What is left is brought
 * into order by swaps of neighbours [outer, a, b, inner] -> [outer, b, a, inner], each of which is
 * one move: of three axes where outer or inner is 1, and else a cut into windows a high and 1 wide
 * of a map of (outer a) x b pixels of `inner` channels. */
#include "importer/onnx/graph.h"

#include <string.h>

typedef struct axes {
    size_t n, size[TWI_ONNX_DIMS];
    size_t order[TWI_ONNX_DIMS]; /* where the axis belongs in the end */
} axes;

/* The axes that matter, in the order they come in. */
static axes reduce(const twi_onnx_value *x, const size_t *perm)
{
    axes made = {0};
    size_t place[TWI_ONNX_DIMS] = {0}, last = TWI_ONNX_DIMS;
    for (size_t to = 0; to < x->rank; to++) place[perm[to]] = to;
    for (size_t d = 0; d < x->rank; d++) {
        if (x->dims[d] == 1) continue;
        bool follows = last < TWI_ONNX_DIMS && place[d] > place[last];
        for (size_t k = 0; follows && k < x->rank; k++) /* only axes of 1 between them */
            follows = x->dims[k] == 1 || place[k] <= place[last] || place[k] >= place[d];
        if (follows) {
            made.size[made.n - 1] *= x->dims[d];
        } else {
            made.order[made.n] = place[d];
            made.size[made.n++] = x->dims[d];
        }
        last = d;
    }
    return made;
}

/* order made 0 ... n - 1. */
static void rank_orders(axes *a)
{
    size_t rank[TWI_ONNX_DIMS];
    for (size_t i = 0; i < a->n; i++) {
        rank[i] = 0;
        for (size_t k = 0; k < a->n; k++) rank[i] += a->order[k] < a->order[i];
    }
    memcpy(a->order, rank, sizeof rank);
}

/* The node's elements, [outer, a, b, inner], with a and b swapped. */
static tw_status swap(twi_onnx_graph *g, uint32_t in, const size_t size[4], uint32_t *out)
{
    const size_t outer = size[0], a = size[1], b = size[2], inner = size[3];
    twi_onnx_value x = {.kind = TWI_ONNX_NODE, .node = in};
    uint32_t at;
    tw_status st;
    if (outer == 1 || inner == 1) {
        const bool first = outer == 1;
        const twi_shape three = {3, {first ? a : outer, first ? b : a, first ? inner : b}};
        const twi_shape two = {2, {a, b}};
        twi_node node = {.op = TWI_OP_TRANSPOSE,
                         .axes = first ? (twi_shape){3, {1, 0, 2}} : (twi_shape){3, {0, 2, 1}}};
        if (outer * inner == 1) node.axes = (twi_shape){2, {1, 0}};
        st = twi_onnx_shaped(g, &x, outer * inner == 1 ? &two : &three, &at);
        return st == TW_OK ? twi_onnx_make1(g, node, at, out) : st;
    }
    const twi_shape tokens = {2, {outer * a * b, inner}};
    st = twi_onnx_shaped(g, &x, &tokens, &at);
    if (st == TW_OK)
        st = twi_onnx_make1(g, (twi_node){.op = TWI_OP_MAP, .size = {outer * a, b}}, at, &at);
    if (st != TW_OK) return st;
    return twi_onnx_make1(g, (twi_node){.op = TWI_OP_WINDOW_PARTITION, .size = {a, 1}}, at, out);
}

/* Bubble sort: the fewest swaps of neighbours. */
static tw_status sort(twi_onnx_graph *g, axes *a, uint32_t *node)
{
    bool moved = true;
    while (moved) {
        moved = false;
        for (size_t i = 0; i + 1 < a->n; i++) {
            if (a->order[i] < a->order[i + 1]) continue;
            size_t size[4] = {1, a->size[i], a->size[i + 1], 1};
            for (size_t k = 0; k < i; k++) size[0] *= a->size[k];
            for (size_t k = i + 2; k < a->n; k++) size[3] *= a->size[k];
            const tw_status st = swap(g, *node, size, node);
            if (st != TW_OK) return st;
            const size_t order = a->order[i];
            a->order[i] = a->order[i + 1], a->order[i + 1] = order;
            a->size[i] = size[2], a->size[i + 1] = size[1];
            moved = true;
        }
    }
    return TW_OK;
}

static bool is_swap(const axes *a)
{
    return a->n == 2 && a->order[0] > a->order[1];
}

/* Pixels become tokens and tokens pixels: operators of their own, which undo each other. */
static tw_status between_maps_and_tokens(twi_onnx_graph *g, const twi_onnx_value *x,
                                         const size_t *perm, const axes *a, uint32_t *out,
                                         bool *done)
{
    const twi_shape *s = &g->shapes[x->node];
    const twi_node *node = twi_onnx_node_of(g, x->node);
    *done = true;
    if (is_swap(a) && s->rank == 3 && s->dims[0] == a->size[0]) {
        if (node->op == TWI_OP_MAP) {
            *out = node->inputs[0];
            return TW_OK;
        }
        return twi_onnx_make1(g, (twi_node){.op = TWI_OP_TOKENS}, x->node, out);
    }
    if (is_swap(a) && x->rank == 4 && x->dims[0] == 1 && perm[1] == 3) { /* NHWC to NCHW */
        const twi_shape tokens = {2, {a->size[0], a->size[1]}};
        uint32_t at;
        tw_status st = twi_onnx_shaped(g, x, &tokens, &at);
        if (st != TW_OK) return st;
        node = twi_onnx_node_of(g, at);
        if (node->op == TWI_OP_TOKENS && g->shapes[node->inputs[0]].dims[1] == x->dims[1]) {
            *out = node->inputs[0];
            return TW_OK;
        }
        return twi_onnx_make1(g, (twi_node){.op = TWI_OP_MAP, .size = {x->dims[1], x->dims[2]}}, at,
                              out);
    }
    *done = false;
    return TW_OK;
}

/* [windows, heads, tokens, d] whose heads are put side by side: perhaps the end of an attention. */
static tw_status try_attention(twi_onnx_graph *g, const axes *a, uint32_t *node, bool *done)
{
    const size_t *o = a->order, *size = a->size;
    *done = false;
    if (a->n == 3 && o[0] == 1 && o[1] == 0) {
        const size_t one[] = {1, size[0], size[1], size[2]};
        return twi_onnx_attention(g, *node, one, node, done);
    }
    if (a->n == 4 && o[0] == 0 && o[1] == 2 && o[2] == 1)
        return twi_onnx_attention(g, *node, size, node, done);
    return TW_OK;
}

tw_status twi_onnx_permute(twi_onnx_graph *g, const twi_onnx_value *x, const size_t *perm)
{
    axes a = reduce(x, perm);
    twi_onnx_value out = *x;
    bool done = false;
    tw_status st = TW_OK;
    rank_orders(&a);
    if (x->rank == 6) st = twi_onnx_windows(g, x, perm, &out.node, &done);
    if (st == TW_OK && !done) st = twi_onnx_window_moves(g, x, perm, &out.node, &done);
    if (st == TW_OK && !done) st = try_attention(g, &a, &out.node, &done);
    if (st == TW_OK && !done && a.n > 1)
        st = between_maps_and_tokens(g, x, perm, &a, &out.node, &done);
    if (st == TW_OK && !done) st = sort(g, &a, &out.node);
    if (st != TW_OK) return st;
    for (size_t d = 0; d < x->rank; d++) out.dims[d] = x->dims[perm[d]];
    return twi_onnx_output(g, 0, &out);
}
