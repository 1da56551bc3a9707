/* resample.c - maps whose pixels come from other pixels of a map: resized, and padded with what
 * lies inside. Rows of the output are shared among the threads, channels come last. */
#include "engine/onednn/nodes.h"

#include "engine/team.h"

#include <string.h>

typedef struct resample_state {
    size_t batch, threads, channels;
    size_t element;                /* bytes */
    size_t in[2], out[2];          /* height, width */
    const twi_tap *rows, *columns; /* [out[0]], [out[1]] */
    bool between;                  /* of four pixels, in float32; else copies */
} resample_state;

typedef struct resample_job {
    const resample_state *s;
    const unsigned char *in;
    unsigned char *out;
} resample_job;

/* out = between top and bottom by down, each being between left and right by across: the pixels'
 * n channels. */
static void blend(const float *const corner[4], float across, float down, size_t n,
                  float *restrict out)
{
    const float *restrict a = corner[0], *restrict b = corner[1];
    const float *restrict c = corner[2], *restrict d = corner[3];
    for (size_t i = 0; i < n; i++) {
        const float top = a[i] + (b[i] - a[i]) * across, bottom = c[i] + (d[i] - c[i]) * across;
        out[i] = top + (bottom - top) * down;
    }
}

static void blend_row(const resample_state *s, const float *picture, size_t y, float *out)
{
    const twi_tap row = s->rows[y];
    const float *top = picture + row.first * s->in[1] * s->channels;
    const float *bottom = picture + row.second * s->in[1] * s->channels;
    for (size_t x = 0; x < s->out[1]; x++) {
        const size_t left = s->columns[x].first * s->channels;
        const size_t right = s->columns[x].second * s->channels;
        const float *const corner[4] = {top + left, top + right, bottom + left, bottom + right};
        blend(corner, s->columns[x].weight, row.weight, s->channels, out + x * s->channels);
    }
}

static void copy_row(const resample_state *s, const unsigned char *picture, size_t y,
                     unsigned char *out)
{
    const size_t pixel = s->channels * s->element;
    const unsigned char *row = picture + s->rows[y].first * s->in[1] * pixel;
    for (size_t x = 0; x < s->out[1]; x++)
        memcpy(out + x * pixel, row + s->columns[x].first * pixel, pixel);
}

static void resample_share(void *user, size_t member, size_t members)
{
    const resample_job *j = user;
    const resample_state *s = j->s;
    const size_t pixel = s->channels * s->element;
    size_t begin, end;
    twi_team_share(s->batch * s->out[0], member, members, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const size_t picture = i / s->out[0], y = i % s->out[0];
        const unsigned char *in = j->in + picture * s->in[0] * s->in[1] * pixel;
        unsigned char *out = j->out + i * s->out[1] * pixel;
        if (s->between)
            blend_row(s, (const float *)(const void *)in, y, (float *)(void *)out);
        else
            copy_row(s, in, y, out);
    }
}

static tw_status resample_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                              void *bound)
{
    (void)ctx, (void)bound;
    const resample_state *s = step->state;
    resample_job job = {s, workspace->at[step->in[0]], workspace->at[step->out]};
    twi_team_run(s->threads, resample_share, &job);
    return TW_OK;
}

static const twi_step_kind resample_kind = {NULL, NULL, resample_run};

static twi_tap tap_of(const twi_node *node, int axis, size_t at, size_t in, size_t out)
{
    if (node->op == TWI_OP_RESIZE) return twi_resize_tap(node, axis, at, in, out);
    const size_t row = twi_padded_row(node->pad_mode, at, node->window.pad_begin[axis], in);
    return (twi_tap){row, row, 0.0f};
}

static tw_status make_taps(twi_build *b, int axis, const twi_tap **out)
{
    const twi_node *node = twi_build_node(b);
    const size_t in = b->shapes[node->inputs[0]].dims[1 + axis];
    const size_t n = b->shapes[b->node].dims[1 + axis];
    twi_tap *taps;
    const tw_status st = twi_arena_take(b->ctx, &b->program->memory, n, &taps);
    for (size_t i = 0; st == TW_OK && i < n; i++) taps[i] = tap_of(node, axis, i, in, n);
    *out = taps;
    return st;
}

tw_status twi_onednn_resample(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *in = &b->shapes[node->inputs[0]], *out = &b->shapes[b->node];
    const bool between = node->op == TWI_OP_RESIZE && node->filter == TWI_RESAMPLE_BILINEAR;
    const uint32_t from = twi_input_value(b, 0);
    const twi_dtype dtype = between ? TWI_F32 : twi_layout_dtype(twi_value_layout(b, from));
    const twi_layout *layout;
    uint32_t value;
    resample_state *s;
    tw_status st = twi_arena_take(b->ctx, &b->program->memory, 1, &s);
    if (st != TW_OK) return st;
    *s = (resample_state){.batch = b->program->opts.batch,
                          .threads = b->program->opts.threads,
                          .channels = in->dims[0],
                          .element = twi_dtype_size(dtype),
                          .in = {in->dims[1], in->dims[2]},
                          .out = {out->dims[1], out->dims[2]},
                          .between = between};
    twi_step step = {
        .kind = &resample_kind, .n_in = 1, .in = &value, .scratch = TWI_NO_VALUE, .state = s};
    st = make_taps(b, 0, &s->rows);
    if (st == TW_OK) st = make_taps(b, 1, &s->columns);
    if (st == TW_OK) st = twi_node_layout(b, node->inputs[0], dtype, TWI_ORDER_NHWC, &layout);
    if (st == TW_OK) st = twi_onednn_as(b, from, layout, &value);
    if (st == TW_OK) st = twi_node_layout(b, b->node, dtype, TWI_ORDER_NHWC, &layout);
    if (st == TW_OK) st = twi_build_value(b, layout, 0, &step.out);
    if (st == TW_OK) st = twi_build_step(b, &step);
    if (st == TW_OK) twi_onednn_done(b, step.out);
    return st;
}
