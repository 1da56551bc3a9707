/* folder.c - one sub-folder a class, as scikit-learn's load_files reads it
 * (sklearn/datasets/_base.py, 1.2.1): classes and files in byte order, then shuffled with seed 0.
 * Or train/ [val/] [test/] of such. */
#include "dataset/store.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CANCEL_EVERY 65536 /* directory entries between two looks at the progress callback */

typedef enum kind { KIND_UNKNOWN, KIND_FILE, KIND_FOLDER, KIND_OTHER } kind;

typedef struct entry {
    const char *path, *name; /* name: the last part of path; both in the data set's arena */
    kind what;
} entry;

typedef struct listing {
    entry *items;
    size_t n, capacity;
} listing;

/* ---- one folder ---------------------------------------------------------------------------- */

static int entry_order(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static kind kind_of(const struct dirent *d)
{
    switch (d->d_type) {
    case DT_REG:
        return KIND_FILE;
    case DT_DIR:
        return KIND_FOLDER;
    case DT_LNK: /* followed by whoever needs to know */
    case DT_UNKNOWN:
        return KIND_UNKNOWN;
    default:
        return KIND_OTHER;
    }
}

/* path holds the folder and a slash; the name is put behind it and taken off again. */
static tw_status entry_add(tw_ctx *ctx, tw_dataset *set, const struct dirent *d, twi_text *path,
                           listing *out)
{
    const size_t at = path->length;
    twi_text_add(path, d->d_name);
    if (path->failed) return twi_fail(ctx, TW_ERR_NOMEM, "no memory for a path");
    if (path->length >= TWI_PATH_BYTES_MAX)
        return twi_fail(ctx, TW_ERR_DATA, "a path longer than %u bytes", TWI_PATH_BYTES_MAX);
    char *copy;
    tw_status st = twi_arena_text(ctx, &set->text, path->text, path->length, &copy);
    path->length = at;
    if (st == TW_OK) st = twi_grow(ctx, &out->items, &out->capacity, out->n + 1);
    if (st == TW_OK) out->items[out->n++] = (entry){copy, copy + at, kind_of(d)};
    return st;
}

/* All entries of folder but . and .., in byte order of their names. */
static tw_status list(tw_ctx *ctx, tw_dataset *set, const char *folder, listing *out)
{
    DIR *dir = opendir(folder);
    if (!dir) return twi_fail_errno(ctx, errno, "%s", folder);
    tw_status st = TW_OK;
    twi_text path = {0};
    twi_text_add(&path, folder);
    if (path.failed || path.length == 0 || path.text[path.length - 1] != '/')
        twi_text_add(&path, "/");
    out->n = 0;
    while (st == TW_OK) {
        errno = 0;
        const struct dirent *d = readdir(dir);
        if (!d) {
            if (errno != 0) st = twi_fail_errno(ctx, errno, "%s: cannot be listed", folder);
            break;
        }
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0) continue;
        st = entry_add(ctx, set, d, &path, out);
        if (st == TW_OK && out->n % CANCEL_EVERY == 0) st = twi_progress(ctx, "list", out->n, 0, 0);
    }
    closedir(dir);
    twi_text_free(&path);
    if (st == TW_OK && out->n > 1) qsort(out->items, out->n, sizeof *out->items, entry_order);
    return st;
}

static bool is_folder(const entry *e)
{
    struct stat info;
    if (e->what != KIND_UNKNOWN) return e->what == KIND_FOLDER;
    return stat(e->path, &info) == 0 && S_ISDIR(info.st_mode);
}

static const entry *find(const listing *in, const char *name)
{
    const entry key = {.name = name};
    if (in->n == 0) return NULL;
    return bsearch(&key, in->items, in->n, sizeof key, entry_order);
}

/* ---- the class folders of one part --------------------------------------------------------- */

typedef struct identity {
    dev_t dev;
    ino_t ino;
    const char *path;
} identity;

static int identity_order(const void *a, const void *b)
{
    const identity *x = a, *y = b;
    if (x->dev != y->dev) return x->dev < y->dev ? -1 : 1;
    return (x->ino > y->ino) - (x->ino < y->ino);
}

/* The same folder under two names (a symbolic link) would be two classes that nothing can tell
 * apart; root itself among its classes is a loop. */
static tw_status aliases_check(tw_ctx *ctx, const char *root, const listing *classes)
{
    identity *ids;
    struct stat info;
    tw_status st = twi_alloc(ctx, classes->n + 1, &ids);
    if (st != TW_OK) return st;
    size_t n = 0;
    for (size_t i = 0; i <= classes->n; i++) {
        const char *path = i < classes->n ? classes->items[i].path : root;
        if (stat(path, &info) == 0) ids[n++] = (identity){info.st_dev, info.st_ino, path};
    }
    qsort(ids, n, sizeof *ids, identity_order);
    for (size_t i = 1; i < n && st == TW_OK; i++) {
        if (identity_order(&ids[i - 1], &ids[i]) != 0) continue;
        st = twi_fail(ctx, TW_ERR_DATA, "the same class twice: %s and %s are one folder",
                      ids[i - 1].path, ids[i].path);
    }
    twi_free(ids);
    return st;
}

/* Keeps the class folders among all; the rest goes to the skipped ones. */
static tw_status classes_of(tw_ctx *ctx, tw_dataset *set, const char *root, const listing *all,
                            listing *classes)
{
    tw_status st = TW_OK;
    for (size_t i = 0; i < all->n && st == TW_OK; i++) {
        const entry *e = &all->items[i];
        if (e->name[0] == '.') {
            st = twi_store_skip(ctx, set, e->path, is_folder(e) ? "hidden folder" : "hidden file");
        } else if (!is_folder(e)) {
            st = twi_store_skip(ctx, set, e->path, "not inside a class folder");
        } else {
            st = twi_grow(ctx, &classes->items, &classes->capacity, classes->n + 1);
            if (st == TW_OK) classes->items[classes->n++] = *e;
        }
    }
    return st == TW_OK ? aliases_check(ctx, root, classes) : st;
}

/* Adds every file of a class folder; examining comes later, for all classes at once. */
static tw_status class_add(tw_ctx *ctx, tw_dataset *set, const entry *folder, twi_photo like)
{
    listing files = {0};
    tw_status st = list(ctx, set, folder->path, &files);
    for (size_t i = 0; i < files.n && st == TW_OK; i++) {
        like.path = files.items[i].path;
        like.regular = files.items[i].what == KIND_FILE;
        st = twi_store_photo(ctx, set, like);
    }
    twi_free(files.items);
    return st;
}

/* ---- one part: what load_files(folder) reads ----------------------------------------------- */

typedef struct part {
    const char *path;
    tw_part part;
    size_t relative; /* where in a path the part after the opened folder begins */
    listing all, classes;
} part;

static tw_status part_open(tw_ctx *ctx, tw_dataset *set, part *p)
{
    tw_status st = list(ctx, set, p->path, &p->all);
    return st == TW_OK ? classes_of(ctx, set, p->path, &p->all, &p->classes) : st;
}

static void part_close(part *p)
{
    twi_free(p->all.items);
    twi_free(p->classes.items);
}

static tw_status names_take(tw_ctx *ctx, tw_dataset *set, const part *p, const twi_filter *filter)
{
    const char **names;
    tw_status st = twi_alloc(ctx, p->classes.n, &names);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < p->classes.n; i++) names[i] = p->classes.items[i].name;
    st = twi_filter_check(ctx, filter, p->path, names, p->classes.n);
    for (size_t i = 0; i < p->classes.n && st == TW_OK; i++)
        if (twi_filter_keeps(filter, names[i])) st = twi_store_class(ctx, set, names[i]);
    twi_free(names);
    return st;
}

/* The label of a class folder: its place among the names, or SIZE_MAX. */
static size_t label_of(const tw_dataset *set, const char *name)
{
    size_t from = 0, to = set->n_classes;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const int order = strcmp(set->names[middle], name);
        if (order == 0) return middle;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return SIZE_MAX;
}

static tw_status part_read(tw_ctx *ctx, tw_dataset *set, const part *p, const twi_filter *filter)
{
    const size_t from = set->n_photos;
    tw_status st = TW_OK;
    for (size_t i = 0; i < p->classes.n && st == TW_OK; i++) {
        const entry *folder = &p->classes.items[i];
        if (!twi_filter_keeps(filter, folder->name)) continue;
        const size_t label = label_of(set, folder->name);
        if (label == SIZE_MAX)
            return twi_fail(ctx, TW_ERR_DATA,
                            "%s: class %s is not in train/: nothing to learn it from", p->path,
                            folder->name);
        const twi_photo like = {.relative = (uint32_t)p->relative & 0x1fffffffu,
                                .part = (unsigned)p->part & 3u,
                                .label = (uint32_t)label};
        st = class_add(ctx, set, folder, like);
    }
    if (st == TW_OK) st = twi_store_examine(ctx, set, from, false);
    if (st == TW_OK) st = twi_store_shuffle(ctx, set, from);
    return st;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* True when root holds train/ of class folders, and no other class beside val/ and test/. */
static tw_status has_train(tw_ctx *ctx, tw_dataset *set, const part *root, bool *out)
{
    *out = false;
    const entry *train = find(&root->classes, "train");
    if (!train) return TW_OK;
    for (size_t i = 0; i < root->classes.n; i++) {
        const char *name = root->classes.items[i].name;
        if (strcmp(name, "train") != 0 && strcmp(name, "val") != 0 && strcmp(name, "test") != 0)
            return TW_OK; /* "train" is a class here, beside "bus" and "tram" */
    }
    listing inside = {0};
    const tw_status st = list(ctx, set, train->path, &inside);
    for (size_t i = 0; i < inside.n && st == TW_OK && !*out; i++)
        *out = inside.items[i].name[0] != '.' && is_folder(&inside.items[i]);
    twi_free(inside.items);
    return st;
}

static tw_status parts_read(tw_ctx *ctx, tw_dataset *set, const part *root,
                            const twi_filter *filter)
{
    static const struct {
        const char *name;
        tw_part part;
    } parts[] = {{"train", TW_PART_TRAIN}, {"val", TW_PART_VAL}, {"test", TW_PART_TEST}};
    tw_status st = TW_OK;
    for (size_t i = 0; i < TWI_LEN(parts) && st == TW_OK; i++) {
        const entry *folder = find(&root->classes, parts[i].name);
        if (!folder) continue;
        part p = {.path = folder->path, .part = parts[i].part, .relative = root->relative};
        st = part_open(ctx, set, &p);
        if (st == TW_OK && i == 0) st = names_take(ctx, set, &p, filter);
        if (st == TW_OK) st = part_read(ctx, set, &p, filter);
        part_close(&p);
    }
    return st;
}

static tw_status flat_read(tw_ctx *ctx, tw_dataset *set, const part *root, const twi_filter *filter)
{
    if (root->classes.n == 0)
        return twi_fail(
            ctx, TW_ERR_DATA,
            "%s: no class in it (%zu files, no folder); put the photos of each class in "
            "a sub-folder named after it",
            root->path, root->all.n);
    const tw_status st = names_take(ctx, set, root, filter);
    return st == TW_OK ? part_read(ctx, set, root, filter) : st;
}

tw_status twi_folder_read(tw_ctx *ctx, const char *path, const twi_filter *filter, tw_dataset *set)
{
    const size_t length = strlen(path);
    part root = {.path = path, .part = TW_PART_NONE};
    root.relative = length + (length > 0 && path[length - 1] != '/');
    bool parts;
    tw_status st = part_open(ctx, set, &root);
    if (st == TW_OK) st = has_train(ctx, set, &root, &parts);
    if (st == TW_OK)
        st = parts ? parts_read(ctx, set, &root, filter) : flat_read(ctx, set, &root, filter);
    part_close(&root);
    return st;
}
