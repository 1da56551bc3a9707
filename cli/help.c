/* help.c - the manual pages that --help prints, made from the tables of commands and options. */
#include "options.h"
#include "session.h"
#include "text.h"

#include <string.h>

enum { INDENT = 4, WIDTH = 80 };

/* "avg|max|none", or what the table calls the value. */
static void put_value(const option *opt)
{
    if (opt->value) {
        printf(" %s", opt->value);
        return;
    }
    for (size_t i = 0; opt->words && opt->words[i]; i++)
        printf("%s%s", i ? "|" : " ", opt->words[i]);
}

static void put_option(const option_use *use)
{
    const option *const opt = option_at(use->id);
    printf("%*s", INDENT, "");
    if (opt->letter) printf("-%c, ", opt->letter);
    printf("--%s", opt->name);
    put_value(opt);
    putchar('\n');
    text_wrap(stdout, use->help ? use->help : opt->help, 2 * INDENT, WIDTH);
    if (opt->fallback && !use->help) printf("%*sDefault: %s.\n", 2 * INDENT, "", opt->fallback);
}

/* An example begins with "$ "; what it prints or says follows as it stands. */
static void put_indented(const char *text)
{
    while (*text) {
        const size_t n = strcspn(text, "\n");
        if (n) printf("%*s%.*s", INDENT, "", (int)n, text);
        putchar('\n');
        text += n + (text[n] == '\n');
    }
}

static void put_exit_status(void)
{
    static const struct {
        int code;
        const char *meaning;
    } rows[] = {
        {EXIT_FINE, "done"},
        {EXIT_SOME, "some of the photos named could not be read; the others were answered"},
        {EXIT_USAGE, "the command line is wrong"},
        {EXIT_DATA, "the photos or labels cannot do this job, or none could be read"},
        {EXIT_MODEL, "a model or backbone is missing, damaged or not for this machine"},
        {EXIT_RESOURCE, "memory ran out, an output could not be written, or the network failed"},
        {EXIT_INTERRUPTED, "interrupted (143: terminated); nothing half-written is left"},
    };
    puts("\nEXIT STATUS");
    for (size_t i = 0; i < LEN(rows); i++)
        printf("%*s%3d  %s\n", INDENT, "", rows[i].code, rows[i].meaning);
}

void help_command(const command *cmd)
{
    printf("NAME\n%*stopwork %s - %s\n", INDENT, "", cmd->name, cmd->summary);
    printf("\nSYNOPSIS\n%*stopwork %s [OPTION]...%s%s\n", INDENT, "", cmd->name,
           *cmd->operands ? " " : "", cmd->operands);
    puts("\nDESCRIPTION");
    text_wrap(stdout, cmd->description, INDENT, WIDTH);
    if (cmd->output) {
        puts("\nOUTPUT");
        text_wrap(stdout, cmd->output, INDENT, WIDTH);
    }
    puts("\nOPTIONS");
    for (size_t i = 0; i < cmd->use_count; i++) {
        if (i) putchar('\n');
        put_option(&cmd->uses[i]);
    }
    puts("\nEXAMPLES");
    put_indented(cmd->examples);
    put_exit_status();
}

void help_program(void)
{
    puts("topwork - image classification by transfer learning\n\nUSAGE\n    topwork COMMAND "
         "[OPTION]... "
         "[ARGUMENT]...\n\nCOMMANDS");
    for (size_t i = 0; command_table[i]; i++)
        printf("%*s%-16s  %s\n", INDENT, "", command_table[i]->name, command_table[i]->summary);
    puts("\nTHE SHORTEST WAY\n"
         "    $ topwork train photos/ -o pets.tw     a folder with one sub-folder a class\n"
         "    $ topwork predict pets.tw new.jpg\n\n"
         "'topwork COMMAND --help' is the manual page of a command. Options are the same\n"
         "words in every command; --json makes the output of any of them one document.");
}

void help_option_list(const command *cmd)
{
    for (size_t i = 0; i < cmd->use_count; i++) {
        const option *const opt = option_at(cmd->uses[i].id);
        printf("%s\t%c\t%s\t", opt->name, opt->letter ? opt->letter : '-',
               opt->kind == OPTION_FLAG ? "flag" : "value");
        for (size_t w = 0; opt->words && opt->words[w]; w++)
            printf("%s%s", w ? " " : "", opt->words[w]);
        putchar('\n');
    }
}
