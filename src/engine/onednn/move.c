/* move.c - operators that only move values: copies with strides, of maps whose channels come last
 * and of tokens. */
#include "engine/onednn/nodes.h"

#include "engine/team.h"

#include <string.h>

#define LOOPS 5

/* out[out_first + sum of i * out_stride] = in[in_first + sum of i * in_stride] over all i below
 * count, of one picture, in elements. The last loop is the innermost. */
typedef struct move {
    const void *constant; /* of every picture, instead of an input; or NULL */
    size_t in;            /* which input */
    size_t in_first, out_first;
    size_t count[LOOPS], in_stride[LOOPS], out_stride[LOOPS];
} move;

typedef struct move_state {
    const move *moves;
    size_t n, batch, threads;
    size_t element;        /* bytes */
    const size_t *in_each; /* elements of one picture, of each input */
    size_t out_each;
    bool fill; /* with value first */
    float value;
} move_state;

typedef struct move_job {
    const move_state *s;
    const unsigned char *const *in;
    unsigned char *out;
} move_job;

/* n elements from src, in_stride apart, to dst. */
static void copy_line(size_t element, size_t n, const unsigned char *src, size_t in_stride,
                      unsigned char *dst, size_t out_stride)
{
    if (in_stride == 1 && out_stride == 1) {
        memcpy(dst, src, n * element);
    } else if (element == 2) {
        const uint16_t *from = (const uint16_t *)(const void *)src;
        uint16_t *to = (uint16_t *)(void *)dst;
        for (size_t i = 0; i < n; i++) to[i * out_stride] = from[i * in_stride];
    } else {
        const uint32_t *from = (const uint32_t *)(const void *)src;
        uint32_t *to = (uint32_t *)(void *)dst;
        for (size_t i = 0; i < n; i++) to[i * out_stride] = from[i * in_stride];
    }
}

/* Everything of one picture whose outermost counter is outer. */
static void move_slab(const move_job *j, const move *m, size_t picture, size_t outer)
{
    const move_state *s = j->s;
    const unsigned char *src = m->constant;
    const size_t from = m->in_first + outer * m->in_stride[0];
    src = src ? src + from * s->element
              : j->in[m->in] + (picture * s->in_each[m->in] + from) * s->element;
    unsigned char *dst =
        j->out + (picture * s->out_each + m->out_first + outer * m->out_stride[0]) * s->element;
    for (size_t a = 0; a < m->count[1]; a++)
        for (size_t b = 0; b < m->count[2]; b++)
            for (size_t c = 0; c < m->count[3]; c++)
                copy_line(s->element, m->count[4],
                          src + (a * m->in_stride[1] + b * m->in_stride[2] + c * m->in_stride[3]) *
                                    s->element,
                          m->in_stride[4],
                          dst +
                              (a * m->out_stride[1] + b * m->out_stride[2] + c * m->out_stride[3]) *
                                  s->element,
                          m->out_stride[4]);
}

static void fill_picture(const move_job *j, size_t picture)
{
    const move_state *s = j->s;
    unsigned char *at = j->out + picture * s->out_each * s->element;
    const uint16_t half = twi_f32_to_bf16(s->value);
    for (size_t i = 0; i < s->out_each; i++)
        memcpy(at + i * s->element, s->element == 2 ? (const void *)&half : (const void *)&s->value,
               s->element);
}

/* Whole pictures when there are enough of them to fill, or slabs. */
static void move_share(void *user, size_t member, size_t members)
{
    const move_job *j = user;
    const move_state *s = j->s;
    size_t begin, end;
    if (s->fill) {
        twi_team_share(s->batch, member, members, &begin, &end);
        for (size_t i = begin; i < end; i++) fill_picture(j, i);
        if (members > 1) twi_team_barrier();
    }
    for (size_t k = 0; k < s->n; k++) {
        const move *m = &s->moves[k];
        twi_team_share(s->batch * m->count[0], member, members, &begin, &end);
        for (size_t i = begin; i < end; i++) move_slab(j, m, i / m->count[0], i % m->count[0]);
    }
}

static tw_status move_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace, void *bound)
{
    (void)ctx;
    const unsigned char **in = bound;
    for (size_t i = 0; i < step->n_in; i++) in[i] = workspace->at[step->in[i]];
    move_job job = {.s = step->state, .in = in, .out = workspace->at[step->out]};
    twi_team_run(job.s->threads, move_share, &job);
    return TW_OK;
}

static tw_status move_bind(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                           void **bound)
{
    (void)workspace;
    return twi_alloc_bytes(ctx, step->n_in, sizeof(const unsigned char *), false, bound);
}

static const twi_step_kind move_kind = {move_bind, twi_free, move_run};

/* ---- building ------------------------------------------------------------------------------ */

/* Elements between neighbours along each axis of a value: maps have their channels last. */
static void strides_of(const twi_shape *s, size_t stride[3])
{
    if (s->rank == 3) {
        stride[0] = 1, stride[1] = s->dims[2] * s->dims[0], stride[2] = s->dims[0];
    } else {
        stride[0] = s->rank == 2 ? s->dims[1] : 1;
        stride[1] = 1;
    }
}

/* loops axes, the last loop last: from out's axis order [loops] (channels innermost). */
typedef struct loops {
    size_t n;
    size_t count[LOOPS], in[LOOPS], out[LOOPS];
} loops;

static void loop(loops *l, size_t count, size_t in, size_t out)
{
    l->count[l->n] = count, l->in[l->n] = in, l->out[l->n] = out;
    l->n++;
}

/* The loops as a move: outer ones that are not there have one turn. */
static move move_of(const loops *l, size_t in_first, size_t out_first)
{
    move m = {.in_first = in_first, .out_first = out_first};
    for (size_t i = 0; i < LOOPS; i++) {
        const size_t missing = LOOPS - l->n;
        m.count[i] = i < missing ? 1 : l->count[i - missing];
        m.in_stride[i] = i < missing ? 0 : l->in[i - missing];
        m.out_stride[i] = i < missing ? 0 : l->out[i - missing];
    }
    return m;
}

/* The loops of a copy of part dims of a value: out's axes in their order in memory. */
static loops copy_loops(const twi_shape *part, const size_t in[3], const size_t out[3])
{
    loops l = {0};
    if (part->rank == 3) {
        loop(&l, part->dims[1], in[1], out[1]);
        loop(&l, part->dims[2], in[2], out[2]);
        loop(&l, part->dims[0], in[0], out[0]);
    } else {
        for (size_t i = 0; i < part->rank; i++) loop(&l, part->dims[i], in[i], out[i]);
    }
    return l;
}

static twi_order order_of(const twi_shape *shape)
{
    return shape->rank == 3 ? TWI_ORDER_NHWC : TWI_ORDER_PLAIN;
}

/* The inputs in dtype, channels last. */
static tw_status move_inputs(twi_build *b, twi_dtype dtype, uint32_t *in, size_t *in_each)
{
    const twi_node *node = twi_build_node(b);
    tw_status st = TW_OK;
    for (size_t i = 0; i < node->n_inputs && st == TW_OK; i++) {
        const twi_shape *shape = &b->shapes[node->inputs[i]];
        const twi_layout *layout;
        in_each[i] = twi_shape_elements(shape);
        st = twi_node_layout(b, node->inputs[i], dtype, order_of(shape), &layout);
        if (st == TW_OK) st = twi_onednn_as(b, twi_input_value(b, i), layout, &in[i]);
    }
    return st;
}

/* A step that makes the node's value by the moves [n]; fill NULL: they write all of it. */
static tw_status move_build(twi_build *b, twi_dtype dtype, const move *moves, size_t n,
                            const float *fill)
{
    const twi_node *node = twi_build_node(b);
    twi_arena *memory = &b->program->memory;
    const twi_layout *layout;
    uint32_t *in;
    size_t *in_each;
    move_state *s;
    move *copy;
    tw_status st = twi_arena_take(b->ctx, memory, 1, &s);
    if (st == TW_OK) st = twi_arena_take(b->ctx, memory, n, &copy);
    if (st == TW_OK) st = twi_arena_take(b->ctx, memory, node->n_inputs, &in);
    if (st == TW_OK) st = twi_arena_take(b->ctx, memory, node->n_inputs, &in_each);
    if (st != TW_OK) return st;
    memcpy(copy, moves, n * sizeof *copy);
    *s = (move_state){.moves = copy,
                      .n = n,
                      .batch = b->program->opts.batch,
                      .threads = b->program->opts.threads,
                      .element = twi_dtype_size(dtype),
                      .in_each = in_each,
                      .out_each = twi_shape_elements(&b->shapes[b->node]),
                      .fill = fill != NULL,
                      .value = fill ? *fill : 0.0f};
    twi_step step = {
        .kind = &move_kind, .n_in = node->n_inputs, .in = in, .scratch = TWI_NO_VALUE, .state = s};
    st = move_inputs(b, dtype, in, in_each);
    if (st == TW_OK)
        st = twi_node_layout(b, b->node, dtype, order_of(&b->shapes[b->node]), &layout);
    if (st == TW_OK) st = twi_build_value(b, layout, 0, &step.out);
    if (st == TW_OK) st = twi_build_step(b, &step);
    if (st == TW_OK) twi_onednn_done(b, step.out);
    return st;
}

static twi_dtype input_dtype(const twi_build *b, size_t i)
{
    return twi_layout_dtype(twi_value_layout(b, twi_input_value(b, i)));
}

/* One move that loops l describe. */
static tw_status move_loops(twi_build *b, const loops *l, size_t in_first)
{
    const move m = move_of(l, in_first, 0);
    return move_build(b, input_dtype(b, 0), &m, 1, NULL);
}

/* ---- any value ----------------------------------------------------------------------------- */

tw_status twi_onednn_slice(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *out = &b->shapes[b->node];
    size_t from[3], to[3];
    strides_of(&b->shapes[node->inputs[0]], from);
    strides_of(out, to);
    const size_t first = node->start * from[node->axis];
    from[node->axis] *= node->step;
    const loops l = copy_loops(out, from, to);
    return move_loops(b, &l, first);
}

tw_status twi_onednn_transpose(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *out = &b->shapes[b->node];
    size_t from[3], to[3], turned[3] = {0};
    strides_of(&b->shapes[node->inputs[0]], from);
    strides_of(out, to);
    for (size_t i = 0; i < out->rank; i++) turned[i] = from[node->axes.dims[i]];
    const loops l = copy_loops(out, turned, to);
    return move_loops(b, &l, 0);
}

/* The bytes in the order the axes are written in, under another name. */
tw_status twi_onednn_reshape(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const uint32_t from = node->inputs[0];
    uint32_t value = twi_input_value(b, 0);
    const twi_dtype dtype = twi_layout_dtype(twi_value_layout(b, value));
    const twi_layout *plain, *layout;
    tw_status st = twi_node_layout(b, from, dtype, TWI_ORDER_PLAIN, &plain);
    if (st == TW_OK) st = twi_onednn_as(b, value, plain, &value);
    if (st == TW_OK) st = twi_node_layout(b, b->node, dtype, TWI_ORDER_PLAIN, &layout);
    if (st == TW_OK) st = twi_onednn_relabel(b, value, layout, &value);
    if (st == TW_OK) twi_onednn_done(b, value);
    return st;
}

/* A map whose channels come last is tokens, and the other way round. */
tw_status twi_onednn_tokens(twi_build *b)
{
    const uint32_t from = twi_build_node(b)->inputs[0];
    uint32_t value = twi_input_value(b, 0);
    const twi_dtype dtype = twi_layout_dtype(twi_value_layout(b, value));
    const twi_layout *layout;
    tw_status st = twi_node_layout(b, from, dtype, order_of(&b->shapes[from]), &layout);
    if (st == TW_OK) st = twi_onednn_as(b, value, layout, &value);
    if (st == TW_OK)
        st = twi_node_layout(b, b->node, dtype, order_of(&b->shapes[b->node]), &layout);
    if (st == TW_OK) st = twi_onednn_relabel(b, value, layout, &value);
    if (st == TW_OK) twi_onednn_done(b, value);
    return st;
}

/* ---- maps ---------------------------------------------------------------------------------- */

/* wide [h, w, c] <-> deep [h / b, w / b, b b c], or c b b. */
static void block_strides(const twi_node *node, size_t channels, size_t stride[3])
{
    const size_t block = node->block, square = block * block;
    stride[0] = node->crd ? block : block * channels; /* one row of a block */
    stride[1] = node->crd ? 1 : channels;
    stride[2] = node->crd ? square : 1; /* one channel */
}

tw_status twi_onednn_depth_to_space(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const size_t *in = b->shapes[node->inputs[0]].dims, *out = b->shapes[b->node].dims;
    const size_t block = node->block, row = out[2] * out[0];
    size_t deep[3];
    loops l = {0};
    block_strides(node, out[0], deep);
    loop(&l, in[1], in[2] * in[0], block * row);
    loop(&l, block, deep[0], row);
    loop(&l, in[2], in[0], block * out[0]);
    loop(&l, block, deep[1], out[0]);
    loop(&l, out[0], deep[2], 1);
    return move_loops(b, &l, 0);
}

tw_status twi_onednn_space_to_depth(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const size_t *in = b->shapes[node->inputs[0]].dims, *out = b->shapes[b->node].dims;
    const size_t block = node->block, row = in[2] * in[0];
    size_t deep[3];
    loops l = {0};
    block_strides(node, in[0], deep);
    loop(&l, out[1], block * row, out[2] * out[0]);
    loop(&l, block, row, deep[0]);
    loop(&l, out[2], block * in[0], out[0]);
    loop(&l, block, in[0], deep[1]);
    loop(&l, in[0], 1, deep[2]);
    return move_loops(b, &l, 0);
}

tw_status twi_onednn_channel_shuffle(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const size_t *dims = b->shapes[b->node].dims, each = dims[0] / node->groups;
    loops l = {0};
    loop(&l, dims[1], dims[2] * dims[0], dims[2] * dims[0]);
    loop(&l, dims[2], dims[0], dims[0]);
    loop(&l, node->groups, each, 1);
    loop(&l, each, 1, node->groups);
    return move_loops(b, &l, 0);
}

/* Four corners change places. */
tw_status twi_onednn_roll(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *shape = &b->shapes[b->node];
    size_t stride[3], to[2], n = 0;
    move moves[4];
    strides_of(shape, stride);
    for (int i = 0; i < 2; i++) {
        const long size = (long)shape->dims[1 + i], shift = node->shift[i] % size;
        to[i] = (size_t)(shift < 0 ? shift + size : shift);
    }
    for (int corner = 0; corner < 4; corner++) {
        twi_shape part = *shape;
        size_t in = 0, out = 0;
        for (int i = 0; i < 2; i++) { /* the end comes to the beginning, the beginning moves on */
            const bool wraps = corner >> i & 1;
            const size_t left = shape->dims[1 + i] - to[i];
            part.dims[1 + i] = wraps ? to[i] : left;
            in += (wraps ? left : 0) * stride[1 + i];
            out += (wraps ? 0 : to[i]) * stride[1 + i];
        }
        if (part.dims[1] == 0 || part.dims[2] == 0) continue;
        const loops l = copy_loops(&part, stride, stride);
        moves[n++] = move_of(&l, in, out);
    }
    return move_build(b, input_dtype(b, 0), moves, n, NULL);
}

tw_status twi_onednn_pad(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const twi_shape *in = &b->shapes[node->inputs[0]];
    const float value = (float)node->value;
    size_t from[3], to[3];
    if (node->pad_mode != TWI_PAD_CONSTANT) return twi_onednn_resample(b);
    strides_of(in, from);
    strides_of(&b->shapes[b->node], to);
    const loops l = copy_loops(in, from, to);
    const size_t *begin = node->window.pad_begin;
    const move m = move_of(&l, 0, begin[0] * to[1] + begin[1] * to[2]);
    return move_build(b, input_dtype(b, 0), &m, 1, &value);
}

/* ---- tokens -------------------------------------------------------------------------------- */

/* n rows of tokens as a move that writes from row first on. */
static move rows_move(size_t n, size_t d, size_t first)
{
    loops l = {0};
    loop(&l, n, d, d);
    loop(&l, d, 1, 1);
    return move_of(&l, 0, first * d);
}

/* In float32: what a transformer adds to through all its layers. */
tw_status twi_onednn_prepend_token(twi_build *b)
{
    const twi_shape *out = &b->shapes[b->node];
    const size_t n = twi_build_node(b)->params[TWI_PARAM_TOKEN]->dims[0], d = out->dims[1];
    const twi_packed *token;
    const tw_status st = twi_build_floats(b, b->node, TWI_PARAM_TOKEN, &token);
    if (st != TW_OK) return st;
    move moves[2] = {rows_move(n, d, 0), rows_move(out->dims[0] - n, d, n)};
    moves[0].constant = token->data; /* the program's, as this step is */
    return move_build(b, TWI_F32, moves, 2, NULL);
}

/* One list of tokens behind the other. */
tw_status twi_onednn_concat_tokens(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const size_t d = b->shapes[b->node].dims[1];
    twi_dtype dtype = TWI_BF16;
    size_t first = 0;
    move *moves;
    tw_status st = twi_alloc(b->ctx, node->n_inputs, &moves);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < node->n_inputs; i++) {
        const size_t n = b->shapes[node->inputs[i]].dims[0];
        moves[i] = rows_move(n, d, first);
        moves[i].in = i;
        first += n;
        if (input_dtype(b, i) == TWI_F32) dtype = TWI_F32;
    }
    st = move_build(b, dtype, moves, node->n_inputs, NULL);
    twi_free(moves);
    return st;
}

tw_status twi_onednn_take_token(twi_build *b)
{
    const size_t d = b->shapes[b->node].dims[0];
    loops l = {0};
    loop(&l, d, 1, 1);
    return move_loops(b, &l, twi_build_node(b)->index * d);
}

/* The windows of a map of those dims: pixel (y, x) of window (v, u), in its order in tokens (where
 * tokens is true) or in the map. */
static loops window_loops(const twi_node *node, const size_t dims[3], bool partition)
{
    const size_t *size = node->size, c = dims[0];
    const size_t down = dims[1] / size[0], across = dims[2] / size[1], row = dims[2] * c;
    /* In the map: from window to window, and from pixel to pixel. */
    const size_t window_y = node->grid ? row : size[0] * row;
    const size_t window_x = node->grid ? c : size[1] * c;
    const size_t pixel_y = node->grid ? down * row : row, pixel_x = node->grid ? across * c : c;
    const size_t token[4] = {across * size[0] * size[1] * c, size[0] * size[1] * c, size[1] * c, c};
    const size_t map[4] = {window_y, window_x, pixel_y, pixel_x};
    const size_t count[4] = {down, across, size[0], size[1]};
    loops l = {0};
    for (size_t i = 0; i < 4; i++)
        loop(&l, count[i], partition ? map[i] : token[i], partition ? token[i] : map[i]);
    loop(&l, c, 1, 1);
    return l;
}

tw_status twi_onednn_window_partition(twi_build *b)
{
    const twi_node *node = twi_build_node(b);
    const loops l = window_loops(node, b->shapes[node->inputs[0]].dims, true);
    return move_loops(b, &l, 0);
}

tw_status twi_onednn_window_reverse(twi_build *b)
{
    const loops l = window_loops(twi_build_node(b), b->shapes[b->node].dims, false);
    return move_loops(b, &l, 0);
}
