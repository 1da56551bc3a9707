/* features.h - pictures to a feature matrix: decode threads and engine batches that overlap, and a
 * cache that knows rows already computed. */
#ifndef TWI_FEATURES_FEATURES_H
#define TWI_FEATURES_FEATURES_H

#include "base/digest.h"
#include "engine/engine.h"
#include "image/image.h"

typedef struct twi_extractor twi_extractor; /* mutable: one thread at a time */

typedef struct twi_extractor_opts {
    twi_recipe recipe;
    twi_output output;
    uint32_t layers[TWI_MAX_LAYERS]; /* [n_layers] nodes whose pooled values, one after the other,
                                        are the features; none: the network's own feature node */
    size_t n_layers;
    size_t made_for[2];     /* height, width that network's graph was made for: another input size
                               is refused where it would mean something else. 0: not looked at */
    bool same_padding;      /* as in twi_network_check_size() */
    tw_precision precision; /* AUTO: chosen on the first 16 readable pictures of the first run */
    size_t batch;           /* pictures one worker runs at once; 0: chosen for this network */
    size_t max_pixels;      /* 0: TWI_MAX_PIXELS */
    bool strict;
    bool reference_engine; /* plain C instead of oneDNN: f32 only, slow, clean under TSan */
    char identity[80];     /* what network is: the digest of its file; "": rows are not cached */
} twi_extractor_opts;

/* Prepares network, which must outlive the extractor. What a run needs is compiled when it first
 * needs it. TW_ERR_UNSUPPORTED: a precision asked for by name that this machine does not compute
 * natively. */
tw_status twi_extractor_new(tw_ctx *ctx, const twi_network *network, const twi_extractor_opts *opts,
                            twi_extractor **out);
void twi_extractor_free(twi_extractor *extractor); /* NULL is fine */
size_t twi_extractor_feature_count(const twi_extractor *extractor);
/* AUTO until a run has met a readable picture and chosen. */
tw_precision twi_extractor_precision(const twi_extractor *extractor);

/* Where pictures come from: exactly one of path and bytes is set. path: the file of picture i
 * (NULL: no more); bytes: its bytes and a name for messages, false when there are no more. Called
 * once for each i = 0, 1, 2, ... from the thread that called twi_extractor_run(); what it returns
 * must stay valid until row was called for i. */
typedef struct twi_source {
    const char *(*path)(void *user, size_t i);
    bool (*bytes)(void *user, size_t i, tw_bytes *src, const char **name);
    /* May be NULL. The SHA-256 of picture i's bytes, just before the row of a picture that could be
     * read. */
    void (*digest)(void *user, size_t i, const unsigned char digest[TWI_DIGEST_BYTES]);
    void *user;
    size_t total; /* for progress and for how many workers start; 0: unknown */
} twi_source;

typedef struct twi_extract_stats {
    size_t rows, failed, cached;            /* cached: of rows */
    double seconds_decode, seconds_network; /* summed over threads */
    double seconds_wall;
    double rate; /* pictures a second when they are computed: of this run, where it computed 32 or
                    more, else of an earlier one that the cache knows; 0: not known */
} twi_extract_stats;

/* Runs every picture of source and calls row (topwork.h) in the order of i, from the calling
 * thread. stats may be NULL. Progress stage: "features". A picture that cannot be read (missing,
 * not a regular file, damaged, too large) is a row with a message; with opts.strict the one of the
 * lowest i ends the run instead. Whatever ends a run early (a failure, row returning non-zero, the
 * progress callback), every thread has been joined when this returns.
 *
 * Of a recipe with several views each view is an input of the engine's batches; the picture is
 * decoded and resized once, and its row is the mean of its views'. Views, not pictures, count
 * against the 16 below.
 *
 * A picture's row depends on that picture and the precision, not on its neighbours nor on the
 * number of threads. One exception: the pictures of a run whose source->total is 1 to 16 are
 * computed one at a time (a heavy network is lent the threads that have no picture); that is
 * another compiled program, made to be compiled soon rather than to run soon. Its rows agree with a
 * long run's within 1e-5 of the row's largest feature in f32 and 2 % of it in bf16; in int8 they
 * are about as far from each other as either is from f32.
 *
 * With a cache on ctx (tw_ctx_set_cache()) and an identity, a row that was computed before is read
 * instead; it is the same to the bit. What AUTO chose for the same first pictures is remembered as
 * well, and when no picture has to be computed the network is never compiled.
 *
 * Memory: for each thread one workspace of the network, one decoded picture, and 4 x batch rows (at
 * least 64 rows in all), whatever the number of pictures. */
tw_status twi_extractor_run(tw_ctx *ctx, twi_extractor *extractor, const twi_source *source,
                            tw_row_fn row, void *user, twi_extract_stats *stats);

/* Runs pictures paths [n] through network in f32 and gives the range that each node's value should
 * be quantised with: observed [network->n] of least, greatest, both 0 for nodes that opts.output
 * does not need or that fusion hides (twi_workspace_observed()). Pictures that cannot be read are
 * passed over; *seen: how many could. Progress stage: "calibrate". TW_ERR_DATA: none could. */
tw_status twi_observe(tw_ctx *ctx, const twi_network *network, const twi_extractor_opts *opts,
                      const char *const *paths, size_t n, double (*observed)[2], size_t *seen);

/* Of a and b [n]. Two zero vectors point the same way; a value that is not finite gives NaN, which
 * no bound accepts. */
double twi_cosine(const float *a, const float *b, size_t n);

/* Rows that an earlier run left in ctx's cache, of pictures known by the SHA-256 of their bytes
 * alone: digest [n] -> row(user, i, features) for each that is there, in order. Precision must be
 * settled. *found: how many. No cache: none. */
tw_status twi_extractor_recall(tw_ctx *ctx, const twi_extractor *extractor,
                               const unsigned char (*digest)[TWI_DIGEST_BYTES], size_t n,
                               void (*row)(void *user, size_t i, const float *features), void *user,
                               size_t *found);

/* ---- .npy ---------------------------------------------------------------------------------- */

/* A float32 matrix [rows, columns] written row by row to an .npy file (format 1.0, C order),
 * atomically replaced at commit. */
typedef struct twi_npy twi_npy;
tw_status twi_npy_create(tw_ctx *ctx, const char *path, size_t columns, twi_npy **out);
tw_status twi_npy_append(tw_ctx *ctx, twi_npy *npy, const float *rows, size_t n);
tw_status twi_npy_commit(tw_ctx *ctx, twi_npy *npy);
void twi_npy_free(twi_npy *npy); /* NULL is fine; without commit nothing is left behind */

/* A float32 matrix kept in an unlinked temporary file, written row by row, then mapped to read. It
 * costs disk, not memory: folder is where ($TMPDIR or /tmp when NULL). */
typedef struct twi_matrix_file twi_matrix_file;
tw_status twi_matrix_file_create(tw_ctx *ctx, const char *folder, size_t columns,
                                 twi_matrix_file **out);
tw_status twi_matrix_file_append(tw_ctx *ctx, twi_matrix_file *file, const float *rows, size_t n);
/* Maps what was written: *x [*rows, columns], valid until free; NULL when nothing was. No append
 * after this. */
tw_status twi_matrix_file_map(tw_ctx *ctx, twi_matrix_file *file, const float **x, size_t *rows);
void twi_matrix_file_free(twi_matrix_file *file); /* NULL is fine */

#endif
