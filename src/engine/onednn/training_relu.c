/* training_relu.c - the backward pass of relu. Where two layers read what a relu gave, as behind a
 * residual block, their gradients are added here: to add them first would be to write and read a
 * map once more. */
#include "engine/onednn/nodes.h"
#include "engine/team.h"
#include "engine/training/tape.h"

typedef struct relu_state {
    const twi_lanes *lanes;
    bool half;
    size_t elements, threads;
} relu_state;

typedef struct relu_work {
    const relu_state *state;
    const unsigned char *y, *parts[2]; /* the second may be NULL */
    unsigned char *out;
} relu_work;

static void relu_member(void *user, size_t member, size_t members)
{
    const relu_work *w = user;
    const relu_state *s = w->state;
    const size_t size = s->half ? sizeof(uint16_t) : sizeof(float), line = TWI_ALIGN / size;
    size_t begin, end;
    twi_team_share((s->elements + line - 1) / line, member, members, &begin, &end);
    begin *= line, end *= line;
    if (end > s->elements) end = s->elements;
    if (begin >= end) return;
    const size_t at = begin * size;
    s->lanes->relu_back(w->y + at, w->parts[0] + at, w->parts[1] ? w->parts[1] + at : NULL, s->half,
                        end - begin, w->out + at);
}

/* Values: what the relu gave, the two parts of its gradient (or one), that of its source. */
static tw_status run_relu_back(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *p)
{
    (void)ctx;
    const uint32_t *v = step->values;
    relu_work work = {.state = step->state,
                      .y = p->at[v[0]],
                      .parts = {p->at[v[1]], v[2] == TWI_NO_VALUE ? NULL : p->at[v[2]]},
                      .out = p->at[v[3]]};
    twi_team_run(work.state->threads, relu_member, &work);
    return TW_OK;
}

/* Behind a batch norm: that looks itself which values passed. */
static tw_status relu_hand_on(twi_tape *t)
{
    const uint32_t rest = t->rest_of[t->node];
    const tw_status st = twi_tape_give(t, 0, twi_tape_gradient(t));
    return st == TW_OK && rest != TWI_NO_VALUE ? twi_tape_give(t, 0, rest) : st;
}

tw_status twi_training_relu_back(twi_tape *t)
{
    const uint32_t rest = t->rest_of[t->node];
    const twi_node *before = &t->network->nodes[twi_tape_node(t)->inputs[0]];
    uint32_t v[4] = {twi_tape_record_of(t)->out, 0, rest, 0};
    relu_state *state;
    if (twi_tape_joined(t) && before->op == TWI_OP_BATCH_NORM) return relu_hand_on(t);
    const twi_layout *layout = twi_tape_layout(t, v[0]);
    tw_status st = twi_arena_take(t->ctx, &t->trainer->memory, 1, &state);
    if (st == TW_OK) st = twi_tape_as(t, twi_tape_gradient(t), layout, &v[1]);
    if (st == TW_OK && rest != TWI_NO_VALUE) st = twi_tape_as(t, rest, layout, &v[2]);
    if (st == TW_OK) st = twi_tape_value(t, layout, 0, &v[3]);
    if (st != TW_OK) return st;
    const bool half = twi_layout_dtype(layout) == TWI_BF16;
    *state = (relu_state){twi_lanes_here(), half,
                          twi_layout_bytes(layout) / (half ? sizeof(uint16_t) : sizeof(float)),
                          t->trainer->opts.threads};
    const twi_tape_step step = {.run = run_relu_back, .n = 4, .values = v, .state = state};
    st = twi_tape_append(t, &step);
    return st == TW_OK ? twi_tape_give(t, 0, v[3]) : st;
}
