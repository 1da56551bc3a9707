/* cmd_evaluate.c - topwork evaluate: how good is a model on these photos? */
#include "labelled.h"
#include "report.h"
#include "unknown.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void json_document(session *s, const tw_model *model, const tw_dataset *dataset,
                          const tw_report *report, size_t unknown_skipped)
{
    js *const j = &s->json;
    tw_summary sum;
    tw_report_summary(report, &sum);
    js_object(j, NULL);
    js_name(j, "model", s->opts.operands[0]);
    js_name(j, "backbone", tw_backbone_name(tw_model_backbone(model)));
    js_text(j, "precision", report_precision_name(sum.precision));
    js_text(j, "isa", sum.isa);
    report_views_json(j, &sum);
    js_names(j, "classes", report_class_at, report);
    js_size(j, "n_test", sum.n_test);
    js_names(j, "test_files", report_test_file, report);
    report_json(j, report);
    if (sum.n_unknown) report_unknown_json(j, report, unknown_skipped);
    report_skipped_json(j, dataset, report);
    js_object_end(j);
}

static void print(session *s, const tw_model *model, const tw_dataset *dataset,
                  const tw_report *report, size_t unknown_skipped)
{
    tw_summary sum;
    tw_report_summary(report, &sum);
    session_before_output(s);
    if (s->opts.json) {
        json_document(s, model, dataset, report, unknown_skipped);
        return;
    }
    report_classes_text(dataset);
    report_backbone_text(tw_model_backbone(model));
    printf("precision: %s%s%s", report_precision_name(sum.precision), sum.isa ? ", " : "",
           sum.isa ? sum.isa : "");
    report_views_text(&sum);
    putchar('\n');
    report_skipped_text(dataset, report);
    report_text(report);
}

static int run_on(session *s, const tw_model *model, const tw_dataset *dataset)
{
    tw_report *report = NULL;
    const tw_status status = tw_model_evaluate(s->ctx, model, dataset, &report);
    if (status != TW_OK) return session_fail(s, status, PHASE_WRITE);
    const char *const unread = tw_report_skipped_path(report, 0);
    int code = EXIT_FINE;
    size_t skipped = 0;
    if (s->opts.strict && unread)
        code = session_fail_text(s, EXIT_DATA, tw_status_name(TW_ERR_DATA), "%s: %s", unread,
                                 tw_report_skipped_reason(report, 0));
    else if (s->opts.unknown)
        code = unknown_measure(s, model, s->opts.unknown, report, &skipped);
    if (code == EXIT_FINE) print(s, model, dataset, report, skipped);
    tw_report_free(report);
    return code;
}

/* Told before the work, not after. */
static int check_unknown(session *s, const tw_model *model)
{
    const char *const folder = s->opts.unknown;
    if (!folder) return 0;
    if (!tw_model_rejects(model))
        return session_fail_text(s, EXIT_MODEL, tw_status_name(TW_ERR_ARG),
                                 "--unknown: the model was trained without --reject, and takes "
                                 "every photo for one of its classes");
    if (access(folder, R_OK) == 0) return 0;
    const char *const why = strerror(errno);
    char *const shown = text_escape(folder);
    if (!shown) return session_fail_nomem(s);
    const int code =
        session_fail_text(s, EXIT_DATA, tw_status_name(TW_ERR_IO), "%s: %s", shown, why);
    free(shown);
    return code;
}

static int run(session *s)
{
    const options *const o = &s->opts;
    tw_model *model = NULL;
    tw_dataset *dataset = NULL;
    int code;
    const tw_status status = tw_model_open(s->ctx, o->operands[0], &model);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    if ((code = check_unknown(s, model)) == 0) {
        code = labelled_open(s, o->operands[1], true, &dataset);
        session_use_cache(s);
        if (code == 0) code = run_on(s, model, dataset);
    }
    tw_dataset_free(dataset);
    tw_model_free(model);
    return code;
}

static const option_use uses[] = {
    {OPT_CATEGORIES, NULL},
    {OPT_UNKNOWN, NULL},
    {OPT_CACHE, NULL},
    {OPT_NO_CACHE, NULL},
    {OPT_CACHE_SIZE, NULL},
    {OPT_STRICT,
     "A photo that cannot be read makes the command fail. Otherwise it is skipped, and listed."},
    {OPT_JSON, NULL},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_evaluate = {
    .name = "evaluate",
    .summary = "measure a model on labelled photos",
    .operands = "MODEL (FOLDER | MANIFEST)",
    .least = 2,
    .most = 2,
    .uses = uses,
    .use_count = LEN(uses),
    .description = "Answers every photo of a labelled set and compares with the labels. The set is "
                   "laid out as for 'topwork "
                   "train'; its classes must be among the model's. Whether the model saw these "
                   "photos in training is yours to "
                   "know ('topwork info MODEL --json' lists the files it was trained on).",
    .output =
        "Accuracy with its 95 % interval (Wilson), what always answering the commonest class "
        "would reach, accuracy among "
        "the most probable classes, the confusion matrix (of many classes: the most frequent "
        "mistakes), precision, "
        "recall and F1 of every class, and times. Of a model trained with --reject also how "
        "many photos it accepts, and its accuracy on those; with --unknown, of the photos of "
        "no class, how many are accepted nevertheless, how many would be where 95 % of the "
        "labelled ones are, and the area under the ROC curve.\n\n"
        "--json: {\"model\", \"backbone\", \"precision\", \"isa\", \"views\" and \"layers\" (more "
        "than one), \"classes\", \"n_test\", "
        "\"test_files\", \"accuracy\", "
        "\"accuracy_interval\", \"baseline_accuracy\", \"top_k\", \"top_k_accuracy\", "
        "\"confusion\", \"per_class\", \"seconds\", "
        "\"photos_per_second\", \"skipped\"}; \"reject\" as train prints it; and with --unknown "
        "\"unknown\": {\"n\", \"n_skipped\", \"n_accepted\", \"false_accept\", "
        "\"false_accept_at_95\", \"auroc\"}.",
    .examples = "$ topwork evaluate pets.tw other-photos/\n\n"
                "$ topwork evaluate pets.tw other-photos/ --json | jq .accuracy\n\n"
                "$ topwork evaluate pets.tw other-photos/ --unknown no-pets/\n",
    .run = run,
};
