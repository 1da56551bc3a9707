/* rules.h - what the rows of the operator table refer to: checks of a node by itself and of the
 * shapes that come in. For operators.c and the rules_*.c files, one for each kind of operator. */
#ifndef TWI_NETWORK_RULES_H
#define TWI_NETWORK_RULES_H

#include "network/operators.h"

typedef tw_status twi_check_fn(tw_ctx *ctx, const twi_node *node);
typedef tw_status twi_shape_fn(tw_ctx *ctx, const twi_node *node, const twi_shape *in,
                               twi_shape *out);

#define TWI_SHAPE_TEXT 96 /* bytes that hold any shape in words */

/* "[3, 224, 224]" into text [TWI_SHAPE_TEXT], which is returned. */
const char *twi_shape_text(const twi_shape *shape, char *text);

/* A vector parameter, when given, has one value for each of channels. */
tw_status twi_check_vector(tw_ctx *ctx, const twi_node *node, int param, size_t channels);
/* As many channels come in as the parameters need. */
tw_status twi_check_channels(tw_ctx *ctx, const twi_node *node, size_t found, size_t needed);
tw_status twi_check_range(tw_ctx *ctx, const twi_node *node, const char *what, size_t value,
                          size_t least, size_t most);
tw_status twi_check_finite(tw_ctx *ctx, const twi_node *node, const char *what, double value);
/* "layer NAME: SHAPE comes in; need NEED". */
tw_status twi_fail_shape(tw_ctx *ctx, const twi_node *node, const twi_shape *in, const char *need);
tw_status twi_fail_shapes(tw_ctx *ctx, const twi_node *node, const char *need, const twi_shape *a,
                          const twi_shape *b);

/* rules_window.c: convolution, pools, padding, resizing */
twi_check_fn twi_check_conv, twi_check_pool, twi_check_pad, twi_check_resize;
twi_shape_fn twi_shape_conv, twi_shape_pool, twi_shape_global_pool, twi_shape_pad, twi_shape_resize;

/* rules_pointwise.c: activations, arithmetic, norms, dense */
twi_check_fn twi_check_activation, twi_check_constant, twi_check_batch_norm, twi_check_lrn;
twi_check_fn twi_check_norm, twi_check_dense;
twi_shape_fn twi_shape_same, twi_shape_prelu, twi_shape_add, twi_shape_broadcast_of;
twi_shape_fn twi_shape_with_constant, twi_shape_constant, twi_shape_batch_norm, twi_shape_norm;
twi_shape_fn twi_shape_group_norm, twi_shape_dense;
size_t twi_rank_broadcast(const twi_node *node, const size_t *in_ranks);
size_t twi_rank_constant(const twi_node *node, const size_t *in_ranks);

/* rules_move.c: what only moves values */
twi_check_fn twi_check_block, twi_check_groups, twi_check_slice, twi_check_transpose;
twi_check_fn twi_check_reduce, twi_check_target, twi_check_size, twi_check_windows;
twi_check_fn twi_check_concat;
twi_shape_fn twi_shape_concat, twi_shape_flatten, twi_shape_depth_to_space;
twi_shape_fn twi_shape_space_to_depth, twi_shape_shuffle, twi_shape_slice, twi_shape_transpose;
twi_shape_fn twi_shape_reshape, twi_shape_reduce, twi_shape_tokens, twi_shape_map;
twi_shape_fn twi_shape_prepend, twi_shape_take, twi_shape_partition, twi_shape_reverse;
size_t twi_rank_target(const twi_node *node, const size_t *in_ranks);

/* rules_attention.c */
twi_check_fn twi_check_matmul, twi_check_attention;
twi_shape_fn twi_shape_matmul, twi_shape_attention;

#endif
