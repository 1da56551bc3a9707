/* windows.c - chains of moves that come to cutting a map into windows, or to putting windows
 * together: told by their view, whatever the order in which an exporter got there. */
#include "importer/onnx/view.h"

typedef struct pieces { /* of one axis, the innermost first */
    size_t n, count[TWI_VIEW_AXES], stride[TWI_VIEW_AXES];
} pieces;

/* Each of the value's axes as the axes of view that it runs over. */
static bool take_pieces(const twi_onnx_value *x, const twi_view *view, pieces of[TWI_ONNX_DIMS])
{
    size_t at = view->n, left = 1, by = 0;
    for (size_t d = x->rank; d-- > 0;) {
        of[d].n = 0;
        for (size_t want = x->dims[d]; want > 1;) {
            if (left == 1) {
                if (at == 0) return false;
                at--;
                left = view->count[at];
                by = view->stride[at];
                continue;
            }
            const size_t take = left < want ? left : want;
            if (want % take != 0 || left % take != 0 || of[d].n == TWI_VIEW_AXES) return false;
            of[d].count[of[d].n] = take;
            of[d].stride[of[d].n++] = by;
            want /= take;
            left /= take;
            by *= take;
        }
    }
    return true;
}

/* One axis more, or the last one longer where it goes on as the last one does. */
static bool append(twi_view *to, size_t count, size_t stride)
{
    const size_t last = to->n - 1;
    if (to->n > 0 && to->stride[last] == count * stride) {
        to->count[last] *= count;
        to->stride[last] = stride;
        return true;
    }
    if (to->n == TWI_VIEW_AXES) return false;
    to->count[to->n] = count;
    to->stride[to->n++] = stride;
    return true;
}

/* view with the axes of value in the order perm. */
static bool permuted(const twi_onnx_value *x, const size_t *perm, const twi_view *view,
                     twi_view *out)
{
    pieces of[TWI_ONNX_DIMS];
    *out = (twi_view){.base = view->base};
    if (view->first != 0 || !take_pieces(x, view, of)) return false;
    for (size_t to = 0; to < x->rank; to++) {
        const pieces *one = &of[perm[to]];
        for (size_t k = one->n; k-- > 0;)
            if (!append(out, one->count[k], one->stride[k])) return false;
    }
    return true;
}

/* Tokens [down, across, y, x, c] of a map [c, h, w]. */
static bool is_partition(const twi_view *v, const twi_shape *map, twi_node *node)
{
    const size_t *n = v->count, *s = v->stride, width = map->dims[2];
    if (map->rank != 3 || v->n != 5 || n[4] != map->dims[0] || s[4] != map->dims[1] * width ||
        n[0] * n[2] != map->dims[1] || n[1] * n[3] != width)
        return false;
    const bool near = s[2] == width && s[3] == 1 && s[0] == n[2] * width && s[1] == n[3];
    const bool grid = s[0] == width && s[1] == 1 && s[2] == n[0] * width && s[3] == n[1];
    *node = (twi_node){.op = TWI_OP_WINDOW_PARTITION, .size = {n[2], n[3]}, .grid = grid};
    return near || grid;
}

/* A map [c, h, w], h and w in two digits each, of tokens. */
static bool is_reverse(const twi_view *v, const twi_shape *tokens, twi_node *node)
{
    const size_t *n = v->count, *s = v->stride;
    if (v->n != 5 || s[0] != 1) return false;
    const size_t c = n[0], pixels = n[1] * n[2] * n[3] * n[4];
    if (pixels * c != twi_shape_elements(tokens)) return false;
    *node = (twi_node){.op = TWI_OP_WINDOW_REVERSE, .target = {3, {c, n[1] * n[2], n[3] * n[4]}}};
    node->size[0] = n[2], node->size[1] = n[4];
    size_t window = n[2] * n[4] * c;
    if (s[1] == n[3] * window && s[2] == n[4] * c && s[3] == window && s[4] == c) return true;
    node->size[0] = n[1], node->size[1] = n[3];
    node->grid = true;
    window = n[1] * n[3] * c;
    return s[1] == n[3] * c && s[2] == n[4] * window && s[3] == c && s[4] == window;
}

/* The farthest node back of which the value, permuted, is windows or the way back. */
static bool find_windows(const twi_onnx_graph *g, const twi_onnx_value *x, const size_t *perm,
                         twi_node *node, uint32_t *base)
{
    twi_view at, turned;
    twi_node one;
    bool found = false;
    twi_view_start(g, x->node, &at);
    for (int steps = 0; steps < TWI_VIEW_FARTHEST; steps++) {
        const twi_shape *shape = &g->shapes[at.base];
        if (permuted(x, perm, &at, &turned) && turned.n == 5 &&
            (is_partition(&turned, shape, &one) || is_reverse(&turned, shape, &one))) {
            *node = one;
            *base = at.base;
            found = true;
        }
        if (!twi_view_back(g, NULL, &at)) break;
    }
    return found;
}

tw_status twi_onnx_window_moves(twi_onnx_graph *g, const twi_onnx_value *x, const size_t *perm,
                                uint32_t *out, bool *done)
{
    twi_node node;
    uint32_t base;
    *done = find_windows(g, x, perm, &node, &base);
    if (!*done) return TW_OK;
    if (node.op == TWI_OP_WINDOW_PARTITION) return twi_onnx_make1(g, node, base, out);
    const size_t c = node.target.dims[0];
    const twi_shape tokens = {2, {twi_shape_elements(&g->shapes[base]) / c, c}};
    const twi_onnx_value value = {.kind = TWI_ONNX_NODE, .node = base};
    const tw_status st = twi_onnx_shaped(g, &value, &tokens, &base);
    return st == TW_OK ? twi_onnx_make1(g, node, base, out) : st;
}
