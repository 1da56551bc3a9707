/* arrays_test.c - classifiers of arrays, and models in memory, through the public header alone. */
#include "testing.h"

#include "topwork/topwork.h"

#include <stdlib.h>
#include <string.h>

enum { N = 120, D = 6, K = 3 };

static float x[N * D];
static uint32_t y[N];

static tw_ctx *new_ctx(void)
{
    tw_ctx *ctx;
    uint32_t state = 3;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    for (size_t i = 0; i < N * D; i++) {
        state = state * 1664525u + 1013904223u;
        y[i / D] = (uint32_t)(i / D % K);
        x[i] = (float)(state >> 8) / 16777216.0f + 0.6f * (float)(y[i / D] == i % K);
    }
    return ctx;
}

static void every_kind_trains_and_answers(void **state)
{
    static const char *const kinds[] = {
        "logistic-regression", "linear-svm", "svm-rbf", "mlp", "ridge", "knn", "nearest-centroid"};
    (void)state;
    tw_ctx *ctx = new_ctx();
    const tw_samples samples = {x, y, N, D, K};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        tw_head_opts opts;
        tw_classifier *c;
        float prob[N * K];
        uint32_t label[N];
        size_t correct = 0;
        tw_head_opts_init(&opts);
        opts.kind = kinds[i];
        if (tw_classifier_train(ctx, &samples, &opts, &c) != TW_OK)
            fail_msg("%s: %s", kinds[i], tw_last_error(ctx));
        assert_int_equal(tw_classifier_class_count(c), K);
        assert_int_equal(tw_classifier_feature_count(c), D);
        assert_int_equal(tw_classifier_predict(ctx, c, x, N, prob, label), TW_OK);
        for (size_t r = 0; r < N; r++) {
            correct += label[r] == y[r];
            const float sum = prob[r * K] + prob[r * K + 1] + prob[r * K + 2];
            assert_true(sum > 0.9999f && sum < 1.0001f);
        }
        assert_true(correct > N * 8 / 10);
        assert_int_equal(tw_classifier_predict(ctx, c, x, 1, NULL, label), TW_OK);
        assert_int_equal(tw_classifier_predict(ctx, c, x, 0, NULL, NULL), TW_OK);
        tw_classifier_free(c);
    }
    tw_ctx_free(ctx);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_samples samples = {x, y, N, D, K};
    tw_head_opts opts;
    tw_classifier *c;
    double accuracy[10];
    tw_head_opts_init(&opts);
    opts.C = TW_AUTO;
    assert_int_equal(tw_classifier_train(ctx, &samples, &opts, &c), TW_OK);
    tw_classifier_free(c);
    assert_int_equal(tw_cross_validate(ctx, &samples, &opts, 5, 1, 42, NULL, accuracy), TW_ERR_ARG);
    opts.C = 1;
    opts.kind = "oracle";
    assert_int_equal(tw_classifier_train(ctx, &samples, &opts, &c), TW_ERR_ARG);
    assert_non_null(strstr(tw_last_error(ctx), "nearest-centroid"));
    samples.k = 1;
    assert_int_equal(tw_classifier_train(ctx, &samples, NULL, &c), TW_ERR_DATA);
    samples.k = 2;
    assert_int_equal(tw_classifier_train(ctx, &samples, NULL, &c), TW_ERR_DATA);
    assert_non_null(strstr(tw_last_error(ctx), "label 2"));
    samples.k = 4;
    assert_int_equal(tw_classifier_train(ctx, &samples, NULL, &c), TW_ERR_DATA);
    samples.k = K;
    samples.n = 0;
    assert_int_equal(tw_classifier_train(ctx, &samples, NULL, &c), TW_ERR_DATA);
    tw_ctx_free(ctx);
}

static void cross_validation_is_the_same_again(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    const tw_samples samples = {x, y, N, D, K};
    double a[6], b[6], g[3];
    uint32_t groups[N];
    assert_int_equal(tw_cross_validate(ctx, &samples, NULL, 3, 2, 5, NULL, a), TW_OK);
    tw_ctx_set_threads(ctx, 1);
    assert_int_equal(tw_cross_validate(ctx, &samples, NULL, 3, 2, 5, NULL, b), TW_OK);
    assert_memory_equal(a, b, sizeof a);
    for (size_t i = 0; i < 6; i++) assert_true(a[i] > 0.6 && a[i] <= 1.0);
    for (size_t i = 0; i < N; i++) groups[i] = (uint32_t)(100 - i / 10); /* any numbers below N */
    assert_int_equal(tw_cross_validate(ctx, &samples, NULL, 3, 1, 5, groups, g), TW_OK);
    assert_int_equal(tw_cross_validate(ctx, &samples, NULL, 3, 2, 5, groups, a), TW_ERR_ARG);
    groups[3] = N;
    assert_int_equal(tw_cross_validate(ctx, &samples, NULL, 3, 1, 5, groups, g), TW_ERR_ARG);
    assert_int_equal(tw_cross_validate(ctx, &samples, NULL, 1, 1, 5, NULL, a), TW_ERR_ARG);
    assert_int_equal(tw_cross_validate(ctx, &samples, NULL, 3, 0, 5, NULL, a), TW_ERR_ARG);
    tw_ctx_free(ctx);
}

static void bytes_that_are_no_model_are_refused(void **state)
{
    (void)state;
    tw_ctx *ctx = new_ctx();
    tw_model *model;
    const tw_bytes letter = {"dear aunt", 9}, nothing = {NULL, 0};
    assert_int_equal(tw_model_open_bytes(ctx, "letter", letter, &model), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_last_error(ctx), "letter: "));
    assert_int_equal(tw_model_open_bytes(ctx, "nothing", nothing, &model), TW_ERR_FORMAT);
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_trains_and_answers),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(cross_validation_is_the_same_again),
        cmocka_unit_test(bytes_that_are_no_model_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
