/* v2_eltwise.c - functions of one value, by themselves and behind other operations. */
#include "engine/onednn/v2.h"

/* One or two of oneDNN's functions in a row. */
typedef struct function {
    dnnl_alg_kind_t kind[2];
    float alpha[2], beta[2];
    int n; /* 0: oneDNN does not have it */
} function;

static function one(dnnl_alg_kind_t kind, double alpha, double beta)
{
    return (function){.kind = {kind}, .alpha = {(float)alpha}, .beta = {(float)beta}, .n = 1};
}

static function function_of(const twi_activation *f)
{
    function clipped;
    switch (f->op) {
    case TWI_OP_RELU:
        return one(dnnl_eltwise_relu, 0, 0);
    case TWI_OP_LEAKY_RELU:
        return one(dnnl_eltwise_relu, f->alpha, 0);
    case TWI_OP_CLIP:
        return one(dnnl_eltwise_clip, f->alpha, f->beta);
    case TWI_OP_ELU:
        return one(dnnl_eltwise_elu, f->alpha, 0);
    case TWI_OP_SIGMOID:
        return one(dnnl_eltwise_logistic, 0, 0);
    case TWI_OP_TANH:
        return one(dnnl_eltwise_tanh, 0, 0);
    case TWI_OP_HARD_SIGMOID:
        clipped = one(dnnl_eltwise_linear, f->alpha, f->beta);
        clipped.kind[1] = dnnl_eltwise_clip, clipped.beta[1] = 1.0f, clipped.n = 2;
        return clipped;
    case TWI_OP_HARD_SWISH:
        return one(dnnl_eltwise_hardswish, 0, 0);
    case TWI_OP_SILU:
        return one(dnnl_eltwise_swish, 1, 0);
    case TWI_OP_GELU:
        return one(dnnl_eltwise_gelu_erf, 0, 0);
    case TWI_OP_GELU_TANH:
        return one(dnnl_eltwise_gelu_tanh, 0, 0);
    case TWI_OP_MISH:
        return one(dnnl_eltwise_mish, 0, 0);
    case TWI_OP_SOFTPLUS:
        return one(dnnl_eltwise_soft_relu, 0, 0);
    case TWI_OP_EXP:
        return one(dnnl_eltwise_exp, 0, 0);
    case TWI_OP_LOG:
        return one(dnnl_eltwise_log, 0, 0);
    case TWI_OP_SQRT:
        return one(dnnl_eltwise_sqrt, 0, 0);
    case TWI_OP_ABS:
        return one(dnnl_eltwise_abs, 0, 0);
    case TWI_OP_NEG:
        return one(dnnl_eltwise_linear, -1, 0);
    case TWI_OP_RECIPROCAL:
        return one(dnnl_eltwise_pow, 1, -1);
    case TWI_OP_POW:
        return one(dnnl_eltwise_pow, 1, f->alpha);
    default:
        return (function){.n = 0};
    }
}

bool twi_primitive_has(twi_op f)
{
    return function_of(&(twi_activation){f, 0, 0}).n > 0;
}

dnnl_status_t twi_dnnl_append(dnnl_post_ops_t ops, const twi_activation *f, float scale)
{
    const function steps = function_of(f);
    dnnl_status_t status = steps.n > 0 ? dnnl_success : dnnl_unimplemented;
    for (int i = 0; i < steps.n && status == dnnl_success; i++)
        status = dnnl_post_ops_append_eltwise(ops, i + 1 == steps.n ? scale : 1.0f, steps.kind[i],
                                              steps.alpha[i], steps.beta[i]);
    return status;
}

tw_status twi_primitive_eltwise(tw_ctx *ctx, twi_device *device, const twi_layout *layout,
                                const twi_activation *f, const twi_primitive **out)
{
    const function steps = function_of(f);
    twi_recipe r = {.name = twi_op_name(f->op), .n_src = 1};
    if (steps.n == 2) /* the only second step there is */
        r.after = (twi_activation){TWI_OP_CLIP, (double)steps.alpha[1], (double)steps.beta[1]};
    dnnl_eltwise_desc_t desc;
    const dnnl_status_t status = dnnl_eltwise_forward_desc_init(
        &desc, dnnl_forward_inference, steps.kind[0], &layout->desc, steps.alpha[0], steps.beta[0]);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", r.name);
    return twi_dnnl_compile(ctx, device, &r, &desc, out);
}
