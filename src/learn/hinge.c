/* hinge.c - LinearSVC(loss="hinge") by dual coordinate descent over dense rows.
 *
 * min 1/2 |w|^2 + sum_i C_i max(0, 1 - t_i w . z_i), z with a feature 1 added; its dual is
 * min 1/2 a' Q a - sum a, 0 <= a_i <= C_i, and w = sum_i a_i t_i z_i. One a_i at a time is
 * minimised exactly: Hsieh, Chang, Lin, Keerthi & Sundararajan (2008), algorithm 3 with its
 * shrinking. Where the Gram matrix fits, a step costs n and all classes share it; else a step costs
 * d. */
#include "learn/gram.h"
#include "learn/training.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

#define GAP        1e-6
#define GRAM_BYTES ((size_t)512 << 20)

/* One class against the rest. Exactly one of gram and z is there. */
typedef struct dual {
    const twi_gram *gram; /* of rows with a feature 1 added */
    const float *z;       /* [n, d] */
    size_t n, d;
    const double *t, *C; /* [n] */
    double *a;           /* [n] in [0, C] */
    double *u;           /* [n] scores, with gram */
    double *w;           /* [d + 1], without */
    double *size;        /* [n] Q_ii */
    size_t *order;       /* [n] the active ones first */
    uint32_t seed;
} dual;

static double dot(size_t n, const float *x, const double *w)
{
    double sum[8] = {0};
    size_t j = 0;
    for (; j + 8 <= n; j += 8)
        for (size_t lane = 0; lane < 8; lane++) sum[lane] += (double)x[j + lane] * w[j + lane];
    for (; j < n; j++) sum[0] += (double)x[j] * w[j];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static double score(const dual *s, size_t i)
{
    return s->gram ? s->u[i] : dot(s->d, s->z + i * s->d, s->w) + s->w[s->d];
}

/* a_i grows by step: moves the scores, or the weights. */
static void move(const dual *s, size_t i, double step)
{
    const double by = step * s->t[i];
    s->a[i] += step;
    const float *row = s->gram ? s->gram->k + i * s->gram->stride : s->z + i * s->d;
    double *to = s->gram ? s->u : s->w;
    const size_t count = s->gram ? s->n : s->d;
    for (size_t j = 0; j < count; j++) to[j] += by * (double)row[j];
    if (!s->gram) s->w[s->d] += by;
}

/* One round over the active ones in random order. Bounds of the projected gradient of the last
 * round, *high and *low, say which may leave; they come back as this round's. */
static void round_over(const dual *s, twi_rng *rng, size_t *active, double *high, double *low)
{
    double top = -INFINITY, bottom = INFINITY;
    for (size_t i = 0; i < *active; i++) {
        const size_t j = i + twi_rng_interval(rng, (uint32_t)(*active - i - 1));
        const size_t kept = s->order[i];
        s->order[i] = s->order[j];
        s->order[j] = kept;
    }
    for (size_t at = 0; at < *active; at++) {
        const size_t i = s->order[at];
        const double g = s->t[i] * score(s, i) - 1.0;
        const bool at_zero = s->a[i] == 0.0, at_most = s->a[i] == s->C[i];
        if ((at_zero && g > *high) || (at_most && g < *low)) {
            s->order[at] = s->order[--*active]; /* shrunk: its place is taken */
            s->order[*active] = i;
            at--;
            continue;
        }
        const double projected = at_zero ? fmin(g, 0.0) : at_most ? fmax(g, 0.0) : g;
        top = fmax(top, projected);
        bottom = fmin(bottom, projected);
        if (fabs(projected) < 1e-15) continue;
        const double wanted = fmin(fmax(s->a[i] - g / s->size[i], 0.0), s->C[i]);
        if (wanted != s->a[i]) move(s, i, wanted - s->a[i]);
        if (fabs(wanted - s->C[i]) < 1e-15 * s->C[i]) s->a[i] = s->C[i];
    }
    *high = top <= 0.0 ? INFINITY : top;
    *low = bottom >= 0.0 ? -INFINITY : bottom;
}

/* Primal minus dual objective over the primal, from the scores at hand. */
static double gap(const dual *s, double *objective)
{
    double square = 0.0, loss = 0.0, sum = 0.0;
    for (size_t i = 0; i < s->n; i++) {
        const double u = score(s, i);
        loss += s->C[i] * fmax(0.0, 1.0 - s->t[i] * u);
        square += s->a[i] * s->t[i] * u;
        sum += s->a[i];
    }
    *objective = 0.5 * square + loss;
    return (*objective - (sum - 0.5 * square)) / fmax(*objective, 1e-300);
}

/* Rounds until the gap is met; every tenth all are looked at again. */
static tw_status descend(tw_ctx *ctx, const dual *s, size_t max_iter, size_t *rounds, bool *met)
{
    twi_rng rng;
    size_t active = s->n;
    double high = INFINITY, low = -INFINITY, objective;
    twi_rng_seed(&rng, s->seed);
    for (size_t i = 0; i < s->n; i++) s->order[i] = i;
    for (*rounds = 0, *met = false; *rounds < max_iter && !*met; ++*rounds) {
        const tw_status st = twi_progress(ctx, "fit", *rounds, max_iter, 0);
        if (st != TW_OK) return st;
        round_over(s, &rng, &active, &high, &low);
        if (*rounds % 10 != 9 && active > 0 && high - low > 0.0 && isfinite(high - low)) continue;
        *met = gap(s, &objective) <= GAP;
        active = s->n;
        high = INFINITY;
        low = -INFINITY;
    }
    return TW_OK;
}

/* ---- all classes --------------------------------------------------------------------------- */

typedef struct fitting {
    const twi_training *training;
    const tw_head_opts *opts;
    twi_gram gram;
    float *z;     /* [n, d] where there is no gram */
    twi_pass one; /* a single score a row, for weights from coefficients */
    dual dual;
    double *t, *C; /* [n] */
    twi_logreg *model;
} fitting;

/* liblinear weighs the rest only when there are two classes. */
static void set_targets(fitting *f, size_t c)
{
    const twi_targets *targets = &f->training->targets;
    for (size_t i = 0; i < targets->n; i++) {
        const uint32_t y = targets->y[targets->rows ? targets->rows[i] : i];
        const bool own = targets->width == 1 ? y == 1 : y == c;
        f->t[i] = own ? 1.0 : -1.0;
        f->C[i] = f->opts->C * (own || targets->width == 1 ? targets->weight[y] : 1.0);
    }
}

static tw_status fit_class(tw_ctx *ctx, fitting *f, size_t c, bool *met)
{
    const size_t n = f->dual.n, d = f->training->rows.d;
    dual *s = &f->dual;
    size_t rounds;
    double objective;
    set_targets(f, c);
    memset(s->a, 0, n * sizeof *s->a);
    if (s->u) memset(s->u, 0, n * sizeof *s->u);
    if (s->w) memset(s->w, 0, (d + 1) * sizeof *s->w);
    tw_status st = descend(ctx, s, f->opts->max_iter, &rounds, met);
    if (st != TW_OK) return st;
    (void)gap(s, &objective);
    if (!isfinite(objective)) return twi_fail(ctx, TW_ERR_DIVERGED, "the loss is not finite");
    f->model->objective += objective;
    f->model->iterations = rounds > f->model->iterations ? rounds : f->model->iterations;
    f->model->intercept[c] = 0.0;
    for (size_t i = 0; i < n; i++) {
        f->one.residual[i] = s->a[i] * s->t[i];
        f->model->intercept[c] += f->one.residual[i];
    }
    return twi_pass_sums(ctx, &f->one, f->model->coef + c * d);
}

static tw_status prepare(tw_ctx *ctx, fitting *f)
{
    const twi_rows *rows = &f->training->rows;
    const size_t n = rows->n, d = rows->d;
    dual *s = &f->dual;
    size_t cells;
    tw_status st;
    if ((st = twi_pass_new(ctx, rows, 1, &f->one)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, n, &f->t)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, n, &f->C)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, n, &s->a)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, n, &s->size)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, n, &s->order)) != TW_OK) return st;
    s->n = n, s->d = d, s->t = f->t, s->C = f->C, s->seed = f->opts->seed;
    if (!twi_mul(n, n, &cells) && cells <= GRAM_BYTES / sizeof(float)) {
        if ((st = twi_gram_new(ctx, rows, &f->gram)) != TW_OK) return st;
        twi_gram_add_one(&f->gram);
        s->gram = &f->gram;
        for (size_t i = 0; i < n; i++) s->size[i] = (double)f->gram.k[i * f->gram.stride + i];
        return twi_alloc(ctx, n, &s->u);
    }
    const twi_kernels *kernels = twi_kernels_best();
    if (twi_mul(n, d, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu samples of %zu features do not fit", n, d);
    if ((st = twi_alloc(ctx, cells, &f->z)) != TW_OK) return st;
    for (size_t i = 0; i < n; i++) {
        float *z = f->z + i * d;
        kernels->standardise(twi_row(rows, i), d, rows->shift, z);
        s->size[i] = 1.0;
        for (size_t j = 0; j < d; j++) s->size[i] += (double)z[j] * (double)z[j];
    }
    s->z = f->z;
    return twi_alloc(ctx, d + 1, &s->w);
}

static void fitting_free(fitting *f)
{
    twi_pass_free(&f->one);
    twi_gram_free(&f->gram);
    twi_free(f->z);
    twi_free(f->t);
    twi_free(f->C);
    twi_free(f->dual.a);
    twi_free(f->dual.u);
    twi_free(f->dual.w);
    twi_free(f->dual.size);
    twi_free(f->dual.order);
}

tw_status twi_hinge_fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                        const tw_head_opts *opts, twi_logreg *out)
{
    twi_training training = {0};
    twi_logreg model = {0};
    fitting f = {.training = &training, .opts = opts, .model = &model};
    size_t missed = 0;
    tw_status st = twi_finite(ctx, samples);
    if (st != TW_OK) return st;
    st = twi_training_new(ctx, samples, scaler, opts->balanced != 0, TWI_LOSS_SQUARED_HINGE,
                          &training);
    if (st != TW_OK) goto done;
    const size_t width = training.targets.width;
    model = (twi_logreg){.k = samples->k, .d = samples->d, .rows = width, .gradient = NAN};
    if ((st = prepare(ctx, &f)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, width * samples->d, &model.coef)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, width, &model.intercept)) != TW_OK) goto done;
    for (size_t c = 0; c < width; c++) {
        bool met;
        if ((st = fit_class(ctx, &f, c, &met)) != TW_OK) goto done;
        missed += !met;
    }
    model.converged = missed == 0;
    if (missed > 0)
        twi_log(ctx, TW_LOG_WARNING,
                "Liblinear failed to converge, increase the number of iterations (max_iter, now "
                "%zu).",
                opts->max_iter);
    *out = model, model = (twi_logreg){0};
done:
    fitting_free(&f);
    twi_logreg_free(&model);
    twi_training_free(&training);
    return st;
}
