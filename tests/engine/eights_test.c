/* eights_test.c - layers in 8 bits: against the same integers in plain C, and the ranges they are
 * quantised with. */
#include "networks.h"

static double rounded(double x, double least, double most)
{
    const double whole = nearbyint(x);
    return whole < least ? least : whole > most ? most : whole;
}

/* ---- one convolution ----------------------------------------------------------------------- */

enum { SIDE = 9, BATCH = 2 };

/* src [c, SIDE, SIDE] as integers, weights as integers: the result by definition. */
static double conv_at(const twi_node *node, const double *src, const double *weights, size_t in,
                      size_t o, size_t y, size_t x)
{
    const size_t each = in / node->groups;
    const size_t outs = node->params[TWI_PARAM_WEIGHT]->dims[0] / node->groups;
    const twi_window *w = &node->window;
    double sum = 0;
    for (size_t c = 0; c < each; c++)
        for (size_t i = 0; i < w->kernel[0]; i++)
            for (size_t j = 0; j < w->kernel[1]; j++) {
                const ptrdiff_t row =
                    (ptrdiff_t)(y * w->stride[0] + i) - (ptrdiff_t)w->pad_begin[0];
                const ptrdiff_t column =
                    (ptrdiff_t)(x * w->stride[1] + j) - (ptrdiff_t)w->pad_begin[1];
                if (row < 0 || row >= SIDE || column < 0 || column >= SIDE) continue;
                const size_t channel = o / outs * each + c;
                sum += src[(channel * SIDE + (size_t)row) * SIDE + (size_t)column] *
                       weights[((o * each + c) * w->kernel[0] + i) * w->kernel[1] + j];
            }
    return sum;
}

/* What the engine should make of picture [SIDE, SIDE, in] with one convolution, flattened NHWC. */
static void expect(tw_ctx *ctx, const twi_network *network, const float *picture, size_t in,
                   const twi_shape *out, double *result)
{
    const twi_node *node = &network->nodes[1];
    const twi_tensor *w = node->params[TWI_PARAM_WEIGHT], *b = node->params[TWI_PARAM_BIAS];
    const double *range = network->nodes[0].observed;
    const bool is_signed = range[0] < 0;
    const double most = fmax(-range[0], range[1]);
    const double scale = (double)(float)(most / (is_signed ? 127 : 255));
    const size_t each = w->count / w->dims[0];
    double *src = test_malloc(in * SIDE * SIDE * sizeof *src);
    double *weights = test_malloc(w->count * sizeof *weights);
    double *scales = test_malloc(w->dims[0] * sizeof *scales);
    float *floats = test_malloc(w->count * sizeof *floats);
    must(ctx, twi_tensor_floats(ctx, w, floats));
    for (size_t p = 0; p < SIDE * SIDE; p++)
        for (size_t c = 0; c < in; c++)
            src[c * SIDE * SIDE + p] = rounded((double)picture[p * in + c] / scale,
                                               is_signed ? -128 : 0, is_signed ? 127 : 255);
    for (size_t o = 0; o < w->dims[0]; o++) {
        double largest = 0;
        for (size_t i = 0; i < each; i++)
            largest = fmax(largest, fabs((double)floats[o * each + i]));
        scales[o] = largest / 127;
        for (size_t i = 0; i < each; i++)
            weights[o * each + i] = rounded((double)floats[o * each + i] / scales[o], -127, 127);
    }
    for (size_t y = 0; y < out->dims[1]; y++)
        for (size_t x = 0; x < out->dims[2]; x++)
            for (size_t o = 0; o < out->dims[0]; o++) {
                const double sum = conv_at(node, src, weights, in, o, y, x);
                const double value = sum * scale * scales[o] + (double)((const float *)b->data)[o];
                result[(y * out->dims[2] + x) * out->dims[0] + o] = fmax(value, 0);
            }
    test_free(src), test_free(weights), test_free(scales), test_free(floats);
}

static void check_conv(uint32_t seed)
{
    tw_ctx *ctx;
    twi_rng rng;
    twi_network *fused;
    twi_shape shapes[8];
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    twi_rng_seed(&rng, seed);
    const bool depthwise = between(&rng, 0, 2) == 0;
    const size_t in = depthwise ? 16 * between(&rng, 1, 3) : between(&rng, 1, 40);
    const size_t out = depthwise ? in : between(&rng, 1, 40);
    const size_t kernel = 1 + 2 * between(&rng, 0, 2), stride = between(&rng, 1, 2);
    builder b = builder_new(ctx, &rng, in);
    reserve_weights(&b, 4);
    const uint32_t conv =
        add_conv(&b, 0, (size_t[4]){out, depthwise ? 1 : in, kernel, kernel}, depthwise ? in : 1,
                 square_window(kernel, stride, kernel / 2), true);
    add_node(&b, (twi_node){.op = TWI_OP_RELU}, 1, &conv);
    must(ctx, twi_network_for_inference(ctx, b.network, TWI_OUTPUT_FLAT, true, &fused));
    must(ctx, twi_network_shapes(ctx, fused, SIDE, SIDE, shapes));
    /* brief: by definition, not in Winograd's domain */
    twi_engine_opts opts = {.precision = TW_PRECISION_INT8,
                            .batch = BATCH,
                            .height = SIDE,
                            .width = SIDE,
                            .threads = 1,
                            .brief = true};
    if (calibrate(ctx, fused, &opts, BATCH, seed)) {
        twi_rng pictures;
        const size_t count = BATCH * SIDE * SIDE * in, d = twi_shape_elements(&shapes[1]);
        twi_rng_seed(&pictures, seed);
        float *picture = random_floats(&pictures, count); /* what compute() draws */
        double *want = test_malloc(d * sizeof *want);
        const outcome got = compute(ctx, fused, &opts, BATCH, seed);
        for (size_t n = 0; n < BATCH; n++) {
            expect(ctx, fused, picture + n * SIDE * SIDE * in, in, &shapes[1], want);
            for (size_t i = 0; i < d; i++) { /* written as bfloat16 where the machine has it */
                const double is = (double)got.values[n * d + i];
                assert_true(fabs(is - want[i]) <= 0x1p-8 * fabs(want[i]) + 1e-4);
            }
        }
        test_free(got.values), test_free(want), test_free(picture);
    }
    twi_network_free(fused);
    twi_network_free(b.network);
    tw_ctx_free(ctx);
}

static void test_conv_by_definition(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 60; seed++) check_conv(seed);
}

/* ---- layouts ------------------------------------------------------------------------------- */

/* A map that is read in 8 bits as a map and then, the same bytes under another layout, as tokens.
 */
static void test_map_and_tokens(void **state)
{
    enum { CHANNELS = 32 };
    tw_ctx *ctx;
    twi_rng rng;
    twi_network *fused;
    const twi_engine_opts opts = {.precision = TW_PRECISION_INT8,
                                  .batch = BATCH,
                                  .height = SIDE,
                                  .width = SIDE,
                                  .threads = 1};
    (void)state;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    twi_rng_seed(&rng, 5);
    builder b = builder_new(ctx, &rng, 3);
    reserve_weights(&b, 8);
    const uint32_t first =
        add_conv(&b, 0, (size_t[4]){CHANNELS, 3, 3, 3}, 1, square_window(3, 1, 1), true);
    /* not fused, being read twice: floating point, so that each reader in 8 bits converts it */
    const uint32_t map = add_node(&b, (twi_node){.op = TWI_OP_SOFTPLUS}, 1, &first);
    const uint32_t also = add_node(&b, (twi_node){.op = TWI_OP_SIGMOID}, 1, &first);
    const uint32_t sum = add_node(&b, (twi_node){.op = TWI_OP_MUL}, 2, (uint32_t[2]){map, also});
    const uint32_t tokens = add_node(&b, (twi_node){.op = TWI_OP_TOKENS}, 1, &sum);
    twi_node dense = {.op = TWI_OP_DENSE};
    dense.params[TWI_PARAM_WEIGHT] =
        weight(&b, 2, (size_t[2]){CHANNELS, CHANNELS}, 0.0, sqrt(3.0 / CHANNELS));
    const uint32_t right = add_node(&b, dense, 1, &tokens);
    const uint32_t again =
        add_node(&b, (twi_node){.op = TWI_OP_MAP, .size = {SIDE, SIDE}}, 1, &tokens);
    const uint32_t conv =
        add_conv(&b, again, (size_t[4]){CHANNELS, CHANNELS, 1, 1}, 1, square_window(1, 1, 0), true);
    const uint32_t left = add_node(&b, (twi_node){.op = TWI_OP_TOKENS}, 1, &conv);
    add_node(&b, (twi_node){.op = TWI_OP_MUL}, 2, (uint32_t[2]){left, right});
    must(ctx, twi_network_for_inference(ctx, b.network, TWI_OUTPUT_FLAT, true, &fused));
    if (calibrate(ctx, fused, &opts, BATCH, 5)) {
        twi_engine_opts exact = opts;
        exact.precision = TW_PRECISION_F32;
        const outcome got = compute(ctx, fused, &opts, BATCH, 5);
        const outcome want = compute(ctx, fused, &exact, BATCH, 5);
        assert_true(distance(&got, &want) < 5e-2);
        test_free(got.values), test_free(want.values);
    }
    twi_network_free(fused);
    twi_network_free(b.network);
    tw_ctx_free(ctx);
}

/* ---- ranges -------------------------------------------------------------------------------- */

/* Watches pictures through a network that is one ReLU; the range of its value. */
static void range_of(const float *pictures, double range[2], double of_input[2])
{
    tw_ctx *ctx;
    twi_rng rng = {0};
    twi_program *program;
    twi_workspace *workspace;
    twi_network *fused;
    double observed[4][2] = {{0}};
    float out[64 * 64];
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    builder b = builder_new(ctx, &rng, 1);
    const uint32_t input = 0;
    add_node(&b, (twi_node){.op = TWI_OP_RELU}, 1, &input);
    must(ctx, twi_network_for_inference(ctx, b.network, TWI_OUTPUT_FLAT, true, &fused));
    const twi_engine_opts opts = {.precision = TW_PRECISION_F32,
                                  .batch = 1,
                                  .height = 64,
                                  .width = 64,
                                  .threads = 1,
                                  .watch = true};
    must(ctx, twi_program_new(ctx, fused, &opts, NULL, &program));
    must(ctx, twi_workspace_new(ctx, program, &workspace));
    must(ctx, twi_program_run(ctx, program, workspace, pictures, 1, out));
    must(ctx, twi_workspace_observed(ctx, workspace, observed));
    memcpy(of_input, observed[0], sizeof observed[0]);
    memcpy(range, observed[1], sizeof observed[1]);
    twi_workspace_free(workspace);
    twi_program_free(program);
    twi_network_free(fused);
    twi_network_free(b.network);
    tw_ctx_free(ctx);
}

/* Of values [n] in 255 steps from 0 to end. */
static double squared_error(const float *values, size_t n, double end)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double off =
            rounded((double)values[i] / end * 255, 0, 255) / 255 * end - (double)values[i];
        sum += off * off;
    }
    return sum;
}

static void test_ranges(void **state)
{
    twi_rng rng;
    double range[2], of_input[2];
    (void)state;
    twi_rng_seed(&rng, 3);
    float *pictures = random_floats(&rng, 64 * 64);
    range_of(pictures, range, of_input);
    /* Evenly spread values want the whole range. */
    assert_true(range[0] == 0 && range[1] > 0.99 && range[1] <= 1);
    assert_true(of_input[0] < -0.99 && of_input[0] >= -1 && of_input[1] > 0.99 && of_input[1] <= 1);
    /* Of those with a long tail the range is about the best of all that end anywhere. */
    for (int power = 1; power <= 4; power++) {
        float most = 0;
        for (size_t i = 0; i < 64 * 64; i++) {
            pictures[i] = (float)pow(-log(1.0 - twi_rng_double(&rng)), power);
            most = fmaxf(most, pictures[i]);
        }
        range_of(pictures, range, of_input);
        double best = INFINITY;
        for (double end = (double)most; end > (double)most / 50; end *= 0.99)
            best = fmin(best, squared_error(pictures, 64 * 64, end));
        assert_true(range[0] == 0 && range[1] <= (double)most);
        assert_true(squared_error(pictures, 64 * 64, range[1]) <= 1.1 * best);
    }
    /* Nothing at all: no range. */
    memset(pictures, 0, 64 * 64 * sizeof *pictures);
    range_of(pictures, range, of_input);
    assert_true(range[0] == 0 && range[1] == 0);
    test_free(pictures);
}

static void test_infinite_values(void **state)
{
    tw_ctx *ctx;
    twi_rng rng = {0};
    twi_program *program;
    twi_workspace *workspace;
    twi_network *fused;
    double observed[4][2];
    float pictures[16] = {INFINITY}, out[16];
    (void)state;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    builder b = builder_new(ctx, &rng, 1);
    const uint32_t input = 0;
    add_node(&b, (twi_node){.op = TWI_OP_RELU}, 1, &input);
    must(ctx, twi_network_for_inference(ctx, b.network, TWI_OUTPUT_FLAT, true, &fused));
    twi_engine_opts opts = {.precision = TW_PRECISION_F32,
                            .batch = 1,
                            .height = 4,
                            .width = 4,
                            .threads = 1,
                            .watch = true};
    must(ctx, twi_program_new(ctx, fused, &opts, NULL, &program));
    must(ctx, twi_workspace_new(ctx, program, &workspace));
    must(ctx, twi_program_run(ctx, program, workspace, pictures, 1, out));
    assert_int_equal(twi_workspace_observed(ctx, workspace, observed), TW_ERR_DATA);
    twi_workspace_free(workspace);
    twi_program_free(program);
    opts.precision = TW_PRECISION_BF16; /* ranges are those of exact values */
    assert_int_equal(twi_program_new(ctx, fused, &opts, NULL, &program), TW_ERR_ARG);
    twi_network_free(fused);
    twi_network_free(b.network);
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_by_definition),
        cmocka_unit_test(test_map_and_tokens),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_infinite_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
