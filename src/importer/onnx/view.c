/* view.c - chains of moves, composed. */
#include "importer/onnx/view.h"

/* What one node does: its elements, in digits over count [n], lie at first + sum of digit * to in
 * its input. */
typedef struct step {
    size_t n, first;
    size_t count[5], to[5];
} step;

static void axis(step *s, size_t count, size_t to)
{
    s->count[s->n] = count;
    s->to[s->n++] = to;
}

static void strides_of(const twi_shape *s, size_t stride[3])
{
    size_t all = 1;
    for (size_t d = s->rank; d-- > 0;) stride[d] = all, all *= s->dims[d];
}

/* Of each pixel of the windows of a map [c, h, w], windows first: in elements of the map. */
static void windows(const twi_node *node, const size_t *map, size_t count[4], size_t to[4])
{
    const size_t down = map[1] / node->size[0], across = map[2] / node->size[1], row = map[2];
    count[0] = down, count[1] = across, count[2] = node->size[0], count[3] = node->size[1];
    to[0] = node->grid ? row : node->size[0] * row;
    to[1] = node->grid ? 1 : node->size[1];
    to[2] = node->grid ? down * row : row;
    to[3] = node->grid ? across : 1;
}

/* The way back: of each pixel of the map in rows, in elements of the tokens. */
static void reversed(const twi_node *node, const size_t *map, step *s)
{
    const size_t c = map[0], *size = node->size, across = map[2] / size[1];
    const size_t window = size[0] * size[1] * c;
    const size_t outer[2] = {across * window, window}, inner[2] = {size[1] * c, c};
    axis(s, c, 1);
    for (size_t d = 0; d < 2; d++) {
        const size_t n = map[1 + d] / size[d];
        axis(s, node->grid ? size[d] : n, node->grid ? inner[d] : outer[d]);
        axis(s, node->grid ? n : size[d], node->grid ? outer[d] : inner[d]);
    }
}

/* false: the node is no move. */
static bool step_of(const twi_onnx_graph *g, uint32_t id, step *s)
{
    const twi_node *node = twi_onnx_node_of(g, id);
    const twi_shape *out = &g->shapes[id];
    *s = (step){0};
    if (node->n_inputs != 1) return false;
    const twi_shape *in = &g->shapes[node->inputs[0]];
    const size_t pixels = in->rank == 3 ? in->dims[1] * in->dims[2] : in->dims[0];
    size_t stride[3], count[4], to[4];
    strides_of(in, stride);
    switch (node->op) {
    case TWI_OP_FLATTEN:
        if (node->nhwc) return false;
        axis(s, out->dims[0], 1);
        return true;
    case TWI_OP_RESHAPE:
        axis(s, twi_shape_elements(out), 1);
        return true;
    case TWI_OP_TRANSPOSE:
        for (size_t d = 0; d < out->rank; d++) axis(s, out->dims[d], stride[node->axes.dims[d]]);
        return true;
    case TWI_OP_SLICE:
        for (size_t d = 0; d < out->rank; d++)
            axis(s, out->dims[d], stride[d] * (d == node->axis ? node->step : 1));
        s->first = node->start * stride[node->axis];
        return true;
    case TWI_OP_TOKENS:
        axis(s, pixels, 1);
        axis(s, in->dims[0], pixels);
        return true;
    case TWI_OP_MAP:
        axis(s, in->dims[1], 1);
        axis(s, pixels, in->dims[1]);
        return true;
    case TWI_OP_WINDOW_PARTITION:
        windows(node, in->dims, count, to);
        for (size_t i = 0; i < 4; i++) axis(s, count[i], to[i]);
        axis(s, in->dims[0], pixels);
        return true;
    case TWI_OP_WINDOW_REVERSE:
        reversed(node, out->dims, s);
        return true;
    default:
        return false;
    }
}

/* One axis of a view over a step's elements, appended as axes of its input. used [s->n]: how far
 * each of the step's digits goes. The innermost part is split off until what is left fits one
 * digit. */
static bool compose_axis(const step *s, const size_t *weight, size_t count, size_t stride,
                         twi_view *to, size_t *used)
{
    size_t parts[TWI_VIEW_AXES][2], n = 0;
    while (count > 1) {
        size_t j = s->n, by = 0, take = count;
        if (n == TWI_VIEW_AXES) return false;
        for (size_t k = 0; k < s->n && stride > 0; k++)
            if (s->count[k] > 1 && weight[k] <= stride && (j == s->n || weight[k] > weight[j]))
                j = k;
        if (stride > 0) {
            if (j == s->n || stride % weight[j] != 0) return false;
            by = stride / weight[j];
            if (by * (count - 1) >= s->count[j]) {
                if (s->count[j] % by != 0) return false;
                take = s->count[j] / by;
            }
            if (take < 2 || count % take != 0) return false;
            used[j] += by * (take - 1);
        }
        parts[n][0] = take;
        parts[n++][1] = stride > 0 ? by * s->to[j] : 0;
        stride *= take;
        count /= take;
    }
    if (to->n + n > TWI_VIEW_AXES) return false;
    while (n-- > 0) {
        to->count[to->n] = parts[n][0];
        to->stride[to->n++] = parts[n][1];
    }
    return true;
}

/* view, over the elements of a step, as one over its input. */
static bool compose(const twi_view *view, const step *s, twi_view *out)
{
    size_t weight[5], used[5], all = 1;
    *out = (twi_view){.first = s->first};
    for (size_t j = s->n; j-- > 0;) weight[j] = all, all *= s->count[j];
    for (size_t j = 0; j < s->n; j++) {
        used[j] = view->first / weight[j] % s->count[j];
        out->first += used[j] * s->to[j];
    }
    for (size_t a = 0; a < view->n; a++)
        if (!compose_axis(s, weight, view->count[a], view->stride[a], out, used)) return false;
    for (size_t j = 0; j < s->n; j++)
        if (used[j] >= s->count[j]) return false; /* a digit would carry over */
    return true;
}

void twi_view_start(const twi_onnx_graph *g, uint32_t id, twi_view *out)
{
    *out = (twi_view){.base = id, .n = 1, .count = {twi_shape_elements(&g->shapes[id])}};
    out->stride[0] = 1;
}

bool twi_view_back(const twi_onnx_graph *g, double *scale, twi_view *view)
{
    const twi_node *node = twi_onnx_node_of(g, view->base);
    const twi_tensor *by = node->params[TWI_PARAM_VALUE];
    twi_view next;
    step s;
    if (scale && node->op == TWI_OP_MUL_CONSTANT && by->count == 1) {
        *scale *= (double)((const float *)by->data)[0];
        view->base = node->inputs[0];
        return true;
    }
    if (!step_of(g, view->base, &s) || !compose(view, &s, &next)) return false;
    next.base = node->inputs[0];
    *view = next;
    return true;
}

void twi_view_of(const twi_onnx_graph *g, uint32_t id, double *scale, twi_view *out)
{
    twi_view_start(g, id, out);
    for (int steps = 0; steps < TWI_VIEW_FARTHEST && twi_view_back(g, scale, out);) steps++;
}

bool twi_view_split(const twi_view *view, size_t n, const size_t *count, size_t *stride)
{
    size_t at = view->n, left = 1, by = 0; /* of the axis that is being taken apart */
    for (size_t d = n; d-- > 0;) {
        size_t have = 1;
        stride[d] = 0;
        while (have < count[d]) {
            if (left == 1) {
                if (at == 0) return false;
                at--;
                left = view->count[at];
                by = view->stride[at];
                if (left == 1) continue;
            }
            const size_t want = count[d] / have, take = left < want ? left : want;
            if (count[d] % have != 0 || want % take != 0 || left % take != 0) return false;
            if (have == 1)
                stride[d] = by;
            else if (by != have * stride[d])
                return false;
            have *= take;
            left /= take;
            by *= take;
        }
    }
    while (at > 0)
        if (view->count[--at] != 1) return false;
    return left == 1;
}

bool twi_view_of_constant(const twi_onnx_graph *g, uint32_t id, size_t n, const size_t *count,
                          size_t *stride)
{
    const twi_shape *s = &g->shapes[id];
    const twi_shape own = twi_shape_of_tensor(twi_onnx_node_of(g, id)->params[TWI_PARAM_VALUE]);
    twi_shape aligned;
    size_t to[3];
    step along = {0};
    twi_view all = {.n = 1, .count = {twi_shape_elements(s)}}, view;
    all.stride[0] = 1;
    if (!twi_shape_align(&own, s->rank, &aligned)) return false;
    strides_of(&aligned, to);
    for (size_t d = 0; d < s->rank; d++) axis(&along, s->dims[d], aligned.dims[d] == 1 ? 0 : to[d]);
    return compose(&all, &along, &view) && twi_view_split(&view, n, count, stride);
}
