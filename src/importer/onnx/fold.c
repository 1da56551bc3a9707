/* fold.c - nodes whose inputs are all known: what exporters write to work out shapes, and weights
 * turned about. Source of every meaning: the ONNX operator specification, opsets 7 to 21. */
#include "importer/onnx/fold.h"

#include <math.h>
#include <string.h>

tw_status twi_fold_room(twi_folding *f, bool floats, int64_t **i, float **x)
{
    twi_onnx_value *out = &f->out;
    size_t count = 1;
    size_t given = 0;
    for (size_t k = 0; k < f->n; k++)
        if (f->in[k]->count > given) given = f->in[k]->count;
    bool too_many = false;
    for (size_t d = 0; d < out->rank; d++) too_many |= twi_mul(count, out->dims[d], &count);
    if (count > given) f->g->invented += count - given;
    if (too_many || f->g->invented > TWI_FOLD_MOST)
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

void twi_fold_shape(twi_folding *f, size_t rank, const size_t *dims)
{
    f->out.rank = rank;
    if (rank > 0) memcpy(f->out.dims, dims, rank * sizeof *dims);
}

void twi_fold_copy(const twi_folding *f, const twi_onnx_const *c, size_t from, size_t to)
{
    /* twi_fold_room() has just made these for us */
    if (c->f)
        ((float *)(uintptr_t)f->out.data.f)[to] = c->f[from];
    else
        ((int64_t *)(uintptr_t)f->out.data.i)[to] = c->i[from];
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
static double relu(double a, double b)
{
    (void)b;
    return a > 0 ? a : 0;
}
static double sigmoid(double a, double b)
{
    (void)b;
    return 1 / (1 + exp(-a));
}
static double sine(double a, double b)
{
    (void)b;
    return sin(a);
}
static double cosine(double a, double b)
{
    (void)b;
    return cos(a);
}
static double logarithm(double a, double b)
{
    (void)b;
    return log(a);
}
static double sign(double a, double b)
{
    (void)b;
    return (a > 0) - (a < 0);
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
    {"Dropout", 1, same, false},      {"Exp", 1, NULL, false},       {"Relu", 1, relu, false},
    {"Sigmoid", 1, sigmoid, false},   {"Sin", 1, sine, false},       {"Cos", 1, cosine, false},
    {"Log", 1, logarithm, false},     {"Sign", 1, sign, false},
};

size_t twi_fold_behind(const twi_onnx_value *out, const twi_onnx_const *c, size_t at)
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

tw_status twi_fold_broadcast(twi_folding *f, const twi_onnx_const *c)
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
    twi_fold_shape(f, rank, dims);
    return TW_OK;
}

static tw_status fold_elementwise(twi_folding *f, size_t row)
{
    const twi_onnx_const *a = f->in[0], *b = f->n > 1 ? f->in[1] : NULL;
    int64_t *i;
    float *x;
    twi_fold_shape(f, a->rank, a->dims);
    tw_status st = b ? twi_fold_broadcast(f, b) : TW_OK;
    const bool floats = !elementwise[row].truth && (a->f || (b && b->f));
    if (st == TW_OK) st = twi_fold_room(f, floats, &i, &x);
    if (st != TW_OK) return st;
    for (size_t at = 0; at < f->out.data.count; at++) {
        const double left = twi_fold_get(a, twi_fold_behind(&f->out, a, at));
        const double right = b ? twi_fold_get(b, twi_fold_behind(&f->out, b, at)) : 0;
        const double value = elementwise[row].work ? elementwise[row].work(left, right) : exp(left);
        if (floats)
            x[at] = (float)value;
        else /* what does not fit is nothing that a shape could use */
            i[at] = fabs(value) < 9e15 ? (int64_t)trunc(value) : INT64_MAX;
    }
    return TW_OK;
}

/* ---- the table
 * ------------------------------------------------------------------------------------ */

static const twi_fold_operator *const tables[] = {twi_fold_moves, twi_fold_values};

static const twi_fold_operator *find(const char *op)
{
    for (size_t t = 0; t < TWI_LEN(tables); t++)
        for (const twi_fold_operator *row = tables[t]; row->name; row++)
            if (strcmp(row->name, op) == 0) return row;
    return NULL;
}

tw_status twi_onnx_fold(twi_onnx_graph *g, bool *done)
{
    twi_folding f = {.g = g};
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
    const twi_fold_operator *row = *done ? NULL : find(g->at->op);
    if (row) {
        *done = true;
        if (f.n < row->inputs) return twi_onnx_fail(g, "an input is missing");
        st = row->work(&f);
    }
    return st == TW_OK && *done ? twi_onnx_output(g, 0, &f.out) : st;
}

bool twi_onnx_folds(const char *op)
{
    for (size_t r = 0; r < TWI_LEN(elementwise); r++)
        if (strcmp(elementwise[r].op, op) == 0) return true;
    return find(op) != NULL;
}
