/* measure_test.c - metrics, prediction, the choice of C, and heads saved and loaded. */
#include "learn_data.h"
#include "learn_golden.h"

static tw_ctx *ctx;

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

static void close_to(double found, double wanted)
{
    if (!(fabs(found - wanted) <= 1e-12)) fail_msg("%.17g is not %.17g", found, wanted);
}

/* Values: sklearn.metrics 1.2.1, precision_recall_fscore_support(zero_division=0). */
static void confusion_and_scores(void **state)
{
    (void)state;
    const uint32_t truth[] = {0, 0, 0, 1, 1, 2, 2, 2, 2, 3},
                   guess[] = {0, 1, 0, 1, 2, 2, 2, 0, 2, 1};
    size_t confusion[16];
    twi_confusion(truth, guess, 10, 4, confusion);
    const size_t wanted[16] = {2, 1, 0, 0, 0, 1, 1, 0, 1, 0, 3, 0, 0, 1, 0, 0};
    assert_memory_equal(confusion, wanted, sizeof wanted);
    assert_int_equal(twi_correct(confusion, 4), 6);
    const double scores[4][3] = {
        {2.0 / 3, 2.0 / 3, 2.0 / 3}, {1.0 / 3, 0.5, 0.4}, {0.75, 0.75, 0.75}, {0, 0, 0}};
    const size_t support[] = {3, 2, 4, 1};
    for (size_t c = 0; c < 4; c++) {
        tw_class_score s;
        twi_class_score(confusion, 4, c, &s);
        close_to(s.precision, scores[c][0]);
        close_to(s.recall, scores[c][1]);
        close_to(s.f1, scores[c][2]);
        assert_int_equal(s.support, support[c]);
    }
    twi_confusion(NULL, NULL, 0, 4, confusion);
    assert_int_equal(twi_correct(confusion, 4), 0);
}

/* Counts: sklearn.metrics.top_k_accuracy_score(normalize=False) 1.2.1, ties included. */
static void top_k(void **state)
{
    (void)state;
    const double score[] = {0.5, 0.3, 0.2, 0.3, 0.4, 0.3, 0.2, 0.2,
                            0.6, 0.7, 0.1, 0.2, 0.4, 0.4, 0.2};
    const uint32_t truth[] = {0, 0, 1, 2, 0};
    assert_int_equal(twi_top_k_correct(score, truth, 5, 3, 1), 1);
    assert_int_equal(twi_top_k_correct(score, truth, 5, 3, 2), 4);
    assert_int_equal(twi_top_k_correct(score, truth, 5, 3, 3), 5);
    const double two[] = {0.5, 0.5, 0.4, 0.6, 0.9, 0.1};
    const uint32_t both[] = {0, 1, 1};
    assert_int_equal(twi_top_k_correct(two, both, 3, 2, 1), 2);
    assert_int_equal(twi_top_k_correct(two, both, 3, 2, 2), 3);
}

/* Values: statsmodels' formula, proportion_confint(method="wilson"), evaluated in doubles. */
static void wilson(void **state)
{
    (void)state;
    double interval[2];
    twi_wilson(0, 0, interval);
    assert_true(interval[0] == 0.0 && interval[1] == 1.0);
    twi_wilson(0, 10, interval);
    assert_true(interval[0] == 0.0);
    close_to(interval[1], 0.2775327998628892);
    twi_wilson(10, 10, interval);
    close_to(interval[0], 0.7224672001371107);
    assert_true(interval[1] == 1.0);
    twi_wilson(157, 250, interval);
    close_to(interval[0], 0.5665723240737058);
    close_to(interval[1], 0.6855535512554604);
}

static void labels_and_probabilities(void **state)
{
    (void)state;
    const twi_logreg two = {.k = 2, .rows = 1}, three = {.k = 3, .rows = 3};
    const double u[] = {0.0, 1e-9, -800.0, 800.0};
    double p[9];
    uint32_t label[4];
    twi_logreg_labels(&two, u, 4, label);
    assert_int_equal(label[0], 0);
    assert_int_equal(label[1], 1);
    assert_int_equal(label[2], 0);
    assert_int_equal(label[3], 1);
    twi_logreg_probabilities(&two, u, 4, p);
    assert_true(p[0] == 0.5 && p[1] == 0.5 && p[4] == 1.0 && p[5] == 0.0 && p[6] == 0.0 &&
                p[7] == 1.0);
    const double v[] = {1.0, 1.0, 0.0, -900.0, 0.0, 900.0, 0.0, 2.0, 2.0};
    twi_logreg_labels(&three, v, 3, label);
    assert_int_equal(label[0], 0);
    assert_int_equal(label[1], 2);
    assert_int_equal(label[2], 1);
    twi_logreg_probabilities(&three, v, 3, p);
    for (size_t i = 0; i < 3; i++) close_to(p[3 * i] + p[3 * i + 1] + p[3 * i + 2], 1.0);
    close_to(p[0], exp(1.0) / (2.0 * exp(1.0) + 1.0));
}

/* ---- the choice of C ----------------------------------------------------------------------- */

static const double grid[] = {1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0};
static const twi_logreg_opts defaults = {.C = 1.0, .tol = 1e-4, .max_iter = 1000};

static void choice_is_the_first_of_the_best(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWI_LEN(golden_choices); i++) {
        const golden_choice *g = &golden_choices[i];
        sample_set set;
        uint32_t fold_of[200];
        double accuracy[6], again[6], C;
        sample_set_make(g->n, g->d, g->k, g->seed, g->shift, &set);
        for (size_t s = 0; s < g->n; s++) fold_of[s] = (uint32_t)(s % g->folds);
        assert_int_equal(twi_logreg_choose_c(ctx, &set.samples, fold_of, g->folds, grid, 6,
                                             &defaults, &C, accuracy),
                         TW_OK);
        size_t best = 0;
        for (size_t c = 0; c < 6; c++) {
            close_to(accuracy[c], g->accuracy[c]);
            if (accuracy[c] > accuracy[best]) best = c;
        }
        assert_true(C == grid[best]);
        tw_ctx_set_threads(ctx, 1);
        assert_int_equal(twi_logreg_choose_c(ctx, &set.samples, fold_of, g->folds, grid, 6,
                                             &defaults, &C, again),
                         TW_OK);
        tw_ctx_set_threads(ctx, 0);
        assert_memory_equal(accuracy, again, sizeof again);
        sample_set_free(&set);
    }
}

/* A class whose only sample is being tested cannot be known: the fold goes on without it. */
static void a_class_of_one_sample_is_survived(void **state)
{
    (void)state;
    for (size_t d = 8; d <= 400; d *= 50) {
        sample_set set;
        uint32_t fold_of[41];
        double accuracy[6], C;
        sample_set_make(41, d, 2, 4, 0.5, &set);
        set.samples.k = 3;
        set.y[40] = 2;
        for (size_t s = 0; s < 41; s++) fold_of[s] = (uint32_t)(s % 5);
        assert_int_equal(
            twi_logreg_choose_c(ctx, &set.samples, fold_of, 5, grid, 6, &defaults, &C, accuracy),
            TW_OK);
        for (size_t c = 0; c < 6; c++) assert_true(accuracy[c] > 0.3 && accuracy[c] < 1.0);
        sample_set_free(&set);
    }
}

static void senseless_folds_are_refused(void **state)
{
    (void)state;
    sample_set set;
    uint32_t fold_of[20] = {0};
    double C;
    const double bad[] = {1.0, -1.0};
    sample_set_make(20, 5, 2, 4, 0.5, &set);
    assert_int_equal(
        twi_logreg_choose_c(ctx, &set.samples, fold_of, 1, grid, 6, &defaults, &C, NULL),
        TW_ERR_ARG);
    assert_int_equal(
        twi_logreg_choose_c(ctx, &set.samples, fold_of, 2, grid, 0, &defaults, &C, NULL),
        TW_ERR_ARG);
    assert_int_equal(
        twi_logreg_choose_c(ctx, &set.samples, fold_of, 2, bad, 2, &defaults, &C, NULL),
        TW_ERR_ARG);
    assert_int_equal(
        twi_logreg_choose_c(ctx, &set.samples, fold_of, 2, grid, 6, &defaults, &C, NULL),
        TW_ERR_DATA);
    for (size_t s = 0; s < 20; s++) fold_of[s] = set.y[s]; /* each training part knows one class */
    assert_int_equal(
        twi_logreg_choose_c(ctx, &set.samples, fold_of, 2, grid, 6, &defaults, &C, NULL),
        TW_ERR_DATA);
    assert_non_null(strstr(tw_last_error(ctx), "one class only"));
    fold_of[3] = 7;
    assert_int_equal(
        twi_logreg_choose_c(ctx, &set.samples, fold_of, 2, grid, 6, &defaults, &C, NULL),
        TW_ERR_ARG);
    sample_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confusion_and_scores),
        cmocka_unit_test(top_k),
        cmocka_unit_test(wilson),
        cmocka_unit_test(labels_and_probabilities),
        cmocka_unit_test(choice_is_the_first_of_the_best),
        cmocka_unit_test(a_class_of_one_sample_is_survived),
        cmocka_unit_test(senseless_folds_are_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
