/* cmd_compare.c - topwork compare: which network, input and head does best on these photos. */
#include "curve.h"
#include "heads.h"
#include "labelled.h"
#include "output.h"
#include "report.h"
#include "views.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MOST = 20, SETTING_BYTES = 96 };

/* ---- options ------------------------------------------------------------------------------- */

typedef struct numbers {
    double *items;
    size_t count;
} numbers;

/* The settings to try, and the lists they were made of. */
typedef struct plan {
    tw_head_opts *heads;
    size_t n_heads;
    numbers C, alpha, gamma, neighbors;
    tw_pooling *poolings;
    tw_compare_opts opts;
} plan;

static void plan_free(plan *p)
{
    free(p->heads);
    free(p->C.items);
    free(p->alpha.items);
    free(p->gamma.items);
    free(p->neighbors.items);
    free(p->poolings);
}

/* word stands for value; NULL: numbers only. */
static int read_numbers(session *s, const char *name, const text_list *list, const char *word,
                        double value, numbers *out)
{
    out->items = calloc(list->count + 1, sizeof *out->items);
    if (!out->items) return session_fail_nomem(s);
    for (size_t i = 0; i < list->count; i++) {
        const char *const text = list->items[i];
        char *end;
        double number = strtod(text, &end);
        if (word && strcmp(text, word) == 0)
            number = value;
        else if (text[strspn(text, "0123456789.eE+-")] != '\0' || *end != '\0' ||
                 !isfinite(number) || number <= 0)
            return session_fail_usage(s, "--%s: '%s' in the list is not a number above 0%s%s", name,
                                      text, word ? ", or " : "", word ? word : "");
        out->items[out->count++] = number;
    }
    return 0;
}

static int read_poolings(session *s, plan *p)
{
    static const char *const words[] = {"avg", "max", "none"};
    const text_list *const list = &s->opts.poolings;
    p->poolings = calloc(list->count + 1, sizeof *p->poolings);
    if (!p->poolings) return session_fail_nomem(s);
    for (size_t i = 0; i < list->count; i++) {
        size_t w = 0;
        while (w < LEN(words) && strcmp(words[w], list->items[i]) != 0) w++;
        if (w == LEN(words))
            return session_fail_usage(s, "--pooling: '%s' is not one of avg, max or none",
                                      list->items[i]);
        p->poolings[i] = (tw_pooling)(TW_POOLING_AVG + w);
    }
    p->opts.poolings = p->poolings;
    p->opts.n_poolings = list->count;
    return 0;
}

static const struct {
    const char *kind;
    bool C, alpha, gamma, neighbors, layers, loss, penalty, balanced, limits;
} kinds[] = {
    {"logistic-regression", .C = true, .penalty = true, .balanced = true, .limits = true},
    {"linear-svm", .C = true, .loss = true, .balanced = true, .limits = true},
    {"svm-rbf", .C = true, .gamma = true, .balanced = true, .limits = true},
    {"mlp", .layers = true, .limits = true},
    {"ridge", .alpha = true, .balanced = true, .limits = true},
    {"knn", .neighbors = true},
    {"nearest-centroid", .C = false},
};

static size_t at_least_one(size_t n)
{
    return n ? n : 1;
}

/* One kind with every combination of its lists. common: what the single options say. */
static int add_kind(session *s, plan *p, size_t k, const tw_head_opts *common)
{
    static const double usual_neighbors[] = {1, 5, 15};
    const bool usual = kinds[k].neighbors && p->neighbors.count == 0;
    const numbers neighbors =
        usual ? (numbers){(double *)usual_neighbors, LEN(usual_neighbors)} : p->neighbors;
    const size_t n_C = kinds[k].C ? at_least_one(p->C.count) : 1;
    const size_t n_alpha = kinds[k].alpha ? at_least_one(p->alpha.count) : 1;
    const size_t n_gamma = kinds[k].gamma ? at_least_one(p->gamma.count) : 1;
    const size_t n_near = kinds[k].neighbors ? at_least_one(neighbors.count) : 1;
    const size_t total = n_C * n_alpha * n_gamma * n_near;
    tw_head_opts *const more = realloc(p->heads, (p->n_heads + total) * sizeof *more);
    if (!more) return session_fail_nomem(s);
    p->heads = more;
    for (size_t i = 0; i < total; i++) {
        tw_head_opts *const o = &p->heads[p->n_heads++];
        *o = *common;
        o->kind = kinds[k].kind;
        o->C = !kinds[k].C ? 0 : p->C.count ? p->C.items[i % n_C] : TW_AUTO;
        o->alpha = !kinds[k].alpha  ? 0
                   : p->alpha.count ? p->alpha.items[i / n_C % n_alpha]
                                    : TW_AUTO;
        o->gamma =
            kinds[k].gamma && p->gamma.count ? p->gamma.items[i / n_C / n_alpha % n_gamma] : 0;
        o->neighbors =
            kinds[k].neighbors ? (size_t)neighbors.items[i / n_C / n_alpha / n_gamma % n_near] : 0;
        if (!kinds[k].neighbors) o->metric = o->weights = NULL;
        if (!kinds[k].loss) o->loss = NULL;
        if (!kinds[k].penalty) o->penalty = NULL;
        if (!kinds[k].balanced) o->balanced = 0;
        if (!kinds[k].limits) o->max_iter = 0, o->tol = 0;
        if (!kinds[k].layers) {
            o->n_hidden = o->batch_size = o->n_iter_no_change = 0;
            o->learning_rate = 0;
            o->early_stopping = 0;
        }
    }
    return 0;
}

static int read_heads(session *s, plan *p)
{
    static const char *const usual[] = {"logistic-regression", "linear-svm", "svm-rbf", "knn"};
    const options *const o = &s->opts;
    const size_t n = o->heads.count ? o->heads.count : LEN(usual);
    tw_head_opts common;
    int code = heads_read(s, &common);
    if (code == 0) code = read_numbers(s, "C", &o->C_list, "auto", TW_AUTO, &p->C);
    if (code == 0) code = read_numbers(s, "alpha", &o->alpha_list, "auto", TW_AUTO, &p->alpha);
    if (code == 0) code = read_numbers(s, "gamma", &o->gamma_list, "scale", 0, &p->gamma);
    if (code == 0) code = read_numbers(s, "neighbors", &o->neighbors_list, NULL, 0, &p->neighbors);
    for (size_t i = 0; i < n && code == 0; i++) {
        const char *const name = o->heads.count ? o->heads.items[i] : usual[i];
        size_t k = 0;
        while (k < LEN(kinds) && strcmp(kinds[k].kind, name) != 0) k++;
        if (k == LEN(kinds))
            return session_fail_usage(s, "--head: '%s' is none of the heads that train knows",
                                      name);
        code = add_kind(s, p, k, &common);
    }
    p->opts.heads = p->heads;
    p->opts.n_heads = p->n_heads;
    return code;
}

/* "90", "90s", "5m" or "2h" in seconds. */
static int read_budget(session *s, double *out)
{
    const char *const text = s->opts.budget;
    char *end;
    *out = 0;
    if (!text) return 0;
    const double number = strtod(text, &end);
    const double unit = *end == 'm' ? 60 : *end == 'h' ? 3600 : 1;
    if (*end == 's' || *end == 'm' || *end == 'h') end++;
    if (text[strspn(text, "0123456789.smh")] != '\0' || *end != '\0' || !(number > 0) ||
        number * unit > 1e9)
        return session_fail_usage(s, "--budget: '%s' is not a time such as 60s, 5m or 2h", text);
    *out = number * unit;
    return 0;
}

static int read_plan(session *s, plan *p)
{
    const options *const o = &s->opts;
    tw_compare_opts *const c = &p->opts;
    tw_compare_opts_init(c);
    c->extract.precision = (tw_precision)o->precision;
    c->extract.batch = o->batch;
    c->extract.strict = o->strict;
    c->extract.fast_decode = o->fast_decode;
    c->extract.max_pixels = o->max_pixels;
    c->backbones = (const char *const *)o->backbones.items;
    c->n_backbones = o->backbones.count;
    c->geometries = (const char *const *)o->geometries.items;
    c->n_geometries = o->geometries.count;
    c->resizes = (const char *const *)o->resizes.items;
    c->n_resizes = o->resizes.count;
    c->views = (const char *const *)o->views_list.items;
    c->n_views = o->views_list.count;
    c->folds = o->folds;
    c->repeats = o->repeats;
    c->test_size = o->test_size;
    c->seed = (uint32_t)o->seed;
    c->stratify = (tw_tristate)o->stratify;
    c->groups = o->groups;
    c->refit_all = o->output != NULL;
    c->reject = o->reject ? o->accept : 0;
    int code = views_read(s, &c->extract);
    if (code == 0) code = read_budget(s, &c->budget);
    if (code == 0) code = read_poolings(s, p);
    return code ? code : read_heads(s, p);
}

/* ---- the table ----------------------------------------------------------------------------- */

/* "C 0.01", "C 1, gamma 0.002", "15 neighbors" */
static void setting_text(const tw_head_opts *o, char out[SETTING_BYTES])
{
    size_t used = 0;
    out[0] = '\0';
#define ADD(...)                                                                                   \
    do {                                                                                           \
        const int n = snprintf(out + used, SETTING_BYTES - used, __VA_ARGS__);                     \
        if (n > 0) used = used + (size_t)n < SETTING_BYTES ? used + (size_t)n : SETTING_BYTES - 1; \
    } while (0)
    if (o->penalty && strcmp(o->penalty, "l2") != 0) ADD("%s ", o->penalty);
    if (o->loss && strcmp(o->loss, "squared_hinge") != 0) ADD("%s ", o->loss);
    if (o->C > 0) ADD("C %.4g", o->C);
    if (o->alpha > 0) ADD("alpha %.4g", o->alpha);
    if (o->gamma > 0) ADD(", gamma %.4g", o->gamma);
    if (o->neighbors) ADD("%zu neighbor%s", o->neighbors, o->neighbors == 1 ? "" : "s");
#undef ADD
}

static size_t wider(size_t width, const char *text)
{
    const size_t columns = text_columns(text);
    return columns > width ? columns : width;
}

typedef struct table {
    size_t backbone, features, head, setting;
    bool show_features; /* geometry, resize, pooling or views differ */
} table;

static void features_text(const tw_compare_row *row, char out[SETTING_BYTES])
{
    const bool several = strcmp(row->views, "1") != 0;
    const bool digits = row->views[strspn(row->views, "0123456789")] == '\0';
    snprintf(out, SETTING_BYTES, "%s, %s, %s%s%s%s", row->geometry, row->resize, row->pooling,
             several ? ", " : "", several ? row->views : "", several && digits ? " views" : "");
}

static table measure_table(const tw_comparison *c)
{
    table t = {.backbone = 8, .features = 8, .head = 4, .setting = 7};
    char text[SETTING_BYTES], first[SETTING_BYTES] = "";
    tw_compare_row row;
    for (size_t i = 0, shown = 0; i < tw_comparison_count(c); i++) {
        tw_comparison_row(c, i, &row);
        features_text(&row, text);
        if (i == 0) memcpy(first, text, sizeof first);
        t.show_features = t.show_features || strcmp(first, text) != 0;
        if (!row.best_of_kind || shown++ >= ROWS_MOST) continue;
        t.backbone = wider(t.backbone, row.backbone);
        t.features = wider(t.features, text);
        t.head = wider(t.head, row.head.kind);
        setting_text(&row.head, text);
        t.setting = wider(t.setting, text);
    }
    return t;
}

static void cell(const char *text, size_t width)
{
    text_escaped(stdout, text);
    for (size_t i = text_columns(text); i < width + 2; i++) putchar(' ');
}

static void row_text(const table *t, const tw_compare_row *row, bool first)
{
    char text[SETTING_BYTES];
    printf("%s ", first ? " " : row->tied ? "=" : " ");
    cell(row->backbone, t->backbone);
    features_text(row, text);
    if (t->show_features) cell(text, t->features);
    cell(row->head.kind, t->head);
    setting_text(&row->head, text);
    cell(text, t->setting);
    printf("  %.4f  ", row->mean);
    if (row->interval[0] == row->interval[0])
        printf("%.4f to %.4f", row->interval[0], row->interval[1]);
    else
        printf("%16s", "-");
    printf("  %8.3f s", row->seconds_fit);
    if (row->photos_per_second > 0)
        printf("  %8.0f", row->photos_per_second);
    else
        printf("  %8s", "-");
    printf("  %7.1f MiB\n", (double)row->model_bytes / 0x1p20);
}

static void table_text(const tw_comparison *c)
{
    const table t = measure_table(c);
    size_t kinds_shown = 0, kinds_all = 0, ties = 0;
    tw_compare_row row;
    printf("\n  ");
    cell("backbone", t.backbone);
    if (t.show_features) cell("features", t.features);
    cell("head", t.head);
    cell("setting", t.setting);
    printf("accuracy     95 %% interval         fit  photos/s        model\n");
    for (size_t i = 0; i < tw_comparison_count(c); i++) {
        tw_comparison_row(c, i, &row);
        if (!row.best_of_kind) continue;
        if (kinds_all++ >= ROWS_MOST) continue;
        row_text(&t, &row, kinds_shown++ == 0);
        ties += kinds_shown > 1 && row.tied;
    }
    if (kinds_all > kinds_shown)
        printf("  ... and %zu more (--json has all)\n", kinds_all - kinds_shown);
    puts("accuracy: mean over the folds of the training part. Each head with its best setting.");
    if (ties) puts("=: within the noise of the first (paired test over the folds, p >= 0.05)");
}

static void print_text(session *s, const tw_comparison *c, const tw_report *report)
{
    tw_summary sum;
    tw_compare_row best;
    char setting[SETTING_BYTES];
    tw_report_summary(report, &sum);
    tw_comparison_row(c, 0, &best);
    printf("%zu settings, %zu folds of %zu training photos%s\n", tw_comparison_count(c), best.folds,
           sum.n_train, tw_comparison_stopped(c) ? "; the time ran out before all was tried" : "");
    table_text(c);
    setting_text(&best.head, setting);
    printf("\nbest: ");
    text_escaped(stdout, best.backbone);
    printf(", %s%s%s; on the %zu photos held out, which nothing saw before:\n",
           heads_title(best.head.kind), *setting ? ", " : "", setting, sum.n_test);
    report_text(report);
    if (!s->opts.output) return;
    printf("\nmodel: ");
    text_escaped(stdout, s->opts.output);
    printf(" (fitted once more on all photos)\nnext:  ");
    text_shell(stdout, s->program);
    printf(" predict ");
    text_shell(stdout, s->opts.output);
    puts(" PHOTO...");
}

static void row_json(js *j, const tw_compare_row *row)
{
    js_object(j, NULL);
    js_name(j, "backbone", row->backbone);
    js_text(j, "geometry", row->geometry);
    js_text(j, "resize", row->resize);
    js_text(j, "pooling", row->pooling);
    if (strcmp(row->views, "1") != 0) js_name(j, "views", row->views);
    js_size(j, "features", row->feature_count);
    js_text(j, "head", row->head.kind);
    if (row->head.C > 0) js_double(j, "C", row->head.C);
    if (row->head.alpha > 0) js_double(j, "alpha", row->head.alpha);
    if (row->head.gamma > 0) js_double(j, "gamma", row->head.gamma);
    if (row->head.neighbors) js_size(j, "neighbors", row->head.neighbors);
    if (row->head.penalty) js_text(j, "penalty", row->head.penalty);
    if (row->head.loss) js_text(j, "loss", row->head.loss);
    js_size(j, "folds", row->folds);
    js_double(j, "mean", row->mean);
    js_array(j, "interval");
    js_double(j, NULL, row->interval[0]);
    js_double(j, NULL, row->interval[1]);
    js_array_end(j);
    js_double(j, "p_value", row->p_value);
    js_bool(j, "tied", row->tied != 0);
    js_bool(j, "best_of_kind", row->best_of_kind != 0);
    if (row->best_of_kind) {
        js_double(j, "seconds_fit", row->seconds_fit);
        js_size(j, "model_bytes", row->model_bytes);
    }
    js_double(j, "photos_per_second", row->photos_per_second);
    js_object_end(j);
}

static void print_json(session *s, const tw_comparison *c, const tw_dataset *dataset,
                       const tw_report *report)
{
    js *const j = &s->json;
    tw_summary sum;
    tw_report_summary(report, &sum);
    js_object(j, NULL);
    js_bool(j, "stopped", tw_comparison_stopped(c) != 0);
    js_array(j, "rows");
    for (size_t i = 0; i < tw_comparison_count(c); i++) {
        tw_compare_row row;
        tw_comparison_row(c, i, &row);
        row_json(j, &row);
    }
    js_array_end(j);
    js_object(j, "test");
    js_size(j, "n_train", sum.n_train);
    js_size(j, "n_test", sum.n_test);
    report_json(j, report);
    js_object_end(j);
    if (s->opts.output) js_name(j, "model", s->opts.output);
    report_skipped_json(j, dataset, report);
    js_object_end(j);
}

/* ---- the command --------------------------------------------------------------------------- */

static int compare(session *s, const tw_dataset *dataset, const plan *p)
{
    tw_comparison *c = NULL;
    tw_model *model = NULL;
    tw_report *report = NULL;
    tw_status status = tw_compare(s->ctx, dataset, &p->opts, &c, &model, &report);
    if (status != TW_OK) return session_fail(s, status, s->opts.strict ? PHASE_DATA : PHASE_WRITE);
    int code = session_interrupted(s);
    if (code == 0 && s->opts.output) {
        status = tw_model_save(s->ctx, model, s->opts.output);
        if (status != TW_OK) code = session_fail(s, status, PHASE_WRITE);
    }
    if (code == 0) {
        session_before_output(s);
        if (s->opts.json)
            print_json(s, c, dataset, report);
        else
            print_text(s, c, report);
    }
    tw_report_free(report);
    tw_model_free(model);
    tw_comparison_free(c);
    return code;
}

/* The curve takes one of each: what train would take. */
static int one_of_each(session *s, const plan *p, tw_train_opts *train)
{
    const options *const o = &s->opts;
    tw_train_opts_init(train);
    train->extract = p->opts.extract;
    if (o->output) return session_fail_usage(s, "--learning-curve makes no model: no -o");
    if (o->backbones.count > 1 || o->geometries.count > 1 || o->resizes.count > 1 ||
        o->poolings.count > 1 || o->views_list.count > 1 || o->heads.count > 1 ||
        o->C_list.count > 1 || o->alpha_list.count > 1 || o->gamma_list.count > 1 ||
        o->neighbors_list.count > 1)
        return session_fail_usage(s, "--learning-curve takes one of each: no lists");
    if (o->backbones.count) train->backbone = o->backbones.items[0];
    if (o->geometries.count) train->extract.geometry = o->geometries.items[0];
    if (o->resizes.count) train->extract.resize = o->resizes.items[0];
    if (o->poolings.count) train->extract.pooling = p->poolings[0];
    if (o->views_list.count) train->extract.views = o->views_list.items[0];
    train->test_size = o->test_size;
    train->seed = (uint32_t)o->seed;
    train->stratify = (tw_tristate)o->stratify;
    train->groups = o->groups;
    train->head = p->heads[0];
    if (o->neighbors_list.count == 0 && train->head.neighbors) train->head.neighbors = 5;
    return 0;
}

static int run(session *s)
{
    const options *const o = &s->opts;
    tw_dataset *dataset = NULL;
    tw_train_opts train;
    plan p = {0};
    int code = read_plan(s, &p);
    if (code == 0 && o->learning_curve) code = one_of_each(s, &p, &train);
    if (code == 0 && (o->svg || o->draws) && !o->learning_curve)
        code = session_fail_usage(s, "--svg and --draws belong to --learning-curve");
    if (code == 0 && o->svg) code = output_check(s, o->svg, OUTPUT_SVG);
    if (code == 0 && o->output) code = output_check(s, o->output, OUTPUT_TOPWORK);
    if (code == 0) code = labelled_open(s, o->operands[0], false, &dataset);
    if (code == 0) {
        labelled_announce(s, dataset);
        session_use_cache(s);
        code = o->learning_curve ? curve_run(s, dataset, &train) : compare(s, dataset, &p);
    }
    tw_dataset_free(dataset);
    plan_free(&p);
    return code;
}

static const option_use uses[] = {
    {OPT_OUTPUT,
     "Where the best model goes, fitted once more on all photos. Without it nothing is written."},
    {OPT_FORCE, NULL},
    {OPT_CATEGORIES, NULL},
    {OPT_BACKBONES, NULL},
    {OPT_GEOMETRIES, NULL},
    {OPT_RESIZES, NULL},
    {OPT_POOLINGS, NULL},
    {OPT_HEADS, NULL},
    {OPT_C_LIST, NULL},
    {OPT_ALPHA_LIST, NULL},
    {OPT_GAMMA_LIST, NULL},
    {OPT_NEIGHBORS_LIST, NULL},
    {OPT_PENALTY, NULL},
    {OPT_L1_RATIO, NULL},
    {OPT_LOSS, NULL},
    {OPT_METRIC, NULL},
    {OPT_WEIGHTS, NULL},
    {OPT_HIDDEN, NULL},
    {OPT_LEARNING_RATE, NULL},
    {OPT_BATCH_SIZE, NULL},
    {OPT_EARLY_STOPPING, NULL},
    {OPT_PATIENCE, NULL},
    {OPT_CLASS_WEIGHT, NULL},
    {OPT_MAX_ITER, NULL},
    {OPT_TOL, NULL},
    {OPT_NO_STANDARDISE, NULL},
    {OPT_PCA, NULL},
    {OPT_NORMALISE, NULL},
    {OPT_CALIBRATE, NULL},
    {OPT_REJECT, NULL},
    {OPT_ACCEPT, NULL},
    {OPT_FOLDS, NULL},
    {OPT_REPEATS, NULL},
    {OPT_BUDGET, NULL},
    {OPT_LEARNING_CURVE, NULL},
    {OPT_DRAWS, NULL},
    {OPT_SVG, NULL},
    {OPT_TEST_SIZE, NULL},
    {OPT_SEED, NULL},
    {OPT_STRATIFY, NULL},
    {OPT_NO_STRATIFY, NULL},
    {OPT_GROUPS, NULL},
    {OPT_PRECISION, NULL},
    {OPT_INPUT_SIZE, NULL},
    {OPT_VIEWS_LIST, NULL},
    {OPT_PATCHES, NULL},
    {OPT_LAYERS, NULL},
    {OPT_FAST_DECODE, NULL},
    {OPT_MAX_PIXELS, NULL},
    {OPT_CACHE, NULL},
    {OPT_NO_CACHE, NULL},
    {OPT_CACHE_SIZE, NULL},
    {OPT_STRICT, NULL},
    {OPT_JSON, NULL},
    {OPT_BATCH, NULL},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_compare = {
    .name = "compare",
    .summary = "find the network, input and head that do best",
    .operands = "(FOLDER | MANIFEST)",
    .least = 1,
    .most = 1,
    .uses = uses,
    .use_count = LEN(uses),
    .description =
        "Tries every combination of the backbones, geometries, filters, poolings, views, heads and "
        "settings given, by cross-validation on the training part, and takes the best. What stands "
        "before a head is fitted inside each fold. The test part is the one that train would hold "
        "out; the search never sees it, and the best is measured on it once.\n\n"
        "Features are made once and kept in the cache, and so are the accuracies: a second run, or "
        "one after an interruption, does only what is left. Folds are scikit-learn's for the same "
        "seed: StratifiedKFold, RepeatedStratifiedKFold with --repeats, GroupKFold with "
        "--groups.\n\n"
        "--budget ends the search: folds are then gone through one by one, after each the better "
        "half of the settings goes on, and when the time is up the best so far is taken.\n\n"
        "--learning-curve answers another question: how accurate is one head after training on 1, "
        "2, "
        "5, 10, ... photos a class, and would more photos help?",
    .output =
        "One row for each head over each set of features, with its best setting, the best row "
        "first: mean accuracy over the folds, its 95 % interval (Student's t, corrected for folds "
        "whose training parts overlap: Nadeau & Bengio 2003), seconds to fit, photos a second "
        "through the network on this machine, and the size of the model. '=' marks rows that are "
        "within the noise of the first. Then what train reports, for the best.\n\n"
        "--json: {\"stopped\", \"rows\": [every setting that was tried, the best first], \"test\": "
        "what evaluate gives, \"model\", \"skipped\"}.",
    .examples =
        "$ topwork compare photos/\n\n"
        "$ topwork compare photos/ --backbone sapling,vgg16 --head svm-rbf,mlp -o best.tw\n\n"
        "$ topwork compare photos/ --head logistic-regression --C 0.001,0.01,0.1 --budget 60s\n",
    .run = run,
};
