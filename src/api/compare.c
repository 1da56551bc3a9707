/* compare.c - trying settings by cross-validation and taking the best. */
#include "api/calibrate.h"
#include "api/compare.h"

#include "api/options.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

/* Raise when the same setting would be judged otherwise from the same features. */
#define SEARCH "search 1"

typedef struct comparing {
    tw_ctx *ctx;
    const tw_dataset *dataset;
    tw_compare_opts opts;
    twi_parts_opts parts_opts;
    twi_parts parts;
    tw_report *report; /* collects what could not be read */
    uint32_t *y;       /* [n] of the rows of any view */
    size_t n, k, folds;
    uint32_t *fold_of; /* [repeats, n] */
    twi_key *keys;     /* [n_candidates] under which accuracies are remembered; NULL: no cache */
    double start;
    tw_comparison *c;
} comparing;

void tw_compare_opts_init(tw_compare_opts *opts)
{
    *opts = (tw_compare_opts){
        .size_bytes = sizeof *opts, .test_size = 0.2, .seed = 42, .stratify = TW_DEFAULT};
    tw_extract_opts_init(&opts->extract);
}

static tw_status read_options(comparing *s, const tw_compare_opts *given)
{
    tw_compare_opts *o = &s->opts;
    tw_compare_opts_init(o);
    const tw_status st =
        twi_options_read(s->ctx, o, sizeof *o, given, given ? given->size_bytes : 0);
    if (st != TW_OK) return st;
    if (!(o->budget >= 0.0) || o->budget > 1e9)
        return twi_fail(s->ctx, TW_ERR_ARG, "the budget must be a number of seconds from 0 to 1e9");
    if (o->folds == 0) o->folds = 5;
    if (o->repeats == 0 || o->groups) o->repeats = 1;
    if (o->folds < 2 || o->folds > 1000 || o->repeats > 1000)
        return twi_fail(s->ctx, TW_ERR_ARG,
                        "%zu folds and %zu repeats; allowed are 2 to 1000 and 1 to 1000", o->folds,
                        o->repeats);
    s->parts_opts = (twi_parts_opts){.test_size = o->test_size,
                                     .seed = o->seed,
                                     .stratify = o->stratify != TW_NO,
                                     .groups = o->groups != 0};
    return TW_OK;
}

/* ---- sets of features ---------------------------------------------------------------------- */

/* "flip", "10", or of patches what --patches takes. */
static tw_status views_text(tw_ctx *ctx, const twi_recipe *recipe, char **out)
{
    const twi_patches *p = &recipe->patches;
    const unsigned long seed = p->seed;
    twi_text share = {0};
    if (p->height == 0) return twi_strdup(ctx, twi_views_name(recipe->views), out);
    if (p->most == 0.0) return twi_asprintf(ctx, out, "%zux%zu", p->height, p->width);
    twi_text_double(&share, p->most);
    const tw_status st = share.failed ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a name")
                                      : twi_asprintf(ctx, out, "%zux%zu:%s:%lu", p->height,
                                                     p->width, share.text, seed);
    twi_text_free(&share);
    return st;
}

static tw_status describe_view(tw_ctx *ctx, const tw_backbone *backbone,
                               const twi_extractor_opts *extract, twi_compare_view *view)
{
    const twi_tensors *weights = &backbone->network->weights;
    twi_json *recipe = twi_recipe_to_json(&extract->recipe);
    tw_status st = twi_strdup(ctx, backbone->name, &view->name);
    if (st == TW_OK)
        st = twi_strdup(ctx, twi_json_as_text(twi_json_get(recipe, "geometry"), ""),
                        &view->geometry);
    if (st == TW_OK)
        st = twi_strdup(ctx, twi_json_as_text(twi_json_get(recipe, "resize"), ""), &view->resize);
    if (st == TW_OK) st = views_text(ctx, &extract->recipe, &view->views);
    view->pooling = twi_pooling_name(extract->output);
    for (size_t i = 0; i < weights->n; i++)
        view->weight_bytes += weights->items[i].count * twi_dtype_size(weights->items[i].dtype);
    twi_json_free(recipe);
    return st;
}

/* The training part through one network: the test part is not looked at. */
static tw_status harvest_view(comparing *s, twi_compare_view *view)
{
    tw_backbone *backbone = NULL;
    twi_extractor *extractor = NULL;
    twi_extractor_opts extract;
    tw_report *report = NULL;
    twi_digest digest;
    const bool first = s->c->n_views == 0;
    tw_status st = tw_backbone_open(s->ctx, view->backbone, &backbone);
    if (st == TW_OK)
        st = twi_extract_prepare(s->ctx, backbone, &view->extract, s->dataset, s->parts.order,
                                 s->parts.n_train, &extract);
    if (st == TW_OK) st = describe_view(s->ctx, backbone, &extract, view);
    if (st == TW_OK) st = twi_extractor_new(s->ctx, backbone->network, &extract, &extractor);
    if (st == TW_OK) st = twi_zalloc(s->ctx, 1, &report); /* skipped photos are told once */
    if (st != TW_OK) goto done;
    st = twi_harvest_run(s->ctx, extractor, s->dataset, s->parts.order, s->parts.n_train,
                         first ? s->report : report, &view->harvest);
    if (st != TW_OK) goto done;
    view->precision = view->harvest.precision;
    if (!first && view->harvest.rows != s->c->views[0].harvest.rows) {
        st = twi_fail(s->ctx, TW_ERR_DATA,
                      "%zu photos could be read for %s and %zu for %s: they changed meanwhile",
                      view->harvest.rows, view->name, s->c->views[0].harvest.rows,
                      s->c->views[0].name);
        goto done;
    }
    twi_digest_start(&digest);
    twi_digest_add(&digest, view->harvest.x,
                   view->harvest.rows * view->harvest.d * sizeof *view->harvest.x);
    twi_digest_bytes(&digest, view->digest);
done:
    tw_report_free(report);
    twi_extractor_free(extractor);
    tw_backbone_free(backbone);
    return st;
}

static bool out_of_time(const comparing *s)
{
    return s->opts.budget > 0.0 && twi_seconds() - s->start >= s->opts.budget;
}

/* Every combination of the lists; an empty list is what extract says. */
static tw_status harvest_all(comparing *s)
{
    const tw_compare_opts *o = &s->opts;
    static const char *const default_backbone = "sapling";
    const char *const *backbones = o->n_backbones ? o->backbones : &default_backbone;
    const size_t n_b = o->n_backbones ? o->n_backbones : 1;
    const size_t n_g = o->n_geometries ? o->n_geometries : 1;
    const size_t n_r = o->n_resizes ? o->n_resizes : 1, n_p = o->n_poolings ? o->n_poolings : 1;
    const size_t n_v = o->n_views ? o->n_views : 1;
    size_t total, rest;
    if (twi_mul(n_b, n_g, &total) || twi_mul(n_r, n_p, &rest) || twi_mul(rest, n_v, &rest) ||
        twi_mul(total, rest, &total) || total > 10000)
        return twi_fail(s->ctx, TW_ERR_ARG, "more than 10000 sets of features to compare");
    tw_status st = twi_zalloc(s->ctx, total, &s->c->views);
    for (size_t i = 0; i < total && st == TW_OK; i++) {
        twi_compare_view *view = &s->c->views[i];
        if (i > 0 && out_of_time(s)) {
            s->c->stopped = true;
            twi_log(s->ctx, TW_LOG_WARNING,
                    "the time ran out: %zu of %zu sets of features were "
                    "not made",
                    total - i, total);
            break;
        }
        view->extract = o->extract;
        view->extract.classifier = 0;
        view->backbone = backbones[i / (n_g * rest)];
        if (o->n_geometries) view->extract.geometry = o->geometries[i / rest % n_g];
        if (o->n_resizes) view->extract.resize = o->resizes[i / n_p / n_v % n_r];
        if (o->n_poolings) view->extract.pooling = o->poolings[i / n_v % n_p];
        if (o->n_views) view->extract.views = o->views[i % n_v];
        st = harvest_view(s, view);
        s->c->n_views = i + 1; /* also a failed one is freed */
    }
    return st;
}

/* ---- settings ------------------------------------------------------------------------------ */

static size_t values_of(const tw_head_opts *opts)
{
    const twi_head_type *type;
    size_t n = 0;
    if (opts->C != TW_AUTO && opts->alpha != TW_AUTO) return 1;
    if (twi_head_find(NULL, opts->kind, &type) != TW_OK) return 1;
    while (n < TWI_LEN(type->grid) && type->grid[n] > 0.0) n++;
    return n;
}

static void add_settings(tw_comparison *c, size_t view, const tw_head_opts *opts)
{
    const twi_head_type *type;
    const size_t n = values_of(opts);
    if (twi_head_find(NULL, opts->kind, &type) != TW_OK) return;
    for (size_t v = 0; v < n; v++) {
        twi_candidate candidate = {view, *opts};
        if (opts->C == TW_AUTO) candidate.opts.C = type->grid[v];
        if (opts->alpha == TW_AUTO) candidate.opts.alpha = type->grid[v];
        c->candidates[c->n_candidates++] = candidate;
    }
}

/* The heads that are worth a try without being asked for. */
static tw_status default_heads(tw_ctx *ctx, tw_head_opts *out, size_t *n)
{
    static const struct {
        const char *kind;
        double C;
        size_t neighbors;
    } defaults[] = {{"logistic-regression", TW_AUTO, 0},
                    {"linear-svm", TW_AUTO, 0},
                    {"svm-rbf", TW_AUTO, 0},
                    {"knn", 0, 1},
                    {"knn", 0, 5},
                    {"knn", 0, 15}};
    tw_status st = TW_OK;
    for (*n = 0; *n < TWI_LEN(defaults) && st == TW_OK; ++*n) {
        tw_head_opts opts;
        tw_head_opts_init(&opts);
        opts.kind = defaults[*n].kind;
        opts.C = defaults[*n].C;
        opts.neighbors = defaults[*n].neighbors;
        st = twi_head_resolve(ctx, &opts, &out[*n]);
    }
    return st;
}

static tw_status list_settings(comparing *s)
{
    const size_t given = s->opts.n_heads, most = given > 8 ? given : 8;
    tw_head_opts *heads;
    size_t n = given, each = 0, cells;
    tw_status st = twi_alloc(s->ctx, most, &heads);
    if (st != TW_OK) return st;
    if (given == 0) st = default_heads(s->ctx, heads, &n);
    for (size_t h = 0; h < given && st == TW_OK; h++)
        st = twi_head_resolve(s->ctx, &s->opts.heads[h], &heads[h]);
    for (size_t h = 0; h < n && st == TW_OK; h++) each += values_of(&heads[h]);
    if (st == TW_OK && (twi_mul(each, s->c->n_views, &cells) || cells > 1000000))
        st = twi_fail(s->ctx, TW_ERR_ARG, "more than a million settings to compare");
    if (st == TW_OK) st = twi_alloc(s->ctx, each * s->c->n_views, &s->c->candidates);
    for (size_t v = 0; v < s->c->n_views && st == TW_OK; v++)
        for (size_t h = 0; h < n; h++) add_settings(s->c, v, &heads[h]);
    twi_free(heads);
    return st;
}

/* ---- what was found before ----------------------------------------------------------------- */

/* An accuracy depends on the matrix, the labels, the folds and the setting: their digest is its
 * name. */
static tw_status name_settings(comparing *s)
{
    if (!twi_ctx_cache(s->ctx)) return TW_OK;
    tw_status st = twi_alloc(s->ctx, s->c->n_candidates, &s->keys);
    for (size_t i = 0; i < s->c->n_candidates && st == TW_OK; i++) {
        const twi_candidate *candidate = &s->c->candidates[i];
        twi_json *json = twi_head_opts_to_json(&candidate->opts);
        twi_digest digest;
        char *text = NULL;
        size_t size = 0;
        st = json ? twi_json_print(s->ctx, json, &text, &size)
                  : twi_fail(s->ctx, TW_ERR_NOMEM, "no memory for a setting");
        twi_json_free(json);
        if (st != TW_OK) break;
        twi_digest_start(&digest);
        twi_digest_add(&digest, SEARCH, sizeof SEARCH);
        twi_digest_add(&digest, tw_version(), strlen(tw_version()) + 1);
        twi_digest_add(&digest, s->c->views[candidate->view].digest, TWI_DIGEST_BYTES);
        twi_digest_add(&digest, s->y, s->n * sizeof *s->y);
        twi_digest_add(&digest, s->fold_of, s->opts.repeats * s->n * sizeof *s->fold_of);
        twi_digest_add(&digest, text, size);
        twi_digest_bytes(&digest, s->keys[i].bytes);
        twi_free(text);
    }
    return st;
}

static void remember(void *user, size_t candidate, size_t fold, double accuracy, double seconds)
{
    const comparing *s = user;
    tw_cache *cache = twi_ctx_cache(s->ctx);
    if (!s->keys) return;
    const twi_key right = twi_compare_key(&s->keys[candidate], fold, "accuracy");
    const twi_key time = twi_compare_key(&s->keys[candidate], fold, "seconds");
    twi_cache_put_number(cache, &right, accuracy);
    twi_cache_put_number(cache, &time, seconds);
    twi_cache_flush(s->ctx, cache, false);
}

static void recall(comparing *s)
{
    tw_comparison *c = s->c;
    for (size_t i = 0; i < c->n_candidates; i++)
        for (size_t fold = 0; fold < c->columns; fold++) {
            double *accuracy = &c->accuracy[i * c->columns + fold], seconds = 0.0;
            *accuracy = (double)NAN;
            if (!s->keys) continue;
            const twi_key right = twi_compare_key(&s->keys[i], fold, "accuracy");
            const twi_key time = twi_compare_key(&s->keys[i], fold, "seconds");
            if (!twi_cache_get_number(twi_ctx_cache(s->ctx), &right, accuracy)) continue;
            (void)twi_cache_get_number(twi_ctx_cache(s->ctx), &time, &seconds);
            c->seconds[i] += seconds;
        }
}

/* ---- searching ----------------------------------------------------------------------------- */

static tw_status label_rows(comparing *s)
{
    const twi_harvest *h = &s->c->views[0].harvest;
    s->n = h->rows;
    s->k = tw_dataset_class_count(s->dataset);
    const tw_status st = twi_alloc(s->ctx, s->n, &s->y);
    if (st != TW_OK) return st;
    for (size_t r = 0; r < s->n; r++) s->y[r] = tw_dataset_label(s->dataset, h->sample[r]);
    for (size_t c = 0; c < s->k; c++) {
        size_t count = 0;
        for (size_t r = 0; r < s->n; r++) count += s->y[r] == c;
        if (count == 0)
            return twi_fail(s->ctx, TW_ERR_DATA,
                            "class %s has no readable picture in the training part",
                            tw_dataset_class_name(s->dataset, c));
    }
    return TW_OK;
}

static tw_status make_folds(comparing *s)
{
    s->folds = s->opts.folds;
    const tw_status st =
        twi_parts_folds(s->ctx, s->dataset, &s->parts_opts, s->c->views[0].harvest.sample, s->n,
                        s->y, s->k, &s->folds, s->opts.repeats, &s->fold_of);
    if (st == TW_OK && s->folds == 0)
        return twi_fail(s->ctx, TW_ERR_DATA,
                        "a class (or all, by groups) has too few training pictures to "
                        "cross-validate; each needs 2 at least");
    if (st == TW_OK && s->folds < s->opts.folds)
        twi_log(s->ctx, TW_LOG_WARNING,
                "%zu folds instead of %zu: there are no more pictures in "
                "the rarest class, or no more groups",
                s->folds, s->opts.folds);
    s->c->columns = s->folds * s->opts.repeats;
    s->c->test_to_train = 1.0 / ((double)s->folds - 1.0);
    return st;
}

static tw_status search(comparing *s)
{
    tw_comparison *c = s->c;
    twi_view *views = NULL;
    size_t cells;
    bool stopped = false;
    if (twi_mul(c->n_candidates, c->columns, &cells))
        return twi_fail(s->ctx, TW_ERR_NOMEM, "%zu settings are too many", c->n_candidates);
    tw_status st = twi_alloc(s->ctx, c->n_views, &views);
    if (st == TW_OK) st = twi_alloc(s->ctx, cells, &c->accuracy);
    if (st == TW_OK) st = twi_zalloc(s->ctx, c->n_candidates, &c->seconds);
    if (st == TW_OK) st = name_settings(s);
    if (st != TW_OK) goto done;
    recall(s);
    for (size_t v = 0; v < c->n_views; v++)
        views[v] = (twi_view){c->views[v].harvest.x, c->views[v].harvest.d};
    const twi_search_problem problem = {.views = views,
                                        .n_views = c->n_views,
                                        .y = s->y,
                                        .n = s->n,
                                        .k = s->k,
                                        .candidates = c->candidates,
                                        .n_candidates = c->n_candidates,
                                        .fold_of = s->fold_of,
                                        .folds = s->folds,
                                        .repeats = s->opts.repeats,
                                        .until =
                                            s->opts.budget > 0.0 ? s->start + s->opts.budget : 0.0,
                                        .learned = remember,
                                        .user = s};
    st = twi_search_run(s->ctx, &problem, c->accuracy, c->seconds, &stopped);
    if (s->keys) twi_cache_flush(s->ctx, twi_ctx_cache(s->ctx), true);
    c->stopped = c->stopped || stopped;
done:
    twi_free(views);
    return st;
}

/* ---- the winner ---------------------------------------------------------------------------- */

static tw_status train_best(comparing *s, tw_model **model, tw_report **report)
{
    const tw_compare_opts *o = &s->opts;
    const twi_candidate *best = &s->c->candidates[s->c->order[0]];
    tw_train_opts train;
    tw_train_opts_init(&train);
    train.extract = s->c->views[best->view].extract;
    train.extract.precision = s->c->views[best->view].precision;
    train.backbone = s->c->views[best->view].backbone;
    train.test_size = o->test_size;
    train.seed = o->seed;
    train.stratify = o->stratify;
    train.groups = o->groups;
    train.head = best->opts;
    train.refit_all = o->refit_all;
    train.reject = o->reject;
    twi_json *selection = twi_comparison_to_json(s->c, s->folds, o->repeats);
    if (!selection) return twi_fail(s->ctx, TW_ERR_NOMEM, "no memory for the comparison");
    const tw_status st = twi_model_train(s->ctx, s->dataset, &train,
                                         &(twi_train_extra){.selection = selection}, model, report);
    twi_json_free(selection);
    return st;
}

static const char *class_name(const void *user, size_t k)
{
    return tw_dataset_class_name(user, k);
}

tw_status tw_compare(tw_ctx *ctx, const tw_dataset *dataset, const tw_compare_opts *opts,
                     tw_comparison **out, tw_model **model, tw_report **report)
{
    comparing s = {.ctx = ctx, .dataset = dataset, .start = twi_seconds()};
    tw_model *best = NULL;
    tw_status st = read_options(&s, opts);
    if (st != TW_OK) return st;
    if ((st = twi_zalloc(ctx, 1, &s.c)) != TW_OK) goto done;
    st = twi_report_new(ctx, tw_dataset_class_count(dataset), class_name, dataset, &s.report);
    if (st != TW_OK) goto done;
    if ((st = twi_parts_make(ctx, dataset, &s.parts_opts, &s.parts)) != TW_OK) goto done;
    if ((st = harvest_all(&s)) != TW_OK) goto done;
    if ((st = label_rows(&s)) != TW_OK) goto done;
    if ((st = make_folds(&s)) != TW_OK) goto done;
    if ((st = list_settings(&s)) != TW_OK) goto done;
    if ((st = search(&s)) != TW_OK) goto done;
    if ((st = twi_comparison_rank(ctx, s.c)) != TW_OK) goto done;
    const twi_samples samples = {.y = s.y, .n = s.n, .k = s.k};
    const twi_folding folding = {s.fold_of, s.folds};
    if ((st = twi_comparison_measure(ctx, s.c, &samples, &folding, s.keys)) != TW_OK) goto done;
    if (model || report) st = train_best(&s, &best, report);
    if (st != TW_OK) goto done;
    if (model) *model = best, best = NULL;
    *out = s.c, s.c = NULL; /* handed over */
done:
    tw_model_free(best);
    tw_comparison_free(s.c);
    tw_report_free(s.report);
    twi_parts_free(&s.parts);
    twi_free(s.y);
    twi_free(s.fold_of);
    twi_free(s.keys);
    return st;
}
