/* operators.c - the operator table and its shape rules. */
#include "network/operators.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- rules that several rows share --------------------------------------------------------- */

static tw_status shape_same(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    (void)ctx, (void)node;
    *out = in[0];
    return TW_OK;
}

/* The span of a dilated window; the caps make the product small. */
static size_t window_span(const twi_window *w, int axis)
{
    return w->dilation[axis] * (w->kernel[axis] - 1) + 1;
}

/* Output size of axis, 0 when the window does not fit. In ceil mode a last window may end outside
 * but has to start inside the input or its leading padding. Source: PyTorch 1.13,
 * ATen/native/Pool.h, pooling_output_shape_pad_lr(). */
static size_t window_count(const twi_window *w, int axis, size_t in)
{
    const size_t stride = w->stride[axis], begin = w->pad_begin[axis];
    const size_t room = in + begin + w->pad_end[axis] + (w->ceil_mode ? stride - 1 : 0);
    const size_t span = window_span(w, axis);
    if (room < span) return 0;
    size_t count = (room - span) / stride + 1;
    if (w->ceil_mode && (count - 1) * stride >= in + begin) count--;
    return count;
}

static tw_status shape_window(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                              twi_shape *out)
{
    static const char *const sides[] = {"height", "width"};
    for (int axis = 0; axis < 2; axis++) {
        const size_t size = in[0].dims[1 + axis];
        out->dims[1 + axis] = window_count(&node->window, axis, size);
        if (out->dims[1 + axis] == 0)
            return twi_fail(ctx, TW_ERR_ARG,
                            "layer %s: %s %zu comes in; its window needs %zu, of which padding "
                            "gives %zu",
                            node->name, sides[axis], size, window_span(&node->window, axis),
                            node->window.pad_begin[axis] + node->window.pad_end[axis]);
    }
    return TW_OK;
}

static tw_status check_range(tw_ctx *ctx, const twi_node *node, const char *what, size_t value,
                             size_t least)
{
    if (value >= least && value <= TWI_MAX_WINDOW) return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s is %zu; need %zu to %d", node->name, what,
                    value, least, TWI_MAX_WINDOW);
}

static tw_status check_window(tw_ctx *ctx, const twi_node *node)
{
    const twi_window *w = &node->window;
    tw_status st = TW_OK;
    for (int i = 0; i < 2 && st == TW_OK; i++) {
        if ((st = check_range(ctx, node, "kernel", w->kernel[i], 1)) != TW_OK) break;
        if ((st = check_range(ctx, node, "stride", w->stride[i], 1)) != TW_OK) break;
        if ((st = check_range(ctx, node, "dilation", w->dilation[i], 1)) != TW_OK) break;
        if ((st = check_range(ctx, node, "padding", w->pad_begin[i], 0)) != TW_OK) break;
        st = check_range(ctx, node, "padding", w->pad_end[i], 0);
    }
    return st;
}

/* A vector parameter, when given, has one value for each of channels. */
static tw_status check_vector(tw_ctx *ctx, const twi_node *node, int param, size_t channels)
{
    const twi_tensor *t = node->params[param];
    if (!t || t->count == channels) return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s %s has %zu values; need %zu", node->name,
                    twi_operator_at(node->op)->params[param].name, t->name, t->count, channels);
}

static tw_status check_channels(tw_ctx *ctx, const twi_node *node, size_t found, size_t needed)
{
    if (found == needed) return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %zu channels come in; its parameters need %zu",
                    node->name, found, needed);
}

/* ---- input --------------------------------------------------------------------------------- */

/* The input's shape is the caller's; see twi_network_shapes(). */
static tw_status shape_input(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    (void)ctx, (void)node, (void)in, (void)out;
    return TW_OK;
}

/* ---- convolution --------------------------------------------------------------------------- */

static tw_status check_conv(tw_ctx *ctx, const twi_node *node)
{
    const twi_tensor *weight = node->params[TWI_PARAM_WEIGHT];
    const twi_window *w = &node->window;
    tw_status st = check_window(ctx, node);
    if (st != TW_OK) return st;
    if (weight->dims[2] != w->kernel[0] || weight->dims[3] != w->kernel[1])
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "layer %s: weight %s is for a %zu x %zu kernel; the layer says %zu x %zu",
                        node->name, weight->name, weight->dims[2], weight->dims[3], w->kernel[0],
                        w->kernel[1]);
    if (w->ceil_mode || w->count_include_pad)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: pooling options on a convolution",
                        node->name);
    if (node->groups == 0 || node->groups > TWI_MAX_CHANNELS || weight->dims[0] % node->groups != 0)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "layer %s: %zu groups; need a divisor of its %zu output channels",
                        node->name, node->groups, weight->dims[0]);
    return check_vector(ctx, node, TWI_PARAM_BIAS, weight->dims[0]);
}

static tw_status shape_conv(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const twi_tensor *weight = node->params[TWI_PARAM_WEIGHT];
    const tw_status st = check_channels(ctx, node, in[0].dims[0], weight->dims[1] * node->groups);
    if (st != TW_OK) return st;
    out->dims[0] = weight->dims[0];
    return shape_window(ctx, node, in, out);
}

/* ---- batch norm ---------------------------------------------------------------------------- */

static tw_status check_batch_norm(tw_ctx *ctx, const twi_node *node)
{
    const size_t channels = node->params[TWI_PARAM_MEAN]->count;
    if (!isfinite(node->epsilon) || node->epsilon < 0)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: epsilon is negative or not finite",
                        node->name);
    for (int i = 0; i < TWI_PARAMS; i++) {
        const tw_status st = check_vector(ctx, node, i, channels);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

static tw_status shape_batch_norm(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                                  twi_shape *out)
{
    *out = in[0];
    return check_channels(ctx, node, in[0].dims[0], node->params[TWI_PARAM_MEAN]->count);
}

/* ---- pooling ------------------------------------------------------------------------------- */

/* Padding shorter than the window gives every window a pixel, unless dilation steps over them all.
 */
static tw_status check_pool(tw_ctx *ctx, const twi_node *node)
{
    const tw_status st = check_window(ctx, node);
    if (st != TW_OK) return st;
    const twi_window *w = &node->window;
    for (int i = 0; i < 2; i++) {
        const size_t span = window_span(w, i);
        const size_t pad = w->pad_begin[i] > w->pad_end[i] ? w->pad_begin[i] : w->pad_end[i];
        if (pad >= span)
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "layer %s: padding %zu; a pooling window that spans %zu allows %zu",
                            node->name, pad, span, span - 1);
        if (w->dilation[i] != 1 && node->op == TWI_OP_AVG_POOL)
            return twi_fail(ctx, TW_ERR_UNSUPPORTED, "layer %s: dilated average pooling",
                            node->name);
    }
    return TW_OK;
}

/* True when a window that starts in the padding has no tap on the input: dilation steps over it. */
static bool sees_only_padding(const twi_window *w, int axis, size_t in, size_t count)
{
    for (size_t o = 0; o < count && o * w->stride[axis] < w->pad_begin[axis]; o++) {
        const size_t before = w->pad_begin[axis] - o * w->stride[axis];
        const size_t tap = (before + w->dilation[axis] - 1) / w->dilation[axis];
        if (tap >= w->kernel[axis] || tap * w->dilation[axis] - before >= in) return true;
    }
    return false;
}

static tw_status shape_pool(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const tw_status st = shape_window(ctx, node, in, out);
    if (st != TW_OK) return st;
    out->dims[0] = in[0].dims[0];
    for (int axis = 0; axis < 2; axis++)
        if (sees_only_padding(&node->window, axis, in[0].dims[1 + axis], out->dims[1 + axis]))
            return twi_fail(ctx, TW_ERR_ARG,
                            "layer %s: a %zu x %zu map comes in; a dilated window would see only "
                            "padding",
                            node->name, in[0].dims[1], in[0].dims[2]);
    return TW_OK;
}

static tw_status shape_global_pool(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                                   twi_shape *out)
{
    (void)ctx, (void)node;
    out->dims[0] = in[0].dims[0];
    return TW_OK;
}

/* ---- dense --------------------------------------------------------------------------------- */

static tw_status check_dense(tw_ctx *ctx, const twi_node *node)
{
    return check_vector(ctx, node, TWI_PARAM_BIAS, node->params[TWI_PARAM_WEIGHT]->dims[0]);
}

static tw_status shape_dense(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const twi_tensor *weight = node->params[TWI_PARAM_WEIGHT];
    if (in[0].dims[0] != weight->dims[1])
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "layer %s: %zu features come in; its weight %s [%zu, %zu] needs %zu",
                        node->name, in[0].dims[0], weight->name, weight->dims[0], weight->dims[1],
                        weight->dims[1]);
    out->dims[0] = weight->dims[0];
    return TW_OK;
}

/* ---- joining and reshaping ----------------------------------------------------------------- */

static bool same_dims(const twi_shape *a, const twi_shape *b, size_t from)
{
    if (a->rank != b->rank) return false;
    for (size_t i = from; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

static tw_status fail_mismatch(tw_ctx *ctx, const twi_node *node, const char *need,
                               const twi_shape *a, const twi_shape *b)
{
    if (a->rank == 3 && b->rank == 3)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "layer %s: [%zu, %zu, %zu] and [%zu, %zu, %zu] come in; need %s",
                        node->name, a->dims[0], a->dims[1], a->dims[2], b->dims[0], b->dims[1],
                        b->dims[2], need);
    return twi_fail(ctx, TW_ERR_FORMAT,
                    "layer %s: values of %zu and %zu dimensions, first %zu and %zu, come in; "
                    "need %s",
                    node->name, a->rank, b->rank, a->dims[0], b->dims[0], need);
}

static tw_status shape_add(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    if (!same_dims(&in[0], &in[1], 0))
        return fail_mismatch(ctx, node, "two of one shape", &in[0], &in[1]);
    *out = in[0];
    return TW_OK;
}

static tw_status shape_concat(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                              twi_shape *out)
{
    *out = in[0];
    for (size_t i = 1; i < node->n_inputs; i++) {
        if (!same_dims(&in[0], &in[i], 1))
            return fail_mismatch(ctx, node, "maps of one height and width", &in[0], &in[i]);
        out->dims[0] += in[i].dims[0]; /* both below the caps */
    }
    return TW_OK;
}

static tw_status shape_flatten(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                               twi_shape *out)
{
    (void)ctx, (void)node;
    out->dims[0] = in[0].dims[0] * in[0].dims[1] * in[0].dims[2]; /* twi_network_shapes() checked */
    return TW_OK;
}

/* ---- the table ----------------------------------------------------------------------------- */

#define WINDOW_POOL (TWI_ATTR_WINDOW | TWI_ATTR_CEIL)

static const twi_operator operators[TWI_OP_COUNT] = {
    [TWI_OP_INPUT] = {.name = "input", .out_rank = 3, .shape = shape_input},
    [TWI_OP_CONV] = {.name = "conv",
                     .min_inputs = 1,
                     .max_inputs = 1,
                     .in_rank = 3,
                     .out_rank = 3,
                     .attributes = TWI_ATTR_WINDOW | TWI_ATTR_GROUPS,
                     .params = {{"weight", 4, true}, {"bias", 1, false}},
                     .check = check_conv,
                     .shape = shape_conv},
    [TWI_OP_BATCH_NORM] = {.name = "batch_norm",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .attributes = TWI_ATTR_EPSILON,
                           .params = {{"scale", 1, false},
                                      {"shift", 1, false},
                                      {"mean", 1, true},
                                      {"variance", 1, true}},
                           .check = check_batch_norm,
                           .shape = shape_batch_norm},
    [TWI_OP_RELU] = {.name = "relu", .min_inputs = 1, .max_inputs = 1, .shape = shape_same},
    [TWI_OP_MAX_POOL] = {.name = "max_pool",
                         .min_inputs = 1,
                         .max_inputs = 1,
                         .in_rank = 3,
                         .out_rank = 3,
                         .attributes = WINDOW_POOL,
                         .check = check_pool,
                         .shape = shape_pool},
    [TWI_OP_AVG_POOL] = {.name = "avg_pool",
                         .min_inputs = 1,
                         .max_inputs = 1,
                         .in_rank = 3,
                         .out_rank = 3,
                         .attributes = WINDOW_POOL | TWI_ATTR_COUNT_PAD,
                         .check = check_pool,
                         .shape = shape_pool},
    [TWI_OP_GLOBAL_AVG_POOL] = {.name = "global_avg_pool",
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .in_rank = 3,
                                .out_rank = 1,
                                .shape = shape_global_pool},
    [TWI_OP_GLOBAL_MAX_POOL] = {.name = "global_max_pool",
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .in_rank = 3,
                                .out_rank = 1,
                                .shape = shape_global_pool},
    [TWI_OP_DENSE] = {.name = "dense",
                      .min_inputs = 1,
                      .max_inputs = 1,
                      .in_rank = 1,
                      .out_rank = 1,
                      .params = {{"weight", 2, true}, {"bias", 1, false}},
                      .check = check_dense,
                      .shape = shape_dense},
    [TWI_OP_ADD] = {.name = "add", .min_inputs = 2, .max_inputs = 2, .shape = shape_add},
    [TWI_OP_CONCAT] = {.name = "concat",
                       .min_inputs = 1,
                       .max_inputs = TWI_MAX_INPUTS,
                       .shape = shape_concat},
    [TWI_OP_FLATTEN] = {.name = "flatten",
                        .min_inputs = 1,
                        .max_inputs = 1,
                        .in_rank = 3,
                        .out_rank = 1,
                        .attributes = TWI_ATTR_FLATTEN_ORDER,
                        .shape = shape_flatten},
    [TWI_OP_SOFTMAX] = {.name = "softmax",
                        .min_inputs = 1,
                        .max_inputs = 1,
                        .in_rank = 1,
                        .out_rank = 1,
                        .shape = shape_same},
};

const twi_operator *twi_operator_at(twi_op op)
{
    return &operators[op];
}

const twi_operator *twi_operator_find(const char *name, twi_op *op)
{
    for (size_t i = 0; i < TWI_OP_COUNT; i++) {
        if (strcmp(operators[i].name, name) != 0) continue;
        *op = (twi_op)i;
        return &operators[i];
    }
    return NULL;
}

const char *twi_op_name(twi_op op)
{
    return operators[op].name;
}
