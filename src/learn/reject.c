/* reject.c - familiarity by nearest neighbours, and the threshold under it. */
#include "learn/reject.h"
#include "base/threads.h"
#include "learn/normalise.h"
#include "learn/rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* docs/reject.md: in the mean over its tasks, five do better than one, and nothing else does better
 * by more than 0.01 of area under the ROC curve. */
#define NEIGHBORS 5

/* Values kept: 4 MiB of halves. All rows of most data sets; of more, an even choice of every class,
 * which costs little (Sun et al. 2022 keep one photo of ImageNet in a hundred). */
#define VALUES_KEPT ((size_t)1 << 21)
#define ROWS_KEPT   ((size_t)256) /* however wide they are */
#define CLASS_ROWS  ((size_t)8)   /* likewise, of each class */

void twi_reject_free(twi_reject *reject)
{
    twi_free(reject->rows);
    *reject = (twi_reject){0};
}

/* ---- rows ---------------------------------------------------------------------------------- */

static size_t row_of(const twi_samples *samples, size_t i)
{
    return samples->rows ? samples->rows[i] : i;
}

/* x [d] to length 1; false: not finite. */
static bool to_unit(const float *x, size_t d, float *out)
{
    for (size_t j = 0; j < d; j++)
        if (!isfinite(x[j])) return false;
    twi_normalise(x, 1, d, out);
    return true;
}

static void to_halves(float *x, size_t d)
{
    for (size_t j = 0; j < d; j++) x[j] = twi_f16_to_f32(twi_f32_to_f16(x[j]));
}

static size_t rows_wanted(const twi_samples *samples)
{
    size_t wanted = VALUES_KEPT / samples->d, of_classes;
    if (wanted < ROWS_KEPT) wanted = ROWS_KEPT;
    if (twi_mul(samples->k, CLASS_ROWS, &of_classes)) of_classes = SIZE_MAX;
    if (wanted < of_classes) wanted = of_classes;
    return wanted < samples->n ? wanted : samples->n;
}

/* The largest number of rows a class may keep so that all together are at most wanted. */
static size_t class_quota(const size_t *count, size_t k, size_t wanted)
{
    size_t low = 0, high = wanted;
    while (low < high) {
        const size_t quota = high - (high - low) / 2;
        size_t sum = 0;
        for (size_t c = 0; c < k; c++) sum += count[c] < quota ? count[c] : quota;
        if (sum <= wanted)
            low = quota;
        else
            high = quota - 1;
    }
    return low;
}

/* place [n]: where each sample's row is kept, SIZE_MAX: nowhere. Of a class that must leave some
 * out, the rows at even distances stay. */
static tw_status choose_rows(tw_ctx *ctx, const twi_samples *samples, size_t *place, size_t *kept)
{
    const size_t k = samples->k, wanted = rows_wanted(samples);
    size_t *count, *seen = NULL;
    tw_status st = twi_zalloc(ctx, k, &count);
    if (st != TW_OK) return st;
    if ((st = twi_zalloc(ctx, k, &seen)) != TW_OK) goto done;
    for (size_t i = 0; i < samples->n; i++) count[samples->y[row_of(samples, i)]]++;
    const size_t quota = class_quota(count, k, wanted);
    *kept = 0;
    for (size_t i = 0; i < samples->n; i++) {
        const uint32_t c = samples->y[row_of(samples, i)];
        /* i-th of count is taken when the line of slope quota / count steps up there */
        const double slope = fmin(1.0, (double)quota / (double)count[c]);
        const double at = (double)seen[c]++;
        const bool take = floor((at + 1.0) * slope + 1e-9) > floor(at * slope + 1e-9);
        place[i] = take ? (*kept)++ : SIZE_MAX;
    }
done:
    twi_free(count);
    twi_free(seen);
    return st;
}

static tw_status keep_rows(tw_ctx *ctx, const twi_samples *samples, const size_t *place,
                           twi_reject *r)
{
    size_t cells;
    if (twi_mul(r->n, r->d, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu rows of %zu features do not fit in memory", r->n,
                        r->d);
    const tw_status st = twi_alloc(ctx, cells, &r->rows);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < samples->n; i++) {
        if (place[i] == SIZE_MAX) continue;
        float *out = r->rows + place[i] * r->d;
        if (!to_unit(samples->x + row_of(samples, i) * r->d, r->d, out))
            return twi_fail(ctx, TW_ERR_DATA, "a feature of sample %zu is not finite", i);
        to_halves(out, r->d);
    }
    return TW_OK;
}

/* ---- familiarity --------------------------------------------------------------------------- */

/* Rows asked at a time; a task takes GROUP of them through all rows kept, and holds no products. */
#define GROUP        ((size_t)16)
#define BLOCK_VALUES ((size_t)1 << 20)

typedef struct asking {
    const twi_reject *reject;
    const twi_kernels *kernels;
    const float *unit;   /* [m, d] of length 1 */
    const size_t *place; /* [m] of each row asked: its own place among the kept; NULL: none has */
    size_t m, neighbors;
    double *familiarity; /* [m] */
} asking;

typedef struct nearest {
    double cosine[NEIGHBORS]; /* the largest, descending */
    size_t kept;
} nearest;

static void offer(nearest *best, size_t neighbors, double cosine)
{
    if (best->kept == neighbors && cosine <= best->cosine[neighbors - 1]) return;
    size_t at = best->kept < neighbors ? best->kept++ : neighbors - 1;
    for (; at > 0 && best->cosine[at - 1] < cosine; at--) best->cosine[at] = best->cosine[at - 1];
    best->cosine[at] = cosine;
}

static tw_status ask_group(tw_ctx *ctx, void *user, size_t group)
{
    const asking *s = user;
    const twi_reject *r = s->reject;
    const size_t from = group * GROUP, g = s->m - from < GROUP ? s->m - from : GROUP;
    nearest best[GROUP] = {0};
    (void)ctx;
    for (size_t at = 0; at < r->n; at += TWI_ROWS_AT_ONCE) {
        const size_t rows = r->n - at < TWI_ROWS_AT_ONCE ? r->n - at : TWI_ROWS_AT_ONCE;
        const void *row[TWI_ROWS_AT_ONCE];
        double cosine[TWI_ROWS_AT_ONCE * GROUP] = {0};
        for (size_t i = 0; i < rows; i++) row[i] = r->rows + (at + i) * r->d;
        s->kernels->dots(row, rows, r->d, (twi_shift){0}, s->unit + from * r->d, r->d, g, cosine);
        for (size_t i = 0; i < rows; i++)
            for (size_t q = 0; q < g; q++)
                if (!s->place || s->place[from + q] != at + i)
                    offer(&best[q], s->neighbors, cosine[i * g + q]);
    }
    for (size_t q = 0; q < g; q++) {
        double sum = 0.0;
        for (size_t j = 0; j < best[q].kept; j++) sum += best[q].cosine[j];
        s->familiarity[from + q] = sum / (double)best[q].kept;
    }
    return TW_OK;
}

/* Familiarity of samples (labels are not looked at), whose own places are in place [n] or NULL. */
static tw_status ask(tw_ctx *ctx, const twi_reject *r, const twi_samples *samples,
                     const size_t *place, double *familiarity)
{
    const size_t n = samples->n, d = r->d;
    size_t step = BLOCK_VALUES / d < GROUP ? GROUP : BLOCK_VALUES / d, cells;
    if (step > n) step = n;
    if (twi_mul(step, d, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "rows of %zu features do not fit in memory", d);
    float *unit;
    tw_status st = twi_alloc(ctx, cells, &unit);
    for (size_t from = 0; from < n && st == TW_OK; from += step) {
        const size_t m = n - from < step ? n - from : step;
        const asking s = {r,
                          twi_kernels_best(),
                          unit,
                          place ? place + from : NULL,
                          m,
                          r->neighbors,
                          familiarity + from};
        for (size_t i = 0; i < m && st == TW_OK; i++)
            if (!to_unit(samples->x + row_of(samples, from + i) * d, d, unit + i * d))
                st = twi_fail(ctx, TW_ERR_DATA, "a feature of row %zu is not finite", from + i);
        if (st != TW_OK) break;
        const size_t threads = m * r->n < TWI_WORTH_A_THREAD / d ? 1 : 0;
        st = twi_parallel(ctx, threads, (m + GROUP - 1) / GROUP, ask_group, (void *)&s);
        if (st == TW_OK && place) st = twi_progress(ctx, "fit", from + m, n, 0);
    }
    twi_free(unit);
    return st;
}

tw_status twi_reject_score(tw_ctx *ctx, const twi_reject *reject, const float *x, size_t n,
                           double *familiarity)
{
    const twi_samples samples = {.x = x, .n = n, .d = reject->d};
    return ask(ctx, reject, &samples, NULL, familiarity);
}

/* ---- threshold ----------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* A further row is as likely to fall below the j-th smallest of n familiarities as into any other j
 * of the n + 1 gaps: with probability j / (n + 1). So j is the largest with j / (n + 1) <= 1 -
 * accept: conformal prediction's quantile (Vovk et al. 2005). Where there is none, n is too small
 * for the share asked, and the smallest is what there is. */
static tw_status set_threshold(tw_ctx *ctx, const double *own, size_t n, twi_reject *r)
{
    double *sorted;
    const tw_status st = twi_alloc(ctx, n, &sorted);
    if (st != TW_OK) return st;
    memcpy(sorted, own, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    const double rank = floor((double)(n + 1) * (1.0 - r->accept) + 1e-9);
    const size_t j = rank < 1.0 ? 1 : (size_t)rank;
    r->threshold = sorted[j - 1];
    r->photos = n;
    r->expected = 1.0 - (double)j / (double)(n + 1);
    twi_free(sorted);
    return TW_OK;
}

tw_status twi_reject_fit(tw_ctx *ctx, const twi_samples *samples, double accept, double *own,
                         twi_reject *out)
{
    const size_t n = samples->n;
    twi_reject r = {.d = samples->d, .accept = accept};
    size_t *place = NULL;
    double *scores = NULL;
    if (n < 2 || r.d == 0)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu training samples of %zu features; to reject takes at least 2 and 1", n,
                        r.d);
    tw_status st = twi_alloc(ctx, n, &place);
    if (st != TW_OK) return st;
    if ((st = twi_alloc(ctx, n, &scores)) != TW_OK) goto done;
    if ((st = choose_rows(ctx, samples, place, &r.n)) != TW_OK) goto done;
    if ((st = keep_rows(ctx, samples, place, &r)) != TW_OK) goto done;
    r.neighbors = r.n - 1 < NEIGHBORS ? r.n - 1 : NEIGHBORS;
    if ((st = ask(ctx, &r, samples, place, scores)) != TW_OK) goto done;
    if ((st = set_threshold(ctx, scores, n, &r)) != TW_OK) goto done;
    if (own) memcpy(own, scores, n * sizeof *own);
    *out = r, r = (twi_reject){0};
done:
    twi_reject_free(&r);
    twi_free(scores);
    twi_free(place);
    return st;
}

/* ---- as tensors and JSON ------------------------------------------------------------------- */

tw_status twi_reject_save(tw_ctx *ctx, const twi_reject *r, twi_tensors *tensors, twi_json **json)
{
    void *data;
    const tw_status st = twi_tensors_add(ctx, tensors, "reject.rows", TWI_F16, 2,
                                         (const size_t[]){r->n, r->d}, NULL, &data);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < r->n * r->d; i++) ((uint16_t *)data)[i] = twi_f32_to_f16(r->rows[i]);
    twi_json *object = twi_json_object();
    bool ok = twi_json_set(object, "method", twi_json_text("neighbors"));
    ok &= twi_json_set(object, "neighbors", twi_json_integer((int64_t)r->neighbors));
    ok &= twi_json_set(object, "accept", twi_json_number(r->accept));
    ok &= twi_json_set(object, "expected", twi_json_number(r->expected));
    ok &= twi_json_set(object, "threshold", twi_json_number(r->threshold));
    ok &= twi_json_set(object, "photos", twi_json_integer((int64_t)r->photos));
    if (ok) {
        *json = object;
        return TW_OK;
    }
    twi_json_free(object);
    return twi_fail(ctx, TW_ERR_NOMEM, "no memory for the description of the threshold");
}

static tw_status read_numbers(tw_ctx *ctx, const char *name, const twi_json *json, twi_reject *r)
{
    const char *method = twi_json_as_text(twi_json_get(json, "method"), "(nothing)");
    const int64_t neighbors = twi_json_as_integer(twi_json_get(json, "neighbors"), 0);
    const int64_t photos = twi_json_as_integer(twi_json_get(json, "photos"), 0);
    if (strcmp(method, "neighbors") != 0)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: it rejects by \"%s\"; \"neighbors\" is what is known", name, method);
    if (neighbors < 1 || neighbors > NEIGHBORS)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: it rejects by %" PRId64 " neighbors; allowed are 1 to %d", name,
                        neighbors, NEIGHBORS);
    r->neighbors = (size_t)neighbors;
    r->photos = photos > 0 ? (size_t)photos : 0;
    r->accept = twi_json_as_number(twi_json_get(json, "accept"), NAN);
    r->expected = twi_json_as_number(twi_json_get(json, "expected"), NAN);
    r->threshold = twi_json_as_number(twi_json_get(json, "threshold"), NAN);
    if (!(r->accept > 0.0 && r->accept < 1.0) || !(r->expected >= 0.0 && r->expected < 1.0))
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: the share it accepts is not between 0 and 1",
                        name);
    if (!(fabs(r->threshold) <= 1.5))
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: the threshold of its familiarity is no cosine",
                        name);
    return TW_OK;
}

/* Rows of length 1, to what halves can hold, or of zeros. */
static tw_status check_lengths(tw_ctx *ctx, const char *name, const twi_reject *r)
{
    for (size_t i = 0; i < r->n; i++) {
        double square = 0.0;
        for (size_t j = 0; j < r->d; j++) {
            const double v = (double)r->rows[i * r->d + j];
            square += v * v;
        }
        if (square != 0.0 && !(fabs(square - 1.0) < 0.02))
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "%s: row %zu of tensor \"reject.rows\" is not of length 1", name, i);
    }
    return TW_OK;
}

tw_status twi_reject_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                          const twi_json *json, size_t d, twi_reject *out)
{
    twi_reject r = {.d = d};
    if (!json) {
        *out = (twi_reject){0};
        return TW_OK;
    }
    tw_status st = read_numbers(ctx, name, json, &r);
    if (st != TW_OK) return st;
    const twi_tensor *t = twi_tensors_find(tensors, "reject.rows");
    if (!t || t->dtype != TWI_F16 || t->rank != 2 || t->dims[1] != d || t->dims[0] < r.neighbors)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: tensor \"reject.rows\" is not F16 of shape [at least %zu, %zu]", name,
                        r.neighbors, d);
    r.n = t->dims[0];
    if ((st = twi_alloc(ctx, t->count, &r.rows)) != TW_OK) return st;
    if ((st = twi_tensor_floats(ctx, t, r.rows)) == TW_OK) st = check_lengths(ctx, name, &r);
    if (st == TW_OK) *out = r, r = (twi_reject){0};
    twi_reject_free(&r);
    return st;
}
