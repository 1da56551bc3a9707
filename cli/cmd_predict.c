/* cmd_predict.c - topwork predict: one answer a photo. */
#include "answers.h"

#include <string.h>

static const char *label(const answerer *self, size_t c)
{
    return tw_model_class_name(self->user, c);
}

static tw_status score(const answerer *self, tw_ctx *ctx, const float *features, float *prob)
{
    return tw_model_predict(ctx, self->user, features, 1, prob, self->classes);
}

static tw_status know(const answerer *self, tw_ctx *ctx, const float *features, double *familiarity,
                      unsigned char *known)
{
    return tw_model_familiarity(ctx, self->user, features, 1, familiarity, known);
}

/* -0 without '-' would silently do nothing. */
static int check_null(session *s, size_t first)
{
    if (!s->opts.nul) return 0;
    for (size_t i = first; i < s->opts.operand_count; i++)
        if (strcmp(s->opts.operands[i], "-") == 0) return 0;
    return session_fail_usage(s, "-0 is about names on standard input: give '-' as well");
}

static int run(session *s)
{
    tw_model *model = NULL;
    tw_extractor *extractor = NULL;
    int code = check_null(s, 1);
    if (code) return code;
    tw_status status = tw_model_open(s->ctx, s->opts.operands[0], &model);
    if (status == TW_OK) status = tw_model_extractor(s->ctx, model, &extractor);
    if (status != TW_OK) {
        code = session_fail(s, status, PHASE_MODEL);
    } else {
        const bool rejects = tw_model_rejects(model) && !s->opts.no_reject;
        const answerer a = {.classes = tw_model_class_count(model),
                            .label = label,
                            .score = score,
                            .know = rejects ? know : NULL,
                            .user = model};
        code = answers_run(s, extractor, &a, 1);
    }
    tw_extractor_free(extractor);
    tw_model_free(model);
    return code;
}

static const option_use uses[] = {
    {OPT_TOP, NULL},
    {OPT_NO_REJECT, NULL},
    {OPT_CSV, NULL},
    {OPT_JSON, NULL},
    {OPT_NUL, NULL},
    {OPT_STRICT,
     "The first photo that cannot be read ends the work. Otherwise its line says why, and the "
     "others are answered."},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_predict = {
    .name = "predict",
    .summary = "say what is on photos, with a model that train made",
    .operands = "MODEL (PHOTO | FOLDER | -)...",
    .least = 2,
    .most = (size_t)-1,
    .uses = uses,
    .use_count = LEN(uses),
    .description = "Answers each photo with the most probable class and its probability. "
                   "Everything that happens to a photo on "
                   "its way is in the model, so that it is what happened in training. A model "
                   "trained with --reject answers 'unknown' for a photo unlike all that it was "
                   "trained on.\n\n"
                   "A folder is searched through to the bottom, in order of name; hidden files are "
                   "left out, links are followed, "
                   "and no folder is entered twice. Files in it that are not pictures are passed "
                   "over, with a line saying so. '-' reads "
                   "names from standard input, one a line; their answers come whenever a batch of "
                   "them is full, and at the end. There "
                   "may be any number of photos.",
    .output =
        "One line a photo, in the order given: PATH<TAB>CLASS<TAB>PROBABILITY, with --top K "
        "followed by the next "
        "classes in the same way. For an unknown photo CLASS is the word unknown, and PROBABILITY "
        "still that of the most probable class (--no-reject names it). Control characters and "
        "backslashes in names are written as in C. "
        "A photo that cannot "
        "be read is a line on standard error instead.\n\n"
        "--csv: the columns path, label, probability, label_2, probability_2, ... and error. Of a "
        "model trained with --reject also unknown (true or false; label is the most probable class "
        "either way) and familiarity, before error.\n\n"
        "--json: an array, written as the answers come, one element a line: {\"path\", \"label\", "
        "\"probability\", "
        "\"top\": [{\"label\", \"probability\"}, ...]}, or {\"path\", \"error\": {\"code\", "
        "\"message\"}}; \"unknown\" and \"familiarity\" as in the CSV. Beside a name that is not "
        "UTF-8 stands path_base64 with its exact bytes.",
    .examples = "$ topwork predict pets.tw new.jpg\n"
                "new.jpg\tcat\t0.998731434\n\n"
                "$ topwork predict pets.tw holiday/ --top 3 --csv > holiday.csv\n\n"
                "$ find / -name '*.jpg' -print0 | topwork predict pets.tw -0 - --json\n",
    .run = run,
};
