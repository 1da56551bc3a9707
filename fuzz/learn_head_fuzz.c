/* learn_head_fuzz.c - a head from anywhere: a line of JSON, then for each of its four tensors a
 * dtype, a rank, two dimensions, and the bytes left in turn as its data. */
#include "learn/learn.h"
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

/* A head that was accepted must be usable: shapes as promised, every number finite. */
static void use(tw_ctx *ctx, const twi_scaler *scaler, const twi_logreg *head)
{
    float *x;
    double *decision, *prob;
    uint32_t label;
    if (head->rows != (head->k == 2 ? 1 : head->k) || scaler->d != head->d) abort();
    if (twi_zalloc(ctx, head->d, &x) != TW_OK) return;
    if (twi_alloc(ctx, head->rows, &decision) == TW_OK) {
        if (twi_alloc(ctx, head->k, &prob) == TW_OK) {
            if (twi_logreg_decision(ctx, head, scaler, x, 1, decision) != TW_OK) abort();
            twi_logreg_probabilities(head, decision, 1, prob);
            twi_logreg_labels(head, decision, 1, &label);
            if (label >= head->k) abort();
            twi_free(prob);
        }
        twi_free(decision);
    }
    twi_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"scaler.mean", "scaler.scale", "head.coef",
                                        "head.intercept"};
    const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
    tw_ctx *ctx;
    twi_json *json = NULL;
    twi_tensors tensors = {0};
    if (!line_end || tw_ctx_new(&ctx) != TW_OK) return 0;
    const size_t text = (size_t)(line_end - data);
    tw_ctx_set_threads(ctx, 1);
    twi_cursor in = twi_cursor_over(line_end + 1, size - text - 1);
    tw_status st = twi_json_parse(ctx, "fuzz", (const char *)data, text, &json);
    for (size_t i = 0; i < 4 && st == TW_OK; i++) st = add_tensor(ctx, &in, names[i], &tensors);
    if (st == TW_OK) {
        twi_scaler scaler = {0};
        twi_logreg head = {0};
        if (twi_head_load(ctx, "fuzz", &tensors, json, &scaler, &head) == TW_OK)
            use(ctx, &scaler, &head);
        else if (scaler.mean || head.coef)
            abort(); /* outputs change only on TW_OK */
        twi_scaler_free(&scaler);
        twi_logreg_free(&head);
    }
    twi_json_free(json);
    twi_tensors_free(&tensors);
    tw_ctx_free(ctx);
    return 0;
}
