/* mlp_test.c - the perceptron against scikit-learn's: the same start, order, steps and end for the
 * same seed.
 *
 * Logits after the first epochs agree to 1e-6 of the largest, which nothing but the same draws in
 * the same order gives. Later ones agree as far as two orders of summation in float do: within the
 * tolerance of each case. */
#include "learn_data.h"
#include "learn_golden.h"
#include "mlp_golden.h"

#include "learn/head.h"

static int start(void **state)
{
    tw_ctx *ctx;
    if (tw_ctx_new(&ctx) != TW_OK) return -1;
    *state = ctx;
    return 0;
}

static int stop(void **state)
{
    tw_ctx_free(*state);
    return 0;
}

static void samples_of(const golden_mlp *g, sample_set *out)
{
    const char *const names[] = {"iris", "wine"};
    const float *const x[] = {iris_x, wine_x};
    const uint32_t *const y[] = {iris_y, wine_y};
    if (g->seed) {
        sample_set_make(g->n, g->d, g->k, g->seed, g->shift, out);
        return;
    }
    *out = (sample_set){0};
    for (size_t i = 0; i < TWI_LEN(names); i++)
        if (strcmp(g->name, names[i]) == 0)
            out->samples = (twi_samples){.x = x[i], .y = y[i], .n = g->n, .d = g->d, .k = g->k};
    assert_non_null(out->samples.x);
}

static void options_of(tw_ctx *ctx, const golden_mlp *g, tw_head_opts *out)
{
    tw_head_opts given;
    tw_head_opts_init(&given);
    given.kind = "mlp";
    given.seed = g->state;
    memcpy(given.hidden, g->hidden, sizeof g->hidden);
    given.n_hidden = g->n_hidden;
    given.batch_size = g->batch_size;
    given.max_iter = g->max_iter;
    given.n_iter_no_change = g->n_iter_no_change;
    given.early_stopping = g->early_stopping;
    given.alpha = g->alpha;
    given.learning_rate = g->learning_rate;
    given.tol = g->tol;
    assert_int_equal(twi_head_resolve(ctx, &given, out), TW_OK);
}

static double loss_of(tw_ctx *ctx, const twi_head *head)
{
    twi_tensors tensors = {0};
    twi_json *json = twi_json_object();
    assert_int_equal(head->type->save(ctx, head, &tensors, json), TW_OK);
    const double loss = twi_json_as_number(twi_json_get(json, "loss"), (double)NAN);
    twi_json_free(json);
    twi_tensors_free(&tensors);
    return loss;
}

static void check_logits(const golden_mlp *g, const twi_head *head, const double *decision)
{
    const size_t at[3] = {0, 1, g->n - 1};
    double most = 1.0;
    for (size_t i = 0; i < 3; i++)
        for (size_t c = 0; c < head->width; c++) most = fmax(most, fabs(g->logits[i][c]));
    for (size_t i = 0; i < 3; i++)
        for (size_t c = 0; c < head->width; c++) {
            const double found = decision[at[i] * head->width + c];
            if (!(fabs(found - g->logits[i][c]) <= g->within * most))
                fail_msg("%s: logit %zu of sample %zu is %.9g, not %.9g", g->name, c, at[i], found,
                         g->logits[i][c]);
        }
}

static void trains_as_scikit_learn_does(void **state)
{
    tw_ctx *ctx = *state;
    for (size_t i = 0; i < TWI_LEN(golden_mlps); i++) {
        const golden_mlp *g = &golden_mlps[i];
        sample_set set;
        tw_head_opts opts;
        twi_head *head;
        samples_of(g, &set);
        options_of(ctx, g, &opts);
        if (twi_head_fit(ctx, &set.samples, NULL, &opts, &head) != TW_OK)
            fail_msg("%s: %s", g->name, tw_last_error(ctx));
        double *decision = calloc(g->n * head->width, sizeof *decision);
        uint32_t *label = calloc(g->n, sizeof *label);
        assert_int_equal(head->type->decide(ctx, head, NULL, set.samples.x, g->n, decision), TW_OK);
        twi_head_label(head, decision, g->n, label);
        size_t correct = 0;
        for (size_t r = 0; r < g->n; r++) correct += label[r] == set.samples.y[r];
        const double loss = loss_of(ctx, head);
        if (head->iterations != g->epochs)
            fail_msg("%s: %zu epochs, not %zu", g->name, head->iterations, g->epochs);
        assert_int_equal(head->converged, g->epochs < g->max_iter);
        const size_t slack = g->within > 0.0 ? 0 : g->n / 50;
        if (correct > g->correct + slack || correct + slack < g->correct)
            fail_msg("%s: %zu right, not %zu", g->name, correct, g->correct);
        if (g->within > 0.0) {
            if (!(fabs(loss - g->loss) <= g->within * g->loss))
                fail_msg("%s: loss %.9g, not %.9g", g->name, loss, g->loss);
            check_logits(g, head, decision);
        }
        free(decision);
        free(label);
        twi_head_free(head);
        sample_set_free(&set);
    }
}

static void keep_line(void *user, tw_log_level level, const char *message)
{
    assert_int_equal(level, TW_LOG_WARNING);
    snprintf(user, 256, "%s", message);
}

static void warns_in_the_words_of_scikit_learn(void **state)
{
    (void)state;
    tw_ctx *ctx;
    sample_set set;
    tw_head_opts opts;
    twi_head *head;
    char line[256] = "";
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    tw_ctx_set_log(ctx, keep_line, line);
    samples_of(&golden_mlps[0], &set);
    options_of(ctx, &golden_mlps[0], &opts);
    assert_int_equal(twi_head_fit(ctx, &set.samples, NULL, &opts, &head), TW_OK);
    assert_string_equal(line, "Stochastic Optimizer: Maximum iterations (1) reached and the "
                              "optimization hasn't converged yet.");
    assert_false(head->converged);
    twi_head_free(head);
    sample_set_free(&set);
    tw_ctx_free(ctx);
}

/* A run that is stopped by the loss says nothing. */
static void says_nothing_when_it_has_converged(void **state)
{
    (void)state;
    const golden_mlp *g = NULL;
    tw_ctx *ctx;
    sample_set set;
    tw_head_opts opts;
    twi_head *head;
    char line[256] = "";
    for (size_t i = 0; i < TWI_LEN(golden_mlps); i++)
        if (golden_mlps[i].epochs < golden_mlps[i].max_iter) g = &golden_mlps[i];
    assert_non_null(g);
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    tw_ctx_set_log(ctx, keep_line, line);
    samples_of(g, &set);
    options_of(ctx, g, &opts);
    assert_int_equal(twi_head_fit(ctx, &set.samples, NULL, &opts, &head), TW_OK);
    assert_string_equal(line, "");
    twi_head_free(head);
    sample_set_free(&set);
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trains_as_scikit_learn_does),
        cmocka_unit_test(warns_in_the_words_of_scikit_learn),
        cmocka_unit_test(says_nothing_when_it_has_converged),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
