/* tape.c - values and steps of a trainer being built. */
#include "engine/training/tape.h"

#include <string.h>

const twi_node *twi_tape_node(const twi_tape *t)
{
    return &t->network->nodes[t->node];
}

twi_tape_record *twi_tape_record_of(const twi_tape *t)
{
    return &t->records[t->node];
}

twi_dtype twi_tape_dtype(const twi_tape *t)
{
    return t->trainer->opts.precision == TW_PRECISION_BF16 ? TWI_BF16 : TWI_F32;
}

/* ---- values -------------------------------------------------------------------------------- */

static tw_status new_value(twi_tape *t, const twi_layout *layout, size_t bytes, void *at,
                           uint32_t *id)
{
    twi_trainer *trainer = t->trainer;
    const size_t n = trainer->n_values;
    tw_status st = twi_grow(t->ctx, &trainer->values, &trainer->values_capacity, n + 1);
    if (st == TW_OK) st = twi_grow(t->ctx, &trainer->at, &trainer->at_capacity, n + 1);
    if (st != TW_OK) return st;
    trainer->values[n] = (twi_value){
        .layout = layout, .bytes = bytes, .first = trainer->n_steps, .last = trainer->n_steps};
    trainer->at[n] = at;
    trainer->n_values++;
    *id = (uint32_t)n;
    return TW_OK;
}

tw_status twi_tape_value(twi_tape *t, const twi_layout *layout, size_t bytes, uint32_t *id)
{
    return new_value(t, layout, layout ? twi_layout_bytes(layout) : bytes, NULL, id);
}

tw_status twi_tape_fixed(twi_tape *t, const twi_layout *layout, void *at, uint32_t *id)
{
    return new_value(t, layout, 0, at, id);
}

tw_status twi_tape_constants(twi_tape *t, size_t count, float fill, uint32_t *id)
{
    float *values;
    const tw_status st = twi_arena_take(t->ctx, &t->trainer->memory, count, &values);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < count; i++) values[i] = fill;
    return twi_tape_fixed(t, NULL, values, id);
}

const twi_layout *twi_tape_layout(const twi_tape *t, uint32_t value)
{
    return t->trainer->values[value].layout;
}

tw_status twi_tape_plain(twi_tape *t, uint32_t node, twi_dtype dtype, const twi_layout **out)
{
    const twi_shape *shape = &t->shapes[node];
    size_t dims[4] = {t->trainer->opts.batch};
    *out = NULL;
    if (!t->trainer->device) return TW_OK;
    for (size_t i = 0; i < shape->rank; i++) dims[1 + i] = shape->dims[i];
    if (shape->rank == 2) { /* the tokens of all pictures, one a row */
        if (twi_mul(dims[0], dims[1], &dims[0]))
            return twi_fail(t->ctx, TW_ERR_NOMEM, "%s: %zu tokens do not fit",
                            t->network->nodes[node].name, shape->dims[0]);
        dims[1] = dims[2];
    }
    return twi_layout_new(t->ctx, t->trainer->device, shape->rank == 2 ? 2 : shape->rank + 1, dims,
                          dtype, TWI_ORDER_PLAIN, out);
}

tw_status twi_tape_new_floats(twi_tape *t, uint32_t node, uint32_t *out)
{
    const twi_layout *plain;
    size_t count, bytes;
    tw_status st = twi_batch_elements(t->ctx, t->network->nodes[node].name, t->trainer->opts.batch,
                                      &t->shapes[node], &count);
    if (st == TW_OK && twi_mul(count, sizeof(float), &bytes))
        st = twi_fail(t->ctx, TW_ERR_NOMEM, "%s: %zu values do not fit",
                      t->network->nodes[node].name, count);
    if (st == TW_OK) st = twi_tape_plain(t, node, TWI_F32, &plain);
    return st == TW_OK ? twi_tape_value(t, plain, bytes, out) : st;
}

tw_status twi_tape_argument(twi_tape *t, const twi_primitive *primitive, size_t i, uint32_t *out)
{
    return twi_tape_value(t, twi_primitive_argument(primitive, i), 0, out);
}

bool twi_tape_joined(const twi_tape *t)
{
    return t->joined[t->node] != t->node;
}

twi_activation twi_tape_after(const twi_tape *t)
{
    const uint32_t reader = t->joined[t->node];
    return reader > t->node ? twi_function_of(&t->network->nodes[reader]) : (twi_activation){0};
}

void twi_tape_done(twi_tape *t, uint32_t value)
{
    t->value_of[t->node] = value;
    twi_tape_record_of(t)->out = value;
}

/* ---- steps --------------------------------------------------------------------------------- */

tw_status twi_tape_append(twi_tape *t, const twi_tape_step *step)
{
    twi_trainer *p = t->trainer;
    tw_status st = twi_grow(t->ctx, &p->steps, &p->steps_capacity, p->n_steps + 1);
    if (st != TW_OK) return st;
    uint32_t *values;
    char *name;
    const char *of = twi_tape_node(t)->name;
    if ((st = twi_arena_take(t->ctx, &p->memory, step->n, &values)) != TW_OK) return st;
    if ((st = twi_arena_text(t->ctx, &p->memory, of, strlen(of), &name)) != TW_OK) return st;
    for (size_t i = 0; i < step->n; i++) {
        values[i] = step->values[i];
        if (values[i] != TWI_NO_VALUE) p->values[values[i]].last = p->n_steps;
    }
    p->steps[p->n_steps] = *step;
    p->steps[p->n_steps].values = values;
    p->steps[p->n_steps].name = name;
    p->steps[p->n_steps].turn = t->turn;
    p->n_steps++;
    return TW_OK;
}

static tw_status run_primitive(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *trainer)
{
    (void)trainer;
    return twi_bound_run(ctx, step->bound);
}

#define MOST_ARGUMENTS 264 /* a node has at most 256 inputs */

tw_status twi_tape_primitive(twi_tape *t, const twi_primitive *primitive, size_t n,
                             const uint32_t *values)
{
    uint32_t all[MOST_ARGUMENTS];
    if (n + 1 > MOST_ARGUMENTS)
        return twi_fail(t->ctx, TW_ERR_UNSUPPORTED, "layer %s: %zu values; at most %d are trained",
                        twi_tape_node(t)->name, n, MOST_ARGUMENTS - 1);
    memcpy(all, values, n * sizeof *all);
    const tw_status st = twi_tape_argument(t, primitive, n, &all[n]); /* scratch */
    if (st != TW_OK) return st;
    const twi_tape_step step = {
        .run = run_primitive, .n = n + 1, .values = all, .primitive = primitive};
    return twi_tape_append(t, &step);
}

tw_status twi_tape_as(twi_tape *t, uint32_t value, const twi_layout *layout, uint32_t *out)
{
    const twi_layout *now = twi_tape_layout(t, value);
    const twi_primitive *reorder;
    uint32_t copy;
    if (!layout || twi_layout_equal(now, layout)) {
        *out = value;
        return TW_OK;
    }
    tw_status st = twi_primitive_reorder(t->ctx, t->trainer->device, now, layout, &reorder);
    if (st == TW_OK) st = twi_tape_value(t, layout, 0, &copy);
    if (st == TW_OK) st = twi_tape_primitive(t, reorder, 2, (uint32_t[2]){value, copy});
    if (st == TW_OK) *out = copy;
    return st;
}

tw_status twi_tape_floats(twi_tape *t, uint32_t value, uint32_t node, uint32_t *out)
{
    const twi_layout *plain;
    const tw_status st = twi_tape_plain(t, node, TWI_F32, &plain);
    return st == TW_OK ? twi_tape_as(t, value, plain, out) : st;
}

static tw_status run_copy(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *trainer)
{
    (void)ctx;
    const uint32_t from = step->values[0], to = step->values[1];
    memcpy(trainer->at[to], trainer->at[from], *(const size_t *)step->state);
    return TW_OK;
}

tw_status twi_tape_recast(twi_tape *t, uint32_t value, const twi_layout *layout, uint32_t *out)
{
    size_t *bytes;
    uint32_t copy;
    tw_status st = twi_arena_take(t->ctx, &t->trainer->memory, 1, &bytes);
    if (st != TW_OK) return st;
    *bytes = twi_layout_bytes(layout);
    st = twi_tape_value(t, layout, 0, &copy);
    const twi_tape_step step = {
        .run = run_copy, .n = 2, .values = (uint32_t[2]){value, copy}, .state = bytes};
    if (st == TW_OK) st = twi_tape_append(t, &step);
    if (st == TW_OK) *out = copy;
    return st;
}

/* ---- gradients ----------------------------------------------------------------------------- */

uint32_t twi_tape_gradient(const twi_tape *t)
{
    return t->gradient_of[t->node];
}

bool twi_tape_wanted(const twi_tape *t, size_t i)
{
    return t->wants[twi_tape_node(t)->inputs[i]];
}

typedef struct sum_state {
    size_t count;
} sum_state;

static tw_status run_sum(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *trainer)
{
    (void)ctx;
    const float *a = trainer->at[step->values[0]], *b = trainer->at[step->values[1]];
    float *out = trainer->at[step->values[2]];
    const size_t count = ((const sum_state *)step->state)->count;
    for (size_t i = 0; i < count; i++) out[i] = a[i] + b[i];
    return TW_OK;
}

/* out = a + b, plain float32 both. */
static tw_status plain_sum(twi_tape *t, const uint32_t values[3], uint32_t node)
{
    sum_state *state;
    tw_status st = twi_arena_take(t->ctx, &t->trainer->memory, 1, &state);
    if (st == TW_OK)
        st = twi_batch_elements(t->ctx, "sum", t->trainer->opts.batch, &t->shapes[node],
                                &state->count);
    const twi_tape_step step = {.run = run_sum, .n = 3, .values = values, .state = state};
    return st == TW_OK ? twi_tape_append(t, &step) : st;
}

tw_status twi_tape_collect(twi_tape *t, uint32_t node)
{
    const twi_primitive *add;
    uint32_t values[3] = {t->gradient_of[node]};
    if (t->rest_of[node] == TWI_NO_VALUE) return TW_OK;
    const twi_layout *layout = twi_tape_layout(t, values[0]);
    tw_status st = twi_tape_as(t, t->rest_of[node], layout, &values[1]);
    if (st == TW_OK)
        st = layout ? twi_tape_value(t, layout, 0, &values[2])
                    : twi_tape_new_floats(t, node, &values[2]);
    if (st == TW_OK && !t->trainer->device) {
        st = plain_sum(t, values, node);
    } else if (st == TW_OK) {
        st = twi_primitive_add(t->ctx, t->trainer->device, layout, NULL, &add);
        if (st == TW_OK) st = twi_tape_primitive(t, add, 3, values);
    }
    t->gradient_of[node] = values[2];
    t->rest_of[node] = TWI_NO_VALUE;
    return st;
}

tw_status twi_tape_give(twi_tape *t, size_t i, uint32_t value)
{
    const uint32_t node = twi_tape_node(t)->inputs[i];
    if (t->gradient_of[node] == TWI_NO_VALUE) {
        t->gradient_of[node] = value;
        return TW_OK;
    }
    const tw_status st = twi_tape_collect(t, node);
    t->rest_of[node] = value;
    return st;
}
