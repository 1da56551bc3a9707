/* comparison.c - the table that a comparison ends in. */
#include "api/compare.h"

#include "learn/paired.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TIED_P    0.05
#define JSON_ROWS 40 /* a model's document stays small */

/* ---- ranking ------------------------------------------------------------------------------- */

typedef struct ranked {
    size_t candidate, known;
    double mean;
} ranked;

/* Tried in more folds first, then the higher mean, then in the order they were given. */
static int by_merit(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->known != y->known) return x->known > y->known ? -1 : 1;
    if (x->mean != y->mean) return x->mean > y->mean ? -1 : 1;
    return x->candidate < y->candidate ? -1 : x->candidate > y->candidate;
}

/* The accuracies that both have, side by side; returns how many. */
static size_t shared(const double *a, const double *b, size_t columns, double *x, double *y)
{
    size_t n = 0;
    for (size_t i = 0; i < columns; i++) {
        if (isnan(a[i]) || isnan(b[i])) continue;
        x[n] = a[i];
        y[n++] = b[i];
    }
    return n;
}

static void fill_row(const tw_comparison *c, const ranked *r, size_t best, double *scratch,
                     tw_compare_row *row)
{
    const twi_candidate *candidate = &c->candidates[r->candidate];
    const twi_compare_view *view = &c->views[candidate->view];
    const double *own = c->accuracy + r->candidate * c->columns;
    double *x = scratch, *y = scratch + c->columns;
    const size_t n = shared(own, c->accuracy + best * c->columns, c->columns, x, y);
    *row = (tw_compare_row){.backbone = view->name,
                            .geometry = view->geometry,
                            .resize = view->resize,
                            .pooling = view->pooling,
                            .views = view->views,
                            .head = candidate->opts,
                            .feature_count = view->harvest.d,
                            .folds = r->known,
                            .mean = r->mean,
                            .photos_per_second = view->harvest.stats.rate};
    row->p_value = r->candidate == best ? 1.0 : twi_paired_p(x, y, n, c->test_to_train);
    row->tied = row->p_value >= TIED_P;
    const size_t known = shared(own, own, c->columns, x, y);
    const double error = twi_paired_error(x, known, c->test_to_train);
    const double reach =
        known > 1 ? twi_student_quantile(0.975, (double)known - 1.0) * error : (double)NAN;
    row->interval[0] = fmax(0.0, row->mean - reach);
    row->interval[1] = fmin(1.0, row->mean + reach);
    if (known < 2) row->interval[0] = row->interval[1] = (double)NAN;
}

static void mark_best(tw_comparison *c)
{
    for (size_t i = 0; i < c->n_rows; i++) {
        const twi_candidate *own = &c->candidates[c->order[i]];
        bool first = true;
        for (size_t j = 0; j < i && first; j++) {
            const twi_candidate *other = &c->candidates[c->order[j]];
            first = other->view != own->view || strcmp(other->opts.kind, own->opts.kind) != 0;
        }
        c->rows[i].best_of_kind = first;
    }
}

tw_status twi_comparison_rank(tw_ctx *ctx, tw_comparison *c)
{
    ranked *all = NULL;
    double *scratch = NULL;
    tw_status st = twi_alloc(ctx, c->n_candidates, &all);
    if (st == TW_OK) st = twi_alloc(ctx, 2 * c->columns, &scratch);
    if (st == TW_OK) st = twi_alloc(ctx, c->n_candidates, &c->rows);
    if (st == TW_OK) st = twi_alloc(ctx, c->n_candidates, &c->order);
    if (st != TW_OK) goto done;
    for (size_t i = 0; i < c->n_candidates; i++) {
        ranked r = {.candidate = i};
        r.known = twi_search_mean(c->accuracy + i * c->columns, c->columns, &r.mean);
        if (r.known > 0) all[c->n_rows++] = r;
    }
    if (c->n_rows == 0) {
        st = twi_fail(ctx, TW_ERR_DATA, "the time ran out before one setting was tried");
        goto done;
    }
    qsort(all, c->n_rows, sizeof *all, by_merit);
    for (size_t i = 0; i < c->n_rows; i++) {
        c->order[i] = all[i].candidate;
        fill_row(c, &all[i], all[0].candidate, scratch, &c->rows[i]);
    }
    mark_best(c);
done:
    twi_free(scratch);
    twi_free(all);
    return st;
}

/* ---- time and size ------------------------------------------------------------------------- */

/* Bytes of the tensors that a classifier is saved as. */
static tw_status size_of(tw_ctx *ctx, const twi_classifier *classifier, size_t *bytes)
{
    twi_tensors tensors = {0};
    twi_json *json = NULL;
    const tw_status st = twi_classifier_save(ctx, classifier, &tensors, &json);
    for (size_t i = 0; i < tensors.n; i++)
        *bytes += tensors.items[i].count * twi_dtype_size(tensors.items[i].dtype);
    twi_tensors_free(&tensors);
    twi_json_free(json);
    return st;
}

twi_key twi_compare_key(const twi_key *setting, size_t fold, const char *what)
{
    twi_key key;
    twi_digest digest;
    twi_digest_start(&digest);
    twi_digest_add(&digest, setting->bytes, TWI_DIGEST_BYTES);
    twi_digest_add(&digest, &fold, sizeof fold);
    twi_digest_add(&digest, what, strlen(what));
    twi_digest_bytes(&digest, key.bytes);
    return key;
}

static bool recall_row(tw_ctx *ctx, const twi_key *setting, tw_compare_row *row, size_t *head_bytes)
{
    const twi_key time = twi_compare_key(setting, SIZE_MAX, "fit");
    const twi_key size = twi_compare_key(setting, SIZE_MAX, "bytes");
    double bytes;
    if (!twi_cache_get_number(twi_ctx_cache(ctx), &time, &row->seconds_fit)) return false;
    if (!twi_cache_get_number(twi_ctx_cache(ctx), &size, &bytes)) return false;
    *head_bytes = (size_t)bytes;
    return true;
}

static void remember_row(tw_ctx *ctx, const twi_key *setting, const tw_compare_row *row,
                         size_t head_bytes)
{
    const twi_key time = twi_compare_key(setting, SIZE_MAX, "fit");
    const twi_key size = twi_compare_key(setting, SIZE_MAX, "bytes");
    twi_cache_put_number(twi_ctx_cache(ctx), &time, row->seconds_fit);
    twi_cache_put_number(twi_ctx_cache(ctx), &size, (double)head_bytes);
    twi_cache_flush(ctx, twi_ctx_cache(ctx), false);
}

/* samples: those of the row's view. */
static tw_status fit_row(tw_ctx *ctx, const twi_candidate *candidate, const twi_samples *samples,
                         const twi_folding *folding, tw_compare_row *row, size_t *head_bytes)
{
    twi_classifier classifier = {0};
    tw_head_opts opts = candidate->opts;
    if (folding->folds < 2) opts.calibrate = "none";
    const double start = twi_seconds();
    tw_status st = twi_classifier_fit(ctx, samples, &opts, folding, &classifier);
    row->seconds_fit = twi_seconds() - start;
    if (st == TW_OK) st = size_of(ctx, &classifier, head_bytes);
    twi_classifier_free(&classifier);
    return st;
}

tw_status twi_comparison_measure(tw_ctx *ctx, tw_comparison *c, const twi_samples *samples,
                                 const twi_folding *folding, const twi_key *keys)
{
    size_t kinds = 0, done = 0;
    tw_status st = TW_OK;
    for (size_t i = 0; i < c->n_rows; i++) kinds += c->rows[i].best_of_kind != 0;
    for (size_t i = 0; i < c->n_rows && st == TW_OK; i++) {
        const twi_candidate *candidate = &c->candidates[c->order[i]];
        const twi_compare_view *view = &c->views[candidate->view];
        const twi_key *key = keys ? &keys[c->order[i]] : NULL;
        tw_compare_row *row = &c->rows[i];
        twi_samples rows = *samples;
        size_t head_bytes = 0;
        if (!row->best_of_kind) continue;
        rows.x = view->harvest.x;
        rows.d = view->harvest.d;
        st = twi_progress(ctx, "fit", done++, kinds, 0);
        if (st == TW_OK && !(key && recall_row(ctx, key, row, &head_bytes))) {
            st = fit_row(ctx, candidate, &rows, folding, row, &head_bytes);
            if (st == TW_OK && key) remember_row(ctx, key, row, head_bytes);
        }
        row->model_bytes = view->weight_bytes + head_bytes;
    }
    if (keys && st == TW_OK) twi_cache_flush(ctx, twi_ctx_cache(ctx), true);
    return st;
}

/* ---- as JSON ------------------------------------------------------------------------------- */

static twi_json *row_json(const tw_compare_row *row)
{
    twi_json *json = twi_json_object();
    bool ok = twi_json_set(json, "backbone", twi_json_text(row->backbone));
    ok &= twi_json_set(json, "geometry", twi_json_text(row->geometry));
    ok &= twi_json_set(json, "resize", twi_json_text(row->resize));
    ok &= twi_json_set(json, "pooling", twi_json_text(row->pooling));
    if (strcmp(row->views, "1") != 0) ok &= twi_json_set(json, "views", twi_json_text(row->views));
    ok &= twi_json_set(json, "head", twi_head_opts_to_json(&row->head));
    ok &= twi_json_set(json, "folds", twi_json_integer((int64_t)row->folds));
    ok &= twi_json_set(json, "mean", twi_json_number(row->mean));
    ok &= twi_json_set(json, "low", twi_json_number(row->interval[0]));
    ok &= twi_json_set(json, "high", twi_json_number(row->interval[1]));
    ok &= twi_json_set(json, "p_value", twi_json_number(row->p_value));
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

twi_json *twi_comparison_to_json(const tw_comparison *c, size_t folds, size_t repeats)
{
    twi_json *json = twi_json_object(), *rows = twi_json_array();
    bool ok = twi_json_set(json, "method", twi_json_text("cross-validation"));
    ok &= twi_json_set(json, "folds", twi_json_integer((int64_t)folds));
    ok &= twi_json_set(json, "repeats", twi_json_integer((int64_t)repeats));
    ok &= twi_json_set(json, "settings", twi_json_integer((int64_t)c->n_rows));
    ok &= twi_json_set(json, "stopped", twi_json_boolean(c->stopped));
    for (size_t i = 0; i < c->n_rows && i < JSON_ROWS; i++)
        ok &= twi_json_append(rows, row_json(&c->rows[i]));
    ok &= twi_json_set(json, "rows", rows);
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

/* ---- asking -------------------------------------------------------------------------------- */

void tw_comparison_free(tw_comparison *c)
{
    if (!c) return;
    for (size_t v = 0; v < c->n_views; v++) {
        twi_harvest_free(&c->views[v].harvest);
        twi_free(c->views[v].name);
        twi_free(c->views[v].geometry);
        twi_free(c->views[v].resize);
        twi_free(c->views[v].views);
    }
    twi_free(c->views);
    twi_free(c->candidates);
    twi_free(c->accuracy);
    twi_free(c->seconds);
    twi_free(c->rows);
    twi_free(c->order);
    twi_free(c);
}

size_t tw_comparison_count(const tw_comparison *comparison)
{
    return comparison->n_rows;
}

void tw_comparison_row(const tw_comparison *comparison, size_t i, tw_compare_row *out)
{
    *out = i < comparison->n_rows ? comparison->rows[i] : (tw_compare_row){0};
}

int tw_comparison_stopped(const tw_comparison *comparison)
{
    return comparison->stopped;
}
