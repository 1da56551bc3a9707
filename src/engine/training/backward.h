/* backward.h - the backward pass of one operator in plain C. */
#ifndef TWI_ENGINE_TRAINING_BACKWARD_H
#define TWI_ENGINE_TRAINING_BACKWARD_H

#include "engine/operators.h"

/* Values lie as twi_reference_args has them. */
typedef struct twi_backward_args {
    const twi_node *node;
    size_t batch;
    const twi_shape *in_shapes; /* [n_inputs] */
    twi_shape out_shape;
    const float *const *in; /* [n_inputs]; NULL where the operator does not need them */
    const float *out;       /* the same */
    const float *const *params;
    const float *grad_out;
    float *const *grad_in;     /* [n_inputs]; written; NULL: not wanted */
    float *const *grad_params; /* [TWI_PARAMS]; written; NULL: not wanted */
    twi_shape param_shapes[TWI_PARAMS];
} twi_backward_args;

typedef void twi_ref_backward_fn(const twi_backward_args *args);

twi_ref_backward_fn twi_back_conv, twi_back_dense;
twi_ref_backward_fn twi_back_max_pool, twi_back_avg_pool, twi_back_global_avg_pool,
    twi_back_global_max_pool, twi_back_reduce;
twi_ref_backward_fn twi_back_activation, twi_back_prelu, twi_back_add, twi_back_arithmetic,
    twi_back_with_constant;
twi_ref_backward_fn twi_back_layer_norm, twi_back_group_norm, twi_back_lrn, twi_back_l2_normalise,
    twi_back_softmax, twi_back_resize, twi_back_matmul, twi_back_attention;

/* The derivative of f at x, where y = f(x). Where f has a corner, what PyTorch 1.13 takes. */
double twi_slope(const twi_activation *f, double x, double y);

#endif
