/* onnx_test.c - ONNX models: what they become, and what is said of those that cannot be read. */
#include "importer/onnx/onnx.h"
#include "onnx_bytes.h"
#include "testing.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static tw_ctx *ctx;
static message model, graph, node;

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

static tw_status read_as(const char *path, const char *feature, twi_onnx_import *out)
{
    const twi_onnx_opts opts = {.feature = feature};
    *out = (twi_onnx_import){0};
    return twi_onnx_read(ctx, path, model.at, model.n, &opts, out);
}

static void expect_ops(const twi_network *network, const char *wanted)
{
    char said[1024] = "";
    for (size_t i = 1; i < network->n; i++) {
        strcat(said, i > 1 ? " " : "");
        strcat(said, twi_op_name(network->nodes[i].op));
    }
    assert_string_equal(said, wanted);
}

static void refused(tw_status status, const char *words)
{
    twi_onnx_import made;
    const tw_status st = read_as("m.onnx", NULL, &made);
    if (st != status) fail_msg("%s: %s", tw_status_name(st), tw_last_error(ctx));
    if (!strstr(tw_last_error(ctx), words))
        fail_msg("\"%s\" lacks \"%s\"", tw_last_error(ctx), words);
}

/* ---- what becomes of a model ------------------------------------------------------------------
 */

static void a_classifier_is_found(void **state)
{
    (void)state;
    twi_onnx_import made;
    make_classifier(&model);
    assert_int_equal(read_as("m.onnx", NULL, &made), TW_OK);
    expect_ops(made.network, "conv relu global_avg_pool dense");
    assert_string_equal(made.network->nodes[made.network->feature].name, "r");
    assert_string_equal(made.network->nodes[made.network->logits].name, "scores");
    assert_string_equal(made.network->weights.items[0].name, "c.weight");
    assert_string_equal(made.recipe,
                        "{\"height\":8,\"width\":8,\"geometry\":\"crop\",\"short_side\":9,"
                        "\"resize\":\"bilinear\",\"decode\":\"rgb\",\"exif\":true,"
                        "\"fast_decode\":false,\"channels\":\"bgr\",\"scale\":1,"
                        "\"mean\":[1,2,3],\"std\":[4,4,4]}");
    twi_onnx_import_free(&made);
}

static void a_feature_can_be_named(void **state)
{
    (void)state;
    twi_onnx_import made;
    make_classifier(&model);
    assert_int_equal(read_as("m.onnx", "c", &made), TW_OK);
    expect_ops(made.network, "conv");
    assert_int_equal(made.network->logits, TWI_NO_NODE);
    twi_onnx_import_free(&made);
    assert_int_equal(read_as("m.onnx", "scores", &made), TW_OK);
    expect_ops(made.network, "conv relu global_avg_pool dense");
    twi_onnx_import_free(&made);
    assert_int_equal(read_as("m.onnx", "score", &made), TW_ERR_ARG);
    assert_non_null(strstr(tw_last_error(ctx), "no node or value is called score"));
    assert_non_null(strstr(tw_last_error(ctx), "the nearest is scores"));
    assert_int_equal(read_as("m.onnx", "shape", &made), TW_ERR_ARG);
}

static void functions_are_joined_again(void **state)
{
    (void)state;
    twi_onnx_import made;
    make_patterns(&model);
    assert_int_equal(read_as("m.onnx", NULL, &made), TW_OK);
    expect_ops(made.network, "tokens layer_norm gelu silu hard_swish");
    const twi_node *norm = &made.network->nodes[2];
    assert_non_null(norm->params[TWI_PARAM_SCALE]);
    assert_non_null(norm->params[TWI_PARAM_SHIFT]);
    assert_true(norm->epsilon > 0.99e-5 && norm->epsilon < 1.01e-5);
    twi_onnx_import_free(&made);
}

static void attention_is_one_operator(void **state)
{
    (void)state;
    twi_onnx_import made;
    make_attention(&model);
    assert_int_equal(read_as("m.onnx", NULL, &made), TW_OK);
    expect_ops(made.network, "reshape dense dense dense attention");
    const twi_node *attention = &made.network->nodes[5];
    assert_int_equal(attention->heads, 2);
    assert_true(attention->scale == 0.25);
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(attention->inputs[i], i + 2);
    twi_onnx_import_free(&made);
}

static void moves_are_moved(void **state)
{
    (void)state;
    twi_onnx_import made;
    make_moves(&model);
    assert_int_equal(read_as("m.onnx", NULL, &made), TW_OK);
    expect_ops(made.network,
               "slice pad conv clip max_pool slice slice concat resize tokens reshape matmul");
    const twi_network *n = made.network;
    const twi_node *clip = &n->nodes[4];
    assert_true(clip->low < -0.1499 && clip->low > -0.1501);
    assert_true(clip->high > 12.599 && clip->high < 12.601);
    const float *w = n->nodes[3].params[0]->data; /* -1 and -2 at the end, times 0.05 */
    assert_true(w[0] == 1.0f * 0.05f && w[5] == -2.0f * 0.05f);
    twi_onnx_import_free(&made);
}

/* [a, b, c, d, e] in every order, by moves of three axes: shapes must come out right; which element
 * goes where is what parity_onnx.py tests on transformers. */
static void every_order_of_axes_can_be_had(void **state)
{
    (void)state;
    int64_t perm[5];
    for (int code = 0; code < 3125; code++) {
        bool seen[5] = {false}, fine = true;
        for (int d = 0, left = code; d < 5; d++, left /= 5) {
            perm[d] = left % 5;
            fine = fine && !seen[perm[d]];
            seen[perm[d]] = true;
        }
        if (!fine) continue;
        twi_onnx_import made;
        const int64_t shape[] = {3, 2, 2, 4, 1};
        graph.n = 0;
        add_picture(&graph, 4);
        add_ints(&graph, "shape", 5, shape);
        add_node(&graph, "Reshape", "picture shape", "x");
        start_node(&node, "Transpose", "x", "features");
        attribute_ints(&node, "perm", 5, perm);
        put_message(&graph, 1, &node);
        add_output(&graph, "features");
        finish_model(&model, &graph, 13);
        assert_int_equal(read_as("m.onnx", NULL, &made), TW_OK);
        twi_onnx_import_free(&made);
    }
}

/* ---- what is refused ----------------------------------------------------------------------------
 */

static void start_graph(void)
{
    graph.n = 0;
    add_picture(&graph, 8);
}

static void finish_graph(const char *output)
{
    add_output(&graph, output);
    finish_model(&model, &graph, 13);
}

static void all_unknown_operators_are_named_at_once(void **state)
{
    (void)state;
    start_graph();
    add_node(&graph, "NonMaxSuppression", "picture", "a");
    add_node(&graph, "Relu", "a", "b");
    add_node(&graph, "Loop", "b", "c");
    add_node(&graph, "TopK", "b", "unused");
    finish_graph("c");
    refused(TW_ERR_UNSUPPORTED,
            "m.onnx: 2 nodes are not read: NonMaxSuppression (node a), Loop (node c)");
}

static void what_contradicts_itself_is_refused(void **state)
{
    (void)state;
    const int64_t eight[] = {8, 3, 8, 8}, five[] = {5}, wide[] = {4, 9, 3, 3};
    start_graph();
    add_node(&graph, "Add", "picture b", "a");
    add_node(&graph, "Relu", "a", "b");
    finish_graph("b");
    refused(TW_ERR_UNSUPPORTED, "reads b, which is made only by itself or a later node");
    start_graph();
    add_node(&graph, "Relu", "nothing", "b");
    finish_graph("b");
    refused(TW_ERR_UNSUPPORTED, "reads nothing, which nothing makes");
    start_graph();
    add_node(&graph, "Relu", "picture", "b");
    add_node(&graph, "Relu", "picture", "b");
    finish_graph("b");
    refused(TW_ERR_FORMAT, "two layers are called b");
    graph.n = 0;
    add_port(&graph, 11, "picture", 4, eight);
    add_node(&graph, "Relu", "picture", "b");
    finish_graph("b");
    refused(TW_ERR_UNSUPPORTED, "of 8 pictures at once");
    start_graph();
    add_floats(&graph, "w", 4, wide);
    add_node(&graph, "Conv", "picture w", "b");
    finish_graph("b");
    refused(TW_ERR_FORMAT, "m.onnx: ");
    start_graph();
    add_floats(&graph, "five", 1, five);
    add_node(&graph, "Add", "picture five", "b");
    finish_graph("b");
    refused(TW_ERR_UNSUPPORTED, "axes of 8 and 5 elements");
    finish_model(&model, &graph, 22);
    refused(TW_ERR_UNSUPPORTED, "opset 22; 7 to 21 are read");
    finish_model(&model, &graph, 6);
    refused(TW_ERR_UNSUPPORTED, "opset 6; 7 to 21 are read");
    model.n = 0;
    put_int(&model, 1, 8);
    refused(TW_ERR_FORMAT, "holds 0 graphs");
}

static void absurd_sizes_are_refused(void **state)
{
    (void)state;
    static message t;
    const int64_t huge[] = {1 << 30, 1 << 30}, large[] = {1 << 30};
    start_graph();
    start_tensor(&t, "w", 1, 2, huge);
    put_bytes(&t, 9, "12345678", 8);
    put_message(&graph, 5, &t);
    add_node(&graph, "Relu", "picture", "b");
    finish_graph("b");
    refused(TW_ERR_FORMAT, "tensor w is larger than the file");
    start_graph();
    add_ints(&graph, "shape", 1, large);
    add_node(&graph, "ConstantOfShape", "shape", "c");
    add_node(&graph, "Add", "picture c", "b");
    finish_graph("b");
    refused(TW_ERR_UNSUPPORTED, "node c (ConstantOfShape): ");
}

/* 100,000 messages, each in the one before. */
static void depth_costs_no_stack(void **state)
{
    (void)state;
    enum { DEPTH = 100000, MOST = 6 * DEPTH };
    unsigned char *bytes = malloc(MOST);
    const twi_onnx_opts opts = {0};
    twi_onnx_import made = {0};
    size_t at = MOST;
    assert_non_null(bytes);
    for (int i = 0; i < DEPTH; i++) { /* from the innermost out: field 7, its size, itself */
        const size_t size = MOST - at;
        unsigned char head[8];
        size_t n = 0;
        head[n++] = 7 << 3 | 2;
        size_t left = size;
        for (; left > 127; left >>= 7) head[n++] = (unsigned char)(left | 128);
        head[n++] = (unsigned char)left;
        at -= n;
        memcpy(bytes + at, head, n);
    }
    assert_int_not_equal(twi_onnx_read(ctx, "m.onnx", bytes + at, MOST - at, &opts, &made), TW_OK);
    free(bytes);
}

/* Whatever is cut off or turned over: a network, or a sentence. */
static void damage_is_survived(void **state)
{
    (void)state;
    static message whole;
    void (*const makes[])(message *) = {make_classifier, make_patterns, make_moves, make_attention};
    for (size_t m = 0; m < TWI_LEN(makes); m++) {
        makes[m](&whole);
        for (size_t n = 0; n < whole.n; n++) {
            twi_onnx_import made;
            memcpy(model.at, whole.at, whole.n);
            model.n = n;
            if (read_as("m.onnx", NULL, &made) != TW_OK) assert_true(tw_last_error(ctx)[0]);
            twi_onnx_import_free(&made);
            model.n = whole.n;
            for (int bit = 0; bit < 8; bit++) {
                model.at[n] = whole.at[n] ^ (unsigned char)(1 << bit);
                if (read_as("m.onnx", NULL, &made) != TW_OK) assert_true(tw_last_error(ctx)[0]);
                twi_onnx_import_free(&made);
            }
        }
    }
}

/* ---- numbers in a file beside the model
 * ----------------------------------------------------------- */

static void external(const char *location, const char *offset)
{
    static message t, entry;
    const int64_t dims[] = {3, 1, 1};
    start_graph();
    start_tensor(&t, "w", 1, 3, dims);
    const char *const keys[] = {"location", "offset", "length"};
    const char *const values[] = {location, offset, "12"};
    for (size_t i = 0; i < 3; i++) {
        entry.n = 0;
        put_text(&entry, 1, keys[i]);
        put_text(&entry, 2, values[i]);
        put_message(&t, 13, &entry);
    }
    put_int(&t, 14, 1);
    put_message(&graph, 5, &t);
    add_node(&graph, "Mul", "picture w", "b");
    finish_graph("b");
}

static void numbers_may_lie_beside_the_model(void **state)
{
    (void)state;
    char folder[] = "/tmp/topwork-onnx-XXXXXX", path[128], data[128], link[128];
    const float values[] = {9.0f, 1.0f, 2.0f, 3.0f};
    twi_onnx_import made;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    snprintf(data, sizeof data, "%s/m.data", folder);
    snprintf(link, sizeof link, "%s/link", folder);
    FILE *file = fopen(data, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(values, sizeof *values, 4, file), 4);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(symlink("/etc/hostname", link), 0);
    external("m.data", "4");
    assert_int_equal(read_as(path, NULL, &made), TW_OK);
    const float *w = made.network->nodes[1].params[0]->data;
    assert_true(w[0] == 1.0f && w[1] == 2.0f && w[2] == 3.0f);
    twi_onnx_import_free(&made);
    static const struct {
        const char *location, *offset, *words;
    } bad[] = {{"../m.data", "0", "outside the model's folder"},
               {"a/../../m.data", "0", "outside the model's folder"},
               {"/etc/passwd", "0", "outside the model's folder"},
               {"link", "0", "behind a symbolic link"},
               {"m.data", "8", "beyond the end of the file"},
               {"m.data", "18446744073709551615", "is damaged where it says"},
               {"nowhere", "0", "No such file"}};
    for (size_t i = 0; i < TWI_LEN(bad); i++) {
        external(bad[i].location, bad[i].offset);
        assert_int_not_equal(read_as(path, NULL, &made), TW_OK);
        if (!strstr(tw_last_error(ctx), bad[i].words))
            fail_msg("\"%s\" lacks \"%s\"", tw_last_error(ctx), bad[i].words);
    }
    unlink(data);
    unlink(link);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_classifier_is_found),
        cmocka_unit_test(a_feature_can_be_named),
        cmocka_unit_test(functions_are_joined_again),
        cmocka_unit_test(attention_is_one_operator),
        cmocka_unit_test(moves_are_moved),
        cmocka_unit_test(every_order_of_axes_can_be_had),
        cmocka_unit_test(all_unknown_operators_are_named_at_once),
        cmocka_unit_test(what_contradicts_itself_is_refused),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(depth_costs_no_stack),
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(numbers_may_lie_beside_the_model),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
