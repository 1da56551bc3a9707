/* attention.c - attention head by head, by kernels of our own, so that scores never leave the
 * cache; and products of matrices. */
#include "engine/onednn/nodes.h"

#include "engine/team.h"

#include <string.h>

#define BLOCK 16 /* queries at once */

typedef struct attention_state {
    const twi_lanes *lanes;
    twi_attention_sizes sizes;
    size_t batch, threads;
    size_t key_lanes, width_lanes; /* keys and width, rounded up */
    size_t scratch_each;           /* floats of one thread */
    float scale;
    bool half[3], half_out; /* bfloat16: q, k, v; the result */
} attention_state;

typedef struct attention_job {
    const attention_state *s;
    const unsigned char *in[3];
    unsigned char *out;
    const float *bias, *mask;
    float *scratch;
} attention_job;

/* One thread's memory. */
typedef struct attention_room {
    float *keys;   /* [depth, key_lanes]: turned round */
    float *values; /* [keys, width_lanes] */
    float *row;    /* [depth] */
    float *q;      /* [BLOCK, depth] */
    float *scores; /* [BLOCK, key_lanes] */
    float *out;    /* [BLOCK, width_lanes] */
} attention_room;

static attention_room room_of(const attention_state *s, float *at)
{
    attention_room r;
    r.keys = at, at += s->sizes.depth * s->key_lanes;
    r.values = at, at += s->sizes.keys * s->width_lanes;
    r.row = at, at += s->sizes.depth;
    r.q = at, at += BLOCK * s->sizes.depth;
    r.scores = at, at += BLOCK * s->key_lanes;
    r.out = at;
    return r;
}

/* Row token of input i, from feature on: n of them. */
static void take(const attention_job *j, int i, size_t token, size_t features, size_t feature,
                 size_t n, float *dst)
{
    const bool half = j->s->half[i];
    const unsigned char *from = j->in[i] + (token * features + feature) * (half ? 2 : 4);
    j->s->lanes->widen(from, half, n, dst);
}

/* Keys and values of one head of a window. */
static void load_keys(const attention_job *j, const attention_room *r, size_t window, size_t head)
{
    const attention_state *s = j->s;
    const twi_attention_sizes *z = &s->sizes;
    memset(r->keys, 0, z->depth * s->key_lanes * sizeof *r->keys);
    memset(r->values, 0, z->keys * s->width_lanes * sizeof *r->values);
    for (size_t key = 0; key < z->keys; key++) {
        const size_t token = window * z->keys + key;
        take(j, 1, token, z->key_heads * z->depth, head * z->depth, z->depth, r->row);
        for (size_t d = 0; d < z->depth; d++) r->keys[d * s->key_lanes + key] = r->row[d];
        take(j, 2, token, z->key_heads * z->width, head * z->width, z->width,
             r->values + key * s->width_lanes);
    }
}

static void score_row(const attention_job *j, size_t window, size_t head, size_t query, float *row)
{
    const twi_attention_sizes *z = &j->s->sizes;
    const size_t n = z->keys;
    for (size_t i = 0; i < n; i++) row[i] *= j->s->scale;
    if (j->bias) {
        const float *bias = j->bias + (head * z->queries + query) * n;
        for (size_t i = 0; i < n; i++) row[i] += bias[i];
    }
    if (j->mask) {
        const float *mask = j->mask + (window % z->windows * z->queries + query) * n;
        for (size_t i = 0; i < n; i++) row[i] += mask[i];
    }
    j->s->lanes->softmax(row, n, row);
}

/* Queries [first, first + count) of a window. */
static void attend(const attention_job *j, const attention_room *r, size_t window, size_t head,
                   size_t first, size_t count)
{
    const attention_state *s = j->s;
    const twi_attention_sizes *z = &s->sizes;
    const size_t token = window * z->queries + first, size = s->half_out ? 2 : 4;
    for (size_t i = 0; i < count; i++)
        take(j, 0, token + i, z->heads * z->depth, head * z->depth, z->depth, r->q + i * z->depth);
    s->lanes->multiply(count, s->key_lanes, z->depth, r->q, z->depth, r->keys, s->key_lanes,
                       r->scores, s->key_lanes);
    for (size_t i = 0; i < count; i++)
        score_row(j, window, head, first + i, r->scores + i * s->key_lanes);
    s->lanes->multiply(count, s->width_lanes, z->keys, r->scores, s->key_lanes, r->values,
                       s->width_lanes, r->out, s->width_lanes);
    for (size_t i = 0; i < count; i++)
        s->lanes->narrow(r->out + i * s->width_lanes, s->half_out, z->width,
                         j->out + ((token + i) * z->heads + head) * z->width * size);
}

static void attention_share(void *user, size_t member, size_t members)
{
    const attention_job *j = user;
    const attention_state *s = j->s;
    const twi_attention_sizes *z = &s->sizes;
    const attention_room room = room_of(s, j->scratch + member * s->scratch_each);
    size_t begin, end;
    twi_team_share(s->batch * z->windows * z->heads, member, members, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const size_t window = i / z->heads, head = i % z->heads;
        load_keys(j, &room, window, head * z->key_heads / z->heads);
        for (size_t q = 0; q < z->queries; q += BLOCK)
            attend(j, &room, window, head, q, z->queries - q < BLOCK ? z->queries - q : BLOCK);
    }
}

static tw_status attention_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                               void *bound)
{
    (void)ctx, (void)bound;
    const attention_state *s = step->state;
    const twi_packed *bias = step->params[TWI_PARAM_ATTENTION_BIAS];
    const twi_packed *mask = step->params[TWI_PARAM_ATTENTION_MASK];
    attention_job job = {
        .s = s,
        .in = {workspace->at[step->in[0]], workspace->at[step->in[1]], workspace->at[step->in[2]]},
        .out = workspace->at[step->out],
        .bias = bias ? bias->data : NULL,
        .mask = mask ? mask->data : NULL,
        .scratch = workspace->at[step->scratch]};
    twi_team_run(s->threads, attention_share, &job);
    return TW_OK;
}

static const twi_step_kind attention_kind = {NULL, NULL, attention_run};

static size_t round_up(size_t n)
{
    return (n + TWI_LANES - 1) / TWI_LANES * TWI_LANES;
}

/* The bytes of scratch; sets what each thread has. */
static tw_status attention_scratch(twi_build *b, attention_state *s, size_t *bytes)
{
    const twi_attention_sizes *z = &s->sizes;
    size_t keys, values, rest, all;
    const bool over =
        twi_mul(z->depth, s->key_lanes, &keys) || twi_mul(z->keys, s->width_lanes, &values) ||
        twi_mul(BLOCK + 1, z->depth + s->key_lanes + s->width_lanes, &rest) ||
        twi_add(keys, values, &all) || twi_add(all, rest, &s->scratch_each) ||
        twi_mul(s->scratch_each, s->threads, &all) || twi_mul(all, sizeof(float), bytes);
    if (!over) return TW_OK;
    return twi_fail(b->ctx, TW_ERR_NOMEM, "%s: %zu keys do not fit in memory",
                    twi_build_node(b)->name, z->keys);
}

static tw_status attention_inputs(twi_build *b, attention_state *s, uint32_t in[3])
{
    tw_status st = TW_OK;
    for (size_t i = 0; i < 3 && st == TW_OK; i++) {
        const uint32_t value = twi_input_value(b, i);
        const twi_dtype dtype = twi_layout_dtype(twi_value_layout(b, value));
        const twi_layout *plain;
        s->half[i] = dtype == TWI_BF16;
        st = twi_node_layout(b, twi_build_node(b)->inputs[i], dtype, TWI_ORDER_PLAIN, &plain);
        if (st == TW_OK) st = twi_onednn_as(b, value, plain, &in[i]);
    }
    return st;
}

tw_status twi_onednn_attention(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape shapes[3] = {b->shapes[node->inputs[0]], b->shapes[node->inputs[1]],
                                 b->shapes[node->inputs[2]]};
    const twi_layout *out;
    attention_state *s;
    size_t bytes = 0;
    uint32_t in[3];
    tw_status st = twi_arena_take(b->ctx, &b->program->memory, 1, &s);
    if (st != TW_OK) return st;
    *s = (attention_state){.lanes = twi_lanes_here(),
                           .sizes = twi_attention_sizes_of(node, shapes),
                           .batch = b->program->opts.batch,
                           .threads = b->program->opts.threads,
                           .scale = (float)node->scale,
                           .half_out = twi_onednn_dtype(b) == TWI_BF16};
    s->key_lanes = round_up(s->sizes.keys);
    s->width_lanes = round_up(s->sizes.width);
    twi_step step = {.kind = &attention_kind, .n_in = 3, .in = in, .state = s};
    st = attention_scratch(b, s, &bytes);
    if (st == TW_OK) st = attention_inputs(b, s, in);
    if (st == TW_OK) st = twi_node_layout(b, b->node, twi_onednn_dtype(b), TWI_ORDER_PLAIN, &out);
    if (st == TW_OK) st = twi_build_value(b, out, 0, &step.out);
    if (st == TW_OK) st = twi_build_value(b, NULL, bytes, &step.scratch);
    for (unsigned i = 0; i < 2 && st == TW_OK; i++)
        if (node->params[i]) st = twi_build_floats(b, b->node, i, &step.params[i]);
    if (st == TW_OK) st = twi_build_step(b, &step);
    if (st == TW_OK) twi_onednn_done(b, step.out);
    return st;
}

/* ---- products of matrices ------------------------------------------------------------------ */

/* In float32: both factors are values, and small. */
tw_status twi_onednn_matmul(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *x = &b->shapes[node->inputs[0]], *out = &b->shapes[b->node];
    const size_t row = x->rank - 2, column = x->rank - 1;
    const size_t sizes[4] = {b->program->opts.batch * (x->rank == 3 ? x->dims[0] : 1),
                             out->dims[row], x->dims[node->transpose_a ? row : column],
                             out->dims[column]};
    const twi_primitive *primitive;
    const twi_layout *plain;
    uint32_t in[2], value = TWI_NO_VALUE;
    if (node->scale == 0) return twi_onednn_plain_c(b);
    tw_status st = twi_primitive_matmul(b->ctx, b->program->device, node, sizes, &primitive);
    for (size_t i = 0; i < 2 && st == TW_OK; i++) {
        st = twi_node_layout(b, node->inputs[i], TWI_F32, TWI_ORDER_PLAIN, &plain);
        if (st == TW_OK) st = twi_onednn_as(b, twi_input_value(b, i), plain, &in[i]);
    }
    if (st == TW_OK) st = twi_node_layout(b, b->node, TWI_F32, TWI_ORDER_PLAIN, &plain);
    if (st == TW_OK) st = twi_build_value(b, plain, 0, &value);
    if (st == TW_OK) st = twi_onednn_step(b, primitive, 2, in, NULL, &value);
    if (st == TW_OK) twi_onednn_done(b, value);
    return st;
}
