/* private.h - what the files of the cache share; with them it may include <lmdb.h>. */
#ifndef TWI_FEATURES_CACHE_PRIVATE_H
#define TWI_FEATURES_CACHE_PRIVATE_H

#include "features/cache.h"

#include <lmdb.h>
#include <pthread.h>

enum { ROWS, USED, ORDER, FILES, FACTS, TABLES };

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

bool twi_cache_usable(const tw_cache *cache);
/* Bytes of the pages in use. */
size_t twi_cache_pages(const tw_cache *cache, MDB_txn *txn);
/* Maps size bytes, 0: as many as another process made of it. No transaction may be open. */
int twi_cache_map(tw_cache *cache, size_t size);
/* A read transaction with map_lock held; NULL: none to be had. */
MDB_txn *twi_cache_read(tw_cache *cache);
void twi_cache_read_end(tw_cache *cache, MDB_txn *txn);

#endif
