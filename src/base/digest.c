/* digest.c - SHA-256 through Nettle; the only file that may include <nettle/...>. */
#include "base/digest.h"

#include <nettle/sha2.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(twi_digest), "twi_digest is too small");

void twi_digest_start(twi_digest *digest)
{
    sha256_init((struct sha256_ctx *)(void *)digest->opaque);
}

void twi_digest_add(twi_digest *digest, const void *data, size_t size)
{
    if (size > 0) sha256_update((struct sha256_ctx *)(void *)digest->opaque, size, data);
}

void twi_digest_bytes(twi_digest *digest, unsigned char bytes[TWI_DIGEST_BYTES])
{
    sha256_digest((struct sha256_ctx *)(void *)digest->opaque, TWI_DIGEST_BYTES, bytes);
}

void twi_digest_hex(const unsigned char bytes[TWI_DIGEST_BYTES], char hex[TWI_DIGEST_HEX + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < TWI_DIGEST_BYTES; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[TWI_DIGEST_HEX] = '\0';
}

void twi_digest_finish(twi_digest *digest, char hex[TWI_DIGEST_HEX + 1])
{
    unsigned char bytes[TWI_DIGEST_BYTES];
    twi_digest_bytes(digest, bytes);
    twi_digest_hex(bytes, hex);
}
