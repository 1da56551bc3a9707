/* operators.c - the table of operators. */
#include "engine/operators.h"

static const twi_operator operators[TWI_OP_COUNT] = {
    [TWI_OP_CONV] = {twi_ref_conv, twi_onednn_conv, true},
    [TWI_OP_BATCH_NORM] = {twi_ref_batch_norm, NULL, false}, /* folded before it gets here */
    [TWI_OP_RELU] = {twi_ref_relu, twi_onednn_relu, false},
    [TWI_OP_MAX_POOL] = {twi_ref_max_pool, twi_onednn_max_pool, false},
    [TWI_OP_AVG_POOL] = {twi_ref_avg_pool, twi_onednn_avg_pool, false},
    [TWI_OP_GLOBAL_AVG_POOL] = {twi_ref_global_avg_pool, twi_onednn_global_pool, false},
    [TWI_OP_GLOBAL_MAX_POOL] = {twi_ref_global_max_pool, twi_onednn_global_pool, false},
    [TWI_OP_DENSE] = {twi_ref_dense, twi_onednn_dense, true},
    [TWI_OP_ADD] = {twi_ref_add, twi_onednn_add, true},
    [TWI_OP_CONCAT] = {twi_ref_concat, twi_onednn_concat, false},
    [TWI_OP_FLATTEN] = {twi_ref_flatten, twi_onednn_flatten, false},
    [TWI_OP_SOFTMAX] = {twi_ref_softmax, NULL, false}, /* a thousand numbers a picture */
};

const twi_operator *twi_operator_of(twi_op op)
{
    return &operators[op];
}
