/* curve.c - how much data is enough. */
#include "learn/curve.h"

#include "api/calibrate.h"
#include "api/harvest.h"
#include "api/model.h"
#include "api/options.h"
#include "api/parts.h"
#include "learn/paired.h"
#include "learn/search.h"

#include <math.h>
#include <string.h>

#define SIZES_MOST 64
#define FOLDS      5

struct tw_curve {
    tw_curve_point points[SIZES_MOST];
    size_t n;
    tw_curve_summary summary;
};

typedef struct drawing {
    tw_ctx *ctx;
    const tw_dataset *dataset;
    tw_train_opts opts;
    twi_parts_opts parts_opts;
    twi_parts parts;
    tw_backbone *backbone;
    twi_extractor *extractor;
    tw_report *report;
    twi_harvest harvest;
    size_t n_train, k, largest; /* rows of the training part; of the commonest class */
    uint32_t *y;                /* [harvest.rows] */
    tw_head_opts head;
    size_t sizes[SIZES_MOST], n_sizes;
    tw_curve *curve;
} drawing;

static tw_status read_options(drawing *s, const tw_train_opts *given)
{
    tw_train_opts *o = &s->opts;
    tw_train_opts_init(o);
    tw_status st = twi_options_read(s->ctx, o, sizeof *o, given, given ? given->size_bytes : 0);
    if (st == TW_OK) st = twi_head_resolve(s->ctx, &o->head, &s->head);
    if (st != TW_OK) return st;
    if (o->head.C == 0.0 && strcmp(s->head.kind, twi_head_logreg.name) == 0) s->head.C = TW_AUTO;
    s->parts_opts = (twi_parts_opts){.test_size = o->test_size,
                                     .seed = o->seed,
                                     .stratify = o->stratify != TW_NO,
                                     .groups = o->groups != 0};
    return TW_OK;
}

static const char *class_name(const void *user, size_t k)
{
    return tw_dataset_class_name(user, k);
}

static tw_status harvest(drawing *s)
{
    twi_extractor_opts extract;
    const char *name = s->opts.backbone ? s->opts.backbone : "sapling";
    s->k = tw_dataset_class_count(s->dataset);
    s->opts.extract.classifier = 0;
    tw_status st = twi_parts_make(s->ctx, s->dataset, &s->parts_opts, &s->parts);
    if (st == TW_OK) st = tw_backbone_open(s->ctx, name, &s->backbone);
    if (st == TW_OK)
        st = twi_extract_prepare(s->ctx, s->backbone, &s->opts.extract, s->dataset, s->parts.order,
                                 s->parts.n_train, &extract);
    if (st == TW_OK) st = twi_extractor_new(s->ctx, s->backbone->network, &extract, &s->extractor);
    if (st == TW_OK) st = twi_report_new(s->ctx, s->k, class_name, s->dataset, &s->report);
    if (st == TW_OK)
        st = twi_harvest_run(s->ctx, s->extractor, s->dataset, s->parts.order,
                             s->parts.n_train + s->parts.n_test, s->report, &s->harvest);
    if (st == TW_OK) st = twi_alloc(s->ctx, s->harvest.rows, &s->y);
    if (st != TW_OK) return st;
    for (size_t r = 0, at = 0; r < s->harvest.rows; r++) {
        while (s->parts.order[at] != s->harvest.sample[r]) at++;
        s->n_train += at < s->parts.n_train;
        s->y[r] = tw_dataset_label(s->dataset, s->harvest.sample[r]);
    }
    return TW_OK;
}

/* 1, 2, 5, 10, 20, 50, ... below what the commonest class has, then all. */
static tw_status choose_sizes(drawing *s)
{
    static const size_t steps[] = {1, 2, 5};
    for (size_t c = 0; c < s->k; c++) {
        size_t count = 0;
        for (size_t r = 0; r < s->n_train; r++) count += s->y[r] == c;
        if (count == 0)
            return twi_fail(s->ctx, TW_ERR_DATA,
                            "class %s has no readable picture in the training part",
                            tw_dataset_class_name(s->dataset, c));
        if (count > s->largest) s->largest = count;
    }
    if (s->n_train == s->harvest.rows)
        return twi_fail(s->ctx, TW_ERR_DATA, "none of the test pictures could be read");
    for (size_t power = 1, i = 0; s->n_sizes < SIZES_MOST - 1; i++) {
        const size_t size = steps[i % 3] * power;
        if (size >= s->largest) break;
        s->sizes[s->n_sizes++] = size;
        if (i % 3 == 2) power *= 10;
    }
    s->sizes[s->n_sizes++] = s->largest;
    return TW_OK;
}

/* One value for all sizes, chosen on the whole training part. */
static tw_status choose_strength(drawing *s)
{
    const twi_samples samples = {
        .x = s->harvest.x, .y = s->y, .n = s->n_train, .d = s->harvest.d, .k = s->k};
    size_t folds = FOLDS;
    uint32_t *fold_of = NULL;
    tw_status st = twi_parts_folds(s->ctx, s->dataset, &s->parts_opts, s->harvest.sample,
                                   s->n_train, s->y, s->k, &folds, 1, &fold_of);
    const twi_folding folding = {fold_of, folds};
    if (st == TW_OK) st = twi_search_strength(s->ctx, &samples, &folding, &s->head);
    twi_free(fold_of);
    return st;
}

static size_t rows_at(const drawing *s, size_t size)
{
    size_t rows = 0;
    for (size_t c = 0; c < s->k; c++) {
        size_t count = 0;
        for (size_t r = 0; r < s->n_train; r++) count += s->y[r] == c;
        rows += count < size ? count : size;
    }
    return rows;
}

static void fill_point(const drawing *s, const double *accuracy, size_t draws, size_t i)
{
    tw_curve_point *p = &s->curve->points[i];
    double sum = 0.0, square = 0.0;
    for (size_t d = 0; d < draws; d++) sum += accuracy[d];
    *p = (tw_curve_point){
        .per_class = s->sizes[i], .n_train = rows_at(s, s->sizes[i]), .mean = sum / (double)draws};
    for (size_t d = 0; d < draws; d++) square += (accuracy[d] - p->mean) * (accuracy[d] - p->mean);
    /* All photos are one draw: every other would be the same. */
    const bool all = i + 1 == s->n_sizes;
    const double error = sqrt(square / (double)(draws - 1) / (double)draws);
    const double reach = twi_student_quantile(0.975, (double)draws - 1.0) * error;
    p->draws = all ? 1 : draws;
    p->interval[0] = all ? (double)NAN : fmax(0.0, p->mean - reach);
    p->interval[1] = all ? (double)NAN : fmin(1.0, p->mean + reach);
}

/* Worth saying from half a photo in a hundred on, and when the last step is beyond what the draws
 * scatter. */
static void judge(const drawing *s)
{
    tw_curve *c = s->curve;
    double mean[SIZES_MOST];
    for (size_t i = 0; i < c->n; i++) mean[i] = c->points[i].mean;
    tw_curve_summary *sum = &c->summary;
    sum->gain_next = twi_curve_outlook(s->sizes, mean, c->n, &sum->gain_last);
    const double *scatter = c->n > 1 ? c->points[c->n - 2].interval : NULL;
    const bool clear = scatter && mean[c->n - 1] > scatter[1];
    sum->more_helps = clear && sum->gain_next >= 0.005;
    sum->n_test = s->harvest.rows - s->n_train;
    sum->head = s->head.kind;
    sum->C = s->head.C > 0.0 ? s->head.C : s->head.alpha;
}

static tw_status draw(drawing *s, size_t draws)
{
    const twi_harvest *h = &s->harvest;
    double *accuracy;
    tw_status st = twi_alloc(s->ctx, s->n_sizes * draws, &accuracy);
    if (st != TW_OK) return st;
    const twi_curve_problem problem = {
        .train = {.x = h->x, .y = s->y, .n = s->n_train, .d = h->d, .k = s->k},
        .test_x = h->x + s->n_train * h->d,
        .test_y = s->y + s->n_train,
        .n_test = h->rows - s->n_train,
        .opts = s->head,
        .draws = draws,
        .seed = s->opts.seed};
    st = twi_curve_run(s->ctx, &problem, s->sizes, s->n_sizes, accuracy);
    for (size_t i = 0; i < s->n_sizes && st == TW_OK; i++)
        fill_point(s, accuracy + i * draws, draws, i);
    s->curve->n = s->n_sizes;
    if (st == TW_OK) judge(s);
    twi_free(accuracy);
    return st;
}

tw_status tw_learning_curve(tw_ctx *ctx, const tw_dataset *dataset, const tw_train_opts *opts,
                            size_t draws, tw_curve **out)
{
    drawing s = {.ctx = ctx, .dataset = dataset};
    if (draws < 2 || draws > 10000)
        return twi_fail(ctx, TW_ERR_ARG, "%zu draws; allowed are 2 to 10000", draws);
    tw_status st = read_options(&s, opts);
    if (st == TW_OK) st = twi_zalloc(ctx, 1, &s.curve);
    if (st == TW_OK) st = harvest(&s);
    if (st == TW_OK) st = choose_sizes(&s);
    if (st == TW_OK && (s.head.C == TW_AUTO || s.head.alpha == TW_AUTO)) st = choose_strength(&s);
    if (st == TW_OK) st = draw(&s, draws);
    if (st == TW_OK) *out = s.curve, s.curve = NULL; /* handed over */
    tw_curve_free(s.curve);
    twi_extractor_free(s.extractor);
    tw_backbone_free(s.backbone);
    tw_report_free(s.report);
    twi_harvest_free(&s.harvest);
    twi_parts_free(&s.parts);
    twi_free(s.y);
    return st;
}

void tw_curve_free(tw_curve *curve)
{
    twi_free(curve);
}

size_t tw_curve_count(const tw_curve *curve)
{
    return curve->n;
}

void tw_curve_at(const tw_curve *curve, size_t i, tw_curve_point *out)
{
    *out = i < curve->n ? curve->points[i] : (tw_curve_point){0};
}

void tw_curve_sum(const tw_curve *curve, tw_curve_summary *out)
{
    *out = curve->summary;
}
