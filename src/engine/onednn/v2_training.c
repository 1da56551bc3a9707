/* v2_training.c - operations of training: their 2.x descriptors, and what the library chose. */
#include "engine/onednn/v2.h"
#include "engine/primitive_training.h"

#include <string.h>

const twi_layout *twi_primitive_argument(const twi_primitive *primitive, size_t i)
{
    return primitive->layouts[i];
}

/* One argument: what oneDNN calls it, and who knows its layout. */
typedef struct slot {
    int arg;
    dnnl_query_t what;
    int index;
    const twi_layout *given; /* instead of a query */
} slot;

static tw_status describe(tw_ctx *ctx, twi_device *device, const_dnnl_primitive_desc_t pd,
                          const slot *slots, size_t n, twi_primitive *p)
{
    tw_status st = twi_arena_take(ctx, &device->memory, n + 1, &p->args);
    if (st == TW_OK) st = twi_arena_take(ctx, &device->memory, n + 1, &p->layouts);
    for (size_t i = 0; i <= n && st == TW_OK; i++) {
        static const slot scratch = {DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, 0, NULL};
        const slot *s = i < n ? &slots[i] : &scratch;
        twi_layout *layout;
        const dnnl_memory_desc_t *md =
            s->given ? &s->given->desc : dnnl_primitive_desc_query_md(pd, s->what, s->index);
        if (!md) return twi_fail(ctx, TW_ERR_UNSUPPORTED, "oneDNN does not tell its layouts");
        if ((st = twi_arena_take(ctx, &device->memory, 1, &layout)) != TW_OK) return st;
        layout->desc = *md;
        p->args[i] = s->arg;
        p->layouts[i] = layout;
    }
    p->n_args = n + 1;
    if (st == TW_OK) p->scratch_bytes = dnnl_memory_desc_get_size(&p->layouts[n]->desc);
    return st;
}

typedef struct recipe {
    const char *name;
    const slot *slots; /* the arguments, in order */
    size_t n;
    const twi_primitive *forward; /* NULL for forward passes */
    twi_activation after;         /* of a forward pass, or none */
} recipe;

static dnnl_status_t attributes(const recipe *r, dnnl_primitive_attr_t attr)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (status != dnnl_success || r->after.op == TWI_OP_INPUT) return status;
    status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success) status = twi_dnnl_append(ops, &r->after, 1.0f);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    return status;
}

static tw_status compile(tw_ctx *ctx, twi_device *device, const recipe *r,
                         const_dnnl_op_desc_t desc, const twi_primitive **out)
{
    const char *name = r->name;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    const_dnnl_primitive_desc_t hint = NULL;
    twi_primitive *p;
    dnnl_status_t status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success) status = attributes(r, attr);
    if (status == dnnl_success && r->forward)
        status = dnnl_primitive_get_primitive_desc(r->forward->handle, &hint);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&pd, desc, attr, device->engine, hint);
    dnnl_primitive_attr_destroy(attr);
    tw_status st = twi_dnnl_check(ctx, status, "train this layer", name);
    if (st != TW_OK) return st;
    if ((st = twi_arena_take(ctx, &device->memory, 1, &p)) == TW_OK) {
        *p = (twi_primitive){0};
        st = describe(ctx, device, pd, r->slots, r->n, p);
    }
    if (st == TW_OK)
        st = twi_dnnl_check(ctx, dnnl_primitive_create(&p->handle, pd), "compile it", name);
    dnnl_primitive_desc_destroy(pd);
    if (st != TW_OK) return st;
    p->next = device->primitives;
    device->primitives = p;
    *out = p;
    return TW_OK;
}

#define WHAT(arg, query, index) ((slot){DNNL_ARG_##arg, dnnl_query_##query##_md, index, NULL})

/* The arguments of a layer with weights; how many. */
static size_t weighted_slots(twi_pass pass, bool bias, slot *slots)
{
    size_t n = 0;
    if (pass == TWI_PASS_FORWARD) {
        slots[n++] = WHAT(SRC, src, 0);
        slots[n++] = WHAT(WEIGHTS, weights, 0);
        if (bias) slots[n++] = WHAT(BIAS, weights, 1);
        slots[n++] = WHAT(DST, dst, 0);
    } else if (pass == TWI_PASS_DATA) {
        slots[n++] = WHAT(DIFF_DST, diff_dst, 0);
        slots[n++] = WHAT(WEIGHTS, weights, 0);
        slots[n++] = WHAT(DIFF_SRC, diff_src, 0);
    } else {
        slots[n++] = WHAT(SRC, src, 0);
        slots[n++] = WHAT(DIFF_DST, diff_dst, 0);
        slots[n++] = WHAT(DIFF_WEIGHTS, diff_weights, 0);
        if (bias) slots[n++] = WHAT(DIFF_BIAS, diff_weights, 1);
    }
    return n;
}

/* ---- convolution --------------------------------------------------------------------------- */

static dnnl_status_t any_order(dnnl_memory_desc_t *desc, int rank, const dnnl_dims_t dims,
                               twi_dtype dtype)
{
    return dnnl_memory_desc_init_by_tag(desc, rank, dims, twi_dnnl_type(dtype),
                                        dnnl_format_tag_any);
}

static dnnl_status_t map_of(dnnl_memory_desc_t *desc, const twi_spec *spec, const twi_shape *shape,
                            const twi_layout *asked)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)spec->batch, (dnnl_dim_t)shape->dims[0],
                              (dnnl_dim_t)shape->dims[1], (dnnl_dim_t)shape->dims[2]};
    if (!asked) return any_order(desc, 4, dims, spec->dtype);
    *desc = asked->desc;
    return dnnl_success;
}

typedef struct window_dims {
    dnnl_dims_t kernel, stride, dilation, begin, end;
} window_dims;

/* The padding at the end is what makes a window give exactly the output's rows. */
static window_dims window_of(const twi_spec *spec)
{
    window_dims d = {0};
    for (int i = 0; i < 2; i++) {
        const twi_window *w = spec->window;
        const size_t reach =
            (spec->out->dims[1 + i] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1;
        const size_t there = w->pad_begin[i] + spec->in->dims[1 + i];
        d.kernel[i] = (dnnl_dim_t)w->kernel[i];
        d.stride[i] = (dnnl_dim_t)w->stride[i];
        d.dilation[i] = (dnnl_dim_t)w->dilation[i] - 1; /* oneDNN counts the holes */
        d.begin[i] = (dnnl_dim_t)w->pad_begin[i];
        d.end[i] = reach > there ? (dnnl_dim_t)(reach - there) : 0;
    }
    return d;
}

static dnnl_status_t conv_weights(dnnl_memory_desc_t *weights, dnnl_memory_desc_t *bias,
                                  const twi_spec *spec, twi_dtype dtype)
{
    const dnnl_dim_t groups = (dnnl_dim_t)spec->groups;
    const dnnl_dim_t in = (dnnl_dim_t)spec->in->dims[0], out = (dnnl_dim_t)spec->out->dims[0];
    const window_dims d = window_of(spec);
    const dnnl_dims_t plain = {out, in, d.kernel[0], d.kernel[1]};
    const dnnl_dims_t grouped = {groups, out / groups, in / groups, d.kernel[0], d.kernel[1]};
    dnnl_status_t status =
        groups == 1 ? any_order(weights, 4, plain, dtype) : any_order(weights, 5, grouped, dtype);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(bias, 1, (dnnl_dims_t){out}, dnnl_f32, dnnl_a);
    return status;
}

tw_status twi_training_primitive_conv(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                                      twi_pass pass, const twi_primitive *forward,
                                      const twi_primitive **out)
{
    const window_dims d = window_of(spec);
    slot slots[4];
    const size_t n = weighted_slots(pass, spec->bias, slots);
    dnnl_memory_desc_t src, weights, bias, dst;
    dnnl_convolution_desc_t desc;
    /* Gradients of weights stay float32, what they are added to. */
    const twi_dtype dtype = pass == TWI_PASS_WEIGHTS ? TWI_F32 : spec->dtype;
    dnnl_status_t status = map_of(&src, spec, spec->in, spec->src);
    if (status == dnnl_success) status = map_of(&dst, spec, spec->out, spec->dst);
    if (status == dnnl_success) status = conv_weights(&weights, &bias, spec, dtype);
    if (status == dnnl_success && pass == TWI_PASS_FORWARD)
        status = dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_training, dnnl_convolution_direct, &src, &weights,
            spec->bias ? &bias : NULL, &dst, d.stride, d.dilation, d.begin, d.end);
    else if (status == dnnl_success && pass == TWI_PASS_DATA)
        status = dnnl_dilated_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct,
                                                                  &src, &weights, &dst, d.stride,
                                                                  d.dilation, d.begin, d.end);
    else if (status == dnnl_success)
        status = dnnl_dilated_convolution_backward_weights_desc_init(
            &desc, dnnl_convolution_direct, &src, &weights, spec->bias ? &bias : NULL, &dst,
            d.stride, d.dilation, d.begin, d.end);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", spec->name);
    const recipe r = {spec->name, slots, n, forward,
                      pass == TWI_PASS_FORWARD ? spec->after : (twi_activation){0}};
    return compile(ctx, device, &r, &desc, out);
}

/* ---- dense --------------------------------------------------------------------------------- */

tw_status twi_training_primitive_dense(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                                       twi_pass pass, const twi_primitive *forward,
                                       const twi_primitive **out)
{
    slot slots[4];
    const size_t n = weighted_slots(pass, spec->bias, slots);
    const twi_dtype dtype = pass == TWI_PASS_WEIGHTS ? TWI_F32 : spec->dtype;
    const dnnl_dim_t *in = spec->src->desc.dims, *to = spec->dst->desc.dims;
    dnnl_memory_desc_t weights, bias;
    dnnl_inner_product_desc_t desc;
    dnnl_status_t status = any_order(&weights, 2, (dnnl_dims_t){to[1], in[1]}, dtype);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&bias, 1, (dnnl_dims_t){to[1]}, dnnl_f32, dnnl_a);
    if (status == dnnl_success && pass == TWI_PASS_FORWARD)
        status = dnnl_inner_product_forward_desc_init(&desc, dnnl_forward_training,
                                                      &spec->src->desc, &weights,
                                                      spec->bias ? &bias : NULL, &spec->dst->desc);
    else if (status == dnnl_success && pass == TWI_PASS_DATA)
        status = dnnl_inner_product_backward_data_desc_init(&desc, &spec->src->desc, &weights,
                                                            &spec->dst->desc);
    else if (status == dnnl_success)
        status = dnnl_inner_product_backward_weights_desc_init(
            &desc, &spec->src->desc, &weights, spec->bias ? &bias : NULL, &spec->dst->desc);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", spec->name);
    const recipe r = {.name = spec->name, .slots = slots, .n = n, .forward = forward};
    return compile(ctx, device, &r, &desc, out);
}

/* ---- pools --------------------------------------------------------------------------------- */

tw_status twi_training_primitive_pool(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                                      twi_op op, const twi_primitive *forward,
                                      const twi_primitive **out)
{
    const window_dims d = window_of(spec);
    const bool maximum = op == TWI_OP_MAX_POOL;
    const dnnl_alg_kind_t alg = maximum ? dnnl_pooling_max
                                : spec->window->count_include_pad
                                    ? dnnl_pooling_avg_include_padding
                                    : dnnl_pooling_avg_exclude_padding;
    slot slots[3];
    size_t n = 0;
    dnnl_memory_desc_t dst;
    dnnl_pooling_v2_desc_t desc;
    slots[n++] = forward ? WHAT(DIFF_DST, diff_dst, 0) : WHAT(SRC, src, 0);
    if (!forward) slots[n++] = WHAT(DST, dst, 0);
    if (maximum) slots[n++] = WHAT(WORKSPACE, workspace, 0);
    if (forward) slots[n++] = WHAT(DIFF_SRC, diff_src, 0);
    dnnl_status_t status = map_of(&dst, spec, spec->out, spec->dst);
    if (status == dnnl_success)
        status = forward ? dnnl_pooling_v2_backward_desc_init(&desc, alg, &spec->src->desc, &dst,
                                                              d.stride, d.kernel, d.dilation,
                                                              d.begin, d.end)
                         : dnnl_pooling_v2_forward_desc_init(&desc, dnnl_forward_training, alg,
                                                             &spec->src->desc, &dst, d.stride,
                                                             d.kernel, d.dilation, d.begin, d.end);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", spec->name);
    const recipe r = {.name = spec->name, .slots = slots, .n = n, .forward = forward};
    return compile(ctx, device, &r, &desc, out);
}

/* ---- batch norm ---------------------------------------------------------------------------- */

static size_t norm_slots(const twi_norm_spec *spec, bool back, const twi_layout *stats, slot *slots)
{
    size_t n = 0;
#define STAT(arg) ((slot){DNNL_ARG_##arg, dnnl_query_undef, 0, stats})
    slots[n++] = WHAT(SRC, src, 0);
    slots[n++] = STAT(MEAN);
    slots[n++] = STAT(VARIANCE);
    if (back) slots[n++] = WHAT(DIFF_DST, diff_dst, 0);
    slots[n++] = STAT(SCALE);
    slots[n++] = STAT(SHIFT);
    if (!back) slots[n++] = WHAT(DST, dst, 0);
    if (spec->relu) slots[n++] = WHAT(WORKSPACE, workspace, 0);
    if (back) slots[n++] = WHAT(DIFF_SRC, diff_src, 0);
    if (back) slots[n++] = STAT(DIFF_SCALE);
    if (back) slots[n++] = STAT(DIFF_SHIFT);
#undef STAT
    return n;
}

tw_status twi_training_primitive_norm(tw_ctx *ctx, twi_device *device, const twi_norm_spec *spec,
                                      const twi_primitive *forward, const twi_primitive **out)
{
    const unsigned flags = (unsigned)dnnl_use_scale | (unsigned)dnnl_use_shift |
                           (spec->own ? 0u : (unsigned)dnnl_use_global_stats) |
                           (spec->relu ? (unsigned)dnnl_fuse_norm_relu : 0u);
    const twi_layout *stats;
    slot slots[10];
    dnnl_batch_normalization_desc_t desc;
    const tw_status st =
        twi_layout_new(ctx, device, 1, &spec->channels, TWI_F32, TWI_ORDER_PLAIN, &stats);
    if (st != TW_OK) return st;
    const size_t n = norm_slots(spec, forward != NULL, stats, slots);
    const dnnl_status_t status =
        forward
            ? dnnl_batch_normalization_backward_desc_init(&desc, dnnl_backward, &spec->layout->desc,
                                                          &spec->layout->desc, (float)spec->epsilon,
                                                          flags)
            : dnnl_batch_normalization_forward_desc_init(
                  &desc, dnnl_forward_training, &spec->layout->desc, (float)spec->epsilon, flags);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", spec->name);
    const recipe r = {.name = spec->name, .slots = slots, .n = n, .forward = forward};
    return compile(ctx, device, &r, &desc, out);
}

/* ---- functions of one value ---------------------------------------------------------------- */

typedef struct function {
    dnnl_alg_kind_t kind;
    float alpha, beta;
    bool by_dst;
} function;

static bool function_of(const twi_activation *f, function *out)
{
    static const struct {
        twi_op op;
        dnnl_alg_kind_t kind;
        bool by_dst;
    } rows[] = {{TWI_OP_RELU, dnnl_eltwise_relu_use_dst_for_bwd, true},
                {TWI_OP_CLIP, dnnl_eltwise_clip_v2_use_dst_for_bwd, true},
                {TWI_OP_LEAKY_RELU, dnnl_eltwise_relu, false},
                {TWI_OP_ELU, dnnl_eltwise_elu, false},
                {TWI_OP_SIGMOID, dnnl_eltwise_logistic_use_dst_for_bwd, true},
                {TWI_OP_TANH, dnnl_eltwise_tanh_use_dst_for_bwd, true},
                {TWI_OP_HARD_SWISH, dnnl_eltwise_hardswish, false},
                {TWI_OP_SILU, dnnl_eltwise_swish, false},
                {TWI_OP_GELU, dnnl_eltwise_gelu_erf, false},
                {TWI_OP_GELU_TANH, dnnl_eltwise_gelu_tanh, false},
                {TWI_OP_MISH, dnnl_eltwise_mish, false}};
    for (size_t i = 0; i < TWI_LEN(rows); i++) {
        if (rows[i].op != f->op) continue;
        *out = (function){rows[i].kind, (float)f->alpha, (float)f->beta, rows[i].by_dst};
        if (f->op == TWI_OP_RELU) out->alpha = out->beta = 0.0f;
        if (f->op == TWI_OP_SILU) out->alpha = 1.0f;
        return true;
    }
    return false;
}

bool twi_training_has(const twi_activation *f, bool *by_dst)
{
    function found;
    if (!function_of(f, &found)) return false;
    *by_dst = found.by_dst;
    return true;
}

tw_status twi_training_primitive_eltwise(tw_ctx *ctx, twi_device *device, const twi_layout *layout,
                                         const twi_activation *f, const twi_primitive *forward,
                                         const twi_primitive **out)
{
    const char *name = twi_op_name(f->op);
    function found;
    dnnl_eltwise_desc_t desc;
    slot slots[3];
    size_t n = 0;
    if (!function_of(f, &found))
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "oneDNN has no gradient of %s", name);
    if (forward) {
        slots[n++] = found.by_dst ? WHAT(DST, dst, 0) : WHAT(SRC, src, 0);
        slots[n++] = WHAT(DIFF_DST, diff_dst, 0);
        slots[n++] = WHAT(DIFF_SRC, diff_src, 0);
        if (found.by_dst) slots[0].given = layout;
    } else {
        slots[n++] = WHAT(SRC, src, 0);
        slots[n++] = WHAT(DST, dst, 0);
    }
    const dnnl_status_t status =
        forward ? dnnl_eltwise_backward_desc_init(&desc, found.kind, &layout->desc, &layout->desc,
                                                  found.alpha, found.beta)
                : dnnl_eltwise_forward_desc_init(&desc, dnnl_forward_training, found.kind,
                                                 &layout->desc, found.alpha, found.beta);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "describe it", name);
    const recipe r = {.name = name, .slots = slots, .n = n, .forward = forward};
    return compile(ctx, device, &r, &desc, out);
}

/* ---- parts --------------------------------------------------------------------------------- */

tw_status twi_training_primitive_part(tw_ctx *ctx, twi_device *device, const twi_layout *src,
                                      size_t from, const twi_layout *dst, const twi_primitive **out)
{
    twi_layout *part;
    const dnnl_dims_t offsets = {0, (dnnl_dim_t)from};
    tw_status st = twi_arena_take(ctx, &device->memory, 1, &part);
    if (st != TW_OK) return st;
    st = twi_dnnl_check(
        ctx, dnnl_memory_desc_init_submemory(&part->desc, &src->desc, dst->desc.dims, offsets),
        "take a part", "concat");
    return st == TW_OK ? twi_primitive_reorder(ctx, device, part, dst, out) : st;
}
