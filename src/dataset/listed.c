/* listed.c - a data set from a manifest: its rows become photos, in their own order. */
#include "dataset/store.h"

#include "base/file.h"
#include "base/text.h"
#include "dataset/manifest.h"
#include "dataset/sniff.h"

#include <string.h>

#define MANIFEST_BYTES_MAX ((size_t)1 << 30)

/* The path of a row as the data set gives it: beside the manifest unless absolute. *relative is
 * where the part begins that a model may remember: never an absolute path. */
static tw_status path_make(tw_ctx *ctx, tw_dataset *set, const twi_text *folder, const char *path,
                           twi_photo *out)
{
    twi_text joined = {0};
    const bool absolute = path[0] == '/';
    if (!absolute) twi_text_add_bytes(&joined, folder->text, folder->length);
    twi_text_add(&joined, path);
    size_t relative = folder->length;
    if (absolute && (folder->length == 0 || strncmp(path, folder->text, folder->length) != 0))
        relative = (size_t)(strrchr(path, '/') + 1 - path);
    char *copy;
    tw_status st;
    if (joined.failed)
        st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for a path");
    else if (joined.length >= TWI_PATH_BYTES_MAX)
        st = twi_fail(ctx, TW_ERR_DATA, "a path longer than %u bytes", TWI_PATH_BYTES_MAX);
    else
        st = twi_arena_text(ctx, &set->text, joined.text, joined.length, &copy);
    twi_text_free(&joined);
    if (st == TW_OK) out->path = copy, out->relative = (uint32_t)relative & 0x1fffffffu;
    return st;
}

/* Names the classes that the filter keeps; label_of [rows->n_classes] gets their labels, UINT32_MAX
 * for the others. */
static tw_status classes_take(tw_ctx *ctx, tw_dataset *set, const twi_rows *rows,
                              const twi_filter *filter, uint32_t *label_of)
{
    tw_status st = TW_OK;
    for (size_t k = 0; k < rows->n_classes && st == TW_OK; k++) {
        const char *name = rows->classes[k];
        char *copy;
        label_of[k] = UINT32_MAX;
        if (!twi_filter_keeps(filter, name)) continue;
        label_of[k] = (uint32_t)set->n_classes;
        st = twi_arena_text(ctx, &set->text, name, strlen(name), &copy);
        if (st == TW_OK) st = twi_store_class(ctx, set, copy);
    }
    return st;
}

static tw_status row_take(tw_ctx *ctx, tw_dataset *set, const twi_text *folder, const twi_row *row,
                          uint32_t label)
{
    twi_photo photo = {.part = (unsigned)row->part & 3u, .label = label};
    tw_status st = path_make(ctx, set, folder, row->path, &photo);
    if (st != TW_OK) return st;
    if (row->group) {
        char *group;
        st = twi_arena_text(ctx, &set->text, row->group, strlen(row->group), &group);
        if (st != TW_OK) return st;
        photo.group = group;
    }
    if (!row->repeated) return twi_store_photo(ctx, set, photo);
    char *reason;
    st = twi_arena_text(ctx, &set->text, row->repeated, strlen(row->repeated), &reason);
    return st == TW_OK ? twi_store_skip(ctx, set, photo.path, reason) : st;
}

static tw_status rows_take(tw_ctx *ctx, tw_dataset *set, const char *path, const twi_rows *rows,
                           const twi_filter *filter)
{
    uint32_t *label_of = NULL;
    twi_text folder = {0};
    const char *slash = strrchr(path, '/');
    if (slash) twi_text_add_bytes(&folder, path, (size_t)(slash + 1 - path));
    if (folder.failed) return twi_fail(ctx, TW_ERR_NOMEM, "no memory for a path");
    tw_status st;
    if ((st = twi_alloc(ctx, rows->n_classes, &label_of)) != TW_OK) goto done;
    if ((st = classes_take(ctx, set, rows, filter, label_of)) != TW_OK) goto done;
    for (size_t i = 0; i < rows->n; i++) {
        const uint32_t label = label_of[rows->items[i].class_id];
        if (label == UINT32_MAX) continue;
        st = row_take(ctx, set, &folder, &rows->items[i], label);
        if (st != TW_OK) goto done;
    }
done:
    twi_text_free(&folder);
    twi_free(label_of);
    return st;
}

tw_status twi_manifest_read(tw_ctx *ctx, const char *path, const twi_filter *filter,
                            tw_dataset *set)
{
    unsigned char *bytes = NULL;
    size_t capacity = 0, size = 0;
    twi_rows rows = {0};
    tw_status st;
    if ((st = twi_file_read(ctx, path, MANIFEST_BYTES_MAX, &bytes, &capacity, &size)) != TW_OK)
        goto done;
    if (twi_sniff_picture(bytes, size)) {
        st = twi_fail(ctx, TW_ERR_DATA, "%s: is a picture; need a folder of them or a CSV manifest",
                      path);
        goto done;
    }
    if ((st = twi_grow(ctx, &bytes, &capacity, size + 1)) != TW_OK) goto done;
    if ((st = twi_rows_parse(ctx, path, (char *)bytes, size, &rows)) != TW_OK) goto done;
    if (rows.n == 0) {
        st = twi_fail(ctx, TW_ERR_DATA, "%s: a header line and nothing below it", path);
        goto done;
    }
    st = twi_filter_check(ctx, filter, path, rows.classes, rows.n_classes);
    if (st == TW_OK) st = rows_take(ctx, set, path, &rows, filter);
    if (st == TW_OK) st = twi_store_examine(ctx, set, 0, true);
done:
    twi_rows_free(&rows);
    twi_free(bytes);
    return st;
}
