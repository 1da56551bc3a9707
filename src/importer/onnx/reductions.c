/* reductions.c - means, largest values and shares along axes. */
#include "importer/onnx/graph.h"

#include <string.h>

/* Which axes, and that they lie side by side but for axes of 1. */
typedef struct reduced {
    bool axis[TWI_ONNX_DIMS];
    size_t before, n, after; /* elements before, along and after them */
} reduced;

static tw_status take_axes(twi_onnx_graph *g, const twi_onnx_value *x, reduced *r)
{
    const int64_t *axes;
    size_t n;
    *r = (reduced){.before = 1, .n = 1, .after = 1};
    tw_status st = twi_onnx_list(g, "axes", 1, &axes, &n);
    for (size_t k = 0; k < n && st == TW_OK; k++) {
        size_t axis;
        st = twi_onnx_axis(g, axes[k], x->rank, &axis);
        if (st == TW_OK) r->axis[axis] = true;
    }
    if (st != TW_OK) return st;
    const bool all = n == 0 && twi_onnx_int(g->at, "noop_with_empty_axes", 0) == 0;
    bool seen = false, over = false;
    for (size_t d = 0; d < x->rank; d++) {
        if (all) r->axis[d] = true;
        if (x->dims[d] == 1) continue;
        if (r->axis[d] && over) return twi_onnx_fail(g, "axes that do not lie side by side");
        seen = seen || r->axis[d];
        over = seen && !r->axis[d];
        *(r->axis[d] ? &r->n : seen ? &r->after : &r->before) *= x->dims[d];
    }
    return TW_OK;
}

/* [before, n, after] over n. */
static tw_status reduce(twi_onnx_graph *g, const twi_onnx_value *x, const reduced *r, bool mean,
                        uint32_t *out)
{
    const twi_op global = mean ? TWI_OP_GLOBAL_AVG_POOL : TWI_OP_GLOBAL_MAX_POOL;
    uint32_t in;
    tw_status st;
    if (r->n == 1) {
        *out = x->node;
        return TW_OK;
    }
    if (r->after == 1 && g->shapes[x->node].rank == 3 && g->shapes[x->node].dims[0] == r->before)
        return twi_onnx_make1(g, (twi_node){.op = global}, x->node, out);
    if (r->before == 1 && r->after == 1) { /* of a whole vector */
        const twi_shape vector = {1, {r->n}};
        const twi_node node = {.op = mean ? TWI_OP_REDUCE_MEAN : TWI_OP_REDUCE_MAX,
                               .axes = {1, {0}}};
        st = twi_onnx_shaped(g, x, &vector, &in);
        return st == TW_OK ? twi_onnx_make1(g, node, in, out) : st;
    }
    const twi_shape *s = &g->shapes[x->node];
    if (r->before == 1 && s->rank == 3 && s->dims[0] == r->n) { /* over a map's channels */
        const twi_node node = {.op = mean ? TWI_OP_REDUCE_MEAN : TWI_OP_REDUCE_MAX,
                               .axes = {1, {0}}};
        return twi_onnx_make1(g, node, x->node, out);
    }
    if (r->before == 1) { /* over tokens */
        const twi_shape tokens = {2, {r->n, r->after}};
        st = twi_onnx_shaped(g, x, &tokens, &in);
        return st == TW_OK ? twi_onnx_make1(g, (twi_node){.op = global}, in, out) : st;
    }
    const twi_shape shape = {r->after == 1 ? 2 : 3, {r->before, r->n, r->after}};
    const twi_node node = {.op = mean ? TWI_OP_REDUCE_MEAN : TWI_OP_REDUCE_MAX, .axes = {1, {1}}};
    st = twi_onnx_shaped(g, x, &shape, &in);
    return st == TW_OK ? twi_onnx_make1(g, node, in, out) : st;
}

/* By one number. */
static tw_status times(twi_onnx_graph *g, float number, uint32_t *node)
{
    float *to;
    twi_node by = {.op = TWI_OP_MUL_CONSTANT};
    const size_t one = 1;
    const tw_status st = twi_onnx_param(g, 1, &one, NULL, &by.params[TWI_PARAM_VALUE], &to);
    if (st != TW_OK) return st;
    *to = number;
    return twi_onnx_make1(g, by, *node, node);
}

/* Sums are means times their number; the length is the root of the sum of squares. */
static tw_status lower_reduce(twi_onnx_graph *g)
{
    const char *what = g->at->op + strlen("Reduce");
    const bool keep = twi_onnx_int(g->at, "keepdims", 1) != 0, mean = strcmp(what, "Max") != 0;
    const bool length = strcmp(what, "L2") == 0, sum = length || what[0] == 'S';
    const twi_onnx_value *x;
    twi_onnx_value in, out = {.kind = TWI_ONNX_NODE};
    reduced r;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK && x->kind != TWI_ONNX_NODE)
        st = twi_onnx_fail(g, "known numbers, which it is not read of");
    if (st == TW_OK) st = take_axes(g, x, &r);
    if (st != TW_OK) return st;
    in = *x;
    if (length || strcmp(what, "SumSquare") == 0) {
        const uint32_t twice[] = {x->node, x->node};
        st = twi_onnx_make(g, (twi_node){.op = TWI_OP_MUL}, twice, 2, &in.node);
    }
    if (st == TW_OK) st = reduce(g, &in, &r, mean, &out.node);
    if (st == TW_OK && sum && r.n > 1) st = times(g, (float)r.n, &out.node);
    if (st == TW_OK && length)
        st = twi_onnx_make1(g, (twi_node){.op = TWI_OP_SQRT}, out.node, &out.node);
    if (st != TW_OK) return st;
    for (size_t d = 0; d < x->rank; d++)
        if (!r.axis[d])
            out.dims[out.rank++] = x->dims[d];
        else if (keep)
            out.dims[out.rank++] = 1;
    return twi_onnx_output(g, 0, &out);
}

/* Before opset 13 over all axes from `axis` on, as one. */
static tw_status lower_softmax(twi_onnx_graph *g)
{
    const bool old = g->model->opset < 13;
    const twi_onnx_value *x;
    size_t axis, rows = 1, n = 1;
    uint32_t in, out;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK)
        st = twi_onnx_axis(g, twi_onnx_int(g->at, "axis", old ? 1 : -1), x->rank, &axis);
    if (st != TW_OK) return st;
    for (size_t d = 0; d < x->rank; d++) *(d < axis ? &rows : &n) *= x->dims[d];
    for (size_t d = axis + 1; d < x->rank; d++)
        if (!old && x->dims[d] != 1)
            return twi_onnx_fail(g, "shares along an axis that is not the last");
    const twi_shape vector = {1, {n}}, table = {2, {rows, n}};
    size_t ours;
    if (!old && x->rank > 0 && x->dims[axis] > 1) st = twi_onnx_around(g, x, axis, &in, &ours);
    if (old || x->dims[axis] == 1 || st != TW_OK || ours + 1 != g->shapes[in].rank)
        st = twi_onnx_shaped(g, x, rows == 1 ? &vector : &table, &in);
    if (st == TW_OK) st = twi_onnx_make1(g, (twi_node){.op = TWI_OP_SOFTMAX}, in, &out);
    if (st == TW_OK && g->at->op[0] == 'L')
        st = twi_onnx_make1(g, (twi_node){.op = TWI_OP_LOG}, out, &out);
    return st == TW_OK ? twi_onnx_give(g, out, x->rank, x->dims) : st;
}

const twi_onnx_operator twi_onnx_reductions[] = {
    {"ReduceMean", lower_reduce},      {"ReduceMax", lower_reduce},
    {"ReduceSum", lower_reduce},       {"ReduceL2", lower_reduce},
    {"ReduceSumSquare", lower_reduce}, {"Softmax", lower_softmax},
    {"LogSoftmax", lower_softmax},     {NULL, NULL},
};
