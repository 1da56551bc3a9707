/* plain.c - any operator while training, in plain C on plain float32, picture by picture.
 *
 * What sums over pictures (the gradient of a parameter) is summed in their order, so that results
 * do not depend on the number of threads. Operators that only move values need no backward pass of
 * their own: forward, given the numbers of its input elements, says where each output came from. */
#include "engine/team.h"
#include "engine/training/tape.h"

#include <string.h>

typedef struct plain_state {
    twi_node node; /* without name, inputs and params: the network may be gone */
    size_t batch, threads;
    twi_shape *in_shapes, out_shape, param_shapes[TWI_PARAMS];
    size_t *in_counts, out_count, param_counts[TWI_PARAMS];
    bool needs_in, needs_out;
    const uint32_t *source; /* moves: [out_count] */
    size_t *bases;          /* moves: [n_inputs + 1] the number of each input's first element */
} plain_state;

/* The values of a step: inputs, params, output; backward behind them the output's gradient, those
 * of the inputs, those of the parameters, and [batch, count] for each of the latter. */
enum { AFTER_INPUTS = TWI_PARAMS + 1 };

static tw_status state_of(twi_tape *t, plain_state **out)
{
    const twi_node *node = twi_tape_node(t);
    const twi_training_operator *op = twi_training_operator_of(node->op);
    plain_state *s;
    tw_status st = twi_arena_take(t->ctx, &t->trainer->memory, 1, &s);
    if (st != TW_OK) return st;
    *s = (plain_state){.node = *node,
                       .batch = t->trainer->opts.batch,
                       .threads = t->trainer->opts.threads,
                       .out_shape = t->shapes[t->node],
                       .out_count = twi_shape_elements(&t->shapes[t->node]),
                       .needs_in = op->needs & TWI_NEEDS_IN,
                       .needs_out = op->needs & TWI_NEEDS_OUT,
                       .source = twi_tape_record_of(t)->source};
    st = twi_arena_take(t->ctx, &t->trainer->memory, node->n_inputs, &s->in_shapes);
    if (st == TW_OK)
        st = twi_arena_take(t->ctx, &t->trainer->memory, node->n_inputs, &s->in_counts);
    if (st == TW_OK)
        st = twi_arena_take(t->ctx, &t->trainer->memory, node->n_inputs + 1, &s->bases);
    if (st != TW_OK) return st;
    for (size_t i = 0; i <= node->n_inputs; i++) s->bases[i] = 0;
    for (size_t i = 0; i < node->n_inputs; i++) {
        s->in_shapes[i] = t->shapes[node->inputs[i]];
        s->in_counts[i] = twi_shape_elements(&s->in_shapes[i]);
        s->bases[i + 1] = s->bases[i] + s->in_counts[i];
    }
    for (unsigned k = 0; k < TWI_PARAMS; k++) {
        if (!node->params[k]) continue;
        s->param_shapes[k] = twi_shape_of_tensor(node->params[k]);
        s->param_counts[k] = node->params[k]->count;
    }
    s->node.name = NULL;
    s->node.inputs = NULL;
    memset(s->node.params, 0, sizeof s->node.params);
    *out = s;
    return TW_OK;
}

/* ---- forward ------------------------------------------------------------------------------- */

typedef struct run {
    const plain_state *s;
    const twi_tape_step *step;
    twi_trainer *trainer;
} run;

static float *at(const run *r, size_t i, size_t offset)
{
    const uint32_t value = r->step->values[i];
    return value == TWI_NO_VALUE ? NULL : (float *)r->trainer->at[value] + offset;
}

static void forward_one(const run *r, size_t n)
{
    const plain_state *s = r->s;
    const float *in[256], *params[TWI_PARAMS];
    const size_t inputs = s->node.n_inputs;
    for (size_t i = 0; i < inputs; i++) in[i] = at(r, i, n * s->in_counts[i]);
    for (size_t k = 0; k < TWI_PARAMS; k++) params[k] = at(r, inputs + k, 0);
    twi_reference_args args = {.node = &s->node,
                               .batch = 1,
                               .in_shapes = s->in_shapes,
                               .out_shape = s->out_shape,
                               .in = in,
                               .params = params,
                               .out = at(r, inputs + TWI_PARAMS, n * s->out_count)};
    memcpy(args.param_shapes, s->param_shapes, sizeof args.param_shapes);
    twi_operator_of(s->node.op)->compute(&args);
}

/* The element that number source of all inputs' elements and the parameter's stands for. */
static void gather_one(const run *r, size_t n)
{
    const plain_state *s = r->s;
    const size_t inputs = s->node.n_inputs;
    float *out = at(r, inputs + TWI_PARAMS, n * s->out_count);
    size_t input = 0;
    for (size_t i = 0; i < s->out_count; i++) {
        const size_t from = s->source[i];
        if (from == 0) {
            out[i] = (float)s->node.value;
            continue;
        }
        while (from - 1 < s->bases[input]) input--;
        while (input < inputs && from - 1 >= s->bases[input + 1]) input++;
        const float *x = input < inputs ? at(r, input, n * s->in_counts[input]) : at(r, inputs, 0);
        out[i] = x[from - 1 - s->bases[input]];
    }
}

static void forward_share(void *user, size_t member, size_t members)
{
    const run *r = user;
    size_t begin, end;
    twi_team_share(r->s->batch, member, members, &begin, &end);
    for (size_t n = begin; n < end; n++)
        if (r->s->source)
            gather_one(r, n);
        else
            forward_one(r, n);
}

static tw_status run_forward(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *trainer)
{
    (void)ctx;
    run r = {step->state, step, trainer};
    twi_team_run(r.s->threads, forward_share, &r);
    return TW_OK;
}

/* More elements than this have no exact number in float32. */
#define MOST_NUMBERED ((size_t)1 << 24)

/* Numbers from 1 on go through the operator, and what comes out says where from. */
static tw_status number(twi_tape *t, plain_state *s, float *scratch, uint32_t *source)
{
    const float *in[256], *params[TWI_PARAMS] = {0};
    float *out = scratch + s->bases[s->node.n_inputs] + s->param_counts[0];
    twi_node node = s->node;
    node.value = 0.0; /* of padding */
    for (size_t i = 0; i < node.n_inputs; i++) in[i] = scratch + s->bases[i];
    params[0] = scratch + s->bases[node.n_inputs];
    for (float *p = scratch; p < out; p++) *p = (float)(p - scratch + 1);
    twi_reference_args args = {.node = &node,
                               .batch = 1,
                               .in_shapes = s->in_shapes,
                               .out_shape = s->out_shape,
                               .in = in,
                               .params = params,
                               .out = out};
    memcpy(args.param_shapes, s->param_shapes, sizeof args.param_shapes);
    twi_operator_of(node.op)->compute(&args);
    for (size_t i = 0; i < s->out_count; i++) source[i] = (uint32_t)out[i];
    twi_tape_record_of(t)->source = source;
    s->source = source;
    return TW_OK;
}

static tw_status find_source(twi_tape *t, plain_state *s)
{
    const size_t from = s->bases[s->node.n_inputs] + s->param_counts[0];
    float *scratch = NULL;
    uint32_t *source;
    if (from >= MOST_NUMBERED)
        return twi_fail(t->ctx, TW_ERR_UNSUPPORTED,
                        "layer %s moves %zu values; at most %zu can be trained through",
                        twi_tape_node(t)->name, from, MOST_NUMBERED);
    tw_status st = twi_alloc(t->ctx, from + s->out_count, &scratch);
    if (st == TW_OK) st = twi_arena_take(t->ctx, &t->trainer->memory, s->out_count, &source);
    if (st == TW_OK) st = number(t, s, scratch, source);
    twi_free(scratch);
    return st;
}

static tw_status check_inputs(twi_tape *t)
{
    if (twi_tape_node(t)->n_inputs <= 64) return TW_OK;
    return twi_fail(t->ctx, TW_ERR_UNSUPPORTED, "layer %s has %zu inputs; at most 64 are trained",
                    twi_tape_node(t)->name, twi_tape_node(t)->n_inputs);
}

tw_status twi_plain_forward(twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    uint32_t values[64 + AFTER_INPUTS];
    plain_state *s;
    tw_status st = check_inputs(t);
    if (st == TW_OK) st = state_of(t, &s);
    for (size_t i = 0; i < node->n_inputs && st == TW_OK; i++)
        st = twi_tape_floats(t, t->value_of[node->inputs[i]], node->inputs[i], &values[i]);
    for (size_t k = 0; k < TWI_PARAMS; k++) values[node->n_inputs + k] = t->params[t->node][k];
    if (st == TW_OK && twi_training_operator_of(node->op)->moves) st = find_source(t, s);
    if (st == TW_OK) st = twi_tape_new_floats(t, t->node, &values[node->n_inputs + TWI_PARAMS]);
    const twi_tape_step step = {
        .run = run_forward, .n = node->n_inputs + AFTER_INPUTS, .values = values, .state = s};
    if (st == TW_OK) st = twi_tape_append(t, &step);
    if (st == TW_OK) twi_tape_done(t, values[node->n_inputs + TWI_PARAMS]);
    return st;
}

/* ---- backward ------------------------------------------------------------------------------ */

static void backward_one(const run *r, size_t n)
{
    const plain_state *s = r->s;
    const size_t inputs = s->node.n_inputs, back = inputs + AFTER_INPUTS;
    const float *in[64], *params[TWI_PARAMS];
    float *grad_in[64], *grad_params[TWI_PARAMS];
    for (size_t i = 0; i < inputs; i++) {
        in[i] = at(r, i, n * s->in_counts[i]);
        grad_in[i] = at(r, back + 1 + i, n * s->in_counts[i]);
    }
    for (size_t k = 0; k < TWI_PARAMS; k++) {
        params[k] = at(r, inputs + k, 0);
        grad_params[k] = at(r, back + 1 + inputs + TWI_PARAMS + k, n * s->param_counts[k]);
    }
    twi_backward_args args = {.node = &s->node,
                              .batch = 1,
                              .in_shapes = s->in_shapes,
                              .out_shape = s->out_shape,
                              .in = in,
                              .out = at(r, inputs + TWI_PARAMS, n * s->out_count),
                              .params = params,
                              .grad_out = at(r, back, n * s->out_count),
                              .grad_in = grad_in,
                              .grad_params = grad_params};
    memcpy(args.param_shapes, s->param_shapes, sizeof args.param_shapes);
    twi_training_operator_of(s->node.op)->backward(&args);
}

static void scatter_one(const run *r, size_t n)
{
    const plain_state *s = r->s;
    const size_t inputs = s->node.n_inputs, back = inputs + AFTER_INPUTS;
    const float *grad_out = at(r, back, n * s->out_count);
    float *to[65];
    size_t input = 0;
    for (size_t i = 0; i < inputs; i++) {
        to[i] = at(r, back + 1 + i, n * s->in_counts[i]);
        if (to[i]) memset(to[i], 0, s->in_counts[i] * sizeof(float));
    }
    to[inputs] = at(r, back + 1 + inputs + TWI_PARAMS, n * s->param_counts[0]);
    if (to[inputs]) memset(to[inputs], 0, s->param_counts[0] * sizeof(float));
    for (size_t i = 0; i < s->out_count; i++) {
        const size_t from = s->source[i];
        if (from == 0) continue;
        while (from - 1 < s->bases[input]) input--;
        while (input < inputs && from - 1 >= s->bases[input + 1]) input++;
        if (to[input]) to[input][from - 1 - s->bases[input]] += grad_out[i];
    }
}

static void backward_share(void *user, size_t member, size_t members)
{
    const run *r = user;
    size_t begin, end;
    twi_team_share(r->s->batch, member, members, &begin, &end);
    for (size_t n = begin; n < end; n++)
        if (r->s->source)
            scatter_one(r, n);
        else
            backward_one(r, n);
}

static tw_status run_backward(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *trainer)
{
    (void)ctx;
    run r = {step->state, step, trainer};
    const size_t first = r.s->node.n_inputs * 2 + AFTER_INPUTS + 1;
    twi_team_run(r.s->threads, backward_share, &r);
    for (size_t k = 0; k < TWI_PARAMS; k++) {
        const float *each = at(&r, first + TWI_PARAMS + k, 0);
        float *sum = at(&r, first + k, 0);
        for (size_t i = 0; sum && i < r.s->param_counts[k]; i++) {
            double total = 0.0;
            for (size_t n = 0; n < r.s->batch; n++)
                total += (double)each[n * r.s->param_counts[k] + i];
            sum[i] = (float)total;
        }
    }
    return TW_OK;
}

/* The gradients of parameters: of each picture, and their sum. */
static tw_status parameter_values(twi_tape *t, const plain_state *s, uint32_t *values)
{
    tw_status st = TW_OK;
    for (size_t k = 0; k < TWI_PARAMS && st == TW_OK; k++) {
        size_t bytes;
        values[k] = t->gradients[t->node][k];
        values[TWI_PARAMS + k] = TWI_NO_VALUE;
        if (values[k] == TWI_NO_VALUE) continue;
        if (twi_mul(s->batch, s->param_counts[k], &bytes) || twi_mul(bytes, sizeof(float), &bytes))
            return twi_fail(t->ctx, TW_ERR_NOMEM, "%s: %zu gradients do not fit",
                            twi_tape_node(t)->name, s->param_counts[k]);
        st = twi_tape_value(t, NULL, bytes, &values[TWI_PARAMS + k]);
    }
    return st;
}

/* Inputs and the output in plain float32, where the backward pass reads them. */
static tw_status seen_values(twi_tape *t, const plain_state *s, uint32_t *values)
{
    const twi_node *node = twi_tape_node(t);
    const size_t n = node->n_inputs;
    tw_status st = TW_OK;
    values[n + TWI_PARAMS] = TWI_NO_VALUE;
    for (size_t i = 0; i < n && st == TW_OK; i++) {
        values[i] = TWI_NO_VALUE;
        if (s->needs_in)
            st = twi_tape_floats(t, t->value_of[node->inputs[i]], node->inputs[i], &values[i]);
    }
    for (size_t k = 0; k < TWI_PARAMS; k++) values[n + k] = t->params[t->node][k];
    if (st == TW_OK && s->needs_out)
        st = twi_tape_floats(t, t->value_of[t->node], t->node, &values[n + TWI_PARAMS]);
    return st;
}

tw_status twi_plain_backward(twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    const size_t inputs = node->n_inputs, back = inputs + AFTER_INPUTS;
    uint32_t values[2 * 64 + AFTER_INPUTS + 1 + 2 * TWI_PARAMS];
    plain_state *s;
    tw_status st = state_of(t, &s);
    if (st == TW_OK) st = seen_values(t, s, values);
    if (st == TW_OK) st = twi_tape_floats(t, twi_tape_gradient(t), t->node, &values[back]);
    for (size_t i = 0; i < inputs && st == TW_OK; i++) {
        values[back + 1 + i] = TWI_NO_VALUE;
        if (twi_tape_wanted(t, i))
            st = twi_tape_new_floats(t, node->inputs[i], &values[back + 1 + i]);
    }
    if (st == TW_OK) st = parameter_values(t, s, values + back + 1 + inputs);
    const twi_tape_step step = {
        .run = run_backward, .n = back + 1 + inputs + 2 * TWI_PARAMS, .values = values, .state = s};
    if (st == TW_OK) st = twi_tape_append(t, &step);
    for (size_t i = 0; i < inputs && st == TW_OK; i++)
        if (twi_tape_wanted(t, i)) st = twi_tape_give(t, i, values[back + 1 + i]);
    return st;
}
