/* engine.h - executes a network made by twi_network_for_inference().
 *
 * A program is compiled once for a batch shape and a precision and is immutable: any number of
 * threads may run it, each with a workspace of its own. */
#ifndef TWI_ENGINE_ENGINE_H
#define TWI_ENGINE_ENGINE_H

#include "network/network.h"

typedef struct twi_program twi_program;
typedef struct twi_workspace twi_workspace; /* activations and scratch of one thread */

typedef struct twi_engine_opts {
    tw_precision precision; /* AUTO is TW_ERR_ARG here. INT8: layers whose values were observed
                               compute in 8 bits, the others in the fastest floating point */
    size_t batch, height, width;
    size_t threads; /* the engine's share of the budget, >= 1 */
    bool reference; /* the plain C reference (f32 only) instead of oneDNN */
    bool brief; /* soon compiled rather than soon run: nothing is packed into Winograd form. For a
                   handful of pictures; results agree with the other form within rounding */
    bool watch; /* f32: a workspace keeps what values occurred, for twi_workspace_observed() */
} twi_engine_opts;

/* Compiles network, which may be freed afterwards. share (may be NULL): a program of the same
 * network and precision, at another batch or size, whose prepacked weights are used again where the
 * layout agrees; share may be freed first. */
tw_status twi_program_new(tw_ctx *ctx, const twi_network *network, const twi_engine_opts *opts,
                          const twi_program *share, twi_program **out);
void twi_program_free(twi_program *program);
size_t twi_program_output_count(const twi_program *program); /* d of one picture */

tw_status twi_workspace_new(tw_ctx *ctx, const twi_program *program, twi_workspace **out);
void twi_workspace_free(twi_workspace *workspace);

/* After runs of a program made with opts.watch: for each node of its network, the range to quantise
 * its value with: observed [network->n] of least, greatest, both 0 for those not seen. The range
 * whose 8-bit steps make the least squared error on what occurred, which may leave out the rarest
 * large values. Adds to nothing: ask once, at the end. */
tw_status twi_workspace_observed(tw_ctx *ctx, const twi_workspace *workspace,
                                 double (*observed)[2]);

/* images [n, height, width, channels] float32 -> out [n, d], 1 <= n <= batch; a short batch is
 * padded inside. The rows do not depend on what else is in the batch. */
tw_status twi_program_run(tw_ctx *ctx, const twi_program *program, twi_workspace *workspace,
                          const float *images, size_t n, float *out);

/* True when this machine computes precision natively (bf16: AVX512-BF16 or AMX; int8: AVX512-VNNI).
 */
bool twi_precision_native(tw_precision precision);
const char *twi_precision_name(tw_precision precision); /* "f32", "bf16", "auto" */
/* The instruction set the engine runs with ("avx512_core_bf16"), static. */
const char *twi_engine_isa(void);
/* The engine library's own version, static. */
const char *twi_engine_version(void);
/* A batch size that is fast here without wasting memory for this input size. */
size_t twi_engine_default_batch(const twi_network *network, size_t height, size_t width);

#endif
