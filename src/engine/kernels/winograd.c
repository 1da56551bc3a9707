/* winograd.c - tiling, packing and the order of work; the arithmetic is in the kernels. */
#include "engine/kernels/winograd.h"

#include "engine/team.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* Tiles multiplied together: enough that weights, which stream through the cache, are used often,
 * and few enough that what they are transformed into stays in a core's L2 (1 to 2 MiB) while
 * channels are few. */
#define BLOCK_TILES ((size_t)48)
/* Threads work together on a chunk when there are fewer tiles than this many blocks for each. */
#define TOGETHER_BLOCKS ((size_t)3)
/* What a chunk may take once it is shared and lives in L3. */
#define CHUNK_BYTES ((size_t)4 << 20)

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* An odd number of cache lines, so that the 36 points of a tile do not all fall into one set. */
static size_t odd_lines(size_t elements, size_t size)
{
    const size_t lines = round_up(elements * size, TWI_ALIGN) / TWI_ALIGN;
    return (lines | 1) * TWI_ALIGN / size;
}

tw_status twi_wino_plan(tw_ctx *ctx, twi_wino *c)
{
    c->tiles_down = round_up(c->out_size[0], TWI_WINO_OUT) / TWI_WINO_OUT;
    c->tiles_across = round_up(c->out_size[1], TWI_WINO_OUT) / TWI_WINO_OUT;
    size_t values;
    if (twi_mul(c->tiles_down * c->tiles_across, c->batch, &c->tiles) ||
        twi_mul(c->tiles, TWI_WINO_POINTS * sizeof(float), &values) ||
        twi_mul(values, c->in_channels + c->out_channels, &values))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu tiles of a convolution do not fit", c->tiles);
    c->together = c->tiles < TOGETHER_BLOCKS * BLOCK_TILES * c->threads;
    const size_t tile_bytes = TWI_WINO_POINTS * c->in_channels * c->kernels->element;
    c->chunk = c->together ? CHUNK_BYTES / tile_bytes / BLOCK_TILES * BLOCK_TILES : BLOCK_TILES;
    if (c->chunk < BLOCK_TILES) c->chunk = BLOCK_TILES;
    c->chunk = smaller(c->chunk, c->tiles);
    /* Blocks of a chunk are about equal. */
    c->block = c->chunk / (round_up(c->chunk, BLOCK_TILES) / BLOCK_TILES);
    if (c->chunk % c->block) c->block++;
    c->v_point = odd_lines(c->chunk * c->in_channels, c->kernels->element);
    c->m_point = odd_lines(c->block * TWI_WINO_GROUP, sizeof(float));
    c->v_bytes = TWI_WINO_POINTS * c->v_point * c->kernels->element;
    c->m_bytes = TWI_WINO_POINTS * c->m_point * sizeof(float);
    if (c->kernels
            ->quantise) { /* behind v the scales of its rows; for each thread a tile in floats */
        c->v_bytes += round_up(TWI_WINO_POINTS * c->chunk * sizeof(float), TWI_ALIGN);
        c->floats_bytes = TWI_WINO_POINTS * c->in_channels * sizeof(float);
    }
    c->scratch_bytes = (c->together ? c->v_bytes : c->v_bytes * c->threads) +
                       (c->m_bytes + c->floats_bytes) * c->threads;
    return TW_OK;
}

/* In 8 bits: where the scales of chunk v's rows are. */
static float *row_scales(const twi_wino *c, unsigned char *v)
{
    return (float *)(void *)(v + TWI_WINO_POINTS * c->v_point);
}

/* ---- weights ------------------------------------------------------------------------------- */

/* Outputs in the group that begins with output `group`. */
static size_t group_width(const twi_wino *c, size_t group)
{
    return smaller(TWI_WINO_GROUP, c->out_channels - group);
}

/* Where the matrix of point i of a group begins, in elements. Whoever packs writes to all 36 points
 * in turn: were they a power of two apart, they would push each other out of the cache. */
static size_t matrix_at(const twi_wino *c, size_t group, size_t i)
{
    const size_t size = c->kernels->element;
    return TWI_WINO_POINTS * (group / TWI_WINO_GROUP) *
               odd_lines(c->in_channels * TWI_WINO_GROUP, size) +
           i * odd_lines(c->in_channels * group_width(c, group), size);
}

static size_t matrix_bytes(const twi_wino *c)
{
    const size_t last = (c->out_channels - 1) / TWI_WINO_GROUP * TWI_WINO_GROUP;
    return matrix_at(c, last, TWI_WINO_POINTS) * c->kernels->element;
}

/* In 8 bits scales and starts of each column follow the matrices, in their order. */
size_t twi_wino_packed_bytes(const twi_wino *c)
{
    const size_t columns = TWI_WINO_POINTS * c->out_channels;
    return matrix_bytes(c) +
           (c->kernels->quantise ? columns * (sizeof(float) + sizeof(int32_t)) : 0);
}

/* twi_f32_to_bf16(), here for the compiler to vectorise. */
static uint16_t rounded(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    return (uint16_t)((nan ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

typedef float filter_row[TWI_WINO_LANES];

/* Filters of 16 outputs from out on and two inputs from in on. Groups of up to 64 output channels;
 * in each the 36 points; in each, for float32, [in][out], for bfloat16 pairs of input channels next
 * to each other: [in / 2][out][2]. */
static void store_filters(const twi_wino *c, size_t in, size_t out,
                          const filter_row from[2][TWI_WINO_POINTS], void *u)
{
    const size_t group = out / TWI_WINO_GROUP * TWI_WINO_GROUP;
    const size_t width = group_width(c, group);
    for (size_t i = 0; i < TWI_WINO_POINTS; i++) {
        const size_t at = matrix_at(c, group, i) + in * width;
        if (c->kernels->element == sizeof(float)) {
            float *to = (float *)u + at + (out - group);
            memcpy(to, from[0][i], sizeof from[0][i]);
            memcpy(to + width, from[1][i], sizeof from[1][i]);
        } else {
            uint16_t *to = (uint16_t *)u + at + (out - group) * 2;
            for (size_t l = 0; l < TWI_WINO_LANES; l++) {
                to[2 * l] = rounded(from[0][i][l]);
                to[2 * l + 1] = rounded(from[1][i][l]);
            }
        }
    }
}

/* The same in 8 bits: [in / 4][out][4]. */
static void store_eights(const twi_wino *c, size_t in, size_t out,
                         const float from[TWI_WINO_POINTS][TWI_WINO_LANES],
                         const float inverse[TWI_WINO_POINTS][TWI_WINO_LANES],
                         int32_t sums[TWI_WINO_POINTS][TWI_WINO_LANES], int8_t *u)
{
    const size_t group = out / TWI_WINO_GROUP * TWI_WINO_GROUP;
    const size_t width = group_width(c, group);
    for (size_t i = 0; i < TWI_WINO_POINTS; i++) {
        int8_t *to = u + matrix_at(c, group, i) + (in / 4 * width + (out - group)) * 4 + in % 4;
        for (size_t l = 0; l < TWI_WINO_LANES; l++) {
            const int8_t value = (int8_t)lrintf(from[i][l] * inverse[i][l]);
            to[4 * l] = value;
            sums[i][l] += value;
        }
    }
}

twi_wino_filters twi_wino_filters_of(const float *weights, size_t in_channels)
{
    return (twi_wino_filters){weights, (ptrdiff_t)in_channels * 9, 9, 1};
}

twi_wino_filters twi_wino_filters_back(const float *weights, size_t in_channels)
{
    return (twi_wino_filters){weights + 8, 9, (ptrdiff_t)in_channels * 9, -1};
}

typedef struct packing {
    const twi_wino *conv;
    const twi_wino_filters *filters;
    void *u;
} packing;

static void filters_of(const packing *p, size_t in, size_t out, filter_row u[TWI_WINO_POINTS])
{
    const twi_wino_filters *f = p->filters;
    p->conv->kernels->filters(f->at + (ptrdiff_t)out * f->out + (ptrdiff_t)in * f->in, f->out,
                              f->step, u);
}

/* 16 outputs in 8 bits. Filters are worked out twice: to find the largest, and to round them. */
static void pack_eights(const packing *p, size_t out)
{
    const twi_wino *c = p->conv;
    float u[TWI_WINO_POINTS][TWI_WINO_LANES], most[TWI_WINO_POINTS][TWI_WINO_LANES] = {{0}};
    float inverse[TWI_WINO_POINTS][TWI_WINO_LANES];
    int32_t sums[TWI_WINO_POINTS][TWI_WINO_LANES] = {{0}};
    const size_t group = out / TWI_WINO_GROUP * TWI_WINO_GROUP;
    const size_t width = group_width(c, group);
    float *scales = (float *)(void *)((unsigned char *)p->u + matrix_bytes(c));
    int32_t *starts = (int32_t *)(void *)(scales + TWI_WINO_POINTS * c->out_channels);
    for (size_t in = 0; in < c->in_channels; in++) {
        filters_of(p, in, out, u);
        for (size_t i = 0; i < TWI_WINO_POINTS; i++)
            for (size_t l = 0; l < TWI_WINO_LANES; l++)
                most[i][l] = fmaxf(most[i][l], fabsf(u[i][l]));
    }
    for (size_t i = 0; i < TWI_WINO_POINTS; i++)
        for (size_t l = 0; l < TWI_WINO_LANES; l++)
            inverse[i][l] = most[i][l] > 0 ? 127.0f / most[i][l] : 0.0f;
    for (size_t in = 0; in < c->in_channels; in++) {
        filters_of(p, in, out, u);
        store_eights(c, in, out, (const filter_row *)u, (const filter_row *)inverse, sums, p->u);
    }
    for (size_t i = 0; i < TWI_WINO_POINTS; i++)
        for (size_t l = 0; l < TWI_WINO_LANES; l++) {
            const size_t at = TWI_WINO_POINTS * group + i * width + (out - group) + l;
            scales[at] = most[i][l] / 127.0f;
            starts[at] = -128 * sums[i][l];
        }
}

static void pack_share(void *user, size_t member, size_t members)
{
    const packing *p = user;
    const bool eight = p->conv->kernels->quantise != NULL;
    size_t begin, end;
    twi_team_share(p->conv->out_channels / TWI_WINO_LANES, member, members, &begin, &end);
    for (size_t out = begin * TWI_WINO_LANES; out < end * TWI_WINO_LANES; out += TWI_WINO_LANES) {
        if (eight) pack_eights(p, out);
        for (size_t in = 0; !eight && in < p->conv->in_channels; in += 2) {
            filter_row u[2][TWI_WINO_POINTS];
            filters_of(p, in, out, u[0]);
            filters_of(p, in + 1, out, u[1]);
            store_filters(p->conv, in, out, (const filter_row(*)[TWI_WINO_POINTS])u, p->u);
        }
    }
}

void twi_wino_pack(const twi_wino *c, const twi_wino_filters *filters, void *u)
{
    packing p = {c, filters, u};
    twi_team_run(c->threads, pack_share, &p);
}

/* ---- computing ----------------------------------------------------------------------------- */

typedef struct job {
    const twi_wino *conv;
    const unsigned char *src, *u;
    unsigned char *dst, *scratch;
    const float *bias;
    atomic_size_t next; /* chunk that nobody has taken yet, when each works on its own */
} job;

twi_wino_place twi_wino_tile(const twi_wino *c, size_t tile)
{
    const size_t across = tile % c->tiles_across, rest = tile / c->tiles_across;
    return (twi_wino_place){rest / c->tiles_down, rest % c->tiles_down * TWI_WINO_OUT,
                            across * TWI_WINO_OUT};
}

static int clamp(ptrdiff_t value, int most)
{
    return value < 0 ? 0 : value > most ? most : (int)value;
}

ptrdiff_t twi_wino_tile_source(const twi_wino *c, size_t tile, twi_wino_inside *inside)
{
    const twi_wino_place at = twi_wino_tile(c, tile);
    const ptrdiff_t row = (ptrdiff_t)at.row - (ptrdiff_t)c->pad[0];
    const ptrdiff_t column = (ptrdiff_t)at.column - (ptrdiff_t)c->pad[1];
    const ptrdiff_t offset =
        (ptrdiff_t)at.image * c->src.image + row * c->src.row + column * c->src.pixel;
    *inside = (twi_wino_inside){
        clamp(-row, TWI_WINO_IN), clamp((ptrdiff_t)c->in_size[0] - row, TWI_WINO_IN),
        clamp(-column, TWI_WINO_IN), clamp((ptrdiff_t)c->in_size[1] - column, TWI_WINO_IN)};
    return offset * (ptrdiff_t)twi_dtype_size(c->src_dtype);
}

ptrdiff_t twi_wino_tile_outputs(const twi_wino *c, size_t tile, twi_wino_inside *inside)
{
    const twi_wino_place at = twi_wino_tile(c, tile);
    const ptrdiff_t offset = (ptrdiff_t)at.image * c->dst.image + (ptrdiff_t)at.row * c->dst.row +
                             (ptrdiff_t)at.column * c->dst.pixel;
    *inside = (twi_wino_inside){0, clamp((ptrdiff_t)(c->out_size[0] - at.row), TWI_WINO_OUT), 0,
                                clamp((ptrdiff_t)(c->out_size[1] - at.column), TWI_WINO_OUT)};
    return offset * (ptrdiff_t)twi_dtype_size(c->end.dtype);
}

/* tile of the chunk whose matrix is v; floats: room for one tile, in 8 bits. */
static void transform_in(const job *j, size_t tile, size_t of_chunk, unsigned char *v,
                         float *floats)
{
    const twi_wino *c = j->conv;
    twi_wino_inside inside;
    const uintptr_t offset = (uintptr_t)twi_wino_tile_source(c, tile, &inside);
    const void *src = (const void *)((uintptr_t)j->src + offset);
    const size_t blocks = c->in_channels / TWI_WINO_LANES;
    unsigned char *to = v + of_chunk * c->in_channels * c->kernels->element;
    if (!c->kernels->quantise) {
        c->kernels->input(src, c->src_dtype, &c->src, inside, blocks, to, c->v_point);
        return;
    }
    c->kernels->input(src, c->src_dtype, &c->src, inside, blocks, floats, c->in_channels);
    c->kernels->quantise(floats, c->in_channels, c->src_scale, to, c->v_point,
                         row_scales(c, v) + of_chunk, c->chunk);
}

/* Rows of the chunk v from tile `from` on, times the columns of the 16 * lanes16 channels from
 * group on, at point i. */
static void multiply_point(const job *j, size_t group, size_t i, size_t from, size_t count,
                           unsigned char *v, float *m)
{
    const twi_wino *c = j->conv;
    const size_t width = group_width(c, group);
    const size_t size = c->kernels->element, column = TWI_WINO_POINTS * group + i * width;
    const float *scales = (const float *)(const void *)(j->u + matrix_bytes(c));
    const int32_t *starts =
        (const int32_t *)(const void *)(scales + TWI_WINO_POINTS * c->out_channels);
    const bool eight = c->kernels->quantise != NULL;
    const twi_wino_scales both = {eight ? row_scales(c, v) + i * c->chunk + from : NULL,
                                  eight ? scales + column : NULL, eight ? starts + column : NULL};
    c->kernels->multiply(count, c->in_channels, width / TWI_WINO_LANES,
                         v + (i * c->v_point + from * c->in_channels) * size,
                         j->u + matrix_at(c, group, i) * size, eight ? &both : NULL,
                         m + i * c->m_point);
}

/* Outputs of the 16 * lanes16 channels from group on, for tiles [first + from, ... + count) of the
 * chunk v that begins with tile first. */
static void multiply_block(const job *j, size_t group, size_t first, size_t from, size_t count,
                           unsigned char *v, float *m)
{
    const twi_wino *c = j->conv;
    const size_t width = group_width(c, group);
    const ptrdiff_t size = (ptrdiff_t)twi_dtype_size(c->end.dtype);
    for (size_t i = 0; i < TWI_WINO_POINTS; i++) multiply_point(j, group, i, from, count, v, m);
    for (size_t t = 0; t < count; t++) {
        twi_wino_inside inside;
        const ptrdiff_t tile = twi_wino_tile_outputs(c, first + from + t, &inside);
        const ptrdiff_t block = (ptrdiff_t)(group / TWI_WINO_LANES) * c->dst.block;
        c->kernels->output(m + t * TWI_WINO_GROUP, c->m_point, width / TWI_WINO_LANES,
                           j->bias + group, &c->end, inside, &c->dst, j->dst + tile + block * size);
    }
}

/* One chunk of tiles: this member's share of the transforms, and then of the products. The products
 * go group by group, so that a group's weights are used for all tiles while they are in cache. */
static void run_chunk(const job *j, size_t first, size_t count, unsigned char *v, float *m,
                      size_t member, size_t members)
{
    const twi_wino *c = j->conv;
    float *floats = m + c->m_bytes / sizeof *m;
    size_t begin, end;
    twi_team_share(count, member, members, &begin, &end);
    for (size_t t = begin; t < end; t++) transform_in(j, first + t, t, v, floats);
    if (members > 1) twi_team_barrier();
    const size_t blocks = round_up(count, c->block) / c->block;
    const size_t groups = round_up(c->out_channels, TWI_WINO_GROUP) / TWI_WINO_GROUP;
    twi_team_share(groups * blocks, member, members, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const size_t t = i % blocks * c->block;
        multiply_block(j, i / blocks * TWI_WINO_GROUP, first, t, smaller(c->block, count - t), v,
                       m);
    }
    if (members > 1) twi_team_barrier();
}

/* Chunks on its own: whoever is free takes the next, so that a core lent to another program holds
 * nobody up. Which thread computes a tile does not change it. */
static void run_alone(job *j, unsigned char *v, float *m)
{
    const twi_wino *c = j->conv;
    size_t first;
    while ((first = atomic_fetch_add(&j->next, 1) * c->chunk) < c->tiles)
        run_chunk(j, first, smaller(c->chunk, c->tiles - first), v, m, 0, 1);
}

static void run_share(void *user, size_t member, size_t members)
{
    job *j = user;
    const twi_wino *c = j->conv;
    unsigned char *v = j->scratch + (c->together ? 0 : member * c->v_bytes);
    unsigned char *m = j->scratch + (c->together ? c->v_bytes : c->threads * c->v_bytes);
    float *products = (float *)(void *)(m + member * (c->m_bytes + c->floats_bytes));
    if (!c->together) {
        run_alone(j, v, products);
        return;
    }
    for (size_t t = 0; t < c->tiles; t += c->chunk)
        run_chunk(j, t, smaller(c->chunk, c->tiles - t), v, products, member, members);
}

void twi_wino_run(const twi_wino *c, const void *src, const void *u, const float *bias, void *dst,
                  void *scratch)
{
    job j = {c, src, u, dst, scratch, bias, 0};
    twi_team_run(c->threads, run_share, &j);
}
