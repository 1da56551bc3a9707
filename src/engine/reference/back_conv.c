/* back_conv.c - gradients of convolution and dense layers, by their definitions. */
#include "engine/training/backward.h"

#include <string.h>

/* Row (or column) at of the output sees this row of the input through kernel row k; a row outside
 * wraps round to a huge number. */
static size_t seen(const twi_window *w, int axis, size_t at, size_t k)
{
    return at * w->stride[axis] + k * w->dilation[axis] - w->pad_begin[axis];
}

/* One output position of one channel: what its gradient g adds to the gradients of the weights
 * (grad_weight, may be NULL) and of the picture (grad_image, may be NULL). */
static void spread(const twi_backward_args *a, const float *image, size_t o, const size_t at[2],
                   double g, double *grad_weight, double *grad_image)
{
    const twi_window *w = &a->node->window;
    const size_t height = a->in_shapes[0].dims[1], width = a->in_shapes[0].dims[2];
    const size_t per_group = a->in_shapes[0].dims[0] / a->node->groups;
    const size_t group = o / (a->out_shape.dims[0] / a->node->groups);
    const size_t each = per_group * w->kernel[0] * w->kernel[1];
    const float *weight = a->params[TWI_PARAM_WEIGHT] + o * each;
    for (size_t c = 0; c < per_group; c++)
        for (size_t ky = 0; ky < w->kernel[0]; ky++)
            for (size_t kx = 0; kx < w->kernel[1]; kx++) {
                const size_t y = seen(w, 0, at[0], ky), x = seen(w, 1, at[1], kx);
                if (y >= height || x >= width) continue;
                const size_t i = ((group * per_group + c) * height + y) * width + x;
                const size_t k = (c * w->kernel[0] + ky) * w->kernel[1] + kx;
                if (grad_weight) grad_weight[o * each + k] += g * (double)image[i];
                if (grad_image) grad_image[i] += g * (double)weight[k];
            }
}

/* Sums in doubles for one call; NULL where memory ran out or count is 0. */
static double *sums_new(size_t count)
{
    double *sums;
    return count && twi_zalloc(NULL, count, &sums) == TW_OK ? sums : NULL;
}

static void narrow(const double *from, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++) to[i] = (float)from[i];
}

void twi_back_conv(const twi_backward_args *a)
{
    const size_t *out = a->out_shape.dims, *in = a->in_shapes[0].dims;
    const size_t each = in[0] * in[1] * in[2];
    const size_t weights =
        out[0] * (in[0] / a->node->groups) * a->node->window.kernel[0] * a->node->window.kernel[1];
    float *grad_weight = a->grad_params[TWI_PARAM_WEIGHT], *grad_bias = a->grad_params[1];
    double *weight_sums = sums_new(grad_weight ? weights : 0);
    double *image_sums = sums_new(a->grad_in[0] ? each : 0);
    for (size_t o = 0; grad_bias && o < out[0]; o++) grad_bias[o] = 0.0f;
    for (size_t n = 0; n < a->batch; n++) {
        if (image_sums) memset(image_sums, 0, each * sizeof *image_sums);
        for (size_t o = 0; o < out[0]; o++) {
            double bias = 0.0;
            for (size_t i = 0; i < out[1] * out[2]; i++) {
                const double g = (double)a->grad_out[(n * out[0] + o) * out[1] * out[2] + i];
                spread(a, a->in[0] + n * each, o, (size_t[2]){i / out[2], i % out[2]}, g,
                       weight_sums, image_sums);
                bias += g;
            }
            if (grad_bias) grad_bias[o] += (float)bias;
        }
        if (image_sums) narrow(image_sums, each, a->grad_in[0] + n * each);
    }
    if (weight_sums) narrow(weight_sums, weights, grad_weight);
    twi_free(weight_sums);
    twi_free(image_sums);
}

void twi_back_dense(const twi_backward_args *a)
{
    const size_t axis = twi_channel_axis(a->out_shape.rank);
    const size_t depth = a->in_shapes[0].dims[axis], width = a->out_shape.dims[axis];
    const size_t rows = a->batch * (axis > 0 ? a->out_shape.dims[0] : 1);
    const float *x = a->in[0], *w = a->params[TWI_PARAM_WEIGHT], *g = a->grad_out;
    for (size_t n = 0; a->grad_in[0] && n < rows; n++)
        for (size_t i = 0; i < depth; i++) {
            double sum = 0.0;
            for (size_t o = 0; o < width; o++)
                sum += (double)g[n * width + o] * (double)w[o * depth + i];
            a->grad_in[0][n * depth + i] = (float)sum;
        }
    for (size_t o = 0; a->grad_params[TWI_PARAM_WEIGHT] && o < width; o++)
        for (size_t i = 0; i < depth; i++) {
            double sum = 0.0;
            for (size_t n = 0; n < rows; n++)
                sum += (double)g[n * width + o] * (double)x[n * depth + i];
            a->grad_params[TWI_PARAM_WEIGHT][o * depth + i] = (float)sum;
        }
    for (size_t o = 0; a->grad_params[TWI_PARAM_BIAS] && o < width; o++) {
        double sum = 0.0;
        for (size_t n = 0; n < rows; n++) sum += (double)g[n * width + o];
        a->grad_params[TWI_PARAM_BIAS][o] = (float)sum;
    }
}
