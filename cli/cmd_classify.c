/* cmd_classify.c - topwork classify: a pretrained network's own classes. */
#include "answers.h"
#include "output.h"
#include "views.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- names of classes ---------------------------------------------------------------------- */

typedef struct names {
    const tw_backbone *backbone; /* whose own names serve when there is no file */
    char *text;                  /* the file's bytes, line ends become NULs */
    const char **lines;          /* [count]; NULL: no file */
    size_t count;
} names;

enum { LABELS_MOST_BYTES = 16 << 20 };

/* The file's text, NUL-ended, fresh memory; NULL: errno says why not. */
static char *read_text(const char *path, size_t *size)
{
    FILE *const in = fopen(path, "rb");
    if (!in) return NULL;
    char *text = malloc(LABELS_MOST_BYTES + 1);
    if (text) {
        *size = fread(text, 1, LABELS_MOST_BYTES + 1, in);
        const int why = ferror(in) ? errno : *size > LABELS_MOST_BYTES ? EFBIG : 0;
        if (why) {
            free(text);
            text = NULL;
            errno = why;
        } else {
            text[*size] = '\0';
        }
    }
    const int why = errno;
    fclose(in);
    errno = why;
    return text;
}

/* Cuts text into lines; a line end at the end of the file begins no other line. CR LF is one line
 * end. */
static bool cut_lines(names *n, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) count += n->text[i] == '\n' || i + 1 == size;
    n->lines = calloc(count + 1, sizeof *n->lines);
    if (!n->lines) return false;
    char *at = n->text;
    while (n->count < count) {
        char *const end = at + strcspn(at, "\n");
        const bool more = *end == '\n';
        *end = '\0';
        if (end > at && end[-1] == '\r') end[-1] = '\0';
        n->lines[n->count++] = at;
        at = end + more;
    }
    return true;
}

static int names_read(session *s, names *n, const char *path, size_t classes)
{
    size_t size = 0;
    char *const shown = text_escape(path);
    if (!shown) return session_fail_nomem(s);
    int code = 0;
    n->text = read_text(path, &size);
    if (!n->text && errno == ENOMEM)
        code = session_fail_nomem(s);
    else if (!n->text)
        code = session_fail_text(s, EXIT_DATA, tw_status_name(TW_ERR_IO), "%s: %s", shown,
                                 strerror(errno));
    else if (strlen(n->text) != size)
        code = session_fail_text(s, EXIT_DATA, tw_status_name(TW_ERR_DATA), "%s: not a text file",
                                 shown);
    else if (!cut_lines(n, size))
        code = session_fail_nomem(s);
    else if (n->count != classes)
        code = session_fail_text(s, EXIT_DATA, tw_status_name(TW_ERR_DATA),
                                 "%s: %zu lines, but the network has %zu classes", shown, n->count,
                                 classes);
    free(shown);
    return code;
}

/* ---- the command --------------------------------------------------------------------------- */

static const char *label(const answerer *self, size_t c)
{
    const names *const n = self->user;
    if (n->lines) return c < n->count ? n->lines[c] : NULL;
    return tw_backbone_class_name(n->backbone, c);
}

static tw_status score(const answerer *self, tw_ctx *ctx, const float *features, float *prob)
{
    (void)ctx;
    memcpy(prob, features,
           self->classes * sizeof *prob); /* the network's outputs are the probabilities */
    return TW_OK;
}

static int run_backbone(session *s, const tw_backbone *backbone)
{
    const options *const o = &s->opts;
    names n = {.backbone = backbone};
    tw_extractor *extractor = NULL;
    tw_extract_opts opts;
    const size_t classes = tw_backbone_class_count(backbone);
    if (classes == 0)
        return session_fail_text(s, EXIT_MODEL, tw_status_name(TW_ERR_UNSUPPORTED),
                                 "backbone %s came without a classifier of its own",
                                 tw_backbone_name(backbone));
    int code = o->labels ? names_read(s, &n, o->labels, classes) : 0;
    if (code) goto done;
    tw_extract_opts_init(&opts);
    opts.classifier = 1;
    opts.precision = (tw_precision)o->precision;
    opts.batch = o->batch;
    opts.fast_decode = o->fast_decode;
    opts.max_pixels = o->max_pixels;
    if ((code = views_read(s, &opts)) != 0) goto done;
    const tw_status status = tw_extractor_new(s->ctx, backbone, &opts, &extractor);
    if (status != TW_OK) {
        code = session_fail(s, status, PHASE_MODEL);
        goto done;
    }
    const answerer a = {
        .classes = classes, .indexed = true, .label = label, .score = score, .user = &n};
    code = answers_run(s, extractor, &a, 0);
done:
    tw_extractor_free(extractor);
    free(n.lines);
    free(n.text);
    return code;
}

static int run(session *s)
{
    tw_backbone *backbone = NULL;
    if (!s->opts.backbone)
        return session_fail_usage(
            s, "classify needs --backbone: a network with a classifier of its own");
    const tw_status status = tw_backbone_open(s->ctx, s->opts.backbone, &backbone);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    const int code = run_backbone(s, backbone);
    tw_backbone_free(backbone);
    return code;
}

static const option_use uses[] = {
    {OPT_BACKBONE,
     "The pretrained network, which must have come with its classifier. FILE (it has a '/' or ends "
     "in .tw) "
     "is opened as it is; NAME is looked up as 'topwork backbone list' shows. Required."},
    {OPT_LABELS, "Names of the network's classes, one a line, in order. Default: those in the "
                 "backbone file, if any; else "
                 "classes are numbers."},
    {OPT_TOP, NULL},
    {OPT_CSV, NULL},
    {OPT_JSON, NULL},
    {OPT_NUL, NULL},
    {OPT_STRICT, "The first photo that cannot be read ends the work. Otherwise its line says why, "
                 "and the others are "
                 "answered."},
    {OPT_PRECISION, NULL},
    {OPT_VIEWS, "How many views of a photo go through the network; the probabilities are averaged. "
                "flip: the photo and its mirror image; 5: the corners and the centre of the "
                "resized photo; 10: these and those of its mirror image."},
    {OPT_FAST_DECODE,
     "Decode large JPEG files at a reduced size. Faster; it changes pixels a little."},
    {OPT_MAX_PIXELS, NULL},
    {OPT_BATCH, NULL},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_classify = {
    .name = "classify",
    .summary = "say what is on photos in a pretrained network's own classes",
    .operands = "(PHOTO | FOLDER | -)...",
    .least = 1,
    .most = (size_t)-1,
    .uses = uses,
    .use_count = LEN(uses),
    .description = "Answers each photo with the class that the pretrained network itself finds "
                   "most probable; nothing is trained. "
                   "Photos are named as for 'topwork predict': files, folders searched through to "
                   "the bottom, and '-' for names "
                   "on standard input.",
    .output = "One line a photo: PATH<TAB>CLASS<TAB>PROBABILITY; CLASS is a number (from 0) where "
              "no names are known. --csv: "
              "the columns path, index, label, probability, ... and error. --json: an array of "
              "{\"path\", \"index\", \"label\", "
              "\"probability\", \"top\": [{\"index\", \"label\", \"probability\"}, ...]} or "
              "{\"path\", \"error\": {\"code\", \"message\"}}; "
              "label is null where it has no name.",
    .examples = "$ topwork classify a.jpg --backbone squeezenet1_1.tw --labels imagenet.txt\n"
                "a.jpg\ttabby cat\t0.541302681\n\n"
                "$ topwork classify photos/ --backbone squeezenet1_1 --top 5 --json\n",
    .run = run,
};
