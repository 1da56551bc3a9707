/* gram.c - the Gram matrix, n^2 d / 2 multiply-adds, and products of two sets of rows, panel of
 * columns by panel of columns.
 *
 * Each panel is standardised once, kept row-major and once more interleaved (both stay in cache),
 * then every tile on or below the diagonal adds its products. A tile's sum runs over the panels in
 * order whatever thread does it. */
#include "learn/gram.h"
#include "base/threads.h"

#include <string.h>

#define DEPTH 512 /* columns of a panel: 12 rows of it fill three quarters of a 32 KiB L1 cache */
#define TILE  192 /* rows and columns of a tile; a multiple of UNIT */
#define UNIT  96  /* sizes are rounded up to this: a multiple of both register tiles */

typedef struct job {
    const twi_rows *rows;
    const twi_kernels *kernels;
    float *out;            /* [height, stride], both multiples of UNIT */
    size_t height, stride; /* a Gram matrix: the same */
    bool is_gram;          /* only the lower triangle is wanted */
    size_t from, depth;    /* this panel's columns */
    float *plain;          /* [height, DEPTH] */
    float *mixed; /* [stride / TWI_GRAM_COLUMNS, DEPTH, TWI_GRAM_COLUMNS], interleaved; NULL while
                     rows are packed that are no columns */
} job;

static size_t rounded(size_t n)
{
    return n > SIZE_MAX - UNIT ? SIZE_MAX / UNIT * UNIT : (n + UNIT - 1) / UNIT * UNIT;
}

static size_t tiles_in(size_t length)
{
    return length / TILE + (length % TILE > 0);
}

static size_t tile_count(const job *j)
{
    const size_t rows = tiles_in(j->height);
    return j->is_gram ? rows * (rows + 1) / 2 : rows * tiles_in(j->stride);
}

/* Standardises one group of TWI_GRAM_COLUMNS rows; rows past the end are zero. */
static tw_status pack(tw_ctx *ctx, void *user, size_t group)
{
    (void)ctx;
    const job *j = user;
    twi_shift shift = j->rows->shift;
    if (shift.mean) shift = (twi_shift){shift.mean + j->from, shift.inverse + j->from, false};
    const size_t first = group * TWI_GRAM_COLUMNS;
    float *plain = j->plain + first * DEPTH;
    for (size_t r = 0; r < TWI_GRAM_COLUMNS; r++) {
        float *z = plain + r * DEPTH;
        if (first + r < j->rows->n)
            j->kernels->standardise((const float *)twi_row(j->rows, first + r) + j->from, j->depth,
                                    shift, z);
        else
            memset(z, 0, j->depth * sizeof *z);
    }
    for (size_t p = 0; j->mixed && p < j->depth; p++)
        for (size_t r = 0; r < TWI_GRAM_COLUMNS; r++)
            j->mixed[(first * DEPTH) + p * TWI_GRAM_COLUMNS + r] = plain[r * DEPTH + p];
    return TW_OK;
}

/* Tile number t of all or, of a Gram matrix, of the lower triangle, counted row by row. */
static tw_status multiply(tw_ctx *ctx, void *user, size_t t)
{
    (void)ctx;
    const job *j = user;
    const size_t across = tiles_in(j->stride);
    size_t row = j->is_gram ? 0 : t / across;
    while (j->is_gram && (row + 1) * (row + 2) / 2 <= t) row++;
    const size_t column = j->is_gram ? t - row * (row + 1) / 2 : t % across;
    const size_t bottom = row * TILE + TILE < j->height ? row * TILE + TILE : j->height;
    for (size_t r = row * TILE; r < bottom; r += TWI_GRAM_ROWS) {
        size_t end = column * TILE + TILE < j->stride ? column * TILE + TILE : j->stride;
        if (j->is_gram && end > r + TWI_GRAM_ROWS) end = r + TWI_GRAM_ROWS; /* the diagonal */
        for (size_t c = column * TILE; c < end; c += TWI_GRAM_COLUMNS)
            j->kernels->gram(j->plain + r * DEPTH, DEPTH, j->mixed + c * DEPTH, j->depth,
                             j->out + r * j->stride + c, j->stride);
    }
    return TW_OK;
}

/* Copies the lower triangle onto the upper one. */
static void mirror(twi_gram *gram)
{
    const size_t block = 48, stride = gram->stride; /* UNIT is a multiple */
    for (size_t i0 = 0; i0 < stride; i0 += block)
        for (size_t j0 = 0; j0 <= i0; j0 += block)
            for (size_t i = i0; i < i0 + block; i++)
                for (size_t j = j0; j < j0 + block && j < i; j++)
                    gram->k[j * stride + i] = gram->k[i * stride + j];
}

tw_status twi_gram_new(tw_ctx *ctx, const twi_rows *rows, twi_gram *out)
{
    twi_gram gram = {.n = rows->n};
    job j = {.rows = rows, .kernels = twi_kernels_best(), .is_gram = true};
    tw_status st;
    size_t cells, panel;
    gram.stride = j.stride = j.height = rounded(rows->n);
    if (twi_mul(gram.stride, gram.stride, &cells) || twi_mul(gram.stride, DEPTH, &panel))
        return twi_fail(ctx, TW_ERR_NOMEM, "the Gram matrix of %zu rows does not fit in memory",
                        rows->n);
    if ((st = twi_zalloc(ctx, cells, &gram.k)) != TW_OK) goto done;
    j.out = gram.k;
    if ((st = twi_alloc(ctx, panel, &j.plain)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, panel, &j.mixed)) != TW_OK) goto done;
    const size_t groups = gram.stride / TWI_GRAM_COLUMNS, tiles = tile_count(&j);
    const size_t depth = rows->d < DEPTH ? rows->d : DEPTH;
    const size_t threads = cells * depth < TWI_WORTH_A_THREAD ? 1 : 0;
    for (j.from = 0; j.from < rows->d; j.from += DEPTH) {
        j.depth = rows->d - j.from < DEPTH ? rows->d - j.from : DEPTH;
        if (twi_cancelled(ctx)) st = twi_fail(ctx, TW_ERR_CANCELLED, "stopped as asked");
        if (st == TW_OK) st = twi_parallel(ctx, threads, groups, pack, &j);
        if (st == TW_OK) st = twi_parallel(ctx, threads, tiles, multiply, &j);
        if (st != TW_OK) goto done;
    }
    mirror(&gram);
    *out = gram, gram = (twi_gram){0};
done:
    twi_free(j.plain);
    twi_free(j.mixed);
    twi_gram_free(&gram);
    return st;
}

void twi_gram_add_one(twi_gram *gram)
{
    for (size_t i = 0; i < gram->n; i++)
        for (size_t j = 0; j < gram->n; j++) gram->k[i * gram->stride + j] += 1.0f;
}

/* One panel of both sides, then all tiles. */
static tw_status add_panel(tw_ctx *ctx, job *j, const twi_rows *a, const twi_rows *b,
                           float *const buffers[3])
{
    /* twi_products_new checked height * stride */
    const size_t threads = j->height * j->stride * j->depth < TWI_WORTH_A_THREAD ? 1 : 0;
    if (twi_cancelled(ctx)) return twi_fail(ctx, TW_ERR_CANCELLED, "stopped as asked");
    j->rows = b, j->plain = buffers[1], j->mixed = buffers[2];
    tw_status st = twi_parallel(ctx, threads, j->stride / TWI_GRAM_COLUMNS, pack, j);
    if (st != TW_OK) return st;
    j->rows = a, j->plain = buffers[0], j->mixed = NULL;
    if ((st = twi_parallel(ctx, threads, j->height / TWI_GRAM_COLUMNS, pack, j)) != TW_OK)
        return st;
    j->mixed = buffers[2];
    return twi_parallel(ctx, threads, tile_count(j), multiply, j);
}

tw_status twi_products_new(tw_ctx *ctx, const twi_rows *a, const twi_rows *b, twi_products *out)
{
    twi_products made = {.m = a->n, .n = b->n};
    job j = {.kernels = twi_kernels_best(), .height = rounded(a->n), .stride = rounded(b->n)};
    float *buffers[3] = {NULL, NULL, NULL};
    tw_status st;
    size_t cells, panels;
    made.stride = j.stride;
    if (twi_mul(j.height, j.stride, &cells) || twi_mul(j.height, DEPTH, &panels) ||
        twi_mul(j.stride, DEPTH, &panels))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu x %zu products do not fit in memory", a->n, b->n);
    if ((st = twi_zalloc(ctx, cells, &made.p)) != TW_OK) goto done;
    j.out = made.p;
    if ((st = twi_alloc(ctx, j.height * DEPTH, &buffers[0])) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, made.stride * DEPTH, &buffers[1])) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, made.stride * DEPTH, &buffers[2])) != TW_OK) goto done;
    for (j.from = 0; j.from < a->d; j.from += DEPTH) {
        j.depth = a->d - j.from < DEPTH ? a->d - j.from : DEPTH;
        if ((st = add_panel(ctx, &j, a, b, buffers)) != TW_OK) goto done;
    }
    *out = made, made = (twi_products){0};
done:
    for (size_t i = 0; i < 3; i++) twi_free(buffers[i]);
    twi_free(made.p);
    return st;
}

void twi_products_free(twi_products *products)
{
    twi_free(products->p);
    *products = (twi_products){0};
}

void twi_gram_free(twi_gram *gram)
{
    twi_free(gram->k);
    *gram = (twi_gram){0};
}
