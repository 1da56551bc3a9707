/* arithmetic.c - sums, products and the like of two values. */
#include "engine/operators.h"

#include <math.h>

/* One operand, with as many axes as the result: how far apart its elements are, 0 where it repeats.
 */
typedef struct operand {
    const float *at;
    size_t batch, stride[3];
} operand;

/* batch: elements of one picture, or 0 for a constant, which all of them share. */
static operand operand_of(const float *at, const twi_shape *shape, const twi_shape *out, bool batch)
{
    operand o = {at, batch ? twi_shape_elements(shape) : 0, {0}};
    twi_shape aligned = {0};
    (void)twi_shape_align(shape, out->rank, &aligned); /* the shape rules promised it fits */
    for (size_t axis = out->rank, stride = 1; axis-- > 0; stride *= aligned.dims[axis])
        o.stride[axis] = aligned.dims[axis] == 1 ? 0 : stride;
    return o;
}

static float element(const operand *o, size_t n, const size_t at[3])
{
    return o->at[n * o->batch + at[0] * o->stride[0] + at[1] * o->stride[1] + at[2] * o->stride[2]];
}

static float compute(twi_op op, float x, float y)
{
    switch (op) {
    case TWI_OP_SUB:
        return x - y;
    case TWI_OP_MUL:
    case TWI_OP_MUL_CONSTANT:
        return x * y;
    case TWI_OP_DIV:
        return x / y;
    case TWI_OP_MIN:
        return fminf(x, y);
    case TWI_OP_MAX:
        return fmaxf(x, y);
    default:
        return x + y;
    }
}

static void combine(const twi_reference_args *a, const operand *x, const operand *y)
{
    size_t dims[3] = {1, 1, 1}, at[3];
    float *out = a->out;
    for (size_t i = 0; i < a->out_shape.rank; i++) dims[i] = a->out_shape.dims[i];
    for (size_t n = 0; n < a->batch; n++)
        for (at[0] = 0; at[0] < dims[0]; at[0]++)
            for (at[1] = 0; at[1] < dims[1]; at[1]++)
                for (at[2] = 0; at[2] < dims[2]; at[2]++)
                    *out++ = compute(a->node->op, element(x, n, at), element(y, n, at));
}

void twi_ref_arithmetic(const twi_reference_args *a)
{
    const operand x = operand_of(a->in[0], &a->in_shapes[0], &a->out_shape, true);
    const operand y = operand_of(a->in[1], &a->in_shapes[1], &a->out_shape, true);
    combine(a, &x, &y);
}

void twi_ref_with_constant(const twi_reference_args *a)
{
    const operand x = operand_of(a->in[0], &a->in_shapes[0], &a->out_shape, true);
    const operand y = operand_of(a->params[TWI_PARAM_VALUE], &a->param_shapes[TWI_PARAM_VALUE],
                                 &a->out_shape, false);
    combine(a, &x, &y);
}

void twi_ref_constant(const twi_reference_args *a)
{
    const size_t count = twi_shape_elements(&a->out_shape);
    for (size_t i = 0; i < a->batch * count; i++) a->out[i] = a->params[TWI_PARAM_VALUE][i % count];
}
