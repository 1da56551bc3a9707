/* zip.h - what a zip archive holds, read from its directory; nothing is unpacked but on demand. */
#ifndef TWI_IMPORTER_ZIP_H
#define TWI_IMPORTER_ZIP_H

#include "base/ctx.h"
#include "base/cursor.h"

typedef struct twi_zip { /* an archive in memory, borrowed */
    tw_ctx *ctx;
    const char *path; /* for messages */
    const unsigned char *data;
    size_t size;
    size_t entries; /* that the directory says it has */
    twi_cursor directory;
} twi_zip;

typedef struct twi_zip_entry {
    char name[160];             /* "": longer than that, or with a NUL in it */
    unsigned method;            /* 0: stored, 8: deflated */
    uint32_t crc;               /* of the bytes */
    uint64_t stored, bytes, at; /* compressed and full size; where its local header is */
} twi_zip_entry;

bool twi_zip_recognises(const unsigned char *data, size_t size);

/* data [size] as an archive; twi_zip_next() then gives its entries, each once, as many as
 * out->entries says. TW_ERR_FORMAT: it is damaged. */
tw_status twi_zip_open(tw_ctx *ctx, const char *path, const void *data, size_t size, twi_zip *out);
tw_status twi_zip_next(twi_zip *zip, twi_zip_entry *out);

/* The entry called name. TW_ERR_NOT_FOUND: there is none. */
tw_status twi_zip_find(const twi_zip *zip, const char *name, twi_zip_entry *out);

/* What the archive holds of entry, [entry->stored], borrowed: its bytes where they are stored. */
tw_status twi_zip_stored(const twi_zip *zip, const twi_zip_entry *entry, const uint8_t **out);
/* The bytes of entry, of which most may be, in fresh memory (twi_free()); their checksum agrees. */
tw_status twi_zip_read(const twi_zip *zip, const twi_zip_entry *entry, size_t most,
                       unsigned char **out);

#endif
