/* learn_tool.c - one scaler, fit, prediction and set of metrics on a file of samples; parity.py
 * compares them with scikit-learn's.
 *
 *     learn-tool IN OUT
 *
 * IN, little-endian: u64 n, d, k, max_iter, balanced, test rows m, top; f64 C, tol; f32 x [n + m,
 * d]; u32 y [n + m]. OUT: f64 mean, var, scale [d]; f32 transformed training rows [n, d]; f64
 * objective, gradient, iterations, converged; coef [rows, d]; intercept [rows]; decision [m, rows];
 * probability [m, k]; label [m]; confusion [k, k]; precision, recall, f1, support [k, 4]; top-k
 * count. */
#include "learn/learn.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct request {
    uint64_t n, d, k, max_iter, balanced, m, top;
    double C, tol;
} request;

static FILE *in, *out;

static void *get(size_t count, size_t size)
{
    void *p;
    if (twi_alloc_bytes(NULL, count, size, false, &p) != TW_OK ||
        fread(p, size, count, in) != count)
        exit(3);
    return p;
}

static void put(const void *p, size_t count, size_t size)
{
    if (fwrite(p, size, count, out) != count) exit(3);
}

static void put_number(double value)
{
    put(&value, 1, sizeof value);
}

static void put_transformed(const twi_scaler *scaler, const float *x, size_t n)
{
    float *z;
    if (twi_alloc(NULL, n * scaler->d, &z) != TW_OK) exit(3);
    twi_scaler_apply(scaler, x, n, z);
    put(z, n * scaler->d, sizeof *z);
    twi_free(z);
}

static void put_metrics(const request *r, const uint32_t *truth, const uint32_t *label,
                        const double *prob)
{
    size_t *confusion;
    if (twi_alloc(NULL, r->k * r->k, &confusion) != TW_OK) exit(3);
    twi_confusion(truth, label, r->m, r->k, confusion);
    for (size_t i = 0; i < r->k * r->k; i++) put_number((double)confusion[i]);
    for (size_t c = 0; c < r->k; c++) {
        tw_class_score s;
        twi_class_score(confusion, r->k, c, &s);
        put_number(s.precision);
        put_number(s.recall);
        put_number(s.f1);
        put_number((double)s.support);
    }
    put_number((double)twi_top_k_correct(prob, truth, r->m, r->k, r->top));
    twi_free(confusion);
}

static void put_predictions(tw_ctx *ctx, const request *r, const twi_scaler *scaler,
                            const twi_logreg *model, const float *x, const uint32_t *y)
{
    double *decision, *prob;
    uint32_t *label;
    if (twi_alloc(NULL, r->m * model->rows, &decision) != TW_OK ||
        twi_alloc(NULL, r->m * r->k, &prob) != TW_OK || twi_alloc(NULL, r->m, &label) != TW_OK ||
        twi_logreg_decision(ctx, model, scaler, x, r->m, decision) != TW_OK)
        exit(3);
    twi_logreg_probabilities(model, decision, r->m, prob);
    twi_logreg_labels(model, decision, r->m, label);
    put(decision, r->m * model->rows, sizeof *decision);
    put(prob, r->m * r->k, sizeof *prob);
    for (size_t i = 0; i < r->m; i++) put_number((double)label[i]);
    put_metrics(r, y, label, prob);
    twi_free(decision);
    twi_free(prob);
    twi_free(label);
}

static int run(tw_ctx *ctx)
{
    request *r = get(1, sizeof *r);
    float *x = get((r->n + r->m) * r->d, sizeof *x);
    uint32_t *y = get(r->n + r->m, sizeof *y);
    const twi_samples samples = {.x = x, .y = y, .n = r->n, .d = r->d, .k = r->k};
    const twi_logreg_opts opts = {
        .C = r->C, .tol = r->tol, .max_iter = r->max_iter, .balanced = r->balanced};
    twi_scaler scaler = {0};
    twi_logreg model = {0};
    if (twi_scaler_fit(ctx, &samples, &scaler) != TW_OK ||
        twi_logreg_fit(ctx, &samples, &scaler, &opts, &model) != TW_OK) {
        fprintf(stderr, "learn-tool: %s\n", tw_last_error(ctx));
        return 1;
    }
    put(scaler.mean, r->d, sizeof(double));
    put(scaler.var, r->d, sizeof(double));
    put(scaler.scale, r->d, sizeof(double));
    put_transformed(&scaler, x, r->n);
    put_number(model.objective);
    put_number(model.gradient);
    put_number((double)model.iterations);
    put_number(model.converged);
    put(model.coef, model.rows * r->d, sizeof(double));
    put(model.intercept, model.rows, sizeof(double));
    put_predictions(ctx, r, &scaler, &model, x + r->n * r->d, y + r->n);
    twi_logreg_free(&model);
    twi_scaler_free(&scaler);
    twi_free(x);
    twi_free(y);
    twi_free(r);
    return 0;
}

int main(int argc, char **argv)
{
    tw_ctx *ctx;
    if (argc != 3) return 2;
    in = fopen(argv[1], "rb");
    out = fopen(argv[2], "wb");
    if (!in || !out || tw_ctx_new(&ctx) != TW_OK) return 3;
    const int result = run(ctx);
    tw_ctx_free(ctx);
    fclose(in);
    return fclose(out) == 0 ? result : 3;
}
