/* cache.c - the feature cache over LMDB; the only file that may include <lmdb.h>.
 *
 * Five tables in one file, FOLDER/features/data.mdb:
 *   rows   key -> 8 bytes of SHA-256 over key and row, then the row's floats
 *   used   key -> number of the run that used it last
 *   order  that number (big-endian), then key -> size of the row: the oldest stand first
 *   files  device, inode -> size, times, digest
 *   facts  key -> a number
 * One transaction writes a batch. LMDB never overwrites a page that a committed transaction uses,
 * so a process killed at any instant leaves the last commit; MDB_NOMETASYNC leaves at worst the one
 * before it after a power cut, and saves every second fsync. No MDB_WRITEMAP: a stray write must
 * not reach the file. */
#include "features/cache.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { ROWS, USED, ORDER, FILES, FACTS, TABLES };
static const char *const table_names[TABLES] = {"rows", "used", "order", "files", "facts"};

#define FORMAT        "topwork features 1"
#define DEFAULT_BYTES ((size_t)4 << 30)
#define LEAST_BYTES   ((size_t)1 << 20)
#define FIRST_MAP     ((size_t)32 << 20)
#define BATCH_BYTES   ((size_t)4 << 20)
#define BATCH_SECONDS 1.0
#define CHECK_BYTES   8
#define RACY_SECONDS  2.0

typedef struct file_entry {
    uint64_t size, mtime_s, mtime_ns, ctime_s, ctime_ns;
    twi_key digest;
} file_entry;

/* Something to be written. */
typedef struct pending {
    int table; /* ROWS, USED (a touch), FILES or FACTS */
    unsigned char key[TWI_DIGEST_BYTES];
    size_t key_size, offset, size; /* value: in bytes */
} pending;

struct tw_cache {
    char *folder; /* as given; data stands in folder/features */
    char *data;   /* folder/features */
    MDB_env *env;
    MDB_dbi tables[TABLES];
    size_t limit, map;         /* bytes the file may have, and is mapped for now */
    pid_t owner;               /* LMDB does not survive fork() */
    pthread_rwlock_t map_lock; /* written while the map is replaced; read by every transaction */
    pthread_mutex_t lock;      /* guards all below */
    pending *queue;
    size_t n, capacity;
    unsigned char *bytes; /* values of the queue */
    size_t used_bytes, bytes_capacity;
    double since;   /* when the oldest of the queue came */
    uint64_t run;   /* this opening's number */
    bool read_only; /* a write has failed: no more of them */
    char *trouble;  /* what has to be said; NULL: nothing */
};

/* ---- small things -------------------------------------------------------------------------- */

static bool usable(const tw_cache *cache)
{
    return cache && cache->owner == getpid();
}

static MDB_val value_of(const void *data, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)data};
}

static void check_of(const twi_key *key, const void *row, size_t size,
                     unsigned char check[CHECK_BYTES])
{
    twi_digest digest;
    unsigned char whole[TWI_DIGEST_BYTES];
    twi_digest_start(&digest);
    twi_digest_add(&digest, key->bytes, sizeof key->bytes);
    twi_digest_add(&digest, row, size);
    twi_digest_bytes(&digest, whole);
    memcpy(check, whole, CHECK_BYTES);
}

static void put_be64(unsigned char *to, uint64_t value)
{
    for (size_t i = 0; i < 8; i++) to[i] = (unsigned char)(value >> (56 - 8 * i));
}

/* Keeps the first sentence and writes no more. Call with the lock held. */
static void give_up(tw_cache *cache, int error, const char *what)
{
    if (!cache->read_only)
        (void)twi_asprintf(NULL, &cache->trouble,
                           "cache %s: %s: %s; the run goes on without writing "
                           "to it",
                           cache->folder, what, mdb_strerror(error));
    cache->read_only = true;
    cache->n = cache->used_bytes = 0;
}

/* ---- how large ----------------------------------------------------------------------------- */

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

/* Bytes of the pages in use. */
static size_t pages_used(const tw_cache *cache, MDB_txn *txn)
{
    size_t bytes = 0;
    for (size_t t = 0; t < TABLES; t++) {
        MDB_stat s;
        if (mdb_stat(txn, cache->tables[t], &s) == 0)
            bytes += (s.ms_branch_pages + s.ms_leaf_pages + s.ms_overflow_pages) * s.ms_psize;
    }
    return bytes;
}

/* Maps size bytes, 0: as many as another process made of it. No transaction may be open. */
static int map_again(tw_cache *cache, size_t size)
{
    MDB_envinfo info;
    pthread_rwlock_wrlock(&cache->map_lock);
    const int error = mdb_env_set_mapsize(cache->env, size);
    if (error == 0 && mdb_env_info(cache->env, &info) == 0) cache->map = info.me_mapsize;
    pthread_rwlock_unlock(&cache->map_lock);
    return error;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* A read transaction with map_lock held; NULL: none to be had. */
static MDB_txn *read_begin(tw_cache *cache)
{
    MDB_txn *txn = NULL;
    if (!usable(cache)) return NULL;
    for (int tries = 0; tries < 2; tries++) {
        pthread_rwlock_rdlock(&cache->map_lock);
        const int error = mdb_txn_begin(cache->env, NULL, MDB_RDONLY, &txn);
        if (error == 0) return txn;
        pthread_rwlock_unlock(&cache->map_lock);
        if (error != MDB_MAP_RESIZED || map_again(cache, 0) != 0) return NULL;
    }
    return NULL;
}

static void read_end(tw_cache *cache, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    pthread_rwlock_unlock(&cache->map_lock);
}

static bool add_pending(tw_cache *cache, pending what, const void *first, size_t first_size,
                        const void *rest, size_t rest_size)
{
    const size_t size = first_size + rest_size;
    bool added = false;
    pthread_mutex_lock(&cache->lock);
    if (!cache->read_only && size <= cache->limit / 4 &&
        twi_grow(NULL, &cache->queue, &cache->capacity, cache->n + 1) == TW_OK &&
        twi_grow(NULL, &cache->bytes, &cache->bytes_capacity, cache->used_bytes + size) == TW_OK) {
        if (cache->n == 0) cache->since = twi_seconds();
        what.offset = cache->used_bytes;
        what.size = size;
        if (first_size) memcpy(cache->bytes + what.offset, first, first_size);
        if (rest_size) memcpy(cache->bytes + what.offset + first_size, rest, rest_size);
        cache->used_bytes += size;
        cache->queue[cache->n++] = what;
        added = true;
    }
    pthread_mutex_unlock(&cache->lock);
    return added;
}

static pending about(int table, const void *key, size_t key_size)
{
    pending what = {.table = table, .key_size = key_size};
    memcpy(what.key, key, key_size);
    return what;
}

/* Copies the row out if it is there, whole and unharmed. *stale: used last by an earlier run. */
static bool find_row(tw_cache *cache, MDB_txn *txn, const twi_key *key, float *row, size_t n,
                     bool *stale)
{
    MDB_val k = value_of(key->bytes, sizeof key->bytes), v;
    unsigned char check[CHECK_BYTES];
    uint64_t run;
    if (mdb_get(txn, cache->tables[ROWS], &k, &v) != 0) return false;
    if (v.mv_size != CHECK_BYTES + n * sizeof *row) return false;
    memcpy(row, (const unsigned char *)v.mv_data + CHECK_BYTES, n * sizeof *row);
    check_of(key, row, n * sizeof *row, check);
    if (memcmp(check, v.mv_data, CHECK_BYTES) != 0) return false;
    *stale = true;
    if (mdb_get(txn, cache->tables[USED], &k, &v) == 0 && v.mv_size == sizeof run) {
        memcpy(&run, v.mv_data, sizeof run);
        *stale = run < cache->run;
    }
    return true;
}

bool twi_cache_get(tw_cache *cache, const twi_key *key, float *row, size_t n)
{
    bool stale = false;
    MDB_txn *txn = read_begin(cache);
    if (!txn) return false;
    const bool found = find_row(cache, txn, key, row, n, &stale);
    read_end(cache, txn);
    if (found && stale)
        add_pending(cache, about(USED, key->bytes, sizeof key->bytes), NULL, 0, NULL, 0);
    return found;
}

void twi_cache_put(tw_cache *cache, const twi_key *key, const float *row, size_t n)
{
    unsigned char check[CHECK_BYTES];
    if (!usable(cache)) return;
    check_of(key, row, n * sizeof *row, check);
    add_pending(cache, about(ROWS, key->bytes, sizeof key->bytes), check, sizeof check, row,
                n * sizeof *row);
}

bool twi_cache_get_number(tw_cache *cache, const twi_key *key, double *number)
{
    MDB_txn *txn = read_begin(cache);
    if (!txn) return false;
    MDB_val k = value_of(key->bytes, sizeof key->bytes), v;
    const bool found =
        mdb_get(txn, cache->tables[FACTS], &k, &v) == 0 && v.mv_size == sizeof *number;
    if (found) memcpy(number, v.mv_data, sizeof *number);
    read_end(cache, txn);
    return found;
}

void twi_cache_put_number(tw_cache *cache, const twi_key *key, double number)
{
    if (usable(cache))
        add_pending(cache, about(FACTS, key->bytes, sizeof key->bytes), &number, sizeof number,
                    NULL, 0);
}

static void file_key(const struct stat *s, unsigned char key[16])
{
    put_be64(key, (uint64_t)s->st_dev);
    put_be64(key + 8, (uint64_t)s->st_ino);
}

static file_entry entry_of(const struct stat *s)
{
    return (file_entry){.size = (uint64_t)s->st_size,
                        .mtime_s = (uint64_t)s->st_mtim.tv_sec,
                        .mtime_ns = (uint64_t)s->st_mtim.tv_nsec,
                        .ctime_s = (uint64_t)s->st_ctim.tv_sec,
                        .ctime_ns = (uint64_t)s->st_ctim.tv_nsec};
}

bool twi_cache_known_file(tw_cache *cache, const struct stat *stat, twi_key *digest)
{
    unsigned char key[16];
    MDB_txn *txn = read_begin(cache);
    if (!txn) return false;
    file_key(stat, key);
    MDB_val k = value_of(key, sizeof key), v;
    file_entry entry, now = entry_of(stat);
    bool known = mdb_get(txn, cache->tables[FILES], &k, &v) == 0 && v.mv_size == sizeof entry;
    if (known) {
        memcpy(&entry, v.mv_data, sizeof entry);
        now.digest = entry.digest;
        known = memcmp(&now, &entry, sizeof entry) == 0;
        if (known) *digest = entry.digest;
    }
    read_end(cache, txn);
    return known;
}

void twi_cache_note_file(tw_cache *cache, const struct stat *stat, double now,
                         const twi_key *digest)
{
    unsigned char key[16];
    const double changed = (double)stat->st_mtim.tv_sec, inode = (double)stat->st_ctim.tv_sec;
    if (!usable(cache) || now - changed < RACY_SECONDS || now - inode < RACY_SECONDS) return;
    file_entry entry = entry_of(stat);
    entry.digest = *digest;
    file_key(stat, key);
    add_pending(cache, about(FILES, key, sizeof key), &entry, sizeof entry, NULL, 0);
}

/* ---- writing ------------------------------------------------------------------------------- */

/* Moves key to the young end of the order. */
static int touch(tw_cache *cache, MDB_txn *txn, const unsigned char *key, uint32_t size)
{
    unsigned char place[8 + TWI_DIGEST_BYTES];
    MDB_val k = value_of(key, TWI_DIGEST_BYTES), v, p = value_of(place, sizeof place);
    uint64_t run;
    int error = mdb_get(txn, cache->tables[USED], &k, &v);
    memcpy(place + 8, key, TWI_DIGEST_BYTES);
    if (error == 0 && v.mv_size == sizeof run) {
        memcpy(&run, v.mv_data, sizeof run);
        if (run == cache->run) return 0;
        put_be64(place, run);
        MDB_val old;
        if (mdb_get(txn, cache->tables[ORDER], &p, &old) == 0 && old.mv_size == sizeof size)
            memcpy(&size, old.mv_data, sizeof size);
        error = mdb_del(txn, cache->tables[ORDER], &p, NULL);
        if (error != 0 && error != MDB_NOTFOUND) return error;
    } else if (error != MDB_NOTFOUND) {
        return error;
    }
    v = value_of(&cache->run, sizeof cache->run);
    if ((error = mdb_put(txn, cache->tables[USED], &k, &v, 0)) != 0) return error;
    put_be64(place, cache->run);
    v = value_of(&size, sizeof size);
    return mdb_put(txn, cache->tables[ORDER], &p, &v, 0);
}

/* The oldest rows go until `bytes` of pages are in use, or nothing is left. */
static int evict(tw_cache *cache, MDB_txn *txn, size_t bytes)
{
    MDB_cursor *cursor;
    MDB_val place, size;
    size_t used = pages_used(cache, txn);
    if (used <= bytes) return 0;
    int error = mdb_cursor_open(txn, cache->tables[ORDER], &cursor);
    if (error != 0) return error;
    while (used > bytes && (error = mdb_cursor_get(cursor, &place, &size, MDB_FIRST)) == 0) {
        unsigned char key[TWI_DIGEST_BYTES];
        uint32_t row = 0;
        if (place.mv_size != 8 + sizeof key) break;
        memcpy(key, (const unsigned char *)place.mv_data + 8, sizeof key);
        if (size.mv_size == sizeof row) memcpy(&row, size.mv_data, sizeof row);
        MDB_val k = value_of(key, sizeof key);
        if ((error = mdb_cursor_del(cursor, 0)) != 0) break;
        error = mdb_del(txn, cache->tables[ROWS], &k, NULL);
        if (error == 0 || error == MDB_NOTFOUND)
            error = mdb_del(txn, cache->tables[USED], &k, NULL);
        if (error != 0 && error != MDB_NOTFOUND) break;
        used -= row < used ? row : used; /* pages are given back when they empty */
    }
    mdb_cursor_close(cursor);
    if (error == MDB_NOTFOUND || error == 0) {
        /* Half of all is names of files: forget them, they are cheap to learn again. */
        MDB_stat s;
        error = mdb_stat(txn, cache->tables[FILES], &s);
        if (error == 0 && (s.ms_leaf_pages + s.ms_branch_pages) * s.ms_psize > bytes / 2)
            error = mdb_drop(txn, cache->tables[FILES], 0);
    }
    return error;
}

static int write_one(tw_cache *cache, MDB_txn *txn, const pending *p)
{
    MDB_val k = value_of(p->key, p->key_size), v = value_of(cache->bytes + p->offset, p->size);
    if (p->table == USED) {
        /* Evicted by somebody since it was read: nothing to touch. */
        if (mdb_get(txn, cache->tables[ROWS], &k, &v) != 0) return 0;
        return touch(cache, txn, p->key, (uint32_t)v.mv_size);
    }
    const int error = mdb_put(txn, cache->tables[p->table], &k, &v, 0);
    return error == 0 && p->table == ROWS ? touch(cache, txn, p->key, (uint32_t)p->size) : error;
}

/* One transaction for the whole queue. Call with the lock held. */
static int write_batch(tw_cache *cache, bool make_room)
{
    MDB_txn *txn;
    int error;
    pthread_rwlock_rdlock(&cache->map_lock);
    error = mdb_txn_begin(cache->env, NULL, 0, &txn);
    if (error == 0) {
        /* Copies of pages that readers still see take room too: a third stays free. */
        const size_t most = cache->limit / 3 * 2;
        if (make_room || pages_used(cache, txn) + cache->used_bytes > most)
            error =
                evict(cache, txn, most > 2 * cache->used_bytes ? most - 2 * cache->used_bytes : 0);
        for (size_t i = 0; i < cache->n && error == 0; i++)
            error = write_one(cache, txn, &cache->queue[i]);
        if (error == 0)
            error = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&cache->map_lock);
    return error;
}

/* Grows the map while the file is full, then makes room in it. Call with the lock held. */
static void write_queue(tw_cache *cache)
{
    int error = write_batch(cache, false);
    for (int tries = 0; tries < 40 && (error == MDB_MAP_FULL || error == MDB_MAP_RESIZED);
         tries++) {
        const size_t larger = cache->map * 2 < cache->limit ? cache->map * 2 : cache->limit;
        const bool grows = error == MDB_MAP_FULL && larger > cache->map;
        if (error == MDB_MAP_RESIZED || grows) {
            error = map_again(cache, grows ? larger : 0);
            if (error != 0) break;
            error = write_batch(cache, false);
        } else {
            if (tries > 0 && error == MDB_MAP_FULL) cache->limit -= cache->limit / 8;
            error = write_batch(cache, true);
        }
    }
    if (error != 0) give_up(cache, error, "nothing more can be written");
    cache->n = cache->used_bytes = 0;
}

void twi_cache_flush(tw_ctx *ctx, tw_cache *cache, bool all)
{
    char *trouble;
    if (!usable(cache)) return;
    pthread_mutex_lock(&cache->lock);
    const bool due =
        cache->used_bytes >= BATCH_BYTES || twi_seconds() - cache->since >= BATCH_SECONDS;
    if (cache->n > 0 && (all || due)) write_queue(cache);
    trouble = cache->trouble;
    cache->trouble = NULL;
    pthread_mutex_unlock(&cache->lock);
    if (trouble) twi_log(ctx, TW_LOG_WARNING, "%s", trouble);
    twi_free(trouble);
}

/* ---- opening ------------------------------------------------------------------------------- */

static tw_status make_folder(tw_ctx *ctx, const char *path)
{
    char *copy = NULL;
    tw_status st = twi_strdup(ctx, path, &copy);
    for (char *at = copy; st == TW_OK && at;) {
        at = strchr(at + 1, '/');
        if (at) *at = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST && !twi_path_is_folder(copy))
            st = twi_fail_errno(ctx, errno, "cache %s: its folder cannot be made", path);
        if (at) *at = '/';
    }
    twi_free(copy);
    return st;
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
    /* A file cut short would raise SIGBUS when its missing pages are read. */
    MDB_stat page;
    if (error == 0 && there && mdb_env_stat(cache->env, &page) == 0 && file.st_size > 0 &&
        (uint64_t)file.st_size < (uint64_t)(info.me_last_pgno + 1) * page.ms_psize)
        error = MDB_CORRUPTED;
    int dead;
    if (error == 0) (void)mdb_reader_check(cache->env, &dead);
    if (error == 0) error = open_tables(cache);
    if (error == MDB_MAP_RESIZED && (error = map_again(cache, 0)) == 0) error = open_tables(cache);
    return error == 0 ? TW_OK : refuse(ctx, cache, error);
}

static tw_status folder_of(tw_ctx *ctx, const char *given, char **out)
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
    if ((st = folder_of(ctx, opts ? opts->folder : NULL, &cache->folder)) != TW_OK) goto done;
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
    if (cache->env && usable(cache)) mdb_env_close(cache->env);
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
    MDB_txn *txn = read_begin(cache);
    if (!txn) return twi_fail(ctx, TW_ERR_IO, "cache %s cannot be read", cache->folder);
    *out = (tw_cache_info){
        .folder = cache->folder, .limit_bytes = cache->limit, .used_bytes = pages_used(cache, txn)};
    int error = mdb_stat(txn, cache->tables[ROWS], &rows);
    if (error == 0) error = mdb_stat(txn, cache->tables[FILES], &files);
    read_end(cache, txn);
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
    tw_status st = folder_of(ctx, folder, &base);
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
