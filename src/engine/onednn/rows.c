/* rows.c - norms and softmax: one row of channels at a time, by kernels of our own. */
#include "engine/onednn/nodes.h"

#include "engine/team.h"

typedef struct rows_state {
    const twi_lanes *lanes;
    twi_op op;
    size_t rows, width, threads;
    size_t groups, area; /* group norm: a row is width / area channels of so many pixels */
    double epsilon;
    bool half_in, half_out;
} rows_state;

typedef struct rows_job {
    const rows_state *s;
    const unsigned char *in;
    unsigned char *out;
    float *scratch; /* [threads, width] */
    const float *scale, *shift;
} rows_job;

/* One group of a picture, channel by channel; scale and shift are one a channel. */
static void group_row(const rows_job *j, size_t group, float *row)
{
    const rows_state *s = j->s;
    const size_t channels = s->width / s->area, first = group % s->groups * channels;
    s->lanes->standardise(row, s->width, s->epsilon, NULL, NULL, row);
    for (size_t c = 0; c < channels; c++) {
        float *plane = row + c * s->area;
        if (j->scale)
            s->lanes->combine(TWI_OP_MUL, 1, s->area, plane, j->scale + first + c, 0, 0, plane);
        if (j->shift)
            s->lanes->combine(TWI_OP_ADD, 1, s->area, plane, j->shift + first + c, 0, 0, plane);
    }
}

static void rows_share(void *user, size_t member, size_t members)
{
    const rows_job *j = user;
    const rows_state *s = j->s;
    float *row = j->scratch + member * s->width;
    size_t begin, end;
    twi_team_share(s->rows, member, members, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        s->lanes->widen(j->in + i * s->width * (s->half_in ? 2 : 4), s->half_in, s->width, row);
        if (s->op == TWI_OP_SOFTMAX)
            s->lanes->softmax(row, s->width, row);
        else if (s->op == TWI_OP_L2_NORMALISE)
            s->lanes->normalise(row, s->width, s->epsilon, row);
        else if (s->op == TWI_OP_GROUP_NORM)
            group_row(j, i, row);
        else
            s->lanes->standardise(row, s->width, s->epsilon, j->scale, j->shift, row);
        s->lanes->narrow(row, s->half_out, s->width, j->out + i * s->width * (s->half_out ? 2 : 4));
    }
}

static tw_status rows_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace, void *bound)
{
    (void)ctx, (void)bound;
    const rows_state *s = step->state;
    const twi_packed *scale = step->params[TWI_PARAM_SCALE], *shift = step->params[TWI_PARAM_SHIFT];
    rows_job job = {.s = s,
                    .in = workspace->at[step->in[0]],
                    .out = workspace->at[step->out],
                    .scratch = workspace->at[step->scratch],
                    .scale = scale ? scale->data : NULL,
                    .shift = shift ? shift->data : NULL};
    twi_team_run(s->threads, rows_share, &job);
    return TW_OK;
}

static const twi_step_kind rows_kind = {NULL, NULL, rows_run};

/* Rows are the last axis of tokens, and of maps as order has them. */
static tw_status rows_build(twi_build *b, twi_order order)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *shape = &b->shapes[b->node];
    const uint32_t value = twi_input_value(b, 0);
    const twi_layout *layout, *out;
    size_t count;
    uint32_t in;
    rows_state *s;
    tw_status st = twi_arena_take(b->ctx, &b->program->memory, 1, &s);
    if (st != TW_OK) return st;
    st = twi_batch_elements(b->ctx, node->name, b->program->opts.batch, shape, &count);
    if (st != TW_OK) return st;
    *s = (rows_state){.lanes = twi_lanes_here(),
                      .op = node->op,
                      .threads = b->program->opts.threads,
                      .epsilon = node->epsilon,
                      .half_in = twi_layout_dtype(twi_value_layout(b, value)) == TWI_BF16};
    s->width =
        shape->dims[order == TWI_ORDER_NHWC ? twi_channel_axis(shape->rank) : shape->rank - 1];
    if (node->op == TWI_OP_GROUP_NORM) {
        s->groups = node->groups;
        s->area = shape->dims[1] * shape->dims[2];
        s->width = shape->dims[0] / s->groups * s->area;
    }
    s->rows = count / s->width;
    /* What comes out feeds products, which are the network's precision; a vector is near the end.
     */
    s->half_out = twi_onednn_dtype(b) == TWI_BF16 && shape->rank > 1;
    twi_step step = {.kind = &rows_kind, .n_in = 1, .in = &in, .state = s};
    st = twi_node_layout(b, node->inputs[0], s->half_in ? TWI_BF16 : TWI_F32, order, &layout);
    if (st == TW_OK) st = twi_onednn_as(b, value, layout, &in);
    if (st == TW_OK)
        st = twi_node_layout(b, b->node, s->half_out ? TWI_BF16 : TWI_F32, order, &out);
    if (st == TW_OK) st = twi_build_value(b, out, 0, &step.out);
    if (st == TW_OK && (twi_mul(s->threads, s->width, &count) || twi_mul(count, 4, &count)))
        st = twi_fail(b->ctx, TW_ERR_NOMEM, "%s: rows of %zu do not fit", node->name, s->width);
    if (st == TW_OK) st = twi_build_value(b, NULL, count, &step.scratch);
    for (unsigned i = 0; i < 2 && st == TW_OK; i++)
        if (node->params[i]) st = twi_build_floats(b, b->node, i, &step.params[i]);
    if (st == TW_OK) st = twi_build_step(b, &step);
    if (st == TW_OK) twi_onednn_done(b, step.out);
    return st;
}

tw_status twi_onednn_layer_norm(twi_build *b)
{
    return rows_build(b, b->shapes[b->node].rank == 3 ? TWI_ORDER_NHWC : TWI_ORDER_PLAIN);
}

tw_status twi_onednn_softmax(twi_build *b)
{
    return rows_build(b, TWI_ORDER_PLAIN);
}

/* Maps as written: the channels of a group lie together. */
tw_status twi_onednn_group_norm(twi_build *b)
{
    return rows_build(b, TWI_ORDER_PLAIN);
}
