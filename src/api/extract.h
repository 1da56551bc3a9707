/* extract.h - the struct behind tw_extractor, and options turned into what the features room takes.
 */
#ifndef TWI_API_EXTRACT_H
#define TWI_API_EXTRACT_H

#include "api/backbone.h"
#include "features/features.h"

struct tw_extractor {
    twi_extractor *inner;
};

/* A failure noticed inside a row function: stopping the run overwrites the context's own sentence.
 */
typedef struct twi_failure {
    tw_status status; /* TW_OK: none */
    char message[1024];
} twi_failure;
void twi_failure_keep(twi_failure *failure, tw_status status, const char *message);
/* status of the run, unless a failure was kept: then that one, its sentence put back. */
tw_status twi_failure_raise(tw_ctx *ctx, const twi_failure *failure, tw_status status);

/* opts (NULL: defaults) over backbone's own recipe. */
tw_status twi_extract_resolve(tw_ctx *ctx, const tw_backbone *backbone, const tw_extract_opts *opts,
                              twi_extractor_opts *out);

/* What backbone computes, digested: its graph and weights. "" when ctx has no cache to need it. */
tw_status twi_backbone_identity(tw_ctx *ctx, const tw_backbone *backbone, char identity[80]);

/* The word of pooling, and back: "avg", "max", "none". */
const char *twi_pooling_name(twi_output output);
tw_status twi_pooling_parse(tw_ctx *ctx, const char *name, const char *word, twi_output *out);

#endif
