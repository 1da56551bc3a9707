/* dataset.c - the tw_dataset functions of topwork.h. */
#include "dataset/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void tw_dataset_opts_init(tw_dataset_opts *opts)
{
    *opts = (tw_dataset_opts){.size_bytes = sizeof *opts};
}

/* ---- opening ------------------------------------------------------------------------------- */

/* The caller's options at the size it knows them, defaults for the rest. */
static tw_status opts_take(tw_ctx *ctx, const tw_dataset_opts *given, tw_dataset_opts *out)
{
    tw_dataset_opts_init(out);
    if (!given) return TW_OK;
    if (given->size_bytes < sizeof given->size_bytes || given->size_bytes > 4096)
        return twi_fail(ctx, TW_ERR_ARG,
                        "options of %zu bytes: start them with tw_dataset_opts_init()",
                        given->size_bytes);
    memcpy(out, given, given->size_bytes < sizeof *out ? given->size_bytes : sizeof *out);
    return TW_OK;
}

static int text_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static tw_status filter_make(tw_ctx *ctx, const tw_dataset_opts *opts, twi_filter *out)
{
    if (!opts->categories) return TW_OK;
    if (opts->n_categories == 0)
        return twi_fail(ctx, TW_ERR_ARG, "a list of categories with none in it");
    const tw_status st = twi_alloc(ctx, opts->n_categories, &out->wanted);
    if (st != TW_OK) return st;
    out->n = opts->n_categories;
    for (size_t i = 0; i < out->n; i++) {
        if (!opts->categories[i]) return twi_fail(ctx, TW_ERR_ARG, "category %zu is NULL", i);
        out->wanted[i] = opts->categories[i];
    }
    qsort(out->wanted, out->n, sizeof *out->wanted, text_order);
    for (size_t i = 1; i < out->n; i++)
        if (strcmp(out->wanted[i - 1], out->wanted[i]) == 0)
            return twi_fail(ctx, TW_ERR_DATA, "category %s is given twice", out->wanted[i]);
    return TW_OK;
}

static tw_status read_any(tw_ctx *ctx, const char *path, const twi_filter *filter, tw_dataset *set)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return twi_fail(ctx, TW_ERR_DATA, "%s: there is no such folder or manifest", path);
        return twi_fail_errno(ctx, errno, "%s", path);
    }
    if (S_ISDIR(info.st_mode)) return twi_folder_read(ctx, path, filter, set);
    if (S_ISREG(info.st_mode)) return twi_manifest_read(ctx, path, filter, set);
    return twi_fail(ctx, TW_ERR_DATA, "%s: is neither a folder nor a CSV manifest", path);
}

tw_status tw_dataset_open(tw_ctx *ctx, const char *path, const tw_dataset_opts *opts,
                          tw_dataset **out)
{
    if (!ctx) return TW_ERR_ARG;
    if (!path || !out) return twi_fail(ctx, TW_ERR_ARG, "path and out must be given");
    tw_dataset_opts o;
    twi_filter filter = {0};
    tw_dataset *set = NULL;
    tw_status st;
    if ((st = opts_take(ctx, opts, &o)) != TW_OK) goto done;
    if ((st = filter_make(ctx, &o, &filter)) != TW_OK) goto done;
    if ((st = twi_zalloc(ctx, 1, &set)) != TW_OK) goto done;
    if ((st = read_any(ctx, path, &filter, set)) != TW_OK) goto done;
    if ((st = twi_store_finish(ctx, set, path, o.to_measure != 0)) != TW_OK) goto done;
    *out = set, set = NULL; /* handed over */
done:
    tw_dataset_free(set);
    twi_free(filter.wanted);
    return st;
}

void tw_dataset_free(tw_dataset *dataset)
{
    if (!dataset) return;
    twi_free(dataset->photos);
    twi_free(dataset->skips);
    twi_free(dataset->names);
    twi_free(dataset->labels);
    twi_free(dataset->groups);
    twi_arena_free(&dataset->text);
    twi_free(dataset);
}

/* ---- what is in it ------------------------------------------------------------------------- */

size_t tw_dataset_count(const tw_dataset *dataset)
{
    return dataset->n_photos;
}

const char *tw_dataset_path(const tw_dataset *dataset, size_t i)
{
    return i < dataset->n_photos ? dataset->photos[i].path : NULL;
}

uint32_t tw_dataset_label(const tw_dataset *dataset, size_t i)
{
    return i < dataset->n_photos ? dataset->photos[i].label : UINT32_MAX;
}

tw_part tw_dataset_part(const tw_dataset *dataset, size_t i)
{
    return i < dataset->n_photos ? (tw_part)dataset->photos[i].part : TW_PART_NONE;
}

size_t tw_dataset_class_count(const tw_dataset *dataset)
{
    return dataset->n_classes;
}

const char *tw_dataset_class_name(const tw_dataset *dataset, size_t k)
{
    return k < dataset->n_classes ? dataset->names[k] : NULL;
}

size_t tw_dataset_skipped_count(const tw_dataset *dataset)
{
    return dataset->n_skips;
}

const char *tw_dataset_skipped_path(const tw_dataset *dataset, size_t i)
{
    return i < dataset->n_skips ? dataset->skips[i].path : NULL;
}

const char *tw_dataset_skipped_reason(const tw_dataset *dataset, size_t i)
{
    return i < dataset->n_skips ? dataset->skips[i].reason : NULL;
}

const uint32_t *twi_dataset_labels(const tw_dataset *dataset)
{
    return dataset->labels;
}

const char *twi_dataset_relative_path(const tw_dataset *dataset, size_t i)
{
    if (i >= dataset->n_photos) return NULL;
    const twi_photo *photo = &dataset->photos[i];
    return photo->path + photo->relative;
}

bool twi_dataset_has_parts(const tw_dataset *dataset)
{
    return dataset->has_parts;
}

tw_status twi_dataset_check_stratified(tw_ctx *ctx, const tw_dataset *dataset)
{
    size_t *counts;
    tw_status st = twi_zalloc(ctx, dataset->n_classes, &counts);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < dataset->n_photos; i++) counts[dataset->labels[i]]++;
    for (size_t k = 0; k < dataset->n_classes && st == TW_OK; k++)
        if (counts[k] == 1)
            st = twi_fail(ctx, TW_ERR_DATA,
                          "class %s has only 1 photo; a stratified split needs at least 2 of every "
                          "class",
                          dataset->names[k]);
    twi_free(counts);
    return st;
}

const uint32_t *twi_dataset_groups(const tw_dataset *dataset, size_t *n_groups)
{
    *n_groups = dataset->n_groups;
    return dataset->groups;
}

const char *tw_dataset_group(const tw_dataset *dataset, size_t i)
{
    return i < dataset->n_photos ? dataset->photos[i].group : NULL;
}

tw_status twi_dataset_of(tw_ctx *ctx, const twi_known_photos *photos, tw_dataset **out)
{
    tw_dataset *set;
    tw_status st = twi_zalloc(ctx, 1, &set);
    if (st != TW_OK) return st;
    for (size_t k = 0; k < photos->n_classes && st == TW_OK; k++) {
        char *name;
        st = twi_arena_text(ctx, &set->text, photos->classes[k], strlen(photos->classes[k]), &name);
        if (st == TW_OK) st = twi_store_class(ctx, set, name);
    }
    for (size_t i = 0; i < photos->n && st == TW_OK; i++) {
        twi_photo photo = {.label = photos->label[i], .part = (unsigned)photos->part[i] & 3u};
        char *path;
        st = twi_arena_text(ctx, &set->text, photos->paths[i], strlen(photos->paths[i]), &path);
        photo.path = path;
        if (st == TW_OK) st = twi_store_photo(ctx, set, photo);
    }
    if (st == TW_OK) st = twi_store_finish(ctx, set, "the photos", false);
    if (st == TW_OK) *out = set, set = NULL; /* handed over */
    tw_dataset_free(set);
    return st;
}
