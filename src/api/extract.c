/* extract.c - tw_extractor: pictures to features with a backbone and options. */
#include "api/extract.h"
#include "api/options.h"

#include <stdio.h>
#include <string.h>

/* Pillow's Image.MAX_IMAGE_PIXELS: 1 GiB / 4 bytes / 3 samples * 2; above it Pillow calls a picture
 * a bomb. */
#define MAX_PIXELS 178956970u

static const struct {
    const char *name;
    twi_output output;
} poolings[] = {{"avg", TWI_OUTPUT_AVG}, {"max", TWI_OUTPUT_MAX}, {"none", TWI_OUTPUT_FLAT}};

const char *twi_pooling_name(twi_output output)
{
    for (size_t i = 0; i < TWI_LEN(poolings); i++)
        if (poolings[i].output == output) return poolings[i].name;
    return "classifier";
}

tw_status twi_pooling_parse(tw_ctx *ctx, const char *name, const char *word, twi_output *out)
{
    for (size_t i = 0; word && i < TWI_LEN(poolings); i++) {
        if (strcmp(poolings[i].name, word) == 0) {
            *out = poolings[i].output;
            return TW_OK;
        }
    }
    return twi_fail(ctx, TW_ERR_FORMAT, "%s: pooling is %s; need avg, max or none", name,
                    word ? word : "missing");
}

/* ---- options ------------------------------------------------------------------------------- */

static tw_status resolve_output(tw_ctx *ctx, const tw_extract_opts *opts, twi_output *out)
{
    static const twi_output outputs[] = {[TW_POOLING_DEFAULT] = TWI_OUTPUT_AVG,
                                         [TW_POOLING_AVG] = TWI_OUTPUT_AVG,
                                         [TW_POOLING_MAX] = TWI_OUTPUT_MAX,
                                         [TW_POOLING_NONE] = TWI_OUTPUT_FLAT};
    const size_t pooling = (size_t)opts->pooling;
    if (pooling >= TWI_LEN(outputs))
        return twi_fail(ctx, TW_ERR_ARG, "pooling %d is none of the four there are",
                        (int)opts->pooling);
    *out = outputs[pooling];
    if (opts->reference_recipe && opts->pooling == TW_POOLING_DEFAULT) *out = TWI_OUTPUT_FLAT;
    if (opts->classifier) *out = TWI_OUTPUT_PROBABILITIES;
    return TW_OK;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Another input size keeps the ratio of short side and crop. */
static tw_status resize_recipe(tw_ctx *ctx, const tw_extract_opts *opts, twi_recipe *recipe)
{
    const size_t height = opts->input_size;
    const size_t width = opts->input_width ? opts->input_width : height;
    if (height > 16384 || width > 16384)
        return twi_fail(ctx, TW_ERR_ARG, "input size %zu; at most 16384 is allowed",
                        larger(height, width));
    if (height == 0 && width > 0)
        return twi_fail(ctx, TW_ERR_ARG, "an input %zu wide and of no height", width);
    if (height == 0) return TW_OK;
    const size_t was = larger(recipe->height, recipe->width), is = larger(height, width);
    recipe->short_side = (recipe->short_side * is + was / 2) / was;
    recipe->height = height;
    recipe->width = width;
    return TW_OK;
}

static tw_status resolve_views(tw_ctx *ctx, const tw_extract_opts *opts, twi_recipe *recipe)
{
    tw_status st = TW_OK;
    if (opts->views) st = twi_views_parse(ctx, opts->views, &recipe->views);
    if (st != TW_OK) return st;
    if (opts->patch_height || opts->patch_width)
        recipe->patches = (twi_patches){.height = opts->patch_height,
                                        .width = opts->patch_width,
                                        .most = opts->max_patches,
                                        .seed = opts->patch_seed};
    return twi_recipe_check_views(ctx, recipe);
}

static tw_status resolve_layers(tw_ctx *ctx, const tw_backbone *backbone,
                                const tw_extract_opts *opts, twi_extractor_opts *out)
{
    tw_status st = TW_OK;
    if (opts->n_layers > TWI_MAX_LAYERS)
        return twi_fail(ctx, TW_ERR_ARG, "%zu layers; at most %d are allowed", opts->n_layers,
                        TWI_MAX_LAYERS);
    for (size_t i = 0; i < opts->n_layers && st == TW_OK; i++)
        st = twi_network_find(ctx, backbone->network, opts->layers[i], &out->layers[i]);
    out->n_layers = opts->n_layers;
    return st;
}

static tw_status resolve_recipe(tw_ctx *ctx, const tw_backbone *backbone,
                                const tw_extract_opts *opts, twi_recipe *recipe)
{
    tw_status st;
    *recipe = backbone->recipe;
    if (opts->reference_recipe) twi_recipe_reference(recipe, recipe->height, recipe->width);
    if (opts->geometry) {
        if ((st = twi_geometry_parse(ctx, opts->geometry, &recipe->geometry)) != TW_OK) return st;
        /* A recipe that squashed knows no short side: 256 -> 224 is the usual ratio (torchvision).
         */
        if (recipe->geometry == TWI_CROP && recipe->short_side < recipe->height)
            recipe->short_side = (recipe->height * 256 + 112) / 224;
    }
    if (opts->resize) {
        twi_filter filter;
        if ((st = twi_filter_parse(ctx, opts->resize, &filter)) != TW_OK) return st;
        twi_recipe_set_filter(recipe, filter); /* values keep their scale */
    }
    if ((st = resize_recipe(ctx, opts, recipe)) != TW_OK) return st;
    if (opts->fast_decode) recipe->fast_decode = true;
    return resolve_views(ctx, opts, recipe);
}

/* Its paddings are fixed numbers. Those of Keras and of ONNX models may have been worked out for
 * one size (docs/import.md). */
static bool is_torchvision(const tw_backbone *backbone)
{
    const twi_json *source = twi_json_get(backbone->document, "source");
    const char *format = twi_json_as_text(twi_json_get(source, "format"), "");
    return strcmp(format, "safetensors") == 0 || strcmp(format, "npz") == 0;
}

tw_status twi_extract_resolve(tw_ctx *ctx, const tw_backbone *backbone,
                              const tw_extract_opts *given, twi_extractor_opts *out)
{
    tw_extract_opts opts;
    tw_extract_opts_init(&opts);
    tw_status st = twi_options_read(ctx, &opts, sizeof opts, given, given ? given->size_bytes : 0);
    if (st != TW_OK) return st;
    *out = (twi_extractor_opts){.precision = opts.precision,
                                .batch = opts.batch,
                                .max_pixels = opts.max_pixels ? opts.max_pixels : MAX_PIXELS,
                                .strict = opts.strict != 0,
                                .made_for = {backbone->recipe.height, backbone->recipe.width},
                                .same_padding = !is_torchvision(backbone)};
    if (opts.reference_recipe && opts.precision == TW_PRECISION_AUTO)
        out->precision = TW_PRECISION_F32;
    if ((st = resolve_output(ctx, &opts, &out->output)) != TW_OK) return st;
    if ((st = resolve_layers(ctx, backbone, &opts, out)) != TW_OK) return st;
    if ((st = twi_backbone_identity(ctx, backbone, out->identity)) != TW_OK) return st;
    return resolve_recipe(ctx, backbone, &opts, &out->recipe);
}

/* The digest that a file states is not taken for it: a model's could name another backbone's rows.
 */
tw_status twi_backbone_identity(tw_ctx *ctx, const tw_backbone *backbone, char identity[80])
{
    const twi_tensors *weights = &backbone->network->weights;
    char *graph, hex[TWI_DIGEST_HEX + 1];
    size_t size;
    twi_digest digest;
    identity[0] = '\0';
    if (!twi_ctx_cache(ctx)) return TW_OK;
    const twi_json *json = twi_json_get(backbone->document, "graph");
    const tw_status st = twi_json_print(ctx, json, &graph, &size);
    if (st != TW_OK) return st;
    twi_digest_start(&digest);
    twi_digest_add(&digest, graph, size);
    twi_free(graph);
    for (size_t i = 0; i < weights->n; i++) {
        const twi_tensor *t = &weights->items[i];
        twi_digest_add(&digest, t->name, strlen(t->name) + 1);
        twi_digest_add(&digest, &t->dtype, sizeof t->dtype);
        twi_digest_add(&digest, t->dims, t->rank * sizeof *t->dims);
        twi_digest_add(&digest, t->data, t->count * twi_dtype_size(t->dtype));
    }
    twi_digest_finish(&digest, hex);
    memcpy(identity, hex, sizeof hex);
    return TW_OK;
}

/* ---- extractor ----------------------------------------------------------------------------- */

tw_status tw_extractor_new(tw_ctx *ctx, const tw_backbone *backbone, const tw_extract_opts *opts,
                           tw_extractor **out)
{
    twi_extractor_opts inner;
    tw_status st = twi_extract_resolve(ctx, backbone, opts, &inner);
    if (st != TW_OK) return st;
    tw_extractor *extractor;
    if ((st = twi_zalloc(ctx, 1, &extractor)) != TW_OK) return st;
    st = twi_extractor_new(ctx, backbone->network, &inner, &extractor->inner);
    if (st != TW_OK) {
        tw_extractor_free(extractor);
        return st;
    }
    *out = extractor;
    return TW_OK;
}

void tw_extractor_free(tw_extractor *extractor)
{
    if (!extractor) return;
    twi_extractor_free(extractor->inner);
    twi_free(extractor);
}

size_t tw_extractor_feature_count(const tw_extractor *extractor)
{
    return twi_extractor_feature_count(extractor->inner);
}

tw_precision tw_extractor_precision(const tw_extractor *extractor)
{
    return twi_extractor_precision(extractor->inner);
}

/* ---- failures inside a run ----------------------------------------------------------------- */

void twi_failure_keep(twi_failure *failure, tw_status status, const char *message)
{
    failure->status = status;
    snprintf(failure->message, sizeof failure->message, "%s", message);
}

tw_status twi_failure_raise(tw_ctx *ctx, const twi_failure *failure, tw_status status)
{
    if (failure->status == TW_OK) return status;
    return twi_fail(ctx, failure->status, "%s", failure->message);
}

/* ---- running ------------------------------------------------------------------------------- */

tw_status tw_extract_paths(tw_ctx *ctx, tw_extractor *extractor, tw_path_fn next, size_t total,
                           tw_row_fn row, void *user)
{
    const twi_source source = {.path = next, .user = user, .total = total};
    return twi_extractor_run(ctx, extractor->inner, &source, row, user, NULL);
}

typedef struct memory_run {
    const tw_bytes *images;
    size_t n, d;
    float *features;
    char (*names)[32]; /* [n]: "picture 7", for messages */
    twi_failure failure;
} memory_run;

static bool memory_bytes(void *user, size_t i, tw_bytes *src, const char **name)
{
    memory_run *run = user;
    if (i >= run->n) return false;
    *src = run->images[i];
    *name = run->names[i];
    return true;
}

static int memory_row(void *user, size_t i, tw_status status, const char *message,
                      const float *features)
{
    memory_run *run = user;
    if (status != TW_OK) {
        twi_failure_keep(&run->failure, status, message);
        return 1;
    }
    memcpy(run->features + i * run->d, features, run->d * sizeof *features);
    return 0;
}

tw_status tw_extract_bytes(tw_ctx *ctx, tw_extractor *extractor, const tw_bytes *images, size_t n,
                           float *features, size_t feature_count)
{
    size_t need;
    memory_run run = {
        .images = images, .n = n, .d = tw_extractor_feature_count(extractor), .features = features};
    if (twi_mul(n, run.d, &need) || need != feature_count)
        return twi_fail(ctx, TW_ERR_ARG, "room for %zu features; %zu pictures of %zu need %zu",
                        feature_count, n, run.d, need);
    tw_status st = twi_alloc(ctx, n, &run.names);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) snprintf(run.names[i], sizeof run.names[i], "picture %zu", i);
    const twi_source source = {.bytes = memory_bytes, .user = &run, .total = n};
    st = twi_extractor_run(ctx, extractor->inner, &source, memory_row, &run, NULL);
    st = twi_failure_raise(ctx, &run.failure, st);
    twi_free(run.names);
    return st;
}

typedef struct npy_run {
    const tw_dataset *dataset;
    twi_npy *npy;
    unsigned char *kept; /* NULL or [n] */
    size_t rows;
    tw_ctx *ctx;
    twi_failure failure;
} npy_run;

static const char *dataset_next(void *user, size_t i)
{
    const npy_run *run = user;
    return i < tw_dataset_count(run->dataset) ? tw_dataset_path(run->dataset, i) : NULL;
}

static int npy_row(void *user, size_t i, tw_status status, const char *message,
                   const float *features)
{
    npy_run *run = user;
    if (run->kept) run->kept[i] = status == TW_OK;
    if (status != TW_OK) {
        twi_log(run->ctx, TW_LOG_WARNING, "skipped: %s", message);
        return 0;
    }
    const tw_status st = twi_npy_append(run->ctx, run->npy, features, 1);
    if (st != TW_OK) {
        twi_failure_keep(&run->failure, st, tw_last_error(run->ctx));
        return 1;
    }
    run->rows++;
    return 0;
}

tw_status tw_extract_npy(tw_ctx *ctx, tw_extractor *extractor, const tw_dataset *dataset,
                         const char *path, unsigned char *rows_kept, size_t *rows)
{
    npy_run run = {.dataset = dataset, .kept = rows_kept, .ctx = ctx};
    tw_status st = twi_npy_create(ctx, path, tw_extractor_feature_count(extractor), &run.npy);
    if (st != TW_OK) return st;
    const twi_source source = {
        .path = dataset_next, .user = &run, .total = tw_dataset_count(dataset)};
    st = twi_extractor_run(ctx, extractor->inner, &source, npy_row, &run, NULL);
    st = twi_failure_raise(ctx, &run.failure, st);
    if (st == TW_OK && run.rows == 0)
        st = twi_fail(ctx, TW_ERR_DATA, "none of the %zu pictures could be read", source.total);
    if (st == TW_OK) st = twi_npy_commit(ctx, run.npy);
    if (st == TW_OK && rows) *rows = run.rows;
    twi_npy_free(run.npy);
    return st;
}
