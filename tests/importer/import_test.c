/* import_test.c - torchvision-named safetensors to backbone files. */
#include "foreign.h"

#include <math.h>

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

/* Writes list as in.safetensors, imports it to out.tw, frees list. */
static tw_status import_list(twi_tensors *list, const twi_import_opts *opts)
{
    char in[512], out[512];
    strcpy(in, scratch("in.safetensors"));
    strcpy(out, scratch("out.tw"));
    unlink(out);
    put_weights(in, list);
    twi_tensors_free(list);
    return twi_import(ctx, in, opts, out);
}

typedef struct opened { /* out.tw */
    twi_bundle *bundle;
    twi_network *network;
    const twi_json *document;
} opened;

static opened open_out(void)
{
    opened o = {0};
    twi_tensors weights = {0};
    assert_int_equal(twi_bundle_open(ctx, scratch("out.tw"), "backbone", &o.bundle), TW_OK);
    o.document = twi_bundle_document(o.bundle);
    const twi_tensors *all = twi_bundle_tensors(o.bundle);
    for (size_t i = 0; i < all->n; i++) {
        const twi_tensor *t = &all->items[i];
        if (strcmp(t->name, "labels") == 0) continue;
        assert_int_equal(
            twi_tensors_add(ctx, &weights, t->name, t->dtype, t->rank, t->dims, t->data, NULL),
            TW_OK);
    }
    assert_int_equal(twi_network_from_json(ctx, "out.tw", twi_json_get(o.document, "graph"),
                                           &weights, &o.network),
                     TW_OK);
    return o;
}

static void close_out(opened *o)
{
    twi_network_free(o->network);
    twi_bundle_free(o->bundle);
}

/* The features and the classes that come out at the recipe's own input size. */
static void expect_shapes(size_t channels, size_t side, size_t classes)
{
    opened o = open_out();
    const twi_json *recipe = twi_json_get(o.document, "recipe");
    twi_shape shapes[256];
    assert_true(o.network->n <= 256);
    assert_int_equal(
        twi_network_shapes(ctx, o.network,
                           (size_t)twi_json_as_integer(twi_json_get(recipe, "height"), 0),
                           (size_t)twi_json_as_integer(twi_json_get(recipe, "width"), 0), shapes),
        TW_OK);
    const twi_shape *feature = &shapes[o.network->feature];
    assert_int_equal(feature->rank, 3);
    assert_int_equal(feature->dims[0], channels);
    assert_int_equal(feature->dims[1], side);
    assert_int_equal(feature->dims[2], side);
    if (classes == 0)
        assert_int_equal(o.network->logits, TWI_NO_NODE);
    else
        assert_int_equal(shapes[o.network->logits].dims[0], classes);
    close_out(&o);
}

static void expect_error(tw_status st, tw_status expected, const char *words)
{
    if (st != expected || !strstr(tw_last_error(ctx), words))
        fail_msg("%s: %s\nexpected %s: ... %s", tw_status_name(st), tw_last_error(ctx),
                 tw_status_name(expected), words);
    assert_int_not_equal(access(scratch("out.tw"), F_OK), 0);
}

/* ---- architectures ------------------------------------------------------------------------- */

static void architectures_give_their_feature_maps(void **state)
{
    (void)state;
    static const struct row {
        const char *arch;
        size_t blocks[5];
        bool bottleneck;
    } resnets[] = {{"resnet18", {2, 2, 2, 2}, false},
                   {"resnet34", {3, 4, 6, 3}, false},
                   {"resnet50", {3, 4, 6, 3}, true},
                   {"resnet101", {3, 4, 23, 3}, true},
                   {"resnet152", {3, 8, 36, 3}, true}};
    for (size_t i = 0; i < TWI_LEN(resnets); i++) {
        twi_tensors list = {0};
        const twi_import_opts opts = {.arch = resnets[i].arch};
        add_resnet(&list, resnets[i].blocks, resnets[i].bottleneck, 7, 2, 3);
        assert_int_equal(import_list(&list, &opts), TW_OK);
        if (i < 3) expect_shapes(resnets[i].bottleneck ? 64 : 16, 7, 3);
    }
    twi_tensors list = {0};
    add_sapling(&list, 5);
    assert_int_equal(import_list(&list, &(twi_import_opts){.arch = "sapling"}), TW_OK);
    expect_shapes(32, 8, 5);
    add_vgg16(&list, 4);
    assert_int_equal(import_list(&list, &(twi_import_opts){.arch = "vgg16"}), TW_OK);
    expect_shapes(2, 7, 4);
    add_vgg16(&list, 0);
    assert_int_equal(import_list(&list, &(twi_import_opts){.arch = "vgg16"}), TW_OK);
    expect_shapes(2, 7, 0);
    add_squeezenet(&list, 6); /* ceil mode: 111, 55, 27, 13 */
    assert_int_equal(import_list(&list, &(twi_import_opts){.arch = "squeezenet1_1"}), TW_OK);
    expect_shapes(4, 13, 6);
}

static void weights_keep_names_and_values(void **state)
{
    (void)state;
    twi_tensors list = {0};
    add_sapling(&list, 5);
    put_weights(scratch("copy.safetensors"), &list);
    assert_int_equal(import_list(&list, &(twi_import_opts){.arch = "sapling", .name = "twig"}),
                     TW_OK);
    add_sapling(&list, 5);
    opened o = open_out();
    const twi_tensors *all = twi_bundle_tensors(o.bundle);
    assert_int_equal(all->n, list.n);
    size_t learned = 0;
    for (size_t i = 0; i < list.n; i++) {
        const twi_tensor *mine = &list.items[i], *t = twi_tensors_find(all, mine->name);
        assert_non_null(t);
        assert_int_equal(t->dtype, TWI_F32);
        assert_memory_equal(t->data, mine->data, mine->count * sizeof(float));
        if (!strstr(t->name, ".running_")) learned += t->count;
    }
    assert_string_equal(twi_json_as_text(twi_json_get(o.document, "name"), ""), "twig");
    assert_string_equal(twi_json_as_text(twi_json_get(o.document, "arch"), ""), "sapling");
    assert_int_equal(twi_json_as_integer(twi_json_get(o.document, "parameters"), 0), learned);
    const twi_json *source = twi_json_get(o.document, "source");
    assert_string_equal(twi_json_as_text(twi_json_get(source, "file"), ""), "in.safetensors");
    assert_string_equal(twi_json_as_text(twi_json_get(source, "format"), ""), "safetensors");
    assert_int_equal(strlen(twi_json_as_text(twi_json_get(source, "sha256"), "")), 64);
    close_out(&o);
    twi_tensors_free(&list);
}

static void same_input_same_bytes(void **state)
{
    (void)state;
    size_t size_one, size_two;
    twi_tensors list = {0};
    add_squeezenet(&list, 3);
    assert_int_equal(import_list(&list, &(twi_import_opts){.arch = "squeezenet1_1"}), TW_OK);
    unsigned char *one = get_file(scratch("out.tw"), &size_one);
    add_squeezenet(&list, 3);
    assert_int_equal(import_list(&list, &(twi_import_opts){.arch = "squeezenet1_1"}), TW_OK);
    unsigned char *two = get_file(scratch("out.tw"), &size_two);
    assert_int_equal(size_one, size_two);
    assert_memory_equal(one, two, size_one);
    free(one);
    free(two);
}

/* ---- weights that do not fit --------------------------------------------------------------- */

static float *values_of(twi_tensors *list, const char *name)
{
    const twi_tensor *t = twi_tensors_find(list, name);
    assert_non_null(t);
    return (float *)(uintptr_t)t->data;
}

/* Takes name out, and puts it back with other dimensions when rank is not 0. */
static void replace(twi_tensors *list, const char *name, size_t rank, const size_t *dims)
{
    char kept[160];
    snprintf(kept, sizeof kept, "%s", name);
    const twi_tensor *t = twi_tensors_find(list, name);
    assert_non_null(t);
    const size_t i = (size_t)(t - list->items);
    memmove(&list->items[i], &list->items[i + 1], (list->n - i - 1) * sizeof *t);
    list->n--;
    if (rank > 0) add_weight(list, kept, rank, dims);
}

static void faults_are_named(void **state)
{
    (void)state;
    const twi_import_opts opts = {.arch = "sapling"};
    twi_tensors list = {0};

    add_sapling(&list, 5);
    replace(&list, "layer2.0.conv1.weight", 0, NULL);
    expect_error(import_list(&list, &opts), TW_ERR_FORMAT,
                 "in.safetensors: weight layer2.0.conv1.weight is missing");
    add_sapling(&list, 5);
    replace(&list, "fc.bias", 0, NULL);
    expect_error(import_list(&list, &opts), TW_ERR_FORMAT, "weight fc.bias is missing");
    add_sapling(&list, 5);
    add_vector(&list, "layer9.0", "bias", 4);
    expect_error(import_list(&list, &opts), TW_ERR_FORMAT,
                 "weight layer9.0.bias belongs to no layer");
    add_vgg16(&list, 4);
    add_norm(&list, "features.1", 2);
    expect_error(import_list(&list, &(twi_import_opts){.arch = "vgg16"}), TW_ERR_FORMAT,
                 "weight features.1.weight and 3 more belong to no layer");
    add_sapling(&list, 5);
    replace(&list, "layer1.0.conv2.weight", 4, (size_t[]){4, 4, 3, 5});
    expect_error(import_list(&list, &opts), TW_ERR_FORMAT,
                 "weight layer1.0.conv2.weight is [4, 4, 3, 5]; need [4, 4, 3, 3]");
    add_sapling(&list, 5);
    replace(&list, "bn1.running_var", 1, (size_t[]){5});
    expect_error(import_list(&list, &opts), TW_ERR_FORMAT,
                 "weight bn1.running_var is [5]; need [4]");
    add_sapling(&list, 5);
    replace(&list, "fc.weight", 2, (size_t[]){5, 31});
    expect_error(import_list(&list, &opts), TW_ERR_FORMAT,
                 "weight fc.weight is [5, 31]; need [any, 32]");
    add_vgg16(&list, 4); /* known only once the input size is */
    replace(&list, "classifier.0.weight", 2, (size_t[]){5, 97});
    const tw_status st = import_list(&list, &(twi_import_opts){.arch = "vgg16"});
    assert_int_not_equal(st, TW_OK);
    expect_error(st, st, "classifier.0");
    add_sapling(&list, 5);
    values_of(&list, "layer3.1.conv1.weight")[7] = NAN;
    expect_error(import_list(&list, &opts), TW_ERR_FORMAT,
                 "weight layer3.1.conv1.weight: value 7 is not finite");
    add_sapling(&list, 5);
    values_of(&list, "layer4.1.bn2.running_var")[3] = -0.5f;
    expect_error(import_list(&list, &opts), TW_ERR_FORMAT,
                 "weight layer4.1.bn2.running_var: variance 3 is negative");
}

static void step_counters_are_no_weights(void **state)
{
    (void)state;
    twi_tensors list = {0};
    add_sapling(&list, 5);
    assert_int_equal(
        twi_tensors_add(ctx, &list, "bn1.num_batches_tracked", TWI_I64, 0, NULL, NULL, NULL),
        TW_OK);
    assert_int_equal(import_list(&list, &(twi_import_opts){.arch = "sapling"}), TW_OK);
    opened o = open_out();
    assert_null(twi_tensors_find(twi_bundle_tensors(o.bundle), "bn1.num_batches_tracked"));
    close_out(&o);
}

/* ---- options ------------------------------------------------------------------------------- */

static void half_precision_is_for_matrices(void **state)
{
    (void)state;
    const twi_import_opts opts = {.arch = "sapling", .dtype = "f16"};
    twi_tensors list = {0};
    add_sapling(&list, 5);
    assert_int_equal(import_list(&list, &opts), TW_OK);
    opened o = open_out();
    const twi_tensors *all = twi_bundle_tensors(o.bundle);
    for (size_t i = 0; i < all->n; i++)
        assert_int_equal(all->items[i].dtype, all->items[i].rank > 1 ? TWI_F16 : TWI_F32);
    close_out(&o);
    add_sapling(&list, 5);
    values_of(&list, "conv1.weight")[2] = 1e6f;
    expect_error(import_list(&list, &opts), TW_ERR_FORMAT,
                 "weight conv1.weight: value 2 does not fit half precision");
}

static tw_status import_labelled(size_t classes, const char *labels)
{
    char path[512];
    twi_tensors list = {0};
    strcpy(path, scratch("labels.txt"));
    put_file(path, labels, strlen(labels));
    add_sapling(&list, classes);
    return import_list(&list, &(twi_import_opts){.arch = "sapling", .labels_path = path});
}

static void labels_become_a_tensor(void **state)
{
    (void)state;
    static const char expected[] = "oak\nweeping willow\nhêtre";
    assert_int_equal(import_labelled(3, "oak\r\nweeping willow\nh\xc3\xaatre\n"), TW_OK);
    opened o = open_out();
    const twi_tensor *t = twi_tensors_find(twi_bundle_tensors(o.bundle), "labels");
    assert_non_null(t);
    assert_int_equal(t->dtype, TWI_U8);
    assert_int_equal(t->count, sizeof expected - 1);
    assert_memory_equal(t->data, expected, sizeof expected - 1);
    close_out(&o);
    expect_error(import_labelled(4, "a\nb\nc\n"), TW_ERR_DATA,
                 "3 class names; the classifier has 4 classes");
    expect_error(import_labelled(0, "a\n"), TW_ERR_DATA, "have no classifier");
    expect_error(import_labelled(3, "a\n\nc\n"), TW_ERR_DATA, "line 2 is empty");
    expect_error(import_labelled(1, "\xff\n"), TW_ERR_DATA, "not UTF-8");
    expect_error(import_labelled(1, ""), TW_ERR_DATA, "0 class names");
}

static tw_status import_overridden(const char *recipe)
{
    twi_tensors list = {0};
    add_sapling(&list, 5);
    return import_list(&list, &(twi_import_opts){.arch = "sapling", .recipe_json = recipe});
}

static void recipe_keys_can_be_replaced(void **state)
{
    (void)state;
    assert_int_equal(
        import_overridden("{\"height\":96,\"width\":64,\"short_side\":106,\"mean\":[0,0.5,1],"
                          "\"exif\":false,\"resize\":\"bicubic\"}"),
        TW_OK);
    opened o = open_out();
    const twi_json *recipe = twi_json_get(o.document, "recipe");
    assert_int_equal(twi_json_as_integer(twi_json_get(recipe, "height"), 0), 96);
    assert_int_equal(twi_json_as_integer(twi_json_get(recipe, "width"), 0), 64);
    assert_string_equal(twi_json_as_text(twi_json_get(recipe, "resize"), ""), "bicubic");
    assert_string_equal(twi_json_as_text(twi_json_get(recipe, "geometry"), ""), "crop");
    assert_false(twi_json_as_boolean(twi_json_get(recipe, "exif"), true));
    assert_true(twi_json_as_number(twi_json_at(twi_json_get(recipe, "mean"), 1), 0) == 0.5);
    close_out(&o);
    unlink(scratch("out.tw"));
    expect_error(import_overridden("{\"hight\":96}"), TW_ERR_ARG,
                 "recipe key \"hight\" is none of");
    expect_error(import_overridden("{\"height\":\"96\"}"), TW_ERR_ARG, "is text; need a number");
    expect_error(import_overridden("{\"mean\":[1,2]}"), TW_ERR_ARG, "need three numbers");
    expect_error(import_overridden("{\"exif\":1}"), TW_ERR_ARG, "need true or false");
    expect_error(import_overridden("{\"height\":-1}"), TW_ERR_ARG, "1 to 16384");
    expect_error(import_overridden("{\"height\":1e300}"), TW_ERR_ARG, "1 to 16384");
    expect_error(import_overridden("[1]"), TW_ERR_ARG, "not a JSON object");
    expect_error(import_overridden("{"), TW_ERR_ARG, "the recipe given");
}

static tw_status import_as(const char *arch, const char *name, const char *dtype)
{
    twi_tensors list = {0};
    add_sapling(&list, 5);
    return import_list(&list, &(twi_import_opts){.arch = arch, .name = name, .dtype = dtype});
}

static void options_are_checked(void **state)
{
    (void)state;
    expect_error(import_as(NULL, NULL, NULL), TW_ERR_ARG, "name the architecture, one of sapling");
    expect_error(import_as("resnet19", NULL, NULL), TW_ERR_ARG, "unknown architecture resnet19");
    expect_error(import_as("sapling", NULL, "f8"), TW_ERR_ARG, "need f32 or f16");
    expect_error(import_as("sapling", "a/b", NULL), TW_ERR_ARG, "cannot name a backbone");
    expect_error(import_as("sapling", "", NULL), TW_ERR_ARG, "cannot name a backbone");
    expect_error(import_as("sapling", "\xff", NULL), TW_ERR_ARG, "cannot name a backbone");
}

/* ---- files --------------------------------------------------------------------------------- */

static tw_status import_bytes(const void *data, size_t size)
{
    char in[512], out[512];
    strcpy(in, scratch("bytes"));
    strcpy(out, scratch("out.tw"));
    put_file(in, data, size);
    return twi_import(ctx, in, &(twi_import_opts){.arch = "sapling"}, out);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    unlink(scratch("out.tw"));
    expect_error(import_bytes("", 0), TW_ERR_UNSUPPORTED, "not a weight file");
    expect_error(import_bytes("PK\3\4rest", 8), TW_ERR_FORMAT, "zip archive");
    expect_error(import_bytes("\x80\2}q", 4), TW_ERR_UNSUPPORTED, "pickle");
    expect_error(import_bytes("a text file that is long enough", 31), TW_ERR_UNSUPPORTED,
                 "need safetensors, NumPy's .npz or Keras HDF5");
    char out[512];
    strcpy(out, scratch("out.tw"));
    expect_error(twi_import(ctx, "/nonexistent", &(twi_import_opts){.arch = "sapling"}, out),
                 TW_ERR_IO, "/nonexistent: ");
    expect_error(twi_import(ctx, "/dev/zero", &(twi_import_opts){.arch = "sapling"}, out),
                 TW_ERR_IO, "not a regular file");
}

static void every_prefix_ends_in_a_sentence(void **state)
{
    (void)state;
    size_t size;
    twi_tensors list = {0};
    add_sapling(&list, 2);
    put_weights(scratch("whole"), &list);
    twi_tensors_free(&list);
    unsigned char *data = get_file(scratch("whole"), &size);
    for (size_t cut = 0; cut < size; cut += cut < 64 ? 1 : 1511) {
        const tw_status st = import_bytes(data, cut);
        if (st != TW_ERR_FORMAT && st != TW_ERR_UNSUPPORTED) fail_msg("cut at %zu: %d", cut, st);
        assert_true(strlen(tw_last_error(ctx)) > 0);
    }
    free(data);
}

static void sapling_itself_imports(void **state)
{
    (void)state;
    char in[4096];
    strcpy(in, shared_data("weights/sapling/sapling.safetensors"));
    const twi_import_opts opts = {.arch = "sapling", .dtype = "f16"};
    assert_int_equal(twi_import(ctx, in, &opts, scratch("out.tw")), TW_OK);
    expect_shapes(256, 8, 200);
    opened o = open_out();
    assert_int_equal(twi_json_as_integer(twi_json_get(o.document, "parameters"), 0), 2846440);
    assert_non_null(twi_tensors_find(twi_bundle_tensors(o.bundle), "labels"));
    close_out(&o);
}

static void squeezenet_itself_imports(void **state)
{
    (void)state;
    char in[4096];
    strcpy(in, shared_data("weights/squeezenet1_1.safetensors"));
    assert_int_equal(
        twi_import(ctx, in, &(twi_import_opts){.arch = "squeezenet1_1"}, scratch("out.tw")), TW_OK);
    expect_shapes(512, 13, 1000);
    opened o = open_out();
    assert_int_equal(twi_json_as_integer(twi_json_get(o.document, "parameters"), 0), 1235496);
    close_out(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(architectures_give_their_feature_maps),
        cmocka_unit_test(weights_keep_names_and_values),
        cmocka_unit_test(same_input_same_bytes),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(step_counters_are_no_weights),
        cmocka_unit_test(half_precision_is_for_matrices),
        cmocka_unit_test(labels_become_a_tensor),
        cmocka_unit_test(recipe_keys_can_be_replaced),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(every_prefix_ends_in_a_sentence),
        cmocka_unit_test(sapling_itself_imports),
        cmocka_unit_test(squeezenet_itself_imports),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
