/* digest.h - SHA-256, as bytes or written out as 64 hexadecimal digits; and MD5, for files whose
 * publisher states nothing better. */
#ifndef TWI_BASE_DIGEST_H
#define TWI_BASE_DIGEST_H

#include "base/ctx.h"

#include <stdint.h>

#define TWI_DIGEST_HEX   64 /* characters, without the NUL */
#define TWI_DIGEST_BYTES 32

typedef struct twi_digest { /* one being computed */
    uint64_t opaque[32];
} twi_digest;

void twi_digest_start(twi_digest *digest);
void twi_digest_add(twi_digest *digest, const void *data, size_t size);
void twi_digest_finish(twi_digest *digest, char hex[TWI_DIGEST_HEX + 1]);
void twi_digest_bytes(twi_digest *digest, unsigned char bytes[TWI_DIGEST_BYTES]);
/* bytes as digits. */
void twi_digest_hex(const unsigned char bytes[TWI_DIGEST_BYTES], char hex[TWI_DIGEST_HEX + 1]);

/* MD5 (RFC 1321) tells a damaged download from a whole one. It resists nobody who makes two files
 * on purpose: what is named by topwork itself is named by SHA-256. */
#define TWI_MD5_HEX 32 /* characters, without the NUL */

typedef struct twi_md5 {
    uint64_t opaque[16];
} twi_md5;

void twi_md5_start(twi_md5 *md5);
void twi_md5_add(twi_md5 *md5, const void *data, size_t size);
void twi_md5_finish(twi_md5 *md5, char hex[TWI_MD5_HEX + 1]);

#endif
