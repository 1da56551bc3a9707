/* layout.h - what reader and writer agree on, private to the room: docs/format.md in numbers. */
#ifndef TWI_BUNDLE_LAYOUT_H
#define TWI_BUNDLE_LAYOUT_H

#include "bundle/bundle.h"

#include "base/digest.h"

/* Caps on what a file may declare. The reference implementation of safetensors stops at 100 MB of
 * header; ours never come near either. */
#define TWI_MAX_HEADER   ((size_t)64 << 20)
#define TWI_MAX_DOCUMENT ((size_t)1 << 20)
#define TWI_MAX_TENSORS  16384

#define TWI_LENGTH_BYTES 8 /* the little-endian length in front of the header */

/* How the header of a bundle starts, and so where its digest stands. */
#define TWI_BUNDLE_START  "{\"__metadata__\":{\"topwork\":\"{\\\"digest\\\":\\\"sha256:"
#define TWI_DIGEST_OFFSET (TWI_LENGTH_BYTES + sizeof TWI_BUNDLE_START - 1)

/* The SHA-256 of size bytes with the 64 at TWI_DIGEST_OFFSET taken as '0'. size reaches past them.
 */
void twi_bundle_compute_digest(const unsigned char *data, size_t size,
                               char hex[TWI_DIGEST_HEX + 1]);

/* twi_bundle_open() for a file already in memory, which must outlive the bundle. */
tw_status twi_bundle_read(tw_ctx *ctx, const char *name, const unsigned char *data, size_t size,
                          twi_bundle **out);

#endif
