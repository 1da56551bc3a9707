/* reject_test.c - photos of no class through the public header: trained, saved, asked, measured. */
#include "folder.h"
#include "testing.h"
#include "topwork/topwork.h"

enum { WIDTH = 72, HEIGHT = 56, PER_CLASS = 30, OTHERS = 12, D_MOST = 4096 };

static unsigned char rgb[WIDTH * HEIGHT * 3];

/* A bright disc on a dark ground, nothing like stripes. */
static void draw_disc(unsigned i)
{
    const int radius = 12 + (int)i;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            const int dx = x - WIDTH / 2, dy = y - HEIGHT / 2;
            const int inside = dx * dx + dy * dy < radius * radius;
            unsigned char *const p = rgb + 3 * (y * WIDTH + x);
            p[0] = inside ? 250 : 10, p[1] = inside ? 200 : 20, p[2] = inside ? 20 : 60;
        }
}

/* Six pictures that have nothing in common. */
static void draw_odd(unsigned i)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            const int value[] = {255,
                                 (x * 7919 + y * 104729) % 251,
                                 (x / 12 + y / 12) % 2 * 255,
                                 x * 255 / WIDTH,
                                 (x - 36) * (y - 28) / 4 & 255,
                                 x > 36 ? 0 : 200};
            unsigned char *const p = rgb + 3 * (y * WIDTH + x);
            for (unsigned c = 0; c < 3; c++)
                p[c] = (unsigned char)(c == i % 3 ? value[i] : value[i] / 2);
        }
}

static int set_up(void **state)
{
    (void)state;
    if (folder_new("reject")) return 1;
    if (mkdir(at("photos"), 0777) != 0 || mkdir(at("others"), 0777) != 0) return 1;
    if (draw_class("photos/across", 0, PER_CLASS, WIDTH, HEIGHT)) return 1;
    if (draw_class("photos/unknown", 1, PER_CLASS, WIDTH, HEIGHT)) return 1;
    if (mkdir(at("uneven"), 0777) != 0 || mkdir(at("uneven/odd"), 0777) != 0) return 1;
    if (draw_class("uneven/even", 0, PER_CLASS, WIDTH, HEIGHT)) return 1;
    for (unsigned i = 0; i < 6; i++) {
        char name[64];
        snprintf(name, sizeof name, "uneven/odd/%02u.png", i);
        draw_odd(i);
        if (png_write(at(name), rgb, WIDTH, HEIGHT) != 0) return 1;
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        char name[64];
        snprintf(name, sizeof name, "others/%02u.png", i);
        draw_disc(i);
        if (png_write(at(name), rgb, WIDTH, HEIGHT) != 0) return 1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return folder_free();
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        const tw_status status_ = (call);                                                          \
        if (status_ != TW_OK)                                                                      \
            fail_msg("%s: %s: %s", #call, tw_status_name(status_), tw_last_error(ctx));            \
    } while (0)

static tw_ctx *new_ctx(void)
{
    tw_ctx *ctx = NULL;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    return ctx;
}

static tw_status train_on(tw_ctx *ctx, const char *photos, double reject, double test_size,
                          tw_model **model, tw_report **report)
{
    tw_dataset *dataset = NULL;
    tw_train_opts opts;
    tw_train_opts_init(&opts);
    assert_true(opts.reject == 0.0);
    opts.reject = reject;
    opts.test_size = test_size;
    OK(tw_dataset_open(ctx, at(photos), NULL, &dataset));
    const tw_status status = tw_model_train(ctx, dataset, &opts, model, report);
    tw_dataset_free(dataset);
    return status;
}

static tw_status try_train(tw_ctx *ctx, double reject, double test_size, tw_model **model,
                           tw_report **report)
{
    return train_on(ctx, "photos", reject, test_size, model, report);
}

/* familiarity and known [OTHERS] of the discs, by model. */
static void ask(tw_ctx *ctx, const tw_model *model, double *familiarity, unsigned char *known)
{
    tw_extractor *extractor = NULL;
    static float x[D_MOST];
    OK(tw_model_extractor(ctx, model, &extractor));
    const size_t d = tw_extractor_feature_count(extractor);
    assert_true(d <= D_MOST);
    for (unsigned i = 0; i < OTHERS; i++) {
        char name[64];
        static unsigned char bytes[1 << 16];
        snprintf(name, sizeof name, "others/%02u.png", i);
        FILE *const in = fopen(at(name), "rb");
        assert_non_null(in);
        const tw_bytes image = {bytes, fread(bytes, 1, sizeof bytes, in)};
        fclose(in);
        OK(tw_extract_bytes(ctx, extractor, &image, 1, x, d));
        OK(tw_model_familiarity(ctx, model, x, 1, &familiarity[i], known ? &known[i] : NULL));
    }
    tw_extractor_free(extractor);
}

static void photos_of_no_class_are_told(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_model *model = NULL;
    tw_report *report = NULL;
    tw_summary s;
    double familiarity[OTHERS];
    unsigned char known[OTHERS];
    OK(try_train(ctx, 0.9, 0.2, &model, &report));
    assert_int_equal(tw_model_rejects(model), 1);
    tw_report_summary(report, &s);
    assert_true(s.reject == 0.9 && s.reject_expected >= 0.9 - 1e-12 && s.reject_expected < 0.95);
    assert_true(s.n_accepted * 10 >= s.n_test * 7 && s.n_accepted <= s.n_test);
    assert_true(s.n_accepted_correct <= s.n_accepted && s.n_accepted_correct <= s.n_correct);
    assert_int_equal(s.n_unknown, 0);
    ask(ctx, model, familiarity, known);
    size_t accepted = 0;
    for (size_t i = 0; i < OTHERS; i++) {
        assert_int_equal(known[i], familiarity[i] >= s.threshold);
        accepted += known[i];
    }
    assert_true(accepted <= OTHERS / 4);
    OK(tw_report_unknown(ctx, report, familiarity, OTHERS));
    tw_report_summary(report, &s);
    assert_int_equal(s.n_unknown, OTHERS);
    assert_int_equal(s.n_unknown_accepted, accepted);
    assert_true(s.unknown_auroc > 0.9 && s.unknown_auroc <= 1.0);
    assert_true(s.unknown_accepted_at_95 >= 0.0 && s.unknown_accepted_at_95 <= 0.5);
    tw_report_free(report);
    tw_model_free(model);
    tw_ctx_free(ctx);
}

static void the_file_answers_the_same(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_model *model = NULL, *opened = NULL;
    double familiarity[2][OTHERS];
    char *json = NULL;
    OK(try_train(ctx, 0.95, 0.2, &model, NULL));
    OK(tw_model_save(ctx, model, at("a.tw")));
    OK(tw_model_open(ctx, at("a.tw"), &opened));
    assert_int_equal(tw_model_rejects(opened), 1);
    ask(ctx, model, familiarity[0], NULL);
    ask(ctx, opened, familiarity[1], NULL);
    assert_memory_equal(familiarity[0], familiarity[1], sizeof familiarity[0]);
    OK(tw_model_describe(ctx, opened, &json));
    assert_non_null(strstr(json, "\"reject\":{\"method\":\"neighbors\""));
    assert_non_null(strstr(json, "\"n_accepted\""));
    tw_free(json);
    /* evaluated on the same photos as training measured: the same are accepted */
    tw_dataset *dataset = NULL;
    tw_report *report[2] = {NULL};
    tw_summary s[2];
    OK(tw_dataset_open(ctx, at("photos"), NULL, &dataset));
    OK(tw_model_evaluate(ctx, model, dataset, &report[0]));
    OK(tw_model_evaluate(ctx, opened, dataset, &report[1]));
    for (size_t i = 0; i < 2; i++) tw_report_summary(report[i], &s[i]);
    assert_int_equal(s[0].n_accepted, s[1].n_accepted);
    assert_true(s[0].threshold == s[1].threshold);
    assert_true(s[0].n_accepted > s[0].n_test / 2);
    for (size_t i = 0; i < 2; i++) tw_report_free(report[i]);
    tw_dataset_free(dataset);
    tw_model_free(model);
    tw_model_free(opened);
    tw_ctx_free(ctx);
}

static void without_it_nothing_is_unknown(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_model *model = NULL;
    tw_report *report = NULL;
    tw_summary s;
    static const float x[D_MOST] = {1.0f};
    double familiarity = 0.5;
    char *json = NULL;
    OK(try_train(ctx, 0.0, 0.2, &model, &report));
    assert_int_equal(tw_model_rejects(model), 0);
    tw_report_summary(report, &s);
    assert_true(s.reject == 0.0 && s.n_accepted == 0);
    assert_int_equal(tw_model_familiarity(ctx, model, x, 1, &familiarity, NULL), TW_ERR_ARG);
    assert_int_equal(tw_report_unknown(ctx, report, &familiarity, 1), TW_ERR_ARG);
    OK(tw_model_describe(ctx, model, &json));
    assert_null(strstr(json, "reject"));
    tw_free(json);
    tw_report_free(report);
    tw_model_free(model);
    tw_ctx_free(ctx);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const double shares[] = {-0.5, 1.0, 95.0};
    tw_ctx *ctx = new_ctx();
    tw_model *model = NULL;
    tw_report *report = NULL;
    const double none = 0.0, nan_of_it = none / none;
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        assert_int_equal(try_train(ctx, shares[i], 0.2, &model, NULL), TW_ERR_ARG);
    assert_int_equal(try_train(ctx, nan_of_it, 0.2, &model, NULL), TW_ERR_ARG);
    assert_null(model);
    OK(try_train(ctx, 0.95, 0.2, &model, &report));
    assert_int_equal(tw_report_unknown(ctx, report, &none, 0), TW_ERR_ARG);
    assert_int_equal(tw_report_unknown(ctx, report, &nan_of_it, 1), TW_ERR_ARG);
    tw_report_free(report);
    tw_model_free(model);
    tw_ctx_free(ctx);
}

static void keep_line(void *user, tw_log_level level, const char *message)
{
    char *const lines = user;
    if (level == TW_LOG_WARNING && strlen(lines) + strlen(message) < 1000)
        strcat(strcat(lines, message), "\n");
}

static void what_to_be_wary_of_is_told(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_model *model = NULL;
    tw_report *report = NULL;
    tw_summary s;
    char lines[1024] = "";
    tw_ctx_set_log(ctx, keep_line, lines);
    OK(try_train(ctx, 0.95, 48, &model, &report)); /* 12 are left to train on */
    assert_non_null(strstr(lines, "12 training pictures are too few"));
    assert_non_null(strstr(lines, "stands for 92 %"));
    assert_non_null(strstr(lines, "a class is called unknown"));
    tw_report_summary(report, &s);
    assert_true(s.reject == 0.95 && s.reject_expected < 0.93 && s.reject_expected > 0.92);
    tw_report_free(report);
    tw_model_free(model);
    tw_ctx_free(ctx);
}

static void a_class_that_pays_for_others_is_told(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_model *model = NULL;
    char lines[1024] = "";
    tw_ctx_set_log(ctx, keep_line, lines);
    OK(train_on(ctx, "uneven", 0.9, 6, &model, NULL));
    assert_non_null(strstr(lines, "of the 5 training pictures of class odd would be unknown"));
    assert_null(strstr(lines, "of class even"));
    tw_model_free(model);
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(photos_of_no_class_are_told),
        cmocka_unit_test(the_file_answers_the_same),
        cmocka_unit_test(without_it_nothing_is_unknown),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(what_to_be_wary_of_is_told),
        cmocka_unit_test(a_class_that_pays_for_others_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
