/* smo.c - sequential minimal optimisation with second-order working sets: Fan, Chen & Lin (2005),
 * algorithm 2 (WSS 2) and section 4 for the stopping rule; libsvm's tau and rho.
 *
 * libsvm itself would do, but for what it asks of a host: 16 bytes a value of a precomputed kernel,
 * rand(), printing, and no way to stop it. */
#include "learn/smo.h"

#include <math.h>
#include <string.h>

#define TAU 1e-12

typedef struct state {
    const twi_smo *p;
    double *a, *gradient; /* [n] */
    float *row[2];        /* [n] k(i, .), k(j, .) over index */
} state;

static bool may_grow(const state *s, size_t t) /* y_t a_t may grow */
{
    return s->p->y[t] > 0 ? s->a[t] < s->p->C[t] : s->a[t] > 0.0;
}

static bool may_fall(const state *s, size_t t)
{
    return s->p->y[t] > 0 ? s->a[t] > 0.0 : s->a[t] < s->p->C[t];
}

static double at(const twi_smo *p, size_t i, size_t j)
{
    return (double)p->kernel[p->index[i] * p->stride + p->index[j]];
}

static void fetch(const state *s, size_t i, float *row)
{
    const twi_smo *p = s->p;
    const float *k = p->kernel + p->index[i] * p->stride;
    for (size_t t = 0; t < p->n; t++) row[t] = k[p->index[t]];
}

/* The pair to move, i by the largest violation and j by the largest decrease it promises. False:
 * nothing violates by more than tol. The row of i is fetched. */
static bool choose(state *s, size_t *out_i, size_t *out_j)
{
    const twi_smo *p = s->p;
    double top = -INFINITY, bottom = INFINITY, best = INFINITY;
    size_t i = p->n, j = p->n;
    for (size_t t = 0; t < p->n; t++) {
        const double v = -(double)p->y[t] * s->gradient[t];
        if (v > top && may_grow(s, t)) top = v, i = t;
    }
    if (i == p->n) return false;
    fetch(s, i, s->row[0]);
    const double ii = (double)s->row[0][i];
    for (size_t t = 0; t < p->n; t++) {
        if (!may_fall(s, t)) continue;
        const double v = -(double)p->y[t] * s->gradient[t], b = top - v;
        bottom = fmin(bottom, v);
        if (!(b > 0.0)) continue;
        const double bend = ii + at(p, t, t) - 2.0 * (double)s->row[0][t];
        const double gain = -(b * b) / (bend > 0.0 ? bend : TAU);
        if (gain < best) best = gain, j = t;
    }
    *out_i = i;
    *out_j = j;
    return top - bottom > p->tol && j < p->n;
}

/* Moves a_i and a_j along y' a = 0 to the minimum between their bounds. */
static void move(state *s, size_t i, size_t j)
{
    const twi_smo *p = s->p;
    fetch(s, j, s->row[1]);
    const double yi = p->y[i], yj = p->y[j];
    const double bend = at(p, i, i) + at(p, j, j) - 2.0 * (double)s->row[0][j];
    /* In units of y a: that of i grows by step, that of j falls by as much. */
    double step = (-yi * s->gradient[i] + yj * s->gradient[j]) / (bend > 0.0 ? bend : TAU);
    const double room_i = yi > 0.0 ? p->C[i] - s->a[i] : s->a[i];
    const double room_j = yj > 0.0 ? s->a[j] : p->C[j] - s->a[j];
    const bool full_i = room_i <= step, full_j = room_j <= step;
    step = fmin(step, fmin(room_i, room_j));
    s->a[i] += yi * step;
    s->a[j] -= yj * step;
    /* Bounds are met to the bit, so that a support vector is one or is none. */
    if (full_i && room_i <= room_j) s->a[i] = yi > 0.0 ? p->C[i] : 0.0;
    if (full_j && room_j <= room_i) s->a[j] = yj > 0.0 ? 0.0 : p->C[j];
    for (size_t t = 0; t < p->n; t++)
        s->gradient[t] += step * (double)p->y[t] * ((double)s->row[0][t] - (double)s->row[1][t]);
}

/* Mean of y G over the free ones; with none, the middle of what the bounds allow. */
static double threshold(const state *s)
{
    const twi_smo *p = s->p;
    double high = INFINITY, low = -INFINITY, sum = 0.0;
    size_t free_ones = 0;
    for (size_t t = 0; t < p->n; t++) {
        const double v = (double)p->y[t] * s->gradient[t];
        if (s->a[t] > 0.0 && s->a[t] < p->C[t]) {
            sum += v;
            free_ones++;
        } else if ((s->a[t] > 0.0) == (p->y[t] > 0)) {
            low = fmax(low, v);
        } else {
            high = fmin(high, v);
        }
    }
    return free_ones ? sum / (double)free_ones : 0.5 * (high + low);
}

static tw_status look_up(tw_ctx *ctx, const twi_smo *p, size_t iteration)
{
    if (iteration % 1024 != 0) return TW_OK;
    return twi_progress(ctx, "fit", iteration, p->max_iter == SIZE_MAX ? 0 : p->max_iter, 0);
}

tw_status twi_smo_solve(tw_ctx *ctx, const twi_smo *problem, double *a, double *rho,
                        size_t *iterations, bool *met)
{
    state s = {.p = problem, .a = a};
    const size_t n = problem->n;
    size_t i, j, done = 0;
    tw_status st = twi_alloc(ctx, n, &s.gradient);
    if (st == TW_OK) st = twi_alloc(ctx, n, &s.row[0]);
    if (st == TW_OK) st = twi_alloc(ctx, n, &s.row[1]);
    if (st != TW_OK) goto done;
    memset(a, 0, n * sizeof *a);
    for (size_t t = 0; t < n; t++) s.gradient[t] = -1.0;
    for (*met = false;; done++) {
        if ((st = look_up(ctx, problem, done)) != TW_OK) goto done;
        *met = !choose(&s, &i, &j);
        if (*met || done >= problem->max_iter) break;
        move(&s, i, j);
        if (!isfinite(s.gradient[i])) {
            st = twi_fail(ctx, TW_ERR_DIVERGED, "the kernel holds a number that is not finite");
            goto done;
        }
    }
    *rho = threshold(&s);
    *iterations += done;
done:
    twi_free(s.gradient);
    twi_free(s.row[0]);
    twi_free(s.row[1]);
    return st;
}
