/* centroid.c - NearestCentroid(metric="euclidean"): the class whose mean is nearest.
 *
 * scikit-learn 1.2.1's has no decision function. Ours is how much nearer a centroid is than the
 * others: minus the squared distance, from which the mean over all classes is taken (with two
 * classes, the difference of the two), so that it does not depend on how far a row is from all. */
#include "learn/head.h"

#include <math.h>
#include <string.h>

typedef struct centroid_head {
    twi_head base;
    double *centroids; /* [k, d] */
} centroid_head;

static void head_free(twi_head *head)
{
    twi_free(((centroid_head *)head)->centroids);
    twi_free(head);
}

static tw_status check(tw_ctx *ctx, const twi_samples *samples, const size_t *count)
{
    if (samples->n == 0 || samples->d == 0 || samples->k < 2)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu training samples of %zu features in %zu classes; need at least 1, 1 "
                        "and 2",
                        samples->n, samples->d, samples->k);
    for (size_t c = 0; c < samples->k; c++)
        if (count[c] == 0)
            return twi_fail(ctx, TW_ERR_DATA,
                            "class %zu of %zu has no training sample; each needs at least 1", c,
                            samples->k);
    return TW_OK;
}

static tw_status average(tw_ctx *ctx, const twi_samples *samples, double *centroids)
{
    const size_t d = samples->d, k = samples->k;
    size_t *count;
    tw_status st = twi_zalloc(ctx, k, &count);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < samples->n && st == TW_OK; i++) {
        const size_t row = samples->rows ? samples->rows[i] : i;
        const float *x = samples->x + row * d;
        if (samples->y[row] >= k)
            st = twi_fail(ctx, TW_ERR_DATA, "sample %zu has label %u; there are %zu classes", i,
                          (unsigned)samples->y[row], k);
        double *sum = centroids + (st == TW_OK ? samples->y[row] : 0) * d;
        for (size_t j = 0; j < d && st == TW_OK; j++) sum[j] += (double)x[j];
        if (st == TW_OK) count[samples->y[row]]++;
    }
    if (st == TW_OK) st = check(ctx, samples, count);
    for (size_t c = 0; c < k && st == TW_OK; c++)
        for (size_t j = 0; j < d; j++) {
            centroids[c * d + j] /= (double)count[c];
            if (!isfinite(centroids[c * d + j]))
                st = twi_fail(ctx, TW_ERR_DATA, "feature %zu of a sample is not finite", j);
        }
    twi_free(count);
    return st;
}

static twi_head base_of(size_t k, size_t d)
{
    return (twi_head){
        .type = &twi_head_centroid, .k = k, .d = d, .width = k == 2 ? 1 : k, .converged = true};
}

static tw_status fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                     const tw_head_opts *opts, twi_head **out)
{
    centroid_head *head;
    size_t cells;
    (void)scaler, (void)opts;
    if (twi_mul(samples->k, samples->d, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu centroids do not fit in memory", samples->k);
    tw_status st = twi_zalloc(ctx, 1, &head);
    if (st != TW_OK) return st;
    head->base = base_of(samples->k, samples->d);
    if ((st = twi_zalloc(ctx, cells, &head->centroids)) == TW_OK)
        st = average(ctx, samples, head->centroids);
    if (st == TW_OK)
        *out = &head->base;
    else
        head_free(&head->base);
    return st;
}

/* Minus the squared distances of x to each centroid become how much nearer each is. */
static void compare(double *near, size_t k, double *decision)
{
    double mean = 0.0;
    if (k == 2) {
        decision[0] = near[1] - near[0];
        return;
    }
    for (size_t c = 0; c < k; c++) mean += near[c] / (double)k;
    for (size_t c = 0; c < k; c++) decision[c] = near[c] - mean;
}

static tw_status decide(tw_ctx *ctx, const twi_head *head, const twi_scaler *scaler, const float *x,
                        size_t n, double *decision)
{
    const centroid_head *h = (const centroid_head *)head;
    const size_t d = head->d, k = head->k;
    double *near;
    (void)scaler;
    const tw_status st = twi_alloc(ctx, k, &near);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < k; c++) {
            const double *centre = h->centroids + c * d;
            double sum[4] = {0};
            size_t j = 0;
            for (; j + 4 <= d; j += 4)
                for (size_t lane = 0; lane < 4; lane++) {
                    const double apart = (double)x[i * d + j + lane] - centre[j + lane];
                    sum[lane] += apart * apart;
                }
            for (; j < d; j++) {
                const double apart = (double)x[i * d + j] - centre[j];
                sum[0] += apart * apart;
            }
            near[c] = -((sum[0] + sum[1]) + (sum[2] + sum[3]));
        }
        compare(near, k, decision + i * head->width);
    }
    twi_free(near);
    return TW_OK;
}

static tw_status save(tw_ctx *ctx, const twi_head *head, twi_tensors *tensors, twi_json *json)
{
    (void)json;
    return twi_head_put(ctx, tensors, "head.centroids", head->k, head->d,
                        ((const centroid_head *)head)->centroids);
}

static tw_status load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                      const twi_json *json, const twi_head *base, twi_head **out)
{
    centroid_head *head;
    (void)json;
    tw_status st = twi_zalloc(ctx, 1, &head);
    if (st != TW_OK) return st;
    head->base = base_of(base->k, base->d);
    st = twi_head_take(ctx, name, tensors, "head.centroids", base->k, base->d, &head->centroids);
    if (st == TW_OK)
        *out = &head->base;
    else
        head_free(&head->base);
    return st;
}

const twi_head_type twi_head_centroid = {
    .name = "nearest-centroid",
    .summary = "nearest centroid",
    .fit = fit,
    .decide = decide,
    .save = save,
    .load = load,
    .free = head_free,
};
