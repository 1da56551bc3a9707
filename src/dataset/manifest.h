/* manifest.h - the rows of a CSV manifest (path,label[,split][,group]), before any file is looked
 * for. */
#ifndef TWI_DATASET_MANIFEST_H
#define TWI_DATASET_MANIFEST_H

#include "base/memory.h"

typedef struct twi_row {
    const char *path, *label; /* in the manifest's bytes */
    const char *group;        /* likewise; NULL without such a column */
    size_t line;
    uint32_t class_id;    /* place of label among the classes */
    tw_part part;         /* TW_PART_NONE without a split column */
    const char *repeated; /* NULL, or why this row is passed over */
} twi_row;

typedef struct twi_rows {
    twi_row *items;
    size_t n, capacity;
    const char **classes; /* [n_classes] in byte order, in the manifest's bytes */
    size_t n_classes, classes_capacity;
    twi_arena text; /* of the reasons */
} twi_rows;

/* Parses bytes [size] in place (bytes[size] must be writable) and numbers the classes. rows must be
 * zero; free them also after a failure. TW_ERR_DATA names the line: no header, a row of another
 * length, an empty path or label, an unknown split, one path with two labels or in two parts. */
tw_status twi_rows_parse(tw_ctx *ctx, const char *name, char *bytes, size_t size, twi_rows *rows);
void twi_rows_free(twi_rows *rows);

#endif
