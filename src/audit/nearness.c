/* nearness.c - pairs of rows that lie closer than pictures of one set do by themselves. */
#include "audit/audit.h"
#include "base/threads.h"
#include "learn/gram.h"
#include "learn/pca.h"

#include <math.h>

#define COMPONENTS ((size_t)256)
#define BLOCK      ((size_t)512) /* rows whose products with all others are held at once */
#define SHARE      0.9           /* of the variance that is taken out; the rest keeps noise small */
#define CLOSEST    16            /* pairs kept of a row: a film has as many as rows squared */
#define ROWS_EACH                                                                                  \
    ((size_t)3) /* for each component: with fewer, whitening makes copies strangers                \
                 */
#define ROWS_LEAST ((size_t)4)

typedef struct whitened {
    float *rows; /* [n, p], each of length 1 */
    size_t n, p;
} whitened;

/* ---- whitening ----------------------------------------------------------------------------- */

static void stretch_rows(whitened *w, const double *variance)
{
    for (size_t i = 0; i < w->n; i++) {
        float *row = w->rows + i * w->p;
        double square = 0.0;
        for (size_t c = 0; c < w->p; c++) {
            row[c] = (float)((double)row[c] / sqrt(SHARE * variance[c] + (1.0 - SHARE)));
            square += (double)row[c] * (double)row[c];
        }
        const double length = sqrt(square);
        for (size_t c = 0; c < w->p && length > 0.0; c++) row[c] = (float)((double)row[c] / length);
    }
}

/* Components are worked out from the standardised copy, which is not kept. */
static tw_status whiten(tw_ctx *ctx, const float *x, size_t n, size_t d, whitened *out)
{
    const twi_samples samples = {.x = x, .n = n, .d = d};
    whitened w = {.n = n};
    twi_scaler scaler = {0};
    twi_pca pca = {0};
    float *standard = NULL;
    size_t cells, made;
    w.p = (n - 1) / ROWS_EACH < COMPONENTS ? (n - 1) / ROWS_EACH : COMPONENTS;
    if (w.p > d) w.p = d;
    if (twi_mul(n, d, &cells) || twi_mul(n, w.p, &made))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu rows of %zu features do not fit in memory", n, d);
    tw_status st = twi_scaler_fit(ctx, &samples, &scaler);
    if (st == TW_OK) st = twi_alloc(ctx, cells, &standard);
    if (st != TW_OK) goto done;
    twi_scaler_apply(&scaler, x, n, standard);
    const twi_samples scaled = {.x = standard, .n = n, .d = d};
    if ((st = twi_pca_fit(ctx, &scaled, w.p, &pca)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, made, &w.rows)) != TW_OK) goto done;
    if ((st = twi_pca_apply(ctx, &pca, standard, n, w.rows)) != TW_OK) goto done;
    stretch_rows(&w, pca.variance);
    *out = w, w = (whitened){0};
done:
    twi_free(w.rows);
    twi_free(standard);
    twi_pca_free(&pca);
    twi_scaler_free(&scaler);
    return st;
}

/* ---- pairs --------------------------------------------------------------------------------- */

/* Of cosine [n] from `from` on, the places of the CLOSEST highest that are at least `least`, in
 * ascending order. */
static size_t closest(const float *cosine, size_t from, size_t n, float least,
                      size_t place[CLOSEST])
{
    size_t found = 0;
    for (size_t j = from; j < n; j++) {
        if (!(cosine[j] >= least)) continue;
        size_t out = found;
        if (found == CLOSEST) { /* the lowest leaves, of equals the last */
            out = 0;
            for (size_t c = 1; c < found; c++)
                if (cosine[place[c]] <= cosine[place[out]]) out = c;
            if (cosine[j] <= cosine[place[out]]) continue;
            found--;
        }
        for (; out < found; out++) place[out] = place[out + 1];
        place[found++] = j;
    }
    return found;
}

/* Pairs of the rows from `from` on, BLOCK of them, with all that follow. */
static tw_status take_block(tw_ctx *ctx, const whitened *w, size_t from, float least,
                            twi_nears *out)
{
    const size_t rows = w->n - from < BLOCK ? w->n - from : BLOCK;
    const float *x = w->rows + from * w->p;
    const twi_rows a = {.x = x, .n = rows, .d = w->p, .stride = w->p};
    const twi_rows b = {.x = x, .n = w->n - from, .d = w->p, .stride = w->p};
    twi_products products;
    tw_status st = twi_products_new(ctx, &a, &b, &products);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < rows && st == TW_OK; i++) {
        size_t close[CLOSEST];
        const size_t n = closest(products.p + i * products.stride, i + 1, b.n, least, close);
        st = twi_grow(ctx, &out->items, &out->capacity, out->n + n);
        for (size_t c = 0; c < n && st == TW_OK; c++) {
            const float cosine = products.p[i * products.stride + close[c]];
            out->items[out->n++] = (twi_near){from + i, from + close[c], cosine};
        }
    }
    twi_products_free(&products);
    return st;
}

tw_status twi_near_pairs(tw_ctx *ctx, const float *x, size_t n, size_t d, double least,
                         twi_nears *out)
{
    whitened w = {0};
    twi_nears nears = {0};
    *out = nears;
    if (n < ROWS_LEAST) return TW_OK;
    tw_status st = whiten(ctx, x, n, d, &w);
    for (size_t from = 0; from < n && st == TW_OK; from += BLOCK) {
        st = twi_progress(ctx, "near", from, n, 0);
        if (st == TW_OK) st = take_block(ctx, &w, from, (float)least, &nears);
    }
    if (st == TW_OK) *out = nears, nears = (twi_nears){0};
    twi_nears_free(&nears);
    twi_free(w.rows);
    return st;
}

double twi_near_work(size_t n, size_t d)
{
    const double rows = (double)n, least = n < d ? rows : (double)d,
                 most = n < d ? (double)d : rows;
    return least * least * most + rows * rows * (double)COMPONENTS / 2.0;
}

void twi_nears_free(twi_nears *nears)
{
    twi_free(nears->items);
    *nears = (twi_nears){0};
}
