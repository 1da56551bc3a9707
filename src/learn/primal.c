/* primal.c - the objective over weights. */
#include "learn/primal.h"

#include <math.h>
#include <string.h>

tw_status twi_primal_new(tw_ctx *ctx, const twi_rows *rows, const twi_targets *targets, double C,
                         twi_primal *out)
{
    const size_t width = targets->width;
    twi_primal primal = {.targets = targets, .C = C, .tol = INFINITY, .goal = 1e-6};
    tw_status st;
    if ((st = twi_pass_new(ctx, rows, width, &primal.pass)) != TW_OK) return st;
    primal.weights = width * rows->d; /* twi_pass_new checked both products */
    primal.length = primal.weights + width;
    /* The intercept is not penalised, and where all rows are told apart its curvature, the sum of p
     * (1 - p), is thousands of times below that of the strong directions of the weights, which grow
     * with d. Measuring it in units of sigma is a diagonal preconditioner: on 1,600 x 25,088 it
     * halves the evaluations. */
    primal.sigma = twi_intercept_penalised(targets) ? 1.0 : fmax(1.0, 0.1 * sqrt((double)rows->d));
    if ((st = twi_alloc(ctx, width, &primal.bias)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, width, &primal.best)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, rows->n * width, &primal.residual)) != TW_OK) goto done;
    *out = primal, primal = (twi_primal){0};
done:
    twi_primal_free(&primal);
    return st;
}

void twi_primal_free(twi_primal *primal)
{
    twi_pass_free(&primal->pass);
    twi_free(primal->bias);
    twi_free(primal->best);
    twi_free(primal->residual);
    *primal = (twi_primal){0};
}

static tw_status evaluate(tw_ctx *ctx, void *self, const double *x, double *f, double *gradient)
{
    twi_primal *p = self;
    const size_t width = p->targets->width, n = p->targets->n;
    for (size_t c = 0; c < width; c++) p->bias[c] = p->sigma * x[p->weights + c];
    const tw_status st = twi_pass_loss(ctx, &p->pass, p->targets, x, p->bias, f, gradient);
    if (st != TW_OK) return st;
    double square = 0.0;
    for (size_t i = 0; i < p->weights; i++) {
        square += x[i] * x[i];
        gradient[i] += x[i] / p->C;
    }
    *f += square / (2.0 * p->C);
    for (size_t c = 0; c < width; c++) {
        double sum = 0.0;
        for (size_t i = 0; i < n; i++) sum += p->pass.residual[i * width + c];
        gradient[p->weights + c] = p->sigma * sum;
        if (!twi_intercept_penalised(p->targets)) continue;
        gradient[p->weights + c] += p->bias[c] / p->C; /* sigma is 1 */
        *f += p->bias[c] * p->bias[c] / (2.0 * p->C);
    }
    return isfinite(*f) ? TW_OK : twi_fail(ctx, TW_ERR_DIVERGED, "the loss is not finite");
}

static double inner(const void *self, const double *a, const double *b)
{
    const twi_primal *p = self;
    double sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= p->length; i += 4)
        for (size_t lane = 0; lane < 4; lane++) sum[lane] += a[i + lane] * b[i + lane];
    for (; i < p->length; i++) sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

double twi_primal_steepness(const twi_primal *primal, const double *gradient)
{
    double top = 0.0;
    for (size_t i = 0; i < primal->weights; i++) top = fmax(top, fabs(gradient[i]));
    for (size_t i = primal->weights; i < primal->length; i++)
        top = fmax(top, fabs(gradient[i]) / primal->sigma);
    return top;
}

/* With the best intercept for w, F(w) = min_b f(w, b) is 1/C strongly convex, so F(w) - min F <=
 * C/2 |grad F|^2 (Nesterov 2004, theorem 2.1.10). Without it the gradient of w says nothing about
 * the intercept. A penalised intercept is one of the weights. */
static double weights_gap(const twi_primal *p, const double *gradient)
{
    const size_t count = twi_intercept_penalised(p->targets) ? p->length : p->weights;
    double square = 0.0;
    for (size_t i = 0; i < count; i++) square += gradient[i] * gradient[i];
    return 0.5 * p->C * square;
}

static bool good_enough(void *self, const double *x, double f, const double *gradient)
{
    twi_primal *p = self;
    (void)x;
    const double gap = weights_gap(p, gradient);
    if (gap > p->goal * f) return false;
    if (gap > TWI_GAP_NOTHING * f && twi_primal_steepness(p, gradient) > p->tol) return false;
    if (twi_intercept_penalised(p->targets)) return true;
    /* What a better intercept would still bring. */
    const size_t width = p->targets->width, n = p->targets->n;
    double before = 0.0, after;
    for (size_t i = 0; i < n; i++)
        before += twi_loss_row(p->targets, i, p->pass.scores + i * width, p->residual + i * width);
    memset(p->best, 0, width * sizeof *p->best);
    p->failed = twi_intercept_solve(NULL, p->targets, p->pass.scores, p->best, p->residual, &after);
    return p->failed != TW_OK || gap + (before - after) <= p->goal * f;
}

tw_status twi_primal_solve(tw_ctx *ctx, twi_primal *primal, twi_search *search, double *x,
                           double *gradient)
{
    const twi_problem problem = {primal->length, primal, evaluate, inner, good_enough};
    primal->failed = TW_OK;
    const tw_status st = twi_minimise(ctx, &problem, search, x, gradient);
    if (st != TW_OK || primal->failed == TW_OK) return st;
    return twi_fail(ctx, primal->failed, "no memory for the intercept");
}

tw_status twi_primal_certify(tw_ctx *ctx, twi_primal *primal, double *x, double *gradient,
                             double *f, double *gap)
{
    const size_t width = primal->targets->width;
    double loss;
    tw_status st = TW_OK;
    memset(primal->best, 0, width * sizeof *primal->best);
    if (!twi_intercept_penalised(primal->targets))
        st = twi_intercept_solve(ctx, primal->targets, primal->pass.scores, primal->best,
                                 primal->residual, &loss);
    if (st != TW_OK) return st;
    for (size_t c = 0; c < width; c++)
        x[primal->weights + c] = (primal->bias[c] + primal->best[c]) / primal->sigma;
    if ((st = evaluate(ctx, primal, x, f, gradient)) != TW_OK) return st;
    *gap = weights_gap(primal, gradient);
    return TW_OK;
}
