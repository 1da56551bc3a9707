/* nodes.h - what the builders of this folder share: a node's values, reorders where they are
 * needed, and steps that run a primitive. */
#ifndef TWI_ENGINE_ONEDNN_NODES_H
#define TWI_ENGINE_ONEDNN_NODES_H

#include "engine/kernels/lanes.h"
#include "engine/operators.h"

/* The kernels for what this machine has. */
const twi_lanes *twi_lanes_here(void);

/* The data type of feature maps in this program. */
twi_dtype twi_onednn_dtype(const twi_build *b);
const twi_node *twi_build_node(const twi_build *b);
/* The value of the node's i-th input, and its layout. */
uint32_t twi_input_value(const twi_build *b, size_t i);
const twi_layout *twi_value_layout(const twi_build *b, uint32_t value);

/* [batch, dims of node's value] of dtype in order; tokens are [batch * tokens, features]. */
tw_status twi_node_layout(twi_build *b, uint32_t node, twi_dtype dtype, twi_order order,
                          const twi_layout **out);

/* A step that runs primitive: out is a new value of its destination's layout, unless it is one
 * already
 * (*out not TWI_NO_VALUE: written in place). params may be NULL. */
tw_status twi_onednn_step(twi_build *b, const twi_primitive *primitive, size_t n_in,
                          const uint32_t *in, const twi_packed *const *params, uint32_t *out);

/* value in layout: itself, or a reordered copy. */
tw_status twi_onednn_as(twi_build *b, uint32_t value, const twi_layout *layout, uint32_t *out);

/* value, read as if its layout were from, in layout to: itself if these are equal. */
tw_status twi_onednn_from(twi_build *b, uint32_t value, const twi_layout *from,
                          const twi_layout *to, uint32_t *out);

/* value, whose bytes are those of layout as well, under that layout: the same value when nobody
 * else reads it, or a copy. */
tw_status twi_onednn_relabel(twi_build *b, uint32_t value, const twi_layout *layout, uint32_t *out);

/* A weight in the primitive's layout. plain: the layout the network has it in (in float32). */
tw_status twi_onednn_weight(twi_build *b, const twi_primitive *primitive, const twi_layout *plain,
                            const twi_packed **out);

/* For a primitive that adds into its destination: the fused sum's value in layout, free to be
 * written to. */
tw_status twi_onednn_sum(twi_build *b, const twi_layout *layout, uint32_t *out);

/* value = f(value), in place. */
tw_status twi_onednn_activate(twi_build *b, const twi_activation *f, uint32_t value);

/* True when the node may write over value: it is the last to read it, or made it on its way, and it
 * is not the caller's pictures. */
bool twi_onednn_last_use(const twi_build *b, uint32_t value);

/* Makes value the node's. */
void twi_onednn_done(twi_build *b, uint32_t value);

/* The node's weight as the network has it, but of dtype. */
tw_status twi_onednn_plain_weight(twi_build *b, twi_dtype dtype, const twi_layout **out);

/* ---- 8 bits: eight.c ----------------------------------------------------------------------- */

bool twi_onednn_is_eight(const twi_build *b, uint32_t value);
/* Calls build with floating-point copies for those of the node's inputs that have 8 bits. */
tw_status twi_onednn_without_eights(twi_build *b, tw_status (*build)(twi_build *b));
/* Where a layer's value and what is added to it are kept. */
typedef struct twi_eight_end {
    twi_dtype dst, sum;
    float dst_scale, sum_scale; /* 1 for floating point */
} twi_eight_end;
twi_eight_end twi_onednn_eight_end(const twi_build *b);
/* What the layer adds its result to, in dst's order, free to be written over. */
tw_status twi_onednn_eight_sum(twi_build *b, const twi_layout *dst, const twi_eight_end *end,
                               uint32_t *out);
/* The convolution in 8 bits; *done false: its input's range is not known, or oneDNN has no fast
 * way.
 */
tw_status twi_onednn_eight_conv(twi_build *b, bool *done);
/* The dense layer of tokens that spec describes, likewise. */
tw_status twi_onednn_eight_dense(twi_build *b, twi_spec *spec, bool *done);
/* True when the pool, or the join of maps, is best done in 8 bits. */
bool twi_onednn_eight_pool(const twi_build *b, twi_op op);
bool twi_onednn_eight_concat(const twi_build *b);
/* The node's inputs [n_inputs] in 8 bits, channels last. */
tw_status twi_onednn_eight_inputs(twi_build *b, uint32_t *in);
/* Makes value, integers times scale, the node's. */
void twi_onednn_eight_done(twi_build *b, uint32_t value, float scale);

/* The node in plain C, on plain float32 copies of its inputs. */
tw_status twi_onednn_plain_c(twi_build *b);

#endif
