#include "answers.h"

#include "inputs.h"

#include <stdlib.h>
#include <string.h>

typedef struct answers {
    session *s;
    const answerer *a;
    inputs *in;
    tw_ctx *ctx;  /* for scoring: the session's is busy running photos */
    float *prob;  /* [classes] */
    size_t *best; /* [top] the most probable classes, the most probable first */
    size_t top;
    double familiarity;  /* of the photo at hand */
    unsigned char known; /* likewise; 1 where all are */
    size_t answered, failed, passed_over;
    bool begun; /* the beginning of the output is written */
    int code;   /* of a failure that ended the work; 0: none */
} answers;

/* ---- ranking ------------------------------------------------------------------------------- */

/* Insertion into a short list: top is small, and ties must go to the lower number. */
static void rank(const float *prob, size_t classes, size_t *best, size_t top)
{
    size_t kept = 0;
    for (size_t c = 0; c < classes; c++) {
        size_t at = kept;
        while (at > 0 && prob[best[at - 1]] < prob[c]) at--;
        if (at >= top) continue;
        if (kept < top) kept++;
        memmove(&best[at + 1], &best[at], (kept - 1 - at) * sizeof *best);
        best[at] = c;
    }
}

/* ---- one answer in each form --------------------------------------------------------------- */

/* The name of class c, or its number as text. */
static const char *shown_label(const answers *w, size_t c, char number[24])
{
    const char *const label = w->a->label(w->a, c);
    if (label) return label;
    snprintf(number, 24, "%zu", c);
    return number;
}

static void answer_text(const answers *w, const char *path)
{
    char number[24];
    text_escaped(stdout, path);
    for (size_t i = 0; i < w->top; i++) {
        putchar('\t');
        if (i == 0 && !w->known)
            printf("unknown");
        else
            text_escaped(stdout, shown_label(w, w->best[i], number));
        putchar('\t');
        text_float(stdout, w->prob[w->best[i]]);
    }
    putchar('\n');
}

static void csv_header(const answers *w)
{
    printf("path");
    for (size_t i = 0; i < w->top; i++) {
        char place[24] = "";
        if (i) snprintf(place, sizeof place, "_%zu", i + 1);
        if (w->a->indexed) printf(",index%s", place);
        printf(",label%s,probability%s", place, place);
    }
    if (w->a->know) printf(",unknown,familiarity");
    printf(",error\r\n");
}

/* error NULL: an answer. */
static void answer_csv(const answers *w, const char *path, const char *error)
{
    text_csv(stdout, path);
    for (size_t i = 0; i < w->top; i++) {
        const size_t c = w->best[i];
        const char *const label = error ? NULL : w->a->label(w->a, c);
        if (w->a->indexed && error) putchar(',');
        if (w->a->indexed && !error) printf(",%zu", c);
        putchar(',');
        if (label) text_csv(stdout, label);
        putchar(',');
        if (!error) text_float(stdout, w->prob[c]);
    }
    if (w->a->know && error) printf(",,");
    if (w->a->know && !error) {
        printf(",%s,", w->known ? "false" : "true");
        text_float(stdout, (float)w->familiarity);
    }
    putchar(',');
    if (error) text_csv(stdout, error);
    fputs("\r\n", stdout);
}

static void json_class(const answers *w, js *j, size_t c)
{
    if (w->a->indexed) js_size(j, "index", c);
    js_name(j, "label", w->a->label(w->a, c));
    js_float(j, "probability", w->prob[c]);
}

static void answer_json(answers *w, const char *path)
{
    js *const j = &w->s->json;
    js_element_line(j);
    js_object(j, NULL);
    js_name(j, "path", path);
    json_class(w, j, w->best[0]);
    if (w->a->know) {
        js_bool(j, "unknown", !w->known);
        js_double(j, "familiarity", w->familiarity);
    }
    js_array(j, "top");
    for (size_t i = 0; i < w->top; i++) {
        js_object(j, NULL);
        json_class(w, j, w->best[i]);
        js_object_end(j);
    }
    js_array_end(j);
    js_object_end(j);
}

static void error_json(answers *w, const char *path, tw_status status, const char *message)
{
    js *const j = &w->s->json;
    js_element_line(j);
    js_object(j, NULL);
    js_name(j, "path", path);
    js_object(j, "error");
    js_text(j, "code", tw_status_name(status));
    js_text(j, "message", message);
    js_object_end(j);
    js_object_end(j);
}

/* The header or bracket, before the first answer: a run that fails at once prints its failure
 * alone. */
static void begin_output(answers *w)
{
    if (w->begun) return;
    w->begun = true;
    if (w->s->opts.json) js_array(&w->s->json, NULL);
    if (w->s->opts.csv) csv_header(w);
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* "path: message", the path once: the library's messages often begin with it. Fresh memory; NULL:
 * none. */
static char *with_path(const char *path, const char *message)
{
    char *const shown = text_escape(path), *line = NULL;
    if (!shown) return NULL;
    if (asprintf(&line, "%s: %s", shown, text_reason(message, path)) < 0) line = NULL;
    free(shown);
    return line;
}

static int out_of_memory(answers *w)
{
    w->code = session_fail_nomem(w->s);
    return 1;
}

static int row_failed(answers *w, const input *item, tw_status status, const char *message)
{
    char *const line = with_path(item->path, message);
    if (!line) return out_of_memory(w);
    /* a folder may hold other things than pictures: they are told, and are no failure */
    const bool passed_over = item->walked && status == TW_ERR_UNSUPPORTED;
    if (w->s->opts.strict && !passed_over) {
        w->failed++;
        w->code = session_fail_text(w->s, EXIT_DATA, tw_status_name(status), "%s", line);
        free(line);
        return 1;
    }
    begin_output(w);
    *(passed_over ? &w->passed_over : &w->failed) += 1;
    if (w->s->opts.json)
        error_json(w, item->path, status, line);
    else if (w->s->opts.csv)
        answer_csv(w, item->path, line);
    else if (passed_over)
        session_note(w->s, "passed over: %s", line);
    else
        session_error(w->s, "%s", line);
    free(line);
    return 0;
}

static int row_answered(answers *w, const input *item, const float *features)
{
    tw_status status = w->a->score(w->a, w->ctx, features, w->prob);
    if (status == TW_OK && w->a->know)
        status = w->a->know(w->a, w->ctx, features, &w->familiarity, &w->known);
    if (status != TW_OK) {
        w->code = session_fail_text(w->s, status == TW_ERR_NOMEM ? EXIT_RESOURCE : EXIT_MODEL,
                                    tw_status_name(status), "%s", tw_last_error(w->ctx));
        return 1;
    }
    rank(w->prob, w->a->classes, w->best, w->top);
    begin_output(w);
    w->answered++;
    if (w->s->opts.json)
        answer_json(w, item->path);
    else if (w->s->opts.csv)
        answer_csv(w, item->path, NULL);
    else
        answer_text(w, item->path);
    return 0;
}

/* A tw_path_fn */
static const char *on_next(void *user, size_t i)
{
    return inputs_next(((const answers *)user)->in, i);
}

/* A tw_row_fn. Answers are handed on one by one: somebody may be reading them as they come. */
static int on_row(void *user, size_t i, tw_status status, const char *message,
                  const float *features)
{
    answers *const w = user;
    const input *const item = inputs_front(w->in);
    int stop;
    (void)i;
    session_before_output(w->s);
    if (item->error)
        stop = row_failed(w, item, TW_ERR_IO, item->error);
    else if (status != TW_OK)
        stop = row_failed(w, item, status, message);
    else
        stop = row_answered(w, item, features);
    inputs_pop(w->in);
    return stop || !session_flush(w->s);
}

/* ---- the run ------------------------------------------------------------------------------- */

static void summarise(const answers *w)
{
    const size_t special = inputs_special_count(w->in), passed = w->passed_over + special;
    if (w->failed)
        session_note(w->s, "%zu of %zu photos could not be read", w->failed,
                     w->answered + w->failed);
    if (passed)
        session_note(w->s, "%zu file%s passed over in folders, not pictures that can be read",
                     passed, passed == 1 ? " was" : "s were");
}

static int finish(answers *w)
{
    if (w->answered + w->failed == 0 && inputs_had_folder(w->in))
        return session_fail_text(w->s, EXIT_DATA, tw_status_name(TW_ERR_DATA),
                                 "no picture was found in what was named");
    begin_output(w); /* nothing asked (an empty list of names): an empty answer */
    if (w->s->opts.json) js_array_end(&w->s->json);
    if (w->failed == 0) return EXIT_FINE;
    return w->answered ? EXIT_SOME : EXIT_DATA;
}

static int run(answers *w, tw_extractor *extractor)
{
    session *const s = w->s;
    const tw_status status =
        tw_extract_paths(s->ctx, extractor, on_next, inputs_total(w->in), on_row, w);
    progress_hide(&s->progress);
    if (s->out_errno) return EXIT_RESOURCE; /* said when standard output is closed */
    if (w->code) return w->code;
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    if (inputs_failed(w->in)) return session_fail_nomem(s);
    const int interrupted = session_interrupted(s);
    if (interrupted) return interrupted;
    summarise(w);
    return finish(w);
}

/* Names from the words: a feed for the library's threads. */
static bool prepare(answers *w, size_t first)
{
    const options *const o = &w->s->opts;
    w->top = o->top ? o->top : o->json ? 5 : 1;
    if (w->top > w->a->classes) w->top = w->a->classes;
    w->in = inputs_open(o->operands + first, o->operand_count - first, o->nul != 0);
    w->prob = calloc(w->a->classes + 1, sizeof *w->prob);
    w->best = calloc(w->top + 1, sizeof *w->best);
    if (w->in && w->prob && w->best && tw_ctx_new(&w->ctx) == TW_OK) return true;
    w->code = session_fail_nomem(w->s);
    return false;
}

int answers_run(session *s, tw_extractor *extractor, const answerer *a, size_t first)
{
    answers w = {.s = s, .a = a, .known = 1};
    const int code = prepare(&w, first) ? run(&w, extractor) : w.code;
    inputs_free(w.in);
    tw_ctx_free(w.ctx);
    free(w.prob);
    free(w.best);
    return code;
}
