/* observe.c - what values a network's layers take on some pictures: the ranges for 8 bits. */
#include "features/extractor.h"

#include <string.h>

typedef struct observing {
    tw_ctx *ctx;
    twi_extractor *extractor;
    twi_program *program;
    twi_workspace *workspace;
    twi_stream *stream;
    size_t n;      /* pictures seen */
    size_t failed; /* that could not be read */
    char why[512]; /* the first of those */
} observing;

static tw_status prepare(observing *o, const twi_network *network, const twi_extractor_opts *opts)
{
    twi_extractor_opts floats = *opts;
    floats.precision = TW_PRECISION_F32;
    tw_status st = twi_extractor_new(o->ctx, network, &floats, &o->extractor);
    if (st != TW_OK) return st;
    const twi_engine_opts engine = {.precision = TW_PRECISION_F32,
                                    .batch = 1,
                                    .height = opts->recipe.height,
                                    .width = opts->recipe.width,
                                    .threads = twi_threads(o->ctx),
                                    .watch = true};
    st = twi_program_new(o->ctx, o->extractor->network, &engine, NULL, &o->program);
    if (st == TW_OK) st = twi_workspace_new(o->ctx, o->program, &o->workspace);
    if (st == TW_OK) st = twi_extractor_streams(o->ctx, o->extractor, 1);
    if (st != TW_OK) return st;
    o->stream = &o->extractor->streams[0];
    st = twi_stream_inputs(o->ctx, o->extractor, o->stream);
    return st == TW_OK ? twi_alloc(o->ctx, o->extractor->features, &o->stream->outputs) : st;
}

static tw_status look_at(observing *o, const char *path)
{
    const twi_encoded picture = {.name = path, .is_file = true};
    tw_bytes bytes;
    tw_status st = twi_stream_read(o->ctx, o->stream, &picture, &bytes);
    if (st == TW_OK)
        st = twi_stream_decode(o->ctx, o->extractor, o->stream, path, bytes, o->stream->inputs);
    if (st != TW_OK) { /* the picture's own trouble */
        if (o->failed++ == 0) strncpy(o->why, tw_last_error(o->ctx), sizeof o->why - 1);
        return st == TW_ERR_NOMEM ? st : TW_OK;
    }
    st =
        twi_program_run(o->ctx, o->program, o->workspace, o->stream->inputs, 1, o->stream->outputs);
    o->n += st == TW_OK;
    return st;
}

static tw_status gather(const observing *o, double (*observed)[2])
{
    const twi_network *frozen = o->extractor->network;
    double(*found)[2];
    tw_status st = twi_zalloc(o->ctx, frozen->n, &found);
    if (st != TW_OK) return st;
    st = twi_workspace_observed(o->ctx, o->workspace, found);
    for (size_t i = 0; i < frozen->n && st == TW_OK; i++)
        if (frozen->nodes[i].origin != TWI_NO_NODE)
            memcpy(observed[frozen->nodes[i].origin], found[i], sizeof found[i]);
    twi_free(found);
    return st;
}

tw_status twi_observe(tw_ctx *ctx, const twi_network *network, const twi_extractor_opts *opts,
                      const char *const *paths, size_t n, double (*observed)[2], size_t *seen)
{
    observing o = {.ctx = ctx};
    tw_status st = prepare(&o, network, opts);
    for (size_t i = 0; i < n && st == TW_OK; i++) {
        st = look_at(&o, paths[i]);
        if (st == TW_OK) st = twi_progress(ctx, "calibrate", i + 1, n, o.failed);
    }
    if (st == TW_OK && o.n == 0)
        st = twi_fail(ctx, TW_ERR_DATA, "none of %zu pictures could be read; the first: %s", n,
                      o.why);
    if (st == TW_OK) st = gather(&o, observed);
    if (st == TW_OK) *seen = o.n;
    twi_workspace_free(o.workspace);
    twi_program_free(o.program);
    twi_extractor_free(o.extractor);
    return st;
}
