/* inference_test.c - cutting, folding and fusing: the compiled graph computes what the graph as it
 * came does. */
#include "graphs.h"
#include "naive.h"

static tw_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static double pixel(size_t i)
{
    return (double)(i * 7919 % 101) / 50.0 - 1.0;
}

static size_t count_op(const twi_network *network, twi_op op)
{
    size_t n = 0;
    for (size_t i = 0; i < network->n; i++) n += network->nodes[i].op == op;
    return n;
}

static twi_network *compiled(const twi_network *network, twi_output output, bool fuse)
{
    twi_network *out;
    const tw_status st = twi_network_for_inference(ctx, network, output, fuse, &out);
    if (st != TW_OK) print_message("%s\n", tw_last_error(ctx));
    assert_int_equal(st, TW_OK);
    return out;
}

/* Folded weights are rounded to float once: agreement to 1e-5 of the largest value. */
static void same_values(const twi_network *a, const twi_network *b)
{
    size_t n, m;
    double *x = naive_run(ctx, a, 6, pixel, &n), *y = naive_run(ctx, b, 6, pixel, &m);
    double most = 1e-6, worst = 0;
    assert_non_null(x);
    assert_non_null(y);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs(x[i]));
        worst = fmax(worst, fabs(x[i] - y[i]));
    }
    if (!(worst <= 1e-5 * most)) fail_msg("values differ by %g, the largest is %g", worst, most);
    free(x);
    free(y);
}

static void random_graphs_keep_their_values(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 400; seed++) {
        twi_network *network = random_graph(ctx, seed, 3 + seed % 14);
        for (int output = TWI_OUTPUT_AVG; output <= TWI_OUTPUT_PROBABILITIES; output++) {
            twi_network *cut = compiled(network, (twi_output)output, false);
            twi_network *fused = compiled(network, (twi_output)output, true);
            same_values(cut, fused);
            assert_int_equal(count_op(fused, TWI_OP_BATCH_NORM), 0);
            assert_true(fused->n <= cut->n);
            twi_network_free(cut);
            twi_network_free(fused);
        }
        twi_network_free(network);
    }
}

/* ResNet's basic block: conv-norm-relu-conv-norm, a 1 x 1 convolution as shortcut, sum, relu. */
static twi_network *basic_block(void)
{
    sketch s = sketch_new(ctx, 3, 5);
    const uint32_t stem = sketch_plain(&s, TWI_OP_RELU, sketch_conv(&s, 0, 3, 4, 3, 1, true));
    uint32_t main = sketch_conv(&s, stem, 4, 8, 3, 1, false);
    main = sketch_plain(&s, TWI_OP_RELU, sketch_norm(&s, main, 8, true));
    main = sketch_norm(&s, sketch_conv(&s, main, 8, 8, 3, 1, false), 8, true);
    const uint32_t shortcut = sketch_norm(&s, sketch_conv(&s, stem, 4, 8, 1, 1, false), 8, true);
    const uint32_t sum = sketch_join(&s, TWI_OP_ADD, main, shortcut);
    s.network->feature = sketch_plain(&s, TWI_OP_RELU, sum);
    sketch_plain(&s, TWI_OP_RELU, stem); /* leads nowhere */
    return s.network;
}

static void a_residual_block_is_four_convolutions(void **state)
{
    (void)state;
    twi_network *network = basic_block();
    for (size_t i = 0; i < network->n; i++)
        network->nodes[i].observed[0] = -(double)i, network->nodes[i].observed[1] = 1;
    twi_network *fused = compiled(network, TWI_OUTPUT_AVG, true);
    assert_int_equal(fused->n, 6); /* input, 4 convolutions, pooling */
    assert_int_equal(count_op(fused, TWI_OP_CONV), 4);
    assert_int_equal(fused->nodes[5].op, TWI_OP_GLOBAL_AVG_POOL);
    for (size_t i = 0; i < fused->n; i++) { /* what was fused is known by the value it makes */
        const uint32_t origin = fused->nodes[i].origin;
        assert_true(origin == TWI_NO_NODE ? i == 5 : origin < network->n);
        const double *seen = fused->nodes[i].observed;
        assert_true(i == 5 || (seen[0] == -(double)origin && seen[1] == 1));
    }
    const twi_node *last = &fused->nodes[4]; /* the shortcut came last: it takes the sum */
    assert_int_equal(last->origin, network->feature);
    assert_true(last->fused.op == TWI_OP_RELU);
    assert_int_equal(last->fused_add, 3);
    assert_false(fused->nodes[3].fused.op == TWI_OP_RELU);
    assert_int_equal(fused->feature, 5);
    twi_network *cut = compiled(network, TWI_OUTPUT_AVG, false);
    same_values(cut, fused);
    twi_network_free(cut);
    twi_network_free(fused);
    twi_network_free(network);
}

static void a_shared_convolution_is_left_alone(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 9);
    const uint32_t conv = sketch_conv(&s, 0, 3, 4, 3, 1, true);
    const uint32_t norm = sketch_norm(&s, conv, 4, true),
                   relu = sketch_plain(&s, TWI_OP_RELU, conv);
    s.network->feature = sketch_join(&s, TWI_OP_ADD, norm, relu);
    twi_network *fused = compiled(s.network, TWI_OUTPUT_MAX, true);
    /* The norm becomes a depthwise convolution of its own, which takes the sum; the relu stays. */
    assert_int_equal(fused->n, 5);
    assert_int_equal(count_op(fused, TWI_OP_RELU), 1);
    assert_int_equal(fused->nodes[3].op, TWI_OP_CONV);
    assert_int_equal(fused->nodes[3].groups, 4);
    assert_int_equal(fused->nodes[3].fused_add, 2);
    assert_false(fused->nodes[1].fused.op == TWI_OP_RELU);
    twi_network *cut = compiled(s.network, TWI_OUTPUT_MAX, false);
    same_values(cut, fused);
    twi_network_free(cut);
    twi_network_free(fused);
    twi_network_free(s.network);
}

static void folding_is_exact_to_the_last_float(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 4, 11);
    const uint32_t conv = sketch_conv(&s, 0, 4, 6, 3, 2, true),
                   norm = sketch_norm(&s, conv, 6, true);
    s.network->feature = norm;
    twi_network *fused = compiled(s.network, TWI_OUTPUT_FLAT, true);
    const twi_node *was = &s.network->nodes[conv], *is = &fused->nodes[1];
    const twi_node *bn = &s.network->nodes[norm];
    double *w = naive_param(was->params[0], 0, 0), *p[4];
    for (int i = 0; i < 4; i++) p[i] = naive_param(bn->params[i], 0, 0);
    assert_int_equal(is->params[0]->dtype, TWI_F32);
    assert_string_equal(is->name, was->name);
    for (size_t i = 0; i < is->params[0]->count; i++) {
        const size_t c = i / 18;
        const float expected = (float)(w[i] * (p[0][c] / sqrt(p[3][c] + bn->epsilon)));
        assert_true(((const float *)is->params[0]->data)[i] == expected);
    }
    for (int i = 0; i < 4; i++) free(p[i]);
    free(w);
    twi_network_free(fused);
    twi_network_free(s.network);
}

/* MobileNet's and a transformer's endings: every activation and layer scale goes into the layer. */
static void activations_and_scales_go_into_layers(void **state)
{
    (void)state;
    static const twi_op ops[] = {TWI_OP_CLIP, TWI_OP_HARD_SWISH, TWI_OP_SILU,
                                 TWI_OP_GELU, TWI_OP_LEAKY_RELU, TWI_OP_SIGMOID};
    for (size_t i = 0; i < TWI_LEN(ops); i++) {
        sketch s = sketch_new(ctx, 3, 21);
        const size_t channels = 4, weight[] = {4, 4};
        uint32_t last = sketch_norm(&s, sketch_conv(&s, 0, 3, 4, 3, 1, false), 4, true);
        const twi_node f = {.op = ops[i], .alpha = 0.1, .low = 0, .high = 6};
        last = sketch_node(&s, f, &last, 1);
        last = sketch_plain(&s, TWI_OP_TOKENS, last);
        twi_node dense = {.op = TWI_OP_DENSE}, scale = {.op = TWI_OP_MUL_CONSTANT};
        dense.params[TWI_PARAM_WEIGHT] = sketch_tensor(&s, 2, weight, -1, 1);
        scale.params[TWI_PARAM_VALUE] = sketch_tensor(&s, 1, &channels, -1, 1);
        uint32_t branch = sketch_node(&s, dense, &last, 1);
        branch = sketch_node(&s, scale, &branch, 1);
        s.network->feature = sketch_join(&s, TWI_OP_ADD, branch, last);
        twi_network *fused = compiled(s.network, TWI_OUTPUT_AVG, true);
        assert_int_equal(fused->n, 5); /* input, conv, tokens, dense, mean over tokens */
        const twi_activation *after = &fused->nodes[1].fused;
        assert_int_equal(after->op, ops[i]);
        assert_true(after->alpha == (ops[i] == TWI_OP_CLIP ? 0 : 0.1));
        assert_true(after->beta == (ops[i] == TWI_OP_CLIP ? 6 : 0));
        assert_int_equal(fused->nodes[3].op, TWI_OP_DENSE);
        assert_int_equal(fused->nodes[3].fused_add, 2);
        assert_int_equal(fused->nodes[4].op, TWI_OP_GLOBAL_AVG_POOL);
        float was[16], value[4];
        assert_int_equal(twi_tensor_floats(ctx, dense.params[TWI_PARAM_WEIGHT], was), TW_OK);
        assert_int_equal(twi_tensor_floats(ctx, scale.params[TWI_PARAM_VALUE], value), TW_OK);
        const float *is = fused->nodes[3].params[TWI_PARAM_WEIGHT]->data;
        for (size_t k = 0; k < 16; k++)
            assert_true(is[k] == (float)((double)was[k] * (double)value[k / 4]));
        twi_network_free(fused);
        twi_network_free(s.network);
    }
}

/* What is not one function of a value, or repeats over pixels, stays where it is. */
static void what_cannot_go_into_a_layer_stays(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 22);
    const size_t plane[] = {1, 6, 6}, channels = 4;
    twi_node constant = {.op = TWI_OP_ADD_CONSTANT}, prelu = {.op = TWI_OP_PRELU};
    constant.params[TWI_PARAM_VALUE] = sketch_tensor(&s, 3, plane, -1, 1);
    prelu.params[TWI_PARAM_SLOPE] = sketch_tensor(&s, 1, &channels, -1, 1);
    uint32_t last = sketch_conv(&s, 0, 3, 4, 3, 1, false);
    last = sketch_node(&s, constant, &last, 1);
    last = sketch_node(&s, prelu, &last, 1);
    last = sketch_plain(&s, TWI_OP_EXP, sketch_conv(&s, last, 4, 4, 3, 1, false));
    s.network->feature = sketch_plain(&s, TWI_OP_GLOBAL_AVG_POOL, last);
    twi_network *fused = compiled(s.network, TWI_OUTPUT_MAX, true);
    assert_int_equal(fused->n, s.network->n); /* a vector is the features as it is */
    for (size_t i = 0; i < fused->n; i++) {
        assert_int_equal(fused->nodes[i].op, s.network->nodes[i].op);
        assert_int_equal(fused->nodes[i].fused.op, TWI_OP_INPUT);
    }
    twi_network_free(fused);
    twi_network_free(s.network);
}

static void unfolded_weights_are_borrowed(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3);
    const uint32_t conv = sketch_conv(&s, 0, 3, 4, 3, 1, true);
    s.network->feature = sketch_plain(&s, TWI_OP_RELU, conv);
    twi_network *fused = compiled(s.network, TWI_OUTPUT_FLAT, true);
    assert_ptr_equal(fused->nodes[1].params[0], s.network->nodes[conv].params[0]);
    assert_int_equal(fused->weights.n, 0);
    assert_true(fused->nodes[1].fused.op == TWI_OP_RELU);
    assert_true(fused->nodes[2].nhwc);
    twi_network_free(fused);
    twi_network_free(s.network);
}

static void bad_outputs_are_refused(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3);
    twi_network *out;
    sketch_conv(&s, 0, 3, 4, 3, 1, true);
    assert_int_equal(twi_network_for_inference(ctx, s.network, TWI_OUTPUT_LOGITS, true, &out),
                     TW_ERR_UNSUPPORTED);
    s.network->logits = 1;
    assert_int_equal(twi_network_for_inference(ctx, s.network, TWI_OUTPUT_LOGITS, true, &out),
                     TW_ERR_FORMAT);
    s.network->feature = 77;
    assert_int_equal(twi_network_for_inference(ctx, s.network, TWI_OUTPUT_AVG, true, &out),
                     TW_ERR_FORMAT);
    twi_network_free(s.network);
}

static void a_norm_without_spread_is_refused(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3);
    twi_network *out;
    s.network->feature = sketch_norm(&s, sketch_conv(&s, 0, 3, 4, 3, 1, true), 4, true);
    s.network->nodes[2].epsilon = 0;
    const twi_tensor *variance = s.network->nodes[2].params[TWI_PARAM_VARIANCE];
    memset((void *)(uintptr_t)variance->data, 0, variance->count * twi_dtype_size(variance->dtype));
    assert_int_equal(twi_network_for_inference(ctx, s.network, TWI_OUTPUT_AVG, true, &out),
                     TW_ERR_FORMAT);
    assert_non_null(strstr(tw_last_error(ctx), "layer batch_norm2: variance + epsilon"));
    twi_network_free(s.network);
}

static void an_output_name_that_is_taken_is_avoided(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3);
    const uint32_t zero = 0, one = 1;
    const twi_node a = {.op = TWI_OP_RELU, .name = "output.2", .n_inputs = 1, .inputs = &zero};
    const twi_node b = {.op = TWI_OP_RELU, .name = "output", .n_inputs = 1, .inputs = &one};
    assert_int_equal(twi_network_add(ctx, s.network, &a, NULL), TW_OK);
    assert_int_equal(twi_network_add(ctx, s.network, &b, &s.network->feature), TW_OK);
    twi_network *cut = compiled(s.network, TWI_OUTPUT_AVG, false);
    assert_string_equal(cut->nodes[3].name, "output.3");
    twi_network_free(cut);
    twi_network_free(s.network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_keep_their_values),
        cmocka_unit_test(a_residual_block_is_four_convolutions),
        cmocka_unit_test(a_shared_convolution_is_left_alone),
        cmocka_unit_test(folding_is_exact_to_the_last_float),
        cmocka_unit_test(activations_and_scales_go_into_layers),
        cmocka_unit_test(what_cannot_go_into_a_layer_stays),
        cmocka_unit_test(unfolded_weights_are_borrowed),
        cmocka_unit_test(bad_outputs_are_refused),
        cmocka_unit_test(a_norm_without_spread_is_refused),
        cmocka_unit_test(an_output_name_that_is_taken_is_avoided),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
