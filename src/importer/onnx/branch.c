/* branch.c - nodes lowered one after the other, and If, whose condition is known once the picture's
 * size is: exporters write it around squeezes of axes that may be 1. The branch taken is lowered in
 * the If's place; the other one does not matter. */
#include "importer/onnx/graph.h"

#include <string.h>

#define DEEPEST 4 /* Ifs within Ifs */

tw_status twi_onnx_take_initializers(twi_onnx_graph *g, const twi_onnx_model *from)
{
    for (size_t i = 0; i < from->n_initializers; i++) {
        const twi_onnx_initializer *one = &from->initializers[i];
        twi_onnx_value *value;
        tw_status st = twi_onnx_slot(g, one->name, &value);
        if (st != TW_OK) return st;
        if (value->kind != TWI_ONNX_NONE)
            return twi_fail(g->ctx, TW_ERR_FORMAT, "%s: two values are called %s", from->path,
                            one->name);
        st = twi_onnx_tensor(g->ctx, g->model, one->name, one->tensor, &value->data);
        if (st != TW_OK) return st;
        value->kind = TWI_ONNX_CONST;
        value->rank = value->data.rank;
        memcpy(value->dims, value->data.dims, sizeof value->dims);
    }
    return TW_OK;
}

tw_status twi_onnx_lower_node(twi_onnx_graph *g, const twi_onnx_node *node)
{
    bool folded;
    g->at = node;
    g->made = 0;
    const tw_status st = twi_onnx_fold(g, &folded);
    if (st != TW_OK || folded) return st;
    const twi_onnx_lower lower = twi_onnx_find(node->op);
    if (lower && (*node->domain == '\0' || strcmp(node->domain, "ai.onnx") == 0)) return lower(g);
    return twi_onnx_folds(node->op)
               ? twi_onnx_fail(g, "depends on the picture here; it is read of known numbers")
               : twi_onnx_fail(g, "is not read");
}

/* Names that nodes of a branch read, and those nested in it, from the bytes as they are. */
void twi_onnx_branch_reads(twi_cursor graph, size_t depth, twi_onnx_reads read, void *user)
{
    twi_field field, part, inner;
    while (depth < DEEPEST && twi_field_next(&graph, &field)) {
        if (field.type != TWI_WIRE_BYTES || (field.number != 1 && field.number != 12)) continue;
        while (twi_field_next(&field.bytes, &part)) { /* of a node, or of an output */
            if (part.type != TWI_WIRE_BYTES) continue;
            if (part.number == 1) read(user, part.bytes);
            while (field.number == 1 && part.number == 5 && twi_field_next(&part.bytes, &inner))
                if (inner.number == 6 && inner.type == TWI_WIRE_BYTES)
                    twi_onnx_branch_reads(inner.bytes, depth + 1, read, user);
        }
    }
}

/* The branch's nodes in the If's place: every value they make is the graph's. */
static tw_status lower_branch(twi_onnx_graph *g, const twi_onnx_model *branch)
{
    const twi_onnx_node *at = g->at;
    tw_status st = twi_onnx_more_names(g, branch);
    if (st == TW_OK) st = twi_onnx_take_initializers(g, branch);
    g->depth++;
    for (size_t i = 0; i < branch->n_nodes && st == TW_OK; i++)
        st = twi_onnx_lower_node(g, &branch->nodes[i]);
    g->depth--;
    g->at = at;
    if (st == TW_OK && branch->n_outputs != at->n_outputs)
        st = twi_onnx_fail(g, "%zu outputs, and a branch of %zu", at->n_outputs, branch->n_outputs);
    for (size_t i = 0; i < branch->n_outputs && st == TW_OK; i++) {
        twi_onnx_value *value;
        st = twi_onnx_slot(g, branch->outputs[i].name, &value);
        if (st == TW_OK && value->kind == TWI_ONNX_NONE)
            st =
                twi_onnx_fail(g, "a branch gives %s, which nothing makes", branch->outputs[i].name);
        if (st == TW_OK) st = twi_onnx_output(g, i, value);
    }
    return st;
}

static tw_status lower_if(twi_onnx_graph *g)
{
    const twi_onnx_const *condition;
    const twi_onnx_model *branch;
    tw_status st = twi_onnx_input_ints(g, 0, &condition);
    if (st == TW_OK && condition->count != 1)
        st = twi_onnx_fail(g, "a condition of %zu numbers", condition->count);
    if (st != TW_OK) return st;
    const char *which = condition->i[0] ? "then_branch" : "else_branch";
    const twi_onnx_attribute *a = twi_onnx_attribute_of(g->at, which);
    if (!a || a->graph.left == 0) return twi_onnx_fail(g, "%s is missing", which);
    if (g->depth == DEEPEST) return twi_onnx_fail(g, "more than %d within each other", DEEPEST);
    st = twi_onnx_parse_branch(g->ctx, g->model, a->graph, &branch);
    return st == TW_OK ? lower_branch(g, branch) : st;
}

const twi_onnx_operator twi_onnx_branches[] = {{"If", lower_if}, {NULL, NULL}};
