/* csv.h - records of comma-separated text: RFC 4180, LF or CRLF, an optional byte order mark. */
#ifndef TWI_DATASET_CSV_H
#define TWI_DATASET_CSV_H

#include "base/ctx.h"

#define TWI_CSV_FIELDS      256                /* in one record */
#define TWI_CSV_FIELD_BYTES ((size_t)32 << 10) /* in one field */

/* Reads over bytes in place: quotes are taken out and a NUL is written behind each field, so fields
 * are C strings that live as long as the bytes. One byte behind the end must be writable. */
typedef struct twi_csv {
    const char *name; /* for messages */
    char *at, *end;
    size_t line; /* of the record just read, from 1 */
    size_t next_line;
} twi_csv;

tw_status twi_csv_open(tw_ctx *ctx, const char *name, char *bytes, size_t size, twi_csv *out);

/* The next record with anything in it: fields [TWI_CSV_FIELDS], *n of them; *n 0 at the end.
 * TW_ERR_DATA names the line. */
tw_status twi_csv_next(tw_ctx *ctx, twi_csv *csv, char **fields, size_t *n);

#endif
