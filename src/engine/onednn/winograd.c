/* winograd.c - convolutions that run on kernels of our own, between primitives of oneDNN. */
#include "engine/onednn/winograd.h"

#include "engine/onednn/nodes.h"

/* Fewer channels leave the transforms unpaid for; fewer tiles leave the weights, which grow
 * fourfold, to be read for too little work. Measured with bench/network on Zen 4. Tiles are of one
 * picture: programs for other batches must choose the same, so that features are the same. */
#define LEAST_CHANNELS ((size_t)32)
#define LEAST_TILES    ((size_t)4)

const twi_wino_kernels *twi_winograd_kernels(twi_dtype dtype)
{
    const twi_isa isa = twi_device_isa();
    if (dtype == TWI_F32) return isa >= TWI_ISA_AVX512 ? twi_wino_avx512(dtype) : NULL;
    /* With AMX, multiplying by the definition is faster than transforming. 8 bits come with
     * bfloat16 maps, and with VNNI, which what has AVX512-BF16 has. */
    return isa == TWI_ISA_AVX512_BF16 ? twi_wino_avx512(dtype) : NULL;
}

bool twi_winograd_fits(const twi_node *node, const twi_shape *in, const twi_shape *out)
{
    const twi_window *w = &node->window;
    for (int i = 0; i < 2; i++)
        if (w->kernel[i] != 3 || w->stride[i] != 1 || w->dilation[i] != 1 || w->pad_begin[i] > 2)
            return false;
    return node->groups == 1 && in->dims[0] % TWI_WINO_LANES == 0 &&
           out->dims[0] % TWI_WINO_LANES == 0 && in->dims[0] >= LEAST_CHANNELS &&
           out->dims[0] >= LEAST_CHANNELS;
}

size_t twi_winograd_tiles(const twi_shape *out)
{
    const size_t down = (out->dims[1] + TWI_WINO_OUT - 1) / TWI_WINO_OUT;
    return down * ((out->dims[2] + TWI_WINO_OUT - 1) / TWI_WINO_OUT);
}

static bool fits(const twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *out = &b->shapes[b->node];
    if (!twi_winograd_fits(node, &b->shapes[node->inputs[0]], out)) return false;
    return twi_winograd_tiles(out) >= LEAST_TILES;
}

twi_wino_strides twi_winograd_strides(const twi_shape *shape, twi_order order)
{
    const ptrdiff_t channels = (ptrdiff_t)shape->dims[0], height = (ptrdiff_t)shape->dims[1];
    const ptrdiff_t width = (ptrdiff_t)shape->dims[2], lanes = TWI_WINO_LANES;
    const ptrdiff_t image = channels * height * width;
    if (order == TWI_ORDER_NHWC)
        return (twi_wino_strides){image, width * channels, channels, lanes};
    return (twi_wino_strides){image, width * lanes, lanes, height * width * lanes};
}

/* ---- the step ------------------------------------------------------------------------------ */

static tw_status wino_step_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                               void *bound)
{
    (void)ctx, (void)bound;
    twi_wino_run(step->state, workspace->at[step->in[0]], step->params[TWI_PARAM_WEIGHT]->data,
                 step->params[TWI_PARAM_BIAS]->data, workspace->at[step->out],
                 workspace->at[step->scratch]);
    return TW_OK;
}

static const twi_step_kind wino_step = {NULL, NULL, wino_step_run};

/* ---- weights ------------------------------------------------------------------------------- */

typedef struct wino_fill {
    const twi_wino *conv;
    const twi_tensor *weight, *bias; /* bias may be NULL */
} wino_fill;

static tw_status fill_weights(tw_ctx *ctx, const void *user, void *data)
{
    const wino_fill *fill = user;
    float *floats;
    tw_status st = twi_alloc(ctx, fill->weight->count, &floats);
    if (st != TW_OK) return st;
    st = twi_tensor_floats(ctx, fill->weight, floats);
    const twi_wino_filters filters = twi_wino_filters_of(floats, fill->conv->in_channels);
    if (st == TW_OK) twi_wino_pack(fill->conv, &filters, data);
    twi_free(floats);
    return st;
}

static tw_status fill_bias(tw_ctx *ctx, const void *user, void *data)
{
    const wino_fill *fill = user;
    if (fill->bias) return twi_tensor_floats(ctx, fill->bias, data);
    for (size_t i = 0; i < fill->conv->out_channels; i++) ((float *)data)[i] = 0.0f;
    return TW_OK;
}

static tw_status pack_params(twi_build *b, const twi_wino *conv, const twi_packed **params)
{
    const twi_node *node = twi_build_node(b);
    const wino_fill fill = {conv, node->params[TWI_PARAM_WEIGHT], node->params[TWI_PARAM_BIAS]};
    twi_packed key = {.node = b->node,
                      .param = TWI_PARAM_WEIGHT,
                      .packing = TWI_PACKING_WINOGRAD,
                      .bytes = twi_wino_packed_bytes(conv)};
    const tw_status st = twi_build_packed(b, &key, fill_weights, &fill, &params[TWI_PARAM_WEIGHT]);
    if (st != TW_OK) return st;
    key.param = TWI_PARAM_BIAS;
    key.bytes = conv->out_channels * sizeof(float);
    return twi_build_packed(b, &key, fill_bias, &fill, &params[TWI_PARAM_BIAS]);
}

/* ---- building ------------------------------------------------------------------------------ */

/* The node's source in an order whose channels come 16 together: the one it has, if it is such. */
static tw_status wino_source(twi_build *b, twi_order *order, uint32_t *in)
{
    const twi_node *node = twi_build_node(b);
    const uint32_t from = node->inputs[0], value = twi_input_value(b, 0);
    const twi_layout *blocked, *nhwc;
    tw_status st = twi_node_layout(b, from, twi_onednn_dtype(b), TWI_ORDER_BLOCK16, &blocked);
    if (st == TW_OK) st = twi_node_layout(b, from, twi_onednn_dtype(b), TWI_ORDER_NHWC, &nhwc);
    if (st != TW_OK) return st;
    const bool is_blocked = twi_layout_equal(twi_value_layout(b, value), blocked);
    *order = is_blocked ? TWI_ORDER_BLOCK16 : TWI_ORDER_NHWC;
    return twi_onednn_as(b, value, is_blocked ? blocked : nhwc, in);
}

/* What the kernels do behind the products, and of what type the value then is. In 8 bits they can
 * round only what no other activation comes after. */
static twi_eight_end end_of(const twi_build *b)
{
    const twi_activation *f = &twi_build_node(b)->fused;
    const bool known = f->op == TWI_OP_INPUT || f->op == TWI_OP_RELU;
    const twi_dtype floats = twi_onednn_dtype(b);
    return b->eights && known ? twi_onednn_eight_end(b)
                              : (twi_eight_end){floats, floats, 1.0f, 1.0f};
}

/* Where the source is, of what type, and in which order maps come and go. */
typedef struct maps {
    uint32_t source;
    twi_order from, to;
    float scale;
} maps;

static tw_status maps_of(twi_build *b, maps *m)
{
    *m = (maps){twi_input_value(b, 0), TWI_ORDER_NHWC, TWI_ORDER_NHWC, 1.0f};
    if (twi_onednn_is_eight(b, m->source)) {
        m->scale = b->program->values[m->source].scale;
        return TW_OK;
    }
    const tw_status st = wino_source(b, &m->from, &m->source);
    if (!b->eights) m->to = m->from;
    return st;
}

static twi_wino describe(const twi_build *b, const maps *m, const twi_eight_end *end)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *in = &b->shapes[node->inputs[0]], *out = &b->shapes[b->node];
    return (twi_wino){.kernels = twi_winograd_kernels(b->eights ? TWI_I8 : twi_onednn_dtype(b)),
                      .batch = b->program->opts.batch,
                      .in_channels = in->dims[0],
                      .out_channels = out->dims[0],
                      .in_size = {in->dims[1], in->dims[2]},
                      .out_size = {out->dims[1], out->dims[2]},
                      .pad = {node->window.pad_begin[0], node->window.pad_begin[1]},
                      .src = twi_winograd_strides(in, m->from),
                      .dst = twi_winograd_strides(out, m->to),
                      .src_dtype = twi_layout_dtype(twi_value_layout(b, m->source)),
                      .src_scale = m->scale,
                      .end = {.relu = node->fused.op == TWI_OP_RELU,
                              .sum = node->fused_add != TWI_NO_NODE,
                              .dtype = end->dst,
                              .old_dtype = end->sum,
                              .unit = 1.0f / end->dst_scale,
                              .old_scale = end->sum_scale},
                      .threads = b->program->opts.threads};
}

static tw_status build(twi_build *b, twi_wino *conv)
{
    const twi_node *node = twi_build_node(b);
    const twi_eight_end end = end_of(b);
    const bool floats = end.dst == twi_onednn_dtype(b);
    const twi_layout *layout;
    maps m;
    tw_status st = maps_of(b, &m);
    if (st != TW_OK) return st;
    *conv = describe(b, &m, &end);
    twi_step step = {
        .kind = &wino_step, .n_in = 1, .in = &m.source, .out = TWI_NO_VALUE, .state = conv};
    if ((st = twi_wino_plan(b->ctx, conv)) != TW_OK) return st;
    if ((st = pack_params(b, conv, step.params)) != TW_OK) return st;
    st = twi_node_layout(b, b->node, end.dst, m.to, &layout);
    if (st == TW_OK && conv->end.sum) st = twi_onednn_eight_sum(b, layout, &end, &step.out);
    if (st == TW_OK && !conv->end.sum) st = twi_build_value(b, layout, 0, &step.out);
    if (st == TW_OK) st = twi_build_value(b, NULL, conv->scratch_bytes, &step.scratch);
    if (st == TW_OK) st = twi_build_step(b, &step);
    if (st != TW_OK) return st;
    b->program->values[step.out].layout = layout;
    twi_onednn_eight_done(b, step.out, floats ? 0.0f : end.dst_scale);
    return floats && !conv->end.relu && node->fused.op != TWI_OP_INPUT
               ? twi_onednn_activate(b, &node->fused, step.out)
               : TW_OK;
}

bool twi_winograd_conv(twi_build *b, tw_status *st)
{
    twi_wino *conv;
    if (!twi_winograd_kernels(twi_onednn_dtype(b)) || !fits(b)) return false;
    *st = twi_arena_take(b->ctx, &b->program->memory, 1, &conv);
    if (*st == TW_OK) *st = build(b, conv);
    return true;
}
