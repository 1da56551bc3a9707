/* search_test.c - cross-validation of settings, and the statistics of its folds. */
#include "learn_data.h"

#include "learn/paired.h"
#include "learn/search.h"

#include <string.h>

enum { N = 240, FOLDS = 4, REPEATS = 2, COLUMNS = FOLDS * REPEATS };

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

/* ---- Student's t: values of scipy.stats.t 1.10.1 ------------------------------------------- */

static void student_is_scipys(void **state)
{
    (void)state;
    const double cdf[][3] = {{0.5, 4, 0.6783350184090684}, {-2.0, 4, 0.05805826175840775},
                             {10, 1, 0.9682744825694464},  {-0.1, 99, 0.46027327536879115},
                             {3, 9, 0.9925218180447929},   {0, 3, 0.5}};
    const double ppf[][3] = {{0.975, 4, 2.7764451051977987},
                             {0.975, 9, 2.2621571627409915},
                             {0.9, 1, 3.0776835372078066},
                             {0.01, 49, -2.404891759660121},
                             {0.975, 1, 12.706204736432095}};
    for (size_t i = 0; i < TWI_LEN(cdf); i++)
        assert_true(fabs(twi_student_cdf(cdf[i][0], cdf[i][1]) - cdf[i][2]) < 1e-12);
    for (size_t i = 0; i < TWI_LEN(ppf); i++)
        assert_true(fabs(twi_student_quantile(ppf[i][0], ppf[i][1]) - ppf[i][2]) <
                    1e-9 * fabs(ppf[i][2]));
}

static void folds_that_overlap_are_corrected_for(void **state)
{
    (void)state;
    const double a[] = {.90, .91, .88, .93, .90}, b[] = {.88, .90, .89, .90, .86};
    assert_true(fabs(twi_paired_p(a, b, 5, 0.25) - 0.23549636025944287) < 1e-9);
    assert_true(fabs(twi_paired_error(a, 5, 0.25) - 0.01218605760695395) < 1e-12);
    assert_true(twi_paired_p(a, b, 5, 0.25) == twi_paired_p(b, a, 5, 0.25));
    assert_true(twi_paired_p(a, a, 5, 0.25) == 1.0);
    assert_true(twi_paired_p(a, b, 1, 0.25) == 1.0);
    const double c[] = {.91, .92, .89, .94, .91}; /* better by the same in every fold */
    assert_true(twi_paired_p(a, c, 5, 0.25) < 1e-6);
}

/* ---- searching ----------------------------------------------------------------------------- */

typedef struct world {
    sample_set set;
    float *other; /* a second view: the first five columns */
    twi_view views[2];
    twi_candidate candidates[12];
    size_t n;
    uint32_t fold_of[REPEATS * N];
    double accuracy[12 * COLUMNS], seconds[12];
    size_t learned;
} world;

static void add(world *w, size_t view, const char *kind, double C, size_t neighbors)
{
    tw_head_opts o;
    tw_head_opts_init(&o);
    o.kind = kind;
    o.C = C;
    o.neighbors = neighbors;
    w->candidates[w->n].view = view;
    assert_int_equal(twi_head_resolve(ctx, &o, &w->candidates[w->n++].opts), TW_OK);
}

static world *world_new(void)
{
    world *w = calloc(1, sizeof *w);
    sample_set_make(N, 12, 3, 11, 0.7, &w->set);
    w->other = malloc(N * 5 * sizeof *w->other);
    for (size_t i = 0; i < N; i++) memcpy(w->other + i * 5, w->set.x + i * 12, 5 * sizeof(float));
    w->views[0] = (twi_view){w->set.x, 12};
    w->views[1] = (twi_view){w->other, 5};
    for (size_t v = 0; v < 2; v++) {
        add(w, v, "logistic-regression", 1.0, 0);
        add(w, v, "knn", 0, 3);
        add(w, v, "logistic-regression", 0.001, 0);
        add(w, v, "svm-rbf", 1.0, 0);
        add(w, v, "nearest-centroid", 0, 0);
        add(w, v, "knn", 0, 9);
    }
    for (size_t i = 0; i < REPEATS * N; i++) w->fold_of[i] = (uint32_t)((i * 7 + i / N) % FOLDS);
    for (size_t i = 0; i < 12 * COLUMNS; i++) w->accuracy[i] = (double)NAN;
    return w;
}

static void world_free(world *w)
{
    sample_set_free(&w->set);
    free(w->other);
    free(w);
}

static void learn(void *user, size_t candidate, size_t fold, double accuracy, double seconds)
{
    world *w = user;
    assert_true(candidate < 12 && fold < COLUMNS && seconds >= 0.0);
    assert_true(w->accuracy[candidate * COLUMNS + fold] == accuracy);
    w->learned++;
}

static twi_search_problem problem_of(world *w)
{
    return (twi_search_problem){.views = w->views,
                                .n_views = 2,
                                .y = w->set.y,
                                .n = N,
                                .k = 3,
                                .candidates = w->candidates,
                                .n_candidates = w->n,
                                .fold_of = w->fold_of,
                                .folds = FOLDS,
                                .repeats = REPEATS,
                                .learned = learn,
                                .user = w};
}

static void run(world *w, double until, bool *stopped)
{
    twi_search_problem problem = problem_of(w);
    problem.until = until;
    const tw_status st = twi_search_run(ctx, &problem, w->accuracy, w->seconds, stopped);
    if (st != TW_OK) fail_msg("%s", tw_last_error(ctx));
}

/* The accuracy of one setting in one fold, done plainly: a classifier fitted on the fold's rows. */
static double plainly(const world *w, size_t candidate, size_t column)
{
    size_t rows[N], n_train = 0, n_test = 0, correct = 0;
    const uint32_t *fold_of = w->fold_of + column / FOLDS * N;
    const twi_view *view = &w->views[w->candidates[candidate].view];
    tw_head_opts opts = w->candidates[candidate].opts;
    opts.calibrate = "none";
    for (size_t i = 0; i < N; i++)
        if (fold_of[i] != column % FOLDS) rows[n_train++] = i;
    for (size_t i = 0; i < N; i++)
        if (fold_of[i] == column % FOLDS) rows[n_train + n_test++] = i;
    const twi_samples train = {view->x, w->set.y, rows, n_train, view->d, 3};
    twi_classifier c = {0};
    assert_int_equal(twi_classifier_fit(ctx, &train, &opts, NULL, &c), TW_OK);
    for (size_t i = n_train; i < N; i++) {
        uint32_t label;
        const twi_answers answers = {.label = &label};
        assert_int_equal(twi_classifier_answer(ctx, &c, view->x + rows[i] * view->d, 1, &answers),
                         TW_OK);
        correct += label == w->set.y[rows[i]];
    }
    twi_classifier_free(&c);
    return (double)correct / (double)n_test;
}

static void every_fold_is_what_a_plain_fit_gives(void **state)
{
    (void)state;
    world *w = world_new();
    bool stopped;
    run(w, 0.0, &stopped);
    assert_false(stopped);
    assert_int_equal(w->learned, 12 * COLUMNS);
    for (size_t c = 0; c < w->n; c++)
        for (size_t column = 0; column < COLUMNS; column++) {
            const double wanted = plainly(w, c, column);
            /* a path stops a little earlier than a fit: one row may fall on the other side */
            assert_true(fabs(w->accuracy[c * COLUMNS + column] - wanted) <= 1.5 / (N / FOLDS));
        }
    world_free(w);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    world *w[2] = {world_new(), world_new()};
    for (size_t t = 0; t < 2; t++) {
        tw_ctx_set_threads(ctx, 1 + 3 * t);
        run(w[t], 0.0, NULL);
    }
    tw_ctx_set_threads(ctx, 0);
    assert_memory_equal(w[0]->accuracy, w[1]->accuracy, sizeof w[0]->accuracy);
    world_free(w[0]);
    world_free(w[1]);
}

static void what_is_known_is_not_done_again(void **state)
{
    (void)state;
    world *w = world_new();
    for (size_t i = 0; i < 12 * COLUMNS; i++)
        if (i % 3) w->accuracy[i] = 0.125; /* no fold gives that */
    run(w, 0.0, NULL);
    assert_int_equal(w->learned, 12 * COLUMNS / 3);
    for (size_t i = 0; i < 12 * COLUMNS; i++)
        assert_true((w->accuracy[i] == 0.125) == (i % 3 != 0));
    world_free(w);
}

static void a_budget_halves_and_stops(void **state)
{
    (void)state;
    world *w = world_new();
    bool stopped;
    run(w, twi_seconds() + 1000.0, &stopped); /* time enough: only halving */
    assert_false(stopped);
    size_t whole = 0, first = 0;
    for (size_t c = 0; c < w->n; c++) {
        double mean;
        whole += twi_search_mean(w->accuracy + c * COLUMNS, COLUMNS, &mean) == COLUMNS;
        first += !isnan(w->accuracy[c * COLUMNS]);
    }
    assert_int_equal(first, w->n);
    assert_true(whole >= 1 && whole < w->n);
    const size_t best = twi_search_best(w->accuracy, w->n, COLUMNS);
    double mean;
    assert_int_equal(twi_search_mean(w->accuracy + best * COLUMNS, COLUMNS, &mean), COLUMNS);
    world_free(w);
    w = world_new();
    run(w, twi_seconds() - 1.0, &stopped); /* none at all */
    assert_true(stopped);
    assert_int_equal(w->learned, 0);
    world_free(w);
}

/* A fold whose training rows lack a class cannot answer it; settings that cannot be are wrong. */
static void rare_classes_and_senseless_settings(void **state)
{
    (void)state;
    world *w = world_new();
    for (size_t i = 0; i < N; i++)
        if (w->set.y[i] == 2) w->set.y[i] = i < 3 ? 2 : 1;
    for (size_t r = 0; r < REPEATS; r++)
        for (size_t i = 0; i < 3; i++) w->fold_of[r * N + i] = 0; /* all of class 2 in fold 0 */
    w->candidates[1].opts.neighbors = 100000;
    run(w, 0.0, NULL);
    for (size_t c = 0; c < w->n; c++)
        for (size_t column = 0; column < COLUMNS; column++)
            assert_true(c == 1 ? w->accuracy[c * COLUMNS + column] == 0.0
                               : w->accuracy[c * COLUMNS + column] < 1.0);
    world_free(w);
}

static int cancel(void *user, const tw_progress *progress)
{
    (void)user;
    return strcmp(progress->stage, "compare") == 0 && progress->done >= 4;
}

static void it_can_be_cancelled(void **state)
{
    (void)state;
    world *w = world_new();
    twi_search_problem problem = problem_of(w);
    tw_ctx_set_threads(ctx, 1);
    tw_ctx_set_progress(ctx, cancel, NULL);
    const tw_status st = twi_search_run(ctx, &problem, w->accuracy, w->seconds, NULL);
    tw_ctx_set_progress(ctx, NULL, NULL);
    tw_ctx_set_threads(ctx, 0);
    assert_true(st == TW_ERR_CANCELLED || st == TW_OK); /* told a few times a second at most */
    world_free(w);
}

/* The first of the kind's own values that is right most often; 1 where there are no folds. */
static void a_strength_is_the_grids_best(void **state)
{
    (void)state;
    enum { FEW = 24 };
    static const char *const kinds[] = {"logistic-regression", "ridge"};
    world *w = world_new();
    const twi_samples samples = {.x = w->set.x, .y = w->set.y, .n = FEW, .d = 12, .k = 3};
    for (size_t i = 0; i < TWI_LEN(kinds); i++) {
        const twi_head_type *type;
        tw_head_opts given, o;
        tw_head_opts_init(&given);
        given.kind = kinds[i];
        *(i == 0 ? &given.C : &given.alpha) = TW_AUTO;
        assert_int_equal(twi_head_resolve(ctx, &given, &o), TW_OK);
        assert_int_equal(twi_head_find(ctx, kinds[i], &type), TW_OK);
        double *const strength = i == 0 ? &o.C : &o.alpha;
        assert_true(*strength == TW_AUTO);
        double most = -1.0, best = 0.0;
        for (size_t v = 0; v < TWI_LEN(type->grid) && type->grid[v] > 0.0; v++) {
            w->n = 0;
            add(w, 0, kinds[i], i == 0 ? type->grid[v] : 0.0, 0);
            if (i == 1) w->candidates[0].opts.alpha = type->grid[v];
            for (size_t f = 0; f < FOLDS; f++) w->accuracy[f] = (double)NAN;
            twi_search_problem problem = problem_of(w);
            problem.n = FEW;
            problem.repeats = 1;
            problem.learned = NULL;
            assert_int_equal(twi_search_run(ctx, &problem, w->accuracy, w->seconds, NULL), TW_OK);
            double mean;
            twi_search_mean(w->accuracy, FOLDS, &mean);
            if (mean > most) most = mean, best = type->grid[v];
        }
        const double was = *strength;
        assert_int_equal(twi_search_strength(ctx, &samples, &(twi_folding){w->fold_of, FOLDS}, &o),
                         TW_OK);
        assert_true(*strength == best && best != 1.0);
        *strength = was;
        assert_int_equal(twi_search_strength(ctx, &samples, &(twi_folding){NULL, 0}, &o), TW_OK);
        assert_true(*strength == 1.0);
    }
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(student_is_scipys),
        cmocka_unit_test(folds_that_overlap_are_corrected_for),
        cmocka_unit_test(every_fold_is_what_a_plain_fit_gives),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(what_is_known_is_not_done_again),
        cmocka_unit_test(a_budget_halves_and_stops),
        cmocka_unit_test(rare_classes_and_senseless_settings),
        cmocka_unit_test(it_can_be_cancelled),
        cmocka_unit_test(a_strength_is_the_grids_best),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
