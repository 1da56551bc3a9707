/* resize.c - padding, resizing and cyclic shifts of maps. */
#include "engine/operators.h"

#include <math.h>

/* As ONNX's Pad has it; reflection does not repeat the edge. */
static ptrdiff_t padded(twi_pad_mode mode, size_t at, size_t begin, size_t size)
{
    const ptrdiff_t i = (ptrdiff_t)at - (ptrdiff_t)begin, last = (ptrdiff_t)size - 1;
    if (mode == TWI_PAD_REFLECT) return i < 0 ? -i : i > last ? 2 * last - i : i;
    if (mode == TWI_PAD_EDGE) return i < 0 ? 0 : i > last ? last : i;
    return i;
}

size_t twi_padded_row(twi_pad_mode mode, size_t at, size_t begin, size_t size)
{
    return (size_t)padded(mode, at, begin, size);
}

/* The row of an input of size rows that padding puts at position at (which counts from the first
 * row of padding); false: a constant. */
static bool padded_row(twi_pad_mode mode, size_t at, size_t begin, size_t size, size_t *row)
{
    const ptrdiff_t from = padded(mode, at, begin, size);
    *row = (size_t)from;
    return from >= 0 && from < (ptrdiff_t)size;
}

void twi_ref_pad(const twi_reference_args *a)
{
    const size_t *in = a->in_shapes[0].dims, *out = a->out_shape.dims;
    const twi_window *w = &a->node->window;
    size_t row, column;
    for (size_t plane = 0; plane < a->batch * in[0]; plane++)
        for (size_t y = 0; y < out[1]; y++)
            for (size_t x = 0; x < out[2]; x++) {
                const twi_pad_mode mode = a->node->pad_mode;
                const bool inside = padded_row(mode, y, w->pad_begin[0], in[1], &row) &&
                                    padded_row(mode, x, w->pad_begin[1], in[2], &column);
                a->out[(plane * out[1] + y) * out[2] + x] =
                    inside ? a->in[0][(plane * in[1] + row) * in[2] + column]
                           : (float)a->node->value;
            }
}

void twi_ref_roll(const twi_reference_args *a)
{
    const size_t *dims = a->out_shape.dims;
    size_t to[2];
    for (int i = 0; i < 2; i++) {
        const long size = (long)dims[1 + i], shift = a->node->shift[i] % size;
        to[i] = (size_t)(shift < 0 ? shift + size : shift);
    }
    for (size_t plane = 0; plane < a->batch * dims[0]; plane++)
        for (size_t y = 0; y < dims[1]; y++)
            for (size_t x = 0; x < dims[2]; x++) {
                const size_t row = (y + to[0]) % dims[1], column = (x + to[1]) % dims[2];
                a->out[(plane * dims[1] + row) * dims[2] + column] =
                    a->in[0][(plane * dims[1] + y) * dims[2] + x];
            }
}

/* ---- resizing: ONNX, operators.md, Resize-13 ----------------------------------------------- */

/* Where output position at of axis lies in the input. */
static double coordinate(const twi_node *node, int axis, size_t at, size_t in, size_t out)
{
    const double x = (double)at;
    const double scale = node->size[axis] ? (double)out / (double)in : node->scales[axis];
    switch (node->coordinates) {
    case TWI_COORDINATES_ALIGN_CORNERS:
        return out == 1 ? 0.0 : x * (double)(in - 1) / (double)(out - 1);
    case TWI_COORDINATES_ASYMMETRIC:
        return x / scale;
    case TWI_COORDINATES_PYTORCH:
        if (out == 1) return 0.0;
        break;
    default:
        break;
    }
    return (x + 0.5) / scale - 0.5;
}

static double rounded(twi_rounding rounding, double x)
{
    switch (rounding) {
    case TWI_ROUND_FLOOR:
        return floor(x);
    case TWI_ROUND_CEIL:
        return ceil(x);
    case TWI_ROUND_PREFER_FLOOR:
        return ceil(x - 0.5);
    default:
        return floor(x + 0.5);
    }
}

static size_t clamped(double x, size_t size)
{
    return x <= 0.0 ? 0 : x >= (double)(size - 1) ? size - 1 : (size_t)x;
}

twi_tap twi_resize_tap(const twi_node *node, int axis, size_t at, size_t in, size_t out)
{
    const double x = coordinate(node, axis, at, in, out);
    if (node->filter == TWI_RESAMPLE_NEAREST) {
        const size_t nearest = clamped(rounded(node->rounding, x), in);
        return (twi_tap){nearest, nearest, 0.0f};
    }
    const double inside = x < 0.0 ? 0.0 : x > (double)(in - 1) ? (double)(in - 1) : x;
    const size_t first = (size_t)inside;
    return (twi_tap){first, first + 1 < in ? first + 1 : first, (float)(inside - (double)first)};
}

/* The average of two rows' values, weight of the second. */
static double between(double first, double second, float weight)
{
    return first + (second - first) * (double)weight;
}

void twi_ref_resize(const twi_reference_args *a)
{
    const size_t *in = a->in_shapes[0].dims, *out = a->out_shape.dims;
    for (size_t y = 0; y < out[1]; y++)
        for (size_t x = 0; x < out[2]; x++) {
            const twi_tap row = twi_resize_tap(a->node, 0, y, in[1], out[1]);
            const twi_tap column = twi_resize_tap(a->node, 1, x, in[2], out[2]);
            for (size_t plane = 0; plane < a->batch * in[0]; plane++) {
                const float *p = a->in[0] + plane * in[1] * in[2];
                const float *top = p + row.first * in[2], *bottom = p + row.second * in[2];
                const double upper =
                    between((double)top[column.first], (double)top[column.second], column.weight);
                const double lower = between((double)bottom[column.first],
                                             (double)bottom[column.second], column.weight);
                a->out[(plane * out[1] + y) * out[2] + x] =
                    (float)between(upper, lower, row.weight);
            }
        }
}
