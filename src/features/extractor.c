/* extractor.c - making an extractor: the network cut for its output, programs, and the streams of
 * its workers. */
#include "features/extractor.h"

#include "base/file.h"

#include <assert.h>
#include <string.h>

/* A file larger than this is no photo; a raw 16-bit RGBA picture of TWI_MAX_PIXELS would be 1.4 GB.
 */
static const size_t max_file_bytes = (size_t)1 << 30;
/* A worker keeps its decoding buffers for the next picture unless a giant has swollen them beyond
 * this. */
static const size_t keep_bytes = (size_t)64 << 20;

/* From here on (ResNet-50 has 4.1e9, VGG16 15.5e9) several threads shorten the wait for one
 * picture. Below, they save a millisecond or two, and cost hundreds of them in compiling and
 * running when another process wants the cores. */
static const double heavy_multiplications = 2e9;

/* ---- life ---------------------------------------------------------------------------------- */

static tw_status precision_settle(tw_ctx *ctx, const twi_extractor_opts *opts, tw_precision *out)
{
    const bool native = !opts->reference_engine && twi_precision_native(TW_PRECISION_BF16);
    *out = opts->precision;
    if (opts->precision == TW_PRECISION_BF16 && !native)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "precision bf16 is not native here (%s); f32 and auto are",
                        opts->reference_engine ? "reference engine" : twi_engine_isa());
    if (opts->precision == TW_PRECISION_INT8 &&
        (opts->reference_engine || !twi_precision_native(TW_PRECISION_INT8)))
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "precision int8 needs AVX512-VNNI, which is not here (%s); f32 and auto do "
                        "not",
                        opts->reference_engine ? "reference engine" : twi_engine_isa());
    if (opts->precision == TW_PRECISION_AUTO && !native) *out = TW_PRECISION_F32;
    return TW_OK;
}

/* Without ranges every layer would be floating point, and int8 a lie. */
static tw_status check_calibrated(tw_ctx *ctx, const twi_network *network, tw_precision precision)
{
    bool known = precision != TW_PRECISION_INT8;
    for (size_t i = 0; i < network->n && !known; i++)
        known = network->nodes[i].observed[0] != 0 || network->nodes[i].observed[1] != 0;
    return known ? TW_OK
                 : twi_fail(ctx, TW_ERR_UNSUPPORTED,
                            "precision int8 needs a calibrated backbone: see 'topwork backbone "
                            "calibrate'");
}

/* A larger batch reads the weights less often. Past 4 that is worth no more than a few percent, and
 * what passes between two layers (as f32) must stay near the cache: 3.5 ms a picture became 2.7 for
 * a ResNet-18 at half width on Zen 4, while VGG16's 26 MB a picture gained nothing in bf16. */
static size_t batch_choose(const twi_shape *shapes, size_t n)
{
    const size_t near_floats = ((size_t)32 << 20) / sizeof(float), most = 4;
    size_t widest = 1;
    for (size_t i = 0; i < n; i++) {
        size_t count = 1;
        for (size_t k = 0; k < shapes[i].rank; k++) count *= shapes[i].dims[k];
        if (count > widest) widest = count;
    }
    const size_t batch = near_floats / 2 / widest;
    return batch < 1 ? 1 : batch > most ? most : batch;
}

/* Multiplications of convolutions and dense layers, for one picture. */
static double multiplications(const twi_network *network, const twi_shape *shapes)
{
    double sum = 0;
    for (size_t i = 0; i < network->n; i++) {
        const twi_node *node = &network->nodes[i];
        if (node->op != TWI_OP_CONV && node->op != TWI_OP_DENSE) continue;
        /* Each weight is used once at each pixel, or for each token. */
        const size_t channels = shapes[i].dims[twi_channel_axis(shapes[i].rank)];
        const double positions = (double)twi_shape_elements(&shapes[i]) / (double)channels;
        sum += positions * (double)node->params[TWI_PARAM_WEIGHT]->count;
    }
    return sum;
}

static tw_status sizes_settle(tw_ctx *ctx, twi_extractor *ex)
{
    const twi_recipe *recipe = &ex->opts.recipe;
    const size_t size[2] = {recipe->height, recipe->width};
    const size_t *made_for = ex->opts.made_for;
    twi_shape *shapes;
    tw_status st = TW_OK;
    if (made_for[0] != 0 && (made_for[0] != size[0] || made_for[1] != size[1]))
        st = twi_network_check_size(ctx, ex->network, made_for, size, ex->opts.same_padding);
    if (st == TW_OK) st = twi_alloc(ctx, ex->network->n, &shapes);
    if (st != TW_OK) return st;
    st = twi_network_shapes(ctx, ex->network, recipe->height, recipe->width, shapes);
    if (st == TW_OK) {
        const twi_shape *last = &shapes[ex->network->n - 1];
        ex->features = 1;
        for (size_t i = 0; i < last->rank; i++) ex->features *= last->dims[i];
        ex->heavy = multiplications(ex->network, shapes) >= heavy_multiplications;
        if (ex->opts.batch == 0) ex->opts.batch = batch_choose(shapes, ex->network->n);
    }
    twi_free(shapes);
    if (st != TW_OK) return st;
    size_t pixels;
    if (twi_mul(recipe->height, recipe->width, &pixels) || twi_mul(pixels, 3, &ex->input_floats))
        return twi_fail(ctx, TW_ERR_ARG, "an input of %zu x %zu is too large", recipe->height,
                        recipe->width);
    return TW_OK;
}

static tw_status network_cut(tw_ctx *ctx, const twi_network *network,
                             const twi_extractor_opts *opts, twi_network **out)
{
    twi_network *joined;
    if (opts->n_layers == 0)
        return twi_network_for_inference(ctx, network, opts->output, true, out);
    tw_status st =
        twi_network_join(ctx, network, opts->layers, opts->n_layers, opts->output, &joined);
    if (st != TW_OK) return st;
    st = twi_network_for_inference(ctx, joined, opts->output, true, out);
    twi_network_free(joined); /* nodes are copied, weights borrowed from network */
    return st;
}

tw_status twi_extractor_new(tw_ctx *ctx, const twi_network *network, const twi_extractor_opts *opts,
                            twi_extractor **out)
{
    if (network->input_channels != 3)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "the network eats %zu channels; pictures have 3",
                        network->input_channels);
    twi_extractor *ex;
    tw_status st = twi_zalloc(ctx, 1, &ex);
    if (st != TW_OK) return st;
    ex->opts = *opts;
    if ((st = precision_settle(ctx, opts, &ex->precision)) != TW_OK) goto done;
    if ((st = check_calibrated(ctx, network, ex->precision)) != TW_OK) goto done;
    if ((st = network_cut(ctx, network, opts, &ex->network)) != TW_OK) goto done;
    if ((st = sizes_settle(ctx, ex)) != TW_OK) goto done;
    if (opts->precision == TW_PRECISION_AUTO && ex->precision == TW_PRECISION_F32)
        twi_log(ctx, TW_LOG_INFO, "precision f32: this machine does not compute bf16 natively");
    *out = ex, ex = NULL; /* handed over */
done:
    twi_extractor_free(ex);
    return st;
}

static void stream_free(twi_stream *stream)
{
    twi_recipe_scratch_free(&stream->scratch);
    twi_free(stream->file);
    twi_free(stream->inputs);
    twi_free(stream->outputs);
    twi_free(stream->sum);
    for (size_t f = 0; f < TWI_FORMS; f++) twi_workspace_free(stream->workspaces[f]);
}

void twi_extractor_free(twi_extractor *ex)
{
    if (!ex) return;
    for (size_t i = 0; i < ex->n_streams; i++) stream_free(&ex->streams[i]);
    twi_free(ex->streams);
    for (size_t f = 0; f < TWI_FORMS; f++) twi_program_free(ex->programs[f]);
    twi_network_free(ex->network);
    twi_free(ex);
}

size_t twi_extractor_feature_count(const twi_extractor *ex)
{
    return ex->features;
}

tw_precision twi_extractor_precision(const twi_extractor *ex)
{
    return ex->precision;
}

/* ---- programs ------------------------------------------------------------------------------ */

tw_status twi_extractor_compile(tw_ctx *ctx, twi_extractor *ex, size_t form, size_t threads)
{
    if (ex->programs[form] && ex->threads[form] == threads) return TW_OK;
    twi_extractor_drop(ex, form);
    const bool few = form >= TWI_PRECISIONS;
    const tw_precision precision = (tw_precision)(form % TWI_PRECISIONS);
    const twi_engine_opts opts = {
        .precision = precision,
        .batch = few ? 1 : ex->opts.batch,
        .brief = few,
        .height = ex->opts.recipe.height,
        .width = ex->opts.recipe.width,
        .threads = threads,
        .reference = ex->opts.reference_engine,
    };
    const twi_program *share = ex->programs[twi_form(precision, !few)];
    twi_program *program;
    const tw_status st = twi_program_new(ctx, ex->network, &opts, share, &program);
    if (st != TW_OK) return st;
    assert(twi_program_output_count(program) == ex->features);
    ex->programs[form] = program;
    ex->threads[form] = threads;
    return TW_OK;
}

void twi_extractor_drop(twi_extractor *ex, size_t form)
{
    for (size_t i = 0; i < ex->n_streams; i++) {
        twi_workspace_free(ex->streams[i].workspaces[form]);
        ex->streams[i].workspaces[form] = NULL;
    }
    twi_program_free(ex->programs[form]);
    ex->programs[form] = NULL;
}

/* ---- streams ------------------------------------------------------------------------------- */

tw_status twi_extractor_streams(tw_ctx *ctx, twi_extractor *ex, size_t n)
{
    if (n <= ex->n_streams) return TW_OK;
    twi_stream *streams;
    const tw_status st = twi_zalloc(ctx, n, &streams);
    if (st != TW_OK) return st;
    if (ex->n_streams > 0) memcpy(streams, ex->streams, ex->n_streams * sizeof *streams);
    twi_free(ex->streams);
    ex->streams = streams;
    ex->n_streams = n;
    return TW_OK;
}

/* *items [batch, width] unless it is there. */
static tw_status batch_floats(tw_ctx *ctx, const twi_extractor *ex, size_t width, float **items)
{
    size_t count;
    if (*items) return TW_OK;
    if (twi_mul(ex->opts.batch, width, &count))
        return twi_fail(ctx, TW_ERR_ARG, "a batch of %zu pictures is too large", ex->opts.batch);
    return twi_alloc(ctx, count, items);
}

tw_status twi_stream_inputs(tw_ctx *ctx, const twi_extractor *ex, twi_stream *stream)
{
    const tw_status st = batch_floats(ctx, ex, ex->input_floats, &stream->inputs);
    if (st != TW_OK || twi_recipe_view_count(&ex->opts.recipe) == 1) return st;
    twi_free(stream->sum); /* a run that ended early may have left something in it */
    stream->sum = NULL;
    return twi_zalloc(ctx, ex->features, &stream->sum);
}

tw_status twi_stream_workspace(tw_ctx *ctx, const twi_extractor *ex, size_t form,
                               twi_stream *stream)
{
    const tw_status st = batch_floats(ctx, ex, ex->features, &stream->outputs);
    if (st != TW_OK || stream->workspaces[form]) return st;
    return twi_workspace_new(ctx, ex->programs[form], &stream->workspaces[form]);
}

/* One giant picture must not hold its hundreds of megabytes for the rest of the run. */
void twi_stream_shed(twi_stream *stream)
{
    if (stream->scratch.decoded.capacity_bytes > keep_bytes ||
        stream->scratch.resized.capacity_bytes > keep_bytes ||
        stream->scratch.doubles_capacity > keep_bytes / sizeof(double)) {
        twi_recipe_scratch_free(&stream->scratch);
        stream->scratch = (twi_recipe_scratch){0};
    }
    if (stream->file_capacity > keep_bytes) {
        twi_free(stream->file);
        stream->file = NULL;
        stream->file_capacity = 0;
    }
}

tw_status twi_stream_read(tw_ctx *ctx, twi_stream *stream, const twi_encoded *encoded,
                          tw_bytes *src)
{
    *src = encoded->bytes;
    if (!encoded->is_file) return TW_OK;
    const tw_status st = twi_file_read(ctx, encoded->name, max_file_bytes, &stream->file,
                                       &stream->file_capacity, &src->size_bytes);
    src->data = stream->file;
    return st;
}

tw_status twi_stream_open(tw_ctx *ctx, const twi_extractor *ex, twi_stream *stream,
                          const char *name, tw_bytes src)
{
    const twi_encoded_photo photo = {src, name, ex->opts.max_pixels};
    return twi_recipe_open(ctx, &ex->opts.recipe, &photo, &stream->scratch);
}

tw_status twi_stream_view(tw_ctx *ctx, const twi_extractor *ex, twi_stream *stream, size_t i,
                          float *dst)
{
    return twi_recipe_view(ctx, &ex->opts.recipe, &stream->scratch, i, dst);
}
