/* dense.c - out = in * transpose(weight) + bias. */
#include "engine/operators.h"

void twi_ref_dense(const twi_reference_args *a)
{
    const size_t depth = a->in_shapes[0].dims[0], width = a->out_shape.dims[0];
    const float *bias = a->params[TWI_PARAM_BIAS];
    for (size_t n = 0; n < a->batch; n++)
        for (size_t o = 0; o < width; o++) {
            const float *x = a->in[0] + n * depth;
            const float *w = a->params[TWI_PARAM_WEIGHT] + o * depth;
            double sum = bias ? (double)bias[o] : 0.0;
            for (size_t i = 0; i < depth; i++) sum += (double)x[i] * (double)w[i];
            a->out[n * width + o] = (float)sum;
        }
}
