/* sparse_step.c - one class's Newton step over the working set. */
#include "learn/sparse.h"

#include <math.h>
#include <string.h>

/* Curvatures below this share of a row's weight are taken for it: a row that is all but sure would
 * let its score run off. The line search is the judge. */
#define FLAT 1e-6

/* What a step works on; all [n]. */
typedef struct step {
    twi_sparse *s;
    size_t c, n;
    double l1, l2;
    double *w;        /* [d] of this class */
    double *residual; /* d loss / d u where the step starts */
    double *bend;     /* second derivative there */
    double *model;    /* d model / d u: residual + bend * (u - start) */
    double *start, *move;
    double bend_sum, bias;
} step;

static double weight_of(const twi_targets *t, size_t i)
{
    return t->weight[t->y[t->rows ? t->rows[i] : i]];
}

/* p = |r| / w, or 1 - |r| / w for the true class: p (1 - p) either way. */
static void open_step(step *p)
{
    const twi_targets *t = &p->s->training->targets;
    const size_t width = t->width;
    p->bend_sum = 0.0;
    for (size_t i = 0; i < p->n; i++) {
        const double weight = weight_of(t, i), r = p->s->pass.residual[i * width + p->c];
        const double miss = fabs(r) / weight;
        p->residual[i] = p->model[i] = r;
        p->bend[i] = weight * fmax(miss * (1.0 - miss), FLAT);
        p->bend_sum += p->bend[i];
        p->start[i] = p->s->pass.scores[i * width + p->c];
    }
    for (size_t at = 0; at < p->s->set_count; at++) {
        p->s->before[at] = p->w[p->s->set[at]];
        p->s->bend[at] = -1.0;
    }
}

static double soft(double x, double threshold)
{
    return x > threshold ? x - threshold : x < -threshold ? x + threshold : 0.0;
}

/* Minimises the quadratic over the weight at `at`; returns what that is worth, about. */
static double move_weight(step *p, size_t at)
{
    twi_sparse *s = p->s;
    const float *z = s->columns + at * p->n;
    double *w = &p->w[s->set[at]];
    const double slope = s->loops->floats_dot(z, p->model, p->n);
    if (*w == 0.0 && fabs(slope) <= p->l1) return 0.0;
    if (s->bend[at] < 0.0) s->bend[at] = s->loops->floats_bend(z, p->bend, p->n);
    const double bend = s->bend[at] + p->l2;
    if (!(bend > 0.0)) return 0.0; /* a constant feature */
    const double by = soft(s->bend[at] * *w - slope, p->l1) / bend - *w;
    if (by == 0.0) return 0.0;
    *w += by;
    s->loops->floats_add(by, z, p->bend, p->n, p->model);
    return bend * by * by;
}

static double move_bias(step *p)
{
    double sum = 0.0;
    for (size_t i = 0; i < p->n; i++) sum += p->model[i];
    const double by = -sum / p->bend_sum;
    for (size_t i = 0; i < p->n; i++) p->model[i] += by * p->bend[i];
    p->bias += by;
    return p->bend_sum * by * by;
}

/* Sweeps over the weights that are not 0 until they stand still, then over all. */
static void descend(step *p)
{
    double first = 0.0;
    for (int sweep = 0; sweep < 2; sweep++) {
        double worth = move_bias(p);
        for (size_t at = 0; at < p->s->set_count; at++) worth += move_weight(p, at);
        if (sweep == 0) first = worth;
        if (!(worth > 1e-3 * first)) break;
        for (int again = 0; again < 4; again++) {
            double inner = move_bias(p);
            for (size_t at = 0; at < p->s->set_count; at++)
                if (p->w[p->s->set[at]] != 0.0) inner += move_weight(p, at);
            if (!(inner > 0.1 * worth)) break;
        }
    }
}

/* The penalty's change along the step at t, from the weights `before` to those reached. */
static double penalty(const step *p, const double *reached, double t)
{
    double change = 0.0;
    for (size_t at = 0; at < p->s->set_count; at++) {
        const double from = p->s->before[at], to = from + t * (reached[at] - from);
        change += p->l1 * (fabs(to) - fabs(from)) + 0.5 * p->l2 * (to - from) * (to + from);
    }
    return change;
}

/* Scores at t along the step; their loss, and residuals. */
static double look(step *p, double t)
{
    const twi_targets *targets = &p->s->training->targets;
    const size_t width = targets->width;
    double loss = 0.0;
    for (size_t i = 0; i < p->n; i++) {
        double *u = p->s->pass.scores + i * width;
        u[p->c] = p->start[i] + t * p->move[i];
        loss += twi_loss_row(targets, i, u, p->s->pass.residual + i * width);
    }
    return loss;
}

/* Backtracks until f falls as Tseng & Yun (2009, eq. 7) ask: a thousandth of what the linear part
 * and the penalty promise; where that is less than what f's rounding hides, a whole step may be as
 * good. Returns what the step taken promised, which is still a number where f's differences are
 * none; 0: no step was taken. */
static double search(step *p, double *reached)
{
    twi_sparse *s = p->s;
    const double noise = 1e-13 * s->f;
    double slope = 0.0;
    for (size_t i = 0; i < p->n; i++) {
        p->move[i] = (p->model[i] - p->residual[i]) / p->bend[i];
        slope += p->residual[i] * p->move[i];
    }
    for (size_t at = 0; at < s->set_count; at++) reached[at] = p->w[s->set[at]];
    const double promise = slope + penalty(p, reached, 1.0);
    double t = promise < 0.0 ? 1.0 : 0.0;
    for (; t > 1e-9; t *= 0.5) {
        const double loss = look(p, t);
        const double decrease = (s->loss - loss) - penalty(p, reached, t);
        const bool hidden = -promise < 1e3 * noise && decrease > -noise;
        if (decrease >= -1e-3 * t * promise || hidden) {
            s->loss = loss;
            break;
        }
    }
    if (!(t > 1e-9)) s->loss = look(p, t = 0.0);
    for (size_t at = 0; at < s->set_count; at++)
        p->w[s->set[at]] =
            t == 1.0 ? reached[at] : s->before[at] + t * (reached[at] - s->before[at]);
    s->bias[p->c] += t * p->bias;
    return t > 0.0 ? -t * promise : 0.0;
}

double twi_sparse_step(twi_sparse *s, size_t c)
{
    const size_t n = s->training->rows.n;
    step p = {.s = s,
              .c = c,
              .n = n,
              .l1 = twi_sparse_l1(s),
              .l2 = twi_sparse_l2(s),
              .w = s->w + c * s->training->rows.d,
              .residual = s->row,
              .bend = s->row + n,
              .model = s->row + 2 * n,
              .start = s->row + 3 * n,
              .move = s->row + 4 * n};
    open_step(&p);
    descend(&p);
    return search(&p, s->bend); /* the second derivatives are used up */
}
