/* published.h - weights that others publish and that topwork-import reads. */
#ifndef TWI_API_PUBLISHED_H
#define TWI_API_PUBLISHED_H

#include "base/text.h"

typedef struct twi_published_file {
    const char *address;
    const char *md5; /* as its publisher states it; 32 hexadecimal digits */
} twi_published_file;

typedef struct twi_published {
    const char *name;              /* of the backbone, and of the architecture */
    twi_published_file trunk;      /* without its classifier */
    twi_published_file classifier; /* with it, for `topwork classify` */
} twi_published;

const twi_published *twi_published_find(const char *name); /* NULL: none */

/* Appends lines: where name is published, its hash and the commands that install it; nothing for
 * other names. */
void twi_published_explain(const char *name, twi_text *out);

#endif
