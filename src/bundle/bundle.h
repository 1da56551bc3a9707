/* bundle.h - the one file format: a valid safetensors file whose __metadata__ holds one key,
 * "topwork", with one JSON document (docs/format.md). Written atomically; the digest is verified
 * before anything is believed.
 *
 * A file starts (after safetensors' 8-byte header length) with
 * {"__metadata__":{"topwork":"{\"digest\":\"sha256:<64 hex>\", so the digest stands at a fixed
 * offset; it is the SHA-256 of the whole file with those 64 digits as '0'. */
#ifndef TWI_BUNDLE_BUNDLE_H
#define TWI_BUNDLE_BUNDLE_H

#include "base/json.h"
#include "base/tensor.h"

#define TWI_BUNDLE_VERSION 1

/* Writes tensors and document to path, atomically. kind: "model" or "backbone". The document gets
 * "digest", "version", "required_features" (its own, or none) and "kind" put before its own keys.
 * Same input, same bytes. digest (may be NULL) gets the 64 hexadecimal digits. TW_ERR_DATA: a
 * document over 1 MiB (long lists belong in tensors), more than 16,384 tensors, a tensor's name
 * that is not UTF-8. */
tw_status twi_bundle_write(tw_ctx *ctx, const char *path, const char *kind,
                           const twi_tensors *tensors, const twi_json *document, char digest[65]);

typedef struct twi_bundle twi_bundle;

/* Maps and verifies. kind NULL: either. TW_ERR_FORMAT: not such a file, truncated, digest differs,
 * overlapping or misplaced tensors; TW_ERR_UNSUPPORTED: a later version or an unknown required
 * feature. */
tw_status twi_bundle_open(tw_ctx *ctx, const char *path, const char *kind, twi_bundle **out);
/* The same for a file in memory, which must outlive the bundle. name is for messages. */
tw_status twi_bundle_open_bytes(tw_ctx *ctx, const char *name, tw_bytes bytes, const char *kind,
                                twi_bundle **out);
void twi_bundle_free(twi_bundle *bundle);
const twi_tensors *twi_bundle_tensors(const twi_bundle *bundle); /* data borrowed from the map */
const twi_json *twi_bundle_document(const twi_bundle *bundle);
const char *twi_bundle_digest(const twi_bundle *bundle); /* 64 hexadecimal digits */

/* Any safetensors file, as it is (no topwork document needed): tensors in the order of their
 * bytes, data borrowed from the caller's map, copied only where it is not aligned for its type.
 * *tensors is overwritten, not added to. metadata (may be NULL): new JSON object of __metadata__,
 * or NULL when the file has none. */
tw_status twi_safetensors_parse(tw_ctx *ctx, const char *name, const void *data, size_t size,
                                twi_tensors *tensors, twi_json **metadata);

#endif
