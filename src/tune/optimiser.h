/* optimiser.h - AdamW and SGD with PyTorch's formulas, rates that change, and averages of weights.
 */
#ifndef TWI_TUNE_OPTIMISER_H
#define TWI_TUNE_OPTIMISER_H

#include "engine/trainer.h"

typedef enum twi_optimiser_kind { TWI_ADAMW, TWI_SGD } twi_optimiser_kind;

typedef struct twi_optimiser_opts {
    twi_optimiser_kind kind;
    double weight_decay;          /* not of biases and norms: of parameters of 2 or more axes */
    double beta1, beta2, epsilon; /* AdamW: 0.9, 0.999, 1e-8 */
    double momentum;              /* SGD: 0.9 */
    bool nesterov;                /* SGD */
    double layer_decay; /* rates fall by this from one of TWI_LAYER_GROUPS depths to the one before
                           it; 1: all the same */
    double average;     /* of weights: the share that stays, 0.999; 0: none is kept */
    size_t threads;
} twi_optimiser_opts;

/* Depths a network is divided into for layer_decay: nodes with parameters, in equal numbers. */
#define TWI_LAYER_GROUPS 12

typedef struct twi_optimiser twi_optimiser;

/* Of the trained parameters of trainer, which must outlive it. head: the first node whose rate is
 * not scaled down (the new classifier); TWI_NO_NODE: none. */
tw_status twi_optimiser_new(tw_ctx *ctx, const twi_trainer *trainer, const twi_optimiser_opts *opts,
                            uint32_t head, twi_optimiser **out);
void twi_optimiser_free(twi_optimiser *optimiser); /* NULL is fine */

/* One step down the gradients, at that rate. AdamW (Loshchilov & Hutter 2019, algorithm 2) and SGD
 * (Sutskever et al. 2013) as torch.optim has them in 1.13: decay p -= rate decay p before Adam's
 * step, and as part of the gradient in SGD's. Results do not depend on the number of threads. */
void twi_optimiser_step(twi_optimiser *optimiser, double rate);

/* Steps and averages leave parameters of nodes before first alone, from now on; 0: none. Moments of
 * those that it lets go begin now, at no step taken. */
void twi_optimiser_train_from(twi_optimiser *optimiser, uint32_t first);

/* As if newly made, for the parameters as they are. */
void twi_optimiser_restart(twi_optimiser *optimiser);

/* What the parameters are exchanged with: the average of their course, the share of which that
 * stays being min(average, (1 + step) / (10 + step)); running statistics are averaged too. Called
 * twice it changes nothing. Nothing happens without an average. */
void twi_optimiser_exchange(twi_optimiser *optimiser);

/* The whole state, for a checkpoint: floats [*count] that may be written over, and the steps
 * taken. */
float *twi_optimiser_state(twi_optimiser *optimiser, size_t *count);
uint64_t twi_optimiser_steps(const twi_optimiser *optimiser);
void twi_optimiser_resume(twi_optimiser *optimiser, uint64_t steps);

/* The rate at step (from 0) of steps: linear up to rate over the first warmup, then half a cosine
 * down to floor * rate (Loshchilov & Hutter 2017, SGDR, eq. 5, without restarts). */
typedef struct twi_schedule {
    double rate, floor;
    size_t warmup, steps;
} twi_schedule;
double twi_schedule_rate(const twi_schedule *schedule, size_t step);

#endif
