/* operators.c - the table of operators while training. */
#include "engine/training/tape.h"

#define BOTH (TWI_NEEDS_IN | TWI_NEEDS_OUT)

static const twi_training_operator operators[TWI_OP_COUNT] = {
    [TWI_OP_CONV] = {twi_back_conv, false, TWI_NEEDS_IN, twi_training_conv, twi_training_conv_back},
    [TWI_OP_BATCH_NORM] = {NULL, false, 0, twi_training_norm, twi_training_norm_back},
    [TWI_OP_RELU] = {twi_back_activation, false, BOTH | TWI_IN_PARTS, twi_training_activation,
                     twi_training_relu_back},
    [TWI_OP_MAX_POOL] = {twi_back_max_pool, false, TWI_NEEDS_IN, twi_training_pool,
                         twi_training_pool_back},
    [TWI_OP_AVG_POOL] = {twi_back_avg_pool, false, 0, twi_training_pool, twi_training_pool_back},
    [TWI_OP_GLOBAL_AVG_POOL] = {twi_back_global_avg_pool, false, 0, twi_training_global,
                                twi_training_global_back},
    [TWI_OP_GLOBAL_MAX_POOL] = {twi_back_global_max_pool, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_DENSE] = {twi_back_dense, false, TWI_NEEDS_IN, twi_training_dense,
                      twi_training_dense_back},
    [TWI_OP_ADD] = {twi_back_add, false, 0, twi_training_add, twi_training_add_back},
    [TWI_OP_CONCAT] = {NULL, true, 0, twi_training_concat, twi_training_concat_back},
    [TWI_OP_FLATTEN] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_SOFTMAX] = {twi_back_softmax, false, TWI_NEEDS_OUT, NULL, NULL},
#define ACTIVATION                                                                                 \
    {                                                                                              \
        twi_back_activation, false, BOTH, twi_training_activation, twi_training_activation_back    \
    }
    [TWI_OP_CLIP] = ACTIVATION,
    [TWI_OP_LEAKY_RELU] = ACTIVATION,
    [TWI_OP_ELU] = ACTIVATION,
    [TWI_OP_SIGMOID] = ACTIVATION,
    [TWI_OP_TANH] = ACTIVATION,
    [TWI_OP_HARD_SIGMOID] = ACTIVATION,
    [TWI_OP_HARD_SWISH] = ACTIVATION,
    [TWI_OP_SILU] = ACTIVATION,
    [TWI_OP_GELU] = ACTIVATION,
    [TWI_OP_GELU_TANH] = ACTIVATION,
    [TWI_OP_MISH] = ACTIVATION,
    [TWI_OP_SOFTPLUS] = ACTIVATION,
    [TWI_OP_EXP] = ACTIVATION,
    [TWI_OP_LOG] = ACTIVATION,
    [TWI_OP_ERF] = ACTIVATION,
    [TWI_OP_SQRT] = ACTIVATION,
    [TWI_OP_ABS] = ACTIVATION,
    [TWI_OP_NEG] = ACTIVATION,
    [TWI_OP_RECIPROCAL] = ACTIVATION,
    [TWI_OP_POW] = ACTIVATION,
#undef ACTIVATION
    [TWI_OP_PRELU] = {twi_back_prelu, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_ADD_BROADCAST] = {twi_back_arithmetic, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_SUB] = {twi_back_arithmetic, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_MUL] = {twi_back_arithmetic, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_DIV] = {twi_back_arithmetic, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_MIN] = {twi_back_arithmetic, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_MAX] = {twi_back_arithmetic, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_ADD_CONSTANT] = {twi_back_with_constant, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_MUL_CONSTANT] = {twi_back_with_constant, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_CONSTANT] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_LRN] = {twi_back_lrn, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_LAYER_NORM] = {twi_back_layer_norm, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_GROUP_NORM] = {twi_back_group_norm, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_L2_NORMALISE] = {twi_back_l2_normalise, false, BOTH, NULL, NULL},
    [TWI_OP_PAD] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_RESIZE] = {twi_back_resize, false, 0, NULL, NULL},
    [TWI_OP_DEPTH_TO_SPACE] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_SPACE_TO_DEPTH] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_CHANNEL_SHUFFLE] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_ROLL] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_SLICE] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_TRANSPOSE] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_RESHAPE] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_REDUCE_MEAN] = {twi_back_reduce, false, 0, twi_training_global,
                            twi_training_global_back},
    [TWI_OP_REDUCE_MAX] = {twi_back_reduce, false, BOTH, NULL, NULL},
    [TWI_OP_TOKENS] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_MAP] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_PREPEND_TOKEN] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_TAKE_TOKEN] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_WINDOW_PARTITION] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_WINDOW_REVERSE] = {NULL, true, 0, NULL, NULL},
    [TWI_OP_MATMUL] = {twi_back_matmul, false, TWI_NEEDS_IN, NULL, NULL},
    [TWI_OP_ATTENTION] = {twi_back_attention, false, TWI_NEEDS_IN, NULL, NULL},
};

const twi_training_operator *twi_training_operator_of(twi_op op)
{
    return &operators[op];
}
