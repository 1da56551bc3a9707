/* scatter.c - z^T z, z z^T and a z by tiles, panel by panel, as gram.c does it in float.
 *
 * A panel is centred and widened once, kept row-major and once more interleaved; then every tile on
 * or below the diagonal adds its products. A tile's sum runs over the panels in order whatever
 * thread does it. */
#include "learn/scatter.h"
#include "base/threads.h"
#include "learn/doubles.h"
#include "learn/rows.h"

#include <string.h>

#define DEPTH 256 /* of a panel: 12 rows of it fill three quarters of a 32 KiB L1 cache */
#define TILE  192 /* rows and columns of a tile; a multiple of UNIT */
#define UNIT  48  /* sizes are rounded up to this: a multiple of both register tiles */
#define WIDTH TWI_TILE_COLUMNS

typedef struct job {
    const twi_samples *samples;
    const double *mean;
    const twi_doubles *loops;
    bool of_samples;
    size_t from, depth; /* this panel's columns of the one kind, rows of the other */
    double *plain;      /* [size, DEPTH] */
    double *mixed;      /* [size / WIDTH, DEPTH, WIDTH], interleaved */
    double *out;        /* [size, stride] */
    size_t stride;
} job;

static const float *sample(const job *j, size_t i)
{
    const twi_samples *s = j->samples;
    return s->x + (s->rows ? s->rows[i] : i) * s->d;
}

/* mixed [depth, WIDTH] = centred features from `first` on of samples from `from` on; those past the
 * last feature are zero. */
static void gather(const job *j, size_t from, size_t depth, size_t first, double *mixed)
{
    const size_t d = j->samples->d, left = first < d ? d - first : 0;
    const size_t width = left < WIDTH ? left : WIDTH;
    if (width < WIDTH) memset(mixed, 0, depth * WIDTH * sizeof *mixed);
    for (size_t p = 0; p < depth; p++) {
        const float *x = sample(j, from + p) + first;
        for (size_t c = 0; c < width; c++) mixed[p * WIDTH + c] = (double)x[c] - j->mean[first + c];
    }
}

/* Makes one group of WIDTH rows of the panel; rows past the end are zero. */
static tw_status pack(tw_ctx *ctx, void *user, size_t group)
{
    (void)ctx;
    const job *j = user;
    const size_t first = group * WIDTH;
    double *plain = j->plain + first * DEPTH, *mixed = j->mixed + first * DEPTH;
    if (!j->of_samples) {
        gather(j, j->from, j->depth, first, mixed);
        for (size_t p = 0; p < j->depth; p++)
            for (size_t r = 0; r < WIDTH; r++) plain[r * DEPTH + p] = mixed[p * WIDTH + r];
        return TW_OK;
    }
    for (size_t r = 0; r < WIDTH; r++) {
        double *z = plain + r * DEPTH;
        if (first + r >= j->samples->n) {
            memset(z, 0, j->depth * sizeof *z);
            continue;
        }
        const float *x = sample(j, first + r) + j->from;
        for (size_t p = 0; p < j->depth; p++) z[p] = (double)x[p] - j->mean[j->from + p];
    }
    for (size_t p = 0; p < j->depth; p++)
        for (size_t r = 0; r < WIDTH; r++) mixed[p * WIDTH + r] = plain[r * DEPTH + p];
    return TW_OK;
}

/* Tile number t of the lower triangle, counted row by row; register tiles wholly above the
 * diagonal are left out. */
static tw_status multiply(tw_ctx *ctx, void *user, size_t t)
{
    (void)ctx;
    const job *j = user;
    size_t row = 0;
    while ((row + 1) * (row + 2) / 2 <= t) row++;
    const size_t column = t - row * (row + 1) / 2;
    const size_t bottom = row * TILE + TILE < j->stride ? row * TILE + TILE : j->stride;
    for (size_t r = row * TILE; r < bottom; r += TWI_TILE_ROWS)
        for (size_t c = column * TILE; c < (column + 1) * TILE && c < r + TWI_TILE_ROWS; c += WIDTH)
            j->loops->tile(j->plain + r * DEPTH, DEPTH, j->mixed + c * DEPTH, j->depth,
                           j->out + r * j->stride + c, j->stride);
    return TW_OK;
}

tw_status twi_scatter(tw_ctx *ctx, const twi_samples *samples, const double *mean, bool of_samples,
                      twi_symmetric *out)
{
    job j = {
        .samples = samples, .mean = mean, .loops = twi_doubles_best(), .of_samples = of_samples};
    twi_symmetric s = {.n = of_samples ? samples->n : samples->d};
    const size_t length = of_samples ? samples->d : samples->n,
                 tiles = s.n / TILE + (s.n % TILE > 0);
    size_t cells, panel;
    tw_status st;
    s.stride = s.n > SIZE_MAX - UNIT ? SIZE_MAX / UNIT * UNIT : (s.n + UNIT - 1) / UNIT * UNIT;
    if (twi_mul(s.stride, s.stride, &cells) || twi_mul(s.stride, DEPTH, &panel))
        return twi_fail(ctx, TW_ERR_NOMEM, "a covariance of %zu features does not fit in memory",
                        s.n);
    if ((st = twi_zalloc(ctx, cells, &s.a)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, panel, &j.plain)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, panel, &j.mixed)) != TW_OK) goto done;
    j.out = s.a, j.stride = s.stride;
    const size_t threads = cells * DEPTH < TWI_WORTH_A_THREAD ? 1 : 0;
    for (j.from = 0; j.from < length; j.from += DEPTH) {
        j.depth = length - j.from < DEPTH ? length - j.from : DEPTH;
        st = twi_progress(ctx, "covariance", j.from, length, 0);
        if (st == TW_OK) st = twi_parallel(ctx, threads, s.stride / WIDTH, pack, &j);
        if (st == TW_OK) st = twi_parallel(ctx, threads, tiles * (tiles + 1) / 2, multiply, &j);
        if (st != TW_OK) goto done;
    }
    *out = s, s.a = NULL;
done:
    twi_free(j.plain);
    twi_free(j.mixed);
    twi_free(s.a);
    return st;
}

/* ---- a z ----------------------------------------------------------------------------------- */

typedef struct combining {
    job job;
    const double *a;
    size_t rows;
} combining;

/* One group of WIDTH columns. */
static tw_status combine(tw_ctx *ctx, void *user, size_t group)
{
    const combining *c = user;
    const size_t n = c->job.samples->n;
    double *mixed;
    const tw_status st = twi_alloc(ctx, DEPTH * WIDTH, &mixed);
    if (st != TW_OK) return st;
    for (size_t from = 0; from < n; from += DEPTH) {
        const size_t depth = n - from < DEPTH ? n - from : DEPTH;
        gather(&c->job, from, depth, group * WIDTH, mixed);
        for (size_t r = 0; r < c->rows; r += TWI_TILE_ROWS)
            c->job.loops->tile(c->a + r * n + from, n, mixed, depth,
                               c->job.out + r * c->job.stride + group * WIDTH, c->job.stride);
    }
    twi_free(mixed);
    return TW_OK;
}

tw_status twi_combine(tw_ctx *ctx, const twi_samples *samples, const double *mean, const double *a,
                      size_t rows, double *out, size_t stride)
{
    combining c = {.a = a, .rows = rows};
    c.job = (job){.samples = samples,
                  .mean = mean,
                  .loops = twi_doubles_best(),
                  .out = out,
                  .stride = stride};
    const size_t threads = samples->n * stride < TWI_WORTH_A_THREAD / rows ? 1 : 0;
    memset(out, 0, rows * stride * sizeof *out);
    return twi_parallel(ctx, threads, stride / WIDTH, combine, &c);
}
