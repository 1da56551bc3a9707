/* primitive.h - what the engine asks of oneDNN, without its types: memory layouts and compiled
 * operations. Implemented in onednn/, the only folder that sees the library's header; what oneDNN
 * 3.x does differently from 2.6 is all in onednn/v2.c.
 *
 * Layouts and primitives are immutable and belong to the device that made them. */
#ifndef TWI_ENGINE_PRIMITIVE_H
#define TWI_ENGINE_PRIMITIVE_H

#include "network/network.h"

typedef struct twi_device twi_device;       /* an engine, and what was made with it */
typedef struct twi_layout twi_layout;       /* dims, data type and order in memory */
typedef struct twi_primitive twi_primitive; /* one compiled operation */
typedef struct twi_bound twi_bound;         /* a primitive with its memory: one thread's */

typedef enum twi_order {                   /* of dims in memory, slowest first */
                         TWI_ORDER_PLAIN,  /* as written: [n, c, h, w], [n, d], [out, in, h, w] */
                         TWI_ORDER_NHWC,   /* of logical [n, c, h, w] */
                         TWI_ORDER_BLOCK16 /* [n, c / 16, h, w, 16], c rounded up and the rest zero
                                            */
} twi_order;

tw_status twi_device_new(tw_ctx *ctx, twi_device **out);
void twi_device_free(twi_device *device); /* frees its layouts and primitives; NULL is fine */

tw_status twi_layout_new(tw_ctx *ctx, twi_device *device, size_t rank, const size_t *dims,
                         twi_dtype dtype, twi_order order, const twi_layout **out);
/* A copy that belongs to nobody; release with twi_free(). */
tw_status twi_layout_copy(tw_ctx *ctx, const twi_layout *layout, twi_layout **out);
size_t twi_layout_bytes(const twi_layout *layout);
size_t twi_layout_rank(const twi_layout *layout);
twi_dtype twi_layout_dtype(const twi_layout *layout);
bool twi_layout_equal(const twi_layout *a, const twi_layout *b);
/* The same dims in the same order, of another data type. */
tw_status twi_layout_retyped(tw_ctx *ctx, twi_device *device, const twi_layout *layout,
                             twi_dtype dtype, const twi_layout **out);

/* A layer in 8 bits: integers times their scales are its values. */
typedef struct twi_spec8 {
    twi_dtype src, dst;                    /* U8 or I8; dst also floating point */
    twi_dtype sum;                         /* of what is added into: as large as dst */
    float src_scale, dst_scale, sum_scale; /* floating point: 1 */
    const float *weight_scales;            /* [channels out] */
} twi_spec8;

/* What conv, dense, pool and eltwise operations have in common. */
typedef struct twi_spec {
    const char *name; /* of the layer, for messages */
    size_t batch;
    const twi_shape *in, *out; /* of one picture */
    const twi_window *window;  /* conv, pool */
    size_t groups;             /* conv */
    twi_dtype dtype;           /* of activations and weights */
    const twi_spec8 *eight; /* conv, dense: instead of dtype; the bias is in units of the sums, that
                               is divided by the scales of source and weights. NULL: none */
    bool bias, sum;         /* conv, dense: dst = after(op + bias? + dst?) */
    twi_activation after;   /* one that twi_activation_of() gives, or none */
    const twi_layout *src, *dst; /* conv: NULL lets oneDNN choose */
} twi_spec;

/* Each primitive's memory is, in this order: sources, weights, bias (when the spec has one),
 * destination, scratch. The library chooses layouts where nothing was asked for;
 * twi_primitive_layout() tells which. */
tw_status twi_primitive_conv(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                             const twi_primitive **out);
/* src [n, in] plain of dtype, dst [n, out] as spec->dst says; n: the batch, times the tokens. */
tw_status twi_primitive_dense(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                              const twi_primitive **out);
/* max, or average with or without the padding counted; the padding at the end is what spec->out
 * needs. */
tw_status twi_primitive_pool(tw_ctx *ctx, twi_device *device, const twi_spec *spec, twi_op op,
                             const twi_primitive **out);
/* True when oneDNN has f, which twi_function_of() gave. */
bool twi_primitive_has(twi_op f);
/* dst = f(src), both of one layout, which may be one memory. */
tw_status twi_primitive_eltwise(tw_ctx *ctx, twi_device *device, const twi_layout *layout,
                                const twi_activation *f, const twi_primitive **out);
/* Across channels; dst has src's layout. */
tw_status twi_primitive_lrn(tw_ctx *ctx, twi_device *device, const twi_layout *layout,
                            const twi_node *node, const twi_primitive **out);
/* dst [n, m, columns] = node->scale * a [n, m, k] * b [n, k, columns], plain float32; a and b as
 * node->transpose_a and transpose_b say. sizes: n, m, k, columns. */
tw_status twi_primitive_matmul(tw_ctx *ctx, twi_device *device, const twi_node *node,
                               const size_t sizes[4], const twi_primitive **out);
/* dst = after(a + b), all of one layout; after NULL: none. */
tw_status twi_primitive_add(tw_ctx *ctx, twi_device *device, const twi_layout *layout,
                            const twi_activation *after, const twi_primitive **out);
/* Along axis, of the layouts. */
tw_status twi_primitive_concat(tw_ctx *ctx, twi_device *device, size_t n, size_t axis,
                               const twi_layout *const *srcs, const twi_layout *dst,
                               const twi_primitive **out);
/* dst = scale * src, rounded and held to what dst's type can say. */
tw_status twi_primitive_rescale(tw_ctx *ctx, twi_device *device, const twi_layout *src,
                                const twi_layout *dst, double scale, const twi_primitive **out);
tw_status twi_primitive_reorder(tw_ctx *ctx, twi_device *device, const twi_layout *src,
                                const twi_layout *dst, const twi_primitive **out);

/* What oneDNN will use here (its environment variables count), for choosing kernels of our own. */
typedef enum twi_isa {
    TWI_ISA_OTHER,
    TWI_ISA_AVX2,
    TWI_ISA_AVX512,
    TWI_ISA_AVX512_BF16,
    TWI_ISA_AMX
} twi_isa;
twi_isa twi_device_isa(void);

typedef enum twi_role { TWI_ROLE_SRC, TWI_ROLE_WEIGHTS, TWI_ROLE_DST } twi_role;
const twi_layout *twi_primitive_layout(const twi_primitive *primitive, twi_role role);
size_t twi_primitive_scratch_bytes(const twi_primitive *primitive);
size_t twi_primitive_arg_count(const twi_primitive *primitive); /* scratch included */

/* memory [twi_primitive_arg_count]; what it points to must outlive the bound primitive. */
tw_status twi_bound_new(tw_ctx *ctx, twi_device *device, const twi_primitive *primitive,
                        void *const *memory, twi_bound **out);
void twi_bound_free(twi_bound *bound); /* NULL is fine */
tw_status twi_bound_move(tw_ctx *ctx, twi_bound *bound, size_t arg, void *memory);
tw_status twi_bound_run(tw_ctx *ctx, twi_bound *bound);

#endif
