/* calibration.c - Platt's sigmoid and isotonic regression, one class against the rest, normalised:
 * scikit-learn 1.2.1's calibration.py and isotonic.py. */
#include "learn/calibration.h"

#include "learn/head.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
    [TWI_CALIBRATION_NONE] = "none",
    [TWI_CALIBRATION_SIGMOID] = "sigmoid",
    [TWI_CALIBRATION_ISOTONIC] = "isotonic",
};

const char *twi_calibration_name(twi_calibration_method method)
{
    return names[method];
}

void twi_calibration_free(twi_calibration *c)
{
    twi_free(c->a);
    twi_free(c->b);
    twi_free(c->x);
    twi_free(c->y);
    twi_free(c->offsets);
    *c = (twi_calibration){0};
}

/* The score and the truth that curve number c is about. */
static double score_of(const double *score, size_t k, size_t i, size_t c)
{
    return score[i * k + (k == 2 ? 1 : c)];
}

static bool is_own(const uint32_t *y, size_t k, size_t i, size_t c)
{
    return y[i] == (k == 2 ? 1 : c);
}

/* ---- sigmoid ------------------------------------------------------------------------------- */

typedef struct platt {
    const double *score;
    const uint32_t *y;
    size_t n, k, c;
    double high, low; /* targets of the class's own rows and of the others */
} platt;

/* Loss at (a, b); gradient [2] and Hessian [3] (aa, ab, bb) where not NULL. The probability is
 * 1 / (1 + exp(a f + b)); neither side of it is taken as a difference. */
static double platt_loss(const platt *p, const double ab[2], double *gradient, double *hessian)
{
    double loss = 0.0;
    if (gradient) gradient[0] = gradient[1] = 0.0;
    if (hessian) hessian[0] = hessian[1] = hessian[2] = 0.0;
    for (size_t i = 0; i < p->n; i++) {
        const double f = score_of(p->score, p->k, i, p->c), z = ab[0] * f + ab[1];
        const double t = is_own(p->y, p->k, i, p->c) ? p->high : p->low;
        const double e = exp(-fabs(z)), large = 1.0 / (1.0 + e), small = e / (1.0 + e);
        const double yes = z >= 0.0 ? small : large, no = z >= 0.0 ? large : small;
        loss += (z >= 0.0 ? t * z : (t - 1.0) * z) + log1p(e);
        if (gradient) {
            gradient[0] += f * (t - yes);
            gradient[1] += t - yes;
        }
        if (hessian) {
            hessian[0] += f * f * yes * no;
            hessian[1] += f * yes * no;
            hessian[2] += yes * no;
        }
    }
    return loss;
}

/* Newton's method with halving: Lin, Lin & Weng (2007), algorithm 1. The targets keep away from 0
 * and 1 (Platt 1999), so that a minimum exists. */
static void fit_sigmoid(const platt *p, double n_own, double ab[2])
{
    double gradient[2], h[3];
    ab[0] = 0.0;
    ab[1] = log(((double)p->n - n_own + 1.0) / (n_own + 1.0));
    double loss = platt_loss(p, ab, gradient, h);
    for (int iteration = 0; iteration < 200; iteration++) {
        const double ridge = 1e-12 * (h[0] + h[2]);
        const double aa = h[0] + ridge, bb = h[2] + ridge, det = aa * bb - h[1] * h[1];
        if (!(det > 0.0)) return;
        const double step[2] = {-(bb * gradient[0] - h[1] * gradient[1]) / det,
                                -(aa * gradient[1] - h[1] * gradient[0]) / det};
        const double slope = gradient[0] * step[0] + gradient[1] * step[1];
        double t = 1.0;
        for (; t > 1e-12; t *= 0.5) {
            const double trial[2] = {ab[0] + t * step[0], ab[1] + t * step[1]};
            const double there = platt_loss(p, trial, NULL, NULL);
            if (!(there < loss + 1e-4 * t * slope)) continue;
            ab[0] = trial[0];
            ab[1] = trial[1];
            break;
        }
        if (t <= 1e-12 || -slope <= 1e-14 * loss) return;
        loss = platt_loss(p, ab, gradient, h);
    }
}

static tw_status fit_sigmoids(tw_ctx *ctx, const platt *whole, twi_calibration *out)
{
    tw_status st = twi_alloc(ctx, out->curves, &out->a);
    if (st == TW_OK) st = twi_alloc(ctx, out->curves, &out->b);
    if (st != TW_OK) return st;
    for (size_t c = 0; c < out->curves; c++) {
        platt p = *whole;
        size_t own = 0;
        double ab[2];
        p.c = c;
        for (size_t i = 0; i < p.n; i++) own += is_own(p.y, p.k, i, c);
        p.high = ((double)own + 1.0) / ((double)own + 2.0);
        p.low = 1.0 / ((double)(p.n - own) + 2.0);
        fit_sigmoid(&p, (double)own, ab);
        out->a[c] = ab[0];
        out->b[c] = ab[1];
    }
    return TW_OK;
}

static double sigmoid(double z) /* 1 / (1 + exp(z)) */
{
    const double e = exp(-fabs(z));
    return z >= 0.0 ? e / (1.0 + e) : 1.0 / (1.0 + e);
}

/* ---- isotonic ------------------------------------------------------------------------------ */

typedef struct point {
    double x, y, weight;
} point;

static int by_x(const void *a, const void *b)
{
    const point *p = a, *q = b;
    if (p->x != q->x) return p->x < q->x ? -1 : 1;
    return p->y < q->y ? -1 : p->y > q->y;
}

/* Points of one x become their mean; scikit-learn takes x closer than 1e-15 for one. */
static size_t merge_equal(point *points, size_t n)
{
    size_t m = 0;
    for (size_t i = 0; i < n;) {
        point sum = {points[i].x, 0.0, 0.0};
        for (; i < n && points[i].x - sum.x < 1e-15; i++) {
            sum.y += points[i].y;
            sum.weight += 1.0;
        }
        sum.y /= sum.weight;
        points[m++] = sum;
    }
    return m;
}

/* Pool adjacent violators: level[i] becomes the i-th value of the rising least-squares fit. */
static void pool(const point *points, size_t n, point *stack, double *level)
{
    size_t blocks = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        point block = {1.0, points[i].y, points[i].weight}; /* x: how many points */
        while (blocks > 0 && stack[blocks - 1].y >= block.y) {
            const point *last = &stack[--blocks];
            block.y =
                (last->y * last->weight + block.y * block.weight) / (last->weight + block.weight);
            block.weight += last->weight;
            block.x += last->x;
        }
        stack[blocks++] = block;
    }
    for (size_t b = 0; b < blocks; b++)
        for (size_t i = 0; i < (size_t)stack[b].x; i++) level[at++] = stack[b].y;
}

/* Corners only: a point between two of the same level says nothing. */
static size_t keep_corners(const point *points, const double *level, size_t n, double *x, double *y)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        const bool inner = i > 0 && i + 1 < n;
        if (inner && level[i] == level[i - 1] && level[i] == level[i + 1]) continue;
        x[m] = points[i].x;
        y[m++] = level[i];
    }
    return m;
}

static tw_status fit_isotonics(tw_ctx *ctx, const platt *whole, twi_calibration *out)
{
    const size_t n = whole->n, k = whole->k;
    point *points = NULL;
    double *level = NULL;
    size_t cells;
    tw_status st;
    if (twi_mul(n, out->curves, &cells) || cells > SIZE_MAX / 8)
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu samples are too many", n);
    if ((st = twi_alloc(ctx, out->curves + 1, &out->offsets)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, cells, &out->x)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, cells, &out->y)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, 2 * n, &points)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, n, &level)) != TW_OK) goto done;
    out->offsets[0] = 0;
    for (size_t c = 0; c < out->curves; c++) {
        const size_t from = out->offsets[c];
        for (size_t i = 0; i < n; i++)
            points[i] = (point){score_of(whole->score, k, i, c), is_own(whole->y, k, i, c), 1.0};
        qsort(points, n, sizeof *points, by_x);
        const size_t m = merge_equal(points, n);
        pool(points, m, points + n, level);
        out->offsets[c + 1] = from + keep_corners(points, level, m, out->x + from, out->y + from);
    }
done:
    twi_free(level);
    twi_free(points);
    return st;
}

/* Linear between corners, constant outside them. */
static double polygon(const double *x, const double *y, size_t n, double at)
{
    if (!(at > x[0])) return y[0];
    if (at >= x[n - 1]) return y[n - 1];
    size_t low = 0, high = n - 1;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (x[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return y[low] + (at - x[low]) / (x[high] - x[low]) * (y[high] - y[low]);
}

/* ---- both ---------------------------------------------------------------------------------- */

tw_status twi_calibration_fit(tw_ctx *ctx, twi_calibration_method method, const double *score,
                              const uint32_t *y, size_t n, size_t k, twi_calibration *out)
{
    twi_calibration c = {.method = method, .k = k, .curves = k == 2 ? 1 : k};
    const platt whole = {.score = score, .y = y, .n = n, .k = k};
    if (n == 0) return twi_fail(ctx, TW_ERR_DATA, "no samples to calibrate on");
    for (size_t i = 0; i < n * k; i++)
        if (!isfinite(score[i]))
            return twi_fail(ctx, TW_ERR_DIVERGED, "a score to calibrate on is not finite");
    tw_status st = TW_OK;
    if (method == TWI_CALIBRATION_SIGMOID) st = fit_sigmoids(ctx, &whole, &c);
    if (method == TWI_CALIBRATION_ISOTONIC) st = fit_isotonics(ctx, &whole, &c);
    if (st == TW_OK) *out = c, c = (twi_calibration){0};
    twi_calibration_free(&c);
    return st;
}

static double curve_at(const twi_calibration *c, size_t curve, double score)
{
    if (c->method == TWI_CALIBRATION_SIGMOID) return sigmoid(c->a[curve] * score + c->b[curve]);
    const size_t from = c->offsets[curve];
    return polygon(c->x + from, c->y + from, c->offsets[curve + 1] - from, score);
}

void twi_calibration_apply(const twi_calibration *c, const double *score, size_t n, double *prob)
{
    const size_t k = c->k;
    for (size_t i = 0; i < n && c->method != TWI_CALIBRATION_NONE; i++) {
        double *p = prob + i * k, sum = 0.0;
        if (k == 2) {
            p[1] = curve_at(c, 0, score[2 * i + 1]);
            p[0] = 1.0 - p[1];
            continue;
        }
        for (size_t j = 0; j < k; j++) sum += p[j] = curve_at(c, j, score[i * k + j]);
        for (size_t j = 0; j < k; j++) p[j] = sum > 0.0 ? p[j] / sum : 1.0 / (double)k;
    }
    if (c->method == TWI_CALIBRATION_NONE && prob != score)
        memcpy(prob, score, n * k * sizeof *prob);
}

/* ---- as tensors and JSON ------------------------------------------------------------------- */

tw_status twi_calibration_save(tw_ctx *ctx, const twi_calibration *c, twi_tensors *tensors,
                               twi_json **json)
{
    tw_status st = TW_OK;
    twi_json *object = twi_json_object(), *corners = NULL;
    bool ok = twi_json_set(object, "method", twi_json_text(twi_calibration_name(c->method)));
    if (c->method == TWI_CALIBRATION_SIGMOID) {
        st = twi_head_put(ctx, tensors, "calibration.a", 0, c->curves, c->a);
        if (st == TW_OK) st = twi_head_put(ctx, tensors, "calibration.b", 0, c->curves, c->b);
    } else if (c->method == TWI_CALIBRATION_ISOTONIC) {
        const size_t all = c->offsets[c->curves];
        st = twi_head_put(ctx, tensors, "calibration.x", 0, all, c->x);
        if (st == TW_OK) st = twi_head_put(ctx, tensors, "calibration.y", 0, all, c->y);
        corners = twi_json_array();
        for (size_t i = 0; i < c->curves; i++)
            ok &= twi_json_append(corners,
                                  twi_json_integer((int64_t)(c->offsets[i + 1] - c->offsets[i])));
        ok &= twi_json_set(object, "corners", corners);
    }
    if (st == TW_OK && !ok)
        st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for the calibration's description");
    if (st == TW_OK) *json = object, object = NULL;
    twi_json_free(object);
    return st;
}

static tw_status load_corners(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                              const twi_json *corners, twi_calibration *c)
{
    tw_status st = twi_alloc(ctx, c->curves + 1, &c->offsets);
    if (st != TW_OK) return st;
    c->offsets[0] = 0;
    for (size_t i = 0; i < c->curves; i++) {
        const int64_t n = twi_json_as_integer(twi_json_at(corners, i), 0);
        if (n < 1 || n > INT32_MAX)
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "%s: calibration curve %zu has %" PRId64 " corners; need at least 1",
                            name, i, n);
        c->offsets[i + 1] = c->offsets[i] + (size_t)n;
    }
    const size_t all = c->offsets[c->curves];
    st = twi_head_take(ctx, name, tensors, "calibration.x", 0, all, &c->x);
    if (st == TW_OK) st = twi_head_take(ctx, name, tensors, "calibration.y", 0, all, &c->y);
    for (size_t i = 0; i < c->curves && st == TW_OK; i++)
        for (size_t j = c->offsets[i]; j < c->offsets[i + 1] && st == TW_OK; j++)
            if (!(c->y[j] >= 0.0 && c->y[j] <= 1.0) ||
                (j > c->offsets[i] && !(c->x[j] > c->x[j - 1])))
                st =
                    twi_fail(ctx, TW_ERR_FORMAT,
                             "%s: corner %zu of the calibration is out of order or range", name, j);
    return st;
}

tw_status twi_calibration_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                               const twi_json *json, size_t k, twi_calibration *out)
{
    const char *word = twi_json_as_text(twi_json_get(json, "method"), "none");
    size_t method = 0;
    tw_status st = TW_OK;
    while (method < TWI_LEN(names) && strcmp(names[method], word) != 0) method++;
    if (method == TWI_LEN(names))
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: calibration is \"%s\"; known are none, sigmoid and isotonic", name,
                        word);
    twi_calibration c = {
        .method = (twi_calibration_method)method, .k = k, .curves = k == 2 ? 1 : k};
    if (c.method == TWI_CALIBRATION_SIGMOID) {
        st = twi_head_take(ctx, name, tensors, "calibration.a", 0, c.curves, &c.a);
        if (st == TW_OK) st = twi_head_take(ctx, name, tensors, "calibration.b", 0, c.curves, &c.b);
    } else if (c.method == TWI_CALIBRATION_ISOTONIC) {
        st = load_corners(ctx, name, tensors, twi_json_get(json, "corners"), &c);
    }
    if (st == TW_OK) *out = c, c = (twi_calibration){0};
    twi_calibration_free(&c);
    return st;
}
