/* remembered.c - keys of rows: everything that a row's numbers depend on, digested. */
#include "features/remembered.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Raise when the pipeline computes other numbers from the same picture, recipe and network. */
#define PIPELINE "pipeline 1"

static void digest_text(const char *text, size_t size, twi_key *out)
{
    twi_digest digest;
    twi_digest_start(&digest);
    twi_digest_add(&digest, text, size);
    twi_digest_bytes(&digest, out->bytes);
}

static void digest_two(const twi_key *a, const void *b, size_t size, twi_key *out)
{
    twi_digest digest;
    twi_digest_start(&digest);
    twi_digest_add(&digest, a->bytes, sizeof a->bytes);
    twi_digest_add(&digest, b, size);
    twi_digest_bytes(&digest, out->bytes);
}

/* "feature", or the numbers of the nodes that are joined: with the graph, which identity stands
 * for, they say which. */
static void describe_nodes(const twi_extractor_opts *opts, twi_text *out)
{
    twi_text_add(out, opts->n_layers ? "node" : "node feature");
    for (size_t i = 0; i < opts->n_layers; i++)
        twi_text_format(out, " %zu", (size_t)opts->layers[i]);
}

/* The largest picture allowed is part of it: one that is refused now must not be found. */
static tw_status describe(tw_ctx *ctx, const twi_extractor *ex, twi_key *out)
{
    char *recipe = NULL;
    size_t size;
    twi_json *json = twi_recipe_to_json(&ex->opts.recipe);
    if (!json) return twi_fail(ctx, TW_ERR_NOMEM, "no memory for a recipe");
    tw_status st = twi_json_print(ctx, json, &recipe, &size);
    twi_json_free(json);
    if (st != TW_OK) return st;
    twi_text text = {0};
    twi_text_format(&text, PIPELINE "\nnetwork %s\nrecipe %s\n", ex->opts.identity, recipe);
    describe_nodes(&ex->opts, &text);
    /* "views 1" is from before recipes said which: it stays, so that rows stay known. */
    twi_text_format(&text, "\npooling %d\nfeatures %zu\nviews 1\npixels %zu\nisa %s\nengine %s%s\n",
                    (int)ex->opts.output, ex->features, ex->opts.max_pixels, twi_engine_isa(),
                    twi_engine_version(), ex->opts.reference_engine ? " reference" : "");
    st = text.failed ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a key") : TW_OK;
    if (st == TW_OK) digest_text(text.text, text.length, out);
    twi_text_free(&text);
    twi_free(recipe);
    return st;
}

tw_status twi_remembered_open(tw_ctx *ctx, const twi_extractor *extractor, const twi_source *source,
                              twi_remembered *out)
{
    tw_cache *cache = extractor->opts.identity[0] ? twi_ctx_cache(ctx) : NULL;
    *out = (twi_remembered){.cache = cache, .digests = cache || source->digest};
    return cache ? describe(ctx, extractor, &out->common) : TW_OK;
}

void twi_remembered_for(twi_remembered *m, const twi_extractor *extractor, tw_precision precision,
                        bool few)
{
    char text[96];
    (void)extractor;
    if (!m->cache) return;
    const int length = snprintf(text, sizeof text, "precision %s\nform %s\n",
                                twi_precision_name(precision), few ? "few" : "bulk");
    digest_two(&m->common, text, (size_t)length, &m->context);
    m->rows = true;
}

bool twi_remembered_stat(const twi_remembered *m, const twi_encoded *encoded, struct stat *file,
                         double *now)
{
    struct timespec t;
    if (!m->cache || !encoded->is_file || stat(encoded->name, file) != 0) return false;
    clock_gettime(CLOCK_REALTIME, &t);
    *now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    return S_ISREG(file->st_mode);
}

bool twi_remembered_file(const twi_remembered *m, const struct stat *file, twi_key *digest)
{
    return m->rows && twi_cache_known_file(m->cache, file, digest);
}

void twi_remembered_note(const twi_remembered *m, const struct stat *file, double now,
                         const twi_key *digest)
{
    twi_cache_note_file(m->cache, file, now, digest);
}

void twi_remembered_digest(tw_bytes bytes, twi_key *digest)
{
    digest_text(bytes.data, bytes.size_bytes, digest);
}

bool twi_remembered_row(const twi_remembered *m, const twi_key *digest, float *row, size_t n)
{
    twi_key key;
    if (!m->rows) return false;
    digest_two(&m->context, digest->bytes, sizeof digest->bytes, &key);
    return twi_cache_get(m->cache, &key, row, n);
}

void twi_remembered_keep(const twi_remembered *m, const twi_key *digest, const float *row, size_t n)
{
    twi_key key;
    if (!m->rows) return;
    digest_two(&m->context, digest->bytes, sizeof digest->bytes, &key);
    twi_cache_put(m->cache, &key, row, n);
}

/* ---- what AUTO chose ----------------------------------------------------------------------- */

/* A picture's digest without keeping its bytes. */
static bool digest_of(tw_ctx *ctx, const twi_remembered *m, twi_stream *stream,
                      const twi_encoded *picture, twi_key *out)
{
    struct stat file;
    double now;
    tw_bytes bytes;
    const bool has_stat = twi_remembered_stat(m, picture, &file, &now);
    if (has_stat && twi_cache_known_file(m->cache, &file, out)) return true;
    if (twi_stream_read(ctx, stream, picture, &bytes) != TW_OK) return false;
    twi_remembered_digest(bytes, out);
    if (has_stat) twi_cache_note_file(m->cache, &file, now, out);
    return true;
}

/* The number kept is the cosine: what it allows is decided anew. A set of pictures that holds an
 * unreadable file has no key: which others stand in for it is not known here. */
bool twi_remembered_chosen(tw_ctx *ctx, twi_remembered *m, const twi_extractor *extractor,
                           const twi_encoded *pictures, size_t n, tw_precision *precision,
                           double *least)
{
    twi_stream stream = {0};
    twi_key key = m->common;
    bool whole = n > 0;
    (void)extractor;
    for (size_t i = 0; i < n && whole; i++) {
        twi_key digest;
        whole = digest_of(ctx, m, &stream, &pictures[i], &digest);
        if (whole) digest_two(&key, digest.bytes, sizeof digest.bytes, &key);
    }
    twi_free(stream.file);
    if (!whole) return false;
    digest_two(&key, "precision", 9, &m->choice);
    m->has_choice = true;
    if (!twi_cache_get_number(m->cache, &m->choice, least)) return false;
    *precision = *least >= TWI_AUTO_COSINE ? TW_PRECISION_BF16 : TW_PRECISION_F32;
    return true;
}

void twi_remembered_choice(const twi_remembered *m, tw_precision precision, double least)
{
    (void)precision;
    if (m->has_choice && least >= -1.0 && least <= 2.0)
        twi_cache_put_number(m->cache, &m->choice, least);
}

double twi_remembered_rate(const twi_remembered *m)
{
    twi_key key;
    double rate = 0.0;
    if (!m->rows) return 0.0;
    digest_two(&m->context, "rate", 4, &key);
    return twi_cache_get_number(m->cache, &key, &rate) ? rate : 0.0;
}

void twi_remembered_keep_rate(const twi_remembered *m, double rate)
{
    twi_key key;
    if (!m->rows) return;
    digest_two(&m->context, "rate", 4, &key);
    twi_cache_put_number(m->cache, &key, rate);
}

void twi_remembered_flush(tw_ctx *ctx, const twi_remembered *m, bool all)
{
    if (m->cache) twi_cache_flush(ctx, m->cache, all);
}

/* ---- by digest alone ----------------------------------------------------------------------- */

tw_status twi_extractor_recall(tw_ctx *ctx, const twi_extractor *extractor,
                               const unsigned char (*digest)[TWI_DIGEST_BYTES], size_t n,
                               void (*row)(void *user, size_t i, const float *features), void *user,
                               size_t *found)
{
    const twi_source none = {.path = NULL};
    twi_remembered m;
    float *buffer;
    *found = 0;
    tw_status st = twi_remembered_open(ctx, extractor, &none, &m);
    if (st != TW_OK || !m.cache) return st;
    if ((st = twi_alloc(ctx, extractor->features, &buffer)) != TW_OK) return st;
    for (size_t i = 0; i < n; i++) {
        twi_key key;
        bool there = false;
        memcpy(key.bytes, digest[i], sizeof key.bytes);
        for (int few = 0; few < 2 && !there; few++) { /* small sets were computed in that form */
            twi_remembered_for(&m, extractor, extractor->precision, few == 1);
            there = twi_remembered_row(&m, &key, buffer, extractor->features);
        }
        if (!there) continue;
        row(user, i, buffer);
        ++*found;
    }
    twi_free(buffer);
    return TW_OK;
}
