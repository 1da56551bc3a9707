/* eight.c - cross-validated accuracy in 8 bits beside that in floating point, on the same photos,
 * folds and head. */
#include "api/eight.h"

#include "learn/search.h"

#include <math.h>
#include <string.h>

#define PHOTOS    ((size_t)1000)
#define FOLDS     5
#define TOLERATED 0.01

typedef struct asking {
    tw_ctx *ctx;
    const twi_eight_question *q;
    size_t n;
    size_t *order; /* [n] pictures of the data set */
    float *eight;  /* [n, d] */
    uint32_t *y;   /* [n] */
    tw_report *report;
    twi_harvest floats;
} asking;

static tw_status choose_rows(asking *a)
{
    const twi_harvest *h = a->q->harvest;
    size_t count;
    a->n = a->q->n < PHOTOS ? a->q->n : PHOTOS;
    if (twi_mul(a->n, h->d, &count))
        return twi_fail(a->ctx, TW_ERR_NOMEM, "%zu features are too many", h->d);
    tw_status st = twi_alloc(a->ctx, a->n, &a->order);
    if (st == TW_OK) st = twi_alloc(a->ctx, a->n, &a->y);
    if (st == TW_OK) st = twi_alloc(a->ctx, count, &a->eight);
    for (size_t i = 0; i < a->n && st == TW_OK; i++) {
        const size_t row = i * a->q->n / a->n;
        a->order[i] = h->sample[row];
        a->y[i] = a->q->y[row];
        memcpy(a->eight + i * h->d, h->x + row * h->d, h->d * sizeof *h->x);
    }
    return st;
}

static tw_status harvest_floats(asking *a)
{
    twi_extractor_opts opts = *a->q->extract;
    twi_extractor *extractor = NULL;
    opts.precision = TW_PRECISION_AUTO;
    tw_status st = twi_extractor_new(a->ctx, a->q->backbone->network, &opts, &extractor);
    if (st == TW_OK) st = twi_zalloc(a->ctx, 1, &a->report);
    if (st == TW_OK)
        st = twi_harvest_run(a->ctx, extractor, a->q->dataset, a->order, a->n, a->report,
                             &a->floats);
    twi_extractor_free(extractor);
    if (st == TW_OK && a->floats.rows != a->n)
        st = twi_fail(a->ctx, TW_ERR_DATA, "%zu of %zu photos could be read again: they changed",
                      a->floats.rows, a->n);
    return st;
}

static tw_status cross_validate(asking *a, twi_eight_answer *out)
{
    const twi_view views[2] = {{a->eight, a->floats.d}, {a->floats.x, a->floats.d}};
    twi_candidate candidates[2] = {{0, *a->q->head}, {1, *a->q->head}};
    double accuracy[2 * FOLDS], seconds[2] = {0}, sum = 0, squares = 0;
    uint32_t *fold_of = NULL;
    size_t folds = FOLDS;
    tw_status st = twi_parts_folds(a->ctx, a->q->dataset, a->q->parts, a->order, a->n, a->y,
                                   a->q->k, &folds, 1, &fold_of);
    if (st != TW_OK || folds == 0) return st;
    for (size_t i = 0; i < 2; i++) {
        tw_head_opts *head = &candidates[i].opts;
        if (head->C == TW_AUTO) head->C = 1.0;
        if (head->alpha == TW_AUTO) head->alpha = 1.0;
    }
    for (size_t i = 0; i < 2 * folds; i++) accuracy[i] = (double)NAN;
    const twi_search_problem problem = {.views = views,
                                        .n_views = 2,
                                        .y = a->y,
                                        .n = a->n,
                                        .k = a->q->k,
                                        .candidates = candidates,
                                        .n_candidates = 2,
                                        .fold_of = fold_of,
                                        .folds = folds,
                                        .repeats = 1};
    st = twi_search_run(a->ctx, &problem, accuracy, seconds, NULL);
    twi_free(fold_of);
    if (st != TW_OK) return st;
    *out = (twi_eight_answer){.photos = a->n, .precision = a->floats.precision};
    for (size_t i = 0; i < folds; i++) {
        const double difference = accuracy[i] - accuracy[folds + i];
        out->eight += accuracy[i] / (double)folds;
        out->floats += accuracy[folds + i] / (double)folds;
        sum += difference;
        squares += difference * difference;
    }
    const double n = (double)folds, mean = sum / n;
    out->error = sqrt(fmax(squares / n - mean * mean, 0) / (n - 1));
    return TW_OK;
}

/* In ten thousandths, rounded: %f would write the caller's decimal point. */
static unsigned parts_of(double x)
{
    return (unsigned)lrint(x * 1e4);
}

static tw_status judge(tw_ctx *ctx, const twi_eight_answer *answer)
{
    const unsigned eight = parts_of(answer->eight), floats = parts_of(answer->floats);
    const double lost = answer->floats - answer->eight;
    if (lost <= TOLERATED || lost <= answer->error) return TW_OK;
    return twi_fail(ctx, TW_ERR_DATA,
                    "in int8 the cross-validated accuracy is %u.%04u, in %s %u.%04u: more than a "
                    "hundredth is lost; precision auto keeps it",
                    eight / 10000, eight % 10000, twi_precision_name(answer->precision),
                    floats / 10000, floats % 10000);
}

tw_status twi_eight_ask(tw_ctx *ctx, const twi_eight_question *question, twi_eight_answer *out)
{
    asking a = {.ctx = ctx, .q = question};
    twi_eight_answer answer = {0};
    tw_status st = choose_rows(&a);
    if (st == TW_OK) st = harvest_floats(&a);
    if (st == TW_OK) st = cross_validate(&a, &answer);
    if (st == TW_OK) st = judge(ctx, &answer);
    if (st == TW_OK) *out = answer;
    twi_harvest_free(&a.floats);
    tw_report_free(a.report);
    twi_free(a.order);
    twi_free(a.eight);
    twi_free(a.y);
    return st;
}
