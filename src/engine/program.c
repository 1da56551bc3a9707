/* program.c - compiling a network, and running what came out. */
#include "engine/program.h"

#include "engine/operators.h"
#include "engine/team.h"

#include <string.h>

/* ---- compiling ----------------------------------------------------------------------------- */

static tw_status check_opts(tw_ctx *ctx, const twi_engine_opts *opts)
{
    if (opts->batch == 0 || opts->threads == 0)
        return twi_fail(ctx, TW_ERR_ARG, "batch %zu, threads %zu: both must be at least 1",
                        opts->batch, opts->threads);
    if (opts->precision == TW_PRECISION_AUTO)
        return twi_fail(ctx, TW_ERR_ARG, "precision auto: the engine needs f32, bf16 or int8");
    if (opts->watch && opts->precision != TW_PRECISION_F32)
        return twi_fail(ctx, TW_ERR_ARG, "precision %s: values are watched in f32 only",
                        twi_precision_name(opts->precision));
    if (opts->reference && opts->precision != TW_PRECISION_F32)
        return twi_fail(ctx, TW_ERR_ARG, "precision %s: the C reference computes in f32 only",
                        twi_precision_name(opts->precision));
    if (!opts->reference && !twi_precision_native(opts->precision))
        return twi_fail(
            ctx, TW_ERR_UNSUPPORTED,
            "precision %s: this machine's instruction set (%s) does not have it; use f32",
            twi_precision_name(opts->precision), twi_engine_isa());
    return TW_OK;
}

/* Notes, on each value, how many nodes are still to read it. */
static void count_readers(const twi_build *b)
{
    const uint32_t id = b->value_of[b->node];
    size_t readers = b->node + 1 == b->network->n; /* the caller reads the last */
    for (size_t i = b->node + 1; i < b->network->n; i++) {
        const twi_node *node = &b->network->nodes[i];
        for (size_t k = 0; k < node->n_inputs; k++) readers += node->inputs[k] == b->node;
        readers += node->fused_add == b->node;
    }
    b->program->values[id].readers = readers;
}

static void drop_readers(const twi_build *b)
{
    const twi_node *node = &b->network->nodes[b->node];
    for (size_t k = 0; k < node->n_inputs; k++)
        b->program->values[b->value_of[node->inputs[k]]].readers--;
    if (node->fused_add != TWI_NO_NODE) b->program->values[b->value_of[node->fused_add]].readers--;
}

/* Value 0: the pictures as the caller has them. */
static tw_status build_pictures(twi_build *b)
{
    const twi_shape *shape = &b->shapes[0];
    const size_t dims[4] = {b->program->opts.batch, shape->dims[0], shape->dims[1], shape->dims[2]};
    size_t count;
    uint32_t id;
    tw_status st = twi_batch_elements(b->ctx, "input", b->program->opts.batch, shape, &count);
    if (st != TW_OK) return st;
    const twi_layout *layout = NULL;
    if (b->program->device)
        st = twi_layout_new(b->ctx, b->program->device, 4, dims, TWI_F32, TWI_ORDER_NHWC, &layout);
    if (st != TW_OK) return st;
    return twi_build_value(b, layout, count * sizeof(float), &id);
}

static tw_status plan_eights(twi_build *b)
{
    twi_eight *eights;
    if (b->program->opts.precision != TW_PRECISION_INT8) return TW_OK;
    tw_status st = twi_arena_take(b->ctx, &b->program->memory, b->network->n, &eights);
    if (st == TW_OK) st = twi_plan_eights(b->ctx, b->network, b->shapes, eights);
    b->eights = eights;
    return st;
}

static tw_status build_nodes(twi_build *b)
{
    tw_status st = plan_eights(b);
    if (st == TW_OK) st = build_pictures(b);
    for (b->node = 0; b->node < b->network->n && st == TW_OK; b->node++) {
        st = b->program->device ? twi_onednn_node(b) : twi_reference_node(b);
        if (st != TW_OK) break;
        drop_readers(b);
        count_readers(b);
        if (b->program->opts.watch) st = twi_build_watch(b);
    }
    b->node = (uint32_t)b->network->n - 1;
    if (st == TW_OK && b->program->device) st = twi_onednn_output(b);
    if (st != TW_OK) return st;
    twi_program *p = b->program;
    p->values[p->output].last = p->n_steps; /* until it has been copied out */
    return twi_plan_arena(b->ctx, p->values, p->n_values, &p->arena_bytes);
}

static tw_status program_build(tw_ctx *ctx, const twi_network *network, const twi_engine_opts *opts,
                               const twi_program *share, twi_program *program)
{
    twi_shape *shapes = NULL;
    twi_build b = {.ctx = ctx, .network = network, .share = share, .program = program};
    tw_status st = twi_alloc(ctx, network->n, &shapes);
    if (st == TW_OK) st = twi_alloc(ctx, network->n, &b.value_of);
    if (st == TW_OK) st = twi_network_shapes(ctx, network, opts->height, opts->width, shapes);
    if (st == TW_OK && !opts->reference) st = twi_device_new(ctx, &program->device);
    if (st == TW_OK) {
        b.shapes = shapes;
        const twi_shape *last = &shapes[network->n - 1];
        program->channels = shapes[0].dims[0];
        st = twi_batch_elements(ctx, "output", 1, last, &program->output_count);
    }
    if (st == TW_OK) {
        /* oneDNN divides the work among the threads there are when a primitive is made. */
        const size_t before = twi_team_resize(opts->threads);
        st = build_nodes(&b);
        twi_team_resize(before);
    }
    twi_free(shapes);
    twi_free(b.value_of);
    return st;
}

tw_status twi_program_new(tw_ctx *ctx, const twi_network *network, const twi_engine_opts *opts,
                          const twi_program *share, twi_program **out)
{
    tw_status st = check_opts(ctx, opts);
    if (st != TW_OK) return st;
    twi_program *program;
    if ((st = twi_zalloc(ctx, 1, &program)) != TW_OK) return st;
    program->opts = *opts;
    /* Weights in another precision never agree, so there is no need to refuse such a share. */
    if ((st = program_build(ctx, network, opts, share, program)) == TW_OK)
        *out = program;
    else
        twi_program_free(program);
    return st;
}

void twi_program_free(twi_program *program)
{
    if (!program) return;
    for (size_t i = 0; i < program->n_packed; i++) twi_packed_release(program->packed[i]);
    twi_device_free(program->device);
    twi_free(program->packed);
    twi_free(program->steps);
    twi_free(program->values);
    twi_arena_free(&program->memory);
    twi_free(program);
}

size_t twi_program_output_count(const twi_program *program)
{
    return program->output_count;
}

/* ---- a workspace --------------------------------------------------------------------------- */

static tw_status workspace_fill(tw_ctx *ctx, twi_workspace *w)
{
    const twi_program *p = w->program;
    tw_status st = twi_alloc(ctx, p->arena_bytes, &w->arena);
    if (st == TW_OK) st = twi_alloc(ctx, p->n_values, &w->at);
    if (st == TW_OK) st = twi_zalloc(ctx, p->n_steps, &w->bound);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < p->n_values; i++) w->at[i] = w->arena + p->values[i].offset;
    w->staging = w->at[0];
    for (size_t i = 0; i < p->n_steps && st == TW_OK; i++)
        if (p->steps[i].kind->bind) st = p->steps[i].kind->bind(ctx, &p->steps[i], w, &w->bound[i]);
    return st;
}

tw_status twi_workspace_new(tw_ctx *ctx, const twi_program *program, twi_workspace **out)
{
    twi_workspace *w;
    tw_status st = twi_zalloc(ctx, 1, &w);
    if (st != TW_OK) return st;
    w->program = program;
    if ((st = workspace_fill(ctx, w)) == TW_OK)
        *out = w;
    else
        twi_workspace_free(w);
    return st;
}

void twi_workspace_free(twi_workspace *w)
{
    if (!w) return;
    for (size_t i = 0; w->bound && i < w->program->n_steps; i++)
        if (w->program->steps[i].kind->unbind) w->program->steps[i].kind->unbind(w->bound[i]);
    twi_free(w->bound);
    twi_free(w->at);
    twi_free(w->arena);
    twi_free(w);
}

/* ---- running ------------------------------------------------------------------------------- */

/* A full batch is read where the caller has it; a short one is padded with zeros in the arena. */
static void place_images(const twi_program *p, twi_workspace *w, const float *images, size_t n)
{
    const size_t each = p->channels * p->opts.height * p->opts.width;
    if (n == p->opts.batch) {
        w->at[0] = (void *)(uintptr_t)images; /* only read */
        return;
    }
    w->at[0] = w->staging;
    memcpy(w->at[0], images, n * each * sizeof *images);
    memset((float *)w->at[0] + n * each, 0, (p->opts.batch - n) * each * sizeof *images);
}

tw_status twi_program_run(tw_ctx *ctx, const twi_program *program, twi_workspace *workspace,
                          const float *images, size_t n, float *out)
{
    if (n == 0 || n > program->opts.batch)
        return twi_fail(ctx, TW_ERR_ARG, "%zu pictures; the program takes 1 to %zu", n,
                        program->opts.batch);
    place_images(program, workspace, images, n);
    const size_t before = twi_team_resize(program->opts.threads);
    tw_status st = TW_OK;
    for (size_t i = 0; i < program->n_steps && st == TW_OK; i++) {
        const twi_step *step = &program->steps[i];
        st = step->kind->run(ctx, step, workspace, workspace->bound[i]);
        if (st != TW_OK) st = twi_fail_prefix(ctx, st, "%s: ", step->name);
    }
    twi_team_resize(before);
    if (st != TW_OK) return st;
    memcpy(out, workspace->at[program->output], n * program->output_count * sizeof *out);
    return TW_OK;
}

/* ---- what fits ----------------------------------------------------------------------------- */

const char *twi_precision_name(tw_precision precision)
{
    switch (precision) {
    case TW_PRECISION_F32:
        return "f32";
    case TW_PRECISION_BF16:
        return "bf16";
    case TW_PRECISION_INT8:
        return "int8";
    default:
        return "auto";
    }
}

/* Activations of a batch should take no more than this: beyond it time per picture no longer falls.
 */
#define BATCH_BYTES ((size_t)104 << 20)
#define BATCH_MOST  ((size_t)16)

size_t twi_engine_default_batch(const twi_network *network, size_t height, size_t width)
{
    twi_shape *shapes;
    if (twi_alloc(NULL, network->n, &shapes) != TW_OK) return 1;
    size_t widest = 1;
    if (twi_network_shapes(NULL, network, height, width, shapes) == TW_OK)
        for (size_t i = 0; i < network->n; i++) {
            size_t count;
            if (twi_batch_elements(NULL, "", 1, &shapes[i], &count) == TW_OK && count > widest)
                widest = count;
        }
    twi_free(shapes);
    /* The widest value and what it is made from or into, as float32. */
    size_t batch = BATCH_MOST;
    while (batch > 1 && widest > BATCH_BYTES / (2 * sizeof(float)) / batch) batch /= 2;
    return batch;
}
