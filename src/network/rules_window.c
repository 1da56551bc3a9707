/* rules_window.c - convolution, pools, padding, resizing: what looks at a map's height and width.
 */
#include "network/rules.h"

#include <math.h>

/* ---- windows ------------------------------------------------------------------------------- */

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

static tw_status check_padding(tw_ctx *ctx, const twi_node *node, int axis)
{
    const twi_window *w = &node->window;
    const tw_status st =
        twi_check_range(ctx, node, "padding", w->pad_begin[axis], 0, TWI_MAX_WINDOW);
    return st == TW_OK ? twi_check_range(ctx, node, "padding", w->pad_end[axis], 0, TWI_MAX_WINDOW)
                       : st;
}

static tw_status check_window(tw_ctx *ctx, const twi_node *node)
{
    const twi_window *w = &node->window;
    tw_status st = TW_OK;
    for (int i = 0; i < 2 && st == TW_OK; i++) {
        if ((st = twi_check_range(ctx, node, "kernel", w->kernel[i], 1, TWI_MAX_WINDOW)) != TW_OK)
            break;
        if ((st = twi_check_range(ctx, node, "stride", w->stride[i], 1, TWI_MAX_WINDOW)) != TW_OK)
            break;
        if ((st = twi_check_range(ctx, node, "dilation", w->dilation[i], 1, TWI_MAX_WINDOW)) !=
            TW_OK)
            break;
        st = check_padding(ctx, node, i);
    }
    return st;
}

/* ---- convolution --------------------------------------------------------------------------- */

tw_status twi_check_conv(tw_ctx *ctx, const twi_node *node)
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
    return twi_check_vector(ctx, node, TWI_PARAM_BIAS, weight->dims[0]);
}

tw_status twi_shape_conv(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const twi_tensor *weight = node->params[TWI_PARAM_WEIGHT];
    const tw_status st =
        twi_check_channels(ctx, node, in[0].dims[0], weight->dims[1] * node->groups);
    if (st != TW_OK) return st;
    out->dims[0] = weight->dims[0];
    return shape_window(ctx, node, in, out);
}

/* ---- pooling ------------------------------------------------------------------------------- */

/* Padding shorter than the window gives every window a pixel, unless dilation steps over them all.
 */
tw_status twi_check_pool(tw_ctx *ctx, const twi_node *node)
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

tw_status twi_shape_pool(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
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

tw_status twi_shape_global_pool(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                                twi_shape *out)
{
    (void)ctx, (void)node;
    out->dims[0] = in[0].dims[twi_channel_axis(in[0].rank)];
    return TW_OK;
}

/* ---- padding and resizing ------------------------------------------------------------------ */

tw_status twi_check_pad(tw_ctx *ctx, const twi_node *node)
{
    tw_status st = twi_check_finite(ctx, node, "value", node->value);
    for (int i = 0; i < 2 && st == TW_OK; i++) st = check_padding(ctx, node, i);
    return st;
}

/* Reflection repeats no edge, so it needs one pixel more than it adds. */
tw_status twi_shape_pad(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    const twi_window *w = &node->window;
    *out = in[0];
    for (int i = 0; i < 2; i++) {
        const size_t begin = w->pad_begin[i], end = w->pad_end[i], more = begin > end ? begin : end;
        if (node->pad_mode == TWI_PAD_REFLECT && more >= in[0].dims[1 + i])
            return twi_fail(ctx, TW_ERR_ARG,
                            "layer %s: %zu pixels of reflection; a side of %zu has at most %zu",
                            node->name, more, in[0].dims[1 + i], in[0].dims[1 + i] - 1);
        out->dims[1 + i] += begin + end;
    }
    return TW_OK;
}

tw_status twi_check_resize(tw_ctx *ctx, const twi_node *node)
{
    for (int i = 0; i < 2; i++) {
        const double scale = node->scales[i];
        if (node->size[i] > TWI_MAX_SIDE)
            return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: resizes to %zu pixels; at most %d",
                            node->name, node->size[i], TWI_MAX_SIDE);
        if (node->size[i] == 0 && !(scale > 0 && scale <= TWI_MAX_WINDOW)) /* NaN as well */
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "layer %s: scales by %g; need above 0 and at most %d, or a size",
                            node->name, scale, TWI_MAX_WINDOW);
    }
    return TW_OK;
}

tw_status twi_shape_resize(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    *out = in[0];
    for (int i = 0; i < 2; i++) {
        const double side = floor((double)in[0].dims[1 + i] * node->scales[i]);
        if (node->size[i] == 0 && !(side >= 1 && side <= TWI_MAX_SIDE))
            return twi_fail(ctx, TW_ERR_ARG,
                            "layer %s: a side of %zu times %g gives %g pixels; need 1 to %d",
                            node->name, in[0].dims[1 + i], node->scales[i], side, TWI_MAX_SIDE);
        out->dims[1 + i] = node->size[i] > 0 ? node->size[i] : (size_t)side;
    }
    return TW_OK;
}
