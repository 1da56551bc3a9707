/* pool.c - pooling over windows, and over the whole map. */
#include "engine/onednn/nodes.h"

/* in must have an order of its own: pooling follows its source. */
static tw_status pool_step(twi_build *b, const twi_spec *spec, twi_op op, uint32_t in,
                           uint32_t *out)
{
    const twi_primitive *pool;
    const tw_status st = twi_primitive_pool(b->ctx, b->program->device, spec, op, &pool);
    if (st != TW_OK) return st;
    *out = TWI_NO_VALUE;
    return twi_onednn_step(b, pool, 1, &in, NULL, out);
}

/* True when some window sticks out beyond the padding: oneDNN would count what is there. */
static bool sticks_out(const twi_spec *spec)
{
    for (size_t i = 0; i < 2; i++) {
        const twi_window *w = spec->window;
        const size_t reach =
            (spec->out->dims[1 + i] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (reach > w->pad_begin[i] + spec->in->dims[1 + i] + w->pad_end[i]) return true;
    }
    return false;
}

static tw_status window_pool(twi_build *b, twi_op op)
{
    const twi_node *node = twi_build_node(b);
    uint32_t in = twi_input_value(b, 0), out;
    const twi_layout *layout;
    twi_spec spec = {.name = node->name,
                     .batch = b->program->opts.batch,
                     .in = &b->shapes[node->inputs[0]],
                     .out = &b->shapes[b->node],
                     .window = &node->window,
                     .dtype = twi_onednn_dtype(b)};
    if (op == TWI_OP_AVG_POOL && node->window.count_include_pad && sticks_out(&spec))
        return twi_onednn_plain_c(b);
    if (twi_onednn_eight_pool(b, op)) {
        const float scale = b->program->values[in].scale;
        spec.src = twi_value_layout(b, in);
        spec.dtype = twi_layout_dtype(spec.src);
        const tw_status st = pool_step(b, &spec, op, in, &out);
        if (st == TW_OK) twi_onednn_eight_done(b, out, scale);
        return st;
    }
    /* Values that come from elsewhere (the pictures, plain C) are float32. */
    tw_status st = twi_layout_retyped(b->ctx, b->program->device, twi_value_layout(b, in),
                                      spec.dtype, &layout);
    if (st == TW_OK) st = twi_onednn_as(b, in, layout, &in);
    spec.src = layout;
    if (st == TW_OK) st = pool_step(b, &spec, op, in, &out);
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}

tw_status twi_onednn_max_pool(twi_build *b)
{
    return window_pool(b, TWI_OP_MAX_POOL);
}

tw_status twi_onednn_avg_pool(twi_build *b)
{
    return window_pool(b, TWI_OP_AVG_POOL);
}

/* The average or the maximum over height and width of value, a map of that shape: [n, c, 1, 1]. */
static tw_status whole_pool(twi_build *b, const twi_shape *in, twi_dtype dtype, bool maximum,
                            uint32_t *value)
{
    const twi_shape pooled = {.rank = 3, .dims = {in->dims[0], 1, 1}};
    const twi_window window = {
        .kernel = {in->dims[1], in->dims[2]}, .stride = {1, 1}, .dilation = {1, 1}};
    twi_spec spec = {.name = twi_build_node(b)->name,
                     .batch = b->program->opts.batch,
                     .in = in,
                     .out = &pooled,
                     .window = &window,
                     .dtype = dtype};
    tw_status st = twi_layout_retyped(b->ctx, b->program->device, twi_value_layout(b, *value),
                                      dtype, &spec.src);
    if (st == TW_OK) st = twi_onednn_as(b, *value, spec.src, value);
    if (st == TW_OK)
        st = pool_step(b, &spec, maximum ? TWI_OP_MAX_POOL : TWI_OP_AVG_POOL, *value, value);
    return st;
}

/* Tokens [n, t, d] as a map [n, d, t, 1] whose channels come last: the same bytes. */
static tw_status tokens_as_map(twi_build *b, twi_shape *shape, uint32_t *value)
{
    const size_t dims[4] = {b->program->opts.batch, shape->dims[1], shape->dims[0], 1};
    const twi_layout *plain, *map;
    tw_status st =
        twi_node_layout(b, twi_build_node(b)->inputs[0], TWI_F32, TWI_ORDER_PLAIN, &plain);
    if (st == TW_OK) st = twi_onednn_as(b, *value, plain, value);
    if (st == TW_OK)
        st = twi_layout_new(b->ctx, b->program->device, 4, dims, TWI_F32, TWI_ORDER_NHWC, &map);
    if (st == TW_OK) st = twi_onednn_relabel(b, *value, map, value);
    *shape = (twi_shape){3, {dims[1], dims[2], 1}};
    return st;
}

/* In float32 whatever the precision, so that averages are not rounded to 8 bits at the very end. */
tw_status twi_onednn_global_pool(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    twi_shape in = b->shapes[node->inputs[0]];
    const twi_layout *flat;
    uint32_t out = twi_input_value(b, 0);
    tw_status st = in.rank == 2 ? tokens_as_map(b, &in, &out) : TW_OK;
    if (st == TW_OK) st = whole_pool(b, &in, TWI_F32, node->op == TWI_OP_GLOBAL_MAX_POOL, &out);
    const size_t dims[4] = {b->program->opts.batch, in.dims[0], 1, 1};
    if (st == TW_OK)
        st = twi_layout_new(b->ctx, b->program->device, 4, dims, TWI_F32, TWI_ORDER_PLAIN, &flat);
    if (st == TW_OK) st = twi_onednn_as(b, out, flat, &out);
    /* [n, c, 1, 1] as written is [n, c] as written. */
    if (st == TW_OK) st = twi_node_layout(b, b->node, TWI_F32, TWI_ORDER_PLAIN, &flat);
    if (st != TW_OK) return st;
    b->program->values[out].layout = flat;
    twi_onednn_done(b, out);
    return TW_OK;
}

/* Height and width are a pool. */
tw_status twi_onednn_reduce(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *in = &b->shapes[node->inputs[0]], *axes = &node->axes;
    uint32_t out = twi_input_value(b, 0);
    if (in->rank != 3 || axes->rank != 2 || axes->dims[0] == 0 || axes->dims[1] == 0)
        return twi_onednn_reduce_any(b);
    const bool maximum = node->op == TWI_OP_REDUCE_MAX;
    const tw_status st = whole_pool(b, in, twi_onednn_dtype(b), maximum, &out);
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}
