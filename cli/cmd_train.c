/* cmd_train.c - topwork train: from a folder of labelled photos to a model. */
#include "heads.h"
#include "labelled.h"
#include "output.h"
#include "report.h"
#include "views.h"

#include <string.h>

static const char default_output[] = "model.tw";

static int read_options(session *s, tw_train_opts *t)
{
    const options *const o = &s->opts;
    tw_train_opts_init(t);
    t->extract.precision = (tw_precision)o->precision;
    /* words begin at avg; TW_POOLING_DEFAULT, before it, is what not to say anything means */
    t->extract.pooling = option_given(o, OPT_POOLING) ? (tw_pooling)(TW_POOLING_AVG + o->pooling)
                                                      : TW_POOLING_DEFAULT;
    t->extract.batch = o->batch;
    t->extract.reference_recipe = o->recipe == RECIPE_REFERENCE;
    t->extract.strict = o->strict;
    t->extract.fast_decode = o->fast_decode;
    t->extract.geometry = o->geometry;
    t->extract.resize = o->resize;
    t->extract.max_pixels = o->max_pixels;
    t->backbone = o->backbone;
    t->test_size = o->test_size;
    t->seed = (uint32_t)o->seed;
    t->stratify = (tw_tristate)o->stratify;
    t->refit_all = o->refit_all;
    t->groups = o->groups;
    t->reject = o->reject ? o->accept : 0.0;
    if (!o->reject && option_given(o, OPT_ACCEPT))
        return session_fail_usage(s, "--accept is about --reject: give that as well");
    if (!(o->accept > 0 && o->accept < 1))
        return session_fail_usage(s, "--accept: all or none cannot be promised; it must lie "
                                     "between 0 and 1");
    const int code = views_read(s, &t->extract);
    return code ? code : heads_read(s, &t->head);
}

/* Opened for a moment before the work, so that a missing or damaged backbone is told as what it is.
 */
static int check_backbone(session *s)
{
    tw_backbone *backbone = NULL;
    const char *name = s->opts.backbone;
    if (!name) name = s->opts.recipe == RECIPE_REFERENCE ? "vgg16" : "sapling";
    const tw_status status = tw_backbone_open(s->ctx, name, &backbone);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    if (!s->opts.json) report_backbone_text(backbone);
    tw_backbone_free(backbone);
    return 0;
}

/* Likewise the model that is trained on. */
static int check_model(session *s)
{
    tw_model *model = NULL;
    const tw_status status = tw_model_open(s->ctx, s->opts.update, &model);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    if (!s->opts.json) report_backbone_text(tw_model_backbone(model));
    tw_model_free(model);
    return 0;
}

static bool has_own_parts(const tw_dataset *dataset)
{
    const size_t n = tw_dataset_count(dataset);
    for (size_t i = 0; i < n; i++)
        if (tw_dataset_part(dataset, i) != TW_PART_NONE) return true;
    return false;
}

static void split_text(const session *s, const tw_dataset *dataset, const tw_summary *sum)
{
    const options *const o = &s->opts;
    printf("split: %zu to train, %zu to test", sum->n_train, sum->n_test);
    if (o->update) {
        puts(" (old photos where they were, new ones divided)");
        return;
    }
    if (has_own_parts(dataset)) {
        puts(" (the data set's own)");
        return;
    }
    const bool stratified =
        o->stratify == TW_DEFAULT ? o->recipe != RECIPE_REFERENCE : o->stratify == TW_YES;
    if (o->groups) {
        printf(" (test size %.9g of the groups, seed %zu)\n", o->test_size, o->seed);
        return;
    }
    printf(" (test size %.9g, seed %zu, %sstratified)\n", o->test_size, o->seed,
           stratified ? "" : "not ");
}

static void head_text(const tw_summary *sum)
{
    printf("features: %zu per photo", sum->feature_count);
    report_views_text(sum);
    printf(", %s%s%s\n", report_precision_name(sum->precision), sum->isa ? ", " : "",
           sum->isa ? sum->isa : "");
    if (sum->n_int8 > 0)
        printf("int8: cross-validated accuracy %.4f on %zu photos; %.4f in floating point\n",
               sum->accuracy_int8, sum->n_int8, sum->accuracy_float);
    printf("head: %s", heads_title(sum->head));
    if (sum->C > 0)
        printf(", %s = %.9g%s", heads_strength(sum->head), sum->C,
               sum->C_chosen ? " (by cross-validation)" : "");
    if (!sum->converged)
        printf(", not converged after %zu iterations (--max-iter allows more)", sum->iterations);
    else if (sum->iterations > 0)
        printf(", %zu iterations", sum->iterations);
    if (strcmp(sum->calibration, "none") != 0)
        printf(", probabilities by %s calibration", sum->calibration);
    putchar('\n');
}

static void print_text(session *s, const tw_dataset *dataset, const tw_report *report,
                       const char *output)
{
    tw_summary sum;
    tw_report_summary(report, &sum);
    split_text(s, dataset, &sum);
    head_text(&sum);
    report_skipped_text(dataset, report);
    report_text(report);
    printf("\nmodel: ");
    text_escaped(stdout, output);
    printf("%s\nnext:  ", s->opts.refit_all ? " (fitted once more on all photos)" : "");
    text_shell(stdout, s->program);
    printf(" predict ");
    text_shell(stdout, output);
    puts(" PHOTO...");
}

static void print_json(session *s, const tw_model *model, const tw_dataset *dataset,
                       const tw_report *report, const char *output)
{
    js *const j = &s->json;
    tw_summary sum;
    tw_report_summary(report, &sum);
    js_object(j, NULL);
    js_name(j, "model", output);
    js_name(j, "backbone", tw_backbone_name(tw_model_backbone(model)));
    js_text(j, "precision", report_precision_name(sum.precision));
    js_text(j, "isa", sum.isa);
    js_size(j, "features", sum.feature_count);
    if (sum.n_int8 > 0) {
        js_object(j, "int8");
        js_size(j, "photos", sum.n_int8);
        js_double(j, "accuracy", sum.accuracy_int8);
        js_double(j, "accuracy_float", sum.accuracy_float);
        js_object_end(j);
    }
    report_views_json(j, &sum);
    js_names(j, "classes", report_class_at, report);
    js_size(j, "n_train", sum.n_train);
    js_size(j, "n_test", sum.n_test);
    js_names(j, "train_files", report_train_file, report);
    js_names(j, "test_files", report_test_file, report);
    js_size(j, "seed", s->opts.seed);
    js_text(j, "head", sum.head);
    js_text(j, "calibration", sum.calibration);
    js_double(j, heads_strength(sum.head), sum.C);
    js_bool(j, "C_chosen", sum.C_chosen != 0);
    js_bool(j, "converged", sum.converged != 0);
    js_size(j, "iterations", sum.iterations);
    js_bool(j, "refit_all", s->opts.refit_all != 0);
    report_json(j, report);
    report_skipped_json(j, dataset, report);
    js_object_end(j);
}

/* An update keeps how the model was trained: what says otherwise is refused. */
static int check_update(session *s)
{
    static const option_id kept[] = {OPT_BACKBONE,
                                     OPT_POOLING,
                                     OPT_PRECISION,
                                     OPT_RECIPE,
                                     OPT_GEOMETRY,
                                     OPT_RESIZE,
                                     OPT_INPUT_SIZE,
                                     OPT_VIEWS,
                                     OPT_PATCHES,
                                     OPT_LAYERS,
                                     OPT_HEAD,
                                     OPT_C,
                                     OPT_ALPHA,
                                     OPT_PENALTY,
                                     OPT_L1_RATIO,
                                     OPT_LOSS,
                                     OPT_GAMMA,
                                     OPT_NEIGHBORS,
                                     OPT_METRIC,
                                     OPT_WEIGHTS,
                                     OPT_HIDDEN,
                                     OPT_PCA,
                                     OPT_TOL,
                                     OPT_MAX_ITER,
                                     OPT_NORMALISE,
                                     OPT_CALIBRATE,
                                     OPT_GROUPS,
                                     OPT_REFIT_ALL,
                                     OPT_REJECT,
                                     OPT_ACCEPT,
                                     OPT_BATCH_SIZE,
                                     OPT_NO_STANDARDISE,
                                     OPT_CLASS_WEIGHT,
                                     OPT_LEARNING_RATE,
                                     OPT_EARLY_STOPPING,
                                     OPT_PATIENCE,
                                     OPT_FAST_DECODE,
                                     OPT_STRATIFY,
                                     OPT_NO_STRATIFY};
    for (size_t i = 0; i < LEN(kept); i++)
        if (option_given(&s->opts, kept[i]))
            return session_fail_usage(s,
                                      "--update keeps how the model was trained: --%s cannot "
                                      "be given",
                                      option_at(kept[i])->name);
    return 0;
}

static int train(session *s, const tw_dataset *dataset, const tw_train_opts *opts,
                 const char *output)
{
    tw_model *model = NULL;
    tw_report *report = NULL;
    tw_status status = s->opts.update
                           ? tw_model_update(s->ctx, s->opts.update, dataset, opts, &model, &report)
                           : tw_model_train(s->ctx, dataset, opts, &model, &report);
    if (status != TW_OK) return session_fail(s, status, s->opts.strict ? PHASE_DATA : PHASE_WRITE);
    int code = session_interrupted(s);
    if (code == 0) {
        status = tw_model_save(s->ctx, model, output);
        if (status != TW_OK) code = session_fail(s, status, PHASE_WRITE);
    }
    if (code == 0) {
        session_before_output(s);
        if (s->opts.json)
            print_json(s, model, dataset, report, output);
        else
            print_text(s, dataset, report, output);
    }
    tw_report_free(report);
    tw_model_free(model);
    return code;
}

static int run(session *s)
{
    const options *const o = &s->opts;
    const char *const output = o->output ? o->output : default_output;
    tw_dataset *dataset = NULL;
    tw_train_opts train_opts;
    int code = o->update ? check_update(s) : 0;
    if (code == 0) code = read_options(s, &train_opts);
    if (code == 0) code = output_check(s, output, OUTPUT_TOPWORK);
    /* One class is enough to add. */
    if (code == 0) code = labelled_open(s, o->operands[0], o->update != NULL, &dataset);
    if (code) return code;
    labelled_announce(s, dataset);
    code = o->update ? check_model(s) : check_backbone(s);
    session_flush(s);
    if (code == 0) code = session_interrupted(s);
    if (code == 0) session_use_cache(s);
    if (code == 0) code = train(s, dataset, &train_opts, output);
    tw_dataset_free(dataset);
    return code;
}

static const option_use uses[] = {
    {OPT_OUTPUT,
     "The model file. Default: model.tw. An existing file is replaced only when topwork wrote it."},
    {OPT_FORCE, NULL},
    {OPT_UPDATE, NULL},
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
    {OPT_FAST_DECODE, NULL},
    {OPT_MAX_PIXELS, NULL},
    {OPT_TEST_SIZE, NULL},
    {OPT_SEED, NULL},
    {OPT_STRATIFY, NULL},
    {OPT_NO_STRATIFY, NULL},
    {OPT_GROUPS, NULL},
    {OPT_HEAD, NULL},
    {OPT_C, NULL},
    {OPT_ALPHA, NULL},
    {OPT_PENALTY, NULL},
    {OPT_L1_RATIO, NULL},
    {OPT_LOSS, NULL},
    {OPT_GAMMA, NULL},
    {OPT_NEIGHBORS, NULL},
    {OPT_METRIC, NULL},
    {OPT_WEIGHTS, NULL},
    {OPT_HIDDEN, NULL},
    {OPT_LEARNING_RATE, NULL},
    {OPT_BATCH_SIZE, NULL},
    {OPT_EARLY_STOPPING, NULL},
    {OPT_PATIENCE, NULL},
    {OPT_CLASS_WEIGHT, NULL},
    {OPT_MAX_ITER, NULL},
    {OPT_TOL, NULL},
    {OPT_NO_STANDARDISE, NULL},
    {OPT_PCA, NULL},
    {OPT_NORMALISE, NULL},
    {OPT_CALIBRATE, NULL},
    {OPT_REFIT_ALL, NULL},
    {OPT_REJECT, NULL},
    {OPT_ACCEPT, NULL},
    {OPT_CACHE, NULL},
    {OPT_NO_CACHE, NULL},
    {OPT_CACHE_SIZE, NULL},
    {OPT_STRICT, NULL},
    {OPT_JSON, NULL},
    {OPT_BATCH, NULL},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_train = {
    .name = "train",
    .summary = "learn a classifier from labelled photos",
    .operands = "(FOLDER | MANIFEST)",
    .least = 1,
    .most = 1,
    .uses = uses,
    .use_count = LEN(uses),
    .description =
        "Runs every photo through a pretrained network, fits a head (by default a logistic "
        "regression) on the features of one part of "
        "them, measures it on the part held out, and writes one self-contained model file.\n\n"
        "FOLDER holds one sub-folder a class, named like the class; or it holds train/ and val/ or "
        "test/, each with "
        "such sub-folders, and is then used as the split it is. MANIFEST is a CSV file with the "
        "header line path,label "
        "or path,label,split; paths are relative to it. Hidden files and files that are not "
        "pictures are left out and "
        "listed. Nothing is ever changed in FOLDER.\n\n"
        "The same photos, options and machine give the same model, byte for byte. An interrupted "
        "training leaves "
        "nothing behind.",
    .output =
        "The classes, the split, the backbone, what was skipped and why, then accuracy on "
        "the held-out photos with its "
        "95 % interval (Wilson), what always answering the commonest class would reach, the "
        "confusion matrix, "
        "precision, recall and F1 of every class, times, and the command to type next. "
        "Photos that were skipped do not "
        "change the exit status, unless --strict.\n\n"
        "--json: {\"model\", \"backbone\", \"precision\", \"isa\", \"features\", \"views\" (more "
        "than "
        "one; null: patches, as many as a photo has), \"layers\" (more than one), "
        "\"classes\", \"n_train\", \"n_test\", \"train_files\", "
        "\"test_files\", \"seed\", \"head\", \"calibration\", \"C\" or \"alpha\", "
        "\"C_chosen\", \"converged\", \"iterations\", "
        "\"refit_all\", \"accuracy\", \"accuracy_interval\", "
        "\"baseline_accuracy\", \"top_k\", \"top_k_accuracy\", \"confusion\" (rows: truth), "
        "\"per_class\", \"seconds\": {\"decode\", "
        "\"network\", \"features\", \"fit\", \"total\"}, \"photos_per_second\", \"skipped\": "
        "[{\"path\", \"reason\"}, ...]}. decode and "
        "network are summed over threads and overlap; the others are what the clock says. "
        "With --reject there is \"reject\" as well: {\"accept\", \"expected\" (the share that "
        "the threshold stands for), \"threshold\", \"n_accepted\", \"n_correct\", \"accuracy\" "
        "(both of the accepted ones)}.",
    .examples = "$ topwork train photos/ -o pets.tw\n\n"
                "$ topwork train --update pets.tw more/ -o pets.tw\n\n"
                "$ topwork train photos/ -o pets.tw --categories cat,dog --test-size 100\n\n"
                "$ topwork train photos/ -o pets.tw --backbone vgg16 --recipe reference --json\n",
    .run = run,
};
