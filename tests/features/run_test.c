/* run_test.c - the pipeline: order, same bits for any thread count, failures, strict, cancelling,
 * precision.
 *
 * With the argument "reference" the network runs on the plain C engine: that is the row for
 * ThreadSanitizer, which cannot see into OpenMP. */
#include "world.h"

#include "base/file.h"

static bool reference_engine;

typedef struct scene {
    tw_ctx *ctx;
    twi_network *network;
    twi_extractor_opts opts;
    album pictures;
} scene;

static scene scene_new(size_t pictures)
{
    scene s = {.pictures = album_new(pictures)};
    assert_int_equal(tw_ctx_new(&s.ctx), TW_OK);
    s.network = small_network(s.ctx);
    s.opts = small_opts(s.ctx);
    s.opts.reference_engine = reference_engine;
    return s;
}

static void scene_free(scene *s)
{
    twi_network_free(s->network);
    tw_ctx_free(s->ctx);
    album_free(&s->pictures);
}

static tw_status scene_run(scene *s, size_t threads, landing *l, twi_extract_stats *stats)
{
    twi_extractor *ex;
    const twi_source source = {.path = album_path, .user = &s->pictures, .total = s->pictures.n};
    tw_ctx_set_threads(s->ctx, threads);
    assert_int_equal(twi_extractor_new(s->ctx, s->network, &s->opts, &ex), TW_OK);
    assert_int_equal(twi_extractor_feature_count(ex), l->d);
    const tw_status st = twi_extractor_run(s->ctx, ex, &source, land, l, stats);
    twi_extractor_free(ex);
    return st;
}

static void overwrite(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void test_rows_do_not_depend_on_threads(void **state)
{
    (void)state;
    scene s = scene_new(150);
    landing one = landing_new(CHANNELS, s.pictures.n);
    twi_extract_stats stats;
    assert_int_equal(scene_run(&s, 1, &one, &stats), TW_OK);
    assert_int_equal(one.n, s.pictures.n);
    assert_int_equal(stats.rows, s.pictures.n);
    assert_int_equal(stats.failed, 0);
    assert_true(stats.seconds_decode > 0 && stats.seconds_network > 0 && stats.seconds_wall > 0);
    assert_true(memcmp(one.rows, one.rows + CHANNELS, CHANNELS * sizeof(float)) != 0);
    for (size_t threads = 2; threads <= 4; threads++) {
        landing many = landing_new(CHANNELS, s.pictures.n);
        assert_int_equal(scene_run(&s, threads, &many, NULL), TW_OK);
        assert_int_equal(many.n, s.pictures.n);
        assert_memory_equal(many.rows, one.rows, one.n * CHANNELS * sizeof(float));
        landing_free(&many);
    }
    landing_free(&one);
    scene_free(&s);
}

/* Pictures of a short run are computed by another program than those of a long one, and with other
 * threads: features.h states how closely the rows agree. */
static void few_and_many(tw_precision precision, double tolerance)
{
    scene s = scene_new(40);
    twi_network_free(s.network);
    s.network = wide_network(s.ctx);
    s.opts.precision = precision;
    s.opts.batch = 4;
    landing all = landing_new(WIDE, s.pictures.n);
    assert_int_equal(scene_run(&s, 2, &all, NULL), TW_OK);
    const album whole = s.pictures;
    for (size_t n = 1; n <= 16; n += 5) {
        landing few = landing_new(WIDE, n);
        s.pictures.n = n;
        assert_int_equal(scene_run(&s, 4, &few, NULL), TW_OK);
        for (size_t i = 0; i < n; i++) {
            const float *a = few.rows + i * WIDE, *b = all.rows + i * WIDE;
            float largest = 0, apart = 0;
            for (size_t k = 0; k < WIDE; k++) {
                largest = fmaxf(largest, fabsf(b[k]));
                apart = fmaxf(apart, fabsf(a[k] - b[k]));
            }
            assert_true(largest > 0 && (double)apart <= tolerance * (double)largest);
        }
        landing_free(&few);
    }
    s.pictures = whole;
    landing_free(&all);
    scene_free(&s);
}

static void test_few_agree_with_many_in_f32(void **state)
{
    (void)state;
    few_and_many(TW_PRECISION_F32, 1e-5);
}

static void test_few_agree_with_many_in_bf16(void **state)
{
    (void)state;
    if (reference_engine || !twi_precision_native(TW_PRECISION_BF16)) {
        print_message("SKIPPED: bf16 is not native here\n");
        skip();
    }
    few_and_many(TW_PRECISION_BF16, 0.02);
}

static void test_unreadable_pictures_are_rows_with_a_message(void **state)
{
    (void)state;
    scene s = scene_new(12);
    landing l = landing_new(CHANNELS, s.pictures.n);
    overwrite(s.pictures.paths[0], "not a picture");
    overwrite(s.pictures.paths[3], "");
    assert_int_equal(remove(s.pictures.paths[5]), 0);
    assert_int_equal(remove(s.pictures.paths[7]), 0);
    assert_int_equal(mkfifo(s.pictures.paths[7], 0600), 0);
    assert_int_equal(remove(s.pictures.paths[8]), 0);
    assert_int_equal(mkdir(s.pictures.paths[8], 0700), 0);
    assert_int_equal(truncate(s.pictures.paths[11], 200), 0);
    twi_extract_stats stats;
    assert_int_equal(scene_run(&s, 3, &l, &stats), TW_OK);
    assert_int_equal(l.n, 12);
    assert_int_equal(stats.failed, 6);
    assert_int_equal(stats.rows, 6);
    static const size_t bad[] = {0, 3, 5, 7, 8, 11};
    for (size_t k = 0; k < 6; k++) {
        assert_int_not_equal(l.status[bad[k]], TW_OK);
        assert_non_null(strstr(l.message[bad[k]], s.pictures.paths[bad[k]]));
    }
    assert_int_equal(l.status[5], TW_ERR_IO);
    assert_non_null(strstr(l.message[7], "regular"));
    landing_free(&l);
    scene_free(&s);
}

static void test_strict_names_the_first_of_them(void **state)
{
    (void)state;
    scene s = scene_new(60);
    s.opts.strict = true;
    overwrite(s.pictures.paths[31], "not a picture");
    overwrite(s.pictures.paths[33], "nor this");
    for (size_t threads = 1; threads <= 4; threads++) {
        landing l = landing_new(CHANNELS, s.pictures.n);
        assert_int_equal(scene_run(&s, threads, &l, NULL), TW_ERR_UNSUPPORTED);
        assert_int_equal(l.n, 31);
        assert_int_equal(l.failed, 0);
        assert_non_null(strstr(tw_last_error(s.ctx), "p31.png"));
        landing_free(&l);
    }
    scene_free(&s);
}

static void test_no_pictures(void **state)
{
    (void)state;
    scene s = scene_new(0);
    landing l = landing_new(CHANNELS, 0);
    twi_extract_stats stats;
    assert_int_equal(scene_run(&s, 2, &l, &stats), TW_OK);
    assert_int_equal(stats.rows + stats.failed, 0);
    landing_free(&l);
    scene_free(&s);
}

/* ---- stopping ------------------------------------------------------------------------------ */

static int stop_progress(void *user, const tw_progress *p)
{
    size_t *left = user;
    assert_string_equal(p->stage, "features");
    assert_true(p->total == 0 || p->done <= p->total);
    assert_true(p->failed <= p->done);
    return (*left)-- == 0;
}

static void test_the_row_function_can_stop_anywhere(void **state)
{
    (void)state;
    scene s = scene_new(90);
    for (size_t k = 1; k < s.pictures.n; k += 13) {
        landing l = landing_new(CHANNELS, s.pictures.n);
        l.stop_after = k;
        assert_int_equal(scene_run(&s, 1 + k % 4, &l, NULL), TW_ERR_CANCELLED);
        assert_int_equal(l.n, k);
        landing_free(&l);
    }
    scene_free(&s);
}

static void test_the_progress_callback_can_stop(void **state)
{
    (void)state;
    scene s = scene_new(90);
    landing l = landing_new(CHANNELS, s.pictures.n);
    size_t left = 0;
    tw_ctx_set_progress(s.ctx, stop_progress, &left);
    assert_int_equal(scene_run(&s, 3, &l, NULL), TW_ERR_CANCELLED);
    assert_true(l.n < s.pictures.n);
    landing_free(&l);
    scene_free(&s);
}

/* A source as slow as a pipe with nobody typing: what is there is delivered, and nothing hangs. */
static const char *slow_path(void *user, size_t i)
{
    usleep(3000);
    return album_path(user, i);
}

static void test_a_slow_source_of_unknown_length(void **state)
{
    (void)state;
    scene s = scene_new(25);
    landing l = landing_new(CHANNELS, s.pictures.n);
    twi_extractor *ex;
    const twi_source source = {.path = slow_path, .user = &s.pictures};
    s.opts.batch = 4;
    tw_ctx_set_threads(s.ctx, 3);
    assert_int_equal(twi_extractor_new(s.ctx, s.network, &s.opts, &ex), TW_OK);
    assert_int_equal(twi_extractor_run(s.ctx, ex, &source, land, &l, NULL), TW_OK);
    assert_int_equal(l.n, s.pictures.n);
    twi_extractor_free(ex);
    landing_free(&l);
    scene_free(&s);
}

/* ---- memory -------------------------------------------------------------------------------- */

typedef struct library {
    tw_bytes bytes[8];
    size_t n;
} library;

static bool library_next(void *user, size_t i, tw_bytes *src, const char **name)
{
    const library *lib = user;
    if (i >= lib->n) return false;
    *src = lib->bytes[i];
    *name = i == 2 ? "third" : NULL;
    return true;
}

static void test_pictures_in_memory_and_an_extractor_used_twice(void **state)
{
    (void)state;
    scene s = scene_new(8);
    landing files = landing_new(CHANNELS, 8);
    assert_int_equal(scene_run(&s, 2, &files, NULL), TW_OK);
    library lib = {.n = 8};
    unsigned char *buffers[8] = {0};
    for (size_t i = 0; i < 8; i++) {
        size_t capacity = 0;
        assert_int_equal(twi_file_read(s.ctx, s.pictures.paths[i], SIZE_MAX, &buffers[i], &capacity,
                                       &lib.bytes[i].size_bytes),
                         TW_OK);
        lib.bytes[i].data = buffers[i];
    }
    twi_extractor *ex;
    const twi_source source = {.bytes = library_next, .user = &lib, .total = 8};
    assert_int_equal(twi_extractor_new(s.ctx, s.network, &s.opts, &ex), TW_OK);
    for (size_t threads = 1; threads <= 3; threads++) {
        landing l = landing_new(CHANNELS, 8);
        tw_ctx_set_threads(s.ctx, threads);
        assert_int_equal(twi_extractor_run(s.ctx, ex, &source, land, &l, NULL), TW_OK);
        assert_memory_equal(l.rows, files.rows, 8 * CHANNELS * sizeof(float));
        landing_free(&l);
    }
    lib.bytes[2] = (tw_bytes){NULL, 0}; /* its name must not be opened as a file */
    landing l = landing_new(CHANNELS, 8);
    assert_int_equal(twi_extractor_run(s.ctx, ex, &source, land, &l, NULL), TW_OK);
    assert_int_equal(l.failed, 1);
    assert_non_null(strstr(l.message[2], "third"));
    assert_int_not_equal(l.status[2], TW_ERR_IO);
    landing_free(&l);
    twi_extractor_free(ex);
    for (size_t i = 0; i < 8; i++) twi_free(buffers[i]);
    landing_free(&files);
    scene_free(&s);
}

/* ---- precision ----------------------------------------------------------------------------- */

typedef struct lines {
    size_t n;
    char last[256];
} lines;

static void keep_line(void *user, tw_log_level level, const char *message)
{
    lines *l = user;
    (void)level;
    l->n++;
    snprintf(l->last, sizeof l->last, "%s", message);
}

/* Bad pictures before and among the first readable ones: the choice falls on the same ones for any
 * thread count. */
static void test_auto_precision_is_the_same_for_any_threads(void **state)
{
    (void)state;
    scene s = scene_new(80);
    s.opts.precision = TW_PRECISION_AUTO;
    for (size_t i = 0; i < 5; i++) overwrite(s.pictures.paths[i], "bad");
    for (size_t i = 9; i < 40; i += 2) overwrite(s.pictures.paths[i], "bad");
    landing first = landing_new(CHANNELS, s.pictures.n);
    char said[256];
    for (size_t threads = 1; threads <= 4; threads++) {
        landing l = landing_new(CHANNELS, s.pictures.n);
        lines log = {0};
        tw_ctx_set_log(s.ctx, keep_line, &log);
        assert_int_equal(scene_run(&s, threads, threads == 1 ? &first : &l, NULL), TW_OK);
        assert_int_equal(log.n, 1);
        if (threads == 1) {
            memcpy(said, log.last, sizeof said);
            print_message("%s\n", said);
        } else {
            assert_string_equal(log.last, said);
            assert_memory_equal(l.rows, first.rows, first.n * CHANNELS * sizeof(float));
        }
        landing_free(&l);
    }
    landing_free(&first);
    scene_free(&s);
}

static void test_auto_without_a_readable_picture_stays_open(void **state)
{
    (void)state;
    scene s = scene_new(70);
    for (size_t i = 0; i < 70; i++) overwrite(s.pictures.paths[i], "bad");
    s.opts.precision = TW_PRECISION_AUTO;
    landing l = landing_new(CHANNELS, s.pictures.n);
    assert_int_equal(scene_run(&s, 2, &l, NULL), TW_OK);
    assert_int_equal(l.failed, 70);
    landing_free(&l);
    scene_free(&s);
}

static void test_bf16_by_name_needs_a_machine_that_has_it(void **state)
{
    (void)state;
    scene s = scene_new(3);
    s.opts.precision = TW_PRECISION_BF16;
    twi_extractor *ex = NULL;
    const bool native = !reference_engine && twi_precision_native(TW_PRECISION_BF16);
    const tw_status st = twi_extractor_new(s.ctx, s.network, &s.opts, &ex);
    assert_int_equal(st, native ? TW_OK : TW_ERR_UNSUPPORTED);
    if (!native) assert_non_null(strstr(tw_last_error(s.ctx), "bf16"));
    twi_extractor_free(ex);
    scene_free(&s);
}

int main(int argc, char **argv)
{
    reference_engine = argc > 1 && strcmp(argv[1], "reference") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_do_not_depend_on_threads),
        cmocka_unit_test(test_few_agree_with_many_in_f32),
        cmocka_unit_test(test_few_agree_with_many_in_bf16),
        cmocka_unit_test(test_unreadable_pictures_are_rows_with_a_message),
        cmocka_unit_test(test_strict_names_the_first_of_them),
        cmocka_unit_test(test_no_pictures),
        cmocka_unit_test(test_the_row_function_can_stop_anywhere),
        cmocka_unit_test(test_the_progress_callback_can_stop),
        cmocka_unit_test(test_a_slow_source_of_unknown_length),
        cmocka_unit_test(test_pictures_in_memory_and_an_extractor_used_twice),
        cmocka_unit_test(test_auto_precision_is_the_same_for_any_threads),
        cmocka_unit_test(test_auto_without_a_readable_picture_stays_open),
        cmocka_unit_test(test_bf16_by_name_needs_a_machine_that_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
