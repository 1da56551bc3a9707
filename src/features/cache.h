/* cache.h - rows of features kept on disk: what the pipeline asks of tw_cache (topwork.h).
 *
 * A row is found by a key: the SHA-256 of everything its numbers depend on. Files that have not
 * changed since they were hashed are known by device, inode, size and times. Calls may come from
 * any thread of the process that opened the cache. Nothing here fails a run: what cannot be read is
 * not there, what cannot be written is not kept, and twi_cache_flush() says why, once. */
#ifndef TWI_FEATURES_CACHE_H
#define TWI_FEATURES_CACHE_H

#include "base/digest.h"

#include <sys/stat.h>

/* given, or the folder topwork in the user's cache folder; fresh memory. Features are not all that
 * is kept there. TW_ERR_ARG: the environment names none. */
tw_status twi_cache_folder(tw_ctx *ctx, const char *given, char **out);

typedef struct twi_key {
    unsigned char bytes[TWI_DIGEST_BYTES];
} twi_key;

/* The digest of a file that stands unchanged since twi_cache_note_file(). */
bool twi_cache_known_file(tw_cache *cache, const struct stat *stat, twi_key *digest);
/* stat was taken before the file was read, at `now` (seconds of the real-time clock). A file
 * changed less than two seconds before is not noted: it could change once more without its times
 * telling. */
void twi_cache_note_file(tw_cache *cache, const struct stat *stat, double now,
                         const twi_key *digest);

/* row [n]; false: not there. */
bool twi_cache_get(tw_cache *cache, const twi_key *key, float *row, size_t n);
void twi_cache_put(tw_cache *cache, const twi_key *key, const float *row, size_t n);

/* A small remembered answer: number is any finite double. */
bool twi_cache_get_number(tw_cache *cache, const twi_key *key, double *number);
void twi_cache_put_number(tw_cache *cache, const twi_key *key, double number);

/* Writes what waits, when it is much or has waited for a second; all: whatever it is. Warns through
 * ctx's log of the first thing that went wrong since the last call. */
void twi_cache_flush(tw_ctx *ctx, tw_cache *cache, bool all);

#endif
