/* pointwise.c - ReLU and sums, the two that almost every network has. */
#include "engine/operators.h"

void twi_ref_relu(const twi_reference_args *a)
{
    const size_t count = a->batch * twi_shape_elements(&a->out_shape);
    for (size_t i = 0; i < count; i++) a->out[i] = a->in[0][i] > 0.0f ? a->in[0][i] : 0.0f;
}

void twi_ref_add(const twi_reference_args *a)
{
    const size_t count = a->batch * twi_shape_elements(&a->out_shape);
    for (size_t i = 0; i < count; i++) a->out[i] = a->in[0][i] + a->in[1][i];
}
