#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct frame {   /* one folder on the way down */
    char *names;         /* each: one byte of type (d_type), then the name, NUL-ended */
    const char **sorted; /* [count] into names */
    size_t count, next;
    size_t path_length; /* of the folder's own path, with its slash */
} frame;

typedef struct folder_id {
    dev_t device;
    ino_t inode;
    bool used;
} folder_id;

struct walk {
    frame *frames; /* [depth] */
    size_t depth, frame_capacity;
    char *path;
    size_t path_capacity;
    folder_id *seen; /* open addressing, a power of two */
    size_t seen_count, seen_capacity;
    size_t special;
    bool started;
};

/* ---- folders seen -------------------------------------------------------------------------- */

static folder_id *seen_slot(folder_id *table, size_t capacity, dev_t device, ino_t inode)
{
    /* Fibonacci hashing: Knuth, TAOCP vol. 3, 6.4 */
    uint64_t hash = ((uint64_t)inode ^ (uint64_t)device << 32) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = (size_t)(hash >> 20) & (capacity - 1);; i = (i + 1) & (capacity - 1))
        if (!table[i].used || (table[i].device == device && table[i].inode == inode))
            return &table[i];
}

static bool seen_grow(walk *w)
{
    if (2 * (w->seen_count + 1) <= w->seen_capacity) return true;
    const size_t capacity = w->seen_capacity ? 2 * w->seen_capacity : 64;
    folder_id *const table = calloc(capacity, sizeof *table);
    if (!table) return false;
    for (size_t i = 0; i < w->seen_capacity; i++)
        if (w->seen[i].used)
            *seen_slot(table, capacity, w->seen[i].device, w->seen[i].inode) = w->seen[i];
    free(w->seen);
    w->seen = table;
    w->seen_capacity = capacity;
    return true;
}

typedef enum enter_result { ENTERED, ALREADY_SEEN, ENTER_ERRNO, ENTER_NOMEM } enter_result;

static enter_result mark_seen(walk *w, const struct stat *info)
{
    if (!seen_grow(w)) return ENTER_NOMEM;
    folder_id *const slot = seen_slot(w->seen, w->seen_capacity, info->st_dev, info->st_ino);
    if (slot->used) return ALREADY_SEEN;
    *slot = (folder_id){info->st_dev, info->st_ino, true};
    w->seen_count++;
    return ENTERED;
}

/* ---- one folder ---------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a + 1,
                  *(const char *const *)b + 1); /* byte order, past the type */
}

static void frame_free(frame *f)
{
    free(f->names);
    free(f->sorted);
}

/* Every name of dir into f->names; *size is what they take. */
static enter_result read_names(DIR *dir, frame *f, size_t *size)
{
    size_t capacity = 0;
    for (;;) {
        errno = 0;
        const struct dirent *const entry = readdir(dir);
        if (!entry) return errno ? ENTER_ERRNO : ENTERED;
        if (entry->d_name[0] == '.') continue; /* hidden, and the folder's own two */
        const size_t need = strlen(entry->d_name) + 2;
        if (*size + need > capacity) {
            capacity = 2 * capacity + need + 1024;
            char *const names = realloc(f->names, capacity);
            if (!names) return ENTER_NOMEM;
            f->names = names;
        }
        f->names[*size] = (char)entry->d_type;
        memcpy(f->names + *size + 1, entry->d_name, need - 1);
        *size += need;
        f->count++;
    }
}

static enter_result frame_fill(frame *f, DIR *dir)
{
    size_t size = 0;
    const enter_result r = read_names(dir, f, &size);
    if (r != ENTERED) return r;
    f->sorted = malloc((f->count + 1) * sizeof *f->sorted);
    if (!f->sorted) return ENTER_NOMEM;
    const char *at = f->names;
    for (size_t i = 0; i < f->count; i++) {
        f->sorted[i] = at;
        at += 1 + strlen(at + 1) + 1;
    }
    qsort(f->sorted, f->count, sizeof *f->sorted, by_name);
    return ENTERED;
}

/* ---- the way down -------------------------------------------------------------------------- */

/* Puts name behind the first length bytes of the path. */
static bool path_set(walk *w, size_t length, const char *name)
{
    const size_t n = strlen(name);
    if (length + n + 2 > w->path_capacity) {
        const size_t capacity = 2 * (length + n) + 64;
        char *const path = realloc(w->path, capacity);
        if (!path) return false;
        w->path = path;
        w->path_capacity = capacity;
    }
    memcpy(w->path + length, name, n + 1);
    return true;
}

static enter_result push(walk *w, DIR *dir, const struct stat *info)
{
    enter_result r = mark_seen(w, info);
    if (r != ENTERED) return r;
    if (w->depth == w->frame_capacity) {
        const size_t capacity = 2 * w->frame_capacity + 8;
        frame *const frames = realloc(w->frames, capacity * sizeof *frames);
        if (!frames) return ENTER_NOMEM;
        w->frames = frames;
        w->frame_capacity = capacity;
    }
    frame *const f = &w->frames[w->depth];
    *f = (frame){0};
    if ((r = frame_fill(f, dir)) != ENTERED) {
        const int why = errno;
        frame_free(f);
        errno = why;
        return r;
    }
    size_t length = strlen(w->path);
    if (w->path[length - 1] != '/') { /* path_set() keeps room for it */
        w->path[length++] = '/';
        w->path[length] = '\0';
    }
    f->path_length = length;
    w->depth++;
    return ENTERED;
}

/* Enters the folder that the path names. ENTER_ERRNO: errno says why not. */
static enter_result enter(walk *w)
{
    struct stat info;
    const int fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return ENTER_ERRNO;
    DIR *const dir = fdopendir(fd);
    if (!dir || fstat(fd, &info) != 0) {
        const int why = errno;
        if (dir)
            closedir(dir);
        else
            close(fd);
        errno = why;
        return why == ENOMEM ? ENTER_NOMEM : ENTER_ERRNO;
    }
    const enter_result r = push(w, dir, &info);
    const int why = errno;
    closedir(dir);
    errno = why;
    return r;
}

/* The d_type of the path, links followed; DT_REG for one that cannot be reached: opening it will
 * tell why. */
static unsigned char type_of(const walk *w, unsigned char listed)
{
    struct stat info;
    if (listed != DT_LNK && listed != DT_UNKNOWN) return listed;
    if (stat(w->path, &info) != 0) return DT_REG;
    return (unsigned char)IFTODT(info.st_mode);
}

walk *walk_new(const char *folder)
{
    walk *const w = calloc(1, sizeof *w);
    if (w && path_set(w, 0, folder)) return w;
    walk_free(w);
    return NULL;
}

void walk_free(walk *w)
{
    if (!w) return;
    while (w->depth) frame_free(&w->frames[--w->depth]);
    free(w->frames);
    free(w->path);
    free(w->seen);
    free(w);
}

size_t walk_special_count(const walk *w)
{
    return w->special;
}

/* Moves to the next name and says its type; DT_UNKNOWN: no more names; sets *nomem instead of
 * failing. */
static unsigned char step(walk *w, bool *nomem)
{
    while (w->depth) {
        frame *const f = &w->frames[w->depth - 1];
        if (f->next == f->count) {
            frame_free(f);
            w->depth--;
            continue;
        }
        const char *const entry = f->sorted[f->next++];
        *nomem = !path_set(w, f->path_length, entry + 1);
        return *nomem ? DT_UNKNOWN : type_of(w, (unsigned char)entry[0]);
    }
    return DT_UNKNOWN;
}

walk_result walk_next(walk *w, const char **path, int *error_number)
{
    for (;;) {
        bool nomem = false;
        const unsigned char type = w->started ? step(w, &nomem) : DT_DIR;
        w->started = true;
        *path = w->path;
        if (nomem) return WALK_NOMEM;
        if (type == DT_UNKNOWN) return WALK_END;
        if (type == DT_REG) return WALK_FILE;
        if (type != DT_DIR) {
            w->special++;
            continue;
        }
        const enter_result r = enter(w);
        *error_number = errno;
        if (r == ENTER_NOMEM) return WALK_NOMEM;
        if (r == ENTER_ERRNO) return WALK_ERROR;
    }
}
