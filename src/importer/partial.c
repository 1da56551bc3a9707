/* partial.c - the file behind a download, and path.from, a small JSON file that says what it is a
 * part of. path.from is written before the first byte: bytes that nobody can place are dropped. */
#include "importer/partial.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MAX_FROM_BYTES 65536

struct twi_partial {
    int fd;
    char *path, *from_path, *address;
    twi_validators of;
    uint64_t bytes, kept;
};

/* ---- path.from ----------------------------------------------------------------------------- */

static void copy_text(char *out, size_t size, const char *text)
{
    const size_t n = strlen(text);
    out[0] = '\0';
    if (n < size) memcpy(out, text, n + 1);
}

/* False: there is none, or it is of another address. */
static bool read_from(twi_partial *p)
{
    unsigned char *text = NULL;
    size_t capacity = 0, size = 0;
    twi_json *from = NULL;
    bool fine = false;
    if (twi_file_read(NULL, p->from_path, MAX_FROM_BYTES, &text, &capacity, &size) == TW_OK &&
        twi_json_parse(NULL, p->from_path, (const char *)text, size, &from) == TW_OK)
        fine = strcmp(twi_json_as_text(twi_json_get(from, "address"), ""), p->address) == 0;
    if (fine) {
        const int64_t total = twi_json_as_integer(twi_json_get(from, "bytes"), 0);
        p->of.total = total > 0 ? (uint64_t)total : 0;
        copy_text(p->of.etag, sizeof p->of.etag, twi_json_as_text(twi_json_get(from, "etag"), ""));
        copy_text(p->of.modified, sizeof p->of.modified,
                  twi_json_as_text(twi_json_get(from, "modified"), ""));
    }
    twi_json_free(from);
    twi_free(text);
    return fine;
}

static tw_status write_from(tw_ctx *ctx, const twi_partial *p)
{
    char *text = NULL;
    size_t size = 0;
    twi_outfile *file = NULL;
    tw_status st;
    twi_json *from = twi_json_object();
    bool fine = twi_json_set(from, "address", twi_json_text(p->address));
    fine = fine && twi_json_set(from, "bytes", twi_json_integer((int64_t)p->of.total));
    /* A validator that is not UTF-8 cannot be kept; the file then starts over next time. */
    if (fine && p->of.etag[0]) (void)twi_json_set(from, "etag", twi_json_text(p->of.etag));
    if (fine && p->of.modified[0])
        (void)twi_json_set(from, "modified", twi_json_text(p->of.modified));
    if (!fine) {
        st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for what %s is of", p->path);
        goto done;
    }
    if ((st = twi_json_print(ctx, from, &text, &size)) != TW_OK) goto done;
    if ((st = twi_outfile_open(ctx, p->from_path, &file)) != TW_OK) goto done;
    if ((st = twi_outfile_write(ctx, file, text, size)) != TW_OK) goto done;
    st = twi_outfile_commit(ctx, file);
done:
    twi_outfile_free(file);
    twi_free(text);
    twi_json_free(from);
    return st;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* An importer whose parent was killed ends at its next word; until then the file is its own. */
static bool lock_file(int fd)
{
    for (int i = 0; i < 100; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK && errno != EINTR) return true; /* a file system without locks */
        nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000L}, NULL);
    }
    return false;
}

/* Only a regular file of ours: a link or a device there is somebody's trick. */
static tw_status open_file(tw_ctx *ctx, twi_partial *p)
{
    struct stat info;
    p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (p->fd < 0) return twi_fail_errno(ctx, errno, "%s: cannot be written", p->path);
    if (fstat(p->fd, &info) != 0) return twi_fail_errno(ctx, errno, "%s", p->path);
    if (!S_ISREG(info.st_mode)) return twi_fail(ctx, TW_ERR_IO, "%s: not a regular file", p->path);
    if (!lock_file(p->fd))
        return twi_fail(ctx, TW_ERR_IO, "%s: another process is writing it", p->path);
    if (fstat(p->fd, &info) != 0) return twi_fail_errno(ctx, errno, "%s", p->path);
    p->bytes = (uint64_t)info.st_size;
    return TW_OK;
}

tw_status twi_partial_open(tw_ctx *ctx, const char *path, const char *address, twi_partial **out)
{
    twi_partial *p;
    tw_status st = twi_zalloc(ctx, 1, &p);
    if (st != TW_OK) return st;
    p->fd = -1;
    if ((st = twi_strdup(ctx, path, &p->path)) != TW_OK) goto done;
    if ((st = twi_strdup(ctx, address, &p->address)) != TW_OK) goto done;
    if ((st = twi_asprintf(ctx, &p->from_path, "%s.from", path)) != TW_OK) goto done;
    if ((st = open_file(ctx, p)) != TW_OK) goto done;
    if (p->bytes > 0 && (!read_from(p) || (p->of.total > 0 && p->bytes > p->of.total)))
        st = twi_partial_restart(ctx, p, &(twi_validators){.total = 0});
    if (st != TW_OK) goto done;
    p->kept = p->bytes;
    *out = p, p = NULL; /* handed over */
done:
    twi_partial_free(p);
    return st;
}

void twi_partial_free(twi_partial *p)
{
    if (!p) return;
    if (p->fd >= 0 && p->bytes == 0) { /* nothing to go on from */
        unlink(p->path);
        unlink(p->from_path);
    }
    if (p->fd >= 0) close(p->fd);
    twi_free(p->path);
    twi_free(p->from_path);
    twi_free(p->address);
    twi_free(p);
}

/* ---- asking -------------------------------------------------------------------------------- */

uint64_t twi_partial_bytes(const twi_partial *p)
{
    return p->bytes;
}

uint64_t twi_partial_total(const twi_partial *p)
{
    return p->of.total;
}

uint64_t twi_partial_kept(const twi_partial *p)
{
    return p->kept;
}

bool twi_partial_whole(const twi_partial *p)
{
    return p->of.total > 0 && p->bytes == p->of.total;
}

const char *twi_partial_validator(const twi_partial *p)
{
    if (p->of.etag[0] == '"') return p->of.etag; /* W/"..." is weak */
    return p->of.modified[0] ? p->of.modified : NULL;
}

bool twi_partial_fits(const twi_partial *p, const twi_validators *now)
{
    if (p->of.total > 0 && now->total > 0 && p->of.total != now->total) return false;
    if (p->of.etag[0] && now->etag[0]) return strcmp(p->of.etag, now->etag) == 0;
    return true;
}

/* ---- writing ------------------------------------------------------------------------------- */

tw_status twi_partial_restart(tw_ctx *ctx, twi_partial *p, const twi_validators *now)
{
    if (ftruncate(p->fd, 0) != 0)
        return twi_fail_errno(ctx, errno, "%s: cannot be emptied", p->path);
    p->bytes = p->kept = 0;
    p->of = *now;
    return write_from(ctx, p);
}

tw_status twi_partial_room(tw_ctx *ctx, const twi_partial *p, uint64_t total)
{
    struct statvfs disk;
    if (total <= p->bytes || fstatvfs(p->fd, &disk) != 0) return TW_OK; /* writing will tell */
    const uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (total - p->bytes <= room) return TW_OK;
    return twi_fail(ctx, TW_ERR_IO, "%s: %llu bytes are to come and the disk has room for %llu",
                    p->path, (unsigned long long)(total - p->bytes), (unsigned long long)room);
}

tw_status twi_partial_add(tw_ctx *ctx, twi_partial *p, const void *data, size_t size)
{
    const unsigned char *at = data;
    if (p->of.total > 0 && size > p->of.total - p->bytes)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "the server sends more than the %llu bytes it announced",
                        (unsigned long long)p->of.total);
    while (size > 0) {
        const ssize_t n = pwrite(p->fd, at, size, (off_t)p->bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return twi_fail_errno(ctx, errno,
                                  "%s: cannot be written after %llu bytes, which are kept", p->path,
                                  (unsigned long long)p->bytes);
        at += n;
        size -= (size_t)n;
        p->bytes += (uint64_t)n;
    }
    return TW_OK;
}

tw_status twi_partial_finish(tw_ctx *ctx, twi_partial *p)
{
    if (fsync(p->fd) != 0) return twi_fail_errno(ctx, errno, "%s: cannot be synced", p->path);
    if (p->of.total > 0) return TW_OK;
    p->of.total = p->bytes;
    return write_from(ctx, p);
}
