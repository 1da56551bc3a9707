/* learn_data.h - the synthetic samples of make_golden.py, number for number, and a slow plain
 * objective. */
#ifndef TW_TESTS_LEARN_DATA_H
#define TW_TESTS_LEARN_DATA_H

#include "testing.h"
#include "base/memory.h"
#include "base/rng.h"
#include "learn/learn.h"

#include <math.h>

typedef struct sample_set {
    float *x;
    uint32_t *y;
    twi_samples samples;
} sample_set;

static inline void sample_set_free(sample_set *set)
{
    twi_free(set->x);
    twi_free(set->y);
}

static inline void sample_set_make(size_t n, size_t d, size_t k, uint32_t seed, double shift,
                                   sample_set *out)
{
    double *centre;
    twi_rng rng;
    assert_int_equal(twi_alloc(NULL, n * d, &out->x), TW_OK);
    assert_int_equal(twi_alloc(NULL, n, &out->y), TW_OK);
    assert_int_equal(twi_alloc(NULL, k * d, &centre), TW_OK);
    twi_rng_seed(&rng, seed);
    for (size_t i = 0; i < k * d; i++) centre[i] = twi_rng_double(&rng);
    for (size_t i = 0; i < n; i++) {
        const size_t y = (i * 7 + i / 3) % (k + 1) % k;
        out->y[i] = (uint32_t)y;
        for (size_t j = 0; j < d; j++) {
            const double value = twi_rng_double(&rng) + shift * centre[y * d + j];
            out->x[i * d + j] = (float)(value * (double)(1 + j % 7) + (double)(j % 5));
        }
        out->x[i * d + d / 2] = 0.1f; /* a constant feature */
    }
    twi_free(centre);
    out->samples = (twi_samples){.x = out->x, .y = out->y, .n = n, .d = d, .k = k};
}

static inline double softmax_loss(const double *u, size_t k, size_t truth)
{
    double top = u[0], sum = 0.0;
    for (size_t c = 1; c < k; c++) top = fmax(top, u[c]);
    for (size_t c = 0; c < k; c++) sum += exp(u[c] - top);
    return log(sum) + top - u[truth];
}

/* The objective of a model as scikit-learn 1.2.1 states it, in doubles, row by row. */
static inline double plain_objective(tw_ctx *ctx, const twi_samples *samples,
                                     const twi_scaler *scaler, const twi_logreg *model, double C,
                                     bool balanced)
{
    double *u, sum = 0.0, count[16] = {0};
    assert_int_equal(twi_alloc(NULL, samples->n * model->rows, &u), TW_OK);
    assert_int_equal(twi_logreg_decision(ctx, model, scaler, samples->x, samples->n, u), TW_OK);
    for (size_t i = 0; i < samples->n; i++) count[samples->y[i]]++;
    for (size_t i = 0; i < samples->n; i++) {
        const size_t y = samples->y[i];
        const double two[2] = {0.0, u[i]};
        const double weight = balanced ? (double)samples->n / ((double)samples->k * count[y]) : 1.0;
        sum += weight * softmax_loss(model->rows == 1 ? two : u + i * model->rows, samples->k, y);
    }
    for (size_t i = 0; i < model->rows * model->d; i++)
        sum += model->coef[i] * model->coef[i] / (2.0 * C);
    twi_free(u);
    return sum;
}

#endif
