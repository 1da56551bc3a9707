/* rows.c - passes over standardised rows. */
#include "learn/rows.h"
#include "base/threads.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Rows whose products are summed in float before they go into doubles. */
#define FLOAT_ROWS 64
/* Bytes all partial sums together may take; fewer chunks when the model is large. */
#define PARTIAL_BYTES ((size_t)32 << 20)
#define CHUNKS_MAX    32

twi_shift twi_shift_from(const twi_scaler *scaler, float *buffer)
{
    if (!scaler) return (twi_shift){NULL, NULL, false};
    const size_t d = scaler->d;
    for (size_t j = 0; j < d; j++) {
        buffer[j] = (float)scaler->mean[j];
        buffer[d + j] = (float)(1.0 / scaler->scale[j]);
    }
    return (twi_shift){buffer, buffer + d, false};
}

/* How many chunks: from the shape alone, never from the number of threads. */
static size_t chunk_count(size_t n, size_t cells)
{
    size_t chunks = PARTIAL_BYTES / (sizeof(float) + sizeof(double)) / (cells ? cells : 1);
    if (chunks > CHUNKS_MAX) chunks = CHUNKS_MAX;
    if (chunks < 2) chunks = 2;
    const size_t useful = n / 16 + 1;
    return chunks < useful ? chunks : useful;
}

tw_status twi_pass_new(tw_ctx *ctx, const twi_rows *rows, size_t k, twi_pass *out)
{
    twi_pass pass = {.rows = rows, .k = k};
    size_t cells, all, scores;
    tw_status st;
    if (twi_mul(k, rows->d, &cells) || twi_mul(cells, CHUNKS_MAX, &all) ||
        twi_mul(rows->n, k, &scores))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu scores of %zu features do not fit in memory", k,
                        rows->d);
    const size_t wanted = chunk_count(rows->n, cells);
    const size_t share = (rows->n + wanted - 1) / wanted;
    pass.chunk_rows = (share + TWI_ROWS_AT_ONCE - 1) / TWI_ROWS_AT_ONCE * TWI_ROWS_AT_ONCE;
    if (pass.chunk_rows == 0) pass.chunk_rows = TWI_ROWS_AT_ONCE;
    pass.chunks = (rows->n + pass.chunk_rows - 1) / pass.chunk_rows;
    if ((st = twi_alloc(ctx, cells, &pass.weights)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, pass.chunks, &pass.loss)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, scores, &pass.scores)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, scores, &pass.residual)) != TW_OK) goto done;
    *out = pass, pass = (twi_pass){0};
done:
    twi_pass_free(&pass);
    return st;
}

void twi_pass_free(twi_pass *pass)
{
    twi_free(pass->weights);
    twi_free(pass->partial);
    twi_free(pass->sums);
    twi_free(pass->loss);
    twi_free(pass->scores);
    twi_free(pass->residual);
    *pass = (twi_pass){0};
}

/* ---- one chunk ----------------------------------------------------------------------------- */

typedef struct job {
    twi_pass *pass;
    const twi_kernels *kernels;
    const twi_targets *targets; /* NULL: no loss */
    const double *bias;         /* [k] */
    bool score, sum;            /* which halves to do */
    double *total;              /* [k, d], for the reduction */
} job;

static void score_rows(const job *j, const void *const *x, size_t first, size_t count)
{
    const twi_pass *p = j->pass;
    double *scores = p->scores + first * p->k;
    for (size_t r = 0; r < count; r++) memcpy(scores + r * p->k, j->bias, p->k * sizeof *scores);
    j->kernels->dots(x, count, p->rows->d, p->rows->shift, p->weights, p->rows->d, p->k, scores);
}

static double lose_rows(const job *j, size_t first, size_t count)
{
    const twi_pass *p = j->pass;
    double loss = 0.0;
    for (size_t i = first; i < first + count; i++)
        loss += twi_loss_row(j->targets, i, p->scores + i * p->k, p->residual + i * p->k);
    return loss;
}

/* partial += residual^T z over count rows; k floats a row fit a small buffer, class block by class
 * block. */
static void sum_rows(const job *j, const void *const *x, size_t first, size_t count, float *partial)
{
    const twi_pass *p = j->pass;
    const size_t d = p->rows->d;
    float a[TWI_ROWS_AT_ONCE * 16];
    for (size_t from = 0; from < p->k; from += 16) {
        const size_t k = p->k - from < 16 ? p->k - from : 16;
        for (size_t r = 0; r < count; r++)
            for (size_t c = 0; c < k; c++)
                a[r * k + c] = (float)p->residual[(first + r) * p->k + from + c];
        j->kernels->sums(x, count, d, p->rows->shift, a, k, partial + from * d, d);
    }
}

static void flush(float *partial, double *sums, size_t cells)
{
    for (size_t i = 0; i < cells; i++) sums[i] += (double)partial[i];
    memset(partial, 0, cells * sizeof *partial);
}

static tw_status run_chunk(tw_ctx *ctx, void *user, size_t chunk)
{
    (void)ctx;
    const job *j = user;
    const twi_pass *p = j->pass;
    const size_t cells = p->k * p->rows->d, begin = chunk * p->chunk_rows;
    const size_t end = p->rows->n - begin < p->chunk_rows ? p->rows->n : begin + p->chunk_rows;
    float *partial = NULL;
    double *sums = NULL, loss = 0.0;
    if (j->sum) {
        partial = p->partial + chunk * cells;
        sums = p->sums + chunk * cells;
        memset(partial, 0, cells * sizeof *partial);
        memset(sums, 0, cells * sizeof *sums);
    }
    for (size_t i = begin, held = 0; i < end;) {
        const void *x[TWI_ROWS_AT_ONCE];
        const size_t count = end - i < TWI_ROWS_AT_ONCE ? end - i : TWI_ROWS_AT_ONCE;
        for (size_t r = 0; r < count; r++) x[r] = twi_row(p->rows, i + r);
        if (j->score) score_rows(j, x, i, count);
        if (j->targets) loss += lose_rows(j, i, count);
        if (j->sum) sum_rows(j, x, i, count, partial);
        i += count;
        if (j->sum && ((held += count) >= FLOAT_ROWS || i == end)) {
            flush(partial, sums, cells);
            held = 0;
        }
    }
    p->loss[chunk] = loss;
    return TW_OK;
}

#define REDUCE_SPAN 4096

static tw_status reduce_span(tw_ctx *ctx, void *user, size_t span)
{
    (void)ctx;
    const job *j = user;
    const twi_pass *p = j->pass;
    const size_t cells = p->k * p->rows->d, from = span * REDUCE_SPAN;
    const size_t width = cells - from < REDUCE_SPAN ? cells - from : REDUCE_SPAN;
    double *total = j->total + from;
    memcpy(total, p->sums + from, width * sizeof *total);
    for (size_t chunk = 1; chunk < p->chunks; chunk++) {
        const double *sums = p->sums + chunk * cells + from;
        for (size_t i = 0; i < width; i++) total[i] += sums[i];
    }
    return TW_OK;
}

static tw_status run(tw_ctx *ctx, job *j, const double *w)
{
    twi_pass *p = j->pass;
    const size_t cells = p->k * p->rows->d;
    j->kernels = twi_kernels_best();
    p->traffic += (double)(p->rows->n * p->rows->d) * (p->rows->shift.half ? 2.0 : 4.0);
    if (w)
        for (size_t i = 0; i < cells; i++) p->weights[i] = (float)w[i];
    tw_status st = TW_OK;
    if (j->sum && !p->partial) st = twi_alloc(ctx, p->chunks * cells, &p->partial);
    if (j->sum && !p->sums && st == TW_OK) st = twi_alloc(ctx, p->chunks * cells, &p->sums);
    if (st != TW_OK) return st;
    const size_t threads = p->rows->n * cells < TWI_WORTH_A_THREAD ? 1 : 0;
    st = twi_parallel(ctx, threads, p->chunks, run_chunk, j);
    if (st != TW_OK || !j->sum) return st;
    const size_t spans = (cells - 1) / REDUCE_SPAN + 1;
    return twi_parallel(ctx, p->chunks * cells < TWI_WORTH_A_THREAD ? 1 : 0, spans, reduce_span, j);
}

tw_status twi_pass_scores(tw_ctx *ctx, twi_pass *pass, const double *w, const double *bias)
{
    job j = {.pass = pass, .bias = bias, .score = true};
    return run(ctx, &j, w);
}

tw_status twi_pass_sums(tw_ctx *ctx, twi_pass *pass, double *sum)
{
    job j = {.pass = pass, .sum = true, .total = sum};
    return run(ctx, &j, NULL);
}

tw_status twi_pass_loss(tw_ctx *ctx, twi_pass *pass, const twi_targets *targets, const double *w,
                        const double *bias, double *loss, double *gradient)
{
    job j = {.pass = pass,
             .targets = targets,
             .bias = bias,
             .score = true,
             .sum = true,
             .total = gradient};
    const tw_status st = run(ctx, &j, w);
    *loss = 0.0;
    for (size_t chunk = 0; chunk < pass->chunks; chunk++) *loss += pass->loss[chunk];
    return st;
}

/* ---- copies -------------------------------------------------------------------------------- */

#define BLOCK 16 /* columns: one cache line of floats */

size_t twi_thinned_width(size_t d, size_t every)
{
    return every == 1 ? d : (d / BLOCK + every - 1) / every * BLOCK;
}

typedef struct thinning {
    const twi_rows *rows;
    size_t every, width;
    float factor, *out;
} thinning;

static tw_status thin_row(tw_ctx *ctx, void *user, size_t i)
{
    (void)ctx;
    const thinning *t = user;
    const twi_kernels *kernels = twi_kernels_best();
    const size_t block = t->every == 1 ? t->rows->d : BLOCK;
    const float *x = twi_row(t->rows, i);
    float *z = t->out + i * t->width;
    for (size_t to = 0, from = 0; to < t->width; to += block, from += block * t->every) {
        twi_shift shift = t->rows->shift;
        if (shift.mean) shift = (twi_shift){shift.mean + from, shift.inverse + from, false};
        kernels->standardise(x + from, block, shift, z + to);
    }
    for (size_t j = 0; j < t->width; j++) z[j] *= t->factor;
    return TW_OK;
}

tw_status twi_rows_thin(tw_ctx *ctx, const twi_rows *rows, size_t every, float factor,
                        float **buffer, twi_rows *copy)
{
    thinning t = {.rows = rows, .every = every, .factor = factor};
    t.width = twi_thinned_width(rows->d, every);
    size_t cells;
    if (twi_mul(rows->n, t.width, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu rows of %zu features do not fit in memory", rows->n,
                        t.width);
    tw_status st = twi_alloc(ctx, cells, &t.out);
    if (st != TW_OK) return st;
    if ((st = twi_parallel(ctx, cells < TWI_WORTH_A_THREAD ? 1 : 0, rows->n, thin_row, &t)) !=
        TW_OK) {
        twi_free(t.out);
        return st;
    }
    *buffer = t.out;
    *copy = (twi_rows){.x = t.out, .n = rows->n, .d = t.width, .stride = t.width};
    return TW_OK;
}

typedef struct halving {
    const twi_rows *rows;
    const twi_kernels *kernels;
    uint16_t *out;
} halving;

static tw_status halve_row(tw_ctx *ctx, void *user, size_t i)
{
    (void)ctx;
    const halving *h = user;
    h->kernels->to_half(twi_row(h->rows, i), h->rows->d, h->rows->shift, h->out + i * h->rows->d);
    return TW_OK;
}

/* Large pages for [p, p + bytes): 40 faults instead of 20,000 for 80 MB. Only a wish; failure is of
 * no account. */
static void wish_large_pages(void *p, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), offset = (page - (uintptr_t)p % page) % page;
    if (bytes > offset)
        (void)madvise((char *)p + offset, (bytes - offset) / page * page, MADV_HUGEPAGE);
}

tw_status twi_rows_halve(tw_ctx *ctx, const twi_rows *rows, uint16_t **buffer, twi_rows *copy)
{
    halving h = {.rows = rows, .kernels = twi_kernels_best()};
    size_t cells;
    *buffer = NULL;
    if (!h.kernels->to_half) return TW_OK;
    if (twi_mul(rows->n, rows->d, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu rows of %zu features do not fit in memory", rows->n,
                        rows->d);
    tw_status st = twi_alloc(ctx, cells, &h.out);
    if (st != TW_OK) return st;
    wish_large_pages(h.out, cells * sizeof *h.out);
    if ((st = twi_parallel(ctx, 0, rows->n, halve_row, &h)) != TW_OK) {
        twi_free(h.out);
        return st;
    }
    *buffer = h.out;
    *copy = (twi_rows){
        .x = h.out, .n = rows->n, .d = rows->d, .stride = rows->d, .shift = {.half = true}};
    return TW_OK;
}
