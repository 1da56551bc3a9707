/* shape.c - operators that only move values. */
#include "engine/operators.h"

#include <string.h>

/* ---- any value ----------------------------------------------------------------------------- */

/* The shape seen along one axis: outer times [axis, inner]. */
typedef struct sides {
    size_t outer, inner;
} sides;

static sides sides_of(const twi_shape *shape, size_t axis)
{
    sides s = {1, 1};
    for (size_t i = 0; i < axis; i++) s.outer *= shape->dims[i];
    for (size_t i = axis + 1; i < shape->rank; i++) s.inner *= shape->dims[i];
    return s;
}

void twi_ref_concat(const twi_reference_args *a)
{
    const sides s = sides_of(&a->out_shape, a->node->axis);
    float *out = a->out;
    for (size_t n = 0; n < a->batch * s.outer; n++)
        for (size_t i = 0; i < a->node->n_inputs; i++) {
            const size_t count = a->in_shapes[i].dims[a->node->axis] * s.inner;
            memcpy(out, a->in[i] + n * count, count * sizeof *out);
            out += count;
        }
}

void twi_ref_slice(const twi_reference_args *a)
{
    const twi_node *node = a->node;
    const sides s = sides_of(&a->out_shape, node->axis);
    const size_t from = a->in_shapes[0].dims[node->axis], to = a->out_shape.dims[node->axis];
    float *out = a->out;
    for (size_t n = 0; n < a->batch * s.outer; n++)
        for (size_t i = 0; i < to; i++) {
            const size_t row = n * from + node->start + i * node->step;
            memcpy(out, a->in[0] + row * s.inner, s.inner * sizeof *out);
            out += s.inner;
        }
}

void twi_ref_flatten(const twi_reference_args *a)
{
    const twi_shape *in = &a->in_shapes[0];
    const size_t count = twi_shape_elements(in);
    if (!a->node->nhwc || in->rank != 3) {
        memcpy(a->out, a->in[0], a->batch * count * sizeof *a->out);
        return;
    }
    const size_t channels = in->dims[0], area = in->dims[1] * in->dims[2];
    for (size_t n = 0; n < a->batch; n++)
        for (size_t c = 0; c < channels; c++)
            for (size_t i = 0; i < area; i++)
                a->out[n * count + i * channels + c] = a->in[0][n * count + c * area + i];
}

void twi_ref_reshape(const twi_reference_args *a)
{
    memcpy(a->out, a->in[0], a->batch * twi_shape_elements(&a->out_shape) * sizeof *a->out);
}

void twi_ref_transpose(const twi_reference_args *a)
{
    const twi_shape *in = &a->in_shapes[0], *axes = &a->node->axes;
    size_t dims[3] = {1, 1, 1}, stride[3] = {0}, at[3], in_stride[3] = {0};
    float *out = a->out;
    for (size_t i = in->rank, step = 1; i-- > 0; step *= in->dims[i]) in_stride[i] = step;
    for (size_t i = 0; i < in->rank; i++) {
        dims[i] = a->out_shape.dims[i];
        stride[i] = in_stride[axes->dims[i]];
    }
    for (size_t n = 0; n < a->batch; n++)
        for (at[0] = 0; at[0] < dims[0]; at[0]++)
            for (at[1] = 0; at[1] < dims[1]; at[1]++)
                for (at[2] = 0; at[2] < dims[2]; at[2]++)
                    *out++ = a->in[0][n * twi_shape_elements(in) + at[0] * stride[0] +
                                      at[1] * stride[1] + at[2] * stride[2]];
}

/* ---- maps ---------------------------------------------------------------------------------- */

/* The channel of a map before that pixel (y, x) of a block of channel c comes from. */
static size_t deep_channel(const twi_node *node, size_t c, size_t channels, size_t y, size_t x)
{
    const size_t place = y * node->block + x;
    return node->crd ? c * node->block * node->block + place : place * channels + c;
}

/* The offset in the deep map [c b b, h / b, w / b] of pixel [c, y, x] of the wide one. */
static size_t deep_offset(const twi_node *node, const twi_shape *wide, size_t c, size_t y, size_t x)
{
    const size_t b = node->block;
    const size_t channel = deep_channel(node, c, wide->dims[0], y % b, x % b);
    return (channel * (wide->dims[1] / b) + y / b) * (wide->dims[2] / b) + x / b;
}

static void move_blocks(const twi_reference_args *a, const twi_shape *wide, bool to_depth)
{
    const size_t *dims = wide->dims, each = twi_shape_elements(wide);
    for (size_t n = 0; n < a->batch; n++)
        for (size_t i = 0; i < each; i++) {
            const size_t x = i % dims[2], y = i / dims[2] % dims[1], c = i / dims[2] / dims[1];
            const size_t deep = n * each + deep_offset(a->node, wide, c, y, x);
            a->out[to_depth ? deep : n * each + i] = a->in[0][to_depth ? n * each + i : deep];
        }
}

void twi_ref_depth_to_space(const twi_reference_args *a)
{
    move_blocks(a, &a->out_shape, false);
}

void twi_ref_space_to_depth(const twi_reference_args *a)
{
    move_blocks(a, &a->in_shapes[0], true);
}

/* Zhang et al. (2018), ShuffleNet, section 3.1. */
void twi_ref_channel_shuffle(const twi_reference_args *a)
{
    const size_t *dims = a->out_shape.dims, area = dims[1] * dims[2];
    const size_t groups = a->node->groups, each = dims[0] / groups;
    for (size_t n = 0; n < a->batch; n++)
        for (size_t g = 0; g < groups; g++)
            for (size_t i = 0; i < each; i++)
                memcpy(a->out + (n * dims[0] + i * groups + g) * area,
                       a->in[0] + (n * dims[0] + g * each + i) * area, area * sizeof *a->out);
}

/* ---- tokens -------------------------------------------------------------------------------- */

void twi_ref_tokens(const twi_reference_args *a)
{
    const size_t pixels = a->out_shape.dims[0], channels = a->out_shape.dims[1];
    for (size_t n = 0; n < a->batch; n++)
        for (size_t p = 0; p < pixels; p++)
            for (size_t c = 0; c < channels; c++)
                a->out[(n * pixels + p) * channels + c] = a->in[0][(n * channels + c) * pixels + p];
}

void twi_ref_map(const twi_reference_args *a)
{
    const size_t pixels = a->in_shapes[0].dims[0], channels = a->in_shapes[0].dims[1];
    for (size_t n = 0; n < a->batch; n++)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < pixels; p++)
                a->out[(n * channels + c) * pixels + p] = a->in[0][(n * pixels + p) * channels + c];
}

void twi_ref_prepend_token(const twi_reference_args *a)
{
    const size_t all = twi_shape_elements(&a->out_shape), rest = twi_shape_elements(a->in_shapes);
    for (size_t n = 0; n < a->batch; n++) {
        memcpy(a->out + n * all, a->params[TWI_PARAM_TOKEN], (all - rest) * sizeof *a->out);
        memcpy(a->out + n * all + all - rest, a->in[0] + n * rest, rest * sizeof *a->out);
    }
}

void twi_ref_take_token(const twi_reference_args *a)
{
    const size_t tokens = a->in_shapes[0].dims[0], d = a->in_shapes[0].dims[1];
    for (size_t n = 0; n < a->batch; n++)
        memcpy(a->out + n * d, a->in[0] + (n * tokens + a->node->index) * d, d * sizeof *a->out);
}

/* The token that pixel (y, x) of a map [c, h, w] becomes. */
static size_t window_token(const twi_node *node, const twi_shape *map, size_t y, size_t x)
{
    const size_t down = map->dims[1] / node->size[0], across = map->dims[2] / node->size[1];
    size_t window[2] = {y / node->size[0], x / node->size[1]};
    size_t inside[2] = {y % node->size[0], x % node->size[1]};
    if (node->grid) {
        window[0] = y % down, window[1] = x % across;
        inside[0] = y / down, inside[1] = x / across;
    }
    return ((window[0] * across + window[1]) * node->size[0] + inside[0]) * node->size[1] +
           inside[1];
}

static void move_windows(const twi_reference_args *a, const twi_shape *map, bool partition)
{
    const size_t *dims = map->dims, pixels = dims[1] * dims[2];
    for (size_t n = 0; n < a->batch; n++)
        for (size_t p = 0; p < pixels; p++) {
            const size_t token = window_token(a->node, map, p / dims[2], p % dims[2]);
            for (size_t c = 0; c < dims[0]; c++) {
                const size_t in_map = (n * dims[0] + c) * pixels + p;
                const size_t in_list = (n * pixels + token) * dims[0] + c;
                a->out[partition ? in_list : in_map] = a->in[0][partition ? in_map : in_list];
            }
        }
}

void twi_ref_window_partition(const twi_reference_args *a)
{
    move_windows(a, &a->in_shapes[0], true);
}

void twi_ref_window_reverse(const twi_reference_args *a)
{
    move_windows(a, &a->out_shape, false);
}
