/* onnx_opsets_test.c - what exporters that are not at hand here write: operators of opsets 13 to
 * 21, branches, attention over windows. */
#include "importer/onnx/onnx.h"
#include "onnx_models.h"
#include "testing.h"

#include <math.h>

static tw_ctx *ctx;
static message model, graph, node, tensor;
static twi_onnx_import made;

static int start(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx);
}

static int stop(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static tw_status read_model(void)
{
    const twi_onnx_opts opts = {0};
    made = (twi_onnx_import){0};
    return twi_onnx_read(ctx, "m.onnx", model.at, model.n, &opts, &made);
}

/* The operators of what is made of the model, which stays in `made`. */
static void becomes(const char *wanted)
{
    char said[1024] = "";
    if (read_model() != TW_OK) fail_msg("%s", tw_last_error(ctx));
    for (size_t i = 1; i < made.network->n; i++) {
        strcat(said, i > 1 ? " " : "");
        strcat(said, twi_op_name(made.network->nodes[i].op));
    }
    assert_string_equal(said, wanted);
}

static void refused(const char *words)
{
    const tw_status st = read_model();
    twi_onnx_import_free(&made);
    if (st != TW_ERR_UNSUPPORTED) fail_msg("%s: %s", tw_status_name(st), tw_last_error(ctx));
    if (!strstr(tw_last_error(ctx), words))
        fail_msg("\"%s\" lacks \"%s\"", tw_last_error(ctx), words);
}

static const twi_node *node_at(size_t i)
{
    return &made.network->nodes[i];
}

static float value_at(const twi_node *of, int param, size_t i)
{
    return ((const float *)of->params[param]->data)[i];
}

static void begin(void)
{
    graph.n = 0;
    add_picture(&graph, 8);
}

static void finish(const char *output, int64_t opset)
{
    put_message(&graph, 1, &node);
    add_output(&graph, output);
    finish_model(&model, &graph, opset);
}

/* ---- windows and branches ---------------------------------------------------------------------
 */

static void windows_are_joined(void **state)
{
    (void)state;
    make_windows(&model);
    becomes("conv roll window_partition dense dense dense attention dense window_reverse roll "
            "tokens");
    assert_int_equal(node_at(2)->shift[0], -2);
    assert_int_equal(node_at(2)->shift[1], -2);
    assert_int_equal(node_at(10)->shift[0], 2);
    assert_int_equal(node_at(10)->shift[1], 2);
    const twi_node *a = node_at(7);
    assert_int_equal(a->heads, 2);
    assert_int_equal(a->tokens, 16);
    assert_true(a->scale == 0.5);
    /* the numbers of add_floats(): 0.25 (i % 7) - 0.5 of the table's and the mask's element i */
    const size_t bias = 256 + 16 * 3 + 5, mask = 3 * 256 + 16 * 7 + 2;
    assert_true(value_at(a, TWI_PARAM_ATTENTION_BIAS, bias) == 0.25f * (float)(bias % 7) - 0.5f);
    assert_true(value_at(a, TWI_PARAM_ATTENTION_MASK, mask) == 0.25f * (float)(mask % 7) - 0.5f);
    /* k: rows 4 to 7 of [4, 12] transposed; row 5 is column 5 */
    const twi_node *k = node_at(5);
    assert_true(value_at(k, TWI_PARAM_WEIGHT, 4 + 2) == 0.25f * (float)((2 * 12 + 5) % 7) - 0.5f);
    assert_true(value_at(k, TWI_PARAM_BIAS, 1) == 0.25f * (float)(5 % 7) - 0.5f);
    twi_onnx_import_free(&made);
}

static void the_branch_taken_is_read(void **state)
{
    (void)state;
    make_branches(&model, 8);
    becomes("relu clip");
    twi_onnx_import_free(&made);
    make_branches(&model, 7);
    refused("node boxes (NonMaxSuppression): is not read");
    begin();
    start_node(&node, "If", "picture", "features");
    finish("features", 16);
    refused("input 0, picture, depends on the picture; it must be known");
}

/* Ifs within Ifs, each the other's only node. */
static void branches_end_somewhere(void **state)
{
    (void)state;
    static message inside, outside;
    inside.n = 0;
    add_node(&inside, "Relu", "picture", "deep");
    add_output(&inside, "deep");
    for (int i = 0; i < 6; i++) {
        char out[8];
        snprintf(out, sizeof out, "y%d", i);
        start_node(&node, "If", "yes", out);
        attribute_graph(&node, "then_branch", &inside);
        outside.n = 0;
        put_message(&outside, 1, &node);
        add_output(&outside, out);
        inside = outside;
    }
    begin();
    add_ints(&graph, "yes", 1, (const int64_t[]){1});
    finish("y5", 16);
    refused("more than 4 within each other");
}

/* ---- other words for what is known ------------------------------------------------------------
 */

static void norms_of_newer_opsets(void **state)
{
    (void)state;
    const int64_t eight[] = {8}, three[] = {3}, one[] = {1};
    begin();
    add_floats(&graph, "gamma", 1, eight);
    start_node(&node, "LayerNormalization", "picture gamma", "features");
    attribute_float(&node, "epsilon", 0.5f);
    finish("features", 17);
    becomes("reshape layer_norm");
    assert_true(node_at(2)->epsilon == 0.5);
    twi_onnx_import_free(&made);
    for (int64_t opset = 18; opset <= 21; opset += 3) { /* a number a group, then one a channel */
        begin();
        add_floats(&graph, "gamma", 1, opset == 18 ? one : three);
        add_floats(&graph, "beta", 1, opset == 18 ? one : three);
        start_node(&node, "GroupNormalization", "picture gamma beta", "features");
        attribute_int(&node, "num_groups", 1);
        finish("features", opset);
        becomes("group_norm");
        assert_true(value_at(node_at(1), TWI_PARAM_SCALE, 2) == (opset == 18 ? -0.5f : 0.0f));
        twi_onnx_import_free(&made);
    }
    begin();
    add_floats(&graph, "three", 1, three);
    start_node(&node, "BatchNormalization", "picture three three three three", "features");
    attribute_int(&node, "training_mode", 1);
    finish("features", 15);
    refused("training_mode");
}

static void functions_of_newer_opsets(void **state)
{
    (void)state;
    begin();
    start_node(&node, "Gelu", "picture", "features");
    attribute_text(&node, "approximate", "tanh");
    finish("features", 20);
    becomes("gelu_tanh");
    twi_onnx_import_free(&made);
    begin();
    start_node(&node, "Mish", "picture", "features");
    finish("features", 18);
    becomes("mish");
    twi_onnx_import_free(&made);
}

static void axes_as_inputs(void **state)
{
    (void)state;
    const int64_t last[] = {-1}, pads[] = {1, 2}, channel[] = {1};
    begin();
    add_ints(&graph, "axes", 1, last);
    start_node(&node, "ReduceMean", "picture axes", "features");
    finish("features", 18);
    becomes("reshape reduce_mean flatten");
    twi_onnx_import_free(&made);
    begin();
    start_node(&node, "ReduceMax", "picture", "features");
    attribute_int(&node, "noop_with_empty_axes", 1);
    finish("features", 18);
    assert_int_equal(read_model(), TW_OK);
    assert_int_equal(made.network->n, 1);
    twi_onnx_import_free(&made);
    begin();
    add_ints(&graph, "axes", 1, last);
    add_ints(&graph, "pads", 2, pads);
    start_node(&node, "Pad", "picture pads  axes", "features");
    finish("features", 18);
    becomes("pad");
    assert_int_equal(node_at(1)->window.pad_begin[1], 1);
    assert_int_equal(node_at(1)->window.pad_end[1], 2);
    twi_onnx_import_free(&made);
    begin();
    add_ints(&graph, "axes", 1, channel);
    add_ints(&graph, "pads", 2, pads);
    start_node(&node, "Pad", "picture pads  axes", "features");
    finish("features", 18);
    refused("pads that are not of height and width");
}

/* A map that comes as rows of its pixels is padded as what it is, not as one with channels last. */
static void pads_of_rows(void **state)
{
    (void)state;
    const int64_t rows[] = {1, 24, 8}, matrix[] = {8, 8}, map[] = {1, 3, 8, 8};
    for (size_t axis = 1; axis < 4; axis++) {
        int64_t pads[8] = {0};
        begin();
        add_floats(&graph, "w", 2, matrix);
        add_reshape(&graph, "picture", 3, rows, "r");
        add_node(&graph, "MatMul", "r w", "d");
        add_reshape(&graph, "d", 4, map, "m");
        pads[axis] = 1;
        add_ints(&graph, "pads", 8, pads);
        start_node(&node, "Pad", "m pads", "features");
        finish("features", 13);
        becomes(axis == 3 ? "reshape dense reshape pad" : "reshape dense map pad tokens");
        assert_int_equal(node_at(4)->window.pad_begin[axis == 1 ? 0 : 1], 1);
        twi_onnx_import_free(&made);
    }
}

static void splits_that_do_not_come_out_even(void **state)
{
    (void)state;
    begin();
    start_node(&node, "Split", "picture", "features rest");
    attribute_int(&node, "axis", 1);
    attribute_int(&node, "num_outputs", 2);
    finish("features", 18);
    becomes("slice");
    assert_int_equal(node_at(1)->stop, 2);
    twi_onnx_import_free(&made);
}

static void resizes_of_newer_opsets(void **state)
{
    (void)state;
    const int64_t axes[] = {2, 3}, sizes[] = {16, 4};
    for (int i = 0; i < 3; i++) {
        begin();
        add_ints(&graph, "sizes", 2, sizes);
        start_node(&node, "Resize", "picture   sizes", "features");
        attribute_ints(&node, "axes", 2, axes);
        attribute_text(&node, "mode", "linear");
        if (i == 1) attribute_int(&node, "antialias", 1);
        if (i == 2) attribute_text(&node, "keep_aspect_ratio_policy", "not_larger");
        finish("features", 18);
        if (i == 1) refused("half_pixel, round_prefer_floor, with antialias is not read");
        if (i == 2) refused("keep_aspect_ratio_policy not_larger; stretch is read");
        if (i > 0) continue;
        becomes("resize");
        assert_int_equal(node_at(1)->size[0], 16);
        assert_int_equal(node_at(1)->size[1], 4);
        twi_onnx_import_free(&made);
    }
}

/* Known numbers times the picture, as many as come out of `node`. */
static const float *known(int64_t opset)
{
    put_message(&graph, 1, &node);
    start_node(&node, "Mul", "picture known", "features");
    finish("features", opset);
    becomes("mul_constant");
    return node_at(1)->params[TWI_PARAM_VALUE]->data;
}

/* Of [0, 1; 2, 3], which is 2 y + x: so is what comes out, each axis having been sampled alike. */
static void known_numbers_are_resized(void **state)
{
    (void)state;
    const float square[] = {0, 1, 2, 3};
    const int64_t dims[] = {1, 1, 2, 2}, sizes[] = {1, 1, 8, 8};
    const struct {
        const char *mode, *where;
        double corner, second; /* at [0, 0] and [0, 1] of 8 x 8 */
    } cases[] = {{"linear", "half_pixel", 0.0, 0.0},
                 {"linear", "align_corners", 0.0, 1.0 / 7.0},
                 {"linear", "asymmetric", 0.0, 0.25},
                 {"nearest", "half_pixel", 0.0, 0.0},
                 {"cubic", "align_corners", 0.0, -1.0}};
    for (size_t i = 0; i < TWI_LEN(cases); i++) {
        begin();
        start_tensor(&tensor, "square", 1, 4, dims);
        put_bytes(&tensor, 9, square, sizeof square);
        put_message(&graph, 5, &tensor);
        add_ints(&graph, "sizes", 4, sizes);
        start_node(&node, "Resize", "square   sizes", "known");
        attribute_text(&node, "mode", cases[i].mode);
        attribute_text(&node, "coordinate_transformation_mode", cases[i].where);
        const float *got = known(13);
        assert_true(fabs((double)got[0] - cases[i].corner) < 1e-6);
        assert_true(got[63] == 3.0f || strcmp(cases[i].where, "asymmetric") == 0);
        if (cases[i].second >= 0) assert_true(fabs((double)got[1] - cases[i].second) < 1e-6);
        for (int y = 0; y < 8; y++) /* f(y, x) = 2 g(y) + g(x) */
            for (int x = 0; x < 8; x++)
                assert_true(fabs((double)(got[8 * y + x] - got[8 * y] - got[x] + got[0])) < 1e-5);
        twi_onnx_import_free(&made);
    }
}

static void weights_in_other_types(void **state)
{
    (void)state;
    const int64_t dims[] = {3, 1, 1};
    begin();
    start_tensor(&tensor, "w", 16, 3, dims); /* bfloat16: 1, 2, -0.5 */
    put_bytes(&tensor, 9, "\200\077\000\100\000\277", 6);
    put_message(&graph, 5, &tensor);
    start_node(&node, "Cast", "w", "known");
    attribute_int(&node, "to", 1);
    const float *got = known(13);
    assert_true(got[0] == 1.0f && got[1] == 2.0f && got[2] == -0.5f);
    twi_onnx_import_free(&made);
    for (int type = 21; type <= 22; type++) { /* UINT4, INT4 */
        begin();
        start_tensor(&tensor, "w", type, 3, dims);
        put_bytes(&tensor, 9, "\21\1", 2);
        put_message(&graph, 5, &tensor);
        start_node(&node, "Mul", "picture w", "features");
        finish("features", 21);
        refused("tensor w holds integers of 4 bits; 8 to 64 are read");
    }
}

static void quantised_by_channel(void **state)
{
    (void)state;
    const int64_t dims[] = {3, 1, 1}, three[] = {3};
    for (int blocks = 0; blocks < 2; blocks++) {
        begin();
        start_tensor(&tensor, "w", 3, 3, dims);
        put_bytes(&tensor, 9, "\1\2\377", 3);
        put_message(&graph, 5, &tensor);
        start_tensor(&tensor, "zero", 3, 1, three);
        put_bytes(&tensor, 9, "\0\1\1", 3);
        put_message(&graph, 5, &tensor);
        add_floats(&graph, "scale", 1, three); /* -0.5, -0.25, 0 */
        start_node(&node, "DequantizeLinear", "w scale zero", "known");
        attribute_int(&node, "axis", 0);
        if (blocks) attribute_int(&node, "block_size", 2);
        if (blocks) {
            put_message(&graph, 1, &node);
            start_node(&node, "Mul", "picture known", "features");
            finish("features", 21);
            refused("scales of blocks");
            continue;
        }
        const float *got = known(13);
        assert_true(got[0] == -0.5f && got[1] == -0.25f && got[2] == 0.0f);
        twi_onnx_import_free(&made);
    }
}

/* ---- axes --------------------------------------------------------------------------------------
 */

static void channels_turned_round(void **state)
{
    (void)state;
    const int64_t minus[] = {-1}, least[] = {INT64_MIN + 1}, one[] = {1};
    begin();
    add_ints(&graph, "start", 1, minus);
    add_ints(&graph, "end", 1, least);
    add_ints(&graph, "axis", 1, one);
    start_node(&node, "Slice", "picture start end axis start", "features");
    finish("features", 13);
    becomes("slice slice slice concat");
    assert_int_equal(node_at(1)->start, 2);
    assert_int_equal(node_at(3)->start, 0);
    assert_int_equal(node_at(4)->axis, 0);
    twi_onnx_import_free(&made);
}

static void convolutions_over_one_axis(void **state)
{
    (void)state;
    const int64_t kernel[] = {4, 3, 3}, shape[] = {1, 3, 64}, pads[] = {1, 0}, stride[] = {2};
    begin();
    add_floats(&graph, "w", 3, kernel);
    add_reshape(&graph, "picture", 3, shape, "line");
    start_node(&node, "Conv", "line w", "c");
    attribute_ints(&node, "pads", 2, pads);
    attribute_ints(&node, "strides", 1, stride);
    put_message(&graph, 1, &node);
    start_node(&node, "MaxPool", "c", "features");
    attribute_ints(&node, "kernel_shape", 1, stride);
    finish("features", 13);
    becomes("reshape conv max_pool");
    const twi_window *w = &node_at(2)->window;
    assert_true(w->kernel[0] == 1 && w->kernel[1] == 3 && w->stride[0] == 1 && w->stride[1] == 2);
    assert_true(w->pad_begin[0] == 0 && w->pad_begin[1] == 1 && w->pad_end[1] == 0);
    twi_onnx_import_free(&made);
}

static void sums_over_letters(void **state)
{
    (void)state;
    const int64_t shape[] = {1, 2, 6, 16};
    const struct {
        const char *equation, *outcome; /* operators, or words of what is said */
        bool fine;
    } cases[] = {{"bhid,bhjd->bhij", "reshape matmul", true},
                 {" ...id, ...jd -> ...ij", "reshape matmul", true},
                 {"bhid,bhdj->bhij", "values that do not fit", false},
                 {"bhid,bhjd->bhji", "products of stacks of matrices are read", false},
                 {"bhid,bhid->bhi", "products of stacks of matrices are read", false},
                 {"bhii,bhii->bhii", "products of stacks of matrices are read", false},
                 {"abcdefghij,abcdefghij->a", "products of stacks of matrices are read", false},
                 {"bhid,bhjd", "products of stacks of matrices are read", false},
                 {"", "products of stacks of matrices are read", false}};
    for (size_t i = 0; i < TWI_LEN(cases); i++) {
        begin();
        add_reshape(&graph, "picture", 4, shape, "x");
        start_node(&node, "Einsum", "x x", "features");
        attribute_text(&node, "equation", cases[i].equation);
        finish("features", 13);
        if (!cases[i].fine) refused(cases[i].outcome);
        if (cases[i].fine) becomes(cases[i].outcome);
        twi_onnx_import_free(&made);
    }
}

/* Whatever is turned over: a network, or a sentence. */
static void damage_is_survived(void **state)
{
    (void)state;
    static message whole;
    for (int m = 0; m < 2; m++) {
        if (m == 0)
            make_branches(&whole, 8);
        else
            make_windows(&whole);
        for (size_t n = 0; n < whole.n; n++) {
            memcpy(model.at, whole.at, whole.n);
            model.n = whole.n;
            model.at[n] = whole.at[n] ^ (unsigned char)(1 << n % 8);
            if (read_model() != TW_OK) assert_true(tw_last_error(ctx)[0]);
            twi_onnx_import_free(&made);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_joined),
        cmocka_unit_test(the_branch_taken_is_read),
        cmocka_unit_test(branches_end_somewhere),
        cmocka_unit_test(norms_of_newer_opsets),
        cmocka_unit_test(functions_of_newer_opsets),
        cmocka_unit_test(axes_as_inputs),
        cmocka_unit_test(pads_of_rows),
        cmocka_unit_test(splits_that_do_not_come_out_even),
        cmocka_unit_test(resizes_of_newer_opsets),
        cmocka_unit_test(known_numbers_are_resized),
        cmocka_unit_test(weights_in_other_types),
        cmocka_unit_test(quantised_by_channel),
        cmocka_unit_test(channels_turned_round),
        cmocka_unit_test(convolutions_over_one_axis),
        cmocka_unit_test(sums_over_letters),
        cmocka_unit_test(damage_is_survived),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
