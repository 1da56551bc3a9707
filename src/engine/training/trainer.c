/* trainer.c - compiling a network for training, and running what came out. */
#include "engine/trainer.h"

#include "base/text.h"
#include "engine/team.h"
#include "engine/training/tape.h"

#include <string.h>

/* ---- what is trained ----------------------------------------------------------------------- */

static tw_status check_opts(tw_ctx *ctx, const twi_trainer_opts *opts)
{
    if (opts->batch == 0 || opts->threads == 0)
        return twi_fail(ctx, TW_ERR_ARG, "batch %zu, threads %zu: both must be at least 1",
                        opts->batch, opts->threads);
    if (opts->precision != TW_PRECISION_F32 && opts->precision != TW_PRECISION_BF16)
        return twi_fail(ctx, TW_ERR_ARG, "precision %s: training needs f32 or bf16",
                        twi_precision_name(opts->precision));
    if (opts->reference && opts->precision != TW_PRECISION_F32)
        return twi_fail(ctx, TW_ERR_ARG, "precision %s: the C reference computes in f32 only",
                        twi_precision_name(opts->precision));
    if (!twi_precision_native(opts->precision))
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "precision %s: this machine's instruction set (%s) does not have it; use "
                        "f32",
                        twi_precision_name(opts->precision), twi_engine_isa());
    if (!(opts->momentum >= 0.0 && opts->momentum <= 1.0))
        return twi_fail(ctx, TW_ERR_ARG, "momentum of running statistics must lie in 0..1");
    return TW_OK;
}

/* Running statistics and masks are carried along, not trained. */
static bool trainable(const twi_node *node, unsigned param)
{
    if (!node->params[param]) return false;
    if (node->op == TWI_OP_BATCH_NORM) return param < TWI_PARAM_MEAN;
    if (node->op == TWI_OP_ATTENTION) return param == TWI_PARAM_ATTENTION_BIAS;
    return true;
}

static bool has_backward(const twi_training_operator *op)
{
    return op->backward || op->moves || op->backward_build;
}

/* Which nodes are trained, which gradients that needs, and whether we have them. */
static tw_status mark(twi_tape *t)
{
    twi_text missing = {0};
    size_t n = 0;
    for (size_t i = 0; i < t->network->n; i++) {
        const twi_node *node = &t->network->nodes[i];
        bool params = false, inputs = false;
        for (unsigned k = 0; k < TWI_PARAMS; k++) params |= trainable(node, k);
        for (size_t k = 0; k < node->n_inputs; k++) inputs |= t->wants[node->inputs[k]];
        t->trained[i] = params && (!t->trainer->opts.trained || t->trainer->opts.trained[i]);
        t->wants[i] = t->trained[i] || inputs;
        if (!t->wants[i] || has_backward(twi_training_operator_of(node->op))) continue;
        if (n++ > 0) twi_text_add(&missing, ", ");
        twi_text_format(&missing, "%s (%s)", node->name, twi_op_name(node->op));
    }
    tw_status st = TW_OK;
    if (missing.failed)
        st = twi_fail(t->ctx, TW_ERR_NOMEM, "no memory to say what cannot be trained");
    else if (n > 0)
        st = twi_fail(t->ctx, TW_ERR_UNSUPPORTED, "cannot be trained through: %s", missing.text);
    else if (!t->wants[t->network->n - 1])
        st = twi_fail(t->ctx, TW_ERR_ARG, "nothing that leads to the output is to be trained");
    twi_text_free(&missing);
    return st;
}

static tw_status check_shared(twi_tape *t, const twi_tensor *tensor, uint32_t before)
{
    for (uint32_t i = 0; i < before; i++)
        for (unsigned k = 0; k < TWI_PARAMS; k++)
            if (t->network->nodes[i].params[k] == tensor && (t->trained[i] || t->trained[before]))
                return twi_fail(t->ctx, TW_ERR_UNSUPPORTED,
                                "layers %s and %s share %s, which cannot be trained then",
                                t->network->nodes[i].name, t->network->nodes[before].name,
                                tensor->name);
    return TW_OK;
}

/* ---- parameters ---------------------------------------------------------------------------- */

#define ALIGNED ((size_t)16) /* floats: one cache line */

/* Lists the parameters; *floats: what their values, or gradients, take. */
static tw_status list_parameters(twi_tape *t, size_t *values, size_t *gradients)
{
    twi_trainer *p = t->trainer;
    size_t n = 0, sums[2] = {0};
    for (size_t i = 0; i < t->network->n; i++)
        for (unsigned k = 0; k < TWI_PARAMS; k++) n += t->network->nodes[i].params[k] != NULL;
    tw_status st = twi_arena_take(t->ctx, &p->memory, n, &p->parameters);
    for (uint32_t i = 0; i < t->network->n; i++)
        for (unsigned k = 0; k < TWI_PARAMS && st == TW_OK; k++) {
            const twi_tensor *tensor = t->network->nodes[i].params[k];
            twi_parameter *q = &p->parameters[p->n_parameters];
            char *name;
            if (!tensor) continue;
            if ((st = check_shared(t, tensor, i)) != TW_OK) return st;
            st = twi_arena_text(t->ctx, &p->memory, tensor->name, strlen(tensor->name), &name);
            *q = (twi_parameter){.name = name,
                                 .node = i,
                                 .param = k,
                                 .op = t->network->nodes[i].op,
                                 .rank = tensor->rank,
                                 .count = tensor->count};
            memcpy(q->dims, tensor->dims, sizeof q->dims);
            p->n_parameters++;
            const size_t room = (tensor->count + ALIGNED - 1) / ALIGNED * ALIGNED;
            if (twi_add(sums[0], room, &sums[0]))
                return twi_fail(t->ctx, TW_ERR_NOMEM, "the parameters do not fit in memory");
            if (t->trained[i] && trainable(&t->network->nodes[i], k)) sums[1] += room;
        }
    *values = sums[0], *gradients = sums[1];
    return st;
}

/* The layout of a parameter as it lies in the network; grouped convolutions as oneDNN says it. */
static tw_status parameter_layout(twi_tape *t, const twi_parameter *q, const twi_layout **out)
{
    const twi_node *node = &t->network->nodes[q->node];
    size_t dims[TWI_TENSOR_DIMS], rank = q->rank;
    *out = NULL;
    if (!t->trainer->device) return TW_OK;
    memcpy(dims, q->dims, sizeof dims);
    if (q->op == TWI_OP_CONV && q->param == TWI_PARAM_WEIGHT && node->groups > 1) {
        const size_t grouped[5] = {node->groups, dims[0] / node->groups, dims[1], dims[2], dims[3]};
        memcpy(dims, grouped, sizeof grouped);
        rank = 5;
    }
    return twi_layout_new(t->ctx, t->trainer->device, rank, dims, TWI_F32, TWI_ORDER_PLAIN, out);
}

static tw_status place_parameters(twi_tape *t)
{
    twi_trainer *p = t->trainer;
    size_t values, gradients, floats, at = 0, back;
    tw_status st = list_parameters(t, &values, &gradients);
    if (st == TW_OK && twi_add(values, gradients, &floats))
        st = twi_fail(t->ctx, TW_ERR_NOMEM, "the parameters do not fit in memory");
    if (st == TW_OK) st = twi_zalloc(t->ctx, floats, &p->slab);
    back = values;
    for (size_t i = 0; i < p->n_parameters && st == TW_OK; i++) {
        twi_parameter *q = &p->parameters[i];
        const twi_node *node = &t->network->nodes[q->node];
        const size_t room = (q->count + ALIGNED - 1) / ALIGNED * ALIGNED;
        const twi_layout *layout;
        q->value = p->slab + at, at += room;
        if (t->trained[q->node] && trainable(node, q->param))
            q->gradient = p->slab + back, back += room;
        st = twi_tensor_floats(t->ctx, node->params[q->param], q->value);
        if (st == TW_OK) st = parameter_layout(t, q, &layout);
        if (st == TW_OK) st = twi_tape_fixed(t, layout, q->value, &t->params[q->node][q->param]);
        if (st == TW_OK && q->gradient)
            st = twi_tape_fixed(t, layout, q->gradient, &t->gradients[q->node][q->param]);
    }
    return st;
}

/* ---- compiling ----------------------------------------------------------------------------- */

/* Whether the node computes f, its only reader, along: functions whose gradient can be told from
 * what they gave, so that what they were given need not be kept. */
static bool joins(const twi_tape *t, const twi_node *f)
{
    if (f->op != TWI_OP_RELU && f->op != TWI_OP_CLIP) return false;
    switch (twi_tape_node(t)->op) {
    case TWI_OP_ADD:
        return true;
    case TWI_OP_CONV:
        return f->op == TWI_OP_RELU || !twi_training_winograd_fits(t);
    case TWI_OP_BATCH_NORM:
        return f->op == TWI_OP_RELU && t->shapes[t->node].rank == 3;
    default:
        return false;
    }
}

static void find_joined(twi_tape *t)
{
    const twi_node *nodes = t->network->nodes;
    const size_t n = t->network->n;
    for (uint32_t i = 0; i < n; i++) t->joined[i] = i;
    for (t->node = 0; t->trainer->device && t->node < n; t->node++) {
        uint32_t reader = t->node;
        size_t readers = 0;
        for (uint32_t j = t->node + 1; j < n; j++)
            for (size_t k = 0; k < nodes[j].n_inputs; k++)
                if (nodes[j].inputs[k] == t->node) reader = j, readers++;
        if (readers == 1 && joins(t, &nodes[reader])) {
            t->joined[t->node] = reader;
            t->joined[reader] = t->node;
        }
    }
}

/* The pictures [n, h, w, c], as the input's value. */
static tw_status load_run(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *p)
{
    (void)ctx;
    const float *src = p->at[step->values[0]];
    float *dst = p->at[step->values[1]];
    const size_t area = p->opts.height * p->opts.width;
    for (size_t n = 0; n < p->opts.batch; n++)
        for (size_t c = 0; c < p->channels; c++)
            for (size_t i = 0; i < area; i++) *dst++ = src[(n * area + i) * p->channels + c];
    return TW_OK;
}

static tw_status build_input(twi_tape *t)
{
    twi_trainer *p = t->trainer;
    const twi_shape *shape = &t->shapes[0];
    const size_t dims[4] = {p->opts.batch, shape->dims[0], shape->dims[1], shape->dims[2]};
    const twi_layout *layout = NULL;
    size_t count, bytes;
    uint32_t out;
    tw_status st = twi_batch_elements(t->ctx, "input", p->opts.batch, shape, &count);
    if (st == TW_OK && twi_mul(count, sizeof(float), &bytes))
        st = twi_fail(t->ctx, TW_ERR_NOMEM, "input: a batch of %zu does not fit", p->opts.batch);
    if (st == TW_OK && p->device)
        st = twi_layout_new(t->ctx, p->device, 4, dims, TWI_F32, TWI_ORDER_NHWC, &layout);
    if (st == TW_OK) st = twi_tape_value(t, layout, bytes, &p->pictures);
    if (st != TW_OK) return st;
    if (p->device) {
        twi_tape_done(t, p->pictures);
        return TW_OK;
    }
    st = twi_tape_new_floats(t, 0, &out);
    const twi_tape_step step = {.run = load_run, .n = 2, .values = (uint32_t[2]){p->pictures, out}};
    if (st == TW_OK) st = twi_tape_append(t, &step);
    if (st == TW_OK) twi_tape_done(t, out);
    return st;
}

static tw_status build_node(twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    const twi_training_operator *op = twi_training_operator_of(node->op);
    if (node->op == TWI_OP_INPUT) return build_input(t);
    if (t->trainer->device && op->forward_build) return op->forward_build(t);
    return node->op == TWI_OP_BATCH_NORM ? twi_plain_norm_forward(t) : twi_plain_forward(t);
}

static tw_status build_forward(twi_tape *t)
{
    twi_trainer *p = t->trainer;
    tw_status st = TW_OK;
    for (t->node = 0; t->node < t->network->n && st == TW_OK; t->node++) {
        t->turn = t->node;
        st = build_node(t);
    }
    if (st != TW_OK) return st;
    t->node = (uint32_t)t->network->n - 1;
    st = twi_tape_floats(t, t->value_of[t->node], t->node, &p->output);
    p->n_forward = p->n_steps;
    p->values[p->output].last = p->n_steps; /* until it has been copied out */
    return st;
}

/* The segment that ends behind node last, forward once more: its values take the place of those
 * that were not kept. */
static tw_status build_again(twi_tape *t, uint32_t last)
{
    uint32_t first = last;
    tw_status st = TW_OK;
    while (first > 1 && !t->ends[first - 1]) first--;
    t->again = true;
    for (t->node = first; t->node <= last && st == TW_OK; t->node++)
        if (t->wants[t->node]) st = build_node(t);
    t->again = false;
    return st;
}

static tw_status build_backward(twi_tape *t)
{
    twi_trainer *p = t->trainer;
    const twi_layout *plain;
    t->node = (uint32_t)t->network->n - 1;
    tw_status st = twi_tape_plain(t, t->node, TWI_F32, &plain);
    if (st == TW_OK) st = twi_tape_fixed(t, plain, p->output_gradient, &t->gradient_of[t->node]);
    for (uint32_t i = (uint32_t)t->network->n; i-- > 1 && st == TW_OK;) {
        const twi_training_operator *op = twi_training_operator_of(t->network->nodes[i].op);
        t->turn = t->node = i;
        if (t->ends && t->ends[i]) {
            st = twi_tape_collect(t, i); /* before there is a segment in memory */
            if (st == TW_OK) st = build_again(t, i);
            t->node = i;
        }
        if (st != TW_OK || !t->wants[i] || t->gradient_of[i] == TWI_NO_VALUE) continue;
        if (!p->device || !(op->needs & TWI_IN_PARTS)) st = twi_tape_collect(t, i);
        if (st != TW_OK) continue;
        if (p->device && op->backward_build)
            st = op->backward_build(t);
        else if (t->network->nodes[i].op == TWI_OP_BATCH_NORM)
            st = twi_plain_norm_backward(t);
        else
            st = twi_plain_backward(t);
    }
    return st;
}

static tw_status bind_steps(tw_ctx *ctx, twi_trainer *p)
{
    void *memory[512];
    tw_status st = twi_plan_arena(ctx, p->values, p->n_values, &p->arena_bytes);
    if (st == TW_OK) st = twi_alloc(ctx, p->arena_bytes, &p->arena);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < p->n_values; i++)
        if (!p->at[i]) p->at[i] = p->arena + p->values[i].offset;
    for (size_t i = 0; i < p->n_steps && st == TW_OK; i++) {
        twi_tape_step *step = &p->steps[i];
        if (!step->primitive) continue;
        for (size_t k = 0; k < step->n && k < TWI_LEN(memory); k++)
            memory[k] = p->at[step->values[k]];
        st = twi_bound_new(ctx, p->device, step->primitive, memory, &step->bound);
    }
    return st;
}

static tw_status tape_start(twi_tape *t)
{
    const size_t n = t->network->n;
    tw_status st = twi_alloc(t->ctx, n, &t->value_of);
    if (st == TW_OK) st = twi_alloc(t->ctx, n, &t->gradient_of);
    if (st == TW_OK) st = twi_alloc(t->ctx, n, &t->rest_of);
    if (st == TW_OK) st = twi_zalloc(t->ctx, n, &t->wants);
    if (st == TW_OK) st = twi_zalloc(t->ctx, n, &t->trained);
    if (st == TW_OK) st = twi_alloc(t->ctx, n, &t->joined);
    if (st == TW_OK) st = twi_zalloc(t->ctx, n, &t->records);
    if (st == TW_OK) st = twi_alloc(t->ctx, n, &t->params);
    if (st == TW_OK) st = twi_alloc(t->ctx, n, &t->gradients);
    for (size_t i = 0; i < n && st == TW_OK; i++) {
        t->gradient_of[i] = t->rest_of[i] = TWI_NO_VALUE;
        for (unsigned k = 0; k < TWI_PARAMS; k++)
            t->params[i][k] = t->gradients[i][k] = TWI_NO_VALUE;
    }
    return st;
}

static void tape_free(twi_tape *t)
{
    twi_free(t->value_of);
    twi_free(t->gradient_of);
    twi_free(t->rest_of);
    twi_free(t->wants);
    twi_free(t->trained);
    twi_free(t->joined);
    twi_free(t->records);
    twi_free(t->params);
    twi_free(t->gradients);
    twi_free(t->ends);
}

static tw_status build(twi_tape *t)
{
    twi_trainer *p = t->trainer;
    const twi_shape *last = &t->shapes[t->network->n - 1];
    size_t count;
    tw_status st = mark(t);
    if (st == TW_OK && !p->opts.reference) st = twi_device_new(t->ctx, &p->device);
    if (st != TW_OK) return st;
    p->channels = t->shapes[0].dims[0];
    find_joined(t);
    if (p->opts.checkpointing) st = twi_alloc(t->ctx, t->network->n, &t->ends);
    if (st == TW_OK && t->ends) st = twi_tape_segments(t, t->ends);
    if (st != TW_OK) return st;
    st = twi_batch_elements(t->ctx, "output", 1, last, &p->output_count);
    if (st == TW_OK) st = twi_batch_elements(t->ctx, "output", p->opts.batch, last, &count);
    if (st == TW_OK) st = twi_alloc(t->ctx, count, &p->output_gradient);
    if (st == TW_OK) st = place_parameters(t);
    if (st == TW_OK) st = build_forward(t);
    if (st == TW_OK) st = build_backward(t);
    p->n_run = p->n_steps;
    return st == TW_OK ? bind_steps(t->ctx, p) : st;
}

tw_status twi_trainer_new(tw_ctx *ctx, const twi_network *network, const twi_trainer_opts *opts,
                          twi_trainer **out)
{
    twi_trainer *p = NULL;
    twi_shape *shapes = NULL;
    twi_tape t = {.ctx = ctx, .network = network};
    tw_status st = check_opts(ctx, opts);
    if (st != TW_OK) return st;
    if ((st = twi_zalloc(ctx, 1, &p)) != TW_OK) goto done;
    p->opts = *opts;
    if ((st = twi_alloc(ctx, network->n, &shapes)) != TW_OK) goto done;
    st = twi_network_shapes(ctx, network, opts->height, opts->width, shapes);
    if (st != TW_OK) goto done;
    t.shapes = shapes;
    t.trainer = p;
    if ((st = tape_start(&t)) != TW_OK) goto done;
    /* oneDNN divides the work among the threads there are when a primitive is made. */
    const size_t before = twi_team_resize(opts->threads);
    st = build(&t);
    twi_team_resize(before);
    if (st != TW_OK) goto done;
    p->opts.trained = NULL; /* the caller's */
    *out = p, p = NULL;     /* handed over */
done:
    tape_free(&t);
    twi_free(shapes);
    twi_trainer_free(p);
    return st;
}

void twi_trainer_free(twi_trainer *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n_steps; i++) twi_bound_free(p->steps[i].bound);
    twi_device_free(p->device);
    twi_free(p->values);
    twi_free(p->at);
    twi_free(p->steps);
    twi_free(p->slab);
    twi_free(p->output_gradient);
    twi_free(p->arena);
    twi_arena_free(&p->memory);
    twi_free(p);
}

/* ---- what it says of itself ---------------------------------------------------------------- */

size_t twi_trainer_output_count(const twi_trainer *trainer)
{
    return trainer->output_count;
}

size_t twi_trainer_parameter_count(const twi_trainer *trainer)
{
    return trainer->n_parameters;
}

const twi_parameter *twi_trainer_parameter(const twi_trainer *trainer, size_t i)
{
    return &trainer->parameters[i];
}

size_t twi_trainer_bytes(const twi_trainer *trainer)
{
    return trainer->arena_bytes;
}

/* ---- running ------------------------------------------------------------------------------- */

static tw_status run_steps(tw_ctx *ctx, twi_trainer *p, size_t from, size_t to)
{
    const size_t before = twi_team_resize(p->opts.threads);
    tw_status st = TW_OK;
    for (size_t i = from; i < to && st == TW_OK; i++) {
        st = p->steps[i].run(ctx, &p->steps[i], p);
        if (st != TW_OK) st = twi_fail_prefix(ctx, st, "%s: ", p->steps[i].name);
    }
    twi_team_resize(before);
    return st;
}

tw_status twi_trainer_forward(tw_ctx *ctx, twi_trainer *p, const float *images, float *out)
{
    const size_t each = p->channels * p->opts.height * p->opts.width;
    memcpy(p->at[p->pictures], images, p->opts.batch * each * sizeof *images);
    const tw_status st = run_steps(ctx, p, 0, p->n_forward);
    if (st != TW_OK) return st;
    memcpy(out, p->at[p->output], p->opts.batch * p->output_count * sizeof *out);
    p->ran = true;
    return TW_OK;
}

tw_status twi_trainer_backward(tw_ctx *ctx, twi_trainer *p, const float *gradient)
{
    if (!p->ran) return twi_fail(ctx, TW_ERR_ARG, "a backward pass needs a forward pass before it");
    p->ran = false;
    memcpy(p->output_gradient, gradient, p->opts.batch * p->output_count * sizeof *gradient);
    return run_steps(ctx, p, p->n_forward, p->n_run);
}

void twi_trainer_train_from(twi_trainer *p, uint32_t first)
{
    p->n_run = p->n_forward;
    while (p->n_run < p->n_steps && p->steps[p->n_run].turn >= first) p->n_run++;
}
