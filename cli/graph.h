/* graph.h - a backbone's graph for people: as lines, and for Graphviz. */
#ifndef CLI_GRAPH_H
#define CLI_GRAPH_H

#include "session.h"

/* One line a node: number, operator, shape, weights, inputs, name. */
tw_status graph_lines(tw_ctx *ctx, const tw_backbone *backbone);
/* The language of Graphviz's dot. */
tw_status graph_dot(tw_ctx *ctx, const tw_backbone *backbone);

#endif
