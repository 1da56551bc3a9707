/* networks.c - VGG16 (configuration D of arXiv:1409.1556) and ResNet-18 at half width without its
 * first pool. */
#include "networks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct maker {
    tw_ctx *ctx;
    twi_network *net;
    tw_status st; /* sticky */
    uint32_t noise;
} maker;

static float drawn(maker *m)
{
    m->noise = m->noise * 1664525u + 1013904223u;
    return (float)(m->noise >> 8) / 8388608.0f - 1;
}

static uint32_t node(maker *m, twi_node n, uint32_t a, uint32_t b)
{
    char name[32];
    uint32_t id = 0;
    const uint32_t inputs[] = {a, b};
    snprintf(name, sizeof name, "%s%zu", twi_op_name(n.op), m->net->n);
    n.name = name;
    n.n_inputs = n.op == TWI_OP_ADD ? 2 : 1;
    n.inputs = inputs;
    if (m->st == TW_OK) m->st = twi_network_add(m->ctx, m->net, &n, &id);
    return id;
}

static const twi_tensor *tensor(maker *m, const char *kind, size_t rank, const size_t *dims,
                                float scale)
{
    char name[32];
    void *data = NULL;
    snprintf(name, sizeof name, "%s%zu", kind, m->net->n);
    if (m->st == TW_OK)
        m->st = twi_tensors_add(m->ctx, &m->net->weights, name, TWI_F32, rank, dims, NULL, &data);
    if (m->st != TW_OK) return NULL;
    const twi_tensor *t = twi_tensors_find(&m->net->weights, name);
    for (size_t i = 0; i < t->count; i++) ((float *)data)[i] = scale * drawn(m);
    return t;
}

static uint32_t relu(maker *m, uint32_t from)
{
    return node(m, (twi_node){.op = TWI_OP_RELU}, from, 0);
}

/* He's initialisation (arXiv:1502.01852) keeps activations in the range real ones have. */
static uint32_t conv(maker *m, uint32_t from, const size_t dims[4], size_t stride)
{
    const size_t pad = dims[2] / 2;
    twi_node n = {.op = TWI_OP_CONV, .groups = 1};
    n.window = (twi_window){.kernel = {dims[2], dims[3]},
                            .stride = {stride, stride},
                            .dilation = {1, 1},
                            .pad_begin = {pad, pad},
                            .pad_end = {pad, pad}};
    n.params[TWI_PARAM_WEIGHT] =
        tensor(m, "w", 4, dims, sqrtf(6.0f / (float)(dims[1] * dims[2] * dims[3])));
    n.params[TWI_PARAM_BIAS] = tensor(m, "b", 1, dims, 0.01f);
    return node(m, n, from, 0);
}

static void vgg16(maker *m)
{
    static const size_t blocks[5][2] = {{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}};
    const twi_window halve = {.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}};
    uint32_t at = 0;
    size_t in = 3;
    for (size_t b = 0; b < 5; b++) {
        for (size_t i = 0; i < blocks[b][0]; i++, in = blocks[b][1])
            at = relu(m, conv(m, at, (const size_t[]){blocks[b][1], in, 3, 3}, 1));
        at = node(m, (twi_node){.op = TWI_OP_MAX_POOL, .window = halve}, at, 0);
    }
    m->net->feature = at;
}

static void sapling(maker *m)
{
    uint32_t at = relu(m, conv(m, 0, (const size_t[]){32, 3, 3, 3}, 2));
    size_t in = 32;
    for (size_t stage = 0; stage < 4; stage++) {
        const size_t out = (size_t)32 << stage;
        for (size_t block = 0; block < 2; block++, in = out) {
            const size_t stride = stage > 0 && block == 0 ? 2 : 1;
            uint32_t side = at;
            if (in != out) side = conv(m, at, (const size_t[]){out, in, 1, 1}, stride);
            at = relu(m, conv(m, at, (const size_t[]){out, in, 3, 3}, stride));
            at = conv(m, at, (const size_t[]){out, out, 3, 3}, 1);
            at = relu(m, node(m, (twi_node){.op = TWI_OP_ADD}, at, side));
        }
    }
    m->net->feature = at;
}

tw_status bench_network(tw_ctx *ctx, const char *name, twi_network **out, twi_recipe *recipe)
{
    const bool is_vgg = strcmp(name, "vgg16") == 0;
    if (!is_vgg && strcmp(name, "sapling") != 0)
        return twi_fail(ctx, TW_ERR_NOT_FOUND, "%s: vgg16 or sapling", name);
    maker m = {.ctx = ctx, .noise = 1};
    const size_t side = is_vgg ? 224 : 128;
    m.st = twi_recipe_init(ctx, is_vgg ? "caffe" : "torch", side, side, recipe);
    if (m.st == TW_OK) m.st = twi_network_new(ctx, 3, &m.net);
    if (m.st != TW_OK) return m.st;
    if (!is_vgg) {
        recipe->geometry = TWI_CROP;
        recipe->short_side = 141;
    }
    /* Nodes point at tensors: the list must not move while nodes are added. */
    twi_tensors *weights = &m.net->weights;
    m.st = twi_grow(ctx, &weights->items, &weights->capacity, 64);
    if (m.st == TW_OK) (is_vgg ? vgg16 : sapling)(&m);
    if (m.st == TW_OK)
        *out = m.net;
    else
        twi_network_free(m.net);
    return m.st;
}
