/* operators.c - the operator table. */
#include "network/rules.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what the rules share ------------------------------------------------------------------ */

const char *twi_shape_text(const twi_shape *shape, char *text)
{
    size_t at = (size_t)snprintf(text, TWI_SHAPE_TEXT, "[");
    for (size_t i = 0; i < shape->rank && i < TWI_LEN(shape->dims); i++)
        at += (size_t)snprintf(text + at, TWI_SHAPE_TEXT - at, "%s%zu", i ? ", " : "",
                               shape->dims[i]);
    snprintf(text + at, TWI_SHAPE_TEXT - at, "]");
    return text;
}

tw_status twi_fail_shape(tw_ctx *ctx, const twi_node *node, const twi_shape *in, const char *need)
{
    char text[TWI_SHAPE_TEXT];
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s comes in; need %s", node->name,
                    twi_shape_text(in, text), need);
}

tw_status twi_fail_shapes(tw_ctx *ctx, const twi_node *node, const char *need, const twi_shape *a,
                          const twi_shape *b)
{
    char first[TWI_SHAPE_TEXT], second[TWI_SHAPE_TEXT];
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s and %s come in; need %s", node->name,
                    twi_shape_text(a, first), twi_shape_text(b, second), need);
}

tw_status twi_check_range(tw_ctx *ctx, const twi_node *node, const char *what, size_t value,
                          size_t least, size_t most)
{
    if (value >= least && value <= most) return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s is %zu; need %zu to %zu", node->name, what,
                    value, least, most);
}

tw_status twi_check_finite(tw_ctx *ctx, const twi_node *node, const char *what, double value)
{
    if (isfinite(value)) return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s is not a finite number", node->name, what);
}

tw_status twi_check_vector(tw_ctx *ctx, const twi_node *node, int param, size_t channels)
{
    const twi_tensor *t = node->params[param];
    if (!t || t->count == channels) return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %s %s has %zu values; need %zu", node->name,
                    twi_operator_at(node->op)->params[param].name, t->name, t->count, channels);
}

tw_status twi_check_channels(tw_ctx *ctx, const twi_node *node, size_t found, size_t needed)
{
    if (found == needed) return TW_OK;
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %zu channels come in; its parameters need %zu",
                    node->name, found, needed);
}

/* The input's shape is the caller's; see twi_network_shapes(). */
static tw_status shape_input(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out)
{
    (void)ctx, (void)node, (void)in, (void)out;
    return TW_OK;
}

/* ---- the table ----------------------------------------------------------------------------- */

#define VECTOR      TWI_RANK(1)
#define TOKENS      TWI_RANK(2)
#define MAP         TWI_RANK(3)
#define WINDOW_POOL (TWI_ATTR_WINDOW | TWI_ATTR_CEIL)
#define ONE         .min_inputs = 1, .max_inputs = 1
#define TWO         .min_inputs = 2, .max_inputs = 2
#define NORM_PARAMS                                                                                \
    {                                                                                              \
        {"scale", 1, false},                                                                       \
        {                                                                                          \
            "shift", 1, false                                                                      \
        }                                                                                          \
    }

#define ACTIVATION(word, attrs)                                                                    \
    {                                                                                              \
        .name = word, ONE, .attributes = attrs, .check = twi_check_activation,                     \
        .shape = twi_shape_same                                                                    \
    }
#define ARITHMETIC(word)                                                                           \
    {                                                                                              \
        .name = word, TWO, .rank = twi_rank_broadcast, .shape = twi_shape_broadcast_of             \
    }
#define WITH_CONSTANT(word)                                                                        \
    {                                                                                              \
        .name = word, ONE, .params = {{"value", 0, true}}, .shape = twi_shape_with_constant        \
    }
#define REDUCTION(word)                                                                            \
    {                                                                                              \
        .name = word, ONE, .attributes = TWI_ATTR_AXES, .check = twi_check_reduce,                 \
        .shape = twi_shape_reduce                                                                  \
    }
#define GLOBAL_POOL(word)                                                                          \
    {                                                                                              \
        .name = word, ONE, .in_ranks = MAP | TOKENS, .out_rank = 1, .shape = twi_shape_global_pool \
    }

static const twi_operator operators[TWI_OP_COUNT] = {
    [TWI_OP_INPUT] = {.name = "input", .out_rank = 3, .shape = shape_input},
    [TWI_OP_CONV] = {.name = "conv",
                     ONE,
                     .in_ranks = MAP,
                     .attributes = TWI_ATTR_WINDOW | TWI_ATTR_GROUPS,
                     .params = {{"weight", 4, true}, {"bias", 1, false}},
                     .check = twi_check_conv,
                     .shape = twi_shape_conv},
    [TWI_OP_BATCH_NORM] = {.name = "batch_norm",
                           ONE,
                           .attributes = TWI_ATTR_EPSILON,
                           .params = {{"scale", 1, false},
                                      {"shift", 1, false},
                                      {"mean", 1, true},
                                      {"variance", 1, true}},
                           .check = twi_check_batch_norm,
                           .shape = twi_shape_batch_norm},
    [TWI_OP_RELU] = ACTIVATION("relu", 0),
    [TWI_OP_MAX_POOL] = {.name = "max_pool",
                         ONE,
                         .in_ranks = MAP,
                         .attributes = WINDOW_POOL,
                         .check = twi_check_pool,
                         .shape = twi_shape_pool},
    [TWI_OP_AVG_POOL] = {.name = "avg_pool",
                         ONE,
                         .in_ranks = MAP,
                         .attributes = WINDOW_POOL | TWI_ATTR_COUNT_PAD,
                         .check = twi_check_pool,
                         .shape = twi_shape_pool},
    [TWI_OP_GLOBAL_AVG_POOL] = GLOBAL_POOL("global_avg_pool"),
    [TWI_OP_GLOBAL_MAX_POOL] = GLOBAL_POOL("global_max_pool"),
    [TWI_OP_DENSE] = {.name = "dense",
                      ONE,
                      .in_ranks = TOKENS | VECTOR,
                      .params = {{"weight", 2, true}, {"bias", 1, false}},
                      .check = twi_check_dense,
                      .shape = twi_shape_dense},
    [TWI_OP_ADD] = {.name = "add", TWO, .shape = twi_shape_add},
    [TWI_OP_CONCAT] = {.name = "concat",
                       .min_inputs = 1,
                       .max_inputs = TWI_MAX_INPUTS,
                       .attributes = TWI_ATTR_AXIS,
                       .check = twi_check_concat,
                       .shape = twi_shape_concat},
    [TWI_OP_FLATTEN] = {.name = "flatten",
                        ONE,
                        .in_ranks = MAP | TOKENS,
                        .out_rank = 1,
                        .attributes = TWI_ATTR_FLATTEN_ORDER,
                        .shape = twi_shape_flatten},
    [TWI_OP_SOFTMAX] = {.name = "softmax", ONE, .shape = twi_shape_same},

    [TWI_OP_CLIP] = ACTIVATION("clip", TWI_ATTR_RANGE),
    [TWI_OP_LEAKY_RELU] = ACTIVATION("leaky_relu", TWI_ATTR_ALPHA),
    [TWI_OP_ELU] = ACTIVATION("elu", TWI_ATTR_ALPHA),
    [TWI_OP_PRELU] = {.name = "prelu",
                      ONE,
                      .params = {{"slope", 1, true}},
                      .shape = twi_shape_prelu},
    [TWI_OP_SIGMOID] = ACTIVATION("sigmoid", 0),
    [TWI_OP_TANH] = ACTIVATION("tanh", 0),
    [TWI_OP_HARD_SIGMOID] = ACTIVATION("hard_sigmoid", TWI_ATTR_ALPHA | TWI_ATTR_BETA),
    [TWI_OP_HARD_SWISH] = ACTIVATION("hard_swish", 0),
    [TWI_OP_SILU] = ACTIVATION("silu", 0),
    [TWI_OP_GELU] = ACTIVATION("gelu", 0),
    [TWI_OP_GELU_TANH] = ACTIVATION("gelu_tanh", 0),
    [TWI_OP_MISH] = ACTIVATION("mish", 0),
    [TWI_OP_SOFTPLUS] = ACTIVATION("softplus", 0),
    [TWI_OP_EXP] = ACTIVATION("exp", 0),
    [TWI_OP_LOG] = ACTIVATION("log", 0),
    [TWI_OP_ERF] = ACTIVATION("erf", 0),
    [TWI_OP_SQRT] = ACTIVATION("sqrt", 0),
    [TWI_OP_ABS] = ACTIVATION("abs", 0),
    [TWI_OP_NEG] = ACTIVATION("neg", 0),
    [TWI_OP_RECIPROCAL] = ACTIVATION("reciprocal", 0),
    [TWI_OP_POW] = ACTIVATION("pow", TWI_ATTR_ALPHA),

    [TWI_OP_ADD_BROADCAST] = ARITHMETIC("add_broadcast"),
    [TWI_OP_SUB] = ARITHMETIC("sub"),
    [TWI_OP_MUL] = ARITHMETIC("mul"),
    [TWI_OP_DIV] = ARITHMETIC("div"),
    [TWI_OP_MIN] = ARITHMETIC("min"),
    [TWI_OP_MAX] = ARITHMETIC("max"),
    [TWI_OP_ADD_CONSTANT] = WITH_CONSTANT("add_constant"),
    [TWI_OP_MUL_CONSTANT] = WITH_CONSTANT("mul_constant"),
    [TWI_OP_CONSTANT] = {.name = "constant",
                         .rank = twi_rank_constant,
                         .params = {{"value", 0, true}},
                         .shape = twi_shape_constant},

    [TWI_OP_LRN] = {.name = "lrn",
                    ONE,
                    .in_ranks = MAP,
                    .attributes = TWI_ATTR_LRN | TWI_ATTR_ALPHA | TWI_ATTR_BETA,
                    .check = twi_check_lrn,
                    .shape = twi_shape_same},
    [TWI_OP_LAYER_NORM] = {.name = "layer_norm",
                           ONE,
                           .attributes = TWI_ATTR_EPSILON,
                           .params = NORM_PARAMS,
                           .check = twi_check_norm,
                           .shape = twi_shape_norm},
    [TWI_OP_GROUP_NORM] = {.name = "group_norm",
                           ONE,
                           .in_ranks = MAP,
                           .attributes = TWI_ATTR_EPSILON | TWI_ATTR_GROUPS,
                           .params = NORM_PARAMS,
                           .check = twi_check_norm,
                           .shape = twi_shape_group_norm},
    [TWI_OP_L2_NORMALISE] = {.name = "l2_normalise",
                             ONE,
                             .attributes = TWI_ATTR_EPSILON,
                             .check = twi_check_norm,
                             .shape = twi_shape_same},

    [TWI_OP_PAD] = {.name = "pad",
                    ONE,
                    .in_ranks = MAP,
                    .attributes = TWI_ATTR_PAD,
                    .check = twi_check_pad,
                    .shape = twi_shape_pad},
    [TWI_OP_RESIZE] = {.name = "resize",
                       ONE,
                       .in_ranks = MAP,
                       .attributes = TWI_ATTR_RESIZE | TWI_ATTR_SIZE,
                       .check = twi_check_resize,
                       .shape = twi_shape_resize},
    [TWI_OP_DEPTH_TO_SPACE] = {.name = "depth_to_space",
                               ONE,
                               .in_ranks = MAP,
                               .attributes = TWI_ATTR_BLOCK,
                               .check = twi_check_block,
                               .shape = twi_shape_depth_to_space},
    [TWI_OP_SPACE_TO_DEPTH] = {.name = "space_to_depth",
                               ONE,
                               .in_ranks = MAP,
                               .attributes = TWI_ATTR_BLOCK,
                               .check = twi_check_block,
                               .shape = twi_shape_space_to_depth},
    [TWI_OP_CHANNEL_SHUFFLE] = {.name = "channel_shuffle",
                                ONE,
                                .in_ranks = MAP,
                                .attributes = TWI_ATTR_GROUPS,
                                .check = twi_check_groups,
                                .shape = twi_shape_shuffle},
    [TWI_OP_ROLL] = {.name = "roll",
                     ONE,
                     .in_ranks = MAP,
                     .attributes = TWI_ATTR_SHIFT,
                     .shape = twi_shape_same},

    [TWI_OP_SLICE] = {.name = "slice",
                      ONE,
                      .attributes = TWI_ATTR_AXIS | TWI_ATTR_RANGE_OF_AXIS,
                      .check = twi_check_slice,
                      .shape = twi_shape_slice},
    [TWI_OP_TRANSPOSE] = {.name = "transpose",
                          ONE,
                          .attributes = TWI_ATTR_AXES,
                          .check = twi_check_transpose,
                          .shape = twi_shape_transpose},
    [TWI_OP_RESHAPE] = {.name = "reshape",
                        ONE,
                        .rank = twi_rank_target,
                        .attributes = TWI_ATTR_TARGET,
                        .check = twi_check_target,
                        .shape = twi_shape_reshape},
    [TWI_OP_REDUCE_MEAN] = REDUCTION("reduce_mean"),
    [TWI_OP_REDUCE_MAX] = REDUCTION("reduce_max"),

    [TWI_OP_TOKENS] =
        {.name = "tokens", ONE, .in_ranks = MAP, .out_rank = 2, .shape = twi_shape_tokens},
    [TWI_OP_MAP] = {.name = "map",
                    ONE,
                    .in_ranks = TOKENS,
                    .out_rank = 3,
                    .attributes = TWI_ATTR_SIZE,
                    .check = twi_check_size,
                    .shape = twi_shape_map},
    [TWI_OP_PREPEND_TOKEN] = {.name = "prepend_token",
                              ONE,
                              .in_ranks = TOKENS,
                              .params = {{"token", 2, true}},
                              .shape = twi_shape_prepend},
    [TWI_OP_TAKE_TOKEN] = {.name = "take_token",
                           ONE,
                           .in_ranks = TOKENS,
                           .out_rank = 1,
                           .attributes = TWI_ATTR_INDEX,
                           .shape = twi_shape_take},
    [TWI_OP_WINDOW_PARTITION] = {.name = "window_partition",
                                 ONE,
                                 .in_ranks = MAP,
                                 .out_rank = 2,
                                 .attributes = TWI_ATTR_SIZE | TWI_ATTR_GRID,
                                 .check = twi_check_size,
                                 .shape = twi_shape_partition},
    [TWI_OP_WINDOW_REVERSE] = {.name = "window_reverse",
                               ONE,
                               .in_ranks = TOKENS,
                               .out_rank = 3,
                               .attributes = TWI_ATTR_SIZE | TWI_ATTR_GRID | TWI_ATTR_TARGET,
                               .check = twi_check_windows,
                               .shape = twi_shape_reverse},
    [TWI_OP_MATMUL] = {.name = "matmul",
                       TWO,
                       .in_ranks = TOKENS | MAP,
                       .attributes = TWI_ATTR_TRANSPOSES | TWI_ATTR_SCALE,
                       .check = twi_check_matmul,
                       .shape = twi_shape_matmul},
    [TWI_OP_ATTENTION] = {.name = "attention",
                          .min_inputs = 3,
                          .max_inputs = 3,
                          .in_ranks = TOKENS,
                          .attributes = TWI_ATTR_HEADS | TWI_ATTR_SCALE,
                          .params = {{"bias", 3, false}, {"mask", 3, false}},
                          .check = twi_check_attention,
                          .shape = twi_shape_attention},
};

const twi_operator *twi_operator_at(twi_op op)
{
    return &operators[op];
}

const twi_operator *twi_operator_find(const char *name, twi_op *op)
{
    for (size_t i = 0; i < TWI_OP_COUNT; i++) {
        if (strcmp(operators[i].name, name) != 0) continue;
        *op = (twi_op)i;
        return &operators[i];
    }
    return NULL;
}

const char *twi_op_name(twi_op op)
{
    return operators[op].name;
}
