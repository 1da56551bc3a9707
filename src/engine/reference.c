/* reference.c - steps of plain C: a whole reference program, and the operators oneDNN is not asked
 * for. */
#include "engine/operators.h"

#include <string.h>

typedef struct reference_state {
    twi_node node; /* without name, inputs and params: the network may be gone */
    size_t batch, elements;
    const twi_shape *in_shapes;
    twi_shape out_shape, param_shapes[TWI_PARAMS];
} reference_state;

/* What fusion hung on the node: out = activation(out + sum?). */
static void finish(const reference_state *state, const float *sum, float *out)
{
    for (size_t i = 0; sum && i < state->elements; i++) out[i] += sum[i];
    if (state->node.fused.op == TWI_OP_INPUT) return;
    for (size_t i = 0; i < state->elements; i++)
        out[i] = (float)twi_activate(&state->node.fused, (double)out[i]);
}

static tw_status reference_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                               void *bound)
{
    (void)ctx;
    const reference_state *state = step->state;
    const float **in = bound;
    for (size_t i = 0; i < step->n_in; i++) in[i] = workspace->at[step->in[i]];
    const float *params[TWI_PARAMS] = {0};
    for (size_t i = 0; i < TWI_PARAMS; i++)
        if (step->params[i]) params[i] = step->params[i]->data;
    twi_reference_args args = {.node = &state->node,
                               .batch = state->batch,
                               .in_shapes = state->in_shapes,
                               .out_shape = state->out_shape,
                               .in = in,
                               .params = params,
                               .out = workspace->at[step->out]};
    memcpy(args.param_shapes, state->param_shapes, sizeof args.param_shapes);
    twi_operator_of(state->node.op)->compute(&args);
    const bool sum = state->node.fused_add != TWI_NO_NODE;
    finish(state, sum ? in[step->n_in - 1] : NULL, args.out);
    return TW_OK;
}

static tw_status reference_bind(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                                void **bound)
{
    (void)workspace;
    return twi_alloc_bytes(ctx, step->n_in, sizeof(const float *), false, bound);
}

static const twi_step_kind reference_kind = {reference_bind, twi_free, reference_run};

tw_status twi_reference_build(twi_build *b, const uint32_t *in, uint32_t out)
{
    const twi_node *node = &b->network->nodes[b->node];
    twi_program *p = b->program;
    reference_state *state;
    twi_shape *shapes;
    tw_status st = twi_arena_take(b->ctx, &p->memory, 1, &state);
    if (st == TW_OK) st = twi_arena_take(b->ctx, &p->memory, node->n_inputs, &shapes);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < node->n_inputs; i++) shapes[i] = b->shapes[node->inputs[i]];
    *state = (reference_state){.node = *node,
                               .batch = p->opts.batch,
                               .in_shapes = shapes,
                               .out_shape = b->shapes[b->node]};
    state->node.name = NULL;
    state->node.inputs = NULL;
    memset(state->node.params, 0, sizeof state->node.params);
    st = twi_batch_elements(b->ctx, node->name, p->opts.batch, &state->out_shape, &state->elements);
    twi_step step = {.kind = &reference_kind,
                     .n_in = node->n_inputs + (node->fused_add != TWI_NO_NODE),
                     .in = in,
                     .out = out,
                     .scratch = TWI_NO_VALUE,
                     .state = state};
    for (unsigned i = 0; i < TWI_PARAMS && st == TW_OK; i++) {
        if (!node->params[i]) continue;
        state->param_shapes[i] = twi_shape_of_tensor(node->params[i]);
        st = twi_build_floats(b, b->node, i, &step.params[i]);
    }
    return st == TW_OK ? twi_build_step(b, &step) : st;
}

/* ---- a reference program ------------------------------------------------------------------- */

typedef struct load_state {
    size_t batch, channels, area;
} load_state;

/* The pictures [n, h, w, c] -> [n, c, h, w]. */
static tw_status load_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace, void *bound)
{
    (void)ctx, (void)bound;
    const load_state *s = step->state;
    const float *src = workspace->at[step->in[0]];
    float *dst = workspace->at[step->out];
    for (size_t n = 0; n < s->batch; n++)
        for (size_t c = 0; c < s->channels; c++)
            for (size_t i = 0; i < s->area; i++) *dst++ = src[(n * s->area + i) * s->channels + c];
    return TW_OK;
}

static const twi_step_kind load_kind = {NULL, NULL, load_run};

static tw_status build_load(twi_build *b, uint32_t out)
{
    const twi_shape *shape = &b->shapes[0];
    load_state *state;
    const tw_status st = twi_arena_take(b->ctx, &b->program->memory, 1, &state);
    if (st != TW_OK) return st;
    *state = (load_state){b->program->opts.batch, shape->dims[0], shape->dims[1] * shape->dims[2]};
    const twi_step step = {.kind = &load_kind,
                           .n_in = 1,
                           .in = &(uint32_t){0},
                           .out = out,
                           .scratch = TWI_NO_VALUE,
                           .state = state};
    return twi_build_step(b, &step);
}

tw_status twi_reference_node(twi_build *b)
{
    const twi_node *node = &b->network->nodes[b->node];
    size_t count, bytes;
    uint32_t out, *in = NULL;
    tw_status st =
        twi_batch_elements(b->ctx, node->name, b->program->opts.batch, &b->shapes[b->node], &count);
    if (st != TW_OK) return st;
    if (twi_mul(count, sizeof(float), &bytes))
        return twi_fail(b->ctx, TW_ERR_NOMEM, "%s: %zu values do not fit", node->name, count);
    if ((st = twi_build_value(b, NULL, bytes, &out)) != TW_OK) return st;
    if (node->op == TWI_OP_INPUT) {
        st = build_load(b, out);
    } else {
        if ((st = twi_alloc(b->ctx, node->n_inputs + 1, &in)) != TW_OK) return st;
        for (size_t i = 0; i < node->n_inputs; i++) in[i] = b->value_of[node->inputs[i]];
        if (node->fused_add != TWI_NO_NODE) in[node->n_inputs] = b->value_of[node->fused_add];
        st = twi_reference_build(b, in, out);
        twi_free(in);
    }
    if (st != TW_OK) return st;
    b->value_of[b->node] = out;
    b->program->output = out;
    return TW_OK;
}
