/* memory_test.c - checked sizes, allocation, arenas, the cursor, the digest. */
#include "../testing.h"

#include "base/cursor.h"
#include "base/digest.h"
#include "base/memory.h"

static tw_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static bool aligned(const void *p)
{
    return (uintptr_t)p % TWI_ALIGN == 0;
}

static void checked_sizes(void **state)
{
    (void)state;
    size_t out = 7;
    assert_false(twi_mul(3, 5, &out));
    assert_int_equal(out, 15);
    assert_false(twi_mul(SIZE_MAX, 1, &out));
    assert_true(out == SIZE_MAX);
    assert_true(twi_mul(SIZE_MAX / 2 + 1, 2, &out));
    assert_int_equal(out, 0);
    assert_false(twi_add(SIZE_MAX - 1, 1, &out));
    assert_true(twi_add(SIZE_MAX, 1, &out));
    assert_int_equal(out, 0);
    out = 6;
    assert_false(twi_mul(out, 7, &out)); /* in place, as products of shapes are taken */
    assert_int_equal(out, 42);
}

static void allocation(void **state)
{
    (void)state;
    double *p, *kept = NULL;
    assert_int_equal(twi_zalloc(ctx, 100, &p), TW_OK);
    assert_true(aligned(p));
    for (size_t i = 0; i < 100; i++) assert_true(p[i] == 0.0);
    twi_free(p);
    assert_int_equal(twi_alloc(ctx, 0, &p), TW_OK);
    assert_non_null(p);
    twi_free(p);
    p = kept;
    assert_int_equal(twi_alloc(ctx, SIZE_MAX / 4, &p), TW_ERR_NOMEM);
    assert_int_equal(twi_alloc(ctx, SIZE_MAX, &p), TW_ERR_NOMEM);
    assert_int_equal(twi_alloc_bytes(ctx, SIZE_MAX - 1, 1, false, (void **)&p), TW_ERR_NOMEM);
    assert_ptr_equal(p, kept); /* outputs are set only on TW_OK */
    assert_non_null(strstr(tw_last_error(ctx), "bytes"));
    twi_free(NULL);
}

static void growing(void **state)
{
    (void)state;
    uint32_t *items = NULL;
    size_t capacity = 0, moves = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        const uint32_t *before = items;
        assert_int_equal(twi_grow(ctx, &items, &capacity, i + 1), TW_OK);
        moves += items != before;
        items[i] = i;
    }
    for (uint32_t i = 0; i < 10000; i++) assert_int_equal(items[i], i);
    assert_true(moves < 40); /* geometric */
    const size_t kept = capacity;
    assert_int_equal(twi_grow(ctx, &items, &capacity, SIZE_MAX / 2), TW_ERR_NOMEM);
    assert_int_equal(capacity, kept);
    assert_int_equal(items[9999], 9999);
    twi_free(items);
}

static void texts(void **state)
{
    (void)state;
    char *text;
    assert_int_equal(twi_strndup(ctx, "abcdef", 3, &text), TW_OK);
    assert_string_equal(text, "abc");
    twi_free(text);
    assert_int_equal(twi_strdup(ctx, "", &text), TW_OK);
    assert_string_equal(text, "");
    twi_free(text);
    assert_int_equal(twi_asprintf(ctx, &text, "%s-%zu", "x", (size_t)7), TW_OK);
    assert_string_equal(text, "x-7");
    twi_free(text);
}

static void arena(void **state)
{
    (void)state;
    twi_arena a = {0};
    char *texts_taken[300];
    double *numbers[300];
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(twi_arena_text(ctx, &a, "some text, then more", i % 20, &texts_taken[i]),
                         TW_OK);
        assert_int_equal(twi_arena_take(ctx, &a, i * 7, &numbers[i]), TW_OK);
        assert_true(aligned(numbers[i]));
        for (size_t j = 0; j < i * 7; j++) numbers[i][j] = (double)i;
    }
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(strlen(texts_taken[i]), i % 20);
        for (size_t j = 0; j < i * 7; j++) assert_true(numbers[i][j] == (double)i);
    }
    assert_int_equal(twi_arena_take(ctx, &a, SIZE_MAX / 2, &numbers[0]), TW_ERR_NOMEM);
    twi_arena_free(&a);
    twi_arena_free(&a);
    assert_int_equal(twi_arena_take(ctx, &a, 1 << 20, &numbers[0]), TW_OK); /* usable again */
    numbers[0][(1 << 20) - 1] = 1;
    twi_arena_free(&a);
}

static void cursor(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1,    2,    3,    4,    5,    6,    7,    8,    9,    10,
                                    0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8, 0xf7, 42};
    twi_cursor c = twi_cursor_over(bytes, sizeof bytes);
    assert_int_equal(twi_take_u8(&c), 1);
    assert_int_equal(twi_take_u16be(&c), 0x0203);
    assert_int_equal(twi_take_u32be(&c), 0x04050607);
    assert_int_equal(twi_take_u32le(&c), 0xff0a0908);
    assert_true(twi_take_u64le(&c) == 0xf7f8f9fafbfcfdfeu);
    assert_int_equal(c.left, 1);
    assert_false(c.failed);
    assert_int_equal(twi_take_u16be(&c), 0);
    assert_true(c.failed);
    assert_int_equal(twi_take_u8(&c), 0); /* sticky, though one byte remains */
    c = twi_cursor_over(bytes, 3);
    assert_null(twi_take_bytes(&c, UINT64_MAX));
    assert_true(c.failed);
    c = twi_cursor_over(NULL, 0);
    twi_take_bytes(&c, 0);
    assert_false(c.failed);
    assert_int_equal(twi_take_u8(&c), 0);
    assert_true(c.failed);
}

/* FIPS 180-2, appendix B, and the empty message. */
static void digest(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t times;
        const char *hex;
    } vectors[] = {
        {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"aaaaaaaaaa", 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };
    for (size_t i = 0; i < TWI_LEN(vectors); i++) {
        twi_digest d;
        char hex[TWI_DIGEST_HEX + 1];
        twi_digest_start(&d);
        for (size_t t = 0; t < vectors[i].times; t++)
            twi_digest_add(&d, vectors[i].text, strlen(vectors[i].text));
        twi_digest_finish(&d, hex);
        assert_string_equal(hex, vectors[i].hex);
    }
}

/* RFC 1321, appendix A.5. */
static void md5(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } vectors[] = {{"", "d41d8cd98f00b204e9800998ecf8427e"},
                   {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
                   {"1234567890123456789012345678901234567890123456789012345678901234567890"
                    "1234567890",
                    "57edf4a22be3c955ac49da2e2107b67a"}};
    for (size_t i = 0; i < TWI_LEN(vectors); i++) {
        char hex[TWI_MD5_HEX + 1];
        twi_md5 m;
        twi_md5_start(&m);
        twi_md5_add(&m, vectors[i].text, strlen(vectors[i].text) / 2);
        twi_md5_add(&m, vectors[i].text + strlen(vectors[i].text) / 2,
                    strlen(vectors[i].text) - strlen(vectors[i].text) / 2);
        twi_md5_finish(&m, hex);
        assert_string_equal(hex, vectors[i].hex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checked_sizes), cmocka_unit_test(allocation), cmocka_unit_test(growing),
        cmocka_unit_test(texts),         cmocka_unit_test(arena),      cmocka_unit_test(cursor),
        cmocka_unit_test(digest),        cmocka_unit_test(md5)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
