/* shape.c - operators that only move values: concat and flatten. */
#include "engine/operators.h"

#include <string.h>

static size_t shape_elements(const twi_shape *shape)
{
    size_t count = 1;
    for (size_t i = 0; i < shape->rank; i++) count *= shape->dims[i];
    return count;
}

void twi_ref_concat(const twi_reference_args *a)
{
    float *out = a->out;
    for (size_t n = 0; n < a->batch; n++)
        for (size_t i = 0; i < a->node->n_inputs; i++) {
            const size_t count = shape_elements(&a->in_shapes[i]);
            memcpy(out, a->in[i] + n * count, count * sizeof *out);
            out += count;
        }
}

void twi_ref_flatten(const twi_reference_args *a)
{
    const twi_shape *in = &a->in_shapes[0];
    const size_t count = shape_elements(in);
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
