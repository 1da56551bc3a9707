/* arithmetic.c - sums, products and the like of two values, or of a value and a constant, by
 * kernels of our own. */
#include "engine/onednn/nodes.h"

#include "engine/team.h"

#define CHUNK 2048 /* floats at once: they stay in the first cache */

/* out [pictures, rows, width] = x op y; y's strides are 0 where it repeats. */
typedef struct arithmetic_state {
    const twi_lanes *lanes;
    twi_op op;
    size_t pictures, rows, width;
    size_t y_picture, y_row, y_step;
    size_t piece, lines; /* at once: floats of a row, rows */
    size_t threads;
    bool half, y_half; /* of x and out; of y */
} arithmetic_state;

typedef struct arithmetic_job {
    const arithmetic_state *s;
    const unsigned char *x, *y;
    unsigned char *out;
} arithmetic_job;

/* lines rows of a picture from row on, width floats of each from column on. */
static void arithmetic_chunk(const arithmetic_job *j, size_t first, size_t lines, const float *y,
                             size_t y_row)
{
    const arithmetic_state *s = j->s;
    const size_t size = s->half ? 2 : 4, n = lines * s->piece;
    float x[CHUNK];
    if (!s->half) {
        s->lanes->combine(s->op, lines, s->piece, (const float *)(const void *)(j->x + first * 4),
                          y, y_row, s->y_step, (float *)(void *)(j->out + first * 4));
        return;
    }
    s->lanes->widen(j->x + first * size, true, n, x);
    s->lanes->combine(s->op, lines, s->piece, x, y, y_row, s->y_step, x);
    s->lanes->narrow(x, true, n, j->out + first * size);
}

/* Row r of picture p, lines of them, in pieces. */
static void arithmetic_rows(const arithmetic_job *j, size_t p, size_t r, size_t lines)
{
    const arithmetic_state *s = j->s;
    arithmetic_job part = *j;
    arithmetic_state now = *s;
    part.s = &now;
    for (size_t c = 0; c < s->width; c += s->piece) {
        const size_t at = p * s->y_picture + r * s->y_row + c * s->y_step;
        float wide[CHUNK];
        const float *y = (const float *)(const void *)(j->y + at * 4);
        now.piece = s->width - c < s->piece ? s->width - c : s->piece;
        if (s->y_half) { /* of one shape with x */
            s->lanes->widen(j->y + at * 2, true, lines * now.piece, wide);
            y = wide;
        }
        arithmetic_chunk(&part, (p * s->rows + r) * s->width + c, lines, y, s->y_row);
    }
}

static void arithmetic_share(void *user, size_t member, size_t members)
{
    const arithmetic_job *j = user;
    const arithmetic_state *s = j->s;
    const size_t chunks = (s->rows + s->lines - 1) / s->lines;
    size_t begin, end;
    twi_team_share(s->pictures * chunks, member, members, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const size_t r = i % chunks * s->lines;
        arithmetic_rows(j, i / chunks, r, s->rows - r < s->lines ? s->rows - r : s->lines);
    }
}

static tw_status arithmetic_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                                void *bound)
{
    (void)ctx, (void)bound;
    const arithmetic_state *s = step->state;
    const twi_packed *constant = step->params[TWI_PARAM_VALUE];
    arithmetic_job job = {.s = s,
                          .x = workspace->at[step->in[0]],
                          .y = constant ? constant->data : workspace->at[step->in[1]],
                          .out = workspace->at[step->out]};
    twi_team_run(s->threads, arithmetic_share, &job);
    return TW_OK;
}

static const twi_step_kind arithmetic_kind = {NULL, NULL, arithmetic_run};

/* ---- building ------------------------------------------------------------------------------ */

/* How y, of that shape with as many axes as x, repeats over x: rows of channels. false: in a way
 * that rows do not know. */
static bool arithmetic_strides(arithmetic_state *s, const twi_shape *x, const twi_shape *y)
{
    const size_t axis = twi_channel_axis(x->rank);
    size_t rows = 1, y_rows = 1;
    for (size_t i = 0; i < x->rank; i++) {
        if (i == axis) continue;
        rows *= x->dims[i];
        y_rows *= y->dims[i];
    }
    s->rows = rows;
    s->width = x->dims[axis];
    s->y_step = y->dims[axis] == 1 && s->width > 1 ? 0 : 1;
    const size_t y_width = y->dims[axis];
    s->y_row = y_rows == 1 ? 0 : y_width;
    s->y_picture = y_rows * y_width;
    return (y_rows == 1 || y_rows == rows) && (y_width == 1 || y_width == s->width);
}

static tw_status arithmetic_step(twi_build *b, arithmetic_state *s, const uint32_t *in, size_t n_in,
                                 const twi_packed *constant)
{
    const twi_layout *layout = twi_value_layout(b, in[0]);
    s->lanes = twi_lanes_here();
    s->threads = b->program->opts.threads;
    s->half = twi_layout_dtype(layout) == TWI_BF16;
    s->piece = s->width < CHUNK ? s->width : CHUNK;
    s->lines = s->width < CHUNK ? CHUNK / s->width : 1;
    twi_step step = {.kind = &arithmetic_kind,
                     .n_in = n_in,
                     .in = in,
                     .out = in[0],
                     .scratch = TWI_NO_VALUE,
                     .params = {[TWI_PARAM_VALUE] = constant},
                     .state = s};
    tw_status st = TW_OK;
    if (!twi_onednn_last_use(b, in[0])) st = twi_build_value(b, layout, 0, &step.out);
    if (st == TW_OK) st = twi_build_step(b, &step);
    if (st == TW_OK) twi_onednn_done(b, step.out);
    return st;
}

static twi_op plain_op(twi_op op)
{
    switch (op) {
    case TWI_OP_ADD_BROADCAST:
    case TWI_OP_ADD_CONSTANT:
        return TWI_OP_ADD;
    case TWI_OP_MUL_CONSTANT:
        return TWI_OP_MUL;
    default:
        return op;
    }
}

/* The order of rows of x: as it is when channels come last, or in blocks where y is one value a
 * channel, which blocks have as well. */
static tw_status arithmetic_order(twi_build *b, uint32_t node, uint32_t value, bool may_block,
                                  twi_order *order)
{
    const twi_layout *blocked;
    *order = b->shapes[node].rank == 3 ? TWI_ORDER_NHWC : TWI_ORDER_PLAIN;
    if (!may_block || b->shapes[node].rank != 3) return TW_OK;
    const twi_dtype dtype = twi_layout_dtype(twi_value_layout(b, value));
    const tw_status st = twi_node_layout(b, node, dtype, TWI_ORDER_BLOCK16, &blocked);
    if (st == TW_OK && twi_layout_equal(blocked, twi_value_layout(b, value)))
        *order = TWI_ORDER_BLOCK16;
    return st;
}

/* y, one value a channel of every picture, in the order of x: float32. */
static tw_status channel_values(twi_build *b, uint32_t value, const twi_shape *x, twi_order order,
                                uint32_t *out)
{
    const size_t dims[4] = {b->program->opts.batch, x->dims[0], 1, 1};
    const twi_layout *from = twi_value_layout(b, value), *plain, *wanted;
    tw_status st = twi_layout_new(b->ctx, b->program->device, 4, dims, TWI_F32, order, &wanted);
    if (st != TW_OK) return st;
    if (twi_layout_rank(from) == 4) return twi_onednn_as(b, value, wanted, out);
    /* A vector [n, c] is a map [n, c, 1, 1]: the same bytes. */
    const size_t flat[2] = {dims[0], dims[1]};
    st = twi_layout_new(b->ctx, b->program->device, 2, flat, TWI_F32, TWI_ORDER_PLAIN, &plain);
    if (st == TW_OK) st = twi_onednn_as(b, value, plain, &value);
    if (st == TW_OK)
        st = twi_layout_new(b->ctx, b->program->device, 4, dims, TWI_F32, TWI_ORDER_PLAIN, &plain);
    return st == TW_OK ? twi_onednn_from(b, value, plain, wanted, out) : st;
}

/* x, the value of node x_of, op y. */
static tw_status arithmetic_of(twi_build *b, arithmetic_state *s, uint32_t x_of, uint32_t y_of)
{
    const twi_shape *x = &b->shapes[x_of];
    uint32_t in[2] = {b->value_of[x_of], b->value_of[y_of]};
    const bool by_channel = s->y_row == 0 && s->y_step == 1 && x->rank == 3;
    const bool whole = s->y_row != 0 && s->y_step == 1;
    const twi_layout *layout;
    twi_order order;
    tw_status st = arithmetic_order(b, x_of, in[0], by_channel && s->op != TWI_OP_DIV, &order);
    const twi_dtype dtype = twi_layout_dtype(twi_value_layout(b, in[0]));
    if (st == TW_OK) st = twi_node_layout(b, x_of, dtype, order, &layout);
    if (st == TW_OK) st = twi_onednn_as(b, in[0], layout, &in[0]);
    if (st != TW_OK) return st;
    if (by_channel) {
        st = channel_values(b, in[1], x, order, &in[1]);
        if (order == TWI_ORDER_BLOCK16) { /* every 16 channels are a picture of their own */
            const size_t blocks = (s->width + 15) / 16;
            s->pictures *= blocks;
            s->width = s->y_picture = 16;
        }
    } else {
        s->y_half = whole && dtype == TWI_BF16;
        st = twi_node_layout(b, y_of, s->y_half ? TWI_BF16 : TWI_F32,
                             b->shapes[y_of].rank == 3 ? TWI_ORDER_NHWC : TWI_ORDER_PLAIN, &layout);
        if (st == TW_OK) st = twi_onednn_as(b, in[1], layout, &in[1]);
    }
    return st == TW_OK ? arithmetic_step(b, s, in, 2, NULL) : st;
}

tw_status twi_onednn_arithmetic(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *out = &b->shapes[b->node];
    const bool either = node->op != TWI_OP_SUB && node->op != TWI_OP_DIV;
    uint32_t x = node->inputs[0], y = node->inputs[1];
    arithmetic_state *s;
    twi_shape other;
    const tw_status st = twi_arena_take(b->ctx, &b->program->memory, 1, &s);
    if (st != TW_OK) return st;
    if (either && !twi_shape_equal(&b->shapes[x], out)) x = node->inputs[1], y = node->inputs[0];
    *s = (arithmetic_state){.op = plain_op(node->op), .pictures = b->program->opts.batch};
    if (!twi_shape_equal(&b->shapes[x], out) ||
        !twi_shape_align(&b->shapes[y], out->rank, &other) || !arithmetic_strides(s, out, &other))
        return twi_onednn_plain_c(b);
    return arithmetic_of(b, s, x, y);
}

/* ---- constants ----------------------------------------------------------------------------- */

typedef struct constant_fill {
    const twi_tensor *tensor;
    twi_shape shape; /* aligned to x */
} constant_fill;

/* As rows of channels: a map's constant [c, h, w] becomes [h, w, c]. */
static tw_status fill_constant(tw_ctx *ctx, const void *user, void *data)
{
    const constant_fill *fill = user;
    const twi_shape *shape = &fill->shape;
    float *plain = NULL, *out = data;
    if (shape->rank != 3) return twi_tensor_floats(ctx, fill->tensor, data);
    tw_status st = twi_alloc(ctx, fill->tensor->count, &plain);
    if (st == TW_OK) st = twi_tensor_floats(ctx, fill->tensor, plain);
    const size_t channels = shape->dims[0], area = shape->dims[1] * shape->dims[2];
    for (size_t i = 0; st == TW_OK && i < channels * area; i++)
        out[i % area * channels + i / area] = plain[i];
    twi_free(plain);
    return st;
}

tw_status twi_onednn_with_constant(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_tensor *value = node->params[TWI_PARAM_VALUE];
    const twi_shape *x = &b->shapes[b->node], own = twi_shape_of_tensor(value);
    constant_fill fill = {.tensor = value};
    const twi_packed *packed;
    const twi_layout *layout;
    arithmetic_state *s;
    uint32_t in = twi_input_value(b, 0);
    tw_status st = twi_arena_take(b->ctx, &b->program->memory, 1, &s);
    if (st != TW_OK) return st;
    *s = (arithmetic_state){.op = plain_op(node->op), .pictures = b->program->opts.batch};
    if (!twi_shape_align(&own, x->rank, &fill.shape) || !arithmetic_strides(s, x, &fill.shape))
        return twi_onednn_plain_c(b);
    s->y_picture = 0; /* one for all */
    const twi_packed key = {.node = b->node,
                            .param = TWI_PARAM_VALUE,
                            .packing = TWI_PACKING_ROWS,
                            .bytes = value->count * sizeof(float)};
    st = twi_build_packed(b, &key, fill_constant, &fill, &packed);
    if (st == TW_OK)
        st = twi_node_layout(b, node->inputs[0], twi_layout_dtype(twi_value_layout(b, in)),
                             x->rank == 3 ? TWI_ORDER_NHWC : TWI_ORDER_PLAIN, &layout);
    if (st == TW_OK) st = twi_onednn_as(b, in, layout, &in);
    return st == TW_OK ? arithmetic_step(b, s, &in, 1, packed) : st;
}
