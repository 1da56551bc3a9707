/* operators.h - what each operator is computed by. Adding one is one file and one row. */
#ifndef TWI_ENGINE_OPERATORS_H
#define TWI_ENGINE_OPERATORS_H

#include "engine/program.h"

/* One operator on plain float32: maps [n, c, h, w], tokens [n, t, d], vectors [n, d]. */
typedef struct twi_reference_args {
    const twi_node *node;
    size_t batch;
    const twi_shape *in_shapes; /* [n_inputs] */
    twi_shape out_shape;
    const float *const *in;     /* [n_inputs] */
    const float *const *params; /* [TWI_PARAMS]; NULL where the node has none */
    float *out;
    twi_shape param_shapes[TWI_PARAMS]; /* of those of 1 to 3 dimensions */
} twi_reference_args;

typedef void twi_ref_fn(const twi_reference_args *args);

typedef struct twi_operator {
    twi_ref_fn *compute; /* plain C, the judge of the others */
    /* oneDNN's, with what fusion hung on the node; NULL: plain C there too */
    tw_status (*build)(twi_build *b);
    bool eights; /* build takes inputs in 8 bits */
} twi_operator;

const twi_operator *twi_operator_of(twi_op op);

/* By their definitions; see reference/. */
twi_ref_fn twi_ref_conv, twi_ref_relu, twi_ref_max_pool, twi_ref_avg_pool, twi_ref_global_avg_pool,
    twi_ref_global_max_pool, twi_ref_dense, twi_ref_add;
twi_ref_fn twi_ref_concat, twi_ref_slice, twi_ref_flatten, twi_ref_reshape, twi_ref_transpose,
    twi_ref_reduce;
twi_ref_fn twi_ref_activation, twi_ref_prelu;
twi_ref_fn twi_ref_arithmetic, twi_ref_with_constant, twi_ref_constant;
twi_ref_fn twi_ref_batch_norm, twi_ref_layer_norm, twi_ref_group_norm, twi_ref_lrn,
    twi_ref_l2_normalise, twi_ref_softmax;
twi_ref_fn twi_ref_pad, twi_ref_resize, twi_ref_roll, twi_ref_depth_to_space,
    twi_ref_space_to_depth, twi_ref_channel_shuffle;
twi_ref_fn twi_ref_tokens, twi_ref_map, twi_ref_prepend_token, twi_ref_take_token,
    twi_ref_window_partition, twi_ref_window_reverse;
twi_ref_fn twi_ref_matmul, twi_ref_attention;

/* The function that node is, and its value: activations and other functions of one value. f of
 * TWI_OP_INPUT is x itself. */
twi_activation twi_function_of(const twi_node *node);
double twi_activate(const twi_activation *f, double x);

/* The input rows (or columns) that an output row at of a resized map is made of: first + (second -
 * first) weight. */
typedef struct twi_tap {
    size_t first, second;
    float weight;
} twi_tap;
/* The row of an input of size rows that padding by reflection or the edge puts at row `at`. */
size_t twi_padded_row(twi_pad_mode mode, size_t at, size_t begin, size_t size);
twi_tap twi_resize_tap(const twi_node *node, int axis, size_t at, size_t in, size_t out);

/* The sizes of an attention whose inputs have the shapes in [3]. */
typedef struct twi_attention_sizes {
    size_t windows, queries, keys; /* queries and keys of one window */
    size_t heads, key_heads;
    size_t depth, width; /* of one head: of queries and keys; of values */
} twi_attention_sizes;
twi_attention_sizes twi_attention_sizes_of(const twi_node *node, const twi_shape *in);

tw_status twi_onednn_conv(twi_build *b);
/* A convolution by our own kernels: true, and *st what came of it, where they are faster than
 * oneDNN's. */
bool twi_winograd_conv(twi_build *b, tw_status *st);
tw_status twi_onednn_activation(twi_build *b);
tw_status twi_onednn_max_pool(twi_build *b);
tw_status twi_onednn_avg_pool(twi_build *b);
tw_status twi_onednn_global_pool(twi_build *b);
tw_status twi_onednn_dense(twi_build *b);
tw_status twi_onednn_add(twi_build *b);
tw_status twi_onednn_concat(twi_build *b);
tw_status twi_onednn_flatten(twi_build *b);
tw_status twi_onednn_reduce(twi_build *b);
tw_status twi_onednn_reduce_any(twi_build *b); /* along whichever axes */
tw_status twi_onednn_arithmetic(twi_build *b);
tw_status twi_onednn_with_constant(twi_build *b); /* prelu as well */
tw_status twi_onednn_layer_norm(twi_build *b);    /* l2_normalise as well */
tw_status twi_onednn_softmax(twi_build *b);
tw_status twi_onednn_attention(twi_build *b);
tw_status twi_onednn_slice(twi_build *b);
tw_status twi_onednn_transpose(twi_build *b);
tw_status twi_onednn_reshape(twi_build *b);
tw_status twi_onednn_tokens(twi_build *b); /* map as well */
tw_status twi_onednn_depth_to_space(twi_build *b);
tw_status twi_onednn_space_to_depth(twi_build *b);
tw_status twi_onednn_channel_shuffle(twi_build *b);
tw_status twi_onednn_roll(twi_build *b);
tw_status twi_onednn_pad(twi_build *b);
tw_status twi_onednn_resample(twi_build *b); /* resize, and pads of what lies inside */
tw_status twi_onednn_prepend_token(twi_build *b);
tw_status twi_onednn_concat_tokens(twi_build *b); /* along the tokens */
tw_status twi_onednn_take_token(twi_build *b);
tw_status twi_onednn_lrn(twi_build *b);
tw_status twi_onednn_matmul(twi_build *b);
tw_status twi_onednn_group_norm(twi_build *b);
tw_status twi_onednn_window_partition(twi_build *b);
tw_status twi_onednn_window_reverse(twi_build *b);

#endif
