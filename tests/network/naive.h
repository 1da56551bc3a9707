/* naive.h - computes a graph in double, in the most obvious way: the oracle for folding and fusion.
 */
#ifndef TW_TESTS_NAIVE_H
#define TW_TESTS_NAIVE_H

#include "network/network.h"

#include <math.h>
#include <stdlib.h>

typedef struct naive {
    const twi_network *network;
    twi_shape *shapes; /* [network->n] */
    double **values;   /* [network->n], each chw */
} naive;

static size_t naive_count(const twi_shape *s)
{
    return s->rank == 3 ? s->dims[0] * s->dims[1] * s->dims[2] : s->dims[0];
}

/* New [t->count], or filled with fallback [n] when there is no t. */
static double *naive_param(const twi_tensor *t, size_t n, double fallback)
{
    double *out = malloc((t ? t->count : n) * sizeof *out);
    float *wide = malloc((t ? t->count : n) * sizeof *wide);
    if (t) twi_tensor_floats(NULL, t, wide);
    for (size_t i = 0; i < (t ? t->count : n); i++) out[i] = t ? (double)wide[i] : fallback;
    free(wide);
    return out;
}

static void naive_conv(const twi_node *node, const twi_shape *is, const double *in,
                       const twi_shape *os, double *out)
{
    const twi_window *w = &node->window;
    const size_t per_in = is->dims[0] / node->groups, per_out = os->dims[0] / node->groups;
    double *weight = naive_param(node->params[0], 0, 0);
    double *bias = naive_param(node->params[1], os->dims[0], 0);
    for (size_t o = 0; o < naive_count(os); o++) {
        const size_t c = o / (os->dims[1] * os->dims[2]);
        const long y = (long)(o / os->dims[2] % os->dims[1]), x = (long)(o % os->dims[2]);
        double sum = bias[c];
        for (size_t i = 0; i < per_in; i++)
            for (size_t ky = 0; ky < w->kernel[0]; ky++)
                for (size_t kx = 0; kx < w->kernel[1]; kx++) {
                    const long sy = y * (long)w->stride[0] + (long)(ky * w->dilation[0]) -
                                    (long)w->pad_begin[0];
                    const long sx = x * (long)w->stride[1] + (long)(kx * w->dilation[1]) -
                                    (long)w->pad_begin[1];
                    if (sy < 0 || sx < 0 || sy >= (long)is->dims[1] || sx >= (long)is->dims[2])
                        continue;
                    const size_t channel = c / per_out * per_in + i;
                    sum += weight[((c * per_in + i) * w->kernel[0] + ky) * w->kernel[1] + kx] *
                           in[(channel * is->dims[1] + (size_t)sy) * is->dims[2] + (size_t)sx];
                }
        out[o] = sum;
    }
    free(weight);
    free(bias);
}

static void naive_pool(const twi_node *node, const twi_shape *is, const double *in,
                       const twi_shape *os, double *out)
{
    const twi_window *w = &node->window;
    for (size_t o = 0; o < naive_count(os); o++) {
        const size_t c = o / (os->dims[1] * os->dims[2]);
        const long y = (long)(o / os->dims[2] % os->dims[1]), x = (long)(o % os->dims[2]);
        double best = -INFINITY, sum = 0, taps = 0;
        for (size_t ky = 0; ky < w->kernel[0]; ky++)
            for (size_t kx = 0; kx < w->kernel[1]; kx++) {
                const long sy =
                    y * (long)w->stride[0] + (long)(ky * w->dilation[0]) - (long)w->pad_begin[0];
                const long sx =
                    x * (long)w->stride[1] + (long)(kx * w->dilation[1]) - (long)w->pad_begin[1];
                if (sy < 0 || sx < 0 || sy >= (long)is->dims[1] || sx >= (long)is->dims[2])
                    continue;
                const double v = in[(c * is->dims[1] + (size_t)sy) * is->dims[2] + (size_t)sx];
                if (v > best) best = v;
                sum += v;
                taps += 1;
            }
        if (taps == 0) abort(); /* the shape rules promise a pixel to every window */
        out[o] = node->op == TWI_OP_MAX_POOL ? best : sum / taps;
    }
}

static void naive_global(const twi_node *node, const twi_shape *is, const double *in, double *out)
{
    const size_t plane = is->dims[1] * is->dims[2];
    for (size_t c = 0; c < is->dims[0]; c++) {
        double best = -INFINITY, sum = 0;
        for (size_t i = 0; i < plane; i++) {
            best = fmax(best, in[c * plane + i]);
            sum += in[c * plane + i];
        }
        out[c] = node->op == TWI_OP_GLOBAL_MAX_POOL ? best : sum / (double)plane;
    }
}

static void naive_norm(const twi_node *node, const twi_shape *is, const double *in, double *out)
{
    const size_t n = is->dims[0], plane = naive_count(is) / n;
    double *scale = naive_param(node->params[0], n, 1), *shift = naive_param(node->params[1], n, 0);
    double *mean = naive_param(node->params[2], n, 0), *var = naive_param(node->params[3], n, 0);
    for (size_t i = 0; i < naive_count(is); i++) {
        const size_t c = i / plane;
        out[i] = (in[i] - mean[c]) / sqrt(var[c] + node->epsilon) * scale[c] + shift[c];
    }
    free(scale);
    free(shift);
    free(mean);
    free(var);
}

static void naive_dense(const twi_node *node, const double *in, double *out)
{
    const size_t m = node->params[0]->dims[0], n = node->params[0]->dims[1];
    double *weight = naive_param(node->params[0], 0, 0), *bias = naive_param(node->params[1], m, 0);
    for (size_t o = 0; o < m; o++) {
        out[o] = bias[o];
        for (size_t i = 0; i < n; i++) out[o] += weight[o * n + i] * in[i];
    }
    free(weight);
    free(bias);
}

static void naive_softmax(size_t n, const double *in, double *out)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, in[i]);
    for (size_t i = 0; i < n; i++) sum += out[i] = exp(in[i] - most);
    for (size_t i = 0; i < n; i++) out[i] /= sum;
}

static void naive_join(const naive *run, const twi_node *node, double *out)
{
    for (size_t k = 0, at = 0; k < node->n_inputs; k++) {
        const double *in = run->values[node->inputs[k]];
        const size_t n = naive_count(&run->shapes[node->inputs[k]]);
        for (size_t i = 0; i < n; i++)
            if (node->op == TWI_OP_ADD)
                out[i] = (k ? out[i] : 0) + in[i];
            else
                out[at + i] = in[i];
        at += n;
    }
}

/* The activations that random graphs have. */
static double naive_activation(twi_op op, double alpha, double beta, double x)
{
    if (op == TWI_OP_RELU) return fmax(x, 0);
    if (op == TWI_OP_CLIP) return fmin(fmax(x, alpha), beta);
    if (op == TWI_OP_SILU) return x / (1 + exp(-x));
    if (op == TWI_OP_INPUT) return x;
    abort();
}

/* A constant of one value, or of one a channel of the first axis. */
static void naive_constant(const twi_node *node, const twi_shape *is, const double *in, double *out)
{
    const size_t n = node->params[0]->count, plane = naive_count(is) / is->dims[0];
    double *value = naive_param(node->params[0], 0, 0);
    for (size_t i = 0; i < naive_count(is); i++) {
        const double v = value[n == 1 ? 0 : i / plane];
        out[i] = node->op == TWI_OP_MUL_CONSTANT ? in[i] * v : in[i] + v;
    }
    free(value);
}

static void naive_node(const naive *run, size_t at)
{
    const twi_node *node = &run->network->nodes[at];
    const twi_shape *os = &run->shapes[at], *is = &run->shapes[node->inputs[0]];
    const double *in = run->values[node->inputs[0]];
    double *out = run->values[at];
    switch (node->op) {
    case TWI_OP_CONV:
        naive_conv(node, is, in, os, out);
        break;
    case TWI_OP_BATCH_NORM:
        naive_norm(node, is, in, out);
        break;
    case TWI_OP_RELU:
    case TWI_OP_SILU:
        for (size_t i = 0; i < naive_count(os); i++)
            out[i] = naive_activation(node->op, 0, 0, in[i]);
        break;
    case TWI_OP_CLIP:
        for (size_t i = 0; i < naive_count(os); i++)
            out[i] = naive_activation(node->op, node->low, node->high, in[i]);
        break;
    case TWI_OP_MUL_CONSTANT:
    case TWI_OP_ADD_CONSTANT:
        naive_constant(node, is, in, out);
        break;
    case TWI_OP_MAX_POOL:
    case TWI_OP_AVG_POOL:
        naive_pool(node, is, in, os, out);
        break;
    case TWI_OP_GLOBAL_AVG_POOL:
    case TWI_OP_GLOBAL_MAX_POOL:
        naive_global(node, is, in, out);
        break;
    case TWI_OP_DENSE:
        naive_dense(node, in, out);
        break;
    case TWI_OP_ADD:
    case TWI_OP_CONCAT:
        naive_join(run, node, out);
        break;
    case TWI_OP_FLATTEN:
        for (size_t i = 0; i < naive_count(os); i++) {
            const size_t c = i / (is->dims[1] * is->dims[2]), p = i % (is->dims[1] * is->dims[2]);
            out[node->nhwc ? p * is->dims[0] + c : i] = in[i];
        }
        break;
    case TWI_OP_SOFTMAX:
        naive_softmax(naive_count(os), in, out);
        break;
    default:
        abort();
    }
    for (size_t i = 0; i < naive_count(os); i++) {
        if (node->fused_add != TWI_NO_NODE) out[i] += run->values[node->fused_add][i];
        out[i] = naive_activation(node->fused.op, node->fused.alpha, node->fused.beta, out[i]);
    }
}

/* The last node's value, new [*count]; pixel i of the input is fill(i). NULL when shapes are
 * refused. */
static double *naive_run(tw_ctx *ctx, const twi_network *network, size_t side,
                         double (*fill)(size_t i), size_t *count)
{
    naive run = {network, calloc(network->n, sizeof(twi_shape)),
                 calloc(network->n, sizeof(double *))};
    double *out = NULL;
    if (twi_network_shapes(ctx, network, side, side, run.shapes) == TW_OK) {
        for (size_t i = 0; i < network->n; i++) {
            run.values[i] = malloc(naive_count(&run.shapes[i]) * sizeof(double));
            if (i > 0) naive_node(&run, i);
            for (size_t k = 0; i == 0 && k < naive_count(&run.shapes[0]); k++)
                run.values[0][k] = fill(k);
        }
        *count = naive_count(&run.shapes[network->n - 1]);
        out = run.values[network->n - 1];
        run.values[network->n - 1] = NULL;
    }
    for (size_t i = 0; i < network->n; i++) free(run.values[i]);
    free(run.values);
    free(run.shapes);
    return out;
}

#endif
