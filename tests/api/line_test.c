/* line_test.c - the whole line through the public header: train, save, open, predict, evaluate. */
#include "folder.h"
#include "testing.h"
#include "topwork/topwork.h"

#include <dirent.h>

enum { WIDTH = 72, HEIGHT = 56, PER_CLASS = 12 };

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    if (folder_new("line")) return 1;
    if (mkdir(at("photos"), 0777) != 0) return 1;
    if (draw_class("photos/across", 0, PER_CLASS, WIDTH, HEIGHT)) return 1;
    if (draw_class("photos/down", 1, PER_CLASS, WIDTH, HEIGHT)) return 1;
    if (draw_class("photos/diagonal", 3, PER_CLASS, WIDTH, HEIGHT)) return 1;
    write_text(at("photos/down/broken.png"), "\x89PNG\r\n\x1a\nthis is not a picture");
    write_text(at("photos/down/.DS_Store"), "hidden");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return folder_free();
}

static tw_ctx *new_ctx(void)
{
    tw_ctx *ctx = NULL;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    return ctx;
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        const tw_status status_ = (call);                                                          \
        if (status_ != TW_OK)                                                                      \
            fail_msg("%s: %s: %s", #call, tw_status_name(status_), tw_last_error(ctx));            \
    } while (0)

static tw_model *train(tw_ctx *ctx, const tw_train_opts *opts, tw_report **report)
{
    tw_dataset *dataset = NULL;
    tw_model *model = NULL;
    OK(tw_dataset_open(ctx, at("photos"), NULL, &dataset));
    OK(tw_model_train(ctx, dataset, opts, &model, report));
    tw_dataset_free(dataset);
    return model;
}

static unsigned char *slurp(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void learns_and_reports(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_report *report = NULL;
    tw_model *model = train(ctx, NULL, &report);
    tw_summary s;
    tw_report_summary(report, &s);
    assert_int_equal(s.classes, 3);
    assert_int_equal(s.n_train + s.n_test + s.n_skipped, 3 * PER_CLASS + 1);
    assert_int_equal(s.n_skipped, 1);
    assert_true(s.accuracy > 0.85); /* three directions of stripes are not hard */
    assert_true(s.interval[0] <= s.accuracy && s.accuracy <= s.interval[1]);
    assert_true(s.C_chosen && s.C > 0 && s.converged);
    assert_non_null(strstr(tw_report_skipped_path(report, 0), "broken.png"));
    assert_null(tw_report_skipped_path(report, 1));
    size_t correct = 0, all = 0;
    for (size_t i = 0; i < 3; i++) {
        tw_class_score score;
        tw_report_class(report, i, &score);
        correct += tw_report_confusion(report, i, i);
        for (size_t j = 0; j < 3; j++) all += tw_report_confusion(report, i, j);
    }
    assert_int_equal(correct, s.n_correct);
    assert_int_equal(all, s.n_test);
    assert_non_null(tw_report_file(report, TW_PART_TRAIN, s.n_train - 1));
    assert_null(tw_report_file(report, TW_PART_TRAIN, s.n_train));
    tw_report_free(report);
    tw_model_free(model);
    tw_ctx_free(ctx);
}

/* The file predicts what the model in memory predicts, and evaluates the test part as training did.
 */
static void saved_model_is_the_same(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_model *model = train(ctx, NULL, NULL), *opened = NULL;
    OK(tw_model_save(ctx, model, at("a.tw")));
    OK(tw_model_open(ctx, at("a.tw"), &opened));
    assert_int_equal(tw_model_class_count(opened), 3);
    assert_string_equal(tw_model_class_name(opened, 0), "across");
    size_t size;
    unsigned char *png = slurp(at("photos/diagonal/03.png"), &size);
    const tw_bytes image = {png, size};
    const tw_model *const models[] = {model, opened};
    float prob[2][3];
    for (size_t m = 0; m < 2; m++) {
        tw_extractor *extractor = NULL;
        float features[4096];
        OK(tw_model_extractor(ctx, models[m], &extractor));
        const size_t d = tw_extractor_feature_count(extractor);
        assert_true(d <= 4096);
        OK(tw_extract_bytes(ctx, extractor, &image, 1, features, d));
        OK(tw_model_predict(ctx, models[m], features, 1, prob[m], 3));
        tw_extractor_free(extractor);
    }
    assert_memory_equal(prob[0], prob[1], sizeof prob[0]);
    assert_true(prob[0][0] + prob[0][1] + prob[0][2] > 0.999f);
    free(png);
    tw_model_free(model);
    tw_model_free(opened);
    tw_ctx_free(ctx);
}

static void same_inputs_same_bytes(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    unsigned char *bytes[2];
    size_t size[2];
    for (size_t i = 0; i < 2; i++) {
        tw_ctx_set_threads(ctx, 1 + i); /* the number of threads must not matter either */
        tw_model *model = train(ctx, NULL, NULL);
        OK(tw_model_save(ctx, model, at(i ? "b1.tw" : "b0.tw")));
        tw_model_free(model);
        bytes[i] = slurp(at(i ? "b1.tw" : "b0.tw"), &size[i]);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(bytes[0], bytes[1], size[0]);
    free(bytes[0]);
    free(bytes[1]);
    tw_ctx_free(ctx);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_model *model = train(ctx, NULL, NULL), *opened = NULL;
    OK(tw_model_save(ctx, model, at("c.tw")));
    tw_model_free(model);
    size_t size;
    unsigned char *bytes = slurp(at("c.tw"), &size);
    for (size_t i = 0; i < 24; i++) {
        const size_t where = i * (size - 1) / 23;
        FILE *file = fopen(at("d.tw"), "wb");
        bytes[where] ^= 0x10;
        assert_int_equal(fwrite(bytes, 1, size, file), size);
        bytes[where] ^= 0x10;
        fclose(file);
        assert_int_equal(tw_model_open(ctx, at("d.tw"), &opened), TW_ERR_FORMAT);
        assert_non_null(strstr(tw_last_error(ctx), "d.tw"));
    }
    free(bytes);
    tw_ctx_free(ctx);
}

static int stop_at_once(void *user, const tw_progress *progress)
{
    (void)user;
    (void)progress;
    return 1;
}

static void cancelling_stops(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_dataset *dataset = NULL;
    tw_model *model = NULL;
    OK(tw_dataset_open(ctx, at("photos"), NULL, &dataset));
    tw_ctx_set_progress(ctx, stop_at_once, NULL);
    assert_int_equal(tw_model_train(ctx, dataset, NULL, &model, NULL), TW_ERR_CANCELLED);
    assert_null(model);
    tw_dataset_free(dataset);
    tw_ctx_free(ctx);
}

static void evaluates_other_folders(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_train_opts opts;
    tw_train_opts_init(&opts);
    opts.refit_all = 1;
    opts.head.C = 1.0;
    opts.head.balanced = 1;
    tw_model *model = train(ctx, &opts, NULL);
    tw_dataset *dataset = NULL;
    tw_report *report = NULL;
    tw_summary s;
    OK(tw_dataset_open(ctx, at("photos"), NULL, &dataset));
    OK(tw_model_evaluate(ctx, model, dataset, &report));
    tw_report_summary(report, &s);
    assert_int_equal(s.n_test, 3 * PER_CLASS);
    assert_true(s.accuracy > 0.95); /* fitted on these very pictures */
    tw_report_free(report);
    tw_dataset_free(dataset);
    char *json = NULL;
    OK(tw_model_describe(ctx, model, &json));
    const char *const words[] = {"\"backbone\"", "\"recipe\"",        "\"seed\":42",
                                 "\"sapling\"",  "\"classes\"",       "\"data_digest\"",
                                 "\"metrics\"",  "\"refit_all\":true"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_non_null(strstr(json, words[i]));
    assert_null(strstr(json, folder)); /* no absolute paths inside */
    tw_free(json);
    tw_model_free(model);
    tw_ctx_free(ctx);
}

static void missing_backbones_are_explained(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_backbone *backbone = NULL;
    assert_int_equal(tw_backbone_open(ctx, "vgg16", &backbone), TW_ERR_NOT_FOUND);
    const char *message = tw_last_error(ctx);
    assert_non_null(strstr(message, "installed: "));
    assert_non_null(strstr(message, "sapling"));
    assert_non_null(strstr(message, "https://"));
    assert_non_null(strstr(message, "6d6bbae143d832006294945121d1f1fc"));
    assert_non_null(strstr(message, "topwork backbone pull vgg16"));
    assert_int_equal(tw_backbone_open(ctx, "no-such-network", &backbone), TW_ERR_NOT_FOUND);
    assert_int_equal(tw_backbone_open(ctx, at("photos/across/00.png"), &backbone), TW_ERR_FORMAT);
    tw_ctx_free(ctx);
}

/* ---- 8 bits -------------------------------------------------------------------------------- */

static const char *drawn_path(void *user, size_t i)
{
    static char path[512];
    const size_t *n = user;
    if (i >= *n) return NULL;
    snprintf(path, sizeof path, "%s/photos/%s/%02zu.png", folder, i % 2 ? "across" : "down", i / 2);
    return path;
}

/* Features of the data set by backbone in int8, [rows, d]; *rows 0: this machine has no int8. */
static float *features_int8(tw_ctx *ctx, const tw_backbone *backbone, size_t *rows, size_t *d)
{
    tw_extract_opts opts;
    tw_extractor *extractor = NULL;
    size_t size;
    tw_extract_opts_init(&opts);
    opts.precision = TW_PRECISION_INT8;
    OK(tw_extractor_new(ctx, backbone, &opts, &extractor));
    unsigned char *bytes = slurp(at("photos/down/03.png"), &size);
    *rows = 1;
    *d = tw_extractor_feature_count(extractor);
    float *features = malloc(*d * sizeof *features);
    OK(tw_extract_bytes(ctx, extractor, &(tw_bytes){bytes, size}, 1, features, *d));
    free(bytes);
    tw_extractor_free(extractor);
    return features;
}

static void calibrated_backbones_are_kept(void **state)
{
    tw_ctx *ctx = new_ctx();
    tw_backbone *backbone = NULL, *again = NULL;
    tw_extractor *extractor = NULL;
    tw_extract_opts opts;
    tw_calibration c;
    size_t n = 20, none = 0, rows, d;
    (void)state;
    tw_extract_opts_init(&opts);
    opts.precision = TW_PRECISION_INT8;
    OK(tw_backbone_open(ctx, "sapling", &backbone));
    assert_false(tw_backbone_calibrated(backbone));
    assert_int_equal(tw_extractor_new(ctx, backbone, &opts, &extractor), TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_last_error(ctx), "int8 needs"));
    assert_int_equal(tw_backbone_calibrate(ctx, backbone, NULL, drawn_path, &none, 0, &c),
                     TW_ERR_DATA);
    const tw_status st = tw_backbone_calibrate(ctx, backbone, NULL, drawn_path, &n, n, &c);
    if (st == TW_ERR_UNSUPPORTED) { /* no AVX512-VNNI; the backbone is what it was */
        assert_false(tw_backbone_calibrated(backbone));
        tw_backbone_free(backbone);
        tw_ctx_free(ctx);
        return;
    }
    OK(st);
    assert_true(tw_backbone_calibrated(backbone));
    assert_int_equal(c.watched, 10);
    assert_int_equal(c.measured, 10);
    assert_true(c.cosine_mean > 0.98 && c.cosine_mean < 1);
    assert_true(c.cosine_least <= c.cosine_mean);
    OK(tw_backbone_save(ctx, backbone, at("sapling8.tw")));
    OK(tw_backbone_open(ctx, at("sapling8.tw"), &again));
    assert_true(tw_backbone_calibrated(again));
    float *a = features_int8(ctx, backbone, &rows, &d), *b = features_int8(ctx, again, &rows, &d);
    assert_memory_equal(a, b, d * sizeof *a);
    free(a), free(b);
    tw_backbone_free(again);
    tw_backbone_free(backbone);
    tw_ctx_free(ctx);
}

static void models_in_int8_predict_what_they_learned(void **state)
{
    tw_ctx *ctx = new_ctx();
    tw_train_opts opts;
    tw_dataset *dataset = NULL;
    tw_model *model = NULL, *again = NULL;
    tw_report *report = NULL, *later = NULL;
    tw_summary s, t;
    (void)state;
    tw_train_opts_init(&opts);
    opts.extract.precision = TW_PRECISION_INT8;
    OK(tw_dataset_open(ctx, at("photos"), NULL, &dataset));
    const tw_status st = tw_model_train(ctx, dataset, &opts, &model, &report);
    if (st != TW_ERR_UNSUPPORTED) {
        OK(st);
        tw_report_summary(report, &s);
        assert_int_equal(s.precision, TW_PRECISION_INT8);
        assert_true(s.n_int8 > 0 && s.n_int8 <= s.n_train);
        assert_true(s.accuracy_int8 >= s.accuracy_float - 0.1 && s.accuracy_float > 0.5);
        OK(tw_model_save(ctx, model, at("int8.tw")));
        OK(tw_model_open(ctx, at("int8.tw"), &again));
        assert_true(tw_backbone_calibrated(tw_model_backbone(again)));
        OK(tw_model_evaluate(ctx, again, dataset, &later));
        tw_report_summary(later, &t);
        assert_int_equal(t.precision, TW_PRECISION_INT8);
        assert_true(t.accuracy >= 0.9);
    }
    tw_report_free(later);
    tw_report_free(report);
    tw_model_free(again);
    tw_model_free(model);
    tw_dataset_free(dataset);
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_and_reports),
        cmocka_unit_test(saved_model_is_the_same),
        cmocka_unit_test(same_inputs_same_bytes),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(cancelling_stops),
        cmocka_unit_test(evaluates_other_folders),
        cmocka_unit_test(missing_backbones_are_explained),
        cmocka_unit_test(calibrated_backbones_are_kept),
        cmocka_unit_test(models_in_int8_predict_what_they_learned),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
