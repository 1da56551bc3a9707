/* sparse_test.c - the penalties "l1" and "elasticnet": conditions of the optimum by plain sums, the
 * ends of the scale, paths, and what goes wrong. */
#include "learn_data.h"

#include "learn/linear_path.h"
#include "learn/sparse.h"

#include <string.h>

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

typedef struct fitted {
    sample_set set;
    twi_scaler scaler;
    twi_logreg model;
} fitted;

static void fit(size_t n, size_t d, size_t k, const twi_logreg_opts *opts, fitted *out)
{
    *out = (fitted){0};
    sample_set_make(n, d, k, (uint32_t)(n + k), 0.5, &out->set);
    assert_int_equal(twi_scaler_fit(ctx, &out->set.samples, &out->scaler), TW_OK);
    assert_int_equal(twi_sparse_fit(ctx, &out->set.samples, &out->scaler, opts, &out->model),
                     TW_OK);
}

static void fitted_free(fitted *f)
{
    twi_logreg_free(&f->model);
    twi_scaler_free(&f->scaler);
    sample_set_free(&f->set);
}

/* d loss / d w [rows, d] and d loss / d b [rows], and the loss: by the definition, in double. */
static double plain_gradient(const fitted *f, bool balanced, double *gw, double *gb)
{
    const twi_samples *s = &f->set.samples;
    const size_t rows = f->model.rows, d = s->d;
    double *u, p[16], count[16] = {0}, loss = 0.0;
    float *z;
    assert_int_equal(twi_alloc(NULL, s->n * rows, &u), TW_OK);
    assert_int_equal(twi_alloc(NULL, d, &z), TW_OK);
    assert_int_equal(twi_logreg_decision(ctx, &f->model, &f->scaler, s->x, s->n, u), TW_OK);
    memset(gw, 0, rows * d * sizeof *gw);
    memset(gb, 0, rows * sizeof *gb);
    for (size_t i = 0; i < s->n; i++) count[s->y[i]]++;
    for (size_t i = 0; i < s->n; i++) {
        const size_t y = s->y[i];
        const double weight = balanced ? (double)s->n / ((double)s->k * count[y]) : 1.0;
        const double two[2] = {0.0, u[i]}, *scores = rows == 1 ? two : u + i * rows;
        double sum = 0.0;
        for (size_t c = 0; c < s->k; c++) sum += p[c] = exp(scores[c]);
        loss += weight * softmax_loss(scores, s->k, y);
        twi_scaler_apply(&f->scaler, s->x + i * d, 1, z);
        for (size_t c = 0; c < rows; c++) {
            const size_t class = rows == 1 ? 1 : c;
            const double r = weight * (p[class] / sum - (y == class ? 1.0 : 0.0));
            gb[c] += r;
            for (size_t j = 0; j < d; j++) gw[c * d + j] += r * (double)z[j];
        }
    }
    twi_free(u);
    twi_free(z);
    return loss;
}

/* 0 lies in the subdifferential, coordinate by coordinate; f is what was said. */
static void check_optimum(const fitted *f, const twi_logreg_opts *opts)
{
    const size_t cells = f->model.rows * f->model.d;
    const double l1 = opts->l1_ratio / opts->C, l2 = (1.0 - opts->l1_ratio) / opts->C;
    double *gw, gb[16], value, off = 0.0;
    size_t zeros = 0;
    assert_int_equal(twi_alloc(NULL, cells, &gw), TW_OK);
    value = plain_gradient(f, opts->balanced, gw, gb);
    for (size_t i = 0; i < cells; i++) {
        const double w = f->model.coef[i], g = gw[i] + l2 * w;
        value += l1 * fabs(w) + 0.5 * l2 * w * w;
        zeros += w == 0.0;
        off = fmax(off, w == 0.0 ? fabs(g) - l1 : fabs(g + copysign(l1, w)));
    }
    for (size_t c = 0; c < f->model.rows; c++) off = fmax(off, fabs(gb[c]));
    print_message(
        "%zu x %zu, %zu classes, l1_ratio %g, C %g: %zu of %zu weights are 0, off by %.1e "
        "of l1, %zu rounds\n",
        f->set.samples.n, f->model.d, f->model.k, opts->l1_ratio, opts->C, zeros, cells, off / l1,
        f->model.iterations);
    assert_true(f->model.converged);
    assert_true(fabs(f->model.objective - value) <= 1e-5 * value);
    /* A gap of g under a curvature of L bounds the slope by sqrt(2 L g); L <= n / 2 or so. */
    assert_true(off <= sqrt(1e-6 * value * (double)f->set.samples.n));
    assert_true(zeros > 0 && zeros < cells);
    double sum = 0.0;
    for (size_t c = 0; c < f->model.rows && f->model.rows > 1; c++) sum += f->model.intercept[c];
    assert_true(fabs(sum) < 1e-9);
    twi_free(gw);
}

static const twi_logreg_opts lasso = {.C = 0.1, .tol = 1e-4, .max_iter = 1000, .l1_ratio = 1.0};

static void fits_meet_the_conditions_of_the_optimum(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{60, 20, 2}, {50, 300, 2}, {120, 40, 4}, {80, 400, 3}};
    static const double ratios[] = {1.0, 0.5, 0.05}, strengths[] = {0.3, 2.0};
    for (size_t i = 0; i < TWI_LEN(shapes); i++)
        for (size_t r = 0; r < TWI_LEN(ratios); r++)
            for (size_t s = 0; s < TWI_LEN(strengths); s++)
                for (int balanced = 0; balanced < 2; balanced++) {
                    fitted f;
                    twi_logreg_opts opts = lasso;
                    opts.C = strengths[s] / ratios[r]; /* l1 stays, so that some weights are 0 */
                    opts.l1_ratio = ratios[r];
                    opts.balanced = balanced;
                    fit(shapes[i][0], shapes[i][1], shapes[i][2], &opts, &f);
                    check_optimum(&f, &opts);
                    fitted_free(&f);
                }
}

/* Under a penalty heavier than the steepest slope at 0 nothing is learned but how frequent the
 * classes are. */
static void a_heavy_penalty_leaves_the_intercepts(void **state)
{
    (void)state;
    for (size_t k = 2; k <= 4; k++) {
        fitted f;
        twi_logreg_opts opts = lasso;
        double count[4] = {0};
        opts.C = 1e-6;
        fit(90, 30, k, &opts, &f);
        for (size_t i = 0; i < f.model.rows * f.model.d; i++) assert_true(f.model.coef[i] == 0.0);
        for (size_t i = 0; i < 90; i++) count[f.set.y[i]]++;
        const double *b = f.model.intercept;
        if (k == 2) assert_true(fabs(b[0] - log(count[1] / count[0])) < 1e-6);
        for (size_t c = 1; c < k && k > 2; c++)
            assert_true(fabs(b[c] - b[0] - log(count[c] / count[0])) < 1e-6);
        assert_true(f.model.converged);
        fitted_free(&f);
    }
}

static void hardly_any_l1_is_l2(void **state)
{
    (void)state;
    for (size_t k = 2; k <= 3; k++) {
        fitted f;
        twi_logreg ridge;
        twi_logreg_opts opts = lasso;
        opts.l1_ratio = 1e-7;
        fit(80, 50, k, &opts, &f);
        opts.l1_ratio = 0.0;
        assert_int_equal(twi_logreg_fit(ctx, &f.set.samples, &f.scaler, &opts, &ridge), TW_OK);
        assert_true(fabs(ridge.objective - f.model.objective) <= 3e-6 * ridge.objective);
        for (size_t i = 0; i < ridge.rows * ridge.d; i++)
            assert_true(fabs(ridge.coef[i] - f.model.coef[i]) < 2e-3);
        twi_logreg_free(&ridge);
        fitted_free(&f);
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    fitted f[2];
    for (size_t t = 0; t < 2; t++) {
        tw_ctx_set_threads(ctx, 1 + 2 * t);
        fit(150, 700, 3, &lasso, &f[t]);
    }
    const size_t cells = f[0].model.rows * f[0].model.d;
    assert_memory_equal(f[0].model.coef, f[1].model.coef, cells * sizeof(double));
    assert_memory_equal(f[0].model.intercept, f[1].model.intercept, 3 * sizeof(double));
    tw_ctx_set_threads(ctx, 0);
    for (size_t t = 0; t < 2; t++) fitted_free(&f[t]);
}

static void a_copied_feature_does_no_harm(void **state)
{
    (void)state;
    fitted f;
    twi_logreg model;
    sample_set_make(80, 30, 2, 82, 0.5, &f.set);
    for (size_t i = 0; i < 80; i++) f.set.x[i * 30 + 7] = f.set.x[i * 30 + 3];
    assert_int_equal(twi_scaler_fit(ctx, &f.set.samples, &f.scaler), TW_OK);
    assert_int_equal(twi_sparse_fit(ctx, &f.set.samples, &f.scaler, &lasso, &model), TW_OK);
    assert_true(model.converged);
    twi_logreg_free(&model);
    twi_scaler_free(&f.scaler);
    sample_set_free(&f.set);
}

/* ---- paths --------------------------------------------------------------------------------- */

typedef struct taken {
    double *decision; /* [n_grid, cells] */
    size_t cells, count;
} taken;

static tw_status take(tw_ctx *unused, void *user, size_t at, const double *decision, bool limited)
{
    (void)unused;
    taken *t = user;
    assert_false(limited);
    memcpy(t->decision + at * t->cells, decision, t->cells * sizeof *decision);
    t->count++;
    return TW_OK;
}

static void a_path_goes_where_single_fits_go(void **state)
{
    (void)state;
    static const double grid[] = {0.01, 0.1, 1.0};
    for (size_t k = 2; k <= 3; k++) {
        const size_t n = 100, width = k == 2 ? 1 : k;
        sample_set set;
        twi_scaler scaler;
        size_t train_rows[70], tested_rows[30];
        sample_set_make(n, 60, k, 31, 0.5, &set);
        for (size_t i = 0; i < 70; i++) train_rows[i] = (i * 3) % 70;
        for (size_t i = 0; i < 30; i++) tested_rows[i] = 99 - i;
        twi_samples train = set.samples, tested = set.samples;
        train.rows = train_rows, train.n = 70;
        tested.rows = tested_rows, tested.n = 30;
        assert_int_equal(twi_scaler_fit(ctx, &train, &scaler), TW_OK);
        taken t = {.cells = 30 * width};
        assert_int_equal(twi_alloc(NULL, TWI_LEN(grid) * t.cells, &t.decision), TW_OK);
        const twi_linear_parts parts = {&train, &tested, &scaler};
        assert_int_equal(twi_linear_path(ctx, &parts, &lasso, grid, TWI_LEN(grid), take, &t),
                         TW_OK);
        assert_int_equal(t.count, TWI_LEN(grid));
        for (size_t at = 0; at < TWI_LEN(grid); at++) {
            twi_logreg model;
            twi_logreg_opts opts = lasso;
            double u[3], top = 0.0, apart = 0.0;
            opts.C = grid[at];
            assert_int_equal(twi_sparse_fit(ctx, &train, &scaler, &opts, &model), TW_OK);
            for (size_t i = 0; i < 30; i++) {
                const float *x = set.x + tested_rows[i] * 60;
                assert_int_equal(twi_logreg_decision(ctx, &model, &scaler, x, 1, u), TW_OK);
                const double *path = t.decision + at * t.cells + i * width;
                for (size_t c = 0; c < width; c++) {
                    top = fmax(top, fabs(u[c]));
                    apart = fmax(apart, fabs(path[c] - u[c]));
                }
            }
            assert_true(apart <= 0.05 * fmax(top, 0.1));
            twi_logreg_free(&model);
        }
        twi_free(t.decision);
        twi_scaler_free(&scaler);
        sample_set_free(&set);
    }
}

/* ---- what goes wrong ----------------------------------------------------------------------- */

static void warn(void *user, tw_log_level level, const char *message)
{
    if (level == TW_LOG_WARNING) snprintf(user, 512, "%s", message);
}

static void running_out_of_rounds_is_a_warning(void **state)
{
    (void)state;
    char said[512] = "";
    fitted f;
    twi_logreg_opts opts = lasso;
    opts.max_iter = 1;
    tw_ctx_set_log(ctx, warn, said);
    fit(120, 40, 4, &opts, &f);
    tw_ctx_set_log(ctx, NULL, NULL);
    assert_false(f.model.converged);
    assert_int_equal(f.model.iterations, 1);
    assert_non_null(
        strstr(said, "The max_iter was reached which means the coef_ did not converge"));
    fitted_free(&f);
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
    sample_set_make(100, 20, 3, 5, 0.5, &set);
    tw_ctx_set_progress(own, refuse_to_go_on, NULL);
    assert_int_equal(twi_sparse_fit(own, &set.samples, NULL, &lasso, &model), TW_ERR_CANCELLED);
    sample_set_free(&set);
    tw_ctx_free(own);
}

static void numbers_that_are_not_finite_are_named(void **state)
{
    (void)state;
    sample_set set;
    twi_logreg model;
    sample_set_make(40, 300, 3, 9, 0.3, &set);
    set.x[17 * 300 + 4] = NAN;
    assert_int_equal(twi_sparse_fit(ctx, &set.samples, NULL, &lasso, &model), TW_ERR_DATA);
    assert_non_null(strstr(tw_last_error(ctx), "feature 4 of sample 17"));
    sample_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits_meet_the_conditions_of_the_optimum),
        cmocka_unit_test(a_heavy_penalty_leaves_the_intercepts),
        cmocka_unit_test(hardly_any_l1_is_l2),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(a_copied_feature_does_no_harm),
        cmocka_unit_test(a_path_goes_where_single_fits_go),
        cmocka_unit_test(running_out_of_rounds_is_a_warning),
        cmocka_unit_test(a_fit_can_be_stopped),
        cmocka_unit_test(numbers_that_are_not_finite_are_named),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
