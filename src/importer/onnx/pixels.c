/* pixels.c - maps whose channels come last, [1, h, w, c], as transformers over windows hold them.
 *
 * Our maps are [c, h, w] and tokens [h w, c]. Between the two lies no work: operators `tokens` and
 * `map` rename what the engine holds with its channels last anyway. So what cuts, pads, rolls or
 * joins such a value does so as a map between two renamings, of which neighbours cancel. */
#include "importer/onnx/graph.h"

static twi_shape tokens_of(const twi_onnx_value *x)
{
    return (twi_shape){2, {x->dims[1] * x->dims[2], x->dims[3]}};
}

bool twi_onnx_is_pixels(const twi_onnx_graph *g, const twi_onnx_value *x)
{
    if (x->kind != TWI_ONNX_NODE || x->rank != 4 || x->dims[0] != 1 || x->dims[3] == 1)
        return false;
    const twi_shape tokens = tokens_of(x);
    uint32_t at = x->node;
    while (!twi_shape_equal(&g->shapes[at], &tokens)) {
        if (twi_onnx_node_of(g, at)->op != TWI_OP_RESHAPE) return false;
        at = twi_onnx_node_of(g, at)->inputs[0];
    }
    return true;
}

tw_status twi_onnx_pixels_to_map(twi_onnx_graph *g, const twi_onnx_value *x, uint32_t *map)
{
    const twi_shape tokens = tokens_of(x), wanted = {3, {x->dims[3], x->dims[1], x->dims[2]}};
    uint32_t at;
    const tw_status st = twi_onnx_shaped(g, x, &tokens, &at);
    if (st != TW_OK) return st;
    const twi_node *node = twi_onnx_node_of(g, at);
    if (node->op == TWI_OP_TOKENS && twi_shape_equal(&g->shapes[node->inputs[0]], &wanted)) {
        *map = node->inputs[0];
        return TW_OK;
    }
    for (size_t i = at + 1U; i < g->network->n; i++) { /* perhaps another asked for it */
        node = &g->network->nodes[i];
        if (node->op != TWI_OP_MAP || node->inputs[0] != at) continue;
        if (!twi_shape_equal(&g->shapes[i], &wanted)) continue;
        *map = (uint32_t)i;
        return TW_OK;
    }
    const twi_node made = {.op = TWI_OP_MAP, .size = {wanted.dims[1], wanted.dims[2]}};
    return twi_onnx_make1(g, made, at, map);
}

tw_status twi_onnx_map_to_pixels(twi_onnx_graph *g, uint32_t map, twi_onnx_value *value)
{
    const twi_shape *s = &g->shapes[map];
    const twi_node *node = twi_onnx_node_of(g, map);
    *value = (twi_onnx_value){
        .kind = TWI_ONNX_NODE, .rank = 4, .dims = {1, s->dims[1], s->dims[2], s->dims[0]}};
    value->node = node->inputs[0]; /* of tokens made a map and back */
    if (node->op == TWI_OP_MAP) return TW_OK;
    return twi_onnx_make1(g, (twi_node){.op = TWI_OP_TOKENS}, map, &value->node);
}

/* ---- rolls -----------------------------------------------------------------------------------
 */

/* Whether the maps are the end and the beginning of one, which went to and fro at *from. */
static bool is_roll(const twi_onnx_graph *g, const uint32_t *parts, size_t axis, uint32_t *in,
                    size_t *from)
{
    const twi_node *end = twi_onnx_node_of(g, parts[0]), *begin = twi_onnx_node_of(g, parts[1]);
    if (end->op != TWI_OP_SLICE || begin->op != TWI_OP_SLICE || end->axis != axis ||
        begin->axis != axis || end->step != 1 || begin->step != 1)
        return false;
    *in = end->inputs[0];
    *from = end->start;
    return begin->inputs[0] == *in && begin->start == 0 && begin->stop == end->start &&
           end->stop >= g->shapes[*in].dims[axis];
}

/* Pixel y becomes pixel y - from, the shorter way round; rolls of both axes are one. */
static tw_status roll(twi_onnx_graph *g, uint32_t in, size_t axis, size_t from, uint32_t *out)
{
    const long size = (long)g->shapes[in].dims[axis], by = (long)from;
    const twi_node *before = twi_onnx_node_of(g, in);
    twi_node node = {.op = TWI_OP_ROLL};
    if (before->op == TWI_OP_ROLL && before->shift[axis - 1] == 0) {
        node.shift[2 - axis] = before->shift[2 - axis];
        in = before->inputs[0];
    }
    node.shift[axis - 1] = by > size / 2 ? size - by : -by;
    return twi_onnx_make1(g, node, in, out);
}

tw_status twi_onnx_join_maps(twi_onnx_graph *g, const uint32_t *parts, size_t n, size_t axis,
                             uint32_t *out)
{
    uint32_t in;
    size_t from;
    if (n == 2 && axis > 0 && is_roll(g, parts, axis, &in, &from))
        return roll(g, in, axis, from, out);
    return twi_onnx_make(g, (twi_node){.op = TWI_OP_CONCAT, .axis = axis}, parts, n, out);
}

/* ---- windows ---------------------------------------------------------------------------------
 */

/* The swap of the third and fourth axis cuts into windows or puts them together, depending on what
 * one calls a row: the side on which the windows are square says it, or, where both are, that an
 * attention's last product comes before windows are put together. */
static tw_status swap_middle(twi_onnx_graph *g, const twi_onnx_value *x, uint32_t *out)
{
    const size_t *d = x->dims;
    const bool after = twi_onnx_node_of(g, twi_onnx_behind(g, x->node))->op == TWI_OP_DENSE;
    const bool reverse = d[3] == d[4] && (d[2] != d[4] || after);
    uint32_t at;
    tw_status st;
    if (reverse) {
        const twi_shape tokens = {2, {d[1] * d[2] * d[3] * d[4], d[5]}};
        const twi_node node = {.op = TWI_OP_WINDOW_REVERSE,
                               .size = {d[3], d[4]},
                               .target = {3, {d[5], d[1] * d[3], d[2] * d[4]}}};
        twi_onnx_value value;
        st = twi_onnx_shaped(g, x, &tokens, &at);
        if (st == TW_OK) st = twi_onnx_make1(g, node, at, &at);
        if (st == TW_OK) st = twi_onnx_map_to_pixels(g, at, &value);
        if (st == TW_OK) *out = value.node;
        return st;
    }
    const twi_onnx_value rows = {.kind = TWI_ONNX_NODE,
                                 .rank = 4,
                                 .dims = {1, d[1] * d[2], d[3] * d[4], d[5]},
                                 .node = x->node};
    st = twi_onnx_pixels_to_map(g, &rows, &at);
    const twi_node node = {.op = TWI_OP_WINDOW_PARTITION, .size = {d[2], d[4]}};
    return st == TW_OK ? twi_onnx_make1(g, node, at, out) : st;
}

tw_status twi_onnx_windows(twi_onnx_graph *g, const twi_onnx_value *x, const size_t *perm,
                           uint32_t *out, bool *done)
{
    static const size_t middle[] = {0, 1, 3, 2, 4, 5};
    *done = x->rank == 6 && x->dims[0] == 1 && x->dims[2] > 1 && x->dims[3] > 1;
    for (size_t d = 0; d < 6 && *done; d++) *done = perm[d] == middle[d];
    return *done ? swap_middle(g, x, out) : TW_OK;
}
