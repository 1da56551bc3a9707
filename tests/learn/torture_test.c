/* torture_test.c - PCA and penalised fits with the k-th allocation failing, for every k: an error,
 * nothing leaked, outputs untouched. Linked with --wrap=aligned_alloc, which is where all of our
 * memory comes from.
 */
#include "learn_data.h"

#include "learn/pca.h"

static long countdown = -1; /* < 0: never fail */

void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    if (countdown == 0) return NULL;
    if (countdown > 0) countdown--;
    return __real_aligned_alloc(align, size);
}

/* Fits, projects, saves and loads; whatever went well is freed. */
static tw_status pca_round(tw_ctx *ctx, const sample_set *set, float *z)
{
    twi_pca pca = {0}, back = {0};
    twi_tensors tensors = {0};
    const size_t d = set->samples.d;
    tw_status st = twi_pca_fit(ctx, &set->samples, 5, &pca);
    if (st != TW_OK) assert_null(pca.axes);
    if (st == TW_OK) st = twi_pca_apply(ctx, &pca, set->x, set->samples.n, z);
    if (st == TW_OK) st = twi_pca_save(ctx, &pca, &tensors);
    if (st == TW_OK) st = twi_pca_load(ctx, "m", &tensors, d, 5, &back);
    if (st != TW_OK) assert_null(back.axes);
    twi_pca_free(&back);
    twi_pca_free(&pca);
    twi_tensors_free(&tensors);
    return st;
}

static void pca_survives_failing_allocations(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{20, 30}, {30, 20}};
    for (size_t i = 0; i < TWI_LEN(shapes); i++) {
        tw_ctx *ctx;
        sample_set set;
        float z[30 * 5];
        assert_int_equal(tw_ctx_new(&ctx), TW_OK);
        tw_ctx_set_threads(ctx, 1);
        sample_set_make(shapes[i][0], shapes[i][1], 2, 71, 1.0, &set);
        tw_status st = TW_ERR_NOMEM;
        size_t failures = 0;
        for (long k = 0; st != TW_OK; k++) {
            countdown = k;
            st = pca_round(ctx, &set, z);
            countdown = -1;
            if (st == TW_OK) break;
            assert_int_equal(st, TW_ERR_NOMEM);
            failures++;
        }
        assert_true(failures > 15);
        sample_set_free(&set);
        tw_ctx_free(ctx);
    }
}

static void penalised_fits_survive_failing_allocations(void **state)
{
    (void)state;
    const twi_logreg_opts opts = {.C = 1.0, .tol = 1e-4, .max_iter = 1000, .l1_ratio = 1.0};
    tw_ctx *ctx;
    sample_set set;
    twi_logreg model = {0};
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    tw_ctx_set_threads(ctx, 1);
    sample_set_make(60, 200, 3, 71, 0.5, &set);
    size_t failures = 0;
    for (long k = 0;; k++) {
        countdown = k;
        const tw_status st = twi_sparse_fit(ctx, &set.samples, NULL, &opts, &model);
        countdown = -1;
        if (st == TW_OK) break;
        assert_int_equal(st, TW_ERR_NOMEM);
        assert_null(model.coef);
        failures++;
    }
    assert_true(failures > 15 && model.converged);
    twi_logreg_free(&model);
    sample_set_free(&set);
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pca_survives_failing_allocations),
        cmocka_unit_test(penalised_fits_survive_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
