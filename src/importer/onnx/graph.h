/* graph.h - an ONNX graph on its way to ours.
 *
 * The model is specialised to one picture: the batch axis is 1, whatever its name, and every shape
 * is known. A value of the graph is numbers that are known already (weights, arithmetic on shapes),
 * or a node of ours together with the shape that ONNX gives it. The two shapes differ: ours has no
 * batch and at most three axes. What holds is that both list the same elements in the same order,
 * so that reshaping, squeezing and flattening need no node; an operator asks for the shape it needs
 * (twi_onnx_shaped()), and only then is one made. */
#ifndef TWI_IMPORTER_ONNX_GRAPH_H
#define TWI_IMPORTER_ONNX_GRAPH_H

#include "importer/onnx/model.h"
#include "network/operators.h"

typedef enum twi_onnx_kind { TWI_ONNX_NONE, TWI_ONNX_CONST, TWI_ONNX_NODE } twi_onnx_kind;

typedef struct twi_onnx_value {
    twi_onnx_kind kind;
    size_t rank, dims[TWI_ONNX_DIMS]; /* as ONNX has them, the batch being 1 */
    twi_onnx_const data;              /* const: of the same rank and dims */
    uint32_t node;                    /* node: of graph->network */
} twi_onnx_value;

typedef struct twi_onnx_name {
    const char *name; /* NULL: free */
    twi_onnx_value value;
} twi_onnx_name;

typedef struct twi_onnx_graph {
    tw_ctx *ctx;
    twi_onnx_model *model;
    twi_network *network; /* all that was made, also what nothing will use */
    twi_shape *shapes;    /* [network->n] */
    size_t shape_capacity;
    twi_onnx_name *names;         /* [name_slots] open addressing */
    size_t name_slots, name_room; /* of which so many may be taken */
    const twi_onnx_node *at;      /* the node being lowered */
    size_t made;                  /* nodes made for it, for their names */
    size_t depth;                 /* branches being lowered within each other */
    size_t invented;              /* numbers that folding made beyond those it was given */
} twi_onnx_graph;

tw_status twi_onnx_graph_new(tw_ctx *ctx, twi_onnx_model *model, size_t channels, size_t height,
                             size_t width, twi_onnx_graph *out);
void twi_onnx_graph_free(twi_onnx_graph *graph);

uint64_t twi_onnx_hash(const void *text, size_t length);

/* The slot of name; its value's kind is NONE when it is new. */
tw_status twi_onnx_slot(twi_onnx_graph *g, const char *name, twi_onnx_value **out);

/* Room for the names of a branch. Moves the values that pointers were given to. */
tw_status twi_onnx_more_names(twi_onnx_graph *g, const twi_onnx_model *branch);

/* "<path>: node NAME (OP): " before what printf makes; TW_ERR_UNSUPPORTED. */
tw_status twi_onnx_fail(twi_onnx_graph *g, const char *format, ...) TWI_PRINTF(2, 3);

/* Input i of the node being lowered. TW_ERR_FORMAT: it is not there. */
tw_status twi_onnx_input(twi_onnx_graph *g, size_t i, const twi_onnx_value **out);
bool twi_onnx_has_input(const twi_onnx_graph *g, size_t i);
/* The same, which must be known numbers; of the kind asked for. */
tw_status twi_onnx_input_floats(twi_onnx_graph *g, size_t i, const twi_onnx_const **out);
tw_status twi_onnx_input_ints(twi_onnx_graph *g, size_t i, const twi_onnx_const **out);
/* A list of integers: attribute name or, in later opsets, input i. *out NULL: neither. */
tw_status twi_onnx_list(twi_onnx_graph *g, const char *name, size_t i, const int64_t **out,
                        size_t *n);
/* An axis of rank as ONNX counts it (negative: from the end). */
tw_status twi_onnx_axis(twi_onnx_graph *g, int64_t axis, size_t rank, size_t *out);

/* Sets output i to value. */
tw_status twi_onnx_output(twi_onnx_graph *g, size_t i, const twi_onnx_value *value);
/* Sets output 0 to node with ONNX's shape dims [rank]. */
tw_status twi_onnx_give(twi_onnx_graph *g, uint32_t node, size_t rank, const size_t *dims);

/* ---- making nodes (make.c) ------------------------------------------------------------------- */

/* Appends proto over inputs [n]; its name is made up, its shape worked out. */
tw_status twi_onnx_make(twi_onnx_graph *g, twi_node proto, const uint32_t *inputs, size_t n,
                        uint32_t *out);
tw_status twi_onnx_make1(twi_onnx_graph *g, twi_node proto, uint32_t input, uint32_t *out);
/* A parameter [dims] that borrows or, data NULL, gets fresh memory (*fresh). */
tw_status twi_onnx_param(twi_onnx_graph *g, size_t rank, const size_t *dims, const float *data,
                         const twi_tensor **out, float **fresh);

/* A node of the value's elements in exactly that shape. */
tw_status twi_onnx_shaped(twi_onnx_graph *g, const twi_onnx_value *value, const twi_shape *shape,
                          uint32_t *out);
/* [1, c, h, w] as a map; TW_ERR_UNSUPPORTED: it is none. */
tw_status twi_onnx_as_map(twi_onnx_graph *g, const twi_onnx_value *value, uint32_t *out);
/* [..., k] as tokens [product of the others, k], or as a vector where that is 1. */
tw_status twi_onnx_as_rows(twi_onnx_graph *g, const twi_onnx_value *value, uint32_t *out);
/* Some shape of its elements in which ONNX's axis is one of ours, *our_axis, others merged. */
tw_status twi_onnx_around(twi_onnx_graph *g, const twi_onnx_value *value, size_t axis,
                          uint32_t *out, size_t *our_axis);

/* Whether the node's shape is ONNX's but for axes of 1; then which of its axes that one is. */
bool twi_onnx_same_axes(const twi_onnx_graph *g, const twi_onnx_value *value, size_t axis,
                        size_t *our_axis);

/* True where the value is [1, c, 1, 1] (or [1, c]) and its node a vector. */
bool twi_onnx_is_vector(const twi_onnx_graph *g, const twi_onnx_value *value);
const twi_node *twi_onnx_node_of(const twi_onnx_graph *g, uint32_t id);
/* The node behind the reshapes that end in id: the same elements in the same order. */
uint32_t twi_onnx_behind(const twi_onnx_graph *g, uint32_t id);

/* ---- what shape nodes ask for (shapes.c): of values and of known numbers alike --------------- */

/* The outcome of Reshape, Squeeze, Unsqueeze or Flatten of a value. */
tw_status twi_onnx_new_shape(twi_onnx_graph *g, const twi_onnx_value *in, size_t *rank,
                             size_t dims[TWI_ONNX_DIMS]);
/* Transpose's perm, all axes of rank once. */
tw_status twi_onnx_perm(twi_onnx_graph *g, size_t rank, size_t perm[TWI_ONNX_DIMS]);

typedef struct twi_onnx_cut { /* of one axis: start, start + step, ... */
    size_t start, count;
    int64_t step;
} twi_onnx_cut;
/* Slice's cut of every axis. */
tw_status twi_onnx_cuts(twi_onnx_graph *g, size_t rank, const size_t *dims,
                        twi_onnx_cut cut[TWI_ONNX_DIMS]);

/* ---- lowering -------------------------------------------------------------------------------- */

typedef tw_status (*twi_onnx_lower)(twi_onnx_graph *g);

typedef struct twi_onnx_operator { /* a row of a table; the last one's name is NULL */
    const char *name;
    twi_onnx_lower lower;
} twi_onnx_operator;

extern const twi_onnx_operator twi_onnx_layers[];     /* layers.c */
extern const twi_onnx_operator twi_onnx_pointwise[];  /* pointwise.c */
extern const twi_onnx_operator twi_onnx_moves[];      /* moves.c */
extern const twi_onnx_operator twi_onnx_reductions[]; /* reductions.c */
extern const twi_onnx_operator twi_onnx_branches[];   /* branch.c */
extern const twi_onnx_operator twi_onnx_sums[];       /* einsum.c */

/* Folds or lowers one node (branch.c). */
tw_status twi_onnx_lower_node(twi_onnx_graph *g, const twi_onnx_node *node);
tw_status twi_onnx_take_initializers(twi_onnx_graph *g, const twi_onnx_model *from);
/* Tells the names that a branch reads; depth 0. */
typedef void (*twi_onnx_reads)(void *user, twi_cursor name);
void twi_onnx_branch_reads(twi_cursor graph, size_t depth, twi_onnx_reads read, void *user);

/* NULL: not known. */
twi_onnx_lower twi_onnx_find(const char *op);

/* Works out the node being lowered where all its inputs are known numbers. *done false: it is not
 * one of those that are worked out. (fold.c) */
tw_status twi_onnx_fold(twi_onnx_graph *g, bool *done);
bool twi_onnx_folds(const char *op); /* whether it is one that could be */

/* Output 0: the product of stacks a [..., m, k] and b [..., k, n], or [..., n, k] where turn is
 * true (layers.c). */
tw_status twi_onnx_product(twi_onnx_graph *g, const twi_onnx_value *a, const twi_onnx_value *b,
                           bool turn);

/* Output 0: x repeated along its axes of 1 to dims [rank], as a product with ones (pointwise.c). */
tw_status twi_onnx_repeat(twi_onnx_graph *g, const twi_onnx_value *x, size_t rank,
                          const size_t *dims);

/* Permutes a value: axis i of the outcome is axis perm[i] of value (permute.c). */
tw_status twi_onnx_permute(twi_onnx_graph *g, const twi_onnx_value *value, const size_t *perm);

/* Where the node `id`, whose elements are heads [windows, heads, queries, d], is the last product
 * of an attention: one node that gives [windows queries, heads d]; that is the value with its heads
 * side by side. *done false: it is none. (attention.c) */
tw_status twi_onnx_attention(twi_onnx_graph *g, uint32_t id, const size_t heads[4], uint32_t *out,
                             bool *done);

/* The permutation that comes, with the moves before it, to windows of a map or the way back
 * (windows.c). */
tw_status twi_onnx_window_moves(twi_onnx_graph *g, const twi_onnx_value *value, const size_t *perm,
                                uint32_t *out, bool *done);

/* ---- maps whose channels come last (pixels.c) ------------------------------------------------ */

/* Whether the value is [1, h, w, c] and lies in a node as h w tokens of c features. */
bool twi_onnx_is_pixels(const twi_onnx_graph *g, const twi_onnx_value *value);
/* Such a value as a map [c, h, w], and a map as the value of such a shape. Neither costs anything
 * where it is computed. */
tw_status twi_onnx_pixels_to_map(twi_onnx_graph *g, const twi_onnx_value *value, uint32_t *map);
tw_status twi_onnx_map_to_pixels(twi_onnx_graph *g, uint32_t map, twi_onnx_value *value);
/* map with count pixels of its axis, 1 or 2, one behind the other: parts [n] of maps joined; a roll
 * where they are one map's two parts in the other order. */
tw_status twi_onnx_join_maps(twi_onnx_graph *g, const uint32_t *parts, size_t n, size_t axis,
                             uint32_t *out);
/* The transposes that cut [1, down, y, across, x, c] into windows and put windows
 * [1, down, across, y, x, c] together again. *done false: perm is no such. */
tw_status twi_onnx_windows(twi_onnx_graph *g, const twi_onnx_value *value, const size_t *perm,
                           uint32_t *out, bool *done);

/* Joins what ONNX's exporters take apart: called when the node `id` was made, gives the node that
 * stands for it, often itself (patterns.c). */
tw_status twi_onnx_joined(twi_onnx_graph *g, uint32_t id, uint32_t *out);

#endif
