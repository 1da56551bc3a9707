/* svm_rbf.c - SVC(kernel="rbf"): a support vector machine for each pair of classes on one Gaussian
 * kernel matrix.
 *
 * Signs, votes and scores are libsvm's and scikit-learn's: the machine of classes i < j is positive
 * for i, but with two classes the decision is turned, so that it is positive for the second. */
#include "learn/gram.h"
#include "learn/head.h"
#include "learn/smo.h"

#include "base/threads.h"

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

static double square_of(const float *x, size_t d)
{
    double sum[4] = {0};
    size_t j = 0;
    for (; j + 4 <= d; j += 4)
        for (size_t lane = 0; lane < 4; lane++)
            sum[lane] += (double)x[j + lane] * (double)x[j + lane];
    for (; j < d; j++) sum[0] += (double)x[j] * (double)x[j];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* ---- training ------------------------------------------------------------------------------ */

/* The rows of one fit, grouped by class in their own order. */
typedef struct training {
    const twi_samples *samples;
    size_t n, k, pairs;
    size_t *rows;   /* [n] of samples->x, grouped by class */
    size_t *begin;  /* [k + 1] */
    double *weight; /* [k] */
    twi_gram gram;  /* of the grouped rows */
    double *square; /* [n] */
} training;

static void training_free(training *t)
{
    twi_free(t->rows);
    twi_free(t->begin);
    twi_free(t->weight);
    twi_free(t->square);
    twi_gram_free(&t->gram);
}

static tw_status group(tw_ctx *ctx, training *t)
{
    const twi_samples *s = t->samples;
    size_t at = 0;
    for (size_t c = 0; c <= t->k; c++) {
        t->begin[c] = at;
        if (c == t->k) break;
        for (size_t i = 0; i < s->n; i++) {
            const size_t row = s->rows ? s->rows[i] : i;
            if (s->y[row] == c) t->rows[at++] = row;
        }
        if (at == t->begin[c])
            return twi_fail(ctx, TW_ERR_DATA,
                            "class %zu of %zu has no training sample; each needs at least 1", c,
                            t->k);
    }
    if (at < s->n)
        return twi_fail(ctx, TW_ERR_DATA, "a sample has a label that is none of %zu classes", t->k);
    return TW_OK;
}

/* The float diagonal of the Gram matrix, so that a row is at distance 0 of itself to the bit. */
static tw_status products_of(tw_ctx *ctx, training *t)
{
    const twi_samples *s = t->samples;
    const twi_rows rows = {.x = s->x, .index = t->rows, .n = t->n, .d = s->d, .stride = s->d};
    tw_status st = twi_gram_new(ctx, &rows, &t->gram);
    if (st == TW_OK) st = twi_alloc(ctx, t->n, &t->square);
    for (size_t i = 0; i < t->n && st == TW_OK; i++) {
        t->square[i] = (double)t->gram.k[i * t->gram.stride + i];
        if (!isfinite(t->square[i])) st = twi_finite(ctx, s);
        if (st == TW_OK && !isfinite(t->square[i]))
            st = twi_fail(ctx, TW_ERR_DIVERGED, "sample %zu is too large for a kernel", i);
    }
    return st;
}

static tw_status training_new(tw_ctx *ctx, const twi_samples *samples, bool balanced, training *out)
{
    training t = {.samples = samples,
                  .n = samples->n,
                  .k = samples->k,
                  .pairs = samples->k * (samples->k - 1) / 2};
    tw_status st;
    if (samples->n == 0 || samples->d == 0 || samples->k < 2)
        return twi_fail(ctx, TW_ERR_DATA,
                        "%zu training samples of %zu features in %zu classes; need at least 1, 1 "
                        "and 2",
                        samples->n, samples->d, samples->k);
    if ((st = twi_progress(ctx, "fit", 0, 0, 0)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, t.n, &t.rows)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, t.k + 1, &t.begin)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, t.k, &t.weight)) != TW_OK) goto done;
    if ((st = group(ctx, &t)) != TW_OK) goto done;
    for (size_t c = 0; c < t.k; c++)
        t.weight[c] =
            balanced ? (double)t.n / ((double)t.k * (double)(t.begin[c + 1] - t.begin[c])) : 1.0;
    if ((st = products_of(ctx, &t)) != TW_OK) goto done;
    *out = t, t = (training){0};
done:
    training_free(&t);
    return st;
}

/* gamma = "scale" is 1 / (d var), var over all entries; 1 where they are all the same. */
static double gamma_of(const training *t, double gamma)
{
    const twi_samples *s = t->samples;
    const double d = (double)s->d, cells = (double)t->n * d;
    if (gamma > 0.0) return gamma;
    if (gamma == TW_AUTO) return 1.0 / d;
    double mean = 0.0, var = 0.0;
    for (size_t i = 0; i < t->n; i++) {
        const float *x = s->x + t->rows[i] * s->d;
        double sum = 0.0;
        for (size_t j = 0; j < s->d; j++) sum += (double)x[j];
        mean += sum / cells;
    }
    for (size_t i = 0; i < t->n; i++) {
        const float *x = s->x + t->rows[i] * s->d;
        double sum = 0.0;
        for (size_t j = 0; j < s->d; j++) sum += ((double)x[j] - mean) * ((double)x[j] - mean);
        var += sum / cells;
    }
    return var > 0.0 ? 1.0 / (d * var) : 1.0;
}

typedef struct kernel_job {
    const float *products; /* [rows, stride] */
    size_t stride, columns;
    const double *left, *right; /* squares */
    double gamma;
    float *out; /* [rows, stride] */
} kernel_job;

static tw_status kernel_row(tw_ctx *ctx, void *user, size_t i)
{
    const kernel_job *j = user;
    const float *p = j->products + i * j->stride;
    float *out = j->out + i * j->stride;
    (void)ctx;
    for (size_t c = 0; c < j->columns; c++) {
        const double square = j->left[i] + j->right[c] - 2.0 * (double)p[c];
        out[c] = expf((float)(-j->gamma * (square > 0.0 ? square : 0.0)));
    }
    return TW_OK;
}

static tw_status kernel_of(tw_ctx *ctx, const kernel_job *job, size_t rows)
{
    const size_t threads = rows * job->columns < 100000 ? 1 : 0;
    return twi_parallel(ctx, threads, rows, kernel_row, (void *)job);
}

/* ---- all pairs ----------------------------------------------------------------------------- */

typedef struct solving {
    const training *t;
    const tw_head_opts *opts;
    const float *kernel; /* [n, gram.stride] */
    double *a;           /* [k - 1, n] a y, as libsvm's sv_coef; zeroed */
    double *intercept;   /* [pairs] */
    size_t *iterations;  /* [pairs] */
    bool *met;           /* [pairs] */
} solving;

/* The classes of machine number `pair`, i < j, counted row by row. */
static void classes_of(size_t k, size_t pair, size_t *i, size_t *j)
{
    for (*i = 0; pair >= k - 1 - *i; ++*i) pair -= k - 1 - *i;
    *j = *i + 1 + pair;
}

static tw_status solve_pair(tw_ctx *ctx, void *user, size_t pair)
{
    const solving *s = user;
    const training *t = s->t;
    size_t i, j;
    classes_of(t->k, pair, &i, &j);
    const size_t n_i = t->begin[i + 1] - t->begin[i], n = n_i + t->begin[j + 1] - t->begin[j];
    size_t *index = NULL;
    signed char *y = NULL;
    double *C = NULL, *a = NULL, rho;
    tw_status st = twi_alloc(ctx, n, &index);
    if (st == TW_OK) st = twi_alloc(ctx, n, &y);
    if (st == TW_OK) st = twi_alloc(ctx, n, &C);
    if (st == TW_OK) st = twi_alloc(ctx, n, &a);
    if (st != TW_OK) goto done;
    for (size_t r = 0; r < n; r++) {
        index[r] = r < n_i ? t->begin[i] + r : t->begin[j] + r - n_i;
        y[r] = r < n_i ? 1 : -1;
        C[r] = s->opts->C * t->weight[r < n_i ? i : j];
    }
    const twi_smo problem = {.kernel = s->kernel,
                             .stride = t->gram.stride,
                             .index = index,
                             .y = y,
                             .C = C,
                             .n = n,
                             .tol = s->opts->tol,
                             .max_iter = s->opts->max_iter};
    st = twi_smo_solve(ctx, &problem, a, &rho, &s->iterations[pair], &s->met[pair]);
    if (st != TW_OK) goto done;
    s->intercept[pair] = -rho;
    for (size_t r = 0; r < n; r++) /* a vector of i keeps its part against j in row j - 1 */
        s->a[(r < n_i ? j - 1 : i) * t->n + index[r]] = a[r] * (double)y[r];
done:
    twi_free(index);
    twi_free(y);
    twi_free(C);
    twi_free(a);
    return st;
}

static tw_status solve_all(tw_ctx *ctx, solving *s)
{
    return twi_parallel(ctx, 0, s->t->pairs, solve_pair, s);
}

static void warn(tw_ctx *ctx, const solving *s, bool *all_met, size_t *iterations)
{
    *all_met = true;
    *iterations = 0;
    for (size_t p = 0; p < s->t->pairs; p++) {
        *all_met = *all_met && s->met[p];
        *iterations += s->iterations[p];
    }
    if (!*all_met)
        twi_log(ctx, TW_LOG_WARNING,
                "Solver terminated early (max_iter=%zu). Consider pre-processing your data with "
                "StandardScaler or MinMaxScaler.",
                s->opts->max_iter);
}

static tw_status solving_new(tw_ctx *ctx, const training *t, const tw_head_opts *opts, solving *out)
{
    solving s = {.t = t, .opts = opts};
    size_t cells;
    if (twi_mul(t->k - 1, t->n, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu classes are too many", t->k);
    tw_status st = twi_zalloc(ctx, cells, &s.a);
    if (st == TW_OK) st = twi_alloc(ctx, t->pairs, &s.intercept);
    if (st == TW_OK) st = twi_zalloc(ctx, t->pairs, &s.iterations);
    if (st == TW_OK) st = twi_zalloc(ctx, t->pairs, &s.met);
    *out = s;
    return st;
}

static void solving_free(solving *s)
{
    twi_free(s->a);
    twi_free(s->intercept);
    twi_free(s->iterations);
    twi_free(s->met);
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
static tw_status keep_support(tw_ctx *ctx, const solving *s, rbf_head **out)
{
    const training *t = s->t;
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
            h->square[at] = square_of(h->support + at * d, d);
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
    training t = {0};
    solving s = {0};
    rbf_head *h = NULL;
    (void)scaler;
    tw_status st = training_new(ctx, samples, opts->balanced != 0, &t);
    if (st != TW_OK) return st;
    const double gamma = gamma_of(&t, opts->gamma);
    const kernel_job job = {t.gram.k, t.gram.stride, t.n, t.square, t.square, gamma, t.gram.k};
    if ((st = kernel_of(ctx, &job, t.n)) != TW_OK) goto done; /* in place */
    if ((st = solving_new(ctx, &t, opts, &s)) != TW_OK) goto done;
    s.kernel = t.gram.k;
    if ((st = solve_all(ctx, &s)) != TW_OK) goto done;
    if ((st = keep_support(ctx, &s, &h)) != TW_OK) goto done;
    h->gamma = gamma;
    warn(ctx, &s, &h->base.converged, &h->base.iterations);
    *out = &h->base;
done:
    solving_free(&s);
    training_free(&t);
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
    for (size_t i = 0; i < n; i++) square[i] = square_of(x + i * d, d);
    if ((st = twi_products_new(ctx, &a, &b, &products)) != TW_OK) goto done;
    const kernel_job job = {products.p, products.stride, h->n_sv,   square,
                            h->square,  h->gamma,        products.p};
    if ((st = kernel_of(ctx, &job, n)) == TW_OK) {
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
    training t;
    twi_products tested; /* tested rows with grouped training rows */
    double *square;      /* [tested] */
    float *kernel, *tested_kernel;
} pathing;

static void pathing_free(pathing *p)
{
    training_free(&p->t);
    twi_products_free(&p->tested);
    twi_free(p->square);
    twi_free(p->kernel);
    twi_free(p->tested_kernel);
}

static tw_status pathing_new(tw_ctx *ctx, const twi_samples *train, const twi_samples *tested,
                             bool balanced, pathing *p)
{
    const size_t d = train->d;
    tw_status st = training_new(ctx, train, balanced, &p->t);
    if (st != TW_OK) return st;
    const twi_rows a = {.x = tested->x, .index = tested->rows, .n = tested->n, .d = d, .stride = d};
    const twi_rows b = {.x = train->x, .index = p->t.rows, .n = train->n, .d = d, .stride = d};
    if ((st = twi_products_new(ctx, &a, &b, &p->tested)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, tested->n, &p->square)) != TW_OK) return st;
    for (size_t i = 0; i < tested->n; i++)
        p->square[i] = square_of((const float *)twi_row(&a, i), d);
    st = twi_alloc(ctx, p->t.n * p->t.gram.stride, &p->kernel);
    return st != TW_OK ? st : twi_alloc(ctx, tested->n * p->tested.stride, &p->tested_kernel);
}

static tw_status path_setting(tw_ctx *ctx, const pathing *p, const tw_head_opts *opts, size_t at,
                              const twi_path_user *to)
{
    const training *t = &p->t;
    twi_head shape = base_of(t->k, t->samples->d);
    double *decision = NULL;
    solving s = {0};
    tw_status st = solving_new(ctx, t, opts, &s);
    s.kernel = p->kernel;
    if (st == TW_OK) st = solve_all(ctx, &s);
    if (st == TW_OK) st = twi_alloc(ctx, p->tested.m * shape.width, &decision);
    if (st != TW_OK) goto done;
    warn(ctx, &s, &shape.converged, &shape.iterations);
    const summing sum = {p->tested_kernel, p->tested.stride, t->k, t->n, t->begin, s.a,
                         s.intercept,      decision};
    for (size_t i = 0; i < p->tested.m; i++) sum_row(&sum, i);
    st = to->take(ctx, to->user, at, &shape, decision);
done:
    twi_free(decision);
    solving_free(&s);
    return st;
}

static tw_status set_gamma(tw_ctx *ctx, const pathing *p, double gamma)
{
    const training *t = &p->t;
    const kernel_job own = {t->gram.k, t->gram.stride, t->n,     t->square,
                            t->square, gamma,          p->kernel};
    const kernel_job other = {p->tested.p, p->tested.stride, t->n, p->square, t->square,
                              gamma,       p->tested_kernel};
    const tw_status st = kernel_of(ctx, &own, t->n);
    return st != TW_OK ? st : kernel_of(ctx, &other, p->tested.m);
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
        st = set_gamma(ctx, &p, gamma_of(&p.t, grid[first].gamma));
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
        h->square[v] = square_of(h->support + v * base->d, base->d);
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
