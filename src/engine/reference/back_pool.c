/* back_pool.c - gradients of maxima and averages. A maximum's gradient goes to the first of equals,
 * as PyTorch's does. */
#include "engine/training/backward.h"

#include <string.h>

/* The rows (or columns) [*begin, *end) of kernel rows of window at that lie inside the input. */
static bool inside(const twi_window *w, int axis, size_t at, size_t k, size_t size, size_t *row)
{
    *row = at * w->stride[axis] + k * w->dilation[axis] - w->pad_begin[axis];
    return *row < size; /* before the first wraps round to a huge number */
}

/* Positions of a window along axis: those inside the input, or before the end of the padding. */
static size_t counted(const twi_window *w, int axis, size_t at, size_t size)
{
    size_t n = 0, row;
    for (size_t k = 0; k < w->kernel[axis]; k++) {
        if (w->count_include_pad)
            n += at * w->stride[axis] + k * w->dilation[axis] <
                 w->pad_begin[axis] + size + w->pad_end[axis];
        else
            n += inside(w, axis, at, k, size, &row);
    }
    return n;
}

static void spread_average(const twi_backward_args *a, const size_t at[2], double g, float *grad)
{
    const twi_window *w = &a->node->window;
    const size_t height = a->in_shapes[0].dims[1], width = a->in_shapes[0].dims[2];
    const size_t n = counted(w, 0, at[0], height) * counted(w, 1, at[1], width);
    size_t y, x;
    for (size_t i = 0; n > 0 && i < w->kernel[0]; i++)
        for (size_t j = 0; j < w->kernel[1]; j++)
            if (inside(w, 0, at[0], i, height, &y) && inside(w, 1, at[1], j, width, &x))
                grad[y * width + x] += (float)(g / (double)n);
}

static void spread_maximum(const twi_backward_args *a, const size_t at[2], const float *plane,
                           float g, float *grad)
{
    const twi_window *w = &a->node->window;
    const size_t height = a->in_shapes[0].dims[1], width = a->in_shapes[0].dims[2];
    size_t y, x, largest = SIZE_MAX;
    for (size_t i = 0; i < w->kernel[0]; i++)
        for (size_t j = 0; j < w->kernel[1]; j++) {
            if (!inside(w, 0, at[0], i, height, &y) || !inside(w, 1, at[1], j, width, &x)) continue;
            const size_t here = y * width + x;
            if (largest == SIZE_MAX || plane[here] > plane[largest]) largest = here;
        }
    if (largest != SIZE_MAX) grad[largest] += g;
}

static void pool(const twi_backward_args *a, bool maximum)
{
    const size_t *in = a->in_shapes[0].dims, *out = a->out_shape.dims;
    const size_t area = in[1] * in[2];
    if (!a->grad_in[0]) return;
    memset(a->grad_in[0], 0, a->batch * in[0] * area * sizeof(float));
    for (size_t plane = 0; plane < a->batch * in[0]; plane++)
        for (size_t i = 0; i < out[1] * out[2]; i++) {
            const float g = a->grad_out[plane * out[1] * out[2] + i];
            const size_t at[2] = {i / out[2], i % out[2]};
            if (maximum)
                spread_maximum(a, at, a->in[0] + plane * area, g, a->grad_in[0] + plane * area);
            else
                spread_average(a, at, (double)g, a->grad_in[0] + plane * area);
        }
}

void twi_back_max_pool(const twi_backward_args *a)
{
    pool(a, true);
}

void twi_back_avg_pool(const twi_backward_args *a)
{
    pool(a, false);
}

/* The gradient g of the average or the maximum of n values that lie stride apart. */
static void back_reduce(const float *x, size_t n, size_t stride, const float *g, float *grad)
{
    size_t largest = 0;
    for (size_t i = 1; x && i < n; i++)
        if (x[i * stride] > x[largest * stride]) largest = i;
    for (size_t i = 0; i < n; i++)
        grad[i * stride] = x ? (i == largest ? *g : 0.0f) : (float)((double)*g / (double)n);
}

static void global_pool(const twi_backward_args *a, bool maximum)
{
    const twi_shape *in = &a->in_shapes[0];
    const size_t channels = a->out_shape.dims[0], n = twi_shape_elements(in) / channels;
    const bool tokens = in->rank == 2;
    for (size_t i = 0; a->grad_in[0] && i < a->batch * channels; i++) {
        const size_t first = tokens ? i / channels * n * channels + i % channels : i * n;
        back_reduce(maximum ? a->in[0] + first : NULL, n, tokens ? channels : 1, &a->grad_out[i],
                    a->grad_in[0] + first);
    }
}

void twi_back_global_avg_pool(const twi_backward_args *a)
{
    global_pool(a, false);
}

void twi_back_global_max_pool(const twi_backward_args *a)
{
    global_pool(a, true);
}

/* Which output element input element i belongs to. */
static size_t reduced_into(const twi_backward_args *a, size_t i)
{
    const twi_shape *in = &a->in_shapes[0], *out = &a->out_shape;
    size_t to = 0, stride = 1;
    for (size_t axis = in->rank; axis-- > 0;) {
        const size_t at = i % in->dims[axis];
        i /= in->dims[axis];
        if (out->dims[axis] > 1) to += at * stride;
        stride *= out->dims[axis];
    }
    return to;
}

/* A maximum that several share is shared among them, as PyTorch's amax does. */
void twi_back_reduce(const twi_backward_args *a)
{
    const size_t from = twi_shape_elements(&a->in_shapes[0]);
    const size_t to = twi_shape_elements(&a->out_shape);
    for (size_t n = 0; a->grad_in[0] && n < a->batch; n++)
        for (size_t i = 0; i < from; i++) {
            const size_t o = reduced_into(a, i);
            double share = (double)to / (double)from;
            if (a->node->op == TWI_OP_REDUCE_MAX) {
                size_t equals = 0;
                for (size_t j = 0; j < from; j++)
                    equals +=
                        reduced_into(a, j) == o && a->in[0][n * from + j] == a->out[n * to + o];
                share = a->in[0][n * from + i] == a->out[n * to + o] ? 1.0 / (double)equals : 0.0;
            }
            a->grad_in[0][n * from + i] = (float)((double)a->grad_out[n * to + o] * share);
        }
}
