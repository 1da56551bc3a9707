/* classifier.c - steps, head and calibration fitted, asked, saved and loaded together. */
#include "learn/classifier.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define CLASSES_MAX 1000000

void twi_classifier_free(twi_classifier *c)
{
    twi_steps_free(&c->steps);
    twi_head_free(c->head);
    twi_calibration_free(&c->calibration);
    *c = (twi_classifier){0};
}

/* ---- fitting ------------------------------------------------------------------------------- */

static tw_status fit_uncalibrated(tw_ctx *ctx, const twi_samples *samples, const tw_head_opts *opts,
                                  twi_classifier *out)
{
    const twi_head_type *type;
    twi_classifier c = {.k = samples->k, .d = samples->d};
    twi_stepped stepped = {0};
    tw_status st = twi_head_find(ctx, opts->kind, &type);
    if (st != TW_OK) return st;
    if ((st = twi_steps_fit(ctx, samples, opts, &c.steps)) != TW_OK) goto done;
    st = twi_steps_prepare(ctx, &c.steps, samples, type->shifts, &stepped);
    if (st != TW_OK) goto done;
    st = type->fit(ctx, &stepped.samples, stepped.scaler, opts, &c.head);
    if (st != TW_OK) goto done;
    *out = c, c = (twi_classifier){0};
done:
    twi_stepped_free(&stepped);
    twi_classifier_free(&c);
    return st;
}

/* Scores of rows[0..n) of samples->x to out, at the places index[] of the samples. */
static tw_status score_fold(tw_ctx *ctx, const twi_classifier *c, const twi_samples *tested,
                            const size_t *index, double *out)
{
    twi_stretch x;
    double *score = NULL;
    tw_status st = twi_head_stretch(ctx, tested, &x);
    if (st != TW_OK) return st;
    if ((st = twi_alloc(ctx, tested->n * c->k, &score)) == TW_OK)
        st = twi_classifier_answer(ctx, c, x.x, tested->n, &(twi_answers){.score = score});
    for (size_t i = 0; st == TW_OK && i < tested->n; i++)
        memcpy(out + index[i] * c->k, score + i * c->k, c->k * sizeof *out);
    twi_free(score);
    twi_free(x.copy);
    return st;
}

tw_status twi_classifier_out_of_fold(tw_ctx *ctx, const twi_samples *samples,
                                     const tw_head_opts *opts, const twi_folding *folding,
                                     double *out)
{
    const size_t n = samples->n;
    size_t *rows = NULL, *index = NULL;
    tw_status st = twi_alloc(ctx, n, &rows);
    if (st == TW_OK) st = twi_alloc(ctx, n, &index);
    for (size_t fold = 0; st == TW_OK && fold < folding->folds; fold++) {
        size_t n_train = 0, n_test = 0;
        for (int tested = 0; tested < 2; tested++)
            for (size_t i = 0; i < n; i++) {
                if ((folding->fold_of[i] == fold) != (tested == 1)) continue;
                index[n_train + n_test] = i;
                rows[n_train + n_test] = samples->rows ? samples->rows[i] : i;
                *(tested ? &n_test : &n_train) += 1;
            }
        if (n_test == 0) continue;
        twi_samples train = *samples, test = *samples;
        train.rows = rows, train.n = n_train;
        test.rows = rows + n_train, test.n = n_test;
        twi_classifier c = {0};
        st = fit_uncalibrated(ctx, &train, opts, &c);
        if (st == TW_OK) st = score_fold(ctx, &c, &test, index + n_train, out);
        twi_classifier_free(&c);
    }
    twi_free(index);
    twi_free(rows);
    return st;
}

static tw_status calibrate(tw_ctx *ctx, const twi_samples *samples, const tw_head_opts *opts,
                           const twi_folding *folding, twi_calibration *out)
{
    const twi_calibration_method method = strcmp(opts->calibrate, "isotonic") == 0
                                              ? TWI_CALIBRATION_ISOTONIC
                                              : TWI_CALIBRATION_SIGMOID;
    size_t cells;
    double *score = NULL;
    uint32_t *y = NULL;
    if (!folding || folding->folds < 2)
        return twi_fail(ctx, TW_ERR_ARG,
                        "calibration needs at least 2 folds; every class needs 2 samples");
    if (twi_mul(samples->n, samples->k, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu samples of %zu classes do not fit in memory",
                        samples->n, samples->k);
    tw_status st = twi_alloc(ctx, cells, &score);
    if (st != TW_OK) goto done;
    if ((st = twi_alloc(ctx, samples->n, &y)) != TW_OK) goto done;
    for (size_t i = 0; i < samples->n; i++) y[i] = samples->y[samples->rows ? samples->rows[i] : i];
    if ((st = twi_classifier_out_of_fold(ctx, samples, opts, folding, score)) != TW_OK) goto done;
    st = twi_calibration_fit(ctx, method, score, y, samples->n, samples->k, out);
done:
    twi_free(score);
    twi_free(y);
    return st;
}

tw_status twi_classifier_fit(tw_ctx *ctx, const twi_samples *samples, const tw_head_opts *opts,
                             const twi_folding *folding, twi_classifier *out)
{
    twi_classifier c = {0};
    tw_status st = fit_uncalibrated(ctx, samples, opts, &c);
    if (st != TW_OK) return st;
    if (strcmp(opts->calibrate, "none") != 0)
        st = calibrate(ctx, samples, opts, folding, &c.calibration);
    if (st == TW_OK) *out = c, c = (twi_classifier){0};
    twi_classifier_free(&c);
    return st;
}

/* ---- answering ----------------------------------------------------------------------------- */

tw_status twi_classifier_decide(tw_ctx *ctx, const twi_classifier *c, const float *x, size_t n,
                                double *decision)
{
    const twi_samples samples = {.x = x, .n = n, .d = c->d, .k = c->k};
    twi_stepped stepped;
    tw_status st = twi_steps_prepare(ctx, &c->steps, &samples, c->head->type->shifts, &stepped);
    if (st != TW_OK) return st;
    st = c->head->type->decide(ctx, c->head, stepped.scaler, stepped.samples.x, n, decision);
    twi_stepped_free(&stepped);
    return st;
}

static void softmax_rows(double *score, size_t n, size_t k)
{
    for (size_t i = 0; i < n; i++) {
        double *p = score + i * k, top = p[0], sum = 0.0;
        for (size_t c = 1; c < k; c++) top = fmax(top, p[c]);
        for (size_t c = 0; c < k; c++) sum += p[c] = exp(p[c] - top);
        for (size_t c = 0; c < k; c++) p[c] /= sum;
    }
}

static void most_probable(const double *prob, size_t n, size_t k, uint32_t *label)
{
    for (size_t i = 0; i < n; i++) {
        label[i] = 0;
        for (size_t c = 1; c < k; c++)
            if (prob[i * k + c] > prob[i * k + label[i]]) label[i] = (uint32_t)c;
    }
}

/* score [n, k] is scratch, and the head's scores on entry. */
static void answer_from(const twi_classifier *c, const double *decision, size_t n, double *score,
                        const twi_answers *out)
{
    const size_t k = c->k, bytes = n * k * sizeof(double);
    const bool calibrated = c->calibration.method != TWI_CALIBRATION_NONE;
    twi_head_score(c->head, decision, n, score);
    if (calibrated) twi_calibration_apply(&c->calibration, score, n, score);
    if (out->score) memcpy(out->score, score, bytes);
    if (out->label && calibrated) most_probable(score, n, k, out->label);
    if (out->label && !calibrated) twi_head_label(c->head, decision, n, out->label);
    if (!out->prob) return;
    if (!calibrated && c->head->type->probability)
        c->head->type->probability(c->head, decision, n, out->prob);
    else
        memcpy(out->prob, score, bytes);
    if (!calibrated && !c->head->type->probability) softmax_rows(out->prob, n, k);
}

tw_status twi_classifier_answer(tw_ctx *ctx, const twi_classifier *c, const float *x, size_t n,
                                const twi_answers *out)
{
    size_t wide, cells;
    double *decision = NULL, *score = NULL;
    if (twi_mul(n, c->head->width, &wide) || twi_mul(n, c->k, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu rows of %zu classes do not fit in memory", n, c->k);
    tw_status st = twi_alloc(ctx, wide, &decision);
    if (st == TW_OK) st = twi_alloc(ctx, cells, &score);
    if (st == TW_OK) st = twi_classifier_decide(ctx, c, x, n, decision);
    if (st == TW_OK) answer_from(c, decision, n, score, out);
    twi_free(decision);
    twi_free(score);
    return st;
}

/* ---- as tensors and JSON ------------------------------------------------------------------- */

tw_status twi_classifier_save(tw_ctx *ctx, const twi_classifier *c, twi_tensors *tensors,
                              twi_json **json)
{
    const twi_head *head = c->head;
    twi_json *object = twi_json_object(), *steps = NULL, *calibration = NULL;
    bool ok = twi_json_set(object, "type", twi_json_text(head->type->name));
    ok &= twi_json_set(object, "classes", twi_json_integer((int64_t)head->k));
    ok &= twi_json_set(object, "features", twi_json_integer((int64_t)head->d));
    ok &= twi_json_set(object, "iterations", twi_json_integer((int64_t)head->iterations));
    ok &= twi_json_set(object, "converged", twi_json_boolean(head->converged));
    tw_status st = ok ? head->type->save(ctx, head, tensors, object)
                      : twi_fail(ctx, TW_ERR_NOMEM, "no memory for the head's description");
    if (st != TW_OK) goto done;
    if ((st = twi_steps_save(ctx, &c->steps, tensors, &steps)) != TW_OK) goto done;
    ok &= twi_json_set(object, "steps", steps);
    if ((st = twi_calibration_save(ctx, &c->calibration, tensors, &calibration)) != TW_OK)
        goto done;
    ok &= twi_json_set(object, "calibration", calibration);
    if (!ok) st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for the head's description");
    if (st == TW_OK) *json = object, object = NULL;
done:
    twi_json_free(object);
    return st;
}

static tw_status load_base(tw_ctx *ctx, const char *name, const twi_json *json, twi_head *base)
{
    const int64_t k = twi_json_as_integer(twi_json_get(json, "classes"), 0);
    const int64_t d = twi_json_as_integer(twi_json_get(json, "features"), 0);
    const int64_t iterations = twi_json_as_integer(twi_json_get(json, "iterations"), 0);
    const char *type = twi_json_as_text(twi_json_get(json, "type"), "(nothing)");
    if (twi_head_find(ctx, type, &base->type) != TW_OK)
        return twi_fail_prefix(ctx, TW_ERR_FORMAT, "%s: ", name);
    if (k < 2 || k > CLASSES_MAX)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: head has %" PRId64 " classes; allowed are 2 to %d",
                        name, k, CLASSES_MAX);
    if (d < 1) return twi_fail(ctx, TW_ERR_FORMAT, "%s: head has %" PRId64 " features", name, d);
    base->k = (size_t)k;
    base->d = (size_t)d;
    base->iterations = iterations > 0 ? (size_t)iterations : 0;
    base->converged = twi_json_as_boolean(twi_json_get(json, "converged"), false);
    return TW_OK;
}

tw_status twi_classifier_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                              const twi_json *json, twi_classifier *out)
{
    twi_classifier c = {0};
    twi_head base = {0};
    tw_status st = load_base(ctx, name, json, &base);
    if (st != TW_OK) return st;
    st = twi_steps_load(ctx, name, tensors, twi_json_get(json, "steps"), &c.steps);
    if (st != TW_OK) goto done;
    if (c.steps.width != base.d) {
        st = twi_fail(ctx, TW_ERR_FORMAT, "%s: the steps make %zu features, the head takes %zu",
                      name, c.steps.width, base.d);
        goto done;
    }
    if ((st = base.type->load(ctx, name, tensors, json, &base, &c.head)) != TW_OK) goto done;
    c.k = base.k;
    c.d = c.steps.d;
    st = twi_calibration_load(ctx, name, tensors, twi_json_get(json, "calibration"), c.k,
                              &c.calibration);
    if (st != TW_OK) goto done;
    *out = c, c = (twi_classifier){0};
done:
    twi_classifier_free(&c);
    return st;
}
