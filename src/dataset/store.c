/* store.c - filling and finishing a data set. */
#include "dataset/store.h"

#include "base/rng.h"
#include "dataset/names.h"

#include <stdlib.h>
#include <string.h>

tw_status twi_store_photo(tw_ctx *ctx, tw_dataset *set, twi_photo photo)
{
    const tw_status st = twi_grow(ctx, &set->photos, &set->photos_capacity, set->n_photos + 1);
    if (st == TW_OK) set->photos[set->n_photos++] = photo;
    return st;
}

tw_status twi_store_skip(tw_ctx *ctx, tw_dataset *set, const char *path, const char *reason)
{
    const tw_status st = twi_grow(ctx, &set->skips, &set->skips_capacity, set->n_skips + 1);
    if (st == TW_OK) set->skips[set->n_skips++] = (twi_skip){path, reason};
    return st;
}

tw_status twi_store_class(tw_ctx *ctx, tw_dataset *set, const char *name)
{
    if (set->n_classes >= UINT32_MAX)
        return twi_fail(ctx, TW_ERR_DATA, "more than %zu classes", set->n_classes);
    const tw_status st = twi_grow(ctx, &set->names, &set->names_capacity, set->n_classes + 1);
    if (st == TW_OK) set->names[set->n_classes++] = name;
    return st;
}

tw_status twi_store_shuffle(tw_ctx *ctx, tw_dataset *set, size_t from)
{
    const size_t n = set->n_photos - from;
    if (n > UINT32_MAX) return twi_fail(ctx, TW_ERR_DATA, "%zu photos; too many to shuffle", n);
    size_t *order = NULL;
    twi_photo *sorted = NULL;
    tw_status st;
    if ((st = twi_alloc(ctx, n, &order)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, n, &sorted)) != TW_OK) goto done;
    if (n > 0) memcpy(sorted, set->photos + from, n * sizeof *sorted);
    twi_rng rng;
    twi_rng_seed(&rng, 0); /* load_files' default random_state */
    twi_rng_permutation(&rng, order, n);
    for (size_t i = 0; i < n; i++) set->photos[from + i] = sorted[order[i]];
done:
    twi_free(sorted);
    twi_free(order);
    return st;
}

/* ---- finishing ----------------------------------------------------------------------------- */

/* Why class k is empty, when something was there: its first skipped file. path + class name is a
 * prefix of it in a folder; a manifest gives no such hint. */
static const twi_skip *first_skip_of(const tw_dataset *set, const char *path, size_t k)
{
    const size_t root = strlen(path), name = strlen(set->names[k]);
    for (size_t i = 0; i < set->n_skips; i++) {
        const char *p = set->skips[i].path;
        if (strncmp(p, path, root) != 0) continue;
        for (p += root; *p == '/';) p++;
        if (strncmp(p, "train/", 6) == 0 && set->has_parts) p += 6;
        if (strncmp(p, set->names[k], name) == 0 && p[name] == '/') return &set->skips[i];
    }
    return NULL;
}

static tw_status empty_class(tw_ctx *ctx, const tw_dataset *set, const char *path, size_t k,
                             bool to_measure)
{
    const twi_skip *skip = first_skip_of(set, path, k);
    const char *where = set->has_parts && !to_measure ? " to train on" : "";
    if (!skip)
        return twi_fail(ctx, TW_ERR_DATA, "%s: class %s has no pictures%s", path, set->names[k],
                        where);
    return twi_fail(ctx, TW_ERR_DATA,
                    "%s: class %s has no pictures%s; what is there was passed over, first %s: %s",
                    path, set->names[k], where, skip->path, skip->reason);
}

static tw_status classes_check(tw_ctx *ctx, const tw_dataset *set, const char *path,
                               bool to_measure)
{
    if (set->n_classes == 0) return twi_fail(ctx, TW_ERR_DATA, "%s: no class in it", path);
    size_t *counts;
    tw_status st = twi_zalloc(ctx, set->n_classes, &counts);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < set->n_photos; i++) {
        const twi_photo *photo = &set->photos[i];
        if (to_measure || !set->has_parts || photo->part == TW_PART_TRAIN) counts[photo->label]++;
    }
    for (size_t k = 0; k < set->n_classes && st == TW_OK; k++)
        if (counts[k] == 0) st = empty_class(ctx, set, path, k, to_measure);
    twi_free(counts);
    if (st == TW_OK && set->n_classes == 1 && !to_measure)
        st = twi_fail(ctx, TW_ERR_DATA, "%s: only one class (%s); telling apart needs two", path,
                      set->names[0]);
    return st;
}

static int group_order(const void *a, const void *b)
{
    return strcmp((*(const twi_photo *const *)a)->group, (*(const twi_photo *const *)b)->group);
}

/* Numbers the groups by their names in byte order, as numpy.unique() does. */
static tw_status groups_number(tw_ctx *ctx, tw_dataset *set)
{
    const twi_photo **sorted;
    if (set->n_photos == 0 || !set->photos[0].group) return TW_OK;
    tw_status st = twi_alloc(ctx, set->n_photos, &sorted);
    if (st != TW_OK) return st;
    if ((st = twi_alloc(ctx, set->n_photos, &set->groups)) != TW_OK) goto done;
    for (size_t i = 0; i < set->n_photos; i++) sorted[i] = &set->photos[i];
    qsort(sorted, set->n_photos, sizeof *sorted, group_order);
    for (size_t i = 0; i < set->n_photos; i++) {
        if (i == 0 || strcmp(sorted[i]->group, sorted[i - 1]->group) != 0) set->n_groups++;
        set->groups[sorted[i] - set->photos] = (uint32_t)(set->n_groups - 1);
    }
done:
    twi_free(sorted);
    return st;
}

tw_status twi_store_finish(tw_ctx *ctx, tw_dataset *set, const char *path, bool to_measure)
{
    for (size_t i = 0; i < set->n_photos && !set->has_parts; i++)
        set->has_parts = set->photos[i].part > TW_PART_TRAIN;
    tw_status st = classes_check(ctx, set, path, to_measure);
    if (st != TW_OK) return st;
    if ((st = twi_alloc(ctx, set->n_photos, &set->labels)) != TW_OK) return st;
    for (size_t i = 0; i < set->n_photos; i++) set->labels[i] = set->photos[i].label;
    return groups_number(ctx, set);
}

/* ---- class names --------------------------------------------------------------------------- */

static int name_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool twi_filter_keeps(const twi_filter *filter, const char *name)
{
    if (!filter->wanted) return true;
    return bsearch(&name, filter->wanted, filter->n, sizeof *filter->wanted, name_order) != NULL;
}

tw_status twi_filter_check(tw_ctx *ctx, const twi_filter *filter, const char *path,
                           const char *const *names, size_t n)
{
    for (size_t i = 0; filter->wanted && i < filter->n; i++) {
        const char *wanted = filter->wanted[i];
        if (n > 0 && bsearch(&wanted, names, n, sizeof *names, name_order)) continue;
        twi_text there = {0};
        twi_names_list(&there, names, n);
        const tw_status st = twi_fail(ctx, TW_ERR_DATA, "%s: no category %s; what is there: %s",
                                      path, wanted, there.text ? there.text : "nothing");
        twi_text_free(&there);
        return st;
    }
    return TW_OK;
}
