/* view.h - which elements of an earlier node a value's elements are.
 *
 * Between two operators that compute, exporters write chains of reshapes, transposes and slices.
 * What such a chain comes to is a view: element number i of the value, i being written in digits
 * over count [n], is element first + sum of digit * stride of its base. Two exporters' chains that
 * do the same give the same view. */
#ifndef TWI_IMPORTER_ONNX_VIEW_H
#define TWI_IMPORTER_ONNX_VIEW_H

#include "importer/onnx/graph.h"

#define TWI_VIEW_AXES     16
#define TWI_VIEW_FARTHEST 64 /* moves that a view goes back; it may end anywhere */

typedef struct twi_view {
    uint32_t base; /* the first node backwards that does more than move */
    size_t first, n;
    size_t count[TWI_VIEW_AXES], stride[TWI_VIEW_AXES]; /* [n], the last axis fastest */
} twi_view;

/* All elements of node in their order, and the same over what its base was made of. false: the base
 * is no move. scale as below. */
void twi_view_start(const twi_onnx_graph *g, uint32_t node, twi_view *out);
bool twi_view_back(const twi_onnx_graph *g, double *scale, twi_view *view);

/* The view that the elements of node are, listed in its own order. scale: gathers the one numbers
 * by which they are multiplied on the way; NULL: a view ends there. */
void twi_view_of(const twi_onnx_graph *g, uint32_t node, double *scale, twi_view *out);

/* view as a list of axes count [n] and no others: their strides [n] (0 along an axis of 1).
 * false: it cannot be written so. */
bool twi_view_split(const twi_view *view, size_t n, const size_t *count, size_t *stride);

/* Where the elements of the node `id`, listed as count [n], find their partner in the value that it
 * adds or multiplies by: strides [n] in that value's elements. false: in no such way. */
bool twi_view_of_constant(const twi_onnx_graph *g, uint32_t id, size_t n, const size_t *count,
                          size_t *stride);

#endif
