/* graph.c - names, inputs and outputs of the node being lowered. */
#include "importer/onnx/graph.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static size_t count_names(const twi_onnx_model *model)
{
    size_t names = model->n_initializers + model->n_inputs + 16;
    for (size_t i = 0; i < model->n_nodes; i++) names += model->nodes[i].n_outputs;
    return names;
}

tw_status twi_onnx_graph_new(tw_ctx *ctx, twi_onnx_model *model, size_t channels, size_t height,
                             size_t width, twi_onnx_graph *out)
{
    twi_onnx_graph g = {.ctx = ctx, .model = model};
    tw_status st;
    if ((st = twi_onnx_more_names(&g, model)) != TW_OK) goto done;
    if ((st = twi_network_new(ctx, channels, &g.network)) != TW_OK) goto done;
    if ((st = twi_grow(ctx, &g.shapes, &g.shape_capacity, 1)) != TW_OK) goto done;
    g.shapes[0] = (twi_shape){3, {channels, height, width}};
    *out = g, g = (twi_onnx_graph){0};
done:
    twi_onnx_graph_free(&g);
    return st;
}

void twi_onnx_graph_free(twi_onnx_graph *g)
{
    twi_network_free(g->network);
    twi_free(g->shapes);
    twi_free(g->names);
    *g = (twi_onnx_graph){0};
}

/* FNV-1a: Fowler, Noll & Vo, 64 bits. */
uint64_t twi_onnx_hash(const void *text, size_t length)
{
    const unsigned char *at = text;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < length; i++) h = (h ^ at[i]) * 1099511628211u;
    return h;
}

/* The place of name in a table [slots]: its own, or a free one. NULL: neither. */
static twi_onnx_name *place_of(twi_onnx_name *names, size_t slots, const char *name)
{
    size_t at = (size_t)twi_onnx_hash(name, strlen(name)) & (slots - 1);
    for (size_t tries = 0; tries < slots; tries++, at = (at + 1) & (slots - 1))
        if (!names[at].name || strcmp(names[at].name, name) == 0) return &names[at];
    return NULL;
}

tw_status twi_onnx_more_names(twi_onnx_graph *g, const twi_onnx_model *branch)
{
    const size_t wanted = g->name_room + count_names(branch);
    size_t slots = 64;
    twi_onnx_name *names;
    while (slots < 2 * wanted) slots *= 2;
    g->name_room = wanted;
    if (slots <= g->name_slots) return TW_OK;
    const tw_status st = twi_zalloc(g->ctx, slots, &names);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < g->name_slots; i++)
        if (g->names[i].name) *place_of(names, slots, g->names[i].name) = g->names[i];
    twi_free(g->names);
    g->names = names;
    g->name_slots = slots;
    return TW_OK;
}

tw_status twi_onnx_slot(twi_onnx_graph *g, const char *name, twi_onnx_value **out)
{
    twi_onnx_name *slot = place_of(g->names, g->name_slots, name);
    if (!slot)
        return twi_fail(g->ctx, TW_ERR_FORMAT, "%s: more names than nodes make", g->model->path);
    slot->name = slot->name ? slot->name : name;
    *out = &slot->value;
    return TW_OK;
}

tw_status twi_onnx_fail(twi_onnx_graph *g, const char *format, ...)
{
    char why[256];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    const char *name = g->at->name;
    if (!*name && g->at->n_outputs) name = g->at->outputs[0];
    return twi_fail(g->ctx, TW_ERR_UNSUPPORTED, "%s: node %s (%s): %s", g->model->path, name,
                    g->at->op, why);
}

bool twi_onnx_has_input(const twi_onnx_graph *g, size_t i)
{
    return i < g->at->n_inputs && g->at->inputs[i][0] != '\0';
}

/* A name that no earlier node made: the list is not in order, and if it has a cycle none is. */
static tw_status fail_order(twi_onnx_graph *g, const char *name)
{
    for (size_t n = 0; n < g->model->n_nodes; n++)
        for (size_t o = 0; o < g->model->nodes[n].n_outputs; o++)
            if (strcmp(g->model->nodes[n].outputs[o], name) == 0)
                return twi_onnx_fail(g,
                                     "reads %s, which is made only by itself or a later node: "
                                     "the graph has a cycle, or is not in order",
                                     name);
    return twi_onnx_fail(g, "reads %s, which nothing makes", name);
}

tw_status twi_onnx_input(twi_onnx_graph *g, size_t i, const twi_onnx_value **out)
{
    twi_onnx_value *value;
    if (!twi_onnx_has_input(g, i)) return twi_onnx_fail(g, "input %zu is missing", i);
    const tw_status st = twi_onnx_slot(g, g->at->inputs[i], &value);
    if (st != TW_OK) return st;
    if (value->kind == TWI_ONNX_NONE) return fail_order(g, g->at->inputs[i]);
    *out = value;
    return TW_OK;
}

static tw_status input_const(twi_onnx_graph *g, size_t i, bool floats, const twi_onnx_const **out)
{
    const twi_onnx_value *value;
    const tw_status st = twi_onnx_input(g, i, &value);
    if (st != TW_OK) return st;
    if (value->kind != TWI_ONNX_CONST)
        return twi_onnx_fail(g, "input %zu, %s, depends on the picture; it must be known", i,
                             g->at->inputs[i]);
    if (floats ? !value->data.f : !value->data.i)
        return twi_onnx_fail(g, "input %zu, %s, must be %s", i, g->at->inputs[i],
                             floats ? "floating point" : "whole numbers");
    *out = &value->data;
    return TW_OK;
}

tw_status twi_onnx_input_floats(twi_onnx_graph *g, size_t i, const twi_onnx_const **out)
{
    return input_const(g, i, true, out);
}

tw_status twi_onnx_input_ints(twi_onnx_graph *g, size_t i, const twi_onnx_const **out)
{
    return input_const(g, i, false, out);
}

tw_status twi_onnx_list(twi_onnx_graph *g, const char *name, size_t i, const int64_t **out,
                        size_t *n)
{
    const twi_onnx_attribute *a = twi_onnx_attribute_of(g->at, name);
    const twi_onnx_const *c;
    *out = NULL;
    *n = 0;
    if (a) {
        *out = a->ints;
        *n = a->n_ints;
        return TW_OK;
    }
    if (i == SIZE_MAX || !twi_onnx_has_input(g, i)) return TW_OK;
    const tw_status st = twi_onnx_input_ints(g, i, &c);
    if (st != TW_OK) return st;
    *out = c->i;
    *n = c->count;
    return TW_OK;
}

tw_status twi_onnx_axis(twi_onnx_graph *g, int64_t axis, size_t rank, size_t *out)
{
    const int64_t at = axis < 0 ? axis + (int64_t)rank : axis;
    if (at < 0 || at >= (int64_t)rank)
        return twi_onnx_fail(g, "axis %lld of a value of %zu axes", (long long)axis, rank);
    *out = (size_t)at;
    return TW_OK;
}

tw_status twi_onnx_output(twi_onnx_graph *g, size_t i, const twi_onnx_value *value)
{
    twi_onnx_value *slot;
    if (i >= g->at->n_outputs || !g->at->outputs[i][0]) return TW_OK; /* nobody asked for it */
    const tw_status st = twi_onnx_slot(g, g->at->outputs[i], &slot);
    if (st != TW_OK) return st;
    if (slot->kind != TWI_ONNX_NONE)
        return twi_onnx_fail(g, "makes %s, which is there already", g->at->outputs[i]);
    *slot = *value;
    return TW_OK;
}

tw_status twi_onnx_give(twi_onnx_graph *g, uint32_t node, size_t rank, const size_t *dims)
{
    twi_onnx_value value = {.kind = TWI_ONNX_NODE, .rank = rank, .node = node};
    if (rank > 0) memcpy(value.dims, dims, rank * sizeof *dims);
    return twi_onnx_output(g, 0, &value);
}

twi_onnx_lower twi_onnx_find(const char *op)
{
    static const twi_onnx_operator *const tables[] = {twi_onnx_layers,   twi_onnx_pointwise,
                                                      twi_onnx_moves,    twi_onnx_reductions,
                                                      twi_onnx_branches, twi_onnx_sums};
    for (size_t t = 0; t < TWI_LEN(tables); t++)
        for (const twi_onnx_operator *row = tables[t]; row->name; row++)
            if (strcmp(row->name, op) == 0) return row->lower;
    return NULL;
}
