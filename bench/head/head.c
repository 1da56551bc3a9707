/* head.c - scaler, head and choice of C on one matrix, timed; head.py asks, and lays the times
 * beside scikit-learn's.
 *
 *     head-bench FILE N D K THREADS      FILE: f32 x [N, D], u32 y [N], little-endian
 *
 * Each line of standard input is a question, each line of output its answer:
 *     fit           seconds of scaler, seconds of fit, iterations, bytes moved,
 * objective choose        seconds, C        (5 folds, C = 1e-4 ... 10) read          GB/s at which
 * all threads together read the matrix multiply      GFLOP/s of all threads together in the Gram
 * kernel, from first-level cache save PATH     coefficients and intercepts of the last fit as f64
 */
#include "learn/kernels.h"
#include "learn/learn.h"
#include "base/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    tw_ctx *ctx;
    twi_samples samples;
    twi_logreg model;
} bench;

static const twi_logreg_opts opts = {.C = 1.0, .tol = 1e-4, .max_iter = 1000};

static int load(const char *path, twi_samples *s)
{
    float *x;
    uint32_t *y;
    FILE *f = fopen(path, "rb");
    if (!f || twi_alloc(NULL, s->n * s->d, &x) != TW_OK || twi_alloc(NULL, s->n, &y) != TW_OK)
        return 1;
    const int bad =
        fread(x, sizeof *x, s->n * s->d, f) != s->n * s->d || fread(y, sizeof *y, s->n, f) != s->n;
    fclose(f);
    s->x = x;
    s->y = y;
    return bad;
}

static tw_status fit(bench *b)
{
    twi_scaler scaler = {0};
    const double start = twi_seconds();
    tw_status st = twi_scaler_fit(b->ctx, &b->samples, &scaler);
    const double middle = twi_seconds();
    twi_logreg_free(&b->model);
    if (st == TW_OK) st = twi_logreg_fit(b->ctx, &b->samples, &scaler, &opts, &b->model);
    const double end = twi_seconds();
    printf("%.6f %.6f %zu %.0f %.17g\n", middle - start, end - middle, b->model.iterations,
           b->model.traffic, b->model.objective);
    twi_scaler_free(&scaler);
    return st;
}

static tw_status choose(bench *b)
{
    const double grid[] = {1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0};
    uint32_t *fold_of;
    double C = 0.0;
    tw_status st = twi_alloc(b->ctx, b->samples.n, &fold_of);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < b->samples.n; i++) fold_of[i] = (uint32_t)(i % 5);
    const double start = twi_seconds();
    st = twi_logreg_choose_c(b->ctx, &b->samples, fold_of, 5, grid, TWI_LEN(grid), &opts, &C, NULL);
    printf("%.6f %g\n", twi_seconds() - start, C);
    twi_free(fold_of);
    return st;
}

/* ---- what the machine can do --------------------------------------------------------------- */

#define PARTS 64

static tw_status read_part(tw_ctx *ctx, void *user, size_t part)
{
    (void)ctx;
    const bench *b = user;
    const size_t cells = b->samples.n * b->samples.d, from = cells / PARTS * part;
    const uint64_t *words = (const uint64_t *)(b->samples.x + from / 16 * 16);
    uint64_t sum[8] = {0};
    for (size_t i = 0; i + 8 <= cells / PARTS / 2; i += 8)
        for (size_t lane = 0; lane < 8; lane++) sum[lane] ^= words[i + lane];
    volatile uint64_t keep = 0;
    for (size_t lane = 0; lane < 8; lane++) keep ^= sum[lane];
    (void)keep;
    return TW_OK;
}

static tw_status read_all(bench *b)
{
    const double start = twi_seconds();
    const tw_status st = twi_parallel(b->ctx, 0, PARTS, read_part, b);
    printf("%.3f\n", 4e-9 * (double)(b->samples.n * b->samples.d) / (twi_seconds() - start));
    return st;
}

#define DEPTH 64

static tw_status multiply_part(tw_ctx *ctx, void *user, size_t part)
{
    (void)ctx, (void)user, (void)part;
    float a[TWI_GRAM_ROWS * DEPTH] = {0}, b[DEPTH * TWI_GRAM_COLUMNS] = {0};
    float c[TWI_GRAM_ROWS * TWI_GRAM_COLUMNS] = {0};
    for (size_t i = 0; i < 2000; i++)
        twi_kernels_best()->gram(a, DEPTH, b, DEPTH, c, TWI_GRAM_COLUMNS);
    return TW_OK;
}

static tw_status multiply_all(bench *b)
{
    const double start = twi_seconds();
    const tw_status st = twi_parallel(b->ctx, 0, PARTS, multiply_part, b);
    printf("%.3f\n", 2e-9 * PARTS * 2000.0 * TWI_GRAM_ROWS * TWI_GRAM_COLUMNS * DEPTH /
                         (twi_seconds() - start));
    return st;
}

static int save(const bench *b, const char *path)
{
    const twi_logreg *m = &b->model;
    FILE *f = fopen(path, "wb");
    if (!f) return 1;
    const int bad = fwrite(m->coef, sizeof(double), m->rows * m->d, f) != m->rows * m->d ||
                    fwrite(m->intercept, sizeof(double), m->rows, f) != m->rows;
    puts("saved");
    return fclose(f) != 0 || bad;
}

static int answer(bench *b, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "fit") == 0) return fit(b) != TW_OK;
    if (strcmp(line, "choose") == 0) return choose(b) != TW_OK;
    if (strcmp(line, "read") == 0) return read_all(b) != TW_OK;
    if (strcmp(line, "multiply") == 0) return multiply_all(b) != TW_OK;
    if (strncmp(line, "save ", 5) == 0) return save(b, line + 5);
    return 2;
}

int main(int argc, char **argv)
{
    bench b = {0};
    char line[4096];
    if (argc != 6) return 2;
    b.samples.n = strtoul(argv[2], NULL, 10);
    b.samples.d = strtoul(argv[3], NULL, 10);
    b.samples.k = strtoul(argv[4], NULL, 10);
    if (tw_ctx_new(&b.ctx) != TW_OK || load(argv[1], &b.samples) != 0) return 3;
    tw_ctx_set_threads(b.ctx, strtoul(argv[5], NULL, 10));
    while (fgets(line, sizeof line, stdin)) {
        const int bad = answer(&b, line);
        fflush(stdout);
        if (bad) {
            fprintf(stderr, "head-bench: %s\n", tw_last_error(b.ctx));
            return bad;
        }
    }
    return 0;
}
