/* conv.c - convolution by its definition. */
#include "engine/operators.h"

/* One output value: the sum over the group's input channels and the window, zeros outside. */
static double convolve_at(const twi_reference_args *a, const float *image, size_t o,
                          const size_t at[2])
{
    const twi_window *win = &a->node->window;
    const size_t height = a->in_shapes[0].dims[1], width = a->in_shapes[0].dims[2];
    const size_t per_group = a->in_shapes[0].dims[0] / a->node->groups;
    const size_t group = o / (a->out_shape.dims[0] / a->node->groups);
    const float *weight =
        a->params[TWI_PARAM_WEIGHT] + o * per_group * win->kernel[0] * win->kernel[1];
    double sum = 0.0;
    for (size_t c = 0; c < per_group; c++)
        for (size_t ky = 0; ky < win->kernel[0]; ky++)
            for (size_t kx = 0; kx < win->kernel[1]; kx++) {
                /* Above the picture wraps round to a huge number, so one test serves both ends. */
                const size_t y = at[0] * win->stride[0] + ky * win->dilation[0] - win->pad_begin[0];
                const size_t x = at[1] * win->stride[1] + kx * win->dilation[1] - win->pad_begin[1];
                if (y >= height || x >= width) continue;
                const float v = image[((group * per_group + c) * height + y) * width + x];
                sum += (double)v * (double)weight[(c * win->kernel[0] + ky) * win->kernel[1] + kx];
            }
    return sum;
}

void twi_ref_conv(const twi_reference_args *a)
{
    const size_t *out = a->out_shape.dims, *in = a->in_shapes[0].dims;
    const float *bias = a->params[TWI_PARAM_BIAS];
    for (size_t n = 0; n < a->batch; n++)
        for (size_t o = 0; o < out[0]; o++)
            for (size_t y = 0; y < out[1]; y++)
                for (size_t x = 0; x < out[2]; x++) {
                    const float *image = a->in[0] + n * in[0] * in[1] * in[2];
                    const double sum = convolve_at(a, image, o, (size_t[2]){y, x});
                    a->out[((n * out[0] + o) * out[1] + y) * out[2] + x] =
                        (float)(sum + (bias ? (double)bias[o] : 0.0));
                }
}
