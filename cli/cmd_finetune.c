/* cmd_finetune.c - topwork finetune: train the backbone itself. */
#include "course.h"
#include "epochs.h"
#include "labelled.h"
#include "output.h"
#include "report.h"

#include <stdlib.h>

static const char default_output[] = "model.tw";

static void read_options(const session *s, tw_finetune_opts *t)
{
    const options *const o = &s->opts;
    tw_finetune_opts_init(t);
    t->backbone = o->backbone;
    t->unfreeze = o->unfreeze;
    t->checkpointing = o->checkpointing;
    course_read(o, &COURSE_OF(t));
    course_number(o, OPT_LAYER_DECAY, o->layer_decay, &t->layer_decay);
    course_number(o, OPT_ROTATE, o->rotate, &t->rotate);
    course_size(o, OPT_RANDAUGMENT, o->randaugment, &t->randaugment);
}

/* ---- epochs -------------------------------------------------------------------------------- */

static void print_epoch(const session *s, const tw_epoch *e)
{
    (void)s;
    if (e->epoch == 0)
        printf("head alone: validation accuracy %.3f, loss %.4f\n", e->val_accuracy, e->val_loss);
    else
        printf(
            "epoch %zu of %zu: loss %.4f, validation accuracy %.3f, loss %.4f, %.1f photos/s%s\n",
            e->epoch, e->epochs, e->loss, e->val_accuracy, e->val_loss, e->photos_per_second,
            e->best ? ", the best so far" : "");
}

/* ---- what came of it ----------------------------------------------------------------------- */

static void print_text(session *s, const tw_dataset *dataset, const tw_report *report,
                       const char *output)
{
    tw_summary sum;
    tw_report_summary(report, &sum);
    printf("split: %zu to train, %zu to test\n", sum.n_train, sum.n_test);
    report_skipped_text(dataset, report);
    report_text(report);
    printf("\nmodel: ");
    text_escaped(stdout, output);
    printf("\nnext:  ");
    text_shell(stdout, s->program);
    printf(" predict ");
    text_shell(stdout, output);
    puts(" PHOTO...");
}

static void print_json(session *s, const tw_model *model, const tw_dataset *dataset,
                       const tw_report *report, const char *output)
{
    js *const j = &s->json;
    tw_summary sum;
    tw_report_summary(report, &sum);
    js_object(j, NULL);
    js_name(j, "model", output);
    js_name(j, "backbone", tw_backbone_name(tw_model_backbone(model)));
    js_names(j, "classes", report_class_at, report);
    js_size(j, "n_train", sum.n_train);
    js_size(j, "n_test", sum.n_test);
    report_json(j, report);
    report_skipped_json(j, dataset, report);
    js_object_end(j);
}

static int finetune(session *s, const tw_dataset *dataset, tw_finetune_opts *opts,
                    const char *output)
{
    tw_model *model = NULL;
    tw_report *report = NULL;
    epochs w;
    int code = epochs_open(&w, s, print_epoch);
    if (code) return code;
    opts->told = epochs_told;
    opts->user = &w;
    tw_status status = tw_model_finetune(s->ctx, dataset, opts, &model, &report);
    code = epochs_close(&w, status, opts->checkpoint);
    if (code == 0) code = session_interrupted(s);
    if (code == 0) {
        status = tw_model_save(s->ctx, model, output);
        if (status != TW_OK) code = session_fail(s, status, PHASE_WRITE);
    }
    if (code == 0) {
        session_before_output(s);
        if (s->opts.json)
            print_json(s, model, dataset, report, output);
        else
            print_text(s, dataset, report, output);
    }
    tw_report_free(report);
    tw_model_free(model);
    return code;
}

/* A contact sheet instead of a model. */
static int show(session *s, const tw_dataset *dataset, const tw_finetune_opts *opts,
                const char *path)
{
    const tw_status status = tw_finetune_sheet(s->ctx, dataset, opts, path);
    if (status != TW_OK) return session_fail(s, status, PHASE_WRITE);
    session_before_output(s);
    if (s->opts.json) {
        js_object(&s->json, NULL);
        js_name(&s->json, "sheet", path);
        js_object_end(&s->json);
        return 0;
    }
    printf("\nsheet: ");
    text_escaped(stdout, path);
    putchar('\n');
    return 0;
}

static int run(session *s)
{
    const options *const o = &s->opts;
    const char *const output = o->output ? o->output : default_output;
    tw_dataset *dataset = NULL;
    tw_finetune_opts tune;
    int code = o->show_augment ? output_check(s, o->show_augment, OUTPUT_PNG)
                               : output_check(s, output, OUTPUT_TOPWORK);
    if (code) return code;
    char *const checkpoint = epochs_checkpoint(s, output);
    if (!checkpoint) return session_fail_nomem(s);
    read_options(s, &tune);
    tune.checkpoint = checkpoint;
    code = labelled_open(s, o->operands[0], false, &dataset);
    if (code == 0) {
        labelled_announce(s, dataset);
        code = session_interrupted(s);
    }
    if (code == 0 && o->show_augment) {
        code = show(s, dataset, &tune, o->show_augment);
        goto done;
    }
    if (code == 0) session_use_cache(s);
    if (code == 0) code = finetune(s, dataset, &tune, output);
done:
    tw_dataset_free(dataset);
    free(checkpoint);
    return code;
}

static const option_use uses[] = {
    {OPT_OUTPUT,
     "The model file. Default: model.tw. An existing file is replaced only when topwork wrote it."},
    {OPT_FORCE, NULL},
    {OPT_CATEGORIES, NULL},
    {OPT_BACKBONE,
     "The pretrained network to train on: a name, a file, or a model, whose backbone is "
     "trained further. Default: sapling."},
    {OPT_TUNE_PRECISION, NULL},
    {OPT_TEST_SIZE, NULL},
    {OPT_SEED, "Of the split, the order of photos and how they are varied. Default: 42."},
    {OPT_STRATIFY, NULL},
    {OPT_NO_STRATIFY, NULL},
    {OPT_GROUPS, NULL},
    {OPT_UNFREEZE, NULL},
    {OPT_OPTIMISER, NULL},
    {OPT_EPOCHS, NULL},
    {OPT_TUNE_PATIENCE, NULL},
    {OPT_TUNE_BATCH, NULL},
    {OPT_LR, NULL},
    {OPT_WARMUP, NULL},
    {OPT_WEIGHT_DECAY, NULL},
    {OPT_LAYER_DECAY, NULL},
    {OPT_SMOOTHING, NULL},
    {OPT_MIXUP, NULL},
    {OPT_EMA, NULL},
    {OPT_CLASS_WEIGHT, NULL},
    {OPT_CROP_AREA, NULL},
    {OPT_NO_MIRROR, NULL},
    {OPT_JITTER, NULL},
    {OPT_ERASE, NULL},
    {OPT_ROTATE, NULL},
    {OPT_RANDAUGMENT, NULL},
    {OPT_SHOW_AUGMENT, NULL},
    {OPT_CHECKPOINT, NULL},
    {OPT_CHECKPOINT_EVERY, NULL},
    {OPT_RESUME, NULL},
    {OPT_CHECKPOINTING, NULL},
    {OPT_LOG, NULL},
    {OPT_CACHE, NULL},
    {OPT_NO_CACHE, NULL},
    {OPT_CACHE_SIZE, NULL},
    {OPT_JSON, NULL},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_finetune = {
    .name = "finetune",
    .summary = "train the pretrained network itself on labelled photos",
    .operands = "(FOLDER | MANIFEST)",
    .least = 1,
    .most = 1,
    .uses = uses,
    .use_count = LEN(uses),
    .description =
        "Begins as train does: a head on the features of the backbone as it is. Then the backbone "
        "learns, too: epochs over photos that are cut, mirrored and recoloured at random. A "
        "seventh of the training part is held back to tell which epoch was best (had the least "
        "loss there, scores scaled to suit); its weights are kept. Where none was better than the "
        "first head, the model is the one that train makes. The test part is measured once, at the "
        "end. The model is a model as any other.\n\n"
        "After each epoch, every few minutes within one and on Ctrl-C a checkpoint is written; a "
        "run that was stopped, or killed, goes on from there with --resume and comes to the same "
        "weights, bit for bit.",
    .output = "A line an epoch, then what train prints. --json: {\"model\", \"backbone\", "
              "\"classes\", \"n_train\", \"n_test\", ...} as train's. --log: {\"epoch\", \"loss\", "
              "\"val_loss\", \"val_accuracy\", \"rate\", \"photos_per_second\", \"seconds\", "
              "\"best\"} a line; epoch 0 is the head alone.",
    .examples = "$ topwork finetune photos/ -o pets.tw\n\n"
                "$ topwork finetune photos/ -o pets.tw --unfreeze last-block --epochs 20\n\n"
                "$ topwork finetune photos/ -o pets.tw --resume\n",
    .run = run,
};
