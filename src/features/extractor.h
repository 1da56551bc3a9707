/* extractor.h - inside the features room: what an extractor is made of.
 *
 * One worker is one stream: it decodes its own pictures and runs them through the engine on one
 * core. Streams never wait for each other, so there are no barriers and no second set of threads to
 * share the cores with, and a picture's features cannot depend on how many workers there are. */
#ifndef TWI_FEATURES_EXTRACTOR_H
#define TWI_FEATURES_EXTRACTOR_H

#include "features/features.h"

/* AUTO takes bf16 where the least cosine between its rows and those of f32 is at least this. */
#define TWI_AUTO_COSINE 0.999

#define TWI_PRECISIONS 4 /* arrays indexed by tw_precision; AUTO is unused */

/* A compiled form of the network: a precision, and for bulk (opts.batch pictures on one thread) or
 * for few pictures (one at a time, on any number of threads). */
#define TWI_FORMS (2 * TWI_PRECISIONS)
static inline size_t twi_form(tw_precision precision, bool few)
{
    return (size_t)precision + (few ? TWI_PRECISIONS : 0);
}

/* What one worker owns and keeps from run to run. Zero-initialise. */
typedef struct twi_stream {
    twi_recipe_scratch scratch;
    unsigned char *file; /* the encoded picture being read */
    size_t file_capacity;
    float *inputs;  /* [batch, height, width, 3] */
    float *outputs; /* [batch, features] */
    double *sum;    /* [features] over the views of a picture so far; NULL: pictures have one */
    twi_workspace *workspaces[TWI_FORMS];
} twi_stream;

struct twi_extractor {
    twi_extractor_opts opts; /* batch filled in */
    twi_network *network;    /* cut and fused */
    size_t features, input_floats;
    bool heavy;                       /* one picture is work enough for several threads */
    tw_precision precision;           /* AUTO: not chosen yet */
    twi_program *programs[TWI_FORMS]; /* compiled when first needed */
    size_t threads[TWI_FORMS];        /* each was compiled for */
    twi_stream *streams;              /* [n_streams] */
    size_t n_streams;
};

/* Compiles form for threads (bulk: 1) unless that is done. */
tw_status twi_extractor_compile(tw_ctx *ctx, twi_extractor *extractor, size_t form, size_t threads);
/* Lets go of a program and of every workspace made for it. */
void twi_extractor_drop(twi_extractor *extractor, size_t form);
/* At least n streams. Pointers to streams taken before are invalid afterwards. */
tw_status twi_extractor_streams(tw_ctx *ctx, twi_extractor *extractor, size_t n);
/* The stream's inputs and room for sums over views, unless they are there. */
tw_status twi_stream_inputs(tw_ctx *ctx, const twi_extractor *extractor, twi_stream *stream);
/* The stream's outputs and its workspace for form (compiled before), unless they are there. */
tw_status twi_stream_workspace(tw_ctx *ctx, const twi_extractor *extractor, size_t form,
                               twi_stream *stream);

/* One picture as its source gave it. */
typedef struct twi_encoded {
    const char *name; /* a path when is_file */
    bool is_file;
    tw_bytes bytes; /* unless is_file */
} twi_encoded;

/* The bytes of one picture: *src is borrowed from stream or encoded. A failure here is the
 * picture's own. */
tw_status twi_stream_read(tw_ctx *ctx, twi_stream *stream, const twi_encoded *encoded,
                          tw_bytes *src);
/* Decodes and resizes them; likewise. stream->scratch.n_views: how many views there are. */
tw_status twi_stream_open(tw_ctx *ctx, const twi_extractor *extractor, twi_stream *stream,
                          const char *name, tw_bytes src);
/* View i of the open picture into dst [input_floats]. */
tw_status twi_stream_view(tw_ctx *ctx, const twi_extractor *extractor, twi_stream *stream, size_t i,
                          float *dst);
/* After the last view: lets go of what was large. */
void twi_stream_shed(twi_stream *stream);

#endif
