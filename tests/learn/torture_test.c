/* torture_test.c - PCA with the k-th allocation failing, for every k: an error, nothing leaked,
 * outputs untouched. Linked with --wrap=aligned_alloc, which is where all of our memory comes from.
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pca_survives_failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
