/* back_pointwise.c - gradients of functions of one value, and of sums and products of two. */
#include "engine/training/backward.h"

#include <math.h>
#include <string.h>

/* ---- one value ----------------------------------------------------------------------------- */

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double normal_density(double x)
{
    static const double one_over_root_two_pi = 0.39894228040143267794;
    return one_over_root_two_pi * exp(-0.5 * x * x);
}

static double slope_of_gelu_tanh(double x)
{
    static const double two_over_pi = 0.63661977236758134308;
    const double root = sqrt(two_over_pi), inner = root * (x + 0.044715 * x * x * x);
    const double t = tanh(inner), slope = root * (1.0 + 3.0 * 0.044715 * x * x);
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope;
}

static double slope_of_mish(double x)
{
    const double softplus = x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x)), t = tanh(softplus);
    return t + x * (1.0 - t * t) * sigmoid(x);
}

/* Functions with corners. */
static double slope_by_pieces(const twi_activation *f, double x)
{
    switch (f->op) {
    case TWI_OP_RELU:
        return x > 0.0 ? 1.0 : 0.0;
    case TWI_OP_CLIP: /* none at the ends either */
        return x > f->alpha && x < f->beta ? 1.0 : 0.0;
    case TWI_OP_LEAKY_RELU:
        return x > 0.0 ? 1.0 : f->alpha;
    case TWI_OP_ELU:
        return x > 0.0 ? 1.0 : f->alpha * exp(x);
    case TWI_OP_HARD_SIGMOID:
        return f->alpha * x + f->beta > 0.0 && f->alpha * x + f->beta < 1.0 ? f->alpha : 0.0;
    case TWI_OP_HARD_SWISH:
        return x <= -3.0 ? 0.0 : x >= 3.0 ? 1.0 : x / 3.0 + 0.5;
    default: /* abs */
        return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : 0.0;
    }
}

double twi_slope(const twi_activation *f, double x, double y)
{
    static const double half_sqrt = 0.70710678118654752440, two_over_root_pi = 1.1283791670955126;
    switch (f->op) {
    case TWI_OP_SIGMOID:
        return y * (1.0 - y);
    case TWI_OP_TANH:
        return 1.0 - y * y;
    case TWI_OP_SILU:
        return sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)));
    case TWI_OP_GELU:
        return 0.5 * (1.0 + erf(x * half_sqrt)) + x * normal_density(x);
    case TWI_OP_GELU_TANH:
        return slope_of_gelu_tanh(x);
    case TWI_OP_MISH:
        return slope_of_mish(x);
    case TWI_OP_SOFTPLUS:
        return sigmoid(x);
    case TWI_OP_EXP:
        return y;
    case TWI_OP_LOG:
        return 1.0 / x;
    case TWI_OP_ERF:
        return two_over_root_pi * exp(-x * x);
    case TWI_OP_SQRT:
        return 0.5 / y;
    case TWI_OP_NEG:
        return -1.0;
    case TWI_OP_RECIPROCAL:
        return -y * y;
    case TWI_OP_POW:
        return f->alpha == 0.0 ? 0.0 : f->alpha * pow(x, f->alpha - 1.0);
    default:
        return slope_by_pieces(f, x);
    }
}

void twi_back_activation(const twi_backward_args *a)
{
    const twi_activation f = twi_function_of(a->node);
    const size_t count = a->batch * twi_shape_elements(&a->out_shape);
    for (size_t i = 0; a->grad_in[0] && i < count; i++)
        a->grad_in[0][i] =
            (float)((double)a->grad_out[i] * twi_slope(&f, (double)a->in[0][i], (double)a->out[i]));
}

void twi_back_prelu(const twi_backward_args *a)
{
    const twi_shape *shape = &a->out_shape;
    const size_t channels = shape->dims[twi_channel_axis(shape->rank)];
    const size_t count = a->batch * twi_shape_elements(shape);
    const size_t inner = shape->rank == 3 ? shape->dims[1] * shape->dims[2] : 1;
    const size_t slopes = a->param_shapes[TWI_PARAM_SLOPE].dims[0];
    float *grad_slope = a->grad_params[TWI_PARAM_SLOPE];
    if (grad_slope) memset(grad_slope, 0, slopes * sizeof *grad_slope);
    for (size_t i = 0; i < count; i++) {
        const size_t c = slopes == 1 ? 0 : i / inner % channels;
        const float x = a->in[0][i], g = a->grad_out[i];
        if (a->grad_in[0]) a->grad_in[0][i] = x > 0.0f ? g : g * a->params[TWI_PARAM_SLOPE][c];
        if (grad_slope && !(x > 0.0f)) grad_slope[c] += g * x;
    }
}

/* ---- two values ---------------------------------------------------------------------------- */

void twi_back_add(const twi_backward_args *a)
{
    const size_t count = a->batch * twi_shape_elements(&a->out_shape);
    for (size_t k = 0; k < 2; k++)
        if (a->grad_in[k]) memcpy(a->grad_in[k], a->grad_out, count * sizeof(float));
}

/* The element of an operand that output element i is made with. */
static size_t operand_at(const twi_shape *shape, const twi_shape *out, size_t i)
{
    twi_shape aligned = {0};
    size_t from = 0, stride = 1;
    (void)twi_shape_align(shape, out->rank, &aligned); /* the shape rules promised it fits */
    for (size_t axis = out->rank; axis-- > 0; stride *= aligned.dims[axis]) {
        const size_t at = i % out->dims[axis];
        i /= out->dims[axis];
        if (aligned.dims[axis] > 1) from += at * stride;
    }
    return from;
}

/* d op(x, y) by x (first) or by y. Of two equal values, min and max share the gradient, as
 * PyTorch's do. */
static double slope_of_two(twi_op op, double x, double y, bool first)
{
    switch (op) {
    case TWI_OP_SUB:
        return first ? 1.0 : -1.0;
    case TWI_OP_MUL:
    case TWI_OP_MUL_CONSTANT:
        return first ? y : x;
    case TWI_OP_DIV:
        return first ? 1.0 / y : -x / (y * y);
    case TWI_OP_MIN:
        return x == y ? 0.5 : (x < y) == first ? 1.0 : 0.0;
    case TWI_OP_MAX:
        return x == y ? 0.5 : (x > y) == first ? 1.0 : 0.0;
    default:
        return 1.0;
    }
}

typedef struct side { /* one operand: what it is, and where its gradient goes */
    const float *x;
    const twi_shape *shape;
    float *grad;
    size_t batch; /* elements of one picture; 0: all pictures share it */
} side;

static void back_sides(const twi_backward_args *a, const side s[2])
{
    const size_t each = twi_shape_elements(&a->out_shape);
    for (size_t k = 0; k < 2; k++) {
        const size_t count = twi_shape_elements(s[k].shape) * (s[k].batch ? a->batch : 1);
        if (s[k].grad) memset(s[k].grad, 0, count * sizeof(float));
    }
    for (size_t n = 0; n < a->batch; n++)
        for (size_t i = 0; i < each; i++) {
            size_t at[2];
            for (size_t k = 0; k < 2; k++)
                at[k] = n * s[k].batch + operand_at(s[k].shape, &a->out_shape, i);
            const double x = (double)s[0].x[at[0]], y = (double)s[1].x[at[1]];
            for (size_t k = 0; k < 2; k++)
                if (s[k].grad)
                    s[k].grad[at[k]] += (float)((double)a->grad_out[n * each + i] *
                                                slope_of_two(a->node->op, x, y, k == 0));
        }
}

void twi_back_arithmetic(const twi_backward_args *a)
{
    side s[2];
    for (size_t k = 0; k < 2; k++)
        s[k] =
            (side){a->in[k], &a->in_shapes[k], a->grad_in[k], twi_shape_elements(&a->in_shapes[k])};
    back_sides(a, s);
}

void twi_back_with_constant(const twi_backward_args *a)
{
    const side s[2] = {
        {a->in[0], &a->in_shapes[0], a->grad_in[0], twi_shape_elements(&a->in_shapes[0])},
        {a->params[TWI_PARAM_VALUE], &a->param_shapes[TWI_PARAM_VALUE],
         a->grad_params[TWI_PARAM_VALUE], 0}};
    back_sides(a, s);
}
