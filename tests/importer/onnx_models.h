/* onnx_models.h - larger models of onnx_bytes.h: attention over windows, branches. */
#ifndef TW_TESTS_ONNX_MODELS_H
#define TW_TESTS_ONNX_MODELS_H

#include "onnx_bytes.h"

static inline void add_reshape(message *graph, const char *in, size_t n, const int64_t *shape,
                               const char *out)
{
    char names[64], name[32];
    snprintf(name, sizeof name, "%s.shape", out);
    snprintf(names, sizeof names, "%s %s", in, name);
    add_ints(graph, name, n, shape);
    add_node(graph, "Reshape", names, out);
}

static inline void add_transpose(message *graph, const char *in, size_t n, const int64_t *perm,
                                 const char *out)
{
    static message node;
    start_node(&node, "Transpose", in, out);
    attribute_ints(&node, "perm", n, perm);
    put_message(graph, 1, &node);
}

/* in[axis = from ...] and then in[axis = 0 ... from - 1]: torch.roll as PyTorch exports it. */
static inline void add_roll(message *graph, const char *in, int64_t axis, int64_t from,
                            const char *out)
{
    static message node;
    const int64_t starts[] = {from, 0}, ends[] = {INT64_MAX, from};
    char names[2][512], parts[2][32];
    for (int i = 0; i < 2; i++) {
        static const char *const words[] = {"starts", "ends", "axes"};
        const int64_t *values[] = {&starts[i], &ends[i], &axis};
        snprintf(parts[i], sizeof parts[i], "%s.%d", out, i);
        int at = snprintf(names[i], sizeof names[i], "%s", in);
        for (int k = 0; k < 3; k++) {
            char name[128];
            snprintf(name, sizeof name, "%s.%s", parts[i], words[k]);
            add_ints(graph, name, 1, values[k]);
            at += snprintf(names[i] + at, sizeof names[i] - (size_t)at, " %s", name);
        }
        add_node(graph, "Slice", names[i], parts[i]);
    }
    snprintf(names[0], sizeof names[0], "%s %s", parts[0], parts[1]);
    start_node(&node, "Concat", names[0], out);
    attribute_int(&node, "axis", axis);
    put_message(graph, 1, &node);
}

/* q, k and v of [4 windows, 2 heads, 16 pixels, 2] from one dense layer, with a bias for each head
 * and a mask for each window: "side", the heads side by side. */
static inline void add_window_attention(message *graph, const char *in)
{
    static message node;
    const int64_t matrix[] = {4, 12}, twelve[] = {12}, bias[] = {1, 2, 16, 16};
    const int64_t mask[] = {1, 4, 1, 16, 16}, packed[] = {4, 16, 3, 2, 2}, stack[] = {4, 2, 16, 16};
    const int64_t order[] = {2, 0, 3, 1, 4}, turn[] = {0, 1, 3, 2}, side[] = {0, 2, 1, 3};
    const int64_t split[] = {1, 4, 2, 16, 16}, part[] = {0, 1, 2};
    char names[32];
    add_floats(graph, "wqkv", 2, matrix);
    add_floats(graph, "bqkv", 1, twelve);
    add_floats(graph, "table", 4, bias);
    add_floats(graph, "mask", 5, mask);
    add_float(graph, "scale", 0.5f);
    snprintf(names, sizeof names, "%s wqkv", in);
    add_node(graph, "MatMul", names, "qkv0");
    add_node(graph, "Add", "bqkv qkv0", "qkv1");
    add_reshape(graph, "qkv1", 5, packed, "qkv2");
    add_transpose(graph, "qkv2", 5, order, "qkv");
    for (int i = 0; i < 3; i++) {
        const char out[] = {"qkv"[i], 0}, which[] = {'0' + (char)i, 0};
        add_ints(graph, which, 1, &part[i]);
        snprintf(names, sizeof names, "qkv %s", which);
        start_node(&node, "Gather", names, out);
        attribute_int(&node, "axis", 0);
        put_message(graph, 1, &node);
    }
    add_reshape(graph, "q", 4, (const int64_t[]){4, 2, 16, 2}, "q1");
    add_reshape(graph, "k", 4, (const int64_t[]){4, 2, 16, 2}, "k1");
    add_reshape(graph, "v", 4, (const int64_t[]){4, 2, 16, 2}, "v1");
    add_node(graph, "Mul", "q1 scale", "q2");
    add_transpose(graph, "k1", 4, turn, "kt");
    add_node(graph, "MatMul", "q2 kt", "s0");
    add_node(graph, "Add", "s0 table", "s1");
    add_reshape(graph, "s1", 5, split, "s2");
    add_node(graph, "Add", "s2 mask", "s3");
    add_reshape(graph, "s3", 4, stack, "s4");
    start_node(&node, "Softmax", "s4", "p");
    attribute_int(&node, "axis", -1);
    put_message(graph, 1, &node);
    add_node(graph, "MatMul", "p v1", "pv");
    add_transpose(graph, "pv", 4, side, "side");
}

/* Attention of two heads inside windows of 4 x 4 of a rolled map of 8 x 8 x 4, and the way back. */
static inline void make_windows(message *model)
{
    static message graph;
    const int64_t point[] = {4, 3, 1, 1}, last[] = {0, 2, 3, 1}, swap[] = {0, 1, 3, 2, 4, 5};
    const int64_t cut[] = {1, 2, 4, 2, 4, 4}, whole[] = {1, 2, 2, 4, 4, 4}, tokens[] = {4, 16, 4};
    const int64_t matrix[] = {4, 4}, pixels[] = {1, 8, 8, 4};
    graph.n = 0;
    add_picture(&graph, 8);
    add_floats(&graph, "w", 4, point);
    add_floats(&graph, "out", 2, matrix);
    add_node(&graph, "Conv", "picture w", "c");
    add_transpose(&graph, "c", 4, last, "x");
    add_roll(&graph, "x", 1, 2, "r1");
    add_roll(&graph, "r1", 2, 2, "r2");
    add_reshape(&graph, "r2", 6, cut, "w0");
    add_transpose(&graph, "w0", 6, swap, "w1");
    add_reshape(&graph, "w1", 3, tokens, "w2");
    add_window_attention(&graph, "w2");
    add_reshape(&graph, "side", 3, tokens, "a");
    add_node(&graph, "MatMul", "a out", "d");
    add_reshape(&graph, "d", 6, whole, "b0");
    add_transpose(&graph, "b0", 6, swap, "b1");
    add_reshape(&graph, "b1", 4, pixels, "b2");
    add_roll(&graph, "b2", 1, 6, "u1");
    add_roll(&graph, "u1", 2, 6, "features");
    add_output(&graph, "features");
    finish_model(model, &graph, 13);
}

/* relu, then If the third axis has `size` elements: a clip of it that lies in an If of its own,
 * else what nobody reads. */
static inline void make_branches(message *model, int64_t size)
{
    static message graph, node, inner, outer, other;
    const int64_t two[] = {2}, wanted[] = {size};
    graph.n = inner.n = outer.n = other.n = 0;
    add_picture(&graph, 8);
    add_ints(&graph, "two", 1, two);
    add_ints(&graph, "wanted", 1, wanted);
    add_float(&graph, "nought", 0.0f);
    add_node(&graph, "Relu", "picture", "r");
    add_node(&graph, "Shape", "r", "shape");
    add_node(&graph, "Gather", "shape two", "side");
    add_node(&graph, "Equal", "side wanted", "same");
    add_float(&inner, "six", 6.0f);
    add_node(&inner, "Clip", "r nought six", "held");
    add_output(&inner, "held");
    add_node(&other, "NonMaxSuppression", "r", "boxes");
    add_output(&other, "boxes");
    start_node(&node, "If", "same", "deeper");
    attribute_graph(&node, "then_branch", &inner);
    attribute_graph(&node, "else_branch", &other);
    put_message(&outer, 1, &node);
    add_output(&outer, "deeper");
    start_node(&node, "If", "same", "features");
    attribute_graph(&node, "then_branch", &outer);
    attribute_graph(&node, "else_branch", &other);
    put_message(&graph, 1, &node);
    add_output(&graph, "features");
    finish_model(model, &graph, 16);
}

#endif
