/* cmd_backbone_pull.c - topwork backbone pull: published weights, fetched and installed. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

static void pulled_json(session *s, const tw_pulled *p, const tw_backbone *b)
{
    js *const j = &s->json;
    js_object(j, NULL);
    js_name(j, "backbone", p->path);
    js_name(j, "name", tw_backbone_name(b));
    js_text(j, "digest", tw_backbone_digest(b));
    js_size(j, "parameters", tw_backbone_parameters(b));
    js_size(j, "features", tw_backbone_feature_count(b));
    js_size(j, "classes", tw_backbone_class_count(b));
    js_bool(j, "was_installed", p->was_installed);
    if (!p->was_installed) {
        js_name(j, "source", p->source);
        js_text(j, "sha256", p->sha256);
        js_size(j, "file_bytes", p->file_bytes);
        js_size(j, "received_bytes", p->received_bytes);
        js_size(j, "kept_bytes", p->kept_bytes);
    }
    js_object_end(j);
}

static void pulled_text(session *s, const tw_pulled *p, const tw_backbone *b)
{
    if (!p->was_installed) {
        fputs("from:    ", stdout);
        text_escaped(stdout, p->source);
        printf(" (%.1f MiB", (double)p->file_bytes / 0x1p20);
        if (p->kept_bytes)
            printf(", %.1f of them from an earlier try", (double)p->kept_bytes / 0x1p20);
        puts(")");
    }
    report_backbone_text(b);
    printf("%zu features, %zu classes of its own\n%s: ", tw_backbone_feature_count(b),
           tw_backbone_class_count(b), p->was_installed ? "is here already" : "written");
    text_escaped(stdout, p->path);
    printf("\nnext:    ");
    text_shell(stdout, s->program);
    printf(" train PHOTOS --backbone ");
    text_shell(stdout, s->opts.operands[0]);
    putchar('\n');
}

static int report_pulled(session *s, const tw_pulled *p)
{
    tw_backbone *b = NULL;
    const tw_status status = tw_backbone_open(s->ctx, p->path, &b);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    session_before_output(s);
    if (s->opts.json)
        pulled_json(s, p, b);
    else
        pulled_text(s, p, b);
    tw_backbone_free(b);
    return EXIT_FINE;
}

static int pull_with(session *s, const char *import_options)
{
    const options *const o = &s->opts;
    tw_pulled *pulled = NULL;
    tw_pull_opts opts;
    tw_pull_opts_init(&opts);
    opts.from = o->from;
    opts.sha256 = o->sha256;
    opts.arch = o->arch;
    opts.import_json = import_options;
    opts.cache = o->cache;
    opts.force = o->force;
    opts.stall_seconds = o->timeout;
    opts.attempts = o->tries;
    const tw_status status = tw_backbone_pull(s->ctx, o->operands[0], &opts, &pulled);
    if (status != TW_OK) return session_fail(s, status, PHASE_WRITE);
    const int code = report_pulled(s, pulled);
    tw_pulled_free(pulled);
    return code;
}

static int run_pull(session *s)
{
    const options *const o = &s->opts;
    char why[256];
    const import_words words = {.dtype = o->dtype, .labels = o->labels, .recipe = o->recipe_json};
    char *const opts = json_import_options(&words, why, sizeof why);
    if (!opts) return *why ? session_fail_usage(s, "%s", why) : session_fail_nomem(s);
    const int code = pull_with(s, opts);
    free(opts);
    return code;
}

static const option_use pull_uses[] = {
    {OPT_FROM, NULL},
    {OPT_SHA256, NULL},
    {OPT_ARCH,
     "The architecture whose weights they are. Needed, with --from and --sha256, for a NAME that "
     "is not in the list. Default: that of the published network."},
    {OPT_DTYPE, NULL},
    {OPT_LABELS,
     "Names of the network's own classes, one a line, in order; kept in the backbone file."},
    {OPT_RECIPE_JSON, NULL},
    {OPT_FORCE, "Pull it although a backbone of that name is installed, and replace that."},
    {OPT_TIMEOUT, NULL},
    {OPT_TRIES, NULL},
    {OPT_CACHE, "Folder whose sub-folder downloads holds what is on its way. Default: "
                "XDG_CACHE_HOME/topwork, or ~/.cache/topwork."},
    {OPT_JSON, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_backbone_pull = {
    .name = "backbone pull",
    .summary = "fetch and install a published network",
    .operands = "NAME",
    .least = 1,
    .most = 1,
    .uses = pull_uses,
    .use_count = LEN(pull_uses),
    .description =
        "Fetches the weights published as NAME ('topwork backbone list' shows which there are; "
        "NAME+top has the network's own classifier), checks their hash, imports them and installs "
        "NAME.tw in XDG_DATA_HOME/topwork/backbones (without it: "
        "~/.local/share/topwork/backbones), where every command finds it as NAME. Nothing is done "
        "when NAME is installed.\n\n"
        "What was cut off or interrupted is kept, and the same command goes on from there. A file "
        "with the wrong hash is removed and never installed. Certificates are verified "
        "(SSL_CERT_FILE may name others than the system's); https_proxy, http_proxy, all_proxy and "
        "no_proxy "
        "are honoured.\n\n"
        "With --from, --arch and --sha256 NAME may be any: weights of your own on a server of "
        "your own. Fetching and reading are done by a separate program, topwork-import.",
    .output = "Where it came from, what it is and where it is.\n\n"
              "--json: {\"backbone\", \"name\", \"digest\", \"parameters\", \"features\", "
              "\"classes\", \"was_installed\", \"source\", \"sha256\", \"file_bytes\", "
              "\"received_bytes\", \"kept_bytes\"}; those after was_installed only when it was "
              "not.",
    .examples = "$ topwork backbone pull vgg16\n\n"
                "$ topwork backbone pull vgg16 --from "
                "./vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5\n\n"
                "$ topwork backbone pull ours --from https://models.example.org/ours.safetensors "
                "\\\n      --arch resnet50 --sha256 DIGITS\n",
    .run = run_pull,
};
