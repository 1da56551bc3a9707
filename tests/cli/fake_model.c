/* fake_model.c - backbones, extraction, models and reports of the test double. Times are constants,
 * so that what is printed can be compared. */
#include "fake.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *p)
{
    if (!p) abort();
    return p;
}

/* ---- backbones ----------------------------------------------------------------------------- */

static const tw_backbone installed[] = {
    {"sapling", 0, false}, {"vgg16", 0, false}, {"squeezenet1_1", 12, false}, {"named", 3, true}};

tw_status tw_backbone_open(tw_ctx *ctx, const char *name, tw_backbone **out)
{
    const tw_status status = planned(ctx, "tw_backbone_open");
    const size_t n = strlen(name);
    tw_backbone found = {.name = ""};
    if (status != TW_OK) return status;
    if (strcmp(name, "/backbones/named.tw") == 0) {
        found = installed[3];
    } else if (strchr(name, '/') || (n > 3 && strcmp(name + n - 3, ".tw") == 0)) {
        FILE *const in = fopen(name, "rb");
        if (!in) return fail(ctx, TW_ERR_IO, "%s: %s", name, strerror(errno));
        const bool good = head_read(in) && fscanf(in, "backbone %63s", found.name) == 1;
        fclose(in);
        if (!good) return fail(ctx, TW_ERR_FORMAT, "%s: not a topwork backbone", name);
    }
    for (size_t i = 0; i < LEN(installed) && !*found.name; i++)
        if (strcmp(installed[i].name, name) == 0) found = installed[i];
    if (!*found.name)
        return fail(ctx, TW_ERR_NOT_FOUND, "backbone %s is not installed; installed: sapling",
                    name);
    *out = need(malloc(sizeof **out));
    **out = found;
    return TW_OK;
}

void tw_backbone_free(tw_backbone *b)
{
    free(b);
}

const char *tw_backbone_name(const tw_backbone *b)
{
    return b->name;
}

const char *tw_backbone_digest(const tw_backbone *b)
{
    (void)b;
    return "sha256:fa4e";
}

size_t tw_backbone_parameters(const tw_backbone *b)
{
    (void)b;
    return 2800000;
}

size_t tw_backbone_feature_count(const tw_backbone *b)
{
    (void)b;
    return 2;
}

size_t tw_backbone_class_count(const tw_backbone *b)
{
    return b->classes;
}

const char *tw_backbone_class_name(const tw_backbone *b, size_t k)
{
    static const char *const words[] = {"zero", "one", "two"};
    return b->named && k < LEN(words) ? words[k] : NULL;
}

void tw_backbone_input(const tw_backbone *b, size_t *height, size_t *width)
{
    (void)b;
    *height = *width = 128;
}

tw_status tw_backbone_describe(tw_ctx *ctx, const tw_backbone *b, char **json)
{
    const tw_status status = planned(ctx, "tw_backbone_describe");
    if (status != TW_OK) return status;
    if (asprintf(
            json,
            "{\"name\":\"%s\",\"recipe\":{\"geometry\":\"crop\",\"mean\":[0.5,1,2],\"exif\":true},"
            "\"graph\":[{\"op\":\"conv\"},{\"op\":\"relu\"}]}",
            b->name) < 0)
        abort();
    return TW_OK;
}

tw_status tw_backbone_graph(tw_ctx *ctx, const tw_backbone *b, tw_graph_fn fn, void *user)
{
    static const size_t inputs[] = {0, 1};
    static const tw_graph_node nodes[] = {
        {0, "input", "input", NULL, 0, 3, {3, 128, 128}, 0, 0, 0},
        {1, "c\n\"1\"", "conv", inputs, 1, 3, {8, 128, 128}, 224, 1, 0},
        {2, "fc", "dense", inputs, 2, 1, {2}, 9, 0, 1}};
    const tw_status status = planned(ctx, "tw_backbone_graph");
    (void)b;
    for (size_t i = 0; i < LEN(nodes) && status == TW_OK; i++) fn(user, &nodes[i]);
    return status;
}

tw_status tw_backbone_list(tw_ctx *ctx, tw_backbone_fn fn, void *user)
{
    const tw_status status = planned(ctx, "tw_backbone_list");
    if (status != TW_OK) return status;
    fn(user, "named", "/backbones/named.tw");
    fn(user, "sapling", "/back\tbones/sapling.tw");
    return TW_OK;
}

tw_status tw_backbone_import(tw_ctx *ctx, const char *path, const char *arch, const char *opts_json,
                             const char *out_path)
{
    const tw_status status = planned(ctx, "tw_backbone_import");
    if (status != TW_OK) return status;
    if (strcmp(arch, "sapling") != 0)
        return fail(ctx, TW_ERR_UNSUPPORTED, "unknown architecture %s; known: sapling", arch);
    FILE *const out = fopen(out_path, "wb");
    if (!out) return fail(ctx, TW_ERR_IO, "%s: %s", out_path, strerror(errno));
    head_write(out);
    fprintf(out, "backbone %s\nfrom %s\n%s\n", arch, path, opts_json ? opts_json : "null");
    fclose(out);
    return TW_OK;
}

/* ---- extraction ---------------------------------------------------------------------------- */

struct tw_extractor {
    tw_extract_opts opts;
    size_t d;
};

void tw_extract_opts_init(tw_extract_opts *opts)
{
    *opts = (tw_extract_opts){.size_bytes = sizeof *opts};
}

tw_status tw_extractor_new(tw_ctx *ctx, const tw_backbone *b, const tw_extract_opts *opts,
                           tw_extractor **out)
{
    const tw_status status = planned(ctx, "tw_extractor_new");
    if (status != TW_OK) return status;
    *out = need(calloc(1, sizeof **out));
    (*out)->opts = *opts;
    (*out)->d = opts->classifier ? b->classes : 2;
    return TW_OK;
}

void tw_extractor_free(tw_extractor *e)
{
    free(e);
}

size_t tw_extractor_feature_count(const tw_extractor *e)
{
    return e->d;
}

tw_precision tw_extractor_precision(const tw_extractor *e)
{
    return e->opts.precision == TW_PRECISION_AUTO ? TW_PRECISION_BF16 : e->opts.precision;
}

static float hash_name(const char *name)
{
    unsigned h = 7;
    for (; *name; name++) h = (h * 31 + (unsigned char)*name) % 65521;
    return (float)h;
}

/* [hash of the class, probability]; as a classifier: that probability for the class of that number.
 */
static void features_of(const tw_extractor *e, const char *name, float p, float *x)
{
    if (!e->opts.classifier) {
        x[0] = hash_name(name);
        x[1] = p;
        return;
    }
    for (size_t k = 0; k < e->d; k++) x[k] = (1 - p) / (float)(e->d - 1);
    const size_t k = strtoul(name, NULL, 10);
    if (k < e->d) x[k] = p;
}

static tw_status one_row(tw_ctx *ctx, const tw_extractor *e, const char *path, float *x)
{
    char name[256];
    float p;
    switch (picture_read(path, name, &p)) {
    case PICTURE:
        features_of(e, name, p, x);
        return TW_OK;
    case PICTURE_DAMAGED:
        return fail(ctx, TW_ERR_FORMAT, "%s: damaged", path);
    case NOT_A_PICTURE:
        return fail(ctx, TW_ERR_UNSUPPORTED, "%s: not a picture", path);
    default:
        return fail(ctx, TW_ERR_IO, "%s: %s", path, strerror(errno));
    }
}

enum { AHEAD = 3 }; /* names are taken before the answers are given, as the real pipeline does */

tw_status tw_extract_paths(tw_ctx *ctx, tw_extractor *e, tw_path_fn next, size_t total,
                           tw_row_fn row, void *user)
{
    const char *waiting[AHEAD];
    size_t taken = 0, failed = 0;
    bool more = true;
    tw_status status = planned(ctx, "tw_extract_paths");
    float *const x = need(calloc(e->d + 1, sizeof *x));
    for (size_t i = 0; status == TW_OK; i++) {
        while (more && taken < i + AHEAD) {
            const char *const path = next(user, taken);
            if (path)
                waiting[taken++ % AHEAD] = path;
            else
                more = false;
        }
        if (i == taken) break;
        misbehave(i);
        const tw_status st = one_row(ctx, e, waiting[i % AHEAD], x);
        failed += st != TW_OK;
        if (st != TW_OK && e->opts.strict)
            status = st;
        else if (row(user, i, st, st == TW_OK ? NULL : ctx->message, st == TW_OK ? x : NULL))
            status = fail(ctx, TW_ERR_CANCELLED, "the caller asked to stop");
        if (status == TW_OK) status = progress(ctx, "features", i + 1, total, failed);
    }
    free(x);
    return status;
}

/* ---- reports ------------------------------------------------------------------------------- */

struct tw_report {
    tw_summary sum;
    size_t *confusion;
    names classes, train_files, test_files, skipped, reasons;
};

static tw_report *report_new(const names *classes)
{
    tw_report *const r = need(calloc(1, sizeof *r));
    r->sum = (tw_summary){.classes = classes->n,
                          .top_k = classes->n < 5 ? classes->n : 5,
                          .precision = TW_PRECISION_BF16,
                          .feature_count = 2,
                          .views = 1,
                          .layers = 1,
                          .seconds_decode = 0.5,
                          .seconds_network = 0.75,
                          .seconds_features = 1,
                          .seconds_total = 1.5,
                          .photos_per_second = 12.5,
                          .isa = "fake isa"};
    r->confusion = need(calloc(classes->n * classes->n + 1, sizeof *r->confusion));
    for (size_t k = 0; k < classes->n; k++) names_add(&r->classes, classes->items[k]);
    return r;
}

void tw_report_free(tw_report *r)
{
    if (!r) return;
    free(r->confusion);
    names_free(&r->classes);
    names_free(&r->train_files);
    names_free(&r->test_files);
    names_free(&r->skipped);
    names_free(&r->reasons);
    free(r);
}

void tw_report_summary(const tw_report *r, tw_summary *out)
{
    *out = r->sum;
}

size_t tw_report_confusion(const tw_report *r, size_t truth, size_t predicted)
{
    return r->confusion[truth * r->sum.classes + predicted];
}

void tw_report_class(const tw_report *r, size_t k, tw_class_score *out)
{
    size_t of_truth = 0, answered = 0;
    const size_t n = r->sum.classes, right = tw_report_confusion(r, k, k);
    for (size_t i = 0; i < n; i++) {
        of_truth += tw_report_confusion(r, k, i);
        answered += tw_report_confusion(r, i, k);
    }
    *out = (tw_class_score){.support = of_truth};
    if (answered) out->precision = (double)right / (double)answered;
    if (of_truth) out->recall = (double)right / (double)of_truth;
    if (right) out->f1 = 2 * out->precision * out->recall / (out->precision + out->recall);
}

const char *tw_report_class_name(const tw_report *r, size_t k)
{
    return names_get(&r->classes, k);
}

const char *tw_report_file(const tw_report *r, tw_part part, size_t i)
{
    return names_get(part == TW_PART_TRAIN ? &r->train_files : &r->test_files, i);
}

const char *tw_report_skipped_path(const tw_report *r, size_t i)
{
    return names_get(&r->skipped, i);
}

const char *tw_report_skipped_reason(const tw_report *r, size_t i)
{
    return names_get(&r->reasons, i);
}

#define THRESHOLD 0.5 /* of familiarity, in every model that rejects */

/* Wilson's interval, 95 %, and the rest of the sums from the confusion matrix. */
static void report_finish(tw_report *r)
{
    tw_summary *const s = &r->sum;
    size_t commonest = 0;
    for (size_t k = 0; k < s->classes; k++) {
        tw_class_score score;
        tw_report_class(r, k, &score);
        s->n_correct += tw_report_confusion(r, k, k);
        if (score.support > commonest) commonest = score.support;
    }
    const double n = (double)s->n_test, z = 1.959963984540054, p = (double)s->n_correct / n;
    const double middle = p + z * z / (2 * n),
                 spread = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    s->accuracy = p;
    s->interval[0] = (middle - spread) / (1 + z * z / n);
    s->interval[1] = (middle + spread) / (1 + z * z / n);
    s->baseline_accuracy = (double)commonest / n;
    s->top_k_accuracy = 1;
    s->n_skipped = r->skipped.n;
}

/* Known are the familiar; area and share are constants. */
tw_status tw_report_unknown(tw_ctx *ctx, tw_report *r, const double *familiarity, size_t n)
{
    const tw_status status = planned(ctx, "tw_report_unknown");
    if (status != TW_OK) return status;
    if (!(r->sum.reject > 0)) return fail(ctx, TW_ERR_ARG, "the model does not reject");
    r->sum.n_unknown = n;
    for (size_t i = 0; i < n; i++) r->sum.n_unknown_accepted += familiarity[i] >= THRESHOLD;
    r->sum.unknown_auroc = 0.875;
    r->sum.unknown_accepted_at_95 = 0.25;
    return TW_OK;
}

/* ---- models -------------------------------------------------------------------------------- */

struct tw_model {
    tw_backbone backbone;
    names classes;
    char options[512];
};

void tw_head_opts_init(tw_head_opts *opts)
{
    *opts = (tw_head_opts){.size_bytes = sizeof *opts, .seed = 42, .l1_ratio = 0.5};
}

void tw_train_opts_init(tw_train_opts *opts)
{
    *opts = (tw_train_opts){
        .size_bytes = sizeof *opts, .test_size = 0.2, .seed = 42, .stratify = TW_DEFAULT};
    tw_extract_opts_init(&opts->extract);
    tw_head_opts_init(&opts->head);
}

/* Nothing where nothing was said. */
static void remember_views(const tw_extract_opts *e, char *out, size_t size)
{
    size_t used = 0;
    const int n = !e->views && !e->patch_height && !e->input_width && !e->n_layers
                      ? 0
                      : snprintf(out, size,
                                 ",\"input_width\":%zu,\"views\":\"%s\",\"patches\":\"%zu %zu "
                                 "%.9g %u\",\"layers\":\"",
                                 e->input_width, e->views ? e->views : "", e->patch_height,
                                 e->patch_width, e->max_patches, (unsigned)e->patch_seed);
    used = (size_t)n;
    for (size_t i = 0; i < e->n_layers; i++)
        used += (size_t)snprintf(out + used, size - used, "%s ", e->layers[i]);
    if (used) snprintf(out + used, size - used, "\"");
}

static void remember_options(const tw_ctx *ctx, const tw_train_opts *o, char *out, size_t size)
{
    const tw_extract_opts *const e = &o->extract;
    char reject[64] = "";
    if (o->reject > 0) snprintf(reject, sizeof reject, ",\"reject\":%.9g", o->reject);
    char views[256] = "";
    remember_views(e, views, sizeof views);
    snprintf(
        out, size,
        "{\"threads\":%zu,\"precision\":%d,\"pooling\":%d,\"batch\":%zu,\"reference\":%d,"
        "\"strict\":%d,\"fast\":%d,"
        "\"geometry\":\"%s\",\"resize\":\"%s\",\"input_size\":%zu,\"max_pixels\":%zu,\"test_size\":"
        "%.9g,\"seed\":%u,"
        "\"stratify\":%d,\"C\":%.9g,\"balanced\":%d,\"max_iter\":%zu,\"tol\":%.9g,\"refit\":%d%s%"
        "s}",
        ctx->threads, (int)e->precision, (int)e->pooling, e->batch, e->reference_recipe, e->strict,
        e->fast_decode, e->geometry ? e->geometry : "", e->resize ? e->resize : "", e->input_size,
        e->max_pixels, o->test_size, (unsigned)o->seed, (int)o->stratify, o->head.C,
        o->head.balanced, o->head.max_iter, o->head.tol, o->refit_all, reject, views);
}

static size_t predict_one(const tw_model *m, const float *x, float *prob)
{
    size_t best = 0;
    const size_t n = m->classes.n;
    bool known = false;
    for (size_t k = 0; k < n; k++) known = known || hash_name(m->classes.items[k]) == x[0];
    for (size_t k = 0; k < n; k++) {
        const bool hit = known && hash_name(m->classes.items[k]) == x[0];
        prob[k] = !known ? 1 / (float)n : hit ? x[1] : (1 - x[1]) / (float)(n - 1);
        if (prob[k] > prob[best]) best = k;
    }
    return best;
}

/* The accept share of a model that rejects; 0: it does not. */
static double reject_of(const tw_model *m)
{
    const char *const at = strstr(m->options, "\"reject\":");
    return at ? strtod(at + 9, NULL) : 0;
}

/* Its probability; little where the class is none of the model's. */
static double familiarity_of(const tw_model *m, const float *x)
{
    for (size_t k = 0; k < m->classes.n; k++)
        if (hash_name(m->classes.items[k]) == x[0]) return (double)x[1];
    return 0.125;
}

int tw_model_rejects(const tw_model *m)
{
    return reject_of(m) > 0;
}

tw_status tw_model_familiarity(tw_ctx *ctx, const tw_model *m, const float *x, size_t n,
                               double *familiarity, unsigned char *known)
{
    const tw_status status = planned(ctx, "tw_model_familiarity");
    if (status != TW_OK) return status;
    if (!tw_model_rejects(m)) return fail(ctx, TW_ERR_ARG, "the model does not reject");
    for (size_t i = 0; i < n; i++) familiarity[i] = familiarity_of(m, x + 2 * i);
    for (size_t i = 0; known && i < n; i++) known[i] = familiarity[i] >= THRESHOLD;
    return TW_OK;
}

typedef struct measuring {
    tw_ctx *ctx;
    const tw_model *model;
    const tw_dataset *dataset;
    size_t n_test; /* of dataset count; spread evenly */
    tw_report *report;
} measuring;

static tw_status measure_one(const measuring *m, size_t i)
{
    tw_report *const r = m->report;
    const size_t n = m->dataset->paths.n;
    const char *const path = m->dataset->paths.items[i];
    tw_extractor e = {.d = 2};
    float x[2], prob[64];
    misbehave(i);
    const tw_status status = one_row(m->ctx, &e, path, x);
    if (status != TW_OK) {
        names_add(&r->skipped, path);
        names_add(&r->reasons, "damaged");
    } else if ((i + 1) * m->n_test / n == i * m->n_test / n) {
        r->sum.n_train++;
        names_add(&r->train_files, path);
    } else {
        r->sum.n_test++;
        names_add(&r->test_files, path);
        const size_t best = predict_one(m->model, x, prob);
        const bool known = tw_model_rejects(m->model) && familiarity_of(m->model, x) >= THRESHOLD;
        r->confusion[m->dataset->labels[i] * r->sum.classes + best]++;
        r->sum.n_accepted += known;
        r->sum.n_accepted_correct += known && best == m->dataset->labels[i];
    }
    return progress(m->ctx, "features", i + 1, n, r->skipped.n);
}

static tw_status measure(tw_ctx *ctx, const tw_model *model, const tw_dataset *d, size_t n_test,
                         tw_report **out)
{
    tw_status status = TW_OK;
    const measuring m = {ctx, model, d, n_test, report_new(&model->classes)};
    if (tw_model_rejects(model)) {
        m.report->sum.reject = m.report->sum.reject_expected = reject_of(model);
        m.report->sum.threshold = THRESHOLD;
    }
    for (size_t i = 0; i < d->paths.n && status == TW_OK; i++) status = measure_one(&m, i);
    if (status == TW_OK && m.report->sum.n_test == 0)
        status = fail(ctx, TW_ERR_DATA, "no picture could be read");
    if (status != TW_OK) {
        tw_report_free(m.report);
        return status;
    }
    report_finish(m.report);
    *out = m.report;
    return TW_OK;
}

tw_status tw_model_train(tw_ctx *ctx, const tw_dataset *d, const tw_train_opts *opts,
                         tw_model **out, tw_report **report)
{
    tw_backbone *b = NULL;
    tw_report *r = NULL;
    const double t = opts->test_size, n = (double)d->paths.n;
    tw_status status = planned(ctx, "tw_model_train");
    if (status == TW_OK)
        status = tw_backbone_open(ctx, opts->backbone ? opts->backbone : "sapling", &b);
    if (status != TW_OK) return status;
    tw_model *const m = need(calloc(1, sizeof *m));
    m->backbone = *b;
    tw_backbone_free(b);
    for (size_t k = 0; k < d->classes.n; k++) names_add(&m->classes, d->classes.items[k]);
    remember_options(ctx, opts, m->options, sizeof m->options);
    status = measure(ctx, m, d, (size_t)(t < 1 ? ceil(t * n) : t), &r);
    if (status == TW_OK && opts->extract.strict && r->skipped.n)
        status = fail(ctx, TW_ERR_FORMAT, "%s: damaged", r->skipped.items[0]);
    if (status != TW_OK) {
        tw_report_free(r);
        tw_model_free(m);
        return status;
    }
    r->sum.head = opts->head.kind ? opts->head.kind : "logistic-regression";
    r->sum.calibration = opts->head.calibrate ? opts->head.calibrate : "none";
    r->sum.C = opts->head.C > 0 ? opts->head.C : 0.01;
    r->sum.C_chosen = !(opts->head.C > 0);
    r->sum.converged = opts->head.max_iter != 1;
    r->sum.iterations = opts->head.max_iter ? opts->head.max_iter : 17;
    r->sum.seconds_fit = 0.25;
    if (ctx->log && d->paths.n < 20) ctx->log(ctx->log_user, TW_LOG_WARNING, "few photos");
    *out = m;
    *report = r;
    return TW_OK;
}

tw_status tw_model_update(tw_ctx *ctx, const char *path, const tw_dataset *more,
                          const tw_train_opts *opts, tw_model **out, tw_report **report)
{
    tw_model *old;
    tw_status status = planned(ctx, "tw_model_update");
    if (status == TW_OK) status = tw_model_open(ctx, path, &old);
    if (status != TW_OK) return status;
    tw_model_free(old);
    return tw_model_train(ctx, more, opts, out, report);
}

tw_status tw_model_save(tw_ctx *ctx, const tw_model *m, const char *path)
{
    const tw_status status = planned(ctx, "tw_model_save");
    if (status != TW_OK) return status;
    FILE *const out = fopen(path, "wb");
    if (!out) return fail(ctx, TW_ERR_IO, "%s: %s", path, strerror(errno));
    head_write(out);
    fprintf(out, "model %s\n%s\n", m->backbone.name, m->options);
    for (size_t k = 0; k < m->classes.n; k++) fprintf(out, "%s\n", m->classes.items[k]);
    fclose(out);
    return TW_OK;
}

tw_status tw_model_open(tw_ctx *ctx, const char *path, tw_model **out)
{
    char line[512];
    tw_status status = planned(ctx, "tw_model_open");
    if (status != TW_OK) return status;
    FILE *const in = fopen(path, "rb");
    if (!in) return fail(ctx, TW_ERR_IO, "%s: %s", path, strerror(errno));
    tw_model *const m = need(calloc(1, sizeof *m));
    if (head_read(in) && fscanf(in, "model %63s\n", m->backbone.name) == 1 &&
        fgets(m->options, 512, in)) {
        while (fgets(line, sizeof line, in)) {
            line[strcspn(line, "\n")] = '\0';
            names_add(&m->classes, line);
        }
        *out = m;
    } else {
        status = fail(ctx, TW_ERR_FORMAT, "%s: not a topwork model", path);
        tw_model_free(m);
    }
    fclose(in);
    return status;
}

void tw_model_free(tw_model *m)
{
    if (!m) return;
    names_free(&m->classes);
    free(m);
}

const tw_backbone *tw_model_backbone(const tw_model *m)
{
    return &m->backbone;
}

size_t tw_model_class_count(const tw_model *m)
{
    return m->classes.n;
}

const char *tw_model_class_name(const tw_model *m, size_t k)
{
    return names_get(&m->classes, k);
}

tw_status tw_model_describe(tw_ctx *ctx, const tw_model *m, char **json)
{
    const tw_status status = planned(ctx, "tw_model_describe");
    if (status != TW_OK) return status;
    if (asprintf(json, "{\"backbone\":\"%s\",\"options\":%s}", m->backbone.name, m->options) < 0)
        abort();
    return TW_OK;
}

tw_status tw_model_extractor(tw_ctx *ctx, const tw_model *m, tw_extractor **out)
{
    tw_extract_opts opts;
    tw_extract_opts_init(&opts);
    return tw_extractor_new(ctx, &m->backbone, &opts, out);
}

tw_status tw_model_predict(tw_ctx *ctx, const tw_model *m, const float *x, size_t n, float *prob,
                           size_t prob_count)
{
    const tw_status status = planned(ctx, "tw_model_predict");
    if (status != TW_OK) return status;
    if (prob_count != n * m->classes.n) return fail(ctx, TW_ERR_ARG, "wrong room");
    for (size_t i = 0; i < n; i++) predict_one(m, x + 2 * i, prob + i * m->classes.n);
    return TW_OK;
}

tw_status tw_model_evaluate(tw_ctx *ctx, const tw_model *m, const tw_dataset *d, tw_report **out)
{
    const tw_status status = planned(ctx, "tw_model_evaluate");
    return status != TW_OK ? status : measure(ctx, m, d, d->paths.n, out);
}
