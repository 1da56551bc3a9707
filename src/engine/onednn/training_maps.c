/* training_maps.c - pools, batch norm, functions of one value, sums and concatenations while
 * training. */
#include "engine/training/tape.h"

/* ---- pools --------------------------------------------------------------------------------- */

static twi_spec pool_spec(const twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    return (twi_spec){.name = node->name,
                      .batch = t->trainer->opts.batch,
                      .in = &t->shapes[node->inputs[0]],
                      .out = &t->shapes[t->node],
                      .window = &node->window,
                      .dtype = twi_tape_dtype(t)};
}

/* value as twi_tape_dtype() has it, in the order it lies in. */
static tw_status retyped(twi_tape *t, uint32_t value, uint32_t *out)
{
    const twi_layout *layout;
    const tw_status st = twi_layout_retyped(t->ctx, t->trainer->device, twi_tape_layout(t, value),
                                            twi_tape_dtype(t), &layout);
    return st == TW_OK ? twi_tape_as(t, value, layout, out) : st;
}

static tw_status pool_forward(twi_tape *t, const twi_spec *base, twi_op op, uint32_t *out)
{
    twi_spec spec = *base;
    twi_tape_record *r = twi_tape_record_of(t);
    uint32_t values[3] = {0};
    size_t n = 2;
    tw_status st = retyped(t, t->value_of[twi_tape_node(t)->inputs[0]], &values[0]);
    if (st != TW_OK) return st;
    spec.src = twi_tape_layout(t, values[0]);
    st = twi_training_primitive_pool(t->ctx, t->trainer->device, &spec, op, NULL, &r->made);
    if (st == TW_OK) st = twi_tape_argument(t, r->made, 1, &values[1]);
    if (st == TW_OK && op == TWI_OP_MAX_POOL) st = twi_tape_argument(t, r->made, n++, &values[2]);
    if (st == TW_OK) st = twi_tape_primitive(t, r->made, n, values);
    if (st != TW_OK) return st;
    r->in = values[0], r->work = values[2];
    *out = values[1];
    return TW_OK;
}

static tw_status pool_backward(twi_tape *t, const twi_spec *base, twi_op op, uint32_t gradient)
{
    twi_spec spec = *base;
    const twi_tape_record *r = twi_tape_record_of(t);
    const twi_primitive *p;
    uint32_t values[3] = {0};
    size_t n = 1;
    spec.src = twi_tape_layout(t, r->in);
    spec.dst = twi_primitive_argument(r->made, 1);
    tw_status st = twi_training_primitive_pool(t->ctx, t->trainer->device, &spec, op, r->made, &p);
    if (st == TW_OK) st = twi_tape_as(t, gradient, twi_primitive_argument(p, 0), &values[0]);
    if (op == TWI_OP_MAX_POOL) values[n++] = r->work;
    if (st == TW_OK) st = twi_tape_argument(t, p, n, &values[n]);
    if (st == TW_OK) st = twi_tape_primitive(t, p, n + 1, values);
    return st == TW_OK ? twi_tape_give(t, 0, values[n]) : st;
}

/* oneDNN's average with the padding counted divides by the whole kernel, also where ceil_mode lets
 * a window end outside of it. */
static bool counts_alike(const twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    return node->op == TWI_OP_MAX_POOL || !node->window.count_include_pad ||
           !node->window.ceil_mode;
}

tw_status twi_training_pool(twi_tape *t)
{
    const twi_spec spec = pool_spec(t);
    uint32_t out;
    if (!counts_alike(t)) return twi_plain_forward(t);
    const tw_status st = pool_forward(t, &spec, twi_tape_node(t)->op, &out);
    if (st == TW_OK) twi_tape_done(t, out);
    return st;
}

tw_status twi_training_pool_back(twi_tape *t)
{
    const twi_spec spec = pool_spec(t);
    if (!counts_alike(t)) return twi_plain_backward(t);
    return pool_backward(t, &spec, twi_tape_node(t)->op, twi_tape_gradient(t));
}

/* A map's global average: a pool of one window. [n, c, 1, 1] and [n, c] have the same bytes. */
typedef struct global {
    twi_spec spec;
    twi_window window;
    twi_shape out;
    const twi_layout *map, *vector; /* plain */
} global;

static tw_status global_of(twi_tape *t, global *g)
{
    *g = (global){.spec = pool_spec(t)};
    const size_t *in = g->spec.in->dims;
    const size_t dims[4] = {t->trainer->opts.batch, in[0], 1, 1};
    g->window = (twi_window){.kernel = {in[1], in[2]}, .stride = {1, 1}, .dilation = {1, 1}};
    g->out = (twi_shape){3, {in[0], 1, 1}};
    g->spec.window = &g->window;
    g->spec.out = &g->out;
    const tw_status st = twi_layout_new(t->ctx, t->trainer->device, 4, dims, g->spec.dtype,
                                        TWI_ORDER_PLAIN, &g->map);
    return st == TW_OK ? twi_tape_plain(t, t->node, g->spec.dtype, &g->vector) : st;
}

/* A global average of a map, or the mean along its rows and columns, which is the same. */
static bool of_map(const twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    const size_t *axes = node->axes.dims;
    if (t->shapes[node->inputs[0]].rank != 3) return false;
    if (node->op == TWI_OP_GLOBAL_AVG_POOL) return true;
    return node->axes.rank == 2 && axes[0] + axes[1] == 3 && axes[0] * axes[1] == 2;
}

tw_status twi_training_global(twi_tape *t)
{
    global g;
    uint32_t out;
    if (!of_map(t)) return twi_plain_forward(t);
    tw_status st = global_of(t, &g);
    if (st == TW_OK) st = pool_forward(t, &g.spec, TWI_OP_AVG_POOL, &out);
    if (st == TW_OK) st = twi_tape_as(t, out, g.map, &out);
    if (st == TW_OK) st = twi_tape_recast(t, out, g.vector, &out);
    if (st == TW_OK) twi_tape_done(t, out);
    return st;
}

tw_status twi_training_global_back(twi_tape *t)
{
    global g;
    uint32_t gradient;
    if (!of_map(t)) return twi_plain_backward(t);
    tw_status st = global_of(t, &g);
    if (st == TW_OK) st = twi_tape_as(t, twi_tape_gradient(t), g.vector, &gradient);
    if (st == TW_OK) st = twi_tape_recast(t, gradient, g.map, &gradient);
    return st == TW_OK ? pool_backward(t, &g.spec, TWI_OP_AVG_POOL, gradient) : st;
}

/* ---- batch norm ---------------------------------------------------------------------------- */

static twi_norm_spec norm_spec(const twi_tape *t, const twi_layout *layout)
{
    return (twi_norm_spec){.name = twi_tape_node(t)->name,
                           .layout = layout,
                           .channels = t->shapes[t->node].dims[0],
                           .epsilon = twi_tape_node(t)->epsilon,
                           .own = twi_tape_own_statistics(t),
                           .relu = twi_tape_joined(t)};
}

/* Scale, or ones; shift, or zeros. */
static tw_status norm_params(twi_tape *t, size_t channels, uint32_t out[2])
{
    tw_status st = TW_OK;
    for (unsigned k = TWI_PARAM_SCALE; k <= TWI_PARAM_SHIFT && st == TW_OK; k++) {
        out[k] = t->params[t->node][k];
        if (out[k] == TWI_NO_VALUE)
            st = twi_tape_constants(t, channels, k == TWI_PARAM_SCALE ? 1.0f : 0.0f, &out[k]);
    }
    return st;
}

tw_status twi_training_norm(twi_tape *t)
{
    twi_tape_record *r = twi_tape_record_of(t);
    const uint32_t *params = t->params[t->node];
    uint32_t v[7] = {0};
    size_t n = 6;
    if (t->shapes[t->node].rank != 3) return twi_plain_norm_forward(t);
    tw_status st = retyped(t, t->value_of[twi_tape_node(t)->inputs[0]], &v[0]);
    if (st != TW_OK) return st;
    const twi_norm_spec spec = norm_spec(t, twi_tape_layout(t, v[0]));
    const size_t stats = spec.channels * sizeof(float);
    if (spec.own &&
        t->trainer->opts.batch * t->shapes[t->node].dims[1] * t->shapes[t->node].dims[2] < 2)
        return twi_plain_norm_forward(t); /* which says why not */
    st = twi_training_primitive_norm(t->ctx, t->trainer->device, &spec, NULL, &r->made);
    r->mean = params[TWI_PARAM_MEAN], r->variance = params[TWI_PARAM_VARIANCE];
    if (st == TW_OK && spec.own) st = twi_tape_value(t, NULL, stats, &r->mean);
    if (st == TW_OK && spec.own) st = twi_tape_value(t, NULL, stats, &r->variance);
    v[1] = r->mean, v[2] = r->variance;
    if (st == TW_OK) st = norm_params(t, spec.channels, &v[3]);
    if (st == TW_OK) st = twi_tape_argument(t, r->made, 5, &v[5]);
    if (st == TW_OK && spec.relu) st = twi_tape_argument(t, r->made, n++, &v[6]);
    if (st == TW_OK) st = twi_tape_primitive(t, r->made, n, v);
    if (st == TW_OK && spec.own) st = twi_tape_keep_statistics(t, r->mean, r->variance);
    if (st != TW_OK) return st;
    r->in = v[0], r->work = v[6];
    twi_tape_done(t, v[5]);
    return TW_OK;
}

tw_status twi_training_norm_back(twi_tape *t)
{
    const twi_tape_record *r = twi_tape_record_of(t);
    const uint32_t *gradients = t->gradients[t->node];
    const twi_primitive *p;
    uint32_t v[10], params[2], back;
    size_t n = 6;
    if (t->shapes[t->node].rank != 3) return twi_plain_norm_backward(t);
    const twi_norm_spec spec = norm_spec(t, twi_tape_layout(t, r->in));
    tw_status st = twi_training_primitive_norm(t->ctx, t->trainer->device, &spec, r->made, &p);
    if (st == TW_OK) st = norm_params(t, spec.channels, params);
    v[0] = r->in, v[1] = r->mean, v[2] = r->variance, v[4] = params[0], v[5] = params[1];
    if (st == TW_OK) st = twi_tape_as(t, twi_tape_gradient(t), twi_primitive_argument(p, 3), &v[3]);
    if (spec.relu) v[n++] = r->work;
    if (st == TW_OK) st = twi_tape_argument(t, p, n, &v[n]);
    back = v[n++];
    for (unsigned k = TWI_PARAM_SCALE; k <= TWI_PARAM_SHIFT && st == TW_OK; k++, n++) {
        v[n] = gradients[k];
        if (v[n] == TWI_NO_VALUE)
            st = twi_tape_value(t, NULL, spec.channels * sizeof(float), &v[n]);
    }
    if (st == TW_OK) st = twi_tape_primitive(t, p, n, v);
    return st == TW_OK && twi_tape_wanted(t, 0) ? twi_tape_give(t, 0, back) : st;
}

/* ---- functions of one value ---------------------------------------------------------------- */

static bool in_onednn(const twi_tape *t, bool *by_dst)
{
    const twi_activation f = twi_function_of(twi_tape_node(t));
    return twi_training_has(&f, by_dst);
}

tw_status twi_training_activation(twi_tape *t)
{
    const twi_activation f = twi_function_of(twi_tape_node(t));
    twi_tape_record *r = twi_tape_record_of(t);
    const uint32_t from = t->value_of[twi_tape_node(t)->inputs[0]];
    uint32_t values[2];
    bool by_dst;
    if (twi_tape_joined(t)) { /* the node before has done it */
        twi_tape_done(t, from);
        return TW_OK;
    }
    if (!in_onednn(t, &by_dst)) return twi_plain_forward(t);
    tw_status st = retyped(t, from, &values[0]);
    if (st == TW_OK)
        st = twi_training_primitive_eltwise(t->ctx, t->trainer->device,
                                            twi_tape_layout(t, values[0]), &f, NULL, &r->made);
    if (st == TW_OK) st = twi_tape_argument(t, r->made, 1, &values[1]);
    if (st == TW_OK) st = twi_tape_primitive(t, r->made, 2, values);
    if (st != TW_OK) return st;
    r->in = values[0];
    twi_tape_done(t, values[1]);
    return TW_OK;
}

tw_status twi_training_activation_back(twi_tape *t)
{
    const twi_activation f = twi_function_of(twi_tape_node(t));
    const twi_tape_record *r = twi_tape_record_of(t);
    const twi_primitive *p, *forward = r->made;
    uint32_t values[3] = {0};
    bool by_dst;
    tw_status st = TW_OK;
    if (!in_onednn(t, &by_dst)) return twi_plain_backward(t);
    twi_device *device = t->trainer->device;
    const twi_layout *layout = twi_tape_layout(t, r->out);
    if (!forward) /* the node before has done it */
        st = twi_training_primitive_eltwise(t->ctx, device, layout, &f, NULL, &forward);
    if (st == TW_OK) st = twi_training_primitive_eltwise(t->ctx, device, layout, &f, forward, &p);
    values[0] = by_dst ? r->out : r->in;
    if (st == TW_OK) st = twi_tape_as(t, twi_tape_gradient(t), layout, &values[1]);
    if (st == TW_OK) st = twi_tape_argument(t, p, 2, &values[2]);
    if (st == TW_OK) st = twi_tape_primitive(t, p, 3, values);
    return st == TW_OK ? twi_tape_give(t, 0, values[2]) : st;
}

/* ---- sums, concatenations ------------------------------------------------------------------ */

tw_status twi_training_add(twi_tape *t)
{
    const uint32_t *inputs = twi_tape_node(t)->inputs;
    const twi_activation after = twi_tape_after(t);
    const twi_primitive *p;
    uint32_t values[3] = {0};
    tw_status st = retyped(t, t->value_of[inputs[0]], &values[0]);
    if (st != TW_OK) return st;
    const twi_layout *layout = twi_tape_layout(t, values[0]);
    st = twi_tape_as(t, t->value_of[inputs[1]], layout, &values[1]);
    if (st == TW_OK) st = twi_primitive_add(t->ctx, t->trainer->device, layout, &after, &p);
    if (st == TW_OK) st = twi_tape_value(t, layout, 0, &values[2]);
    if (st == TW_OK) st = twi_tape_primitive(t, p, 3, values);
    if (st == TW_OK) twi_tape_done(t, values[2]);
    return st;
}

tw_status twi_training_add_back(twi_tape *t)
{
    tw_status st = TW_OK;
    for (size_t i = 0; i < 2 && st == TW_OK; i++)
        if (twi_tape_wanted(t, i)) st = twi_tape_give(t, i, twi_tape_gradient(t));
    return st;
}

/* Maps along their channels, in blocks of the first's order, where all parts are whole blocks. */
static bool in_blocks(const twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    if (t->shapes[t->node].rank != 3 || node->axis != 0 || node->n_inputs > 64) return false;
    for (size_t i = 0; i < node->n_inputs; i++)
        if (t->shapes[node->inputs[i]].dims[0] % 16 != 0) return false;
    return true;
}

static tw_status blocked(twi_tape *t, uint32_t node, const twi_layout **out)
{
    const twi_shape *shape = &t->shapes[node];
    const size_t dims[4] = {t->trainer->opts.batch, shape->dims[0], shape->dims[1], shape->dims[2]};
    return twi_layout_new(t->ctx, t->trainer->device, 4, dims, twi_tape_dtype(t), TWI_ORDER_BLOCK16,
                          out);
}

tw_status twi_training_concat(twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    const twi_layout *layouts[64], *whole;
    const twi_primitive *p;
    uint32_t values[65];
    if (!in_blocks(t)) return twi_plain_forward(t);
    tw_status st = blocked(t, t->node, &whole);
    for (size_t i = 0; i < node->n_inputs && st == TW_OK; i++) {
        st = blocked(t, node->inputs[i], &layouts[i]);
        if (st == TW_OK) st = twi_tape_as(t, t->value_of[node->inputs[i]], layouts[i], &values[i]);
    }
    if (st == TW_OK)
        st =
            twi_primitive_concat(t->ctx, t->trainer->device, node->n_inputs, 1, layouts, whole, &p);
    if (st == TW_OK) st = twi_tape_value(t, whole, 0, &values[node->n_inputs]);
    if (st == TW_OK) st = twi_tape_primitive(t, p, node->n_inputs + 1, values);
    if (st == TW_OK) twi_tape_done(t, values[node->n_inputs]);
    return st;
}

tw_status twi_training_concat_back(twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    const twi_layout *whole, *layout;
    const twi_primitive *p;
    uint32_t gradient, part;
    size_t from = 0;
    if (!in_blocks(t)) return twi_plain_backward(t);
    tw_status st = blocked(t, t->node, &whole);
    if (st == TW_OK) st = twi_tape_as(t, twi_tape_gradient(t), whole, &gradient);
    for (size_t i = 0; i < node->n_inputs && st == TW_OK; i++) {
        const size_t channels = t->shapes[node->inputs[i]].dims[0];
        if (twi_tape_wanted(t, i)) {
            st = blocked(t, node->inputs[i], &layout);
            if (st == TW_OK)
                st = twi_training_primitive_part(t->ctx, t->trainer->device, whole, from, layout,
                                                 &p);
            if (st == TW_OK) st = twi_tape_argument(t, p, 1, &part);
            if (st == TW_OK) st = twi_tape_primitive(t, p, 2, (uint32_t[2]){gradient, part});
            if (st == TW_OK) st = twi_tape_give(t, i, part);
        }
        from += channels;
    }
    return st;
}
