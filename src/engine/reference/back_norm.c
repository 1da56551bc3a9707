/* back_norm.c - gradients of what divides values by a measure of their neighbours. */
#include "engine/training/backward.h"

#include <math.h>
#include <string.h>

/* Values that an operator looks at together: n of them, stride apart, from first on. */
typedef struct line {
    size_t first, n, stride;
} line;

static line channels_at(const twi_backward_args *a, size_t i)
{
    const twi_shape *shape = &a->out_shape;
    const size_t area = shape->rank == 3 ? shape->dims[1] * shape->dims[2] : 1;
    const size_t n = shape->dims[twi_channel_axis(shape->rank)];
    return (line){i / area * n * area + i % area, n, area};
}

static size_t pixels(const twi_backward_args *a)
{
    const twi_shape *shape = &a->out_shape;
    return a->batch * twi_shape_elements(shape) / shape->dims[twi_channel_axis(shape->rank)];
}

/* A line that is standardised: y = (x - mean) / deviation scale + shift, where value i belongs to
 * channel channel + i / each. With u the standardised x and g the gradient times scale,
 * d loss / d x = (g - mean(g) - u mean(g u)) / deviation: as in Ioffe & Szegedy (2015), section 3.
 */
static void back_standardised(const twi_backward_args *a, line l, size_t channel, size_t each)
{
    const float *scale = a->params[TWI_PARAM_SCALE], *x = a->in[0] + l.first;
    const float *g = a->grad_out + l.first;
    double mean = 0.0, squares = 0.0, sum = 0.0, product = 0.0;
    for (size_t i = 0; i < l.n; i++) mean += (double)x[i * l.stride];
    mean /= (double)l.n;
    for (size_t i = 0; i < l.n; i++)
        squares += ((double)x[i * l.stride] - mean) * ((double)x[i * l.stride] - mean);
    const double deviation = sqrt(squares / (double)l.n + a->node->epsilon);
    for (size_t i = 0; i < l.n; i++) {
        const size_t c = channel + i / each;
        const double unit = ((double)x[i * l.stride] - mean) / deviation;
        const double raw = (double)g[i * l.stride], scaled = raw * (scale ? (double)scale[c] : 1.0);
        sum += scaled;
        product += scaled * unit;
        if (a->grad_params[TWI_PARAM_SCALE])
            a->grad_params[TWI_PARAM_SCALE][c] += (float)(raw * unit);
        if (a->grad_params[TWI_PARAM_SHIFT]) a->grad_params[TWI_PARAM_SHIFT][c] += (float)raw;
    }
    for (size_t i = 0; a->grad_in[0] && i < l.n; i++) {
        const double unit = ((double)x[i * l.stride] - mean) / deviation;
        const double s = scale ? (double)scale[channel + i / each] : 1.0;
        a->grad_in[0][l.first + i * l.stride] =
            (float)(((double)g[i * l.stride] * s - (sum + unit * product) / (double)l.n) /
                    deviation);
    }
}

static void clear_params(const twi_backward_args *a)
{
    const size_t channels = a->out_shape.dims[twi_channel_axis(a->out_shape.rank)];
    for (size_t k = 0; k <= TWI_PARAM_SHIFT; k++)
        if (a->grad_params[k]) memset(a->grad_params[k], 0, channels * sizeof(float));
}

void twi_back_layer_norm(const twi_backward_args *a)
{
    clear_params(a);
    for (size_t p = 0; p < pixels(a); p++) back_standardised(a, channels_at(a, p), 0, 1);
}

void twi_back_group_norm(const twi_backward_args *a)
{
    const size_t *dims = a->out_shape.dims, area = dims[1] * dims[2];
    const size_t channels = dims[0] / a->node->groups;
    clear_params(a);
    for (size_t g = 0; g < a->batch * a->node->groups; g++) {
        const line l = {g * channels * area, channels * area, 1};
        back_standardised(a, l, g % a->node->groups * channels, area);
    }
}

/* y_i = x_i / b_i^beta, b_i = bias + alpha / size sum x_k^2 over the neighbours k of i:
 * d loss / d x_j = g_j / b_j^beta - 2 alpha beta / size x_j sum g_i x_i / b_i^(beta + 1), over the
 * i that j is a neighbour of. */
void twi_back_lrn(const twi_backward_args *a)
{
    const size_t half = a->node->span / 2;
    const double share = a->node->alpha / (double)a->node->span;
    for (size_t p = 0; a->grad_in[0] && p < pixels(a); p++) {
        const line l = channels_at(a, p);
        const float *x = a->in[0] + l.first, *g = a->grad_out + l.first;
        for (size_t j = 0; j < l.n; j++) {
            const size_t low = j < half ? 0 : j - half;
            double own = 0.0, others = 0.0;
            for (size_t i = low; i <= j + half && i < l.n; i++) {
                double squares = 0.0;
                for (size_t k = i < half ? 0 : i - half; k <= i + half && k < l.n; k++)
                    squares += (double)x[k * l.stride] * (double)x[k * l.stride];
                const double base = a->node->bias + share * squares;
                const double gi = (double)g[i * l.stride];
                if (i == j) own = gi / pow(base, a->node->beta);
                others += gi * (double)x[i * l.stride] / pow(base, a->node->beta + 1.0);
            }
            a->grad_in[0][l.first + j * l.stride] =
                (float)(own - 2.0 * share * a->node->beta * (double)x[j * l.stride] * others);
        }
    }
}

/* y = x / |x|: d loss / d x = (g - y (g . y)) / |x|; a length below epsilon is a constant. */
void twi_back_l2_normalise(const twi_backward_args *a)
{
    for (size_t p = 0; a->grad_in[0] && p < pixels(a); p++) {
        const line l = channels_at(a, p);
        const float *x = a->in[0] + l.first, *y = a->out + l.first, *g = a->grad_out + l.first;
        double squares = 0.0, product = 0.0;
        for (size_t c = 0; c < l.n; c++) {
            squares += (double)x[c * l.stride] * (double)x[c * l.stride];
            product += (double)g[c * l.stride] * (double)y[c * l.stride];
        }
        const double length = fmax(sqrt(squares), a->node->epsilon);
        if (sqrt(squares) <= a->node->epsilon) product = 0.0;
        for (size_t c = 0; c < l.n; c++)
            a->grad_in[0][l.first + c * l.stride] =
                length > 0.0
                    ? (float)(((double)g[c * l.stride] - (double)y[c * l.stride] * product) /
                              length)
                    : 0.0f;
    }
}

/* d loss / d x_i = y_i (g_i - sum g y) */
void twi_back_softmax(const twi_backward_args *a)
{
    const size_t d = a->out_shape.dims[a->out_shape.rank - 1];
    const size_t rows = a->batch * twi_shape_elements(&a->out_shape) / d;
    for (size_t n = 0; a->grad_in[0] && n < rows; n++) {
        const float *y = a->out + n * d, *g = a->grad_out + n * d;
        double product = 0.0;
        for (size_t i = 0; i < d; i++) product += (double)g[i] * (double)y[i];
        for (size_t i = 0; i < d; i++)
            a->grad_in[0][n * d + i] = (float)((double)y[i] * ((double)g[i] - product));
    }
}
