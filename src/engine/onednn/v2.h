/* v2.h - shared by the files of this folder that are written for oneDNN 2.x's C API. */
#ifndef TWI_ENGINE_ONEDNN_V2_H
#define TWI_ENGINE_ONEDNN_V2_H

#include "engine/primitive.h"

#include <oneapi/dnnl/dnnl.h>

#if DNNL_VERSION_MAJOR != 2
#error                                                                                             \
    "onednn/v2*.c are for oneDNN 2.x: 3.x made memory descriptors opaque and dropped operation descriptors"
#endif

struct twi_layout {
    dnnl_memory_desc_t desc;
};

#define TWI_PRIMITIVE_ARGS 5 /* beyond the sources */

struct twi_primitive {
    dnnl_primitive_t handle;
    size_t n_args;
    int *args;                  /* [n_args] DNNL_ARG_... */
    const twi_layout **layouts; /* [n_args] */
    twi_layout *src, *weights, *dst;
    size_t scratch_bytes;
    twi_primitive *next; /* of the device's list */
};

struct twi_device {
    dnnl_engine_t engine;
    twi_primitive *primitives;
    twi_arena memory;
};

/* TW_OK, or the failure in words: what was being done. */
tw_status twi_dnnl_check(tw_ctx *ctx, dnnl_status_t status, const char *what, const char *name);

/* What twi_dnnl_compile() needs to know beside the operation's descriptor. */
typedef struct twi_recipe {
    const char *name;
    size_t n_src;
    bool many; /* sources are numbered DNNL_ARG_MULTIPLE_SRC */
    bool weights, bias;
    bool sum;               /* after the operation: dst += old dst, */
    twi_activation after;   /* then this */
    double scale;           /* ... of what the operation gives, before them; 0: 1 */
    const twi_spec8 *eight; /* conv: or NULL */
    size_t channels;        /* ... weight_scales are of */
} twi_recipe;

/* The operation that desc describes, as a primitive of device. */
tw_status twi_dnnl_compile(tw_ctx *ctx, twi_device *device, const twi_recipe *recipe,
                           const_dnnl_op_desc_t desc, const twi_primitive **out);
dnnl_data_type_t twi_dnnl_type(twi_dtype dtype);
/* v2_eltwise.c: scale * f behind what ops already has. */
dnnl_status_t twi_dnnl_append(dnnl_post_ops_t ops, const twi_activation *f, float scale);
/* v2_eight.c: scales and what comes after an 8-bit operation. */
dnnl_status_t twi_dnnl_eight(tw_ctx *ctx, dnnl_primitive_attr_t attr, dnnl_post_ops_t ops,
                             const twi_recipe *r);

#endif
