/* hinge.c - LinearSVC(loss="hinge") by dual coordinate descent over dense rows.
 *
 * min 1/2 |w|^2 + sum_i C_i max(0, 1 - t_i w . z_i), z with a feature 1 added; its dual is
 * min 1/2 a' Q a - sum a, 0 <= a_i <= C_i, and w = sum_i a_i t_i z_i. One a_i at a time is
 * minimised exactly: Hsieh, Chang, Lin, Keerthi & Sundararajan (2008), algorithm 3 with its
 * shrinking. With the Gram matrix, which all classes share, a look at an a_i costs nothing and a
 * step n; without, both cost d. Classes run side by side. */
#include "learn/doubles.h"
#include "learn/gram.h"
#include "learn/training.h"

#include "base/rng.h"
#include "base/threads.h"

#include <math.h>
#include <string.h>

#define GAP        1e-6
#define GRAM_BYTES ((size_t)512 << 20)

/* One class against the rest. Exactly one of gram and z is there. */
typedef struct dual {
    const twi_doubles *loops;
    const twi_gram *gram; /* of rows with a feature 1 added */
    const float *z;       /* [n, d] */
    const double *size;   /* [n] Q_ii */
    size_t n, d;
    double *t, *C; /* [n] */
    double *a;     /* [n] in [0, C] */
    double *u;     /* [n] scores, with gram */
    double *w;     /* [d + 1], without */
    size_t *order; /* [n] the active ones first */
    uint32_t seed;
} dual;

static double score(const dual *s, size_t i)
{
    return s->gram ? s->u[i] : s->loops->floats_dot(s->z + i * s->d, s->w, s->d) + s->w[s->d];
}

/* a_i grows by step: moves the scores, or the weights. */
static void move(const dual *s, size_t i, double step)
{
    const double by = step * s->t[i];
    s->a[i] += step;
    if (s->gram) {
        s->loops->floats_axpy(by, s->gram->k + i * s->gram->stride, s->n, s->u);
        return;
    }
    s->loops->floats_axpy(by, s->z + i * s->d, s->d, s->w);
    s->w[s->d] += by;
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
    float *z;          /* [n, d] where there is no gram */
    double *size;      /* [n] */
    twi_pass pass;     /* residual [n, width]: a t of each class */
    double *objective; /* [width] */
    size_t *rounds;    /* [width] */
    bool *met;         /* [width] */
} fitting;

/* liblinear weighs the rest only when there are two classes. */
static void set_targets(const fitting *f, size_t c, dual *s)
{
    const twi_targets *targets = &f->training->targets;
    for (size_t i = 0; i < targets->n; i++) {
        const uint32_t y = targets->y[targets->rows ? targets->rows[i] : i];
        const bool own = targets->width == 1 ? y == 1 : y == c;
        s->t[i] = own ? 1.0 : -1.0;
        s->C[i] = f->opts->C * (own || targets->width == 1 ? targets->weight[y] : 1.0);
    }
}

static tw_status fit_class(tw_ctx *ctx, void *user, size_t c)
{
    const fitting *f = user;
    const size_t n = f->training->rows.n, d = f->training->rows.d, width = f->pass.k;
    dual s = {.loops = twi_doubles_best(),
              .gram = f->z ? NULL : &f->gram,
              .z = f->z,
              .size = f->size,
              .n = n,
              .d = d,
              .seed = f->opts->seed};
    tw_status st;
    if ((st = twi_alloc(ctx, n, &s.t)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, n, &s.C)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, n, &s.a)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, n, &s.order)) != TW_OK) goto done;
    if (s.gram && (st = twi_zalloc(ctx, n, &s.u)) != TW_OK) goto done;
    if (s.z && (st = twi_zalloc(ctx, d + 1, &s.w)) != TW_OK) goto done;
    set_targets(f, c, &s);
    if ((st = descend(ctx, &s, f->opts->max_iter, &f->rounds[c], &f->met[c])) != TW_OK) goto done;
    (void)gap(&s, &f->objective[c]);
    if (!isfinite(f->objective[c])) st = twi_fail(ctx, TW_ERR_DIVERGED, "the loss is not finite");
    for (size_t i = 0; i < n; i++) f->pass.residual[i * width + c] = s.a[i] * s.t[i];
done:
    twi_free(s.t);
    twi_free(s.C);
    twi_free(s.a);
    twi_free(s.order);
    twi_free(s.u);
    twi_free(s.w);
    return st;
}

/* More rows than features: steps of d are cheaper than those of n, and need no Gram matrix. */
static tw_status prepare(tw_ctx *ctx, fitting *f)
{
    const twi_rows *rows = &f->training->rows;
    const size_t n = rows->n, d = rows->d, width = f->training->targets.width;
    size_t cells;
    tw_status st;
    if ((st = twi_pass_new(ctx, rows, width, &f->pass)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, n, &f->size)) != TW_OK) return st;
    if ((st = twi_alloc(ctx, width, &f->objective)) != TW_OK) return st;
    if ((st = twi_zalloc(ctx, width, &f->rounds)) != TW_OK) return st;
    if ((st = twi_zalloc(ctx, width, &f->met)) != TW_OK) return st;
    if (n <= d && !twi_mul(n, n, &cells) && cells <= GRAM_BYTES / sizeof(float)) {
        if ((st = twi_gram_new(ctx, rows, &f->gram)) != TW_OK) return st;
        twi_gram_add_one(&f->gram);
        for (size_t i = 0; i < n; i++) f->size[i] = (double)f->gram.k[i * f->gram.stride + i];
        return TW_OK;
    }
    const twi_kernels *kernels = twi_kernels_best();
    if (twi_mul(n, d, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu samples of %zu features do not fit", n, d);
    if ((st = twi_alloc(ctx, cells, &f->z)) != TW_OK) return st;
    for (size_t i = 0; i < n; i++) {
        float *z = f->z + i * d;
        kernels->standardise(twi_row(rows, i), d, rows->shift, z);
        f->size[i] = 1.0;
        for (size_t j = 0; j < d; j++) f->size[i] += (double)z[j] * (double)z[j];
    }
    return TW_OK;
}

static void fitting_free(fitting *f)
{
    twi_pass_free(&f->pass);
    twi_gram_free(&f->gram);
    twi_free(f->z);
    twi_free(f->size);
    twi_free(f->objective);
    twi_free(f->rounds);
    twi_free(f->met);
}

/* Weights w = sum_i a_i t_i z_i, of which the last is that of the feature 1. */
static tw_status hand_over(tw_ctx *ctx, fitting *f, twi_logreg *out)
{
    const twi_targets *targets = &f->training->targets;
    const size_t width = targets->width, d = f->training->rows.d;
    twi_logreg model = {.k = targets->k, .d = d, .rows = width, .gradient = NAN, .converged = true};
    tw_status st;
    if ((st = twi_alloc(ctx, width * d, &model.coef)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, width, &model.intercept)) != TW_OK) goto done;
    for (size_t c = 0; c < width; c++) {
        for (size_t i = 0; i < targets->n; i++)
            model.intercept[c] += f->pass.residual[i * width + c];
        model.objective += f->objective[c];
        model.iterations = f->rounds[c] > model.iterations ? f->rounds[c] : model.iterations;
        model.converged &= f->met[c];
    }
    if ((st = twi_pass_sums(ctx, &f->pass, model.coef)) != TW_OK) goto done;
    if (!model.converged)
        twi_log(ctx, TW_LOG_WARNING,
                "Liblinear failed to converge, increase the number of iterations (max_iter, now "
                "%zu).",
                f->opts->max_iter);
    *out = model, model = (twi_logreg){0};
done:
    twi_logreg_free(&model);
    return st;
}

tw_status twi_hinge_fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                        const tw_head_opts *opts, twi_logreg *out)
{
    twi_training training = {0};
    fitting f = {.training = &training, .opts = opts};
    tw_status st = twi_finite(ctx, samples);
    if (st != TW_OK) return st;
    st = twi_training_new(ctx, samples, scaler, opts->balanced != 0, TWI_LOSS_SQUARED_HINGE,
                          &training);
    if (st != TW_OK) goto done;
    if ((st = prepare(ctx, &f)) != TW_OK) goto done;
    const size_t threads = training.rows.n * training.rows.d < TWI_WORTH_A_THREAD / 64 ? 1 : 0;
    if ((st = twi_parallel(ctx, threads, f.pass.k, fit_class, &f)) != TW_OK) goto done;
    st = hand_over(ctx, &f, out);
done:
    fitting_free(&f);
    twi_training_free(&training);
    return st;
}
