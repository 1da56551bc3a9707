/* command.h - a command is one file cmd_*.c and one row in main.c. */
#ifndef TOPWORK_CLI_COMMAND_H
#define TOPWORK_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct session;

/* An option that a command takes. */
typedef struct option_use {
    int id;           /* option_id */
    const char *help; /* what it means here, when the table's words do not fit; NULL: they do */
} option_use;

typedef struct command {
    const char *name;       /* "train", "backbone list" */
    const char *summary;    /* one line, for the list of commands */
    const char *operands;   /* "FOLDER | MANIFEST"; "" for none */
    size_t least, most;     /* how many operands */
    const option_use *uses; /* [use_count], in the order in which --help lists them */
    size_t use_count;
    const char *description;       /* paragraphs */
    const char *output;            /* what is printed: paragraphs; NULL: said in the description */
    const char *examples;          /* printed as they stand */
    int (*run)(struct session *s); /* the exit code */
} command;

extern const command *const command_table[]; /* NULL-ended */

/* --help of one command, and of the program, on stdout. */
void help_command(const command *cmd);
void help_program(void);

/* What completions and the tests ask for: one line an option, "name<TAB>letter or -<TAB>flag or
 * value<TAB>words". */
void help_option_list(const command *cmd);

extern const command command_audit, command_compare, command_finetune, command_pretrain,
    command_train, command_evaluate, command_predict, command_extract, command_classify,
    command_backbone_list, command_backbone_info, command_backbone_pull, command_backbone_import,
    command_backbone_calibrate, command_cache_info, command_cache_clear, command_info,
    command_version, command_help;

#endif
