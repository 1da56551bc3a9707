/* learn_reject_fuzz.c - a threshold and its rows from anywhere: a line of JSON, then a dtype, a
 * rank, two dimensions and data. */
#include "base/cursor.h"
#include "learn/reject.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tw_status add_rows(tw_ctx *ctx, twi_cursor *in, size_t *d, twi_tensors *tensors)
{
    const twi_dtype dtype = (twi_dtype)(twi_take_u8(in) % (TWI_F64 + 1));
    const size_t rank = twi_take_u8(in) % 3;
    const size_t dims[2] = {twi_take_u8(in), twi_take_u8(in)};
    void *values;
    size_t count = 1;
    *d = dims[1] ? dims[1] : 1; /* a model has a feature at least */
    for (size_t i = 0; i < rank; i++) count *= dims[i];
    const tw_status st =
        twi_tensors_add(ctx, tensors, "reject.rows", dtype, rank, dims, NULL, &values);
    if (st != TW_OK) return st;
    const size_t wanted = count * twi_dtype_size(dtype),
                 had = wanted < in->left ? wanted : in->left;
    const void *bytes = twi_take_bytes(in, had);
    if (bytes && had > 0) memcpy(values, bytes, had);
    return TW_OK;
}

/* What was accepted must answer, and with a number. */
static void use(tw_ctx *ctx, const twi_reject *r)
{
    float x[256] = {1.0f, -2.0f};
    double familiarity;
    if (r->n == 0) return;
    if (r->d > 255 || r->neighbors == 0 || r->neighbors > r->n) abort();
    const tw_status st = twi_reject_score(ctx, r, x, 1, &familiarity);
    if (st != TW_OK && st != TW_ERR_NOMEM) abort();
    if (st == TW_OK && !(fabs(familiarity) < 1.1 && isfinite(r->threshold))) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
    tw_ctx *ctx;
    twi_json *json = NULL;
    twi_tensors tensors = {0};
    size_t d;
    if (!line_end || tw_ctx_new(&ctx) != TW_OK) return 0;
    const size_t text = (size_t)(line_end - data);
    tw_ctx_set_threads(ctx, 1);
    twi_cursor in = twi_cursor_over(line_end + 1, size - text - 1);
    tw_status st = twi_json_parse(ctx, "fuzz", (const char *)data, text, &json);
    if (st == TW_OK) st = add_rows(ctx, &in, &d, &tensors);
    if (st == TW_OK) {
        twi_reject r = {0};
        if (twi_reject_load(ctx, "fuzz", &tensors, json, d, &r) == TW_OK)
            use(ctx, &r);
        else if (r.rows)
            abort(); /* outputs change only on TW_OK */
        twi_reject_free(&r);
    }
    twi_json_free(json);
    twi_tensors_free(&tensors);
    tw_ctx_free(ctx);
    return 0;
}
