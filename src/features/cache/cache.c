/* cache.c - the feature cache over LMDB: reading and writing rows.
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
#include "features/cache/private.h"

#include "base/memory.h"

#include <string.h>
#include <unistd.h>

#define BATCH_BYTES   ((size_t)4 << 20)
#define BATCH_SECONDS 1.0
#define CHECK_BYTES   8
#define RACY_SECONDS  2.0

typedef struct file_entry {
    uint64_t size, mtime_s, mtime_ns, ctime_s, ctime_ns;
    twi_key digest;
} file_entry;

/* ---- small things -------------------------------------------------------------------------- */

bool twi_cache_usable(const tw_cache *cache)
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

/* Bytes of the pages in use. */
size_t twi_cache_pages(const tw_cache *cache, MDB_txn *txn)
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
int twi_cache_map(tw_cache *cache, size_t size)
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
MDB_txn *twi_cache_read(tw_cache *cache)
{
    MDB_txn *txn = NULL;
    if (!twi_cache_usable(cache)) return NULL;
    for (int tries = 0; tries < 2; tries++) {
        pthread_rwlock_rdlock(&cache->map_lock);
        const int error = mdb_txn_begin(cache->env, NULL, MDB_RDONLY, &txn);
        if (error == 0) return txn;
        pthread_rwlock_unlock(&cache->map_lock);
        if (error != MDB_MAP_RESIZED || twi_cache_map(cache, 0) != 0) return NULL;
    }
    return NULL;
}

void twi_cache_read_end(tw_cache *cache, MDB_txn *txn)
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
    MDB_txn *txn = twi_cache_read(cache);
    if (!txn) return false;
    const bool found = find_row(cache, txn, key, row, n, &stale);
    twi_cache_read_end(cache, txn);
    if (found && stale)
        add_pending(cache, about(USED, key->bytes, sizeof key->bytes), NULL, 0, NULL, 0);
    return found;
}

void twi_cache_put(tw_cache *cache, const twi_key *key, const float *row, size_t n)
{
    unsigned char check[CHECK_BYTES];
    if (!twi_cache_usable(cache)) return;
    check_of(key, row, n * sizeof *row, check);
    add_pending(cache, about(ROWS, key->bytes, sizeof key->bytes), check, sizeof check, row,
                n * sizeof *row);
}

bool twi_cache_get_number(tw_cache *cache, const twi_key *key, double *number)
{
    MDB_txn *txn = twi_cache_read(cache);
    if (!txn) return false;
    MDB_val k = value_of(key->bytes, sizeof key->bytes), v;
    const bool found =
        mdb_get(txn, cache->tables[FACTS], &k, &v) == 0 && v.mv_size == sizeof *number;
    if (found) memcpy(number, v.mv_data, sizeof *number);
    twi_cache_read_end(cache, txn);
    return found;
}

void twi_cache_put_number(tw_cache *cache, const twi_key *key, double number)
{
    if (twi_cache_usable(cache))
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
    MDB_txn *txn = twi_cache_read(cache);
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
    twi_cache_read_end(cache, txn);
    return known;
}

void twi_cache_note_file(tw_cache *cache, const struct stat *stat, double now,
                         const twi_key *digest)
{
    unsigned char key[16];
    const double changed = (double)stat->st_mtim.tv_sec, inode = (double)stat->st_ctim.tv_sec;
    if (!twi_cache_usable(cache) || now - changed < RACY_SECONDS || now - inode < RACY_SECONDS)
        return;
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
    size_t used = twi_cache_pages(cache, txn);
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
    MDB_val k = value_of(p->key, p->key_size);
    MDB_val v = value_of(p->size ? cache->bytes + p->offset : NULL, p->size);
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
        /* Copies of pages that readers still see take room too: a fifth stays free. */
        const size_t most = cache->limit / 5 * 4;
        if (make_room || twi_cache_pages(cache, txn) + cache->used_bytes > most)
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
            error = twi_cache_map(cache, grows ? larger : 0);
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
    if (!twi_cache_usable(cache)) return;
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
