/* tape.h - the inside of a trainer: values, steps, and how builders add them.
 *
 * The steps of the forward pass come first, those of the backward pass behind them, and one plan
 * places all values in one arena: what the backward pass reads stays in memory until it has. */
#ifndef TWI_ENGINE_TRAINING_TAPE_H
#define TWI_ENGINE_TRAINING_TAPE_H

#include "engine/operators.h"
#include "engine/program.h"
#include "engine/primitive_training.h"
#include "engine/trainer.h"
#include "engine/training/backward.h"

typedef struct twi_tape_step twi_tape_step;
typedef tw_status (*twi_tape_fn)(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *trainer);

struct twi_tape_step {
    const char *name; /* of the node it was made for */
    uint32_t turn;    /* the node whose passes it belongs to */
    twi_tape_fn run;
    size_t n;
    const uint32_t *values;         /* [n] what it reads and writes, in the order run wants them;
                                       TWI_NO_VALUE: not there */
    const twi_primitive *primitive; /* of a oneDNN step */
    twi_bound *bound;
    const void *state; /* in the trainer's memory */
};

struct twi_trainer {
    twi_trainer_opts opts;
    twi_device *device; /* NULL: plain C */
    size_t channels, output_count;
    twi_value *values; /* layout NULL: plain float32, or bytes of anything */
    size_t n_values, values_capacity;
    void **at; /* [n_values] */
    size_t at_capacity;
    twi_tape_step *steps;
    size_t n_steps, steps_capacity, n_forward;
    size_t n_run;              /* where the backward pass ends; see twi_trainer_train_from() */
    uint32_t pictures, output; /* values; output: plain float32 */
    twi_parameter *parameters;
    size_t n_parameters;
    float *slab;            /* values, then gradients, of all parameters */
    float *output_gradient; /* [batch, output_count] */
    unsigned char *arena;
    size_t arena_bytes;
    bool ran; /* a forward pass that no backward pass has used */
    twi_arena memory;
};

/* What the forward pass of a node leaves for its backward pass. */
typedef struct twi_tape_record {
    uint32_t in, out;          /* values, in the layouts the primitive read and wrote */
    uint32_t work;             /* pool: which value won; norm with relu: which passed */
    uint32_t mean, variance;   /* batch norm: [channels] each */
    const twi_primitive *made; /* the forward primitive */
    const uint32_t *source;    /* moves: [elements of the output], see plain.c */
} twi_tape_record;

typedef struct twi_tape {
    tw_ctx *ctx;
    const twi_network *network;
    const twi_shape *shapes; /* [network->n] */
    twi_trainer *trainer;
    uint32_t *value_of;    /* [network->n] */
    uint32_t *gradient_of; /* [network->n]; TWI_NO_VALUE: nothing came back yet */
    uint32_t *rest_of;     /* [network->n] to be added to it, or TWI_NO_VALUE */
    bool *wants;           /* [network->n]: something before it is trained, or it is */
    bool *trained;         /* [network->n] */
    uint32_t *joined; /* [network->n]: the function that a node computes with itself, and the other
                         way round; or itself */
    twi_tape_record *records;          /* [network->n] */
    uint32_t (*params)[TWI_PARAMS];    /* [network->n] values, or TWI_NO_VALUE */
    uint32_t (*gradients)[TWI_PARAMS]; /* the same, where trained */
    uint32_t node;                     /* being built */
    uint32_t turn;                     /* the node it is built for */
    bool *ends; /* [network->n] a segment ends behind it, see segments.c; NULL: one for all */
    bool again; /* what is being built was built before */
} twi_tape;

/* An operator while training. */
typedef struct twi_training_operator {
    twi_ref_backward_fn *backward; /* plain C; NULL: none, unless it moves */
    bool moves;     /* each output is one of the inputs, or a constant: plain.c finds which */
    unsigned needs; /* TWI_NEEDS_...: what backward reads beside the gradient; TWI_IN_PARTS */
    /* oneDNN's; NULL: plain C, picture by picture */
    tw_status (*forward_build)(twi_tape *t);
    tw_status (*backward_build)(twi_tape *t);
} twi_training_operator;

enum {
    TWI_NEEDS_IN = 1,
    TWI_NEEDS_OUT = 2,
    TWI_IN_PARTS = 4 /* backward_build takes the gradient as it came back, perhaps in two parts */
};

const twi_training_operator *twi_training_operator_of(twi_op op);

const twi_node *twi_tape_node(const twi_tape *t);
twi_tape_record *twi_tape_record_of(const twi_tape *t);
/* The data type of maps, tokens and vectors that oneDNN computes with. */
twi_dtype twi_tape_dtype(const twi_tape *t);

/* A new value; layout NULL: bytes of anything. */
tw_status twi_tape_value(twi_tape *t, const twi_layout *layout, size_t bytes, uint32_t *id);
/* The same in memory that is not the arena's. */
tw_status twi_tape_fixed(twi_tape *t, const twi_layout *layout, void *at, uint32_t *id);
/* A value of count numbers that all are fill, and stay so. */
tw_status twi_tape_constants(twi_tape *t, size_t count, float fill, uint32_t *id);
const twi_layout *twi_tape_layout(const twi_tape *t, uint32_t value);

/* Appends a copy of step (values too) and notes what it keeps alive. */
tw_status twi_tape_append(twi_tape *t, const twi_tape_step *step);
/* A step that runs primitive; values in the order of its arguments, without the scratch. */
tw_status twi_tape_primitive(twi_tape *t, const twi_primitive *primitive, size_t n,
                             const uint32_t *values);

/* [batch, dims of node's value], tokens [batch * tokens, features], plain, of dtype; NULL in plain
 * C. */
tw_status twi_tape_plain(twi_tape *t, uint32_t node, twi_dtype dtype, const twi_layout **out);
/* value in layout: itself, or a reordered copy. */
tw_status twi_tape_as(twi_tape *t, uint32_t value, const twi_layout *layout, uint32_t *out);
/* value, plain float32 of node, in plain C. */
tw_status twi_tape_floats(twi_tape *t, uint32_t value, uint32_t node, uint32_t *out);
/* A copy of value's bytes under another layout, of the same size. */
tw_status twi_tape_recast(twi_tape *t, uint32_t value, const twi_layout *layout, uint32_t *out);
/* A plain float32 value of node. */
tw_status twi_tape_new_floats(twi_tape *t, uint32_t node, uint32_t *out);
/* values[n] primitive reads or writes in argument i: a new value of that argument's layout. */
tw_status twi_tape_argument(twi_tape *t, const twi_primitive *primitive, size_t i, uint32_t *out);

/* True when a function and what is before it are computed together, and the node is either. */
bool twi_tape_joined(const twi_tape *t);
/* ... and the node is what is before: the function; none elsewhere. */
twi_activation twi_tape_after(const twi_tape *t);
/* The node's value is value. */
void twi_tape_done(twi_tape *t, uint32_t value);
/* What came back to the node, once it is one value: twi_tape_collect() adds up its parts. */
uint32_t twi_tape_gradient(const twi_tape *t);
tw_status twi_tape_collect(twi_tape *t, uint32_t node);
/* True when the node's i-th input wants a gradient. */
bool twi_tape_wanted(const twi_tape *t, size_t i);
/* Adds value to the i-th input's gradient, at the latest when that is read. The value must not be
 * written to afterwards. */
tw_status twi_tape_give(twi_tape *t, size_t i, uint32_t value);

/* segments.c: sets ends [network->n] where one ends that is computed twice. */
tw_status twi_tape_segments(twi_tape *t, bool *ends);

/* plain.c: any operator, picture by picture, by its definition. */
tw_status twi_plain_forward(twi_tape *t);
tw_status twi_plain_backward(twi_tape *t);
/* plain_norm.c: batch norm, which looks at all pictures together. */
tw_status twi_plain_norm_forward(twi_tape *t);
tw_status twi_plain_norm_backward(twi_tape *t);
/* A step that moves the running statistics of the node towards those in mean, variance
 * [channels], of rows values each. */
tw_status twi_tape_keep_statistics(twi_tape *t, uint32_t mean, uint32_t variance);
/* True when the node normalises by its own batch. */
bool twi_tape_own_statistics(const twi_tape *t);

/* The builders of onednn/training*.c. */
tw_status twi_training_conv(twi_tape *t), twi_training_conv_back(twi_tape *t);
/* Convolutions that our own kernels compute faster. */
bool twi_training_winograd_fits(const twi_tape *t);
tw_status twi_training_winograd(twi_tape *t);
tw_status twi_training_winograd_data(twi_tape *t), twi_training_winograd_weights(twi_tape *t);
tw_status twi_training_dense(twi_tape *t), twi_training_dense_back(twi_tape *t);
tw_status twi_training_pool(twi_tape *t), twi_training_pool_back(twi_tape *t);
tw_status twi_training_global(twi_tape *t), twi_training_global_back(twi_tape *t);
tw_status twi_training_norm(twi_tape *t), twi_training_norm_back(twi_tape *t);
tw_status twi_training_activation(twi_tape *t), twi_training_activation_back(twi_tape *t);
tw_status twi_training_relu_back(twi_tape *t);
tw_status twi_training_add(twi_tape *t), twi_training_add_back(twi_tape *t);
tw_status twi_training_concat(twi_tape *t), twi_training_concat_back(twi_tape *t);

#endif
