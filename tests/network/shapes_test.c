/* shapes_test.c - building graphs and the shapes of their values. */
#include "graphs.h"
#include "window_shapes.h"

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

static void expect_error(tw_status found, tw_status status, const char *part)
{
    assert_int_equal(found, status);
    if (!strstr(tw_last_error(ctx), part))
        fail_msg("\"%s\" does not say \"%s\"", tw_last_error(ctx), part);
}

/* Output height of a one-node network for a window along the height; 0 when refused. */
static size_t height_after(twi_op op, const twi_window *window, size_t in)
{
    sketch s = sketch_new(ctx, 1, 0);
    twi_node node = {.op = op, .window = *window};
    const size_t dims[] = {1, 1, window->kernel[0], window->kernel[1]};
    if (op == TWI_OP_CONV) {
        node.params[TWI_PARAM_WEIGHT] = sketch_tensor(&s, 4, dims, -1, 1);
        node.window.ceil_mode = false;
    }
    twi_shape shapes[2];
    sketch_node(&s, node, (uint32_t[]){0}, 1);
    const tw_status st = twi_network_shapes(ctx, s.network, in, 1, shapes);
    twi_network_free(s.network);
    return st == TW_OK ? shapes[1].dims[1] : 0;
}

static void windows_are_pytorchs(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWI_LEN(window_cases); i++) {
        const struct window_case *c = &window_cases[i];
        const twi_window w = {.kernel = {c->kernel, 1},
                              .stride = {c->stride, 1},
                              .dilation = {c->dilation, 1},
                              .pad_begin = {c->pad, 0},
                              .pad_end = {c->pad, 0},
                              .ceil_mode = c->ceil_mode};
        assert_int_equal(height_after(TWI_OP_CONV, &w, c->in), c->conv);
        const size_t pool = height_after(TWI_OP_MAX_POOL, &w, c->in);
        /* PyTorch lets a dilated window see nothing but padding and answers -inf: refused here. */
        if (pool == 0 && c->pool != 0)
            assert_true(c->dilation > 1 && c->pad > 0);
        else
            assert_int_equal(pool, c->pool);
    }
}

static void padding_may_differ_by_side(void **state)
{
    (void)state;
    const twi_window w = {
        .kernel = {3, 1}, .stride = {2, 1}, .pad_begin = {0, 0}, .pad_end = {1, 0}};
    assert_int_equal(height_after(TWI_OP_CONV, &w, 224), 112); /* TensorFlow's "same" at stride 2 */
    assert_int_equal(height_after(TWI_OP_MAX_POOL, &w, 224), 112);
    /* ceil mode: the last window starts in the trailing padding only and is dropped. */
    const twi_window c = {.kernel = {2, 1}, .stride = {2, 1}, .pad_end = {1, 0}, .ceil_mode = true};
    assert_int_equal(height_after(TWI_OP_MAX_POOL, &c, 4), 2);
}

static void every_operator_has_its_shape(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 1);
    const uint32_t conv = sketch_conv(&s, 0, 3, 8, 3, 1, true);
    const uint32_t norm = sketch_norm(&s, conv, 8, true),
                   relu = sketch_plain(&s, TWI_OP_RELU, norm);
    const uint32_t pool = sketch_pool(&s, TWI_OP_MAX_POOL, relu);
    const uint32_t sum = sketch_join(&s, TWI_OP_ADD, relu, pool);
    const uint32_t cat = sketch_join(&s, TWI_OP_CONCAT, sum, 0);
    const uint32_t flat = sketch_plain(&s, TWI_OP_FLATTEN, cat);
    const uint32_t mean = sketch_plain(&s, TWI_OP_GLOBAL_AVG_POOL, cat);
    const uint32_t dense = sketch_dense(&s, mean, 11, 5);
    const uint32_t soft = sketch_plain(&s, TWI_OP_SOFTMAX, dense);
    twi_shape shapes[16];
    assert_int_equal(twi_network_shapes(ctx, s.network, 6, 7, shapes), TW_OK);
    assert_int_equal(shapes[conv].dims[0], 8);
    assert_int_equal(shapes[cat].dims[0], 11);
    assert_int_equal(shapes[cat].dims[1], 6);
    assert_int_equal(shapes[cat].dims[2], 7);
    assert_int_equal(shapes[flat].rank, 1);
    assert_int_equal(shapes[flat].dims[0], 11 * 6 * 7);
    assert_int_equal(shapes[mean].dims[0], 11);
    assert_int_equal(shapes[soft].dims[0], 5);
    twi_network_free(s.network);
}

static void shape_errors_name_the_layer(void **state)
{
    (void)state;
    twi_shape shapes[16];
    sketch s = sketch_new(ctx, 3, 1);
    sketch_conv(&s, 0, 4, 8, 3, 1, true);
    expect_error(twi_network_shapes(ctx, s.network, 8, 8, shapes), TW_ERR_FORMAT,
                 "layer conv1: 3 channels come in; its parameters need 4");
    twi_network_free(s.network);

    s = sketch_new(ctx, 3, 1);
    const twi_node pool = {.op = TWI_OP_MAX_POOL, .window = {.kernel = {9, 9}, .stride = {1, 1}}};
    sketch_node(&s, pool, (uint32_t[]){0}, 1);
    expect_error(twi_network_shapes(ctx, s.network, 20, 8, shapes), TW_ERR_ARG,
                 "layer max_pool1: width 8 comes in; its window needs 9");
    expect_error(twi_network_shapes(ctx, s.network, 0, 8, shapes), TW_ERR_ARG, "0 x 8");
    expect_error(twi_network_shapes(ctx, s.network, 8, SIZE_MAX, shapes), TW_ERR_ARG, "need 1 to");
    twi_network_free(s.network);

    s = sketch_new(ctx, 3, 1);
    sketch_dense(&s, 0, 3, 2);
    expect_error(twi_network_shapes(ctx, s.network, 8, 8, shapes), TW_ERR_FORMAT,
                 "layer dense1: a feature map comes in; dense needs a list of tokens or a vector");
    twi_network_free(s.network);

    s = sketch_new(ctx, 3, 1);
    sketch_join(&s, TWI_OP_ADD, 0, sketch_conv(&s, 0, 3, 4, 1, 1, true));
    expect_error(twi_network_shapes(ctx, s.network, 8, 8, shapes), TW_ERR_FORMAT,
                 "layer add2: [3, 8, 8] and [4, 8, 8] come in");
    twi_network_free(s.network);

    s = sketch_new(ctx, 100000, 1);
    expect_error(twi_network_shapes(ctx, s.network, 65536, 65536, shapes), TW_ERR_ARG,
                 "layer input: its value has more than");
    twi_network_free(s.network);
}

static void bad_nodes_are_refused(void **state)
{
    (void)state;
    sketch s = sketch_new(ctx, 3, 1);
    const size_t five[] = {8, 3, 3, 3}, seven = 7;
    const twi_tensor *weight = sketch_tensor(&s, 4, five, -1, 1);
    const twi_tensor *vector = sketch_tensor(&s, 1, &seven, -1, 1), stranger = *weight;
    const uint32_t zero = 0, nine = 9;
    const twi_node good = {
        .op = TWI_OP_CONV, .name = "c", .n_inputs = 1, .inputs = &zero, .params = {weight}};
    twi_node bad;
#define REFUSED(change, part)                                                                      \
    do {                                                                                           \
        bad = good;                                                                                \
        change;                                                                                    \
        tw_status st_ = twi_network_add(ctx, s.network, &bad, NULL);                               \
        assert_int_not_equal(st_, TW_OK);                                                          \
        expect_error(st_, st_, part);                                                              \
    } while (0)
    REFUSED(bad.name = NULL, "no name");
    REFUSED(bad.name = "input", "two layers are called input");
    REFUSED(bad.n_inputs = 0, "0 inputs; conv takes 1 to 1");
    REFUSED(bad.inputs = &nine, "input 0 is layer 9; only 1 layers");
    REFUSED(bad.params[0] = NULL, "weight is missing");
    REFUSED(bad.params[0] = vector, "has 1 dimensions; need 4");
    REFUSED(bad.params[1] = vector, "bias t1 has 7 values; need 8");
    REFUSED(bad.params[2] = vector, "conv takes no parameter t1");
    REFUSED(bad.params[0] = &stranger, "not in the network's weights");
    REFUSED(bad.groups = 3, "3 groups; need a divisor of its 8");
    REFUSED(bad.window.kernel[0] = 5, "is for a 3 x 3 kernel; the layer says 5 x 3");
    REFUSED(bad.window.stride[1] = 5000, "stride is 5000");
    REFUSED(bad.window.pad_end[1] = SIZE_MAX, "padding is");
    REFUSED(bad.window.dilation[0] = SIZE_MAX / 2, "dilation is");
    REFUSED(bad.window.ceil_mode = true, "pooling options");
    REFUSED((bad.op = TWI_OP_MAX_POOL, bad.params[0] = NULL), "kernel is 0");
    REFUSED((bad.op = TWI_OP_INPUT, bad.params[0] = NULL, bad.n_inputs = 0), "a second input");
#undef REFUSED
    assert_int_equal(s.network->n, 1);
    twi_network_free(s.network);
}

/* A list of weights that grows under the nodes would leave them dangling: seen at the next node. */
static void late_weights_are_refused(void **state)
{
    (void)state;
    twi_network *network;
    const size_t n = 3;
    const uint32_t zero = 0;
    assert_int_equal(twi_network_new(ctx, 3, &network), TW_OK);
    twi_tensors *w = &network->weights;
    assert_int_equal(twi_tensors_add(ctx, w, "m", TWI_F32, 1, &n, NULL, NULL), TW_OK);
    twi_node norm = {.op = TWI_OP_BATCH_NORM, .name = "n", .n_inputs = 1, .inputs = &zero};
    norm.params[TWI_PARAM_MEAN] = norm.params[TWI_PARAM_VARIANCE] = &w->items[0];
    assert_int_equal(twi_network_add(ctx, network, &norm, NULL), TW_OK);
    char name[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "late%d", i);
        assert_int_equal(twi_tensors_add(ctx, w, name, TWI_F32, 1, &n, NULL, NULL), TW_OK);
    }
    const twi_node relu = {.op = TWI_OP_RELU, .name = "r", .n_inputs = 1, .inputs = &zero};
    expect_error(twi_network_add(ctx, network, &relu, NULL), TW_ERR_ARG, "added after layer n");
    twi_network_free(network);
}

/* A node of inputs that are maps [6, 4, 4] or, where tokens says so, the same as [16, 6]. */
static tw_status shape_of(twi_node node, size_t n, bool tokens, twi_shape *out)
{
    sketch s = sketch_new(ctx, 6, 1);
    twi_shape shapes[4];
    uint32_t id = 0;
    if (tokens) id = sketch_plain(&s, TWI_OP_TOKENS, 0);
    const uint32_t in[3] = {id, id, id};
    const uint32_t last = sketch_node(&s, node, in, n);
    const tw_status st = twi_network_shapes(ctx, s.network, 4, 4, shapes);
    if (st == TW_OK) *out = shapes[last];
    twi_network_free(s.network);
    return st;
}

static const struct shape_case {
    twi_node node;
    size_t n;
    bool tokens;
    twi_shape shape;   /* or */
    const char *error; /* part of the message */
} shape_cases[] = {
    {{.op = TWI_OP_SIGMOID}, 1, true, {2, {16, 6}}, NULL},
    {{.op = TWI_OP_MUL}, 2, false, {3, {6, 4, 4}}, NULL},
    {{.op = TWI_OP_REDUCE_MEAN, .axes = {2, {1, 2}}}, 1, false, {3, {6, 1, 1}}, NULL},
    {{.op = TWI_OP_REDUCE_MAX, .axes = {1, {2}}}, 1, true, {0}, "the axes in its list"},
    {{.op = TWI_OP_GROUP_NORM, .groups = 4}, 1, false, {0}, "4 groups; need a divisor of the 6"},
    {{.op = TWI_OP_GROUP_NORM, .groups = 2}, 1, true, {0}, "list of tokens comes in"},
    {{.op = TWI_OP_PAD, .pad_mode = TWI_PAD_REFLECT, .window = {.pad_begin = {3, 3}}},
     1,
     false,
     {3, {6, 7, 7}},
     NULL},
    {{.op = TWI_OP_PAD, .pad_mode = TWI_PAD_REFLECT, .window = {.pad_begin = {4, 0}}},
     1,
     false,
     {0},
     "4 pixels of reflection; a side of 4 has at most 3"},
    {{.op = TWI_OP_RESIZE, .scales = {2.0, 0.6}}, 1, false, {3, {6, 8, 2}}, NULL},
    {{.op = TWI_OP_RESIZE, .size = {7, 0}, .scales = {0, 1.0}}, 1, false, {3, {6, 7, 4}}, NULL},
    {{.op = TWI_OP_RESIZE, .scales = {0.1, 1}}, 1, false, {0}, "gives 0 pixels"},
    {{.op = TWI_OP_SPACE_TO_DEPTH, .block = 2}, 1, false, {3, {24, 2, 2}}, NULL},
    {{.op = TWI_OP_SPACE_TO_DEPTH, .block = 3}, 1, false, {0}, "multiples of its block"},
    {{.op = TWI_OP_DEPTH_TO_SPACE, .block = 2}, 1, false, {0}, "channels that fill square blocks"},
    {{.op = TWI_OP_CHANNEL_SHUFFLE, .groups = 4}, 1, false, {0}, "a multiple of its groups"},
    {{.op = TWI_OP_SLICE, .axis = 1, .start = 1, .stop = 9, .step = 2},
     1,
     false,
     {3, {6, 2, 4}},
     NULL},
    {{.op = TWI_OP_SLICE, .axis = 0, .start = 6, .stop = 9}, 1, false, {0}, "which has 6: none"},
    {{.op = TWI_OP_SLICE, .axis = 2, .start = 0, .stop = 1}, 1, true, {0}, "the axis it cuts"},
    {{.op = TWI_OP_TRANSPOSE, .axes = {3, {1, 2, 0}}}, 1, false, {3, {4, 4, 6}}, NULL},
    {{.op = TWI_OP_TRANSPOSE, .axes = {3, {1, 2, 0}}}, 1, true, {0}, "as many axes as its list"},
    {{.op = TWI_OP_RESHAPE, .target = {2, {8, 0}}}, 1, false, {2, {8, 12}}, NULL},
    {{.op = TWI_OP_RESHAPE, .target = {3, {5, 0, 2}}},
     1,
     false,
     {0},
     "as many values as [5, 0, 2]"},
    {{.op = TWI_OP_RESHAPE, .target = {3, {UINT32_MAX, UINT32_MAX, UINT32_MAX}}},
     1,
     false,
     {0},
     "as many values as"},
    {{.op = TWI_OP_CONCAT, .axis = 1}, 3, false, {3, {6, 12, 4}}, NULL},
    {{.op = TWI_OP_CONCAT, .axis = 2}, 2, true, {0}, "more axes to join along one"},
    {{.op = TWI_OP_MAP, .size = {2, 8}}, 1, true, {3, {6, 2, 8}}, NULL},
    {{.op = TWI_OP_MAP, .size = {4, 8}}, 1, true, {0}, "a token for every pixel"},
    {{.op = TWI_OP_TAKE_TOKEN, .index = 16}, 1, true, {0}, "takes token 16; 16 come in"},
    {{.op = TWI_OP_WINDOW_PARTITION, .size = {2, 4}}, 1, false, {2, {16, 6}}, NULL},
    {{.op = TWI_OP_WINDOW_PARTITION, .size = {3, 4}}, 1, false, {0}, "multiples of its windows'"},
    {{.op = TWI_OP_WINDOW_REVERSE, .size = {2, 2}, .target = {3, {6, 2, 8}}},
     1,
     true,
     {3, {6, 2, 8}},
     NULL},
    {{.op = TWI_OP_WINDOW_REVERSE, .size = {2, 2}, .target = {3, {6, 2, 6}}},
     1,
     true,
     {0},
     "a token for every pixel of the second"},
    {{.op = TWI_OP_MATMUL, .transpose_b = true, .scale = 1}, 2, true, {2, {16, 16}}, NULL},
    {{.op = TWI_OP_MATMUL, .scale = 1}, 2, true, {0}, "matrices that can be multiplied"},
    {{.op = TWI_OP_ATTENTION, .heads = 3, .scale = 1}, 3, true, {2, {16, 6}}, NULL},
    {{.op = TWI_OP_ATTENTION, .heads = 4, .scale = 1}, 3, true, {0}, "a multiple of its heads"},
    {{.op = TWI_OP_ATTENTION, .heads = 2, .scale = 1, .tokens = 5}, 3, true, {0}, "windows of 5"},
    {{.op = TWI_OP_ATTENTION, .heads = 2, .scale = 1}, 3, false, {0}, "needs a list of tokens"},
};

static void wide_operators_have_their_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWI_LEN(shape_cases); i++) {
        const struct shape_case *c = &shape_cases[i];
        twi_shape out = {0};
        const tw_status st = shape_of(c->node, c->n, c->tokens, &out);
        if (c->error) {
            assert_int_not_equal(st, TW_OK);
            if (!strstr(tw_last_error(ctx), c->error))
                fail_msg("\"%s\" does not say \"%s\"", tw_last_error(ctx), c->error);
        } else {
            if (st != TW_OK) fail_msg("case %zu: %s", i, tw_last_error(ctx));
            assert_true(twi_shape_equal(&out, &c->shape));
        }
    }
}

static void values_repeat_along_axes_of_one(void **state)
{
    (void)state;
    static const struct {
        twi_shape a, b, out; /* rank 0: refused */
    } rows[] = {
        {{3, {4, 5, 6}}, {1, {4}}, {3, {4, 5, 6}}},
        {{1, {4}}, {3, {4, 5, 6}}, {3, {4, 5, 6}}},
        {{3, {4, 5, 6}}, {1, {1}}, {3, {4, 5, 6}}},
        {{3, {4, 1, 6}}, {3, {1, 5, 6}}, {3, {4, 5, 6}}},
        {{2, {7, 4}}, {1, {4}}, {2, {7, 4}}},
        {{2, {7, 4}}, {1, {7}}, {0}},
        {{3, {4, 5, 6}}, {2, {5, 6}}, {0}},
        {{3, {4, 5, 6}}, {1, {6}}, {0}},
        {{3, {4, 5, 6}}, {3, {4, 5, 2}}, {0}},
        {{1, {3}}, {1, {1}}, {1, {3}}},
    };
    for (size_t i = 0; i < TWI_LEN(rows); i++) {
        twi_shape out = {0};
        const bool fits = twi_shape_broadcast(&rows[i].a, &rows[i].b, &out);
        assert_int_equal(fits, rows[i].out.rank != 0);
        if (fits) assert_true(twi_shape_equal(&out, &rows[i].out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_operators_have_their_shapes),
        cmocka_unit_test(values_repeat_along_axes_of_one),
        cmocka_unit_test(windows_are_pytorchs),
        cmocka_unit_test(padding_may_differ_by_side),
        cmocka_unit_test(every_operator_has_its_shape),
        cmocka_unit_test(shape_errors_name_the_layer),
        cmocka_unit_test(bad_nodes_are_refused),
        cmocka_unit_test(late_weights_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
