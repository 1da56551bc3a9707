/* safetensors_test.c - headers from strangers, and files that others wrote. */
#include "bundle/layout.h"

#include "../testing.h"
#include "base/file.h"

static tw_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static void says(const char *part)
{
    if (!strstr(tw_last_error(ctx), part))
        fail_msg("\"%s\" does not say \"%s\"", tw_last_error(ctx), part);
}

/* A file in a block of its own size, shift bytes past an aligned address, its data 0, 1, 2, ... */
static unsigned char *make_file(const char *header, size_t data_size, size_t shift, size_t *size)
{
    const size_t n = strlen(header);
    *size = 8 + n + data_size;
    unsigned char *file = aligned_alloc(64, (*size + shift + 63) / 64 * 64);
    unsigned char *at = file + shift;
    for (int i = 0; i < 8; i++) at[i] = (unsigned char)(n >> 8 * i);
    memcpy(at + 8, header, n);
    for (size_t i = 0; i < data_size; i++) at[8 + n + i] = (unsigned char)i;
    return file;
}

#define A(rest)  "{\"a\":{" rest "}}"
#define D(range) "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" range

static const struct hostile {
    const char *header;
    size_t data_size;
    tw_status status;
    const char *part; /* of the message */
} hostile[] = {
    {A(D("[0,8]")), 8, TW_OK, NULL},
    {"{}", 0, TW_OK, NULL},
    {"{}      ", 0, TW_OK, NULL}, /* padded with spaces, as the format allows */
    {"{\"__metadata__\":{}}", 0, TW_OK, NULL},
    {"{\"b\":{" D("[8,16]") "},\"a\":{" D("[0,8]") "}}", 16, TW_OK, NULL},
    {"", 0, TW_ERR_FORMAT, "no JSON at byte 8"},
    {" {}", 0, TW_ERR_FORMAT, "no JSON at byte 8"},
    {"[]", 0, TW_ERR_FORMAT, "no JSON at byte 8"},
    {"{", 0, TW_ERR_FORMAT, "not valid JSON"},
    {"{} {}", 0, TW_ERR_FORMAT, "not valid JSON"},
    {"{\"a\":", 8, TW_ERR_FORMAT, "not valid JSON"},
    {"{\"a\xff\":1}", 0, TW_ERR_FORMAT, "not valid JSON"},
    {"{\"a\\u0000b\":1}", 0, TW_ERR_FORMAT, "not valid JSON"},
    {"{\"a\":1}", 0, TW_ERR_FORMAT, "tensor a is not described by"},
    {"{\"a\":[[[[[1]]]]]}", 0, TW_ERR_FORMAT, "nests deeper than 4"},
    {"{\"__metadata__\":[]}", 0, TW_ERR_FORMAT, "not an object of texts"},
    {"{\"__metadata__\":{\"a\":1}}", 0, TW_ERR_FORMAT, "not an object of texts"},
    {"{\"__metadata__\":{\"a\":{}}}", 0, TW_ERR_FORMAT, "not an object of texts"},
    {"{\"a\":{" D("[0,8]") "},\"a\":{" D("[0,8]") "}}", 8, TW_ERR_FORMAT, "not valid JSON"},
    {A("\"shape\":[2],\"data_offsets\":[0,8]"), 8, TW_ERR_FORMAT, "is not described"},
    {A("\"dtype\":\"F32\",\"data_offsets\":[0,8]"), 8, TW_ERR_FORMAT, "is not described"},
    {A("\"dtype\":\"F32\",\"shape\":[2]"), 8, TW_ERR_FORMAT, "is not described"},
    {A("\"x\":1," D("[0,8]")), 8, TW_ERR_FORMAT, "is not described"},
    {A(D("[0]")), 8, TW_ERR_FORMAT, "is not described"},
    {A(D("[0,8,8]")), 8, TW_ERR_FORMAT, "is not described"},
    {A(D("{\"0\":0,\"1\":8}")), 8, TW_ERR_FORMAT, "is not described"},
    {A("\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]"), 8, TW_ERR_FORMAT, "is not described"},
    {A("\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]"), 8, TW_ERR_UNSUPPORTED,
     "tensor a holds F31"},
    {A("\"dtype\":\"f32\",\"shape\":[2],\"data_offsets\":[0,8]"), 8, TW_ERR_UNSUPPORTED,
     "tensor a holds f32"},
    {A("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]"), 8, TW_ERR_FORMAT,
     "9 dimensions; at most 8"},
    {A("\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]"), 8, TW_ERR_FORMAT,
     "a dimension or offset is not a size"},
    {A("\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]"), 8, TW_ERR_FORMAT,
     "a dimension or offset is not a size"},
    {A("\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[0,8]"), 8, TW_ERR_FORMAT,
     "a dimension or offset is not a size"},
    {A("\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]"), 8,
     TW_ERR_FORMAT, "not valid JSON"},
    {A("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]"), 8,
     TW_ERR_FORMAT, "does not fit"},
    {A("\"dtype\":\"F32\",\"shape\":[4611686018427387905,4],\"data_offsets\":[0,16]"), 16,
     TW_ERR_FORMAT, "does not fit"}, /* 16 once it has wrapped */
    {A("\"dtype\":\"F32\",\"shape\":[4611686018427387904,0,4],\"data_offsets\":[0,0]"), 0,
     TW_ERR_FORMAT, "does not fit"},
    {A("\"dtype\":\"F32\",\"shape\":[1000000000],\"data_offsets\":[0,4000000000]"), 8,
     TW_ERR_FORMAT, "lies at bytes 0 to 4000000000; the file holds 8"},
    {A(D("[8,0]")), 8, TW_ERR_FORMAT, "lies at bytes 8 to 0"},
    {A(D("[-8,0]")), 8, TW_ERR_FORMAT, "is not a size"},
    {A(D("[0,4]")), 4, TW_ERR_FORMAT, "takes 4 bytes; its shape and type need 8"},
    {A(D("[0,8]")), 7, TW_ERR_FORMAT, "the file holds 7"},
    {A(D("[0,8]")), 9, TW_ERR_FORMAT, "1 bytes follow the last tensor"},
    {"{}", 1, TW_ERR_FORMAT, "1 bytes follow the last tensor"},
    {A(D("[4,12]")), 12, TW_ERR_FORMAT, "tensor a starts at byte 4, leaving a hole after 0"},
    {"{\"a\":{" D("[0,8]") "},\"b\":{" D("[12,20]") "}}", 20, TW_ERR_FORMAT,
     "tensor b starts at byte 12, leaving a hole after 8"},
    {"{\"a\":{" D("[0,8]") "},\"b\":{" D("[4,12]") "}}", 12, TW_ERR_FORMAT,
     "tensor b starts at byte 4, inside the one before, which ends at 8"},
    {"{\"a\":{" D("[0,8]") "},\"b\":{" D("[0,8]") "}}", 8, TW_ERR_FORMAT, "inside the one before"},
    {"{\"a\":{" D("[0,8]") "},\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]}}", 8,
     TW_ERR_FORMAT, "inside the one before"},
    {"{\"a\":{" D("[0,8]") "},\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8,8]}}", 8,
     TW_OK, NULL},
    {"{\"a\":{" D("[0,8]") "},\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 8,
     TW_OK, NULL},
};

static void hostile_headers_get_a_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWI_LEN(hostile); i++) {
        size_t size;
        twi_tensors tensors = {0};
        twi_json *metadata = NULL;
        unsigned char *file = make_file(hostile[i].header, hostile[i].data_size, 0, &size);
        const tw_status st = twi_safetensors_parse(ctx, "x", file, size, &tensors, &metadata);
        if (st != hostile[i].status) fail_msg("case %zu: status %d: %s", i, st, tw_last_error(ctx));
        if (st != TW_OK) {
            says("x: ");
            says(hostile[i].part);
            assert_int_equal(tensors.n, 0);
            assert_null(metadata);
        }
        twi_json_free(metadata);
        twi_tensors_free(&tensors);
        free(file);
    }
}

static void huge_headers_are_refused_before_they_are_read(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {1,         (64 << 20) + 1, UINT32_MAX,
                                       INT64_MAX, UINT64_MAX,     UINT64_MAX - 7};
    twi_tensors tensors = {0};
    for (size_t i = 0; i < TWI_LEN(lengths); i++) {
        unsigned char *file = malloc(8);
        for (int k = 0; k < 8; k++) file[k] = (unsigned char)(lengths[i] >> 8 * k);
        assert_int_equal(twi_safetensors_parse(ctx, "x", file, 8, &tensors, NULL), TW_ERR_FORMAT);
        for (size_t n = 0; n < 8; n++)
            assert_int_equal(twi_safetensors_parse(ctx, "x", n ? file : NULL, n, &tensors, NULL),
                             TW_ERR_FORMAT);
        free(file);
    }
}

/* A header within the cap that would be gigabytes as JSON values. */
static void a_flood_of_values_is_refused(void **state)
{
    (void)state;
    enum { FLOOD = 4 << 20 };
    size_t size;
    twi_tensors tensors = {0};
    char *header = malloc(FLOOD + 16);
    size_t at = (size_t)sprintf(header, "{\"a\":[[]");
    while (at + 3 < FLOOD) at += (size_t)sprintf(header + at, ",[]");
    sprintf(header + at, "]}");
    unsigned char *file = make_file(header, 0, 0, &size);
    assert_int_equal(twi_safetensors_parse(ctx, "x", file, size, &tensors, NULL), TW_ERR_FORMAT);
    says("holds more than 16384 tensors");
    free(file);
    free(header);
}

static void unaligned_tensors_are_copied(void **state)
{
    (void)state;
    static const char header[] = "{\"o\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                                 "\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[3,7]},"
                                 "\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[7,23]}}";
    for (size_t shift = 0; shift < 8; shift++) {
        size_t size;
        twi_tensors tensors;
        unsigned char *file = make_file(header, 23, shift, &size);
        assert_int_equal(twi_safetensors_parse(ctx, "x", file + shift, size, &tensors, NULL),
                         TW_OK);
        assert_int_equal(tensors.n, 3);
        for (size_t i = 0, at = 0; i < 3; i++) {
            const twi_tensor *t = &tensors.items[i];
            const size_t width = twi_dtype_size(t->dtype);
            assert_int_equal((uintptr_t)t->data % width, 0);
            for (size_t k = 0; k < t->count * width; k++)
                assert_int_equal(((const unsigned char *)t->data)[k], at++);
        }
        twi_tensors_free(&tensors);
        free(file);
    }
}

/* ---- files that others wrote --------------------------------------------------------------- */

/* Opens a real file and gives its tensors and metadata; the map stays open. */
static void open_real(const char *name, twi_map *map, twi_tensors *tensors, twi_json **metadata)
{
    const char *path = shared_data(name);
    assert_int_equal(twi_map_open(ctx, path, map), TW_OK);
    const tw_status st = twi_safetensors_parse(ctx, path, map->data, map->size, tensors, metadata);
    if (st != TW_OK) print_message("%s\n", tw_last_error(ctx));
    assert_int_equal(st, TW_OK);
}

static size_t sum_counts(const twi_tensors *tensors)
{
    size_t sum = 0;
    for (size_t i = 0; i < tensors->n; i++)
        if (tensors->items[i].dtype == TWI_F32) sum += tensors->items[i].count;
    return sum;
}

static void squeezenet_is_read(void **state)
{
    (void)state;
    twi_map map;
    twi_tensors tensors;
    twi_json *metadata;
    open_real("weights/squeezenet1_1.safetensors", &map, &tensors, &metadata);
    assert_int_equal(tensors.n, 52);
    assert_int_equal(sum_counts(&tensors), 1235496);
    assert_string_equal(tensors.items[0].name, "features.0.weight");
    assert_int_equal(tensors.items[0].dims[0], 64);
    assert_string_equal(twi_json_as_text(twi_json_get(metadata, "format"), ""), "pt");
    twi_json_free(metadata);
    twi_tensors_free(&tensors);
    twi_map_close(&map);
}

static void sapling_is_read(void **state)
{
    (void)state;
    twi_map map;
    twi_tensors tensors;
    twi_json *metadata;
    open_real("weights/sapling/sapling.safetensors", &map, &tensors, &metadata);
    const twi_tensor *stem = twi_tensors_find(&tensors, "conv1.weight");
    const twi_tensor *fc = twi_tensors_find(&tensors, "fc.weight");
    assert_non_null(stem);
    assert_non_null(fc);
    assert_int_equal(stem->dims[0], 32);
    assert_int_equal(fc->dims[0], 200);
    assert_int_equal(fc->dims[1], 256);
    assert_string_equal(twi_json_as_text(twi_json_get(metadata, "batchnorm_eps"), ""), "1e-05");
    twi_json_free(metadata);
    twi_tensors_free(&tensors);
    twi_map_close(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_headers_get_a_message),
        cmocka_unit_test(huge_headers_are_refused_before_they_are_read),
        cmocka_unit_test(a_flood_of_values_is_refused),
        cmocka_unit_test(unaligned_tensors_are_copied),
        cmocka_unit_test(squeezenet_is_read),
        cmocka_unit_test(sapling_is_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
