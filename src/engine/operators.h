/* operators.h - what each operator is computed by. Adding one is one file and one row. */
#ifndef TWI_ENGINE_OPERATORS_H
#define TWI_ENGINE_OPERATORS_H

#include "engine/program.h"

/* One operator on plain float32: feature maps [n, c, h, w], vectors [n, d]. */
typedef struct twi_reference_args {
    const twi_node *node;
    size_t batch;
    const twi_shape *in_shapes; /* [n_inputs] */
    twi_shape out_shape;
    const float *const *in;     /* [n_inputs] */
    const float *const *params; /* [TWI_PARAMS]; NULL where the node has none */
    float *out;
} twi_reference_args;

typedef void (*twi_reference_fn)(const twi_reference_args *args);

typedef struct twi_operator {
    twi_reference_fn compute;         /* plain C, the judge of the others */
    tw_status (*build)(twi_build *b); /* oneDNN's; NULL: plain C there too */
    bool fuses;                       /* build takes care of fused and fused_add */
} twi_operator;

const twi_operator *twi_operator_of(twi_op op);

void twi_ref_conv(const twi_reference_args *args);
void twi_ref_batch_norm(const twi_reference_args *args);
void twi_ref_relu(const twi_reference_args *args);
void twi_ref_max_pool(const twi_reference_args *args);
void twi_ref_avg_pool(const twi_reference_args *args);
void twi_ref_global_avg_pool(const twi_reference_args *args);
void twi_ref_global_max_pool(const twi_reference_args *args);
void twi_ref_dense(const twi_reference_args *args);
void twi_ref_add(const twi_reference_args *args);
void twi_ref_concat(const twi_reference_args *args);
void twi_ref_flatten(const twi_reference_args *args);
void twi_ref_softmax(const twi_reference_args *args);

tw_status twi_onednn_conv(twi_build *b);
/* A convolution by our own kernels: true, and *st what came of it, where they are faster than
 * oneDNN's. */
bool twi_winograd_conv(twi_build *b, tw_status *st);
tw_status twi_onednn_relu(twi_build *b);
tw_status twi_onednn_max_pool(twi_build *b);
tw_status twi_onednn_avg_pool(twi_build *b);
tw_status twi_onednn_global_pool(twi_build *b);
tw_status twi_onednn_dense(twi_build *b);
tw_status twi_onednn_add(twi_build *b);
tw_status twi_onednn_concat(twi_build *b);
tw_status twi_onednn_flatten(twi_build *b);

#endif
