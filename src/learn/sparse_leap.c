/* sparse_leap.c - Anderson's extrapolation over rounds of steps.
 *
 * Where classes pull on each other, rounds over them converge linearly: iterates x_0 ... x_K then
 * lie near x* + sum of few geometric sequences, and the combination of x_1 ... x_K with weights
 * that sum to 1 and cancel the differences x_{i+1} - x_i best lies far nearer to x* (Scieur,
 * d'Aspremont & Bach 2016, algorithm 1; on coordinate descent: Bertrand & Massias 2021). It is
 * taken only where f is lower there. */
#include "learn/sparse.h"

#include <math.h>
#include <string.h>

#define KEPT TWI_SPARSE_KEPT

void twi_sparse_leap_free(twi_sparse_leap *leap)
{
    twi_free(leap->memory);
    *leap = (twi_sparse_leap){0};
}

/* How an iterate is laid out: [width, set_count] weights, [width] intercepts, [n, width] scores. */
static size_t unknowns(const twi_sparse *s)
{
    return s->training->targets.width * (s->set_count + 1);
}

static void read_iterate(const twi_sparse *s, double *x)
{
    const size_t width = s->training->targets.width, d = s->training->rows.d;
    for (size_t c = 0; c < width; c++)
        for (size_t at = 0; at < s->set_count; at++) *x++ = s->w[c * d + s->set[at]];
    memcpy(x, s->bias, width * sizeof *x);
    memcpy(x + width, s->pass.scores, s->training->rows.n * width * sizeof *x);
}

static void write_iterate(twi_sparse *s, const double *x)
{
    const size_t width = s->training->targets.width, d = s->training->rows.d;
    for (size_t c = 0; c < width; c++)
        for (size_t at = 0; at < s->set_count; at++) s->w[c * d + s->set[at]] = *x++;
    memcpy(s->bias, x, width * sizeof *x);
    memcpy(s->pass.scores, x + width, s->training->rows.n * width * sizeof *x);
}

static double penalty(const twi_sparse *s, const double *x)
{
    const size_t weights = s->training->targets.width * s->set_count;
    double size = 0.0, square = 0.0;
    for (size_t i = 0; i < weights; i++) {
        size += fabs(x[i]);
        square += x[i] * x[i];
    }
    return twi_sparse_l1(s) * size + 0.5 * twi_sparse_l2(s) * square;
}

static double loss_of(twi_sparse *s)
{
    const twi_targets *t = &s->training->targets;
    double loss = 0.0;
    for (size_t i = 0; i < t->n; i++)
        loss += twi_loss_row(t, i, s->pass.scores + i * t->width, s->pass.residual + i * t->width);
    return loss;
}

/* Solves a x = 1 by elimination with pivots on the diagonal; false where a is singular. a [KEPT,
 * KEPT] is positive semidefinite. */
static bool solve_ones(double a[KEPT][KEPT], double x[KEPT])
{
    for (size_t i = 0; i < KEPT; i++) x[i] = 1.0;
    for (size_t p = 0; p < KEPT; p++) {
        if (!(a[p][p] > 0.0)) return false;
        for (size_t i = p + 1; i < KEPT; i++) {
            const double by = a[i][p] / a[p][p];
            for (size_t j = p; j < KEPT; j++) a[i][j] -= by * a[p][j];
            x[i] -= by * x[p];
        }
    }
    for (size_t p = KEPT; p-- > 0;) {
        for (size_t j = p + 1; j < KEPT; j++) x[p] -= a[p][j] * x[j];
        x[p] /= a[p][p];
    }
    return true;
}

/* Weights of the iterates 1 ... KEPT, from the products of their differences. */
static bool weigh(const twi_sparse *s, const twi_sparse_leap *leap, double weight[KEPT])
{
    const size_t m = unknowns(s);
    double a[KEPT][KEPT], trace = 0.0, sum = 0.0;
    for (size_t i = 0; i < KEPT; i++)
        for (size_t j = 0; j <= i; j++) {
            const double *xi = leap->iterate[i], *yi = leap->iterate[i + 1];
            const double *xj = leap->iterate[j], *yj = leap->iterate[j + 1];
            double dot = 0.0;
            for (size_t at = 0; at < m; at++) dot += (yi[at] - xi[at]) * (yj[at] - xj[at]);
            a[i][j] = a[j][i] = dot;
        }
    for (size_t i = 0; i < KEPT; i++) trace += a[i][i];
    if (!(trace > 0.0)) return false;
    for (size_t i = 0; i < KEPT; i++) a[i][i] += 1e-12 * trace;
    if (!solve_ones(a, weight)) return false;
    for (size_t i = 0; i < KEPT; i++) sum += weight[i];
    for (size_t i = 0; i < KEPT; i++) weight[i] /= sum;
    return isfinite(1.0 / sum) && sum != 0.0;
}

static tw_status make_room(tw_ctx *ctx, const twi_sparse *s, twi_sparse_leap *leap)
{
    size_t length, all;
    if (twi_add(unknowns(s), s->training->rows.n * s->training->targets.width, &length) ||
        twi_mul(length, KEPT + 2, &all))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu features do not fit in memory", s->set_count);
    const tw_status st = twi_grow(ctx, &leap->memory, &leap->capacity, all);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < KEPT + 1; i++) leap->iterate[i] = leap->memory + i * length;
    leap->trial = leap->memory + (KEPT + 1) * length;
    leap->length = length;
    return TW_OK;
}

tw_status twi_sparse_leap_try(tw_ctx *ctx, twi_sparse *s, twi_sparse_leap *leap, double *decrease)
{
    double weight[KEPT];
    tw_status st = TW_OK;
    *decrease = 0.0;
    if (leap->count == 0 && (st = make_room(ctx, s, leap)) != TW_OK) return st;
    read_iterate(s, leap->iterate[leap->count++]);
    if (leap->count <= KEPT) return TW_OK;
    const double *now = leap->iterate[KEPT];
    const double f = s->loss + penalty(s, now);
    leap->count = 0;
    if (!weigh(s, leap, weight)) return TW_OK;
    memset(leap->trial, 0, leap->length * sizeof *leap->trial);
    for (size_t i = 0; i < KEPT; i++)
        for (size_t at = 0; at < leap->length; at++)
            leap->trial[at] += weight[i] * leap->iterate[i + 1][at];
    write_iterate(s, leap->trial);
    const double loss = loss_of(s), after = loss + penalty(s, leap->trial);
    if (after < f) {
        s->loss = loss;
        *decrease = f - after;
        return TW_OK;
    }
    write_iterate(s, now);
    s->loss = loss_of(s);
    return TW_OK;
}
