/* cholesky.c - a factor by panels: Golub & Van Loan (2013), algorithm 4.2.3 in blocks.
 *
 * A panel of columns is factored, then its outer product leaves the rest by tiles; all but n^2 of
 * the n^3 / 6 multiply-adds happen there. */
#include "learn/cholesky.h"

#include "base/threads.h"
#include "learn/doubles.h"
#include "learn/rows.h"

#include <math.h>
#include <string.h>

#define PANEL 48 /* columns: a multiple of both sides of a register tile */

typedef struct job {
    twi_symmetric *a;
    const twi_doubles *loops;
    size_t from;   /* first column of the panel */
    double *mixed; /* [stride / TWI_TILE_COLUMNS, PANEL, TWI_TILE_COLUMNS] minus the panel's rows */
} job;

/* The block on the diagonal, row by row. */
static bool factor_corner(const job *j, size_t width)
{
    const size_t stride = j->a->stride;
    double *corner = j->a->a + j->from * (stride + 1);
    for (size_t r = 0; r < width; r++) {
        double *row = corner + r * stride;
        for (size_t c = 0; c < r; c++)
            row[c] = (row[c] - j->loops->dot(row, corner + c * stride, c)) / corner[c * stride + c];
        const double pivot = row[r] - j->loops->dot(row, row, r);
        if (!(pivot > 0.0)) return false;
        row[r] = sqrt(pivot);
    }
    return true;
}

/* One group of rows below the corner: L_rp = A_rp L_pp^-T, kept and once more interleaved. */
static tw_status solve_group(tw_ctx *ctx, void *user, size_t group)
{
    (void)ctx;
    const job *j = user;
    const size_t stride = j->a->stride, first = j->from + PANEL + group * TWI_TILE_COLUMNS;
    const double *corner = j->a->a + j->from * (stride + 1);
    double *mixed = j->mixed + group * TWI_TILE_COLUMNS * PANEL;
    for (size_t r = 0; r < TWI_TILE_COLUMNS; r++) {
        double *row = j->a->a + (first + r) * stride + j->from;
        for (size_t c = 0; c < PANEL; c++) {
            row[c] = (row[c] - j->loops->dot(row, corner + c * stride, c)) / corner[c * stride + c];
            mixed[c * TWI_TILE_COLUMNS + r] = -row[c];
        }
    }
    return TW_OK;
}

/* One band of TWI_TILE_ROWS rows, up to the diagonal. */
static tw_status update_band(tw_ctx *ctx, void *user, size_t band)
{
    (void)ctx;
    const job *j = user;
    const size_t stride = j->a->stride, below = j->from + PANEL;
    const size_t first = below + band * TWI_TILE_ROWS;
    double *rows = j->a->a + first * stride;
    for (size_t c = below; c < first + TWI_TILE_ROWS; c += TWI_TILE_COLUMNS)
        j->loops->tile(rows + j->from, stride, j->mixed + (c - below) * PANEL, PANEL, rows + c,
                       stride);
    return TW_OK;
}

tw_status twi_cholesky(tw_ctx *ctx, twi_symmetric *a, bool *definite)
{
    job j = {.a = a, .loops = twi_doubles_best()};
    size_t cells;
    tw_status st = TW_OK;
    *definite = false;
    if (twi_mul(a->stride, PANEL, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "a matrix of %zu rows does not fit in memory", a->n);
    if ((st = twi_alloc(ctx, cells, &j.mixed)) != TW_OK) return st;
    for (j.from = 0; j.from < a->n; j.from += PANEL) {
        const size_t width = a->n - j.from < PANEL ? a->n - j.from : PANEL;
        if (twi_cancelled(ctx)) st = twi_fail(ctx, TW_ERR_CANCELLED, "stopped as asked");
        if (st != TW_OK || !factor_corner(&j, width)) goto done;
        if (width < PANEL || j.from + PANEL >= a->n) break;
        const size_t left = (a->n - j.from - PANEL + PANEL - 1) / PANEL * PANEL;
        const size_t threads = left * left < TWI_WORTH_A_THREAD / PANEL ? 1 : 0;
        st = twi_parallel(ctx, threads, left / TWI_TILE_COLUMNS, solve_group, &j);
        if (st == TW_OK) st = twi_parallel(ctx, threads, left / TWI_TILE_ROWS, update_band, &j);
    }
    *definite = true;
done:
    twi_free(j.mixed);
    return st;
}

void twi_cholesky_solve(const twi_symmetric *l, double *x)
{
    const twi_doubles *loops = twi_doubles_best();
    for (size_t i = 0; i < l->n; i++) {
        const double *row = l->a + i * l->stride;
        x[i] = (x[i] - loops->dot(row, x, i)) / row[i];
    }
    for (size_t i = l->n; i-- > 0;) { /* the transpose's rows are the columns */
        const double *row = l->a + i * l->stride;
        x[i] /= row[i];
        loops->axpy(-x[i], row, i, x);
    }
}
