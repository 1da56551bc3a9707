/* operators.h - the table of operators: one row says all that is particular about an operator. */
#ifndef TWI_NETWORK_OPERATORS_H
#define TWI_NETWORK_OPERATORS_H

#include "network/network.h"

/* Caps on what a graph may say, far above any published network, low enough that no product of a
 * few of them overflows and that a hostile file costs milliseconds. */
#define TWI_MAX_NODES    8192
#define TWI_MAX_INPUTS   256     /* of one node */
#define TWI_MAX_CHANNELS 1000000 /* of the input, and of any value */
#define TWI_MAX_WINDOW   4096    /* kernel, stride, dilation, padding */
#define TWI_MAX_SIDE     65536   /* height and width of the input */

#define TWI_MAX_BLOCK  64 /* depth_to_space, space_to_depth */
#define TWI_MAX_HEADS  1024
#define TWI_MAX_TOKENS 65536 /* that attend to each other */

/* Attributes a row's nodes carry; attributes.c has the keys of each. */
enum {
    TWI_ATTR_WINDOW = 1 << 0,    /* kernel, stride, dilation, padding */
    TWI_ATTR_CEIL = 1 << 1,      /* ceil_mode */
    TWI_ATTR_COUNT_PAD = 1 << 2, /* count_include_pad */
    TWI_ATTR_GROUPS = 1 << 3,
    TWI_ATTR_EPSILON = 1 << 4,
    TWI_ATTR_FLATTEN_ORDER = 1 << 5, /* nhwc */
    TWI_ATTR_ALPHA = 1 << 6,
    TWI_ATTR_BETA = 1 << 7,
    TWI_ATTR_RANGE = 1 << 8,   /* low, high */
    TWI_ATTR_LRN = 1 << 9,     /* span, bias */
    TWI_ATTR_PAD = 1 << 10,    /* padding, pad_mode, value */
    TWI_ATTR_RESIZE = 1 << 11, /* filter, coordinates, rounding, scales */
    TWI_ATTR_SIZE = 1 << 12,
    TWI_ATTR_BLOCK = 1 << 13, /* block, crd */
    TWI_ATTR_SHIFT = 1 << 14,
    TWI_ATTR_AXIS = 1 << 15,
    TWI_ATTR_RANGE_OF_AXIS = 1 << 16, /* start, stop, step */
    TWI_ATTR_AXES = 1 << 17,
    TWI_ATTR_TARGET = 1 << 18,
    TWI_ATTR_INDEX = 1 << 19,
    TWI_ATTR_GRID = 1 << 20,
    TWI_ATTR_TRANSPOSES = 1 << 21, /* transpose_a, transpose_b */
    TWI_ATTR_SCALE = 1 << 22,
    TWI_ATTR_HEADS = 1 << 23,   /* heads, tokens */
    TWI_ATTR_OBSERVED = 1 << 24 /* of every operator, when known */
};

#define TWI_RANK(rank) (1u << (rank))

typedef struct twi_operator {
    const char *name;
    size_t min_inputs, max_inputs;
    unsigned in_ranks; /* TWI_RANK() of those allowed; 0: any */
    size_t out_rank;   /* 0: that of the first input, or what rank says */
    size_t (*rank)(const twi_node *node, const size_t *in_ranks); /* may be NULL */
    unsigned attributes;
    struct {
        const char *name; /* NULL: unused */
        size_t rank;      /* 0: 1 to 3 */
        bool required;
    } params[TWI_PARAMS];
    /* What params and attributes owe each other, whatever comes in; may be NULL. */
    tw_status (*check)(tw_ctx *ctx, const twi_node *node);
    /* in [node->n_inputs], of the right rank already; *out has its rank set. */
    tw_status (*shape)(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out);
} twi_operator;

const twi_operator *twi_operator_at(twi_op op);
const twi_operator *twi_operator_find(const char *name, twi_op *op); /* NULL: none of that name */

/* The shape of node i > 0, from those of the nodes before it. */
tw_status twi_network_shape(tw_ctx *ctx, const twi_network *network, size_t i, twi_shape *shapes);

/* Ranks [network->n] of all values, which need no input size. */
void twi_network_ranks(const twi_network *network, size_t *ranks);

/* The attributes of node, written to its JSON object (false: no memory), and read from it (errors
 * name the layer). */
bool twi_attributes_write(const twi_node *node, twi_json *to);
tw_status twi_attributes_read(tw_ctx *ctx, const twi_json *from, twi_node *node);

/* twi_network_add() without its demand that params are in network->weights. */
tw_status twi_network_append(tw_ctx *ctx, twi_network *network, const twi_node *proto,
                             uint32_t *id);

/* True when node is y = a x + b for each channel: batch norm, or a constant of one value, or of one
 * for each of channels. rank: that of x. */
bool twi_fold_suits(const twi_node *node, size_t rank, size_t channels);

/* Such a node folded into the weights it follows: rewrites node->params (convolution or dense) to
 * new float32 tensors of to, whose list must have room for two more without moving. */
tw_status twi_fold_into(tw_ctx *ctx, const twi_node *norm, twi_node *node, twi_network *to);

/* A batch norm as a node of its own: a 1 x 1 depthwise convolution (rank 3) or a diagonal
 * dense (of tokens, of a vector). */
tw_status twi_fold_alone(tw_ctx *ctx, twi_node *norm, size_t rank, twi_network *to);

#endif
