/* evaluate.c - a model measured on a labelled data set. */
#include "api/harvest.h"
#include "api/model.h"
#include "dataset/names.h"

#include <string.h>

static tw_status unknown_class(tw_ctx *ctx, const tw_model *model, const char *name)
{
    twi_text known = {0};
    twi_names_list(&known, (const char *const *)model->classes.items, model->classes.n);
    const tw_status st =
        known.failed
            ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message")
            : twi_fail(ctx, TW_ERR_DATA, "class %s is none of the model's: %s", name, known.text);
    twi_text_free(&known);
    return st;
}

/* class_of [dataset classes]: the model's number of each class of the data set, by name. */
static tw_status match_classes(tw_ctx *ctx, const tw_model *model, const tw_dataset *dataset,
                               uint32_t *class_of)
{
    for (size_t c = 0; c < tw_dataset_class_count(dataset); c++) {
        const char *name = tw_dataset_class_name(dataset, c);
        size_t k = 0;
        while (k < model->classes.n && strcmp(model->classes.items[k], name) != 0) k++;
        if (k == model->classes.n) return unknown_class(ctx, model, name);
        class_of[c] = (uint32_t)k;
    }
    return TW_OK;
}

static tw_status measure_rows(tw_ctx *ctx, const tw_model *model, const tw_dataset *dataset,
                              const uint32_t *class_of, const twi_harvest *harvest,
                              tw_report *report)
{
    uint32_t *truth;
    tw_status st = twi_alloc(ctx, harvest->rows, &truth);
    for (size_t r = 0; r < harvest->rows && st == TW_OK; r++) {
        truth[r] = class_of[tw_dataset_label(dataset, harvest->sample[r])];
        st = twi_names_add(ctx, &report->test_files,
                           twi_dataset_relative_path(dataset, harvest->sample[r]));
    }
    if (st == TW_OK) st = twi_model_measure(ctx, model, harvest->x, truth, harvest->rows, report);
    twi_free(truth);
    return st;
}

static const char *class_name(const void *user, size_t k)
{
    return tw_model_class_name(user, k);
}

static void fill_summary(tw_report *report, const tw_model *model, const twi_harvest *harvest,
                         double seconds)
{
    tw_summary *s = &report->summary;
    s->n_skipped = report->skipped_paths.n;
    s->precision = harvest->precision;
    s->isa = twi_engine_isa();
    s->feature_count = harvest->d;
    s->views = twi_recipe_view_count(&model->extract.recipe);
    s->layers = model->extract.n_layers ? model->extract.n_layers : 1;
    const twi_json *options = twi_json_get(twi_json_get(model->document, "training"), "options");
    s->C = twi_json_as_number(twi_json_get(options, "C"),
                              twi_json_as_number(twi_json_get(options, "alpha"), 0));
    s->n_cached = harvest->stats.cached;
    s->seconds_decode = harvest->stats.seconds_decode;
    s->seconds_network = harvest->stats.seconds_network;
    s->seconds_features = harvest->stats.seconds_wall;
    s->photos_per_second = (double)harvest->rows / s->seconds_features;
    s->seconds_total = seconds;
}

tw_status tw_model_evaluate(tw_ctx *ctx, const tw_model *model, const tw_dataset *dataset,
                            tw_report **out)
{
    const double start = twi_seconds();
    const size_t n = tw_dataset_count(dataset);
    tw_extractor *extractor = NULL;
    tw_report *report = NULL;
    size_t *order = NULL;
    uint32_t *class_of = NULL;
    twi_harvest harvest = {0};
    tw_status st = twi_alloc(ctx, tw_dataset_class_count(dataset), &class_of);
    if (st != TW_OK) goto done;
    if ((st = match_classes(ctx, model, dataset, class_of)) != TW_OK) goto done;
    if ((st = twi_report_new(ctx, model->classes.n, class_name, model, &report)) != TW_OK)
        goto done;
    if ((st = tw_model_extractor(ctx, model, &extractor)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, n, &order)) != TW_OK) goto done;
    for (size_t i = 0; i < n; i++) order[i] = i;
    st = twi_harvest_run(ctx, extractor->inner, dataset, order, n, report, &harvest);
    if (st != TW_OK) goto done;
    st = measure_rows(ctx, model, dataset, class_of, &harvest, report);
    if (st != TW_OK) goto done;
    fill_summary(report, model, &harvest, twi_seconds() - start);
    *out = report, report = NULL; /* handed over */
done:
    twi_harvest_free(&harvest);
    tw_extractor_free(extractor);
    tw_report_free(report);
    twi_free(order);
    twi_free(class_of);
    return st;
}
