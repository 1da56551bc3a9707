/* reject_test.c - familiarity and its threshold: NumPy's numbers, the share that is accepted, what
 * is kept of many rows, the same on any number of threads and after saving, refusals. */
#include "learn_data.h"
#include "reject_golden.h"

#include "learn/reject.h"

#include <string.h>

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

static void near(double a, double b)
{
    if (!(fabs(a - b) < 2e-6)) fail_msg("%.9g is not %.9g", a, b);
}

/* ---- NumPy's numbers ----------------------------------------------------------------------- */

static void compare(size_t n, size_t d, uint32_t seed, const double *want_own,
                    const double *want_asked, double threshold, double expected)
{
    sample_set set, asked;
    twi_reject r;
    double own[60], familiarity[25];
    sample_set_make(n, d, 3, seed, 2.0, &set);
    sample_set_make(25, d, 3, seed + 10, 0.5, &asked);
    assert_int_equal(twi_reject_fit(ctx, &set.samples, 0.9, own, &r), TW_OK);
    assert_int_equal(r.n, n);
    assert_int_equal(r.photos, n);
    for (size_t i = 0; i < n; i++) near(own[i], want_own[i]);
    near(r.threshold, threshold);
    near(r.expected, expected);
    assert_int_equal(twi_reject_score(ctx, &r, asked.x, 25, familiarity), TW_OK);
    for (size_t i = 0; i < 25; i++) near(familiarity[i], want_asked[i]);
    twi_reject_free(&r);
    sample_set_free(&set);
    sample_set_free(&asked);
}

static void numpy_agrees(void **state)
{
    (void)state;
    compare(60, 33, 21, many_own, many_asked, many_threshold, many_expected);
    compare(4, 7, 22, few_own, few_asked, few_threshold, few_expected);
}

static void sklearn_agrees_on_areas(void **state)
{
    (void)state;
    const size_t n = TWI_LEN(area_known), m = TWI_LEN(area_unknown);
    near(twi_auroc(area_known, n, area_unknown, m), area);
    near(twi_auroc(area_unknown, m, area_known, n), 1.0 - area);
    const double low[] = {1.0, 2.0}, high[] = {3.0};
    near(twi_auroc(high, 1, low, 2), 1.0);
    near(twi_auroc(low, 2, high, 1), 0.0);
    near(twi_auroc(low, 2, low, 2), 0.5);
    assert_int_equal(twi_count_from(low, 2, 0.5), 2);
    assert_int_equal(twi_count_from(low, 2, 2.0), 1);
    assert_int_equal(twi_count_from(low, 2, 2.5), 0);
}

/* ---- the share ----------------------------------------------------------------------------- */

/* Over many draws the share of fresh rows accepted is what the threshold stands for. */
static void check_share(size_t n, double accept)
{
    enum { DRAWS = 60, FRESH = 200, D = 12 };
    double sum = 0.0, expected = 0.0;
    for (uint32_t draw = 0; draw < DRAWS; draw++) {
        sample_set set;
        twi_reject r;
        double familiarity[FRESH];
        size_t accepted = 0;
        sample_set_make(n + FRESH, D, 1, 100 + draw, 0.0, &set);
        twi_samples train = set.samples;
        train.n = n;
        assert_int_equal(twi_reject_fit(ctx, &train, accept, NULL, &r), TW_OK);
        assert_int_equal(twi_reject_score(ctx, &r, set.x + n * D, FRESH, familiarity), TW_OK);
        for (size_t i = 0; i < FRESH; i++) accepted += familiarity[i] >= r.threshold;
        sum += (double)accepted / FRESH;
        expected = r.expected;
        twi_reject_free(&r);
        sample_set_free(&set);
    }
    /* sd of one draw: sqrt(p (1 - p) (1 / n + 1 / FRESH)); three of the mean's */
    const double sd = sqrt(expected * (1.0 - expected) * (1.0 / (double)n + 1.0 / FRESH) / DRAWS);
    if (fabs(sum / DRAWS - expected) > 3.0 * sd + 0.002)
        fail_msg("%zu rows, %.2f asked: %.4f accepted, %.4f expected", n, accept, sum / DRAWS,
                 expected);
    assert_true(expected >= accept - 1e-12 || (double)n < accept / (1.0 - accept));
}

static void the_share_asked_is_accepted(void **state)
{
    (void)state;
    check_share(200, 0.95);
    check_share(99, 0.8);
    check_share(30, 0.5);
    check_share(12, 0.95); /* too few: 12 / 13 is what there is */
}

static void few_rows_say_what_they_stand_for(void **state)
{
    (void)state;
    const struct {
        size_t n;
        double accept, expected;
    } cases[] = {{2, 0.95, 2.0 / 3}, {18, 0.95, 18.0 / 19}, {19, 0.95, 0.95},
                 {39, 0.95, 0.95},   {9, 0.9, 0.9},         {20, 0.5, 11.0 / 21}};
    for (size_t i = 0; i < TWI_LEN(cases); i++) {
        sample_set set;
        twi_reject r;
        sample_set_make(cases[i].n, 5, 2, 9, 1.0, &set);
        assert_int_equal(twi_reject_fit(ctx, &set.samples, cases[i].accept, NULL, &r), TW_OK);
        near(r.expected, cases[i].expected);
        assert_int_equal(r.neighbors, cases[i].n - 1 < 5 ? cases[i].n - 1 : 5);
        twi_reject_free(&r);
        sample_set_free(&set);
    }
}

/* ---- what is kept -------------------------------------------------------------------------- */

static bool keeps(const twi_reject *r, const float *x)
{
    double length = 0.0;
    for (size_t j = 0; j < r->d; j++) length += (double)x[j] * (double)x[j];
    for (size_t i = 0; i < r->n; i++) {
        size_t same = 0;
        for (size_t j = 0; j < r->d; j++)
            same += fabs((double)r->rows[i * r->d + j] - (double)x[j] / sqrt(length)) < 1e-4;
        if (same == r->d) return true;
    }
    return false;
}

/* Of more rows than are kept a rare class keeps all it has; the others share the rest evenly. */
static void rare_classes_are_kept_whole(void **state)
{
    (void)state;
    enum { N = 400, D = 8193, KEPT = 256 };
    static const size_t count[] = {250, 130, 15, 5};
    sample_set set;
    twi_reject r;
    size_t kept[4] = {0}, i = 0;
    double *own = malloc(N * sizeof *own), familiarity;
    sample_set_make(N, D, 4, 4, 1.0, &set);
    for (uint32_t c = 0; c < 4; c++)
        for (size_t j = 0; j < count[c]; j++) set.y[i++] = c;
    assert_int_equal(twi_reject_fit(ctx, &set.samples, 0.9, own, &r), TW_OK);
    assert_int_equal(r.n, KEPT);
    assert_int_equal(r.photos, N); /* the threshold is set on all */
    for (i = 0; i < N; i++) {
        const bool here = keeps(&r, set.x + i * D);
        kept[set.y[i]] += here;
        assert_int_equal(twi_reject_score(ctx, &r, set.x + i * D, 1, &familiarity), TW_OK);
        if (here) /* it found itself, which it must not do for its own */
            assert_true(familiarity > own[i]);
        else
            assert_true(familiarity == own[i]);
    }
    assert_int_equal(kept[0], 118);
    assert_int_equal(kept[1], 118);
    assert_int_equal(kept[2], 15);
    assert_int_equal(kept[3], 5);
    free(own);
    twi_reject_free(&r);
    sample_set_free(&set);
}

static void rows_are_picked(void **state)
{
    (void)state;
    sample_set set, copy;
    twi_reject a, b;
    size_t rows[30];
    sample_set_make(90, 10, 3, 6, 1.0, &set);
    sample_set_make(30, 10, 3, 6, 1.0, &copy);
    for (size_t i = 0; i < 30; i++) {
        rows[i] = 3 * i + 1;
        memcpy(copy.x + i * 10, set.x + rows[i] * 10, 10 * sizeof *copy.x);
        copy.y[i] = set.y[rows[i]];
    }
    set.samples.rows = rows, set.samples.n = 30;
    assert_int_equal(twi_reject_fit(ctx, &set.samples, 0.9, NULL, &a), TW_OK);
    assert_int_equal(twi_reject_fit(ctx, &copy.samples, 0.9, NULL, &b), TW_OK);
    assert_true(a.threshold == b.threshold);
    assert_memory_equal(a.rows, b.rows, 30 * 10 * sizeof *a.rows);
    twi_reject_free(&a);
    twi_reject_free(&b);
    sample_set_free(&set);
    sample_set_free(&copy);
}

/* ---- the same everywhere ------------------------------------------------------------------- */

static void nothing_depends_on_threads_or_batches(void **state)
{
    (void)state;
    enum { N = 700, D = 101 };
    sample_set set;
    twi_reject r[2];
    double own[2][N], all[N], one;
    sample_set_make(N, D, 3, 8, 1.0, &set);
    for (size_t t = 0; t < 2; t++) {
        tw_ctx_set_threads(ctx, 1 + 2 * t);
        assert_int_equal(twi_reject_fit(ctx, &set.samples, 0.95, own[t], &r[t]), TW_OK);
    }
    assert_memory_equal(own[0], own[1], sizeof own[0]);
    assert_true(r[0].threshold == r[1].threshold);
    assert_memory_equal(r[0].rows, r[1].rows, sizeof(float) * N * D);
    assert_int_equal(twi_reject_score(ctx, &r[0], set.x, N, all), TW_OK);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(twi_reject_score(ctx, &r[0], set.x + i * D, 1, &one), TW_OK);
        assert_true(one == all[i]);
    }
    tw_ctx_set_threads(ctx, 0);
    twi_reject_free(&r[0]);
    twi_reject_free(&r[1]);
    sample_set_free(&set);
}

static void length_does_not_count(void **state)
{
    (void)state;
    sample_set set;
    twi_reject r;
    double a, b;
    float longer[9];
    sample_set_make(50, 9, 2, 3, 1.0, &set);
    assert_int_equal(twi_reject_fit(ctx, &set.samples, 0.9, NULL, &r), TW_OK);
    for (size_t j = 0; j < 9; j++) longer[j] = 1024.0f * set.x[j];
    assert_int_equal(twi_reject_score(ctx, &r, set.x, 1, &a), TW_OK);
    assert_int_equal(twi_reject_score(ctx, &r, longer, 1, &b), TW_OK);
    assert_true(a == b && a <= 1.001);
    memset(longer, 0, sizeof longer); /* nothing is like a black photo without features */
    assert_int_equal(twi_reject_score(ctx, &r, longer, 1, &b), TW_OK);
    assert_true(b == 0.0 && b < r.threshold);
    twi_reject_free(&r);
    sample_set_free(&set);
}

/* ---- saving and loading -------------------------------------------------------------------- */

typedef struct saved {
    twi_tensors tensors;
    twi_json *json;
    twi_reject reject;
    sample_set set;
} saved;

static void save(saved *s)
{
    *s = (saved){0};
    sample_set_make(40, 6, 2, 12, 1.0, &s->set);
    assert_int_equal(twi_reject_fit(ctx, &s->set.samples, 0.95, NULL, &s->reject), TW_OK);
    assert_int_equal(twi_reject_save(ctx, &s->reject, &s->tensors, &s->json), TW_OK);
}

static void saved_free(saved *s)
{
    twi_tensors_free(&s->tensors);
    twi_json_free(s->json);
    twi_reject_free(&s->reject);
    sample_set_free(&s->set);
}

static void what_is_loaded_is_what_was_saved(void **state)
{
    (void)state;
    saved s;
    twi_reject r;
    twi_json *again;
    char *text;
    size_t size;
    save(&s);
    assert_int_equal(twi_json_print(ctx, s.json, &text, &size), TW_OK); /* as a file has it */
    assert_int_equal(twi_json_parse(ctx, "json", text, size, &again), TW_OK);
    assert_int_equal(twi_reject_load(ctx, "m.tw", &s.tensors, again, 6, &r), TW_OK);
    assert_int_equal(r.n, s.reject.n);
    assert_int_equal(r.neighbors, s.reject.neighbors);
    assert_int_equal(r.photos, 40);
    assert_true(r.threshold == s.reject.threshold && r.accept == 0.95);
    assert_true(r.expected == s.reject.expected);
    assert_memory_equal(r.rows, s.reject.rows, sizeof(float) * 40 * 6);
    twi_reject_free(&r);
    assert_int_equal(twi_reject_load(ctx, "m.tw", &s.tensors, NULL, 6, &r), TW_OK);
    assert_int_equal(r.n, 0);
    twi_free(text);
    twi_json_free(again);
    saved_free(&s);
}

static void refused(const twi_tensors *tensors, const char *json, size_t d)
{
    twi_json *parsed;
    twi_reject r = {.n = 77};
    assert_int_equal(twi_json_parse(ctx, "json", json, strlen(json), &parsed), TW_OK);
    assert_int_equal(twi_reject_load(ctx, "m.tw", tensors, parsed, d, &r), TW_ERR_FORMAT);
    assert_int_equal(r.n, 77);
    assert_non_null(strstr(tw_last_error(ctx), "m.tw"));
    twi_json_free(parsed);
}

static const char good[] = "{\"method\":\"neighbors\",\"neighbors\":5,\"accept\":0.95,"
                           "\"expected\":0.95,\"threshold\":0.5,\"photos\":40}";

static void hostile_numbers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"method\":\"magic\",\"neighbors\":5,\"accept\":0.95,\"expected\":0.95,\"threshold\":0}",
        "{\"method\":\"neighbors\",\"neighbors\":0,\"accept\":0.95,\"expected\":0.95,"
        "\"threshold\":0}",
        "{\"method\":\"neighbors\",\"neighbors\":6,\"accept\":0.95,\"expected\":0.95,"
        "\"threshold\":0}",
        "{\"method\":\"neighbors\",\"neighbors\":-1,\"accept\":0.95,\"expected\":0.95,"
        "\"threshold\":0}",
        "{\"method\":\"neighbors\",\"neighbors\":5,\"accept\":1,\"expected\":0.95,\"threshold\":0}",
        "{\"method\":\"neighbors\",\"neighbors\":5,\"accept\":0.95,\"expected\":2,\"threshold\":0}",
        "{\"method\":\"neighbors\",\"neighbors\":5,\"accept\":0.95,\"expected\":0.95,"
        "\"threshold\":1e9}",
        "{\"method\":\"neighbors\",\"neighbors\":5,\"accept\":0.95,\"expected\":0.95,"
        "\"threshold\":null}",
    };
    saved s;
    twi_json *parsed;
    twi_reject r;
    save(&s);
    assert_int_equal(twi_json_parse(ctx, "json", good, strlen(good), &parsed), TW_OK);
    assert_int_equal(twi_reject_load(ctx, "m.tw", &s.tensors, parsed, 6, &r), TW_OK);
    twi_reject_free(&r);
    twi_json_free(parsed);
    for (size_t i = 0; i < TWI_LEN(bad); i++) refused(&s.tensors, bad[i], 6);
    refused(&s.tensors, good, 5);
    saved_free(&s);
}

static void hostile_rows_are_refused(void **state)
{
    (void)state;
    const struct {
        twi_dtype dtype;
        size_t rank, dims[2];
        uint16_t first; /* of rows that are 1, 0, 0, ... otherwise */
    } bad[] = {{TWI_F16, 2, {8, 7}, 0x3c00}, {TWI_F16, 2, {4, 6}, 0x3c00},
               {TWI_F16, 2, {0, 6}, 0x3c00}, {TWI_F16, 1, {48, 0}, 0x3c00},
               {TWI_F32, 2, {8, 6}, 0x3c00}, {TWI_F16, 2, {8, 6}, 0x7e00},  /* not a number */
               {TWI_F16, 2, {8, 6}, 0x7c00}, {TWI_F16, 2, {8, 6}, 0x4000}}; /* infinite; 2 */
    twi_tensors none = {0};
    refused(&none, good, 6);
    for (size_t i = 0; i < TWI_LEN(bad); i++) {
        twi_tensors tensors = {0};
        void *data;
        assert_int_equal(twi_tensors_add(ctx, &tensors, "reject.rows", bad[i].dtype, bad[i].rank,
                                         bad[i].dims, NULL, &data),
                         TW_OK);
        if (bad[i].dtype == TWI_F16 && bad[i].dims[0] > 0) ((uint16_t *)data)[0] = bad[i].first;
        refused(&tensors, good, 6);
        twi_tensors_free(&tensors);
    }
}

/* ---- refusals ------------------------------------------------------------------------------ */

static int stop_at_once(void *user, const tw_progress *progress)
{
    (void)user;
    (void)progress;
    return 1;
}

static void what_cannot_be_done_is_refused(void **state)
{
    (void)state;
    sample_set set;
    twi_reject r = {.n = 77};
    double familiarity[30];
    sample_set_make(30, 4, 2, 5, 1.0, &set);
    twi_samples one = set.samples;
    one.n = 1;
    assert_int_equal(twi_reject_fit(ctx, &one, 0.95, NULL, &r), TW_ERR_DATA);
    tw_ctx_set_progress(ctx, stop_at_once, NULL);
    assert_int_equal(twi_reject_fit(ctx, &set.samples, 0.95, NULL, &r), TW_ERR_CANCELLED);
    tw_ctx_set_progress(ctx, NULL, NULL);
    const float kept = set.x[17 * 4 + 2];
    set.x[17 * 4 + 2] = NAN;
    assert_int_equal(twi_reject_fit(ctx, &set.samples, 0.95, NULL, &r), TW_ERR_DATA);
    assert_non_null(strstr(tw_last_error(ctx), "17"));
    assert_int_equal(r.n, 77);
    set.x[17 * 4 + 2] = kept;
    assert_int_equal(twi_reject_fit(ctx, &set.samples, 0.95, NULL, &r), TW_OK);
    set.x[17 * 4 + 2] = INFINITY;
    assert_int_equal(twi_reject_score(ctx, &r, set.x, 30, familiarity), TW_ERR_DATA);
    assert_non_null(strstr(tw_last_error(ctx), "17"));
    assert_int_equal(twi_reject_score(ctx, &r, set.x, 0, familiarity), TW_OK);
    twi_reject_free(&r);
    twi_reject_free(&r); /* of nothing, too */
    sample_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numpy_agrees, start, stop),
        cmocka_unit_test_setup_teardown(sklearn_agrees_on_areas, start, stop),
        cmocka_unit_test_setup_teardown(the_share_asked_is_accepted, start, stop),
        cmocka_unit_test_setup_teardown(few_rows_say_what_they_stand_for, start, stop),
        cmocka_unit_test_setup_teardown(rare_classes_are_kept_whole, start, stop),
        cmocka_unit_test_setup_teardown(rows_are_picked, start, stop),
        cmocka_unit_test_setup_teardown(nothing_depends_on_threads_or_batches, start, stop),
        cmocka_unit_test_setup_teardown(length_does_not_count, start, stop),
        cmocka_unit_test_setup_teardown(what_is_loaded_is_what_was_saved, start, stop),
        cmocka_unit_test_setup_teardown(hostile_numbers_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(hostile_rows_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(what_cannot_be_done_is_refused, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
