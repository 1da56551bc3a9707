/* cmd_evaluate.c - topwork evaluate: how good is a model on these photos? */
#include "report.h"

static void json_document(session *s, const tw_model *model, const tw_dataset *dataset,
                          const tw_report *report)
{
    js *const j = &s->json;
    tw_summary sum;
    tw_report_summary(report, &sum);
    js_object(j, NULL);
    js_name(j, "model", s->opts.operands[0]);
    js_name(j, "backbone", tw_backbone_name(tw_model_backbone(model)));
    js_text(j, "precision", report_precision_name(sum.precision));
    js_text(j, "isa", sum.isa);
    js_names(j, "classes", report_class_at, report);
    js_size(j, "n_test", sum.n_test);
    js_names(j, "test_files", report_test_file, report);
    report_json(j, report);
    report_skipped_json(j, dataset, report);
    js_object_end(j);
}

static void print(session *s, const tw_model *model, const tw_dataset *dataset,
                  const tw_report *report)
{
    tw_summary sum;
    tw_report_summary(report, &sum);
    session_before_output(s);
    if (s->opts.json) {
        json_document(s, model, dataset, report);
        return;
    }
    report_classes_text(dataset);
    report_backbone_text(tw_model_backbone(model));
    printf("precision: %s%s%s\n", report_precision_name(sum.precision), sum.isa ? ", " : "",
           sum.isa ? sum.isa : "");
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
    if (s->opts.strict && unread)
        code = session_fail_text(s, EXIT_DATA, tw_status_name(TW_ERR_DATA), "%s: %s", unread,
                                 tw_report_skipped_reason(report, 0));
    else
        print(s, model, dataset, report);
    tw_report_free(report);
    return code;
}

static int run(session *s)
{
    const options *const o = &s->opts;
    tw_model *model = NULL;
    tw_dataset *dataset = NULL;
    tw_dataset_opts opts;
    int code;
    tw_dataset_opts_init(&opts);
    opts.categories = (const char *const *)o->categories.items;
    opts.n_categories = o->categories.count;
    opts.to_measure = 1;
    tw_status status = tw_model_open(s->ctx, o->operands[0], &model);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    status = tw_dataset_open(s->ctx, o->operands[1], &opts, &dataset);
    session_use_cache(s);
    code = status == TW_OK ? run_on(s, model, dataset) : session_fail(s, status, PHASE_DATA);
    tw_dataset_free(dataset);
    tw_model_free(model);
    return code;
}

static const option_use uses[] = {
    {OPT_CATEGORIES, NULL},
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
    .output = "Accuracy with its 95 % interval (Wilson), what always answering the commonest class "
              "would reach, accuracy among "
              "the most probable classes, the confusion matrix (of many classes: the most frequent "
              "mistakes), precision, "
              "recall and F1 of every class, and times.\n\n"
              "--json: {\"model\", \"backbone\", \"precision\", \"isa\", \"classes\", \"n_test\", "
              "\"test_files\", \"accuracy\", "
              "\"accuracy_interval\", \"baseline_accuracy\", \"top_k\", \"top_k_accuracy\", "
              "\"confusion\", \"per_class\", \"seconds\", "
              "\"photos_per_second\", \"skipped\"}.",
    .examples = "$ topwork evaluate pets.tw other-photos/\n\n"
                "$ topwork evaluate pets.tw other-photos/ --json | jq .accuracy\n",
    .run = run,
};
