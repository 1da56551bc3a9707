/* direct.c - ridge regression on targets of -1 and 1 by Cholesky's factor; Bishop (2006), 3.1.4 and
 * 6.1. With alpha = 1 / (2 C), t centred: w = (Y^T Y + alpha I)^-1 Y^T t = Y^T (Y Y^T + alpha I)^-1
 * t, the free intercept being t's mean less w times z's. */
#include "learn/direct.h"

#include "learn/cholesky.h"
#include "learn/doubles.h"
#include "learn/scatter.h"

#include <math.h>
#include <string.h>

/* Of the smaller side, and of multiply-adds for the matrix. */
#define SIDE_MOST 4096
#define WORK_MOST 2e11

bool twi_direct_pays(const twi_training *training)
{
    const size_t n = training->rows.n, d = training->rows.d, side = n < d ? n : d;
    return training->targets.loss == TWI_LOSS_SQUARED && side <= SIDE_MOST &&
           0.5 * (double)n * (double)d * (double)side <= WORK_MOST;
}

static double weight_of(const twi_targets *t, size_t i)
{
    return t->weight[t->y[t->rows ? t->rows[i] : i]];
}

/* y: a copy of the standardised rows, centred and weighted in place. */
static tw_status centre(tw_ctx *ctx, twi_direct *direct)
{
    const twi_targets *t = &direct->training->targets;
    const twi_doubles *loops = twi_doubles_best();
    const size_t n = t->n, d = direct->training->rows.d;
    twi_rows copy;
    double all = 0.0;
    tw_status st = twi_rows_thin(ctx, &direct->training->rows, 1, 1.0f, &direct->y, &copy);
    if (st == TW_OK) st = twi_zalloc(ctx, d, &direct->mean);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) {
        loops->floats_axpy(weight_of(t, i), direct->y + i * d, d, direct->mean);
        all += weight_of(t, i);
    }
    for (size_t j = 0; j < d; j++) direct->mean[j] /= all;
    for (size_t i = 0; i < n; i++) {
        const double root = sqrt(weight_of(t, i));
        float *y = direct->y + i * d;
        for (size_t j = 0; j < d; j++) y[j] = (float)(root * ((double)y[j] - direct->mean[j]));
    }
    return TW_OK;
}

tw_status twi_direct_new(tw_ctx *ctx, const twi_training *training, twi_direct *out)
{
    const size_t n = training->rows.n, d = training->rows.d;
    twi_direct direct = {.training = training, .of_samples = n < d};
    double *zero = NULL;
    tw_status st;
    if ((st = centre(ctx, &direct)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, d, &zero)) != TW_OK) goto done;
    const twi_samples samples = {.x = direct.y, .n = n, .d = d};
    st = twi_scatter(ctx, &samples, zero, direct.of_samples, &direct.square);
    if (st != TW_OK) goto done;
    direct.factor = direct.square;
    direct.factor.a = NULL;
    /* twi_scatter checked the product */
    st = twi_alloc(ctx, direct.square.stride * direct.square.stride, &direct.factor.a);
    if (st == TW_OK) st = twi_alloc(ctx, n < d ? d : n, &direct.rhs);
    if (st != TW_OK) goto done;
    *out = direct, direct = (twi_direct){0};
done:
    twi_free(zero);
    twi_direct_free(&direct);
    return st;
}

void twi_direct_free(twi_direct *direct)
{
    twi_free(direct->y);
    twi_free(direct->mean);
    twi_free(direct->square.a);
    twi_free(direct->factor.a);
    twi_free(direct->rhs);
    *direct = (twi_direct){0};
}

static double target_of(const twi_targets *t, size_t i, size_t c)
{
    const uint32_t y = t->y[t->rows ? t->rows[i] : i];
    return (t->width == 1 ? y == 1 : y == c) ? 1.0 : -1.0;
}

static void solve_class(twi_direct *direct, size_t c, double *w, double *b)
{
    const twi_targets *t = &direct->training->targets;
    const twi_doubles *loops = twi_doubles_best();
    const size_t d = direct->training->rows.d;
    double sum = 0.0, all = 0.0, *rhs = direct->rhs;
    for (size_t i = 0; i < t->n; i++) {
        sum += weight_of(t, i) * target_of(t, i, c);
        all += weight_of(t, i);
    }
    const double mean = sum / all;
    memset(w, 0, d * sizeof *w);
    if (direct->of_samples) {
        for (size_t i = 0; i < t->n; i++)
            rhs[i] = sqrt(weight_of(t, i)) * (target_of(t, i, c) - mean);
        twi_cholesky_solve(&direct->factor, rhs);
        for (size_t i = 0; i < t->n; i++) loops->floats_axpy(rhs[i], direct->y + i * d, d, w);
    } else {
        for (size_t i = 0; i < t->n; i++) {
            const double centred = sqrt(weight_of(t, i)) * (target_of(t, i, c) - mean);
            loops->floats_axpy(centred, direct->y + i * d, d, w);
        }
        twi_cholesky_solve(&direct->factor, w);
    }
    *b = mean - loops->dot(w, direct->mean, d);
}

tw_status twi_direct_solve(tw_ctx *ctx, twi_direct *direct, double C, double *w, double *b,
                           bool *solved)
{
    const twi_targets *t = &direct->training->targets;
    const size_t stride = direct->square.stride;
    memcpy(direct->factor.a, direct->square.a, stride * stride * sizeof *direct->factor.a);
    for (size_t i = 0; i < direct->square.n; i++) direct->factor.a[i * stride + i] += 0.5 / C;
    const tw_status st = twi_cholesky(ctx, &direct->factor, solved);
    if (st != TW_OK || !*solved) return st;
    for (size_t c = 0; c < t->width; c++)
        solve_class(direct, c, w + c * direct->training->rows.d, b + c);
    return TW_OK;
}
