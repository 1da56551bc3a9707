/* main.c - the program topwork: finds the command, reads its options, runs it.
 *
 * It is a customer of the public header like any other and knows nothing of src/. */
#include "heap.h"
#include "session.h"
#include "signals.h"

#include <stdlib.h>
#include <string.h>

const command *const command_table[] = {&command_train,
                                        &command_finetune,
                                        &command_pretrain,
                                        &command_compare,
                                        &command_audit,
                                        &command_evaluate,
                                        &command_predict,
                                        &command_extract,
                                        &command_classify,
                                        &command_backbone_list,
                                        &command_backbone_info,
                                        &command_backbone_pull,
                                        &command_backbone_import,
                                        &command_backbone_calibrate,
                                        &command_cache_info,
                                        &command_cache_clear,
                                        &command_info,
                                        &command_version,
                                        &command_help,
                                        NULL};

/* The command that argv begins with, and how many words its name took. */
static const command *find_command(int argc, char **argv, int *words)
{
    for (size_t i = 0; command_table[i]; i++) {
        const char *const name = command_table[i]->name;
        const char *const space = strchr(name, ' ');
        const size_t n = space ? (size_t)(space - name) : strlen(name);
        if (argc < 1 || strlen(argv[0]) != n || strncmp(argv[0], name, n) != 0) continue;
        if (space && (argc < 2 || strcmp(argv[1], space + 1) != 0)) continue;
        *words = space ? 2 : 1;
        return command_table[i];
    }
    return NULL;
}

/* "backbone" alone: says which words may follow. */
static int needs_second_word(session *s, const char *first)
{
    char words[128] = "";
    const size_t n = strlen(first);
    for (size_t i = 0, used = 0; command_table[i]; i++) {
        const char *const name = command_table[i]->name;
        if (strncmp(name, first, n) != 0 || name[n] != ' ') continue;
        const int wrote =
            snprintf(words + used, sizeof words - used, "%s%s", used ? ", " : "", name + n + 1);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return session_fail_usage(s, "%s needs one of %s", first, words);
}

static int unknown_command(session *s, int argc, char **argv)
{
    char typed[96];
    const char *best = NULL;
    size_t best_distance = 3;
    bool first_word_known = false;
    const size_t n = strlen(argv[0]);
    for (size_t i = 0; command_table[i]; i++) {
        const char *const name = command_table[i]->name;
        const bool same = strncmp(name, argv[0], n) == 0 && name[n] == ' ';
        first_word_known = first_word_known || same;
    }
    if (first_word_known && (argc < 2 || argv[1][0] == '-')) {
        const bool help =
            argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
        if (!help) return needs_second_word(s, argv[0]);
        help_program();
        return EXIT_FINE;
    }
    snprintf(typed, sizeof typed, first_word_known ? "%s %s" : "%s", argv[0],
             argc > 1 ? argv[1] : "");
    for (size_t i = 0; command_table[i]; i++) {
        const size_t distance = text_distance(typed, command_table[i]->name);
        if (distance < best_distance) best = command_table[i]->name, best_distance = distance;
    }
    char *const shown = text_escape(typed);
    if (!shown) return session_fail_nomem(s);
    const int code =
        best ? session_fail_usage(s, "unknown command '%s': did you mean '%s'?", shown, best)
             : session_fail_usage(s, "unknown command '%s'", shown);
    free(shown);
    return code;
}

static int run_command(session *s, int argc, char **argv)
{
    char why[512];
    const int want_json = s->opts.json;
    const parse_result parsed = options_parse(&s->opts, s->cmd, argc, argv, why, sizeof why);
    if (parsed != PARSE_OK) s->opts.json = want_json; /* it may stand after what went wrong */
    switch (parsed) {
    case PARSE_NOMEM:
        return session_fail_nomem(s);
    case PARSE_USAGE:
        return session_fail_usage(s, "%s", why);
    case PARSE_OK:
        break;
    }
    if (s->opts.help) {
        help_command(s->cmd);
        return EXIT_FINE;
    }
    if (!session_begin(s)) return EXIT_RESOURCE;
    return s->cmd->run(s);
}

/* "topwork __options COMMAND": what the shell completions and the tests ask; not a command for
 * people. */
static int list_options(session *s, int argc, char **argv)
{
    int words;
    const command *const cmd = find_command(argc, argv, &words);
    if (argc == 0)
        for (size_t i = 0; command_table[i]; i++) puts(command_table[i]->name);
    else if (!cmd)
        return unknown_command(s, argc, argv);
    else
        help_option_list(cmd);
    return EXIT_FINE;
}

static int dispatch(session *s, int argc, char **argv)
{
    int words = 1;
    if (argc < 2) {
        session_fail_usage(s, "which command?");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_program();
        return EXIT_FINE;
    }
    if (strcmp(argv[1], "__options") == 0) return list_options(s, argc - 2, argv + 2);
    s->cmd = strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0
                 ? &command_version
                 : find_command(argc - 1, argv + 1, &words);
    if (s->cmd) return run_command(s, argc - 1 - words, argv + 1 + words);
    if (argv[1][0] == '-') {
        char *const shown = text_escape(argv[1]);
        if (!shown) return session_fail_nomem(s);
        const int code = session_fail_usage(s, "the command comes first, before '%s'", shown);
        free(shown);
        return code;
    }
    return unknown_command(s, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    session s = {.program = argc > 0 ? argv[0] : "topwork", .json = {.out = stdout}};
    heap_use_large_pages();
    options_init(&s.opts);
    s.opts.json = options_want_json(argc, argv);
    signals_install();
    const int code = dispatch(&s, argc, argv);
    return session_end(&s, code);
}
