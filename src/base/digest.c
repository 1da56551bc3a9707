/* digest.c - SHA-256 and MD5 through Nettle; the only file that may include <nettle/...>. */
#include "base/digest.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(twi_digest), "twi_digest is too small");
_Static_assert(sizeof(struct md5_ctx) <= sizeof(twi_md5), "twi_md5 is too small");

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

/* hex [2 n + 1] */
static void put_hex(const unsigned char *bytes, size_t n, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = '\0';
}

void twi_digest_hex(const unsigned char bytes[TWI_DIGEST_BYTES], char hex[TWI_DIGEST_HEX + 1])
{
    put_hex(bytes, TWI_DIGEST_BYTES, hex);
}

void twi_digest_finish(twi_digest *digest, char hex[TWI_DIGEST_HEX + 1])
{
    unsigned char bytes[TWI_DIGEST_BYTES];
    twi_digest_bytes(digest, bytes);
    twi_digest_hex(bytes, hex);
}

void twi_md5_start(twi_md5 *md5)
{
    md5_init((struct md5_ctx *)(void *)md5->opaque);
}

void twi_md5_add(twi_md5 *md5, const void *data, size_t size)
{
    if (size > 0) md5_update((struct md5_ctx *)(void *)md5->opaque, size, data);
}

void twi_md5_finish(twi_md5 *md5, char hex[TWI_MD5_HEX + 1])
{
    unsigned char bytes[MD5_DIGEST_SIZE];
    md5_digest((struct md5_ctx *)(void *)md5->opaque, MD5_DIGEST_SIZE, bytes);
    put_hex(bytes, MD5_DIGEST_SIZE, hex);
}
