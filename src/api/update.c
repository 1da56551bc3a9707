/* update.c - a model trained on, with more photos or classes: those it knows come from the cache.
 *
 * Old photos stay in the part they were in, new ones are divided as train divides them, and the
 * head is fitted on all: the answer is that of training from nothing on that division. The fit is
 * convex or takes milliseconds, so nothing is started from the old weights. */
#include "api/model.h"
#include "api/options.h"
#include "dataset/split.h"

#include <stdlib.h>
#include <string.h>

typedef struct updating {
    tw_ctx *ctx;
    const char *path;
    const tw_dataset *more;
    tw_train_opts opts;
    tw_model *old;
    tw_extractor *extractor;
    tw_report *report; /* of the new photos: what could not be read */
    twi_harvest fresh; /* all pictures of more */
    size_t d;
    /* What the old model knows, training part first. */
    const unsigned char (*old_digest)[TWI_DIGEST_BYTES]; /* [n_old] */
    const int32_t *old_label;                            /* [n_old] */
    size_t n_old, n_old_train;
    twi_names old_train, old_test; /* their files */
    const char **classes;          /* [n_classes] old and new ones, in byte order */
    size_t n_classes;
    size_t *known; /* [fresh.rows] the old photo that it is, or SIZE_MAX */
    size_t n_new;
    size_t *again;  /* [n_old] the row of fresh that it is, or SIZE_MAX */
    bool *recalled; /* [n_old] */
    float *old_x;   /* [n_old, d] */
    tw_dataset *all;
    twi_harvest harvest;
} updating;

/* ---- what the model knows ------------------------------------------------------------------ */

static tw_status check_old(updating *u)
{
    const size_t named = u->old_train.n + u->old_test.n;
    if (named != u->n_old)
        return twi_fail(u->ctx, TW_ERR_FORMAT, "%s: names %zu photos and digests %zu", u->path,
                        named, u->n_old);
    for (size_t i = 0; i < u->n_old; i++)
        if (u->old_label[i] < 0 || (size_t)u->old_label[i] >= u->old->classes.n)
            return twi_fail(u->ctx, TW_ERR_FORMAT, "%s: photo %zu is of class %d of %zu", u->path,
                            i, (int)u->old_label[i], u->old->classes.n);
    return TW_OK;
}

static tw_status read_old(updating *u)
{
    tw_status st = tw_model_open(u->ctx, u->path, &u->old);
    if (st != TW_OK) return st;
    const twi_tensor *digests = twi_tensors_find(&u->old->tensors, "photo_digests");
    const twi_tensor *labels = twi_tensors_find(&u->old->tensors, "photo_labels");
    if (!digests || digests->dtype != TWI_U8 || digests->rank != 2 ||
        digests->dims[1] != TWI_DIGEST_BYTES || !labels || labels->dtype != TWI_I32 ||
        labels->rank != 1 || labels->dims[0] != digests->dims[0])
        return twi_fail(u->ctx, TW_ERR_FORMAT,
                        "%s: lacks the digests and labels of its photos; train it once more",
                        u->path);
    st = twi_names_load(u->ctx, u->path, &u->old->tensors, "train_files", &u->old_train);
    if (st == TW_OK)
        st = twi_names_load(u->ctx, u->path, &u->old->tensors, "test_files", &u->old_test);
    if (st != TW_OK) return st;
    u->n_old = digests->dims[0];
    u->n_old_train = u->old_train.n;
    u->old_digest = digests->data;
    u->old_label = labels->data;
    return check_old(u);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static tw_status unite_classes(updating *u)
{
    const size_t n_old = u->old->classes.n, n_more = tw_dataset_class_count(u->more);
    tw_status st = twi_alloc(u->ctx, n_old + n_more, &u->classes);
    if (st != TW_OK) return st;
    for (size_t k = 0; k < n_old; k++) u->classes[k] = u->old->classes.items[k];
    for (size_t k = 0; k < n_more; k++) u->classes[n_old + k] = tw_dataset_class_name(u->more, k);
    qsort(u->classes, n_old + n_more, sizeof *u->classes, by_name);
    for (size_t k = 0; k < n_old + n_more; k++)
        if (k == 0 || strcmp(u->classes[k], u->classes[u->n_classes - 1]) != 0)
            u->classes[u->n_classes++] = u->classes[k];
    return TW_OK;
}

static uint32_t class_of(const updating *u, const char *name)
{
    const char **at = bsearch(&name, u->classes, u->n_classes, sizeof *u->classes, by_name);
    return (uint32_t)(at - u->classes);
}

static uint32_t old_class(const updating *u, size_t i)
{
    return class_of(u, u->old->classes.items[u->old_label[i]]);
}

static uint32_t fresh_class(const updating *u, size_t row)
{
    return class_of(
        u, tw_dataset_class_name(u->more, tw_dataset_label(u->more, u->fresh.sample[row])));
}

/* ---- features ------------------------------------------------------------------------------ */

static const char *class_name(const void *user, size_t k)
{
    return tw_dataset_class_name(user, k);
}

static tw_status harvest_fresh(updating *u)
{
    const size_t n = tw_dataset_count(u->more);
    size_t *order;
    tw_status st = twi_alloc(u->ctx, n, &order);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) order[i] = i;
    st = twi_report_new(u->ctx, tw_dataset_class_count(u->more), class_name, u->more, &u->report);
    if (st == TW_OK) st = tw_model_extractor(u->ctx, u->old, &u->extractor);
    if (st == TW_OK)
        st = twi_harvest_run(u->ctx, u->extractor->inner, u->more, order, n, u->report, &u->fresh);
    twi_free(order);
    u->d = u->fresh.d;
    return st;
}

typedef struct entry {
    const unsigned char *digest;
    size_t at;
} entry;

static int by_digest(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int order = memcmp(x->digest, y->digest, TWI_DIGEST_BYTES);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* The first of index [n] whose digest is not smaller. */
static size_t lower_bound(const entry *index, size_t n, const unsigned char *digest)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (memcmp(index[middle].digest, digest, TWI_DIGEST_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* One photo of more against those the model knows: the same bytes. A label that changed is refused:
 * which of the two is right? */
static tw_status match_one(updating *u, const entry *index, size_t r)
{
    const unsigned char *digest = u->fresh.digest[r];
    u->known[r] = SIZE_MAX;
    for (size_t at = lower_bound(index, u->n_old, digest);
         at < u->n_old && memcmp(index[at].digest, digest, TWI_DIGEST_BYTES) == 0; at++) {
        const size_t i = index[at].at;
        if (old_class(u, i) != fresh_class(u, r))
            return twi_fail(u->ctx, TW_ERR_DATA, "%s is of class %s; the model learned it as %s",
                            tw_dataset_path(u->more, u->fresh.sample[r]),
                            u->classes[fresh_class(u, r)], u->classes[old_class(u, i)]);
        u->known[r] = i;
        u->again[i] = r;
    }
    u->n_new += u->known[r] == SIZE_MAX;
    return TW_OK;
}

static tw_status match(updating *u)
{
    entry *index = NULL;
    tw_status st = twi_alloc(u->ctx, u->n_old, &index);
    if (st == TW_OK) st = twi_alloc(u->ctx, u->n_old, &u->again);
    if (st == TW_OK) st = twi_alloc(u->ctx, u->fresh.rows, &u->known);
    for (size_t i = 0; i < u->n_old && st == TW_OK; i++) {
        index[i] = (entry){u->old_digest[i], i};
        u->again[i] = SIZE_MAX;
    }
    if (st == TW_OK) qsort(index, u->n_old, sizeof *index, by_digest);
    for (size_t r = 0; r < u->fresh.rows && st == TW_OK; r++) st = match_one(u, index, r);
    twi_free(index);
    return st;
}

static void take_recalled(void *user, size_t i, const float *features)
{
    updating *u = user;
    u->recalled[i] = true;
    memcpy(u->old_x + i * u->d, features, u->d * sizeof *features);
}

static tw_status recall(updating *u)
{
    size_t cells, found, missing = 0;
    if (twi_mul(u->n_old, u->d, &cells))
        return twi_fail(u->ctx, TW_ERR_NOMEM, "%zu photos are too many", u->n_old);
    tw_status st = twi_alloc(u->ctx, cells, &u->old_x);
    if (st == TW_OK) st = twi_zalloc(u->ctx, u->n_old, &u->recalled);
    if (st == TW_OK)
        st = twi_extractor_recall(u->ctx, u->extractor->inner, u->old_digest, u->n_old,
                                  take_recalled, u, &found);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < u->n_old; i++) {
        if (u->again[i] != SIZE_MAX) /* at hand: no need of the cache */
            take_recalled(u, i, u->fresh.x + u->again[i] * u->d);
        missing += !u->recalled[i];
    }
    if (missing > 0)
        return twi_fail(u->ctx, TW_ERR_DATA,
                        "%zu of the %zu photos that %s was trained on are not in the cache: give a "
                        "folder that holds them as well as the new ones",
                        missing, u->n_old, u->path);
    return TW_OK;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* Everything in one order: training part, then test part, in each the old photos before the new. */
typedef struct whole {
    size_t n;
    const char **paths;
    uint32_t *label;
    tw_part *part;
    size_t *row; /* below n_old: an old photo; else a row of fresh, from n_old on */
} whole;

static void add(const updating *u, whole *w, size_t row, tw_part part)
{
    const bool old = row < u->n_old;
    const size_t fresh = row - u->n_old;
    w->row[w->n] = row;
    w->part[w->n] = part;
    w->label[w->n] = old ? old_class(u, row) : fresh_class(u, fresh);
    w->paths[w->n++] = !old ? twi_dataset_relative_path(u->more, u->fresh.sample[fresh])
                       : row < u->n_old_train ? u->old_train.items[row]
                                              : u->old_test.items[row - u->n_old_train];
}

/* The new photos in two parts: by class where every class of them has enough, else without looking
 * at classes; where they are too few to hold any back, all train. */
static tw_status divide_new(updating *u, const size_t *fresh, size_t *parts, size_t *n_train)
{
    uint32_t *label;
    size_t train, test;
    *n_train = 0;
    if (u->n_new == 0) return TW_OK;
    tw_status st = twi_alloc(u->ctx, u->n_new, &label);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < u->n_new; i++) label[i] = fresh_class(u, fresh[i]);
    st = twi_split_sizes(u->ctx, u->n_new, u->opts.test_size, &train, &test);
    if (st == TW_OK) {
        *n_train = train;
        st = twi_split(u->ctx, u->n_new, label, u->n_classes, u->opts.seed, train, test, parts,
                       parts + train);
        if (st == TW_ERR_DATA)
            st = twi_split(u->ctx, u->n_new, NULL, 0, u->opts.seed, train, test, parts,
                           parts + train);
    } else if (st == TW_ERR_DATA) {
        twi_log(u->ctx, TW_LOG_WARNING,
                "%zu new photos are too few to hold some back: all are trained on", u->n_new);
        for (size_t i = 0; i < u->n_new; i++) parts[i] = i;
        *n_train = u->n_new;
        st = TW_OK;
    }
    twi_free(label);
    return st;
}

static tw_status arrange(updating *u, whole *w)
{
    const size_t n = u->n_old + u->n_new, old = u->n_old;
    size_t *fresh = NULL, *parts = NULL, n_train, at = 0;
    tw_status st = twi_alloc(u->ctx, n, &w->paths);
    if (st == TW_OK) st = twi_alloc(u->ctx, n, &w->label);
    if (st == TW_OK) st = twi_alloc(u->ctx, n, &w->part);
    if (st == TW_OK) st = twi_alloc(u->ctx, n, &w->row);
    if (st == TW_OK) st = twi_alloc(u->ctx, u->n_new, &fresh);
    if (st == TW_OK) st = twi_alloc(u->ctx, u->n_new, &parts);
    if (st != TW_OK) goto done;
    for (size_t r = 0; r < u->fresh.rows; r++)
        if (u->known[r] == SIZE_MAX) fresh[at++] = r;
    if ((st = divide_new(u, fresh, parts, &n_train)) != TW_OK) goto done;
    for (size_t i = 0; i < u->n_old_train; i++) add(u, w, i, TW_PART_TRAIN);
    for (size_t i = 0; i < n_train; i++) add(u, w, old + fresh[parts[i]], TW_PART_TRAIN);
    for (size_t i = u->n_old_train; i < old; i++) add(u, w, i, TW_PART_TEST);
    for (size_t i = n_train; i < u->n_new; i++) add(u, w, old + fresh[parts[i]], TW_PART_TEST);
done:
    twi_free(fresh);
    twi_free(parts);
    return st;
}

static tw_status assemble(updating *u, const whole *w)
{
    twi_harvest *h = &u->harvest;
    size_t rows;
    h->d = u->d;
    tw_status st = twi_alloc(u->ctx, w->n, &h->sample);
    if (st == TW_OK) st = twi_alloc(u->ctx, w->n, &h->digest);
    if (st == TW_OK) st = twi_matrix_file_create(u->ctx, NULL, u->d, &h->file);
    for (size_t i = 0; i < w->n && st == TW_OK; i++) {
        const bool old = w->row[i] < u->n_old;
        const size_t fresh = w->row[i] - u->n_old;
        const float *x = old ? u->old_x + w->row[i] * u->d : u->fresh.x + fresh * u->d;
        h->sample[i] = i;
        memcpy(h->digest[i], old ? u->old_digest[w->row[i]] : u->fresh.digest[fresh],
               TWI_DIGEST_BYTES);
        st = twi_matrix_file_append(u->ctx, h->file, x, 1);
    }
    if (st == TW_OK) st = twi_matrix_file_map(u->ctx, h->file, &h->x, &rows);
    h->rows = w->n;
    h->stats = u->fresh.stats;
    h->stats.cached += w->n - u->fresh.rows;
    h->precision = u->fresh.precision;
    const twi_known_photos photos = {.classes = u->classes,
                                     .n_classes = u->n_classes,
                                     .paths = w->paths,
                                     .label = w->label,
                                     .part = w->part,
                                     .n = w->n};
    return st == TW_OK ? twi_dataset_of(u->ctx, &photos, &u->all) : st;
}

/* ---- training ------------------------------------------------------------------------------ */

/* The options of the old training; what it chose, it chooses again. */
static tw_status read_options(updating *u, const tw_train_opts *given)
{
    const twi_json *training = twi_json_get(u->old->document, "training");
    tw_train_opts *o = &u->opts;
    tw_train_opts_init(o);
    tw_status st = twi_options_read(u->ctx, o, sizeof *o, given, given ? given->size_bytes : 0);
    if (st != TW_OK) return st;
    st = twi_head_opts_from_json(u->ctx, twi_json_get(training, "options"), &o->head);
    if (st != TW_OK) return twi_fail_prefix(u->ctx, st, "%s: ", u->path);
    if (twi_json_as_boolean(twi_json_get(training, "C_chosen"), false))
        *(o->head.C > 0.0 ? &o->head.C : &o->head.alpha) = TW_AUTO;
    o->refit_all = twi_json_as_boolean(twi_json_get(training, "refit_all"), false);
    o->reject = u->old->reject.n > 0 ? u->old->reject.accept : 0.0;
    return TW_OK;
}

/* A backbone of its own, over the old model's file. */
static tw_status open_backbone(updating *u, tw_backbone **out)
{
    twi_bundle *bundle;
    tw_status st = twi_bundle_open(u->ctx, u->path, "model", &bundle);
    if (st != TW_OK) return st;
    st = twi_backbone_read(u->ctx, u->path, bundle,
                           twi_json_get(twi_bundle_document(bundle), "backbone"),
                           TWI_MODEL_BACKBONE_PREFIX, out);
    if (st != TW_OK) {
        twi_bundle_free(bundle);
        return st;
    }
    (*out)->bundle = bundle;
    memcpy((*out)->digest, u->old->backbone->digest, sizeof(*out)->digest);
    return TW_OK;
}

static tw_status train_all(updating *u, tw_model **out, tw_report **report)
{
    twi_train_extra extra = {.harvest = &u->harvest, .extract = u->old->extract};
    tw_report *made = NULL;
    tw_status st = open_backbone(u, &extra.backbone);
    if (st != TW_OK) return st;
    extra.extract.precision = u->harvest.precision;
    st = twi_model_train(u->ctx, u->all, &u->opts, &extra, out, &made);
    if (st != TW_OK) return st;
    /* What could not be read stands in the report of the reading. */
    const twi_names paths = made->skipped_paths, reasons = made->skipped_reasons;
    made->skipped_paths = u->report->skipped_paths, u->report->skipped_paths = paths;
    made->skipped_reasons = u->report->skipped_reasons, u->report->skipped_reasons = reasons;
    made->summary.n_skipped = made->skipped_paths.n;
    if (report)
        *report = made;
    else
        tw_report_free(made);
    return TW_OK;
}

static void updating_free(updating *u)
{
    tw_dataset_free(u->all);
    twi_harvest_free(&u->harvest);
    twi_harvest_free(&u->fresh);
    tw_extractor_free(u->extractor);
    tw_report_free(u->report);
    twi_names_free(&u->old_train);
    twi_names_free(&u->old_test);
    twi_free(u->classes);
    twi_free(u->known);
    twi_free(u->again);
    twi_free(u->recalled);
    twi_free(u->old_x);
    tw_model_free(u->old);
}

tw_status tw_model_update(tw_ctx *ctx, const char *path, const tw_dataset *more,
                          const tw_train_opts *opts, tw_model **out, tw_report **report)
{
    updating u = {.ctx = ctx, .path = path, .more = more};
    whole w = {0};
    tw_status st = read_old(&u);
    if (st == TW_OK) st = read_options(&u, opts);
    if (st == TW_OK) st = unite_classes(&u);
    if (st == TW_OK) st = harvest_fresh(&u);
    if (st == TW_OK) st = match(&u);
    if (st == TW_OK) st = recall(&u);
    if (st == TW_OK) st = arrange(&u, &w);
    if (st == TW_OK) st = assemble(&u, &w);
    if (st == TW_OK) st = train_all(&u, out, report);
    twi_free(w.paths);
    twi_free(w.label);
    twi_free(w.part);
    twi_free(w.row);
    updating_free(&u);
    return st;
}
