/* winograd.h - what inference and training ask before a convolution runs on our own kernels. */
#ifndef TWI_ENGINE_ONEDNN_WINOGRAD_H
#define TWI_ENGINE_ONEDNN_WINOGRAD_H

#include "engine/kernels/winograd.h"
#include "engine/primitive.h"

/* What this machine multiplies matrices of dtype with; NULL: nothing that would be worth it. */
const twi_wino_kernels *twi_winograd_kernels(twi_dtype dtype);
/* True when node is a 3 x 3 convolution with stride 1 of enough channels, 16 of them together. */
bool twi_winograd_fits(const twi_node *node, const twi_shape *in, const twi_shape *out);
/* Of one picture. */
size_t twi_winograd_tiles(const twi_shape *out);
/* Of maps in order NHWC or BLOCK16. */
twi_wino_strides twi_winograd_strides(const twi_shape *shape, twi_order order);

#endif
