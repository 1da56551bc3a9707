/* reject.c - photos of none of a model's classes: the threshold set, asked and measured. */
#include "api/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- setting ------------------------------------------------------------------------------- */

/* The share holds for all classes together: a class of few photos, or of odd ones, may pay for the
 * others. Told where more than CUT of a class of some size lies below the threshold and that is
 * more than twice what was asked for. */
#define CUT        0.25
#define CLASS_SIZE 5

static tw_status warn_of_classes(tw_ctx *ctx, const twi_samples *samples, const double *own,
                                 const twi_reject *reject,
                                 const char *(*name)(const void *user, size_t k), const void *user)
{
    size_t *photos, *below = NULL;
    tw_status st = twi_zalloc(ctx, samples->k, &photos);
    if (st != TW_OK) return st;
    if ((st = twi_zalloc(ctx, samples->k, &below)) != TW_OK) goto done;
    for (size_t i = 0; i < samples->n; i++) {
        const uint32_t k = samples->y[samples->rows ? samples->rows[i] : i];
        photos[k]++;
        below[k] += own[i] < reject->threshold;
    }
    for (size_t k = 0; k < samples->k; k++) {
        const double share = (double)below[k] / (double)photos[k];
        if (photos[k] >= CLASS_SIZE && share > CUT && share > 2.0 * (1.0 - reject->accept))
            twi_log(ctx, TW_LOG_WARNING,
                    "%zu of the %zu training pictures of class %s would be unknown: they are "
                    "unlike each other, or too few beside the other classes'",
                    below[k], photos[k], name(user, k));
    }
done:
    twi_free(photos);
    twi_free(below);
    return st;
}

tw_status twi_model_fit_reject(tw_ctx *ctx, const twi_samples *samples, double accept,
                               const char *(*name)(const void *user, size_t k), const void *user,
                               twi_reject *out)
{
    twi_reject reject = {0};
    double *own;
    tw_status st = twi_alloc(ctx, samples->n, &own);
    if (st != TW_OK) return st;
    if ((st = twi_reject_fit(ctx, samples, accept, own, &reject)) != TW_OK) goto done;
    if (reject.expected < accept - 1e-9)
        twi_log(ctx, TW_LOG_WARNING,
                "%zu training pictures are too few for the share to accept that was asked for: the "
                "threshold stands for %d %%",
                samples->n, (int)(100.0 * reject.expected));
    for (size_t k = 0; k < samples->k; k++)
        if (strcmp(name(user, k), "unknown") == 0)
            twi_log(ctx, TW_LOG_WARNING,
                    "a class is called unknown, as is what lies below the threshold");
    if ((st = warn_of_classes(ctx, samples, own, &reject, name, user)) != TW_OK) goto done;
    *out = reject, reject = (twi_reject){0};
done:
    twi_free(own);
    twi_reject_free(&reject);
    return st;
}

/* ---- asking -------------------------------------------------------------------------------- */

int tw_model_rejects(const tw_model *model)
{
    return model->reject.n > 0;
}

tw_status tw_model_familiarity(tw_ctx *ctx, const tw_model *model, const float *x, size_t n,
                               double *familiarity, unsigned char *known)
{
    const twi_reject *reject = &model->reject;
    if (reject->n == 0)
        return twi_fail(ctx, TW_ERR_ARG,
                        "the model knows no photos but those of its classes: it was trained "
                        "without reject");
    const tw_status st = twi_reject_score(ctx, reject, x, n, familiarity);
    for (size_t i = 0; known && st == TW_OK && i < n; i++)
        known[i] = familiarity[i] >= reject->threshold;
    return st;
}

/* ---- measuring ----------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

tw_status twi_model_measure_known(tw_ctx *ctx, const tw_model *model, const float *x,
                                  const uint32_t *truth, const uint32_t *predicted, size_t n,
                                  tw_report *report)
{
    const twi_reject *reject = &model->reject;
    tw_summary *s = &report->summary;
    double *familiarity;
    if (reject->n == 0) return TW_OK;
    tw_status st = twi_alloc(ctx, n, &familiarity);
    if (st == TW_OK) st = twi_reject_score(ctx, reject, x, n, familiarity);
    if (st != TW_OK) {
        twi_free(familiarity);
        return st;
    }
    s->reject = reject->accept;
    s->reject_expected = reject->expected;
    s->threshold = reject->threshold;
    for (size_t i = 0; i < n; i++) {
        const bool known = familiarity[i] >= reject->threshold;
        s->n_accepted += known;
        s->n_accepted_correct += known && truth[i] == predicted[i];
    }
    qsort(familiarity, n, sizeof *familiarity, ascending);
    report->familiarity = familiarity; /* handed over */
    return TW_OK;
}

tw_status tw_report_unknown(tw_ctx *ctx, tw_report *report, const double *familiarity, size_t n)
{
    tw_summary *s = &report->summary;
    double *sorted;
    if (!report->familiarity)
        return twi_fail(ctx, TW_ERR_ARG,
                        "the report is of a model that was trained without reject");
    if (n == 0) return twi_fail(ctx, TW_ERR_ARG, "no photo of no class; need at least 1");
    for (size_t i = 0; i < n; i++)
        if (!isfinite(familiarity[i]))
            return twi_fail(ctx, TW_ERR_ARG, "familiarity %zu is not finite", i);
    const tw_status st = twi_alloc(ctx, n, &sorted);
    if (st != TW_OK) return st;
    memcpy(sorted, familiarity, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    /* the highest threshold that leaves 95 % of the known ones, or more, at or above it */
    const double at_95 = report->familiarity[s->n_test / 20];
    s->n_unknown = n;
    s->n_unknown_accepted = twi_count_from(sorted, n, s->threshold);
    s->unknown_auroc = twi_auroc(report->familiarity, s->n_test, sorted, n);
    s->unknown_accepted_at_95 = (double)twi_count_from(sorted, n, at_95) / (double)n;
    twi_free(sorted);
    return TW_OK;
}
