/* observe.c - what values a network's layers take on some pictures: the ranges for 8 bits. */
#include "features/extractor.h"

#include <stdio.h>
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

/* Every view of one picture. A failure to read it is the picture's own. */
static tw_status look_at(observing *o, const char *path)
{
    const twi_encoded picture = {.name = path, .is_file = true};
    twi_stream *stream = o->stream;
    tw_bytes bytes;
    tw_status st = twi_stream_read(o->ctx, stream, &picture, &bytes);
    if (st == TW_OK) st = twi_stream_open(o->ctx, o->extractor, stream, path, bytes);
    const size_t views = st == TW_OK ? stream->scratch.n_views : 0;
    for (size_t v = 0; v < views && st == TW_OK; v++) {
        if ((st = twi_stream_view(o->ctx, o->extractor, stream, v, stream->inputs)) != TW_OK) break;
        const tw_status ran =
            twi_program_run(o->ctx, o->program, o->workspace, stream->inputs, 1, stream->outputs);
        if (ran != TW_OK) return ran;
    }
    twi_stream_shed(stream);
    o->n += st == TW_OK;
    if (st == TW_OK || st == TW_ERR_NOMEM) return st;
    if (o->failed++ == 0) snprintf(o->why, sizeof o->why, "%s", tw_last_error(o->ctx));
    return TW_OK;
}

/* observed [n]: nodes behind them were added to join layers. */
static tw_status gather(const observing *o, double (*observed)[2], size_t n)
{
    const twi_network *frozen = o->extractor->network;
    double(*found)[2];
    tw_status st = twi_zalloc(o->ctx, frozen->n, &found);
    if (st != TW_OK) return st;
    st = twi_workspace_observed(o->ctx, o->workspace, found);
    for (size_t i = 0; i < frozen->n && st == TW_OK; i++) {
        const uint32_t origin = frozen->nodes[i].origin;
        if (origin < n) memcpy(observed[origin], found[i], sizeof found[i]);
    }
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
    if (st == TW_OK) st = gather(&o, observed, network->n);
    if (st == TW_OK) *seen = o.n;
    twi_workspace_free(o.workspace);
    twi_program_free(o.program);
    twi_extractor_free(o.extractor);
    return st;
}
