/* layers_test.c - nodes found by name, features of several layers, and other input sizes. */
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

static void ends_with_error(const char *part)
{
    if (!strstr(tw_last_error(ctx), part))
        fail_msg("\"%s\" is not in \"%s\"", part, tw_last_error(ctx));
}

/* ---- by name ------------------------------------------------------------------------------- */

static void names_are_found_or_the_nearest_told(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 1);
    uint32_t at = 0, id;
    for (size_t i = 0; i < 20; i++) at = sketch_plain(&s, TWI_OP_RELU, at);
    at = sketch_plain(&s, TWI_OP_GELU, at);
    assert_int_equal(twi_network_find(ctx, s.network, "relu7", &id), TW_OK);
    assert_int_equal(id, 7);
    assert_int_equal(twi_network_find(ctx, s.network, "input", &id), TW_OK);
    assert_int_equal(id, 0);
    assert_int_equal(twi_network_find(ctx, s.network, "gelu", &id), TW_ERR_ARG);
    ends_with_error("no layer is called gelu; there are gelu21, ");
    ends_with_error(" and 10 more");
    assert_int_equal(twi_network_find(ctx, s.network, "relu77", &id), TW_ERR_ARG);
    ends_with_error("there are relu7, relu17, ");
    /* anything may be asked for */
    char endless[5000];
    memset(endless, 'x', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(twi_network_find(ctx, s.network, endless, &id), TW_ERR_ARG);
    assert_int_equal(twi_network_find(ctx, s.network, "", &id), TW_ERR_ARG);
    assert_int_equal(twi_network_find(ctx, s.network, "\xff\x01,", &id), TW_ERR_ARG);
    twi_network_free(s.network);
}

/* ---- joining ------------------------------------------------------------------------------- */

/* The value of node of network, pooled as output says. */
static double *value_of(twi_network *network, uint32_t node, twi_output output, size_t *n)
{
    twi_network *cut;
    const uint32_t kept = network->feature;
    network->feature = node;
    assert_int_equal(twi_network_for_inference(ctx, network, output, false, &cut), TW_OK);
    network->feature = kept;
    double *x = naive_run(ctx, cut, 6, pixel, n);
    assert_non_null(x);
    twi_network_free(cut);
    return x;
}

static void joined_features_are_those_of_each(twi_output output)
{
    sketch s = sketch_new(ctx, 3, 7);
    const uint32_t conv = sketch_conv(&s, 0, 3, 5, 3, 1, true);
    const uint32_t norm = sketch_norm(&s, conv, 5, true);
    const uint32_t relu = sketch_plain(&s, TWI_OP_RELU, norm);
    const uint32_t second = sketch_conv(&s, relu, 5, 5, 3, 1, false);
    const uint32_t sum = sketch_join(&s, TWI_OP_ADD, second, relu);
    const uint32_t vector = sketch_plain(&s, TWI_OP_GLOBAL_AVG_POOL, sum);
    s.network->feature = sum;
    /* not in the graph's order, with a layer before its norm, which must not be folded, and one
     * that a sum would take in */
    const uint32_t layers[] = {vector, conv, second, relu};
    twi_network *joined, *fused;
    assert_int_equal(twi_network_join(ctx, s.network, layers, 4, output, &joined), TW_OK);
    assert_int_equal(twi_network_for_inference(ctx, joined, output, true, &fused), TW_OK);
    twi_network_free(joined);
    size_t n, at = 0;
    double *all = naive_run(ctx, fused, 6, pixel, &n);
    assert_non_null(all);
    for (size_t k = 0; k < 4; k++) {
        size_t m;
        double *one = value_of(s.network, layers[k], output, &m);
        assert_true(at + m <= n);
        for (size_t i = 0; i < m; i++) assert_true(fabs(one[i] - all[at + i]) < 1e-4);
        at += m;
        free(one);
    }
    assert_int_equal(at, n);
    free(all);
    twi_network_free(fused);
    twi_network_free(s.network);
}

static void joined_layers_keep_their_values(void **state)
{
    (void)state;
    joined_features_are_those_of_each(TWI_OUTPUT_AVG);
    joined_features_are_those_of_each(TWI_OUTPUT_MAX);
    joined_features_are_those_of_each(TWI_OUTPUT_FLAT);
}

static void one_layer_is_the_feature_node(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3);
    const uint32_t conv = sketch_conv(&s, 0, 3, 4, 3, 1, true);
    s.network->feature = sketch_plain(&s, TWI_OP_RELU, conv);
    twi_network *joined;
    assert_int_equal(twi_network_join(ctx, s.network, &conv, 1, TWI_OUTPUT_AVG, &joined), TW_OK);
    assert_true(joined->nodes[joined->feature].op == TWI_OP_GLOBAL_AVG_POOL);
    twi_network_free(joined);
    twi_network_free(s.network);
}

static void a_name_that_is_taken_is_avoided(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3);
    const uint32_t zero = 0;
    uint32_t ids[2];
    const twi_node a = {.op = TWI_OP_RELU, .name = "layers", .n_inputs = 1, .inputs = &zero};
    const twi_node b = {.op = TWI_OP_RELU, .name = "layers.2", .n_inputs = 1, .inputs = &zero};
    assert_int_equal(twi_network_add(ctx, s.network, &a, &ids[0]), TW_OK);
    assert_int_equal(twi_network_add(ctx, s.network, &b, &ids[1]), TW_OK);
    twi_network *joined;
    assert_int_equal(twi_network_join(ctx, s.network, ids, 2, TWI_OUTPUT_MAX, &joined), TW_OK);
    assert_string_equal(joined->nodes[joined->feature].name, "layers.5");
    twi_network_free(joined);
    twi_network_free(s.network);
}

static void layers_that_cannot_be_joined_are_refused(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3);
    const uint32_t conv = sketch_conv(&s, 0, 3, 4, 3, 1, true), twice[] = {conv, conv};
    const uint32_t input = 0, beyond = 99;
    twi_network *out;
    assert_int_equal(twi_network_join(ctx, s.network, twice, 2, TWI_OUTPUT_AVG, &out), TW_ERR_ARG);
    ends_with_error("layer conv1 is named twice");
    assert_int_equal(twi_network_join(ctx, s.network, &input, 1, TWI_OUTPUT_AVG, &out), TW_ERR_ARG);
    ends_with_error("computes nothing");
    assert_int_equal(twi_network_join(ctx, s.network, &beyond, 1, TWI_OUTPUT_AVG, &out),
                     TW_ERR_ARG);
    assert_int_equal(twi_network_join(ctx, s.network, &conv, 0, TWI_OUTPUT_AVG, &out), TW_ERR_ARG);
    assert_int_equal(twi_network_join(ctx, s.network, &conv, 65, TWI_OUTPUT_AVG, &out), TW_ERR_ARG);
    assert_int_equal(twi_network_join(ctx, s.network, &conv, 1, TWI_OUTPUT_LOGITS, &out),
                     TW_ERR_ARG);
    ends_with_error("class scores are no features");
    twi_network_free(s.network);
}

/* ---- other sizes --------------------------------------------------------------------------- */

static uint32_t windowed(sketch *s, twi_op op, uint32_t from, twi_window window)
{
    const size_t dims[] = {3, 3, window.kernel[0], window.kernel[1]};
    twi_node node = {.op = op, .window = window, .groups = 1};
    if (op == TWI_OP_CONV) node.params[TWI_PARAM_WEIGHT] = sketch_tensor(s, 4, dims, -1, 1);
    return sketch_node(s, node, &from, 1);
}

/* A window of 3 with stride 2, padded by begin and end. */
static twi_window strided(size_t begin, size_t end)
{
    return (twi_window){
        .kernel = {3, 3}, .stride = {2, 2}, .pad_begin = {begin, begin}, .pad_end = {end, end}};
}

static tw_status check(const twi_network *network, size_t made_for, size_t size, bool same)
{
    return twi_network_check_size(ctx, network, (size_t[]){made_for, made_for},
                                  (size_t[]){size, size}, same);
}

static void same_padding_depends_on_the_size(void **state)
{
    (void)state;
    static const twi_op ops[] = {TWI_OP_CONV, TWI_OP_MAX_POOL};
    for (size_t i = 0; i < 2; i++) {
        sketch s = sketch_new(ctx, 3, 3); /* TensorFlow's for even sizes: nothing before, 1 after */
        windowed(&s, ops[i], windowed(&s, ops[i], 0, strided(0, 1)), strided(0, 1));
        assert_int_equal(check(s.network, 32, 64, true), TW_OK);
        assert_int_equal(check(s.network, 32, 36, true), TW_OK);
        assert_int_equal(check(s.network, 32, 33, true), TW_ERR_UNSUPPORTED);
        ends_with_error("the network was made for 32 x 32 pixels and cannot take 33 x 33, but 32 x "
                        "32 and 36 x 36: layer ");
        ends_with_error("its padding depends on the size");
        assert_int_equal(check(s.network, 32, 34, true), TW_ERR_UNSUPPORTED); /* 17 at the second */
        assert_int_equal(check(s.network, 32, 33, false), TW_OK);
        const size_t was[] = {32, 32}, is[] = {32, 33};
        assert_int_equal(twi_network_check_size(ctx, s.network, was, is, true), TW_ERR_UNSUPPORTED);
        twi_network_free(s.network);
    }
}

static void fixed_padding_does_not(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3); /* PyTorch's: "same" would not give 1, 1 for an even size */
    windowed(&s, TWI_OP_CONV, 0, strided(1, 1));
    assert_int_equal(check(s.network, 32, 33, true), TW_OK);
    /* made for an odd size it could be either, so it is refused */
    assert_int_equal(check(s.network, 33, 32, true), TW_ERR_UNSUPPORTED);
    assert_int_equal(check(s.network, 33, 37, true), TW_OK);
    twi_network_free(s.network);
}

static void a_pool_over_the_whole_map_is_no_window(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3);
    windowed(&s, TWI_OP_AVG_POOL, 0, (twi_window){.kernel = {7, 7}, .stride = {7, 7}});
    assert_int_equal(check(s.network, 7, 14, false), TW_ERR_UNSUPPORTED);
    ends_with_error("its window is the whole map at the one size only");
    assert_int_equal(check(s.network, 14, 28, false), TW_OK);
    assert_int_equal(check(s.network, 14, 6, false), TW_ERR_ARG); /* too small, as anywhere */
    twi_network_free(s.network);
}

static void what_was_worked_out_for_one_size_is_refused(void **state)
{
    (void)state;
    const struct {
        twi_node node;
        const char *why;
    } cases[] = {
        {{.op = TWI_OP_RESIZE, .size = {16, 16}}, "it resizes to a fixed size"},
        {{.op = TWI_OP_RESHAPE, .target = {2, {3, 0}}}, "its shape was worked out"},
        {{.op = TWI_OP_SLICE, .axis = 1, .start = 0, .stop = 8, .step = 1}, "it takes a part"},
        {{.op = TWI_OP_SLICE, .axis = 2, .start = 4, .stop = 99, .step = 1}, "it takes a part"},
        {{.op = TWI_OP_SLICE, .axis = 2, .start = 0, .stop = 16, .step = 2}, "it takes a part"},
        {{.op = TWI_OP_RESIZE, .scales = {2, 2}}, NULL},
        {{.op = TWI_OP_SLICE, .axis = 2, .start = 1, .stop = 99, .step = 2}, NULL},
        {{.op = TWI_OP_SLICE, .axis = 0, .start = 1, .stop = 2, .step = 1}, NULL},
        {{.op = TWI_OP_TOKENS}, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sketch s = sketch_new(ctx, 3, 3);
        const uint32_t zero = 0;
        sketch_node(&s, cases[i].node, &zero, 1);
        const tw_status st = check(s.network, 16, 24, false);
        assert_int_equal(st, cases[i].why ? TW_ERR_UNSUPPORTED : TW_OK);
        if (cases[i].why) ends_with_error(cases[i].why);
        twi_network_free(s.network);
    }
}

static void dense_layers_and_positions_are_refused(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3);
    sketch_dense(&s, sketch_plain(&s, TWI_OP_FLATTEN, 0), 3 * 8 * 8, 5);
    assert_int_equal(check(s.network, 8, 16, false), TW_ERR_UNSUPPORTED);
    ends_with_error("made for 8 x 8 pixels and cannot take 16 x 16, but 8 x 8: layer dense2");
    twi_network_free(s.network);
    s = sketch_new(ctx, 3, 3);
    const uint32_t tokens = sketch_plain(&s, TWI_OP_TOKENS, 0);
    const size_t positions[] = {64, 3};
    twi_node add = {.op = TWI_OP_ADD_CONSTANT};
    add.params[TWI_PARAM_VALUE] = sketch_tensor(&s, 2, positions, -1, 1);
    sketch_node(&s, add, &tokens, 1);
    assert_int_equal(check(s.network, 8, 16, false), TW_ERR_UNSUPPORTED);
    ends_with_error("layer add_constant2");
    twi_network_free(s.network);
}

static void padding_of_its_own_is_looked_at(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 3);
    const uint32_t zero = 0;
    const twi_node pad = {.op = TWI_OP_PAD, .window = {.pad_end = {1, 1}}};
    windowed(&s, TWI_OP_CONV, sketch_node(&s, pad, &zero, 1), strided(0, 0));
    assert_int_equal(check(s.network, 32, 34, true), TW_OK);
    assert_int_equal(check(s.network, 32, 33, true), TW_ERR_UNSUPPORTED);
    assert_int_equal(check(s.network, 32, 33, false), TW_OK);
    twi_network_free(s.network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_or_the_nearest_told),
        cmocka_unit_test(joined_layers_keep_their_values),
        cmocka_unit_test(one_layer_is_the_feature_node),
        cmocka_unit_test(a_name_that_is_taken_is_avoided),
        cmocka_unit_test(layers_that_cannot_be_joined_are_refused),
        cmocka_unit_test(same_padding_depends_on_the_size),
        cmocka_unit_test(fixed_padding_does_not),
        cmocka_unit_test(a_pool_over_the_whole_map_is_no_window),
        cmocka_unit_test(what_was_worked_out_for_one_size_is_refused),
        cmocka_unit_test(dense_layers_and_positions_are_refused),
        cmocka_unit_test(padding_of_its_own_is_looked_at),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
