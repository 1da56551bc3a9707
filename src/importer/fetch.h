/* fetch.h - one file over HTTP or HTTPS, onto disk; what is there of it already is gone on from.
 * Built into topwork-import only: libtopwork links no HTTP library. */
#ifndef TWI_IMPORTER_FETCH_H
#define TWI_IMPORTER_FETCH_H

#include "base/ctx.h"

#include <stdint.h>

typedef struct twi_fetch_opts {
    const char *address;    /* http: or https: */
    const char *path;       /* where the bytes go; what stands there already is part of the file */
    uint64_t max_bytes;     /* a larger file is refused */
    unsigned stall_seconds; /* give up a connection that brings under 1,000 bytes/s for so long */
    unsigned attempts;      /* how often to try when the trouble may pass; at least 1 */
    const char *ca_file;    /* certificates to trust instead of the system's; NULL: the system's */
} twi_fetch_opts;

typedef struct twi_fetched {
    uint64_t bytes;    /* of the whole file */
    uint64_t received; /* over the network in this call */
    uint64_t kept;     /* of the file as it is now, not received in this call */
} twi_fetched;

/* Fetches address into path and syncs it. Certificates are verified, at most 10 redirects are
 * followed and none from https to http, proxies come from the environment as curl documents it
 * (https_proxy, http_proxy, all_proxy, no_proxy).
 *
 * Beside path stands path.from: the address, length and validators (RFC 9110, 8.8) of what path
 * holds. A second call asks only for the rest (Range, If-Range); a server that has no ranges, or
 * another file by now, sends all of it and path starts over. Whether the bytes are the right ones
 * is for the caller's hash to say.
 *
 * Trouble that may pass (a connection cut off or stalled, 408, 429, 500, 502, 503, 504) is tried
 * again after 0.5, 1, 2, ... seconds or what Retry-After asks for; after a megabyte the count
 * starts anew. Tells twi_progress() of "fetch" in bytes, also while nothing comes.
 *
 * TW_ERR_IO: the network or the disk, in words; path keeps what came. TW_ERR_ARG: no such kind of
 * address. TW_ERR_FORMAT: larger than max_bytes or than it said. */
tw_status twi_fetch(tw_ctx *ctx, const twi_fetch_opts *opts, twi_fetched *out);

#endif
