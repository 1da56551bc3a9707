/* head_tool.c - any head of the table, with its steps and calibration, on a file of samples; the
 * parity scripts compare it with scikit-learn.
 *
 *     head-tool IN OUT [THREADS]
 *
 * IN, little-endian: u64 n, d, k, m, length of the options; the options, JSON as a model remembers
 * them ({"kind": "ridge", "alpha": 1}); f32 x [n + m, d]; u32 y [n + m]; u32 fold of each training
 * row [n]. The last m rows are predicted. OUT, f64: width, iterations, converged, seconds to fit,
 * seconds to predict; decision [m, width]; score [m, k]; probability [m, k]; label [m]; then for
 * each tensor of the saved classifier: u64 length of its name, the name, u64 count, f64 values. */
#include "learn/classifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct request {
    uint64_t n, d, k, m, length;
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

static void *room(size_t count, size_t size)
{
    void *p;
    if (twi_alloc_bytes(NULL, count, size, true, &p) != TW_OK) exit(3);
    return p;
}

static tw_status put_answers(tw_ctx *ctx, const request *r, const twi_classifier *c, const float *x,
                             double fit_seconds)
{
    const size_t width = c->head->width;
    double *decision = room(r->m * width, sizeof *decision);
    const twi_answers answers = {room(r->m * r->k, sizeof(double)),
                                 room(r->m * r->k, sizeof(double)), room(r->m, sizeof(uint32_t))};
    tw_status st = twi_classifier_decide(ctx, c, x, r->m, decision);
    const double start = twi_seconds();
    if (st == TW_OK) st = twi_classifier_answer(ctx, c, x, r->m, &answers);
    if (st != TW_OK) return st;
    put_number((double)width);
    put_number((double)c->head->iterations);
    put_number(c->head->converged);
    put_number(fit_seconds);
    put_number(twi_seconds() - start);
    put(decision, r->m * width, sizeof *decision);
    put(answers.score, r->m * r->k, sizeof(double));
    put(answers.prob, r->m * r->k, sizeof(double));
    for (size_t i = 0; i < r->m; i++) put_number((double)answers.label[i]);
    twi_free(decision);
    twi_free(answers.score);
    twi_free(answers.prob);
    twi_free(answers.label);
    return TW_OK;
}

static tw_status put_tensors(tw_ctx *ctx, const twi_classifier *c)
{
    twi_tensors tensors = {0};
    twi_json *json = NULL;
    const tw_status st = twi_classifier_save(ctx, c, &tensors, &json);
    for (size_t i = 0; st == TW_OK && i < tensors.n; i++) {
        const twi_tensor *t = &tensors.items[i];
        const uint64_t length = strlen(t->name), count = t->count;
        put(&length, 1, sizeof length);
        put(t->name, 1, length);
        put(&count, 1, sizeof count);
        for (size_t j = 0; j < t->count; j++)
            put_number(t->dtype == TWI_F64   ? ((const double *)t->data)[j]
                       : t->dtype == TWI_F32 ? (double)((const float *)t->data)[j]
                       : t->dtype == TWI_I32 ? (double)((const int32_t *)t->data)[j]
                                             : 0.0);
    }
    twi_json_free(json);
    twi_tensors_free(&tensors);
    return st;
}

static tw_status run(tw_ctx *ctx)
{
    request *r = get(1, sizeof *r);
    char *text = get(r->length, 1);
    float *x = get((r->n + r->m) * r->d, sizeof *x);
    uint32_t *y = get(r->n + r->m, sizeof *y), *fold_of = get(r->n, sizeof *fold_of);
    const twi_samples samples = {.x = x, .y = y, .n = r->n, .d = r->d, .k = r->k};
    twi_folding folding = {.fold_of = fold_of};
    for (size_t i = 0; i < r->n; i++)
        if (fold_of[i] >= folding.folds) folding.folds = fold_of[i] + 1;
    tw_head_opts opts;
    twi_json *json = NULL;
    twi_classifier c = {0};
    tw_status st = twi_json_parse(ctx, "options", text, r->length, &json);
    if (st == TW_OK) st = twi_head_opts_from_json(ctx, json, &opts);
    const double start = twi_seconds();
    if (st == TW_OK) st = twi_classifier_fit(ctx, &samples, &opts, &folding, &c);
    if (st == TW_OK) st = put_answers(ctx, r, &c, x + r->n * r->d, twi_seconds() - start);
    if (st == TW_OK) st = put_tensors(ctx, &c);
    if (st == TW_OK) twi_classifier_free(&c);
    twi_json_free(json);
    twi_free(fold_of);
    twi_free(y);
    twi_free(x);
    twi_free(text);
    twi_free(r);
    return st;
}

int main(int argc, char **argv)
{
    tw_ctx *ctx;
    if (argc != 3 && argc != 4) return 2;
    in = fopen(argv[1], "rb");
    out = fopen(argv[2], "wb");
    if (!in || !out || tw_ctx_new(&ctx) != TW_OK) return 3;
    if (argc == 4) tw_ctx_set_threads(ctx, strtoul(argv[3], NULL, 10));
    const tw_status st = run(ctx);
    if (st != TW_OK) fprintf(stderr, "head-tool: %s\n", tw_last_error(ctx));
    tw_ctx_free(ctx);
    fclose(in);
    return fclose(out) == 0 ? st != TW_OK : 3;
}
