/* classifier_test.c - what every head of the table promises, whatever it is: answers that agree
 * with each other, the same after saving and loading, the same on any number of threads, refusals.
 */
#include "learn_data.h"

#include "learn/classifier.h"

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

static tw_head_opts options(const char *kind)
{
    tw_head_opts given, opts;
    tw_head_opts_init(&given);
    given.kind = kind;
    assert_int_equal(twi_head_resolve(ctx, &given, &opts), TW_OK);
    return opts;
}

static void fold_by_turns(uint32_t *fold_of, size_t n, size_t folds)
{
    for (size_t i = 0; i < n; i++) fold_of[i] = (uint32_t)(i % folds);
}

static void fit(const sample_set *set, const tw_head_opts *opts, twi_classifier *out)
{
    uint32_t fold_of[512];
    assert_true(set->samples.n <= TWI_LEN(fold_of));
    fold_by_turns(fold_of, set->samples.n, 5);
    const twi_folding folding = {fold_of, 5};
    const tw_status st = twi_classifier_fit(ctx, &set->samples, opts, &folding, out);
    if (st != TW_OK) fail_msg("%s: %s", opts->kind, tw_last_error(ctx));
}

typedef struct answered {
    double prob[512 * 4], score[512 * 4];
    uint32_t label[512];
} answered;

static void answer(const twi_classifier *c, const sample_set *set, answered *out)
{
    const twi_answers answers = {out->prob, out->score, out->label};
    assert_int_equal(twi_classifier_answer(ctx, c, set->x, set->samples.n, &answers), TW_OK);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void check_answers(const char *kind, const answered *a, const sample_set *set)
{
    const size_t n = set->samples.n, k = set->samples.k;
    size_t correct = 0, agree = 0;
    for (size_t i = 0; i < n; i++) {
        const double *p = a->prob + i * k, *s = a->score + i * k;
        double sum = 0.0;
        size_t best = 0;
        for (size_t c = 0; c < k; c++) {
            assert_true(p[c] >= 0.0 && p[c] <= 1.0);
            sum += p[c];
            if (s[c] > s[best]) best = c;
        }
        assert_true(fabs(sum - 1.0) < 1e-9);
        assert_true(a->label[i] < k);
        agree += best == a->label[i];
        correct += a->label[i] == set->y[i];
    }
    if (correct * 10 < n * 8) fail_msg("%s: %zu of %zu right", kind, correct, n);
    if (agree * 100 < n * 97)
        fail_msg("%s: score and label agree %zu times of %zu", kind, agree, n);
}

static void every_head_learns_and_answers(void **state)
{
    (void)state;
    for (size_t h = 0; twi_head_types[h]; h++) {
        const char *kind = twi_head_types[h]->name;
        for (size_t k = 2; k <= 4; k++) {
            sample_set set;
            twi_classifier c = {0};
            answered *a = malloc(sizeof *a);
            sample_set_make(200, 9, k, (uint32_t)(17 + k), 2.0, &set);
            const tw_head_opts opts = options(kind);
            fit(&set, &opts, &c);
            answer(&c, &set, a);
            check_answers(kind, a, &set);
            twi_classifier_free(&c);
            free(a);
            sample_set_free(&set);
        }
    }
}

static void no_answer_depends_on_the_threads(void **state)
{
    (void)state;
    for (size_t h = 0; twi_head_types[h]; h++) {
        sample_set set;
        answered *a[2] = {malloc(sizeof **a), malloc(sizeof **a)};
        sample_set_make(300, 40, 3, 5, 1.0, &set);
        const tw_head_opts opts = options(twi_head_types[h]->name);
        for (size_t t = 0; t < 2; t++) {
            twi_classifier c = {0};
            memset(a[t], 0, sizeof **a);
            tw_ctx_set_threads(ctx, 1 + 2 * t);
            fit(&set, &opts, &c);
            answer(&c, &set, a[t]);
            twi_classifier_free(&c);
        }
        tw_ctx_set_threads(ctx, 0);
        if (memcmp(a[0], a[1], sizeof **a) != 0) fail_msg("%s depends on threads", opts.kind);
        free(a[0]);
        free(a[1]);
        sample_set_free(&set);
    }
}

static int stop_at_once(void *user, const tw_progress *progress)
{
    (void)progress;
    ++*(size_t *)user;
    return 1;
}

/* Nearest centroids and neighbours have nothing to iterate on: they may finish before they ask. */
static void a_fit_that_iterates_can_be_cancelled(void **state)
{
    (void)state;
    for (size_t h = 0; twi_head_types[h]; h++) {
        if (!(twi_head_types[h]->takes & TWI_TAKES_LIMITS)) continue;
        sample_set set;
        twi_classifier c = {0};
        uint32_t fold_of[300];
        size_t asked = 0;
        sample_set_make(300, 40, 3, 5, 0.1, &set);
        fold_by_turns(fold_of, 300, 5);
        const twi_folding folding = {fold_of, 5};
        const tw_head_opts opts = options(twi_head_types[h]->name);
        tw_ctx_set_progress(ctx, stop_at_once, &asked);
        const tw_status st = twi_classifier_fit(ctx, &set.samples, &opts, &folding, &c);
        tw_ctx_set_progress(ctx, NULL, NULL);
        if (st != TW_ERR_CANCELLED) fail_msg("%s: %d after %zu questions", opts.kind, st, asked);
        sample_set_free(&set);
    }
}

/* ---- steps --------------------------------------------------------------------------------- */

static void rows_may_be_picked_and_ordered(void **state)
{
    (void)state;
    for (size_t h = 0; twi_head_types[h]; h++) {
        sample_set set;
        size_t rows[120];
        twi_classifier picked = {0}, plain = {0};
        answered *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
        sample_set_make(200, 9, 3, 3, 1.0, &set);
        for (size_t i = 0; i < 120; i++) rows[i] = i;
        sample_set whole = set;
        set.samples.n = 120;
        const tw_head_opts opts = options(twi_head_types[h]->name);
        fit(&set, &opts, &plain);
        set.samples.rows = rows;
        fit(&set, &opts, &picked);
        answer(&plain, &whole, a);
        answer(&picked, &whole, b);
        if (memcmp(a, b, sizeof *a) != 0) fail_msg("%s: rows matter", opts.kind);
        twi_classifier_free(&picked);
        twi_classifier_free(&plain);
        free(a);
        free(b);
        sample_set_free(&whole);
    }
}

static void rows_of_length_one(void **state)
{
    (void)state;
    sample_set set;
    twi_classifier c = {0};
    float z[9];
    sample_set_make(100, 9, 2, 3, 1.0, &set);
    tw_head_opts opts = options(NULL);
    opts.normalise = 1;
    fit(&set, &opts, &c);
    assert_int_equal(twi_steps_apply(ctx, &c.steps, set.x, 1, z), TW_OK);
    double square = 0.0;
    for (size_t j = 0; j < 9; j++) square += (double)z[j] * (double)z[j];
    assert_true(fabs(square - 1.0) < 1e-6);
    twi_classifier_free(&c);
    sample_set_free(&set);
}

/* ---- saved and loaded ---------------------------------------------------------------------- */

static void every_head_comes_back_as_it_went(void **state)
{
    (void)state;
    for (size_t h = 0; twi_head_types[h]; h++)
        for (size_t k = 2; k <= 3; k++) {
            sample_set set;
            twi_classifier c = {0}, d = {0};
            twi_tensors tensors = {0};
            twi_json *json;
            answered *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
            sample_set_make(150, 7, k, 8, 0.5, &set);
            const tw_head_opts opts = options(twi_head_types[h]->name);
            fit(&set, &opts, &c);
            assert_int_equal(twi_classifier_save(ctx, &c, &tensors, &json), TW_OK);
            if (twi_classifier_load(ctx, "a.tw", &tensors, json, &d) != TW_OK)
                fail_msg("%s: %s", opts.kind, tw_last_error(ctx));
            assert_int_equal(d.head->iterations, c.head->iterations);
            assert_int_equal(d.head->converged, c.head->converged);
            answer(&c, &set, a);
            answer(&d, &set, b);
            if (memcmp(a, b, sizeof *a) != 0) fail_msg("%s answers otherwise", opts.kind);
            twi_classifier_free(&c);
            twi_classifier_free(&d);
            twi_json_free(json);
            twi_tensors_free(&tensors);
            free(a);
            free(b);
            sample_set_free(&set);
        }
}

/* Each tensor of the file left out, cut short, of another type, or with a NaN in it. */
static void no_head_comes_back_from_damaged_tensors(void **state)
{
    (void)state;
    for (size_t h = 0; twi_head_types[h]; h++) {
        sample_set set;
        twi_classifier c = {0}, d;
        twi_tensors tensors = {0};
        twi_json *json;
        sample_set_make(150, 7, 3, 8, 0.5, &set);
        const tw_head_opts opts = options(twi_head_types[h]->name);
        fit(&set, &opts, &c);
        assert_int_equal(twi_classifier_save(ctx, &c, &tensors, &json), TW_OK);
        for (size_t i = 0; i < tensors.n; i++) {
            twi_tensor *t = &tensors.items[i], whole = *t;
            t->dims[0]++;
            assert_int_equal(twi_classifier_load(ctx, "a.tw", &tensors, json, &d), TW_ERR_FORMAT);
            *t = whole;
            t->dtype = TWI_BF16;
            assert_int_equal(twi_classifier_load(ctx, "a.tw", &tensors, json, &d), TW_ERR_FORMAT);
            *t = whole;
            if (t->dtype != TWI_F64 && t->dtype != TWI_F32) continue;
            unsigned char *last = (unsigned char *)t->data;
            unsigned char kept[8];
            const size_t size = twi_dtype_size(t->dtype);
            last += (t->count - 1) * size;
            memcpy(kept, last, size);
            memset(last, 0xff, size); /* a NaN */
            if (twi_classifier_load(ctx, "a.tw", &tensors, json, &d) != TW_ERR_FORMAT)
                fail_msg("%s: a NaN in %s is taken", opts.kind, t->name);
            memcpy(last, kept, size);
        }
        twi_tensors none = {0};
        assert_int_equal(twi_classifier_load(ctx, "a.tw", &none, json, &d), TW_ERR_FORMAT);
        twi_classifier_free(&c);
        twi_json_free(json);
        twi_tensors_free(&tensors);
        sample_set_free(&set);
    }
}

static void load_refused(const twi_tensors *tensors, const char *text, const char *words)
{
    twi_json *json;
    twi_classifier c;
    assert_int_equal(twi_json_parse(ctx, "test", text, strlen(text), &json), TW_OK);
    assert_int_equal(twi_classifier_load(ctx, "a.tw", tensors, json, &c), TW_ERR_FORMAT);
    if (!strstr(tw_last_error(ctx), words))
        fail_msg("\"%s\" lacks \"%s\"", tw_last_error(ctx), words);
    twi_json_free(json);
}

static void senseless_documents_are_refused(void **state)
{
    (void)state;
    sample_set set;
    twi_classifier c = {0};
    twi_tensors tensors = {0};
    twi_json *json;
    sample_set_make(60, 7, 3, 8, 0.5, &set);
    const tw_head_opts opts = options("logistic-regression");
    fit(&set, &opts, &c);
    assert_int_equal(twi_classifier_save(ctx, &c, &tensors, &json), TW_OK);
#define HEAD(k, d, rest)                                                                           \
    "{\"type\": \"logistic-regression\", \"classes\": " k ", \"features\": " d                     \
    ", \"steps\": {\"features\": 7, \"standardise\": true" rest "}}"
    load_refused(&tensors, "{}", "nothing");
    load_refused(&tensors, "{\"type\": \"oracle\"}", "oracle");
    load_refused(&tensors, HEAD("1", "7", ""), "1 classes");
    load_refused(&tensors, HEAD("-3", "7", ""), "classes");
    load_refused(&tensors, HEAD("99999999999", "7", ""), "classes");
    load_refused(&tensors, HEAD("3", "0", ""), "0 features");
    load_refused(&tensors, HEAD("3", "8", ""), "make 7 features, the head takes 8");
    load_refused(&tensors, HEAD("4", "7", ""), "head.coef");
    load_refused(&tensors, HEAD("3", "7", ", \"pca\": 9"), "PCA of 7");
    load_refused(&tensors, HEAD("3", "7", ", \"pca\": -1"), "PCA of 7");
    double *scale = (double *)twi_tensors_find(&tensors, "scaler.scale")->data;
    scale[2] = 0.0;
    load_refused(&tensors, HEAD("3", "7", ""), "scale of feature 2");
    twi_classifier_free(&c);
    twi_json_free(json);
    twi_tensors_free(&tensors);
    sample_set_free(&set);
}

/* ---- options ------------------------------------------------------------------------------- */

static void refused(tw_head_opts given, const char *words)
{
    tw_head_opts opts;
    assert_int_equal(twi_head_resolve(ctx, &given, &opts), TW_ERR_ARG);
    if (!strstr(tw_last_error(ctx), words))
        fail_msg("\"%s\" lacks \"%s\"", tw_last_error(ctx), words);
}

static void options_are_checked(void **state)
{
    (void)state;
    tw_head_opts o;
    tw_head_opts_init(&o);
#define WITH(field, value, words)                                                                  \
    do {                                                                                           \
        tw_head_opts p = o;                                                                        \
        p.field = value;                                                                           \
        refused(p, words);                                                                         \
    } while (0)
    WITH(size_bytes, 0, "_init");
    WITH(kind, "oracle", "logistic-regression");
    WITH(C, -2.0, "C must be");
    WITH(C, (double)NAN, "C must be");
    WITH(C, (double)INFINITY, "C must be");
    WITH(tol, -1.0, "tol");
    WITH(penalty, "l3", "l1, elasticnet");
    WITH(l1_ratio, 1.5, "l1_ratio");
    WITH(loss, "hinge", "no option loss");
    WITH(neighbors, 3, "no option neighbors");
    WITH(gamma, 0.5, "no option gamma");
    WITH(calibrate, "by hand", "none, sigmoid, isotonic");
}

static void options_come_back_from_json(void **state)
{
    (void)state;
    for (size_t h = 0; twi_head_types[h]; h++) {
        const tw_head_opts opts = options(twi_head_types[h]->name);
        tw_head_opts back;
        twi_json *json = twi_head_opts_to_json(&opts), *again;
        char *a, *b;
        size_t n, m;
        assert_int_equal(twi_head_opts_from_json(ctx, json, &back), TW_OK);
        again = twi_head_opts_to_json(&back);
        assert_int_equal(twi_json_print(ctx, json, &a, &n), TW_OK);
        assert_int_equal(twi_json_print(ctx, again, &b, &m), TW_OK);
        assert_string_equal(a, b);
        twi_free(a);
        twi_free(b);
        twi_json_free(json);
        twi_json_free(again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_head_learns_and_answers),
        cmocka_unit_test(no_answer_depends_on_the_threads),
        cmocka_unit_test(a_fit_that_iterates_can_be_cancelled),
        cmocka_unit_test(rows_may_be_picked_and_ordered),
        cmocka_unit_test(rows_of_length_one),
        cmocka_unit_test(every_head_comes_back_as_it_went),
        cmocka_unit_test(no_head_comes_back_from_damaged_tensors),
        cmocka_unit_test(senseless_documents_are_refused),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(options_come_back_from_json),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
