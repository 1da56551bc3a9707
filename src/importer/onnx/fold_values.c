/* fold_values.c - numbers worked out of known numbers, beyond one by one. */
#include "importer/onnx/fold.h"

#include <math.h>
#include <string.h>

static tw_status fold_where(twi_folding *f)
{
    const twi_onnx_const *c = f->in[0], *a = f->in[1], *b = f->in[2];
    int64_t *i;
    float *x;
    twi_fold_shape(f, c->rank, c->dims);
    tw_status st = twi_fold_broadcast(f, a);
    if (st == TW_OK) st = twi_fold_broadcast(f, b);
    if (st == TW_OK) st = twi_fold_room(f, a->f != NULL, &i, &x);
    if (st != TW_OK) return st;
    if (!a->f != !b->f) return twi_onnx_fail(f->g, "whole numbers beside floating point");
    for (size_t at = 0; at < f->out.data.count; at++) {
        const twi_onnx_const *from = twi_fold_get(c, twi_fold_behind(&f->out, c, at)) != 0 ? a : b;
        if (x)
            x[at] = from->f[twi_fold_behind(&f->out, from, at)];
        else
            i[at] = from->i[twi_fold_behind(&f->out, from, at)];
    }
    return TW_OK;
}

static tw_status fold_cast(twi_folding *f)
{
    const int64_t to = twi_onnx_int(f->g->at, "to", 0);
    const bool floats = to == 1 || to == 10 || to == 11 || to == 16;
    int64_t *i;
    float *x;
    twi_fold_shape(f, f->in[0]->rank, f->in[0]->dims);
    const tw_status st = twi_fold_room(f, floats, &i, &x);
    for (size_t at = 0; st == TW_OK && at < f->out.data.count; at++) {
        const double value = twi_fold_get(f->in[0], at);
        if (x) x[at] = (float)value;
        if (i)
            i[at] = to == 9 ? value != 0 : fabs(value) < 9e15 ? (int64_t)trunc(value) : INT64_MAX;
    }
    return st;
}

static tw_status fold_range(twi_folding *f)
{
    const double start = twi_fold_get(f->in[0], 0), limit = twi_fold_get(f->in[1], 0),
                 step = twi_fold_get(f->in[2], 0);
    int64_t *i;
    float *x;
    if (f->in[0]->count != 1 || f->in[1]->count != 1 || f->in[2]->count != 1 || step == 0)
        return twi_onnx_fail(f->g, "a range that cannot be");
    const double count = fmax(0, ceil((limit - start) / step));
    if (!(count <= (double)TWI_FOLD_MOST))
        return twi_onnx_fail(f->g, "makes more numbers than are read");
    twi_fold_shape(f, 1, (const size_t[]){(size_t)count});
    const tw_status st = twi_fold_room(f, f->in[0]->f != NULL, &i, &x);
    for (size_t at = 0; st == TW_OK && at < f->out.data.count; at++) {
        if (x) x[at] = (float)(start + (double)at * step);
        if (i) i[at] = (int64_t)(start + (double)at * step);
    }
    return st;
}

static tw_status fold_product(twi_folding *f)
{
    double all = 1;
    int64_t *i;
    float *x;
    for (size_t at = 0; at < f->in[0]->count; at++) all *= twi_fold_get(f->in[0], at);
    const bool keep = twi_onnx_int(f->g->at, "keepdims", 1) != 0;
    if (f->in[0]->rank > 1) return twi_onnx_fail(f->g, "a product of more than one axis");
    twi_fold_shape(f, keep ? f->in[0]->rank : 0, (const size_t[]){1});
    const tw_status st = twi_fold_room(f, f->in[0]->f != NULL, &i, &x);
    if (st == TW_OK && x) x[0] = (float)all;
    if (st == TW_OK && i) i[0] = fabs(all) < 9e15 ? (int64_t)all : INT64_MAX;
    return st;
}

/* y = (x - zero point) scale, of the whole or of each index along axis. */
static tw_status fold_dequantize(twi_folding *f)
{
    const twi_onnx_const *c = f->in[0], *scale = f->in[1], *zero = f->n > 2 ? f->in[2] : NULL;
    size_t axis = 0, after = 1;
    float *x;
    tw_status st = TW_OK;
    if (scale->count > 1)
        st = twi_onnx_axis(f->g, twi_onnx_int(f->g->at, "axis", 1), c->rank, &axis);
    if (st != TW_OK) return st;
    if (twi_onnx_int(f->g->at, "block_size", 0) != 0)
        return twi_onnx_fail(f->g, "scales of blocks; one for all or for each channel are read");
    if (!c->i || !scale->f || (scale->count > 1 && scale->count != c->dims[axis]) ||
        (zero && zero->count != scale->count))
        return twi_onnx_fail(f->g, "scales that do not fit");
    for (size_t d = axis + 1; d < c->rank; d++) after *= c->dims[d];
    twi_fold_shape(f, c->rank, c->dims);
    if ((st = twi_fold_room(f, true, NULL, &x)) != TW_OK) return st;
    for (size_t at = 0; at < c->count; at++) {
        const size_t k = scale->count > 1 ? at / after % scale->count : 0;
        x[at] = (float)(c->i[at] - (zero ? (int64_t)twi_fold_get(zero, k) : 0)) * scale->f[k];
    }
    return TW_OK;
}

/* [m, k] times [k, n], of one matrix each. */
static tw_status fold_matmul(twi_folding *f)
{
    const twi_onnx_const *a = f->in[0], *b = f->in[1];
    size_t rows = 1;
    float *x;
    if (!a->f || !b->f || a->rank < 1 || b->rank != 2 || a->dims[a->rank - 1] != b->dims[0])
        return twi_onnx_fail(f->g, "a product of known numbers that do not fit");
    for (size_t d = 0; d + 1 < a->rank; d++) rows *= a->dims[d];
    const size_t k = b->dims[0], n = b->dims[1];
    size_t dims[TWI_ONNX_DIMS], work;
    memcpy(dims, a->dims, sizeof dims);
    dims[a->rank - 1] = n;
    twi_fold_shape(f, a->rank, dims);
    if (twi_mul(rows, n, &work) || twi_mul(work, k, &work) || work > 64 * TWI_FOLD_MOST)
        return twi_onnx_fail(f->g, "a product of more known numbers than are read");
    const tw_status st = twi_fold_room(f, true, NULL, &x);
    for (size_t r = 0; st == TW_OK && r < rows; r++)
        for (size_t c = 0; c < n; c++) {
            double sum = 0.0;
            for (size_t i = 0; i < k; i++) sum += (double)a->f[r * k + i] * (double)b->f[i * n + c];
            x[r * n + c] = (float)sum;
        }
    return st;
}

const twi_fold_operator twi_fold_values[] = {
    {"Cast", 1, fold_cast},
    {"Where", 3, fold_where},
    {"Range", 3, fold_range},
    {"ReduceProd", 1, fold_product},
    {"DequantizeLinear", 2, fold_dequantize},
    {"MatMul", 2, fold_matmul},
    {NULL, 0, NULL},
};
