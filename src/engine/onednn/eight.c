/* eight.c - layers in 8 bits: which values become integers, and what between them stays so.
 *
 * Weights have a scale for each output channel, activations one a value (see eights.c). Sums are
 * exact 32-bit integers, so that rows do not depend on the order in which they are added. Values
 * are floating point again wherever an operator has no 8-bit form here. */
#include "engine/onednn/nodes.h"

#include <math.h>
#include <string.h>

static twi_value *value_at(const twi_build *b, uint32_t value)
{
    return &b->program->values[value];
}

bool twi_onednn_is_eight(const twi_build *b, uint32_t value)
{
    return value_at(b, value)->scale != 0.0f;
}

/* value as floating point of the program's type, in the order it has: itself if it is. */
static tw_status in_floats(twi_build *b, uint32_t value, uint32_t *out)
{
    const twi_layout *layout;
    *out = value;
    if (!twi_onednn_is_eight(b, value)) return TW_OK;
    const tw_status st = twi_layout_retyped(b->ctx, b->program->device, twi_value_layout(b, value),
                                            twi_onednn_dtype(b), &layout);
    return st == TW_OK ? twi_onednn_as(b, value, layout, out) : st;
}

tw_status twi_onednn_without_eights(twi_build *b, tw_status (*build)(twi_build *b))
{
    const twi_node *node = twi_build_node(b);
    uint32_t *kept;
    tw_status st = twi_alloc(b->ctx, node->n_inputs, &kept);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < node->n_inputs; i++) kept[i] = b->value_of[node->inputs[i]];
    for (size_t i = 0; i < node->n_inputs && st == TW_OK; i++)
        st = in_floats(b, kept[i], &b->value_of[node->inputs[i]]);
    if (st == TW_OK) st = build(b);
    for (size_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != b->node) b->value_of[node->inputs[i]] = kept[i];
    twi_free(kept);
    return st;
}

/* The value of node in 8 bits, channels last; tokens one after the other. */
static tw_status in_eight(twi_build *b, uint32_t node, uint32_t *out)
{
    const twi_eight *eight = &b->eights[node];
    const uint32_t value = b->value_of[node];
    const twi_layout *layout;
    const twi_primitive *reorder;
    *out = twi_onednn_is_eight(b, value) ? value : value_at(b, value)->eight;
    if (*out != TWI_NO_VALUE) return TW_OK;
    const twi_order order = b->shapes[node].rank == 3 ? TWI_ORDER_NHWC : TWI_ORDER_PLAIN;
    tw_status st = twi_node_layout(b, node, eight->dtype, order, &layout);
    if (st == TW_OK)
        st = twi_primitive_rescale(b->ctx, b->program->device, twi_value_layout(b, value), layout,
                                   1.0 / (double)eight->scale, &reorder);
    if (st == TW_OK) st = twi_onednn_step(b, reorder, 1, &value, NULL, out);
    if (st != TW_OK) return st;
    value_at(b, *out)->scale = eight->scale;
    value_at(b, value)->eight = *out;
    return TW_OK;
}

/* ---- weights ------------------------------------------------------------------------------- */

typedef struct weights {
    float *floats; /* [out, each] */
    float *scales; /* [out] */
    size_t out, each;
} weights;

static void weights_free(weights *w)
{
    twi_free(w->floats);
    twi_free(w->scales);
}

static tw_status weights_read(tw_ctx *ctx, const twi_tensor *tensor, weights *w)
{
    w->out = tensor->dims[0];
    w->each = tensor->count / w->out;
    tw_status st = twi_alloc(ctx, tensor->count, &w->floats);
    if (st == TW_OK) st = twi_alloc(ctx, w->out, &w->scales);
    if (st == TW_OK) st = twi_tensor_floats(ctx, tensor, w->floats);
    for (size_t o = 0; st == TW_OK && o < w->out; o++) {
        float most = 0;
        for (size_t i = 0; i < w->each; i++) most = fmaxf(most, fabsf(w->floats[o * w->each + i]));
        w->scales[o] = most > 0 ? most / 127.0f : 1.0f;
    }
    return st;
}

typedef struct weight_fill {
    twi_device *device;
    const weights *weights;
    const twi_primitive *reorder;
} weight_fill;

static tw_status fill_weights(tw_ctx *ctx, const void *user, void *data)
{
    const weight_fill *fill = user;
    const weights *w = fill->weights;
    int8_t *plain = NULL;
    unsigned char *scratch = NULL;
    twi_bound *bound = NULL;
    tw_status st = twi_alloc(ctx, w->out * w->each, &plain);
    if (st == TW_OK) st = twi_alloc(ctx, twi_primitive_scratch_bytes(fill->reorder), &scratch);
    if (st != TW_OK) goto done;
    for (size_t o = 0; o < w->out; o++)
        for (size_t i = 0; i < w->each; i++)
            plain[o * w->each + i] = (int8_t)lrintf(w->floats[o * w->each + i] / w->scales[o]);
    void *memory[3] = {plain, data, scratch};
    if ((st = twi_bound_new(ctx, fill->device, fill->reorder, memory, &bound)) != TW_OK) goto done;
    st = twi_bound_run(ctx, bound);
done:
    twi_bound_free(bound);
    twi_free(scratch);
    twi_free(plain);
    return st;
}

typedef struct bias_fill {
    const twi_tensor *bias;
    const weights *weights;
    float src_scale;
} bias_fill;

static tw_status fill_bias(tw_ctx *ctx, const void *user, void *data)
{
    const bias_fill *fill = user;
    float *bias = data;
    const tw_status st = twi_tensor_floats(ctx, fill->bias, bias);
    for (size_t o = 0; st == TW_OK && o < fill->weights->out; o++)
        bias[o] /= fill->src_scale * fill->weights->scales[o];
    return st;
}

static tw_status layer_params(twi_build *b, const twi_primitive *layer, const weights *w,
                              float src_scale, const twi_packed **params)
{
    const twi_node *node = twi_build_node(b);
    const twi_layout *plain, *wanted = twi_primitive_layout(layer, TWI_ROLE_WEIGHTS);
    const twi_tensor *bias = node->params[TWI_PARAM_BIAS];
    weight_fill fill = {.device = b->program->device, .weights = w};
    tw_status st = twi_onednn_plain_weight(b, TWI_I8, &plain);
    if (st == TW_OK) st = twi_primitive_reorder(b->ctx, fill.device, plain, wanted, &fill.reorder);
    if (st != TW_OK) return st;
    twi_packed key = {.node = b->node,
                      .param = TWI_PARAM_WEIGHT,
                      .packing = TWI_PACKING_LAYOUT,
                      .layout = (twi_layout *)(uintptr_t)wanted, /* compared and copied alone */
                      .bytes = twi_layout_bytes(wanted)};
    st = twi_build_packed(b, &key, fill_weights, &fill, &params[TWI_PARAM_WEIGHT]);
    if (st != TW_OK || !bias) return st;
    key = (twi_packed){.node = b->node,
                       .param = TWI_PARAM_BIAS,
                       .packing = TWI_PACKING_SCALED,
                       .bytes = w->out * sizeof(float)};
    const bias_fill scaled = {bias, w, src_scale};
    return twi_build_packed(b, &key, fill_bias, &scaled, &params[TWI_PARAM_BIAS]);
}

/* ---- convolutions -------------------------------------------------------------------------- */

tw_status twi_onednn_eight_sum(twi_build *b, const twi_layout *dst, const twi_eight_end *end,
                               uint32_t *out)
{
    const uint32_t value = b->value_of[twi_build_node(b)->fused_add];
    const twi_layout *layout;
    const twi_primitive *reorder;
    if (end->dst != TWI_U8 && end->dst != TWI_I8) return twi_onednn_sum(b, dst, out);
    tw_status st = twi_layout_retyped(b->ctx, b->program->device, dst, end->sum, &layout);
    if (st != TW_OK) return st;
    *out = value;
    if (twi_onednn_is_eight(b, value) && twi_onednn_last_use(b, value) &&
        twi_layout_equal(twi_value_layout(b, value), layout))
        return TW_OK;
    const double scale = twi_onednn_is_eight(b, value) ? 0 : 1.0 / (double)end->sum_scale;
    st = twi_primitive_rescale(b->ctx, b->program->device, twi_value_layout(b, value), layout,
                               scale, &reorder);
    *out = TWI_NO_VALUE;
    return st == TW_OK ? twi_onednn_step(b, reorder, 1, &value, NULL, out) : st;
}

/* The summand is taken as it is kept, or where it is floating point, as it would be. */
twi_eight_end twi_onednn_eight_end(const twi_build *b)
{
    const twi_eight *own = &b->eights[b->node];
    const uint32_t node = twi_build_node(b)->fused_add;
    twi_eight_end end = {twi_onednn_dtype(b), twi_onednn_dtype(b), 1.0f, 1.0f};
    if (!own->wanted || own->scale == 0.0f) return end;
    end = (twi_eight_end){own->dtype, own->dtype, own->scale, own->scale};
    if (node == TWI_NO_NODE) return end;
    const uint32_t value = b->value_of[node];
    if (twi_onednn_is_eight(b, value)) {
        end.sum = twi_layout_dtype(twi_value_layout(b, value));
        end.sum_scale = value_at(b, value)->scale;
    } else if (b->eights[node].scale != 0.0f) {
        end.sum = b->eights[node].dtype;
        end.sum_scale = b->eights[node].scale;
    }
    return end;
}

static twi_spec8 describe(twi_build *b, uint32_t in, const weights *w)
{
    const twi_eight_end end = twi_onednn_eight_end(b);
    return (twi_spec8){.src = twi_layout_dtype(twi_value_layout(b, in)),
                       .src_scale = value_at(b, in)->scale,
                       .dst = end.dst,
                       .dst_scale = end.dst_scale,
                       .sum = end.sum,
                       .sum_scale = end.sum_scale,
                       .weight_scales = w->scales};
}

static tw_status conv_step(twi_build *b, const twi_primitive *conv, const twi_spec *spec,
                           const weights *w, uint32_t in)
{
    const twi_packed *params[TWI_PARAMS] = {0};
    const twi_layout *dst = twi_primitive_layout(conv, TWI_ROLE_DST);
    const twi_spec8 *e = spec->eight;
    uint32_t out = TWI_NO_VALUE;
    tw_status st = twi_onednn_as(b, in, twi_primitive_layout(conv, TWI_ROLE_SRC), &in);
    if (st == TW_OK) st = layer_params(b, conv, w, e->src_scale, params);
    const twi_eight_end end = {e->dst, e->sum, e->dst_scale, e->sum_scale};
    if (st == TW_OK && spec->sum) st = twi_onednn_eight_sum(b, dst, &end, &out);
    if (st == TW_OK) st = twi_onednn_step(b, conv, 1, &in, params, &out);
    if (st != TW_OK) return st;
    value_at(b, out)->layout = dst;
    value_at(b, out)->scale = e->dst == TWI_U8 || e->dst == TWI_I8 ? e->dst_scale : 0.0f;
    twi_onednn_done(b, out);
    return TW_OK;
}

tw_status twi_onednn_eight_conv(twi_build *b, bool *done)
{
    const twi_node *node = twi_build_node(b);
    weights w = {0};
    uint32_t in = 0;
    const twi_primitive *conv;
    *done = false;
    if (!b->eights || b->eights[node->inputs[0]].scale == 0.0f) return TW_OK;
    tw_status st = in_eight(b, node->inputs[0], &in);
    if (st == TW_OK) st = weights_read(b->ctx, node->params[TWI_PARAM_WEIGHT], &w);
    if (st != TW_OK) goto done;
    const twi_spec8 eight = describe(b, in, &w);
    const twi_spec spec = {.name = node->name,
                           .batch = b->program->opts.batch,
                           .in = &b->shapes[node->inputs[0]],
                           .out = &b->shapes[b->node],
                           .window = &node->window,
                           .groups = node->groups,
                           .eight = &eight,
                           .bias = node->params[TWI_PARAM_BIAS] != NULL,
                           .after = node->fused,
                           .sum = node->fused_add != TWI_NO_NODE};
    st = twi_primitive_conv(b->ctx, b->program->device, &spec, &conv);
    *done = st == TW_OK;
    if (*done)
        st = conv_step(b, conv, &spec, &w, in);
    else if (st == TW_ERR_UNSUPPORTED)
        st = TW_OK; /* in floating point, then */
done:
    weights_free(&w);
    return st;
}

/* ---- dense layers -------------------------------------------------------------------------- */

/* Of tokens; what it makes is floating point, as it is where there are no 8 bits. */
static tw_status dense_step(twi_build *b, const twi_primitive *dense, const twi_spec *spec,
                            const weights *w, uint32_t in)
{
    const twi_packed *params[TWI_PARAMS] = {0};
    uint32_t out = TWI_NO_VALUE;
    tw_status st = layer_params(b, dense, w, spec->eight->src_scale, params);
    if (st == TW_OK && spec->sum)
        st = twi_onednn_sum(b, twi_primitive_layout(dense, TWI_ROLE_DST), &out);
    if (st == TW_OK) st = twi_onednn_step(b, dense, 1, &in, params, &out);
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}

tw_status twi_onednn_eight_dense(twi_build *b, twi_spec *spec, bool *done)
{
    const twi_node *node = twi_build_node(b);
    weights w = {0};
    uint32_t in = 0;
    const twi_primitive *dense;
    *done = false;
    if (!b->eights || b->eights[node->inputs[0]].scale == 0.0f || b->shapes[b->node].rank != 2)
        return TW_OK;
    tw_status st = in_eight(b, node->inputs[0], &in);
    if (st == TW_OK) st = weights_read(b->ctx, node->params[TWI_PARAM_WEIGHT], &w);
    if (st != TW_OK) goto done;
    const twi_dtype dst = twi_layout_dtype(spec->dst);
    const twi_spec8 eight = {.src = twi_layout_dtype(twi_value_layout(b, in)),
                             .src_scale = value_at(b, in)->scale,
                             .dst = dst,
                             .sum = dst,
                             .dst_scale = 1.0f,
                             .sum_scale = 1.0f,
                             .weight_scales = w.scales};
    spec->eight = &eight;
    st = twi_primitive_dense(b->ctx, b->program->device, spec, &dense);
    *done = st == TW_OK;
    if (*done)
        st = dense_step(b, dense, spec, &w, in);
    else if (st == TW_ERR_UNSUPPORTED)
        st = TW_OK; /* in floating point, then */
    spec->eight = NULL;
done:
    weights_free(&w);
    return st;
}

/* ---- pools and joins ----------------------------------------------------------------------- */

bool twi_onednn_eight_pool(const twi_build *b, twi_op op)
{
    /* A maximum is as exact as what it is of; an average is rounded once more. */
    return twi_onednn_is_eight(b, twi_input_value(b, 0)) &&
           (op == TWI_OP_MAX_POOL || b->eights[b->node].wanted);
}

bool twi_onednn_eight_concat(const twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    if (!b->eights || b->shapes[b->node].rank != 3 || node->axis != 0) return false;
    const twi_eight *eight = &b->eights[b->node];
    if (!eight->wanted) return false;
    for (size_t i = 0; i < node->n_inputs; i++) {
        const twi_value *value = value_at(b, twi_input_value(b, i));
        if (value->scale != 0.0f &&
            (value->scale != eight->scale || twi_layout_dtype(value->layout) != eight->dtype))
            return false;
    }
    return true;
}

tw_status twi_onednn_eight_inputs(twi_build *b, uint32_t *in)
{
    const twi_node *node = twi_build_node(b);
    tw_status st = TW_OK;
    for (size_t i = 0; i < node->n_inputs && st == TW_OK; i++)
        st = in_eight(b, node->inputs[i], &in[i]);
    return st;
}

void twi_onednn_eight_done(twi_build *b, uint32_t value, float scale)
{
    value_at(b, value)->scale = scale;
    twi_onednn_done(b, value);
}
