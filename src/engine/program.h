/* program.h - the inside of a program: values, steps and how builders add them.
 *
 * A value is one tensor of activations for a whole batch. A step writes one value from others and
 * from packed weights. Nodes become steps once, in twi_program_new(); running a program is running
 * its steps in order. */
#ifndef TWI_ENGINE_PROGRAM_H
#define TWI_ENGINE_PROGRAM_H

#include "engine/engine.h"
#include "engine/primitive.h"

#include <stdatomic.h>

#define TWI_NO_VALUE UINT32_MAX

typedef struct twi_value {
    const twi_layout *layout; /* NULL in a reference program: [n, shape] float32 */
    size_t bytes;
    size_t first, last; /* steps between which it must stay in memory, both included */
    size_t offset;      /* in the workspace's arena */
    float scale;        /* of 8 bits: a value is this times the integer; 0: floating point */
    uint32_t eight;     /* the same in 8 bits, made for an earlier reader, or TWI_NO_VALUE */
    size_t readers;     /* nodes that have yet to read it; used while building */
} twi_value;

/* Weights in the order one kind of step wants them. Immutable once made and shared by programs. */
typedef struct twi_packed {
    atomic_size_t refs;
    uint32_t node;
    unsigned param;
    unsigned packing;   /* TWI_PACKING_... */
    twi_layout *layout; /* TWI_PACKING_LAYOUT: which */
    size_t bytes;
    void *data;
} twi_packed;

enum {
    TWI_PACKING_FLOATS,   /* as the network has them, float32 */
    TWI_PACKING_LAYOUT,   /* in .layout */
    TWI_PACKING_WINOGRAD, /* see kernels/winograd.h */
    TWI_PACKING_ROWS,     /* float32, channels last: of add_constant and the like */
    TWI_PACKING_SCALED    /* of an 8-bit layer: float32, in units of its sums */
};

/* One step in one workspace. */
typedef struct twi_step twi_step;
typedef struct twi_step_kind {
    /* Makes what the step needs for itself in workspace (may be NULL); *bound goes to run and
     * unbind. */
    tw_status (*bind)(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace, void **bound);
    void (*unbind)(void *bound);
    tw_status (*run)(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace, void *bound);
} twi_step_kind;

struct twi_step {
    const twi_step_kind *kind;
    const char *name; /* of the node it was made for */
    size_t n_in;
    const uint32_t *in; /* [n_in] values */
    uint32_t out;       /* value */
    uint32_t scratch;   /* value, or TWI_NO_VALUE */
    const twi_packed *params[TWI_PARAMS];
    const void *state; /* of its kind; in the program's memory */
};

struct twi_program {
    twi_engine_opts opts;
    size_t channels, output_count;
    uint32_t output;    /* value: [batch, output_count] float32 */
    twi_device *device; /* NULL: a reference program */
    twi_value *values;  /* 0: the pictures, NHWC */
    size_t n_values, values_capacity;
    twi_step *steps;
    size_t n_steps, steps_capacity;
    twi_packed **packed;
    size_t n_packed, packed_capacity;
    size_t arena_bytes;
    twi_arena memory;
};

struct twi_workspace {
    const twi_program *program;
    unsigned char *arena;
    void **at;     /* [n_values]; [0] changes from run to run */
    void **bound;  /* [n_steps] */
    void *staging; /* where a short batch is padded */
    const float *images;
};

/* How a node's value is kept in 8 bits. */
typedef struct twi_eight {
    twi_dtype dtype; /* U8, or I8 */
    float scale;     /* a value is this times the integer; 0: not known */
    bool wanted;     /* somebody reads it in 8 bits */
} twi_eight;

/* Works that out for every node of network from what was observed: eights [network->n]. */
tw_status twi_plan_eights(tw_ctx *ctx, const twi_network *network, const twi_shape *shapes,
                          twi_eight *eights);

/* A program being built. */
typedef struct twi_build {
    tw_ctx *ctx;
    const twi_network *network;
    const twi_shape *shapes;  /* [network->n] */
    const twi_program *share; /* may be NULL */
    twi_program *program;
    uint32_t *value_of;      /* [network->n] */
    const twi_eight *eights; /* [network->n]; NULL unless the precision is int8 */
    uint32_t node;           /* being built */
} twi_build;

/* A new value; layout NULL: bytes of anything. */
tw_status twi_build_value(twi_build *b, const twi_layout *layout, size_t bytes, uint32_t *id);
/* Appends a copy of step (in is copied too) and notes what it keeps alive. */
tw_status twi_build_step(twi_build *b, const twi_step *step);

typedef tw_status (*twi_fill_fn)(tw_ctx *ctx, const void *user, void *data);
/* The packed weights with key's node, param, packing and layout: found here or in the shared
 * program, or made: key->bytes filled by fill. */
tw_status twi_build_packed(twi_build *b, const twi_packed *key, twi_fill_fn fill, const void *user,
                           const twi_packed **out);
/* A parameter as float32 in the network's own order. */
tw_status twi_build_floats(twi_build *b, uint32_t node, unsigned param, const twi_packed **out);
void twi_packed_release(twi_packed *packed); /* NULL is fine */

/* elements of [batch, shape]; TW_ERR_NOMEM with the layer's name when it does not fit. */
tw_status twi_batch_elements(tw_ctx *ctx, const char *name, size_t batch, const twi_shape *shape,
                             size_t *out);

/* Appends a step that looks at node b->node's value; twi_workspace_observed() tells what it saw. */
tw_status twi_build_watch(twi_build *b);

/* Gives every value its place in one arena; values alive at the same step never overlap. */
tw_status twi_plan_arena(tw_ctx *ctx, twi_value *values, size_t n, size_t *arena_bytes);

/* ---- the two backends ---------------------------------------------------------------------- */

/* Appends what computes node b->node on plain [n, c, h, w] float32 values with plain C. in
 * [n_inputs, and the fused sum's value last]. */
tw_status twi_reference_build(twi_build *b, const uint32_t *in, uint32_t out);
tw_status twi_reference_node(twi_build *b); /* a node of a reference program */
tw_status twi_onednn_node(twi_build *b);    /* a node of a oneDNN program */
tw_status twi_onednn_output(twi_build *b); /* the last value, plain, becomes the program's output */

#endif
