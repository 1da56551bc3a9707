/* cmd_backbone.c - topwork backbone info | import: pretrained networks. */
#include "output.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- info ---------------------------------------------------------------------------------- */

static void info_json(js *j, const tw_backbone *b, const char *document)
{
    size_t height, width;
    tw_backbone_input(b, &height, &width);
    js_object(j, NULL);
    js_name(j, "name", tw_backbone_name(b));
    js_text(j, "digest", tw_backbone_digest(b));
    js_size(j, "parameters", tw_backbone_parameters(b));
    js_size(j, "features", tw_backbone_feature_count(b));
    js_size(j, "classes", tw_backbone_class_count(b));
    js_array(j, "input");
    js_size(j, NULL, height);
    js_size(j, NULL, width);
    js_array_end(j);
    js_raw(j, "document", document);
    js_object_end(j);
}

static void info_text(const tw_backbone *b, const char *document)
{
    size_t height, width;
    tw_backbone_input(b, &height, &width);
    printf("name        ");
    text_escaped(stdout, tw_backbone_name(b));
    printf("\ndigest      %s\n", tw_backbone_digest(b));
    printf("parameters  %zu\n", tw_backbone_parameters(b));
    printf("features    %zu\n", tw_backbone_feature_count(b));
    printf("classes     %zu%s\n", tw_backbone_class_count(b),
           tw_backbone_class_count(b) ? "" : " (it came without a classifier)");
    printf("input       %zu x %zu\n\n", height, width);
    json_outline(stdout, document, 3);
}

static int show_backbone(session *s, const tw_backbone *b)
{
    char *document = NULL;
    const tw_status status = tw_backbone_describe(s->ctx, b, &document);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    if (s->opts.json)
        info_json(&s->json, b, document);
    else
        info_text(b, document);
    tw_free(document);
    return EXIT_FINE;
}

static int run_info(session *s)
{
    tw_backbone *b = NULL;
    const tw_status status = tw_backbone_open(s->ctx, s->opts.operands[0], &b);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    const int code = show_backbone(s, b);
    tw_backbone_free(b);
    return code;
}

static const option_use info_uses[] = {{OPT_JSON, NULL}, {OPT_QUIET, NULL}, {OPT_HELP, NULL}};

const command command_backbone_info = {
    .name = "backbone info",
    .summary = "show what a pretrained network is and how it sees photos",
    .operands = "(NAME | FILE)",
    .least = 1,
    .most = 1,
    .uses = info_uses,
    .use_count = LEN(info_uses),
    .description = "Opens a backbone, checking its digest, and shows its size, its preprocessing "
                   "recipe and where it "
                   "came from. For a published network that is not installed, the message has its "
                   "address, its hash and "
                   "the command that installs it.",
    .output = "--json: {\"name\", \"digest\", \"parameters\", \"features\", \"classes\", "
              "\"input\": [height, width], "
              "\"document\"}; document is the file's own, with the whole graph.",
    .examples = "$ topwork backbone info sapling\n\n$ topwork backbone info ./vgg16.tw --json | jq "
                ".document.recipe\n",
    .run = run_info,
};

/* ---- import -------------------------------------------------------------------------------- */

static int report_import(session *s, const char *path)
{
    tw_backbone *b = NULL;
    const tw_status status = tw_backbone_open(s->ctx, path, &b);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    if (s->opts.json) {
        js *const j = &s->json;
        js_object(j, NULL);
        js_name(j, "backbone", s->opts.output);
        js_name(j, "name", tw_backbone_name(b));
        js_text(j, "digest", tw_backbone_digest(b));
        js_size(j, "parameters", tw_backbone_parameters(b));
        js_size(j, "features", tw_backbone_feature_count(b));
        js_size(j, "classes", tw_backbone_class_count(b));
        js_object_end(j);
    } else {
        report_backbone_text(b);
        printf("%zu features, %zu classes of its own\nwritten: ", tw_backbone_feature_count(b),
               tw_backbone_class_count(b));
        text_escaped(stdout, s->opts.output);
        printf("\nnext:    ");
        text_shell(stdout, s->program);
        printf(" train PHOTOS --backbone ");
        text_shell(stdout, path);
        putchar('\n');
    }
    tw_backbone_free(b);
    return EXIT_FINE;
}

static int import_to(session *s, const char *path)
{
    const options *const o = &s->opts;
    char why[256];
    int code = output_check(s, path, OUTPUT_TOPWORK);
    if (code) return code;
    char *const opts =
        json_import_options(o->name, o->dtype, o->labels, o->recipe_json, why, sizeof why);
    if (!opts) return *why ? session_fail_usage(s, "%s", why) : session_fail_nomem(s);
    const tw_status status = tw_backbone_import(s->ctx, o->operands[0], o->arch, opts, path);
    free(opts);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    return report_import(s, path);
}

/* Said here, so that a missing file is not told as the importer's trouble. */
static int check_source(session *s)
{
    struct stat info;
    const char *const path = s->opts.operands[0];
    const int why = stat(path, &info) != 0 ? errno : S_ISREG(info.st_mode) ? 0 : EISDIR;
    if (why == 0) return 0;
    char *const shown = text_escape(path);
    if (!shown) return session_fail_nomem(s);
    const int code = session_fail_text(s, EXIT_MODEL, tw_status_name(TW_ERR_IO), "%s: %s", shown,
                                       why == EISDIR ? "not a regular file" : strerror(why));
    free(shown);
    return code;
}

static int run_import(session *s)
{
    if (!s->opts.arch)
        return session_fail_usage(s, "backbone import needs --arch: what the weights are of");
    if (!s->opts.output)
        return session_fail_usage(s, "backbone import needs -o FILE: where the backbone goes");
    int code = check_source(s);
    if (code) return code;
    char *const path = output_as_path(s->opts.output);
    if (!path) return session_fail_nomem(s);
    code = import_to(s, path);
    free(path);
    return code;
}

static const option_use import_uses[] = {
    {OPT_OUTPUT, "The backbone file. Required. Named NAME.tw in a folder of the search path, it is "
                 "found as NAME."},
    {OPT_FORCE, NULL},
    {OPT_ARCH, "The architecture whose weights FILE holds, such as vgg16 or squeezenet1_1. An "
               "unknown name is answered with "
               "the list of those known. Required."},
    {OPT_NAME, NULL},
    {OPT_DTYPE, NULL},
    {OPT_LABELS,
     "Names of the network's own classes, one a line, in order; kept in the backbone file."},
    {OPT_RECIPE_JSON, NULL},
    {OPT_JSON, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_backbone_import = {
    .name = "backbone import",
    .summary = "make a backbone of published weights",
    .operands = "FILE",
    .least = 1,
    .most = 1,
    .uses = import_uses,
    .use_count = LEN(import_uses),
    .description =
        "Reads FILE, pretrained weights as Keras (HDF5) or torchvision (safetensors, by "
        "torchvision's names) publish "
        "them, checks every weight against the architecture, and writes one backbone file with "
        "graph, weights and "
        "preprocessing recipe. A network's own classifier is kept when the weights include it.\n\n"
        "The reading is done by a separate program, topwork-import, under limits of memory and "
        "time.",
    .output =
        "--json: {\"backbone\", \"name\", \"digest\", \"parameters\", \"features\", \"classes\"}.",
    .examples = "$ topwork backbone import vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 "
                "--arch vgg16 -o vgg16.tw\n\n"
                "$ topwork backbone import squeezenet1_1.safetensors --arch squeezenet1_1 \\\n"
                "      --labels imagenet.txt -o squeezenet1_1.tw\n",
    .run = run_import,
};
