/* file.h - files: read whole or mapped, and replaced atomically. */
#ifndef TWI_BASE_FILE_H
#define TWI_BASE_FILE_H

#include "base/ctx.h"

/* A regular file mapped read-only. A file that is not regular (FIFO, device, folder) is refused,
 * never waited on. size 0 is allowed; data is then NULL. */
typedef struct twi_map {
    const unsigned char *data;
    size_t size;
} twi_map;

tw_status twi_map_open(tw_ctx *ctx, const char *path, twi_map *out);
void twi_map_close(twi_map *map); /* zeroes it; closed twice is fine */
void twi_map_forget(const twi_map *map, size_t from,
                    size_t n); /* pages may leave memory; still readable */

/* Reads a regular file of at most max_bytes into *buffer (grown with twi_grow, reused by the next
 * call; release with twi_free). For photos: a file truncated while mapped would raise SIGBUS. */
tw_status twi_file_read(tw_ctx *ctx, const char *path, size_t max_bytes, unsigned char **buffer,
                        size_t *capacity, size_t *size);

/* Atomic replacement: bytes go to a temporary file in the folder of path; commit syncs and renames
 * it over path; free without commit removes it. path never holds a half-written file, and what was
 * there stays until commit. An existing file's mode is kept; a symlink is followed; a path that
 * exists and is not a regular file is refused. */
typedef struct twi_outfile twi_outfile;

tw_status twi_outfile_open(tw_ctx *ctx, const char *path, twi_outfile **out);
tw_status twi_outfile_write(tw_ctx *ctx, twi_outfile *file, const void *data, size_t size);
/* Overwrites bytes already written (headers known only at the end). */
tw_status twi_outfile_write_at(tw_ctx *ctx, twi_outfile *file, size_t offset, const void *data,
                               size_t size);
/* Reads back bytes already written. */
tw_status twi_outfile_read_at(tw_ctx *ctx, twi_outfile *file, size_t offset, void *data,
                              size_t size);
tw_status twi_outfile_commit(tw_ctx *ctx, twi_outfile *file);
void twi_outfile_free(
    twi_outfile *file); /* NULL is fine; closes, and removes what was not committed */

/* True when path exists (any type). */
bool twi_path_exists(const char *path);
bool twi_path_is_folder(const char *path);

/* Makes the folder path and those above it that are missing, for its owner alone (mode 0700). A
 * failure's sentence is errno's text: the caller says which folder it is with twi_fail_prefix(). */
tw_status twi_folder_make(tw_ctx *ctx, const char *path);

#endif
