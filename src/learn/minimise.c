/* minimise.c - limited-memory BFGS: Nocedal & Wright (2006), algorithms 7.4 and 7.5. */
#include "learn/minimise.h"

#include <math.h>
#include <string.h>

#define HISTORY 10 /* scipy's m */

typedef struct state {
    const twi_problem *problem;
    twi_search *search;
    size_t n;
    double *x, *g; /* the caller's */
    double *direction, *trial, *trial_g;
    double *s[HISTORY], *y[HISTORY]; /* steps and gradient differences, a ring */
    double curvature[HISTORY];       /* s . y */
    double gamma;                    /* H0 = gamma I */
    size_t pairs, next;
} state;

static double inner(const state *st, const double *a, const double *b)
{
    return st->problem->inner(st->problem->self, a, b);
}

static void add_scaled(size_t n, double a, const double *restrict x, double *restrict y)
{
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* direction = -H g by the two-loop recursion (algorithm 7.4). */
static void find_direction(state *st)
{
    double alpha[HISTORY], *q = st->direction;
    memcpy(q, st->g, st->n * sizeof *q);
    for (size_t back = 1; back <= st->pairs; back++) {
        const size_t i = (st->next + HISTORY - back) % HISTORY;
        alpha[i] = inner(st, st->s[i], q) / st->curvature[i];
        add_scaled(st->n, -alpha[i], st->y[i], q);
    }
    for (size_t i = 0; i < st->n; i++) q[i] *= -st->gamma;
    for (size_t back = st->pairs; back >= 1; back--) {
        const size_t i = (st->next + HISTORY - back) % HISTORY;
        const double beta = inner(st, st->y[i], q) / st->curvature[i];
        add_scaled(st->n, -alpha[i] - beta, st->s[i], q);
    }
}

/* Keeps the pair of the step just taken (trial - x). */
static void remember(state *st)
{
    double *s = st->s[st->next], *y = st->y[st->next];
    for (size_t i = 0; i < st->n; i++) {
        s[i] = st->trial[i] - st->x[i];
        y[i] = st->trial_g[i] - st->g[i];
    }
    const double sy = inner(st, s, y), yy = inner(st, y, y);
    if (!(yy > 0.0) || !(sy > 1e-16 * yy)) return; /* rounding: such a pair would spoil H */
    st->curvature[st->next] = sy;
    st->gamma = sy / yy; /* eq. 7.20 */
    st->next = (st->next + 1) % HISTORY;
    if (st->pairs < HISTORY) st->pairs++;
}

/* ---- line search --------------------------------------------------------------------------- */

typedef struct point {
    double t, f, slope;
} point;

static tw_status probe(tw_ctx *ctx, state *st, double t, point *out)
{
    for (size_t i = 0; i < st->n; i++) st->trial[i] = st->x[i] + t * st->direction[i];
    const tw_status status =
        st->problem->evaluate(ctx, st->problem->self, st->trial, &out->f, st->trial_g);
    if (status != TW_OK) return status;
    st->search->evaluations++;
    out->t = t;
    out->slope = inner(st, st->trial_g, st->direction);
    return TW_OK;
}

/* The minimum of the cubic through two points with slopes (eq. 3.59), kept well inside the
 * interval. */
static double between(point a, point b)
{
    const double width = b.t - a.t;
    const double d1 = a.slope + b.slope - 3.0 * (a.f - b.f) / (a.t - b.t);
    const double square = d1 * d1 - a.slope * b.slope;
    double t = 0.5 * (a.t + b.t);
    if (square >= 0.0) {
        const double d2 = copysign(sqrt(square), width);
        const double cubic = b.t - width * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
        if (isfinite(cubic)) t = cubic;
    }
    const double low = fmin(a.t, b.t), high = fmax(a.t, b.t), margin = 0.1 * (high - low);
    return fmin(fmax(t, low + margin), high - margin);
}

/* A step with the strong Wolfe conditions (3.7), or Hager & Zhang's approximate ones (2005,
 * eq. 4.1) where f differs only by its rounding error. *found is false when there is none to be
 * had. */
static tw_status line_search(tw_ctx *ctx, state *st, double first, bool *found)
{
    const double decrease = 1e-4, flatten = 0.9, noise = 1e-7 * fabs(st->search->f);
    const point start = {0.0, st->search->f, inner(st, st->g, st->direction)};
    *found = false;
    if (!(start.slope < 0.0)) return TW_OK;
    point low = start, high = start, at;
    bool bracketed = false;
    double t = first;
    for (int tries = 0; tries < 40; tries++) {
        const tw_status status = probe(ctx, st, t, &at);
        if (status != TW_OK) return status;
        const bool lower = at.f <= start.f + decrease * t * start.slope;
        const bool nearly =
            at.f <= start.f + noise && at.slope <= (2.0 * decrease - 1.0) * start.slope;
        const bool flat = fabs(at.slope) <= -flatten * start.slope;
        if ((lower || nearly) && flat) {
            *found = true;
            st->search->f = at.f;
            return TW_OK;
        }
        if (!(lower || nearly) || (bracketed && at.f > low.f + noise) || at.slope >= 0.0) {
            high = at;
            bracketed = true;
        } else {
            low = at;
        }
        t = bracketed ? between(low, high) : 4.0 * t;
        if (!isfinite(t) || (bracketed && fabs(high.t - low.t) <= 1e-12 * fabs(high.t))) break;
    }
    return TW_OK;
}

/* ---- the loop ------------------------------------------------------------------------------ */

static tw_status report(tw_ctx *ctx, const twi_search *search)
{
    if (search->stage)
        return twi_progress(ctx, search->stage, search->done + search->iterations,
                            search->done + search->max_iter, 0);
    return twi_cancelled(ctx) ? twi_fail(ctx, TW_ERR_CANCELLED, "stopped as asked") : TW_OK;
}

static void forget(state *st)
{
    st->pairs = 0;
    st->next = 0;
    st->gamma = st->search->scale > 0.0 ? st->search->scale : 1.0;
}

static tw_status iterate(tw_ctx *ctx, state *st)
{
    twi_search *search = st->search;
    const twi_problem *problem = st->problem;
    tw_status status = problem->evaluate(ctx, problem->self, st->x, &search->f, st->g);
    if (status != TW_OK) return status;
    search->evaluations++;
    for (;;) {
        search->end = TWI_END_MET;
        if (problem->good_enough(problem->self, st->x, search->f, st->g)) return TW_OK;
        search->end = TWI_END_LIMIT;
        if (search->iterations >= search->max_iter) return TW_OK;
        if ((status = report(ctx, search)) != TW_OK) return status;
        find_direction(st);
        /* With no pairs nothing is known of the scale: a first step of length one. */
        const double first =
            st->pairs > 0 || search->scale > 0.0 ? 1.0 : 1.0 / sqrt(inner(st, st->g, st->g));
        bool found;
        if ((status = line_search(ctx, st, first, &found)) != TW_OK) return status;
        if (!found) {
            if (st->pairs > 0 ||
                search->scale >
                    0.0) { /* rounding may have spoiled H: once more along the gradient */
                search->scale = 0.0;
                forget(st);
                continue;
            }
            search->end = TWI_END_PRECISION;
            return problem->evaluate(ctx, problem->self, st->x, &search->f, st->g);
        }
        remember(st);
        memcpy(st->x, st->trial, st->n * sizeof *st->x);
        memcpy(st->g, st->trial_g, st->n * sizeof *st->g);
        search->iterations++;
    }
}

tw_status twi_minimise(tw_ctx *ctx, const twi_problem *problem, twi_search *search, double *x,
                       double *gradient)
{
    state st = {.problem = problem, .search = search, .n = problem->length, .x = x, .g = gradient};
    size_t count;
    double *memory;
    if (twi_mul(st.n, 3 + 2 * HISTORY, &count))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu unknowns do not fit in memory", st.n);
    tw_status status = twi_alloc(ctx, count, &memory);
    if (status != TW_OK) return status;
    st.direction = memory;
    st.trial = memory + st.n;
    st.trial_g = memory + 2 * st.n;
    for (size_t i = 0; i < HISTORY; i++) {
        st.s[i] = memory + (3 + 2 * i) * st.n;
        st.y[i] = memory + (4 + 2 * i) * st.n;
    }
    forget(&st);
    search->iterations = 0;
    search->evaluations = 0;
    status = iterate(ctx, &st);
    search->scale = st.pairs > 0 ? st.gamma : search->scale;
    twi_free(memory);
    return status;
}
