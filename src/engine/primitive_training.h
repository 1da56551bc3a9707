/* primitive_training.h - what training asks of oneDNN beside primitive.h. Each primitive's memory
 * is in the order its comment says, and its scratch last. A backward primitive is made beside its
 * forward one. */
#ifndef TWI_ENGINE_PRIMITIVE_TRAINING_H
#define TWI_ENGINE_PRIMITIVE_TRAINING_H

#include "engine/primitive.h"

/* The layout of argument i. */
const twi_layout *twi_primitive_argument(const twi_primitive *primitive, size_t i);

typedef enum twi_pass {
    TWI_PASS_FORWARD, /* src, weights, bias?, dst */
    TWI_PASS_DATA,    /* gradient of dst, weights, gradient of src */
    TWI_PASS_WEIGHTS  /* src, gradient of dst, gradient of weights, that of bias?; float32 */
} twi_pass;

/* spec's src and dst may be NULL: oneDNN chooses; its after is the forward pass's. forward: NULL
 * for that one. */
tw_status twi_training_primitive_conv(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                                      twi_pass pass, const twi_primitive *forward,
                                      const twi_primitive **out);
/* src [n, in], dst [n, out], plain. */
tw_status twi_training_primitive_dense(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                                       twi_pass pass, const twi_primitive *forward,
                                       const twi_primitive **out);
/* Forward: src, dst, and for a maximum where it was; backward (forward not NULL): gradient of dst,
 * of a maximum where it was, gradient of src. */
tw_status twi_training_primitive_pool(tw_ctx *ctx, twi_device *device, const twi_spec *spec,
                                      twi_op op, const twi_primitive *forward,
                                      const twi_primitive **out);

typedef struct twi_norm_spec {
    const char *name;
    const twi_layout *layout; /* of src and dst */
    size_t channels;
    double epsilon;
    bool own;  /* mean and variance of the batch: written, not read, forward */
    bool relu; /* behind it, in one */
} twi_norm_spec;

/* Forward: src, mean, variance, scale, shift, dst, and with relu what passed. Backward: src, mean,
 * variance, gradient of dst, scale, shift, with relu what passed, gradient of src, of scale, of
 * shift. (2.6 refuses to run without the shift, though it does not use it.) */
tw_status twi_training_primitive_norm(tw_ctx *ctx, twi_device *device, const twi_norm_spec *spec,
                                      const twi_primitive *forward, const twi_primitive **out);

/* True when oneDNN has f and its gradient in one function. *by_dst: the gradient is worked out
 * from f(x) rather than from x. */
bool twi_training_has(const twi_activation *f, bool *by_dst);
/* Forward: src, dst. Backward: src or dst (by_dst), gradient of dst, gradient of src. */
tw_status twi_training_primitive_eltwise(tw_ctx *ctx, twi_device *device, const twi_layout *layout,
                                         const twi_activation *f, const twi_primitive *forward,
                                         const twi_primitive **out);

/* The copy of a part of src: dst's channels, from channel from on. */
tw_status twi_training_primitive_part(tw_ctx *ctx, twi_device *device, const twi_layout *src,
                                      size_t from, const twi_layout *dst,
                                      const twi_primitive **out);

#endif
