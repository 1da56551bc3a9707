/* v2_eight.c - what oneDNN 2.x does with the sums of an 8-bit layer.
 *
 * dst = after(scales * (sum + bias) + sum_scale * old dst), all in units of dst: where after lets a
 * factor through, the division by dst's scale is done before it, in the scales. */
#include "engine/onednn/v2.h"

/* f with f(x) / scale = (result)(x / scale); false: there is none. */
static bool divide(twi_activation *f, double scale)
{
    switch (f->op) {
    case TWI_OP_INPUT:
    case TWI_OP_RELU:
    case TWI_OP_LEAKY_RELU:
        return true;
    case TWI_OP_CLIP:
        f->alpha /= scale, f->beta /= scale;
        return true;
    default:
        return false;
    }
}

dnnl_status_t twi_dnnl_eight(tw_ctx *ctx, dnnl_primitive_attr_t attr, dnnl_post_ops_t ops,
                             const twi_recipe *r)
{
    const twi_spec8 *e = r->eight;
    twi_activation after = r->after;
    const bool before = divide(&after, (double)e->dst_scale);
    const double unit = before ? (double)e->dst_scale : 1.0;
    float *scales;
    if (twi_alloc(ctx, r->channels, &scales) != TW_OK) return dnnl_out_of_memory;
    for (size_t i = 0; i < r->channels; i++)
        scales[i] = (float)((double)e->src_scale * (double)e->weight_scales[i] / unit);
    const int of_each_channel = 1 << 1;
    dnnl_status_t status = dnnl_primitive_attr_set_output_scales(attr, (dnnl_dim_t)r->channels,
                                                                 of_each_channel, scales);
    twi_free(scales);
    if (status == dnnl_success && r->sum)
        status = dnnl_post_ops_append_sum_v2(ops, (float)((double)e->sum_scale / unit),
                                             twi_dnnl_type(e->sum));
    if (status == dnnl_success && after.op != TWI_OP_INPUT)
        status = twi_dnnl_append(ops, &after, before ? 1.0f : 1.0f / e->dst_scale);
    return status;
}
