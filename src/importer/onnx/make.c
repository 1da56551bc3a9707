/* make.c - nodes of ours, and values in the shape a node needs. */
#include "importer/onnx/graph.h"

#include <string.h>

const twi_node *twi_onnx_node_of(const twi_onnx_graph *g, uint32_t id)
{
    return &g->network->nodes[id];
}

uint32_t twi_onnx_behind(const twi_onnx_graph *g, uint32_t id)
{
    for (;;) {
        const twi_node *node = twi_onnx_node_of(g, id);
        if (node->op != TWI_OP_RESHAPE && node->op != TWI_OP_FLATTEN) return id;
        id = node->inputs[0];
    }
}

tw_status twi_onnx_make(twi_onnx_graph *g, twi_node proto, const uint32_t *inputs, size_t n,
                        uint32_t *out)
{
    char *name = NULL;
    const char *base = g->at->n_outputs ? g->at->outputs[0] : g->at->op;
    tw_status st = g->made == 0 ? twi_asprintf(g->ctx, &name, "%s", base)
                                : twi_asprintf(g->ctx, &name, "%s~%zu", base, g->made);
    if (st != TW_OK) return st;
    g->made++;
    proto.name = name;
    proto.inputs = inputs;
    proto.n_inputs = n;
    st = twi_network_append(g->ctx, g->network, &proto, out);
    if (st == TW_OK) st = twi_grow(g->ctx, &g->shapes, &g->shape_capacity, g->network->n);
    if (st == TW_OK) st = twi_network_shape(g->ctx, g->network, *out, g->shapes);
    if (st == TW_ERR_FORMAT) st = twi_fail_prefix(g->ctx, st, "%s: ", g->model->path);
    twi_free(name);
    return st;
}

tw_status twi_onnx_make1(twi_onnx_graph *g, twi_node proto, uint32_t input, uint32_t *out)
{
    return twi_onnx_make(g, proto, &input, 1, out);
}

/* Its name is settled when the network is put together. */
tw_status twi_onnx_param(twi_onnx_graph *g, size_t rank, const size_t *dims, const float *data,
                         const twi_tensor **out, float **fresh)
{
    twi_tensor *t;
    float *own = NULL;
    tw_status st = twi_arena_take(g->ctx, &g->model->memory, 1, &t);
    if (st != TW_OK) return st;
    *t = (twi_tensor){.name = "", .dtype = TWI_F32, .rank = rank, .count = 1};
    for (size_t d = 0; d < rank; d++) {
        t->dims[d] = dims[d];
        if (twi_mul(t->count, dims[d], &t->count)) return twi_onnx_fail(g, "a weight is too large");
    }
    if (!data && (st = twi_arena_take(g->ctx, &g->model->memory, t->count, &own)) != TW_OK)
        return st;
    t->data = data ? data : own;
    if (fresh) *fresh = own;
    *out = t;
    return TW_OK;
}

/* ---- shapes ------------------------------------------------------------------------------------
 */

tw_status twi_onnx_shaped(twi_onnx_graph *g, const twi_onnx_value *value, const twi_shape *shape,
                          uint32_t *out)
{
    if (value->kind == TWI_ONNX_CONST) {
        const twi_onnx_const *c = &value->data;
        twi_node node = {.op = TWI_OP_CONSTANT};
        if (!c->f) return twi_onnx_fail(g, "whole numbers meet what depends on the picture");
        const tw_status st =
            twi_onnx_param(g, shape->rank, shape->dims, c->f, &node.params[TWI_PARAM_VALUE], NULL);
        return st == TW_OK ? twi_onnx_make(g, node, NULL, 0, out) : st;
    }
    *out = value->node;
    for (;;) { /* reshapes of reshapes: perhaps it had that shape before */
        const twi_node *node = twi_onnx_node_of(g, *out);
        if (twi_shape_equal(&g->shapes[*out], shape)) return TW_OK;
        if (node->op != TWI_OP_RESHAPE && node->op != TWI_OP_FLATTEN) break;
        *out = node->inputs[0];
    }
    for (size_t i = *out + 1U; i < g->network->n; i++) { /* or another asked for it, too */
        const twi_node *node = &g->network->nodes[i];
        const bool reshapes = node->op == TWI_OP_RESHAPE || node->op == TWI_OP_FLATTEN;
        if (!reshapes || node->inputs[0] != *out || !twi_shape_equal(&g->shapes[i], shape))
            continue;
        *out = (uint32_t)i;
        return TW_OK;
    }
    if (shape->rank == 1) return twi_onnx_make1(g, (twi_node){.op = TWI_OP_FLATTEN}, *out, out);
    return twi_onnx_make1(g, (twi_node){.op = TWI_OP_RESHAPE, .target = *shape}, *out, out);
}

bool twi_onnx_is_vector(const twi_onnx_graph *g, const twi_onnx_value *value)
{
    if (value->kind != TWI_ONNX_NODE || value->rank < 2 || value->dims[0] != 1) return false;
    for (size_t d = 2; d < value->rank; d++)
        if (value->dims[d] != 1) return false;
    return g->shapes[value->node].rank == 1;
}

tw_status twi_onnx_as_map(twi_onnx_graph *g, const twi_onnx_value *value, uint32_t *out)
{
    if (value->rank != 4 || value->dims[0] != 1)
        return twi_onnx_fail(g, "a value of %zu axes comes in; need [1, channels, height, width]",
                             value->rank);
    const twi_shape shape = {3, {value->dims[1], value->dims[2], value->dims[3]}};
    return twi_onnx_shaped(g, value, &shape, out);
}

static size_t product(const size_t *dims, size_t from, size_t to)
{
    size_t n = 1;
    for (size_t d = from; d < to; d++) n *= dims[d]; /* of a value whose size was checked */
    return n;
}

tw_status twi_onnx_as_rows(twi_onnx_graph *g, const twi_onnx_value *value, uint32_t *out)
{
    if (value->rank == 0) return twi_onnx_fail(g, "a single number comes in");
    const size_t last = value->dims[value->rank - 1],
                 rows = product(value->dims, 0, value->rank - 1);
    const twi_shape tokens = {2, {rows, last}}, vector = {1, {last}};
    return twi_onnx_shaped(g, value, rows == 1 ? &vector : &tokens, out);
}

bool twi_onnx_same_axes(const twi_onnx_graph *g, const twi_onnx_value *value, size_t axis,
                        size_t *our_axis)
{
    if (value->kind != TWI_ONNX_NODE) return false;
    const twi_shape *s = &g->shapes[value->node];
    bool found = false;
    size_t ours = 0, lead = 0;
    while (lead < value->rank && value->rank - lead > s->rank && value->dims[lead] == 1) lead++;
    if (axis >= lead && value->rank - lead == s->rank &&
        memcmp(value->dims + lead, s->dims, s->rank * sizeof *s->dims) == 0) {
        *our_axis = axis - lead; /* but for axes in front */
        return true;
    }
    for (size_t d = 0; d < value->rank; d++) {
        if (value->dims[d] == 1) continue;
        while (ours < s->rank && s->dims[ours] == 1) ours++;
        if (ours == s->rank || s->dims[ours] != value->dims[d]) return false;
        if (d == axis) *our_axis = ours, found = true;
        ours++;
    }
    return found;
}

tw_status twi_onnx_around(twi_onnx_graph *g, const twi_onnx_value *value, size_t axis,
                          uint32_t *out, size_t *our_axis)
{
    if (twi_onnx_same_axes(g, value, axis, our_axis)) {
        *out = value->node;
        return TW_OK;
    }
    const size_t before = product(value->dims, 0, axis);
    const size_t after = product(value->dims, axis + 1, value->rank);
    twi_shape shape = {0};
    if (before > 1) shape.dims[shape.rank++] = before;
    *our_axis = shape.rank;
    shape.dims[shape.rank++] = value->dims[axis];
    if (after > 1) shape.dims[shape.rank++] = after;
    return twi_onnx_shaped(g, value, &shape, out);
}
