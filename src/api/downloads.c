/* downloads.c - tw_downloads_clear(): what pulls have left on their way (pull.c says where). */
#include "api/lock.h"
#include "base/memory.h"
#include "features/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIGITS 16 /* of the address, after the name */

/* Length of NAME in "NAME-0123456789abcdef"; 0: no folder of a pull's. */
static size_t name_length(const char *folder)
{
    const size_t length = strlen(folder);
    if (length < DIGITS + 2 || folder[0] == '.') return 0;
    const char *digits = folder + length - DIGITS;
    return digits[-1] == '-' && strspn(digits, "0123456789abcdef") == DIGITS ? length - DIGITS - 1
                                                                             : 0;
}

static DIR *open_folder(int at, const char *name)
{
    const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder && fd >= 0) close(fd);
    return folder;
}

/* Removes the regular files in the folder name of at, then it, unless it holds anything else. */
static bool remove_folder(int at, const char *name, size_t *bytes)
{
    DIR *folder = open_folder(at, name);
    const struct dirent *entry;
    struct stat info;
    if (!folder) return false;
    while ((entry = readdir(folder)))
        if (fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode) && unlinkat(dirfd(folder), entry->d_name, 0) == 0)
            *bytes += (size_t)info.st_blocks * 512;
    closedir(folder);
    return unlinkat(at, name, AT_REMOVEDIR) == 0;
}

/* One entry of downloads: left alone when a pull is at it, or when it is none of ours. */
static tw_status clear_entry(tw_ctx *ctx, const char *downloads, int at, const char *name,
                             size_t *bytes)
{
    twi_lock lock = {.fd = -1};
    char *path;
    const size_t length = name_length(name);
    if (length == 0) return TW_OK;
    tw_status st = twi_asprintf(ctx, &path, "%s/%.*s.lock", downloads, (int)length, name);
    if (st != TW_OK) return st;
    st = twi_lock_try(ctx, path, &lock);
    twi_free(path);
    if (st != TW_OK || lock.fd < 0) return st;
    if (!remove_folder(at, name, bytes) && errno != ENOENT)
        st = twi_fail_errno(ctx, errno, "%s/%s cannot be removed", downloads, name);
    twi_lock_release(&lock);
    return st;
}

tw_status tw_downloads_clear(tw_ctx *ctx, const char *folder, size_t *bytes)
{
    char *cache = NULL, *downloads = NULL;
    DIR *all = NULL;
    const struct dirent *entry;
    *bytes = 0;
    tw_status st = twi_cache_folder(ctx, folder, &cache);
    if (st == TW_OK) st = twi_asprintf(ctx, &downloads, "%s/downloads", cache);
    if (st != TW_OK) goto done;
    all = open_folder(AT_FDCWD, downloads);
    if (!all) {
        if (errno != ENOENT) st = twi_fail_errno(ctx, errno, "%s cannot be read", downloads);
        goto done;
    }
    while (st == TW_OK && (entry = readdir(all)))
        st = clear_entry(ctx, downloads, dirfd(all), entry->d_name, bytes);
    (void)rmdir(downloads); /* stays while anything is in it */
done:
    if (all) closedir(all);
    twi_free(cache);
    twi_free(downloads);
    return st;
}
