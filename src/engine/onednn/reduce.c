/* reduce.c - means and largest values along axes that lie side by side where values are held:
 * [before, n, after] over n. Sums are of doubles, as in plain C. */
#include "engine/onednn/nodes.h"

#include "engine/team.h"

#include <math.h>

enum { CHUNK = 64 }; /* of after: what one thread sums at a time */

typedef struct reduce_state {
    size_t threads, before, n, after; /* before: of all pictures */
    bool maximum;
} reduce_state;

typedef struct reduce_job {
    const reduce_state *s;
    const float *in;
    float *out;
} reduce_job;

/* Of n numbers that follow each other: eight at a time, so that the compiler can keep eight. */
static float reduce_row(const float *x, size_t n, bool maximum)
{
    double sum[8] = {0};
    float most[8];
    size_t i = 0;
    for (int k = 0; k < 8; k++) most[k] = x[0];
    for (; maximum && i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) most[k] = x[i + k] > most[k] ? x[i + k] : most[k];
    for (; !maximum && i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) sum[k] += (double)x[i + k];
    for (; i < n; i++) {
        sum[0] += (double)x[i];
        most[0] = x[i] > most[0] ? x[i] : most[0];
    }
    for (int k = 1; k < 8; k++) {
        sum[0] += sum[k];
        most[0] = most[k] > most[0] ? most[k] : most[0];
    }
    return maximum ? most[0] : (float)(sum[0] / (double)n);
}

/* Of n rows, width numbers of each, rows being `after` apart. */
static void reduce_columns(const float *x, const reduce_state *s, size_t width, float *out)
{
    double sum[CHUNK];
    for (size_t c = 0; c < width; c++) sum[c] = (double)x[c];
    for (size_t r = 1; r < s->n; r++) {
        const float *row = x + r * s->after;
        for (size_t c = 0; s->maximum && c < width; c++)
            sum[c] = (double)row[c] > sum[c] ? (double)row[c] : sum[c];
        for (size_t c = 0; !s->maximum && c < width; c++) sum[c] += (double)row[c];
    }
    for (size_t c = 0; c < width; c++)
        out[c] = (float)(s->maximum ? sum[c] : sum[c] / (double)s->n);
}

static void reduce_share(void *user, size_t member, size_t members)
{
    const reduce_job *j = user;
    const reduce_state *s = j->s;
    const size_t chunks = (s->after + CHUNK - 1) / CHUNK;
    size_t begin, end;
    twi_team_share(s->before * chunks, member, members, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const size_t at = i / chunks, first = i % chunks * CHUNK;
        const size_t width = s->after - first < CHUNK ? s->after - first : CHUNK;
        const float *in = j->in + at * s->n * s->after + first;
        float *out = j->out + at * s->after + first;
        if (s->after == 1)
            *out = reduce_row(in, s->n, s->maximum);
        else
            reduce_columns(in, s, width, out);
    }
}

static tw_status reduce_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                            void *bound)
{
    (void)ctx, (void)bound;
    const reduce_state *s = step->state;
    reduce_job job = {s, workspace->at[step->in[0]], workspace->at[step->out]};
    twi_team_run(s->threads, reduce_share, &job);
    return TW_OK;
}

static const twi_step_kind reduce_kind = {NULL, NULL, reduce_run};

/* The sizes along, before and after the node's axes in the order that values are held in: maps have
 * their channels last. false: the axes do not lie side by side. */
static bool take_apart(const twi_node *node, const twi_shape *in, reduce_state *s)
{
    static const size_t map[] = {1, 2, 0}, other[] = {0, 1, 2};
    bool reduced[3] = {false}, inside = false, after = false;
    s->n = s->after = 1;
    for (size_t i = 0; i < node->axes.rank; i++) reduced[node->axes.dims[i]] = true;
    for (size_t i = 0; i < in->rank; i++) {
        const size_t axis = in->rank == 3 ? map[i] : other[i], size = in->dims[axis];
        if (size == 1) continue;
        if (reduced[axis] && after) return false;
        inside = inside || reduced[axis];
        after = inside && !reduced[axis];
        *(reduced[axis] ? &s->n : after ? &s->after : &s->before) *= size;
    }
    return true;
}

tw_status twi_onednn_reduce_any(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *in = &b->shapes[node->inputs[0]];
    const twi_order order = in->rank == 3 ? TWI_ORDER_NHWC : TWI_ORDER_PLAIN;
    reduce_state made = {.threads = b->program->opts.threads,
                         .before = b->program->opts.batch,
                         .maximum = node->op == TWI_OP_REDUCE_MAX};
    const twi_layout *layout;
    uint32_t value;
    reduce_state *s;
    if (!take_apart(node, in, &made)) return twi_onednn_plain_c(b);
    tw_status st = twi_arena_take(b->ctx, &b->program->memory, 1, &s);
    if (st != TW_OK) return st;
    *s = made;
    twi_step step = {
        .kind = &reduce_kind, .n_in = 1, .in = &value, .scratch = TWI_NO_VALUE, .state = s};
    st = twi_node_layout(b, node->inputs[0], TWI_F32, order, &layout);
    if (st == TW_OK) st = twi_onednn_as(b, twi_input_value(b, 0), layout, &value);
    if (st == TW_OK) st = twi_node_layout(b, b->node, TWI_F32, order, &layout);
    if (st == TW_OK) st = twi_build_value(b, layout, 0, &step.out);
    if (st == TW_OK) st = twi_build_step(b, &step);
    if (st == TW_OK) twi_onednn_done(b, step.out);
    return st;
}
