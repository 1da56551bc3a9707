/* patterns.c - functions that exporters spell out, joined again: looked for backwards from their
 * last node, when that is made. What they were made of stays behind unused and is cut away. */
#include "importer/onnx/graph.h"

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
        const twi_op op = product_of(g, one, other);
        *x = one;
        if (op != TWI_OP_INPUT) return op;
        if (is_shifted_erf(g, other, &of) && is(g, one, TWI_OP_MUL_CONSTANT, 0.5, &half) &&
            of == half) {
            *x = half;
            return TWI_OP_GELU;
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
        if (about(by, 0.5) && is_shifted_erf(g, factor, &of) && of == *x) return TWI_OP_GELU;
        if (about(by, 1.0 / 6.0) && is_shifted_clip(g, factor, &sixth, &of) && !sixth && of == *x)
            return TWI_OP_HARD_SWISH;
    }
    return TWI_OP_INPUT;
}

/* x less its mean along the last axis. */
static bool is_centred(const twi_onnx_graph *g, uint32_t id, uint32_t *x)
{
    const twi_node *sub = twi_onnx_node_of(g, id);
    if (sub->op != TWI_OP_SUB) return false;
    const twi_node *mean = twi_onnx_node_of(g, sub->inputs[1]);
    *x = sub->inputs[0];
    return mean->op == TWI_OP_REDUCE_MEAN && mean->inputs[0] == *x && mean->axes.rank == 1 &&
           mean->axes.dims[0] + 1 == g->shapes[*x].rank && g->shapes[*x].rank < 3;
}

/* (x - mean) / sqrt(mean((x - mean)^2) + epsilon) */
static bool is_norm(const twi_onnx_graph *g, const twi_node *div, uint32_t *x, double *epsilon)
{
    uint32_t sum, variance, again, square;
    if (!is_centred(g, div->inputs[0], x)) return false;
    if (!is_op(g, div->inputs[1], TWI_OP_SQRT, &sum)) return false;
    *epsilon = number_of(twi_onnx_node_of(g, sum), TWI_OP_ADD_CONSTANT);
    if (!(*epsilon > 0.0)) return false;
    variance = twi_onnx_node_of(g, sum)->inputs[0];
    if (!is_op(g, variance, TWI_OP_REDUCE_MEAN, &square)) return false;
    const twi_node *pow = twi_onnx_node_of(g, square);
    const bool squared = pow->op == TWI_OP_POW
                             ? pow->alpha == 2.0
                             : pow->op == TWI_OP_MUL && pow->inputs[0] == pow->inputs[1];
    return squared && is_centred(g, pow->inputs[0], &again) && again == *x;
}

/* Scale and shift of a norm that has none yet. */
static bool is_affine(const twi_onnx_graph *g, const twi_node *node, int param)
{
    const twi_node *norm = twi_onnx_node_of(g, node->inputs[0]);
    const twi_tensor *value = node->params[TWI_PARAM_VALUE];
    const twi_shape *s = &g->shapes[node->inputs[0]];
    return norm->op == TWI_OP_LAYER_NORM && !norm->params[param] &&
           !norm->params[TWI_PARAM_SHIFT] && value->rank == 1 &&
           value->count == s->dims[s->rank - 1];
}

/* A bias that comes as a sum. */
static bool is_bias(const twi_onnx_graph *g, const twi_node *node)
{
    const twi_node *dense = twi_onnx_node_of(g, node->inputs[0]);
    const twi_tensor *value = node->params[TWI_PARAM_VALUE];
    return dense->op == TWI_OP_DENSE && !dense->params[TWI_PARAM_BIAS] && value->rank == 1 &&
           value->count == dense->params[TWI_PARAM_WEIGHT]->dims[0];
}

tw_status twi_onnx_joined(twi_onnx_graph *g, uint32_t id, uint32_t *out)
{
    const twi_node *node = twi_onnx_node_of(g, id);
    twi_node made = {.op = TWI_OP_INPUT};
    uint32_t x = 0;
    *out = id;
    if (node->op == TWI_OP_MUL) {
        made.op = join_product(g, node->inputs[0], node->inputs[1], &x);
    } else if (node->op == TWI_OP_MUL_CONSTANT || node->op == TWI_OP_ADD_CONSTANT) {
        const bool scale = node->op == TWI_OP_MUL_CONSTANT;
        const int param = scale ? TWI_PARAM_SCALE : TWI_PARAM_SHIFT;
        if (is_affine(g, node, param)) {
            made = *twi_onnx_node_of(g, node->inputs[0]);
            made.params[param] = node->params[TWI_PARAM_VALUE];
            x = made.inputs[0];
        } else if (!scale && is_bias(g, node)) {
            made = *twi_onnx_node_of(g, node->inputs[0]);
            made.params[TWI_PARAM_BIAS] = node->params[TWI_PARAM_VALUE];
            x = made.inputs[0];
        } else if (scale) {
            made.op = join_scaled(g, node, &x);
        }
    } else if (node->op == TWI_OP_DIV && is_norm(g, node, &x, &made.epsilon)) {
        made.op = TWI_OP_LAYER_NORM;
    }
    return made.op == TWI_OP_INPUT ? TW_OK : twi_onnx_make1(g, made, x, out);
}
