/* partial.h - a file that is being fetched: what there is of it, and what it is a part of. */
#ifndef TWI_IMPORTER_PARTIAL_H
#define TWI_IMPORTER_PARTIAL_H

#include "base/ctx.h"

#include <stdint.h>

/* What tells one version of a file on a server from another (RFC 9110, 8.8). */
typedef struct twi_validators {
    uint64_t total;    /* bytes of the whole file; 0: not known */
    char etag[256];    /* with its quotes; "": none */
    char modified[64]; /* Last-Modified; "": none */
} twi_validators;

typedef struct twi_partial twi_partial;

/* Opens path, or makes it empty. What it holds counts only if path.from says that it came from
 * address. TW_ERR_IO: it cannot be written, or another process has been writing it for 10 s. */
tw_status twi_partial_open(tw_ctx *ctx, const char *path, const char *address, twi_partial **out);
void twi_partial_free(twi_partial *partial); /* NULL is fine; bytes stay, an empty file does not */

uint64_t twi_partial_bytes(const twi_partial *partial); /* there now */
uint64_t twi_partial_total(const twi_partial *partial); /* of the whole file; 0: not known */
uint64_t twi_partial_kept(const twi_partial *partial);  /* there since before twi_partial_open() */
bool twi_partial_whole(const twi_partial *partial);
/* What If-Range may name: a strong ETag, else a date; NULL: neither is known. */
const char *twi_partial_validator(const twi_partial *partial);
/* False: what the server has by now is another file than the one these bytes are of. */
bool twi_partial_fits(const twi_partial *partial, const twi_validators *now);

/* Empties it: what follows is of the file that now describes. Written down before any byte. */
tw_status twi_partial_restart(tw_ctx *ctx, twi_partial *partial, const twi_validators *now);
/* TW_ERR_IO when the disk has no room for the rest of total bytes. */
tw_status twi_partial_room(tw_ctx *ctx, const twi_partial *partial, uint64_t total);
/* TW_ERR_IO: the disk; TW_ERR_FORMAT: more bytes than the server announced. */
tw_status twi_partial_add(tw_ctx *ctx, twi_partial *partial, const void *data, size_t size);
/* The file is whole: its bytes and its length are on the disk when this returns. */
tw_status twi_partial_finish(tw_ctx *ctx, twi_partial *partial);

#endif
