/* random_test.c - weights drawn for training from nothing: every layer served, statistics as
 * torchvision's initialisation has them, the same bytes for the same seed. */
#include "foreign.h"
#include "importer/random.h"

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

static void moments(const twi_tensor *t, double *mean, double *deviation, double *largest)
{
    const float *x = t->data;
    double sum = 0.0, squares = 0.0;
    *largest = 0.0;
    for (size_t i = 0; i < t->count; i++) {
        sum += (double)x[i], squares += (double)x[i] * (double)x[i];
        *largest = fmax(*largest, fabs((double)x[i]));
    }
    *mean = sum / (double)t->count;
    *deviation = sqrt(squares / (double)t->count - *mean * *mean);
}

/* Within five standard errors, of the mean and of the deviation (sd / sqrt(2 n) for normals). */
static void expect_spread(const twi_weights *w, const char *name, double deviation, bool uniform)
{
    const twi_tensor *t = twi_tensors_find(&w->tensors, name);
    double mean, found, largest;
    assert_non_null(t);
    moments(t, &mean, &found, &largest);
    const double n = (double)t->count;
    assert_true(fabs(mean) < 5.0 * deviation / sqrt(n));
    assert_true(fabs(found - deviation) < 5.0 * deviation / sqrt(2.0 * n));
    /* a uniform one ends at sqrt(3) deviations; of so many normals one lies further out */
    assert_true(uniform ? largest <= deviation * 1.7320509 : largest > 2.0 * deviation);
}

static void expect_all(const twi_weights *w, const char *name, float value)
{
    const twi_tensor *t = twi_tensors_find(&w->tensors, name);
    assert_non_null(t);
    for (size_t i = 0; i < t->count; i++)
        assert_true(((const float *)t->data)[i] >= value && ((const float *)t->data)[i] <= value);
}

static void test_statistics(void **state)
{
    (void)state;
    twi_weights w;
    twi_random_opts opts = {.arch = "resnet18", .side = 64, .classes = 10, .seed = 3};
    assert_int_equal(twi_weights_draw(ctx, &opts, &w), TW_OK);
    expect_spread(&w, "conv1.weight", sqrt(2.0 / (64 * 49)), false);
    expect_spread(&w, "layer3.0.conv1.weight", sqrt(2.0 / (256 * 9)), false);
    expect_spread(&w, "layer3.0.downsample.0.weight", sqrt(2.0 / 256), false);
    expect_spread(&w, "fc.weight", 1.0 / sqrt(3.0 * 512), true);
    expect_all(&w, "layer2.1.bn2.weight", 1.0f);
    expect_all(&w, "layer2.1.bn2.bias", 0.0f);
    expect_all(&w, "layer2.1.bn2.running_mean", 0.0f);
    expect_all(&w, "layer2.1.bn2.running_var", 1.0f);
    twi_weights_free(&w);
    opts.arch = "mobilenet_v2";
    assert_int_equal(twi_weights_draw(ctx, &opts, &w), TW_OK);
    expect_spread(&w, "features.17.conv.1.0.weight", sqrt(2.0 / (960 * 9)), false); /* depthwise */
    expect_spread(&w, "features.18.0.weight", sqrt(2.0 / 1280), false);
    expect_spread(&w, "classifier.1.weight", 0.01, false);
    expect_all(&w, "classifier.1.bias", 0.0f);
    twi_weights_free(&w);
    opts.arch = "squeezenet1_1";
    assert_int_equal(twi_weights_draw(ctx, &opts, &w), TW_OK);
    expect_spread(&w, "features.12.expand3x3.weight", sqrt(2.0 / (64 * 9)), true);
    expect_spread(&w, "classifier.1.weight", 0.01, false);
    expect_all(&w, "features.0.bias", 0.0f);
    twi_weights_free(&w);
}

static int64_t parameters(const char *path, const char *key)
{
    twi_bundle *bundle;
    assert_int_equal(twi_bundle_open(ctx, path, "backbone", &bundle), TW_OK);
    const int64_t n = twi_json_as_integer(twi_json_get(twi_bundle_document(bundle), key), 0);
    twi_bundle_free(bundle);
    return n;
}

/* Numbers of parameters as torchvision counts them; sapling's: those of the file that ships.
 */
static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        double width;
        size_t classes;
        int64_t parameters;
    } rows[] = {{"resnet18", 0, 1000, 11689512},     {"resnet34", 0, 1000, 21797672},
                {"mobilenet_v2", 0, 1000, 3504872},  {"mobilenet_v2", 0.5, 1000, 1968680},
                {"squeezenet1_1", 0, 1000, 1235496}, {"sapling", 0, 200, 2846440}};
    for (size_t i = 0; i < TWI_LEN(rows); i++) {
        const twi_random_opts opts = {
            .arch = rows[i].arch, .width = rows[i].width, .side = 64, .classes = rows[i].classes};
        assert_int_equal(twi_import_random(ctx, &opts, scratch("random.tw")), TW_OK);
        const int64_t n = parameters(scratch("random.tw"), "parameters");
        assert_int_equal(n, rows[i].parameters);
    }
}

static void test_seed(void **state)
{
    (void)state;
    twi_random_opts opts = {.arch = "sapling", .width = 4, .side = 32, .classes = 2, .seed = 7};
    size_t sizes[3];
    unsigned char *bytes[3];
    for (size_t i = 0; i < 3; i++) {
        opts.seed = i < 2 ? 7 : 8;
        assert_int_equal(twi_import_random(ctx, &opts, scratch("seed.tw")), TW_OK);
        bytes[i] = get_file(scratch("seed.tw"), &sizes[i]);
    }
    assert_true(sizes[0] == sizes[1] && memcmp(bytes[0], bytes[1], sizes[0]) == 0);
    assert_true(sizes[0] != sizes[2] || memcmp(bytes[0], bytes[2], sizes[0]) != 0);
    for (size_t i = 0; i < 3; i++) free(bytes[i]);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        twi_random_opts opts;
        const char *says;
    } rows[] = {
        {{.arch = "vgg16", .side = 64}, "need one of sapling, resnet18"},
        {{.arch = "nonsense", .side = 64}, "need one of sapling, resnet18"},
        {{.arch = "resnet18", .side = 64, .width = 2.5}, "resnet18 of width 2.5"},
        {{.arch = "resnet18", .side = 64, .width = 4096}, "1 to 1024"},
        {{.arch = "mobilenet_v2", .side = 64, .width = 1e9}, "0.05 to 8"},
        {{.arch = "mobilenet_v2", .side = 64, .width = (double)NAN}, "0.05 to 8"},
        {{.arch = "resnet18", .side = 4}, "16 to 1024"},
        {{.arch = "resnet18", .side = 64, .classes = 1}, "2 to 65536"},
        {{.arch = "resnet18", .side = 64, .classes = (size_t)1 << 40}, "2 to 65536"},
        {{.arch = "resnet18", .side = 64, .name = "a/b"}, "cannot name"},
    };
    for (size_t i = 0; i < TWI_LEN(rows); i++) {
        assert_int_equal(twi_import_random(ctx, &rows[i].opts, scratch("no.tw")), TW_ERR_ARG);
        assert_non_null(strstr(tw_last_error(ctx), rows[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
