/* attention.c - attention that exporters spell out, as one operator.
 *
 * softmax(scale q k^T + bias) v over a stack of heads [heads, tokens, d], the heads being cut from
 * tokens [tokens, heads d] by a reshape and a transpose, and put side by side again by another:
 * that last one is where it is looked for, backwards. Our operator takes and gives the tokens. */
#include "importer/onnx/graph.h"

#include <string.h>

static bool has_shape(const twi_onnx_graph *g, uint32_t id, size_t a, size_t b, size_t c)
{
    const twi_shape *s = &g->shapes[id];
    return s->rank == 3 && s->dims[0] == a && s->dims[1] == b && s->dims[2] == c;
}

static bool is_transpose(const twi_onnx_graph *g, uint32_t id, size_t rank, const size_t *axes)
{
    const twi_node *node = twi_onnx_node_of(g, id);
    return node->op == TWI_OP_TRANSPOSE && node->axes.rank == rank &&
           memcmp(node->axes.dims, axes, rank * sizeof *axes) == 0;
}

/* Through products with one number, which it gathers. */
static uint32_t unscaled(const twi_onnx_graph *g, uint32_t id, double *scale)
{
    const twi_node *node = twi_onnx_node_of(g, id);
    if (node->op != TWI_OP_MUL_CONSTANT || node->params[TWI_PARAM_VALUE]->count != 1) return id;
    *scale *= (double)((const float *)node->params[TWI_PARAM_VALUE]->data)[0];
    return unscaled(g, node->inputs[0], scale);
}

typedef struct found {
    size_t heads, queries, keys, d;
    uint32_t tokens[3]; /* of q, k, v: elements as in [tokens, heads d] */
    double scale;
    const twi_tensor *bias; /* [heads, queries, keys], or NULL */
} found;

/* [heads, n, d] cut from [n, heads, d]. */
static bool cut_heads(const twi_onnx_graph *g, uint32_t id, const found *f, size_t n, size_t which,
                      found *out)
{
    static const size_t axes[] = {1, 0, 2};
    id = unscaled(g, id, &out->scale);
    if (!has_shape(g, id, f->heads, n, f->d) || !is_transpose(g, id, 3, axes)) return false;
    out->tokens[which] = unscaled(g, twi_onnx_node_of(g, id)->inputs[0], &out->scale);
    return true;
}

/* [heads, d, n]: by one transpose of [n, heads d]. */
static bool cut_turned(const twi_onnx_graph *g, uint32_t id, const found *f, found *out)
{
    static const size_t axes[] = {1, 0};
    id = unscaled(g, id, &out->scale);
    if (!has_shape(g, id, f->heads, f->d, f->keys)) return false;
    if (twi_onnx_node_of(g, id)->op == TWI_OP_RESHAPE) id = twi_onnx_node_of(g, id)->inputs[0];
    if (!is_transpose(g, id, 2, axes) || g->shapes[id].dims[1] != f->keys) return false;
    out->tokens[1] = unscaled(g, twi_onnx_node_of(g, id)->inputs[0], &out->scale);
    return true;
}

/* scores: perhaps scaled, perhaps with a bias. */
static bool is_scores(const twi_onnx_graph *g, uint32_t id, found *f)
{
    const twi_node *node = twi_onnx_node_of(g, id);
    if (node->op == TWI_OP_ADD_CONSTANT) {
        f->bias = node->params[TWI_PARAM_VALUE];
        if (f->bias->rank != 3 || f->bias->dims[0] != f->heads || f->bias->dims[1] != f->queries ||
            f->bias->dims[2] != f->keys)
            return false;
        id = node->inputs[0];
    }
    node = twi_onnx_node_of(g, unscaled(g, id, &f->scale));
    if (node->op != TWI_OP_MATMUL || node->transpose_a) return false;
    f->scale *= node->scale;
    const found wanted = *f;
    if (!cut_heads(g, node->inputs[0], &wanted, wanted.queries, 0, f)) return false;
    return node->transpose_b ? cut_heads(g, node->inputs[1], &wanted, wanted.keys, 1, f)
                             : cut_turned(g, node->inputs[1], &wanted, f);
}

static bool is_attention(const twi_onnx_graph *g, uint32_t id, found *f)
{
    const twi_node *product = twi_onnx_node_of(g, id);
    const twi_shape *s = &g->shapes[id];
    if (product->op != TWI_OP_MATMUL || s->rank != 3 || product->transpose_a ||
        product->transpose_b || product->scale != 1.0)
        return false;
    const twi_node *softmax = twi_onnx_node_of(g, product->inputs[0]);
    *f = (found){.heads = s->dims[0], .queries = s->dims[1], .d = s->dims[2], .scale = 1.0};
    f->keys = g->shapes[product->inputs[1]].dims[1];
    found values;
    if (softmax->op != TWI_OP_SOFTMAX || !is_scores(g, softmax->inputs[0], f)) return false;
    values = *f;
    if (!cut_heads(g, product->inputs[1], f, f->keys, 2, &values)) return false;
    f->tokens[2] = values.tokens[2];
    return values.scale == f->scale; /* a factor of v is no factor of the scores */
}

tw_status twi_onnx_attention(twi_onnx_graph *g, uint32_t id, uint32_t *out, bool *done)
{
    found f;
    uint32_t in[3];
    *done = is_attention(g, id, &f);
    if (!*done) return TW_OK;
    for (size_t i = 0; i < 3; i++) {
        const twi_onnx_value value = {.kind = TWI_ONNX_NODE, .node = f.tokens[i]};
        const twi_shape tokens = {2, {i == 0 ? f.queries : f.keys, f.heads * f.d}};
        const tw_status st = twi_onnx_shaped(g, &value, &tokens, &in[i]);
        if (st != TW_OK) return st;
    }
    const twi_node node = {.op = TWI_OP_ATTENTION,
                           .heads = f.heads,
                           .scale = f.scale,
                           .params = {[TWI_PARAM_ATTENTION_BIAS] = f.bias}};
    return twi_onnx_make(g, node, in, 3, out);
}
