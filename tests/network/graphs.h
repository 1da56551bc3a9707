/* graphs.h - graphs to test with: small named ones, and random ones of every operator. */
#ifndef TW_TESTS_GRAPHS_H
#define TW_TESTS_GRAPHS_H

#include "base/rng.h"
#include "network/network.h"

#include "../testing.h"

typedef struct sketch {
    tw_ctx *ctx;
    twi_network *network;
    twi_rng rng;
    size_t tensors;
} sketch;

/* The list is given all its room first, so that tensors may be added between nodes without moving.
 */
static inline sketch sketch_new(tw_ctx *ctx, size_t channels, uint32_t seed)
{
    sketch s = {.ctx = ctx};
    assert_int_equal(twi_network_new(ctx, channels, &s.network), TW_OK);
    twi_tensors *w = &s.network->weights;
    assert_int_equal(twi_grow(ctx, &w->items, &w->capacity, 1000), TW_OK);
    twi_rng_seed(&s.rng, seed);
    return s;
}

static inline double sketch_uniform(sketch *s, double least, double most)
{
    return least + (most - least) * twi_rng_double(&s->rng);
}

/* A new tensor of random values in [least, most), of one of the floating-point types. */
static inline const twi_tensor *sketch_tensor(sketch *s, size_t rank, const size_t *dims,
                                              double least, double most)
{
    static const twi_dtype kinds[] = {TWI_F32, TWI_F16, TWI_BF16, TWI_F64};
    const twi_dtype dtype = kinds[twi_rng_interval(&s->rng, 3)];
    char name[32];
    void *data;
    snprintf(name, sizeof name, "t%zu", s->tensors++);
    twi_tensors *list = &s->network->weights;
    assert_int_equal(twi_tensors_add(s->ctx, list, name, dtype, rank, dims, NULL, &data), TW_OK);
    const twi_tensor *t = &list->items[list->n - 1];
    for (size_t i = 0; i < t->count; i++) {
        const float v = (float)sketch_uniform(s, least, most);
        if (dtype == TWI_F32) ((float *)data)[i] = v;
        if (dtype == TWI_F64) ((double *)data)[i] = (double)v;
        if (dtype == TWI_F16) ((uint16_t *)data)[i] = twi_f32_to_f16(v);
        if (dtype == TWI_BF16) ((uint16_t *)data)[i] = twi_f32_to_bf16(v);
    }
    return t;
}

static inline uint32_t sketch_node(sketch *s, twi_node node, const uint32_t *inputs, size_t n)
{
    char name[32];
    uint32_t id;
    snprintf(name, sizeof name, "%s%zu", twi_op_name(node.op), s->network->n);
    node.name = name;
    node.inputs = inputs;
    node.n_inputs = n;
    const tw_status st = twi_network_add(s->ctx, s->network, &node, &id);
    if (st != TW_OK) print_message("%s\n", tw_last_error(s->ctx));
    assert_int_equal(st, TW_OK);
    return id;
}

static inline uint32_t sketch_plain(sketch *s, twi_op op, uint32_t input)
{
    return sketch_node(s, (twi_node){.op = op}, &input, 1);
}

static inline uint32_t sketch_conv(sketch *s, uint32_t input, size_t in, size_t out, size_t kernel,
                                   size_t groups, bool bias)
{
    const size_t dims[] = {out, in / groups, kernel, kernel}, pad = kernel / 2;
    twi_node node = {.op = TWI_OP_CONV,
                     .groups = groups,
                     .window = {.pad_begin = {pad, pad}, .pad_end = {pad, pad}}};
    node.params[TWI_PARAM_WEIGHT] = sketch_tensor(s, 4, dims, -0.5, 0.5);
    if (bias) node.params[TWI_PARAM_BIAS] = sketch_tensor(s, 1, dims, -1, 1);
    return sketch_node(s, node, &input, 1);
}

static inline uint32_t sketch_norm(sketch *s, uint32_t input, size_t channels, bool affine)
{
    twi_node node = {.op = TWI_OP_BATCH_NORM, .epsilon = 1e-5};
    if (affine) {
        node.params[TWI_PARAM_SCALE] = sketch_tensor(s, 1, &channels, -1, 1.5);
        node.params[TWI_PARAM_SHIFT] = sketch_tensor(s, 1, &channels, -1, 1);
    }
    node.params[TWI_PARAM_MEAN] = sketch_tensor(s, 1, &channels, -1, 1);
    node.params[TWI_PARAM_VARIANCE] = sketch_tensor(s, 1, &channels, 0.25, 2);
    return sketch_node(s, node, &input, 1);
}

static inline uint32_t sketch_dense(sketch *s, uint32_t input, size_t in, size_t out)
{
    const size_t dims[] = {out, in};
    twi_node node = {.op = TWI_OP_DENSE};
    node.params[TWI_PARAM_WEIGHT] = sketch_tensor(s, 2, dims, -0.3, 0.3);
    node.params[TWI_PARAM_BIAS] = sketch_tensor(s, 1, dims, -1, 1);
    return sketch_node(s, node, &input, 1);
}

static inline uint32_t sketch_join(sketch *s, twi_op op, uint32_t a, uint32_t b)
{
    return sketch_node(s, (twi_node){.op = op}, (uint32_t[]){a, b}, 2);
}

/* Times or plus a constant, one for all or one a channel. */
static inline uint32_t sketch_constant(sketch *s, uint32_t input, size_t channels)
{
    const bool coin = twi_rng_interval(&s->rng, 1);
    const size_t n = twi_rng_interval(&s->rng, 1) ? channels : 1, map[3] = {n, 1, 1};
    twi_node node = {.op = coin ? TWI_OP_MUL_CONSTANT : TWI_OP_ADD_CONSTANT};
    node.params[TWI_PARAM_VALUE] =
        sketch_tensor(s, twi_rng_interval(&s->rng, 1) ? 3 : 1, map, -1, 1);
    return sketch_node(s, node, &input, 1);
}

/* 3 x 3, stride 1, padding 1: the size stays. */
static inline uint32_t sketch_pool(sketch *s, twi_op op, uint32_t input)
{
    const twi_node node = {
        .op = op,
        .window = {.kernel = {3, 3}, .stride = {1, 1}, .pad_begin = {1, 1}, .pad_end = {1, 1}}};
    return sketch_node(s, node, &input, 1);
}

/* One random step over maps of channels channels; every earlier map may be read again. */
static inline void sketch_step(sketch *s, size_t channels)
{
    const uint32_t last = (uint32_t)s->network->n - 1;
    const uint32_t a = 1 + twi_rng_interval(&s->rng, last - 1);
    const uint32_t input = twi_rng_interval(&s->rng, 3) ? last : a; /* mostly a chain */
    const bool coin = twi_rng_interval(&s->rng, 1);
    switch (twi_rng_interval(&s->rng, 11)) {
    case 0:
        sketch_conv(s, input, channels, channels, 3, 1, coin);
        break;
    case 1:
        sketch_conv(s, input, channels, channels, 1, coin ? 2 : channels, coin);
        break;
    case 2:
    case 3:
        sketch_norm(s, input, channels, coin);
        break;
    case 4:
        sketch_plain(s, TWI_OP_RELU, input);
        break;
    case 5:
        sketch_pool(s, coin ? TWI_OP_MAX_POOL : TWI_OP_AVG_POOL, input);
        break;
    case 8:
        sketch_node(s, (twi_node){.op = TWI_OP_CLIP, .low = -1, .high = 6}, &input, 1);
        break;
    case 9:
        sketch_plain(s, TWI_OP_SILU, input);
        break;
    case 10:
        sketch_constant(s, input, channels);
        break;
    case 6:
    case 7:
        sketch_join(s, TWI_OP_ADD, input, a);
        break;
    default:
        sketch_conv(s, sketch_join(s, TWI_OP_CONCAT, input, a), 2 * channels, channels, 1, 1, coin);
        break;
    }
}

/* Residual-network-like soup: steps random nodes over maps, a classifier of 5 behind.
 * Concatenations widen only for their own convolution, so a step must not pick them: the feature
 * node is the last. */
static inline twi_network *random_graph(tw_ctx *ctx, uint32_t seed, size_t steps)
{
    enum { CHANNELS = 4, CLASSES = 5 };
    sketch s = sketch_new(ctx, 3, seed);
    sketch_conv(&s, 0, 3, CHANNELS, 3, 1, true);
    for (size_t i = 0; i < steps; i++) {
        const size_t before = s.network->n;
        sketch_step(&s, CHANNELS);
        if (s.network->n == before + 2) break; /* a concatenation: end here */
    }
    s.network->feature = (uint32_t)s.network->n - 1;
    const bool coin = twi_rng_interval(&s.rng, 1);
    uint32_t top = sketch_plain(&s, coin ? TWI_OP_GLOBAL_AVG_POOL : TWI_OP_GLOBAL_MAX_POOL,
                                s.network->feature);
    if (twi_rng_interval(&s.rng, 1)) top = sketch_norm(&s, top, CHANNELS, true);
    top = sketch_dense(&s, top, CHANNELS, CLASSES);
    if (twi_rng_interval(&s.rng, 1)) top = sketch_norm(&s, top, CLASSES, coin);
    if (twi_rng_interval(&s.rng, 1)) top = sketch_plain(&s, TWI_OP_RELU, top);
    s.network->logits = top;
    return s.network;
}

#endif
