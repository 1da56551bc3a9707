/* cmd_backbone_calibrate.c - topwork backbone calibrate: a network made ready for 8 bits. */
#include "output.h"
#include "report.h"

#include <stdlib.h>

static void print_json(session *s, const tw_backbone *b, const tw_calibration *c)
{
    js *const j = &s->json;
    js_object(j, NULL);
    js_name(j, "backbone", s->opts.output);
    js_name(j, "name", tw_backbone_name(b));
    js_size(j, "watched", c->watched);
    js_size(j, "measured", c->measured);
    js_double(j, "cosine_mean", c->cosine_mean);
    js_double(j, "cosine_least", c->cosine_least);
    js_object_end(j);
}

static void print_text(session *s, const tw_backbone *b, const tw_calibration *c, const char *path)
{
    report_backbone_text(b);
    printf("ranges: of %zu photos\n", c->watched);
    printf("int8:   features of %zu other photos have a cosine of %.6f on average and %.6f at "
           "least to those of f32\n",
           c->measured, c->cosine_mean, c->cosine_least);
    printf("written: ");
    text_escaped(stdout, s->opts.output);
    printf("\nnext:    ");
    text_shell(stdout, s->program);
    printf(" train PHOTOS --precision int8 --backbone ");
    text_shell(stdout, path);
    putchar('\n');
}

static int calibrate(session *s, const tw_dataset *dataset, const char *path)
{
    tw_backbone *b = NULL;
    tw_calibration c;
    tw_status status = tw_backbone_open(s->ctx, s->opts.operands[0], &b);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    status = tw_backbone_calibrate_dataset(s->ctx, b, NULL, dataset, &c);
    if (status == TW_OK) status = tw_backbone_save(s->ctx, b, path);
    const int code = status == TW_OK         ? EXIT_FINE
                     : status == TW_ERR_DATA ? session_fail(s, status, PHASE_DATA)
                                             : session_fail(s, status, PHASE_MODEL);
    if (code == EXIT_FINE && s->opts.json)
        print_json(s, b, &c);
    else if (code == EXIT_FINE)
        print_text(s, b, &c, path);
    tw_backbone_free(b);
    return code;
}

static int run(session *s)
{
    tw_dataset *dataset = NULL;
    tw_dataset_opts opts;
    if (!s->opts.output)
        return session_fail_usage(s, "backbone calibrate needs -o FILE: where the backbone goes");
    char *const path = output_as_path(s->opts.output);
    if (!path) return session_fail_nomem(s);
    tw_dataset_opts_init(&opts);
    int code = output_check(s, path, OUTPUT_TOPWORK);
    if (code == 0) {
        const tw_status status = tw_dataset_open(s->ctx, s->opts.operands[1], &opts, &dataset);
        code = status == TW_OK ? calibrate(s, dataset, path) : session_fail(s, status, PHASE_DATA);
    }
    tw_dataset_free(dataset);
    free(path);
    return code;
}

static const option_use uses[] = {
    {OPT_OUTPUT, "The backbone file. Required. Named NAME.tw in a folder of the search path, it is "
                 "found as NAME."},
    {OPT_FORCE, NULL},
    {OPT_JSON, NULL},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_backbone_calibrate = {
    .name = "backbone calibrate",
    .summary = "make a network ready to compute in 8 bits",
    .operands = "(NAME | FILE) PHOTOS",
    .least = 2,
    .most = 2,
    .uses = uses,
    .use_count = LEN(uses),
    .description =
        "Runs 64 photos of PHOTOS, a folder of class folders or a manifest, through the network, "
        "evenly spaced: half of them to see what range each layer's values have, half to measure "
        "how far features in int8 are from those in f32. Writes a backbone file with those ranges: "
        "weights and everything else stay as they are. With it, --precision int8 works in every "
        "command, on photos like these.\n\n"
        "Where the mean cosine is below 0.98, nothing is written: such a network is better run "
        "with --precision auto. train, extract, compare and audit calibrate by themselves when "
        "asked for int8.",
    .output = "--json: {\"backbone\", \"name\", \"watched\", \"measured\", \"cosine_mean\", "
              "\"cosine_least\"}.",
    .examples = "$ topwork backbone calibrate resnet50 photos -o resnet50-int8.tw\n",
    .run = run,
};
