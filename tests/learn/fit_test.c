/* fit_test.c - scaler and logistic regression: goldens, properties, refusals. */
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

static void samples_of(const golden_fit *g, sample_set *out)
{
    *out = (sample_set){0};
    if (g->seed)
        sample_set_make(g->n, g->d, g->k, g->seed, g->shift, out);
    else
        out->samples = (twi_samples){.x = g->x, .y = g->y, .n = g->n, .d = g->d, .k = g->k};
}

static const twi_logreg_opts defaults = {.C = 1.0, .tol = 1e-4, .max_iter = 1000};

static void scaler_is_numpys_to_the_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWI_LEN(golden_fits); i++) {
        const golden_fit *g = &golden_fits[i];
        sample_set set;
        twi_scaler scaler;
        samples_of(g, &set);
        assert_int_equal(twi_scaler_fit(ctx, &set.samples, &scaler), TW_OK);
        const size_t column[] = {0, 1, 2, g->d / 2};
        for (size_t j = 0; j < 4; j++) {
            assert_true(scaler.mean[column[j]] == g->mean[j]);
            assert_true(scaler.var[column[j]] == g->var[j]);
            assert_true(scaler.scale[column[j]] == g->scale[j]);
        }
        twi_scaler_free(&scaler);
        sample_set_free(&set);
    }
}

/* 1e-6 is promised; the certificate aims lower. */
static void fits_reach_the_optimum(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWI_LEN(golden_fits); i++) {
        const golden_fit *g = &golden_fits[i];
        sample_set set;
        twi_scaler scaler;
        twi_logreg model;
        twi_logreg_opts opts = defaults;
        opts.C = g->C;
        opts.balanced = g->balanced;
        samples_of(g, &set);
        assert_int_equal(twi_scaler_fit(ctx, &set.samples, &scaler), TW_OK);
        assert_int_equal(twi_logreg_fit(ctx, &set.samples, &scaler, &opts, &model), TW_OK);
        const double value = plain_objective(ctx, &set.samples, &scaler, &model, g->C, g->balanced);
        const double gap = (value - g->objective) / g->objective;
        print_message("%-18s gap %9.2e, gradient %.1e, %zu iterations\n", g->name, gap,
                      model.gradient, model.iterations);
        assert_true(gap <= 1e-6 && gap > -1e-9);
        assert_true(fabs(model.objective - value) <= 2e-6 * value);
        assert_true(model.converged && (model.gradient <= opts.tol || gap < 1e-9));
        const size_t column[] = {0, 1, 2, g->d / 2};
        for (size_t j = 0; j < 4; j++)
            assert_true(fabs(model.coef[column[j]] - g->coef[j]) <=
                        2e-3 * fmax(0.05, fabs(g->coef[j])));
        double mean = 0.0;
        for (size_t c = 0; c < model.rows && model.rows > 1; c++)
            mean += model.intercept[c] / (double)model.rows;
        for (size_t c = 0; c < model.rows; c++)
            assert_true(fabs(model.intercept[c] - mean - g->intercept[c]) <=
                        5e-3 * fmax(1.0, fabs(g->intercept[c])));
        twi_logreg_free(&model);
        twi_scaler_free(&scaler);
        sample_set_free(&set);
    }
}

static void classes_of_softmax_sum_to_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWI_LEN(golden_fits); i++) {
        const golden_fit *g = &golden_fits[i];
        if (g->k == 2) continue;
        sample_set set;
        twi_scaler scaler;
        twi_logreg model;
        samples_of(g, &set);
        assert_int_equal(twi_scaler_fit(ctx, &set.samples, &scaler), TW_OK);
        assert_int_equal(twi_logreg_fit(ctx, &set.samples, &scaler, &defaults, &model), TW_OK);
        for (size_t j = 0; j < g->d; j++) {
            double sum = 0.0;
            for (size_t c = 0; c < g->k; c++) sum += model.coef[c * g->d + j];
            assert_true(fabs(sum) < 1e-5);
        }
        twi_logreg_free(&model);
        twi_scaler_free(&scaler);
        sample_set_free(&set);
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWI_LEN(golden_fits); i++) {
        sample_set set;
        samples_of(&golden_fits[i], &set);
        twi_scaler scaler[3];
        twi_logreg model[3];
        for (size_t t = 0; t < 3; t++) {
            tw_ctx_set_threads(ctx, 1 + 2 * t);
            assert_int_equal(twi_scaler_fit(ctx, &set.samples, &scaler[t]), TW_OK);
            assert_int_equal(twi_logreg_fit(ctx, &set.samples, &scaler[t], &defaults, &model[t]),
                             TW_OK);
        }
        const size_t d = set.samples.d, rows = model[0].rows;
        for (size_t t = 1; t < 3; t++) {
            assert_memory_equal(scaler[0].var, scaler[t].var, d * sizeof(double));
            assert_memory_equal(model[0].coef, model[t].coef, rows * d * sizeof(double));
            assert_memory_equal(model[0].intercept, model[t].intercept, rows * sizeof(double));
            assert_int_equal(model[0].iterations, model[t].iterations);
        }
        for (size_t t = 0; t < 3; t++) {
            twi_scaler_free(&scaler[t]);
            twi_logreg_free(&model[t]);
        }
        sample_set_free(&set);
    }
    tw_ctx_set_threads(ctx, 0);
}

/* rows[] picks and orders: a reversed half of the rows is the same problem as that half copied out.
 */
static void rows_are_picked_and_their_order_does_not_matter(void **state)
{
    (void)state;
    sample_set set;
    sample_set_make(200, 700, 3, 21, 0.1, &set);
    size_t rows[100];
    for (size_t i = 0; i < 100; i++) rows[i] = 199 - i;
    twi_samples picked = set.samples, copied = set.samples;
    picked.rows = rows;
    picked.n = copied.n = 100;
    float *x;
    uint32_t y[100];
    assert_int_equal(twi_alloc(ctx, 100 * 700, &x), TW_OK);
    for (size_t i = 0; i < 100; i++) {
        memcpy(x + i * 700, set.x + (100 + i) * 700, 700 * sizeof *x);
        y[i] = set.y[100 + i];
    }
    copied.x = x;
    copied.y = y;
    twi_scaler a, b;
    twi_logreg m, n;
    assert_int_equal(twi_scaler_fit(ctx, &picked, &a), TW_OK);
    assert_int_equal(twi_scaler_fit(ctx, &copied, &b), TW_OK);
    for (size_t j = 0; j < 700; j++) assert_true(fabs(a.mean[j] - b.mean[j]) < 1e-12);
    assert_int_equal(twi_logreg_fit(ctx, &picked, &a, &defaults, &m), TW_OK);
    assert_int_equal(twi_logreg_fit(ctx, &copied, &b, &defaults, &n), TW_OK);
    assert_true(fabs(m.objective - n.objective) <= 2e-6 * m.objective);
    for (size_t j = 0; j < 3 * 700; j++) assert_true(fabs(m.coef[j] - n.coef[j]) < 1e-3);
    twi_scaler_free(&a);
    twi_scaler_free(&b);
    twi_logreg_free(&m);
    twi_logreg_free(&n);
    twi_free(x);
    sample_set_free(&set);
}

static void scaler_keeps_constants_and_centres_them(void **state)
{
    (void)state;
    /* Constant; constant but for rounding at a large mean; spread far below the mean but real. */
    const float x[] = {3.0f, 1e8f, 1.0f, 3.0f, 1e8f, 1.0001f, 3.0f, 1e8f + 8.0f, 1.0002f};
    const uint32_t y[] = {0, 1, 0};
    const twi_samples samples = {.x = x, .y = y, .n = 3, .d = 3, .k = 2};
    twi_scaler s;
    assert_int_equal(twi_scaler_fit(ctx, &samples, &s), TW_OK);
    assert_true(s.scale[0] == 1.0 && s.var[0] == 0.0);
    assert_true(s.scale[1] > 3.0 && s.scale[1] < 4.0);
    assert_true(s.scale[2] < 1e-3);
    float z[9];
    twi_scaler_apply(&s, x, 3, z);
    assert_true(z[0] == 0.0f && z[3] == 0.0f && z[6] == 0.0f);
    twi_scaler_free(&s);
}

static void warn(void *user, tw_log_level level, const char *message)
{
    if (level == TW_LOG_WARNING) snprintf(user, 512, "%s", message);
}

static void running_out_of_iterations_is_a_warning(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWI_LEN(golden_fits); i++) {
        char said[512] = "";
        sample_set set;
        twi_logreg model;
        twi_logreg_opts opts = defaults;
        twi_scaler scaler;
        opts.max_iter = 2;
        samples_of(&golden_fits[i], &set);
        tw_ctx_set_log(ctx, warn, said);
        assert_int_equal(twi_scaler_fit(ctx, &set.samples, &scaler), TW_OK);
        assert_int_equal(twi_logreg_fit(ctx, &set.samples, &scaler, &opts, &model), TW_OK);
        assert_false(model.converged);
        assert_true(model.iterations <= 2);
        assert_non_null(strstr(said, "lbfgs failed to converge (status=1):"));
        assert_non_null(strstr(said, "STOP: TOTAL NO. of ITERATIONS REACHED LIMIT."));
        twi_logreg_free(&model);
        twi_scaler_free(&scaler);
        sample_set_free(&set);
    }
    tw_ctx_set_log(ctx, NULL, NULL);
}

static int refuse_to_go_on(void *user, const tw_progress *progress)
{
    (void)user;
    (void)progress;
    return 1;
}

static void a_fit_can_be_stopped(void **state)
{
    (void)state;
    sample_set set;
    twi_logreg model;
    tw_ctx *own;
    assert_int_equal(tw_ctx_new(&own), TW_OK);
    sample_set_make(100, 20, 3, 5, 0.1, &set);
    tw_ctx_set_progress(own, refuse_to_go_on, NULL);
    assert_int_equal(twi_logreg_fit(own, &set.samples, NULL, &defaults, &model), TW_ERR_CANCELLED);
    sample_set_free(&set);
    tw_ctx_free(own);
}

static void refused(const twi_samples *samples, const twi_logreg_opts *opts, tw_status status,
                    const char *words)
{
    twi_logreg model;
    assert_int_equal(twi_logreg_fit(ctx, samples, NULL, opts, &model), status);
    if (!strstr(tw_last_error(ctx), words))
        fail_msg("\"%s\" lacks \"%s\"", tw_last_error(ctx), words);
}

static void senseless_samples_are_refused(void **state)
{
    (void)state;
    sample_set set;
    sample_set_make(40, 6, 3, 9, 0.3, &set);
    twi_samples s = set.samples;
    twi_logreg_opts opts = defaults;
    s.n = 0;
    refused(&s, &opts, TW_ERR_DATA, "no training samples");
    s = set.samples, s.d = 0;
    refused(&s, &opts, TW_ERR_DATA, "0 features");
    s = set.samples, s.k = 1;
    refused(&s, &opts, TW_ERR_DATA, "1 class");
    s = set.samples, s.k = 2;
    refused(&s, &opts, TW_ERR_DATA, "label 2");
    s = set.samples, s.k = 4;
    refused(&s, &opts, TW_ERR_DATA, "class 3 of 4 has no training sample");
    s = set.samples;
    opts.C = 0.0;
    refused(&s, &opts, TW_ERR_ARG, "C must be");
    opts.C = NAN;
    refused(&s, &opts, TW_ERR_ARG, "C must be");
    opts = defaults, opts.tol = -1.0;
    refused(&s, &opts, TW_ERR_ARG, "tol");
    sample_set_free(&set);
}

static void numbers_that_are_not_finite_are_named(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    const char *word[] = {"NaN", "infinite", "infinite"};
    for (size_t wide = 0; wide < 2; wide++)
        for (size_t b = 0; b < 3; b++) {
            sample_set set;
            twi_scaler scaler;
            const size_t d = wide ? 300 : 6;
            sample_set_make(40, d, 2 + wide, 9, 0.3, &set);
            set.x[17 * d + 4] = bad[b];
            assert_int_equal(twi_scaler_fit(ctx, &set.samples, &scaler), TW_ERR_DATA);
            assert_non_null(strstr(tw_last_error(ctx), "feature 4 of sample 17"));
            assert_non_null(strstr(tw_last_error(ctx), word[b]));
            refused(&set.samples, &defaults, TW_ERR_DATA, "feature 4 of sample 17");
            sample_set_free(&set);
        }
}

/* The representer theorem meets rows that are copies of each other: K is singular, the optimum is
 * not. */
static void copies_of_rows_do_no_harm(void **state)
{
    (void)state;
    sample_set set;
    twi_scaler scaler;
    twi_logreg once, twice;
    sample_set_make(30, 400, 3, 33, 0.2, &set);
    size_t rows[60];
    for (size_t i = 0; i < 60; i++) rows[i] = i % 30;
    twi_samples doubled = set.samples;
    doubled.rows = rows;
    doubled.n = 60;
    twi_logreg_opts opts = defaults;
    assert_int_equal(twi_scaler_fit(ctx, &set.samples, &scaler), TW_OK);
    assert_int_equal(twi_logreg_fit(ctx, &doubled, &scaler, &opts, &twice), TW_OK);
    opts.C = 2.0; /* every row twice at C is every row once at 2 C, with twice the objective */
    assert_int_equal(twi_logreg_fit(ctx, &set.samples, &scaler, &opts, &once), TW_OK);
    assert_true(fabs(twice.objective - 2.0 * once.objective) <= 4e-6 * twice.objective);
    twi_logreg_free(&once);
    twi_logreg_free(&twice);
    twi_scaler_free(&scaler);
    sample_set_free(&set);
}

/* Values that halves cannot hold: the large way notices and goes on exactly. */
static void values_beyond_halves_are_fitted_exactly(void **state)
{
    (void)state;
    sample_set set;
    twi_logreg model;
    const twi_logreg_opts opts = {.C = 1e-9, .tol = 1e-4, .max_iter = 200};
    sample_set_make(620, 14003, 2, 7, 0.01, &set);
    for (size_t i = 0; i < 620; i++) set.x[i * 14003 + 5000] = i % 2 ? 1e5f : -1e5f;
    assert_int_equal(twi_logreg_fit(ctx, &set.samples, NULL, &opts, &model), TW_OK);
    assert_true(isfinite(model.objective) && model.objective > 0.0);
    const double value = plain_objective(ctx, &set.samples, NULL, &model, opts.C, false);
    assert_true(fabs(model.objective - value) <= 1e-5 * value);
    twi_logreg_free(&model);
    sample_set_free(&set);
}

/* Separable, hardly penalised, features of wild scales left unscaled: still ends, and says how. */
static void hard_problems_end(void **state)
{
    (void)state;
    const double strengths[] = {1e-8, 1e8};
    for (size_t i = 0; i < TWI_LEN(strengths); i++)
        for (size_t k = 2; k < 4; k++) {
            sample_set set;
            twi_logreg model;
            twi_logreg_opts opts = {.C = strengths[i], .tol = 1e-4, .max_iter = 300};
            sample_set_make(80, 10, k, 3, 5.0, &set);
            for (size_t r = 0; r < 80; r++) set.x[r * 10] *= 1e4f;
            assert_int_equal(twi_logreg_fit(ctx, &set.samples, NULL, &opts, &model), TW_OK);
            assert_true(isfinite(model.objective));
            twi_logreg_free(&model);
            sample_set_free(&set);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scaler_is_numpys_to_the_bit),
        cmocka_unit_test(fits_reach_the_optimum),
        cmocka_unit_test(classes_of_softmax_sum_to_nothing),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(rows_are_picked_and_their_order_does_not_matter),
        cmocka_unit_test(scaler_keeps_constants_and_centres_them),
        cmocka_unit_test(running_out_of_iterations_is_a_warning),
        cmocka_unit_test(a_fit_can_be_stopped),
        cmocka_unit_test(senseless_samples_are_refused),
        cmocka_unit_test(numbers_that_are_not_finite_are_named),
        cmocka_unit_test(copies_of_rows_do_no_harm),
        cmocka_unit_test(values_beyond_halves_are_fitted_exactly),
        cmocka_unit_test(hard_problems_end),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
