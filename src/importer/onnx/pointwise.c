/* pointwise.c - functions of one value, and arithmetic of two. */
#include "importer/onnx/graph.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define MOST_REPEATED ((size_t)1 << 22) /* elements that a value may be repeated to */

/* ---- functions ---------------------------------------------------------------------------------
 */

/* Of each element by itself: whatever the shape. */
static tw_status apply(twi_onnx_graph *g, const twi_onnx_value *x, twi_node node)
{
    uint32_t out;
    if (x->kind != TWI_ONNX_NODE) return twi_onnx_fail(g, "known numbers, which it is not read of");
    tw_status st = twi_onnx_make1(g, node, x->node, &out);
    if (st == TW_OK) st = twi_onnx_joined(g, out, &out);
    return st == TW_OK ? twi_onnx_give(g, out, x->rank, x->dims) : st;
}

static tw_status lower_function(twi_onnx_graph *g)
{
    static const struct {
        const char *name;
        twi_op op;
        double alpha, beta; /* defaults */
    } functions[] = {
        {"Relu", TWI_OP_RELU, 0, 0},
        {"LeakyRelu", TWI_OP_LEAKY_RELU, 0.01, 0},
        {"Elu", TWI_OP_ELU, 1, 0},
        {"Sigmoid", TWI_OP_SIGMOID, 0, 0},
        {"Tanh", TWI_OP_TANH, 0, 0},
        {"HardSigmoid", TWI_OP_HARD_SIGMOID, 0.2, 0.5},
        {"HardSwish", TWI_OP_HARD_SWISH, 0, 0},
        {"Mish", TWI_OP_MISH, 0, 0},
        {"Softplus", TWI_OP_SOFTPLUS, 0, 0},
        {"Exp", TWI_OP_EXP, 0, 0},
        {"Log", TWI_OP_LOG, 0, 0},
        {"Erf", TWI_OP_ERF, 0, 0},
        {"Sqrt", TWI_OP_SQRT, 0, 0},
        {"Abs", TWI_OP_ABS, 0, 0},
        {"Neg", TWI_OP_NEG, 0, 0},
        {"Reciprocal", TWI_OP_RECIPROCAL, 0, 0},
    };
    const twi_onnx_value *x;
    const tw_status st = twi_onnx_input(g, 0, &x);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < TWI_LEN(functions); i++)
        if (strcmp(functions[i].name, g->at->op) == 0)
            return apply(g, x,
                         (twi_node){.op = functions[i].op,
                                    .alpha = twi_onnx_float(g->at, "alpha", functions[i].alpha),
                                    .beta = twi_onnx_float(g->at, "beta", functions[i].beta)});
    return twi_onnx_fail(g, "is not read");
}

static tw_status lower_gelu(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    const bool tanh = strcmp(twi_onnx_text(g->at, "approximate", "none"), "tanh") == 0;
    const tw_status st = twi_onnx_input(g, 0, &x);
    return st == TW_OK ? apply(g, x, (twi_node){.op = tanh ? TWI_OP_GELU_TANH : TWI_OP_GELU}) : st;
}

/* A bound, by attribute or as input i. */
static tw_status bound(twi_onnx_graph *g, const char *name, size_t i, double fallback, double *out)
{
    const twi_onnx_const *c;
    *out = twi_onnx_float(g->at, name, fallback);
    if (!twi_onnx_has_input(g, i)) return TW_OK;
    tw_status st = twi_onnx_input_floats(g, i, &c);
    if (st == TW_OK && c->count != 1) st = twi_onnx_fail(g, "a bound of %zu numbers", c->count);
    if (st == TW_OK) *out = (double)c->f[0];
    return st;
}

static tw_status clip(twi_onnx_graph *g, const twi_onnx_value *x, double low, double high)
{
    if (low == 0.0 && high >= (double)FLT_MAX) return apply(g, x, (twi_node){.op = TWI_OP_RELU});
    return apply(g, x,
                 (twi_node){.op = TWI_OP_CLIP,
                            .low = fmax(low, -(double)FLT_MAX),
                            .high = fmin(high, (double)FLT_MAX)});
}

static tw_status lower_clip(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    double low, high;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = bound(g, "min", 1, -(double)FLT_MAX, &low);
    if (st == TW_OK) st = bound(g, "max", 2, (double)FLT_MAX, &high);
    return st == TW_OK ? clip(g, x, low, high) : st;
}

static tw_status lower_prelu(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    const twi_onnx_const *slope;
    twi_node node = {.op = TWI_OP_PRELU};
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_input_floats(g, 1, &slope);
    if (st != TW_OK) return st;
    if (slope->count != 1 && (x->rank < 2 || slope->count != x->dims[1]))
        return twi_onnx_fail(g, "a slope of %zu numbers; need 1, or 1 a channel", slope->count);
    st = twi_onnx_param(g, 1, &slope->count, slope->f, &node.params[TWI_PARAM_SLOPE], NULL);
    return st == TW_OK ? apply(g, x, node) : st;
}

static tw_status lower_pass(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    const tw_status st = twi_onnx_input(g, 0, &x);
    return st == TW_OK ? twi_onnx_output(g, 0, x) : st;
}

/* A quantised value is the value, held to what its integers can say: (q - zero) scale for the
 * smallest and the largest q. Only its rounding is left out. */
static tw_status lower_quantize(twi_onnx_graph *g)
{
    const twi_onnx_value *x, *zero;
    const twi_onnx_const *scale;
    double at = 0.0, low = 0.0, high = 255.0;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_input_floats(g, 1, &scale);
    if (st != TW_OK) return st;
    if (scale->count != 1) return twi_onnx_fail(g, "a scale for each of %zu", scale->count);
    if (twi_onnx_has_input(g, 2)) {
        if ((st = twi_onnx_input(g, 2, &zero)) != TW_OK) return st;
        if (zero->kind != TWI_ONNX_CONST || !zero->data.i || zero->data.count != 1)
            return twi_onnx_fail(g, "a zero point that is not one whole number");
        at = (double)zero->data.i[0];
        if (zero->data.type == 3) low = -128.0, high = 127.0; /* INT8 */
    }
    const double size = (double)scale->f[0];
    return clip(g, x, (low - at) * size, (high - at) * size);
}

/* ---- arithmetic --------------------------------------------------------------------------------
 */

/* Axes that two values share, with those of 1 left out and neighbours that are alike merged, so
 * that at most three are left. */
typedef struct meeting {
    size_t rank, dims[TWI_ONNX_DIMS]; /* of the outcome, as ONNX has it */
    twi_shape shape, own[2];          /* of the outcome and of each side, as ours */
} meeting;

static size_t size_at(const twi_onnx_value *v, size_t rank, size_t d)
{
    const size_t missing = rank - v->rank;
    return d < missing ? 1 : v->dims[d - missing];
}

static void append_axis(meeting *m, size_t a, size_t b)
{
    const size_t at = m->shape.rank++;
    m->own[0].dims[at] = a;
    m->own[1].dims[at] = b;
    m->shape.dims[at] = a > b ? a : b;
    m->own[0].rank = m->own[1].rank = m->shape.rank;
}

/* merge: neighbours in which the same sides have 1 element. */
static bool list_axes(meeting *m, const twi_onnx_value *a, const twi_onnx_value *b, bool merge)
{
    const bool map = m->rank == 4 && m->dims[0] == 1 && !merge; /* keep [c, h, w] */
    m->shape.rank = 0;
    for (size_t d = map ? 1 : 0; d < m->rank; d++) {
        const size_t one = size_at(a, m->rank, d), other = size_at(b, m->rank, d);
        if (one == 1 && other == 1 && !map) continue;
        const size_t last = m->shape.rank - 1;
        if (merge && m->shape.rank > 0 && (m->own[0].dims[last] == 1) == (one == 1) &&
            (m->own[1].dims[last] == 1) == (other == 1)) {
            m->own[0].dims[last] *= one;
            m->own[1].dims[last] *= other;
            m->shape.dims[last] *= one > other ? one : other;
            continue;
        }
        if (m->shape.rank == 3) return false;
        append_axis(m, one, other);
    }
    if (m->shape.rank == 0) append_axis(m, 1, 1);
    return true;
}

/* The axes of a's node, each of which is some of ONNX's, where b lies along all or none of them: a
 * needs no other shape then. */
static bool keep_shape(const twi_onnx_graph *g, const twi_onnx_value *a, const twi_onnx_value *b,
                       size_t which, meeting *m)
{
    if (a->kind != TWI_ONNX_NODE) return false;
    const twi_shape *s = &g->shapes[a->node];
    size_t d = 0;
    m->shape = m->own[which] = m->own[1 - which] = *s;
    for (size_t axis = 0; axis < s->rank; axis++) {
        size_t whole = 1, other = 1;
        for (; d < m->rank && whole < s->dims[axis]; d++) {
            if (size_at(a, m->rank, d) != m->dims[d]) return false; /* a is repeated */
            whole *= m->dims[d];
            other *= size_at(b, m->rank, d);
        }
        if (whole != s->dims[axis] || (other != 1 && other != whole)) return false;
        m->own[1 - which].dims[axis] = other;
    }
    for (; d < m->rank; d++)
        if (m->dims[d] != 1) return false;
    return true;
}

static tw_status meet(twi_onnx_graph *g, const twi_onnx_value *a, const twi_onnx_value *b,
                      meeting *m)
{
    m->rank = a->rank > b->rank ? a->rank : b->rank;
    for (size_t d = 0; d < m->rank; d++) {
        const size_t one = size_at(a, m->rank, d), other = size_at(b, m->rank, d);
        if (one != other && one != 1 && other != 1)
            return twi_onnx_fail(g, "axes of %zu and %zu elements", one, other);
        m->dims[d] = one > other ? one : other;
    }
    if (keep_shape(g, a, b, 0, m) || keep_shape(g, b, a, 1, m)) return TW_OK;
    if (!list_axes(m, a, b, false) && !list_axes(m, a, b, true))
        return twi_onnx_fail(g, "more than three axes that differ");
    if (m->shape.rank == 3 && m->shape.dims[1] == 1 && m->shape.dims[2] == 1)
        m->shape.rank = m->own[0].rank = m->own[1].rank = 1; /* a vector of channels */
    return TW_OK;
}

/* The shape [c, 1, 1] of one that is repeated over a map may as well be the vector it comes as. */
static bool lies_along_channels(const twi_onnx_graph *g, const twi_onnx_value *v,
                                const twi_shape *wanted)
{
    return wanted->rank == 3 && wanted->dims[1] == 1 && wanted->dims[2] == 1 &&
           g->shapes[v->node].rank == 1;
}

static tw_status side(twi_onnx_graph *g, const twi_onnx_value *v, const twi_shape *shape,
                      uint32_t *out)
{
    if (v->kind == TWI_ONNX_NODE && lies_along_channels(g, v, shape)) {
        *out = v->node;
        return TW_OK;
    }
    return twi_onnx_shaped(g, v, shape, out);
}

static tw_status give_meeting(twi_onnx_graph *g, const meeting *m, uint32_t node)
{
    const tw_status st = twi_onnx_joined(g, node, &node);
    return st == TW_OK ? twi_onnx_give(g, node, m->rank, m->dims) : st;
}

static tw_status of_two(twi_onnx_graph *g, twi_op op, const twi_onnx_value *a,
                        const twi_onnx_value *b)
{
    meeting m;
    uint32_t in[2], out;
    tw_status st = meet(g, a, b, &m);
    if (st == TW_OK) st = side(g, a, &m.own[0], &in[0]);
    if (st == TW_OK) st = side(g, b, &m.own[1], &in[1]);
    if (st != TW_OK) return st;
    const bool alike = twi_shape_equal(&g->shapes[in[0]], &g->shapes[in[1]]);
    if (op == TWI_OP_ADD_BROADCAST && alike) op = TWI_OP_ADD;
    st = twi_onnx_make(g, (twi_node){.op = op}, in, 2, &out);
    return st == TW_OK ? give_meeting(g, &m, out) : st;
}

/* x times or plus numbers that are known, each by way of `turn`. */
static tw_status with_const(twi_onnx_graph *g, twi_op op, const twi_onnx_value *x,
                            const twi_onnx_value *c, float (*turn)(float))
{
    meeting m;
    twi_node node = {.op = op};
    uint32_t in, out;
    float *to;
    tw_status st = meet(g, x, c, &m);
    if (st != TW_OK) return st;
    if (!c->data.f) return twi_onnx_fail(g, "whole numbers meet what depends on the picture");
    if (c->data.count == 1) m.shape = m.own[0] = g->shapes[x->node]; /* of each by itself */
    if (!twi_shape_equal(&m.shape, &m.own[0])) { /* x is the one that is repeated */
        uint32_t both[2];
        if ((st = side(g, x, &m.own[0], &both[0])) != TW_OK) return st;
        if ((st = twi_onnx_shaped(g, c, &m.own[1], &both[1])) != TW_OK) return st;
        if (turn) return twi_onnx_fail(g, "a value that is repeated to meet known numbers");
        st = twi_onnx_make(
            g, (twi_node){.op = op == TWI_OP_ADD_CONSTANT ? TWI_OP_ADD_BROADCAST : TWI_OP_MUL},
            both, 2, &out);
        return st == TW_OK ? give_meeting(g, &m, out) : st;
    }
    if ((st = twi_onnx_shaped(g, x, &m.own[0], &in)) != TW_OK) return st;
    twi_shape own = m.own[1];
    if (c->data.count == 1) own = (twi_shape){1, {1}};
    if (own.rank == 3 && own.dims[1] == 1 && own.dims[2] == 1) own.rank = 1; /* a channel each */
    if (own.rank == 2 && own.dims[0] == 1) own = (twi_shape){1, {own.dims[1]}};
    st = twi_onnx_param(g, own.rank, own.dims, turn ? NULL : c->data.f,
                        &node.params[TWI_PARAM_VALUE], &to);
    for (size_t i = 0; st == TW_OK && turn && i < c->data.count; i++) to[i] = turn(c->data.f[i]);
    if (st == TW_OK) st = twi_onnx_make1(g, node, in, &out);
    return st == TW_OK ? give_meeting(g, &m, out) : st;
}

tw_status twi_onnx_repeat(twi_onnx_graph *g, const twi_onnx_value *x, size_t rank,
                          const size_t *dims)
{
    twi_onnx_value ones = {.kind = TWI_ONNX_CONST, .rank = rank};
    size_t count = 1;
    float *to;
    for (size_t d = 0; d < rank; d++)
        if (twi_mul(count, dims[d], &count)) count = SIZE_MAX;
    if (count > MOST_REPEATED) return twi_onnx_fail(g, "makes more numbers than are read");
    const tw_status st = twi_arena_take(g->ctx, &g->model->memory, count, &to);
    for (size_t i = 0; st == TW_OK && i < count; i++) to[i] = 1.0f;
    memcpy(ones.dims, dims, rank * sizeof *dims);
    ones.data = (twi_onnx_const){.rank = rank, .count = count, .f = to, .type = 1};
    memcpy(ones.data.dims, dims, rank * sizeof *dims);
    return st == TW_OK ? with_const(g, TWI_OP_MUL_CONSTANT, x, &ones, NULL) : st;
}

static float minus(float x)
{
    return -x;
}

static float one_over(float x)
{
    return 1.0f / x;
}

/* c - x and c / x: x is turned first, then it is a sum or a product. */
static tw_status turned_first(twi_onnx_graph *g, twi_op turn, twi_op op, const twi_onnx_value *x,
                              const twi_onnx_value *c)
{
    twi_onnx_value other = *x;
    const tw_status st = twi_onnx_make1(g, (twi_node){.op = turn}, x->node, &other.node);
    return st == TW_OK ? with_const(g, op, &other, c, NULL) : st;
}

static tw_status lower_arithmetic(twi_onnx_graph *g)
{
    const twi_onnx_value *a, *b;
    tw_status st = twi_onnx_input(g, 0, &a);
    if (st == TW_OK) st = twi_onnx_input(g, 1, &b);
    if (st != TW_OK) return st;
    const bool a_known = a->kind == TWI_ONNX_CONST, b_known = b->kind == TWI_ONNX_CONST;
    switch (g->at->op[0]) {
    case 'A':
        if (a_known || b_known)
            return with_const(g, TWI_OP_ADD_CONSTANT, a_known ? b : a, a_known ? a : b, NULL);
        return of_two(g, TWI_OP_ADD_BROADCAST, a, b);
    case 'M':
        if (a_known || b_known)
            return with_const(g, TWI_OP_MUL_CONSTANT, a_known ? b : a, a_known ? a : b, NULL);
        return of_two(g, TWI_OP_MUL, a, b);
    case 'S':
        if (b_known) return with_const(g, TWI_OP_ADD_CONSTANT, a, b, minus);
        if (a_known) return turned_first(g, TWI_OP_NEG, TWI_OP_ADD_CONSTANT, b, a);
        return of_two(g, TWI_OP_SUB, a, b);
    default:
        if (b_known) return with_const(g, TWI_OP_MUL_CONSTANT, a, b, one_over);
        if (a_known) return turned_first(g, TWI_OP_RECIPROCAL, TWI_OP_MUL_CONSTANT, b, a);
        return of_two(g, TWI_OP_DIV, a, b);
    }
}

/* Min and Max of two; of one known number: a bound. */
static tw_status lower_extreme(twi_onnx_graph *g)
{
    const twi_onnx_value *a, *b;
    const bool least = g->at->op[1] == 'i';
    if (g->at->n_inputs == 1) return lower_pass(g);
    if (g->at->n_inputs != 2) return twi_onnx_fail(g, "%zu inputs; 2 are read", g->at->n_inputs);
    tw_status st = twi_onnx_input(g, 0, &a);
    if (st == TW_OK) st = twi_onnx_input(g, 1, &b);
    if (st != TW_OK) return st;
    const twi_onnx_value *known = a->kind == TWI_ONNX_CONST ? a : b;
    if (known->kind == TWI_ONNX_CONST && known->data.f && known->data.count == 1) {
        const double limit = (double)known->data.f[0], most = (double)FLT_MAX;
        return clip(g, known == a ? b : a, least ? -most : limit, least ? limit : most);
    }
    return of_two(g, least ? TWI_OP_MIN : TWI_OP_MAX, a, b);
}

static tw_status lower_pow(twi_onnx_graph *g)
{
    const twi_onnx_value *x, *power;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_input(g, 1, &power);
    if (st != TW_OK) return st;
    if (power->kind != TWI_ONNX_CONST || power->data.count != 1)
        return twi_onnx_fail(g, "an exponent that is not one known number");
    const double by = power->data.f ? (double)power->data.f[0] : (double)power->data.i[0];
    if (by == 0.5) return apply(g, x, (twi_node){.op = TWI_OP_SQRT});
    return apply(g, x, (twi_node){.op = TWI_OP_POW, .alpha = by});
}

const twi_onnx_operator twi_onnx_pointwise[] = {
    {"Relu", lower_function},
    {"LeakyRelu", lower_function},
    {"Elu", lower_function},
    {"Sigmoid", lower_function},
    {"Tanh", lower_function},
    {"HardSigmoid", lower_function},
    {"HardSwish", lower_function},
    {"Mish", lower_function},
    {"Softplus", lower_function},
    {"Exp", lower_function},
    {"Log", lower_function},
    {"Erf", lower_function},
    {"Sqrt", lower_function},
    {"Abs", lower_function},
    {"Neg", lower_function},
    {"Reciprocal", lower_function},
    {"Gelu", lower_gelu},
    {"Clip", lower_clip},
    {"PRelu", lower_prelu},
    {"Identity", lower_pass},
    {"Dropout", lower_pass},
    {"Cast", lower_pass},
    {"QuantizeLinear", lower_quantize},
    {"DequantizeLinear", lower_pass},
    {"Add", lower_arithmetic},
    {"Sub", lower_arithmetic},
    {"Mul", lower_arithmetic},
    {"Div", lower_arithmetic},
    {"Min", lower_extreme},
    {"Max", lower_extreme},
    {"Pow", lower_pow},
    {NULL, NULL},
};
