/* views_test.c - views, layers and input sizes through the public header, and model files that say
 * what cannot be about them. */
#include "folder.h"
#include "testing.h"

#include "base/json.h"
#include "bundle/bundle.h"

#include <math.h>

enum { WIDTH = 150, HEIGHT = 141, PER_CLASS = 6 };

static tw_ctx *ctx;

#define OK(call)                                                                                   \
    do {                                                                                           \
        const tw_status status_ = (call);                                                          \
        if (status_ != TW_OK)                                                                      \
            fail_msg("%s: %s: %s", #call, tw_status_name(status_), tw_last_error(ctx));            \
    } while (0)

static int set_up(void **state)
{
    (void)state;
    if (folder_new("views") || mkdir(at("photos"), 0777) != 0) return 1;
    if (draw_class("photos/across", 0, PER_CLASS, WIDTH, HEIGHT)) return 1;
    if (draw_class("photos/down", 1, PER_CLASS, WIDTH, HEIGHT)) return 1;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return folder_free();
}

/* ---- options ------------------------------------------------------------------------------- */

static const char *const layers[] = {"layer4.1.out", "fc"};

static void the_status_of_options(void **state)
{
    (void)state;
    static const char *const twice[] = {"fc", "fc"}, *const none[] = {"fc", "nothing"};
    const struct {
        const char *what;
        tw_extract_opts opts;
        tw_status want;
        size_t d;
    } cases[] = {
        {"nothing", {0}, TW_OK, 256},
        {"flip", {.views = "flip"}, TW_OK, 256},
        {"views", {.views = "6"}, TW_ERR_ARG, 0},
        {"empty views", {.views = ""}, TW_ERR_ARG, 0},
        {"patches", {.patch_height = 20, .patch_width = 30, .max_patches = 3}, TW_OK, 256},
        {"no width", {.patch_height = 20}, TW_ERR_ARG, 0},
        {"both", {.patch_height = 20, .patch_width = 30, .views = "5"}, TW_ERR_ARG, 0},
        {"not a number",
         {.patch_height = 20, .patch_width = 30, .max_patches = NAN},
         TW_ERR_ARG,
         0},
        {"layers", {.layers = layers, .n_layers = 2}, TW_OK, 456},
        {"one twice", {.layers = twice, .n_layers = 2}, TW_ERR_ARG, 0},
        {"unknown", {.layers = none, .n_layers = 2}, TW_ERR_ARG, 0},
        {"too many", {.layers = layers, .n_layers = (size_t)-1}, TW_ERR_ARG, 0},
        {"of a classifier", {.layers = layers, .n_layers = 2, .classifier = 1}, TW_ERR_ARG, 0},
        {"views of a classifier", {.views = "10", .classifier = 1}, TW_OK, 200},
        {"a size", {.input_size = 96, .input_width = 160}, TW_OK, 256},
        {"no height", {.input_width = 96}, TW_ERR_ARG, 0},
        {"too wide", {.input_size = 96, .input_width = 16385}, TW_ERR_ARG, 0},
    };
    tw_backbone *backbone;
    OK(tw_backbone_open(ctx, "sapling", &backbone));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_extract_opts opts = cases[i].opts;
        tw_extractor *extractor = NULL;
        opts.size_bytes = sizeof opts;
        const tw_status st = tw_extractor_new(ctx, backbone, &opts, &extractor);
        if (st != cases[i].want)
            fail_msg("%s: %s: %s", cases[i].what, tw_status_name(st), tw_last_error(ctx));
        if (st == TW_OK) assert_int_equal(tw_extractor_feature_count(extractor), cases[i].d);
        tw_extractor_free(extractor);
    }
    tw_backbone_free(backbone);
}

/* An options struct from before views were there: what follows it is not looked at. */
static void older_callers_have_one_view(void **state)
{
    (void)state;
    tw_backbone *backbone;
    tw_extractor *extractor;
    tw_extract_opts opts;
    memset(&opts, 0x5a, sizeof opts);
    const size_t old = offsetof(tw_extract_opts, input_width);
    memset(&opts, 0, old);
    opts.size_bytes = old;
    OK(tw_backbone_open(ctx, "sapling", &backbone));
    OK(tw_extractor_new(ctx, backbone, &opts, &extractor));
    assert_int_equal(tw_extractor_feature_count(extractor), 256);
    tw_extractor_free(extractor);
    tw_backbone_free(backbone);
}

/* ---- models -------------------------------------------------------------------------------- */

/* Trains with flip and two layers, and saves it. */
static void save_model(const char *path)
{
    tw_dataset *dataset;
    tw_model *model;
    tw_report *report;
    tw_summary sum;
    tw_train_opts opts;
    tw_train_opts_init(&opts);
    opts.extract.precision = TW_PRECISION_F32;
    opts.extract.views = "flip";
    opts.extract.layers = layers;
    opts.extract.n_layers = 2;
    opts.head.C = 1;
    OK(tw_dataset_open(ctx, at("photos"), NULL, &dataset));
    OK(tw_model_train(ctx, dataset, &opts, &model, &report));
    tw_report_summary(report, &sum);
    assert_int_equal(sum.views, 2);
    assert_int_equal(sum.layers, 2);
    assert_int_equal(sum.feature_count, 456);
    OK(tw_model_save(ctx, model, path));
    tw_report_free(report);
    tw_model_free(model);
    tw_dataset_free(dataset);
}

/* The model's own extractor gives what the same options give: a mirrored picture has the same
 * features then, to rounding, which one view does not have. */
static void a_model_has_its_own_views(void **state)
{
    (void)state;
    static unsigned char rgb[WIDTH * HEIGHT * 3], mirrored[WIDTH * HEIGHT * 3];
    float x[2][456];
    tw_model *model;
    tw_extractor *extractor;
    tw_bytes pictures[2];
    save_model(at("m.tw"));
    OK(tw_model_open(ctx, at("m.tw"), &model));
    OK(tw_model_extractor(ctx, model, &extractor));
    assert_int_equal(tw_extractor_feature_count(extractor), 456);
    draw_stripes(rgb, WIDTH, HEIGHT, 3, 9);
    for (size_t i = 0; i < WIDTH * HEIGHT; i++)
        memcpy(mirrored + 3 * i, rgb + 3 * (i / WIDTH * WIDTH + WIDTH - 1 - i % WIDTH), 3);
    for (size_t k = 0; k < 2; k++) {
        FILE *file;
        void *bytes = malloc(1 << 18);
        assert_int_equal(png_write(at("p.png"), k ? mirrored : rgb, WIDTH, HEIGHT), 0);
        assert_non_null(file = fopen(at("p.png"), "rb"));
        pictures[k] = (tw_bytes){bytes, fread(bytes, 1, 1 << 18, file)};
        fclose(file);
    }
    OK(tw_extract_bytes(ctx, extractor, pictures, 2, &x[0][0], 2 * 456));
    float largest = 0;
    for (size_t i = 0; i < 456; i++) largest = fmaxf(largest, fabsf(x[0][i]));
    for (size_t i = 0; i < 456; i++) assert_true(fabsf(x[0][i] - x[1][i]) < 1e-4f * largest);
    for (size_t k = 0; k < 2; k++) free((void *)(uintptr_t)pictures[k].data);
    tw_extractor_free(extractor);
    tw_model_free(model);
}

/* The model in the file once more, with key of its document as value says (NULL: without it). */
static void rewrite(const char *from, const char *to, const char *key, const char *value)
{
    twi_bundle *bundle;
    twi_json *fresh = NULL;
    OK(twi_bundle_open(ctx, from, "model", &bundle));
    const twi_json *old = twi_bundle_document(bundle);
    twi_json *document = twi_json_object();
    for (const char *k = twi_json_next_key(old, NULL); k; k = twi_json_next_key(old, k))
        if (strcmp(k, key) != 0)
            assert_true(twi_json_set(document, k, twi_json_copy(twi_json_get(old, k))));
    if (value) {
        OK(twi_json_parse(ctx, "value", value, strlen(value), &fresh));
        assert_true(twi_json_set(document, key, twi_json_copy(twi_json_get(fresh, "v"))));
    }
    OK(twi_bundle_write(ctx, to, "model", twi_bundle_tensors(bundle), document, NULL));
    twi_json_free(fresh);
    twi_json_free(document);
    twi_bundle_free(bundle);
}

static void models_that_say_what_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        tw_status want;
        const char *part;
    } cases[] = {
        {"note", NULL, TW_OK, ""},
        {"layers", "{\"v\":[\"layer4.1.out\",\"nothing\"]}", TW_ERR_FORMAT, "is called nothing"},
        {"layers", "{\"v\":[]}", TW_ERR_FORMAT, "is not a list of 1 to 64 names"},
        {"layers", "{\"v\":\"fc\"}", TW_ERR_FORMAT, "is not a list of 1 to 64 names"},
        {"layers", "{\"v\":[7]}", TW_ERR_FORMAT, "no layer is called"},
        {"required_features", "{\"v\":[\"views\",\"smell\"]}", TW_ERR_UNSUPPORTED, "smell"},
        {"required_features", "{\"v\":[\"views\",7]}", TW_ERR_FORMAT, "more than words"},
    };
    save_model(at("good.tw"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_model *model = NULL;
        rewrite(at("good.tw"), at("bad.tw"), cases[i].key, cases[i].value);
        const tw_status st = tw_model_open(ctx, at("bad.tw"), &model);
        if (st != cases[i].want || (st != TW_OK && !strstr(tw_last_error(ctx), cases[i].part)))
            fail_msg("%s: %s: %s", cases[i].value, tw_status_name(st), tw_last_error(ctx));
        tw_model_free(model);
    }
    /* sound lists that do not go with the head: no extractor */
    static const char *const others[] = {"{\"v\":[\"fc\"]}", "{\"v\":[\"fc\",\"fc\"]}",
                                         "{\"v\":[\"input\"]}", NULL};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        tw_model *model = NULL;
        tw_extractor *extractor = NULL;
        rewrite(at("good.tw"), at("bad.tw"), "layers", others[i]);
        OK(tw_model_open(ctx, at("bad.tw"), &model));
        assert_int_not_equal(tw_model_extractor(ctx, model, &extractor), TW_OK);
        tw_model_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_of_options),
        cmocka_unit_test(older_callers_have_one_view),
        cmocka_unit_test(a_model_has_its_own_views),
        cmocka_unit_test(models_that_say_what_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
