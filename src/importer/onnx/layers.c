/* layers.c - convolutions, products with weights, windows, norms. */
#include "importer/onnx/graph.h"

#include <math.h>
#include <string.h>

/* ---- windows -----------------------------------------------------------------------------------
 */

/* One number for each of axes, 1 or 2; a single axis is the width, and the height 1. */
static tw_status two(twi_onnx_graph *g, const char *name, size_t axes, size_t fallback,
                     size_t out[2])
{
    const int64_t *given;
    size_t n;
    const tw_status st = twi_onnx_list(g, name, SIZE_MAX, &given, &n);
    if (st != TW_OK) return st;
    out[0] = axes == 1 ? 1 : fallback;
    out[1] = fallback;
    if (!given) return TW_OK;
    if (n != axes) return twi_onnx_fail(g, "%s of %zu numbers for %zu axes", name, n, axes);
    for (size_t i = 0; i < n; i++) {
        if (given[i] < 1 || given[i] > TWI_MAX_WINDOW)
            return twi_onnx_fail(g, "%s of %lld", name, (long long)given[i]);
        out[i + 2 - n] = (size_t)given[i];
    }
    return TW_OK;
}

/* auto_pad of SAME: out = ceil(in / stride), the odd pixel after (UPPER) or before (LOWER). */
static void pad_same(twi_window *w, const size_t in[2], bool lower)
{
    for (size_t i = 0; i < 2; i++) {
        const size_t span = w->dilation[i] * (w->kernel[i] - 1) + 1;
        const size_t last = ((in[i] + w->stride[i] - 1) / w->stride[i] - 1) * w->stride[i];
        const size_t all = last + span > in[i] ? last + span - in[i] : 0;
        w->pad_begin[i] = lower ? (all + 1) / 2 : all / 2;
        w->pad_end[i] = all - w->pad_begin[i];
    }
}

static tw_status take_pads(twi_onnx_graph *g, size_t axes, twi_window *w)
{
    const int64_t *pads;
    size_t n;
    const tw_status st = twi_onnx_list(g, "pads", SIZE_MAX, &pads, &n);
    if (st != TW_OK || !pads) return st;
    if (n != 2 * axes) return twi_onnx_fail(g, "pads of %zu numbers; need %zu", n, 2 * axes);
    for (size_t i = 0; i < n; i++) {
        if (pads[i] < 0 || pads[i] > TWI_MAX_WINDOW)
            return twi_onnx_fail(g, "pads of %lld", (long long)pads[i]);
        (i < axes ? w->pad_begin : w->pad_end)[i % axes + 2 - axes] = (size_t)pads[i];
    }
    return TW_OK;
}

/* axes: 1 or 2. kernel: what the weight says; NULL: kernel_shape is asked. in: the map's height and
 * width. */
static tw_status take_window(twi_onnx_graph *g, size_t axes, const size_t *kernel,
                             const size_t in[2], twi_window *w)
{
    const char *same = twi_onnx_text(g->at, "auto_pad", "NOTSET");
    *w = (twi_window){0};
    tw_status st = two(g, "kernel_shape", axes, 0, w->kernel);
    if (st == TW_OK && kernel) memcpy(w->kernel, kernel, sizeof w->kernel);
    if (st == TW_OK) st = two(g, "strides", axes, 1, w->stride);
    if (st == TW_OK) st = two(g, "dilations", axes, 1, w->dilation);
    if (st != TW_OK) return st;
    if (w->kernel[0] == 0 || w->kernel[1] == 0) return twi_onnx_fail(g, "kernel_shape is missing");
    if (strcmp(same, "SAME_UPPER") == 0 || strcmp(same, "SAME_LOWER") == 0)
        pad_same(w, in, same[5] == 'L');
    else if (strcmp(same, "VALID") != 0)
        st = take_pads(g, axes, w);
    w->ceil_mode = twi_onnx_int(g->at, "ceil_mode", 0) != 0;
    w->count_include_pad = twi_onnx_int(g->at, "count_include_pad", 0) != 0;
    return st;
}

/* Input 0 as a map: [1, c, width] is one of height 1. */
static tw_status take_map(twi_onnx_graph *g, twi_onnx_value *out)
{
    const twi_onnx_value *x;
    const tw_status st = twi_onnx_input(g, 0, &x);
    if (st != TW_OK) return st;
    *out = *x;
    if (x->rank == 4) return TW_OK;
    if (x->rank != 3)
        return twi_onnx_fail(g, "a value of %zu axes comes in; need [1, channels, height, width]",
                             x->rank);
    out->rank = 4;
    out->dims[2] = 1;
    out->dims[3] = x->dims[2];
    return TW_OK;
}

/* What comes out of node as a map: [1, c, h, w], or [1, c, w] where axes is 1. */
static tw_status give_map(twi_onnx_graph *g, uint32_t node, size_t axes)
{
    const twi_shape *s = &g->shapes[node];
    const size_t h = s->rank == 3 ? s->dims[1] : 1, w = s->rank == 3 ? s->dims[2] : 1;
    const size_t dims[] = {1, s->dims[0], axes == 1 ? w : h, w};
    return twi_onnx_give(g, node, 2 + axes, dims);
}

static tw_status optional_vector(twi_onnx_graph *g, size_t i, size_t n, const twi_tensor **out)
{
    const twi_onnx_const *c;
    *out = NULL;
    if (!twi_onnx_has_input(g, i)) return TW_OK;
    tw_status st = twi_onnx_input_floats(g, i, &c);
    if (st == TW_OK && c->count != n)
        st = twi_onnx_fail(g, "input %zu has %zu numbers; need %zu", i, c->count, n);
    return st == TW_OK ? twi_onnx_param(g, 1, &n, c->f, out, NULL) : st;
}

/* weight [out, in / groups, kernel] or with two axes more: as one of two. */
static tw_status take_weight(twi_onnx_graph *g, size_t axes, const twi_onnx_const **out,
                             size_t dims[4])
{
    const twi_onnx_const *w;
    const tw_status st = twi_onnx_input_floats(g, 1, &w);
    if (st != TW_OK) return st;
    if (w->rank != 2 + axes)
        return twi_onnx_fail(g, "a convolution over %zu axes of a map of %zu; one or two are read",
                             w->rank > 2 ? w->rank - 2 : 0, axes);
    dims[0] = w->dims[0];
    dims[1] = w->dims[1];
    dims[2] = axes == 1 ? 1 : w->dims[2];
    dims[3] = w->dims[w->rank - 1];
    *out = w;
    return TW_OK;
}

static tw_status lower_conv(twi_onnx_graph *g)
{
    twi_onnx_value x;
    const twi_onnx_value *as_given;
    const twi_onnx_const *w;
    size_t dims[4];
    twi_node node = {.op = TWI_OP_CONV, .groups = (size_t)twi_onnx_int(g->at, "group", 1)};
    uint32_t in, out;
    tw_status st = twi_onnx_input(g, 0, &as_given);
    if (st != TW_OK) return st;
    const size_t axes = as_given->rank == 3 ? 1 : 2;
    st = take_map(g, &x);
    if (st == TW_OK) st = take_weight(g, axes, &w, dims);
    if (st == TW_OK) st = take_window(g, axes, dims + 2, x.dims + 2, &node.window);
    if (st == TW_OK) st = optional_vector(g, 2, dims[0], &node.params[TWI_PARAM_BIAS]);
    if (st != TW_OK) return st;
    const twi_window *v = &node.window;
    const bool point = v->kernel[0] * v->kernel[1] == 1 &&
                       v->pad_begin[0] + v->pad_begin[1] + v->pad_end[0] + v->pad_end[1] == 0;
    if (point && node.groups == 1 && twi_onnx_is_vector(g, &x)) { /* squeeze and excite */
        st = twi_onnx_param(g, 2, dims, w->f, &node.params[TWI_PARAM_WEIGHT], NULL);
        node.op = TWI_OP_DENSE;
        node.window = (twi_window){0};
        node.groups = 0;
        in = x.node;
    } else {
        st = twi_onnx_param(g, 4, dims, w->f, &node.params[TWI_PARAM_WEIGHT], NULL);
        if (st == TW_OK) st = twi_onnx_as_map(g, &x, &in);
    }
    if (st == TW_OK) st = twi_onnx_make1(g, node, in, &out);
    return st == TW_OK ? give_map(g, out, axes) : st;
}

static tw_status lower_pool(twi_onnx_graph *g)
{
    twi_onnx_value x;
    const twi_onnx_value *as_given;
    twi_node node = {.op = g->at->op[0] == 'M' ? TWI_OP_MAX_POOL : TWI_OP_AVG_POOL};
    uint32_t in, out;
    tw_status st = twi_onnx_input(g, 0, &as_given);
    if (st != TW_OK) return st;
    const size_t axes = as_given->rank == 3 ? 1 : 2;
    st = take_map(g, &x);
    if (st == TW_OK) st = twi_onnx_as_map(g, &x, &in);
    if (st == TW_OK) st = take_window(g, axes, NULL, x.dims + 2, &node.window);
    if (st != TW_OK) return st;
    const twi_window *w = &node.window;
    const size_t pads = w->pad_begin[0] + w->pad_begin[1] + w->pad_end[0] + w->pad_end[1];
    if (w->kernel[0] == x.dims[2] && w->kernel[1] == x.dims[3] && pads == 0 &&
        w->dilation[0] * w->dilation[1] == 1) {
        node.op = node.op == TWI_OP_MAX_POOL ? TWI_OP_GLOBAL_MAX_POOL : TWI_OP_GLOBAL_AVG_POOL;
        node.window = (twi_window){0};
    }
    st = twi_onnx_make1(g, node, in, &out);
    return st == TW_OK ? give_map(g, out, axes) : st;
}

static tw_status lower_global_pool(twi_onnx_graph *g)
{
    twi_onnx_value x;
    const twi_onnx_value *as_given;
    const twi_op op = g->at->op[6] == 'M' ? TWI_OP_GLOBAL_MAX_POOL : TWI_OP_GLOBAL_AVG_POOL;
    uint32_t in, out;
    tw_status st = twi_onnx_input(g, 0, &as_given);
    if (st == TW_OK && twi_onnx_is_vector(g, as_given)) return twi_onnx_output(g, 0, as_given);
    const size_t axes = st == TW_OK && as_given->rank == 3 ? 1 : 2;
    if (st == TW_OK) st = take_map(g, &x);
    if (st == TW_OK) st = twi_onnx_as_map(g, &x, &in);
    if (st == TW_OK) st = twi_onnx_make1(g, (twi_node){.op = op}, in, &out);
    return st == TW_OK ? give_map(g, out, axes) : st;
}

/* ---- products ----------------------------------------------------------------------------------
 */

/* weight [out, in] times scale from b, which is [in, out] unless turned. */
static tw_status make_weight(twi_onnx_graph *g, const twi_onnx_const *b, bool turned, double scale,
                             const twi_tensor **out)
{
    const size_t rows = b->dims[0], columns = b->dims[1];
    float *to;
    if (turned && scale == 1.0) return twi_onnx_param(g, 2, b->dims, b->f, out, NULL);
    const size_t dims[] = {turned ? rows : columns, turned ? columns : rows};
    const tw_status st = twi_onnx_param(g, 2, dims, NULL, out, &to);
    for (size_t r = 0; st == TW_OK && r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            to[turned ? r * columns + c : c * rows + r] = (float)scale * b->f[r * columns + c];
    return st;
}

/* c, of 1 or n numbers, times scale, as n. */
static tw_status make_bias(twi_onnx_graph *g, const twi_onnx_const *c, size_t n, double scale,
                           const twi_tensor **out)
{
    float *to;
    if (c->count != 1 && c->count != n)
        return twi_onnx_fail(g, "a bias of %zu numbers for %zu", c->count, n);
    const tw_status st = twi_onnx_param(g, 1, &n, NULL, out, &to);
    for (size_t i = 0; st == TW_OK && i < n; i++)
        to[i] = (float)scale * c->f[c->count == 1 ? 0 : i];
    return st;
}

static tw_status give_rows(twi_onnx_graph *g, const twi_onnx_value *x, uint32_t node, size_t last)
{
    size_t dims[TWI_ONNX_DIMS];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = last;
    return twi_onnx_give(g, node, x->rank, dims);
}

static tw_status lower_gemm(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    const twi_onnx_const *b, *c;
    twi_node node = {.op = TWI_OP_DENSE};
    uint32_t in, out;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_input_floats(g, 1, &b);
    if (st != TW_OK) return st;
    const bool turned = twi_onnx_int(g->at, "transB", 0) != 0;
    if (x->rank != 2 || b->rank != 2 || twi_onnx_int(g->at, "transA", 0) != 0)
        return twi_onnx_fail(g, "a product that is not of rows [n, in] with a matrix");
    const size_t n = b->dims[turned ? 0 : 1];
    st = make_weight(g, b, turned, twi_onnx_float(g->at, "alpha", 1.0),
                     &node.params[TWI_PARAM_WEIGHT]);
    if (st == TW_OK && twi_onnx_has_input(g, 2)) {
        st = twi_onnx_input_floats(g, 2, &c);
        if (st == TW_OK)
            st = make_bias(g, c, n, twi_onnx_float(g->at, "beta", 1.0),
                           &node.params[TWI_PARAM_BIAS]);
    }
    if (st == TW_OK) st = twi_onnx_as_rows(g, x, &in);
    if (st == TW_OK) st = twi_onnx_make1(g, node, in, &out);
    if (st == TW_OK) st = twi_onnx_joined(g, out, &out);
    return st == TW_OK ? give_rows(g, x, out, n) : st;
}

/* [b..., m, k] as a stack of matrices [b, m, k], or as one. */
static tw_status as_stack(twi_onnx_graph *g, const twi_onnx_value *x, size_t b, uint32_t *out)
{
    const twi_shape stack = {3, {b, x->dims[x->rank - 2], x->dims[x->rank - 1]}};
    const twi_shape one = {2, {stack.dims[1], stack.dims[2]}};
    return twi_onnx_shaped(g, x, b == 1 ? &one : &stack, out);
}

static size_t stacked(const twi_onnx_value *x)
{
    size_t n = 1;
    for (size_t d = 0; d + 2 < x->rank; d++) n *= x->dims[d];
    return n;
}

tw_status twi_onnx_product(twi_onnx_graph *g, const twi_onnx_value *a, const twi_onnx_value *b,
                           bool turn)
{
    size_t dims[TWI_ONNX_DIMS];
    uint32_t in[2], out;
    if (a->rank < 2 || b->rank < 2)
        return twi_onnx_fail(g, "a product of values of %zu and %zu axes", a->rank, b->rank);
    const size_t stack = stacked(a);
    const twi_onnx_value *larger = a->rank >= b->rank ? a : b;
    if (stack != stacked(b))
        return twi_onnx_fail(g, "a product of %zu matrices with %zu", stack, stacked(b));
    tw_status st = as_stack(g, a, stack, &in[0]);
    if (st == TW_OK) st = as_stack(g, b, stack, &in[1]);
    if (st != TW_OK) return st;
    const twi_node *right = twi_onnx_node_of(g, in[1]);
    const size_t last = stack == 1 ? 1 : 2; /* a transpose of what is multiplied costs nothing */
    const bool turned = !turn && right->op == TWI_OP_TRANSPOSE &&
                        right->axes.dims[last] == last - 1 && right->axes.dims[last - 1] == last;
    if (turned) in[1] = right->inputs[0];
    st = twi_onnx_make(g,
                       (twi_node){.op = TWI_OP_MATMUL, .scale = 1.0, .transpose_b = turn || turned},
                       in, 2, &out);
    memcpy(dims, larger->dims, sizeof dims);
    dims[larger->rank - 2] = a->dims[a->rank - 2];
    dims[larger->rank - 1] = b->dims[b->rank - (turn ? 2 : 1)];
    return st == TW_OK ? twi_onnx_give(g, out, larger->rank, dims) : st;
}

static tw_status lower_matmul(twi_onnx_graph *g)
{
    const twi_onnx_value *a, *b;
    twi_node node = {.op = TWI_OP_DENSE};
    uint32_t in, out;
    tw_status st = twi_onnx_input(g, 0, &a);
    if (st == TW_OK) st = twi_onnx_input(g, 1, &b);
    if (st != TW_OK) return st;
    if (b->kind != TWI_ONNX_CONST || b->rank != 2 || !b->data.f || a->kind != TWI_ONNX_NODE)
        return twi_onnx_product(g, a, b, false);
    st = make_weight(g, &b->data, false, 1.0, &node.params[TWI_PARAM_WEIGHT]);
    if (st == TW_OK) st = twi_onnx_as_rows(g, a, &in);
    if (st == TW_OK) st = twi_onnx_make1(g, node, in, &out);
    if (st == TW_OK) st = twi_onnx_joined(g, out, &out);
    return st == TW_OK ? give_rows(g, a, out, b->dims[1]) : st;
}

/* ---- norms -------------------------------------------------------------------------------------
 */

static tw_status lower_batch_norm(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    twi_onnx_value map;
    static const int part[] = {0, TWI_PARAM_SCALE, TWI_PARAM_SHIFT, TWI_PARAM_MEAN,
                               TWI_PARAM_VARIANCE};
    twi_node node = {.op = TWI_OP_BATCH_NORM, .epsilon = twi_onnx_float(g->at, "epsilon", 1e-5)};
    uint32_t in, out;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK && x->rank < 2) st = twi_onnx_fail(g, "a value without channels");
    if (st == TW_OK && twi_onnx_int(g->at, "training_mode", 0) != 0)
        st = twi_onnx_fail(g, "training_mode; export the model for inference");
    for (size_t i = 1; i <= 4 && st == TW_OK; i++)
        st = optional_vector(g, i, x->dims[1], &node.params[part[i]]);
    if (st != TW_OK) return st;
    if (twi_onnx_is_vector(g, x)) {
        in = x->node;
    } else if (x->rank == 2) {
        st = twi_onnx_as_rows(g, x, &in);
    } else {
        st = take_map(g, &map);
        if (st == TW_OK) st = twi_onnx_as_map(g, &map, &in);
    }
    if (st == TW_OK) st = twi_onnx_make1(g, node, in, &out);
    return st == TW_OK ? twi_onnx_give(g, out, x->rank, x->dims) : st;
}

static tw_status lower_layer_norm(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    twi_node node = {.op = TWI_OP_LAYER_NORM, .epsilon = twi_onnx_float(g->at, "epsilon", 1e-5)};
    size_t axis;
    uint32_t in, out;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_axis(g, twi_onnx_int(g->at, "axis", -1), x->rank, &axis);
    if (st == TW_OK && axis + 1 != x->rank)
        st = twi_onnx_fail(g, "a norm over more than the last axis");
    if (st == TW_OK) st = optional_vector(g, 1, x->dims[axis], &node.params[TWI_PARAM_SCALE]);
    if (st == TW_OK) st = optional_vector(g, 2, x->dims[axis], &node.params[TWI_PARAM_SHIFT]);
    if (st == TW_OK) st = twi_onnx_as_rows(g, x, &in);
    if (st == TW_OK) st = twi_onnx_make1(g, node, in, &out);
    return st == TW_OK ? twi_onnx_give(g, out, x->rank, x->dims) : st;
}

/* A vector of one number a group, or one a channel, as one a channel. */
static tw_status spread(twi_onnx_graph *g, size_t i, size_t channels, const twi_tensor **out)
{
    const twi_onnx_const *c;
    float *to;
    tw_status st = twi_onnx_input_floats(g, i, &c);
    if (st == TW_OK && (c->count == 0 || channels % c->count != 0))
        st = twi_onnx_fail(g, "%zu numbers for %zu channels", c->count, channels);
    if (st == TW_OK) st = twi_onnx_param(g, 1, &channels, NULL, out, &to);
    for (size_t k = 0; st == TW_OK && k < channels; k++) to[k] = c->f[k / (channels / c->count)];
    return st;
}

/* InstanceNormalization has as many groups as channels. */
static tw_status lower_group_norm(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    twi_node node = {.op = TWI_OP_GROUP_NORM, .epsilon = twi_onnx_float(g->at, "epsilon", 1e-5)};
    uint32_t in, out;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_as_map(g, x, &in);
    if (st != TW_OK) return st;
    node.groups = g->at->op[0] == 'I' ? x->dims[1] : (size_t)twi_onnx_int(g->at, "num_groups", 1);
    st = spread(g, 1, x->dims[1], &node.params[TWI_PARAM_SCALE]);
    if (st == TW_OK) st = spread(g, 2, x->dims[1], &node.params[TWI_PARAM_SHIFT]);
    if (st == TW_OK) st = twi_onnx_make1(g, node, in, &out);
    return st == TW_OK ? give_map(g, out, 2) : st;
}

static tw_status lower_lrn(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    const twi_node node = {.op = TWI_OP_LRN,
                           .alpha = twi_onnx_float(g->at, "alpha", 1e-4),
                           .beta = twi_onnx_float(g->at, "beta", 0.75),
                           .bias = twi_onnx_float(g->at, "bias", 1.0),
                           .span = (size_t)twi_onnx_int(g->at, "size", 0)};
    uint32_t in, out;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_as_map(g, x, &in);
    if (st == TW_OK) st = twi_onnx_make1(g, node, in, &out);
    return st == TW_OK ? give_map(g, out, 2) : st;
}

const twi_onnx_operator twi_onnx_layers[] = {
    {"Conv", lower_conv},
    {"MaxPool", lower_pool},
    {"AveragePool", lower_pool},
    {"GlobalAveragePool", lower_global_pool},
    {"GlobalMaxPool", lower_global_pool},
    {"Gemm", lower_gemm},
    {"MatMul", lower_matmul},
    {"BatchNormalization", lower_batch_norm},
    {"LayerNormalization", lower_layer_norm},
    {"InstanceNormalization", lower_group_norm},
    {"GroupNormalization", lower_group_norm},
    {"LRN", lower_lrn},
    {NULL, NULL},
};
