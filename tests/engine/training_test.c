/* training_test.c - gradients: the plain C reference against differences of the loss, oneDNN
 * against the reference, whatever the threads. */
#include "networks.h"

#include "engine/onednn/nodes.h"
#include "engine/trainer.h"

typedef struct trial {
    tw_ctx *ctx;
    twi_rng rng;
    builder b;
    twi_trainer_opts opts;
} trial;

static void trial_start(trial *t, uint32_t seed)
{
    must(NULL, tw_ctx_new(&t->ctx));
    twi_rng_seed(&t->rng, seed);
    t->b = builder_new(t->ctx, &t->rng, 3);
    reserve_weights(&t->b, 200);
    t->opts = (twi_trainer_opts){.precision = TW_PRECISION_F32,
                                 .batch = 3,
                                 .height = 8,
                                 .width = 8,
                                 .threads = 2,
                                 .momentum = 0.1};
}

static void trial_end(trial *t)
{
    twi_network_free(t->b.network);
    tw_ctx_free(t->ctx);
}

/* ---- one network, run and differentiated --------------------------------------------------- */

typedef struct pass {
    twi_trainer *trainer;
    float *images, *out, *direction; /* loss = sum out * direction */
    size_t count;
} pass;

static pass pass_new(trial *t, bool reference, tw_precision precision)
{
    pass p = {0};
    twi_trainer_opts opts = t->opts;
    twi_rng rng;
    twi_rng_seed(&rng, 77);
    opts.reference = reference;
    opts.precision = precision;
    must(t->ctx, twi_trainer_new(t->ctx, t->b.network, &opts, &p.trainer));
    p.count = opts.batch * twi_trainer_output_count(p.trainer);
    p.images =
        random_floats(&rng, opts.batch * opts.height * opts.width * t->b.network->input_channels);
    p.direction = random_floats(&rng, p.count);
    p.out = test_malloc(p.count * sizeof *p.out);
    return p;
}

static void pass_free(pass *p)
{
    twi_trainer_free(p->trainer);
    test_free(p->images);
    test_free(p->direction);
    test_free(p->out);
}

static double loss(trial *t, pass *p)
{
    double sum = 0.0;
    must(t->ctx, twi_trainer_forward(t->ctx, p->trainer, p->images, p->out));
    for (size_t i = 0; i < p->count; i++) sum += (double)p->out[i] * (double)p->direction[i];
    assert_true(isfinite(sum));
    return sum;
}

static void gradients(trial *t, pass *p)
{
    (void)loss(t, p);
    must(t->ctx, twi_trainer_backward(t->ctx, p->trainer, p->direction));
}

/* The gradient along a random direction of each parameter, against the loss on both sides. */
static void check_differences(trial *t, double step, double tolerance)
{
    pass p = pass_new(t, true, TW_PRECISION_F32);
    gradients(t, &p);
    size_t checked = 0;
    for (size_t i = 0; i < twi_trainer_parameter_count(p.trainer); i++) {
        const twi_parameter *q = twi_trainer_parameter(p.trainer, i);
        if (!q->gradient) continue;
        float *way = random_floats(&t->rng, q->count), *kept = test_malloc(q->count * sizeof *kept);
        double along = 0.0, length = 0.0, sides[2];
        for (size_t k = 0; k < q->count; k++) {
            along += (double)q->gradient[k] * (double)way[k];
            length += (double)q->gradient[k] * (double)q->gradient[k];
            kept[k] = q->value[k];
        }
        for (int side = 0; side < 2; side++) {
            for (size_t k = 0; k < q->count; k++)
                q->value[k] = kept[k] + (float)((side ? step : -step) * (double)way[k]);
            sides[side] = loss(t, &p);
        }
        memcpy(q->value, kept, q->count * sizeof *kept);
        const double found = (sides[1] - sides[0]) / (2.0 * step);
        const double scale = fmax(sqrt(length), 3e-2);
        if (!(fabs(found - along) <= tolerance * scale))
            print_error("%s of node %u (%s): gradient %g, differences %g, length %g\n", q->name,
                        q->node, twi_op_name(q->op), along, found, sqrt(length));
        assert_true(fabs(found - along) <= tolerance * scale);
        checked++;
        test_free(way);
        test_free(kept);
    }
    assert_true(checked > 0);
    pass_free(&p);
}

/* |a - b| / |b| over all gradients, or over values that are not trained (running statistics). */
static double apart(const twi_trainer *a, const twi_trainer *b, bool trained)
{
    double difference = 0.0, size = 0.0;
    for (size_t i = 0; i < twi_trainer_parameter_count(a); i++) {
        const twi_parameter *p = twi_trainer_parameter(a, i), *q = twi_trainer_parameter(b, i);
        assert_true(!p->gradient == !q->gradient);
        const float *x = trained ? p->gradient : p->value, *y = trained ? q->gradient : q->value;
        for (size_t k = 0; x && k < p->count; k++) {
            difference += ((double)x[k] - (double)y[k]) * ((double)x[k] - (double)y[k]);
            size += (double)y[k] * (double)y[k];
        }
    }
    return sqrt(difference / fmax(size, 1e-30));
}

static void check_onednn(trial *t, tw_precision precision, double tolerance)
{
    pass a = pass_new(t, false, precision), b = pass_new(t, true, TW_PRECISION_F32);
    double differs = 0.0, size = 0.0;
    gradients(t, &a);
    gradients(t, &b);
    for (size_t i = 0; i < a.count; i++) {
        differs += pow((double)a.out[i] - (double)b.out[i], 2);
        size += pow((double)b.out[i], 2);
    }
    const double out = sqrt(differs / size), back = apart(a.trainer, b.trainer, true);
    const double values = apart(a.trainer, b.trainer, false);
    if (!(out <= tolerance && back <= tolerance && values <= tolerance))
        print_error("output apart by %g, gradients by %g, values by %g\n", out, back, values);
    assert_true(out <= tolerance && back <= tolerance && values <= tolerance);
    pass_free(&a);
    pass_free(&b);
}

#define STEP        3e-4
#define DIFFERENCES 2e-2
#define F32         1e-5
#define BF16        6e-2

static void check_all(trial *t)
{
    check_differences(t, STEP, DIFFERENCES);
    check_onednn(t, TW_PRECISION_F32, F32);
    if (twi_precision_native(TW_PRECISION_BF16)) check_onednn(t, TW_PRECISION_BF16, BF16);
}

/* ---- networks around one operator ---------------------------------------------------------- */

static uint32_t conv(trial *t, uint32_t from, size_t in, size_t out, size_t groups, twi_window w,
                     bool bias)
{
    const size_t dims[4] = {out, in / groups, w.kernel[0], w.kernel[1]};
    return add_conv(&t->b, from, dims, groups, w, bias);
}

static uint32_t dense(trial *t, uint32_t from, size_t in, size_t out)
{
    twi_node node = {.op = TWI_OP_DENSE};
    node.params[TWI_PARAM_WEIGHT] =
        weight(&t->b, 2, (size_t[2]){out, in}, 0.0, 1.7 / sqrt((double)in));
    node.params[TWI_PARAM_BIAS] = weight(&t->b, 1, &out, 0.0, 0.5);
    return add_node(&t->b, node, 1, &from);
}

static uint32_t norm(trial *t, uint32_t from, size_t channels, twi_op op)
{
    twi_node node = {.op = op, .epsilon = 1e-3};
    node.params[TWI_PARAM_SCALE] = weight(&t->b, 1, &channels, 1.0, 0.3);
    node.params[TWI_PARAM_SHIFT] = weight(&t->b, 1, &channels, 0.0, 0.3);
    if (op == TWI_OP_GROUP_NORM) node.groups = 4;
    if (op == TWI_OP_BATCH_NORM) {
        node.params[TWI_PARAM_MEAN] = weight(&t->b, 1, &channels, 0.0, 0.3);
        node.params[TWI_PARAM_VARIANCE] = weight(&t->b, 1, &channels, 1.0, 0.5);
    }
    return add_node(&t->b, node, 1, &from);
}

static uint32_t unary(trial *t, twi_node node, uint32_t from)
{
    return add_node(&t->b, node, 1, &from);
}

static uint32_t binary(trial *t, twi_node node, uint32_t a, uint32_t b)
{
    return add_node(&t->b, node, 2, (uint32_t[2]){a, b});
}

/* The first layer: a map [16, 8, 8]. */
static uint32_t stem(trial *t)
{
    return conv(t, 0, 3, 16, 1, square_window(3, 1, 1), true);
}

/* From a map of that many elements to 5 numbers. */
static void finish(trial *t, uint32_t from)
{
    twi_shape *shapes = test_malloc(t->b.network->n * sizeof *shapes);
    must(t->ctx, twi_network_shapes(t->ctx, t->b.network, t->opts.height, t->opts.width, shapes));
    const size_t count = twi_shape_elements(&shapes[from]);
    uint32_t x = from;
    if (shapes[from].rank != 1) x = unary(t, (twi_node){.op = TWI_OP_FLATTEN}, from);
    dense(t, x, count, 5);
    test_free(shapes);
}

typedef uint32_t middle_fn(trial *t, uint32_t from);

static void around(uint32_t seed, bool batch_statistics, middle_fn *middle)
{
    trial t;
    trial_start(&t, seed);
    t.opts.batch_statistics = batch_statistics;
    finish(&t, middle(&t, stem(&t)));
    check_all(&t);
    trial_end(&t);
}

/* ---- layers -------------------------------------------------------------------------------- */

static uint32_t strided(trial *t, uint32_t x)
{
    return conv(t, x, 16, 32, 1, square_window(3, 2, 1), false);
}

static uint32_t grouped(trial *t, uint32_t x)
{
    return conv(t, x, 16, 24, 4, square_window(3, 1, 1), true);
}

static uint32_t depthwise(trial *t, uint32_t x)
{
    x = conv(t, x, 16, 16, 16, square_window(3, 2, 1), false);
    return conv(t, x, 16, 20, 1, square_window(1, 1, 0), true);
}

static uint32_t lopsided(trial *t, uint32_t x)
{
    twi_window w = square_window(3, 2, 0);
    w.kernel[1] = 2, w.pad_begin[0] = 1, w.pad_end[1] = 1, w.dilation[0] = 2;
    return conv(t, x, 16, 7, 1, w, true);
}

static uint32_t two_dense(trial *t, uint32_t x)
{
    x = unary(t, (twi_node){.op = TWI_OP_GLOBAL_AVG_POOL}, x);
    return unary(t, (twi_node){.op = TWI_OP_TANH}, dense(t, x, 16, 12));
}

static void test_layers(void **state)
{
    (void)state;
    middle_fn *const all[] = {strided, grouped, depthwise, lopsided, two_dense};
    for (uint32_t i = 0; i < TWI_LEN(all); i++) around(100 + i, false, all[i]);
}

/* ---- pools --------------------------------------------------------------------------------- */

static uint32_t pooled(trial *t, uint32_t x, twi_op op, bool ceil_mode, bool count)
{
    twi_node node = {.op = op, .window = square_window(3, 2, 1)};
    node.window.ceil_mode = ceil_mode;
    node.window.count_include_pad = count;
    return unary(t, node, x);
}

static uint32_t maximum(trial *t, uint32_t x)
{
    return pooled(t, x, TWI_OP_MAX_POOL, true, false);
}

static uint32_t average(trial *t, uint32_t x)
{
    return pooled(t, x, TWI_OP_AVG_POOL, true, false);
}

static uint32_t average_padded(trial *t, uint32_t x)
{
    return pooled(t, x, TWI_OP_AVG_POOL, false, true);
}

static uint32_t average_both(trial *t, uint32_t x)
{
    return pooled(t, x, TWI_OP_AVG_POOL, true, true);
}

static uint32_t global_average(trial *t, uint32_t x)
{
    return unary(t, (twi_node){.op = TWI_OP_GLOBAL_AVG_POOL}, x);
}

static uint32_t global_maximum(trial *t, uint32_t x)
{
    return unary(t, (twi_node){.op = TWI_OP_GLOBAL_MAX_POOL}, x);
}

static uint32_t reduced(trial *t, uint32_t x)
{
    const uint32_t mean = unary(t, (twi_node){.op = TWI_OP_REDUCE_MEAN, .axes = {2, {1, 2}}}, x);
    const uint32_t most = unary(t, (twi_node){.op = TWI_OP_REDUCE_MAX, .axes = {1, {0}}}, x);
    return binary(t, (twi_node){.op = TWI_OP_MUL}, mean, most);
}

static void test_pools(void **state)
{
    (void)state;
    middle_fn *const all[] = {maximum,        average,        average_padded, average_both,
                              global_average, global_maximum, reduced};
    for (uint32_t i = 0; i < TWI_LEN(all); i++) around(200 + i, false, all[i]);
}

/* ---- norms --------------------------------------------------------------------------------- */

static uint32_t batch_norm(trial *t, uint32_t x)
{
    return norm(t, x, 16, TWI_OP_BATCH_NORM);
}

static uint32_t batch_norm_relu(trial *t, uint32_t x)
{
    return unary(t, (twi_node){.op = TWI_OP_RELU}, norm(t, x, 16, TWI_OP_BATCH_NORM));
}

static uint32_t batch_norm_of_vector(trial *t, uint32_t x)
{
    return norm(t, dense(t, global_average(t, x), 16, 9), 9, TWI_OP_BATCH_NORM);
}

static uint32_t layer_norm(trial *t, uint32_t x)
{
    return norm(t, x, 16, TWI_OP_LAYER_NORM);
}

static uint32_t token_norm(trial *t, uint32_t x)
{
    return norm(t, unary(t, (twi_node){.op = TWI_OP_TOKENS}, x), 16, TWI_OP_LAYER_NORM);
}

static uint32_t group_norm(trial *t, uint32_t x)
{
    return norm(t, x, 16, TWI_OP_GROUP_NORM);
}

static uint32_t response_norm(trial *t, uint32_t x)
{
    return unary(
        t, (twi_node){.op = TWI_OP_LRN, .span = 5, .alpha = 0.5, .beta = 0.75, .bias = 1.0}, x);
}

static uint32_t unit_length(trial *t, uint32_t x)
{
    return unary(t, (twi_node){.op = TWI_OP_L2_NORMALISE, .epsilon = 1e-6}, x);
}

static uint32_t softmax(trial *t, uint32_t x)
{
    x = unary(t, (twi_node){.op = TWI_OP_TOKENS}, x);
    return unary(t, (twi_node){.op = TWI_OP_SOFTMAX}, x);
}

static void test_norms(void **state)
{
    (void)state;
    middle_fn *const all[] = {batch_norm,    batch_norm_relu, batch_norm_of_vector,
                              layer_norm,    token_norm,      group_norm,
                              response_norm, unit_length,     softmax};
    for (uint32_t i = 0; i < TWI_LEN(all); i++) around(300 + i, false, all[i]);
    for (uint32_t i = 0; i < 3; i++) around(350 + i, true, all[i]);
}

/* Running statistics by hand: two pictures of one pixel whose channel has values a and b. */
static void test_running_statistics(void **state)
{
    (void)state;
    trial t;
    trial_start(&t, 5);
    t.opts.batch_statistics = true;
    t.opts.batch = 2, t.opts.height = 1, t.opts.width = 1, t.opts.momentum = 0.25;
    twi_node node = {.op = TWI_OP_BATCH_NORM, .epsilon = 1e-3};
    const size_t channels = 3;
    node.params[TWI_PARAM_SCALE] = weight(&t.b, 1, &channels, 1.0, 0.0);
    node.params[TWI_PARAM_SHIFT] = weight(&t.b, 1, &channels, 0.0, 0.0);
    node.params[TWI_PARAM_MEAN] = weight(&t.b, 1, &channels, 2.0, 0.0);
    node.params[TWI_PARAM_VARIANCE] = weight(&t.b, 1, &channels, 3.0, 0.0);
    unary(&t, node, 0);
    for (int reference = 0; reference < 2; reference++) {
        pass p = pass_new(&t, reference == 1, TW_PRECISION_F32);
        (void)loss(&t, &p);
        const float *mean = twi_trainer_parameter(p.trainer, TWI_PARAM_MEAN)->value;
        const float *variance = twi_trainer_parameter(p.trainer, TWI_PARAM_VARIANCE)->value;
        for (size_t c = 0; c < channels; c++) {
            const double a = (double)p.images[c], b = (double)p.images[channels + c];
            assert_true(fabs((double)mean[c] - (0.75 * 2.0 + 0.25 * (a + b) / 2.0)) < 1e-5);
            /* divided by n - 1, which is 1 */
            assert_true(fabs((double)variance[c] - (0.75 * 3.0 + 0.25 * (a - b) * (a - b) / 2.0)) <
                        1e-5);
        }
        pass_free(&p);
    }
    trial_end(&t);
}

/* ---- relu, clip ---------------------------------------------------------------------------- */

static uint32_t relu(trial *t, uint32_t x)
{
    return unary(t, (twi_node){.op = TWI_OP_RELU}, x);
}

/* x is read by two and by three layers: gradients come back in parts. */
static uint32_t parted(trial *t, uint32_t x)
{
    const uint32_t a = conv(t, x, 16, 16, 1, square_window(3, 1, 1), true);
    const uint32_t two = relu(t, binary(t, (twi_node){.op = TWI_OP_ADD}, a, x));
    const uint32_t b = conv(t, two, 16, 16, 1, square_window(1, 1, 0), true);
    const uint32_t c = conv(t, two, 16, 16, 1, square_window(3, 1, 1), true);
    const uint32_t three = binary(t, (twi_node){.op = TWI_OP_ADD}, b, c);
    return binary(t, (twi_node){.op = TWI_OP_ADD}, three, two);
}

static uint32_t behind_conv(trial *t, uint32_t x)
{
    return parted(t, relu(t, x));
}

static uint32_t behind_norm(trial *t, uint32_t x)
{
    return parted(t, relu(t, norm(t, x, 16, TWI_OP_BATCH_NORM)));
}

static uint32_t behind_sum(trial *t, uint32_t x)
{
    const uint32_t a = conv(t, x, 16, 16, 1, square_window(3, 1, 1), true);
    return parted(t, relu(t, binary(t, (twi_node){.op = TWI_OP_ADD}, x, a)));
}

/* The sum is read by more than its relu, which is of a sum of one value with itself. */
static uint32_t behind_read_sum(trial *t, uint32_t x)
{
    const uint32_t sum = binary(t, (twi_node){.op = TWI_OP_ADD}, x, x);
    return binary(t, (twi_node){.op = TWI_OP_ADD}, parted(t, relu(t, sum)), sum);
}

static uint32_t clip(trial *t, uint32_t x)
{
    return unary(t, (twi_node){.op = TWI_OP_CLIP, .low = -0.5, .high = 0.75}, x);
}

/* Behind what computes it along: convolutions, one of them of single channels, and a sum; and
 * behind what does not, a batch norm. */
static uint32_t clipped(trial *t, uint32_t x)
{
    x = clip(t, x);
    const uint32_t y = clip(t, conv(t, x, 16, 16, 16, square_window(3, 1, 1), true));
    x = clip(t, binary(t, (twi_node){.op = TWI_OP_ADD}, x, y));
    return parted(t, clip(t, norm(t, x, 16, TWI_OP_BATCH_NORM)));
}

/* 3 * 7 values, which fill no register. */
static uint32_t of_vectors(trial *t, uint32_t x)
{
    x = unary(t, (twi_node){.op = TWI_OP_GLOBAL_AVG_POOL}, x);
    const uint32_t a = dense(t, x, 16, 7), b = dense(t, x, 16, 7);
    const uint32_t sum = relu(t, binary(t, (twi_node){.op = TWI_OP_ADD}, a, b));
    return binary(t, (twi_node){.op = TWI_OP_ADD}, dense(t, sum, 7, 7), sum);
}

static void test_relus(void **state)
{
    (void)state;
    middle_fn *const all[] = {behind_conv, behind_norm, behind_sum, behind_read_sum, of_vectors};
    for (uint32_t i = 0; i < TWI_LEN(all); i++) around(450 + i, false, all[i]);
}

enum { MOST = 70 };

static void check_relu_back(twi_rng *rng, const twi_lanes *lanes, bool half, bool two, size_t n)
{
    float *in[3], got[MOST + 1];
    uint16_t narrow[3][MOST], out[MOST + 1];
    for (size_t k = 0; k < 3; k++) {
        in[k] = random_floats(rng, MOST);
        if (k == 0) in[0][n / 2] = NAN, in[0][n / 3] = 0.0f, in[0][n / 4] = -0.0f;
        twi_lanes_plain.narrow(in[k], true, MOST, narrow[k]);
        if (half) twi_lanes_plain.widen(narrow[k], true, MOST, in[k]);
    }
    got[n] = 7.0f, out[n] = twi_f32_to_bf16(7.0f);
    if (half)
        lanes->relu_back(narrow[0], narrow[1], two ? narrow[2] : NULL, true, n, out);
    else
        lanes->relu_back(in[0], in[1], two ? in[2] : NULL, false, n, got);
    if (half) twi_lanes_plain.widen(out, true, n + 1, got);
    assert_true(got[n] == 7.0f); /* nothing behind the end is written */
    for (size_t k = 0; k < n; k++) {
        const float sum = two ? in[1][k] + in[2][k] : in[1][k];
        const float want = in[0][k] > 0.0f ? sum : 0.0f;
        assert_true(got[k] == (half ? twi_bf16_to_f32(twi_f32_to_bf16(want)) : want));
    }
    for (size_t k = 0; k < 3; k++) test_free(in[k]);
}

/* Differences of the loss say nothing where values are this often at a corner. */
static void test_clips(void **state)
{
    (void)state;
    trial t;
    trial_start(&t, 460);
    finish(&t, clipped(&t, stem(&t)));
    check_onednn(&t, TW_PRECISION_F32, F32);
    if (twi_precision_native(TW_PRECISION_BF16)) check_onednn(&t, TW_PRECISION_BF16, 3 * BF16);
    trial_end(&t);
}

/* Each table against the definition, in every length; what is not a number lets nothing pass. */
static void test_relu_kernels(void **state)
{
    (void)state;
    const twi_lanes *tables[] = {&twi_lanes_plain, twi_lanes_here(), NULL};
    twi_rng rng;
    twi_rng_seed(&rng, 470);
    if (twi_device_isa() >= TWI_ISA_AVX2 && twi_lanes_avx2.relu_back) tables[2] = &twi_lanes_avx2;
    for (size_t i = 0; i < TWI_LEN(tables); i++)
        for (size_t n = 0; tables[i] && n <= MOST; n++)
            for (int kind = 0; kind < 4; kind++)
                check_relu_back(&rng, tables[i], kind & 1, kind & 2, n);
}

/* ---- functions of one value ---------------------------------------------------------------- */

static void test_activations(void **state)
{
    (void)state;
    static const twi_node all[] = {
        {.op = TWI_OP_RELU},
        {.op = TWI_OP_CLIP, .low = -0.4, .high = 0.5},
        {.op = TWI_OP_LEAKY_RELU, .alpha = 0.1},
        {.op = TWI_OP_ELU, .alpha = 0.7},
        {.op = TWI_OP_SIGMOID},
        {.op = TWI_OP_TANH},
        {.op = TWI_OP_HARD_SIGMOID, .alpha = 0.4, .beta = 0.5},
        {.op = TWI_OP_HARD_SWISH},
        {.op = TWI_OP_SILU},
        {.op = TWI_OP_GELU},
        {.op = TWI_OP_GELU_TANH},
        {.op = TWI_OP_MISH},
        {.op = TWI_OP_SOFTPLUS},
        {.op = TWI_OP_EXP},
        {.op = TWI_OP_ERF},
        {.op = TWI_OP_ABS},
        {.op = TWI_OP_NEG},
    };
    for (uint32_t i = 0; i < TWI_LEN(all); i++) {
        trial t;
        trial_start(&t, 400 + i);
        finish(&t, unary(&t, all[i], stem(&t)));
        check_all(&t);
        trial_end(&t);
    }
}

/* Of values that stay above 1. */
static void test_positive_functions(void **state)
{
    (void)state;
    static const twi_node all[] = {{.op = TWI_OP_LOG},
                                   {.op = TWI_OP_SQRT},
                                   {.op = TWI_OP_RECIPROCAL},
                                   {.op = TWI_OP_POW, .alpha = 1.7}};
    for (uint32_t i = 0; i < TWI_LEN(all); i++) {
        trial t;
        trial_start(&t, 450 + i);
        uint32_t x = unary(&t, (twi_node){.op = TWI_OP_SOFTPLUS}, stem(&t));
        twi_node one = {.op = TWI_OP_ADD_CONSTANT};
        one.params[TWI_PARAM_VALUE] = weight(&t.b, 1, (size_t[1]){1}, 1.0, 0.0);
        finish(&t, unary(&t, all[i], unary(&t, one, x)));
        check_all(&t);
        trial_end(&t);
    }
}

static uint32_t sloped(trial *t, uint32_t x)
{
    twi_node node = {.op = TWI_OP_PRELU};
    node.params[TWI_PARAM_SLOPE] = weight(&t->b, 1, (size_t[1]){16}, 0.3, 0.2);
    return unary(t, node, x);
}

static uint32_t sloped_alike(trial *t, uint32_t x)
{
    twi_node node = {.op = TWI_OP_PRELU};
    node.params[TWI_PARAM_SLOPE] = weight(&t->b, 1, (size_t[1]){1}, 0.3, 0.2);
    return unary(t, node, x);
}

/* ---- two values ---------------------------------------------------------------------------- */

/* A gate: a map times a vector of its own channels (squeeze and excitation). */
static uint32_t gated(trial *t, uint32_t x)
{
    uint32_t gate = global_average(t, x);
    gate = unary(t, (twi_node){.op = TWI_OP_SIGMOID}, dense(t, gate, 16, 16));
    return binary(t, (twi_node){.op = TWI_OP_MUL}, x, gate);
}

static uint32_t arithmetic(trial *t, uint32_t x)
{
    const uint32_t y = conv(t, x, 16, 16, 1, square_window(1, 1, 0), true);
    const uint32_t a = binary(t, (twi_node){.op = TWI_OP_SUB}, x, y);
    const uint32_t b = binary(t, (twi_node){.op = TWI_OP_MAX}, x, y);
    const uint32_t c = binary(t, (twi_node){.op = TWI_OP_MIN}, a, b);
    return binary(t, (twi_node){.op = TWI_OP_ADD_BROADCAST}, c, global_average(t, y));
}

static uint32_t quotient(trial *t, uint32_t x)
{
    twi_node two = {.op = TWI_OP_ADD_CONSTANT};
    two.params[TWI_PARAM_VALUE] = weight(&t->b, 1, (size_t[1]){16}, 2.0, 0.2);
    const uint32_t y = unary(t, two, unary(t, (twi_node){.op = TWI_OP_SIGMOID}, x));
    return binary(t, (twi_node){.op = TWI_OP_DIV}, x, y);
}

static uint32_t scaled(trial *t, uint32_t x)
{
    twi_node node = {.op = TWI_OP_MUL_CONSTANT};
    node.params[TWI_PARAM_VALUE] = weight(&t->b, 3, (size_t[3]){16, 1, 8}, 1.0, 0.5);
    return unary(t, node, x);
}

/* A value with three readers, one of which reads it twice. */
static uint32_t read_often(trial *t, uint32_t x)
{
    const uint32_t a = unary(t, (twi_node){.op = TWI_OP_RELU}, x);
    const uint32_t b = binary(t, (twi_node){.op = TWI_OP_ADD}, a, a);
    const uint32_t c = conv(t, a, 16, 16, 1, square_window(3, 1, 1), false);
    return binary(t, (twi_node){.op = TWI_OP_ADD}, binary(t, (twi_node){.op = TWI_OP_ADD}, b, c),
                  a);
}

static void test_arithmetic(void **state)
{
    (void)state;
    middle_fn *const all[] = {sloped,   sloped_alike, gated,     arithmetic,
                              quotient, scaled,       read_often};
    for (uint32_t i = 0; i < TWI_LEN(all); i++) around(500 + i, false, all[i]);
}

/* ---- moving values ------------------------------------------------------------------------- */

static uint32_t joined(trial *t, uint32_t x)
{
    const uint32_t y = conv(t, x, 16, 32, 1, square_window(1, 1, 0), true);
    return binary(t, (twi_node){.op = TWI_OP_CONCAT}, x, y);
}

static uint32_t joined_unevenly(trial *t, uint32_t x)
{
    const uint32_t y = conv(t, x, 16, 5, 1, square_window(1, 1, 0), true);
    return binary(t, (twi_node){.op = TWI_OP_CONCAT}, y, x);
}

static uint32_t padded(trial *t, uint32_t x)
{
    twi_node node = {.op = TWI_OP_PAD, .pad_mode = TWI_PAD_REFLECT};
    node.window.pad_begin[0] = 2, node.window.pad_end[1] = 1;
    x = unary(t, node, x);
    node.pad_mode = TWI_PAD_CONSTANT, node.value = 0.7;
    return unary(t, node, x);
}

static uint32_t resized(trial *t, uint32_t x)
{
    twi_node node = {.op = TWI_OP_RESIZE, .filter = TWI_RESAMPLE_BILINEAR, .size = {13, 5}};
    x = unary(t, node, x);
    node.filter = TWI_RESAMPLE_NEAREST, node.size[0] = 6, node.size[1] = 11;
    return unary(t, node, x);
}

static uint32_t shuffled(trial *t, uint32_t x)
{
    x = unary(t, (twi_node){.op = TWI_OP_CHANNEL_SHUFFLE, .groups = 4}, x);
    x = unary(t, (twi_node){.op = TWI_OP_DEPTH_TO_SPACE, .block = 2, .crd = true}, x);
    x = unary(t, (twi_node){.op = TWI_OP_ROLL, .shift = {3, -2}}, x);
    x = unary(t, (twi_node){.op = TWI_OP_SPACE_TO_DEPTH, .block = 4}, x);
    x = unary(t, (twi_node){.op = TWI_OP_SLICE, .axis = 0, .start = 3, .stop = 60, .step = 2}, x);
    return unary(t, (twi_node){.op = TWI_OP_TRANSPOSE, .axes = {3, {1, 2, 0}}}, x);
}

static uint32_t reshaped(trial *t, uint32_t x)
{
    x = unary(t, (twi_node){.op = TWI_OP_RESHAPE, .target = {2, {32, 0}}}, x);
    return unary(t, (twi_node){.op = TWI_OP_SLICE, .axis = 1, .start = 1, .stop = 30, .step = 1},
                 x);
}

static uint32_t flattened(trial *t, uint32_t x)
{
    return dense(t, unary(t, (twi_node){.op = TWI_OP_FLATTEN, .nhwc = true}, x), 1024, 6);
}

static void test_moves(void **state)
{
    (void)state;
    middle_fn *const all[] = {joined,   joined_unevenly, padded,   resized,
                              shuffled, reshaped,        flattened};
    for (uint32_t i = 0; i < TWI_LEN(all); i++) around(600 + i, false, all[i]);
}

/* ---- transformers -------------------------------------------------------------------------- */

static uint32_t token_dense(trial *t, uint32_t x, size_t in, size_t out)
{
    return dense(t, x, in, out);
}

/* A transformer's block on windows, with a bias and a mask, and a class token at the end. */
static uint32_t transformer(trial *t, uint32_t x)
{
    uint32_t w = unary(t, (twi_node){.op = TWI_OP_WINDOW_PARTITION, .size = {4, 4}}, x), y, q[3];
    y = norm(t, w, 16, TWI_OP_LAYER_NORM);
    q[0] = token_dense(t, y, 16, 16);
    q[1] = token_dense(t, y, 16, 8); /* two queries' heads share a key's */
    q[2] = token_dense(t, y, 16, 8);
    twi_node node = {.op = TWI_OP_ATTENTION, .heads = 4, .scale = 0.5, .tokens = 16};
    node.params[TWI_PARAM_ATTENTION_BIAS] = weight(&t->b, 3, (size_t[3]){4, 16, 16}, 0.0, 0.5);
    node.params[TWI_PARAM_ATTENTION_MASK] = weight(&t->b, 3, (size_t[3]){4, 16, 16}, 0.0, 0.5);
    y = add_node(&t->b, node, 3, q);
    w = binary(t, (twi_node){.op = TWI_OP_ADD}, token_dense(t, y, 16, 16), w);
    x = unary(t, (twi_node){.op = TWI_OP_WINDOW_REVERSE, .size = {4, 4}, .target = {3, {16, 8, 8}}},
              w);
    x = unary(t, (twi_node){.op = TWI_OP_TOKENS}, x);
    twi_node token = {.op = TWI_OP_PREPEND_TOKEN};
    token.params[TWI_PARAM_TOKEN] = weight(&t->b, 2, (size_t[2]){1, 16}, 0.0, 1.0);
    x = unary(t, token, x);
    for (int i = 0; i < 3; i++) q[i] = token_dense(t, x, 16, 16);
    x = add_node(&t->b, (twi_node){.op = TWI_OP_ATTENTION, .heads = 2, .scale = 0.35}, 3, q);
    return unary(t, (twi_node){.op = TWI_OP_TAKE_TOKEN, .index = 0}, x);
}

static uint32_t products(trial *t, uint32_t x)
{
    const uint32_t y = conv(t, x, 16, 16, 1, square_window(1, 1, 0), true);
    twi_node node = {.op = TWI_OP_MATMUL, .transpose_b = true, .scale = 0.4};
    x = binary(t, node, x, y);
    x = unary(t, (twi_node){.op = TWI_OP_TOKENS}, x);
    node.transpose_a = true, node.transpose_b = false;
    x = binary(t, node, x, x);
    x = unary(t, (twi_node){.op = TWI_OP_RESHAPE, .target = {2, {64, 4}}}, x);
    return unary(t, (twi_node){.op = TWI_OP_MAP, .size = {8, 8}}, x);
}

static void test_transformers(void **state)
{
    (void)state;
    around(700, false, transformer);
    around(701, false, products);
}

/* ---- what is trained ----------------------------------------------------------------------- */

/* A residual network, all of it or its end: what is not trained has no gradient, and what is has
 * the same. */
static uint32_t residual(trial *t, uint32_t from)
{
    uint32_t x = conv(t, from, 16, 16, 1, square_window(3, 1, 1), false);
    x = unary(t, (twi_node){.op = TWI_OP_RELU}, norm(t, x, 16, TWI_OP_BATCH_NORM));
    x = norm(t, conv(t, x, 16, 16, 1, square_window(3, 1, 1), false), 16, TWI_OP_BATCH_NORM);
    x = binary(t, (twi_node){.op = TWI_OP_ADD}, x, from);
    return unary(t, (twi_node){.op = TWI_OP_RELU}, x);
}

static void test_frozen(void **state)
{
    (void)state;
    trial t;
    bool trained[64] = {false};
    trial_start(&t, 800);
    uint32_t x = residual(&t, stem(&t));
    const size_t frozen = t.b.network->n;
    finish(&t, residual(&t, x));
    pass whole = pass_new(&t, false, TW_PRECISION_F32);
    for (size_t i = frozen; i < t.b.network->n; i++) trained[i] = true;
    t.opts.trained = trained;
    pass end = pass_new(&t, false, TW_PRECISION_F32);
    gradients(&t, &whole);
    gradients(&t, &end);
    size_t compared = 0;
    for (size_t i = 0; i < twi_trainer_parameter_count(end.trainer); i++) {
        const twi_parameter *p = twi_trainer_parameter(end.trainer, i);
        const twi_parameter *q = twi_trainer_parameter(whole.trainer, i);
        assert_true((p->gradient != NULL) == (q->gradient != NULL && p->node >= frozen));
        for (size_t k = 0; p->gradient && k < p->count; k++)
            assert_float_equal(p->gradient[k], q->gradient[k], 1e-6);
        compared += p->gradient != NULL;
    }
    assert_true(compared > 0);
    assert_true(twi_trainer_bytes(end.trainer) < twi_trainer_bytes(whole.trainer));
    pass_free(&whole);
    pass_free(&end);
    trial_end(&t);
}

/* Enough channels and tiles that our own convolution takes them, on maps that a tile does not
 * divide, padded in every way; the first of them has no gradient of its source. With a relu it
 * computes that along, but not a clip. */
static void test_winograd(void **state)
{
    (void)state;
    enum { TRAINED, FROZEN, JOINED, KINDS };
    for (int kind = 0; kind < KINDS; kind++) {
        trial t;
        trial_start(&t, 805);
        t.opts.batch = 5;
        t.opts.batch_statistics = true;
        uint32_t x = conv(&t, 0, 3, 32, 1, square_window(3, 1, 1), true);
        x = norm(&t, conv(&t, x, 32, 48, 1, square_window(3, 1, 1), false), 48, TWI_OP_BATCH_NORM);
        const uint32_t y = conv(&t, x, 48, 80, 1, square_window(3, 1, 2), true);
        x = conv(&t, y, 80, 32, 1, square_window(3, 1, 0), true);
        if (kind == JOINED) {
            x = conv(&t, relu(&t, x), 32, 32, 1, square_window(3, 1, 1), true);
            x = clip(&t, x);
        }
        finish(&t, unary(&t, (twi_node){.op = TWI_OP_GLOBAL_AVG_POOL}, x));
        bool *trained = test_calloc(t.b.network->n, sizeof *trained);
        for (size_t i = 0; i < t.b.network->n; i++) trained[i] = kind != FROZEN || i > y;
        t.opts.trained = trained;
        check_onednn(&t, TW_PRECISION_F32, F32);
        /* Of values that bfloat16 moves across a corner gradients are far apart. */
        if (kind != JOINED && twi_precision_native(TW_PRECISION_BF16))
            check_onednn(&t, TW_PRECISION_BF16, BF16);
        test_free(trained);
        trial_end(&t);
    }
}

static void test_whole_networks(void **state)
{
    (void)state;
    for (int own = 0; own < 2; own++) {
        trial t;
        trial_start(&t, 810);
        t.opts.batch_statistics = own;
        finish(&t, residual(&t, residual(&t, stem(&t))));
        check_onednn(&t, TW_PRECISION_F32, 3 * F32);
        check_differences(&t, 1e-4, 5e-2);
        trial_end(&t);
    }
}

/* One thread or more: the reference's bits are the same. */
static void test_threads(void **state)
{
    (void)state;
    trial t;
    trial_start(&t, 820);
    finish(&t, transformer(&t, residual(&t, stem(&t))));
    t.opts.threads = 1;
    pass a = pass_new(&t, true, TW_PRECISION_F32);
    t.opts.threads = 3;
    pass b = pass_new(&t, true, TW_PRECISION_F32);
    gradients(&t, &a);
    gradients(&t, &b);
    assert_memory_equal(a.out, b.out, a.count * sizeof *a.out);
    for (size_t i = 0; i < twi_trainer_parameter_count(a.trainer); i++) {
        const twi_parameter *p = twi_trainer_parameter(a.trainer, i);
        const twi_parameter *q = twi_trainer_parameter(b.trainer, i);
        if (p->gradient)
            assert_memory_equal(p->gradient, q->gradient, p->count * sizeof *p->gradient);
    }
    pass_free(&a);
    pass_free(&b);
    trial_end(&t);
}

/* ---- refusals ------------------------------------------------------------------------------ */

static void refuse(trial *t, const twi_trainer_opts *opts, tw_status status, const char *words)
{
    twi_trainer *trainer = NULL;
    assert_int_equal(twi_trainer_new(t->ctx, t->b.network, opts, &trainer), status);
    assert_null(trainer);
    if (!strstr(tw_last_error(t->ctx), words)) print_error("%s\n", tw_last_error(t->ctx));
    assert_non_null(strstr(tw_last_error(t->ctx), words));
}

static void test_refusals(void **state)
{
    (void)state;
    trial t;
    trial_start(&t, 900);
    finish(&t, stem(&t));
    twi_trainer_opts opts = t.opts;
    opts.batch = 0;
    refuse(&t, &opts, TW_ERR_ARG, "batch 0");
    opts = t.opts, opts.precision = TW_PRECISION_AUTO;
    refuse(&t, &opts, TW_ERR_ARG, "precision auto");
    opts = t.opts, opts.precision = TW_PRECISION_BF16, opts.reference = true;
    refuse(&t, &opts, TW_ERR_ARG, "f32 only");
    opts = t.opts, opts.momentum = 1.5;
    refuse(&t, &opts, TW_ERR_ARG, "0..1");
    const bool none[64] = {false};
    opts = t.opts, opts.trained = none;
    refuse(&t, &opts, TW_ERR_ARG, "nothing that leads to the output");
    pass p = pass_new(&t, false, TW_PRECISION_F32);
    assert_int_equal(twi_trainer_backward(t.ctx, p.trainer, p.direction), TW_ERR_ARG);
    gradients(&t, &p);
    assert_int_equal(twi_trainer_backward(t.ctx, p.trainer, p.direction), TW_ERR_ARG);
    pass_free(&p);
    trial_end(&t);
}

static void test_shared_weights_and_lonely_values(void **state)
{
    (void)state;
    trial t;
    trial_start(&t, 901);
    uint32_t x = stem(&t);
    x = conv(&t, x, 16, 16, 1, square_window(3, 1, 1), false);
    twi_node again = t.b.network->nodes[x];
    finish(&t, unary(&t, again, x));
    refuse(&t, &t.opts, TW_ERR_UNSUPPORTED, "share");
    trial_end(&t);
    trial_start(&t, 902);
    finish(&t, norm(&t, dense(&t, global_average(&t, stem(&t)), 16, 9), 9, TWI_OP_BATCH_NORM));
    t.opts.batch = 1, t.opts.batch_statistics = true;
    refuse(&t, &t.opts, TW_ERR_ARG, "no variance");
    trial_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_running_statistics),
        cmocka_unit_test(test_relus),
        cmocka_unit_test(test_clips),
        cmocka_unit_test(test_relu_kernels),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_positive_functions),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_transformers),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_winograd),
        cmocka_unit_test(test_whole_networks),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_shared_weights_and_lonely_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
