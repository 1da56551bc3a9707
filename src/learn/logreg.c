/* logreg.c - LogisticRegression and its kin: which way to the optimum, and the proof that it was
 * reached. */
#include "learn/direct.h"
#include "learn/primal.h"
#include "learn/span.h"
#include "learn/training.h"

#include <math.h>
#include <string.h>

/* Reading one column block in 16 first pays when a pass over everything goes to memory. */
#define COARSE_EVERY 16
#define COARSE_BYTES ((size_t)32 << 20)
#define COARSE_WIDTH 4096

typedef struct fitting {
    const twi_training *training;
    const twi_logreg_opts *opts;
    twi_primal primal;
    double *x, *gradient; /* [primal.length] */
    double f, gap;
    double scale; /* what the start learned of the inverse curvature; 0: nothing */
    size_t iterations;
    double traffic; /* beside the passes */
    twi_end end;
    bool exact; /* x solves the normal equations, in double */
} fitting;

static double gap_of(const twi_logreg_opts *opts)
{
    return opts->gap > 0.0 ? opts->gap : 1e-6;
}

/* Weights w = Z^T a for coefficients a [n, width] times factor, and the intercepts: the start of
 * the weights' search. */
static tw_status lift(tw_ctx *ctx, fitting *fit, const double *a, double factor, const double *bias)
{
    const twi_targets *t = &fit->training->targets;
    for (size_t i = 0; i < t->n * t->width; i++) fit->primal.pass.residual[i] = factor * a[i];
    for (size_t c = 0; c < t->width; c++) {
        double b = bias[c];
        if (twi_intercept_penalised(t)) {
            b = 0.0;
            for (size_t i = 0; i < t->n; i++) b += fit->primal.pass.residual[i * t->width + c];
        }
        fit->x[fit->primal.weights + c] = b / fit->primal.sigma;
    }
    return twi_pass_sums(ctx, &fit->primal.pass, fit->x);
}

/* Few rows, many features: everything but the last look happens in n dimensions. */
static tw_status start_in_span(tw_ctx *ctx, fitting *fit)
{
    const twi_logreg_opts *opts = fit->opts;
    twi_gram gram = {0};
    twi_span span = {0};
    double *x = NULL;
    tw_status st;
    twi_search search = {.max_iter = opts->max_iter, .stage = "fit"};
    if ((st = twi_gram_new(ctx, &fit->training->rows, &gram)) != TW_OK) goto done;
    if (twi_intercept_penalised(&fit->training->targets)) twi_gram_add_one(&gram);
    if ((st = twi_span_new(ctx, &gram, &fit->training->targets, opts->C, &span)) != TW_OK)
        goto done;
    span.goal = 0.01 * gap_of(opts); /* iterations are cheap here, a pass over the rows is not */
    span.tol = 0.5 * opts->tol;
    if ((st = twi_zalloc(ctx, 4 * span.cells, &x)) != TW_OK) goto done;
    if ((st = twi_span_solve(ctx, &span, &search, x, x + 2 * span.cells)) != TW_OK) goto done;
    fit->iterations = search.iterations;
    fit->traffic = 4.0 * (double)(fit->training->rows.n * fit->training->rows.d);
    fit->scale = search.scale;
    st = lift(ctx, fit, x, 1.0, span.bias);
done:
    twi_free(x);
    twi_span_free(&span);
    twi_gram_free(&gram);
    return st;
}

/* The same problem on a sixteenth of the columns, scaled so that its Gram matrix estimates the
 * whole one. At its optimum a = -C r; lifted to all columns that is a start within some 10 % of the
 * minimum, where the search from 0 would need half of its passes to come. */
static tw_status start_coarse(tw_ctx *ctx, fitting *fit)
{
    const twi_targets *targets = &fit->training->targets;
    const twi_rows *rows = &fit->training->rows;
    twi_rows thin;
    twi_primal coarse = {0};
    float *buffer = NULL;
    double *x = NULL;
    twi_search search = {.max_iter = fit->opts->max_iter};
    const double width = (double)twi_thinned_width(rows->d, COARSE_EVERY);
    const float factor = (float)sqrt((double)rows->d / width);
    tw_status st;
    if ((st = twi_rows_thin(ctx, rows, COARSE_EVERY, factor, &buffer, &thin)) != TW_OK) goto done;
    if ((st = twi_primal_new(ctx, &thin, targets, fit->opts->C, &coarse)) != TW_OK) goto done;
    coarse.goal = 1e-4;
    if ((st = twi_zalloc(ctx, 2 * coarse.length, &x)) != TW_OK) goto done;
    if ((st = twi_primal_solve(ctx, &coarse, &search, x, x + coarse.length)) != TW_OK) goto done;
    fit->scale = search.scale;
    st = lift(ctx, fit, coarse.pass.residual, -fit->opts->C, coarse.bias);
done:
    twi_free(x);
    twi_primal_free(&coarse);
    twi_free(buffer);
    return st;
}

/* The search over a copy in halves, to where its rounding no longer matters: the optimum of values
 * off by at most 2^-11 has a gap of the square of that on the exact ones. */
static tw_status approach(tw_ctx *ctx, fitting *fit)
{
    twi_search search = {.max_iter = fit->opts->max_iter, .stage = "fit", .scale = fit->scale};
    fit->primal.tol = fit->opts->tol;
    fit->primal.goal = 0.25 * gap_of(fit->opts);
    const tw_status st = twi_primal_solve(ctx, &fit->primal, &search, fit->x, fit->gradient);
    fit->iterations = search.iterations;
    fit->scale = search.scale;
    return st;
}

/* Rows that do not fit a cache: as many passes as can be over less than all of it. */
static tw_status start_large(tw_ctx *ctx, fitting *fit)
{
    twi_rows half;
    uint16_t *buffer;
    tw_status st = twi_rows_halve(ctx, &fit->training->rows, &buffer, &half);
    if (st != TW_OK) return st;
    if (buffer) {
        fit->primal.pass.rows = &half;
        fit->traffic = (4.0 + 2.0) * (double)(half.n * half.d);
    }
    st = start_coarse(ctx, fit);
    if (st == TW_OK && buffer) st = approach(ctx, fit);
    if (st == TW_ERR_DIVERGED) { /* values beyond what halves hold: start from nothing, exactly */
        memset(fit->x, 0, fit->primal.length * sizeof *fit->x);
        fit->scale = 0.0;
        fit->iterations = 0;
        st = TW_OK;
    }
    fit->primal.pass.rows = &fit->training->rows;
    twi_free(buffer);
    return st;
}

/* A squared loss in one step; where that fails, from 0. */
static tw_status start_directly(tw_ctx *ctx, fitting *fit)
{
    twi_direct direct;
    bool solved;
    double *bias = fit->x + fit->primal.weights;
    tw_status st = twi_direct_new(ctx, fit->training, &direct);
    if (st != TW_OK) return st;
    st = twi_direct_solve(ctx, &direct, fit->opts->C, fit->x, bias, &solved);
    for (size_t c = 0; c < fit->training->targets.width; c++) bias[c] /= fit->primal.sigma;
    fit->exact = st == TW_OK && solved;
    if (fit->exact) fit->iterations = 1;
    twi_direct_free(&direct);
    return st;
}

static tw_status start(tw_ctx *ctx, fitting *fit)
{
    const twi_rows *rows = &fit->training->rows;
    if (fit->opts->max_iter == 0) return TW_OK;
    if (twi_direct_pays(fit->training)) return start_directly(ctx, fit);
    if (twi_gram_pays(fit->training, 1)) return start_in_span(ctx, fit);
    /* twi_training_new checked n * d. */
    if (rows->d >= COARSE_WIDTH && rows->n * rows->d >= COARSE_BYTES / sizeof(float))
        return start_large(ctx, fit);
    return TW_OK;
}

/* f and its gradient at a solution that no search in float could better. */
static tw_status look(tw_ctx *ctx, fitting *fit)
{
    twi_search search = {.max_iter = 0};
    const tw_status st = twi_primal_solve(ctx, &fit->primal, &search, fit->x, fit->gradient);
    fit->f = search.f;
    fit->end = TWI_END_MET;
    return st;
}

/* Searches until the gap is certified. A first certificate can fail by little, since it moves the
 * intercept. */
static tw_status finish(tw_ctx *ctx, fitting *fit)
{
    fit->primal.tol = fit->opts->tol;
    fit->primal.goal = 0.5 * gap_of(fit->opts);
    for (int round = 0; round < 4; round++) {
        twi_search search = {.max_iter = fit->opts->max_iter - fit->iterations,
                             .stage = "fit",
                             .done = fit->iterations,
                             .scale = fit->scale};
        tw_status st = twi_primal_solve(ctx, &fit->primal, &search, fit->x, fit->gradient);
        if (st != TW_OK) return st;
        fit->iterations += search.iterations;
        fit->scale = search.scale;
        fit->end = search.end;
        st = twi_primal_certify(ctx, &fit->primal, fit->x, fit->gradient, &fit->f, &fit->gap);
        if (st != TW_OK) return st;
        const bool proved = fit->gap <= gap_of(fit->opts) * (fit->f - fit->gap) &&
                            twi_primal_steepness(&fit->primal, fit->gradient) <= fit->opts->tol;
        if (proved || fit->end != TWI_END_MET) break;
        fit->primal.goal *= 0.1;
    }
    return TW_OK;
}

/* For the logistic loss scikit-learn 1.2.1's words (utils/optimize.py) on one line, for the hinge
 * those of its svm/_base.py; advice on max_iter only where that is the cause. */
static bool judge(tw_ctx *ctx, const fitting *fit)
{
    const bool logistic = fit->opts->loss == TWI_LOSS_LOGISTIC;
    const bool proved = fit->gap <= gap_of(fit->opts) * fit->f;
    const bool flat = twi_primal_steepness(&fit->primal, fit->gradient) <= fit->opts->tol;
    if (fit->end == TWI_END_LIMIT) {
        if (flat) return true;
        if (!logistic)
            twi_log(ctx, TW_LOG_WARNING,
                    "%s failed to converge, increase the number of iterations (max_iter, now %zu).",
                    fit->opts->loss == TWI_LOSS_SQUARED ? "Ridge" : "Liblinear",
                    fit->opts->max_iter);
        else
            twi_log(
                ctx, TW_LOG_WARNING,
                "lbfgs failed to converge (status=1): STOP: TOTAL NO. of ITERATIONS REACHED LIMIT. "
                "Increase the number of iterations (max_iter, now %zu) or scale the data.",
                fit->opts->max_iter);
        return false;
    }
    if (proved || fit->exact) return true; /* also with a tol below the rounding error */
    twi_log(ctx, TW_LOG_WARNING,
            "lbfgs failed to converge (status=2): ABNORMAL_TERMINATION_IN_LNSRCH.");
    return false;
}

static tw_status hand_over(tw_ctx *ctx, const fitting *fit, twi_logreg *out)
{
    const twi_targets *t = &fit->training->targets;
    twi_logreg model = {.k = t->k, .d = fit->training->rows.d, .rows = t->width};
    tw_status st;
    if ((st = twi_alloc(ctx, fit->primal.weights, &model.coef)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, t->width, &model.intercept)) != TW_OK) goto done;
    memcpy(model.coef, fit->x, fit->primal.weights * sizeof *model.coef);
    memcpy(model.intercept, fit->primal.bias, t->width * sizeof *model.intercept);
    model.objective = fit->f;
    model.gradient = twi_primal_steepness(&fit->primal, fit->gradient);
    model.iterations = fit->iterations;
    model.traffic = fit->traffic + fit->primal.pass.traffic;
    model.converged = judge(ctx, fit);
    *out = model, model = (twi_logreg){0};
done:
    twi_logreg_free(&model);
    return st;
}

tw_status twi_logreg_fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                         const twi_logreg_opts *opts, twi_logreg *out)
{
    if (!(opts->C > 0.0) || !isfinite(opts->C))
        return twi_fail(ctx, TW_ERR_ARG, "C must be a finite number above 0");
    if (!(opts->tol >= 0.0)) return twi_fail(ctx, TW_ERR_ARG, "tol must not be negative");
    twi_training training = {0};
    fitting fit = {.training = &training, .opts = opts};
    tw_status st;
    st = twi_training_new(ctx, samples, scaler, opts->balanced, opts->loss, &training);
    if (st != TW_OK) goto done;
    if ((st = twi_primal_new(ctx, &training.rows, &training.targets, opts->C, &fit.primal)) !=
        TW_OK)
        goto done;
    if ((st = twi_zalloc(ctx, fit.primal.length, &fit.x)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, fit.primal.length, &fit.gradient)) != TW_OK) goto done;
    if ((st = start(ctx, &fit)) != TW_OK) goto done;
    if ((st = fit.exact ? look(ctx, &fit) : finish(ctx, &fit)) != TW_OK) goto done;
    st = hand_over(ctx, &fit, out);
done:
    if (st == TW_ERR_DIVERGED) {
        const tw_status cause = twi_finite(ctx, samples);
        if (cause != TW_OK) st = cause;
    }
    twi_free(fit.gradient);
    twi_free(fit.x);
    twi_primal_free(&fit.primal);
    twi_training_free(&training);
    return st;
}

void twi_logreg_free(twi_logreg *model)
{
    twi_free(model->coef);
    twi_free(model->intercept);
    *model = (twi_logreg){0};
}
