/* pointwise.c - operators that look at one value at a time, and softmax. */
#include "engine/operators.h"

#include <math.h>

static size_t elements(const twi_reference_args *a)
{
    size_t count = a->batch;
    for (size_t i = 0; i < a->out_shape.rank; i++) count *= a->out_shape.dims[i];
    return count;
}

void twi_ref_relu(const twi_reference_args *a)
{
    const size_t count = elements(a);
    for (size_t i = 0; i < count; i++) a->out[i] = a->in[0][i] > 0.0f ? a->in[0][i] : 0.0f;
}

void twi_ref_add(const twi_reference_args *a)
{
    const size_t count = elements(a);
    for (size_t i = 0; i < count; i++) a->out[i] = a->in[0][i] + a->in[1][i];
}

/* Ioffe & Szegedy (2015), with the stored mean and variance. */
void twi_ref_batch_norm(const twi_reference_args *a)
{
    const size_t channels = a->out_shape.dims[0], area = elements(a) / (a->batch * channels);
    for (size_t plane = 0; plane < a->batch * channels; plane++) {
        const size_t c = plane % channels;
        const double deviation = sqrt((double)a->params[TWI_PARAM_VARIANCE][c] + a->node->epsilon);
        const double scale = (double)a->params[TWI_PARAM_SCALE][c] / deviation;
        const double shift = (double)a->params[TWI_PARAM_SHIFT][c];
        const double mean = (double)a->params[TWI_PARAM_MEAN][c];
        for (size_t i = 0; i < area; i++) {
            const double v = (double)a->in[0][plane * area + i];
            a->out[plane * area + i] = (float)((v - mean) * scale + shift);
        }
    }
}

void twi_ref_softmax(const twi_reference_args *a)
{
    const size_t d = a->out_shape.dims[0];
    for (size_t n = 0; n < a->batch; n++) {
        const float *x = a->in[0] + n * d;
        double largest = -INFINITY, sum = 0.0;
        for (size_t i = 0; i < d; i++) largest = fmax(largest, (double)x[i]);
        for (size_t i = 0; i < d; i++) sum += exp((double)x[i] - largest);
        for (size_t i = 0; i < d; i++)
            a->out[n * d + i] = (float)(exp((double)x[i] - largest) / sum);
    }
}
