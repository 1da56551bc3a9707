/* patterns.c - functions that exporters spell out, joined again: looked for backwards from their
 * last node, when that is made. What they were made of stays behind unused and is cut away. */
#include "importer/onnx/graph.h"

#include <float.h>
#include <math.h>

/* The one number a node adds or multiplies by; NaN: it does not. */
static double number_of(const twi_node *node, twi_op op)
{
    if (node->op != op) return NAN;
    const twi_tensor *t = node->params[TWI_PARAM_VALUE];
    return t->count == 1 ? (double)((const float *)t->data)[0] : NAN;
}

static bool about(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fabs(b);
}

/* x itself, where id adds or multiplies by that one number. */
static bool is(const twi_onnx_graph *g, uint32_t id, twi_op op, double number, uint32_t *x)
{
    const twi_node *node = twi_onnx_node_of(g, id);
    if (!about(number_of(node, op), number)) return false;
    *x = node->inputs[0];
    return true;
}

static bool is_op(const twi_onnx_graph *g, uint32_t id, twi_op op, uint32_t *x)
{
    const twi_node *node = twi_onnx_node_of(g, id);
    if (node->op != op) return false;
    *x = node->inputs[0];
    return true;
}

/* clip(x + 3, 0, 6), perhaps over 6: *sixth. */
static bool is_shifted_clip(const twi_onnx_graph *g, uint32_t id, bool *sixth, uint32_t *x)
{
    uint32_t at = id;
    *sixth = is(g, id, TWI_OP_MUL_CONSTANT, 1.0 / 6.0, &at);
    const twi_node *clip = twi_onnx_node_of(g, at);
    return clip->op == TWI_OP_CLIP && clip->low == 0.0 && clip->high == 6.0 &&
           is(g, clip->inputs[0], TWI_OP_ADD_CONSTANT, 3.0, x);
}

/* 1 + erf(x / sqrt(2)) */
static bool is_shifted_erf(const twi_onnx_graph *g, uint32_t id, uint32_t *x)
{
    uint32_t erf, scaled;
    return is(g, id, TWI_OP_ADD_CONSTANT, 1.0, &erf) && is_op(g, erf, TWI_OP_ERF, &scaled) &&
           is(g, scaled, TWI_OP_MUL_CONSTANT, 1.0 / sqrt(2.0), x);
}

static bool is_shifted_tanh(const twi_onnx_graph *g, uint32_t id, uint32_t *x);

/* 1 + erf or 1 + tanh of x, and the GELU that half x times it is; TWI_OP_INPUT: neither. */
static twi_op gelu_of(const twi_onnx_graph *g, uint32_t id, uint32_t *x)
{
    if (is_shifted_erf(g, id, x)) return TWI_OP_GELU;
    return is_shifted_tanh(g, id, x) ? TWI_OP_GELU_TANH : TWI_OP_INPUT;
}

/* What x times the function of x that `factor` is comes to; TWI_OP_INPUT: nothing known. */
static twi_op product_of(const twi_onnx_graph *g, uint32_t x, uint32_t factor)
{
    const twi_node *node = twi_onnx_node_of(g, factor);
    uint32_t of, inner;
    bool sixth;
    if (is_op(g, factor, TWI_OP_SIGMOID, &of) && of == x) return TWI_OP_SILU;
    if (node->op == TWI_OP_HARD_SIGMOID && node->inputs[0] == x && about(node->alpha, 1.0 / 6.0) &&
        node->beta == 0.5)
        return TWI_OP_HARD_SWISH;
    if (is_op(g, factor, TWI_OP_TANH, &inner) && is_op(g, inner, TWI_OP_SOFTPLUS, &of) && of == x)
        return TWI_OP_MISH;
    if (is_shifted_clip(g, factor, &sixth, &of) && sixth && of == x) return TWI_OP_HARD_SWISH;
    return TWI_OP_INPUT;
}

/* a times b, both ways round. half x (1 + erf) is GELU. */
static twi_op join_product(const twi_onnx_graph *g, uint32_t a, uint32_t b, uint32_t *x)
{
    for (int turn = 0; turn < 2; turn++) {
        const uint32_t one = turn ? b : a, other = turn ? a : b;
        uint32_t of, half;
        twi_op op = product_of(g, one, other);
        *x = one;
        if (op != TWI_OP_INPUT) return op;
        op = gelu_of(g, other, &of);
        if (op != TWI_OP_INPUT && is(g, one, TWI_OP_MUL_CONSTANT, 0.5, &half) && of == half) {
            *x = half;
            return op;
        }
    }
    return TWI_OP_INPUT;
}

/* (x (1 + erf)) / 2, and (x clip(x + 3)) / 6. */
static twi_op join_scaled(const twi_onnx_graph *g, const twi_node *node, uint32_t *x)
{
    const twi_node *product = twi_onnx_node_of(g, node->inputs[0]);
    const double by = number_of(node, TWI_OP_MUL_CONSTANT);
    if (product->op != TWI_OP_MUL) return TWI_OP_INPUT;
    for (int turn = 0; turn < 2; turn++) {
        uint32_t of;
        bool sixth;
        *x = product->inputs[turn];
        const uint32_t factor = product->inputs[1 - turn];
        const twi_op op = about(by, 0.5) ? gelu_of(g, factor, &of) : TWI_OP_INPUT;
        if (op != TWI_OP_INPUT && of == *x) return op;
        if (about(by, 1.0 / 6.0) && is_shifted_clip(g, factor, &sixth, &of) && !sixth && of == *x)
            return TWI_OP_HARD_SWISH;
    }
    return TWI_OP_INPUT;
}

/* The mean of x along its channels: *x as it is averaged, its channel axis being that one. */
static bool is_mean(const twi_onnx_graph *g, uint32_t id, uint32_t *x)
{
    const twi_node *mean = twi_onnx_node_of(g, twi_onnx_behind(g, id));
    if (mean->op != TWI_OP_REDUCE_MEAN || mean->axes.rank != 1) return false;
    *x = mean->inputs[0];
    return mean->axes.dims[0] == twi_channel_axis(g->shapes[*x].rank);
}

/* x less its mean. The difference repeats the mean along the same axis: it has as many numbers as
 * one of x's others have, and lies in a value of x's elements. */
static bool is_centred(const twi_onnx_graph *g, uint32_t id, uint32_t *x)
{
    const twi_node *sub = twi_onnx_node_of(g, twi_onnx_behind(g, id));
    if (sub->op != TWI_OP_SUB || !is_mean(g, sub->inputs[1], x)) return false;
    const twi_shape *whole = &g->shapes[sub->inputs[0]], *mean = &g->shapes[sub->inputs[1]];
    const twi_shape *averaged = &g->shapes[*x];
    if (twi_onnx_behind(g, sub->inputs[0]) != twi_onnx_behind(g, *x)) return false;
    const size_t axis = averaged->rank == 3 ? 0 : whole->rank - 1, n = whole->dims[axis];
    return n == averaged->dims[twi_channel_axis(averaged->rank)] && mean->rank == whole->rank &&
           mean->dims[axis] == 1 && twi_shape_elements(whole) / n == twi_shape_elements(mean);
}

static bool is_squared(const twi_onnx_graph *g, uint32_t id, uint32_t *x)
{
    const twi_node *node = twi_onnx_node_of(g, twi_onnx_behind(g, id));
    *x = node->n_inputs > 0 ? node->inputs[0] : id;
    return (node->op == TWI_OP_POW && node->alpha == 2.0) ||
           (node->op == TWI_OP_MUL && node->inputs[0] == node->inputs[1]);
}

/* (x - mean) / sqrt(mean((x - mean)^2) + epsilon) */
static bool is_norm(const twi_onnx_graph *g, const twi_node *div, uint32_t *x, double *epsilon)
{
    uint32_t sum, square, centred, again;
    if (!is_centred(g, div->inputs[0], x)) return false;
    if (!is_op(g, twi_onnx_behind(g, div->inputs[1]), TWI_OP_SQRT, &sum)) return false;
    const twi_node *shifted = twi_onnx_node_of(g, twi_onnx_behind(g, sum));
    *epsilon = number_of(shifted, TWI_OP_ADD_CONSTANT);
    return *epsilon > 0.0 && is_mean(g, shifted->inputs[0], &square) &&
           is_squared(g, square, &centred) && is_centred(g, centred, &again) && again == *x;
}

/* Behind a product with ones, which is how a value is repeated. */
static uint32_t unrepeated(const twi_onnx_graph *g, uint32_t id)
{
    const twi_node *node = twi_onnx_node_of(g, twi_onnx_behind(g, id));
    if (node->op != TWI_OP_MUL) return twi_onnx_behind(g, id);
    const twi_node *by = twi_onnx_node_of(g, node->inputs[1]);
    if (by->op != TWI_OP_CONSTANT) return twi_onnx_behind(g, id);
    const twi_tensor *value = by->params[TWI_PARAM_VALUE];
    for (size_t i = 0; i < value->count; i++)
        if (((const float *)value->data)[i] != 1.0f) return twi_onnx_behind(g, id);
    return twi_onnx_behind(g, node->inputs[0]);
}

/* x / max(sqrt(sum of x^2 along its channels), epsilon), where the smallest may be left out. */
static bool is_unit(const twi_onnx_graph *g, const twi_node *div, uint32_t *x, double *epsilon)
{
    uint32_t at = unrepeated(g, div->inputs[1]), sum, square;
    const twi_node *node = twi_onnx_node_of(g, at);
    *epsilon = 1e-12; /* a length of 0 gives 0, not NaN */
    if (node->op == TWI_OP_CLIP && node->low > 0.0 && node->high >= (double)FLT_MAX) {
        *epsilon = node->low;
        at = twi_onnx_behind(g, node->inputs[0]);
    }
    if (!is_op(g, at, TWI_OP_SQRT, &sum)) return false;
    const twi_node *scaled = twi_onnx_node_of(g, twi_onnx_behind(g, sum));
    const double n = number_of(scaled, TWI_OP_MUL_CONSTANT);
    if (isnan(n) || !is_mean(g, scaled->inputs[0], &square) || !is_squared(g, square, x))
        return false;
    return n == (double)g->shapes[square].dims[twi_channel_axis(g->shapes[square].rank)] &&
           twi_onnx_behind(g, div->inputs[0]) == twi_onnx_behind(g, *x) &&
           twi_shape_equal(&g->shapes[square], &g->shapes[*x]);
}

/* (c x) sigmoid(c x) / c is silu's, which is OpenAI's quick GELU with c = 1.702. */
static bool is_quick(const twi_onnx_graph *g, const twi_node *mul, uint32_t *x, uint32_t *scaled)
{
    for (int turn = 0; turn < 2; turn++) {
        uint32_t inner;
        *x = mul->inputs[turn];
        if (is_op(g, mul->inputs[1 - turn], TWI_OP_SIGMOID, scaled) &&
            is_op(g, *scaled, TWI_OP_MUL_CONSTANT, &inner) && inner == *x &&
            number_of(twi_onnx_node_of(g, *scaled), TWI_OP_MUL_CONSTANT) > 0.0)
            return true;
    }
    return false;
}

/* x^3, by pow or by products. */
static bool is_cube(const twi_onnx_graph *g, uint32_t id, uint32_t *x)
{
    const twi_node *node = twi_onnx_node_of(g, id);
    uint32_t of;
    if (node->op == TWI_OP_POW) {
        *x = node->inputs[0];
        return node->alpha == 3.0;
    }
    for (int turn = 0; turn < 2 && node->op == TWI_OP_MUL; turn++) {
        *x = node->inputs[turn];
        if (is_squared(g, node->inputs[1 - turn], &of) && of == *x) return true;
    }
    return false;
}

/* 1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)): Hendrycks & Gimpel (2016), arXiv:1606.08415. */
static bool is_shifted_tanh(const twi_onnx_graph *g, uint32_t id, uint32_t *x)
{
    uint32_t tanh, scaled, sum, cube, of;
    if (!is(g, id, TWI_OP_ADD_CONSTANT, 1.0, &tanh) || !is_op(g, tanh, TWI_OP_TANH, &scaled) ||
        !is(g, scaled, TWI_OP_MUL_CONSTANT, sqrt(2.0 / 3.14159265358979323846), &sum))
        return false;
    const twi_node *node = twi_onnx_node_of(g, sum);
    if (node->op != TWI_OP_ADD) return false;
    for (int turn = 0; turn < 2; turn++) {
        *x = node->inputs[turn];
        if (is(g, node->inputs[1 - turn], TWI_OP_MUL_CONSTANT, 0.044715, &cube) &&
            is_cube(g, cube, &of) && of == *x)
            return true;
    }
    return false;
}

/* Scale and shift of a norm that has none yet. */
static bool is_affine(const twi_onnx_graph *g, const twi_node *node, int param)
{
    const twi_node *norm = twi_onnx_node_of(g, node->inputs[0]);
    const twi_tensor *value = node->params[TWI_PARAM_VALUE];
    const twi_shape *s = &g->shapes[node->inputs[0]];
    return norm->op == TWI_OP_LAYER_NORM && !norm->params[param] &&
           !norm->params[TWI_PARAM_SHIFT] && value->rank == 1 &&
           value->count == s->dims[twi_channel_axis(s->rank)];
}

/* A bias that comes as a sum. */
static bool is_bias(const twi_onnx_graph *g, const twi_node *node)
{
    const twi_node *dense = twi_onnx_node_of(g, node->inputs[0]);
    const twi_tensor *value = node->params[TWI_PARAM_VALUE];
    return dense->op == TWI_OP_DENSE && !dense->params[TWI_PARAM_BIAS] && value->rank == 1 &&
           value->count == dense->params[TWI_PARAM_WEIGHT]->dims[0];
}

/* A number that a dense layer's input was multiplied by, in its weight instead. */
static tw_status scale_weight(twi_onnx_graph *g, const twi_node *dense, double by, twi_node *made)
{
    const twi_tensor *weight = dense->params[TWI_PARAM_WEIGHT];
    const float *from = weight->data;
    float *to;
    *made = *dense;
    const tw_status st =
        twi_onnx_param(g, weight->rank, weight->dims, NULL, &made->params[TWI_PARAM_WEIGHT], &to);
    for (size_t i = 0; st == TW_OK && i < weight->count; i++) to[i] = (float)(by * (double)from[i]);
    return st;
}

static tw_status quick_gelu(twi_onnx_graph *g, uint32_t scaled, uint32_t *out)
{
    const double by = number_of(twi_onnx_node_of(g, scaled), TWI_OP_MUL_CONSTANT);
    twi_node back = {.op = TWI_OP_MUL_CONSTANT};
    const size_t one = 1;
    float *to;
    tw_status st = twi_onnx_param(g, 1, &one, NULL, &back.params[TWI_PARAM_VALUE], &to);
    if (st == TW_OK) *to = (float)(1.0 / by);
    if (st == TW_OK) st = twi_onnx_make1(g, (twi_node){.op = TWI_OP_SILU}, scaled, out);
    return st == TW_OK ? twi_onnx_make1(g, back, *out, out) : st;
}

/* Sums and products with known numbers: a norm's scale and shift, a bias, the end of a function. */
static void join_constant(const twi_onnx_graph *g, const twi_node *node, twi_node *made,
                          uint32_t *x)
{
    const bool scale = node->op == TWI_OP_MUL_CONSTANT;
    const int param = scale ? TWI_PARAM_SCALE : TWI_PARAM_SHIFT;
    const bool affine = is_affine(g, node, param);
    if (affine || (!scale && is_bias(g, node))) {
        *made = *twi_onnx_node_of(g, node->inputs[0]);
        made->params[affine ? param : TWI_PARAM_BIAS] = node->params[TWI_PARAM_VALUE];
        *x = made->inputs[0];
    } else if (scale) {
        made->op = join_scaled(g, node, x);
    }
}

tw_status twi_onnx_joined(twi_onnx_graph *g, uint32_t id, uint32_t *out)
{
    const twi_node *node = twi_onnx_node_of(g, id);
    twi_node made = {.op = TWI_OP_INPUT};
    uint32_t x = 0, scaled;
    tw_status st = TW_OK;
    *out = id;
    if (node->op == TWI_OP_MUL) {
        if (is_quick(g, node, &x, &scaled)) return quick_gelu(g, scaled, out);
        made.op = join_product(g, node->inputs[0], node->inputs[1], &x);
    } else if (node->op == TWI_OP_MUL_CONSTANT || node->op == TWI_OP_ADD_CONSTANT) {
        join_constant(g, node, &made, &x);
    } else if (node->op == TWI_OP_DIV && is_norm(g, node, &x, &made.epsilon)) {
        made.op = TWI_OP_LAYER_NORM;
    } else if (node->op == TWI_OP_DIV && is_unit(g, node, &x, &made.epsilon)) {
        made.op = TWI_OP_L2_NORMALISE;
    } else if (node->op == TWI_OP_DENSE) {
        const twi_node *before = twi_onnx_node_of(g, node->inputs[0]);
        const double by = number_of(before, TWI_OP_MUL_CONSTANT);
        if (!isnan(by)) st = scale_weight(g, node, by, &made);
        x = isnan(by) ? x : before->inputs[0];
    }
    if (st != TW_OK || made.op == TWI_OP_INPUT) return st;
    return twi_onnx_make1(g, made, x, out);
}
