/* dense.c - out = in * transpose(weight) + bias. */
#include "engine/operators.h"

void twi_ref_dense(const twi_reference_args *a)
{
    const size_t axis = twi_channel_axis(a->out_shape.rank);
    const size_t depth = a->in_shapes[0].dims[axis], width = a->out_shape.dims[axis];
    const size_t rows = a->batch * (axis > 0 ? a->out_shape.dims[0] : 1); /* tokens, or vectors */
    const float *bias = a->params[TWI_PARAM_BIAS];
    for (size_t n = 0; n < rows; n++)
        for (size_t o = 0; o < width; o++) {
            const float *x = a->in[0] + n * depth;
            const float *w = a->params[TWI_PARAM_WEIGHT] + o * depth;
            double sum = bias ? (double)bias[o] : 0.0;
            for (size_t i = 0; i < depth; i++) sum += (double)x[i] * (double)w[i];
            a->out[n * width + o] = (float)sum;
        }
}
