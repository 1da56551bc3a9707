/* keras_test.c - Keras HDF5: names, layouts, and files in the published layouts (keras_files.py
 * makes them). */
#include "foreign.h"
#include "importer/keras.h"
#include "importer/order.h"

static tw_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove();
    tw_ctx_free(ctx);
    return 0;
}

static const char *golden(const char *name)
{
    static char path[4096];
    const char *folder = getenv("TOPWORK_GOLDEN");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "golden", name);
    return path;
}

static void parts_are_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *layer, *weight, *part;
    } rows[] = {
        {"block1_conv1", "block1_conv1_W_1:0", "weight"},
        {"block1_conv1", "block1_conv1_b_1:0", "bias"},
        {"block1_conv1", "block1_conv1/kernel:0", "weight"},
        {"block1_conv1", "block1_conv1/bias:0", "bias"},
        {"fc1", "fc1/kernel", "weight"},
        {"fc1", "fc1_W:0", "weight"},
        {"a", "model/a/kernel_12:0", "weight"},
        {"bn", "bn/gamma:0", "weight"},
        {"bn", "bn/beta:0", "bias"},
        {"bn", "bn/moving_mean:0", "running_mean"},
        {"bn", "bn/moving_variance:0", "running_var"},
        {"bn", "bn_running_std_2:0", "running_var"},
        {"a", "a/depthwise_kernel:0", "weight"},
        {"a", "a/pointwise_kernel:0", "pointwise.weight"},
        {"normalization", "mean:0", "running_mean"},
        {"a", "a/recurrent_kernel:0", NULL},
        {"a", "", NULL},
        {"a", "/", NULL},
        {"a", "_1", NULL},
        {"", "kernel", "weight"},
    };
    for (size_t i = 0; i < TWI_LEN(rows); i++) {
        const char *part = twi_keras_part(rows[i].layer, rows[i].weight);
        if (!part || !rows[i].part)
            assert_ptr_equal(part, rows[i].part);
        else
            assert_string_equal(part, rows[i].part);
    }
}

static void nested_layers_are_told_apart(void **state)
{
    (void)state;
    const char *const one[] = {"a/kernel:0", "a/bias:0"}, *const keras1[] = {"a_W:0", "a_b:0"};
    const char *const two[] = {"a/conv/kernel:0", "a/norm/gamma:0"};
    char owner[8];
    assert_false(twi_keras_is_nested(one, 2));
    assert_false(twi_keras_is_nested(keras1, 2));
    assert_false(twi_keras_is_nested(NULL, 0));
    assert_true(twi_keras_is_nested(two, 2));
    assert_true(twi_keras_owner(two[1], owner, sizeof owner));
    assert_string_equal(owner, "norm");
    assert_false(twi_keras_owner("kernel:0", owner, sizeof owner));
    assert_false(twi_keras_owner("much too long/kernel:0", owner, sizeof owner));
    assert_true(twi_keras_is_count("normalization/count:0"));
    assert_true(twi_keras_is_count("count_3:0"));
    assert_false(twi_keras_is_count("normalization/mean:0"));
}

/* Against the definition, with sides below, at and above a tile. */
static void kernels_are_turned_about(void **state)
{
    (void)state;
    static const size_t shapes[][4] = {{1, 1, 1, 1}, {3, 3, 3, 2}, {3, 2, 33, 32}, {1, 1, 65, 31}};
    for (size_t s = 0; s < TWI_LEN(shapes); s++) {
        const size_t h = shapes[s][0], w = shapes[s][1], in = shapes[s][2], out = shapes[s][3];
        const size_t n = h * w * in * out;
        size_t dims[4];
        float *src = malloc(n * sizeof *src), *dst = malloc(n * sizeof *dst);
        assert_true(src && dst);
        for (size_t k = 0; k < n; k++) src[k] = (float)k;
        assert_true(twi_keras_dims(4, shapes[s], dims));
        assert_true(dims[0] == out && dims[1] == in && dims[2] == h && dims[3] == w);
        twi_keras_reorder(src, 4, shapes[s], dst);
        for (size_t y = 0; y < h; y++)
            for (size_t x = 0; x < w; x++)
                for (size_t i = 0; i < in; i++)
                    for (size_t o = 0; o < out; o++)
                        assert_true(dst[((o * in + i) * h + y) * w + x] ==
                                    src[((y * w + x) * in + i) * out + o]);
        twi_keras_reorder(src, 2, (size_t[]){h * w * in, out}, dst);
        for (size_t i = 0; i < h * w * in; i++)
            for (size_t o = 0; o < out; o++)
                assert_true(dst[o * h * w * in + i] == src[i * out + o]);
        free(src);
        free(dst);
    }
    assert_false(twi_keras_dims(3, shapes[0], (size_t[4]){0}));
}

/* Value k of array number of the file: formula() of keras_files.py. */
static float formula(size_t k, size_t number)
{
    return (float)((k * 7 + number * 13) % 101) / 64.0f - 0.75f;
}

/* Every weight of out.tw, from the file order of layers. */
static void expect_values(const char *const *layers, size_t n)
{
    twi_bundle *bundle;
    assert_int_equal(twi_bundle_open(ctx, scratch("out.tw"), "backbone", &bundle), TW_OK);
    const twi_tensors *all = twi_bundle_tensors(bundle);
    assert_int_equal(all->n, 2 * n);
    for (size_t l = 0; l < n; l++) {
        char name[96];
        snprintf(name, sizeof name, "%s.weight", layers[l]);
        const twi_tensor *t = twi_tensors_find(all, name);
        assert_non_null(t);
        const float *values = t->data;
        const size_t out = t->dims[0], in = t->dims[1];
        const size_t taps = t->rank == 4 ? t->dims[2] * t->dims[3] : 1;
        for (size_t k = 0; k < t->count; k++) {
            const size_t o = k / (in * taps), i = k / taps % in, tap = k % taps;
            assert_true(values[k] == formula((tap * in + i) * out + o, 2 * l));
        }
        snprintf(name, sizeof name, "%s.bias", layers[l]);
        t = twi_tensors_find(all, name);
        assert_non_null(t);
        values = t->data;
        for (size_t k = 0; k < t->count; k++) assert_true(values[k] == formula(k, 2 * l + 1));
    }
    const twi_json *recipe = twi_json_get(twi_bundle_document(bundle), "recipe");
    assert_string_equal(twi_json_as_text(twi_json_get(recipe, "channels"), ""), "bgr");
    assert_string_equal(twi_json_as_text(twi_json_get(recipe, "geometry"), ""), "squash");
    assert_true(twi_json_as_number(twi_json_at(twi_json_get(recipe, "mean"), 0), 0) == 103.939);
    twi_bundle_free(bundle);
}

static const char *const vgg16_layers[] = {
    "block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2", "block3_conv1", "block3_conv2",
    "block3_conv3", "block4_conv1", "block4_conv2", "block4_conv3", "block5_conv1", "block5_conv2",
    "block5_conv3", "fc1",          "fc2",          "predictions"};

static void published_layouts_are_read(void **state)
{
    (void)state;
    const twi_import_opts opts = {.arch = "vgg16"};
    assert_int_equal(twi_import(ctx, golden("vgg16_keras1.h5"), &opts, scratch("out.tw")), TW_OK);
    expect_values(vgg16_layers, 13);
    /* Keras 2's names, variable-length and in pieces, under model_weights, compressed. */
    assert_int_equal(twi_import(ctx, golden("vgg16_top.h5"), &opts, scratch("out.tw")), TW_OK);
    expect_values(vgg16_layers, 16);
}

static void numbered_parts_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *group;
        size_t i, n;
        const char *part;
    } rows[] = {
        {"conv2d", 0, 2, "weight"},
        {"conv2d_12", 1, 2, "bias"},
        {"sequential_2/conv2d", 0, 1, "weight"},
        {"separable_conv2d_3", 1, 2, "pointwise.weight"},
        {"batch_normalization", 0, 4, "weight"},
        {"batch_normalization_9", 3, 4, "running_var"},
        {"batch_normalization_9", 0, 3, "bias"},
        {"batch_normalization", 0, 2, NULL},
        {"normalization", 2, 3, "count"},
        {"layer_scale_1", 0, 1, "weight"},
        {"conv2d", 4, 5, NULL},
        {"conv2d", 99, 100, NULL},
        {"conv2d_transpose", 0, 2, NULL},
        {"my_layer", 0, 1, NULL},
        {"", 0, 1, NULL},
    };
    for (size_t i = 0; i < TWI_LEN(rows); i++) {
        const char *part = twi_keras_numbered_part(rows[i].group, rows[i].i, rows[i].n);
        if (!part || !rows[i].part)
            assert_ptr_equal(part, rows[i].part);
        else
            assert_string_equal(part, rows[i].part);
    }
}

/* Names that n groups of one class get in arch; weights are of one value each. */
static void expect_order(const char *arch, size_t n, const char *const *names)
{
    twi_weights weights = {.numbered = true, .convention = TWI_KERAS};
    char name[96];
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, i == 0 ? "conv2d.weight" : "conv2d_%zu.weight", i);
        assert_int_equal(
            twi_tensors_add(ctx, &weights.tensors, name, TWI_F32, 1, (size_t[]){1}, NULL, NULL),
            TW_OK);
    }
    assert_int_equal(twi_keras_name_layers(ctx, twi_architecture_find(arch), &weights), TW_OK);
    assert_false(weights.numbered);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s.weight", names[i]);
        assert_string_equal(weights.tensors.items[i].name, name);
    }
    twi_weights_free(&weights);
}

/* What Keras's own summaries of these networks list, not what order.c makes of them. */
static void layers_come_in_keras_order(void **state)
{
    (void)state;
    static const char *const resnet[] = {
        "conv1_conv",          "conv2_block1_1_conv", "conv2_block1_2_conv", "conv2_block1_0_conv",
        "conv2_block1_3_conv", "conv2_block2_1_conv", "conv2_block2_2_conv", "conv2_block2_3_conv",
        "conv2_block3_1_conv", "conv2_block3_2_conv", "conv2_block3_3_conv", "conv3_block1_1_conv",
        "conv3_block1_2_conv", "conv3_block1_0_conv", "conv3_block1_3_conv"};
    static const char *const inception[] = {"conv2d",   "conv2d_1", "conv2d_2",  "conv2d_3",
                                            "conv2d_4", "conv2d_8", "conv2d_6",  "conv2d_9",
                                            "conv2d_5", "conv2d_7", "conv2d_10", "conv2d_11"};
    expect_order("resnet50", TWI_LEN(resnet), resnet);
    expect_order("inception_v3", TWI_LEN(inception), inception);
}

static void expect_refusal(const char *name, const char *arch, const char *words)
{
    const twi_import_opts opts = {.arch = arch};
    if (twi_import(ctx, golden(name), &opts, scratch("no.tw")) != TW_ERR_FORMAT ||
        !strstr(tw_last_error(ctx), words))
        fail_msg("%s: %s\nexpected ... %s", name, tw_last_error(ctx), words);
    assert_int_not_equal(access(scratch("no.tw"), F_OK), 0);
}

static void keras_3_is_read(void **state)
{
    (void)state;
    const twi_import_opts opts = {.arch = "vgg16"};
    static const char *const bare[] = {"vgg16_keras3.weights.h5", "vgg16_keras3_names.weights.h5"};
    for (size_t i = 0; i < TWI_LEN(bare); i++) {
        assert_int_equal(twi_import(ctx, golden(bare[i]), &opts, scratch("out.tw")), TW_OK);
        expect_values(vgg16_layers, 13);
    }
    assert_int_equal(twi_import(ctx, golden("vgg16_top.keras"), &opts, scratch("out.tw")), TW_OK);
    expect_values(vgg16_layers, 16);
}

static void keras_3_weights_are_named(void **state)
{
    (void)state;
    expect_refusal("vgg16_keras3_more.weights.h5", "vgg16",
                   "weight conv2d_13.weight and 1 more belong to no layer");
    expect_refusal("vgg16_keras3_bent.weights.h5", "vgg16",
                   "weight block2_conv1.weight is [3, 4, 3, 3]; need [any, 2, 3, 3]");
    expect_refusal("vgg16_keras3_names.weights.h5", "vgg19",
                   "weight block3_conv4.weight is missing");
    /* Of nameless ones the last are missing: here no width tells before. */
    expect_refusal("vgg16_keras3.weights.h5", "vgg19", "weight block5_conv2.weight is missing");
    expect_refusal("vgg16_keras3.weights.h5", "resnet50", "weight conv1_conv.weight is [");
    expect_refusal("vgg16_top.keras", "resnet50", "weight conv1_conv.weight is missing");
}

static void other_architectures_are_refused(void **state)
{
    (void)state;
    tw_status st = twi_import(ctx, golden("vgg16_keras1.h5"), &(twi_import_opts){.arch = "vgg19"},
                              scratch("no.tw"));
    assert_int_equal(st, TW_ERR_FORMAT);
    assert_non_null(strstr(tw_last_error(ctx), "weight block3_conv4.weight is missing"));
    st = twi_import(ctx, golden("vgg16_keras1.h5"), &(twi_import_opts){.arch = "resnet18"},
                    scratch("no.tw"));
    assert_int_equal(st, TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_last_error(ctx), "not from keras-hdf5"));
    assert_int_not_equal(access(scratch("no.tw"), F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_recognised),
        cmocka_unit_test(nested_layers_are_told_apart),
        cmocka_unit_test(kernels_are_turned_about),
        cmocka_unit_test(published_layouts_are_read),
        cmocka_unit_test(numbered_parts_are_known),
        cmocka_unit_test(layers_come_in_keras_order),
        cmocka_unit_test(keras_3_is_read),
        cmocka_unit_test(keras_3_weights_are_named),
        cmocka_unit_test(other_architectures_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
