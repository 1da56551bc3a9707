/* gram.c - the Gram matrix: n^2 d / 2 multiply-adds, panel of columns by panel of columns.
 *
 * Each panel is standardised once, kept row-major and once more interleaved (both stay in cache),
 * then every tile on or below the diagonal adds its products. A tile's sum runs over the panels in
 * order whatever thread does it. */
#include "learn/gram.h"
#include "base/threads.h"

#include <string.h>

#define DEPTH 512 /* columns of a panel: 12 rows of it fill three quarters of a 32 KiB L1 cache */
#define TILE  192 /* rows and columns of a tile; a multiple of both register tiles */

typedef struct job {
    const twi_rows *rows;
    const twi_kernels *kernels;
    twi_gram *gram;
    size_t tiles;       /* per side */
    size_t from, depth; /* this panel's columns */
    float *plain;       /* [tiles * TILE, DEPTH] */
    float *interleaved; /* [tiles * TILE / TWI_GRAM_COLUMNS, DEPTH, TWI_GRAM_COLUMNS] */
} job;

/* Standardises one group of TWI_GRAM_COLUMNS rows; rows past the end are zero. */
static tw_status pack(tw_ctx *ctx, void *user, size_t group)
{
    (void)ctx;
    const job *j = user;
    twi_shift shift = j->rows->shift;
    if (shift.mean) shift = (twi_shift){shift.mean + j->from, shift.inverse + j->from, false};
    const size_t first = group * TWI_GRAM_COLUMNS;
    float *plain = j->plain + first * DEPTH, *mixed = j->interleaved + first * DEPTH;
    for (size_t r = 0; r < TWI_GRAM_COLUMNS; r++) {
        float *z = plain + r * DEPTH;
        if (first + r < j->rows->n)
            j->kernels->standardise((const float *)twi_row(j->rows, first + r) + j->from, j->depth,
                                    shift, z);
        else
            memset(z, 0, j->depth * sizeof *z);
    }
    for (size_t p = 0; p < j->depth; p++)
        for (size_t r = 0; r < TWI_GRAM_COLUMNS; r++)
            mixed[p * TWI_GRAM_COLUMNS + r] = plain[r * DEPTH + p];
    return TW_OK;
}

/* Tile number t of the lower triangle, counted row by row. */
static tw_status multiply(tw_ctx *ctx, void *user, size_t t)
{
    (void)ctx;
    const job *j = user;
    size_t row = 0;
    while ((row + 1) * (row + 2) / 2 <= t) row++;
    const size_t column = t - row * (row + 1) / 2, stride = j->gram->stride;
    for (size_t r = row * TILE; r < (row + 1) * TILE; r += TWI_GRAM_ROWS)
        for (size_t c = column * TILE; c < (column + 1) * TILE; c += TWI_GRAM_COLUMNS)
            j->kernels->gram(j->plain + r * DEPTH, DEPTH, j->interleaved + c * DEPTH, j->depth,
                             j->gram->k + r * stride + c, stride);
    return TW_OK;
}

/* Copies the lower triangle onto the upper one. */
static void mirror(twi_gram *gram)
{
    const size_t block = 64, stride = gram->stride;
    for (size_t i0 = 0; i0 < stride; i0 += block)
        for (size_t j0 = 0; j0 <= i0; j0 += block)
            for (size_t i = i0; i < i0 + block; i++)
                for (size_t j = j0; j < j0 + block && j < i; j++)
                    gram->k[j * stride + i] = gram->k[i * stride + j];
}

tw_status twi_gram_new(tw_ctx *ctx, const twi_rows *rows, twi_gram *out)
{
    twi_gram gram = {.n = rows->n};
    job j = {.rows = rows, .kernels = twi_kernels_best(), .gram = &gram};
    tw_status st;
    size_t cells, panel;
    j.tiles = (rows->n + TILE - 1) / TILE;
    gram.stride = j.tiles * TILE;
    if (twi_mul(gram.stride, gram.stride, &cells) || twi_mul(gram.stride, DEPTH, &panel))
        return twi_fail(ctx, TW_ERR_NOMEM, "the Gram matrix of %zu rows does not fit in memory",
                        rows->n);
    if ((st = twi_zalloc(ctx, cells, &gram.k)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, panel, &j.plain)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, panel, &j.interleaved)) != TW_OK) goto done;
    const size_t groups = gram.stride / TWI_GRAM_COLUMNS, tiles = j.tiles * (j.tiles + 1) / 2;
    const size_t threads = cells * DEPTH < TWI_WORTH_A_THREAD ? 1 : 0;
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
    twi_free(j.interleaved);
    twi_gram_free(&gram);
    return st;
}

void twi_gram_add_one(twi_gram *gram)
{
    for (size_t i = 0; i < gram->n; i++)
        for (size_t j = 0; j < gram->n; j++) gram->k[i * gram->stride + j] += 1.0f;
}

void twi_gram_free(twi_gram *gram)
{
    twi_free(gram->k);
    *gram = (twi_gram){0};
}
