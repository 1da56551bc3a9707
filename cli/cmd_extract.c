/* cmd_extract.c - topwork extract: features for other programs, in .npy. */
#include "inputs.h"
#include "labelled.h"
#include "report.h"
#include "rows.h"
#include "views.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct kept_name { /* of a row, for the JSON document only */
    char *name;
    size_t label;
} kept_name;

typedef struct skipped {
    char *path, *reason;
} skipped;

typedef struct extraction {
    session *s;
    const tw_dataset *dataset; /* NULL: without labels */
    inputs *in;                /* NULL: with labels */
    rows *out;
    kept_name *kept; /* [kept_count]; empty without --json */
    size_t kept_count, kept_capacity;
    skipped *skipped; /* [skipped_count]; empty without --json */
    size_t skipped_count, skipped_capacity;
    size_t failed, passed_over;
    bool nomem;
    int code; /* of a failure that ended the work; 0: none */
} extraction;

/* ---- labelled or not ----------------------------------------------------------------------- */

static bool has_subfolder(const char *path)
{
    DIR *const dir = opendir(path);
    bool found = false;
    struct dirent *entry;
    while (dir && !found && (entry = readdir(dir)) != NULL) {
        struct stat info;
        found = entry->d_name[0] != '.' && fstatat(dirfd(dir), entry->d_name, &info, 0) == 0 &&
                S_ISDIR(info.st_mode);
    }
    if (dir) closedir(dir);
    return found;
}

static bool ends_in_csv(const char *path)
{
    const size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".csv") == 0;
}

/* One folder with sub-folders, or one manifest, is a labelled set; anything else a list of photos.
 */
static bool is_labelled(const options *o)
{
    if (o->flat || o->operand_count != 1) return false;
    return has_subfolder(o->operands[0]) || ends_in_csv(o->operands[0]);
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* Room for one more in an array that doubles. */
static bool grow(void *array, size_t *capacity, size_t count, size_t size)
{
    void **const items = array;
    if (count < *capacity) return true;
    const size_t larger = *capacity ? 2 * *capacity : 64;
    void *const fresh = realloc(*items, larger * size);
    if (!fresh) return false;
    *items = fresh;
    *capacity = larger;
    return true;
}

static bool keep_name(extraction *x, const char *name, size_t label)
{
    if (!x->s->opts.json) return true;
    if (!grow(&x->kept, &x->kept_capacity, x->kept_count, sizeof *x->kept)) return false;
    char *const copy = strdup(name);
    if (copy) x->kept[x->kept_count++] = (kept_name){copy, label};
    return copy != NULL;
}

static bool keep_skipped(extraction *x, const char *path, const char *reason)
{
    if (!x->s->opts.json) return true;
    if (!grow(&x->skipped, &x->skipped_capacity, x->skipped_count, sizeof *x->skipped))
        return false;
    const skipped entry = {strdup(path), strdup(reason)};
    x->skipped[x->skipped_count++] = entry;
    return entry.path && entry.reason;
}

/* A folder taken as it is may hold other things than pictures: they are told, and are no failure.
 */
static int row_failed(extraction *x, const input *item, const char *path, tw_status status,
                      const char *message)
{
    const bool passed_over = item && item->walked && status == TW_ERR_UNSUPPORTED;
    const char *const reason = text_reason(message, path);
    char *const shown = text_escape(path);
    if (!shown) return x->nomem = true;
    if (x->s->opts.strict && !passed_over) {
        x->code =
            session_fail_text(x->s, EXIT_DATA, tw_status_name(status), "%s: %s", shown, reason);
    } else {
        session_note(x->s, "%s: %s: %s", passed_over ? "passed over" : "skipped", shown, reason);
        x->nomem = !keep_skipped(x, path, reason);
        *(passed_over ? &x->passed_over : &x->failed) += 1;
    }
    free(shown);
    return x->nomem || x->code;
}

static int on_row(void *user, size_t i, tw_status status, const char *message,
                  const float *features)
{
    extraction *const x = user;
    const input *const item = x->in ? inputs_front(x->in) : NULL;
    const char *const path = item ? item->path : tw_dataset_path(x->dataset, i);
    int stop = 0;
    if (item && item->error)
        stop = row_failed(x, item, path, TW_ERR_IO, item->error);
    else if (status != TW_OK)
        stop = row_failed(x, item, path, status, message);
    else {
        const size_t label = x->dataset ? tw_dataset_label(x->dataset, i) : 0;
        rows_add(x->out, features, path, label,
                 x->dataset ? tw_dataset_class_name(x->dataset, label) : NULL);
        x->nomem = !keep_name(x, path, label);
        stop = x->nomem || rows_failed(x->out);
    }
    if (item) inputs_pop(x->in);
    return stop;
}

static const char *next_of_dataset(void *user, size_t i)
{
    const extraction *const x = user;
    return i < tw_dataset_count(x->dataset) ? tw_dataset_path(x->dataset, i) : NULL;
}

/* inputs_next() for a run whose user is the extraction. */
static const char *next_of_inputs(void *user, size_t i)
{
    return inputs_next(((const extraction *)user)->in, i);
}

/* ---- telling ------------------------------------------------------------------------------- */

static const char *kept_at(const void *user, size_t i)
{
    const extraction *const x = user;
    return i < x->kept_count ? x->kept[i].name : NULL;
}

static void skipped_json(js *j, const extraction *x)
{
    const size_t listed = x->dataset ? tw_dataset_skipped_count(x->dataset) : 0;
    js_array(j, "skipped");
    for (size_t i = 0; i < listed + x->skipped_count; i++) {
        js_object(j, NULL);
        js_name(j, "path",
                i < listed ? tw_dataset_skipped_path(x->dataset, i) : x->skipped[i - listed].path);
        js_text(j, "reason",
                i < listed ? tw_dataset_skipped_reason(x->dataset, i)
                           : x->skipped[i - listed].reason);
        js_object_end(j);
    }
    js_array_end(j);
}

static void print_json(extraction *x, const char *precision, size_t columns)
{
    js *const j = &x->s->json;
    js_object(j, NULL);
    js_name(j, "output", x->s->opts.output);
    js_name(j, "labels_output", rows_labels_path(x->out));
    js_name(j, "names_output", rows_names_path(x->out));
    js_size(j, "rows", rows_count(x->out));
    js_size(j, "features", columns);
    js_text(j, "dtype", "float32");
    js_text(j, "precision", precision);
    js_names(j, "files", kept_at, x);
    if (x->dataset) {
        js_array(j, "labels");
        for (size_t i = 0; i < x->kept_count; i++) js_size(j, NULL, x->kept[i].label);
        js_array_end(j);
        js_names(j, "classes", dataset_class_at, x->dataset);
    } else {
        js_null(j, "labels");
    }
    skipped_json(j, x);
    js_object_end(j);
}

static void print_text(const extraction *x, const char *precision, size_t columns)
{
    if (x->dataset) report_skipped_text(x->dataset, NULL);
    if (x->failed)
        printf("%zu photo%s could not be read and %s no row\n", x->failed,
               x->failed == 1 ? "" : "s", x->failed == 1 ? "has" : "have");
    text_escaped(stdout, x->s->opts.output);
    printf(": %zu rows of %zu features, float32 (computed in %s)\n", rows_count(x->out), columns,
           precision);
    if (x->dataset) {
        text_escaped(stdout, rows_labels_path(x->out));
        printf(": labels, int64, of %zu class%s\n", tw_dataset_class_count(x->dataset),
               tw_dataset_class_count(x->dataset) == 1 ? "" : "es");
    }
    text_escaped(stdout, rows_names_path(x->out));
    printf(": the photo %sof each row\n", x->dataset ? "and the class " : "");
}

/* ---- the work ------------------------------------------------------------------------------ */

static int after_run(extraction *x, tw_extractor *extractor, tw_status status)
{
    session *const s = x->s;
    progress_hide(&s->progress);
    if (x->nomem || (x->in && inputs_failed(x->in))) return session_fail_nomem(s);
    if (rows_failed(x->out)) return rows_commit(s, x->out); /* tells which file, and why */
    if (x->code) return x->code;
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    int code = session_interrupted(s);
    if (code) return code;
    if (rows_count(x->out) == 0)
        return session_fail_text(
            s, EXIT_DATA, tw_status_name(TW_ERR_DATA),
            x->failed ? "none of the %zu photos could be read" : "no picture was found", x->failed);
    const size_t passed = x->passed_over + (x->in ? inputs_special_count(x->in) : 0);
    if (passed)
        session_note(s, "%zu file%s passed over in folders, not pictures that can be read", passed,
                     passed == 1 ? " was" : "s were");
    if ((code = rows_commit(s, x->out)) != 0) return code;
    const size_t columns = tw_extractor_feature_count(extractor);
    const char *const precision = report_precision_name(tw_extractor_precision(extractor));
    if (s->opts.json)
        print_json(x, precision, columns);
    else
        print_text(x, precision, columns);
    return x->failed ? EXIT_SOME : EXIT_FINE;
}

static int extract(extraction *x, tw_backbone *backbone)
{
    session *const s = x->s;
    const options *const o = &s->opts;
    tw_extractor *extractor = NULL;
    tw_extract_opts opts;
    tw_extract_opts_init(&opts);
    opts.precision = (tw_precision)o->precision;
    if (option_given(o, OPT_POOLING)) opts.pooling = (tw_pooling)(TW_POOLING_AVG + o->pooling);
    opts.batch = o->batch;
    opts.reference_recipe = o->recipe == RECIPE_REFERENCE;
    opts.fast_decode = o->fast_decode;
    opts.geometry = o->geometry;
    opts.resize = o->resize;
    opts.max_pixels = o->max_pixels;
    int code = views_read(s, &opts);
    if (code) return code;
    tw_status status = TW_OK;
    if (opts.precision == TW_PRECISION_INT8 && x->dataset && !tw_backbone_calibrated(backbone))
        status = tw_backbone_calibrate_dataset(s->ctx, backbone, &opts, x->dataset, NULL);
    if (status == TW_OK) status = tw_extractor_new(s->ctx, backbone, &opts, &extractor);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    code = EXIT_RESOURCE;
    x->out = rows_open(s, o->output, x->dataset != NULL, tw_extractor_feature_count(extractor));
    if (x->out) {
        status =
            tw_extract_paths(s->ctx, extractor, x->in ? next_of_inputs : next_of_dataset,
                             x->in ? inputs_total(x->in) : tw_dataset_count(x->dataset), on_row, x);
        code = after_run(x, extractor, status);
    }
    tw_extractor_free(extractor);
    return code;
}

static int with_backbone(extraction *x)
{
    session *const s = x->s;
    tw_backbone *backbone = NULL;
    const char *name = s->opts.backbone;
    if (!name) name = s->opts.recipe == RECIPE_REFERENCE ? "vgg16" : "sapling";
    const tw_status status = tw_backbone_open(s->ctx, name, &backbone);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    const int code = extract(x, backbone);
    tw_backbone_free(backbone);
    return code;
}

static void extraction_free(extraction *x)
{
    for (size_t i = 0; i < x->kept_count; i++) free(x->kept[i].name);
    for (size_t i = 0; i < x->skipped_count; i++) {
        free(x->skipped[i].path);
        free(x->skipped[i].reason);
    }
    free(x->kept);
    free(x->skipped);
    rows_free(x->out);
    inputs_free(x->in);
}

static int run_labelled(session *s)
{
    const options *const o = &s->opts;
    tw_dataset *dataset;
    const int refused = labelled_open(s, o->operands[0], true, &dataset);
    if (refused) {
        session_note(s, "a folder with sub-folders is read as one class each; --flat takes its "
                        "pictures as they are");
        return refused;
    }
    extraction x = {.s = s, .dataset = dataset};
    const int code = with_backbone(&x);
    extraction_free(&x);
    tw_dataset_free(dataset);
    return code;
}

static int run_flat(session *s)
{
    const options *const o = &s->opts;
    if (o->categories.count)
        return session_fail_usage(
            s, "--categories needs a folder with one sub-folder a class, or a manifest");
    extraction x = {.s = s, .in = inputs_open(o->operands, o->operand_count, o->nul != 0)};
    const int code = x.in ? with_backbone(&x) : session_fail_nomem(s);
    extraction_free(&x);
    return code;
}

static int run(session *s)
{
    if (!s->opts.output)
        return session_fail_usage(s, "extract needs -o FILE: where the features go");
    const bool labelled = is_labelled(&s->opts);
    const int code = rows_check(s, s->opts.output, labelled);
    if (code) return code;
    session_use_cache(s);
    return labelled ? run_labelled(s) : run_flat(s);
}

static const option_use uses[] = {
    {OPT_OUTPUT, "The matrix of features, .npy. Its companions are named after it. Required."},
    {OPT_FORCE, NULL},
    {OPT_FLAT, NULL},
    {OPT_CATEGORIES, NULL},
    {OPT_BACKBONE, NULL},
    {OPT_POOLING, NULL},
    {OPT_PRECISION, NULL},
    {OPT_RECIPE, NULL},
    {OPT_GEOMETRY, NULL},
    {OPT_RESIZE, NULL},
    {OPT_INPUT_SIZE, NULL},
    {OPT_VIEWS, NULL},
    {OPT_PATCHES, NULL},
    {OPT_LAYERS, NULL},
    {OPT_FAST_DECODE,
     "Decode large JPEG files at a reduced size. Faster; it changes pixels a little."},
    {OPT_MAX_PIXELS, NULL},
    {OPT_NUL, NULL},
    {OPT_CACHE, NULL},
    {OPT_NO_CACHE, NULL},
    {OPT_CACHE_SIZE, NULL},
    {OPT_STRICT,
     "The first photo that cannot be read ends the work. Otherwise it has no row, and is listed."},
    {OPT_JSON, NULL},
    {OPT_BATCH, NULL},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_extract = {
    .name = "extract",
    .summary = "write the features of photos to a .npy file",
    .operands = "(FOLDER | MANIFEST | PHOTO | -)...",
    .least = 1,
    .most = (size_t)-1,
    .uses = uses,
    .use_count = LEN(uses),
    .description =
        "Runs photos through a pretrained network and writes one row of features a photo.\n\n"
        "One FOLDER with sub-folders, or one MANIFEST (NAME.csv), is a labelled set, laid out and "
        "ordered as "
        "for 'topwork train'. "
        "Anything else is a list of photos without labels, named as for 'topwork predict'; so is "
        "everything with "
        "--flat.\n\n"
        "-o x.npy makes up to three files, all of them or none: x.npy, float32, rows x features, "
        "as numpy.load reads "
        "it; x.labels.npy, int64, the number of each row's class (labelled sets only); "
        "x.names.csv, the columns path "
        "and, for labelled sets, label, a line a row.",
    .output = "What was written. --json: {\"output\", \"labels_output\", \"names_output\", "
              "\"rows\", \"features\", \"dtype\", \"precision\", "
              "\"files\", \"labels\" (null without), \"classes\", \"skipped\": [{\"path\", "
              "\"reason\"}, ...]}.",
    .examples = "$ topwork extract photos/ -o x.npy\n"
                "$ python3 -c 'import numpy; print(numpy.load(\"x.npy\").shape)'\n"
                "(1000, 256)\n\n"
                "$ topwork extract unsorted/ -o x.npy --flat --backbone vgg16 --pooling max\n",
    .run = run,
};
