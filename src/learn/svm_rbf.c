/* svm_rbf.c - SVC(kernel="rbf"): a support vector machine for each pair of classes on one Gaussian
 * kernel matrix.
 *
 * Signs, votes and scores are libsvm's and scikit-learn's: the machine of classes i < j is positive
 * for i, but with two classes the decision is turned, so that it is positive for the second. */
#include "learn/head.h"
#include "learn/svm_pairs.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define PRODUCT_BYTES ((size_t)64 << 20) /* of kernel values held at a time when deciding */

typedef struct rbf_head {
    twi_head base;
    double gamma;
    size_t n_sv, pairs;
    size_t *begin;     /* [k + 1] where each class's support vectors begin */
    float *support;    /* [n_sv, d] grouped by class */
    double *square;    /* [n_sv] |support|^2 */
    double *coef;      /* [k - 1, n_sv] a y of the machines a vector is in: libsvm's sv_coef */
    double *intercept; /* [pairs] */
} rbf_head;

static void head_free(twi_head *head)
{
    rbf_head *h = (rbf_head *)head;
    twi_free(h->begin);
    twi_free(h->support);
    twi_free(h->square);
    twi_free(h->coef);
    twi_free(h->intercept);
    twi_free(h);
}

/* ---- the head ------------------------------------------------------------------------------ */

static twi_head base_of(size_t k, size_t d)
{
    return (twi_head){.type = &twi_head_svm_rbf,
                      .k = k,
                      .d = d,
                      .width = k == 2 ? 1 : k * (k - 1) / 2,
                      .converged = true};
}

static tw_status head_new(tw_ctx *ctx, const twi_head *base, size_t n_sv, rbf_head **out)
{
    const size_t k = base->k;
    rbf_head *h;
    size_t cells, coefs;
    if (twi_mul(n_sv, base->d, &cells) || twi_mul(k - 1, n_sv, &coefs))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu support vectors do not fit in memory", n_sv);
    tw_status st = twi_zalloc(ctx, 1, &h);
    if (st != TW_OK) return st;
    h->base = *base;
    h->n_sv = n_sv;
    h->pairs = k * (k - 1) / 2;
    st = twi_alloc(ctx, k + 1, &h->begin);
    if (st == TW_OK) st = twi_alloc(ctx, n_sv, &h->square);
    if (st == TW_OK)
        *out = h;
    else
        head_free(&h->base);
    return st;
}

/* Keeps the rows that any machine leans on. */
static tw_status keep_support(tw_ctx *ctx, const twi_solving *s, rbf_head **out)
{
    const twi_pairs *t = s->t;
    const size_t d = t->samples->d, k = t->k;
    const twi_head base = base_of(k, d);
    bool *is_sv;
    size_t n_sv = 0, at = 0;
    rbf_head *h = NULL;
    tw_status st = twi_zalloc(ctx, t->n, &is_sv);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < t->n; i++) {
        for (size_t r = 0; r < k - 1; r++) is_sv[i] = is_sv[i] || s->a[r * t->n + i] != 0.0;
        n_sv += is_sv[i];
    }
    if ((st = head_new(ctx, &base, n_sv, &h)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, n_sv * d, &h->support)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, n_sv * (k - 1), &h->coef)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, h->pairs, &h->intercept)) != TW_OK) goto done;
    memcpy(h->intercept, s->intercept, h->pairs * sizeof *h->intercept);
    for (size_t c = 0; c < k; c++) {
        h->begin[c] = at;
        for (size_t i = t->begin[c]; i < t->begin[c + 1]; i++) {
            if (!is_sv[i]) continue;
            memcpy(h->support + at * d, t->samples->x + t->rows[i] * d, d * sizeof *h->support);
            h->square[at] = twi_square_of(h->support + at * d, d);
            for (size_t r = 0; r < k - 1; r++) h->coef[r * n_sv + at] = s->a[r * t->n + i];
            at++;
        }
    }
    h->begin[k] = at;
    *out = h, h = NULL;
done:
    if (h) head_free(&h->base);
    twi_free(is_sv);
    return st;
}

static tw_status fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                     const tw_head_opts *opts, twi_head **out)
{
    twi_pairs t = {0};
    twi_solving s = {0};
    rbf_head *h = NULL;
    (void)scaler;
    tw_status st = twi_pairs_new(ctx, samples, opts->balanced != 0, &t);
    if (st != TW_OK) return st;
    const double gamma = twi_pairs_gamma(&t, opts->gamma);
    const twi_kernel_job job = {t.gram.k, t.gram.stride, t.n, t.square, t.square, gamma, t.gram.k};
    if ((st = twi_kernel_fill(ctx, &job, t.n)) != TW_OK) goto done; /* in place */
    if ((st = twi_solving_new(ctx, &t, opts, &s)) != TW_OK) goto done;
    s.kernel = t.gram.k;
    if ((st = twi_solving_run(ctx, &s)) != TW_OK) goto done;
    if ((st = keep_support(ctx, &s, &h)) != TW_OK) goto done;
    h->gamma = gamma;
    twi_solving_judge(ctx, &s, &h->base.converged, &h->base.iterations);
    *out = &h->base;
done:
    twi_solving_free(&s);
    twi_pairs_free(&t);
    return st;
}

/* ---- deciding ------------------------------------------------------------------------------ */

typedef struct summing {
    const float *kernel; /* [n, stride] of vectors begin[0] to begin[k] */
    size_t stride, k, n_sv;
    const size_t *begin;
    const double *coef, *intercept;
    double *out; /* [n, width] */
} summing;

static void sum_row(const summing *s, size_t row)
{
    const float *kernel = s->kernel + row * s->stride;
    const size_t k = s->k, width = k == 2 ? 1 : k * (k - 1) / 2;
    for (size_t i = 0, pair = 0; i < k; i++)
        for (size_t j = i + 1; j < k; j++, pair++) {
            const double *of_i = s->coef + (j - 1) * s->n_sv, *of_j = s->coef + i * s->n_sv;
            double sum = s->intercept[pair];
            for (size_t v = s->begin[i]; v < s->begin[i + 1]; v++)
                sum += of_i[v] * (double)kernel[v];
            for (size_t v = s->begin[j]; v < s->begin[j + 1]; v++)
                sum += of_j[v] * (double)kernel[v];
            s->out[row * width + pair] = k == 2 ? -sum : sum;
        }
}

static tw_status decide_some(tw_ctx *ctx, const rbf_head *h, const float *x, size_t n,
                             double *decision)
{
    const size_t d = h->base.d;
    const twi_rows a = {.x = x, .n = n, .d = d, .stride = d};
    const twi_rows b = {.x = h->support, .n = h->n_sv, .d = d, .stride = d};
    twi_products products;
    double *square;
    tw_status st = twi_alloc(ctx, n, &square);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) square[i] = twi_square_of(x + i * d, d);
    if ((st = twi_products_new(ctx, &a, &b, &products)) != TW_OK) goto done;
    const twi_kernel_job job = {products.p, products.stride, h->n_sv,   square,
                                h->square,  h->gamma,        products.p};
    if ((st = twi_kernel_fill(ctx, &job, n)) == TW_OK) {
        const summing s = {products.p, products.stride, h->base.k,    h->n_sv,
                           h->begin,   h->coef,         h->intercept, decision};
        for (size_t i = 0; i < n; i++) sum_row(&s, i);
    }
    twi_products_free(&products);
done:
    twi_free(square);
    return st;
}

static tw_status decide(tw_ctx *ctx, const twi_head *head, const twi_scaler *scaler, const float *x,
                        size_t n, double *decision)
{
    const rbf_head *h = (const rbf_head *)head;
    size_t step = PRODUCT_BYTES / sizeof(float) / (h->n_sv + 1);
    tw_status st = TW_OK;
    (void)scaler;
    if (step == 0) step = 1;
    for (size_t from = 0; from < n && st == TW_OK; from += step)
        st = decide_some(ctx, h, x + from * head->d, n - from < step ? n - from : step,
                         decision + from * head->width);
    return st;
}

/* libsvm's svm_predict: the class with most votes, the first of several. */
static void label(const twi_head *head, const double *decision, size_t n, uint32_t *out)
{
    const size_t k = head->k;
    for (size_t r = 0; r < n; r++) {
        const double *u = decision + r * head->width;
        size_t best_votes = 0;
        out[r] = 0;
        if (k == 2) {
            out[r] = u[0] > 0.0;
            continue;
        }
        for (uint32_t c = 0; c < k; c++) {
            size_t votes = 0;
            for (size_t i = 0, pair = 0; i < k; i++)
                for (size_t j = i + 1; j < k; j++, pair++)
                    votes += (c == i && u[pair] > 0.0) || (c == j && !(u[pair] > 0.0));
            if (votes > best_votes) best_votes = votes, out[r] = c;
        }
    }
}

/* scikit-learn's _ovr_decision_function: votes, and the confidences squeezed into (-1/3, 1/3). */
static void score(const twi_head *head, const double *decision, size_t n, double *out)
{
    const size_t k = head->k;
    for (size_t r = 0; r < n; r++) {
        const double *u = decision + r * head->width;
        double *s = out + r * k;
        if (k == 2) {
            s[1] = u[0];
            s[0] = -u[0];
            continue;
        }
        for (size_t c = 0; c < k; c++) {
            double votes = 0.0, sum = 0.0;
            for (size_t i = 0, pair = 0; i < k; i++)
                for (size_t j = i + 1; j < k; j++, pair++) {
                    if (c != i && c != j) continue;
                    sum += c == i ? u[pair] : -u[pair];
                    votes += c == i ? !(u[pair] < 0.0) : u[pair] < 0.0;
                }
            s[c] = votes + sum / (3.0 * (fabs(sum) + 1.0));
        }
    }
}

/* ---- many settings ------------------------------------------------------------------------- */

typedef struct pathing {
    twi_pairs t;
    twi_products tested; /* tested rows with grouped training rows */
    double *square;      /* [tested] */
    float *kernel, *tested_kernel;
} pathing;

static void pathing_free(pathing *p)
{
    twi_pairs_free(&p->t);
    twi_products_free(&p->tested);
    twi_free(p->square);
    twi_free(p->kernel);
    twi_free(p->tested_kernel);
}

static tw_status pathing_new(tw_ctx *ctx, const twi_samples *train, const twi_samples *tested,
                             bool balanced, pathing *p)
{
    const size_t d = train->d;
    tw_status st = twi_pairs_new(ctx, train, balanced, &p->t);
    if (st != TW_OK) return st;
    const twi_rows a = {.x = tested->x, .index = tested->rows, .n = tested->n, .d = d, .stride = d};
    const twi_rows b = {.x = train->x, .index = p->t.rows, .n = train->n, .d = d, .stride = d};
    if ((st = twi_products_new(ctx, &a, &b, &p->tested)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, tested->n, &p->square)) != TW_OK) return st;
    for (size_t i = 0; i < tested->n; i++)
        p->square[i] = twi_square_of((const float *)twi_row(&a, i), d);
    st = twi_alloc(ctx, p->t.n * p->t.gram.stride, &p->kernel);
    return st != TW_OK ? st : twi_alloc(ctx, tested->n * p->tested.stride, &p->tested_kernel);
}

static tw_status path_setting(tw_ctx *ctx, const pathing *p, const tw_head_opts *opts, size_t at,
                              const twi_path_user *to)
{
    const twi_pairs *t = &p->t;
    twi_head shape = base_of(t->k, t->samples->d);
    double *decision = NULL;
    twi_solving s = {0};
    tw_status st = twi_solving_new(ctx, t, opts, &s);
    s.kernel = p->kernel;
    if (st == TW_OK) st = twi_solving_run(ctx, &s);
    if (st == TW_OK) st = twi_alloc(ctx, p->tested.m * shape.width, &decision);
    if (st != TW_OK) goto done;
    twi_solving_judge(ctx, &s, &shape.converged, &shape.iterations);
    const summing sum = {p->tested_kernel, p->tested.stride, t->k, t->n, t->begin, s.a,
                         s.intercept,      decision};
    for (size_t i = 0; i < p->tested.m; i++) sum_row(&sum, i);
    st = to->take(ctx, to->user, at, &shape, decision);
done:
    twi_free(decision);
    twi_solving_free(&s);
    return st;
}

static tw_status set_gamma(tw_ctx *ctx, const pathing *p, double gamma)
{
    const twi_pairs *t = &p->t;
    const twi_kernel_job own = {t->gram.k, t->gram.stride, t->n,     t->square,
                                t->square, gamma,          p->kernel};
    const twi_kernel_job other = {p->tested.p, p->tested.stride, t->n, p->square, t->square,
                                  gamma,       p->tested_kernel};
    const tw_status st = twi_kernel_fill(ctx, &own, t->n);
    return st != TW_OK ? st : twi_kernel_fill(ctx, &other, p->tested.m);
}

/* One set of products for all; one kernel for all settings of a gamma. */
static tw_status path(tw_ctx *ctx, const twi_samples *train, const twi_samples *tested,
                      const twi_scaler *scaler, const tw_head_opts *grid, size_t n_grid,
                      twi_path_take take, void *user)
{
    const twi_path_user to = {take, user};
    pathing p = {0};
    for (size_t at = 1; at < n_grid; at++)
        if (!grid[at].balanced != !grid[0].balanced)
            return twi_head_one_by_one(ctx, train, tested, scaler, grid, n_grid, take, user);
    tw_status st = pathing_new(ctx, train, tested, grid[0].balanced != 0, &p);
    for (size_t first = 0; first < n_grid && st == TW_OK; first++) {
        bool seen = false;
        for (size_t at = 0; at < first; at++) seen |= grid[at].gamma == grid[first].gamma;
        if (seen) continue;
        st = set_gamma(ctx, &p, twi_pairs_gamma(&p.t, grid[first].gamma));
        for (size_t at = first; at < n_grid && st == TW_OK; at++)
            if (grid[at].gamma == grid[first].gamma) st = path_setting(ctx, &p, &grid[at], at, &to);
    }
    pathing_free(&p);
    return st;
}

/* ---- saving, loading ----------------------------------------------------------------------- */

static tw_status save(tw_ctx *ctx, const twi_head *head, twi_tensors *tensors, twi_json *json)
{
    const rbf_head *h = (const rbf_head *)head;
    const size_t k = head->k;
    void *data;
    tw_status st = twi_head_put_floats(ctx, tensors, "head.support", h->n_sv, head->d, h->support);
    if (st == TW_OK) st = twi_head_put(ctx, tensors, "head.dual_coef", k - 1, h->n_sv, h->coef);
    if (st == TW_OK) st = twi_head_put(ctx, tensors, "head.intercept", 0, h->pairs, h->intercept);
    if (st == TW_OK)
        st = twi_tensors_add(ctx, tensors, "head.n_support", TWI_I32, 1, &k, NULL, &data);
    if (st != TW_OK) return st;
    for (size_t c = 0; c < k; c++) ((int32_t *)data)[c] = (int32_t)(h->begin[c + 1] - h->begin[c]);
    return twi_json_set(json, "gamma", twi_json_number(h->gamma))
               ? TW_OK
               : twi_fail(ctx, TW_ERR_NOMEM, "no memory for the head's description");
}

/* begin [k + 1] out of the counts of the file, whose sum is the number of vectors. */
static tw_status load_counts(tw_ctx *ctx, const char *name, const twi_tensors *tensors, size_t k,
                             size_t *begin)
{
    const twi_tensor *t = twi_tensors_find(tensors, "head.n_support");
    if (!t || t->dtype != TWI_I32 || t->rank != 1 || t->dims[0] != k)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: tensor \"head.n_support\" is not I32 of shape [%zu]", name, k);
    begin[0] = 0;
    for (size_t c = 0; c < k; c++) {
        int32_t count;
        memcpy(&count, (const char *)t->data + c * sizeof count, sizeof count);
        if (count < 0)
            return twi_fail(ctx, TW_ERR_FORMAT, "%s: class %zu has %" PRId32 " support vectors",
                            name, c, count);
        begin[c + 1] = begin[c] + (size_t)count;
    }
    if (begin[k] == 0) return twi_fail(ctx, TW_ERR_FORMAT, "%s: no support vectors", name);
    return TW_OK;
}

static tw_status load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                      const twi_json *json, const twi_head *base, twi_head **out)
{
    const size_t k = base->k;
    twi_head whole = base_of(k, base->d);
    rbf_head *h = NULL;
    size_t *begin;
    tw_status st = twi_alloc(ctx, k + 1, &begin);
    if (st != TW_OK) return st;
    whole.iterations = base->iterations;
    whole.converged = base->converged;
    if ((st = load_counts(ctx, name, tensors, k, begin)) != TW_OK) goto done;
    const size_t n = begin[k];
    if ((st = head_new(ctx, &whole, n, &h)) != TW_OK) goto done;
    memcpy(h->begin, begin, (k + 1) * sizeof *begin);
    h->gamma = twi_json_as_number(twi_json_get(json, "gamma"), (double)NAN);
    if (!(h->gamma > 0.0) || !isfinite(h->gamma)) {
        st = twi_fail(ctx, TW_ERR_FORMAT, "%s: gamma of the head is not above 0", name);
        goto done;
    }
    st = twi_head_take_floats(ctx, name, tensors, "head.support", n, base->d, &h->support);
    if (st == TW_OK) st = twi_head_take(ctx, name, tensors, "head.dual_coef", k - 1, n, &h->coef);
    if (st == TW_OK)
        st = twi_head_take(ctx, name, tensors, "head.intercept", 0, h->pairs, &h->intercept);
    for (size_t v = 0; v < n && st == TW_OK; v++)
        h->square[v] = twi_square_of(h->support + v * base->d, base->d);
    if (st == TW_OK) *out = &h->base, h = NULL;
done:
    if (h) head_free(&h->base);
    twi_free(begin);
    return st;
}

const twi_head_type twi_head_svm_rbf = {
    .name = "svm-rbf",
    .summary = "support vector machine with a Gaussian kernel",
    .takes = TWI_TAKES_C | TWI_TAKES_GAMMA | TWI_TAKES_BALANCED | TWI_TAKES_LIMITS,
    .max_iter = SIZE_MAX,
    .tol = 1e-3,
    .grid = {1e-1, 1e0, 1e1, 1e2},
    .fit = fit,
    .decide = decide,
    .label = label,
    .score = score,
    .path = path,
    .save = save,
    .load = load,
    .free = head_free,
};
