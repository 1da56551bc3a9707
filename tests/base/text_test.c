/* text_test.c - numbers without a locale, UTF-8, escapes, JSON. */
#include "../testing.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

#include <locale.h>
#include <math.h>

static tw_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    /* A comma for the decimal point, where such a locale is installed; ./check has a row for it. */
    if (!setlocale(LC_ALL, "")) setlocale(LC_ALL, "C");
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static void becomes(twi_text *t, const char *expected)
{
    assert_false(t->failed);
    assert_string_equal(t->text, expected);
    twi_text_free(t);
}

static void numbers(void **state)
{
    (void)state;
    twi_text t = {0};
    twi_text_double(&t, 0.1);
    becomes(&t, "0.10000000000000001");
    twi_text_double(&t, -1e300);
    becomes(&t, "-1.0000000000000001e+300");
    twi_text_double(&t, (double)INFINITY);
    becomes(&t, "null");
    twi_text_double(&t, (double)NAN);
    becomes(&t, "null");
    twi_text_float(&t, 0.1f);
    becomes(&t, "0.100000001");
    twi_text_float(&t, 3.0f);
    becomes(&t, "3");
    twi_text_format(&t, "%s %zu", "n", (size_t)12);
    twi_text_add_bytes(&t, "abc", 2);
    becomes(&t, "n 12ab");
}

static void numbers_round_trip(void **state)
{
    (void)state;
    static const double values[] = {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0, 123456.75};
    for (size_t i = 0; i < TWI_LEN(values); i++) {
        twi_text t = {0};
        char *end;
        twi_text_double(&t, values[i]);
        const double back = twi_parse_double(t.text, &end);
        assert_memory_equal(&back, &values[i], sizeof back);
        assert_int_equal(*end, '\0');
        twi_text_free(&t);
    }
    char *end;
    assert_true(twi_parse_double("1.5,2", &end) == 1.5);
    assert_string_equal(end, ",2");
    assert_true(twi_parse_double("word", &end) == 0.0);
    assert_string_equal(end, "word");
}

static void utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xed\x9f\xbf",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xee\x80\x80"};
    static const char *const bad[] = {"\xff",
                                      "\xc3",
                                      "\xc0\xaf",
                                      "\xe0\x80\xaf",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\x80",
                                      "a\xe2\x82",
                                      "\xf0\x80\x80\x80",
                                      "\xc3\x28",
                                      "\xf5\x80\x80\x80"};
    for (size_t i = 0; i < TWI_LEN(good); i++)
        assert_true(twi_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < TWI_LEN(bad); i++) assert_false(twi_utf8_valid(bad[i], strlen(bad[i])));
}

static void escapes(void **state)
{
    (void)state;
    twi_text t = {0};
    twi_text_escape(&t, "a\tb\nc\\d\x1b\x7f\xc3\xa9\xc2\x9bz");
    becomes(&t, "a\\tb\\nc\\d\\033\\177\xc3\xa9\\302\\233z");
}

static void reasons(void **state)
{
    (void)state;
    assert_string_equal(twi_text_reason("a.jpg: empty file", "a.jpg"), "empty file");
    assert_string_equal(twi_text_reason("a.jpg: empty file", "b.jpg"), "a.jpg: empty file");
    assert_string_equal(twi_text_reason("a.jpg", "a.jpg"), "a.jpg");
    assert_string_equal(twi_text_reason("n\\nl\\\\x: gone", "n\nl\\\\x"), "gone");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static twi_json *parsed(const char *text)
{
    twi_json *value = NULL;
    const tw_status st = twi_json_parse(ctx, "test", text, strlen(text), &value);
    if (st != TW_OK) printf("%s\n", tw_last_error(ctx));
    assert_int_equal(st, TW_OK);
    return value;
}

static void json_round_trip(void **state)
{
    (void)state;
    twi_json *root = twi_json_object(), *list = twi_json_array();
    bool ok = twi_json_set(root, "z", twi_json_text("\xc3\xa9\n\""));
    ok &= twi_json_append(list, twi_json_integer(INT64_MIN));
    ok &= twi_json_append(list, twi_json_number(0.1));
    ok &= twi_json_append(list, twi_json_number((double)NAN));
    ok &= twi_json_append(list, twi_json_boolean(true));
    ok &= twi_json_set(root, "a", list);
    assert_true(ok);
    char *text;
    size_t size;
    assert_int_equal(twi_json_print(ctx, root, &text, &size), TW_OK);
    assert_string_equal(text, "{\"z\":\"\xc3\xa9\\n\\\"\",\"a\":[-9223372036854775808,"
                              "0.10000000000000001,null,true]}");
    assert_int_equal(size, strlen(text));
    twi_json_free(root);
    root = parsed(text);
    twi_free(text);
    assert_string_equal(twi_json_key(root, 0), "z");
    assert_string_equal(twi_json_key(root, 1), "a");
    assert_null(twi_json_key(root, 2));
    assert_int_equal(twi_json_length(root), 2);
    const twi_json *a = twi_json_get(root, "a");
    assert_true(twi_json_is_array(a) && twi_json_is_object(root) && !twi_json_is_object(a));
    assert_int_equal(twi_json_length(a), 4);
    assert_true(twi_json_as_integer(twi_json_at(a, 0), 0) == INT64_MIN);
    assert_true(twi_json_as_number(twi_json_at(a, 1), 0) == 0.1);
    assert_true(twi_json_as_number(twi_json_at(a, 2), 7) == 7);
    assert_true(twi_json_as_boolean(twi_json_at(a, 3), false));
    assert_string_equal(twi_json_as_text(twi_json_at(a, 3), "fallback"), "fallback");
    assert_null(twi_json_at(a, 4));
    assert_null(twi_json_get(root, "none"));
    assert_int_equal(twi_json_length(NULL), 0);
    assert_true(twi_json_as_integer(twi_json_get(NULL, "x"), 5) == 5);
    twi_json_free(root);
}

static void json_failures_chain(void **state)
{
    (void)state;
    twi_json *root = twi_json_object();
    assert_null(twi_json_text("\xff"));
    assert_false(twi_json_set(root, "bad", twi_json_text("\xff")));
    assert_false(twi_json_append(NULL, twi_json_integer(1)));
    assert_false(twi_json_set(NULL, "x", twi_json_object()));
    assert_int_equal(twi_json_length(root), 0);
    twi_json_free(root);
    twi_json_free(NULL);
}

static void json_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        "{",          "{\"a\":1,\"a\":2}", "[1,]",   "{\"a\" 1}",      "[1] x",
        "[1e999]", "[\"\xff\"]", "[\"\\u0000\"]",     "[1,5]]", "{\"\\u0000\":1}"};
    twi_json *value = NULL;
    for (size_t i = 0; i < TWI_LEN(bad); i++) {
        assert_int_equal(twi_json_parse(ctx, "it", bad[i], strlen(bad[i]), &value), TW_ERR_FORMAT);
        assert_non_null(strstr(tw_last_error(ctx), "it: not valid JSON"));
    }
    static char deep[200000];
    memset(deep, '[', sizeof deep);
    assert_int_equal(twi_json_parse(ctx, "deep", deep, sizeof deep, &value), TW_ERR_FORMAT);
    assert_null(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers),
                                       cmocka_unit_test(numbers_round_trip),
                                       cmocka_unit_test(utf8),
                                       cmocka_unit_test(escapes),
                                       cmocka_unit_test(reasons),
                                       cmocka_unit_test(json_round_trip),
                                       cmocka_unit_test(json_failures_chain),
                                       cmocka_unit_test(json_refusals)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
