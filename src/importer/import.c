/* import.c - the whole line: read, build, check, convert, write. */
#include "importer/importer.h"
#include "importer/onnx/onnx.h"
#include "importer/order.h"
#include "importer/random.h"
#include "importer/recipe.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "bundle/bundle.h"

#include <math.h>
#include <string.h>

#define MAX_LABELS_BYTES (16u << 20)

typedef struct import_job {
    tw_ctx *ctx;
    const char *path;
    const twi_import_opts *opts;
    const twi_random_opts *random; /* NULL: there is a file */
    const twi_architecture *arch;  /* NULL: an ONNX model, which holds its graph */
    twi_map onnx;                  /* its bytes */
    twi_onnx_import model;
    char *stem; /* name of its file without .onnx; NULL: weights, or one that names nothing */
    bool half;
    twi_weights weights;
    twi_network *network;
    twi_json *recipe;
    size_t classes;     /* of the classifier; 0: none */
    twi_tensors stored; /* what the file will hold */
    char source_digest[TWI_DIGEST_HEX + 1];
} import_job;

/* ---- what was asked for -------------------------------------------------------------------- */

static tw_status fail_arch(tw_ctx *ctx, const char *arch)
{
    twi_text names = {0};
    for (size_t i = 0; twi_architecture_at(i); i++) {
        if (i > 0) twi_text_add(&names, ", ");
        twi_text_add(&names, twi_architecture_at(i)->name);
    }
    tw_status st;
    if (names.failed)
        st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message");
    else if (!arch)
        st = twi_fail(ctx, TW_ERR_ARG,
                      "weight files hold no graph: name the architecture, one of %s", names.text);
    else
        st = twi_fail(ctx, TW_ERR_ARG, "unknown architecture %s; need one of %s", arch, names.text);
    twi_text_free(&names);
    return st;
}

/* A name goes into file names and messages. */
static bool names_well(const char *name)
{
    const size_t length = strlen(name);
    bool fine = length > 0 && length <= 64 && name[0] != '.' && twi_utf8_valid(name, length);
    for (const char *at = name; *at; at++)
        fine = fine && *at != '/' && (unsigned char)*at >= 0x20 && *at != 0x7f;
    return fine;
}

static tw_status check_name(tw_ctx *ctx, const char *name)
{
    if (names_well(name)) return TW_OK;
    return twi_fail(ctx, TW_ERR_ARG,
                    "\"%s\" cannot name a backbone; need 1 to 64 bytes of UTF-8 without '/', "
                    "not starting with '.'",
                    name);
}

static tw_status check_opts(import_job *job)
{
    const twi_import_opts *opts = job->opts;
    if (job->onnx.data && opts->arch)
        return twi_fail(job->ctx, TW_ERR_ARG,
                        "%s: an ONNX model holds its graph itself; leave the architecture out",
                        job->path);
    if (!job->onnx.data && opts->feature)
        return twi_fail(job->ctx, TW_ERR_ARG,
                        "%s: a feature node is named for ONNX models; architectures have theirs",
                        job->path);
    job->arch = opts->arch ? twi_architecture_find(opts->arch) : NULL;
    if (!job->arch && !job->onnx.data) return fail_arch(job->ctx, opts->arch);
    const char *dtype = opts->dtype ? opts->dtype : "f32";
    job->half = strcmp(dtype, "f16") == 0;
    if (!job->half && strcmp(dtype, "f32") != 0)
        return twi_fail(job->ctx, TW_ERR_ARG, "dtype \"%s\"; need f32 or f16", dtype);
    return opts->name ? check_name(job->ctx, opts->name) : TW_OK;
}

/* ---- weights ------------------------------------------------------------------------------- */

static tw_status check_finite(tw_ctx *ctx, const char *name, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return twi_fail(ctx, TW_ERR_FORMAT, "weight %s: value %zu is not finite", name, i);
    return TW_OK;
}

static tw_status to_half(tw_ctx *ctx, const char *name, const float *values, size_t n,
                         uint16_t *half)
{
    for (size_t i = 0; i < n; i++) {
        half[i] = twi_f32_to_f16(values[i]);
        if (!isfinite(twi_f16_to_f32(half[i])))
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "weight %s: value %zu does not fit half precision; store it as f32",
                            name, i);
    }
    return TW_OK;
}

/* Vectors (biases, batch norm) stay as they are: they are few, and a small variance would lose
 * digits that its reciprocal square root spreads over a whole channel. */
static tw_status store_tensor(import_job *job, const twi_tensor *t)
{
    tw_ctx *ctx = job->ctx;
    const bool halve = job->half && t->rank > 1 && t->dtype != TWI_F16 && t->dtype != TWI_BF16;
    const twi_dtype dtype = halve ? TWI_F16 : t->dtype == TWI_F64 ? TWI_F32 : t->dtype;
    const bool keep = dtype == t->dtype;
    float *copy = NULL;
    const float *values = t->data;
    tw_status st = TW_OK;
    if (t->dtype != TWI_F32) {
        if ((st = twi_alloc(ctx, t->count, &copy)) != TW_OK) return st;
        if ((st = twi_tensor_floats(ctx, t, copy)) != TW_OK) goto done;
        values = copy;
    }
    if ((st = check_finite(ctx, t->name, values, t->count)) != TW_OK) goto done;
    void *fresh = NULL;
    st = twi_tensors_add(ctx, &job->stored, t->name, dtype, t->rank, t->dims, keep ? t->data : NULL,
                         &fresh);
    if (st != TW_OK || keep) goto done;
    if (halve)
        st = to_half(ctx, t->name, values, t->count, fresh);
    else
        memcpy(fresh, values, t->count * sizeof *values);
done:
    twi_free(copy);
    return st;
}

static tw_status check_variance(tw_ctx *ctx, const twi_tensor *t)
{
    float *values;
    tw_status st = twi_alloc(ctx, t->count, &values);
    if (st != TW_OK) return st;
    st = twi_tensor_floats(ctx, t, values);
    for (size_t i = 0; i < t->count && st == TW_OK; i++)
        if (values[i] < 0)
            st = twi_fail(ctx, TW_ERR_FORMAT, "weight %s: variance %zu is negative", t->name, i);
    twi_free(values);
    return st;
}

static tw_status store_weights(import_job *job)
{
    const twi_network *network = job->network;
    tw_status st = TW_OK;
    for (size_t i = 0; i < network->weights.n && st == TW_OK; i++)
        st = store_tensor(job, &network->weights.items[i]);
    for (size_t i = 0; i < network->n && st == TW_OK; i++)
        if (network->nodes[i].op == TWI_OP_BATCH_NORM)
            st = check_variance(job->ctx, network->nodes[i].params[TWI_PARAM_VARIANCE]);
    return st;
}

/* Everything the network learned: running means and variances are measured, not learned. */
static size_t parameter_count(const twi_network *network)
{
    size_t count = 0;
    for (size_t i = 0; i < network->n; i++) {
        const twi_tensor *const *params = network->nodes[i].params;
        for (size_t p = 0; p < TWI_PARAMS; p++) {
            const bool measured = network->nodes[i].op == TWI_OP_BATCH_NORM &&
                                  (p == TWI_PARAM_MEAN || p == TWI_PARAM_VARIANCE);
            if (params[p] && !measured) count += params[p]->count;
        }
    }
    return count;
}

/* Runs the shape rules at the recipe's input size, where the classifier has to fit. */
static tw_status check_shapes(import_job *job)
{
    const int64_t height = twi_json_as_integer(twi_json_get(job->recipe, "height"), 0);
    const int64_t width = twi_json_as_integer(twi_json_get(job->recipe, "width"), 0);
    if (height <= 0 || width <= 0 || height > 16384 || width > 16384)
        return twi_fail(job->ctx, TW_ERR_ARG,
                        "the recipe's height and width must be whole numbers of 1 to 16384 pixels");
    twi_shape *shapes;
    tw_status st = twi_alloc(job->ctx, job->network->n, &shapes);
    if (st != TW_OK) return st;
    st = twi_network_shapes(job->ctx, job->network, (size_t)height, (size_t)width, shapes);
    if (st == TW_OK && job->network->logits != TWI_NO_NODE)
        job->classes = shapes[job->network->logits].dims[0];
    twi_free(shapes);
    return st;
}

/* ---- labels -------------------------------------------------------------------------------- */

/* Puts text's lines into *out, single '\n' between them; counts them. Ends of lines may be CR LF.
 */
static tw_status clean_lines(tw_ctx *ctx, const char *name, const char *text, size_t size,
                             twi_text *out, size_t *lines)
{
    if (size > 0 && (!twi_utf8_valid(text, size) || memchr(text, 0, size)))
        return twi_fail(ctx, TW_ERR_DATA, "%s: not UTF-8 text", name);
    *lines = 0;
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        const size_t taken = end ? (size_t)(end - text) + 1 : size;
        size_t length = end ? taken - 1 : taken;
        if (length > 0 && text[length - 1] == '\r') length--;
        if (length == 0)
            return twi_fail(ctx, TW_ERR_DATA, "%s: line %zu is empty; need a class name", name,
                            *lines + 1);
        if ((*lines)++ > 0) twi_text_add(out, "\n");
        twi_text_add_bytes(out, text, length);
        text += taken;
        size -= taken;
    }
    return out->failed ? twi_fail(ctx, TW_ERR_NOMEM, "%s: no memory for the names", name) : TW_OK;
}

static tw_status store_names(import_job *job, const char *name, const char *text, size_t size)
{
    twi_text names = {0};
    size_t lines;
    void *data;
    tw_status st = clean_lines(job->ctx, name, text, size, &names, &lines);
    if (st != TW_OK) goto done;
    if (job->classes == 0)
        st = twi_fail(job->ctx, TW_ERR_DATA,
                      "%s: %zu class names, but these weights have no classifier", name, lines);
    else if (lines != job->classes)
        st = twi_fail(job->ctx, TW_ERR_DATA, "%s: %zu class names; the classifier has %zu classes",
                      name, lines, job->classes);
    if (st != TW_OK) goto done;
    st = twi_tensors_add(job->ctx, &job->stored, "labels", TWI_U8, 1, &names.length, NULL, &data);
    if (st == TW_OK) memcpy(data, names.text, names.length);
done:
    twi_text_free(&names);
    return st;
}

static tw_status store_labels(import_job *job)
{
    const char *path = job->opts->labels_path, *own = job->weights.classes;
    if (!path)
        return own && job->classes > 0 ? store_names(job, job->path, own, strlen(own)) : TW_OK;
    unsigned char *text = NULL;
    size_t capacity = 0, size = 0;
    tw_status st = twi_file_read(job->ctx, path, MAX_LABELS_BYTES, &text, &capacity, &size);
    if (st == TW_OK) st = store_names(job, path, (const char *)text, size);
    twi_free(text);
    return st;
}

/* ---- the document -------------------------------------------------------------------------- */

static tw_status digest_source(import_job *job)
{
    twi_map map;
    twi_digest digest;
    const tw_status st = twi_map_open(job->ctx, job->path, &map);
    if (st != TW_OK) return st;
    twi_digest_start(&digest);
    twi_digest_add(&digest, map.data, map.size);
    twi_digest_finish(&digest, job->source_digest);
    twi_map_close(&map);
    return TW_OK;
}

/* The file's own name without its folder; left out when it is not UTF-8, which JSON cannot hold. */
static twi_json *source_json(const import_job *job)
{
    const char *slash = strrchr(job->path, '/'), *base = slash ? slash + 1 : job->path;
    twi_json *source = twi_json_object();
    bool ok = source != NULL;
    if (ok && !job->random && twi_utf8_valid(base, strlen(base)))
        ok = twi_json_set(source, "file", twi_json_text(base));
    if (ok && job->random)
        ok = twi_json_set(source, "seed", twi_json_integer((int64_t)job->random->seed));
    else if (ok)
        ok = twi_json_set(source, "sha256", twi_json_text(job->source_digest));
    ok = ok &&
         twi_json_set(source, "format", twi_json_text(job->arch ? job->weights.format : "onnx"));
    if (ok) return source;
    twi_json_free(source);
    return NULL;
}

static tw_status write_bundle(import_job *job, const char *out_path)
{
    const char *arch = job->arch ? job->arch->name : "onnx";
    const char *name = job->opts->name ? job->opts->name : job->stem ? job->stem : arch;
    twi_json *document = twi_json_object();
    const bool ok = document && twi_json_set(document, "name", twi_json_text(name)) &&
                    twi_json_set(document, "arch", twi_json_text(arch)) &&
                    twi_json_set(document, "recipe", twi_json_copy(job->recipe)) &&
                    twi_json_set(document, "graph", twi_network_to_json(job->network)) &&
                    twi_json_set(document, "parameters",
                                 twi_json_integer((int64_t)parameter_count(job->network))) &&
                    twi_json_set(document, "source", source_json(job));
    const tw_status st =
        ok ? twi_bundle_write(job->ctx, out_path, "backbone", &job->stored, document, NULL)
           : twi_fail(job->ctx, TW_ERR_NOMEM, "no memory for the backbone's description");
    twi_json_free(document);
    return st;
}

/* ---- the line ------------------------------------------------------------------------------ */

static tw_status from_architecture(import_job *job)
{
    tw_status st = twi_weights_read(job->ctx, job->path, &job->weights);
    if (st != TW_OK) return st;
    const char *recipe = job->arch->recipes[job->weights.convention];
    if (!recipe)
        return twi_fail(job->ctx, TW_ERR_UNSUPPORTED,
                        "%s is read from torchvision-named weights, not from %s", job->arch->name,
                        job->weights.format);
    st = twi_recipe_override(job->ctx, recipe, job->opts->recipe_json, &job->recipe);
    if (st != TW_OK) return st;
    const int64_t side = twi_json_as_integer(twi_json_get(job->recipe, "height"), 0);
    if (side > 0 && side <= 16384) job->weights.side = (size_t)side;
    if (job->weights.numbered) st = twi_keras_name_layers(job->ctx, job->arch, &job->weights);
    if (st == TW_OK) st = job->arch->build(job->ctx, job->arch, &job->weights, &job->network);
    return st == TW_ERR_FORMAT || st == TW_ERR_UNSUPPORTED
               ? twi_fail_prefix(job->ctx, st, "%s: ", job->path)
               : st;
}

/* The graph of an ONNX model is worked out for one size of picture: the recipe's. */
static tw_status from_onnx(import_job *job)
{
    twi_onnx_opts opts = {.feature = job->opts->feature};
    twi_json *over = NULL;
    const char *given = job->opts->recipe_json;
    tw_status st = TW_OK;
    if (given) st = twi_json_parse(job->ctx, "the recipe given", given, strlen(given), &over);
    if (st != TW_OK) return twi_fail_prefix(job->ctx, TW_ERR_ARG, "%s", "");
    const int64_t height = twi_json_as_integer(twi_json_get(over, "height"), 0);
    const int64_t width = twi_json_as_integer(twi_json_get(over, "width"), 0);
    twi_json_free(over);
    opts.height = height > 0 && height <= 16384 ? (size_t)height : 0;
    opts.width = width > 0 && width <= 16384 ? (size_t)width : 0;
    st = twi_onnx_read(job->ctx, job->path, job->onnx.data, job->onnx.size, &opts, &job->model);
    if (st != TW_OK) return st;
    job->network = job->model.network;
    job->model.network = NULL; /* handed over */
    return twi_recipe_override(job->ctx, job->model.recipe, given, &job->recipe);
}

static tw_status build_network(import_job *job)
{
    tw_status st = job->arch ? from_architecture(job) : from_onnx(job);
    if (st != TW_OK) return st;
    st = check_shapes(job);
    if (st == TW_OK) st = store_weights(job);
    return st == TW_ERR_FORMAT || st == TW_ERR_UNSUPPORTED
               ? twi_fail_prefix(job->ctx, st, "%s: ", job->path)
               : st;
}

static tw_status take_stem(import_job *job)
{
    const char *slash = strrchr(job->path, '/'), *base = slash ? slash + 1 : job->path;
    const size_t length = strlen(base), ending = strlen(".onnx");
    if (length <= ending || strcmp(base + length - ending, ".onnx") != 0) return TW_OK;
    const tw_status st = twi_strndup(job->ctx, base, length - ending, &job->stem);
    if (st != TW_OK || names_well(job->stem)) return st;
    twi_free(job->stem);
    job->stem = NULL;
    return TW_OK;
}

/* Maps the file where it is an ONNX model; leaves it to the readers of weights otherwise. */
static tw_status look_for_onnx(import_job *job)
{
    const tw_status st = twi_map_open(job->ctx, job->path, &job->onnx);
    if (st != TW_OK) return st;
    if (twi_onnx_recognises(job->onnx.data, job->onnx.size)) return take_stem(job);
    twi_map_close(&job->onnx);
    return TW_OK;
}

static void release(import_job *job)
{
    twi_tensors_free(&job->stored);
    twi_json_free(job->recipe);
    twi_network_free(job->network);
    twi_weights_free(&job->weights);
    twi_onnx_import_free(&job->model);
    twi_free(job->stem);
    twi_map_close(&job->onnx);
}

tw_status twi_import(tw_ctx *ctx, const char *path, const twi_import_opts *opts,
                     const char *out_path)
{
    import_job job = {.ctx = ctx, .path = path, .opts = opts};
    tw_status st = look_for_onnx(&job);
    if (st == TW_OK) st = check_opts(&job);
    if (st != TW_OK) goto done;
    if ((st = digest_source(&job)) != TW_OK) goto done;
    if ((st = build_network(&job)) != TW_OK) goto done;
    if ((st = store_labels(&job)) != TW_OK) goto done;
    st = write_bundle(&job, out_path);
done:
    release(&job);
    return st;
}

tw_status twi_import_random(tw_ctx *ctx, const twi_random_opts *opts, const char *out_path)
{
    const twi_import_opts import = {.arch = opts->arch, .name = opts->name};
    import_job job = {.ctx = ctx, .path = opts->arch, .opts = &import, .random = opts};
    tw_status st = opts->name ? check_name(ctx, opts->name) : TW_OK;
    if (st == TW_OK) st = twi_weights_draw(ctx, opts, &job.weights);
    if (st == TW_OK) st = twi_random_recipe(ctx, opts, &job.recipe);
    if (st != TW_OK) goto done;
    job.arch = twi_architecture_find(opts->arch);
    if ((st = job.arch->build(ctx, job.arch, &job.weights, &job.network)) != TW_OK) goto done;
    if ((st = check_shapes(&job)) != TW_OK) goto done;
    if ((st = store_weights(&job)) != TW_OK) goto done;
    st = write_bundle(&job, out_path);
done:
    release(&job);
    return st;
}
