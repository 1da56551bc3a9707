/* attention.c - attention that exporters spell out, as one operator.
 *
 * softmax(scale q k^T + bias + mask) v over a stack of matrices, one for each head of each window
 * (without windows: of one): [windows, heads, tokens, d]. How q, k and v were cut from tokens
 * [windows tokens, features] is told by their views, in whatever order an exporter cut, turned and
 * chose; so it does not matter whether they come from one dense layer or three. Looked for
 * backwards from the transpose that puts the heads side by side again. Our operator takes and gives
 * the tokens. */
#include "importer/onnx/view.h"

#include <string.h>

#define MOST ((size_t)1 << 24) /* numbers of a bias or mask that is made from smaller ones */

typedef struct found {
    size_t windows, heads, queries, keys, d;
    double scale;
    uint32_t adds[4]; /* of numbers to the scores, and what they are multiplied by */
    double factor[4];
    size_t n_adds;
    const twi_tensor *bias, *mask; /* [heads, queries, keys], [windows, queries, keys], or NULL */
} found;

/* Where q, k or v lies in tokens: row r, head h, element e at column first + h head + e each. */
typedef struct columns {
    uint32_t base;
    size_t rows, width; /* of base as tokens */
    size_t first, head, each;
} columns;

/* node: [windows, heads, n, d], or with its last two axes swapped. */
static bool find_columns(const twi_onnx_graph *g, uint32_t node, const found *f, size_t n,
                         bool turned, double *scale, columns *out)
{
    const size_t count[] = {f->windows, f->heads, turned ? f->d : n, turned ? n : f->d};
    size_t stride[4];
    twi_view view;
    twi_view_of(g, node, scale, &view);
    if (!twi_view_split(&view, 4, count, stride)) return false;
    const size_t row = stride[turned ? 3 : 2], each = stride[turned ? 2 : 3];
    *out = (columns){view.base, f->windows * n, row, view.first, stride[1], each};
    return row > 0 && (f->windows == 1 || stride[0] == n * row) &&
           view.first + (f->heads - 1) * stride[1] + (f->d - 1) * each < row &&
           twi_shape_elements(&g->shapes[view.base]) == out->rows * row;
}

static bool is_all(const columns *c, const found *f)
{
    return c->first == 0 && c->head == f->d && c->each == 1 && c->width == f->heads * f->d;
}

static bool is_dense(const twi_onnx_graph *g, const columns *c)
{
    const twi_node *node = twi_onnx_node_of(g, c->base);
    return node->op == TWI_OP_DENSE && node->params[TWI_PARAM_WEIGHT]->dims[0] == c->width;
}

/* Whether there is a node for it, or can be one: a part of a dense layer, or side by side. */
static bool can_take(const twi_onnx_graph *g, const columns *c, const found *f)
{
    return is_dense(g, c) || (c->head == f->d && c->each == 1);
}

/* Rows of a dense layer's weight or bias, borrowed where they follow each other. */
static tw_status take_rows(twi_onnx_graph *g, const twi_tensor *from, const columns *c,
                           const found *f, const twi_tensor **out)
{
    const size_t n = from->rank == 2 ? from->dims[1] : 1, dims[] = {f->heads * f->d, n};
    const float *data = from->data;
    float *to;
    if (c->head == f->d && c->each == 1)
        return twi_onnx_param(g, from->rank, dims, data + c->first * n, out, NULL);
    const tw_status st = twi_onnx_param(g, from->rank, dims, NULL, out, &to);
    for (size_t h = 0; st == TW_OK && h < f->heads; h++)
        for (size_t e = 0; e < f->d; e++)
            memcpy(to + (h * f->d + e) * n, data + (c->first + h * c->head + e * c->each) * n,
                   n * sizeof *to);
    return st;
}

/* [rows, heads d] */
static tw_status take_columns(twi_onnx_graph *g, const columns *c, const found *f, uint32_t *out)
{
    const twi_onnx_value value = {.kind = TWI_ONNX_NODE, .node = c->base};
    const twi_shape tokens = {2, {c->rows, c->width}};
    twi_node node = *twi_onnx_node_of(g, c->base);
    tw_status st;
    if (is_all(c, f)) return twi_onnx_shaped(g, &value, &tokens, out);
    if (is_dense(g, c)) {
        const uint32_t in = node.inputs[0];
        for (size_t p = TWI_PARAM_WEIGHT; p <= TWI_PARAM_BIAS; p++) {
            if (!node.params[p]) continue;
            if ((st = take_rows(g, node.params[p], c, f, &node.params[p])) != TW_OK) return st;
        }
        return twi_onnx_make1(g, node, in, out);
    }
    st = twi_onnx_shaped(g, &value, &tokens, out);
    if (st != TW_OK) return st;
    const twi_node slice = {.op = TWI_OP_SLICE,
                            .axis = 1,
                            .start = c->first,
                            .stop = c->first + f->heads * f->d,
                            .step = 1};
    return twi_onnx_make1(g, slice, *out, out);
}

/* From the softmax's input back to the product of q and k; what is added on the way is noted. */
static bool find_scores(const twi_onnx_graph *g, uint32_t id, found *f, uint32_t *product)
{
    for (;;) {
        id = twi_onnx_behind(g, id);
        const twi_node *node = twi_onnx_node_of(g, id);
        if (node->op == TWI_OP_MATMUL && !node->transpose_a) {
            f->scale *= node->scale;
            *product = id;
            return true;
        }
        if (node->op == TWI_OP_ADD_CONSTANT && f->n_adds < TWI_LEN(f->adds)) {
            f->factor[f->n_adds] = f->scale;
            f->adds[f->n_adds++] = id;
        } else if (node->op == TWI_OP_MUL_CONSTANT && node->params[TWI_PARAM_VALUE]->count == 1) {
            f->scale *= (double)((const float *)node->params[TWI_PARAM_VALUE]->data)[0];
        } else {
            return false;
        }
        id = node->inputs[0];
    }
}

/* Adds the value of the node `id` to a sum [outer, queries, keys]; stride: of outer, query, key. */
static tw_status gather_add(twi_onnx_graph *g, size_t which, found *f, const size_t stride[3],
                            bool mask)
{
    const float *from = twi_onnx_node_of(g, f->adds[which])->params[TWI_PARAM_VALUE]->data;
    const twi_tensor **out = mask ? &f->mask : &f->bias;
    const size_t dims[] = {mask ? f->windows : f->heads, f->queries, f->keys};
    const twi_tensor *before = *out;
    float *to;
    const tw_status st = twi_onnx_param(g, 3, dims, NULL, out, &to);
    for (size_t o = 0, at = 0; st == TW_OK && o < dims[0]; o++)
        for (size_t q = 0; q < dims[1]; q++)
            for (size_t k = 0; k < dims[2]; k++, at++)
                to[at] =
                    (before ? ((const float *)before->data)[at] : 0.0f) +
                    (float)f->factor[which] * from[o * stride[0] + q * stride[1] + k * stride[2]];
    return st;
}

/* Of the scores [windows, heads, queries, keys]: the strides of what is added. false: it depends on
 * windows and heads at once. */
static bool add_strides(const twi_onnx_graph *g, size_t which, const found *f, size_t stride[3],
                        bool *mask)
{
    const size_t count[] = {f->windows, f->heads, f->queries, f->keys};
    size_t all[4];
    if (!twi_view_of_constant(g, f->adds[which], 4, count, all)) return false;
    *mask = all[0] != 0;
    stride[0] = *mask ? all[0] : all[1];
    stride[1] = all[2];
    stride[2] = all[3];
    return (all[0] == 0 || all[1] == 0) &&
           (*mask ? f->windows : f->heads) * f->queries <= MOST / f->keys;
}

static tw_status gather_adds(twi_onnx_graph *g, found *f)
{
    tw_status st = TW_OK;
    for (size_t i = 0; i < f->n_adds && st == TW_OK; i++) {
        size_t stride[3];
        bool mask;
        (void)add_strides(g, i, f, stride, &mask); /* is_attention() has seen that it can */
        st = gather_add(g, i, f, stride, mask);
    }
    return st;
}

/* f->windows, heads, queries, d are set: of the product `id`. */
static bool is_attention(const twi_onnx_graph *g, uint32_t id, found *f, columns in[3])
{
    const twi_node *last = twi_onnx_node_of(g, id);
    uint32_t scores;
    if (last->op != TWI_OP_MATMUL || last->transpose_a || last->scale != 1.0) return false;
    const twi_node *softmax = twi_onnx_node_of(g, twi_onnx_behind(g, last->inputs[0]));
    if (softmax->op != TWI_OP_SOFTMAX) return false;
    const twi_shape *shares = &g->shapes[softmax->inputs[0]];
    const twi_shape *left = &g->shapes[last->inputs[0]];
    f->keys = left->dims[left->rank - 1];
    if (shares->dims[shares->rank - 1] != f->keys) return false;
    if (f->windows > 1 && f->queries != f->keys) return false;
    if (!find_columns(g, last->inputs[1], f, f->keys, last->transpose_b, NULL, &in[2]))
        return false;
    if (!find_scores(g, softmax->inputs[0], f, &scores)) return false;
    const twi_node *product = twi_onnx_node_of(g, scores);
    for (size_t i = 0; i < 2; i++)
        if (!find_columns(g, product->inputs[i], f, i == 0 ? f->queries : f->keys,
                          i == 1 && !product->transpose_b, &f->scale, &in[i]))
            return false;
    for (size_t i = 0; i < f->n_adds; i++) {
        size_t stride[3];
        bool mask;
        if (!add_strides(g, i, f, stride, &mask)) return false;
    }
    return can_take(g, &in[0], f) && can_take(g, &in[1], f) && can_take(g, &in[2], f);
}

tw_status twi_onnx_attention(twi_onnx_graph *g, uint32_t id, const size_t heads[4], uint32_t *out,
                             bool *done)
{
    found f = {
        .windows = heads[0], .heads = heads[1], .queries = heads[2], .d = heads[3], .scale = 1.0};
    columns at[3];
    uint32_t in[3];
    id = twi_onnx_behind(g, id);
    *done = is_attention(g, id, &f, at);
    if (!*done) return TW_OK;
    tw_status st = gather_adds(g, &f);
    for (size_t i = 0; i < 3 && st == TW_OK; i++) st = take_columns(g, &at[i], &f, &in[i]);
    if (st != TW_OK) return st;
    const twi_node node = {
        .op = TWI_OP_ATTENTION,
        .heads = f.heads,
        .scale = f.scale,
        .tokens = f.windows > 1 ? f.keys : 0,
        .params = {[TWI_PARAM_ATTENTION_BIAS] = f.bias, [TWI_PARAM_ATTENTION_MASK] = f.mask}};
    return twi_onnx_make(g, node, in, 3, out);
}
