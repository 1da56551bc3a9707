/* training.c - samples made ready for a fit. */
#include "learn/training.h"

#include <string.h>

#define CACHED_BYTES ((size_t)8 << 20) /* a matrix this small is worth standardising once */

static tw_status count_labels(tw_ctx *ctx, const twi_samples *samples, size_t *count)
{
    for (size_t i = 0; i < samples->n; i++) {
        const uint32_t y = samples->y[samples->rows ? samples->rows[i] : i];
        if (y >= samples->k)
            return twi_fail(ctx, TW_ERR_DATA, "sample %zu has label %u; there are %zu classes", i,
                            (unsigned)y, samples->k);
        count[y]++;
    }
    for (size_t c = 0; c < samples->k; c++)
        if (count[c] == 0)
            return twi_fail(ctx, TW_ERR_DATA,
                            "class %zu of %zu has no training sample; each needs at least 1", c,
                            samples->k);
    return TW_OK;
}

static tw_status check(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler)
{
    if (samples->n == 0)
        return twi_fail(ctx, TW_ERR_DATA, "no training samples; need at least 1 a class");
    if (samples->d == 0)
        return twi_fail(ctx, TW_ERR_DATA, "training samples have 0 features; need at least 1");
    if (samples->k < 2)
        return twi_fail(ctx, TW_ERR_DATA, "training samples have %zu class; need at least 2",
                        samples->k);
    if (scaler && scaler->d != samples->d)
        return twi_fail(ctx, TW_ERR_ARG, "the scaler has %zu features, the samples %zu", scaler->d,
                        samples->d);
    return TW_OK;
}

/* n / (k * count) when balanced: scikit-learn's compute_class_weight. */
static tw_status weigh(tw_ctx *ctx, const twi_samples *samples, bool balanced, double *weight)
{
    size_t *count;
    tw_status st = twi_zalloc(ctx, samples->k, &count);
    if (st != TW_OK) return st;
    st = count_labels(ctx, samples, count);
    for (size_t c = 0; st == TW_OK && c < samples->k; c++)
        weight[c] = balanced ? (double)samples->n / ((double)samples->k * (double)count[c]) : 1.0;
    twi_free(count);
    return st;
}

static tw_status make_rows(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                           twi_training *t)
{
    const size_t n = samples->n, d = samples->d;
    t->rows = (twi_rows){.x = samples->x, .index = samples->rows, .n = n, .d = d, .stride = d};
    if (!scaler) return TW_OK;
    size_t cells;
    if (twi_mul(d, 2, &cells) || twi_mul(n, d, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu samples of %zu features do not fit in memory", n,
                        d);
    tw_status st = twi_alloc(ctx, 2 * d, &t->shift);
    if (st != TW_OK) return st;
    t->rows.shift = twi_shift_from(scaler, t->shift);
    if (cells > CACHED_BYTES / sizeof(float)) return TW_OK;
    return twi_rows_thin(ctx, &t->rows, 1, 1.0f, &t->copy, &t->rows);
}

tw_status twi_training_new(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                           bool balanced, twi_loss loss, twi_training *out)
{
    twi_training t = {0};
    tw_status st;
    if ((st = check(ctx, samples, scaler)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, samples->k, &t.weight)) != TW_OK) goto done;
    if ((st = weigh(ctx, samples, balanced, t.weight)) != TW_OK) goto done;
    if ((st = make_rows(ctx, samples, scaler, &t)) != TW_OK) goto done;
    t.targets = (twi_targets){.y = samples->y,
                              .rows = samples->rows,
                              .weight = t.weight,
                              .n = samples->n,
                              .k = samples->k,
                              .loss = loss,
                              .width = samples->k == 2 ? 1 : samples->k};
    *out = t, t = (twi_training){0};
done:
    twi_training_free(&t);
    return st;
}

void twi_training_free(twi_training *training)
{
    twi_free(training->weight);
    twi_free(training->shift);
    twi_free(training->copy);
    *training = (twi_training){0};
}

/* Time per element of the matrix, in hundredths of a nanosecond on one core, from bench/head on a
 * Zen 4: the Gram matrix takes n / 2 multiply-adds at 58 to the nanosecond; a pass waits for memory
 * (0.3 ns) or, with more scores, for its arithmetic (0.08 ns each). A fit takes about 16 passes, 32
 * with more than two classes. */
bool twi_gram_pays(const twi_training *training, size_t fits)
{
    const double n = (double)training->rows.n, width = (double)training->targets.width;
    if (training->rows.n > training->rows.d) return false;
    const double gram = 0.86 * n, pass = 30.0 + 8.0 * (width - 1.0);
    return gram < (double)fits * (width > 1.0 ? 32.0 : 16.0) * pass;
}
