/* torture_test.c - bundles with the k-th allocation failing, for every k: an error, nothing leaked,
 * the old file whole. Linked with --wrap=aligned_alloc, which is where all of our memory comes
 * from. */
#include "bundle/layout.h"

#include "../testing.h"
#include "base/file.h"

static long countdown = -1; /* < 0: never fail */

void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    if (countdown == 0) return NULL;
    if (countdown > 0) countdown--;
    return __real_aligned_alloc(align, size);
}

static char folder[] = "/tmp/topwork-torture-XXXXXX";
static char path[64];

/* Writes a bundle of one tensor filled with value. */
static tw_status write_one(tw_ctx *ctx, int value)
{
    twi_tensors list = {0};
    const size_t n = 100;
    void *data;
    tw_status st = twi_tensors_add(ctx, &list, "t", TWI_U8, 1, &n, NULL, &data);
    if (st == TW_OK) {
        memset(data, value, n);
        st = twi_bundle_write(ctx, path, "model", &list, NULL, NULL);
    }
    twi_tensors_free(&list);
    return st;
}

static int first_byte(tw_ctx *ctx)
{
    twi_bundle *bundle;
    assert_int_equal(twi_bundle_open(ctx, path, NULL, &bundle), TW_OK);
    const int value = *(const unsigned char *)twi_bundle_tensors(bundle)->items[0].data;
    twi_bundle_free(bundle);
    return value;
}

static void writing_survives_failing_allocations(void **state)
{
    (void)state;
    tw_ctx *ctx;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    assert_int_equal(write_one(ctx, 1), TW_OK);
    tw_status st = TW_ERR_NOMEM;
    size_t failures = 0;
    for (long k = 0; st != TW_OK; k++) {
        countdown = k;
        st = write_one(ctx, 2);
        countdown = -1;
        if (st == TW_OK) break;
        assert_int_equal(st, TW_ERR_NOMEM);
        assert_int_equal(first_byte(ctx), 1);
        failures++;
    }
    assert_int_equal(first_byte(ctx), 2);
    assert_true(failures > 5);
    tw_ctx_free(ctx);
}

static void opening_survives_failing_allocations(void **state)
{
    (void)state;
    tw_ctx *ctx;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    assert_int_equal(write_one(ctx, 3), TW_OK);
    tw_status st = TW_ERR_NOMEM;
    size_t failures = 0;
    for (long k = 0; st != TW_OK; k++) {
        twi_bundle *bundle = NULL;
        countdown = k;
        st = twi_bundle_open(ctx, path, "model", &bundle);
        countdown = -1;
        if (st != TW_OK) assert_int_equal(st, TW_ERR_NOMEM);
        if (st != TW_OK) assert_null(bundle);
        failures += st != TW_OK;
        twi_bundle_free(bundle);
    }
    assert_true(failures > 3);
    tw_ctx_free(ctx);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a.tw", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails when a temporary file was left behind */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_survives_failing_allocations),
        cmocka_unit_test(opening_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
