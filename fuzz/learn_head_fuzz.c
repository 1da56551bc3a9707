/* learn_head_fuzz.c - a classifier from anywhere: a line of JSON, then tensors until the bytes end.
 * Each is the number of its name in the table below, a dtype, a rank, two dimensions and data. */
#include "learn/classifier.h"
#include "base/cursor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tw_status add_tensor(tw_ctx *ctx, twi_cursor *in, const char *name, twi_tensors *tensors)
{
    const twi_dtype dtype = (twi_dtype)(twi_take_u8(in) % (TWI_F64 + 1));
    const size_t rank = twi_take_u8(in) % 3;
    size_t dims[2] = {twi_take_u8(in), twi_take_u8(in)}, count = 1;
    for (size_t i = 0; i < rank; i++) count *= dims[i];
    void *values;
    const tw_status st = twi_tensors_add(ctx, tensors, name, dtype, rank, dims, NULL, &values);
    if (st != TW_OK) return st;
    const size_t wanted = count * twi_dtype_size(dtype),
                 had = wanted < in->left ? wanted : in->left;
    const void *bytes = twi_take_bytes(in, had);
    if (bytes && had > 0) memcpy(values, bytes, had);
    return TW_OK;
}

/* A classifier that was accepted must be usable: shapes as promised, every answer in range. */
static void use(tw_ctx *ctx, const twi_classifier *c)
{
    float *x = NULL;
    double *prob = NULL;
    uint32_t label;
    if (c->steps.width != c->head->d || c->head->k != c->k || c->k < 2) abort();
    if (twi_zalloc(ctx, c->d, &x) == TW_OK && twi_alloc(ctx, c->k, &prob) == TW_OK) {
        const tw_status st =
            twi_classifier_answer(ctx, c, x, 1, &(twi_answers){.prob = prob, .label = &label});
        if (st != TW_OK && st != TW_ERR_NOMEM) abort();
        if (st == TW_OK && label >= c->k) abort();
    }
    twi_free(prob);
    twi_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {
        "scaler.mean",    "scaler.scale",       "head.coef",      "head.intercept",
        "head.support",   "head.dual_coef",     "head.n_support", "head.x",
        "head.y",         "head.centroids",     "head.weights_0", "head.biases_0",
        "head.weights_1", "head.biases_1",      "pca.mean",       "pca.components",
        "pca.variance",   "calibration.a",      "calibration.b",  "calibration.x",
        "calibration.y",  "calibration.offsets"};
    const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
    tw_ctx *ctx;
    twi_json *json = NULL;
    twi_tensors tensors = {0};
    if (!line_end || tw_ctx_new(&ctx) != TW_OK) return 0;
    const size_t text = (size_t)(line_end - data);
    tw_ctx_set_threads(ctx, 1);
    twi_cursor in = twi_cursor_over(line_end + 1, size - text - 1);
    tw_status st = twi_json_parse(ctx, "fuzz", (const char *)data, text, &json);
    for (size_t i = 0; i < 24 && in.left > 0 && st == TW_OK; i++)
        st = add_tensor(ctx, &in, names[twi_take_u8(&in) % TWI_LEN(names)], &tensors);
    if (st == TW_OK) {
        twi_classifier c = {0};
        if (twi_classifier_load(ctx, "fuzz", &tensors, json, &c) == TW_OK)
            use(ctx, &c);
        else if (c.head)
            abort(); /* outputs change only on TW_OK */
        twi_classifier_free(&c);
    }
    twi_json_free(json);
    twi_tensors_free(&tensors);
    tw_ctx_free(ctx);
    return 0;
}
