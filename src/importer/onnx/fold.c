/* fold.c - nodes whose inputs are all known: what exporters write to work out shapes, and weights
 * turned about. Source of every meaning: the ONNX operator specification, opsets 7 to 21. */
#include "importer/onnx/graph.h"

#include <math.h>
#include <string.h>

#define MOST ((size_t)1 << 24) /* elements that folding may make beyond those it is given */

typedef struct folding {
    twi_onnx_graph *g;
    const twi_onnx_const *in[4];
    size_t n;
    twi_onnx_value out;
} folding;

static double get(const twi_onnx_const *c, size_t i)
{
    return c->f ? (double)c->f[i] : (double)c->i[i];
}

/* Fresh memory for the outcome, whose shape is set: floats or integers. */
static tw_status room(folding *f, bool floats, int64_t **i, float **x)
{
    twi_onnx_value *out = &f->out;
    size_t count = 1;
    size_t given = 0;
    for (size_t k = 0; k < f->n; k++)
        if (f->in[k]->count > given) given = f->in[k]->count;
    bool too_many = false;
    for (size_t d = 0; d < out->rank; d++) too_many |= twi_mul(count, out->dims[d], &count);
    if (count > given) f->g->invented += count - given;
    if (too_many || f->g->invented > MOST)
        return twi_onnx_fail(f->g, "makes more numbers than are read");
    out->kind = TWI_ONNX_CONST;
    out->data = (twi_onnx_const){.rank = out->rank, .count = count};
    memcpy(out->data.dims, out->dims, sizeof out->dims);
    float *floats_made = NULL;
    int64_t *ints_made = NULL;
    twi_arena *memory = &f->g->model->memory;
    const tw_status st = floats ? twi_arena_take(f->g->ctx, memory, count, &floats_made)
                                : twi_arena_take(f->g->ctx, memory, count, &ints_made);
    out->data.f = floats_made;
    out->data.i = ints_made;
    if (i) *i = ints_made;
    if (x) *x = floats_made;
    return st;
}

static void set_shape(folding *f, size_t rank, const size_t *dims)
{
    f->out.rank = rank;
    if (rank > 0) memcpy(f->out.dims, dims, rank * sizeof *dims);
}

/* ---- element by element ------------------------------------------------------------------------
 */

typedef double (*binary)(double a, double b);

static double add(double a, double b)
{
    return a + b;
}
static double sub(double a, double b)
{
    return a - b;
}
static double mul(double a, double b)
{
    return a * b;
}
static double divide(double a, double b)
{
    return a / b;
}
static double equal(double a, double b)
{
    return a == b;
}
static double less(double a, double b)
{
    return a < b;
}
static double greater(double a, double b)
{
    return a > b;
}
static double both(double a, double b)
{
    return a != 0 && b != 0;
}
static double either(double a, double b)
{
    return a != 0 || b != 0;
}
static double not_zero(double a, double b)
{
    (void)b;
    return a == 0;
}
static double negate(double a, double b)
{
    (void)b;
    return -a;
}
static double root(double a, double b)
{
    (void)b;
    return sqrt(a);
}
static double down(double a, double b)
{
    (void)b;
    return floor(a);
}
static double up(double a, double b)
{
    (void)b;
    return ceil(a);
}
static double invert(double a, double b)
{
    (void)b;
    return 1 / a;
}
static double size(double a, double b)
{
    (void)b;
    return fabs(a);
}
static double same(double a, double b)
{
    (void)b;
    return a;
}

static const struct {
    const char *op;
    size_t inputs;
    binary work;
    bool truth; /* gives booleans, which are integers here */
} elementwise[] = {
    {"Add", 2, add, false},           {"Sub", 2, sub, false},        {"Mul", 2, mul, false},
    {"Div", 2, divide, false},        {"Pow", 2, pow, false},        {"Max", 2, fmax, false},
    {"Min", 2, fmin, false},          {"Mod", 2, fmod, false},       {"Equal", 2, equal, true},
    {"Less", 2, less, true},          {"Greater", 2, greater, true}, {"And", 2, both, true},
    {"Or", 2, either, true},          {"Not", 1, not_zero, true},    {"Neg", 1, negate, false},
    {"Sqrt", 1, root, false},         {"Floor", 1, down, false},     {"Ceil", 1, up, false},
    {"Reciprocal", 1, invert, false}, {"Abs", 1, size, false},       {"Identity", 1, same, false},
    {"Dropout", 1, same, false},      {"Exp", 1, NULL, false},
};

/* The index in c of the element that is at flat index `at` of the outcome. */
static size_t behind(const twi_onnx_value *out, const twi_onnx_const *c, size_t at)
{
    size_t index = 0, stride = 1;
    for (size_t d = 0; d < out->rank; d++) { /* from the last axis on */
        const size_t axis = out->rank - 1 - d, position = at % out->dims[axis];
        at /= out->dims[axis];
        if (d >= c->rank) continue;
        const size_t own = c->dims[c->rank - 1 - d];
        index += (own == 1 ? 0 : position) * stride;
        stride *= own;
    }
    return index;
}

static tw_status broadcast(folding *f, const twi_onnx_const *c)
{
    twi_onnx_value *out = &f->out;
    size_t dims[TWI_ONNX_DIMS];
    const size_t rank = out->rank > c->rank ? out->rank : c->rank;
    for (size_t d = 0; d < rank; d++) {
        const size_t a = d < out->rank ? out->dims[out->rank - 1 - d] : 1;
        const size_t b = d < c->rank ? c->dims[c->rank - 1 - d] : 1;
        if (a != b && a != 1 && b != 1)
            return twi_onnx_fail(f->g, "%zu numbers beside %zu along an axis", a, b);
        dims[rank - 1 - d] = a == 1 ? b : a;
    }
    set_shape(f, rank, dims);
    return TW_OK;
}

static tw_status fold_elementwise(folding *f, size_t row)
{
    const twi_onnx_const *a = f->in[0], *b = f->n > 1 ? f->in[1] : NULL;
    int64_t *i;
    float *x;
    set_shape(f, a->rank, a->dims);
    tw_status st = b ? broadcast(f, b) : TW_OK;
    const bool floats = !elementwise[row].truth && (a->f || (b && b->f));
    if (st == TW_OK) st = room(f, floats, &i, &x);
    if (st != TW_OK) return st;
    for (size_t at = 0; at < f->out.data.count; at++) {
        const double left = get(a, behind(&f->out, a, at));
        const double right = b ? get(b, behind(&f->out, b, at)) : 0;
        const double value = elementwise[row].work ? elementwise[row].work(left, right) : exp(left);
        if (floats)
            x[at] = (float)value;
        else /* what does not fit is nothing that a shape could use */
            i[at] = fabs(value) < 9e15 ? (int64_t)trunc(value) : INT64_MAX;
    }
    return TW_OK;
}

static tw_status fold_where(folding *f)
{
    const twi_onnx_const *c = f->in[0], *a = f->in[1], *b = f->in[2];
    int64_t *i;
    float *x;
    set_shape(f, c->rank, c->dims);
    tw_status st = broadcast(f, a);
    if (st == TW_OK) st = broadcast(f, b);
    if (st == TW_OK) st = room(f, a->f != NULL, &i, &x);
    if (st != TW_OK) return st;
    if (!a->f != !b->f) return twi_onnx_fail(f->g, "whole numbers beside floating point");
    for (size_t at = 0; at < f->out.data.count; at++) {
        const twi_onnx_const *from = get(c, behind(&f->out, c, at)) != 0 ? a : b;
        if (x)
            x[at] = from->f[behind(&f->out, from, at)];
        else
            i[at] = from->i[behind(&f->out, from, at)];
    }
    return TW_OK;
}

static tw_status fold_cast(folding *f)
{
    const int64_t to = twi_onnx_int(f->g->at, "to", 0);
    const bool floats = to == 1 || to == 10 || to == 11 || to == 16;
    int64_t *i;
    float *x;
    set_shape(f, f->in[0]->rank, f->in[0]->dims);
    const tw_status st = room(f, floats, &i, &x);
    for (size_t at = 0; st == TW_OK && at < f->out.data.count; at++) {
        const double value = get(f->in[0], at);
        if (x) x[at] = (float)value;
        if (i)
            i[at] = to == 9 ? value != 0 : fabs(value) < 9e15 ? (int64_t)trunc(value) : INT64_MAX;
    }
    return st;
}

/* ---- another shape ------------------------------------------------------------------------------
 */

/* The same numbers in dims [rank]. */
static tw_status relabel(folding *f, size_t rank, const size_t *dims)
{
    size_t count = 1;
    for (size_t d = 0; d < rank; d++)
        if (twi_mul(count, dims[d], &count)) return twi_onnx_fail(f->g, "a shape that cannot be");
    if (count != f->in[0]->count)
        return twi_onnx_fail(f->g, "a shape of %zu numbers for %zu", count, f->in[0]->count);
    set_shape(f, rank, dims);
    f->out.kind = TWI_ONNX_CONST;
    f->out.data = *f->in[0];
    f->out.data.rank = rank;
    memcpy(f->out.data.dims, f->out.dims, sizeof f->out.dims);
    return TW_OK;
}

/* Reshape, Squeeze, Unsqueeze, Flatten: as moves.c does them for values. */
static tw_status fold_reshape(folding *f)
{
    twi_onnx_value in = {.kind = TWI_ONNX_CONST, .rank = f->in[0]->rank, .data = *f->in[0]};
    memcpy(in.dims, f->in[0]->dims, sizeof in.dims);
    size_t rank, dims[TWI_ONNX_DIMS];
    const tw_status st = twi_onnx_new_shape(f->g, &in, &rank, dims);
    return st == TW_OK ? relabel(f, rank, dims) : st;
}

/* Element `from` of c goes to `to`. */
static void copy_element(const folding *f, const twi_onnx_const *c, size_t from, size_t to)
{
    /* room() has just made these for us */
    if (c->f)
        ((float *)(uintptr_t)f->out.data.f)[to] = c->f[from];
    else
        ((int64_t *)(uintptr_t)f->out.data.i)[to] = c->i[from];
}

static tw_status fold_transpose(folding *f)
{
    const twi_onnx_const *c = f->in[0];
    size_t perm[TWI_ONNX_DIMS], dims[TWI_ONNX_DIMS];
    tw_status st = twi_onnx_perm(f->g, c->rank, perm);
    if (st != TW_OK) return st;
    for (size_t d = 0; d < c->rank; d++) dims[d] = c->dims[perm[d]];
    set_shape(f, c->rank, dims);
    if ((st = room(f, c->f != NULL, NULL, NULL)) != TW_OK) return st;
    size_t stride[TWI_ONNX_DIMS], all = 1;
    for (size_t d = c->rank; d-- > 0;) stride[d] = all, all *= c->dims[d];
    for (size_t at = 0; at < c->count; at++) {
        size_t left = at, from = 0;
        for (size_t d = c->rank; d-- > 0;) {
            from += left % dims[d] * stride[perm[d]];
            left /= dims[d];
        }
        copy_element(f, c, from, at);
    }
    return TW_OK;
}

static tw_status fold_concat(folding *f)
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
    set_shape(f, first->rank, dims);
    if ((st = room(f, first->data.f != NULL, NULL, NULL)) != TW_OK) return st;
    for (size_t k = 0; k < g->at->n_inputs; k++) {
        (void)twi_onnx_input(g, k, &one);
        const size_t width = one->dims[axis] * after;
        for (size_t b = 0; b < before; b++)
            for (size_t at = 0; at < width; at++)
                copy_element(f, &one->data, b * width + at, (b * total + done) * after + at);
        done += one->dims[axis];
    }
    return TW_OK;
}

static tw_status fold_gather(folding *f)
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
    set_shape(f, rank, dims);
    if ((st = room(f, c->f != NULL, NULL, NULL)) != TW_OK) return st;
    for (size_t b = 0, to = 0; b < before; b++)
        for (size_t k = 0; k < index->count; k++) {
            const int64_t at = index->i[k] < 0 ? index->i[k] + (int64_t)c->dims[axis] : index->i[k];
            if (at < 0 || at >= (int64_t)c->dims[axis])
                return twi_onnx_fail(f->g, "index %lld of %zu", (long long)index->i[k],
                                     c->dims[axis]);
            for (size_t a = 0; a < after; a++)
                copy_element(f, c, (b * c->dims[axis] + (size_t)at) * after + a, to++);
        }
    return TW_OK;
}

static tw_status fold_slice(folding *f)
{
    const twi_onnx_const *c = f->in[0];
    twi_onnx_cut cut[TWI_ONNX_DIMS];
    size_t dims[TWI_ONNX_DIMS];
    tw_status st = twi_onnx_cuts(f->g, c->rank, c->dims, cut);
    if (st != TW_OK) return st;
    for (size_t d = 0; d < c->rank; d++) dims[d] = cut[d].count;
    set_shape(f, c->rank, dims);
    if ((st = room(f, c->f != NULL, NULL, NULL)) != TW_OK) return st;
    for (size_t at = 0; at < f->out.data.count; at++) {
        size_t left = at, from = 0, stride = 1;
        for (size_t d = c->rank; d-- > 0;) {
            const int64_t position =
                (int64_t)cut[d].start + (int64_t)(left % dims[d]) * cut[d].step;
            from += (size_t)position * stride;
            stride *= c->dims[d];
            left /= dims[d];
        }
        copy_element(f, c, from, at);
    }
    return TW_OK;
}

/* data with updates written over it at indices [..., k] of its first k axes. */
static tw_status fold_scatter(folding *f)
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
    set_shape(f, c->rank, c->dims);
    const tw_status st = room(f, c->f != NULL, NULL, NULL);
    for (size_t at = 0; st == TW_OK && at < c->count; at++) copy_element(f, c, at, at);
    for (size_t n = 0; st == TW_OK && n < index->count / k; n++) {
        size_t to = 0;
        for (size_t d = 0; d < k; d++) {
            const int64_t one = index->i[n * k + d], size = (int64_t)c->dims[d];
            if (one < -size || one >= size)
                return twi_onnx_fail(f->g, "index %lld of %lld", (long long)one, (long long)size);
            to = to * c->dims[d] + (size_t)(one < 0 ? one + size : one);
        }
        for (size_t at = 0; at < width; at++)
            copy_element(f, updates, n * width + at, to * width + at);
    }
    return st;
}

/* ---- out of nothing
 * ------------------------------------------------------------------------------ */

/* A shape given as numbers, into the outcome's. */
static tw_status take_shape(folding *f, const twi_onnx_const *c)
{
    size_t dims[TWI_ONNX_DIMS];
    if (!c->i || c->count > TWI_ONNX_DIMS) return twi_onnx_fail(f->g, "a shape that cannot be");
    for (size_t d = 0; d < c->count; d++) {
        if (c->i[d] < 0 || (uint64_t)c->i[d] > MOST)
            return twi_onnx_fail(f->g, "axis %zu of a shape is %lld", d, (long long)c->i[d]);
        dims[d] = (size_t)c->i[d];
    }
    set_shape(f, c->count, dims);
    return TW_OK;
}

static tw_status fold_constant_of_shape(folding *f)
{
    const twi_onnx_attribute *a = twi_onnx_attribute_of(f->g->at, "value");
    twi_onnx_const value = {.count = 1, .f = (const float[]){0}};
    tw_status st = take_shape(f, f->in[0]);
    if (st == TW_OK && a)
        st = twi_onnx_tensor(f->g->ctx, f->g->model, "of a constant", a->tensor, &value);
    if (st == TW_OK && value.count != 1) st = twi_onnx_fail(f->g, "a value of several numbers");
    if (st == TW_OK) st = room(f, value.f != NULL, NULL, NULL);
    for (size_t at = 0; st == TW_OK && at < f->out.data.count; at++) copy_element(f, &value, 0, at);
    return st;
}

static tw_status fold_expand(folding *f)
{
    tw_status st = take_shape(f, f->in[1]);
    if (st == TW_OK) st = broadcast(f, f->in[0]);
    if (st == TW_OK) st = room(f, f->in[0]->f != NULL, NULL, NULL);
    for (size_t at = 0; st == TW_OK && at < f->out.data.count; at++)
        copy_element(f, f->in[0], behind(&f->out, f->in[0], at), at);
    return st;
}

static tw_status fold_range(folding *f)
{
    const double start = get(f->in[0], 0), limit = get(f->in[1], 0), step = get(f->in[2], 0);
    int64_t *i;
    float *x;
    if (f->in[0]->count != 1 || f->in[1]->count != 1 || f->in[2]->count != 1 || step == 0)
        return twi_onnx_fail(f->g, "a range that cannot be");
    const double count = fmax(0, ceil((limit - start) / step));
    if (!(count <= (double)MOST)) return twi_onnx_fail(f->g, "makes more numbers than are read");
    set_shape(f, 1, (const size_t[]){(size_t)count});
    const tw_status st = room(f, f->in[0]->f != NULL, &i, &x);
    for (size_t at = 0; st == TW_OK && at < f->out.data.count; at++) {
        if (x) x[at] = (float)(start + (double)at * step);
        if (i) i[at] = (int64_t)(start + (double)at * step);
    }
    return st;
}

static tw_status fold_product(folding *f)
{
    double all = 1;
    int64_t *i;
    float *x;
    for (size_t at = 0; at < f->in[0]->count; at++) all *= get(f->in[0], at);
    const bool keep = twi_onnx_int(f->g->at, "keepdims", 1) != 0;
    if (f->in[0]->rank > 1) return twi_onnx_fail(f->g, "a product of more than one axis");
    set_shape(f, keep ? f->in[0]->rank : 0, (const size_t[]){1});
    const tw_status st = room(f, f->in[0]->f != NULL, &i, &x);
    if (st == TW_OK && x) x[0] = (float)all;
    if (st == TW_OK && i) i[0] = fabs(all) < 9e15 ? (int64_t)all : INT64_MAX;
    return st;
}

/* y = (x - zero point) scale, of the whole or of each index along axis. */
static tw_status fold_dequantize(folding *f)
{
    const twi_onnx_const *c = f->in[0], *scale = f->in[1], *zero = f->n > 2 ? f->in[2] : NULL;
    size_t axis = 0, after = 1;
    float *x;
    tw_status st = TW_OK;
    if (scale->count > 1)
        st = twi_onnx_axis(f->g, twi_onnx_int(f->g->at, "axis", 1), c->rank, &axis);
    if (st != TW_OK) return st;
    if (!c->i || !scale->f || (scale->count > 1 && scale->count != c->dims[axis]) ||
        (zero && zero->count != scale->count))
        return twi_onnx_fail(f->g, "scales that do not fit");
    for (size_t d = axis + 1; d < c->rank; d++) after *= c->dims[d];
    set_shape(f, c->rank, c->dims);
    if ((st = room(f, true, NULL, &x)) != TW_OK) return st;
    for (size_t at = 0; at < c->count; at++) {
        const size_t k = scale->count > 1 ? at / after % scale->count : 0;
        x[at] = (float)(c->i[at] - (zero ? (int64_t)get(zero, k) : 0)) * scale->f[k];
    }
    return TW_OK;
}

/* ---- the table
 * ------------------------------------------------------------------------------------ */

static const struct {
    const char *op;
    size_t inputs; /* at least */
    tw_status (*work)(folding *f);
} others[] = {
    {"Cast", 1, fold_cast},          {"Reshape", 2, fold_reshape},
    {"Squeeze", 1, fold_reshape},    {"Unsqueeze", 1, fold_reshape},
    {"Flatten", 1, fold_reshape},    {"Transpose", 1, fold_transpose},
    {"Concat", 1, fold_concat},      {"Gather", 2, fold_gather},
    {"Slice", 1, fold_slice},        {"ScatterND", 3, fold_scatter},
    {"Where", 3, fold_where},        {"ConstantOfShape", 1, fold_constant_of_shape},
    {"Expand", 2, fold_expand},      {"Range", 3, fold_range},
    {"ReduceProd", 1, fold_product}, {"DequantizeLinear", 2, fold_dequantize},
};

tw_status twi_onnx_fold(twi_onnx_graph *g, bool *done)
{
    folding f = {.g = g};
    tw_status st = TW_OK;
    *done = false;
    if (g->at->n_inputs == 0) return TW_OK;
    for (size_t k = 0; k < g->at->n_inputs; k++) {
        const twi_onnx_value *value;
        if (!twi_onnx_has_input(g, k)) continue;
        if ((st = twi_onnx_input(g, k, &value)) != TW_OK) return st;
        if (value->kind != TWI_ONNX_CONST) return TW_OK;
        if (k < TWI_LEN(f.in)) f.in[f.n++] = &value->data;
    }
    for (size_t r = 0; r < TWI_LEN(elementwise) && !*done; r++)
        if (strcmp(elementwise[r].op, g->at->op) == 0) {
            *done = true;
            if (f.n < elementwise[r].inputs) return twi_onnx_fail(g, "an input is missing");
            f.n = elementwise[r].inputs;
            st = fold_elementwise(&f, r);
        }
    for (size_t r = 0; r < TWI_LEN(others) && !*done; r++)
        if (strcmp(others[r].op, g->at->op) == 0) {
            *done = true;
            if (f.n < others[r].inputs) return twi_onnx_fail(g, "an input is missing");
            st = others[r].work(&f);
        }
    return st == TW_OK && *done ? twi_onnx_output(g, 0, &f.out) : st;
}

bool twi_onnx_folds(const char *op)
{
    for (size_t r = 0; r < TWI_LEN(elementwise); r++)
        if (strcmp(elementwise[r].op, op) == 0) return true;
    for (size_t r = 0; r < TWI_LEN(others); r++)
        if (strcmp(others[r].op, op) == 0) return true;
    return false;
}
