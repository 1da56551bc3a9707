/* network_bench.c - how many pictures a second the engine computes, without decoding: VGG16's
 * convolutions with random weights.
 *
 *     network-bench [--precision f32|bf16] [--batch N] [--runs N] [--seconds S] [--threads N]
 * [--check]
 *
 * One line for each run: precision, batch, pictures/s. Then the median, and how far it is from what
 * the arithmetic needs. --check compares the features with the f32 reference in plain C (minutes).
 */
#include "base/rng.h"
#include "bundle/bundle.h"
#include "engine/engine.h"
#include "engine/kernels/winograd.h"
#include "engine/primitive.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIDE      224
#define MOST_RUNS 100

typedef struct options {
    tw_precision precision;
    size_t batch, runs, threads, side;
    double seconds;
    bool check;
    const char *backbone; /* NULL: VGG16 */
} options;

/* Simonyan & Zisserman (2015), table 1, column D; 0 is a pool. */
static const size_t vgg16[] = {64, 64,  0,   128, 128, 0,   256, 256, 256,
                               0,  512, 512, 512, 0,   512, 512, 512, 0};

/* A random weight [out, in, 3, 3] as He et al. (2015) draw them, so that values keep their size. */
static tw_status add_weights(tw_ctx *ctx, twi_network *net, const char *name, size_t out, size_t in,
                             twi_rng *rng)
{
    float *data;
    double spare = NAN;
    const tw_status st = twi_tensors_add(ctx, &net->weights, name, TWI_F32, 4,
                                         (size_t[4]){out, in, 3, 3}, NULL, (void **)&data);
    const double deviation = sqrt(2.0 / (9.0 * (double)in));
    for (size_t i = 0; st == TW_OK && i < out * in * 9; i++)
        data[i] = (float)(deviation * twi_rng_normal(rng, &spare));
    return st;
}

static tw_status add_conv(tw_ctx *ctx, twi_network *net, size_t in, size_t out, twi_rng *rng)
{
    char name[32], weight[40], bias[40];
    float *zeros;
    uint32_t last = (uint32_t)net->n - 1, id;
    snprintf(name, sizeof name, "conv%u", last + 1);
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    tw_status st = add_weights(ctx, net, weight, out, in, rng);
    if (st == TW_OK)
        st = twi_tensors_add(ctx, &net->weights, bias, TWI_F32, 1, &out, NULL, (void **)&zeros);
    if (st != TW_OK) return st;
    twi_node conv = {.op = TWI_OP_CONV, .name = name, .n_inputs = 1, .inputs = &last, .groups = 1};
    conv.window = (twi_window){{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false, false};
    conv.params[TWI_PARAM_WEIGHT] = twi_tensors_find(&net->weights, weight);
    conv.params[TWI_PARAM_BIAS] = twi_tensors_find(&net->weights, bias);
    if ((st = twi_network_add(ctx, net, &conv, &id)) != TW_OK) return st;
    snprintf(name, sizeof name, "relu%u", id);
    const twi_node relu = {
        .op = TWI_OP_RELU, .name = name, .n_inputs = 1, .inputs = &id, .groups = 1};
    return twi_network_add(ctx, net, &relu, &net->feature);
}

static tw_status add_pool(tw_ctx *ctx, twi_network *net)
{
    char name[32];
    const uint32_t last = (uint32_t)net->n - 1;
    snprintf(name, sizeof name, "pool%u", last);
    twi_node pool = {
        .op = TWI_OP_MAX_POOL, .name = name, .n_inputs = 1, .inputs = &last, .groups = 1};
    pool.window = (twi_window){{2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, false, false};
    return twi_network_add(ctx, net, &pool, &net->feature);
}

static tw_status make_vgg16(tw_ctx *ctx, twi_network **out)
{
    twi_network *net;
    twi_rng rng;
    twi_rng_seed(&rng, 1);
    tw_status st = twi_network_new(ctx, 3, &net);
    if (st != TW_OK) return st;
    /* Nodes keep pointers into the list: it must not move. */
    st = twi_grow(ctx, &net->weights.items, &net->weights.capacity, 2 * TWI_LEN(vgg16));
    for (size_t i = 0, in = 3; i < TWI_LEN(vgg16) && st == TW_OK; i++) {
        st = vgg16[i] ? add_conv(ctx, net, in, vgg16[i], &rng) : add_pool(ctx, net);
        if (vgg16[i]) in = vgg16[i];
    }
    if (st == TW_OK)
        *out = net;
    else
        twi_network_free(net);
    return st;
}

/* The network in a backbone file. Its weights stay in the bundle, which must outlive it. */
static tw_status read_backbone(tw_ctx *ctx, const char *path, twi_bundle **bundle,
                               twi_network **out)
{
    twi_tensors weights = {0};
    tw_status st = twi_bundle_open(ctx, path, "backbone", bundle);
    if (st != TW_OK) return st;
    const twi_tensors *stored = twi_bundle_tensors(*bundle);
    for (size_t i = 0; i < stored->n && st == TW_OK; i++) {
        const twi_tensor *t = &stored->items[i];
        st = twi_tensors_add(ctx, &weights, t->name, t->dtype, t->rank, t->dims, t->data, NULL);
    }
    if (st == TW_OK)
        st = twi_network_from_json(ctx, path, twi_json_get(twi_bundle_document(*bundle), "graph"),
                                   &weights, out);
    twi_tensors_free(&weights);
    return st;
}

/* Multiplications and additions of one picture by the definition of convolution, the same with
 * F(4 x 4, 3 x 3) where it can be used (its transforms not counted), and the numbers of weights and
 * of values of feature maps if each were read and written once. */
typedef struct work {
    double operations, fewest, weights, values;
} work;

static double fewest_operations(const twi_node *node, const size_t out[3], double direct)
{
    const twi_window *w = &node->window;
    const size_t *dims = node->params[TWI_PARAM_WEIGHT]->dims;
    const bool suits = node->op == TWI_OP_CONV && w->kernel[0] == 3 && w->kernel[1] == 3 &&
                       w->stride[0] == 1 && w->stride[1] == 1 && node->groups == 1 && dims[1] >= 16;
    if (!suits) return direct;
    const size_t tiles = (out[1] + 3) / 4 * ((out[2] + 3) / 4);
    return 2.0 * TWI_WINO_POINTS * (double)tiles * (double)dims[0] * (double)dims[1];
}

/* What one core multiplies and adds in a second, at most, on numbers that are in its first cache: 0
 * where there is no kernel to ask. */
static double peak_rate(twi_dtype dtype)
{
    enum { TILES = 6, DEPTH = 64, CALLS = 2000 };
    static unsigned char v[TILES * DEPTH * 4], u[DEPTH * TWI_WINO_GROUP * 4];
    static float m[TILES * TWI_WINO_GROUP];
    const twi_isa isa = twi_device_isa(); /* in bfloat16 AMX does the work, and does more */
    const bool here = dtype == TWI_BF16 ? isa == TWI_ISA_AVX512_BF16 : isa >= TWI_ISA_AVX512;
    const twi_wino_kernels *kernels = here ? twi_wino_avx512(dtype) : NULL;
    double best = 0.0;
    for (int run = 0; kernels && run < 50; run++) {
        const double start = twi_seconds();
        for (int i = 0; i < CALLS; i++) kernels->multiply(TILES, DEPTH, 4, v, u, m);
        best = fmax(best, 2.0 * CALLS * TILES * DEPTH * TWI_WINO_GROUP / (twi_seconds() - start));
    }
    return best;
}

static tw_status count_work(tw_ctx *ctx, const twi_network *net, const options *o, work *out)
{
    twi_shape *shapes;
    tw_status st = twi_alloc(ctx, net->n, &shapes);
    if (st == TW_OK) st = twi_network_shapes(ctx, net, o->side, o->side, shapes);
    *out = (work){0};
    for (size_t i = 0; i < net->n && st == TW_OK; i++) {
        const double places =
            shapes[i].rank == 3 ? (double)(shapes[i].dims[1] * shapes[i].dims[2]) : 1.0;
        out->values += 2.0 * (double)shapes[i].dims[0] * places;
        if (!net->nodes[i].params[TWI_PARAM_WEIGHT]) continue;
        const double weights = (double)net->nodes[i].params[TWI_PARAM_WEIGHT]->count;
        out->weights += weights;
        out->operations += 2.0 * weights * places;
        out->fewest += fewest_operations(&net->nodes[i], shapes[i].dims, 2.0 * weights * places);
    }
    twi_free(shapes);
    return st;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* pictures [batch, side, side, 3], bytes around zero as Keras' VGG preprocessing leaves them. */
static void draw_pictures(float *pictures, size_t count)
{
    twi_rng rng;
    twi_rng_seed(&rng, 7);
    for (size_t i = 0; i < count; i++) {
        const double smooth = 60.0 * sin((double)i / 3000.0) * cos((double)(i % 672) / 90.0);
        pictures[i] = (float)(smooth + 80.0 * twi_rng_double(&rng) - 40.0);
    }
}

/* The rate and how far it is from what the arithmetic and the memory need. */
static void report(const options *o, const work *w, double rate)
{
    const twi_dtype dtype = o->precision == TW_PRECISION_BF16 ? TWI_BF16 : TWI_F32;
    const double size = (double)twi_dtype_size(dtype), peak = peak_rate(dtype) * (double)o->threads;
    printf("median %.3f pictures/s on %s, %zu threads\n", rate, twi_engine_isa(), o->threads);
    printf("operations: %.2f GFLOP a picture by definition, %.2f with F(4 x 4): %.0f GFLOP/s\n",
           w->operations / 1e9, w->fewest / 1e9, rate * w->fewest / 1e9);
    if (peak > 0.0)
        printf("limit: %zu times %.0f GFLOP/s, so %.1f pictures/s by definition, %.1f "
               "with "
               "F(4 x 4); reached %.0f %% of the latter\n",
               o->threads, peak / (double)o->threads / 1e9, peak / w->operations, peak / w->fewest,
               100.0 * rate * w->fewest / peak);
    printf("bytes: %.1f MB of maps a picture, %.1f MB of weights a batch as stored: %.2f GB/s at "
           "least\n",
           w->values * size / 1e6, w->weights * size / 1e6,
           rate * size * (w->values + w->weights / (double)o->batch) / 1e9);
}

static tw_status measure(tw_ctx *ctx, const options *o, const work *w, const twi_program *program,
                         float *pictures, float *features)
{
    twi_workspace *workspace;
    double rates[MOST_RUNS];
    tw_status st = twi_workspace_new(ctx, program, &workspace);
    if (st != TW_OK) return st;
    st = twi_program_run(ctx, program, workspace, pictures, o->batch, features); /* warms up */
    for (size_t run = 0; run < o->runs && st == TW_OK; run++) {
        const double start = twi_seconds();
        const clock_t worked = clock();
        size_t done = 0;
        do {
            st = twi_program_run(ctx, program, workspace, pictures, o->batch, features);
            done += o->batch;
        } while (st == TW_OK && twi_seconds() - start < o->seconds);
        rates[run] = (double)done / (twi_seconds() - start);
        printf("%s batch %zu %.3f pictures/s, %.4f processor seconds a picture\n",
               twi_precision_name(o->precision), o->batch, rates[run],
               (double)(clock() - worked) / CLOCKS_PER_SEC / (double)done);
        fflush(stdout);
    }
    twi_workspace_free(workspace);
    if (st != TW_OK) return st;
    qsort(rates, o->runs, sizeof *rates, ascending);
    report(o, w, rates[o->runs / 2]);
    return TW_OK;
}

/* How far features [d] of the first picture are from plain C's. */
static tw_status compare(tw_ctx *ctx, const options *o, const twi_network *net,
                         const float *pictures, const float *features)
{
    const twi_engine_opts opts = {.precision = TW_PRECISION_F32,
                                  .batch = 1,
                                  .height = o->side,
                                  .width = o->side,
                                  .threads = 1,
                                  .reference = true};
    twi_program *program = NULL;
    twi_workspace *workspace = NULL;
    float *want = NULL;
    tw_status st = twi_program_new(ctx, net, &opts, NULL, &program);
    if (st == TW_OK) st = twi_workspace_new(ctx, program, &workspace);
    if (st == TW_OK) st = twi_alloc(ctx, twi_program_output_count(program), &want);
    if (st == TW_OK) st = twi_program_run(ctx, program, workspace, pictures, 1, want);
    double ab = 0.0, aa = 0.0, bb = 0.0, worst = 0.0, largest = 0.0;
    for (size_t i = 0; st == TW_OK && i < twi_program_output_count(program); i++) {
        const double a = (double)features[i], b = (double)want[i];
        ab += a * b, aa += a * a, bb += b * b;
        worst = fmax(worst, fabs(a - b));
        largest = fmax(largest, fabs(b));
    }
    if (st == TW_OK)
        printf(
            "against plain C in f32: cosine %.7f, largest difference %.3g of the largest feature\n",
            ab / sqrt(aa * bb), worst / largest);
    twi_free(want);
    twi_workspace_free(workspace);
    twi_program_free(program);
    return st;
}

static tw_status bench(tw_ctx *ctx, const options *o)
{
    twi_bundle *bundle = NULL;
    twi_network *net = NULL, *frozen = NULL;
    twi_program *program = NULL;
    float *pictures = NULL, *features = NULL;
    const twi_engine_opts opts = {.precision = o->precision,
                                  .batch = o->batch,
                                  .height = o->side,
                                  .width = o->side,
                                  .threads = o->threads};
    const size_t count = o->batch * o->side * o->side * 3;
    const double start = twi_seconds();
    work w;
    tw_status st =
        o->backbone ? read_backbone(ctx, o->backbone, &bundle, &net) : make_vgg16(ctx, &net);
    if (st == TW_OK) st = twi_network_for_inference(ctx, net, TWI_OUTPUT_FLAT, true, &frozen);
    if (st == TW_OK) st = count_work(ctx, frozen, o, &w);
    const double drawn = twi_seconds();
    if (st == TW_OK) st = twi_program_new(ctx, frozen, &opts, NULL, &program);
    if (st == TW_OK)
        printf("read in %.2f s, compiled in %.2f s\n", drawn - start, twi_seconds() - drawn);
    if (st == TW_OK) st = twi_alloc(ctx, count, &pictures);
    if (st == TW_OK) st = twi_alloc(ctx, o->batch * twi_program_output_count(program), &features);
    if (st == TW_OK) {
        draw_pictures(pictures, count);
        st = measure(ctx, o, &w, program, pictures, features);
    }
    if (st == TW_OK && o->check) st = compare(ctx, o, frozen, pictures, features);
    twi_free(pictures);
    twi_free(features);
    twi_program_free(program);
    twi_network_free(frozen);
    twi_network_free(net);
    twi_bundle_free(bundle);
    return st;
}

static bool parse(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--check") == 0) {
            o->check = true;
            continue;
        }
        if (argv[i][0] != '-') {
            o->backbone = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--precision") == 0)
            o->precision = strcmp(value, "bf16") == 0 ? TW_PRECISION_BF16 : TW_PRECISION_F32;
        else if (strcmp(argv[i], "--batch") == 0)
            o->batch = strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--runs") == 0)
            o->runs = strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0)
            o->threads = strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--side") == 0)
            o->side = strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            o->seconds = strtod(value, NULL);
        else
            return false;
        i++;
    }
    return o->batch > 0 && o->side > 0 && o->runs > 0 && o->runs <= MOST_RUNS;
}

int main(int argc, char **argv)
{
    tw_ctx *ctx;
    if (tw_ctx_new(&ctx) != TW_OK) return 5;
    options o = {TW_PRECISION_F32, 8, 5, twi_threads(ctx), 224, 1.0, false, NULL};
    tw_status st = TW_ERR_ARG;
    if (parse(argc, argv, &o))
        st = bench(ctx, &o);
    else
        fprintf(stderr,
                "usage: network-bench [--precision f32|bf16] [--batch N] [--runs N] [--seconds S] "
                "[--threads N] [--side PIXELS] [--check] [BACKBONE.tw]\n");
    if (st != TW_OK) fprintf(stderr, "network-bench: %s\n", tw_last_error(ctx));
    tw_ctx_free(ctx);
    return st == TW_OK ? 0 : 2;
}
