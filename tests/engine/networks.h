/* networks.h - random networks for the engine's tests, and how far two results are apart. */
#ifndef TW_TESTS_ENGINE_NETWORKS_H
#define TW_TESTS_ENGINE_NETWORKS_H

#include "base/rng.h"
#include "engine/engine.h"
#include "testing.h"

#include <math.h>

static inline double unit(twi_rng *rng)
{
    return 2.0 * twi_rng_double(rng) - 1.0;
}

static inline size_t between(twi_rng *rng, size_t least, size_t most)
{
    return least + twi_rng_interval(rng, (uint32_t)(most - least));
}

static inline void must(tw_ctx *ctx, tw_status st)
{
    if (st != TW_OK) print_error("%s: %s\n", tw_status_name(st), tw_last_error(ctx));
    assert_int_equal(st, TW_OK);
}

static inline float *random_floats(twi_rng *rng, size_t count)
{
    float *values = test_malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = (float)unit(rng);
    return values;
}

typedef struct builder {
    tw_ctx *ctx;
    twi_rng *rng;
    twi_network *network;
    size_t n_weights;
} builder;

static inline builder builder_new(tw_ctx *ctx, twi_rng *rng, size_t channels)
{
    builder b = {.ctx = ctx, .rng = rng};
    must(ctx, twi_network_new(ctx, channels, &b.network));
    return b;
}

/* A weight of the network: uniform in +-scale, around middle. */
static inline const char *add_weight(builder *b, size_t rank, const size_t *dims, double middle,
                                     double scale)
{
    static char name[32];
    float *data;
    snprintf(name, sizeof name, "weight%zu", b->n_weights++);
    must(b->ctx, twi_tensors_add(b->ctx, &b->network->weights, name, TWI_F32, rank, dims, NULL,
                                 (void **)&data));
    const size_t count = b->network->weights.items[b->network->weights.n - 1].count;
    for (size_t i = 0; i < count; i++) data[i] = (float)(middle + scale * unit(b->rng));
    return name;
}

/* Room for the weights of n nodes, so that pointers to them stay. */
static inline void reserve_weights(builder *b, size_t n)
{
    must(b->ctx, twi_grow(b->ctx, &b->network->weights.items, &b->network->weights.capacity, n));
}

static inline const twi_tensor *weight(builder *b, size_t rank, const size_t *dims, double middle,
                                       double scale)
{
    return twi_tensors_find(&b->network->weights, add_weight(b, rank, dims, middle, scale));
}

static inline uint32_t add_node(builder *b, twi_node proto, size_t n_inputs, const uint32_t *inputs)
{
    char name[32];
    uint32_t id;
    snprintf(name, sizeof name, "node%zu", b->network->n);
    proto.name = name;
    proto.n_inputs = n_inputs;
    proto.inputs = inputs;
    if (proto.groups == 0) proto.groups = 1;
    must(b->ctx, twi_network_add(b->ctx, b->network, &proto, &id));
    b->network->feature = id;
    return id;
}

static inline twi_window square_window(size_t kernel, size_t stride, size_t pad)
{
    return (twi_window){.kernel = {kernel, kernel},
                        .stride = {stride, stride},
                        .dilation = {1, 1},
                        .pad_begin = {pad, pad},
                        .pad_end = {pad, pad}};
}

/* Convolution with weights that keep the size of values about the same. */
static inline uint32_t add_conv(builder *b, uint32_t from, const size_t dims[4], size_t groups,
                                twi_window window, bool bias)
{
    const double scale = sqrt(3.0 / (double)(dims[1] * dims[2] * dims[3]));
    twi_node node = {.op = TWI_OP_CONV, .groups = groups, .window = window};
    node.window.kernel[0] = dims[2], node.window.kernel[1] = dims[3];
    node.params[TWI_PARAM_WEIGHT] = weight(b, 4, dims, 0.0, scale * 1.4);
    if (bias) node.params[TWI_PARAM_BIAS] = weight(b, 1, dims, 0.0, 0.5);
    return add_node(b, node, 1, &from);
}

typedef struct outcome {
    float *values; /* [n, d]; release with test_free() */
    size_t d, count;
} outcome;

/* Compiles and runs network once on n random pictures that depend on seed alone. */
static inline outcome compute(tw_ctx *ctx, const twi_network *network, const twi_engine_opts *opts,
                              size_t n, uint32_t seed)
{
    twi_program *program;
    twi_workspace *workspace;
    twi_rng rng;
    twi_rng_seed(&rng, seed);
    float *images = random_floats(&rng, n * network->input_channels * opts->height * opts->width);
    must(ctx, twi_program_new(ctx, network, opts, NULL, &program));
    must(ctx, twi_workspace_new(ctx, program, &workspace));
    outcome out = {.d = twi_program_output_count(program)};
    out.count = n * out.d;
    out.values = test_malloc(out.count * sizeof *out.values);
    must(ctx, twi_program_run(ctx, program, workspace, images, n, out.values));
    twi_workspace_free(workspace);
    twi_program_free(program);
    test_free(images);
    return out;
}

/* Watches network on n random pictures that depend on seed alone; true when this machine can then
 * compute it in 8 bits. */
static inline bool calibrate(tw_ctx *ctx, twi_network *network, const twi_engine_opts *opts,
                             size_t n, uint32_t seed)
{
    twi_engine_opts watching = *opts;
    twi_program *program;
    twi_workspace *workspace;
    twi_rng rng;
    double(*observed)[2] = test_calloc(network->n, sizeof *observed);
    watching.precision = TW_PRECISION_F32;
    watching.watch = true;
    twi_rng_seed(&rng, seed);
    float *images = random_floats(&rng, n * network->input_channels * opts->height * opts->width);
    must(ctx, twi_program_new(ctx, network, &watching, NULL, &program));
    must(ctx, twi_workspace_new(ctx, program, &workspace));
    float *out = test_malloc(n * twi_program_output_count(program) * sizeof *out);
    must(ctx, twi_program_run(ctx, program, workspace, images, n, out));
    must(ctx, twi_workspace_observed(ctx, workspace, observed));
    for (size_t i = 0; i < network->n; i++)
        memcpy(network->nodes[i].observed, observed[i], sizeof observed[i]);
    twi_workspace_free(workspace);
    twi_program_free(program);
    test_free(images), test_free(out), test_free(observed);
    return twi_precision_native(TW_PRECISION_INT8);
}

/* |a - b| / |b|, Euclidean. */
static inline double distance(const outcome *a, const outcome *b)
{
    double apart = 0.0, size = 0.0;
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const double d = (double)a->values[i] - (double)b->values[i];
        apart += d * d;
        size += (double)b->values[i] * (double)b->values[i];
    }
    assert_true(isfinite(apart));
    return size > 0.0 ? sqrt(apart / size) : sqrt(apart);
}

/* oneDNN in precision against plain C. */
static inline void check_against_reference(tw_ctx *ctx, const twi_network *network,
                                           twi_engine_opts opts, double tolerance, uint32_t seed)
{
    opts.reference = false;
    const size_t n = 1 + seed % opts.batch;
    outcome got = compute(ctx, network, &opts, n, seed);
    opts.reference = true;
    opts.precision = TW_PRECISION_F32;
    outcome want = compute(ctx, network, &opts, n, seed);
    const double apart = distance(&got, &want);
    if (!(apart <= tolerance))
        print_error("seed %u: distance %g, allowed %g\n", seed, apart, tolerance);
    assert_true(apart <= tolerance);
    test_free(got.values);
    test_free(want.values);
}

#define F32_TOLERANCE  2e-6
#define BF16_TOLERANCE 1.2e-2

/* Both precisions the machine has; slack: how many times the usual tolerance, for chains. */
static inline void check_precisions_within(tw_ctx *ctx, const twi_network *network,
                                           const twi_engine_opts *opts, double slack, uint32_t seed)
{
    twi_engine_opts o = *opts;
    o.precision = TW_PRECISION_F32;
    check_against_reference(ctx, network, o, slack * F32_TOLERANCE, seed);
    o.precision = TW_PRECISION_BF16;
    if (twi_precision_native(o.precision))
        check_against_reference(ctx, network, o, slack * BF16_TOLERANCE, seed);
}

static inline void check_precisions(tw_ctx *ctx, const twi_network *network,
                                    const twi_engine_opts *opts, uint32_t seed)
{
    check_precisions_within(ctx, network, opts, 1.0, seed);
}

#endif
