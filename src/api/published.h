/* published.h - weights that others publish and that topwork-import reads. */
#ifndef TWI_API_PUBLISHED_H
#define TWI_API_PUBLISHED_H

#include "base/text.h"

typedef struct twi_published {
    const char *name;    /* of the backbone: "vgg16+top" has its classifier, "vgg16" has not */
    const char *arch;    /* whose weights they are; see twi_published_readable() */
    const char *address; /* https */
    const char *hash; /* as its publisher states it: "md5:..." or "sha256:..."; NULL: it does not */
    size_t input;     /* side of the square picture they were trained on */
    size_t features;  /* d with average pooling */
    size_t bytes;     /* of the file; 0: not known before it is asked for */
} twi_published;

const twi_published *twi_published_find(const char *name); /* NULL: none */
const twi_published *twi_published_at(size_t i);           /* NULL past the end */

/* What the topwork-import at hand reads in Keras's layout, one name a line: asks the program.
 * TW_ERR_UNSUPPORTED: it is not there. */
tw_status twi_published_ask(tw_ctx *ctx, twi_text *readable);

/* The architecture of row as readable (twi_published_ask()) spells it, underscores not counting,
 * into arch [size]; false: it is not among them, so the row cannot be pulled. */
bool twi_published_readable(const twi_published *row, const twi_text *readable, char *arch,
                            size_t size);

/* Appends lines: where name is published, its hash and the command that installs it; nothing for
 * names that cannot be pulled. */
void twi_published_explain(tw_ctx *ctx, const char *name, twi_text *out);

#endif
