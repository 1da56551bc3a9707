/* attention.c - products of values with values. */
#include "engine/operators.h"

#include <math.h>

/* The element [i, k] of a matrix of columns columns, or of its transpose. */
static double matrix_at(const float *m, size_t columns, bool transposed, size_t i, size_t k)
{
    return (double)(transposed ? m[k * columns + i] : m[i * columns + k]);
}

void twi_ref_matmul(const twi_reference_args *a)
{
    const twi_node *node = a->node;
    const twi_shape *x = &a->in_shapes[0], *y = &a->in_shapes[1], *out = &a->out_shape;
    const size_t row = x->rank - 2, column = x->rank - 1;
    const size_t depth = x->dims[node->transpose_a ? row : column];
    const size_t m = out->dims[row], n = out->dims[column];
    const size_t products = a->batch * (x->rank == 3 ? x->dims[0] : 1);
    for (size_t p = 0; p < products; p++)
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                const float *left = a->in[0] + p * m * depth, *right = a->in[1] + p * depth * n;
                double sum = 0.0;
                for (size_t k = 0; k < depth; k++)
                    sum += matrix_at(left, x->dims[column], node->transpose_a, i, k) *
                           matrix_at(right, y->dims[column], node->transpose_b, k, j);
                a->out[(p * m + i) * n + j] = (float)(sum * node->scale);
            }
}

typedef struct attending {    /* one query of one head */
    const float *q, *k, *v;   /* the query; the first key and value of its window */
    const float *bias, *mask; /* of its scores; may be NULL */
    size_t keys, depth, width, k_stride, v_stride;
    double scale;
} attending;

static double score(const attending *a, size_t key)
{
    double sum = 0.0;
    for (size_t i = 0; i < a->depth; i++)
        sum += (double)a->q[i] * (double)a->k[key * a->k_stride + i];
    sum *= a->scale;
    if (a->bias) sum += (double)a->bias[key];
    if (a->mask) sum += (double)a->mask[key];
    return sum;
}

/* Vaswani et al. (2017), eq. 1; scores are worked out again rather than kept. */
static void attend(const attending *a, float *out)
{
    double largest = -INFINITY, sum = 0.0;
    for (size_t key = 0; key < a->keys; key++) largest = fmax(largest, score(a, key));
    for (size_t key = 0; key < a->keys; key++) sum += exp(score(a, key) - largest);
    for (size_t i = 0; i < a->width; i++) out[i] = 0.0f;
    for (size_t i = 0; i < a->width; i++) {
        double value = 0.0;
        for (size_t key = 0; key < a->keys; key++)
            value += exp(score(a, key) - largest) * (double)a->v[key * a->v_stride + i];
        out[i] = (float)(value / sum);
    }
}

void twi_ref_attention(const twi_reference_args *a)
{
    const twi_attention_sizes s = twi_attention_sizes_of(a->node, a->in_shapes);
    const size_t q_stride = s.heads * s.depth, out_stride = s.heads * s.width;
    const size_t k_stride = s.key_heads * s.depth, v_stride = s.key_heads * s.width;
    const float *bias = a->params[TWI_PARAM_ATTENTION_BIAS];
    const float *mask = a->params[TWI_PARAM_ATTENTION_MASK];
    for (size_t n = 0; n < a->batch * s.windows; n++)
        for (size_t h = 0; h < s.heads; h++)
            for (size_t q = 0; q < s.queries; q++) {
                const size_t token = n * s.queries + q, key_head = h * s.key_heads / s.heads;
                const attending one = {
                    .q = a->in[0] + token * q_stride + h * s.depth,
                    .k = a->in[1] + n * s.keys * k_stride + key_head * s.depth,
                    .v = a->in[2] + n * s.keys * v_stride + key_head * s.width,
                    .bias = bias ? bias + (h * s.queries + q) * s.keys : NULL,
                    .mask = mask ? mask + (n % s.windows * s.queries + q) * s.keys : NULL,
                    .keys = s.keys,
                    .depth = s.depth,
                    .width = s.width,
                    .k_stride = k_stride,
                    .v_stride = v_stride,
                    .scale = a->node->scale};
                attend(&one, a->out + token * out_stride + h * s.width);
            }
}

twi_attention_sizes twi_attention_sizes_of(const twi_node *node, const twi_shape *in)
{
    const size_t keys = node->tokens ? node->tokens : in[1].dims[0];
    const size_t windows = in[1].dims[0] / keys, depth = in[0].dims[1] / node->heads;
    const size_t key_heads = in[1].dims[1] / depth;
    return (twi_attention_sizes){.windows = windows,
                                 .queries = in[0].dims[0] / windows,
                                 .keys = keys,
                                 .heads = node->heads,
                                 .key_heads = key_heads,
                                 .depth = depth,
                                 .width = in[2].dims[1] / key_heads};
}
