/* winograd_weights.c - the gradient of a convolution's weights in Winograd's domain.
 *
 * The product of point p is M = V U, so the gradient of U is V' times that of M, summed over all
 * tiles: again 36 multiplications for 144. Everything else is the transpose of what the forward
 * pass does: A dY A' takes the gradient of outputs to that of M, G' dU G that of U to the filters.
 *
 * Matrices of a point lie in groups of up to 64 channels, [group][row][channel]. */
#include "engine/kernels/winograd.h"

#include "engine/team.h"

#include <string.h>

/* What the transformed tiles of a chunk may take: they live in L3, so that the sums, which a chunk
 * reads and writes once, are not read too often. */
#define CHUNK_BYTES ((size_t)8 << 20)
/* Rows of words multiplied at a time: two groups of 64 channels stay in L1. */
#define BLOCK_ROWS ((size_t)48)
#define WORD       sizeof(float)

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* An odd number of cache lines; see twi_wino_plan(). */
static size_t odd_lines(size_t words)
{
    return ((words * WORD + TWI_ALIGN - 1) / TWI_ALIGN | 1) * (TWI_ALIGN / WORD);
}

/* Tiles that share a row of words. */
static size_t tiles_of_row(const twi_wino *c)
{
    return WORD / c->kernels->element;
}

tw_status twi_wino_weights_plan(tw_ctx *ctx, twi_wino_weights *p)
{
    const twi_wino *c = &p->conv;
    const size_t share = tiles_of_row(c);
    const size_t row_bytes = TWI_WINO_POINTS * (c->in_channels + c->out_channels) * WORD;
    size_t values, sums;
    if (twi_mul(c->in_channels, c->out_channels, &values) ||
        twi_mul(values, TWI_WINO_POINTS * WORD, &sums) || sums > SIZE_MAX / 4)
        return twi_fail(ctx, TW_ERR_NOMEM, "gradients of %zu x %zu filters do not fit",
                        c->in_channels, c->out_channels);
    p->rows = CHUNK_BYTES / row_bytes / BLOCK_ROWS * BLOCK_ROWS;
    if (p->rows < BLOCK_ROWS) p->rows = BLOCK_ROWS;
    p->rows = smaller(p->rows, (c->tiles + share - 1) / share);
    p->chunk = p->rows * share;
    p->v_point = odd_lines(p->rows * c->in_channels);
    p->m_point = odd_lines(p->rows * c->out_channels);
    p->u_point = odd_lines(values);
    p->scratch_bytes = TWI_WINO_POINTS * (p->v_point + p->m_point + p->u_point) * WORD;
    return TW_OK;
}

/* The matrices of all points: [points][group of channels][row][channel]. */
typedef struct matrix {
    uint32_t *words;
    size_t channels, point; /* point: from one to the next */
} matrix;

typedef struct job {
    const twi_wino_weights *plan;
    const twi_wino_weights_args *args;
    matrix v, m; /* of sources; of gradients */
    float *u;    /* [points][out][in] */
} job;

/* ---- transforms ---------------------------------------------------------------------------- */

/* A tile of a map, as a kernel wants it. */
typedef struct map_tile {
    const void *at;
    const twi_wino_strides *strides;
    twi_wino_inside inside;
} map_tile;

typedef void transform(const void *src, const twi_wino_strides *strides, twi_wino_inside inside,
                       size_t n_blocks, void *v, size_t v_point, bool odd);

/* Tile of_chunk of the chunk, group by group. */
static void transform_tile(const twi_wino_weights *p, transform *fn, const map_tile *tile,
                           size_t of_chunk, const matrix *to)
{
    const size_t share = tiles_of_row(&p->conv);
    const uintptr_t block = (uintptr_t)tile->strides->block * p->conv.kernels->element;
    for (size_t group = 0; group < to->channels; group += TWI_WINO_GROUP) {
        const size_t width = smaller(TWI_WINO_GROUP, to->channels - group);
        fn((const void *)((uintptr_t)tile->at + group / TWI_WINO_LANES * block), tile->strides,
           tile->inside, width / TWI_WINO_LANES,
           to->words + group * p->rows + of_chunk / share * width, to->point,
           of_chunk % share == 1);
    }
}

static void transform_both(const job *j, size_t tile, size_t of_chunk)
{
    const twi_wino *c = &j->plan->conv;
    map_tile t = {.strides = &c->src};
    uintptr_t offset = (uintptr_t)twi_wino_tile_source(c, tile, &t.inside);
    t.at = (const void *)((uintptr_t)j->args->src + offset);
    transform_tile(j->plan, c->kernels->gather, &t, of_chunk, &j->v);
    t.strides = &c->dst;
    offset = (uintptr_t)twi_wino_tile_outputs(c, tile, &t.inside);
    t.at = (const void *)((uintptr_t)j->args->gradient + offset);
    transform_tile(j->plan, c->kernels->spread, &t, of_chunk, &j->m);
}

/* ---- products ------------------------------------------------------------------------------ */

/* Sums of one point for one group of outputs: rows of the chunk, a block of them at a time. */
static void multiply(const job *j, size_t point, size_t group, size_t rows, bool first)
{
    const twi_wino_weights *p = j->plan;
    const size_t in = p->conv.in_channels, outputs = smaller(TWI_WINO_GROUP, j->m.channels - group);
    const uint32_t *m = j->m.words + point * p->m_point + group * p->rows;
    const uint32_t *v = j->v.words + point * p->v_point;
    float *u = j->u + point * p->u_point + group * in;
    for (size_t at = 0; at < in; at += TWI_WINO_GROUP) {
        const size_t width = smaller(TWI_WINO_GROUP, in - at);
        for (size_t r = 0; r < rows; r += BLOCK_ROWS) {
            const twi_wino_product product = {.rows = smaller(BLOCK_ROWS, rows - r),
                                              .outputs = outputs,
                                              .lanes16 = width / TWI_WINO_LANES,
                                              .v = v + at * p->rows + r * width,
                                              .m = m + r * outputs,
                                              .v_row = width,
                                              .m_row = outputs,
                                              .sum_row = in,
                                              .sum = u + at,
                                              .first = first && r == 0};
            p->conv.kernels->accumulate(&product);
        }
    }
}

static void run_chunk(const job *j, size_t first, size_t member, size_t members)
{
    const twi_wino_weights *p = j->plan;
    const size_t share = tiles_of_row(&p->conv), count = smaller(p->chunk, p->conv.tiles - first);
    const size_t rows = (count + share - 1) / share;
    const size_t groups = (p->conv.out_channels + TWI_WINO_GROUP - 1) / TWI_WINO_GROUP;
    size_t begin, end;
    twi_team_share(rows, member, members, &begin, &end); /* tiles of a row to one thread */
    for (size_t t = begin * share; t < smaller(end * share, count); t++)
        transform_both(j, first + t, t);
    if (members > 1) twi_team_barrier();
    twi_team_share(groups * TWI_WINO_POINTS, member, members, &begin, &end);
    for (size_t i = begin; i < end; i++)
        multiply(j, i / groups, i % groups * TWI_WINO_GROUP, rows, first == 0);
    if (members > 1) twi_team_barrier();
}

/* ---- what comes out ------------------------------------------------------------------------ */

static void collect(const job *j, size_t out)
{
    const twi_wino_weights *p = j->plan;
    const size_t in = p->conv.in_channels;
    for (size_t i = 0; i < in; i += TWI_WINO_LANES)
        p->conv.kernels->collect(j->u + out * in + i, p->u_point,
                                 j->args->weights + (out * in + i) * 9);
}

/* 16 channels of the bias, from channel 16 * block on. */
static void sum_bias(const job *j, size_t block)
{
    const twi_wino *c = &j->plan->conv;
    double sums[TWI_WINO_LANES] = {0};
    for (size_t image = 0; image < c->batch; image++)
        for (size_t row = 0; row < c->out_size[0]; row++) {
            float of_row[TWI_WINO_LANES];
            const ptrdiff_t at = (ptrdiff_t)image * c->dst.image + (ptrdiff_t)row * c->dst.row +
                                 (ptrdiff_t)block * c->dst.block;
            const uintptr_t bytes = (uintptr_t)(at * (ptrdiff_t)c->kernels->element);
            c->kernels->add((const void *)((uintptr_t)j->args->gradient + bytes), c->dst.pixel,
                            c->out_size[1], of_row);
            for (size_t l = 0; l < TWI_WINO_LANES; l++) sums[l] += (double)of_row[l];
        }
    for (size_t l = 0; l < TWI_WINO_LANES; l++)
        j->args->bias[block * TWI_WINO_LANES + l] = (float)sums[l];
}

static void run_share(void *user, size_t member, size_t members)
{
    const job *j = user;
    const twi_wino *c = &j->plan->conv;
    size_t begin, end;
    for (size_t t = 0; t < c->tiles; t += j->plan->chunk) run_chunk(j, t, member, members);
    twi_team_share(c->out_channels, member, members, &begin, &end);
    for (size_t o = begin; o < end; o++) collect(j, o);
    if (!j->args->bias) return;
    twi_team_share(c->out_channels / TWI_WINO_LANES, member, members, &begin, &end);
    for (size_t b = begin; b < end; b++) sum_bias(j, b);
}

void twi_wino_weights_run(const twi_wino_weights *p, const twi_wino_weights_args *args)
{
    uint32_t *words = args->scratch;
    job j = {.plan = p, .args = args};
    j.v = (matrix){words, p->conv.in_channels, p->v_point};
    j.m = (matrix){words + TWI_WINO_POINTS * p->v_point, p->conv.out_channels, p->m_point};
    j.u = (float *)(void *)(words + TWI_WINO_POINTS * (p->v_point + p->m_point));
    twi_team_run(p->conv.threads, run_share, &j);
}
