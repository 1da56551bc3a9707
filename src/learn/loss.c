/* loss.c - losses of scores, and their best intercept. */
#include "learn/loss.h"

#include <math.h>
#include <string.h>

static uint32_t label(const twi_targets *targets, size_t i)
{
    return targets->y[targets->rows ? targets->rows[i] : i];
}

/* log(1 + exp(-m)) and its derivative's size, for margin m = +-u: no term cancels however sure the
 * model is. */
static double loss_sigmoid(double u, bool positive, double *residual)
{
    const double e = exp(-fabs(u)), margin = positive ? u : -u;
    const double wrong = (margin > 0 ? e : 1.0) / (1.0 + e); /* probability of the other class */
    *residual = positive ? -wrong : wrong;
    return (margin > 0 ? 0.0 : -margin) + log1p(e);
}

static double loss_softmax(const double *u, size_t k, size_t truth, double *residual)
{
    double top = u[0];
    for (size_t c = 1; c < k; c++) top = u[c] > top ? u[c] : top;
    double others = 0.0; /* without the true class: its residual is -others, not p - 1 */
    for (size_t c = 0; c < k; c++) {
        residual[c] = exp(u[c] - top);
        if (c != truth) others += residual[c];
    }
    const double own = residual[truth], sum = own + others;
    for (size_t c = 0; c < k; c++) residual[c] /= sum;
    residual[truth] = -others / sum;
    return own == 1.0 ? log1p(others) : top - u[truth] + log(sum);
}

/* Scores one by one, each for a class against the rest. liblinear weighs the rows of the class
 * itself, and the rest only when there are two classes; ridge regression weighs the row. */
static double loss_one_by_one(const twi_targets *targets, uint32_t y, const double *u,
                              double *residual)
{
    double loss = 0.0;
    for (size_t c = 0; c < targets->width; c++) {
        const bool own = targets->width == 1 ? y == 1 : y == c;
        const double t = own ? 1.0 : -1.0;
        const bool hinge = targets->loss == TWI_LOSS_SQUARED_HINGE;
        const bool plain = hinge && targets->width > 1 && !own;
        const double weight = plain ? 1.0 : targets->weight[y];
        const double miss = t - u[c], counted = hinge && t * miss < 0.0 ? 0.0 : miss;
        loss += weight * counted * counted;
        residual[c] = -2.0 * weight * counted;
    }
    return loss;
}

double twi_loss_row(const twi_targets *targets, size_t i, const double *u, double *residual)
{
    const uint32_t y = label(targets, i);
    if (targets->loss != TWI_LOSS_LOGISTIC) return loss_one_by_one(targets, y, u, residual);
    const double weight = targets->weight[y];
    double loss;
    if (targets->width == 1)
        loss = loss_sigmoid(u[0], y == 1, residual);
    else
        loss = loss_softmax(u, targets->k, y, residual);
    for (size_t c = 0; c < targets->width; c++) residual[c] *= weight;
    return weight * loss;
}

/* ---- the best intercept -------------------------------------------------------------------- */

typedef struct intercept {
    const twi_targets *targets;
    const double *scores; /* [n, width] */
    double *residual;     /* [n, width] at b */
    double *u;            /* [width] each, from here on */
    double *b, *trial, *gradient, *step, *direction, *remainder, *product;
    double loss;
} intercept;

/* Loss, residuals and gradient at b. */
static double evaluate(intercept *s, const double *b)
{
    const size_t width = s->targets->width;
    double loss = 0.0;
    memset(s->gradient, 0, width * sizeof *s->gradient);
    for (size_t i = 0; i < s->targets->n; i++) {
        double *r = s->residual + i * width;
        for (size_t c = 0; c < width; c++) s->u[c] = s->scores[i * width + c] + b[c];
        loss += twi_loss_row(s->targets, i, s->u, r);
        for (size_t c = 0; c < width; c++) s->gradient[c] += r[c];
    }
    return loss;
}

/* product = H v; H = sum_i w_i (diag(p_i) - p_i p_i^T), from the residuals. diagonal (may be NULL):
 * of H. */
static void curvature(intercept *s, const double *v, double *product, double *diagonal)
{
    const twi_targets *t = s->targets;
    const size_t width = t->width;
    memset(product, 0, width * sizeof *product);
    if (diagonal) memset(diagonal, 0, width * sizeof *diagonal);
    for (size_t i = 0; i < t->n; i++) {
        const double *r = s->residual + i * width;
        const size_t truth = label(t, i);
        const double weight = t->weight[truth];
        double mean = 0.0;
        /* p_c = r_c / w, and 1 - |r| / w for the true class: v is measured from the true class's,
         * so that its nearly-one probability, where digits were lost, drops out. */
        const double origin = width == 1 ? 0.0 : v[truth];
        for (size_t c = 0; c < width; c++)
            if (c != truth || width == 1) mean += r[c] / weight * (v[c] - origin);
        for (size_t c = 0; c < width; c++) {
            const double p = fabs(r[c]) / weight; /* 1 - p for the true class */
            if (width == 1)
                product[c] += weight * p * (1.0 - p) * v[c];
            else if (c != truth)
                product[c] += weight * p * (v[c] - origin - mean);
            else
                product[c] -= weight * (1.0 - p) * mean;
            if (diagonal) diagonal[c] += weight * p * (1.0 - p);
        }
    }
}

static double dot(size_t n, const double *a, const double *b)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* step = -H^-1 gradient by conjugate gradients preconditioned with the diagonal: H is only ever
 * applied, so a thousand classes need no thousand-by-thousand matrix. It is singular along (1, ...,
 * 1); the gradient has nothing there. */
static void newton_step(intercept *s)
{
    const size_t width = s->targets->width;
    double *diagonal = s->u;
    memset(s->step, 0, width * sizeof *s->step);
    memset(s->trial, 0, width * sizeof *s->trial);
    curvature(s, s->trial, s->product, diagonal);
    double rho = 0.0;
    for (size_t c = 0; c < width; c++) {
        if (!(diagonal[c] > 0.0)) diagonal[c] = 1.0;
        s->remainder[c] = -s->gradient[c];
        s->direction[c] = s->remainder[c] / diagonal[c];
        rho += s->remainder[c] * s->direction[c];
    }
    const double goal = 1e-12 * rho; /* quadratic convergence does the rest */
    for (size_t k = 0; k < width && rho > goal; k++) {
        curvature(s, s->direction, s->product, NULL);
        const double bend = dot(width, s->direction, s->product);
        if (!(bend > 0.0)) break;
        const double alpha = rho / bend;
        double next = 0.0;
        for (size_t c = 0; c < width; c++) {
            s->step[c] += alpha * s->direction[c];
            s->remainder[c] -= alpha * s->product[c];
            next += s->remainder[c] * s->remainder[c] / diagonal[c];
        }
        for (size_t c = 0; c < width; c++)
            s->direction[c] = s->remainder[c] / diagonal[c] + next / rho * s->direction[c];
        rho = next;
    }
    /* Rounding grows along the null direction; adding a constant to all scores changes nothing. */
    double mean = 0.0;
    for (size_t c = 0; c < width; c++) mean += s->step[c] / (double)width;
    for (size_t c = 0; width > 1 && c < width; c++) s->step[c] -= mean;
}

/* Halves the step until the loss falls; false when there is nothing left to gain. */
static bool improve(intercept *s)
{
    const size_t width = s->targets->width;
    const double slope = dot(width, s->gradient, s->step), before = s->loss;
    /* -slope / 2 is what a Newton step promises: below the rounding of the sum there is nothing to
     * see. */
    for (double t = 1.0; - t * slope > 1e-14 * before; t *= 0.5) {
        for (size_t c = 0; c < width; c++) s->trial[c] = s->b[c] + t * s->step[c];
        s->loss = evaluate(s, s->trial);
        if (s->loss <= before + 1e-4 * t * slope) {
            memcpy(s->b, s->trial, width * sizeof *s->b);
            return true;
        }
    }
    s->loss = evaluate(s, s->b);
    return false;
}

/* The residuals of a squared loss are linear in b with slope 2 w. */
static void solve_squared(const twi_targets *targets, const double *scores, double *b,
                          double *residual, double *loss)
{
    const size_t width = targets->width;
    double weight = 0.0;
    for (size_t i = 0; i < targets->n; i++) weight += targets->weight[label(targets, i)];
    *loss = 0.0;
    for (size_t i = 0; i < targets->n; i++)
        (void)twi_loss_row(targets, i, scores + i * width, residual + i * width);
    for (size_t c = 0; c < width; c++) {
        double sum = 0.0;
        for (size_t i = 0; i < targets->n; i++) sum += residual[i * width + c];
        b[c] = -sum / (2.0 * weight);
    }
    for (size_t i = 0; i < targets->n; i++) {
        const double w = targets->weight[label(targets, i)];
        for (size_t c = 0; c < width; c++) {
            double *r = residual + i * width + c;
            *r += 2.0 * w * b[c];
            *loss += *r * *r / (4.0 * w);
        }
    }
}

tw_status twi_intercept_solve(tw_ctx *ctx, const twi_targets *targets, const double *scores,
                              double *b, double *residual, double *loss)
{
    const size_t width = targets->width;
    if (targets->loss == TWI_LOSS_SQUARED) {
        solve_squared(targets, scores, b, residual, loss);
        return TW_OK;
    }
    double *scratch;
    size_t count;
    if (twi_mul(width, 7, &count))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu classes are too many", width);
    const tw_status st = twi_zalloc(ctx, count, &scratch);
    if (st != TW_OK) return st;
    intercept s = {.targets = targets, .scores = scores, .residual = residual, .b = b};
    double **const parts[] = {&s.u,         &s.trial,     &s.gradient, &s.step,
                              &s.direction, &s.remainder, &s.product};
    for (size_t p = 0; p < TWI_LEN(parts); p++) *parts[p] = scratch + p * width;
    s.loss = evaluate(&s, b);
    for (int iteration = 0; iteration < 100; iteration++) {
        newton_step(&s);
        if (!improve(&s)) break;
    }
    *loss = s.loss;
    twi_free(scratch);
    return TW_OK;
}
