/* training.c - layers with weights while training: oneDNN's forward and backward primitives. */
#include "engine/training/tape.h"

/* What conv and dense layers have in common. */
typedef tw_status (*primitive_fn)(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                                  twi_pass pass, const twi_primitive *forward,
                                  const twi_primitive **out);

static twi_spec spec_of(const twi_tape *t)
{
    const twi_node *node = twi_tape_node(t);
    return (twi_spec){.name = node->name,
                      .batch = t->trainer->opts.batch,
                      .in = &t->shapes[node->inputs[0]],
                      .out = &t->shapes[t->node],
                      .window = &node->window,
                      .groups = node->groups,
                      .dtype = twi_tape_dtype(t),
                      .after = twi_tape_after(t),
                      .bias = node->params[TWI_PARAM_BIAS] != NULL};
}

static tw_status forward(twi_tape *t, const twi_spec *spec, primitive_fn make)
{
    const uint32_t *params = t->params[t->node];
    const uint32_t from = t->value_of[twi_tape_node(t)->inputs[0]];
    const twi_primitive *p;
    uint32_t values[4];
    size_t n = 0;
    tw_status st = make(t->ctx, t->trainer->device, spec, TWI_PASS_FORWARD, NULL, &p);
    if (st == TW_OK) st = twi_tape_as(t, from, twi_primitive_argument(p, 0), &values[n++]);
    if (st == TW_OK)
        st = twi_tape_as(t, params[TWI_PARAM_WEIGHT], twi_primitive_argument(p, 1), &values[n++]);
    if (spec->bias) values[n++] = params[TWI_PARAM_BIAS];
    if (st == TW_OK) st = twi_tape_argument(t, p, n, &values[n]);
    if (st == TW_OK) st = twi_tape_primitive(t, p, n + 1, values);
    if (st != TW_OK) return st;
    *twi_tape_record_of(t) = (twi_tape_record){.in = values[0], .made = p};
    twi_tape_done(t, values[n]);
    return TW_OK;
}

static tw_status back_weights(twi_tape *t, const twi_spec *spec, primitive_fn make)
{
    const twi_tape_record *r = twi_tape_record_of(t);
    const uint32_t *gradients = t->gradients[t->node];
    const uint32_t whole = gradients[TWI_PARAM_WEIGHT];
    const twi_primitive *p, *reorder = NULL;
    uint32_t values[4];
    tw_status st = make(t->ctx, t->trainer->device, spec, TWI_PASS_WEIGHTS, r->made, &p);
    if (st == TW_OK) st = twi_tape_as(t, r->in, twi_primitive_argument(p, 0), &values[0]);
    if (st == TW_OK)
        st = twi_tape_as(t, twi_tape_gradient(t), twi_primitive_argument(p, 1), &values[1]);
    if (st != TW_OK) return st;
    const twi_layout *plain = twi_tape_layout(t, whole), *made = twi_primitive_argument(p, 2);
    const bool same = twi_layout_equal(plain, made);
    values[2] = whole;
    if (!same) st = twi_tape_value(t, made, 0, &values[2]);
    if (spec->bias) values[3] = gradients[TWI_PARAM_BIAS];
    if (st == TW_OK) st = twi_tape_primitive(t, p, spec->bias ? 4 : 3, values);
    if (st != TW_OK || same) return st;
    st = twi_primitive_reorder(t->ctx, t->trainer->device, made, plain, &reorder);
    return st == TW_OK ? twi_tape_primitive(t, reorder, 2, (uint32_t[2]){values[2], whole}) : st;
}

static tw_status back_data(twi_tape *t, const twi_spec *spec, primitive_fn make)
{
    const uint32_t weight = t->params[t->node][TWI_PARAM_WEIGHT];
    const twi_primitive *p;
    uint32_t values[3];
    tw_status st =
        make(t->ctx, t->trainer->device, spec, TWI_PASS_DATA, twi_tape_record_of(t)->made, &p);
    if (st == TW_OK)
        st = twi_tape_as(t, twi_tape_gradient(t), twi_primitive_argument(p, 0), &values[0]);
    if (st == TW_OK) st = twi_tape_as(t, weight, twi_primitive_argument(p, 1), &values[1]);
    if (st == TW_OK) st = twi_tape_argument(t, p, 2, &values[2]);
    if (st == TW_OK) st = twi_tape_primitive(t, p, 3, values);
    return st == TW_OK ? twi_tape_give(t, 0, values[2]) : st;
}

static tw_status backward(twi_tape *t, const twi_spec *spec, primitive_fn make)
{
    tw_status st = TW_OK;
    if (t->trained[t->node]) st = back_weights(t, spec, make);
    if (st == TW_OK && twi_tape_wanted(t, 0)) st = back_data(t, spec, make);
    return st;
}

tw_status twi_training_conv(twi_tape *t)
{
    const twi_spec spec = spec_of(t);
    return twi_training_winograd_fits(t) ? twi_training_winograd(t)
                                         : forward(t, &spec, twi_training_primitive_conv);
}

tw_status twi_training_conv_back(twi_tape *t)
{
    const twi_spec spec = spec_of(t);
    if (!twi_training_winograd_fits(t)) return backward(t, &spec, twi_training_primitive_conv);
    const tw_status st = t->trained[t->node] ? twi_training_winograd_weights(t) : TW_OK;
    return st == TW_OK && twi_tape_wanted(t, 0) ? twi_training_winograd_data(t) : st;
}

/* Rows of vectors or tokens, as the primitive wants them. */
static tw_status dense_spec(twi_tape *t, twi_spec *spec)
{
    *spec = spec_of(t);
    tw_status st = twi_tape_plain(t, twi_tape_node(t)->inputs[0], spec->dtype, &spec->src);
    return st == TW_OK ? twi_tape_plain(t, t->node, spec->dtype, &spec->dst) : st;
}

tw_status twi_training_dense(twi_tape *t)
{
    twi_spec spec;
    const tw_status st = dense_spec(t, &spec);
    return st == TW_OK ? forward(t, &spec, twi_training_primitive_dense) : st;
}

tw_status twi_training_dense_back(twi_tape *t)
{
    twi_spec spec;
    const tw_status st = dense_spec(t, &spec);
    return st == TW_OK ? backward(t, &spec, twi_training_primitive_dense) : st;
}
