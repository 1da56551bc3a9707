/* cmd_info.c - topwork info, version and help. */
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* ---- info ---------------------------------------------------------------------------------- */

/* A backbone file is asked about with the same word; the model's failure stands when it is none
 * either. */
static tw_status describe(session *s, const char *path, char **document)
{
    tw_model *model = NULL;
    tw_status status = tw_model_open(s->ctx, path, &model);
    if (status == TW_OK) {
        status = tw_model_describe(s->ctx, model, document);
        tw_model_free(model);
        return status;
    }
    tw_ctx *other = NULL; /* keeps the first message where it is */
    tw_backbone *backbone = NULL;
    char *const as_path = output_as_path(path);
    if (status == TW_ERR_FORMAT && as_path && tw_ctx_new(&other) == TW_OK &&
        tw_backbone_open(other, as_path, &backbone) == TW_OK)
        status = tw_backbone_describe(other, backbone, document);
    tw_backbone_free(backbone);
    tw_ctx_free(other);
    free(as_path);
    return status;
}

static int run_info(session *s)
{
    char *document = NULL;
    const tw_status status = describe(s, s->opts.operands[0], &document);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    if (s->opts.json)
        js_raw(&s->json, NULL, document);
    else
        json_outline(stdout, document, 4);
    tw_free(document);
    return EXIT_FINE;
}

static const option_use info_uses[] = {{OPT_JSON, NULL}, {OPT_QUIET, NULL}, {OPT_HELP, NULL}};

const command command_info = {
    .name = "info",
    .summary = "show everything a model remembers about how it was made",
    .operands = "MODEL",
    .least = 1,
    .most = 1,
    .uses = info_uses,
    .use_count = LEN(info_uses),
    .description =
        "Opens a model, checking its digest, and shows its classes, backbone, preprocessing "
        "recipe, training "
        "options, split, and what was measured. A backbone file is shown in the same way.",
    .output =
        "Indented lines; long lists by their length. --json: the document itself, with everything.",
    .examples = "$ topwork info pets.tw\n\n$ topwork info pets.tw --json | jq .metrics.accuracy\n",
    .run = run_info,
};

/* ---- version ------------------------------------------------------------------------------- */

static int run_version(session *s)
{
    if (s->opts.json) {
        js_object(&s->json, NULL);
        js_text(&s->json, "version", tw_version());
        js_object_end(&s->json);
    } else {
        printf("topwork %s\n", tw_version());
    }
    return EXIT_FINE;
}

static const option_use version_uses[] = {{OPT_JSON, NULL}, {OPT_HELP, NULL}};

const command command_version = {
    .name = "version",
    .summary = "show the version",
    .operands = "",
    .uses = version_uses,
    .use_count = LEN(version_uses),
    .description =
        "Shows the version of the program and of its library. 'topwork --version' is the same.",
    .examples = "$ topwork version\n",
    .run = run_version,
};

/* ---- help ---------------------------------------------------------------------------------- */

/* The command whose name is the operands, joined; "backbone" alone is the first of its three. */
static const command *asked_for(const options *o)
{
    for (size_t i = 0; command_table[i]; i++) {
        const char *const name = command_table[i]->name;
        const char *const space = strchr(name, ' ');
        const size_t n = space ? (size_t)(space - name) : strlen(name);
        if (strlen(o->operands[0]) != n || strncmp(name, o->operands[0], n) != 0) continue;
        if (o->operand_count == 1 || (space && strcmp(space + 1, o->operands[1]) == 0))
            return command_table[i];
    }
    return NULL;
}

static int run_help(session *s)
{
    if (s->opts.operand_count == 0) {
        help_program();
        return EXIT_FINE;
    }
    const command *const cmd = asked_for(&s->opts);
    if (!cmd) return session_fail_usage(s, "there is no such command");
    help_command(cmd);
    return EXIT_FINE;
}

static const option_use help_uses[] = {{OPT_HELP, NULL}};

const command command_help = {
    .name = "help",
    .summary = "show this list, or the manual page of a command",
    .operands = "[COMMAND]",
    .most = 2,
    .uses = help_uses,
    .use_count = LEN(help_uses),
    .description = "Shows what 'topwork COMMAND --help' shows.",
    .examples = "$ topwork help train\n",
    .run = run_help,
};
