/* build.c - values, steps and packed weights of a program being built. */
#include "engine/program.h"

#include <string.h>

tw_status twi_build_value(twi_build *b, const twi_layout *layout, size_t bytes, uint32_t *id)
{
    twi_program *p = b->program;
    const tw_status st = twi_grow(b->ctx, &p->values, &p->values_capacity, p->n_values + 1);
    if (st != TW_OK) return st;
    p->values[p->n_values] = (twi_value){.layout = layout,
                                         .bytes = layout ? twi_layout_bytes(layout) : bytes,
                                         .first = p->n_steps,
                                         .last = p->n_steps,
                                         .eight = TWI_NO_VALUE};
    *id = (uint32_t)p->n_values++;
    return TW_OK;
}

tw_status twi_build_step(twi_build *b, const twi_step *step)
{
    twi_program *p = b->program;
    tw_status st = twi_grow(b->ctx, &p->steps, &p->steps_capacity, p->n_steps + 1);
    if (st != TW_OK) return st;
    uint32_t *in;
    char *name;
    const char *of = b->network->nodes[b->node].name;
    if ((st = twi_arena_take(b->ctx, &p->memory, step->n_in, &in)) != TW_OK) return st;
    if ((st = twi_arena_text(b->ctx, &p->memory, of, strlen(of), &name)) != TW_OK) return st;
    for (size_t i = 0; i < step->n_in; i++) {
        in[i] = step->in[i];
        p->values[in[i]].last = p->n_steps;
    }
    if (step->scratch != TWI_NO_VALUE) p->values[step->scratch].last = p->n_steps;
    p->values[step->out].last = p->n_steps;
    p->values[step->out].eight = TWI_NO_VALUE; /* a copy of what was there is none of what comes */
    p->steps[p->n_steps] = *step;
    p->steps[p->n_steps].in = in;
    p->steps[p->n_steps].name = name;
    p->n_steps++;
    return TW_OK;
}

/* ---- packed weights ------------------------------------------------------------------------ */

static bool packed_alike(const twi_packed *a, const twi_packed *b)
{
    if (a->node != b->node || a->param != b->param || a->packing != b->packing) return false;
    if (a->bytes != b->bytes || !a->layout != !b->layout) return false;
    return !a->layout || twi_layout_equal(a->layout, b->layout);
}

static twi_packed *packed_find(const twi_program *program, const twi_packed *key)
{
    for (size_t i = 0; program && i < program->n_packed; i++)
        if (packed_alike(program->packed[i], key)) return program->packed[i];
    return NULL;
}

void twi_packed_release(twi_packed *packed)
{
    if (!packed || atomic_fetch_sub(&packed->refs, 1) > 1) return;
    twi_free(packed->layout);
    twi_free(packed->data);
    twi_free(packed);
}

static tw_status packed_make(tw_ctx *ctx, const twi_packed *key, twi_fill_fn fill, const void *user,
                             twi_packed **out)
{
    twi_packed *packed;
    tw_status st = twi_zalloc(ctx, 1, &packed);
    if (st != TW_OK) return st;
    *packed = (twi_packed){.refs = 1,
                           .node = key->node,
                           .param = key->param,
                           .packing = key->packing,
                           .bytes = key->bytes};
    if (key->layout) st = twi_layout_copy(ctx, key->layout, &packed->layout);
    if (st == TW_OK) st = twi_alloc_bytes(ctx, key->bytes, 1, false, &packed->data);
    if (st == TW_OK) st = fill(ctx, user, packed->data);
    if (st != TW_OK) {
        twi_packed_release(packed);
        return st;
    }
    *out = packed;
    return TW_OK;
}

tw_status twi_build_packed(twi_build *b, const twi_packed *key, twi_fill_fn fill, const void *user,
                           const twi_packed **out)
{
    twi_program *p = b->program;
    twi_packed *packed = packed_find(p, key);
    if (packed) {
        *out = packed;
        return TW_OK;
    }
    tw_status st = twi_grow(b->ctx, &p->packed, &p->packed_capacity, p->n_packed + 1);
    if (st != TW_OK) return st;
    packed = packed_find(b->share, key);
    if (packed)
        atomic_fetch_add(&packed->refs, 1);
    else if ((st = packed_make(b->ctx, key, fill, user, &packed)) != TW_OK)
        return st;
    p->packed[p->n_packed++] = packed;
    *out = packed;
    return TW_OK;
}

static tw_status fill_floats(tw_ctx *ctx, const void *user, void *data)
{
    return twi_tensor_floats(ctx, user, data);
}

tw_status twi_build_floats(twi_build *b, uint32_t node, unsigned param, const twi_packed **out)
{
    const twi_tensor *t = b->network->nodes[node].params[param];
    twi_packed key = {.node = node, .param = param, .packing = TWI_PACKING_FLOATS};
    if (twi_mul(t->count, sizeof(float), &key.bytes))
        return twi_fail(b->ctx, TW_ERR_NOMEM, "%s: %zu weights do not fit", t->name, t->count);
    return twi_build_packed(b, &key, fill_floats, t, out);
}

tw_status twi_batch_elements(tw_ctx *ctx, const char *name, size_t batch, const twi_shape *shape,
                             size_t *out)
{
    size_t count = batch;
    for (size_t i = 0; i < shape->rank; i++)
        if (twi_mul(count, shape->dims[i], &count))
            return twi_fail(ctx, TW_ERR_NOMEM, "%s: a batch of %zu does not fit in memory", name,
                            batch);
    *out = count;
    return TW_OK;
}
