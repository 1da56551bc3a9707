/* span.c - the objective over the span of the rows. */
#include "learn/span.h"

#include <math.h>
#include <string.h>

tw_status twi_span_new(tw_ctx *ctx, const twi_gram *gram, const twi_targets *targets, double C,
                       twi_span *out)
{
    const size_t width = targets->width, n = targets->n;
    twi_span span = {.targets = targets, .C = C, .tol = INFINITY, .goal = 1e-6};
    size_t scratch;
    if (twi_mul(n, width, &span.cells) || twi_add(span.cells, width, &scratch))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu rows of %zu scores do not fit in memory", n, width);
    tw_status st;
    if ((st = twi_zalloc(ctx, width, &span.bias)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, span.cells, &span.residual)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, scratch, &span.flat)) != TW_OK) goto done;
    *out = span, span = (twi_span){0};
    out->rows = (twi_rows){.x = gram->k, .n = n, .d = n, .stride = gram->stride};
    if ((st = twi_pass_new(ctx, &out->rows, width, &out->pass)) != TW_OK) twi_span_free(out);
done:
    twi_span_free(&span);
    return st;
}

void twi_span_free(twi_span *span)
{
    twi_pass_free(&span->pass);
    twi_free(span->bias);
    twi_free(span->residual);
    twi_free(span->flat);
    *span = (twi_span){0};
}

static double plain_dot(size_t n, const double *a, const double *b)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* <Z^T a, Z^T a'> = a . K a' */
static double inner(const void *self, const double *a, const double *b)
{
    const twi_span *s = self;
    return plain_dot(s->cells, a, b + s->cells);
}

static tw_status evaluate(tw_ctx *ctx, void *self, const double *x, double *f, double *gradient)
{
    twi_span *s = self;
    const size_t width = s->targets->width, n = s->targets->n, cells = s->cells;
    tw_status st = TW_OK;
    if (twi_intercept_penalised(s->targets)) {
        *f = 0.0;
        for (size_t i = 0; i < n; i++)
            *f += twi_loss_row(s->targets, i, x + cells + i * width, s->residual + i * width);
    } else {
        st = twi_intercept_solve(ctx, s->targets, x + cells, s->bias, s->residual, f);
    }
    if (st != TW_OK) return st;
    *f += plain_dot(cells, x, x + cells) / (2.0 * s->C);
    if (!isfinite(*f)) return twi_fail(ctx, TW_ERR_DIVERGED, "the loss is not finite");
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < width; c++) {
            /* As the pass will see it: both halves of the gradient then belong to one vector. */
            const double r = (double)(float)s->residual[i * width + c];
            s->flat[c * n + i] = r;
            gradient[i * width + c] = r + x[i * width + c] / s->C;
        }
    if ((st = twi_pass_scores(ctx, &s->pass, s->flat, s->flat + cells)) != TW_OK) return st;
    for (size_t i = 0; i < cells; i++)
        gradient[cells + i] = s->pass.scores[i] + x[cells + i] / s->C;
    return TW_OK;
}

static bool good_enough(void *self, const double *x, double f, const double *gradient)
{
    const twi_span *s = self;
    (void)x;
    const double square =
        inner(s, gradient, gradient); /* |gradient of w|^2; rounding may make it < 0 */
    const double gap = 0.5 * s->C * square;
    return gap <= s->goal * f && (gap <= TWI_GAP_NOTHING * f || square <= s->tol * s->tol);
}

tw_status twi_span_solve(tw_ctx *ctx, twi_span *span, twi_search *search, double *x,
                         double *gradient)
{
    const twi_problem problem = {2 * span->cells, span, evaluate, inner, good_enough};
    return twi_minimise(ctx, &problem, search, x, gradient);
}
