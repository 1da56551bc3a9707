/* logreg_head.c - LogisticRegression as a row of the table of heads. */
#include "learn/head.h"

#include <math.h>
#include <string.h>

typedef struct logreg_head {
    twi_head base;
    twi_logreg model;
} logreg_head;

static const twi_logreg *model_of(const twi_head *head)
{
    return &((const logreg_head *)head)->model;
}

static void head_free(twi_head *head)
{
    twi_logreg_free(&((logreg_head *)head)->model);
    twi_free(head);
}

static twi_head base_of(const twi_logreg *model)
{
    return (twi_head){.type = &twi_head_logreg,
                      .k = model->k,
                      .d = model->d,
                      .width = model->rows,
                      .iterations = model->iterations,
                      .converged = model->converged};
}

static tw_status fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                     const tw_head_opts *opts, twi_head **out)
{
    const twi_logreg_opts logreg = {.C = opts->C,
                                    .tol = opts->tol,
                                    .max_iter = opts->max_iter,
                                    .balanced = opts->balanced != 0};
    logreg_head *head;
    if (strcmp(opts->penalty, "l2") != 0)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "penalty %s is not there yet; l2 is",
                        opts->penalty);
    tw_status st = twi_zalloc(ctx, 1, &head);
    if (st != TW_OK) return st;
    if ((st = twi_logreg_fit(ctx, samples, scaler, &logreg, &head->model)) != TW_OK) {
        twi_free(head);
        return st;
    }
    head->base = base_of(&head->model);
    *out = &head->base;
    return TW_OK;
}

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
    logreg_head *head;
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
    head->base = base_of(m);
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
    .save = save,
    .load = load,
    .free = head_free,
};
