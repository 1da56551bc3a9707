/* answers.h - one answer a photo, as lines, CSV or JSON: what predict and classify share. */
#ifndef TOPWORK_CLI_ANSWERS_H
#define TOPWORK_CLI_ANSWERS_H

#include "session.h"

typedef struct answerer answerer;

struct answerer {
    size_t classes; /* k */
    bool indexed;   /* classify: the number of the class is part of the answer */
    /* The name of class c, NULL: it has none. */
    const char *(*label)(const answerer *self, size_t c);
    /* features of one photo -> prob [k]; ctx is for this call, not the one that runs the photos. */
    tw_status (*score)(const answerer *self, tw_ctx *ctx, const float *features, float *prob);
    /* The same photo's familiarity, and whether it is known; NULL: all are. */
    tw_status (*know)(const answerer *self, tw_ctx *ctx, const float *features, double *familiarity,
                      unsigned char *known);
    const void *user; /* the command's own */
};

/* Runs the operands from first on through extractor and answers each on standard output; the exit
 * code. */
int answers_run(session *s, tw_extractor *extractor, const answerer *a, size_t first);

#endif
