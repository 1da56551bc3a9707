/* examine.c - which of the files found are photos. Opens each one once, in parallel, and reads its
 * first bytes; what is known not to be a regular file is never opened. */
#include "dataset/store.h"

#include "base/threads.h"
#include "dataset/sniff.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRAIN 64             /* files one call of a worker looks at */
#define BLOCK ((size_t)8192) /* files between two progress reports */

typedef enum verdict { PHOTO, HIDDEN, FOLDER, NOT_REGULAR, EMPTY, NOT_PICTURE, DANGLING } verdict;

static const char *const reasons[] = {
    [PHOTO] = "",
    [HIDDEN] = "hidden file",
    [FOLDER] = "a folder, not a picture file",
    [NOT_REGULAR] = "not a regular file (a pipe, socket or device)",
    [EMPTY] = "empty file",
    [NOT_PICTURE] = "does not start like a picture",
    [DANGLING] = "a symbolic link that leads nowhere",
};

typedef struct job {
    const twi_photo *photos;
    int16_t *verdicts; /* one a photo: a verdict, or -errno */
    size_t from, to;
    bool listed;
} job;

static bool is_hidden(const char *path)
{
    const char *slash = strrchr(path, '/');
    return (slash ? slash + 1 : path)[0] == '.';
}

/* What stat() says of a file that may be anything. */
static int kind_of(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        const int error = errno;
        const bool link = error == ENOENT && lstat(path, &info) == 0;
        return link ? DANGLING : -error;
    }
    if (S_ISDIR(info.st_mode)) return FOLDER;
    return S_ISREG(info.st_mode) ? PHOTO : NOT_REGULAR;
}

static int head_of(const char *path)
{
    /* O_NONBLOCK: should a pipe take the file's place now, open() does not wait for its writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -errno;
    unsigned char head[TWI_SNIFF_BYTES];
    size_t size = 0;
    int found = PHOTO;
    while (size < sizeof head) {
        const ssize_t n = read(fd, head + size, sizeof head - size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) found = -errno;
        if (n <= 0) break;
        size += (size_t)n;
    }
    close(fd);
    if (found != PHOTO) return found;
    if (size == 0) return EMPTY;
    return twi_sniff_picture(head, size) ? PHOTO : NOT_PICTURE;
}

static int verdict_on(const twi_photo *photo, bool listed)
{
    if (!listed && is_hidden(photo->path)) return HIDDEN;
    if (!photo->regular) {
        const int kind = kind_of(photo->path);
        if (kind != PHOTO) return kind;
    }
    return head_of(photo->path);
}

static tw_status examine_some(tw_ctx *ctx, void *user, size_t chunk)
{
    (void)ctx;
    const job *j = user;
    const size_t from = j->from + chunk * GRAIN;
    const size_t to = from + GRAIN < j->to ? from + GRAIN : j->to;
    for (size_t i = from; i < to; i++)
        j->verdicts[i] = (int16_t)verdict_on(&j->photos[i], j->listed);
    return TW_OK;
}

static tw_status reason_of(tw_ctx *ctx, tw_dataset *set, int found, const char **reason)
{
    if (found >= 0) {
        *reason = reasons[found];
        return TW_OK;
    }
    char buffer[200], *copy;
    const char *text = strerror_r(-found, buffer, sizeof buffer); /* GNU's: thread-safe */
    const tw_status st = twi_arena_text(ctx, &set->text, text, strlen(text), &copy);
    if (st == TW_OK) *reason = copy;
    return st;
}

/* Drops what is no photo, keeping order on both sides. verdicts is indexed from from. */
static tw_status keep_photos(tw_ctx *ctx, tw_dataset *set, size_t from, const int16_t *verdicts)
{
    size_t kept = from;
    for (size_t i = from; i < set->n_photos; i++) {
        const twi_photo photo = set->photos[i];
        if (verdicts[i - from] == PHOTO) {
            set->photos[kept++] = photo;
            continue;
        }
        const char *reason;
        tw_status st = reason_of(ctx, set, verdicts[i - from], &reason);
        if (st == TW_OK) st = twi_store_skip(ctx, set, photo.path, reason);
        if (st != TW_OK) return st;
    }
    set->n_photos = kept;
    return TW_OK;
}

tw_status twi_store_examine(tw_ctx *ctx, tw_dataset *set, size_t from, bool listed)
{
    int16_t *verdicts;
    const size_t n = set->n_photos - from;
    tw_status st = twi_alloc(ctx, n, &verdicts);
    if (st != TW_OK) return st;
    job j = {.photos = set->photos + from, .verdicts = verdicts, .listed = listed};
    for (j.from = 0; j.from < n; j.from = j.to) {
        j.to = n - j.from < BLOCK ? n : j.from + BLOCK;
        const size_t chunks = (j.to - j.from + GRAIN - 1) / GRAIN;
        if ((st = twi_parallel(ctx, 0, chunks, examine_some, &j)) != TW_OK) goto done;
        if ((st = twi_progress(ctx, "scan", j.to, n, 0)) != TW_OK) goto done;
    }
    st = keep_photos(ctx, set, from, verdicts);
done:
    twi_free(verdicts);
    return st;
}
