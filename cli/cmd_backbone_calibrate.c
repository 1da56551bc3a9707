/* cmd_backbone_calibrate.c - topwork backbone calibrate: a network made ready for 8 bits. */
#include "inputs.h"
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

enum { SAMPLE = 64 };

/* At most SAMPLE of the pictures named, evenly spaced. */
typedef struct sample {
    inputs *in;
    const char **paths; /* [n], borrowed from in */
    size_t n, capacity;
} sample;

static const char *sample_path(void *user, size_t i)
{
    const sample *x = user;
    return x->n <= SAMPLE ? i < x->n ? x->paths[i] : NULL : x->paths[i * x->n / SAMPLE];
}

static bool sample_read(sample *x)
{
    const char *path;
    while ((path = inputs_next(x->in, x->n))) {
        if (x->n == x->capacity) {
            const size_t capacity = x->capacity ? 2 * x->capacity : 256;
            const char **const more = realloc(x->paths, capacity * sizeof *more);
            if (!more) return false;
            x->paths = more;
            x->capacity = capacity;
        }
        x->paths[x->n++] = path;
    }
    return !inputs_failed(x->in);
}

static int calibrate(session *s, sample *x, const char *path)
{
    tw_backbone *b = NULL;
    tw_calibration c;
    tw_status status = tw_backbone_open(s->ctx, s->opts.operands[0], &b);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    const size_t n = x->n < SAMPLE ? x->n : SAMPLE;
    status = tw_backbone_calibrate(s->ctx, b, NULL, sample_path, x, n, &c);
    const bool measured = status == TW_OK;
    if (measured) status = tw_backbone_save(s->ctx, b, path);
    const phase during = measured ? PHASE_WRITE : status == TW_ERR_DATA ? PHASE_DATA : PHASE_MODEL;
    const int code = status == TW_OK ? EXIT_FINE : session_fail(s, status, during);
    if (code == EXIT_FINE && s->opts.json)
        print_json(s, b, &c);
    else if (code == EXIT_FINE)
        print_text(s, b, &c, path);
    tw_backbone_free(b);
    return code;
}

static int run(session *s)
{
    const options *const o = &s->opts;
    sample x = {0};
    if (!o->output)
        return session_fail_usage(s, "backbone calibrate needs -o FILE: where the backbone goes");
    char *const path = output_as_path(o->output);
    if (!path) return session_fail_nomem(s);
    int code = output_check(s, path, OUTPUT_TOPWORK);
    if (code == 0) {
        x.in = inputs_open(o->operands + 1, o->operand_count - 1, o->nul != 0);
        code = x.in && sample_read(&x) ? calibrate(s, &x, path) : session_fail_nomem(s);
    }
    free(x.paths);
    inputs_free(x.in);
    free(path);
    return code;
}

static const option_use uses[] = {
    {OPT_OUTPUT, "The backbone file. Required. Named NAME.tw in a folder of the search path, it is "
                 "found as NAME."},
    {OPT_FORCE, NULL},
    {OPT_NUL, NULL},
    {OPT_JSON, NULL},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_backbone_calibrate = {
    .name = "backbone calibrate",
    .summary = "make a network ready to compute in 8 bits",
    .operands = "(NAME | FILE) (PHOTO | FOLDER | -)...",
    .least = 2,
    .most = (size_t)-1,
    .uses = uses,
    .use_count = LEN(uses),
    .description =
        "Runs 64 of the photos named, evenly spaced, through the network: half of them to see what "
        "range each layer's values have, half to measure "
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
