#include "options.h"

#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "topwork/topwork.h"

typedef struct parser {
    options *o;
    const command *cmd;
    char *why;
    size_t why_size;
} parser;

PRINTF(2, 3) static parse_result usage(const parser *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->why, p->why_size, format, args);
    va_end(args);
    return PARSE_USAGE;
}

void options_init(options *o)
{
    *o = (options){
        .stratify = TW_DEFAULT, .test_size = 0.2, .seed = 42, .l1_ratio = 0.5, .accept = 0.95};
}

void options_free(options *o)
{
    for (size_t id = 0; id < OPT_COUNT; id++) {
        if (option_at((option_id)id)->kind != OPTION_LIST) continue;
        text_list *const list = (text_list *)(void *)((char *)o + option_at((option_id)id)->field);
        for (size_t i = 0; i < list->count; i++) free(list->items[i]);
        free(list->items);
        *list = (text_list){0}; /* two options may share one */
    }
    free(o->operands);
    *o = (options){0};
}

bool option_given(const options *o, option_id id)
{
    return o->given[id];
}

bool options_want_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) return true;
    return false;
}

/* ---- finding an option --------------------------------------------------------------------- */

static bool takes(const command *cmd, option_id id)
{
    for (size_t i = 0; i < cmd->use_count; i++)
        if (cmd->uses[i].id == (int)id) return true;
    return false;
}

/* The option of cmd whose name is nearest to what was typed; NULL when none is near. */
static const char *nearest(const command *cmd, const char *typed)
{
    const char *best = NULL;
    size_t best_distance = strlen(typed) / 3 + 1;
    for (size_t i = 0; i < cmd->use_count; i++) {
        const char *const name = option_at(cmd->uses[i].id)->name;
        const size_t distance = text_distance(typed, name);
        /* a beginning of the name counts as near: --test for --test-size */
        const bool begins = strlen(typed) >= 3 && strncmp(typed, name, strlen(typed)) == 0;
        if (begins || distance < best_distance || (!best && distance <= best_distance)) {
            best = name;
            best_distance = begins ? 0 : distance;
        }
    }
    return best;
}

static parse_result unknown_long(const parser *p, const char *typed)
{
    for (size_t id = 0; id < OPT_COUNT; id++)
        if (strcmp(option_at((option_id)id)->name, typed) == 0)
            return usage(p, "%s takes no option --%s", p->cmd->name, typed);
    const char *const near = nearest(p->cmd, typed);
    char *const shown = text_escape(typed);
    if (!shown) return PARSE_NOMEM;
    if (near)
        usage(p, "unknown option --%s: did you mean --%s?", shown, near);
    else
        usage(p, "unknown option --%s", shown);
    free(shown);
    return PARSE_USAGE;
}

static parse_result find_long(const parser *p, const char *typed, option_id *id)
{
    for (size_t i = 0; i < OPT_COUNT; i++)
        if (strcmp(option_at((option_id)i)->name, typed) == 0 && takes(p->cmd, (option_id)i)) {
            *id = (option_id)i;
            return PARSE_OK;
        }
    return unknown_long(p, typed);
}

static parse_result find_letter(const parser *p, char letter, option_id *id)
{
    for (size_t i = 0; i < OPT_COUNT; i++)
        if (option_at((option_id)i)->letter == letter && takes(p->cmd, (option_id)i)) {
            *id = (option_id)i;
            return PARSE_OK;
        }
    const char typed[2] = {letter, '\0'};
    char *const shown = text_escape(typed);
    if (!shown) return PARSE_NOMEM;
    usage(p, "unknown option -%s", shown);
    free(shown);
    return PARSE_USAGE;
}

/* ---- reading a value ----------------------------------------------------------------------- */

static void join_words(const char *const *words, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (; *words && used < size; words++) {
        const char *const between = used == 0 ? "" : words[1] ? ", " : " or ";
        const int n = snprintf(out + used, size - used, "%s%s", between, *words);
        used += n > 0 ? (size_t)n : 0;
    }
}

static bool word_place(const char *const *words, const char *text, int *place)
{
    for (int i = 0; words && words[i]; i++)
        if (strcmp(words[i], text) == 0) {
            *place = i;
            return true;
        }
    return false;
}

static parse_result bad_word(const parser *p, const option *opt, const char *text)
{
    char all[128];
    join_words(opt->words, all, sizeof all);
    char *const shown = text_escape(text);
    if (!shown) return PARSE_NOMEM;
    usage(p, "--%s: '%s' is not one of %s", opt->name, shown, all);
    free(shown);
    return PARSE_USAGE;
}

static parse_result bad_number(const parser *p, const option *opt, const char *text)
{
    const bool whole = opt->kind != OPTION_NUMBER, from = opt->least != 0 && whole;
    char *const shown = text_escape(text);
    if (!shown) return PARSE_NOMEM;
    char range[96] = "", words[64] = "";
    if (opt->words) join_words(opt->words, words, sizeof words);
    if (whole && opt->most < 1e9)
        snprintf(range, sizeof range, " from %.0f to %.0f", opt->least, opt->most);
    else if (from)
        snprintf(range, sizeof range, " from %.0f on", opt->least);
    else if (!whole && opt->least == 0)
        snprintf(range, sizeof range, " from 0 to %.0f", opt->most);
    else if (!whole)
        snprintf(range, sizeof range, " above 0");
    usage(p, "--%s: '%s' is not a %snumber%s%s%s", opt->name, shown, whole ? "whole " : "", range,
          opt->words ? ", or " : "", words);
    free(shown);
    return PARSE_USAGE;
}

/* "4G" as 4 with a factor of 2^30. */
static bool split_suffix(const char *text, char digits[32], double *factor)
{
    static const char suffixes[] = "KMGT";
    const size_t length = strlen(text);
    *factor = 1.0;
    if (length == 0 || length >= 32) return false;
    memcpy(digits, text, length + 1);
    const char *const at = strchr(suffixes, text[length - 1]);
    if (!at) return true;
    for (const char *s = suffixes; s <= at; s++) *factor *= 1024.0;
    digits[length - 1] = '\0';
    return true;
}

/* Digits, sign, point and exponent only: strtod alone would take "inf", "nan" and hexadecimal. */
static bool read_number(const option *opt, const char *text, double *out)
{
    const char *const allowed = opt->kind != OPTION_NUMBER ? "0123456789" : "0123456789.eE+-";
    char digits[32];
    double factor = 1.0;
    if (opt->kind == OPTION_BYTES) {
        if (!split_suffix(text, digits, &factor)) return false;
        text = digits;
    }
    if (*text == '\0' || text[strspn(text, allowed)] != '\0') return false;
    char *end;
    const double value = strtod(text, &end) * factor;
    if (*end != '\0' || !isfinite(value) || value < opt->least || value > opt->most) return false;
    *out = value;
    return true;
}

static parse_result add_item(text_list *list, const char *text, size_t size)
{
    char **const items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items) return PARSE_NOMEM;
    list->items = items;
    char *const item = malloc(size + 1), *to = item;
    if (!item) return PARSE_NOMEM;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\\' && i + 1 < size && text[i + 1] == ',') i++;
        *to++ = text[i];
    }
    *to = '\0';
    items[list->count++] = item;
    return PARSE_OK;
}

static parse_result read_list(const parser *p, const option *opt, const char *text, text_list *list)
{
    const char *start = text;
    for (const char *at = text;; at++) {
        if (at[0] == '\\' && at[1] == ',') {
            at++;
            continue;
        }
        if (*at != ',' && *at != '\0') continue;
        if (at == start) return usage(p, "--%s: an empty name in the list", opt->name);
        const parse_result r = add_item(list, start, (size_t)(at - start));
        if (r != PARSE_OK) return r;
        if (*at == '\0') return PARSE_OK;
        start = at + 1;
    }
}

static parse_result store(const parser *p, option_id id, const char *text)
{
    const option *const opt = option_at(id);
    void *const field = (char *)p->o + opt->field;
    int place = 0;
    double number = 0.0;
    p->o->given[id] = true;
    switch (opt->kind) {
    case OPTION_FLAG:
        *(int *)field = opt->number;
        return PARSE_OK;
    case OPTION_LIST:
        return read_list(p, opt, text, field);
    case OPTION_TEXT:
        if (*text == '\0') return usage(p, "--%s: the value is empty", opt->name);
        *(const char **)field = text;
        return PARSE_OK;
    case OPTION_WORD:
    case OPTION_NAME:
        if (!word_place(opt->words, text, &place)) return bad_word(p, opt, text);
        if (opt->kind == OPTION_WORD)
            *(int *)field = place;
        else
            *(const char **)field = opt->words[place];
        return PARSE_OK;
    case OPTION_SIZE:
    case OPTION_BYTES:
    case OPTION_NUMBER:
        break;
    }
    if (word_place(opt->words, text, &place))
        number = opt->number - place;
    else if (!read_number(opt, text, &number))
        return bad_number(p, opt, text);
    if (opt->kind != OPTION_NUMBER)
        *(size_t *)field = (size_t)number;
    else
        *(double *)field = number;
    return PARSE_OK;
}

/* ---- walking argv -------------------------------------------------------------------------- */

/* --name, --name=value or --name value; *i moves past what was used. */
static parse_result parse_long(const parser *p, int argc, char **argv, int *i)
{
    char name[64];
    const char *const typed = argv[*i] + 2;
    const char *const equals = strchr(typed, '=');
    const size_t n = equals ? (size_t)(equals - typed) : strlen(typed);
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), typed);
    option_id id = OPT_HELP;
    const parse_result r = find_long(p, name, &id);
    if (r != PARSE_OK) return r;
    if (option_at(id)->kind == OPTION_FLAG) {
        if (equals) return usage(p, "--%s takes no value", name);
        return store(p, id, "");
    }
    if (equals) return store(p, id, equals + 1);
    if (*i + 1 >= argc) return usage(p, "--%s needs a value", name);
    return store(p, id, argv[++*i]);
}

/* -q, -qf, -oFILE or -o FILE. */
static parse_result parse_letters(const parser *p, int argc, char **argv, int *i)
{
    for (const char *at = argv[*i] + 1; *at; at++) {
        option_id id = OPT_HELP;
        parse_result r = find_letter(p, *at, &id);
        if (r != PARSE_OK) return r;
        if (option_at(id)->kind != OPTION_FLAG) {
            if (at[1]) return store(p, id, at + 1);
            if (*i + 1 >= argc) return usage(p, "-%c needs a value", *at);
            return store(p, id, argv[++*i]);
        }
        if ((r = store(p, id, "")) != PARSE_OK) return r;
    }
    return PARSE_OK;
}

static parse_result check_operands(const parser *p)
{
    const options *const o = p->o;
    const command *const cmd = p->cmd;
    if (o->operand_count < cmd->least) return usage(p, "%s needs %s", cmd->name, cmd->operands);
    if (o->operand_count > cmd->most) {
        char *const shown = text_escape(o->operands[cmd->most]);
        if (!shown) return PARSE_NOMEM;
        usage(p, "%s: one argument too many: '%s'", cmd->name, shown);
        free(shown);
        return PARSE_USAGE;
    }
    for (size_t i = 0; i < o->operand_count; i++)
        if (o->operands[i][0] == '\0') return usage(p, "%s: an argument is empty", cmd->name);
    if (o->test_size >= 1 && o->test_size != floor(o->test_size))
        return usage(p, "--test-size: from 1 on it is a number of photos, so a whole number");
    if (o->csv && o->json) return usage(p, "--csv and --json exclude each other");
    return PARSE_OK;
}

parse_result options_parse(options *o, const command *cmd, int argc, char **argv, char *why,
                           size_t why_size)
{
    const parser p = {o, cmd, why, why_size};
    bool ended = false;
    options_init(o);
    o->operands = calloc((size_t)argc + 1, sizeof *o->operands);
    if (!o->operands) return PARSE_NOMEM;
    for (int i = 0; i < argc; i++) {
        char *const word = argv[i];
        parse_result r = PARSE_OK;
        if (ended || word[0] != '-' || word[1] == '\0')
            o->operands[o->operand_count++] = word;
        else if (word[1] != '-')
            r = parse_letters(&p, argc, argv, &i);
        else if (word[2] == '\0')
            ended = true;
        else
            r = parse_long(&p, argc, argv, &i);
        if (r != PARSE_OK) return r;
        if (o->help) return PARSE_OK;
    }
    return check_operands(&p);
}
