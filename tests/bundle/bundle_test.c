/* bundle_test.c - the file format: written, read back, and everything that can be wrong with it. */
#include "bundle/layout.h"

#include "../testing.h"
#include "base/file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>

static tw_ctx *ctx;
static char folder[] = "/tmp/topwork-bundle-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a.tw", folder);
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    tw_ctx_free(ctx);
    return rmdir(folder); /* fails when something was left behind */
}

static void says(const char *part)
{
    if (!strstr(tw_last_error(ctx), part))
        fail_msg("\"%s\" does not say \"%s\"", tw_last_error(ctx), part);
}

static unsigned char *slurp(const char *from, size_t *size)
{
    unsigned char *buffer = NULL;
    size_t capacity = 0;
    const tw_status st = twi_file_read(ctx, from, SIZE_MAX, &buffer, &capacity, size);
    if (st != TW_OK) print_message("%s\n", tw_last_error(ctx));
    assert_int_equal(st, TW_OK);
    return buffer;
}

static void spill(const char *to, const void *data, size_t size)
{
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Tensors whose sizes divide nothing evenly, one of each type, one empty, one scalar. */
static twi_tensors some_tensors(void)
{
    static const struct {
        const char *name;
        twi_dtype dtype;
        size_t rank, dims[4];
    } rows[] = {
        {"odd \"bytes\"\\", TWI_U8, 1, {13}},
        {"half", TWI_F16, 2, {3, 5}},
        {"conv.weight", TWI_F32, 4, {8, 4, 3, 3}},
        {"doubles", TWI_F64, 1, {7}},
        {"empty", TWI_F32, 2, {0, 9}},
        {"scalar", TWI_I64, 0, {0}},
        {"brain", TWI_BF16, 1, {32}},
        {"signed", TWI_I8, 1, {64}},
        {"labels", TWI_U32, 1, {3}},
        {"Gr\xc3\xb6\xc3\x9f"
         "e",
         TWI_I32,
         1,
         {3}},
    };
    twi_tensors list = {0};
    for (size_t i = 0; i < TWI_LEN(rows); i++) {
        void *data;
        assert_int_equal(twi_tensors_add(ctx, &list, rows[i].name, rows[i].dtype, rows[i].rank,
                                         rows[i].dims, NULL, &data),
                         TW_OK);
        const size_t bytes = list.items[i].count * twi_dtype_size(rows[i].dtype);
        for (size_t k = 0; k < bytes; k++) ((unsigned char *)data)[k] = (unsigned char)(k * 31 + i);
    }
    return list;
}

static twi_json *some_document(const char *text)
{
    twi_json *document;
    assert_int_equal(twi_json_parse(ctx, "test", text, strlen(text), &document), TW_OK);
    return document;
}

/* Writes the usual file to path; the document says "note". */
static void write_usual(const char *note)
{
    char text[128];
    snprintf(text, sizeof text, "{\"note\":\"%s\",\"list\":[1,2.5,null],\"later\":{}}", note);
    twi_tensors tensors = some_tensors();
    twi_json *document = some_document(text);
    const tw_status st = twi_bundle_write(ctx, path, "model", &tensors, document, NULL);
    if (st != TW_OK) print_message("%s\n", tw_last_error(ctx));
    assert_int_equal(st, TW_OK);
    twi_json_free(document);
    twi_tensors_free(&tensors);
}

/* ---- what is written is read --------------------------------------------------------------- */

static void a_bundle_comes_back(void **state)
{
    (void)state;
    write_usual("quote \\\" backslash \\\\ tab \\t");
    twi_bundle *bundle;
    assert_int_equal(twi_bundle_open(ctx, path, "model", &bundle), TW_OK);
    twi_tensors expected = some_tensors();
    const twi_tensors *found = twi_bundle_tensors(bundle);
    assert_int_equal(found->n, expected.n);
    for (size_t i = 0; i < expected.n; i++) {
        const twi_tensor *a = &expected.items[i], *b = twi_tensors_find(found, a->name);
        assert_non_null(b);
        assert_int_equal(a->dtype, b->dtype);
        assert_int_equal(a->rank, b->rank);
        assert_memory_equal(a->dims, b->dims, sizeof a->dims);
        assert_memory_equal(a->data, b->data, a->count * twi_dtype_size(a->dtype));
        assert_int_equal((uintptr_t)b->data % twi_dtype_size(b->dtype), 0);
    }
    const twi_tensor *weight = twi_tensors_find(found, "conv.weight");
    assert_int_equal((uintptr_t)weight->data % TWI_ALIGN, 0);
    const twi_json *document = twi_bundle_document(bundle);
    assert_string_equal(twi_json_as_text(twi_json_get(document, "note"), ""),
                        "quote \" backslash \\ tab \t");
    assert_string_equal(twi_json_as_text(twi_json_get(document, "kind"), ""), "model");
    assert_int_equal(twi_json_as_integer(twi_json_get(document, "version"), 0), 1);
    assert_string_equal(twi_json_key(document, 0), "digest");
    twi_tensors_free(&expected);
    twi_bundle_free(bundle);
}

/* Writing what was opened gives the same bytes: nothing is lost, and no time or host gets in. */
static void rewriting_gives_the_same_bytes(void **state)
{
    (void)state;
    size_t n, m;
    char digest[65];
    twi_bundle *bundle;
    write_usual("x");
    unsigned char *first = slurp(path, &n);
    assert_int_equal(twi_bundle_open(ctx, path, NULL, &bundle), TW_OK);
    assert_int_equal(twi_bundle_write(ctx, path, "model", twi_bundle_tensors(bundle),
                                      twi_bundle_document(bundle), digest),
                     TW_OK);
    assert_string_equal(digest, twi_bundle_digest(bundle));
    twi_bundle_free(bundle);
    unsigned char *second = slurp(path, &m);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
    twi_free(first);
    twi_free(second);
}

static void a_bundle_without_tensors_is_fine(void **state)
{
    (void)state;
    const twi_tensors none = {0};
    twi_bundle *bundle;
    assert_int_equal(twi_bundle_write(ctx, path, "backbone", &none, NULL, NULL), TW_OK);
    assert_int_equal(twi_bundle_open(ctx, path, "backbone", &bundle), TW_OK);
    assert_int_equal(twi_bundle_tensors(bundle)->n, 0);
    twi_bundle_free(bundle);
    assert_int_equal(twi_bundle_open(ctx, path, "model", &bundle), TW_ERR_FORMAT);
    says("a.tw: holds a backbone; a model is needed");
}

/* ---- damage -------------------------------------------------------------------------------- */

static void refused_from_memory(const unsigned char *data, size_t size)
{
    twi_bundle *bundle = NULL;
    const tw_status st = twi_bundle_read(ctx, "a.tw", data, size, &bundle);
    if (st != TW_ERR_FORMAT) fail_msg("status %d of %zu bytes", st, size);
    assert_null(bundle);
    says("a.tw: ");
}

static void every_flipped_byte_is_refused(void **state)
{
    (void)state;
    size_t size;
    twi_bundle *bundle;
    write_usual("x");
    unsigned char *data = slurp(path, &size);
    for (size_t i = 0; i < size; i++)
        for (unsigned bit = 0; bit < 8; bit += 3) {
            data[i] ^= (unsigned char)(1u << bit);
            refused_from_memory(data, size);
            data[i] ^= (unsigned char)(1u << bit);
        }
    assert_int_equal(twi_bundle_read(ctx, "a.tw", data, size, &bundle), TW_OK);
    twi_bundle_free(bundle);
    data[size - 1] ^= 1;
    spill(path, data, size);
    assert_int_equal(twi_bundle_open(ctx, path, NULL, &bundle), TW_ERR_FORMAT);
    says("damaged or cut short: its SHA-256 is ");
    twi_free(data);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    size_t size;
    write_usual("x");
    unsigned char *data = slurp(path, &size);
    for (size_t n = 0; n < size; n++) {
        unsigned char *part = malloc(n + 1); /* its own block, so that ASan sees a read past it */
        memcpy(part, data, n);
        refused_from_memory(n ? part : NULL, n);
        free(part);
    }
    twi_bundle *bundle;
    spill(path, data, 0);
    assert_int_equal(twi_bundle_open(ctx, path, NULL, &bundle), TW_ERR_FORMAT);
    says("not a topwork file");
    spill(path, data, 100);
    assert_int_equal(twi_bundle_open(ctx, path, NULL, &bundle), TW_ERR_FORMAT);
    says("cut short at byte 100");
    twi_free(data);
}

/* ---- files that are sound, but not for us -------------------------------------------------- */

/* A file of one document, with its digest right: what remains is what the document says. */
static tw_status read_document(const char *document, twi_bundle **out)
{
    char header[4096] = {0}, hex[65];
    const int n =
        snprintf(header + 8, sizeof header - 8, "%s%064d\\\"%s\"}}", TWI_BUNDLE_START, 0, document);
    header[0] = (char)(n & 255);
    header[1] = (char)(n >> 8);
    const size_t size = (size_t)n + 8;
    twi_bundle_compute_digest((unsigned char *)header, size, hex);
    memcpy(header + TWI_DIGEST_OFFSET, hex, 64);
    return twi_bundle_read(ctx, "a.tw", (unsigned char *)header, size, out);
}

static void documents_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *document;
        tw_status status;
        const char *part;
    } cases[] = {
        {",\\\"version\\\":1,\\\"required_features\\\":[],\\\"kind\\\":\\\"x\\\"}", TW_OK, ""},
        {",\\\"version\\\":1,\\\"required_features\\\":[],\\\"kind\\\":\\\"x\\\",\\\"new\\\":{}}",
         TW_OK, ""},
        {",\\\"version\\\":2,\\\"required_features\\\":[],\\\"kind\\\":\\\"x\\\"}",
         TW_ERR_UNSUPPORTED, "a.tw: format version 2; this build reads up to 1"},
        {",\\\"version\\\":2}", TW_ERR_UNSUPPORTED, "a newer topwork is needed"},
        {",\\\"version\\\":0}", TW_ERR_FORMAT, "\"version\" is not"},
        {",\\\"version\\\":\\\"1\\\"}", TW_ERR_FORMAT, "\"version\" is not"},
        {"}", TW_ERR_FORMAT, "\"version\" is not"},
        {",\\\"version\\\":1}", TW_ERR_FORMAT, "\"kind\" is not"},
        {",\\\"version\\\":1,\\\"kind\\\":\\\"x\\\"}", TW_ERR_FORMAT, "\"required_features\" is"},
        {",\\\"version\\\":1,\\\"kind\\\":\\\"x\\\",\\\"required_features\\\":[3]}", TW_ERR_FORMAT,
         "holds more than words"},
        {",\\\"version\\\":1,\\\"kind\\\":\\\"x\\\",\\\"required_features\\\":[\\\"int8\\\","
         "\\\"zstd\\\"]}",
         TW_ERR_UNSUPPORTED, "a.tw: needs what this build does not have: int8, zstd"},
        {",", TW_ERR_FORMAT, "not valid JSON"},
        {"}\",\"format\":\"pt", TW_ERR_FORMAT, "holds more than \"topwork\""},
    };
    for (size_t i = 0; i < TWI_LEN(cases); i++) {
        twi_bundle *bundle = NULL;
        const tw_status st = read_document(cases[i].document, &bundle);
        if (st != cases[i].status) fail_msg("case %zu: status %d: %s", i, st, tw_last_error(ctx));
        if (st != TW_OK) says(cases[i].part);
        twi_bundle_free(bundle);
    }
}

static void other_files_are_refused(void **state)
{
    (void)state;
    twi_bundle *bundle;
    refused_from_memory((const unsigned char *)"\x89PNG\r\n\x1a\n and so on", 18);
    says("does not start like one");
    assert_int_equal(twi_bundle_open(ctx, folder, NULL, &bundle), TW_ERR_IO);
    assert_int_equal(twi_bundle_open(ctx, "/nonexistent/a.tw", NULL, &bundle), TW_ERR_IO);
    const char *plain = shared_data("weights/squeezenet1_1.safetensors");
    assert_int_equal(twi_bundle_open(ctx, plain, NULL, &bundle), TW_ERR_FORMAT);
    says("plain safetensors");
}

/* ---- what cannot be written ---------------------------------------------------------------- */

static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    size_t before, after;
    write_usual("old");
    unsigned char *old = slurp(path, &before);
    twi_tensors big = {0};
    const size_t n = 1 << 20;
    assert_int_equal(twi_tensors_add(ctx, &big, "big", TWI_F32, 1, &n, NULL, NULL), TW_OK);
    /* The disk is full, as far as this process can tell. */
    const struct rlimit small = {65536, RLIM_INFINITY};
    struct rlimit usual;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(twi_bundle_write(ctx, path, "model", &big, NULL, NULL), TW_ERR_IO);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    says("a.tw");
    unsigned char *now = slurp(path, &after);
    assert_int_equal(before, after);
    assert_memory_equal(old, now, before);
    twi_free(old);
    twi_free(now);
    twi_tensors_free(&big);
}

static void what_no_reader_would_take_is_not_written(void **state)
{
    (void)state;
    const twi_tensors none = {0};
    char *long_text = malloc((1 << 20) + 1);
    memset(long_text, 'a', 1 << 20);
    long_text[1 << 20] = '\0';
    twi_json *document = twi_json_object();
    assert_true(twi_json_set(document, "text", twi_json_text(long_text)));
    unlink(path);
    assert_int_equal(twi_bundle_write(ctx, path, "model", &none, document, NULL), TW_ERR_DATA);
    says("a.tw: a document of 1048");
    twi_json_free(document);
    free(long_text);

    const size_t n = 1;
    static const char *const names[] = {"__metadata__", "not utf-8 \xff"};
    for (size_t i = 0; i < TWI_LEN(names); i++) {
        twi_tensors list = {0};
        assert_int_equal(twi_tensors_add(ctx, &list, names[i], TWI_F32, 1, &n, NULL, NULL), TW_OK);
        assert_int_not_equal(twi_bundle_write(ctx, path, "model", &list, NULL, NULL), TW_OK);
        says("a.tw: ");
        twi_tensors_free(&list);
    }
    assert_false(twi_path_exists(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_comes_back),
        cmocka_unit_test(rewriting_gives_the_same_bytes),
        cmocka_unit_test(a_bundle_without_tensors_is_fine),
        cmocka_unit_test(every_flipped_byte_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(documents_are_checked),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(what_no_reader_would_take_is_not_written),
        cmocka_unit_test(other_files_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
