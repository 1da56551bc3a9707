/* pca_test.c - PCA against scikit-learn's, what every PCA must satisfy, and files that lie; rows of
 * length 1. */
#include "learn_data.h"
#include "pca_golden.h"

#include "learn/normalise.h"
#include "learn/pca.h"

#include <float.h>

static tw_ctx *ctx;

static int start(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static void fit(const twi_samples *samples, size_t components, twi_pca *out)
{
    const tw_status st = twi_pca_fit(ctx, samples, components, out);
    if (st != TW_OK) fail_msg("%s", tw_last_error(ctx));
}

static float *projected(const twi_pca *pca, const float *x, size_t n)
{
    float *z;
    assert_int_equal(twi_alloc(NULL, n * pca->components, &z), TW_OK);
    assert_int_equal(twi_pca_apply(ctx, pca, x, n, z), TW_OK);
    return z;
}

static void near(const char *name, const char *what, double found, double wanted, double within)
{
    if (!(fabs(found - wanted) <= within))
        fail_msg("%s: %s is %.9g, not %.9g", name, what, found, wanted);
}

/* ---- scikit-learn's ------------------------------------------------------------------------ */

/* Axes are stored as floats: 6e-8 an entry; projections are sums of floats. */
static void finds_the_components_of_scikit_learn(void **state)
{
    (void)state;
    for (size_t g = 0; g < TWI_LEN(golden_pcas); g++) {
        const golden_pca *golden = &golden_pcas[g];
        sample_set set;
        twi_pca pca;
        sample_set_make(golden->n, golden->d, golden->k, golden->seed, golden->shift, &set);
        fit(&set.samples, 5, &pca);
        float *z = projected(&pca, set.x, golden->n);
        const size_t at[4] = {0, 1, golden->d / 3, golden->d - 1};
        for (size_t c = 0; c < 5; c++) {
            const double size = sqrt(golden->variance[0]);
            near(golden->name, "variance", pca.variance[c] / golden->variance[c], 1.0, 1e-12);
            for (size_t j = 0; j < 4; j++)
                near(golden->name, "axis", (double)pca.axes[c * golden->d + at[j]],
                     golden->axis[c][j], 1e-7);
            near(golden->name, "first", (double)z[c], golden->first[c], 1e-6 * size);
            near(golden->name, "last", (double)z[(golden->n - 1) * 5 + c], golden->last[c],
                 1e-6 * size);
        }
        twi_free(z);
        twi_pca_free(&pca);
        sample_set_free(&set);
    }
}

/* ---- what must hold ------------------------------------------------------------------------ */

static void check_orthonormal(const twi_pca *pca)
{
    for (size_t a = 0; a < pca->components; a++)
        for (size_t b = 0; b <= a; b++) {
            double inner = 0.0;
            for (size_t j = 0; j < pca->d; j++)
                inner += (double)pca->axes[a * pca->d + j] * (double)pca->axes[b * pca->d + j];
            near("axes", "inner product", inner, a == b ? 1.0 : 0.0, 4e-7);
        }
}

/* Projections have mean 0, the variance promised, no correlation, and the farthest is positive. */
static void check_projections(const twi_pca *pca, const float *x, size_t n)
{
    const size_t p = pca->components;
    float *z = projected(pca, x, n);
    const double size = pca->variance[0];
    for (size_t a = 0; a < p; a++) {
        double sum = 0.0, far = 0.0;
        for (size_t i = 0; i < n; i++) {
            sum += (double)z[i * p + a];
            if (fabs((double)z[i * p + a]) > fabs(far) * (1.0 + 1e-6)) far = (double)z[i * p + a];
        }
        near("projection", "mean", sum / (double)n, 0.0, 1e-6 * sqrt(size));
        if (pca->variance[a] > 1e-9 * size) assert_true(far > 0.0);
        for (size_t b = 0; b <= a; b++) {
            double covariance = 0.0;
            for (size_t i = 0; i < n; i++)
                covariance += (double)z[i * p + a] * (double)z[i * p + b];
            near("projection", "covariance", covariance / (double)(n - 1),
                 a == b ? pca->variance[a] : 0.0, 2e-6 * size);
        }
    }
    twi_free(z);
}

static double total_variance(const twi_samples *s)
{
    double total = 0.0;
    for (size_t j = 0; j < s->d; j++) {
        double sum = 0.0, square = 0.0;
        for (size_t i = 0; i < s->n; i++) sum += (double)s->x[i * s->d + j];
        for (size_t i = 0; i < s->n; i++) {
            const double e = (double)s->x[i * s->d + j] - sum / (double)s->n;
            square += e * e;
        }
        total += square / (double)(s->n - 1);
    }
    return total;
}

static void all_components_keep_all_variance(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{2, 1},   {2, 2},   {2, 9},    {5, 5},    {9, 4},  {4, 9},
                                       {12, 16}, {13, 17}, {100, 33}, {33, 100}, {50, 50}};
    for (size_t i = 0; i < TWI_LEN(shapes); i++) {
        const size_t n = shapes[i][0], d = shapes[i][1];
        sample_set set;
        twi_pca pca;
        sample_set_make(n, d, 2, (uint32_t)(40 + i), 0.5, &set);
        fit(&set.samples, n < d ? n : d, &pca);
        double sum = 0.0;
        for (size_t c = 0; c < pca.components; c++) {
            assert_true(pca.variance[c] >= 0.0);
            if (c) assert_true(pca.variance[c] <= pca.variance[c - 1]);
            sum += pca.variance[c];
        }
        const double total = total_variance(&set.samples);
        near("all components", "variance", sum, total, 1e-12 * (1.0 + total));
        check_orthonormal(&pca);
        check_projections(&pca, set.x, n);
        twi_pca_free(&pca);
        sample_set_free(&set);
    }
}

/* Copies of three samples have rank 2: the other axes are whatever completes them. */
static void samples_of_low_rank_still_have_axes(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{30, 50}, {50, 30}};
    for (size_t i = 0; i < TWI_LEN(shapes); i++) {
        const size_t n = shapes[i][0], d = shapes[i][1];
        sample_set set;
        twi_pca pca;
        sample_set_make(n, d, 2, 61, 1.0, &set);
        for (size_t r = 3; r < n; r++) memcpy(set.x + r * d, set.x + r % 3 * d, d * sizeof *set.x);
        fit(&set.samples, 20, &pca);
        for (size_t c = 2; c < 20; c++) assert_true(pca.variance[c] <= 1e-13 * pca.variance[0]);
        check_orthonormal(&pca);
        check_projections(&pca, set.x, n);
        twi_pca_free(&pca);
        for (size_t r = 1; r < n; r++) memcpy(set.x + r * d, set.x, d * sizeof *set.x);
        fit(&set.samples, 20, &pca); /* no variance at all */
        for (size_t c = 0; c < 20; c++) assert_true(pca.variance[c] < 1e-20);
        check_orthonormal(&pca);
        twi_pca_free(&pca);
        sample_set_free(&set);
    }
}

/* Components far weaker than the first, where axes from the Gram matrix lose their right angles. */
static void weak_components_are_at_right_angles_too(void **state)
{
    (void)state;
    sample_set set;
    twi_pca pca;
    sample_set_make(60, 90, 2, 62, 1.0, &set);
    for (size_t i = 0; i < 60; i++)
        for (size_t j = 0; j < 90; j++) set.x[i * 90 + j] *= powf(10.0f, -8.0f * (float)j / 90.0f);
    fit(&set.samples, 59, &pca);
    assert_true(pca.variance[58] < 1e-10 * pca.variance[0]);
    check_orthonormal(&pca);
    twi_pca_free(&pca);
    sample_set_free(&set);
}

static void picked_rows_are_as_copied_rows(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{90, 140}, {140, 30}};
    for (size_t i = 0; i < TWI_LEN(shapes); i++) {
        const size_t n = shapes[i][0] / 2, d = shapes[i][1];
        size_t rows[70];
        sample_set set;
        twi_pca pca[2];
        float *copy;
        sample_set_make(2 * n, d, 2, 63, 1.0, &set);
        assert_int_equal(twi_alloc(NULL, n * d, &copy), TW_OK);
        for (size_t r = 0; r < n; r++) {
            rows[r] = 2 * n - 1 - 2 * r;
            memcpy(copy + r * d, set.x + rows[r] * d, d * sizeof *copy);
        }
        const twi_samples picked = {.x = set.x, .rows = rows, .n = n, .d = d, .k = 2};
        const twi_samples copied = {.x = copy, .n = n, .d = d, .k = 2};
        fit(&picked, 11, &pca[0]);
        fit(&copied, 11, &pca[1]);
        assert_memory_equal(pca[0].mean, pca[1].mean, d * sizeof *pca->mean);
        assert_memory_equal(pca[0].axes, pca[1].axes, 11 * d * sizeof *pca->axes);
        assert_memory_equal(pca[0].variance, pca[1].variance, 11 * sizeof *pca->variance);
        twi_pca_free(&pca[0]);
        twi_pca_free(&pca[1]);
        twi_free(copy);
        sample_set_free(&set);
    }
}

static void nothing_depends_on_the_threads(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{500, 900}, {900, 500}};
    for (size_t i = 0; i < TWI_LEN(shapes); i++) {
        const size_t n = shapes[i][0], d = shapes[i][1];
        sample_set set;
        twi_pca pca[3];
        sample_set_make(n, d, 3, 64, 1.0, &set);
        for (size_t t = 0; t < 3; t++) {
            tw_ctx_set_threads(ctx, t + 1);
            fit(&set.samples, 17, &pca[t]);
        }
        tw_ctx_set_threads(ctx, 0);
        for (size_t t = 1; t < 3; t++) {
            assert_memory_equal(pca[0].axes, pca[t].axes, 17 * d * sizeof *pca->axes);
            assert_memory_equal(pca[0].variance, pca[t].variance, 17 * sizeof *pca->variance);
        }
        for (size_t t = 0; t < 3; t++) twi_pca_free(&pca[t]);
        sample_set_free(&set);
    }
}

/* A row's projection is its own affair: the same to the bit alone and among others. */
static void rows_are_projected_one_by_one(void **state)
{
    (void)state;
    sample_set set;
    twi_pca pca;
    sample_set_make(70, 1500, 2, 65, 1.0, &set);
    fit(&set.samples, 10, &pca);
    float *z = projected(&pca, set.x, 70);
    for (size_t i = 0; i < 70; i++) {
        float *one = projected(&pca, set.x + i * 1500, 1);
        assert_memory_equal(one, z + i * 10, 10 * sizeof *one);
        twi_free(one);
    }
    assert_int_equal(twi_pca_apply(ctx, &pca, set.x, 0, z), TW_OK);
    twi_free(z);
    twi_pca_free(&pca);
    sample_set_free(&set);
}

/* ---- refusals ------------------------------------------------------------------------------ */

static void refused(const twi_samples *samples, size_t components, tw_status status,
                    const char *words)
{
    twi_pca pca = {.d = 77};
    assert_int_equal(twi_pca_fit(ctx, samples, components, &pca), status);
    if (!strstr(tw_last_error(ctx), words)) fail_msg("%s", tw_last_error(ctx));
    assert_int_equal(pca.d, 77); /* outputs change only on TW_OK */
}

static void says_what_it_cannot_do(void **state)
{
    (void)state;
    sample_set set;
    sample_set_make(20, 30, 2, 66, 1.0, &set);
    twi_samples s = set.samples;
    refused(&s, 0, TW_ERR_ARG, "at least 1");
    refused(&s, 21, TW_ERR_DATA, "at most the lesser of the two, 20");
    s.n = 1;
    refused(&s, 1, TW_ERR_DATA, "1 samples; need at least 2");
    s.n = 20;
    set.x[7 * 30 + 4] = NAN;
    refused(&s, 3, TW_ERR_DATA, "feature 4 of sample 7 is NaN");
    sample_set_free(&set);
}

typedef struct stopping {
    const char *stage;
    size_t asked;
} stopping;

static int stop_at(void *user, const tw_progress *progress)
{
    stopping *s = user;
    s->asked++;
    return strcmp(progress->stage, s->stage) == 0;
}

static void can_be_stopped_in_every_stage(void **state)
{
    (void)state;
    static const char *const stages[] = {"covariance", "components"};
    static const size_t shapes[][2] = {{40, 60}, {60, 40}};
    for (size_t i = 0; i < TWI_LEN(shapes); i++)
        for (size_t t = 0; t < TWI_LEN(stages); t++) {
            tw_ctx *own;
            sample_set set;
            twi_pca pca;
            stopping s = {stages[t], 0};
            assert_int_equal(tw_ctx_new(&own), TW_OK);
            tw_ctx_set_progress(own, stop_at, &s);
            sample_set_make(shapes[i][0], shapes[i][1], 2, 67, 1.0, &set);
            assert_int_equal(twi_pca_fit(own, &set.samples, 5, &pca), TW_ERR_CANCELLED);
            assert_true(s.asked == t + 1);
            sample_set_free(&set);
            tw_ctx_free(own);
        }
}

/* ---- files --------------------------------------------------------------------------------- */

static void comes_back_from_its_tensors(void **state)
{
    (void)state;
    sample_set set;
    twi_pca pca, back;
    twi_tensors tensors = {0};
    sample_set_make(30, 44, 2, 68, 1.0, &set);
    fit(&set.samples, 6, &pca);
    assert_int_equal(twi_pca_save(ctx, &pca, &tensors), TW_OK);
    assert_int_equal(twi_pca_load(ctx, "m", &tensors, 44, 6, &back), TW_OK);
    assert_int_equal(back.d, 44);
    assert_int_equal(back.components, 6);
    assert_memory_equal(pca.mean, back.mean, 44 * sizeof *pca.mean);
    assert_memory_equal(pca.axes, back.axes, 6 * 44 * sizeof *pca.axes);
    assert_memory_equal(pca.variance, back.variance, 6 * sizeof *pca.variance);
    twi_pca_free(&back);
    twi_pca_free(&pca);
    twi_tensors_free(&tensors);
    sample_set_free(&set);
}

typedef struct lie {
    const char *words;
    size_t mean, rows, columns, variance; /* what the shapes claim */
    twi_dtype axes;
    double number; /* put into pca.variance */
    size_t d, components;
} lie;

static void refuses_tensors_that_lie(void **state)
{
    (void)state;
    static const lie lies[] = {
        {"\"pca.mean\" is missing", 0, 2, 4, 2, TWI_F32, 1.0, 4, 2},
        {"\"pca.mean\" is not F64", 5, 2, 4, 2, TWI_F32, 1.0, 4, 2},
        {"\"pca.components\" is not F32", 4, 3, 4, 2, TWI_F32, 1.0, 4, 2},
        {"\"pca.components\" is not F32", 4, 4, 2, 2, TWI_F32, 1.0, 4, 2},
        {"\"pca.components\" is not F32", 4, 2, 4, 2, TWI_F64, 1.0, 4, 2},
        {"\"pca.variance\" is not F64", 4, 2, 4, 3, TWI_F32, 1.0, 4, 2},
        {"variance of component 1 is below 0", 4, 2, 4, 2, TWI_F32, -1.0, 4, 2},
        {"not finite", 4, 2, 4, 2, TWI_F32, INFINITY, 4, 2},
        {"PCA of 4 features to 5", 4, 5, 4, 5, TWI_F32, 1.0, 4, 5},
        {"PCA of 4 features to 0", 4, 2, 4, 2, TWI_F32, 1.0, 4, 0},
    };
    for (size_t i = 0; i < TWI_LEN(lies); i++) {
        const lie *l = &lies[i];
        twi_tensors tensors = {0};
        twi_pca pca = {.d = 77};
        const size_t axes[2] = {l->rows, l->columns};
        void *variance;
        if (l->mean)
            assert_int_equal(
                twi_tensors_add(ctx, &tensors, "pca.mean", TWI_F64, 1, &l->mean, NULL, NULL),
                TW_OK);
        assert_int_equal(
            twi_tensors_add(ctx, &tensors, "pca.components", l->axes, 2, axes, NULL, NULL), TW_OK);
        assert_int_equal(twi_tensors_add(ctx, &tensors, "pca.variance", TWI_F64, 1, &l->variance,
                                         NULL, &variance),
                         TW_OK);
        ((double *)variance)[1] = l->number;
        assert_int_equal(twi_pca_load(ctx, "m", &tensors, l->d, l->components, &pca),
                         TW_ERR_FORMAT);
        if (!strstr(tw_last_error(ctx), l->words)) fail_msg("%zu: %s", i, tw_last_error(ctx));
        assert_int_equal(pca.d, 77);
        twi_tensors_free(&tensors);
    }
}

/* ---- rows of length 1 ---------------------------------------------------------------------- */

static void rows_get_length_one(void **state)
{
    (void)state;
    float x[5][4] = {{3.0f, 0.0f, -4.0f, 0.0f},
                     {0.0f, 0.0f, 0.0f, 0.0f},
                     {1e30f, 1e30f, 1e30f, 1e30f},  /* its square is past float's range */
                     {1e-6f, 0.0f, 0.0f, 0.0f},     /* scikit-learn leaves what is so short */
                     {1.5e-6f, 0.0f, 0.0f, 2e-6f}}; /* but not this */
    const float wanted[5][4] = {{0.6f, 0.0f, -0.8f, 0.0f},
                                {0.0f, 0.0f, 0.0f, 0.0f},
                                {0.5f, 0.5f, 0.5f, 0.5f},
                                {1e-6f, 0.0f, 0.0f, 0.0f},
                                {0.6f, 0.0f, 0.0f, 0.8f}};
    float out[5][4];
    twi_normalise(x[0], 5, 4, out[0]);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 4; j++)
            near("row", "entry", (double)out[i][j], (double)wanted[i][j], 1.2e-7);
    twi_normalise(x[0], 5, 4, x[0]); /* in place */
    assert_memory_equal(x, out, sizeof x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_components_of_scikit_learn),
        cmocka_unit_test(all_components_keep_all_variance),
        cmocka_unit_test(samples_of_low_rank_still_have_axes),
        cmocka_unit_test(weak_components_are_at_right_angles_too),
        cmocka_unit_test(picked_rows_are_as_copied_rows),
        cmocka_unit_test(nothing_depends_on_the_threads),
        cmocka_unit_test(rows_are_projected_one_by_one),
        cmocka_unit_test(says_what_it_cannot_do),
        cmocka_unit_test(can_be_stopped_in_every_stage),
        cmocka_unit_test(comes_back_from_its_tensors),
        cmocka_unit_test(refuses_tensors_that_lie),
        cmocka_unit_test(rows_get_length_one),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
