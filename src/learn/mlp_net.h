/* mlp_net.h - a multi-layer perceptron's arithmetic in float: forward, backward, Adam.
 *
 * Matrices of weights are kept in panels of 32 outputs, [panel][input][32], which is what the Gram
 * kernels take as their second operand and what they leave behind as a gradient. */
#ifndef TWI_LEARN_MLP_NET_H
#define TWI_LEARN_MLP_NET_H

#include "learn/kernels.h"

#include "base/memory.h"
#include "base/rng.h"

#define TWI_LAYERS_MAX (TW_HIDDEN_MAX + 1)

typedef struct twi_layer {
    size_t in, out;
    size_t rows, panels;   /* in and out rounded up to tiles */
    size_t cells;          /* panels * rows * 32 */
    float *weights, *bias; /* [cells], [panels * 32] */
    float *weights_m, *weights_v, *bias_m, *bias_v, *weights_g, *bias_g; /* NULL unless training */
} twi_layer;

typedef struct twi_net {
    size_t layers, k;
    twi_layer layer[TWI_LAYERS_MAX];
} twi_net;

/* Buffers for batches of up to rows rows. */
typedef struct twi_net_batch {
    size_t rows;
    float *a[TWI_LAYERS_MAX + 1]; /* [rows rounded up, stride]: the input, each layer's answer */
    size_t stride[TWI_LAYERS_MAX + 1];
    float *delta, *other;   /* [rows rounded up, widest] */
    float *panels, *turned; /* scratch: an operand in panels; activations transposed */
} twi_net_batch;

/* width [layers + 1]: inputs, hidden units, outputs (1 for two classes). Zeroed weights. */
tw_status twi_net_new(tw_ctx *ctx, const size_t *width, size_t layers, bool training, twi_net *out);
void twi_net_free(twi_net *net);
/* Where the weight of input i and output o stands in weights. */
size_t twi_net_place(const twi_layer *layer, size_t i, size_t o);
/* uniform(-b, b), b = sqrt(6 / (in + out)), weights then intercepts, layer by layer. */
void twi_net_draw(twi_net *net, twi_rng *rng);

tw_status twi_net_batch_new(tw_ctx *ctx, const twi_net *net, size_t rows, twi_net_batch *out);
void twi_net_batch_free(twi_net_batch *batch);

/* batch->a[0] holds n rows of input (rows behind them may hold anything finite): the logits come to
 * a[layers] [n, stride]. */
tw_status twi_net_forward(tw_ctx *ctx, const twi_net *net, twi_net_batch *batch, size_t n);
/* After forward: turns logits into probabilities, *loss is the mean log loss with the penalty, and
 * the gradients stand in the layers. y [n]. */
tw_status twi_net_backward(tw_ctx *ctx, twi_net *net, twi_net_batch *batch, const uint32_t *y,
                           size_t n, float alpha, double *loss);
/* One step of Adam, number t from 1 on. */
tw_status twi_net_step(tw_ctx *ctx, twi_net *net, double learning_rate, size_t t);

#endif
