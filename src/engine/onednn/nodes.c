/* nodes.c - from nodes to steps that run oneDNN primitives. */
#include "engine/onednn/nodes.h"

twi_dtype twi_onednn_dtype(const twi_build *b)
{
    const tw_precision precision = b->program->opts.precision;
    const bool half = precision == TW_PRECISION_BF16 ||
                      (precision == TW_PRECISION_INT8 && twi_precision_native(TW_PRECISION_BF16));
    return half ? TWI_BF16 : TWI_F32;
}

const twi_node *twi_build_node(const twi_build *b)
{
    return &b->network->nodes[b->node];
}

uint32_t twi_input_value(const twi_build *b, size_t i)
{
    return b->value_of[twi_build_node(b)->inputs[i]];
}

const twi_layout *twi_value_layout(const twi_build *b, uint32_t value)
{
    return b->program->values[value].layout;
}

tw_status twi_node_layout(twi_build *b, uint32_t node, twi_dtype dtype, twi_order order,
                          const twi_layout **out)
{
    const twi_shape *shape = &b->shapes[node];
    size_t dims[4] = {b->program->opts.batch}, count;
    const tw_status st =
        twi_batch_elements(b->ctx, b->network->nodes[node].name, dims[0], shape, &count);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < shape->rank; i++) dims[1 + i] = shape->dims[i];
    if (shape->rank == 2) { /* the tokens of all pictures, one a row */
        dims[0] = count / shape->dims[1];
        dims[1] = shape->dims[1];
        return twi_layout_new(b->ctx, b->program->device, 2, dims, dtype, order, out);
    }
    return twi_layout_new(b->ctx, b->program->device, shape->rank + 1, dims, dtype, order, out);
}

void twi_onednn_done(twi_build *b, uint32_t value)
{
    b->value_of[b->node] = value;
}

/* ---- steps --------------------------------------------------------------------------------- */

typedef struct primitive_state {
    const twi_primitive *primitive;
    bool reads_pictures;
} primitive_state;

static tw_status primitive_bind(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                                void **bound)
{
    const primitive_state *state = step->state;
    const size_t count = twi_primitive_arg_count(state->primitive);
    void **memory;
    tw_status st = twi_zalloc(ctx, count, &memory);
    if (st != TW_OK) return st;
    size_t n = 0;
    for (size_t i = 0; i < step->n_in; i++) memory[n++] = workspace->at[step->in[i]];
    for (size_t i = 0; i < TWI_PARAMS; i++)
        if (step->params[i]) memory[n++] = step->params[i]->data;
    memory[n++] = workspace->at[step->out];
    if (step->scratch != TWI_NO_VALUE) memory[n] = workspace->at[step->scratch];
    twi_bound *made = NULL;
    st = twi_bound_new(ctx, workspace->program->device, state->primitive, memory, &made);
    twi_free(memory);
    if (st == TW_OK) *bound = made;
    return st;
}

static void primitive_unbind(void *bound)
{
    twi_bound_free(bound);
}

static tw_status primitive_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                               void *bound)
{
    const primitive_state *state = step->state;
    tw_status st = TW_OK;
    for (size_t i = 0; state->reads_pictures && i < step->n_in && st == TW_OK; i++)
        if (step->in[i] == 0) st = twi_bound_move(ctx, bound, i, workspace->at[0]);
    return st == TW_OK ? twi_bound_run(ctx, bound) : st;
}

static const twi_step_kind primitive_kind = {primitive_bind, primitive_unbind, primitive_run};

tw_status twi_onednn_step(twi_build *b, const twi_primitive *primitive, size_t n_in,
                          const uint32_t *in, const twi_packed *const *params, uint32_t *out)
{
    primitive_state *state;
    tw_status st = twi_arena_take(b->ctx, &b->program->memory, 1, &state);
    if (st != TW_OK) return st;
    *state = (primitive_state){.primitive = primitive};
    for (size_t i = 0; i < n_in; i++) state->reads_pictures |= in[i] == 0;
    twi_step step = {.kind = &primitive_kind,
                     .n_in = n_in,
                     .in = in,
                     .out = *out,
                     .scratch = TWI_NO_VALUE,
                     .state = state};
    for (size_t i = 0; params && i < TWI_PARAMS; i++) step.params[i] = params[i];
    if (*out == TWI_NO_VALUE)
        st = twi_build_value(b, twi_primitive_layout(primitive, TWI_ROLE_DST), 0, &step.out);
    const size_t scratch = twi_primitive_scratch_bytes(primitive);
    if (st == TW_OK && scratch > 0) st = twi_build_value(b, NULL, scratch, &step.scratch);
    if (st == TW_OK) st = twi_build_step(b, &step);
    if (st == TW_OK) *out = step.out;
    return st;
}

tw_status twi_onednn_from(twi_build *b, uint32_t value, const twi_layout *from,
                          const twi_layout *to, uint32_t *out)
{
    if (twi_layout_equal(from, to)) {
        *out = value;
        return TW_OK;
    }
    const twi_primitive *reorder;
    const tw_status st = twi_primitive_reorder(b->ctx, b->program->device, from, to, &reorder);
    if (st != TW_OK) return st;
    *out = TWI_NO_VALUE;
    return twi_onednn_step(b, reorder, 1, &value, NULL, out);
}

tw_status twi_onednn_as(twi_build *b, uint32_t value, const twi_layout *layout, uint32_t *out)
{
    const float scale = b->program->values[value].scale;
    const twi_layout *now = twi_value_layout(b, value);
    const twi_primitive *reorder;
    if (scale == 0.0f || twi_layout_equal(now, layout))
        return twi_onednn_from(b, value, now, layout, out);
    const bool eight = twi_layout_dtype(layout) == twi_layout_dtype(now);
    tw_status st = twi_primitive_rescale(b->ctx, b->program->device, now, layout,
                                         eight ? 0 : (double)scale, &reorder);
    *out = TWI_NO_VALUE;
    if (st == TW_OK) st = twi_onednn_step(b, reorder, 1, &value, NULL, out);
    if (st == TW_OK && eight) b->program->values[*out].scale = scale;
    return st;
}

tw_status twi_onednn_relabel(twi_build *b, uint32_t value, const twi_layout *layout, uint32_t *out)
{
    const twi_layout *now = twi_value_layout(b, value);
    const twi_primitive *copy;
    tw_status st = TW_OK;
    *out = value;
    if (!twi_onednn_last_use(b, value)) {
        *out = TWI_NO_VALUE;
        st = twi_primitive_reorder(b->ctx, b->program->device, now, now, &copy);
        if (st == TW_OK) st = twi_onednn_step(b, copy, 1, &value, NULL, out);
    }
    if (st != TW_OK) return st;
    b->program->values[*out].layout = layout;
    b->program->values[*out].eight = TWI_NO_VALUE; /* that one has the old layout */
    return TW_OK;
}

const twi_lanes *twi_lanes_here(void)
{
    const twi_isa isa = twi_device_isa();
    if (isa >= TWI_ISA_AVX512 && twi_lanes_avx512.combine) return &twi_lanes_avx512;
    return isa >= TWI_ISA_AVX2 && twi_lanes_avx2.combine ? &twi_lanes_avx2 : &twi_lanes_plain;
}

bool twi_onednn_last_use(const twi_build *b, uint32_t value)
{
    return value != 0 && b->program->values[value].readers <= 1;
}

/* ---- weights ------------------------------------------------------------------------------- */

typedef struct weight_fill {
    twi_device *device;
    const twi_tensor *tensor;
    const twi_layout *plain;
    const twi_primitive *reorder;
} weight_fill;

/* Widened to float32 first: oneDNN 2.6 has no reorder from half to bfloat16. */
static tw_status fill_weight(tw_ctx *ctx, const void *user, void *data)
{
    const weight_fill *fill = user;
    float *floats = NULL;
    twi_bound *bound = NULL;
    unsigned char *scratch = NULL;
    tw_status st = twi_alloc(ctx, fill->tensor->count, &floats);
    if (st == TW_OK) st = twi_tensor_floats(ctx, fill->tensor, floats);
    if (st == TW_OK) st = twi_alloc(ctx, twi_primitive_scratch_bytes(fill->reorder), &scratch);
    if (st == TW_OK) {
        void *memory[3] = {floats, data, scratch};
        st = twi_bound_new(ctx, fill->device, fill->reorder, memory, &bound);
    }
    if (st == TW_OK) st = twi_bound_run(ctx, bound);
    twi_bound_free(bound);
    twi_free(scratch);
    twi_free(floats);
    return st;
}

tw_status twi_onednn_weight(twi_build *b, const twi_primitive *primitive, const twi_layout *plain,
                            const twi_packed **out)
{
    const twi_layout *wanted = twi_primitive_layout(primitive, TWI_ROLE_WEIGHTS);
    weight_fill fill = {.device = b->program->device,
                        .tensor = twi_build_node(b)->params[TWI_PARAM_WEIGHT],
                        .plain = plain};
    const tw_status st =
        twi_primitive_reorder(b->ctx, b->program->device, plain, wanted, &fill.reorder);
    if (st != TW_OK) return st;
    /* The key's layout is only compared and copied. */
    const twi_packed key = {.node = b->node,
                            .param = TWI_PARAM_WEIGHT,
                            .packing = TWI_PACKING_LAYOUT,
                            .layout = (twi_layout *)(uintptr_t)wanted,
                            .bytes = twi_layout_bytes(wanted)};
    return twi_build_packed(b, &key, fill_weight, &fill, out);
}

tw_status twi_onednn_sum(twi_build *b, const twi_layout *layout, uint32_t *out)
{
    const uint32_t value = b->value_of[twi_build_node(b)->fused_add];
    uint32_t copy;
    tw_status st = twi_onednn_as(b, value, layout, &copy);
    if (st != TW_OK || copy != value || twi_onednn_last_use(b, value)) {
        *out = copy;
        return st;
    }
    /* The caller's pictures, or others will read it after us: add into a copy. */
    const twi_primitive *reorder;
    st = twi_primitive_reorder(b->ctx, b->program->device, layout, layout, &reorder);
    if (st != TW_OK) return st;
    *out = TWI_NO_VALUE;
    return twi_onednn_step(b, reorder, 1, &value, NULL, out);
}

/* ---- nodes --------------------------------------------------------------------------------- */

tw_status twi_onednn_plain_c(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const size_t n_in = node->n_inputs + (node->fused_add != TWI_NO_NODE);
    const twi_layout *layout;
    uint32_t *in, out;
    tw_status st = twi_alloc(b->ctx, n_in, &in);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n_in && st == TW_OK; i++) {
        const uint32_t from = i < node->n_inputs ? node->inputs[i] : node->fused_add;
        st = twi_node_layout(b, from, TWI_F32, TWI_ORDER_PLAIN, &layout);
        if (st == TW_OK) st = twi_onednn_as(b, b->value_of[from], layout, &in[i]);
    }
    if (st == TW_OK) st = twi_node_layout(b, b->node, TWI_F32, TWI_ORDER_PLAIN, &layout);
    if (st == TW_OK) st = twi_build_value(b, layout, 0, &out);
    if (st == TW_OK) st = twi_reference_build(b, in, out);
    twi_free(in);
    if (st == TW_OK) twi_onednn_done(b, out);
    return st;
}

tw_status twi_onednn_activate(twi_build *b, const twi_activation *f, uint32_t value)
{
    const twi_primitive *primitive;
    const tw_status st = twi_primitive_eltwise(b->ctx, b->program->device,
                                               twi_value_layout(b, value), f, &primitive);
    return st == TW_OK ? twi_onednn_step(b, primitive, 1, &value, NULL, &value) : st;
}

tw_status twi_onednn_node(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    if (node->op == TWI_OP_INPUT) {
        twi_onednn_done(b, 0); /* its first reader reorders it */
        return TW_OK;
    }
    const twi_operator *op = twi_operator_of(node->op);
    tw_status (*const build)(twi_build *) = op->build ? op->build : twi_onednn_plain_c;
    return b->eights && !op->eights ? twi_onednn_without_eights(b, build) : build(b);
}

tw_status twi_onednn_output(twi_build *b)
{
    const twi_layout *plain;
    const tw_status st = twi_node_layout(b, b->node, TWI_F32, TWI_ORDER_PLAIN, &plain);
    return st == TW_OK ? twi_onednn_as(b, b->value_of[b->node], plain, &b->program->output) : st;
}
