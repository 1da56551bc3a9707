/* keras.h - Keras's names and layouts of weights, turned into PyTorch's. */
#ifndef TWI_IMPORTER_KERAS_H
#define TWI_IMPORTER_KERAS_H

#include "base/memory.h"

/* What weight (such as "block1_conv1/kernel:0" or "block1_conv1_W_1:0") is of layer: static
 * "weight", "bias", "pointwise.weight", "running_mean" or "running_var"; NULL for anything else. */
const char *twi_keras_part(const char *layer, const char *weight);

/* A Normalization layer's count of samples, which nothing needs. */
bool twi_keras_is_count(const char *weight);

/* True when weights [n] of one group are those of several layers: a Sequential inside a model. */
bool twi_keras_is_nested(const char *const *weights, size_t n);

/* The layer "b" of "a/b/kernel:0" into owner [room]. false: there is none that fits. */
bool twi_keras_owner(const char *weight, char *owner, size_t room);

/* What array number i of n is of a layer in Keras 3's files, whose group is called group
 * ("conv2d_3", "sequential/conv2d"): as twi_keras_part() says it, or "count", or NULL. */
const char *twi_keras_numbered_part(const char *group, size_t i, size_t n);

/* The dimensions that dims [rank] have after twi_keras_reorder(). Ranks 1, 2 and 4 only; false
 * otherwise. */
bool twi_keras_dims(size_t rank, const size_t *dims, size_t *out);

/* src [dims] -> dst: convolution [height, width, in, out] to [out, in, height, width], dense [in,
 * out] to [out, in], vectors as they are. */
void twi_keras_reorder(const float *src, size_t rank, const size_t *dims, float *dst);

#endif
