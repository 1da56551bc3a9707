/* v2_primitives.c - one function an operation: its 2.x descriptor, and what the library chose. */
#include "engine/onednn/v2.h"

#include <string.h>

static tw_status queried(tw_ctx *ctx, twi_device *device, const_dnnl_primitive_desc_t pd,
                         dnnl_query_t what, int index, twi_layout **out)
{
    const dnnl_memory_desc_t *desc = dnnl_primitive_desc_query_md(pd, what, index);
    if (!desc) return twi_fail(ctx, TW_ERR_UNSUPPORTED, "oneDNN does not tell its layouts");
    const tw_status st = twi_arena_take(ctx, &device->memory, 1, out);
    if (st == TW_OK) (*out)->desc = *desc;
    return st;
}

static void push(twi_primitive *p, int arg, const twi_layout *layout)
{
    p->args[p->n_args] = arg;
    p->layouts[p->n_args++] = layout;
}

/* Fills in the argument list in the order primitive.h promises. */
static tw_status describe_args(tw_ctx *ctx, twi_device *device, const twi_recipe *r,
                               const_dnnl_primitive_desc_t pd, twi_primitive *p)
{
    tw_status st = twi_arena_take(ctx, &device->memory, r->n_src + TWI_PRIMITIVE_ARGS, &p->args);
    if (st == TW_OK)
        st = twi_arena_take(ctx, &device->memory, r->n_src + TWI_PRIMITIVE_ARGS, &p->layouts);
    for (size_t i = 0; i < r->n_src && st == TW_OK; i++) {
        twi_layout *src;
        st = queried(ctx, device, pd, dnnl_query_src_md, (int)i, &src);
        if (st != TW_OK) return st;
        if (i == 0) p->src = src;
        push(p,
             r->many  ? DNNL_ARG_MULTIPLE_SRC + (int)i
             : i == 0 ? DNNL_ARG_SRC
                      : DNNL_ARG_SRC_1,
             src);
    }
    if (st == TW_OK && r->weights) {
        st = queried(ctx, device, pd, dnnl_query_weights_md, 0, &p->weights);
        if (st == TW_OK) push(p, DNNL_ARG_WEIGHTS, p->weights);
    }
    if (st == TW_OK && r->bias) {
        twi_layout *bias;
        st = queried(ctx, device, pd, dnnl_query_weights_md, 1, &bias);
        if (st == TW_OK) push(p, DNNL_ARG_BIAS, bias);
    }
    if (st == TW_OK) st = queried(ctx, device, pd, dnnl_query_dst_md, 0, &p->dst);
    if (st == TW_OK) push(p, DNNL_ARG_DST, p->dst);
    twi_layout *scratch;
    if (st == TW_OK) st = queried(ctx, device, pd, dnnl_query_scratchpad_md, 0, &scratch);
    if (st != TW_OK) return st;
    p->scratch_bytes = dnnl_memory_desc_get_size(&scratch->desc);
    push(p, DNNL_ARG_SCRATCHPAD, scratch);
    return TW_OK;
}

/* Turns a primitive descriptor (destroyed here, whatever happens) into a primitive of device. */
static tw_status make(tw_ctx *ctx, twi_device *device, const twi_recipe *r,
                      dnnl_primitive_desc_t pd, const twi_primitive **out)
{
    twi_primitive *p;
    tw_status st = twi_arena_take(ctx, &device->memory, 1, &p);
    if (st == TW_OK) {
        *p = (twi_primitive){0};
        st = describe_args(ctx, device, r, pd, p);
    }
    if (st == TW_OK)
        st = twi_dnnl_check(ctx, dnnl_primitive_create(&p->handle, pd), "compile it", r->name);
    dnnl_primitive_desc_destroy(pd);
    if (st != TW_OK) return st;
    p->next = device->primitives;
    device->primitives = p;
    *out = p;
    return TW_OK;
}

/* User scratchpads, and what comes after the operation. */
static dnnl_status_t attributes(tw_ctx *ctx, const twi_recipe *r, dnnl_primitive_attr_t *out)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(&attr);
    if (status != dnnl_success) return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    const float scale = (float)r->scale;
    if (status == dnnl_success && r->scale != 0)
        status = dnnl_primitive_attr_set_output_scales(attr, 1, 0, &scale);
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success && r->eight) status = twi_dnnl_eight(ctx, attr, ops, r);
    if (status == dnnl_success && r->sum && !r->eight) status = dnnl_post_ops_append_sum(ops, 1.0f);
    if (status == dnnl_success && r->after.op != TWI_OP_INPUT && !r->eight)
        status = twi_dnnl_append(ops, &r->after, 1.0f);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    if (status == dnnl_success)
        *out = attr;
    else
        dnnl_primitive_attr_destroy(attr);
    return status;
}

/* Its plain loops are there for completeness: some would take minutes. */
static bool is_slow(const_dnnl_primitive_desc_t pd)
{
    const char *implementation = "";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &implementation);
    return strncmp(implementation, "ref", 3) == 0;
}

tw_status twi_dnnl_compile(tw_ctx *ctx, twi_device *device, const twi_recipe *r,
                           const_dnnl_op_desc_t desc, const twi_primitive **out)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = attributes(ctx, r, &attr);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&pd, desc, attr, device->engine, NULL);
    dnnl_primitive_attr_destroy(attr);
    if (status == dnnl_success && r->eight && is_slow(pd)) {
        dnnl_primitive_desc_destroy(pd);
        status = dnnl_unimplemented;
    }
    const tw_status st = twi_dnnl_check(ctx, status, "compute this layer", r->name);
    return st == TW_OK ? make(ctx, device, r, pd, out) : st;
}

/* Dims of a batch of shape, a vector as [n, d]. */
static void batch_dims(size_t batch, const twi_shape *shape, dnnl_dims_t dims)
{
    dims[0] = (dnnl_dim_t)batch;
    for (size_t i = 0; i < shape->rank; i++) dims[1 + i] = (dnnl_dim_t)shape->dims[i];
}

/* A descriptor in any order oneDNN likes. */
static dnnl_status_t any_order(dnnl_memory_desc_t *desc, int rank, const dnnl_dims_t dims,
                               twi_dtype dtype)
{
    return dnnl_memory_desc_init_by_tag(desc, rank, dims, twi_dnnl_type(dtype),
                                        dnnl_format_tag_any);
}

static dnnl_status_t activations(dnnl_memory_desc_t *desc, const twi_spec *spec,
                                 const twi_shape *shape, const twi_layout *asked)
{
    if (asked) {
        *desc = asked->desc;
        return dnnl_success;
    }
    dnnl_dims_t dims = {0};
    batch_dims(spec->batch, shape, dims);
    const twi_dtype dtype = !spec->eight        ? spec->dtype
                            : shape == spec->in ? spec->eight->src
                                                : spec->eight->dst;
    return any_order(desc, (int)shape->rank + 1, dims, dtype);
}

/* The padding at the end that makes a window give exactly out rows: what was declared, less what no
 * window reaches, or more when the last window sticks out (ceil_mode). */
static dnnl_dim_t end_padding(const twi_spec *spec, int axis)
{
    const twi_window *w = spec->window;
    const size_t reach = (spec->out->dims[1 + axis] - 1) * w->stride[axis] +
                         (w->kernel[axis] - 1) * w->dilation[axis] + 1;
    const size_t there = w->pad_begin[axis] + spec->in->dims[1 + axis];
    return reach > there ? (dnnl_dim_t)(reach - there) : 0;
}

typedef struct window_dims {
    dnnl_dims_t kernel, stride, dilation, begin, end;
} window_dims;

static window_dims window_of(const twi_spec *spec)
{
    window_dims d = {0};
    for (int i = 0; i < 2; i++) {
        d.kernel[i] = (dnnl_dim_t)spec->window->kernel[i];
        d.stride[i] = (dnnl_dim_t)spec->window->stride[i];
        d.dilation[i] = (dnnl_dim_t)spec->window->dilation[i] - 1; /* oneDNN counts the holes */
        d.begin[i] = (dnnl_dim_t)spec->window->pad_begin[i];
        d.end[i] = end_padding(spec, i);
    }
    return d;
}

static dnnl_status_t conv_weights(dnnl_memory_desc_t *weights, dnnl_memory_desc_t *bias,
                                  const twi_spec *spec)
{
    const dnnl_dim_t groups = (dnnl_dim_t)spec->groups;
    const dnnl_dim_t in = (dnnl_dim_t)spec->in->dims[0], out = (dnnl_dim_t)spec->out->dims[0];
    const window_dims d = window_of(spec);
    const dnnl_dims_t plain = {out, in, d.kernel[0], d.kernel[1]};
    const dnnl_dims_t grouped = {groups, out / groups, in / groups, d.kernel[0], d.kernel[1]};
    const twi_dtype dtype = spec->eight ? TWI_I8 : spec->dtype;
    dnnl_status_t status =
        groups == 1 ? any_order(weights, 4, plain, dtype) : any_order(weights, 5, grouped, dtype);
    const dnnl_dims_t bias_dims = {out};
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(bias, 1, bias_dims, dnnl_f32, dnnl_a);
    return status;
}

tw_status twi_primitive_conv(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                             const twi_primitive **out)
{
    const twi_recipe r = {.name = spec->name,
                          .n_src = 1,
                          .weights = true,
                          .bias = spec->bias,
                          .sum = spec->sum,
                          .after = spec->after,
                          .eight = spec->eight,
                          .channels = spec->out->dims[0]};
    const window_dims d = window_of(spec);
    dnnl_memory_desc_t src, weights, bias, dst;
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = activations(&src, spec, spec->in, spec->src);
    if (status == dnnl_success) status = activations(&dst, spec, spec->out, spec->dst);
    if (status == dnnl_success) status = conv_weights(&weights, &bias, spec);
    if (status == dnnl_success)
        status = dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_inference, dnnl_convolution_direct, &src, &weights,
            spec->bias ? &bias : NULL, &dst, d.stride, d.dilation, d.begin, d.end);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", spec->name);
    return twi_dnnl_compile(ctx, device, &r, &desc, out);
}

tw_status twi_primitive_dense(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                              const twi_primitive **out)
{
    const twi_recipe r = {.name = spec->name,
                          .n_src = 1,
                          .weights = true,
                          .bias = spec->bias,
                          .sum = spec->sum,
                          .after = spec->after,
                          .eight = spec->eight,
                          .channels = spec->out->dims[twi_channel_axis(spec->out->rank)]};
    const twi_dtype from = spec->eight ? spec->eight->src : spec->dtype;
    const size_t axis = twi_channel_axis(spec->in->rank);
    const dnnl_dim_t in = (dnnl_dim_t)spec->in->dims[axis];
    const dnnl_dim_t width = (dnnl_dim_t)spec->out->dims[axis];
    const dnnl_dim_t n = (dnnl_dim_t)spec->batch * (axis ? (dnnl_dim_t)spec->in->dims[0] : 1);
    dnnl_memory_desc_t src, weights, bias;
    dnnl_inner_product_desc_t desc;
    dnnl_status_t status =
        dnnl_memory_desc_init_by_tag(&src, 2, (dnnl_dims_t){n, in}, twi_dnnl_type(from), dnnl_ab);
    if (status == dnnl_success)
        status =
            any_order(&weights, 2, (dnnl_dims_t){width, in}, spec->eight ? TWI_I8 : spec->dtype);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&bias, 1, (dnnl_dims_t){width}, dnnl_f32, dnnl_a);
    if (status == dnnl_success)
        status = dnnl_inner_product_forward_desc_init(&desc, dnnl_forward_inference, &src, &weights,
                                                      spec->bias ? &bias : NULL, &spec->dst->desc);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", spec->name);
    return twi_dnnl_compile(ctx, device, &r, &desc, out);
}

tw_status twi_primitive_pool(tw_ctx *ctx, twi_device *device, const twi_spec *spec, twi_op op,
                             const twi_primitive **out)
{
    const twi_recipe r = {.name = spec->name, .n_src = 1};
    const window_dims d = window_of(spec);
    const dnnl_alg_kind_t alg = op == TWI_OP_MAX_POOL ? dnnl_pooling_max
                                : spec->window->count_include_pad
                                    ? dnnl_pooling_avg_include_padding
                                    : dnnl_pooling_avg_exclude_padding;
    dnnl_memory_desc_t dst;
    dnnl_pooling_v2_desc_t desc;
    dnnl_status_t status = activations(&dst, spec, spec->out, spec->dst);
    if (status == dnnl_success)
        status =
            dnnl_pooling_v2_forward_desc_init(&desc, dnnl_forward_inference, alg, &spec->src->desc,
                                              &dst, d.stride, d.kernel, d.dilation, d.begin, d.end);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", spec->name);
    return twi_dnnl_compile(ctx, device, &r, &desc, out);
}

tw_status twi_primitive_lrn(tw_ctx *ctx, twi_device *device, const twi_layout *layout,
                            const twi_node *node, const twi_primitive **out)
{
    const twi_recipe r = {.name = node->name, .n_src = 1};
    dnnl_lrn_desc_t desc;
    const dnnl_status_t status = dnnl_lrn_forward_desc_init(
        &desc, dnnl_forward_inference, dnnl_lrn_across_channels, &layout->desc,
        (dnnl_dim_t)node->span, (float)node->alpha, (float)node->beta, (float)node->bias);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", r.name);
    return twi_dnnl_compile(ctx, device, &r, &desc, out);
}

/* [n, rows, columns]; stored with its last two axes the other way round when turned. */
static dnnl_status_t matrices(dnnl_memory_desc_t *desc, size_t n, size_t rows, size_t columns,
                              bool turned)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)n, (dnnl_dim_t)rows, (dnnl_dim_t)columns};
    return dnnl_memory_desc_init_by_tag(desc, 3, dims, dnnl_f32, turned ? dnnl_acb : dnnl_abc);
}

tw_status twi_primitive_matmul(tw_ctx *ctx, twi_device *device, const twi_node *node,
                               const size_t sizes[4], const twi_primitive **out)
{
    /* oneDNN calls the second matrix weights. */
    const twi_recipe r = {.name = node->name, .n_src = 1, .weights = true, .scale = node->scale};
    dnnl_memory_desc_t a, b, dst;
    dnnl_matmul_desc_t desc;
    dnnl_status_t status = matrices(&a, sizes[0], sizes[1], sizes[2], node->transpose_a);
    if (status == dnnl_success)
        status = matrices(&b, sizes[0], sizes[2], sizes[3], node->transpose_b);
    if (status == dnnl_success) status = matrices(&dst, sizes[0], sizes[1], sizes[3], false);
    if (status == dnnl_success) status = dnnl_matmul_desc_init(&desc, &a, &b, NULL, &dst);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", r.name);
    return twi_dnnl_compile(ctx, device, &r, &desc, out);
}

tw_status twi_primitive_add(tw_ctx *ctx, twi_device *device, const twi_layout *layout,
                            const twi_activation *after, const twi_primitive **out)
{
    const twi_recipe r = {.name = "add", .n_src = 2, .after = after ? *after : (twi_activation){0}};
    dnnl_binary_desc_t desc;
    const dnnl_status_t status =
        dnnl_binary_desc_init(&desc, dnnl_binary_add, &layout->desc, &layout->desc, &layout->desc);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", "add");
    return twi_dnnl_compile(ctx, device, &r, &desc, out);
}

tw_status twi_primitive_concat(tw_ctx *ctx, twi_device *device, size_t n, size_t axis,
                               const twi_layout *const *srcs, const twi_layout *dst,
                               const twi_primitive **out)
{
    const twi_recipe r = {.name = "concat", .n_src = n, .many = true};
    dnnl_memory_desc_t *descs;
    const tw_status st = twi_arena_take(ctx, &device->memory, n, &descs);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) descs[i] = srcs[i]->desc;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = attributes(ctx, &r, &attr);
    if (status == dnnl_success)
        status = dnnl_concat_primitive_desc_create(&pd, &dst->desc, (int)n, (int)axis, descs, attr,
                                                   device->engine);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "concatenate", "concat");
    return make(ctx, device, &r, pd, out);
}

tw_status twi_primitive_rescale(tw_ctx *ctx, twi_device *device, const twi_layout *src,
                                const twi_layout *dst, double scale, const twi_primitive **out)
{
    const twi_recipe r = {.name = "reorder", .n_src = 1, .scale = scale};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = attributes(ctx, &r, &attr);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&pd, &src->desc, device->engine, &dst->desc,
                                                    device->engine, attr);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "reorder", "reorder");
    return make(ctx, device, &r, pd, out);
}

tw_status twi_primitive_reorder(tw_ctx *ctx, twi_device *device, const twi_layout *src,
                                const twi_layout *dst, const twi_primitive **out)
{
    return twi_primitive_rescale(ctx, device, src, dst, 0, out);
}
