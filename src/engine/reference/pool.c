/* pool.c - maxima and averages over windows, with PyTorch's rules for the edges (torch 1.13,
 * aten/src/ATen/native/Pool.h): a window never counts what ceil_mode added beyond the padding. */
#include "engine/operators.h"

#include <math.h>

typedef struct span { /* the rows (or columns) a window covers: start, start + dilation, ... */
    ptrdiff_t start;
    size_t count, dilation;
} span;

static span window_span(const twi_window *win, int axis, size_t at)
{
    return (span){(ptrdiff_t)(at * win->stride[axis]) - (ptrdiff_t)win->pad_begin[axis],
                  win->kernel[axis], win->dilation[axis]};
}

/* The i-th row of a span; true when it is inside [0, size). */
static bool span_row(span s, size_t i, size_t size, size_t *row)
{
    const ptrdiff_t at = s.start + (ptrdiff_t)(i * s.dilation);
    *row = (size_t)at;
    return at >= 0 && *row < size;
}

/* How many rows of a span an average with counted padding divides by: those before size + pad_end.
 */
static size_t counted_rows(span s, size_t size, size_t pad_end)
{
    size_t rows = 0;
    for (size_t i = 0; i < s.count; i++)
        rows += s.start + (ptrdiff_t)(i * s.dilation) < (ptrdiff_t)(size + pad_end);
    return rows;
}

/* plane [h, w] -> the maximum or the average of one window. */
static float pool_at(const twi_reference_args *a, const float *plane, const size_t at[2],
                     bool maximum)
{
    const twi_window *win = &a->node->window;
    const size_t height = a->in_shapes[0].dims[1], width = a->in_shapes[0].dims[2];
    const span rows = window_span(win, 0, at[0]), columns = window_span(win, 1, at[1]);
    double sum = 0.0, largest = -INFINITY;
    size_t inside = 0, y, x;
    for (size_t i = 0; i < rows.count; i++)
        for (size_t j = 0; j < columns.count; j++) {
            if (!span_row(rows, i, height, &y) || !span_row(columns, j, width, &x)) continue;
            const double v = (double)plane[y * width + x];
            sum += v;
            if (v > largest) largest = v;
            inside++;
        }
    if (maximum) return (float)largest;
    const size_t divisor = win->count_include_pad
                               ? counted_rows(rows, height, win->pad_end[0]) *
                                     counted_rows(columns, width, win->pad_end[1])
                               : inside;
    return divisor ? (float)(sum / (double)divisor) : 0.0f;
}

static void pool(const twi_reference_args *a, bool maximum)
{
    const size_t *in = a->in_shapes[0].dims, *out = a->out_shape.dims;
    for (size_t plane = 0; plane < a->batch * in[0]; plane++)
        for (size_t y = 0; y < out[1]; y++)
            for (size_t x = 0; x < out[2]; x++)
                a->out[(plane * out[1] + y) * out[2] + x] =
                    pool_at(a, a->in[0] + plane * in[1] * in[2], (size_t[2]){y, x}, maximum);
}

void twi_ref_max_pool(const twi_reference_args *a)
{
    pool(a, true);
}

void twi_ref_avg_pool(const twi_reference_args *a)
{
    pool(a, false);
}

void twi_ref_global_avg_pool(const twi_reference_args *a)
{
    const size_t *in = a->in_shapes[0].dims, area = in[1] * in[2];
    for (size_t plane = 0; plane < a->batch * in[0]; plane++) {
        double sum = 0.0;
        for (size_t i = 0; i < area; i++) sum += (double)a->in[0][plane * area + i];
        a->out[plane] = (float)(sum / (double)area);
    }
}

void twi_ref_global_max_pool(const twi_reference_args *a)
{
    const size_t *in = a->in_shapes[0].dims, area = in[1] * in[2];
    for (size_t plane = 0; plane < a->batch * in[0]; plane++) {
        float largest = -INFINITY;
        for (size_t i = 0; i < area; i++) largest = fmaxf(largest, a->in[0][plane * area + i]);
        a->out[plane] = largest;
    }
}
