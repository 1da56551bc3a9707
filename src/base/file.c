/* file.c - reading whole files, mapping, atomic replacement. */
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool twi_path_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

/* Opens a regular file to read. O_NONBLOCK keeps a FIFO from making open() wait. */
static tw_status open_regular(tw_ctx *ctx, const char *path, int *fd, struct stat *info)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0) return twi_fail_errno(ctx, errno, "%s", path);
    tw_status st = TW_OK;
    if (fstat(*fd, info) != 0)
        st = twi_fail_errno(ctx, errno, "%s", path);
    else if (S_ISDIR(info->st_mode))
        st = twi_fail(ctx, TW_ERR_IO, "%s: is a folder, not a file", path);
    else if (!S_ISREG(info->st_mode))
        st = twi_fail(ctx, TW_ERR_IO, "%s: not a regular file", path);
    else if (info->st_size < 0 || (uintmax_t)info->st_size > SIZE_MAX / 2)
        st = twi_fail(ctx, TW_ERR_IO, "%s: too large", path);
    if (st != TW_OK) close(*fd);
    return st;
}

tw_status twi_map_open(tw_ctx *ctx, const char *path, twi_map *out)
{
    int fd;
    struct stat info;
    tw_status st = open_regular(ctx, path, &fd, &info);
    if (st != TW_OK) return st;
    *out = (twi_map){.size = (size_t)info.st_size};
    if (out->size > 0) {
        void *data = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            st = twi_fail_errno(ctx, errno, "%s: cannot be mapped", path);
        else
            out->data = data;
    }
    close(fd);
    return st;
}

void twi_map_close(twi_map *map)
{
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (twi_map){0};
}

void twi_map_forget(const twi_map *map, size_t from, size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t first = (from + page - 1) / page * page;
    size_t end;
    if (twi_add(from, n, &end) || end > map->size) end = map->size;
    end = end / page * page;
    if (map->data && end > first)
        madvise((void *)(uintptr_t)(map->data + first), end - first, MADV_DONTNEED);
}

tw_status twi_file_read(tw_ctx *ctx, const char *path, size_t max_bytes, unsigned char **buffer,
                        size_t *capacity, size_t *size)
{
    int fd;
    struct stat info;
    tw_status st = open_regular(ctx, path, &fd, &info);
    if (st != TW_OK) return st;
    const size_t expected = (size_t)info.st_size;
    if (expected > max_bytes) {
        st = twi_fail(ctx, TW_ERR_DATA, "%s: %zu bytes; at most %zu are read", path, expected,
                      max_bytes);
        goto done;
    }
    if ((st = twi_grow(ctx, buffer, capacity, expected)) != TW_OK) goto done;
    size_t got = 0;
    while (got < expected) {
        const ssize_t n = read(fd, *buffer + got, expected - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            st = twi_fail_errno(ctx, errno, "%s", path);
            goto done;
        }
        if (n == 0) break; /* it shrank since fstat(): what is there is what is read */
        got += (size_t)n;
    }
    *size = got;
done:
    close(fd);
    return st;
}

/* ---- atomic replacement -------------------------------------------------------------------- */

struct twi_outfile {
    int fd;
    char *path; /* the final one, symlinks resolved */
    char *temp; /* NULL once renamed */
    size_t size;
};

/* Where the bytes go in the end: the target of path when it is a symlink, path itself otherwise. */
static tw_status final_path(tw_ctx *ctx, const char *path, char **out)
{
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode)) {
        char resolved[PATH_MAX];
        if (realpath(path, resolved)) return twi_strdup(ctx, resolved, out);
        return twi_fail_errno(ctx, errno, "%s: a symbolic link that leads nowhere", path);
    }
    return twi_strdup(ctx, path, out);
}

/* The mode of the file to be replaced, or what the umask leaves of 0666. */
static tw_status final_mode(tw_ctx *ctx, const char *path, mode_t *mode)
{
    struct stat info;
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return twi_fail(ctx, TW_ERR_IO, "%s: is a folder; need the name of a file", path);
        if (!S_ISREG(info.st_mode))
            return twi_fail(ctx, TW_ERR_IO, "%s: exists and is not a regular file", path);
        *mode = info.st_mode & 07777;
        return TW_OK;
    }
    if (errno != ENOENT) return twi_fail_errno(ctx, errno, "%s", path);
    *mode = 0; /* keep what open() gave under the umask */
    return TW_OK;
}

/* A fresh file beside path. The name is tried with a counter and O_EXCL; open() applies the umask.
 */
static tw_status open_temp(tw_ctx *ctx, twi_outfile *file)
{
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        const tw_status st =
            twi_asprintf(ctx, &file->temp, "%s.%ld-%u.part", file->path, (long)getpid(), attempt);
        if (st != TW_OK) return st;
        file->fd = open(file->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
        if (file->fd >= 0) return TW_OK;
        const int error = errno;
        twi_free(file->temp);
        file->temp = NULL;
        if (error != EEXIST) return twi_fail_errno(ctx, error, "%s: cannot be written", file->path);
    }
    return twi_fail(ctx, TW_ERR_IO, "%s: a thousand .part files stand beside it", file->path);
}

tw_status twi_outfile_open(tw_ctx *ctx, const char *path, twi_outfile **out)
{
    twi_outfile *file;
    mode_t mode;
    tw_status st = twi_zalloc(ctx, 1, &file);
    if (st != TW_OK) return st;
    file->fd = -1;
    if ((st = final_path(ctx, path, &file->path)) != TW_OK) goto done;
    if ((st = final_mode(ctx, file->path, &mode)) != TW_OK) goto done;
    if ((st = open_temp(ctx, file)) != TW_OK) goto done;
    if (mode != 0 && fchmod(file->fd, mode) != 0) {
        st = twi_fail_errno(ctx, errno, "%s: its mode cannot be kept", file->path);
        goto done;
    }
    *out = file, file = NULL; /* handed over */
done:
    twi_outfile_free(file);
    return st;
}

tw_status twi_outfile_write_at(tw_ctx *ctx, twi_outfile *file, size_t offset, const void *data,
                               size_t size)
{
    const unsigned char *at = data;
    while (size > 0) {
        const ssize_t n = pwrite(file->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return twi_fail_errno(ctx, errno, "%s: cannot be written", file->path);
        at += n;
        offset += (size_t)n;
        size -= (size_t)n;
    }
    if (offset > file->size) file->size = offset;
    return TW_OK;
}

tw_status twi_outfile_write(tw_ctx *ctx, twi_outfile *file, const void *data, size_t size)
{
    return twi_outfile_write_at(ctx, file, file->size, data, size);
}

tw_status twi_outfile_read_at(tw_ctx *ctx, twi_outfile *file, size_t offset, void *data,
                              size_t size)
{
    unsigned char *at = data;
    while (size > 0) {
        const ssize_t n = pread(file->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return twi_fail_errno(ctx, errno, "%s: cannot be read back", file->path);
        if (n == 0)
            return twi_fail(ctx, TW_ERR_IO, "%s: ends at byte %zu, %zu more were expected",
                            file->path, offset, size);
        at += n;
        offset += (size_t)n;
        size -= (size_t)n;
    }
    return TW_OK;
}

/* Makes the rename itself durable. A file system that cannot sync a folder (EINVAL) has done what
 * it can. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length >= sizeof folder) return;
    memcpy(folder, slash ? path : "", length);
    folder[length] = '\0';
    const int fd = open(length > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

tw_status twi_outfile_commit(tw_ctx *ctx, twi_outfile *file)
{
    if (fsync(file->fd) != 0) return twi_fail_errno(ctx, errno, "%s: cannot be synced", file->path);
    if (rename(file->temp, file->path) != 0)
        return twi_fail_errno(ctx, errno, "%s: cannot be replaced", file->path);
    twi_free(file->temp);
    file->temp = NULL;
    sync_folder(file->path);
    return TW_OK;
}

void twi_outfile_free(twi_outfile *file)
{
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    if (file->temp) {
        unlink(file->temp);
        twi_free(file->temp);
    }
    twi_free(file->path);
    twi_free(file);
}

bool twi_path_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

tw_status twi_folder_make(tw_ctx *ctx, const char *path)
{
    char *copy = NULL;
    tw_status st = twi_strdup(ctx, path, &copy);
    for (char *at = copy; st == TW_OK && at && *at;) {
        at = strchr(at + 1, '/');
        if (at) *at = '\0';
        const int why = mkdir(copy, 0700) == 0 ? 0 : errno;
        if (why != 0 && !twi_path_is_folder(copy))
            st = twi_fail_errno(ctx, why == EEXIST ? ENOTDIR : why, "its folder cannot be made");
        if (at) *at = '/';
    }
    twi_free(copy);
    return st;
}
