/* checkpoint_test.c - the bytes of a checkpoint: read as they were written here by hand, and
 * refused when cut anywhere or with any bit turned. */
#include "tune/checkpoint.h"

#include "testing.h"

#include <math.h>

enum { VALUES = 3, STATE = 5, HEADER = 8 + 32 + 7 * 8 + 2 * 72 };
enum { SIZE = HEADER + 4 * (2 * VALUES + STATE) + 32 };

static unsigned char *put(unsigned char *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    return to + size;
}

static unsigned char *put_number(unsigned char *to, uint64_t x)
{
    return put(to, &x, sizeof x);
}

static unsigned char *put_epoch(unsigned char *to, uint64_t epoch, double loss)
{
    const double numbers[6] = {loss, 0.25, 0.5, 1e-3, 100.0, 2.0};
    to = put_number(to, epoch);
    to = put_number(to, 9);
    to = put(to, numbers, sizeof numbers);
    return put_number(to, 1);
}

static void seal(unsigned char bytes[SIZE])
{
    twi_digest digest;
    twi_digest_start(&digest);
    twi_digest_add(&digest, bytes, SIZE - 32);
    twi_digest_bytes(&digest, bytes + SIZE - 32);
}

static void make(unsigned char bytes[SIZE])
{
    unsigned char identity[32], *to = put(bytes, "tw-tune2", 8);
    const double loss = 1.5, rate = 2e-4;
    memset(identity, 7, sizeof identity);
    to = put(to, identity, sizeof identity);
    to = put_number(to, VALUES);
    to = put_number(to, STATE);
    to = put_number(to, 4);
    to = put_number(to, 2);
    to = put_number(to, 42);
    to = put(to, &loss, sizeof loss);
    to = put(to, &rate, sizeof rate);
    to = put_epoch(to, 0, (double)NAN);
    to = put_epoch(to, 3, 0.75);
    for (int i = 0; i < 2 * VALUES + STATE; i++) to = put(to, &(float){(float)i}, sizeof(float));
    assert_int_equal(to - bytes, SIZE - 32);
    seal(bytes);
}

static tw_status parse(tw_ctx *ctx, const unsigned char *bytes, size_t size, twi_checkpoint *c)
{
    unsigned char *copy = test_malloc(size + 1); /* of that size: reading on would be seen */
    unsigned char *own = size ? test_malloc(size) : copy;
    memcpy(own, bytes, size);
    const tw_status st = twi_checkpoint_parse(ctx, "x", own, size, c);
    if (own != copy) test_free(own);
    test_free(copy);
    return st;
}

static void test_read(void **state)
{
    (void)state;
    unsigned char bytes[SIZE];
    twi_checkpoint c;
    tw_ctx *ctx;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    make(bytes);
    assert_int_equal(twi_checkpoint_parse(ctx, "x", bytes, SIZE, &c), TW_OK);
    assert_int_equal(c.n_values, VALUES);
    assert_int_equal(c.n_state, STATE);
    assert_true(c.epoch == 4 && c.step == 2 && c.steps == 42);
    assert_true(c.loss == 1.5 && c.rate == 2e-4);
    assert_true(isnan(c.first.loss) && c.first.epoch == 0 && c.first.best);
    assert_true(c.best.epoch == 3 && c.best.loss == 0.75 && c.best.epochs == 9);
    assert_true(c.best.val_loss == 0.25 && c.best.val_accuracy == 0.5 && c.best.rate == 1e-3);
    float x;
    memcpy(&x, c.best_values, sizeof x);
    assert_true(x == VALUES);
    memcpy(&x, c.state + 4 * (STATE - 1), sizeof x);
    assert_true(x == 2 * VALUES + STATE - 1);
    tw_ctx_free(ctx);
}

static void test_cut_and_turned(void **state)
{
    (void)state;
    unsigned char bytes[SIZE + 1] = {0};
    twi_checkpoint c;
    tw_ctx *ctx;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    make(bytes);
    for (size_t n = 0; n <= SIZE + 1; n++)
        assert_int_equal(parse(ctx, bytes, n, &c), n == SIZE ? TW_OK : TW_ERR_FORMAT);
    for (size_t i = 0; i < SIZE * 8; i++) {
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_int_equal(parse(ctx, bytes, SIZE, &c), TW_ERR_FORMAT);
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    assert_int_equal(parse(ctx, bytes, SIZE, &c), TW_OK);
    tw_ctx_free(ctx);
}

/* Counts that are too large for any file, with a digest that is right. */
static void test_absurd_counts(void **state)
{
    (void)state;
    static const uint64_t counts[] = {UINT64_MAX,     UINT64_MAX / 4, (uint64_t)1 << 63,
                                      UINT64_MAX / 8, VALUES + 1,     0};
    unsigned char bytes[SIZE];
    twi_checkpoint c;
    tw_ctx *ctx;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        for (size_t k = 0; k < 2; k++) {
            make(bytes);
            memcpy(bytes + 40 + 8 * k, &counts[i], 8);
            seal(bytes);
            assert_int_equal(parse(ctx, bytes, SIZE, &c), TW_ERR_FORMAT);
        }
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_cut_and_turned),
        cmocka_unit_test(test_absurd_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
