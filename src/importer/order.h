/* order.h - which layer is which group of a Keras 3 file.
 *
 * Keras 3's files name groups by a layer's class and how many of that class come before it in
 * model.layers: "conv2d", "conv2d_1", ... (keras/src/saving/saving_lib.py). model.layers is ordered
 * by depth: how many layers follow up to the output on the longest way, most first; layers of one
 * depth in the order in which a walk from the output, inputs first to last, meets them
 * (keras/src/ops/function.py, map_graph). So an architecture is built once as a plan, from which
 * the groups' layers follow. */
#ifndef TWI_IMPORTER_ORDER_H
#define TWI_IMPORTER_ORDER_H

#include "importer/importer.h"

typedef struct twi_plan twi_plan;

tw_status twi_plan_new(tw_ctx *ctx, twi_plan **out);
void twi_plan_free(twi_plan *plan); /* NULL is fine */

/* A layer over the values inputs [n], which are earlier ones; 0 is the picture. kind: its class as
 * groups are named, static; NULL: without weights. */
tw_status twi_plan_add(tw_ctx *ctx, twi_plan *plan, const char *kind, const char *name, size_t n,
                       const uint32_t *inputs, uint32_t *id);
/* What is added until then is inside a Sequential, which counts its layers by itself. */
void twi_plan_enter(twi_plan *plan);
void twi_plan_leave(twi_plan *plan);
/* Puts the layers, of which output is the last, in order, and works out their groups. */
tw_status twi_plan_sort(tw_ctx *ctx, twi_plan *plan, uint32_t output);

/* The answer to twi_builder_has(): whether the file has layers called by that prefix, or else, for
 * a classifier, what twi_keras_name_layers() is trying. */
bool twi_plan_has(const twi_plan *plan, const twi_tensors *all, const char *prefix);

/* Gives the weights of a numbered file their layers' names, as arch has them. Those that it has no
 * layer for keep theirs, for the builder to refuse. */
tw_status twi_keras_name_layers(tw_ctx *ctx, const twi_architecture *arch, twi_weights *weights);

#endif
