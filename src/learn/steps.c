/* steps.c - StandardScaler, PCA and Normalizer in front of a head. */
#include "learn/steps.h"

#include "base/threads.h"
#include "learn/normalise.h"
#include "learn/rows.h"

#include <inttypes.h>
#include <string.h>

#define GROUP 64 /* rows a task transforms */

void twi_steps_free(twi_steps *steps)
{
    twi_scaler_free(&steps->scaler);
    twi_pca_free(&steps->pca);
    *steps = (twi_steps){0};
}

bool twi_steps_only_shift(const twi_steps *steps)
{
    return steps->pca.components == 0 && !steps->normalise;
}

/* ---- applying ------------------------------------------------------------------------------ */

typedef struct applying {
    const twi_steps *steps;
    const float *x;     /* [?, d] */
    const size_t *rows; /* [n] or NULL */
    size_t n;
    float *out; /* [n, width] */
} applying;

static tw_status apply_group(tw_ctx *ctx, void *user, size_t group)
{
    const applying *a = user;
    const twi_steps *s = a->steps;
    const size_t first = group * GROUP, left = a->n - first, n = left < GROUP ? left : GROUP;
    float *z = a->out + first * s->width, *wide = NULL;
    tw_status st = TW_OK;
    if (s->pca.components) {
        if ((st = twi_alloc(ctx, n * s->d, &wide)) != TW_OK) return st;
        z = wide;
    }
    for (size_t i = 0; i < n; i++) {
        const float *row = a->x + (a->rows ? a->rows[first + i] : first + i) * s->d;
        if (s->scaler.d)
            twi_scaler_apply(&s->scaler, row, 1, z + i * s->d);
        else
            memcpy(z + i * s->d, row, s->d * sizeof *z);
    }
    if (wide) st = twi_pca_apply(ctx, &s->pca, wide, n, a->out + first * s->width);
    if (st == TW_OK && s->normalise) {
        float *rows = a->out + first * s->width;
        twi_normalise(rows, n, s->width, rows);
    }
    twi_free(wide);
    return st;
}

static tw_status apply(tw_ctx *ctx, const applying *a)
{
    const size_t groups = (a->n + GROUP - 1) / GROUP;
    const size_t threads = a->n * a->steps->d < TWI_WORTH_A_THREAD ? 1 : 0;
    return twi_parallel(ctx, threads, groups, apply_group, (void *)a);
}

tw_status twi_steps_apply(tw_ctx *ctx, const twi_steps *steps, const float *x, size_t n, float *out)
{
    const applying a = {steps, x, NULL, n, out};
    return apply(ctx, &a);
}

tw_status twi_steps_prepare(tw_ctx *ctx, const twi_steps *steps, const twi_samples *samples,
                            bool shifts, twi_stepped *out)
{
    const bool bare = !steps->scaler.d && twi_steps_only_shift(steps);
    if (bare || (shifts && twi_steps_only_shift(steps))) {
        *out =
            (twi_stepped){.samples = *samples, .scaler = steps->scaler.d ? &steps->scaler : NULL};
        return TW_OK;
    }
    twi_stepped made = {.samples = *samples};
    size_t cells;
    if (twi_mul(samples->n, steps->width, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu samples of %zu features do not fit in memory",
                        samples->n, steps->width);
    uint32_t *y = NULL;
    tw_status st = twi_alloc(ctx, cells, &made.copy);
    if (st != TW_OK) return st;
    const applying a = {steps, samples->x, samples->rows, samples->n, made.copy};
    if ((st = apply(ctx, &a)) != TW_OK) goto done;
    if (samples->rows) { /* labels in the order of the copy */
        if ((st = twi_alloc(ctx, samples->n, &y)) != TW_OK) goto done;
        for (size_t i = 0; i < samples->n; i++) y[i] = samples->y[samples->rows[i]];
    }
    made.labels = y, y = NULL;
    made.samples.x = made.copy;
    made.samples.d = steps->width;
    made.samples.rows = NULL;
    if (made.labels) made.samples.y = made.labels;
    *out = made, made = (twi_stepped){0};
done:
    twi_free(y);
    twi_stepped_free(&made);
    return st;
}

void twi_stepped_free(twi_stepped *stepped)
{
    twi_free(stepped->copy);
    twi_free(stepped->labels);
    *stepped = (twi_stepped){0};
}

/* ---- fitting ------------------------------------------------------------------------------- */

tw_status twi_steps_fit(tw_ctx *ctx, const twi_samples *samples, const tw_head_opts *opts,
                        twi_steps *out)
{
    twi_steps steps = {.d = samples->d, .width = samples->d};
    twi_stepped scaled = {0};
    tw_status st = TW_OK;
    if (samples->n == 0)
        return twi_fail(ctx, TW_ERR_DATA, "no training samples; need at least 1 a class");
    if (!opts->no_standardise && (st = twi_scaler_fit(ctx, samples, &steps.scaler)) != TW_OK)
        return st;
    if (opts->pca) {
        if ((st = twi_steps_prepare(ctx, &steps, samples, false, &scaled)) != TW_OK) goto done;
        st = twi_pca_fit(ctx, &scaled.samples, opts->pca, &steps.pca);
        if (st != TW_OK) goto done;
        steps.width = opts->pca;
    }
    steps.normalise = opts->normalise != 0;
    *out = steps, steps = (twi_steps){0};
done:
    twi_stepped_free(&scaled);
    twi_steps_free(&steps);
    return st;
}

/* ---- as tensors and JSON ------------------------------------------------------------------- */

tw_status twi_steps_save(tw_ctx *ctx, const twi_steps *steps, twi_tensors *tensors, twi_json **json)
{
    const twi_scaler *s = &steps->scaler;
    tw_status st = TW_OK;
    if (s->d) st = twi_head_put(ctx, tensors, "scaler.mean", 0, s->d, s->mean);
    if (s->d && st == TW_OK) st = twi_head_put(ctx, tensors, "scaler.scale", 0, s->d, s->scale);
    if (steps->pca.components && st == TW_OK) st = twi_pca_save(ctx, &steps->pca, tensors);
    if (st != TW_OK) return st;
    twi_json *object = twi_json_object();
    bool ok = twi_json_set(object, "features", twi_json_integer((int64_t)steps->d));
    ok &= twi_json_set(object, "standardise", twi_json_boolean(s->d != 0));
    ok &= twi_json_set(object, "pca", twi_json_integer((int64_t)steps->pca.components));
    ok &= twi_json_set(object, "normalise", twi_json_boolean(steps->normalise));
    if (!ok) {
        twi_json_free(object);
        return twi_fail(ctx, TW_ERR_NOMEM, "no memory for the description of the steps");
    }
    *json = object;
    return TW_OK;
}

static tw_status load_scaler(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                             twi_scaler *s)
{
    tw_status st = twi_head_take(ctx, name, tensors, "scaler.mean", 0, s->d, &s->mean);
    if (st == TW_OK) st = twi_head_take(ctx, name, tensors, "scaler.scale", 0, s->d, &s->scale);
    for (size_t j = 0; st == TW_OK && j < s->d; j++)
        if (!(s->scale[j] > 0.0))
            st = twi_fail(ctx, TW_ERR_FORMAT, "%s: scale of feature %zu is not above 0", name, j);
    return st;
}

tw_status twi_steps_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                         const twi_json *json, twi_steps *out)
{
    twi_steps steps = {0};
    tw_status st = TW_OK;
    const int64_t d = twi_json_as_integer(twi_json_get(json, "features"), 0);
    const int64_t pca = twi_json_as_integer(twi_json_get(json, "pca"), 0);
    if (d < 1)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: the steps take %" PRId64 " features", name, d);
    if (pca < 0 || pca > d)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: PCA of %" PRId64 " features to %" PRId64, name, d,
                        pca);
    steps.d = (size_t)d;
    steps.width = pca ? (size_t)pca : steps.d;
    steps.normalise = twi_json_as_boolean(twi_json_get(json, "normalise"), false);
    if (twi_json_as_boolean(twi_json_get(json, "standardise"), false)) {
        steps.scaler.d = steps.d;
        if ((st = load_scaler(ctx, name, tensors, &steps.scaler)) != TW_OK) goto done;
    }
    if (pca) st = twi_pca_load(ctx, name, tensors, steps.d, (size_t)pca, &steps.pca);
    if (st != TW_OK) goto done;
    *out = steps, steps = (twi_steps){0};
done:
    twi_steps_free(&steps);
    return st;
}
