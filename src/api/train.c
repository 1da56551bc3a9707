/* train.c - the main line: split, features, scaler, head, measurement, model. */
#include "api/calibrate.h"
#include "api/eight.h"
#include "api/audit.h"
#include "api/harvest.h"
#include "api/model.h"
#include "api/options.h"
#include "api/parts.h"
#include "learn/search.h"

#include <string.h>

#define FOLDS 5

/* Everything one training passes from step to step. */
typedef struct training {
    tw_ctx *ctx;
    const tw_dataset *dataset;
    tw_train_opts opts;
    bool stratify;
    twi_extractor_opts extract;
    tw_backbone *backbone;
    twi_extractor *extractor;
    twi_parts parts;
    twi_harvest harvest;
    size_t train_rows;      /* rows of harvest that belong to the training part; they come first */
    uint32_t *y;            /* [harvest.rows] */
    twi_eight_answer eight; /* of int8; else all 0 */
    tw_head_opts head;      /* resolved */
    bool chosen;            /* C or alpha, by cross-validation */
    const twi_train_extra *extra; /* never NULL */
    tw_model *model;
    tw_report *report;
} training;

/* ---- options ------------------------------------------------------------------------------- */

static tw_status read_options(training *t, const tw_train_opts *given)
{
    tw_train_opts *opts = &t->opts;
    tw_train_opts_init(opts);
    tw_status st =
        twi_options_read(t->ctx, opts, sizeof *opts, given, given ? given->size_bytes : 0);
    if (st != TW_OK) return st;
    const bool reference = opts->extract.reference_recipe != 0;
    if (!opts->backbone) opts->backbone = reference ? "vgg16" : "sapling";
    t->stratify = opts->stratify == TW_DEFAULT ? !reference : opts->stratify == TW_YES;
    if (opts->reject != 0.0 && !(opts->reject > 0.0 && opts->reject < 1.0))
        return twi_fail(t->ctx, TW_ERR_ARG,
                        "reject is %s; it must lie between 0 and 1, or be 0 for none",
                        opts->reject < 0.0    ? "negative"
                        : opts->reject >= 1.0 ? "1 or more"
                                              : "not a number");
    if ((st = twi_head_resolve(t->ctx, &opts->head, &t->head)) != TW_OK) return st;
    if (strcmp(t->head.kind, twi_head_logreg.name) == 0) {
        if (opts->head.C == 0.0 && !reference) t->head.C = TW_AUTO;
        if (opts->head.max_iter == 0 && reference) t->head.max_iter = 100;
    }
    return TW_OK;
}

/* ---- split --------------------------------------------------------------------------------- */

static twi_parts_opts parts_opts(const training *t)
{
    return (twi_parts_opts){.test_size = t->opts.test_size,
                            .seed = t->opts.seed,
                            .stratify = t->stratify,
                            .groups = t->opts.groups != 0};
}

static tw_status split(training *t)
{
    const twi_parts_opts opts = parts_opts(t);
    return twi_parts_make(t->ctx, t->dataset, &opts, &t->parts);
}

/* ---- features ------------------------------------------------------------------------------ */

static tw_status prepare_extractor(training *t)
{
    tw_status st = t->backbone ? TW_OK : tw_backbone_open(t->ctx, t->opts.backbone, &t->backbone);
    if (st != TW_OK) return st;
    t->opts.extract.classifier =
        0; /* a head is fitted on features, never on another head's answers */
    st = twi_extract_prepare(t->ctx, t->backbone, &t->opts.extract, t->dataset, t->parts.order,
                             t->parts.n_train, &t->extract);
    if (st != TW_OK) return st;
    return twi_extractor_new(t->ctx, t->backbone->network, &t->extract, &t->extractor);
}

static tw_status check_part(training *t, const char *part, const size_t *order, size_t n)
{
    const size_t classes = tw_dataset_class_count(t->dataset);
    size_t *count;
    tw_status st = twi_zalloc(t->ctx, classes, &count);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) count[tw_dataset_label(t->dataset, order[i])]++;
    for (size_t k = 0; k < classes && st == TW_OK; k++)
        if (count[k] == 0)
            st = twi_fail(t->ctx, TW_ERR_DATA, "class %s has no readable picture in the %s part",
                          tw_dataset_class_name(t->dataset, k), part);
    twi_free(count);
    return st;
}

static tw_status label_rows(training *t)
{
    tw_report *report = t->report;
    tw_status st = twi_alloc(t->ctx, t->harvest.rows, &t->y);
    if (st != TW_OK) return st;
    size_t at = 0;
    for (size_t r = 0; r < t->harvest.rows; r++) {
        const size_t sample = t->harvest.sample[r];
        while (t->parts.order[at] != sample)
            at++; /* rows come in the order asked for, some left out */
        const bool train = at < t->parts.n_train;
        t->train_rows += train;
        t->y[r] = tw_dataset_label(t->dataset, sample);
        st = twi_names_add(t->ctx, train ? &report->train_files : &report->test_files,
                           twi_dataset_relative_path(t->dataset, sample));
        if (st != TW_OK) return st;
    }
    if (t->harvest.rows == t->train_rows)
        return twi_fail(t->ctx, TW_ERR_DATA, "none of the %zu test pictures could be read",
                        t->parts.n_test);
    return check_part(t, "training", t->harvest.sample, t->train_rows);
}

static tw_status features(training *t)
{
    if (t->extra->harvest) {
        t->extract = t->extra->extract;
        return label_rows(t);
    }
    tw_status st = prepare_extractor(t);
    if (st != TW_OK) return st;
    st = twi_harvest_run(t->ctx, t->extractor, t->dataset, t->parts.order,
                         t->parts.n_train + t->parts.n_test, t->report, &t->harvest);
    if (st != TW_OK) return st;
    t->extract.precision = t->harvest.precision;
    twi_extractor_free(t->extractor); /* its buffers are not needed while fitting */
    t->extractor = NULL;
    return label_rows(t);
}

/* A test picture that was trained on, too, says nothing. */
static tw_status warn_of_leaks(training *t)
{
    tw_summary *s = &t->report->summary;
    const size_t n_test = t->harvest.rows - t->train_rows;
    const tw_status st = twi_leaks_count(t->ctx, &t->harvest, t->train_rows, &s->n_leaked);
    if (st == TW_OK && s->n_leaked > 0)
        twi_log(t->ctx, TW_LOG_WARNING,
                "%zu of the %zu test pictures have a copy among the training pictures: the "
                "accuracy is too good; 'topwork audit' lists them",
                s->n_leaked, n_test);
    return st;
}

/* 8 bits were asked for: are they worth it? */
static tw_status ask_eight(training *t)
{
    const twi_parts_opts parts = parts_opts(t);
    if (t->extract.precision != TW_PRECISION_INT8 || t->extra->harvest) return TW_OK;
    const twi_eight_question question = {.backbone = t->backbone,
                                         .extract = &t->extract,
                                         .dataset = t->dataset,
                                         .parts = &parts,
                                         .harvest = &t->harvest,
                                         .y = t->y,
                                         .n = t->train_rows,
                                         .k = tw_dataset_class_count(t->dataset),
                                         .head = &t->head};
    const tw_status st = twi_eight_ask(t->ctx, &question, &t->eight);
    tw_summary *s = &t->report->summary;
    s->n_int8 = t->eight.photos;
    s->accuracy_int8 = t->eight.eight;
    s->accuracy_float = t->eight.floats;
    return st;
}

/* ---- head ---------------------------------------------------------------------------------- */

static twi_samples rows_of(const training *t, size_t n)
{
    return (twi_samples){.x = t->harvest.x,
                         .y = t->y,
                         .n = n,
                         .d = t->harvest.d,
                         .k = tw_dataset_class_count(t->dataset)};
}

/* Folds of the first n rows; none, with a warning about what is not done, when a class is too small
 * for them. fold_of is fresh memory. */
static tw_status make_folds(training *t, const twi_samples *samples, const char *without,
                            uint32_t **fold_of, twi_folding *out)
{
    const twi_parts_opts opts = parts_opts(t);
    size_t folds = FOLDS;
    const tw_status st = twi_parts_folds(t->ctx, t->dataset, &opts, t->harvest.sample, samples->n,
                                         samples->y, samples->k, &folds, 1, fold_of);
    *out = (twi_folding){*fold_of, folds};
    if (st == TW_OK && folds == 0)
        twi_log(t->ctx, TW_LOG_WARNING, "a class has a single training picture: %s", without);
    return st;
}

static tw_status choose(training *t)
{
    const twi_samples samples = rows_of(t, t->train_rows);
    uint32_t *fold_of = NULL;
    twi_folding folding;
    tw_status st =
        make_folds(t, &samples, "C cannot be cross-validated and is 1", &fold_of, &folding);
    t->chosen = folding.folds > 0;
    if (st == TW_OK) st = twi_search_strength(t->ctx, &samples, &folding, &t->head);
    twi_free(fold_of);
    return st;
}

static const char *class_name(const void *user, size_t k)
{
    return tw_dataset_class_name(user, k);
}

static tw_status fit(training *t, size_t n)
{
    const twi_samples samples = rows_of(t, n);
    tw_head_opts opts = t->head;
    twi_classifier classifier = {0};
    uint32_t *fold_of = NULL;
    twi_folding folding = {0};
    tw_status st = TW_OK;
    if (strcmp(opts.calibrate, "none") != 0) {
        st = make_folds(t, &samples, "its probabilities cannot be calibrated", &fold_of, &folding);
        if (folding.folds == 0) opts.calibrate = "none";
    }
    if (st == TW_OK) st = twi_classifier_fit(t->ctx, &samples, &opts, &folding, &classifier);
    twi_free(fold_of);
    if (st != TW_OK) return st;
    twi_classifier_free(&t->model->classifier);
    t->model->classifier = classifier;
    if (t->opts.reject == 0.0) return TW_OK;
    twi_reject_free(&t->model->reject);
    return twi_model_fit_reject(t->ctx, &samples, t->opts.reject, class_name, t->dataset,
                                &t->model->reject);
}

static tw_status fit_and_measure(training *t)
{
    const twi_harvest *h = &t->harvest;
    const bool open = t->head.C == TW_AUTO || t->head.alpha == TW_AUTO;
    tw_status st = TW_OK;
    if (t->extra->classifier) {
        t->model->classifier = *t->extra->classifier;
        *t->extra->classifier = (twi_classifier){0}; /* handed over */
    } else {
        st = open ? choose(t) : TW_OK;
        if (st == TW_OK) st = fit(t, t->train_rows);
    }
    if (st == TW_OK)
        st = twi_model_measure(t->ctx, t->model, h->x + t->train_rows * h->d, t->y + t->train_rows,
                               h->rows - t->train_rows, t->report);
    if (st != TW_OK) return st;
    tw_summary *s = &t->report->summary;
    s->n_train = t->train_rows;
    s->n_skipped = t->report->skipped_paths.n;
    s->C = t->head.C > 0.0 ? t->head.C : t->head.alpha;
    s->C_chosen = t->chosen;
    s->precision = t->extract.precision;
    s->isa = twi_engine_isa();
    s->feature_count = h->d;
    s->views = twi_recipe_view_count(&t->extract.recipe);
    s->layers = t->extract.n_layers ? t->extract.n_layers : 1;
    return t->opts.refit_all ? fit(t, h->rows) : TW_OK;
}

/* ---- the model's document and tensors ------------------------------------------------------ */

static twi_json *backbone_json(const tw_backbone *backbone)
{
    static const char *const file_keys[] = {"digest", "version", "required_features", "kind"};
    twi_json *json = twi_json_object();
    bool ok = twi_json_set(json, "digest", twi_json_text(backbone->digest));
    for (size_t i = 0; twi_json_key(backbone->document, i); i++) {
        const char *key = twi_json_key(backbone->document, i);
        bool of_file = false;
        for (size_t j = 0; j < TWI_LEN(file_keys); j++) of_file |= strcmp(key, file_keys[j]) == 0;
        if (!of_file)
            ok &= twi_json_set(json, key, twi_json_copy(twi_json_get(backbone->document, key)));
    }
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

static twi_json *split_json(const training *t)
{
    twi_json *json = twi_json_object();
    bool ok = twi_json_set(json, "source", twi_json_text(t->parts.given ? "given" : "random"));
    if (!t->parts.given) {
        ok &= twi_json_set(json, "test_size", twi_json_number(t->opts.test_size));
        ok &= twi_json_set(json, "stratified", twi_json_boolean(t->stratify && !t->parts.grouped));
        if (t->parts.grouped) ok &= twi_json_set(json, "grouped", twi_json_boolean(true));
    }
    ok &= twi_json_set(json, "seed", twi_json_integer(t->opts.seed));
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

static twi_json *training_json(const training *t)
{
    const bool reference = t->opts.extract.reference_recipe != 0;
    twi_json *json = twi_json_object();
    bool ok = twi_json_set(json, "recipe", twi_json_text(reference ? "reference" : "default"));
    ok &= twi_json_set(json, "options", twi_head_opts_to_json(&t->head));
    ok &= twi_json_set(json, "C_chosen", twi_json_boolean(t->chosen));
    ok &= twi_json_set(json, "refit_all", twi_json_boolean(t->opts.refit_all != 0));
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

static twi_json *int8_json(const twi_eight_answer *answer)
{
    twi_json *json = twi_json_object();
    bool ok = twi_json_set(json, "photos", twi_json_integer((int64_t)answer->photos));
    ok &= twi_json_set(json, "accuracy", twi_json_number(answer->eight));
    ok &= twi_json_set(json, "accuracy_float", twi_json_number(answer->floats));
    ok &= twi_json_set(json, "float", twi_json_text(twi_precision_name(answer->precision)));
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

/* What a reader must know of to compute the same features. */
static bool set_views_and_layers(const training *t, twi_json *json)
{
    const twi_extractor_opts *x = &t->extract;
    const bool views = x->recipe.views != TWI_VIEWS_ONE || x->recipe.patches.height > 0;
    bool ok = true;
    if (views || x->n_layers > 0) {
        twi_json *needed = twi_json_array();
        if (views) ok &= twi_json_append(needed, twi_json_text("views"));
        if (x->n_layers > 0) ok &= twi_json_append(needed, twi_json_text("layers"));
        ok &= twi_json_set(json, "required_features", needed);
    }
    if (x->n_layers > 0) {
        twi_json *names = twi_json_array();
        for (size_t i = 0; i < x->n_layers; i++)
            ok &= twi_json_append(names,
                                  twi_json_text(t->backbone->network->nodes[x->layers[i]].name));
        ok &= twi_json_set(json, "layers", names);
    }
    return ok;
}

/* head_json and reject_json (NULL: none) are taken over, also on failure. */
static tw_status write_document(training *t, twi_json *head_json, twi_json *reject_json)
{
    char hex[65], digest[80] = "sha256:";
    twi_harvest_digest(&t->harvest, t->dataset, hex);
    memcpy(digest + 7, hex, sizeof hex);
    twi_json *json = t->model->document = twi_json_object();
    bool ok = twi_json_set(json, "topwork", twi_json_text(tw_version()));
    ok &= twi_json_set(json, "backbone", backbone_json(t->backbone));
    ok &= twi_json_set(json, "recipe", twi_recipe_to_json(&t->extract.recipe));
    ok &= twi_json_set(json, "pooling", twi_json_text(twi_pooling_name(t->extract.output)));
    ok &= set_views_and_layers(t, json);
    ok &= twi_json_set(json, "precision", twi_json_text(twi_precision_name(t->extract.precision)));
    ok &= twi_json_set(json, "isa", twi_json_text(twi_engine_isa()));
    ok &= twi_json_set(json, "head", head_json);
    if (reject_json) ok &= twi_json_set(json, "reject", reject_json);
    ok &= twi_json_set(json, "training", training_json(t));
    ok &= twi_json_set(json, "split", split_json(t));
    if (t->eight.photos > 0) ok &= twi_json_set(json, "int8", int8_json(&t->eight));
    if (t->extra->selection)
        ok &= twi_json_set(json, "selection", twi_json_copy(t->extra->selection));
    if (t->extra->finetuning)
        ok &= twi_json_set(json, "finetuning", twi_json_copy(t->extra->finetuning));
    ok &= twi_json_set(json, "data_digest", twi_json_text(digest));
    ok &= twi_json_set(json, "metrics", twi_report_to_json(t->report));
    return ok ? TW_OK : twi_fail(t->ctx, TW_ERR_NOMEM, "no memory for the model's document");
}

static tw_status embed_backbone(training *t)
{
    const twi_tensors *lists[] = {&t->backbone->network->weights, &t->backbone->extras};
    for (size_t l = 0; l < TWI_LEN(lists); l++) {
        for (size_t i = 0; i < lists[l]->n; i++) {
            const twi_tensor *tensor = &lists[l]->items[i];
            char *name;
            tw_status st =
                twi_asprintf(t->ctx, &name, TWI_MODEL_BACKBONE_PREFIX "%s", tensor->name);
            if (st != TW_OK) return st;
            st = twi_tensors_add(t->ctx, &t->model->tensors, name, tensor->dtype, tensor->rank,
                                 tensor->dims, tensor->data, NULL);
            twi_free(name);
            if (st != TW_OK) return st;
        }
    }
    return TW_OK;
}

/* The SHA-256 and the class of every photo, training part first: what an update finds them by. */
static tw_status save_photos(training *t)
{
    const twi_harvest *h = &t->harvest;
    const size_t shape[2] = {h->rows, TWI_DIGEST_BYTES};
    void *digests, *labels;
    tw_status st = twi_tensors_add(t->ctx, &t->model->tensors, "photo_digests", TWI_U8, 2, shape,
                                   NULL, &digests);
    if (st == TW_OK)
        st = twi_tensors_add(t->ctx, &t->model->tensors, "photo_labels", TWI_I32, 1, &h->rows, NULL,
                             &labels);
    if (st != TW_OK) return st;
    memcpy(digests, h->digest, h->rows * TWI_DIGEST_BYTES);
    for (size_t i = 0; i < h->rows; i++) ((int32_t *)labels)[i] = (int32_t)t->y[i];
    return TW_OK;
}

static tw_status build_model(training *t)
{
    tw_model *model = t->model;
    twi_json *head_json = NULL, *reject_json = NULL;
    model->extract = t->extract;
    tw_status st = embed_backbone(t);
    if (st != TW_OK) return st;
    for (size_t k = 0; k < tw_dataset_class_count(t->dataset); k++) {
        st = twi_names_add(t->ctx, &model->classes, tw_dataset_class_name(t->dataset, k));
        if (st != TW_OK) return st;
    }
    st = twi_names_save(t->ctx, &model->classes, "classes", &model->tensors);
    if (st != TW_OK) return st;
    st = twi_names_save(t->ctx, &t->report->train_files, "train_files", &model->tensors);
    if (st != TW_OK) return st;
    st = twi_names_save(t->ctx, &t->report->test_files, "test_files", &model->tensors);
    if (st == TW_OK) st = save_photos(t);
    if (st != TW_OK) return st;
    st = twi_classifier_save(t->ctx, &model->classifier, &model->tensors, &head_json);
    if (st != TW_OK) return st;
    if (model->reject.n > 0)
        st = twi_reject_save(t->ctx, &model->reject, &model->tensors, &reject_json);
    if (st != TW_OK) {
        twi_json_free(head_json);
        return st;
    }
    if ((st = write_document(t, head_json, reject_json)) != TW_OK) return st;
    model->backbone = t->backbone, t->backbone = NULL; /* handed over */
    return TW_OK;
}

/* ---- the line ------------------------------------------------------------------------------ */

static void training_free(training *t)
{
    twi_extractor_free(t->extractor);
    twi_harvest_free(&t->harvest);
    twi_parts_free(&t->parts);
    twi_free(t->y);
    tw_report_free(t->report);
    tw_model_free(t->model);
    tw_backbone_free(t->backbone);
}

tw_status tw_model_train(tw_ctx *ctx, const tw_dataset *dataset, const tw_train_opts *opts,
                         tw_model **out, tw_report **report)
{
    return twi_model_train(ctx, dataset, opts, &(twi_train_extra){0}, out, report);
}

tw_status twi_model_train(tw_ctx *ctx, const tw_dataset *dataset, const tw_train_opts *opts,
                          const twi_train_extra *extra, tw_model **out, tw_report **report)
{
    training t = {.ctx = ctx, .dataset = dataset, .extra = extra, .backbone = extra->backbone};
    const double start = twi_seconds();
    if (extra->harvest) t.harvest = *extra->harvest, *extra->harvest = (twi_harvest){0};
    tw_status st = read_options(&t, opts);
    if (st != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, 1, &t.model)) != TW_OK) goto done;
    st = twi_report_new(ctx, tw_dataset_class_count(dataset), class_name, dataset, &t.report);
    if (st != TW_OK) goto done;
    if ((st = split(&t)) != TW_OK) goto done;
    if ((st = features(&t)) != TW_OK) goto done;
    if ((st = warn_of_leaks(&t)) != TW_OK) goto done;
    if ((st = ask_eight(&t)) != TW_OK) goto done;
    const double fit_start = twi_seconds();
    if ((st = fit_and_measure(&t)) != TW_OK) goto done;
    tw_summary *s = &t.report->summary;
    s->seconds_fit = extra->seconds_fit + twi_seconds() - fit_start;
    if ((st = build_model(&t)) != TW_OK) goto done;
    s->n_cached = t.harvest.stats.cached;
    s->seconds_decode = t.harvest.stats.seconds_decode;
    s->seconds_network = t.harvest.stats.seconds_network;
    s->seconds_features = t.harvest.stats.seconds_wall;
    s->photos_per_second = (double)t.harvest.rows / s->seconds_features;
    s->seconds_total = extra->seconds + twi_seconds() - start;
    *out = t.model, t.model = NULL; /* handed over */
    if (report) *report = t.report, t.report = NULL;
done:
    training_free(&t);
    return st;
}
