/* onnx_bytes.h - ONNX models for tests, byte by byte: messages of fields, as onnx.proto numbers
 * them. */
#ifndef TW_TESTS_ONNX_BYTES_H
#define TW_TESTS_ONNX_BYTES_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct message {
    unsigned char at[1 << 16];
    size_t n;
} message;

static inline void put_varint(message *m, uint64_t value)
{
    for (; value > 127; value >>= 7) m->at[m->n++] = (unsigned char)(value | 128);
    m->at[m->n++] = (unsigned char)value;
}

static inline void put_bytes(message *m, uint32_t field, const void *bytes, size_t n)
{
    put_varint(m, (uint64_t)field << 3 | 2);
    put_varint(m, n);
    if (n > 0) memcpy(m->at + m->n, bytes, n);
    m->n += n;
}

static inline void put_text(message *m, uint32_t field, const char *text)
{
    put_bytes(m, field, text, strlen(text));
}

static inline void put_int(message *m, uint32_t field, int64_t value)
{
    put_varint(m, (uint64_t)field << 3);
    put_varint(m, (uint64_t)value);
}

static inline void put_message(message *m, uint32_t field, const message *inner)
{
    put_bytes(m, field, inner->at, inner->n);
}

/* ---- attributes: fields 5 of a node ---------------------------------------------------------- */

static inline void attribute_int(message *node, const char *name, int64_t value)
{
    static message a;
    a.n = 0;
    put_text(&a, 1, name);
    put_int(&a, 3, value);
    put_int(&a, 20, 2);
    put_message(node, 5, &a);
}

static inline void attribute_ints(message *node, const char *name, size_t n, const int64_t *values)
{
    static message a;
    a.n = 0;
    put_text(&a, 1, name);
    for (size_t i = 0; i < n; i++) put_int(&a, 8, values[i]);
    put_int(&a, 20, 7);
    put_message(node, 5, &a);
}

static inline void attribute_float(message *node, const char *name, float value)
{
    static message a;
    a.n = 0;
    put_text(&a, 1, name);
    put_varint(&a, 2 << 3 | 5);
    memcpy(a.at + a.n, &value, 4);
    a.n += 4;
    put_int(&a, 20, 1);
    put_message(node, 5, &a);
}

static inline void attribute_text(message *node, const char *name, const char *text)
{
    static message a;
    a.n = 0;
    put_text(&a, 1, name);
    put_text(&a, 4, text);
    put_int(&a, 20, 3);
    put_message(node, 5, &a);
}

static inline void attribute_graph(message *node, const char *name, const message *graph)
{
    static message a;
    a.n = 0;
    put_text(&a, 1, name);
    put_message(&a, 6, graph);
    put_int(&a, 20, 5);
    put_message(node, 5, &a);
}

/* ---- a node: "Op", "inputs, divided by blanks", "outputs" -------------------------------------
 */

static inline void put_names(message *m, uint32_t field, const char *names)
{
    while (*names) {
        const size_t n = strcspn(names, " ");
        put_bytes(m, field, names, n);
        names += n;
        names += *names == ' ';
    }
}

static inline void start_node(message *node, const char *op, const char *in, const char *out)
{
    node->n = 0;
    put_names(node, 1, in);
    put_names(node, 2, out);
    put_text(node, 3, out); /* its name */
    put_text(node, 4, op);
}

static inline void add_node(message *graph, const char *op, const char *in, const char *out)
{
    static message node;
    start_node(&node, op, in, out);
    put_message(graph, 1, &node);
}

/* ---- tensors, inputs, outputs ------------------------------------------------------------------
 */

static inline void start_tensor(message *t, const char *name, int type, size_t rank,
                                const int64_t *dims)
{
    t->n = 0;
    for (size_t d = 0; d < rank; d++) put_int(t, 1, dims[d]);
    put_int(t, 2, type);
    put_text(t, 8, name);
}

/* Floats 0.25, 0.5, 0.75, ... - 1, so that no two are alike. */
static inline void add_floats(message *graph, const char *name, size_t rank, const int64_t *dims)
{
    static message t;
    static float values[4096];
    size_t n = 1;
    for (size_t d = 0; d < rank; d++) n *= (size_t)dims[d];
    for (size_t i = 0; i < n; i++) values[i] = 0.25f * (float)(i % 7) - 0.5f;
    start_tensor(&t, name, 1, rank, dims);
    put_bytes(&t, 9, values, n * sizeof *values);
    put_message(graph, 5, &t);
}

static inline void add_float(message *graph, const char *name, float value)
{
    static message t;
    start_tensor(&t, name, 1, 0, NULL);
    put_bytes(&t, 9, &value, sizeof value);
    put_message(graph, 5, &t);
}

static inline void add_ints(message *graph, const char *name, size_t n, const int64_t *values)
{
    static message t;
    const int64_t dims[] = {(int64_t)n};
    start_tensor(&t, name, 7, 1, dims);
    for (size_t i = 0; i < n; i++) put_int(&t, 7, values[i]);
    put_message(graph, 5, &t);
}

/* A dimension of 0 is one without a size. */
static inline void add_port(message *graph, uint32_t field, const char *name, size_t rank,
                            const int64_t *dims)
{
    static message port, type, tensor, shape, dim;
    port.n = type.n = tensor.n = shape.n = 0;
    for (size_t d = 0; d < rank; d++) {
        dim.n = 0;
        if (dims[d])
            put_int(&dim, 1, dims[d]);
        else
            put_text(&dim, 2, "n");
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&port, 1, name);
    put_message(&port, 2, &type);
    put_message(graph, field, &port);
}

static inline void add_picture(message *graph, int64_t side)
{
    const int64_t dims[] = {0, 3, side, side};
    add_port(graph, 11, "picture", 4, dims);
}

static inline void add_output(message *graph, const char *name)
{
    add_port(graph, 12, name, 0, NULL);
}

static inline void finish_model(message *model, const message *graph, int64_t opset)
{
    static message set;
    model->n = set.n = 0;
    put_int(model, 1, 8); /* ir_version */
    put_text(model, 2, "tests");
    put_message(model, 7, graph);
    put_int(&set, 2, opset);
    put_message(model, 8, &set);
}

static inline void add_property(message *model, const char *key, const char *value)
{
    static message one;
    one.n = 0;
    put_text(&one, 1, key);
    put_text(&one, 2, value);
    put_message(model, 14, &one);
}

/* ---- models ------------------------------------------------------------------------------------
 */

/* conv, relu, global average, a classifier of 5; its flatten worked out the long way. */
static inline void make_classifier(message *model)
{
    static message graph, node;
    const int64_t kernel[] = {4, 3, 3, 3}, four[] = {4}, matrix[] = {5, 4}, five[] = {5};
    const int64_t pads[] = {1, 1, 1, 1}, zero[] = {0}, rest[] = {-1}, axis[] = {0};
    graph.n = 0;
    add_picture(&graph, 8);
    add_floats(&graph, "w", 4, kernel);
    add_floats(&graph, "b", 1, four);
    add_floats(&graph, "fc.w", 2, matrix);
    add_floats(&graph, "fc.b", 1, five);
    add_ints(&graph, "zero", 1, zero);
    add_ints(&graph, "rest", 1, rest);
    start_node(&node, "Conv", "picture w b", "c");
    attribute_ints(&node, "pads", 4, pads);
    put_message(&graph, 1, &node);
    add_node(&graph, "Relu", "c", "r");
    add_node(&graph, "GlobalAveragePool", "r", "g");
    add_node(&graph, "Shape", "g", "shape");
    add_node(&graph, "Gather", "shape zero", "first");
    start_node(&node, "Concat", "first rest", "flat");
    attribute_int(&node, "axis", axis[0]);
    put_message(&graph, 1, &node);
    add_node(&graph, "Reshape", "g flat", "v");
    start_node(&node, "Gemm", "v fc.w fc.b", "scores");
    attribute_int(&node, "transB", 1);
    put_message(&graph, 1, &node);
    add_node(&graph, "Softmax", "scores", "probabilities");
    add_output(&graph, "probabilities");
    finish_model(model, &graph, 13);
    add_property(model, "input.range", "0..255");
    add_property(model, "input.channels", "BGR");
    add_property(model, "input.mean", "1,2,3");
    add_property(model, "input.std", "4");
}

/* Functions as exporters spell them out, one after the other, over tokens of a picture. */
static inline void make_patterns(message *model)
{
    static message graph, node;
    const int64_t six[] = {3}, last[] = {-1}, tokens[] = {0, 3, -1}, perm[] = {0, 2, 1};
    graph.n = 0;
    add_picture(&graph, 4);
    add_floats(&graph, "gamma", 1, six);
    add_floats(&graph, "beta", 1, six);
    add_ints(&graph, "shape", 3, tokens);
    add_float(&graph, "two", 2.0f);
    add_float(&graph, "epsilon", 1e-5f);
    add_float(&graph, "root", 1.41421354f);
    add_float(&graph, "one", 1.0f);
    add_float(&graph, "half", 0.5f);
    add_float(&graph, "three", 3.0f);
    add_float(&graph, "nought", 0.0f);
    add_float(&graph, "sixth", 6.0f);
    add_node(&graph, "Reshape", "picture shape", "x0");
    start_node(&node, "Transpose", "x0", "x");
    attribute_ints(&node, "perm", 3, perm);
    put_message(&graph, 1, &node);
    start_node(&node, "ReduceMean", "x", "m"); /* a layer norm */
    attribute_ints(&node, "axes", 1, last);
    put_message(&graph, 1, &node);
    add_node(&graph, "Sub", "x m", "d");
    add_node(&graph, "Pow", "d two", "d2");
    start_node(&node, "ReduceMean", "d2", "v");
    attribute_ints(&node, "axes", 1, last);
    put_message(&graph, 1, &node);
    add_node(&graph, "Add", "v epsilon", "ve");
    add_node(&graph, "Sqrt", "ve", "s");
    add_node(&graph, "Div", "d s", "n0");
    add_node(&graph, "Mul", "n0 gamma", "n1");
    add_node(&graph, "Add", "n1 beta", "n");
    add_node(&graph, "Div", "n root", "e0"); /* GELU */
    add_node(&graph, "Erf", "e0", "e1");
    add_node(&graph, "Add", "e1 one", "e2");
    add_node(&graph, "Mul", "n e2", "e3");
    add_node(&graph, "Mul", "e3 half", "gelu");
    add_node(&graph, "Sigmoid", "gelu", "s0"); /* SiLU */
    add_node(&graph, "Mul", "gelu s0", "silu");
    add_node(&graph, "Add", "silu three", "h0"); /* hard swish */
    add_node(&graph, "Clip", "h0 nought sixth", "h1");
    add_node(&graph, "Mul", "silu h1", "h2");
    add_node(&graph, "Div", "h2 sixth", "embedding");
    add_output(&graph, "embedding");
    finish_model(model, &graph, 13);
}

/* Slices, splits, a concatenation with known numbers, pads, pools, a resize, quantised weights and
 * values, a product of two values. */
static inline void make_moves(message *model)
{
    static message graph, node, t;
    const int64_t starts[] = {1}, ends[] = {100}, axes[] = {2}, sizes[] = {1, 2, 16, 16};
    const int64_t pads[] = {0, 0, 1, 0, 0, 0, 0, 1}, two[] = {2, 2}, row[] = {1, 1, 9};
    const int64_t kernel[] = {2, 3, 1, 1}, tokens[] = {1, 2, -1}, perm[] = {0, 2, 1};
    graph.n = 0;
    add_picture(&graph, 8);
    add_ints(&graph, "starts", 1, starts);
    add_ints(&graph, "ends", 1, ends);
    add_ints(&graph, "axes", 1, axes);
    add_ints(&graph, "pads", 8, pads);
    add_ints(&graph, "sizes", 4, sizes);
    add_ints(&graph, "tokens", 3, tokens);
    add_floats(&graph, "row", 3, row);
    add_float(&graph, "scale", 0.05f);
    start_tensor(&t, "zero", 2, 0, NULL);
    put_bytes(&t, 9, "\3", 1);
    put_message(&graph, 5, &t);
    start_tensor(&t, "wq", 3, 4, kernel);
    put_bytes(&t, 9, "\1\2\3\4\377\376", 6);
    put_message(&graph, 5, &t);
    add_node(&graph, "Slice", "picture starts ends axes", "s");
    start_node(&node, "Pad", "s pads", "p");
    put_message(&graph, 1, &node);
    add_node(&graph, "DequantizeLinear", "wq scale", "w");
    add_node(&graph, "Conv", "p w", "c");
    add_node(&graph, "QuantizeLinear", "c scale zero", "q");
    add_node(&graph, "DequantizeLinear", "q scale zero", "dq");
    start_node(&node, "MaxPool", "dq", "m");
    attribute_ints(&node, "kernel_shape", 2, two);
    attribute_ints(&node, "strides", 2, two);
    put_message(&graph, 1, &node);
    start_node(&node, "Split", "m", "one other");
    attribute_int(&node, "axis", 1);
    put_message(&graph, 1, &node);
    start_node(&node, "Concat", "other one", "swapped");
    attribute_int(&node, "axis", 1);
    put_message(&graph, 1, &node);
    add_node(&graph, "Resize", "swapped   sizes", "z");
    add_node(&graph, "Reshape", "z tokens", "k");
    start_node(&node, "Transpose", "k", "kt");
    attribute_ints(&node, "perm", 3, perm);
    put_message(&graph, 1, &node);
    add_node(&graph, "MatMul", "k kt", "kk");
    add_output(&graph, "kk");
    finish_model(model, &graph, 13);
}

/* Attention of two heads over the 32 tokens of 6 that a picture is cut into. */
static inline void make_attention(message *model)
{
    static message graph, node;
    const int64_t tokens[] = {1, 32, 6}, heads[] = {1, 32, 2, 3}, matrix[] = {6, 6};
    const int64_t swap[] = {0, 2, 1, 3}, turn[] = {0, 2, 3, 1};
    graph.n = 0;
    add_picture(&graph, 8);
    add_ints(&graph, "tokens", 3, tokens);
    add_ints(&graph, "heads", 4, heads);
    add_floats(&graph, "w", 2, matrix);
    add_float(&graph, "scale", 0.25f);
    add_node(&graph, "Reshape", "picture tokens", "x");
    for (const char *part = "qkv"; *part; part++) {
        const char product[] = {*part, '0', 0}, cut[] = {*part, '1', 0}, stack[] = {*part, 0};
        char in[16];
        add_node(&graph, "MatMul", "x w", product);
        snprintf(in, sizeof in, "%s heads", product);
        add_node(&graph, "Reshape", in, cut);
        start_node(&node, "Transpose", cut, stack);
        attribute_ints(&node, "perm", 4, *part == 'k' ? turn : swap);
        put_message(&graph, 1, &node);
    }
    add_node(&graph, "MatMul", "q k", "qk");
    add_node(&graph, "Mul", "qk scale", "scores");
    add_node(&graph, "Softmax", "scores", "p");
    add_node(&graph, "MatMul", "p v", "pv");
    start_node(&node, "Transpose", "pv", "side");
    attribute_ints(&node, "perm", 4, swap);
    put_message(&graph, 1, &node);
    add_node(&graph, "Reshape", "side tokens", "features");
    add_output(&graph, "features");
    finish_model(model, &graph, 13);
}

#endif
