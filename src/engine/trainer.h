/* trainer.h - a network with its gradients: forward and backward passes, and the parameters that
 * change between them.
 *
 * A trainer is compiled once for a batch shape. It keeps its own float32 copy of every parameter of
 * the network, in the network's own order, and a gradient beside each that is trained. It belongs
 * to one thread at a time. */
#ifndef TWI_ENGINE_TRAINER_H
#define TWI_ENGINE_TRAINER_H

#include "engine/engine.h"

typedef struct twi_trainer twi_trainer;

typedef struct twi_trainer_opts {
    tw_precision precision; /* F32 or BF16: of activations and their gradients */
    size_t batch, height, width;
    size_t threads;        /* >= 1 */
    bool reference;        /* plain C (f32 only) instead of oneDNN */
    bool batch_statistics; /* the life of trained batch norms: the batch's own mean and variance,
                              kept as running ones for later; false: the stored ones, frozen */
    double momentum;       /* of running statistics: running = (1 - momentum) running + momentum
                              batch (PyTorch's 0.1) */
    bool checkpointing;    /* most activations are not kept but computed once more when the backward
                              pass needs them: less memory, more time, the same bits in f32 */
    const bool *trained;   /* [network->n]: whether a node's parameters are trained; NULL: all */
} twi_trainer_opts;

typedef struct twi_parameter {
    const char *name; /* of the tensor; owned by the trainer */
    uint32_t node;    /* of the network the trainer was made of */
    unsigned param;   /* TWI_PARAM_... */
    twi_op op;        /* of that node */
    size_t rank, dims[TWI_TENSOR_DIMS], count;
    float *value;    /* [count]; written between passes by whoever trains */
    float *gradient; /* [count] of the last backward pass; NULL: not trained */
} twi_parameter;

/* Compiles network (of twi_network_for_inference() with fuse false: the last node is the output),
 * which may be freed afterwards. Operators that have no backward pass and would need one are all
 * named at once (TW_ERR_UNSUPPORTED), and so is a tensor that two trained nodes share. */
tw_status twi_trainer_new(tw_ctx *ctx, const twi_network *network, const twi_trainer_opts *opts,
                          twi_trainer **out);
void twi_trainer_free(twi_trainer *trainer); /* NULL is fine */

size_t twi_trainer_output_count(const twi_trainer *trainer); /* d of one picture */
size_t twi_trainer_parameter_count(const twi_trainer *trainer);
/* Parameter i, in the order of nodes; borrowed. */
const twi_parameter *twi_trainer_parameter(const twi_trainer *trainer, size_t i);
/* Bytes of activations, their gradients and scratch. */
size_t twi_trainer_bytes(const twi_trainer *trainer);

/* images [batch, height, width, channels] float32 -> out [batch, d]. With batch statistics the
 * running ones move. */
tw_status twi_trainer_forward(tw_ctx *ctx, twi_trainer *trainer, const float *images, float *out);

/* After a forward pass, once: gradient [batch, d] of a loss by its output -> the gradient of every
 * trained parameter, replacing what was there. */
tw_status twi_trainer_backward(tw_ctx *ctx, twi_trainer *trainer, const float *gradient);

/* Backward passes end at node first of the network: what lies before it is not trained from now on,
 * and its gradients stay as they are. 0: all that the trainer was made for. */
void twi_trainer_train_from(twi_trainer *trainer, uint32_t first);

#endif
