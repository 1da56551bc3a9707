/* feature.h - which node's value is the features, and which the classes' scores. */
#ifndef TWI_IMPORTER_ONNX_FEATURE_H
#define TWI_IMPORTER_ONNX_FEATURE_H

#include "importer/onnx/graph.h"

/* name: what the user asked for; NULL: from the graph's outputs. */
tw_status twi_onnx_features(twi_onnx_graph *g, const char *name, uint32_t *feature,
                            uint32_t *logits);

/* A value by its name, or that of the node that makes it; what is like it goes into the message
 * when there is none. */
tw_status twi_onnx_named(twi_onnx_graph *g, const char *name, const char **value);

/* A network of what leads to feature and logits (TWI_NO_NODE: none), with parameters by name. */
tw_status twi_onnx_assemble(twi_onnx_graph *g, uint32_t feature, uint32_t logits,
                            twi_network **out);

#endif
