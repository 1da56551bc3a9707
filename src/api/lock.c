/* lock.c - flock() on a file of its own, which is removed by who holds it. */
#include "api/lock.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* False: who held the lock before has removed the file that fd is, and another may be made. */
static bool is_still(const char *path, int fd)
{
    struct stat there, held;
    return stat(path, &there) == 0 && fstat(fd, &held) == 0 && there.st_ino == held.st_ino &&
           there.st_dev == held.st_dev;
}

tw_status twi_lock_take(tw_ctx *ctx, const char *path, twi_lock *out)
{
    tw_status st = TW_OK;
    char *copy = NULL;
    for (;;) {
        const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        if (fd < 0) return twi_fail_errno(ctx, errno, "%s: cannot be made", path);
        int bad;
        while ((bad = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno) == EWOULDBLOCK ||
               bad == EINTR) {
            if ((st = twi_progress(ctx, "wait", 0, 0, 0)) != TW_OK) break;
            nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
        }
        if (st == TW_OK && bad) st = twi_fail_errno(ctx, bad, "%s: cannot be locked", path);
        if (st == TW_OK && !is_still(path, fd)) {
            close(fd);
            continue;
        }
        if (st == TW_OK) st = twi_strdup(ctx, path, &copy);
        if (st == TW_OK)
            *out = (twi_lock){fd, copy};
        else
            close(fd);
        return st;
    }
}

tw_status twi_lock_try(tw_ctx *ctx, const char *path, twi_lock *out)
{
    char *copy = NULL;
    *out = (twi_lock){.fd = -1};
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0) return twi_fail_errno(ctx, errno, "%s: cannot be made", path);
    tw_status st = TW_OK;
    const bool held = flock(fd, LOCK_EX | LOCK_NB) == 0 && is_still(path, fd);
    if (held) st = twi_strdup(ctx, path, &copy);
    if (held && st == TW_OK)
        *out = (twi_lock){fd, copy};
    else
        close(fd);
    return st;
}

void twi_lock_release(twi_lock *lock)
{
    if (lock->path) unlink(lock->path);
    if (lock->fd >= 0) close(lock->fd);
    twi_free(lock->path);
    *lock = (twi_lock){.fd = -1};
}
