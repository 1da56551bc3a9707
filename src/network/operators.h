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

/* Attributes a row's nodes carry; graph_json.c has one reader and writer for each. */
enum {
    TWI_ATTR_WINDOW = 1,         /* kernel, stride, dilation, padding */
    TWI_ATTR_CEIL = 2,           /* ceil_mode */
    TWI_ATTR_COUNT_PAD = 4,      /* count_include_pad */
    TWI_ATTR_GROUPS = 8,         /* groups */
    TWI_ATTR_EPSILON = 16,       /* epsilon */
    TWI_ATTR_FLATTEN_ORDER = 32, /* nhwc */
    TWI_ATTR_COUNT = 6           /* how many bits there are */
};

typedef struct twi_operator {
    const char *name;
    size_t min_inputs, max_inputs;
    size_t in_rank;  /* 3: feature maps, 1: vectors, 0: either */
    size_t out_rank; /* 0: that of the input */
    unsigned attributes;
    struct {
        const char *name; /* NULL: unused */
        size_t rank;
        bool required;
    } params[TWI_PARAMS];
    /* What params and attributes owe each other, whatever comes in; may be NULL. */
    tw_status (*check)(tw_ctx *ctx, const twi_node *node);
    /* in [node->n_inputs], of the right rank already; *out has its rank set. */
    tw_status (*shape)(tw_ctx *ctx, const twi_node *node, const twi_shape *in, twi_shape *out);
} twi_operator;

const twi_operator *twi_operator_at(twi_op op);
const twi_operator *twi_operator_find(const char *name, twi_op *op); /* NULL: none of that name */

/* Ranks [network->n] of all values, which need no input size. */
void twi_network_ranks(const twi_network *network, size_t *ranks);

/* twi_network_add() without its demand that params are in network->weights. */
tw_status twi_network_append(tw_ctx *ctx, twi_network *network, const twi_node *proto,
                             uint32_t *id);

/* Batch norm, y = a x + b for each channel, folded into the weights it follows: rewrites
 * node->params (convolution or dense) to new float32 tensors of to, whose list must have room for
 * two more without moving. */
tw_status twi_fold_into(tw_ctx *ctx, const twi_node *norm, twi_node *node, twi_network *to);

/* The same y = a x + b as a node of its own: a 1 x 1 depthwise convolution (rank 3) or a diagonal
 * dense (rank 1). */
tw_status twi_fold_alone(tw_ctx *ctx, twi_node *norm, size_t rank, twi_network *to);

#endif
