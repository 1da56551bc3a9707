/* cmd_pretrain.c - topwork pretrain: a backbone from random weights, by labels or by a teacher. */
#include "course.h"
#include "epochs.h"
#include "inputs.h"
#include "labelled.h"
#include "output.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char default_output[] = "backbone.tw";

typedef struct paths { /* of photos without labels */
    char **items;
    size_t count, capacity;
} paths;

static void read_options(const session *s, tw_pretrain_opts *t)
{
    const options *const o = &s->opts;
    tw_pretrain_opts_init(t);
    t->arch = o->arch;
    t->name = o->name;
    t->teacher = o->teacher;
    course_read(o, &COURSE_OF(t));
    course_number(o, OPT_WIDTH, o->width, &t->width);
    course_size(o, OPT_SIZE, o->side, &t->side);
}

/* ---- photos without labels ----------------------------------------------------------------- */

static bool add_path(paths *p, const char *path)
{
    if (p->count == p->capacity) {
        const size_t larger = p->capacity ? 2 * p->capacity : 1024;
        char **const fresh = realloc(p->items, larger * sizeof *fresh);
        if (!fresh) return false;
        p->items = fresh;
        p->capacity = larger;
    }
    p->items[p->count] = strdup(path);
    return p->items[p->count] && ++p->count;
}

static void free_paths(paths *p)
{
    for (size_t i = 0; i < p->count; i++) free(p->items[i]);
    free(p->items);
}

/* Everything below the folder, in order of name: the library passes over what is no picture. */
static int list_photos(session *s, char *folder, paths *out)
{
    inputs *const in = inputs_open(&folder, 1, false);
    const char *path;
    int code = in ? 0 : session_fail_nomem(s);
    for (size_t i = 0; code == 0 && (path = inputs_next(in, i)); i++) {
        const input *const item = inputs_front(in);
        if (item->error)
            code = session_fail_text(s, EXIT_DATA, tw_status_name(TW_ERR_IO), "%s: %s", path,
                                     item->error);
        else if (!add_path(out, path))
            code = session_fail_nomem(s);
        inputs_pop(in);
    }
    if (code == 0 && inputs_failed(in)) code = session_fail_nomem(s);
    if (code == 0 && !inputs_had_folder(in))
        code = session_fail_text(s, EXIT_DATA, tw_status_name(TW_ERR_DATA), "%s: not a folder",
                                 folder);
    inputs_free(in);
    return code;
}

/* ---- epochs -------------------------------------------------------------------------------- */

static void print_epoch(const session *s, const tw_epoch *e)
{
    char accuracy[48] = "";
    if (!s->opts.teacher) snprintf(accuracy, sizeof accuracy, "accuracy %.3f, ", e->val_accuracy);
    if (e->epoch == 0)
        printf("random weights: validation %sloss %.4f\n", accuracy, e->val_loss);
    else
        printf("epoch %zu of %zu: loss %.4f, validation %sloss %.4f, %.1f photos/s%s\n", e->epoch,
               e->epochs, e->loss, accuracy, e->val_loss, e->photos_per_second,
               e->best ? ", the best so far" : "");
}

/* ---- what came of it ----------------------------------------------------------------------- */

static void print_text(session *s, const tw_pretrained *r, const char *output)
{
    printf("photos: %zu to train, %zu to validate, %zu to test, %zu could not be read\n",
           r->n_train, r->n_val, r->n_test, r->n_skipped);
    if (!isnan(r->test_accuracy))
        printf("test: accuracy %.4f, loss %.4f\n", r->test_accuracy, r->test_loss);
    else if (!isnan(r->test_loss))
        printf("test: %.4f of the variance of the teacher's features is not explained\n",
               r->test_loss);
    printf("\nbackbone: ");
    text_escaped(stdout, output);
    printf("\nnext:  ");
    text_shell(stdout, s->program);
    printf(" train FOLDER --backbone ");
    if (!strchr(output, '/')) printf("./");
    text_shell(stdout, output);
    puts("");
}

static void print_json(session *s, const tw_pretrained *r, const char *output)
{
    js *const j = &s->json;
    js_object(j, NULL);
    js_name(j, "backbone", output);
    js_size(j, "n_train", r->n_train);
    js_size(j, "n_val", r->n_val);
    js_size(j, "n_test", r->n_test);
    js_size(j, "n_skipped", r->n_skipped);
    js_size(j, "epoch", r->best.epoch);
    js_double(j, "val_loss", r->best.val_loss);
    js_double(j, "val_accuracy", r->best.val_accuracy);
    js_double(j, "test_loss", r->test_loss);
    js_double(j, "test_accuracy", r->test_accuracy);
    js_object_end(j);
}

static int pretrain(session *s, const tw_dataset *dataset, tw_pretrain_opts *opts,
                    const char *output)
{
    tw_pretrained result;
    epochs w;
    int code = epochs_open(&w, s, print_epoch);
    if (code) return code;
    opts->told = epochs_told;
    opts->user = &w;
    const tw_status status = tw_backbone_pretrain(s->ctx, dataset, opts, output, &result);
    code = epochs_close(&w, status, opts->checkpoint);
    if (code) return code;
    session_before_output(s);
    if (s->opts.json)
        print_json(s, &result, output);
    else
        print_text(s, &result, output);
    return 0;
}

static int with_dataset(session *s, tw_pretrain_opts *opts, const char *output)
{
    tw_dataset *dataset;
    int code = labelled_open(s, s->opts.operands[0], false, &dataset);
    if (code == 0) {
        labelled_announce(s, dataset);
        code = session_interrupted(s);
    }
    if (code == 0) code = pretrain(s, dataset, opts, output);
    tw_dataset_free(dataset);
    return code;
}

static int with_paths(session *s, tw_pretrain_opts *opts, const char *output)
{
    paths found = {0};
    int code = list_photos(s, s->opts.operands[0], &found);
    if (code == 0 && found.count == 0)
        code = session_fail_text(s, EXIT_DATA, tw_status_name(TW_ERR_DATA), "no file was found");
    opts->photos = (const char *const *)found.items;
    opts->n_photos = found.count;
    if (code == 0) code = pretrain(s, NULL, opts, output);
    free_paths(&found);
    return code;
}

static int run(session *s)
{
    const options *const o = &s->opts;
    const char *const output = o->output ? o->output : default_output;
    tw_pretrain_opts opts;
    if (o->unlabelled && !o->teacher)
        return session_fail_usage(s, "--unlabelled needs --teacher: photos without classes teach "
                                     "nothing by themselves");
    int code = output_check(s, output, OUTPUT_TOPWORK);
    if (code) return code;
    char *const checkpoint = epochs_checkpoint(s, output);
    if (!checkpoint) return session_fail_nomem(s);
    read_options(s, &opts);
    opts.checkpoint = checkpoint;
    code = o->unlabelled ? with_paths(s, &opts, output) : with_dataset(s, &opts, output);
    free(checkpoint);
    return code;
}

static const option_use uses[] = {
    {OPT_OUTPUT, "The backbone file. Default: backbone.tw. An existing file is replaced only when "
                 "topwork wrote it."},
    {OPT_FORCE, NULL},
    {OPT_ARCH, "What network: sapling, resnet18, resnet34, mobilenet_v2 or squeezenet1_1. Default: "
               "resnet18."},
    {OPT_WIDTH, NULL},
    {OPT_SIZE, NULL},
    {OPT_NAME, NULL},
    {OPT_TEACHER, NULL},
    {OPT_UNLABELLED, NULL},
    {OPT_CATEGORIES, NULL},
    {OPT_TUNE_PRECISION, NULL},
    {OPT_TEST_SIZE, NULL},
    {OPT_SEED, "Of the weights, the split, the order of photos and how they are varied. Default: "
               "42."},
    {OPT_STRATIFY, NULL},
    {OPT_NO_STRATIFY, NULL},
    {OPT_GROUPS, NULL},
    {OPT_OPTIMISER, NULL},
    {OPT_EPOCHS, "Passes over the training photos. Default: 30."},
    {OPT_TUNE_PATIENCE, "Epochs without less loss on the validation part after which training "
                        "ends; 0: never. Default: 0."},
    {OPT_TUNE_BATCH, "Photos a step looks at, 2 at least. Default: 32, or all there are."},
    {OPT_LR,
     "The highest learning rate: it rises to it and falls as a cosine. auto: a tenth of where "
     "a short range test before the first epoch breaks down. Default: 2e-3; 0.05 with "
     "--optimiser sgd."},
    {OPT_WARMUP, NULL},
    {OPT_WEIGHT_DECAY, "Of weights, not of biases and norms. Default: 0.05; 5e-4 with --optimiser "
                       "sgd."},
    {OPT_SMOOTHING, "Share of every label that is spread over all classes. Default: 0.1."},
    {OPT_MIXUP, NULL},
    {OPT_EMA, NULL},
    {OPT_CLASS_WEIGHT, NULL},
    {OPT_CROP_AREA, "The least share of a photo that a random part has; 1: whole photos, in their "
                    "own colours. Default: 0.35."},
    {OPT_NO_MIRROR, NULL},
    {OPT_JITTER, NULL},
    {OPT_ERASE, NULL},
    {OPT_CHECKPOINT, "Written after every epoch, removed when the backbone is written. Default: "
                     "the backbone's name with .checkpoint behind it."},
    {OPT_CHECKPOINT_EVERY, NULL},
    {OPT_RESUME, NULL},
    {OPT_LOG, NULL},
    {OPT_JSON, NULL},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_pretrain = {
    .name = "pretrain",
    .summary = "train a network from nothing, or to do as a larger one does",
    .operands = "(FOLDER | MANIFEST)",
    .least = 1,
    .most = 1,
    .uses = uses,
    .use_count = LEN(uses),
    .description =
        "Draws a network's weights at random and trains them on the classes of FOLDER, by photos "
        "that are cut, mirrored and recoloured at random. What it writes is a backbone as any "
        "other, with a classifier of these classes.\n\n"
        "With --teacher there is no classifier: the network learns to reproduce the features that "
        "a larger one finds in the same photos, varied alike. Photos need no labels for it "
        "(--unlabelled).\n\n"
        "The split is train's, so that a head trained with the same --seed and --test-size is "
        "tested on photos that the backbone never saw. A tenth of the training part tells which "
        "epoch was best (had the least loss there); its weights are kept.\n\n"
        "After each epoch, every few minutes within one and on Ctrl-C a checkpoint is written; a "
        "run that was stopped goes on from there with --resume and comes to the same weights, bit "
        "for bit.",
    .output = "A line an epoch, then what was measured on the test part. --json: {\"backbone\", "
              "\"n_train\", \"n_val\", \"n_test\", \"n_skipped\", \"epoch\", \"val_loss\", "
              "\"val_accuracy\", \"test_loss\", \"test_accuracy\"}; accuracies are null with a "
              "teacher, and losses the share of its features' variance that is not explained. "
              "--log: as finetune's; epoch 0 is the random weights.",
    .examples = "$ topwork pretrain photos/ --arch resnet18 --width 32 --size 64 -o own.tw\n\n"
                "$ topwork pretrain photos/ --teacher mobilenetv2 --arch mobilenet_v2 --width 0.5 "
                "--size 128 -o small.tw\n\n"
                "$ topwork pretrain anything/ --unlabelled --teacher sapling -o small.tw\n",
    .run = run,
};
