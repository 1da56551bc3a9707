/* predict.c - decisions, probabilities and labels of a fitted head. */
#include "learn/learn.h"
#include "learn/rows.h"
#include "base/threads.h"

#include <math.h>
#include <string.h>

#define GROUP 16 /* rows a task standardises and scores */

typedef struct deciding {
    const twi_logreg *model;
    const twi_scaler *scaler;
    const float *x;
    double *out;
    size_t n;
} deciding;

static double dot(size_t n, const float *x, const double *w)
{
    double sum[8] = {0};
    size_t j = 0;
    for (; j + 8 <= n; j += 8)
        for (size_t lane = 0; lane < 8; lane++) sum[lane] += (double)x[j + lane] * w[j + lane];
    for (; j < n; j++) sum[0] += (double)x[j] * w[j];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static tw_status decide(tw_ctx *ctx, void *user, size_t group)
{
    const deciding *s = user;
    const size_t d = s->model->d, rows = s->model->rows, first = group * GROUP;
    const size_t end = s->n - first < GROUP ? s->n : first + GROUP;
    float *z;
    const tw_status st = twi_alloc(ctx, d, &z);
    if (st != TW_OK) return st;
    for (size_t i = first; i < end; i++) {
        const float *row = s->x + i * d;
        if (s->scaler) twi_scaler_apply(s->scaler, row, 1, z);
        for (size_t c = 0; c < rows; c++)
            s->out[i * rows + c] =
                dot(d, s->scaler ? z : row, s->model->coef + c * d) + s->model->intercept[c];
    }
    twi_free(z);
    return TW_OK;
}

tw_status twi_logreg_decision(tw_ctx *ctx, const twi_logreg *model, const twi_scaler *scaler,
                              const float *x, size_t n, double *out)
{
    if (scaler && scaler->d != model->d)
        return twi_fail(ctx, TW_ERR_ARG, "the scaler has %zu features, the head %zu", scaler->d,
                        model->d);
    deciding s = {model, scaler, x, out, n};
    const size_t threads = n * model->d * model->rows < TWI_WORTH_A_THREAD ? 1 : 0;
    return twi_parallel(ctx, threads, (n + GROUP - 1) / GROUP, decide, &s);
}

static void softmax(const double *u, size_t k, double *p)
{
    double top = u[0], sum = 0.0;
    for (size_t c = 1; c < k; c++) top = u[c] > top ? u[c] : top;
    for (size_t c = 0; c < k; c++) sum += p[c] = exp(u[c] - top);
    for (size_t c = 0; c < k; c++) p[c] /= sum;
}

void twi_logreg_probabilities(const twi_logreg *model, const double *decision, size_t n,
                              double *prob)
{
    const size_t k = model->k;
    for (size_t i = 0; i < n; i++) {
        double *p = prob + i * k;
        if (model->rows > 1) {
            softmax(decision + i * k, k, p);
            continue;
        }
        const double e = exp(-fabs(decision[i])), sure = 1.0 / (1.0 + e), unsure = e / (1.0 + e);
        p[0] = decision[i] > 0.0 ? unsure : sure;
        p[1] = decision[i] > 0.0 ? sure : unsure;
    }
}

void twi_logreg_labels(const twi_logreg *model, const double *decision, size_t n, uint32_t *label)
{
    for (size_t i = 0; i < n; i++) {
        if (model->rows == 1) {
            label[i] = decision[i] > 0.0;
            continue;
        }
        const double *u = decision + i * model->rows;
        size_t best = 0;
        for (size_t c = 1; c < model->rows; c++)
            if (u[c] > u[best]) best = c;
        label[i] = (uint32_t)best;
    }
}
