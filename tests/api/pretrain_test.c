/* pretrain_test.c - training from nothing through the public header: an ordinary backbone, the same
 * bytes twice and when stopped and resumed, by labels and by a teacher. */
#include "folder.h"
#include "testing.h"
#include "topwork/topwork.h"

#include <math.h>
#include <stdbool.h>

enum { SIDE = 40, PER_CLASS = 40 };

static int set_up(void **state)
{
    (void)state;
    if (folder_new("pretrain") || mkdir(at("photos"), 0777) != 0) return 1;
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
    double first; /* validation loss */
    bool teacher;
} watch;

static int told(void *user, const tw_epoch *e)
{
    watch *w = user;
    assert_int_equal(e->epoch, w->told);
    assert_true(isfinite(e->val_loss));
    assert_true(w->teacher ? isnan(e->val_accuracy) : e->val_accuracy >= 0.0);
    if (w->told == 0) w->first = e->val_loss;
    w->told++;
    return 0;
}

static int stop_after(void *user, const tw_progress *p)
{
    return strcmp(p->stage, "tune") == 0 && p->done >= *(const size_t *)user;
}

static tw_pretrain_opts opts_of(watch *w)
{
    tw_pretrain_opts opts;
    tw_pretrain_opts_init(&opts);
    opts.precision = TW_PRECISION_F32;
    opts.arch = "sapling";
    opts.width = 8;
    opts.side = 32;
    opts.epochs = 3;
    opts.batch = 12;
    opts.average = 0.8;
    opts.mixup = 0.2;
    opts.told = told;
    opts.user = w;
    return opts;
}

static char sentence[512]; /* of the last failure */

/* stop: progress ends it after that many steps; 0: never. */
static tw_status pretrain(const tw_pretrain_opts *opts, size_t stop, const char *out,
                          tw_pretrained *result)
{
    tw_ctx *ctx = NULL;
    tw_dataset *dataset = NULL;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    tw_ctx_set_threads(ctx, 1);
    if (stop) tw_ctx_set_progress(ctx, stop_after, &stop);
    if (opts->n_photos == 0)
        assert_int_equal(tw_dataset_open(ctx, at("photos"), NULL, &dataset), TW_OK);
    const tw_status st = tw_backbone_pretrain(ctx, dataset, opts, out, result);
    snprintf(sentence, sizeof sentence, "%s", tw_last_error(ctx));
    if (st != TW_OK && st != TW_ERR_CANCELLED) print_message("%s\n", sentence);
    tw_dataset_free(dataset);
    tw_ctx_free(ctx);
    return st;
}

static unsigned char *read_all(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char *bytes = test_malloc(16 << 20);
    *size = fread(bytes, 1, 16 << 20, file);
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

/* A head on what was trained, by the same split. */
static double head_accuracy(const char *backbone)
{
    tw_ctx *ctx = NULL;
    tw_dataset *dataset = NULL;
    tw_model *model = NULL;
    tw_report *report = NULL;
    tw_summary summary;
    tw_train_opts train;
    tw_train_opts_init(&train);
    train.backbone = backbone;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    assert_int_equal(tw_dataset_open(ctx, at("photos"), NULL, &dataset), TW_OK);
    assert_int_equal(tw_model_train(ctx, dataset, &train, &model, &report), TW_OK);
    tw_report_summary(report, &summary);
    tw_report_free(report);
    tw_model_free(model);
    tw_dataset_free(dataset);
    tw_ctx_free(ctx);
    return summary.accuracy;
}

static void test_labels(void **state)
{
    (void)state;
    watch w = {0}, again = {0}, stopped = {0}, resumed = {0};
    tw_pretrained result;
    char checkpoint[512];
    tw_pretrain_opts opts = opts_of(&w);
    opts.epochs = 12;
    assert_int_equal(pretrain(&opts, 0, at("whole.tw"), &result), TW_OK);
    assert_int_equal(w.told, 13);
    assert_int_equal(result.n_train + result.n_val + result.n_test, 3 * PER_CLASS);
    assert_true(result.best.val_loss < w.first);
    assert_true(result.test_accuracy >= 0.75);
    assert_true(head_accuracy(at("whole.tw")) >= 0.75);
    opts.user = &again;
    assert_int_equal(pretrain(&opts, 0, at("again.tw"), NULL), TW_OK);
    assert_same_files(at("whole.tw"), at("again.tw"));
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", folder);
    opts.user = &stopped;
    opts.checkpoint = checkpoint;
    assert_int_equal(pretrain(&opts, 10, at("none.tw"), NULL), TW_ERR_CANCELLED);
    assert_true(stopped.told > 0 && stopped.told < 13); /* progress is told now and then */
    resumed.told = stopped.told;
    assert_int_not_equal(access(at("none.tw"), F_OK), 0);
    opts.user = &resumed;
    opts.resume = 1;
    opts.seed = 3; /* another run's */
    assert_int_equal(pretrain(&opts, 0, at("none.tw"), NULL), TW_ERR_FORMAT);
    opts.seed = 42;
    assert_int_equal(pretrain(&opts, 0, at("resumed.tw"), NULL), TW_OK);
    assert_int_equal(resumed.told, 13);
    assert_same_files(at("whole.tw"), at("resumed.tw"));
    assert_int_not_equal(access(checkpoint, F_OK), 0);
}

/* Batch norm stays in the graph, with statistics that moved; the classifier has its names. */
static void test_file(void **state)
{
    (void)state;
    tw_ctx *ctx = NULL;
    tw_backbone *backbone = NULL;
    size_t height, width;
    char *json;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    assert_int_equal(tw_backbone_open(ctx, at("whole.tw"), &backbone), TW_OK);
    assert_string_equal(tw_backbone_name(backbone), "sapling");
    assert_int_equal(tw_backbone_feature_count(backbone), 64);
    assert_int_equal(tw_backbone_class_count(backbone), 3);
    assert_string_equal(tw_backbone_class_name(backbone, 1), "diagonal");
    tw_backbone_input(backbone, &height, &width);
    assert_true(height == 32 && width == 32);
    assert_int_equal(tw_backbone_describe(ctx, backbone, &json), TW_OK);
    assert_non_null(strstr(json, "\"op\":\"batch_norm\""));
    assert_non_null(strstr(json, "\"pretraining\":{"));
    assert_non_null(strstr(json, "\"epochs_run\":12"));
    assert_null(strstr(json, folder));
    tw_free(json);
    tw_backbone_free(backbone);
    tw_ctx_free(ctx);
}

/* The teacher is what test_labels made; the student is narrower and sees less. */
static void test_teacher(void **state)
{
    (void)state;
    watch w = {.teacher = true}, again = w, stopped = w, resumed = w;
    char teacher[512], checkpoint[512];
    tw_pretrained result;
    tw_pretrain_opts opts = opts_of(&w);
    snprintf(teacher, sizeof teacher, "%s/whole.tw", folder);
    opts.teacher = teacher;
    opts.width = 6;
    opts.side = 24;
    opts.epochs = 12;
    assert_int_equal(pretrain(&opts, 0, at("student.tw"), &result), TW_OK);
    assert_true(w.first > 0.8); /* of who knows nothing: 1 */
    assert_true(result.best.val_loss < 0.8 && result.best.epoch > 0);
    assert_true(isfinite(result.test_loss) && isnan(result.test_accuracy));
    opts.user = &again;
    assert_int_equal(pretrain(&opts, 0, at("twice.tw"), NULL), TW_OK);
    assert_same_files(at("student.tw"), at("twice.tw"));
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", folder);
    opts.user = &stopped;
    opts.checkpoint = checkpoint;
    assert_int_equal(pretrain(&opts, 10, at("none.tw"), NULL), TW_ERR_CANCELLED);
    assert_true(stopped.told > 0 && stopped.told < 13);
    resumed.told = stopped.told;
    opts.user = &resumed;
    opts.resume = 1;
    assert_int_equal(pretrain(&opts, 0, at("resumed.tw"), NULL), TW_OK);
    assert_same_files(at("student.tw"), at("resumed.tw"));
}

/* No labels, and a photo that cannot be read among them; the projection is not in the file. */
static void test_unlabelled(void **state)
{
    (void)state;
    watch w = {.teacher = true};
    char teacher[512], paths[16][512];
    const char *photos[16];
    tw_pretrained result;
    size_t size;
    tw_pretrain_opts opts = opts_of(&w);
    snprintf(teacher, sizeof teacher, "%s/whole.tw", folder);
    for (unsigned i = 0; i < 16; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/photos/down/%02u.png", folder, i);
        photos[i] = paths[i];
    }
    FILE *file = fopen(at("broken.png"), "wb");
    assert_non_null(file);
    fputs("\x89PNG\r\n\x1a\n and no more", file);
    fclose(file);
    snprintf(paths[5], sizeof paths[5], "%s/broken.png", folder);
    opts.teacher = teacher;
    opts.photos = photos;
    opts.n_photos = 16;
    opts.arch = "mobilenet_v2";
    opts.width = 0.1;
    opts.epochs = 1;
    assert_int_equal(pretrain(&opts, 0, at("unlabelled.tw"), &result), TW_OK);
    assert_int_equal(result.n_train, 14);
    assert_int_equal(result.n_val, 1);
    assert_int_equal(result.n_test, 0);
    assert_int_equal(result.n_skipped, 1);
    unsigned char *bytes = read_all(at("unlabelled.tw"), &size);
    bytes[size < 20000 ? size : 20000] = '\0';
    for (size_t i = 0; i < 20000 && i < size; i++)
        if (bytes[i] == '\0') bytes[i] = ' ';
    assert_null(strstr((const char *)bytes, "projection"));
    assert_null(strstr((const char *)bytes, "labels"));
    test_free(bytes);
}

static void test_refusals(void **state)
{
    (void)state;
    watch w = {0};
    const char *photos[] = {"nowhere.jpg", "no/where.jpg"};
    tw_pretrain_opts opts = opts_of(&w);
    const struct {
        const char *arch, *optimiser, *teacher;
        double width, average;
        size_t side, batch, n_photos;
        tw_status status;
        const char *says;
    } rows[] = {
        {"vgg16", NULL, NULL, 0, 0, 32, 6, 0, TW_ERR_ARG, "need one of sapling"},
        {"resnet18", NULL, NULL, 2.5, 0, 32, 6, 0, TW_ERR_ARG, "width 2.5"},
        {"resnet18", NULL, NULL, 4, 0, 8, 6, 0, TW_ERR_ARG, "16 to 1024"},
        {"resnet18", "adam", NULL, 4, 0, 32, 6, 0, TW_ERR_ARG, "adamw or sgd"},
        {"resnet18", NULL, NULL, 4, 1.5, 32, 6, 0, TW_ERR_ARG, "0 to below 1"},
        {"resnet18", NULL, NULL, 4, 0, 32, 1, 0, TW_ERR_ARG, "2 to 65536"},
        {"resnet18", NULL, NULL, 4, 0, 32, 6, 2, TW_ERR_ARG, "but with a teacher"},
        {"resnet18", NULL, "nowhere", 4, 0, 32, 6, 0, TW_ERR_NOT_FOUND, "nowhere"},
        {"resnet18", NULL, "nowhere", 4, 0, 32, 6, 2, TW_ERR_DATA, "0 photos that can be read"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        opts.arch = rows[i].arch, opts.optimiser = rows[i].optimiser;
        opts.teacher = rows[i].teacher, opts.width = rows[i].width;
        opts.average = rows[i].average, opts.side = rows[i].side, opts.batch = rows[i].batch;
        opts.photos = photos, opts.n_photos = rows[i].n_photos;
        assert_int_equal(pretrain(&opts, 0, at("none.tw"), NULL), rows[i].status);
        if (!strstr(sentence, rows[i].says)) print_error("%zu: %s\n", i, sentence);
        assert_non_null(strstr(sentence, rows[i].says));
        assert_int_not_equal(access(at("none.tw"), F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),   cmocka_unit_test(test_file),
        cmocka_unit_test(test_teacher),  cmocka_unit_test(test_unlabelled),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
