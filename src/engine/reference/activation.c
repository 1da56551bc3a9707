/* activation.c - functions of one value. */
#include "engine/operators.h"

#include <math.h>

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* log(1 + exp(x)), which is x where exp would overflow. */
static double softplus(double x)
{
    return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double clip(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* Hendrycks & Gimpel (2016), Gaussian Error Linear Units, section 2: the approximation. */
static double gelu_tanh(double x)
{
    static const double two_over_pi = 0.63661977236758134308;
    return 0.5 * x * (1.0 + tanh(sqrt(two_over_pi) * (x + 0.044715 * x * x * x)));
}

double twi_activate(const twi_activation *f, double x)
{
    static const double half_sqrt = 0.70710678118654752440;
    switch (f->op) {
    case TWI_OP_RELU:
        return x > 0.0 ? x : 0.0;
    case TWI_OP_CLIP:
        return clip(x, f->alpha, f->beta);
    case TWI_OP_LEAKY_RELU:
        return x > 0.0 ? x : f->alpha * x;
    case TWI_OP_ELU: /* Clevert et al. (2016), eq. 15 */
        return x > 0.0 ? x : f->alpha * expm1(x);
    case TWI_OP_SIGMOID:
        return sigmoid(x);
    case TWI_OP_TANH:
        return tanh(x);
    case TWI_OP_HARD_SIGMOID:
        return clip(f->alpha * x + f->beta, 0.0, 1.0);
    case TWI_OP_HARD_SWISH: /* Howard et al. (2019), Searching for MobileNetV3, section 5.2 */
        return x * clip(x / 6.0 + 0.5, 0.0, 1.0);
    case TWI_OP_SILU:
        return x * sigmoid(x);
    case TWI_OP_GELU:
        return 0.5 * x * (1.0 + erf(x * half_sqrt));
    case TWI_OP_GELU_TANH:
        return gelu_tanh(x);
    case TWI_OP_MISH: /* Misra (2019), eq. 1 */
        return x * tanh(softplus(x));
    case TWI_OP_SOFTPLUS:
        return softplus(x);
    case TWI_OP_EXP:
        return exp(x);
    case TWI_OP_LOG:
        return log(x);
    case TWI_OP_ERF:
        return erf(x);
    case TWI_OP_SQRT:
        return sqrt(x);
    case TWI_OP_ABS:
        return fabs(x);
    case TWI_OP_NEG:
        return -x;
    case TWI_OP_RECIPROCAL:
        return 1.0 / x;
    case TWI_OP_POW:
        return pow(x, f->alpha);
    default: /* none */
        return x;
    }
}

twi_activation twi_function_of(const twi_node *node)
{
    const bool clips = node->op == TWI_OP_CLIP;
    return (twi_activation){node->op, clips ? node->low : node->alpha,
                            clips ? node->high : node->beta};
}

void twi_ref_activation(const twi_reference_args *a)
{
    const twi_activation f = twi_function_of(a->node);
    const size_t count = a->batch * twi_shape_elements(&a->out_shape);
    for (size_t i = 0; i < count; i++) a->out[i] = (float)twi_activate(&f, (double)a->in[0][i]);
}

/* He et al. (2015), Delving Deep into Rectifiers, eq. 1. */
void twi_ref_prelu(const twi_reference_args *a)
{
    const twi_shape *shape = &a->out_shape;
    const size_t axis = twi_channel_axis(shape->rank), channels = shape->dims[axis];
    const size_t count = a->batch * twi_shape_elements(shape);
    const size_t inner = shape->rank == 3 ? shape->dims[1] * shape->dims[2] : 1;
    for (size_t i = 0; i < count; i++) {
        const size_t c = a->param_shapes[TWI_PARAM_SLOPE].dims[0] == 1 ? 0 : i / inner % channels;
        const float x = a->in[0][i];
        a->out[i] = x > 0.0f ? x : a->params[TWI_PARAM_SLOPE][c] * x;
    }
}
