/* back_attention.c - gradients of products of values with values, and of resizing. */
#include "engine/training/backward.h"

#include <math.h>
#include <string.h>

/* The place of element [i, k] of a matrix of columns columns, or of its transpose. */
static size_t place(size_t columns, bool transposed, size_t i, size_t k)
{
    return transposed ? k * columns + i : i * columns + k;
}

/* out = scale a b: grad a = scale g b^T, grad b = scale a^T g. */
void twi_back_matmul(const twi_backward_args *a)
{
    const twi_node *node = a->node;
    const twi_shape *x = &a->in_shapes[0], *y = &a->in_shapes[1], *out = &a->out_shape;
    const size_t row = x->rank - 2, column = x->rank - 1;
    const size_t depth = x->dims[node->transpose_a ? row : column];
    const size_t m = out->dims[row], n = out->dims[column];
    const size_t products = a->batch * (x->rank == 3 ? x->dims[0] : 1);
    for (size_t p = 0; p < products; p++) {
        const float *left = a->in[0] + p * m * depth, *right = a->in[1] + p * depth * n;
        const float *g = a->grad_out + p * m * n;
        for (size_t i = 0; a->grad_in[0] && i < m; i++)
            for (size_t k = 0; k < depth; k++) {
                double sum = 0.0;
                for (size_t j = 0; j < n; j++)
                    sum += (double)g[i * n + j] *
                           (double)right[place(y->dims[column], node->transpose_b, k, j)];
                a->grad_in[0][p * m * depth + place(x->dims[column], node->transpose_a, i, k)] =
                    (float)(sum * node->scale);
            }
        for (size_t k = 0; a->grad_in[1] && k < depth; k++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0.0;
                for (size_t i = 0; i < m; i++)
                    sum += (double)g[i * n + j] *
                           (double)left[place(x->dims[column], node->transpose_a, i, k)];
                a->grad_in[1][p * depth * n + place(y->dims[column], node->transpose_b, k, j)] =
                    (float)(sum * node->scale);
            }
    }
}

typedef struct query {      /* one query of one head */
    const float *q, *k, *v; /* the query; the first key and value of its window */
    const float *bias, *mask, *g;
    float *gq, *gk, *gv, *gbias; /* the gradients; NULL: not wanted */
    size_t keys, depth, width, k_stride, v_stride;
    double scale;
} query;

static double score(const query *a, size_t key)
{
    double sum = 0.0;
    for (size_t i = 0; i < a->depth; i++)
        sum += (double)a->q[i] * (double)a->k[key * a->k_stride + i];
    return sum * a->scale + (a->bias ? (double)a->bias[key] : 0.0) +
           (a->mask ? (double)a->mask[key] : 0.0);
}

static double value_product(const query *a, size_t key)
{
    double sum = 0.0;
    for (size_t i = 0; i < a->width; i++)
        sum += (double)a->g[i] * (double)a->v[key * a->v_stride + i];
    return sum;
}

/* out = sum p_k v_k, p = softmax(s): grad v_k = p_k g, grad s_k = p_k (g . v_k - sum p_j g . v_j).
 */
static void back_query(const query *a)
{
    double largest = -INFINITY, sum = 0.0, mean = 0.0;
    for (size_t k = 0; k < a->keys; k++) largest = fmax(largest, score(a, k));
    for (size_t k = 0; k < a->keys; k++) sum += exp(score(a, k) - largest);
    for (size_t k = 0; k < a->keys; k++)
        mean += exp(score(a, k) - largest) / sum * value_product(a, k);
    for (size_t k = 0; k < a->keys; k++) {
        const double p = exp(score(a, k) - largest) / sum;
        const double s = p * (value_product(a, k) - mean);
        for (size_t i = 0; a->gv && i < a->width; i++)
            a->gv[k * a->v_stride + i] += (float)(p * (double)a->g[i]);
        for (size_t i = 0; a->gq && i < a->depth; i++)
            a->gq[i] += (float)(s * a->scale * (double)a->k[k * a->k_stride + i]);
        for (size_t i = 0; a->gk && i < a->depth; i++)
            a->gk[k * a->k_stride + i] += (float)(s * a->scale * (double)a->q[i]);
        if (a->gbias) a->gbias[k] += (float)s;
    }
}

static float *offset(float *at, size_t by)
{
    return at ? at + by : NULL;
}

void twi_back_attention(const twi_backward_args *a)
{
    const twi_attention_sizes s = twi_attention_sizes_of(a->node, a->in_shapes);
    const size_t q_stride = s.heads * s.depth, out_stride = s.heads * s.width;
    const size_t k_stride = s.key_heads * s.depth, v_stride = s.key_heads * s.width;
    const float *bias = a->params[TWI_PARAM_ATTENTION_BIAS];
    const float *mask = a->params[TWI_PARAM_ATTENTION_MASK];
    float *gbias = a->grad_params[TWI_PARAM_ATTENTION_BIAS];
    for (size_t i = 0; i < 3; i++)
        if (a->grad_in[i])
            memset(a->grad_in[i], 0,
                   a->batch * twi_shape_elements(&a->in_shapes[i]) * sizeof(float));
    if (gbias) memset(gbias, 0, s.heads * s.queries * s.keys * sizeof(float));
    for (size_t n = 0; n < a->batch * s.windows; n++)
        for (size_t h = 0; h < s.heads; h++)
            for (size_t q = 0; q < s.queries; q++) {
                const size_t token = n * s.queries + q, key_head = h * s.key_heads / s.heads;
                const size_t at_q = token * q_stride + h * s.depth;
                const size_t at_k = n * s.keys * k_stride + key_head * s.depth;
                const size_t at_v = n * s.keys * v_stride + key_head * s.width;
                const size_t at_bias = (h * s.queries + q) * s.keys;
                const query one = {.q = a->in[0] + at_q,
                                   .k = a->in[1] + at_k,
                                   .v = a->in[2] + at_v,
                                   .bias = bias ? bias + at_bias : NULL,
                                   .mask = mask ? mask + (n % s.windows * s.queries + q) * s.keys
                                                : NULL,
                                   .g = a->grad_out + token * out_stride + h * s.width,
                                   .gq = offset(a->grad_in[0], at_q),
                                   .gk = offset(a->grad_in[1], at_k),
                                   .gv = offset(a->grad_in[2], at_v),
                                   .gbias = offset(gbias, at_bias),
                                   .keys = s.keys,
                                   .depth = s.depth,
                                   .width = s.width,
                                   .k_stride = k_stride,
                                   .v_stride = v_stride,
                                   .scale = a->node->scale};
                back_query(&one);
            }
}

/* Each output pixel is made of four: its gradient goes back to them by their shares. */
void twi_back_resize(const twi_backward_args *a)
{
    const size_t *in = a->in_shapes[0].dims, *out = a->out_shape.dims;
    if (!a->grad_in[0]) return;
    memset(a->grad_in[0], 0, a->batch * in[0] * in[1] * in[2] * sizeof(float));
    for (size_t i = 0; i < a->batch * out[0] * out[1] * out[2]; i++) {
        const size_t x = i % out[2], y = i / out[2] % out[1], plane = i / out[2] / out[1];
        const twi_tap row = twi_resize_tap(a->node, 0, y, in[1], out[1]);
        const twi_tap column = twi_resize_tap(a->node, 1, x, in[2], out[2]);
        float *grad = a->grad_in[0] + plane * in[1] * in[2];
        const float g = a->grad_out[i];
        const float upper = g * (1.0f - row.weight), lower = g * row.weight;
        grad[row.first * in[2] + column.first] += upper * (1.0f - column.weight);
        grad[row.first * in[2] + column.second] += upper * column.weight;
        grad[row.second * in[2] + column.first] += lower * (1.0f - column.weight);
        grad[row.second * in[2] + column.second] += lower * column.weight;
    }
}
