/* open.c - the feature cache's files: opened, measured, found damaged, removed. */
#include "features/cache/private.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *const table_names[TABLES] = {"rows", "used", "order", "files", "facts"};

#define FORMAT        "topwork features 1"
#define DEFAULT_BYTES ((size_t)4 << 30)
#define LEAST_BYTES   ((size_t)1 << 20)
#define FIRST_MAP     ((size_t)32 << 20)

static MDB_val value_of(const void *data, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)data};
}

/* min(cap, what the disk has left and the file has already, half the address space limit). */
static size_t limit_of(const char *data, size_t cap, size_t file_bytes)
{
    struct statvfs disk;
    struct rlimit space;
    size_t limit = cap;
    if (statvfs(data, &disk) == 0) {
        const uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize + file_bytes;
        if (left < limit) limit = (size_t)left;
    }
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY &&
        space.rlim_cur / 2 < limit)
        limit = (size_t)(space.rlim_cur / 2);
    if (limit < LEAST_BYTES) limit = LEAST_BYTES;
    if (limit < file_bytes) limit = file_bytes; /* what is there must be mapped to be read */
    return limit / 4096 * 4096;
}

/* ---- opening ------------------------------------------------------------------------------- */

static tw_status make_folder(tw_ctx *ctx, const char *path)
{
    const tw_status st = twi_folder_make(ctx, path);
    return st == TW_OK ? TW_OK : twi_fail_prefix(ctx, st, "cache %s: ", path);
}

/* LMDB loses its locks when one process opens a file twice; who else has it mapped stands in
 * /proc/self/maps. */
static bool mapped_here(const struct stat *file)
{
    char line[4096];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && !found && fgets(line, sizeof line, maps)) {
        unsigned long inode = 0;
        if (sscanf(line, "%*s %*s %*s %*s %lu", &inode) == 1)
            found = inode == (unsigned long)file->st_ino && strstr(line, "/data.mdb") != NULL;
    }
    if (maps) fclose(maps);
    return found;
}

static tw_status refuse(tw_ctx *ctx, const tw_cache *cache, int error)
{
    if (error == MDB_INVALID || error == MDB_VERSION_MISMATCH || error == MDB_CORRUPTED ||
        error == MDB_PAGE_NOTFOUND || error == MDB_PANIC || error == MDB_BAD_DBI ||
        error == MDB_INCOMPATIBLE)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "cache %s: features/data.mdb is damaged or not a feature cache (%s); "
                        "'topwork cache clear' starts a new one",
                        cache->folder, mdb_strerror(error));
    if (error == ENOMEM) return twi_fail(ctx, TW_ERR_NOMEM, "cache %s: no memory", cache->folder);
    return twi_fail(ctx, TW_ERR_IO, "cache %s: %s", cache->folder, mdb_strerror(error));
}

/* The tables, and what kind of file it is. */
static int open_tables(tw_cache *cache)
{
    MDB_txn *txn;
    MDB_val k = value_of("format", 6), v = value_of(FORMAT, sizeof FORMAT);
    int error = mdb_txn_begin(cache->env, NULL, 0, &txn);
    if (error != 0) return error;
    for (size_t t = 0; t < TABLES && error == 0; t++)
        error = mdb_dbi_open(txn, table_names[t], MDB_CREATE, &cache->tables[t]);
    if (error == 0) error = mdb_put(txn, cache->tables[FACTS], &k, &v, MDB_NOOVERWRITE);
    if (error == MDB_KEYEXIST)
        error = v.mv_size == sizeof FORMAT && memcmp(v.mv_data, FORMAT, sizeof FORMAT) == 0
                    ? 0
                    : MDB_INVALID;
    uint64_t run = 0;
    k = value_of("run", 3);
    if (error == 0 && mdb_get(txn, cache->tables[FACTS], &k, &v) == 0 && v.mv_size == sizeof run)
        memcpy(&run, v.mv_data, sizeof run);
    cache->run = run + 1;
    v = value_of(&cache->run, sizeof cache->run);
    if (error == 0) error = mdb_put(txn, cache->tables[FACTS], &k, &v, 0);
    if (error == 0) return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return error;
}

/* Reading pages that the file has not raises SIGBUS. It may lack some rightly, since LMDB does not
 * write pages at its end that were freed in the transaction that made them, or it was cut short.
 * Holes are zeros, which LMDB answers with an error; walk_all() tells the two apart. */
static int fill_up(const tw_cache *cache, const MDB_envinfo *info, bool *was_short)
{
    MDB_stat page;
    struct stat file;
    int fd, error = mdb_env_stat(cache->env, &page);
    if (error == 0) error = mdb_env_get_fd(cache->env, &fd);
    if (error == 0 && fstat(fd, &file) != 0) error = errno;
    if (error != 0) return error;
    const off_t whole = (off_t)(info->me_last_pgno + 1) * (off_t)page.ms_psize;
    *was_short = file.st_size < whole;
    return *was_short && ftruncate(fd, whole) != 0 ? errno : 0;
}

static int walk_all(const tw_cache *cache)
{
    MDB_txn *txn = NULL;
    MDB_val key, value;
    int error = mdb_txn_begin(cache->env, NULL, MDB_RDONLY, &txn);
    for (size_t t = 0; t < TABLES && error == 0; t++) {
        MDB_cursor *cursor;
        if ((error = mdb_cursor_open(txn, cache->tables[t], &cursor)) != 0) break;
        while ((error = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) continue;
        if (error == MDB_NOTFOUND) error = 0;
        mdb_cursor_close(cursor);
    }
    if (txn) mdb_txn_abort(txn);
    return error;
}

static tw_status open_env(tw_ctx *ctx, tw_cache *cache, size_t cap)
{
    struct stat file = {0};
    char *path;
    MDB_envinfo info;
    tw_status st = twi_asprintf(ctx, &path, "%s/data.mdb", cache->data);
    if (st != TW_OK) return st;
    const bool there = stat(path, &file) == 0;
    twi_free(path);
    if (there && mapped_here(&file))
        return twi_fail(ctx, TW_ERR_ARG, "cache %s is open in this process already", cache->folder);
    cache->limit = limit_of(cache->data, cap, (size_t)file.st_size);
    cache->map = cache->limit < FIRST_MAP ? cache->limit : FIRST_MAP;
    if (cache->map < (size_t)file.st_size) cache->map = (size_t)file.st_size;
    int error = mdb_env_create(&cache->env);
    if (error == 0) error = mdb_env_set_maxdbs(cache->env, TABLES);
    if (error == 0) error = mdb_env_set_maxreaders(cache->env, 1022);
    if (error == 0) error = mdb_env_set_mapsize(cache->env, cache->map);
    if (error == 0) error = mdb_env_open(cache->env, cache->data, MDB_NOTLS | MDB_NOMETASYNC, 0600);
    if (error == 0) error = mdb_env_info(cache->env, &info);
    if (error == 0) cache->map = info.me_mapsize;
    int dead;
    bool was_short = false;
    if (error == 0) (void)mdb_reader_check(cache->env, &dead);
    if (error == 0) error = fill_up(cache, &info, &was_short);
    if (error == 0) error = open_tables(cache);
    if (error == MDB_MAP_RESIZED && (error = twi_cache_map(cache, 0)) == 0)
        error = open_tables(cache);
    if (error == 0 && was_short) error = walk_all(cache);
    return error == 0 ? TW_OK : refuse(ctx, cache, error);
}

tw_status twi_cache_folder(tw_ctx *ctx, const char *given, char **out)
{
    const char *const xdg = getenv("XDG_CACHE_HOME"), *const home = getenv("HOME");
    if (given) return twi_strdup(ctx, given, out);
    if (xdg && xdg[0] == '/') return twi_asprintf(ctx, out, "%s/topwork", xdg);
    if (home && home[0] == '/') return twi_asprintf(ctx, out, "%s/.cache/topwork", home);
    return twi_fail(ctx, TW_ERR_ARG,
                    "no folder for the cache: neither XDG_CACHE_HOME nor HOME is an absolute path");
}

void tw_cache_opts_init(tw_cache_opts *opts)
{
    *opts = (tw_cache_opts){.size_bytes = sizeof *opts};
}

tw_status tw_cache_open(tw_ctx *ctx, const tw_cache_opts *opts, tw_cache **out)
{
    tw_cache *cache;
    tw_status st;
    if (opts && opts->size_bytes != sizeof *opts)
        return twi_fail(ctx, TW_ERR_ARG,
                        "cache options of %zu bytes; this library has %zu: use _init",
                        opts->size_bytes, sizeof *opts);
    const size_t cap = opts && opts->max_bytes ? opts->max_bytes : DEFAULT_BYTES;
    if (cap < LEAST_BYTES)
        return twi_fail(ctx, TW_ERR_ARG, "a cache of %zu bytes; need at least %zu", cap,
                        LEAST_BYTES);
    if ((st = twi_zalloc(ctx, 1, &cache)) != TW_OK) return st;
    pthread_rwlock_init(&cache->map_lock, NULL);
    pthread_mutex_init(&cache->lock, NULL);
    cache->owner = getpid();
    if ((st = twi_cache_folder(ctx, opts ? opts->folder : NULL, &cache->folder)) != TW_OK)
        goto done;
    if ((st = twi_asprintf(ctx, &cache->data, "%s/features", cache->folder)) != TW_OK) goto done;
    if ((st = make_folder(ctx, cache->data)) != TW_OK) goto done;
    if ((st = open_env(ctx, cache, cap)) != TW_OK) goto done;
    *out = cache, cache = NULL; /* handed over */
done:
    tw_cache_free(cache);
    return st;
}

void tw_cache_free(tw_cache *cache)
{
    if (!cache) return;
    twi_cache_flush(NULL, cache, true);
    if (cache->env && twi_cache_usable(cache)) mdb_env_close(cache->env);
    pthread_rwlock_destroy(&cache->map_lock);
    pthread_mutex_destroy(&cache->lock);
    twi_free(cache->queue);
    twi_free(cache->bytes);
    twi_free(cache->trouble);
    twi_free(cache->data);
    twi_free(cache->folder);
    twi_free(cache);
}

/* ---- asking and clearing ------------------------------------------------------------------- */

tw_status tw_cache_describe(tw_ctx *ctx, tw_cache *cache, tw_cache_info *out)
{
    MDB_stat rows, files;
    twi_cache_flush(ctx, cache, true);
    MDB_txn *txn = twi_cache_read(cache);
    if (!txn) return twi_fail(ctx, TW_ERR_IO, "cache %s cannot be read", cache->folder);
    *out = (tw_cache_info){.folder = cache->folder,
                           .limit_bytes = cache->limit,
                           .used_bytes = twi_cache_pages(cache, txn)};
    int error = mdb_stat(txn, cache->tables[ROWS], &rows);
    if (error == 0) error = mdb_stat(txn, cache->tables[FILES], &files);
    twi_cache_read_end(cache, txn);
    if (error != 0) return refuse(ctx, cache, error);
    out->rows = rows.ms_entries;
    out->files = files.ms_entries;
    return TW_OK;
}

/* The folder of data leaves its place in one step, so that a process that opens the cache meanwhile
 * finds both of LMDB's files or neither, and one that has it open goes on undisturbed. */
tw_status tw_cache_clear(tw_ctx *ctx, const char *folder, size_t *bytes)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    char *base = NULL, *data = NULL, *gone = NULL;
    struct stat s;
    *bytes = 0;
    tw_status st = twi_cache_folder(ctx, folder, &base);
    if (st == TW_OK) st = twi_asprintf(ctx, &data, "%s/features", base);
    if (st == TW_OK) st = twi_asprintf(ctx, &gone, "%s/features.gone.%ld", base, (long)getpid());
    if (st != TW_OK) goto done;
    if (rename(data, gone) != 0) {
        if (errno != ENOENT) st = twi_fail_errno(ctx, errno, "cache %s cannot be cleared", base);
        goto done;
    }
    for (size_t i = 0; i < TWI_LEN(files) && st == TW_OK; i++) {
        char *path;
        if ((st = twi_asprintf(ctx, &path, "%s/%s", gone, files[i])) != TW_OK) break;
        if (stat(path, &s) == 0 && unlink(path) == 0) *bytes += (size_t)s.st_blocks * 512;
        twi_free(path);
    }
    if (st == TW_OK && rmdir(gone) != 0)
        st = twi_fail_errno(ctx, errno, "%s holds files that are not the cache's and stays", gone);
done:
    twi_free(base);
    twi_free(data);
    twi_free(gone);
    return st;
}
