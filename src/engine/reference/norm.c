/* norm.c - what divides values by a measure of their neighbours. */
#include "engine/operators.h"

#include <math.h>

/* Ioffe & Szegedy (2015), with the stored mean and variance. */
void twi_ref_batch_norm(const twi_reference_args *a)
{
    const twi_shape *shape = &a->out_shape;
    const size_t channels = shape->dims[twi_channel_axis(shape->rank)];
    const size_t inner = shape->rank == 3 ? shape->dims[1] * shape->dims[2] : 1;
    const float *scale = a->params[TWI_PARAM_SCALE], *shift = a->params[TWI_PARAM_SHIFT];
    for (size_t i = 0; i < a->batch * twi_shape_elements(shape); i++) {
        const size_t c = i / inner % channels;
        const double deviation = sqrt((double)a->params[TWI_PARAM_VARIANCE][c] + a->node->epsilon);
        const double v = (double)a->in[0][i] - (double)a->params[TWI_PARAM_MEAN][c];
        a->out[i] = (float)(v / deviation * (scale ? (double)scale[c] : 1.0) +
                            (shift ? (double)shift[c] : 0.0));
    }
}

/* The values that a channel-wise operator looks at together: n of them, stride apart. */
typedef struct line {
    const float *in;
    float *out;
    size_t n, stride;
} line;

/* The i-th pixel of all batch * pixels, each with its channels. */
static line channels_at(const twi_reference_args *a, size_t i)
{
    const twi_shape *shape = &a->out_shape;
    const size_t area = shape->rank == 3 ? shape->dims[1] * shape->dims[2] : 1;
    const size_t n = shape->dims[twi_channel_axis(shape->rank)];
    const size_t first = i / area * n * area + i % area;
    return (line){a->in[0] + first, a->out + first, n, area};
}

static size_t pixels(const twi_reference_args *a)
{
    const twi_shape *shape = &a->out_shape;
    return a->batch * twi_shape_elements(shape) / shape->dims[twi_channel_axis(shape->rank)];
}

typedef struct moments {
    double mean, deviation; /* sqrt(variance + epsilon) */
} moments;

static moments moments_of(const float *x, size_t n, size_t stride, double epsilon)
{
    double mean = 0.0, squares = 0.0;
    for (size_t i = 0; i < n; i++) mean += (double)x[i * stride];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)x[i * stride] - mean;
        squares += d * d;
    }
    return (moments){mean, sqrt(squares / (double)n + epsilon)};
}

static float standardised(const twi_reference_args *a, moments m, float x, size_t channel)
{
    const float *scale = a->params[TWI_PARAM_SCALE], *shift = a->params[TWI_PARAM_SHIFT];
    const double v = ((double)x - m.mean) / m.deviation;
    return (float)(v * (scale ? (double)scale[channel] : 1.0) +
                   (shift ? (double)shift[channel] : 0.0));
}

/* Ba, Kiros & Hinton (2016), Layer Normalization, eq. 4, along the channel axis. */
void twi_ref_layer_norm(const twi_reference_args *a)
{
    for (size_t p = 0; p < pixels(a); p++) {
        const line l = channels_at(a, p);
        const moments m = moments_of(l.in, l.n, l.stride, a->node->epsilon);
        for (size_t c = 0; c < l.n; c++)
            l.out[c * l.stride] = standardised(a, m, l.in[c * l.stride], c);
    }
}

/* Wu & He (2018), Group Normalization, eq. 7. */
void twi_ref_group_norm(const twi_reference_args *a)
{
    const size_t *dims = a->out_shape.dims, area = dims[1] * dims[2];
    const size_t channels = dims[0] / a->node->groups, each = channels * area;
    for (size_t g = 0; g < a->batch * a->node->groups; g++) {
        const moments m = moments_of(a->in[0] + g * each, each, 1, a->node->epsilon);
        for (size_t i = 0; i < each; i++) {
            const size_t c = g % a->node->groups * channels + i / area;
            a->out[g * each + i] = standardised(a, m, a->in[0][g * each + i], c);
        }
    }
}

/* Krizhevsky et al. (2012), section 3.3, with alpha divided by the size as PyTorch and ONNX do. */
void twi_ref_lrn(const twi_reference_args *a)
{
    const size_t half = a->node->span / 2;
    for (size_t p = 0; p < pixels(a); p++) {
        const line l = channels_at(a, p);
        for (size_t c = 0; c < l.n; c++) {
            const size_t first = c < half ? 0 : c - half;
            double squares = 0.0;
            for (size_t k = first; k <= c + half && k < l.n; k++)
                squares += (double)l.in[k * l.stride] * (double)l.in[k * l.stride];
            const double base = a->node->bias + a->node->alpha / (double)a->node->span * squares;
            l.out[c * l.stride] = (float)((double)l.in[c * l.stride] / pow(base, a->node->beta));
        }
    }
}

void twi_ref_l2_normalise(const twi_reference_args *a)
{
    for (size_t p = 0; p < pixels(a); p++) {
        const line l = channels_at(a, p);
        double squares = 0.0;
        for (size_t c = 0; c < l.n; c++)
            squares += (double)l.in[c * l.stride] * (double)l.in[c * l.stride];
        const double length = fmax(sqrt(squares), a->node->epsilon);
        for (size_t c = 0; c < l.n; c++)
            l.out[c * l.stride] =
                length > 0.0 ? (float)((double)l.in[c * l.stride] / length) : 0.0f;
    }
}

void twi_ref_softmax(const twi_reference_args *a)
{
    const size_t d = a->out_shape.dims[a->out_shape.rank - 1];
    const size_t rows = a->batch * twi_shape_elements(&a->out_shape) / d;
    for (size_t n = 0; n < rows; n++) {
        const float *x = a->in[0] + n * d;
        double largest = -INFINITY, sum = 0.0;
        for (size_t i = 0; i < d; i++) largest = fmax(largest, (double)x[i]);
        for (size_t i = 0; i < d; i++) sum += exp((double)x[i] - largest);
        for (size_t i = 0; i < d; i++)
            a->out[n * d + i] = (float)(exp((double)x[i] - largest) / sum);
    }
}
