/* training_winograd.c - 3 x 3 convolutions while training, on our own kernels. The filters change
 * with every step and are transformed anew by every pass. */
#include "engine/onednn/winograd.h"
#include "engine/training/tape.h"

/* Fewer tiles leave the weights, which grow fourfold, to be read for too little work. */
#define LEAST_TILES ((size_t)16)

/* What a step does; its values are src, weights, bias, dst, packed filters, scratch. */
typedef struct wino_pass {
    twi_wino conv;
    size_t weight_channels; /* inputs of the weights as they are stored */
    bool back;
} wino_pass;

static tw_status run_pass(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *p)
{
    (void)ctx;
    const wino_pass *pass = step->state;
    const uint32_t *v = step->values;
    const twi_wino_filters filters = pass->back
                                         ? twi_wino_filters_back(p->at[v[1]], pass->weight_channels)
                                         : twi_wino_filters_of(p->at[v[1]], pass->weight_channels);
    twi_wino_pack(&pass->conv, &filters, p->at[v[4]]);
    twi_wino_run(&pass->conv, p->at[v[0]], p->at[v[4]], p->at[v[2]], p->at[v[3]], p->at[v[5]]);
    return TW_OK;
}

bool twi_training_winograd_fits(const twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    const twi_shape *in = &t->shapes[node->inputs[0]], *out = &t->shapes[t->node];
    if (!twi_winograd_kernels(twi_tape_dtype(t)) || !twi_winograd_fits(node, in, out)) return false;
    return twi_winograd_tiles(out) * t->trainer->opts.batch >= LEAST_TILES;
}

static tw_status map_layout(twi_tape *t, uint32_t node, twi_order order, const twi_layout **out)
{
    const size_t *d = t->shapes[node].dims;
    const size_t dims[4] = {t->trainer->opts.batch, d[0], d[1], d[2]};
    return twi_layout_new(t->ctx, t->trainer->device, 4, dims, twi_tape_dtype(t), order, out);
}

/* value, a map of node's, with 16 channels together: as it is, if they are. */
static tw_status lanes_of(twi_tape *t, uint32_t node, uint32_t value, twi_order *order,
                          uint32_t *out)
{
    const twi_layout *blocked, *nhwc;
    tw_status st = map_layout(t, node, TWI_ORDER_BLOCK16, &blocked);
    if (st == TW_OK) st = map_layout(t, node, TWI_ORDER_NHWC, &nhwc);
    if (st != TW_OK) return st;
    const bool is_nhwc = twi_layout_equal(twi_tape_layout(t, value), nhwc);
    *order = is_nhwc ? TWI_ORDER_NHWC : TWI_ORDER_BLOCK16;
    return twi_tape_as(t, value, is_nhwc ? nhwc : blocked, out);
}

static twi_wino describe(const twi_tape *t, uint32_t from, uint32_t to, twi_order order)
{
    const twi_shape *in = &t->shapes[from], *out = &t->shapes[to];
    const twi_dtype dtype = twi_tape_dtype(t);
    return (twi_wino){.kernels = twi_winograd_kernels(dtype),
                      .batch = t->trainer->opts.batch,
                      .in_channels = in->dims[0],
                      .out_channels = out->dims[0],
                      .in_size = {in->dims[1], in->dims[2]},
                      .out_size = {out->dims[1], out->dims[2]},
                      .src = twi_winograd_strides(in, order),
                      .dst = twi_winograd_strides(out, order),
                      .src_dtype = dtype,
                      .src_scale = 1.0f,
                      .end = {.dtype = dtype, .old_dtype = dtype, .unit = 1.0f, .old_scale = 1.0f},
                      .threads = t->trainer->opts.threads};
}

/* value, a map of node from, convolved into a new map of node to; *source: what was read. */
static tw_status pass(twi_tape *t, uint32_t from, uint32_t value, uint32_t to, uint32_t bias,
                      uint32_t *source, uint32_t *out)
{
    const twi_node *node = twi_tape_node(t);
    const bool back = from == t->node;
    const twi_layout *layout;
    wino_pass *pass;
    twi_order order;
    uint32_t v[6] = {0, t->params[t->node][TWI_PARAM_WEIGHT], bias};
    tw_status st = twi_arena_take(t->ctx, &t->trainer->memory, 1, &pass);
    if (st == TW_OK) st = lanes_of(t, from, value, &order, &v[0]);
    if (st != TW_OK) return st;
    *pass = (wino_pass){describe(t, from, to, order), t->shapes[back ? to : from].dims[0], back};
    pass->conv.end.relu = !back && twi_tape_joined(t);
    for (int i = 0; i < 2; i++)
        pass->conv.pad[i] = back ? 2 - node->window.pad_begin[i] : node->window.pad_begin[i];
    st = twi_wino_plan(t->ctx, &pass->conv);
    if (st == TW_OK) st = map_layout(t, to, order, &layout);
    if (st == TW_OK) st = twi_tape_value(t, layout, 0, &v[3]);
    if (st == TW_OK) st = twi_tape_value(t, NULL, twi_wino_packed_bytes(&pass->conv), &v[4]);
    if (st == TW_OK) st = twi_tape_value(t, NULL, pass->conv.scratch_bytes, &v[5]);
    const twi_tape_step step = {.run = run_pass, .n = 6, .values = v, .state = pass};
    if (st == TW_OK) st = twi_tape_append(t, &step);
    *source = v[0], *out = v[3];
    return st;
}

tw_status twi_training_winograd(twi_tape *t)
{
    const uint32_t from = twi_tape_node(t)->inputs[0];
    uint32_t bias = t->params[t->node][TWI_PARAM_BIAS], source, out;
    tw_status st = TW_OK;
    if (bias == TWI_NO_VALUE) st = twi_tape_constants(t, t->shapes[t->node].dims[0], 0.0f, &bias);
    if (st == TW_OK) st = pass(t, from, t->value_of[from], t->node, bias, &source, &out);
    if (st != TW_OK) return st;
    *twi_tape_record_of(t) = (twi_tape_record){.in = source};
    twi_tape_done(t, out);
    return TW_OK;
}

tw_status twi_training_winograd_data(twi_tape *t)
{
    const uint32_t to = twi_tape_node(t)->inputs[0];
    uint32_t bias, source, out;
    tw_status st = twi_tape_constants(t, t->shapes[to].dims[0], 0.0f, &bias);
    if (st == TW_OK) st = pass(t, t->node, twi_tape_gradient(t), to, bias, &source, &out);
    return st == TW_OK ? twi_tape_give(t, 0, out) : st;
}

/* ---- gradients of weights ------------------------------------------------------------------ */

/* Values: src, gradient of dst, gradients of weights and bias (or none), scratch. */
static tw_status run_weights(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *p)
{
    (void)ctx;
    const uint32_t *v = step->values;
    const twi_wino_weights_args args = {.src = p->at[v[0]],
                                        .gradient = p->at[v[1]],
                                        .weights = p->at[v[2]],
                                        .bias = v[3] == TWI_NO_VALUE ? NULL : p->at[v[3]],
                                        .scratch = p->at[v[4]]};
    twi_wino_weights_run(step->state, &args);
    return TW_OK;
}

tw_status twi_training_winograd_weights(twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    const uint32_t *gradients = t->gradients[t->node];
    uint32_t v[5] = {0, 0, gradients[TWI_PARAM_WEIGHT], gradients[TWI_PARAM_BIAS]};
    twi_wino_weights *plan;
    twi_order from, to;
    tw_status st = twi_arena_take(t->ctx, &t->trainer->memory, 1, &plan);
    if (st == TW_OK) st = lanes_of(t, node->inputs[0], twi_tape_record_of(t)->in, &from, &v[0]);
    if (st == TW_OK) st = lanes_of(t, t->node, twi_tape_gradient(t), &to, &v[1]);
    if (st != TW_OK) return st;
    plan->conv = describe(t, node->inputs[0], t->node, from);
    plan->conv.dst = twi_winograd_strides(&t->shapes[t->node], to);
    for (int i = 0; i < 2; i++) plan->conv.pad[i] = node->window.pad_begin[i];
    st = twi_wino_plan(t->ctx, &plan->conv);
    if (st == TW_OK) st = twi_wino_weights_plan(t->ctx, plan);
    if (st == TW_OK) st = twi_tape_value(t, NULL, plan->scratch_bytes, &v[4]);
    const twi_tape_step step = {.run = run_weights, .n = 5, .values = v, .state = plan};
    return st == TW_OK ? twi_tape_append(t, &step) : st;
}
