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

/* The average or the maximum of n values that lie stride apart. */
static float reduce(const float *x, size_t n, size_t stride, bool maximum)
{
    double sum = 0.0;
    float largest = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i * stride];
        largest = fmaxf(largest, x[i * stride]);
    }
    return maximum ? largest : (float)(sum / (double)n);
}

/* Over the pixels of each channel of a map, over the tokens of each feature. */
static void global_pool(const twi_reference_args *a, bool maximum)
{
    const twi_shape *in = &a->in_shapes[0];
    const size_t channels = a->out_shape.dims[0], n = twi_shape_elements(in) / channels;
    const bool tokens = in->rank == 2;
    for (size_t i = 0; i < a->batch * channels; i++) {
        const size_t first = tokens ? i / channels * n * channels + i % channels : i * n;
        a->out[i] = reduce(a->in[0] + first, n, tokens ? channels : 1, maximum);
    }
}

void twi_ref_global_avg_pool(const twi_reference_args *a)
{
    global_pool(a, false);
}

void twi_ref_global_max_pool(const twi_reference_args *a)
{
    global_pool(a, true);
}

/* Each output element: all input elements that differ from it in reduced axes only. */
void twi_ref_reduce(const twi_reference_args *a)
{
    const bool maximum = a->node->op == TWI_OP_REDUCE_MAX;
    size_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, at[3];
    for (size_t i = 0; i < a->out_shape.rank; i++) {
        in[i] = a->in_shapes[0].dims[i];
        out[i] = a->out_shape.dims[i];
    }
    const size_t from = in[0] * in[1] * in[2], to = out[0] * out[1] * out[2];
    for (size_t n = 0; n < a->batch * to; n++) {
        double sum = 0.0, largest = -INFINITY;
        const size_t o[3] = {n % to / (out[1] * out[2]), n % to / out[2] % out[1], n % out[2]};
        for (at[0] = o[0]; at[0] < in[0]; at[0] += out[0])
            for (at[1] = o[1]; at[1] < in[1]; at[1] += out[1])
                for (at[2] = o[2]; at[2] < in[2]; at[2] += out[2]) {
                    const size_t offset = (at[0] * in[1] + at[1]) * in[2] + at[2];
                    const double v = (double)a->in[0][n / to * from + offset];
                    sum += v;
                    largest = fmax(largest, v);
                }
        a->out[n] = (float)(maximum ? largest : sum / (double)(from / to));
    }
}
