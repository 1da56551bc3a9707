/* cmd_backbone.c - topwork backbone info | import: pretrained networks. */
#include "graph.h"
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
    if (s->opts.json) return EXIT_FINE;
    putchar('\n');
    const tw_status drawn = graph_lines(s->ctx, b);
    return drawn == TW_OK ? EXIT_FINE : session_fail(s, drawn, PHASE_MODEL);
}

static int draw_backbone(session *s, const tw_backbone *b)
{
    const tw_status status = graph_dot(s->ctx, b);
    return status == TW_OK ? EXIT_FINE : session_fail(s, status, PHASE_MODEL);
}

static int run_info(session *s)
{
    tw_backbone *b = NULL;
    const tw_status status = tw_backbone_open(s->ctx, s->opts.operands[0], &b);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    const int code = s->opts.dot ? draw_backbone(s, b) : show_backbone(s, b);
    tw_backbone_free(b);
    return code;
}

static const option_use info_uses[] = {
    {OPT_DOT, NULL}, {OPT_JSON, NULL}, {OPT_QUIET, NULL}, {OPT_HELP, NULL}};

const command command_backbone_info = {
    .name = "backbone info",
    .summary = "show what a pretrained network is and how it sees photos",
    .operands = "(NAME | FILE)",
    .least = 1,
    .most = 1,
    .uses = info_uses,
    .use_count = LEN(info_uses),
    .description = "Opens a backbone, checking its digest, and shows its size, its preprocessing "
                   "recipe, where it came from, and its graph, a line a node. For a published "
                   "network that is not installed, the message has its "
                   "address, its hash and "
                   "the command that installs it.",
    .output = "A line a node: number, operator, what it gives (channels x height x width, tokens x "
              "features, features), how many weights, the nodes it reads, its name. --json: "
              "{\"name\", \"digest\", \"parameters\", \"features\", \"classes\", "
              "\"input\": [height, width], "
              "\"document\"}; document is the file's own, with the whole graph.",
    .examples =
        "$ topwork backbone info sapling\n\n$ topwork backbone info ./vgg16.tw --json | jq "
        ".document.recipe\n\n$ topwork backbone info sapling --dot | dot -Tsvg > sapling.svg\n",
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
    const import_words words = {o->name, o->dtype, o->labels, o->feature, o->recipe_json};
    char *const opts = json_import_options(&words, why, sizeof why);
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
               "unknown name is answered with the list of those known. Required for weights; an "
               "ONNX model holds its graph itself."},
    {OPT_FEATURE, NULL},
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
    .summary = "make a backbone of published weights or of an ONNX model",
    .operands = "FILE",
    .least = 1,
    .most = 1,
    .uses = import_uses,
    .use_count = LEN(import_uses),
    .description =
        "Reads FILE, pretrained weights as Keras (HDF5, .keras) or torchvision (safetensors, by "
        "torchvision's names) publish "
        "them, checks every weight against the architecture, and writes one backbone file with "
        "graph, weights and "
        "preprocessing recipe. A network's own classifier is kept when the weights include it.\n\n"
        "Or FILE is an ONNX model (opsets 7 to 21) of one picture in and vectors or maps out. What "
        "comes before its classifier are the features; its recipe is that of its properties "
        "input.range, input.mean, input.std and input.channels, else torchvision's.\n\n"
        "The reading is done by a separate program, topwork-import, under limits of memory and "
        "time.",
    .output =
        "--json: {\"backbone\", \"name\", \"digest\", \"parameters\", \"features\", \"classes\"}.",
    .examples = "$ topwork backbone import vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 "
                "--arch vgg16 -o vgg16.tw\n\n"
                "$ topwork backbone import squeezenet1_1.safetensors --arch squeezenet1_1 \\\n"
                "      --labels imagenet.txt -o squeezenet1_1.tw\n\n"
                "$ topwork backbone import resnet50.onnx -o resnet50.tw\n",
    .run = run_import,
};
