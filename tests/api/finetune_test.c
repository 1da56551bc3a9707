/* finetune_test.c - fine-tuning through the public header: an ordinary model, the same bytes twice,
 * and the same again when stopped and resumed. */
#include "folder.h"
#include "testing.h"
#include "topwork/topwork.h"

#include <math.h>
#include <stdbool.h>

enum { SIDE = 72, PER_CLASS = 14 };

static int set_up(void **state)
{
    (void)state;
    if (folder_new("finetune") || mkdir(at("photos"), 0777) != 0) return 1;
    return draw_class("photos/across", 0, PER_CLASS, SIDE, SIDE) ||
           draw_class("photos/down", 1, PER_CLASS, SIDE, SIDE) ||
           draw_class("photos/diagonal", 3, PER_CLASS, SIDE, SIDE);
}

static int tear_down(void **state)
{
    (void)state;
    return folder_free();
}

typedef struct watch {
    size_t told;
    double first_loss, last_loss;
    bool best_seen;
} watch;

static int told(void *user, const tw_epoch *e)
{
    watch *w = user;
    assert_int_equal(e->epoch, w->told);
    assert_true(e->val_accuracy >= 0.0 && e->val_accuracy <= 1.0 && isfinite(e->val_loss));
    assert_true(w->told == 0 ? isnan(e->loss) : isfinite(e->loss));
    if (w->told == 1) w->first_loss = e->loss;
    w->last_loss = e->loss;
    w->best_seen |= e->best != 0;
    w->told++;
    return 0;
}

static int stop_after(void *user, const tw_progress *p)
{
    return strcmp(p->stage, "tune") == 0 && p->done >= *(const size_t *)user;
}

static int count_warnings;

static void on_log(void *user, tw_log_level level, const char *line)
{
    (void)user;
    if (level == TW_LOG_WARNING && strstr(line, "was trained on")) count_warnings++;
}

static tw_finetune_opts opts_of(watch *w)
{
    tw_finetune_opts opts;
    tw_finetune_opts_init(&opts);
    opts.precision = TW_PRECISION_F32;
    opts.epochs = 3;
    opts.batch = 8;
    opts.average = 0.9;
    opts.told = told;
    opts.user = w;
    return opts;
}

/* stop: progress ends it after that many steps; 0: never. */
static tw_status finetune(const tw_finetune_opts *opts, size_t stop, const char *out)
{
    tw_ctx *ctx = NULL;
    tw_dataset *dataset = NULL;
    tw_model *model = NULL;
    tw_report *report = NULL;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    tw_ctx_set_threads(ctx, 1);
    tw_ctx_set_log(ctx, on_log, NULL);
    if (stop) tw_ctx_set_progress(ctx, stop_after, &stop);
    assert_int_equal(tw_dataset_open(ctx, at("photos"), NULL, &dataset), TW_OK);
    tw_status st = tw_model_finetune(ctx, dataset, opts, &model, &report);
    if (st != TW_OK && st != TW_ERR_CANCELLED) print_message("%s\n", tw_last_error(ctx));
    if (st == TW_OK) {
        tw_summary summary;
        tw_report_summary(report, &summary);
        assert_int_equal(summary.n_train + summary.n_test, 3 * PER_CLASS);
        assert_int_equal(tw_model_save(ctx, model, out), TW_OK);
    }
    tw_report_free(report);
    tw_model_free(model);
    tw_dataset_free(dataset);
    tw_ctx_free(ctx);
    return st;
}

static unsigned char *read_all(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char *bytes = test_malloc(64 << 20);
    *size = fread(bytes, 1, 64 << 20, file);
    fclose(file);
    return bytes;
}

static void assert_same_files(const char *a, const char *b)
{
    size_t n, m;
    unsigned char *x = read_all(a, &n), *y = read_all(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    test_free(x);
    test_free(y);
}

static void test_model(void **state)
{
    (void)state;
    watch w = {0};
    tw_finetune_opts opts = opts_of(&w);
    tw_ctx *ctx = NULL;
    tw_model *model = NULL;
    tw_dataset *dataset = NULL;
    tw_report *report = NULL;
    tw_summary summary;
    char *json;
    assert_int_equal(finetune(&opts, 0, at("whole.tw")), TW_OK);
    assert_int_equal(w.told, 4);
    assert_true(w.best_seen && w.last_loss < w.first_loss);
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    assert_int_equal(tw_model_open(ctx, at("whole.tw"), &model), TW_OK);
    assert_int_equal(tw_dataset_open(ctx, at("photos"), NULL, &dataset), TW_OK);
    assert_int_equal(tw_model_evaluate(ctx, model, dataset, &report), TW_OK);
    tw_report_summary(report, &summary);
    assert_true(summary.accuracy > 0.8);
    assert_int_equal(tw_model_describe(ctx, model, &json), TW_OK);
    assert_non_null(strstr(json, "\"finetuning\""));
    assert_non_null(strstr(json, "\"epochs_run\":3"));
    tw_free(json);
    tw_report_free(report);
    tw_dataset_free(dataset);
    tw_model_free(model);
    tw_ctx_free(ctx);
}

static int stop_at_once(void *user, const tw_epoch *e)
{
    *(size_t *)user = e->epoch;
    return 1;
}

/* No epoch did better, here because none was run: the model is train's, whose head needs nobody
 * held back. */
static void test_nothing_gained(void **state)
{
    (void)state;
    watch w = {0};
    size_t epoch = 7;
    tw_finetune_opts opts = opts_of(&w);
    opts.told = stop_at_once, opts.user = &epoch;
    tw_train_opts train;
    tw_train_opts_init(&train);
    tw_ctx *ctx = NULL;
    tw_model *models[2] = {0};
    tw_dataset *dataset = NULL;
    tw_report *reports[2] = {0};
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    assert_int_equal(tw_dataset_open(ctx, at("photos"), NULL, &dataset), TW_OK);
    train.seed = opts.seed;
    assert_int_equal(tw_model_finetune(ctx, dataset, &opts, &models[0], &reports[0]), TW_OK);
    assert_int_equal(epoch, 0);
    assert_int_equal(tw_model_train(ctx, dataset, &train, &models[1], &reports[1]), TW_OK);
    tw_summary summary;
    tw_report_summary(reports[0], &summary);
    float *x = test_malloc(summary.feature_count * sizeof *x), prob[2][3];
    for (size_t i = 0; i < summary.feature_count; i++) x[i] = (float)(i * 37 % 101) / 50.0f;
    for (int i = 0; i < 2; i++)
        assert_int_equal(tw_model_predict(ctx, models[i], x, 1, prob[i], 3), TW_OK);
    assert_memory_equal(prob[0], prob[1], sizeof prob[0]);
    char *json;
    assert_int_equal(tw_model_describe(ctx, models[0], &json), TW_OK);
    assert_non_null(strstr(json, "\"best\":{\"epoch\":0"));
    tw_free(json);
    test_free(x);
    for (int i = 0; i < 2; i++) tw_report_free(reports[i]), tw_model_free(models[i]);
    tw_dataset_free(dataset);
    tw_ctx_free(ctx);
}

static void test_resume(void **state)
{
    (void)state;
    watch w = {0}, stopped = {0}, resumed = {.told = 2};
    char checkpoint[512];
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", folder);
    tw_finetune_opts opts = opts_of(&w);
    assert_int_equal(finetune(&opts, 0, at("again.tw")), TW_OK);
    assert_same_files(at("whole.tw"), at("again.tw"));
    opts.user = &stopped;
    opts.checkpoint = checkpoint;
    /* 28 of 42 train, 24 of 33... whatever the numbers: the second epoch's first step */
    assert_int_equal(finetune(&opts, 4, at("none.tw")), TW_ERR_CANCELLED);
    assert_int_equal(stopped.told, 2);
    assert_int_equal(access(checkpoint, R_OK), 0);
    opts.user = &resumed;
    opts.resume = 1;
    opts.rate = 1e-3; /* another run's */
    assert_int_equal(finetune(&opts, 0, at("none.tw")), TW_ERR_FORMAT);
    opts.rate = 0.0;
    opts.checkpointing = 1; /* changes no byte */
    assert_int_equal(finetune(&opts, 0, at("resumed.tw")), TW_OK);
    assert_int_equal(resumed.told, 4);
    assert_same_files(at("whole.tw"), at("resumed.tw"));
    assert_int_not_equal(access(checkpoint, R_OK), 0);
}

/* A checkpoint with any byte changed is refused. */
static void test_damaged_checkpoint(void **state)
{
    (void)state;
    watch w = {0};
    char checkpoint[512];
    snprintf(checkpoint, sizeof checkpoint, "%s/damaged", folder);
    tw_finetune_opts opts = opts_of(&w);
    opts.checkpoint = checkpoint;
    assert_int_equal(finetune(&opts, 4, at("none.tw")), TW_ERR_CANCELLED);
    static const long places[] = {20, -5};
    opts.resume = 1;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        FILE *file = fopen(checkpoint, "r+b");
        assert_non_null(file);
        for (int twice = 0; twice < 2; twice++) {
            fseek(file, places[i], places[i] < 0 ? SEEK_END : SEEK_SET);
            const int byte = fgetc(file);
            fseek(file, places[i], places[i] < 0 ? SEEK_END : SEEK_SET);
            fputc(byte ^ 0x40, file);
            fflush(file);
            if (!twice) assert_int_equal(finetune(&opts, 0, at("none.tw")), TW_ERR_FORMAT);
        }
        fclose(file);
    }
    assert_int_equal(truncate(checkpoint, 100), 0);
    assert_int_equal(finetune(&opts, 0, at("none.tw")), TW_ERR_FORMAT);
}

static void test_refusals(void **state)
{
    (void)state;
    watch w = {0};
    tw_finetune_opts opts = opts_of(&w);
    opts.optimiser = "adam";
    assert_int_equal(finetune(&opts, 0, at("none.tw")), TW_ERR_ARG);
    opts = opts_of(&w), opts.unfreeze = "-3";
    assert_int_equal(finetune(&opts, 0, at("none.tw")), TW_ERR_ARG);
    opts = opts_of(&w), opts.epochs = 0;
    assert_int_equal(finetune(&opts, 0, at("none.tw")), TW_ERR_ARG);
    opts = opts_of(&w), opts.backbone = "nowhere";
    assert_int_equal(finetune(&opts, 0, at("none.tw")), TW_ERR_NOT_FOUND);
    opts = opts_of(&w), opts.resume = 1;
    assert_int_equal(finetune(&opts, 0, at("none.tw")), TW_ERR_ARG);
    opts = opts_of(&w), opts.rate = (double)NAN;
    assert_int_equal(finetune(&opts, 0, at("none.tw")), TW_ERR_ARG);
}

/* What a checkpoint does not hold follows from the epochs done: what was frozen when, and the rate
 * that was found is in it. */
static void test_gradual(void **state)
{
    (void)state;
    watch w = {0}, stopped = {0}, resumed = {.told = 3};
    char checkpoint[512], *json;
    tw_ctx *ctx = NULL;
    tw_model *model = NULL;
    double rate = 0.0;
    snprintf(checkpoint, sizeof checkpoint, "%s/gradual", folder);
    tw_finetune_opts opts = opts_of(&w);
    opts.unfreeze = "gradual";
    opts.rate = TW_AUTO;
    opts.epochs = 4;
    opts.batch = 4;
    opts.mixup = 0.4;
    assert_int_equal(finetune(&opts, 0, at("gradual.tw")), TW_OK);
    opts.user = &stopped;
    opts.checkpoint = checkpoint;
    assert_int_equal(finetune(&opts, 15, at("none.tw")), TW_ERR_CANCELLED); /* of 4 x 6 or 7 */
    assert_int_equal(stopped.told, 3);
    opts.user = &resumed;
    opts.resume = 1;
    assert_int_equal(finetune(&opts, 0, at("resumed.tw")), TW_OK);
    assert_same_files(at("gradual.tw"), at("resumed.tw"));
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    assert_int_equal(tw_model_open(ctx, at("gradual.tw"), &model), TW_OK);
    assert_int_equal(tw_model_describe(ctx, model, &json), TW_OK);
    const char *found = strstr(json, "\"rate\":");
    assert_non_null(found);
    rate = strtod(found + 7, NULL);
    assert_true(rate > 1e-6 && rate <= 0.1);
    tw_free(json);
    tw_model_free(model);
    tw_ctx_free(ctx);
}

/* A model is a backbone, too: what was fine-tuned is fine-tuned again. */
static void test_again(void **state)
{
    (void)state;
    watch w = {0}, other = {0};
    tw_ctx *ctx = NULL;
    tw_backbone *backbone = NULL;
    tw_model *twice = NULL;
    char whole[512], from[128], *json;
    snprintf(whole, sizeof whole, "%s", at("whole.tw"));
    tw_finetune_opts opts = opts_of(&w);
    opts.epochs = 1;
    opts.unfreeze = "last-block";
    opts.backbone = whole;
    assert_int_equal(finetune(&opts, 0, at("twice.tw")), TW_OK);
    assert_int_equal(w.told, 2);
    assert_int_equal(count_warnings, 0);
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    assert_int_equal(tw_backbone_open(ctx, whole, &backbone), TW_OK);
    assert_string_equal(tw_backbone_name(backbone), "sapling");
    snprintf(from, sizeof from, "\"from\":\"%s\"", tw_backbone_digest(backbone));
    assert_int_equal(tw_model_open(ctx, at("twice.tw"), &twice), TW_OK);
    assert_int_equal(tw_model_describe(ctx, twice, &json), TW_OK);
    assert_non_null(strstr(json, from));
    const bool kept = strstr(json, "\"best\":{\"epoch\":0") != NULL; /* nothing left to learn */
    assert_int_equal(
        strcmp(tw_backbone_digest(backbone), tw_backbone_digest(tw_model_backbone(twice))) == 0,
        kept);
    tw_free(json);
    tw_model_free(twice);
    tw_backbone_free(backbone);
    tw_ctx_free(ctx);
    opts.user = &other;
    opts.seed = 7; /* another split: some test photos were trained on */
    assert_int_equal(finetune(&opts, 0, at("other.tw")), TW_OK);
    assert_true(count_warnings > 0);
}

/* What is not unfrozen keeps its bytes: the head alone leaves the whole backbone as it was. */
static void test_unfreeze(void **state)
{
    (void)state;
    static const char *const words[] = {"none", "last-block", "2"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        watch w = {0};
        tw_finetune_opts opts = opts_of(&w);
        opts.unfreeze = words[i];
        opts.epochs = 1;
        opts.mixup = 0.4;
        opts.erase = 0.5;
        opts.balanced = 1;
        opts.optimiser = i == 1 ? "sgd" : NULL;
        assert_int_equal(finetune(&opts, 0, at("part.tw")), TW_OK);
        assert_int_equal(w.told, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),    cmocka_unit_test(test_nothing_gained),
        cmocka_unit_test(test_resume),   cmocka_unit_test(test_damaged_checkpoint),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_unfreeze),
        cmocka_unit_test(test_gradual),  cmocka_unit_test(test_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
