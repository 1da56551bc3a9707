/* scaler.c - StandardScaler, to the last bit of scikit-learn 1.2.1's statistics and transform. */
#include "learn/learn.h"
#include "learn/columns.h"
#include "learn/rows.h"
#include "base/threads.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* One panel is read twice, the second time from cache: 1,600 rows of it are 1.6 MB. */
#define PANEL 256

typedef struct statistics {
    const twi_samples *samples;
    twi_scaler *scaler;
} statistics;

static const float *row(const twi_samples *samples, size_t i)
{
    return samples->x + (samples->rows ? samples->rows[i] : i) * samples->d;
}

/* Rows are added one after the other, as numpy's sum over axis 0 does, so mean and var equal its to
 * the bit. Variance: corrected two-pass, Chan, Golub & LeVeque (1983), eq. 1.7; scikit-learn
 * extmath.py, _incremental_mean_and_var. */
static tw_status panel_statistics(tw_ctx *ctx, void *user, size_t panel)
{
    (void)ctx;
    const statistics *s = user;
    const size_t from = panel * PANEL, d = s->samples->d, n = s->samples->n;
    const size_t width = d - from < PANEL ? d - from : PANEL;
    double sum[PANEL] = {0}, error[PANEL] = {0}, square[PANEL] = {0};
    const twi_columns *columns = twi_columns_best();
    for (size_t i = 0; i < n; i++) columns->add(row(s->samples, i) + from, width, sum);
    for (size_t j = 0; j < width; j++) sum[j] /= (double)n;
    for (size_t i = 0; i < n; i++)
        columns->moments(row(s->samples, i) + from, sum, width, error, square);
    for (size_t j = 0; j < width; j++) {
        const double correction = error[j] * error[j];
        s->scaler->mean[from + j] = sum[j];
        s->scaler->var[from + j] = (square[j] - correction / (double)n) / (double)n;
    }
    return TW_OK;
}

/* sqrt(var), or 1 where var is within the rounding error of a constant column: scikit-learn 1.2.1
 * _is_constant_feature and _handle_zeros_in_scale. */
static double scale_of(double var, double mean, size_t n)
{
    const double slack = (double)n * mean * DBL_EPSILON;
    return var <= (double)n * DBL_EPSILON * var + slack * slack ? 1.0 : sqrt(var);
}

/* Names the first feature that is not finite. */
static tw_status refuse(tw_ctx *ctx, const twi_samples *samples)
{
    for (size_t i = 0; i < samples->n; i++) {
        const float *x = row(samples, i);
        for (size_t j = 0; j < samples->d; j++)
            if (!isfinite(x[j]))
                return twi_fail(ctx, TW_ERR_DATA,
                                "feature %zu of sample %zu is %s; all must be finite", j, i,
                                isnan(x[j]) ? "NaN" : "infinite");
    }
    return TW_OK;
}

tw_status twi_finite(tw_ctx *ctx, const twi_samples *samples)
{
    return refuse(ctx, samples);
}

tw_status twi_scaler_fit(tw_ctx *ctx, const twi_samples *samples, twi_scaler *out)
{
    if (samples->n == 0)
        return twi_fail(ctx, TW_ERR_DATA, "no samples to standardise; need at least 1");
    if (samples->d == 0)
        return twi_fail(ctx, TW_ERR_DATA, "samples have 0 features; need at least 1");
    twi_scaler scaler = {.d = samples->d};
    tw_status st;
    if ((st = twi_alloc(ctx, scaler.d, &scaler.mean)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, scaler.d, &scaler.var)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, scaler.d, &scaler.scale)) != TW_OK) goto done;
    statistics s = {samples, &scaler};
    const size_t panels = (scaler.d - 1) / PANEL + 1;
    const size_t threads = samples->n * scaler.d < TWI_WORTH_A_THREAD ? 1 : 0;
    if ((st = twi_parallel(ctx, threads, panels, panel_statistics, &s)) != TW_OK) goto done;
    for (size_t j = 0; j < scaler.d; j++) {
        if (!isfinite(scaler.var[j])) {
            st = refuse(ctx, samples);
            goto done;
        }
        scaler.scale[j] = scale_of(scaler.var[j], scaler.mean[j], samples->n);
    }
    *out = scaler, scaler = (twi_scaler){0};
done:
    twi_scaler_free(&scaler);
    return st;
}

/* scikit-learn subtracts and divides a float32 array in place by float64 statistics: two roundings
 * to float. */
void twi_scaler_apply(const twi_scaler *scaler, const float *x, size_t n, float *out)
{
    const twi_columns *columns = twi_columns_best();
    for (size_t i = 0; i < n; i++)
        columns->transform(x + i * scaler->d, scaler->mean, scaler->scale, scaler->d,
                           out + i * scaler->d);
}

void twi_scaler_free(twi_scaler *scaler)
{
    twi_free(scaler->mean);
    twi_free(scaler->var);
    twi_free(scaler->scale);
    *scaler = (twi_scaler){0};
}
