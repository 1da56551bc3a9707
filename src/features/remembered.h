/* remembered.h - what one run of the pipeline asks of the cache: the keys of its rows, files known
 * by their times, and what AUTO chose before. */
#ifndef TWI_FEATURES_REMEMBERED_H
#define TWI_FEATURES_REMEMBERED_H

#include "features/cache.h"
#include "features/extractor.h"

typedef struct twi_remembered {
    tw_cache *cache; /* NULL: none */
    bool digests;    /* of the pictures' bytes are wanted, for the cache or for the source's sake */
    bool rows;       /* the context is known: rows may be asked for */
    twi_key common;  /* of all that rows depend on, but for precision and form */
    twi_key context; /* with them */
    twi_key choice;  /* of the first pictures: where the choice of precision is kept */
    bool has_choice;
} twi_remembered;

tw_status twi_remembered_open(tw_ctx *ctx, const twi_extractor *extractor, const twi_source *source,
                              twi_remembered *out);
/* From here on rows are those of precision; few: of the form for few pictures, whose rows differ.
 */
void twi_remembered_for(twi_remembered *m, const twi_extractor *extractor, tw_precision precision,
                        bool few);

/* False: not a file, or no cache to know it by. *now: real-time seconds before it is read. */
bool twi_remembered_stat(const twi_remembered *m, const twi_encoded *encoded, struct stat *file,
                         double *now);
bool twi_remembered_file(const twi_remembered *m, const struct stat *file, twi_key *digest);
void twi_remembered_note(const twi_remembered *m, const struct stat *file, double now,
                         const twi_key *digest);
void twi_remembered_digest(tw_bytes bytes, twi_key *digest);

bool twi_remembered_row(const twi_remembered *m, const twi_key *digest, float *row, size_t n);
void twi_remembered_keep(const twi_remembered *m, const twi_key *digest, const float *row,
                         size_t n);

/* Whether the precision for a data set that begins with these pictures was chosen before; *least:
 * the cosine it was chosen by. Remembers the pictures for twi_remembered_choice(). */
bool twi_remembered_chosen(tw_ctx *ctx, twi_remembered *m, const twi_extractor *extractor,
                           const twi_encoded *pictures, size_t n, tw_precision *precision,
                           double *least);
void twi_remembered_choice(const twi_remembered *m, tw_precision precision, double least);

/* Pictures a second of the last run that computed many; 0: not known. */
double twi_remembered_rate(const twi_remembered *m);
void twi_remembered_keep_rate(const twi_remembered *m, double rate);

void twi_remembered_flush(tw_ctx *ctx, const twi_remembered *m, bool all);

#endif
