/* sizes.c - whether a graph made for one input size means the same at another. Shapes that no
 * longer fit are found by the shape rules; this is about those that fit and mean something else. */
#include "network/operators.h"

#include <stdio.h>
#include <string.h>

typedef struct sizes {
    const twi_network *network;
    const twi_shape *was, *is; /* [network->n] shapes at the two sizes */
    bool same_padding;
} sizes;

static bool input_changed(const sizes *s, const twi_node *node)
{
    for (size_t k = 0; k < node->n_inputs; k++)
        if (!twi_shape_equal(&s->was[node->inputs[k]], &s->is[node->inputs[k]])) return true;
    return false;
}

/* What TensorFlow's "same" pads before and after an axis of size elements (tensorflow.org,
 * api_docs/python/tf/nn, "Notes on padding"). */
static void same_padding(const twi_window *w, int axis, size_t size, size_t pad[2])
{
    const size_t span = w->dilation[axis] * (w->kernel[axis] - 1) + 1, stride = w->stride[axis];
    const size_t last = size % stride ? size % stride : stride;
    const size_t all = span > last ? span - last : 0;
    pad[0] = all / 2;
    pad[1] = all - all / 2;
}

/* A window whose padding is what "same" gives at the one size, and not at the other. With a
 * padding that "same" does not give, it was a fixed one. */
static bool padding_depends(const sizes *s, const twi_node *node)
{
    const twi_shape *was = &s->was[node->inputs[0]], *is = &s->is[node->inputs[0]];
    const twi_window *w = &node->window;
    for (int axis = 0; axis < 2; axis++) {
        size_t then[2], now[2];
        same_padding(w, axis, was->dims[1 + axis], then);
        same_padding(w, axis, is->dims[1 + axis], now);
        if (w->pad_begin[axis] == then[0] && w->pad_end[axis] == then[1] &&
            (now[0] != then[0] || now[1] != then[1]))
            return true;
    }
    return false;
}

/* Padding of a node of its own, more at one end: what "same" gives to the strided windows that read
 * it. The same rest after division by the stride, the same padding. */
static bool pad_node_depends(const sizes *s, size_t i)
{
    const twi_node *node = &s->network->nodes[i];
    const twi_shape *was = &s->was[node->inputs[0]], *is = &s->is[node->inputs[0]];
    if (memcmp(node->window.pad_begin, node->window.pad_end, sizeof node->window.pad_begin) == 0)
        return false;
    for (size_t j = i + 1; j < s->network->n; j++) {
        const twi_node *reader = &s->network->nodes[j];
        bool reads = false;
        for (size_t k = 0; k < reader->n_inputs; k++) reads |= reader->inputs[k] == i;
        for (int axis = 0; axis < 2 && reads; axis++) {
            const size_t stride = reader->window.stride[axis];
            if (stride == 0 || was->dims[1 + axis] % stride != is->dims[1 + axis] % stride)
                return true;
        }
    }
    return false;
}

/* A window as large as the map was averages all of it, which is what was meant. */
static bool covers_map(const sizes *s, const twi_node *node)
{
    const twi_shape *was = &s->was[node->inputs[0]];
    return was->dims[1] * was->dims[2] > 1 && node->window.kernel[0] >= was->dims[1] &&
           node->window.kernel[1] >= was->dims[2];
}

/* Every so-manyth row, column or token to the end, or the first token, is the same at any size. */
static bool slice_depends(const sizes *s, const twi_node *node)
{
    const size_t was = s->was[node->inputs[0]].dims[node->axis];
    const size_t is = s->is[node->inputs[0]].dims[node->axis];
    const bool to_end = node->stop >= was && node->stop >= is && node->start < node->step;
    const bool first = node->start == 0 && node->stop == 1;
    return was != is && !to_end && !first;
}

/* Why node i, whose input has another shape now, does not mean the same; NULL: it does. */
static const char *objection(const sizes *s, size_t i)
{
    const twi_node *node = &s->network->nodes[i];
    switch (node->op) {
    case TWI_OP_CONV:
        return s->same_padding && padding_depends(s, node)
                   ? "its padding depends on the size (TensorFlow's \"same\")"
                   : NULL;
    case TWI_OP_MAX_POOL:
    case TWI_OP_AVG_POOL:
        if (covers_map(s, node)) return "its window is the whole map at the one size only";
        return s->same_padding && padding_depends(s, node)
                   ? "its padding depends on the size (TensorFlow's \"same\")"
                   : NULL;
    case TWI_OP_PAD:
        return s->same_padding && pad_node_depends(s, i)
                   ? "its padding depends on the size (TensorFlow's \"same\")"
                   : NULL;
    case TWI_OP_SLICE:
        return slice_depends(s, node) ? "it takes a part that was chosen for the one size" : NULL;
    case TWI_OP_RESIZE:
        return node->size[0] || node->size[1] ? "it resizes to a fixed size" : NULL;
    case TWI_OP_RESHAPE:
    case TWI_OP_MAP:
    case TWI_OP_WINDOW_REVERSE:
        return "its shape was worked out for the one size";
    default:
        return NULL; /* of any size, or the shape rules object */
    }
}

/* TW_OK, or why the network does not mean the same at size. was: shapes at the size it was made
 * for; is: room for as many. */
static tw_status judge(tw_ctx *ctx, const sizes *s, const size_t size[2], twi_shape *is)
{
    tw_status st = twi_network_shapes(ctx, s->network, size[0], size[1], is);
    for (size_t i = 1; i < s->network->n && st == TW_OK; i++) {
        const twi_node *node = &s->network->nodes[i];
        const char *why = input_changed(s, node) ? objection(s, i) : NULL;
        if (why) st = twi_fail(ctx, TW_ERR_UNSUPPORTED, "layer %s: %s", node->name, why);
    }
    return st == TW_ERR_FORMAT ? TW_ERR_UNSUPPORTED : st; /* the graph is sound, at its own size */
}

/* The nearest size that can be had, both sides being less or more; 0: none near. */
static size_t nearest(const sizes *s, const size_t size[2], bool less, twi_shape *is)
{
    enum { FAR = 64 };
    for (size_t d = 1; d <= FAR && (!less || (d < size[0] && d < size[1])); d++) {
        const size_t other[2] = {less ? size[0] - d : size[0] + d,
                                 less ? size[1] - d : size[1] + d};
        if (judge(NULL, s, other, is) == TW_OK) return d;
    }
    return 0;
}

tw_status twi_network_check_size(tw_ctx *ctx, const twi_network *network, const size_t made_for[2],
                                 const size_t size[2], bool same)
{
    twi_shape *was = NULL, *is = NULL;
    char near[96] = "";
    tw_status st = twi_alloc(ctx, network->n, &was);
    if (st == TW_OK) st = twi_alloc(ctx, network->n, &is);
    if (st == TW_OK) st = twi_network_shapes(ctx, network, made_for[0], made_for[1], was);
    if (st != TW_OK) goto done;
    const sizes s = {network, was, is, same};
    if ((st = judge(ctx, &s, size, is)) == TW_OK || st == TW_ERR_NOMEM) goto done;
    const size_t less = nearest(&s, size, true, is), more = nearest(&s, size, false, is);
    if (less || more)
        snprintf(near, sizeof near, ", but %zu x %zu", less ? size[0] - less : size[0] + more,
                 less ? size[1] - less : size[1] + more);
    if (less && more)
        snprintf(near + strlen(near), sizeof near - strlen(near), " and %zu x %zu", size[0] + more,
                 size[1] + more);
    (void)twi_fail_prefix(ctx, st,
                          "the network was made for %zu x %zu pixels and cannot take %zu x %zu%s: ",
                          made_for[0], made_for[1], size[0], size[1], near);
done:
    twi_free(was);
    twi_free(is);
    return st;
}
