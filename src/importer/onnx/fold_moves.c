/* fold_moves.c - known numbers in another shape or order. */
#include "importer/onnx/fold.h"

#include <string.h>

/* The same numbers in dims [rank]. */
static tw_status relabel(twi_folding *f, size_t rank, const size_t *dims)
{
    size_t count = 1;
    for (size_t d = 0; d < rank; d++)
        if (twi_mul(count, dims[d], &count)) return twi_onnx_fail(f->g, "a shape that cannot be");
    if (count != f->in[0]->count)
        return twi_onnx_fail(f->g, "a shape of %zu numbers for %zu", count, f->in[0]->count);
    twi_fold_shape(f, rank, dims);
    f->out.kind = TWI_ONNX_CONST;
    f->out.data = *f->in[0];
    f->out.data.rank = rank;
    memcpy(f->out.data.dims, f->out.dims, sizeof f->out.dims);
    return TW_OK;
}

/* Reshape, Squeeze, Unsqueeze, Flatten: as moves.c does them for values. */
static tw_status fold_reshape(twi_folding *f)
{
    twi_onnx_value in = {.kind = TWI_ONNX_CONST, .rank = f->in[0]->rank, .data = *f->in[0]};
    memcpy(in.dims, f->in[0]->dims, sizeof in.dims);
    size_t rank, dims[TWI_ONNX_DIMS];
    const tw_status st = twi_onnx_new_shape(f->g, &in, &rank, dims);
    return st == TW_OK ? relabel(f, rank, dims) : st;
}

static tw_status fold_transpose(twi_folding *f)
{
    const twi_onnx_const *c = f->in[0];
    size_t perm[TWI_ONNX_DIMS], dims[TWI_ONNX_DIMS];
    tw_status st = twi_onnx_perm(f->g, c->rank, perm);
    if (st != TW_OK) return st;
    for (size_t d = 0; d < c->rank; d++) dims[d] = c->dims[perm[d]];
    twi_fold_shape(f, c->rank, dims);
    if ((st = twi_fold_room(f, c->f != NULL, NULL, NULL)) != TW_OK) return st;
    size_t stride[TWI_ONNX_DIMS], all = 1;
    for (size_t d = c->rank; d-- > 0;) stride[d] = all, all *= c->dims[d];
    for (size_t at = 0; at < c->count; at++) {
        size_t left = at, from = 0;
        for (size_t d = c->rank; d-- > 0;) {
            from += left % dims[d] * stride[perm[d]];
            left /= dims[d];
        }
        twi_fold_copy(f, c, from, at);
    }
    return TW_OK;
}

static tw_status fold_concat(twi_folding *f)
{
    twi_onnx_graph *g = f->g;
    size_t axis, total = 0, done = 0, dims[TWI_ONNX_DIMS];
    const twi_onnx_value *first, *one;
    tw_status st = twi_onnx_input(g, 0, &first);
    if (st == TW_OK) st = twi_onnx_axis(g, twi_onnx_int(g->at, "axis", 0), first->rank, &axis);
    if (st != TW_OK) return st;
    size_t before = 1, after = 1;
    for (size_t d = 0; d < axis; d++) before *= first->dims[d];
    for (size_t d = axis + 1; d < first->rank; d++) after *= first->dims[d];
    for (size_t k = 0; k < g->at->n_inputs; k++) {
        if ((st = twi_onnx_input(g, k, &one)) != TW_OK) return st;
        if (one->rank != first->rank || !one->data.f != !first->data.f ||
            one->data.count != before * one->dims[axis] * after)
            return twi_onnx_fail(g, "inputs of different kinds");
        total += one->dims[axis];
    }
    memcpy(dims, first->dims, sizeof dims);
    dims[axis] = total;
    twi_fold_shape(f, first->rank, dims);
    if ((st = twi_fold_room(f, first->data.f != NULL, NULL, NULL)) != TW_OK) return st;
    for (size_t k = 0; k < g->at->n_inputs; k++) {
        (void)twi_onnx_input(g, k, &one);
        const size_t width = one->dims[axis] * after;
        for (size_t b = 0; b < before; b++)
            for (size_t at = 0; at < width; at++)
                twi_fold_copy(f, &one->data, b * width + at, (b * total + done) * after + at);
        done += one->dims[axis];
    }
    return TW_OK;
}

static tw_status fold_gather(twi_folding *f)
{
    const twi_onnx_const *c = f->in[0], *index = f->in[1];
    size_t axis, dims[TWI_ONNX_DIMS], rank = 0, before = 1, after = 1;
    tw_status st = twi_onnx_axis(f->g, twi_onnx_int(f->g->at, "axis", 0), c->rank, &axis);
    if (st != TW_OK) return st;
    if (!index->i || c->rank - 1 + index->rank > TWI_ONNX_DIMS)
        return twi_onnx_fail(f->g, "an index that is none");
    for (size_t d = 0; d < axis; d++) before *= dims[rank++] = c->dims[d];
    for (size_t d = 0; d < index->rank; d++) dims[rank++] = index->dims[d];
    for (size_t d = axis + 1; d < c->rank; d++) after *= dims[rank++] = c->dims[d];
    twi_fold_shape(f, rank, dims);
    if ((st = twi_fold_room(f, c->f != NULL, NULL, NULL)) != TW_OK) return st;
    for (size_t b = 0, to = 0; b < before; b++)
        for (size_t k = 0; k < index->count; k++) {
            const int64_t at = index->i[k] < 0 ? index->i[k] + (int64_t)c->dims[axis] : index->i[k];
            if (at < 0 || at >= (int64_t)c->dims[axis])
                return twi_onnx_fail(f->g, "index %lld of %zu", (long long)index->i[k],
                                     c->dims[axis]);
            for (size_t a = 0; a < after; a++)
                twi_fold_copy(f, c, (b * c->dims[axis] + (size_t)at) * after + a, to++);
        }
    return TW_OK;
}

static tw_status fold_slice(twi_folding *f)
{
    const twi_onnx_const *c = f->in[0];
    twi_onnx_cut cut[TWI_ONNX_DIMS];
    size_t dims[TWI_ONNX_DIMS];
    tw_status st = twi_onnx_cuts(f->g, c->rank, c->dims, cut);
    if (st != TW_OK) return st;
    for (size_t d = 0; d < c->rank; d++) dims[d] = cut[d].count;
    twi_fold_shape(f, c->rank, dims);
    if ((st = twi_fold_room(f, c->f != NULL, NULL, NULL)) != TW_OK) return st;
    for (size_t at = 0; at < f->out.data.count; at++) {
        size_t left = at, from = 0, stride = 1;
        for (size_t d = c->rank; d-- > 0;) {
            const int64_t position =
                (int64_t)cut[d].start + (int64_t)(left % dims[d]) * cut[d].step;
            from += (size_t)position * stride;
            stride *= c->dims[d];
            left /= dims[d];
        }
        twi_fold_copy(f, c, from, at);
    }
    return TW_OK;
}

/* data with updates written over it at indices [..., k] of its first k axes. */
static tw_status fold_scatter(twi_folding *f)
{
    const twi_onnx_const *c = f->in[0], *index = f->in[1], *updates = f->in[2];
    size_t width = 1;
    if (!index->i || index->rank == 0 || !c->f != !updates->f)
        return twi_onnx_fail(f->g, "indices or updates that do not fit");
    const size_t k = index->dims[index->rank - 1];
    if (k == 0 || k > c->rank) return twi_onnx_fail(f->g, "indices of %zu axes", k);
    for (size_t d = k; d < c->rank; d++) width *= c->dims[d];
    if (index->count / k * width != updates->count)
        return twi_onnx_fail(f->g, "indices or updates that do not fit");
    twi_fold_shape(f, c->rank, c->dims);
    const tw_status st = twi_fold_room(f, c->f != NULL, NULL, NULL);
    for (size_t at = 0; st == TW_OK && at < c->count; at++) twi_fold_copy(f, c, at, at);
    for (size_t n = 0; st == TW_OK && n < index->count / k; n++) {
        size_t to = 0;
        for (size_t d = 0; d < k; d++) {
            const int64_t one = index->i[n * k + d], size = (int64_t)c->dims[d];
            if (one < -size || one >= size)
                return twi_onnx_fail(f->g, "index %lld of %lld", (long long)one, (long long)size);
            to = to * c->dims[d] + (size_t)(one < 0 ? one + size : one);
        }
        for (size_t at = 0; at < width; at++)
            twi_fold_copy(f, updates, n * width + at, to * width + at);
    }
    return st;
}

/* A shape given as numbers, into the outcome's. */
static tw_status take_shape(twi_folding *f, const twi_onnx_const *c)
{
    size_t dims[TWI_ONNX_DIMS];
    if (!c->i || c->count > TWI_ONNX_DIMS) return twi_onnx_fail(f->g, "a shape that cannot be");
    for (size_t d = 0; d < c->count; d++) {
        if (c->i[d] < 0 || (uint64_t)c->i[d] > TWI_FOLD_MOST)
            return twi_onnx_fail(f->g, "axis %zu of a shape is %lld", d, (long long)c->i[d]);
        dims[d] = (size_t)c->i[d];
    }
    twi_fold_shape(f, c->count, dims);
    return TW_OK;
}

static tw_status fold_constant_of_shape(twi_folding *f)
{
    const twi_onnx_attribute *a = twi_onnx_attribute_of(f->g->at, "value");
    twi_onnx_const value = {.count = 1, .f = (const float[]){0}};
    tw_status st = take_shape(f, f->in[0]);
    if (st == TW_OK && a)
        st = twi_onnx_tensor(f->g->ctx, f->g->model, "of a constant", a->tensor, &value);
    if (st == TW_OK && value.count != 1) st = twi_onnx_fail(f->g, "a value of several numbers");
    if (st == TW_OK) st = twi_fold_room(f, value.f != NULL, NULL, NULL);
    for (size_t at = 0; st == TW_OK && at < f->out.data.count; at++)
        twi_fold_copy(f, &value, 0, at);
    return st;
}

static tw_status fold_expand(twi_folding *f)
{
    tw_status st = take_shape(f, f->in[1]);
    if (st == TW_OK) st = twi_fold_broadcast(f, f->in[0]);
    if (st == TW_OK) st = twi_fold_room(f, f->in[0]->f != NULL, NULL, NULL);
    for (size_t at = 0; st == TW_OK && at < f->out.data.count; at++)
        twi_fold_copy(f, f->in[0], twi_fold_behind(&f->out, f->in[0], at), at);
    return st;
}

const twi_fold_operator twi_fold_moves[] = {
    {"Reshape", 2, fold_reshape},
    {"Squeeze", 1, fold_reshape},
    {"Unsqueeze", 1, fold_reshape},
    {"Flatten", 1, fold_reshape},
    {"Transpose", 1, fold_transpose},
    {"Concat", 1, fold_concat},
    {"Gather", 2, fold_gather},
    {"Slice", 1, fold_slice},
    {"ScatterND", 3, fold_scatter},
    {"ConstantOfShape", 1, fold_constant_of_shape},
    {"Expand", 2, fold_expand},
    {"Resize", 1, twi_fold_resize},
    {NULL, 0, NULL},
};
