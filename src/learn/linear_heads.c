/* linear_heads.c - the heads that are a weight for each feature: LogisticRegression, LinearSVC and
 * RidgeClassifier, as rows of the table.
 *
 * All three are minimised by the same solvers over the same passes, to a certified optimum, so
 * that no answer depends on a solver's path or stopping rule as scikit-learn's do. */
#include "learn/head.h"
#include "learn/linear_path.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct linear_head {
    twi_head base;
    twi_logreg model;
} linear_head;

static const twi_logreg *model_of(const twi_head *head)
{
    return &((const linear_head *)head)->model;
}

static void head_free(twi_head *head)
{
    twi_logreg_free(&((linear_head *)head)->model);
    twi_free(head);
}

static twi_head base_of(const twi_head_type *type, const twi_logreg *model)
{
    return (twi_head){.type = type,
                      .k = model->k,
                      .d = model->d,
                      .width = model->rows,
                      .iterations = model->iterations,
                      .converged = model->converged};
}

/* RidgeClassifier's |t - u|^2 + alpha |w|^2 is alpha = 1 / (2 C) over the common form. The other
 * two stop at a certified gap; a tolerance of the gradient is the logistic regression's alone. */
static twi_logreg_opts common(const tw_head_opts *opts)
{
    twi_logreg_opts out = {.C = opts->C,
                           .tol = opts->tol,
                           .max_iter = opts->max_iter,
                           .balanced = opts->balanced != 0};
    if (strcmp(opts->kind, twi_head_linear_svm.name) == 0) {
        out.loss = TWI_LOSS_SQUARED_HINGE;
        out.tol = (double)INFINITY;
    } else if (strcmp(opts->kind, twi_head_ridge.name) == 0) {
        out.loss = TWI_LOSS_SQUARED;
        out.C = 0.5 / opts->alpha;
        out.tol = (double)INFINITY;
        out.gap = 1e-9; /* scikit-learn solves it exactly */
    } else if (opts->penalty && strcmp(opts->penalty, "l2") != 0) {
        out.l1_ratio = strcmp(opts->penalty, "l1") == 0 ? 1.0 : opts->l1_ratio;
    }
    return out;
}

static tw_status fit_model(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                           const tw_head_opts *opts, twi_logreg *out)
{
    const twi_logreg_opts linear = common(opts);
    if (opts->loss && strcmp(opts->loss, "hinge") == 0)
        return twi_hinge_fit(ctx, samples, scaler, opts, out);
    if (linear.l1_ratio > 0.0) return twi_sparse_fit(ctx, samples, scaler, &linear, out);
    return twi_logreg_fit(ctx, samples, scaler, &linear, out);
}

static tw_status fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                     const tw_head_opts *opts, twi_head **out)
{
    const twi_head_type *type;
    linear_head *head;
    tw_status st = twi_head_find(ctx, opts->kind, &type);
    if (st != TW_OK || (st = twi_zalloc(ctx, 1, &head)) != TW_OK) return st;
    if ((st = fit_model(ctx, samples, scaler, opts, &head->model)) != TW_OK) {
        twi_free(head);
        return st;
    }
    head->base = base_of(type, &head->model);
    *out = &head->base;
    return TW_OK;
}

tw_status twi_logreg_head_new(tw_ctx *ctx, twi_logreg *model, twi_head **out)
{
    linear_head *head;
    const tw_status st = twi_zalloc(ctx, 1, &head);
    if (st != TW_OK) return st;
    head->model = *model, *model = (twi_logreg){0}; /* handed over */
    head->base = base_of(&twi_head_logreg, &head->model);
    *out = &head->base;
    return TW_OK;
}

/* ---- many values of C ---------------------------------------------------------------------- */

typedef struct setting {
    double C;
    size_t at;
} setting;

typedef struct path_state {
    const setting *order; /* [n_grid] */
    twi_head shape;
    twi_path_take take;
    void *user;
} path_state;

static int ascending(const void *a, const void *b)
{
    const setting *x = a, *y = b;
    if (x->C != y->C) return x->C < y->C ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static tw_status pass_on(tw_ctx *ctx, void *user, size_t at, const double *decision, bool limited)
{
    path_state *s = user;
    s->shape.converged = !limited;
    return s->take(ctx, s->user, s->order[at].at, &s->shape, decision);
}

/* Whether one path serves all settings: they differ in C (or alpha) alone. */
static bool one_path(const tw_head_opts *grid, size_t n_grid)
{
    for (size_t at = 0; at < n_grid; at++) {
        if (grid[at].loss && strcmp(grid[at].loss, "squared_hinge") != 0) return false;
        if (common(&grid[at]).l1_ratio != common(grid).l1_ratio) return false;
        if (grid[at].max_iter != grid[0].max_iter || grid[at].tol != grid[0].tol ||
            !grid[at].balanced != !grid[0].balanced)
            return false;
    }
    return true;
}

static tw_status path(tw_ctx *ctx, const twi_samples *train, const twi_samples *tested,
                      const twi_scaler *scaler, const tw_head_opts *grid, size_t n_grid,
                      twi_path_take take, void *user)
{
    const twi_linear_parts parts = {train, tested, scaler};
    twi_logreg_opts opts = common(grid);
    const twi_head_type *type;
    setting *order = NULL;
    double *C = NULL;
    if (!one_path(grid, n_grid))
        return twi_head_one_by_one(ctx, train, tested, scaler, grid, n_grid, take, user);
    tw_status st = twi_head_find(ctx, grid->kind, &type);
    if (st == TW_OK) st = twi_alloc(ctx, n_grid, &order);
    if (st == TW_OK) st = twi_alloc(ctx, n_grid, &C);
    if (st != TW_OK) goto done;
    for (size_t at = 0; at < n_grid; at++) order[at] = (setting){common(&grid[at]).C, at};
    qsort(order, n_grid, sizeof *order, ascending);
    for (size_t at = 0; at < n_grid; at++) C[at] = order[at].C;
    const twi_logreg shape = {.k = train->k, .d = train->d, .rows = train->k == 2 ? 1 : train->k};
    path_state state = {order, base_of(type, &shape), take, user};
    st = twi_linear_path(ctx, &parts, &opts, C, n_grid, pass_on, &state);
done:
    twi_free(order);
    twi_free(C);
    return st;
}

/* ---- answering, saving, loading ------------------------------------------------------------- */

static tw_status decide(tw_ctx *ctx, const twi_head *head, const twi_scaler *scaler, const float *x,
                        size_t n, double *decision)
{
    return twi_logreg_decision(ctx, model_of(head), scaler, x, n, decision);
}

static void probability(const twi_head *head, const double *decision, size_t n, double *prob)
{
    twi_logreg_probabilities(model_of(head), decision, n, prob);
}

static tw_status save(tw_ctx *ctx, const twi_head *head, twi_tensors *tensors, twi_json *json)
{
    const twi_logreg *m = model_of(head);
    tw_status st = twi_head_put(ctx, tensors, "head.coef", m->rows, m->d, m->coef);
    if (st == TW_OK) st = twi_head_put(ctx, tensors, "head.intercept", 0, m->rows, m->intercept);
    if (st != TW_OK) return st;
    bool ok = twi_json_set(json, "objective", twi_json_number(m->objective));
    ok &= twi_json_set(json, "gradient", twi_json_number(m->gradient));
    return ok ? TW_OK : twi_fail(ctx, TW_ERR_NOMEM, "no memory for the head's description");
}

static tw_status load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                      const twi_json *json, const twi_head *base, twi_head **out)
{
    linear_head *head;
    tw_status st = twi_zalloc(ctx, 1, &head);
    if (st != TW_OK) return st;
    twi_logreg *m = &head->model;
    *m = (twi_logreg){.k = base->k, .d = base->d, .rows = base->k == 2 ? 1 : base->k};
    st = twi_head_take(ctx, name, tensors, "head.coef", m->rows, m->d, &m->coef);
    if (st == TW_OK)
        st = twi_head_take(ctx, name, tensors, "head.intercept", 0, m->rows, &m->intercept);
    if (st != TW_OK) {
        head_free(&head->base);
        return st;
    }
    m->objective = twi_json_as_number(twi_json_get(json, "objective"), (double)NAN);
    m->gradient = twi_json_as_number(twi_json_get(json, "gradient"), (double)NAN);
    m->iterations = base->iterations;
    m->converged = base->converged;
    head->base = base_of(base->type, m);
    *out = &head->base;
    return TW_OK;
}

const twi_head_type twi_head_logreg = {
    .name = "logistic-regression",
    .summary = "logistic regression",
    .shifts = true,
    .takes = TWI_TAKES_C | TWI_TAKES_PENALTY | TWI_TAKES_BALANCED | TWI_TAKES_LIMITS,
    .max_iter = 1000,
    .tol = 1e-4,
    .grid = {1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1},
    .fit = fit,
    .decide = decide,
    .probability = probability,
    .path = path,
    .save = save,
    .load = load,
    .free = head_free,
};

const twi_head_type twi_head_linear_svm = {
    .name = "linear-svm",
    .summary = "linear support vector machine",
    .shifts = true,
    .takes = TWI_TAKES_C | TWI_TAKES_LOSS | TWI_TAKES_BALANCED | TWI_TAKES_LIMITS,
    .max_iter = 1000,
    .tol = 1e-4,
    .grid = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0},
    .fit = fit,
    .decide = decide,
    .path = path,
    .save = save,
    .load = load,
    .free = head_free,
};

const twi_head_type twi_head_ridge = {
    .name = "ridge",
    .summary = "ridge classifier",
    .shifts = true,
    .takes = TWI_TAKES_ALPHA | TWI_TAKES_BALANCED | TWI_TAKES_LIMITS,
    .max_iter = 10000,
    .tol = 1e-4,
    .alpha = 1.0,
    .grid = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6},
    .fit = fit,
    .decide = decide,
    .path = path,
    .save = save,
    .load = load,
    .free = head_free,
};
