/* knn.c - KNeighborsClassifier by brute force.
 *
 * Products in float single out the candidates, distances in double decide among them, so that the
 * neighbours are those of exact arithmetic; of equal distances the earlier training row is nearer.
 * Probabilities are the votes' shares. */
#include "learn/gram.h"
#include "learn/head.h"

#include "base/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCT_BYTES ((size_t)64 << 20) /* of float products held at a time */

typedef struct knn_head {
    twi_head base;
    size_t n, neighbors;
    bool cosine, by_distance;
    float *x;       /* [n, d] */
    uint32_t *y;    /* [n] */
    double *square; /* [n] |x|^2 */
} knn_head;

static const char *const metrics[] = {"euclidean", "cosine"};
static const char *const weights[] = {"uniform", "distance"};

static void head_free(twi_head *head)
{
    knn_head *h = (knn_head *)head;
    twi_free(h->x);
    twi_free(h->y);
    twi_free(h->square);
    twi_free(h);
}

static double product(const float *a, const float *b, size_t d)
{
    double sum[8] = {0};
    size_t j = 0;
    for (; j + 8 <= d; j += 8)
        for (size_t lane = 0; lane < 8; lane++)
            sum[lane] += (double)a[j + lane] * (double)b[j + lane];
    for (; j < d; j++) sum[0] += (double)a[j] * (double)b[j];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* ---- fitting ------------------------------------------------------------------------------- */

static tw_status check(tw_ctx *ctx, const twi_samples *samples, const tw_head_opts *opts)
{
    if (samples->n == 0 || samples->d == 0 || samples->k < 2)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu training samples of %zu features in %zu classes; need at least 1, 1 "
                        "and 2",
                        samples->n, samples->d, samples->k);
    if (opts->neighbors > samples->n)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu neighbors are to be asked of %zu training samples; at most all can be",
                        opts->neighbors, samples->n);
    for (size_t i = 0; i < samples->n; i++) {
        const uint32_t y = samples->y[samples->rows ? samples->rows[i] : i];
        if (y >= samples->k)
            return twi_fail(ctx, TW_ERR_DATA, "sample %zu has label %u; there are %zu classes", i,
                            (unsigned)y, samples->k);
    }
    return TW_OK;
}

static tw_status measure(tw_ctx *ctx, knn_head *h)
{
    tw_status st = twi_alloc(ctx, h->n, &h->square);
    for (size_t i = 0; i < h->n && st == TW_OK; i++) {
        h->square[i] = product(h->x + i * h->base.d, h->x + i * h->base.d, h->base.d);
        if (!isfinite(h->square[i]))
            st = twi_fail(ctx, TW_ERR_DATA, "a feature of sample %zu is not finite", i);
    }
    return st;
}

static tw_status make(tw_ctx *ctx, const twi_samples *samples, const tw_head_opts *opts,
                      knn_head **out)
{
    const size_t n = samples->n, d = samples->d;
    knn_head *h;
    size_t cells;
    tw_status st = check(ctx, samples, opts);
    if (st != TW_OK) return st;
    if (twi_mul(n, d, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu samples of %zu features do not fit", n, d);
    if ((st = twi_zalloc(ctx, 1, &h)) != TW_OK) return st;
    h->base = (twi_head){
        .type = &twi_head_knn, .k = samples->k, .d = d, .width = samples->k, .converged = true};
    h->n = n;
    h->neighbors = opts->neighbors;
    h->cosine = strcmp(opts->metric, "cosine") == 0;
    h->by_distance = strcmp(opts->weights, "distance") == 0;
    if ((st = twi_alloc(ctx, cells, &h->x)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, n, &h->y)) != TW_OK) goto done;
    for (size_t i = 0; i < n; i++) {
        const size_t row = samples->rows ? samples->rows[i] : i;
        memcpy(h->x + i * d, samples->x + row * d, d * sizeof *h->x);
        h->y[i] = samples->y[row];
    }
    if ((st = measure(ctx, h)) != TW_OK) goto done;
    *out = h, h = NULL;
done:
    if (h) head_free(&h->base);
    return st;
}

static tw_status fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                     const tw_head_opts *opts, twi_head **out)
{
    knn_head *h;
    (void)scaler;
    const tw_status st = make(ctx, samples, opts, &h);
    if (st == TW_OK) *out = &h->base;
    return st;
}

/* ---- neighbours ---------------------------------------------------------------------------- */

typedef struct neighbor {
    double distance; /* squared, or the cosine distance */
    size_t row;
} neighbor;

static int by_nearness(const void *a, const void *b)
{
    const neighbor *p = a, *q = b;
    if (p->distance != q->distance) return p->distance < q->distance ? -1 : 1;
    return p->row < q->row ? -1 : p->row > q->row;
}

/* scikit-learn's zero rows are at cosine distance 1 of everything. */
static double distance(const knn_head *h, double ab, double aa, double bb)
{
    if (!h->cosine) return fmax(aa + bb - 2.0 * ab, 0.0);
    return aa > 0.0 && bb > 0.0 ? 1.0 - ab / sqrt(aa * bb) : 1.0;
}

static double exact(const knn_head *h, const float *x, double aa, size_t row)
{
    const size_t d = h->base.d;
    const float *b = h->x + row * d;
    if (h->cosine) return distance(h, product(x, b, d), aa, h->square[row]);
    double sum[4] = {0};
    size_t j = 0;
    for (; j + 4 <= d; j += 4)
        for (size_t lane = 0; lane < 4; lane++) {
            const double apart = (double)x[j + lane] - (double)b[j + lane];
            sum[lane] += apart * apart;
        }
    for (; j < d; j++) sum[0] += ((double)x[j] - (double)b[j]) * ((double)x[j] - (double)b[j]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Moves the least `count` of value [n] to the front (Hoare's selection); returns the largest of
 * them. */
static double select_least(double *value, size_t n, size_t count)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        const double pivot = value[low + (high - low) / 2];
        size_t i = low, j = high;
        for (;;) {
            while (value[i] < pivot) i++;
            while (value[j] > pivot) j--;
            if (i >= j) break;
            const double kept = value[i];
            value[i++] = value[j];
            value[j--] = kept;
        }
        const size_t last = value[j] > pivot ? j - 1 : j; /* [low, last] <= pivot */
        if (count - 1 <= last)
            high = last;
        else
            low = last + 1;
        if (high < low) break;
    }
    double top = value[0];
    for (size_t i = 1; i < count; i++) top = fmax(top, value[i]);
    return top;
}

typedef struct asking {
    const knn_head *head;
    const float *x; /* [n, d] */
    const twi_products *products;
    neighbor *nearest; /* [n, neighbors] */
    size_t neighbors;
} asking;

/* A float sum of d products is off by at most d 2^-24 |a| |b|; panels and fused steps keep it far
 * below the bound used here, d^1/2 2^-20 |a| |b|. */
static tw_status ask_one(tw_ctx *ctx, void *user, size_t i)
{
    const asking *s = user;
    const knn_head *h = s->head;
    const size_t n = h->n, d = h->base.d;
    const float *x = s->x + i * d;
    const float *p = s->products->p + i * s->products->stride;
    const double aa = product(x, x, d), unit = sqrt((double)d) * 0x1p-20;
    if (!isfinite(aa)) return twi_fail(ctx, TW_ERR_DATA, "a feature of row %zu is not finite", i);
    double *rough = NULL, *scratch = NULL;
    neighbor *near = NULL;
    tw_status st = twi_alloc(ctx, n, &rough);
    if (st == TW_OK) st = twi_alloc(ctx, n, &scratch);
    if (st == TW_OK) st = twi_alloc(ctx, n, &near);
    if (st != TW_OK) goto done;
    for (size_t r = 0; r < n; r++) {
        const double bb = h->square[r], off = h->cosine ? unit : 2.0 * unit * sqrt(aa * bb);
        const double about = distance(h, (double)p[r], aa, bb);
        rough[r] = about - off;   /* at least */
        scratch[r] = about + off; /* at most */
    }
    const double bound = select_least(scratch, n, s->neighbors);
    size_t count = 0;
    for (size_t r = 0; r < n; r++)
        if (rough[r] <= bound) near[count++] = (neighbor){exact(h, x, aa, r), r};
    qsort(near, count, sizeof *near, by_nearness);
    memcpy(s->nearest + i * s->neighbors, near, s->neighbors * sizeof *near);
done:
    twi_free(near);
    twi_free(scratch);
    twi_free(rough);
    return st;
}

/* nearest [n, neighbors] of x [n, d], nearest first. */
static tw_status ask(tw_ctx *ctx, const knn_head *h, const float *x, size_t n, size_t neighbors,
                     neighbor *nearest)
{
    const size_t d = h->base.d;
    size_t step = PRODUCT_BYTES / sizeof(float) / h->n;
    if (step == 0) step = 1;
    for (size_t from = 0; from < n; from += step) {
        const size_t count = n - from < step ? n - from : step;
        const twi_rows a = {.x = x + from * d, .n = count, .d = d, .stride = d};
        const twi_rows b = {.x = h->x, .n = h->n, .d = d, .stride = d};
        twi_products products;
        tw_status st = twi_products_new(ctx, &a, &b, &products);
        if (st != TW_OK) return st;
        const asking s = {h, x + from * d, &products, nearest + from * neighbors, neighbors};
        st = twi_parallel(ctx, count * h->n < 100000 ? 1 : 0, count, ask_one, (void *)&s);
        twi_products_free(&products);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

/* Shares of the votes of near [neighbors]. With by_distance a neighbour at no distance outvotes all
 * others: scikit-learn's _get_weights. */
static void vote(const knn_head *h, const neighbor *near, size_t neighbors, bool by_distance,
                 double *share)
{
    double sum = 0.0;
    const bool same = by_distance && !(near[0].distance > 0.0);
    memset(share, 0, h->base.k * sizeof *share);
    for (size_t i = 0; i < neighbors; i++) {
        double weight = 1.0;
        if (same)
            weight = !(near[i].distance > 0.0);
        else if (by_distance)
            weight = 1.0 / (h->cosine ? near[i].distance : sqrt(near[i].distance));
        share[h->y[near[i].row]] += weight;
        sum += weight;
    }
    for (size_t c = 0; c < h->base.k; c++) share[c] /= sum;
}

static tw_status decide(tw_ctx *ctx, const twi_head *head, const twi_scaler *scaler, const float *x,
                        size_t n, double *decision)
{
    const knn_head *h = (const knn_head *)head;
    neighbor *nearest;
    size_t cells;
    (void)scaler;
    if (twi_mul(n, h->neighbors, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu rows are too many", n);
    tw_status st = twi_alloc(ctx, cells, &nearest);
    if (st != TW_OK) return st;
    st = ask(ctx, h, x, n, h->neighbors, nearest);
    for (size_t i = 0; i < n && st == TW_OK; i++)
        vote(h, nearest + i * h->neighbors, h->neighbors, h->by_distance, decision + i * head->k);
    twi_free(nearest);
    return st;
}

static void probability(const twi_head *head, const double *decision, size_t n, double *prob)
{
    memcpy(prob, decision, n * head->k * sizeof *prob);
}

/* ---- many settings ------------------------------------------------------------------------- */

static bool same_metric(const tw_head_opts *a, const tw_head_opts *b)
{
    return strcmp(a->metric, b->metric) == 0;
}

/* The settings of grid that have the metric of grid[first]: one search for neighbours serves them.
 */
static tw_status path_of_metric(tw_ctx *ctx, const twi_samples *train, const twi_stretch *tested,
                                const tw_head_opts *grid, size_t n_grid, size_t first,
                                const twi_path_user *to)
{
    tw_head_opts widest = grid[first];
    knn_head *h = NULL;
    neighbor *nearest = NULL;
    double *share = NULL;
    for (size_t at = first; at < n_grid; at++)
        if (same_metric(&grid[at], &widest) && grid[at].neighbors > widest.neighbors)
            widest.neighbors = grid[at].neighbors;
    tw_status st = make(ctx, train, &widest, &h);
    if (st == TW_OK) st = twi_alloc(ctx, tested->n * widest.neighbors, &nearest);
    if (st == TW_OK) st = twi_alloc(ctx, tested->n * train->k, &share);
    if (st == TW_OK) st = ask(ctx, h, tested->x, tested->n, widest.neighbors, nearest);
    for (size_t at = first; at < n_grid && st == TW_OK; at++) {
        if (!same_metric(&grid[at], &widest)) continue;
        for (size_t i = 0; i < tested->n; i++)
            vote(h, nearest + i * widest.neighbors, grid[at].neighbors,
                 strcmp(grid[at].weights, "distance") == 0, share + i * train->k);
        st = to->take(ctx, to->user, at, &h->base, share);
    }
    twi_free(share);
    twi_free(nearest);
    if (h) head_free(&h->base);
    return st;
}

static tw_status path(tw_ctx *ctx, const twi_samples *train, const twi_samples *tested,
                      const twi_scaler *scaler, const tw_head_opts *grid, size_t n_grid,
                      twi_path_take take, void *user)
{
    twi_stretch x = {0};
    const twi_path_user to = {take, user};
    (void)scaler;
    tw_status st = twi_head_stretch(ctx, tested, &x);
    for (size_t first = 0; first < n_grid && st == TW_OK; first++) {
        bool seen = false;
        for (size_t at = 0; at < first; at++) seen |= same_metric(&grid[at], &grid[first]);
        if (!seen) st = path_of_metric(ctx, train, &x, grid, n_grid, first, &to);
    }
    twi_free(x.copy);
    return st;
}

/* ---- saving, loading ----------------------------------------------------------------------- */

static tw_status save(tw_ctx *ctx, const twi_head *head, twi_tensors *tensors, twi_json *json)
{
    const knn_head *h = (const knn_head *)head;
    void *data;
    tw_status st = twi_head_put_floats(ctx, tensors, "head.x", h->n, head->d, h->x);
    if (st == TW_OK) st = twi_tensors_add(ctx, tensors, "head.y", TWI_I32, 1, &h->n, NULL, &data);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < h->n; i++) ((int32_t *)data)[i] = (int32_t)h->y[i];
    bool ok = twi_json_set(json, "samples", twi_json_integer((int64_t)h->n));
    ok &= twi_json_set(json, "n_neighbors", twi_json_integer((int64_t)h->neighbors));
    ok &= twi_json_set(json, "metric", twi_json_text(metrics[h->cosine]));
    ok &= twi_json_set(json, "weights", twi_json_text(weights[h->by_distance]));
    return ok ? TW_OK : twi_fail(ctx, TW_ERR_NOMEM, "no memory for the head's description");
}

static tw_status load_labels(tw_ctx *ctx, const char *name, const twi_tensors *tensors, knn_head *h)
{
    const twi_tensor *t = twi_tensors_find(tensors, "head.y");
    if (!t || t->dtype != TWI_I32 || t->rank != 1 || t->dims[0] != h->n)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: tensor \"head.y\" is not I32 of shape [%zu]", name,
                        h->n);
    const tw_status st = twi_alloc(ctx, h->n, &h->y);
    if (st != TW_OK) return st;
    memcpy(h->y, t->data, h->n * sizeof *h->y);
    for (size_t i = 0; i < h->n; i++)
        if (h->y[i] >= h->base.k)
            return twi_fail(ctx, TW_ERR_FORMAT, "%s: label %zu of the head is %u of %zu classes",
                            name, i, (unsigned)h->y[i], h->base.k);
    return TW_OK;
}

static tw_status load_words(tw_ctx *ctx, const char *name, const twi_json *json, knn_head *h)
{
    const char *metric = twi_json_as_text(twi_json_get(json, "metric"), "(nothing)");
    const char *weight = twi_json_as_text(twi_json_get(json, "weights"), "(nothing)");
    h->cosine = strcmp(metric, metrics[1]) == 0;
    h->by_distance = strcmp(weight, weights[1]) == 0;
    if (strcmp(metric, metrics[h->cosine]) == 0 && strcmp(weight, weights[h->by_distance]) == 0)
        return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "%s: the head's metric is %s and its weights are %s", name,
                    metric, weight);
}

static tw_status load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                      const twi_json *json, const twi_head *base, twi_head **out)
{
    const int64_t n = twi_json_as_integer(twi_json_get(json, "samples"), 0);
    const int64_t neighbors = twi_json_as_integer(twi_json_get(json, "n_neighbors"), 0);
    knn_head *h;
    if (n < 1 || neighbors < 1 || neighbors > n)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: the head asks neighbours beyond its samples",
                        name);
    tw_status st = twi_zalloc(ctx, 1, &h);
    if (st != TW_OK) return st;
    h->base = *base;
    h->base.width = base->k;
    h->n = (size_t)n;
    h->neighbors = (size_t)neighbors;
    st = load_words(ctx, name, json, h);
    if (st == TW_OK) st = twi_head_take_floats(ctx, name, tensors, "head.x", h->n, base->d, &h->x);
    if (st == TW_OK) st = load_labels(ctx, name, tensors, h);
    if (st == TW_OK) st = measure(ctx, h);
    if (st == TW_ERR_DATA)
        st = twi_fail(ctx, TW_ERR_FORMAT, "%s: the head's samples are too large", name);
    if (st == TW_OK)
        *out = &h->base;
    else
        head_free(&h->base);
    return st;
}

const twi_head_type twi_head_knn = {
    .name = "knn",
    .summary = "k nearest neighbours",
    .takes = TWI_TAKES_NEIGHBORS,
    .fit = fit,
    .decide = decide,
    .probability = probability,
    .path = path,
    .save = save,
    .load = load,
    .free = head_free,
};
