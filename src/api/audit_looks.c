/* audit_looks.c - a second reading of the pictures: their size, light and content at a glance. */
#include "api/audit.h"

#include "base/file.h"
#include "base/threads.h"
#include "features/cache.h"

#include <math.h>

/* Raise when a look's numbers mean something else. */
#define LOOK "look 1"

#define AT_ONCE        64 /* pictures between two words of progress */
#define MAX_FILE_BYTES ((size_t)1 << 30)

/* A network sees some 128 to 224 pixels a side: below a half of the less, most of what it sees is
 * made up. Dark and blank: luma of 0..255; the shape: the long side over the short one. */
#define TINY   64.0
#define DARK   16.0
#define BLANK  6.0
#define NARROW 4.0

static twi_key key_of(const unsigned char photo[TWI_DIGEST_BYTES])
{
    twi_key key;
    twi_digest digest;
    twi_digest_start(&digest);
    twi_digest_add(&digest, LOOK, sizeof LOOK);
    twi_digest_add(&digest, photo, TWI_DIGEST_BYTES);
    twi_digest_bytes(&digest, key.bytes);
    return key;
}

typedef struct block {
    twi_auditing *auditing;
    size_t from;
} block;

/* A file that cannot be read now was readable a moment ago: its look stays empty. */
static tw_status look(tw_ctx *ctx, void *user, size_t i)
{
    const block *b = user;
    twi_auditing *s = b->auditing;
    const size_t row = b->from + i, sample = s->harvest.sample[row];
    const char *path = tw_dataset_path(s->dataset, sample);
    tw_cache *cache = twi_ctx_cache(s->ctx);
    const twi_key key = key_of(s->harvest.digest[row]);
    twi_look *out = &s->looks[row];
    twi_recipe_scratch scratch = {0};
    unsigned char *buffer = NULL;
    size_t capacity = 0, size;
    if (cache && twi_cache_get(cache, &key, (float *)out, TWI_LOOK_VALUES)) return TW_OK;
    tw_status st = twi_file_read(ctx, path, MAX_FILE_BYTES, &buffer, &capacity, &size);
    if (st == TW_OK)
        st = twi_look_take(ctx, (tw_bytes){buffer, size}, path, s->opts.extract.max_pixels,
                           &scratch, out);
    if (st == TW_OK && cache) twi_cache_put(cache, &key, (const float *)out, TWI_LOOK_VALUES);
    if (st != TW_OK) *out = (twi_look){0};
    twi_recipe_scratch_free(&scratch);
    twi_free(buffer);
    return st == TW_ERR_NOMEM || st == TW_ERR_CANCELLED ? st : TW_OK;
}

tw_status twi_audit_look(twi_auditing *s)
{
    const size_t n = s->harvest.rows;
    tw_status st = twi_zalloc(s->ctx, n, &s->looks);
    for (size_t from = 0; from < n && st == TW_OK; from += AT_ONCE) {
        block b = {s, from};
        st = twi_progress(s->ctx, "look", from, n, 0);
        if (st == TW_OK)
            st = twi_parallel(s->ctx, 0, n - from < AT_ONCE ? n - from : AT_ONCE, look, &b);
    }
    if (st == TW_OK && twi_ctx_cache(s->ctx)) twi_cache_flush(s->ctx, twi_ctx_cache(s->ctx), true);
    return st;
}

static tw_status judge(twi_auditing *s, size_t row, tw_finding_kind kind, double value)
{
    tw_finding finding = twi_audit_of_row(s, row, kind);
    finding.value = value;
    return twi_audit_add(s, &finding);
}

/* Each kind together, so that the list is in the order of kinds. */
tw_status twi_audit_pictures(twi_auditing *s)
{
    tw_status st = TW_OK;
    for (tw_finding_kind kind = TW_FINDING_TINY; kind <= TW_FINDING_SHAPE; kind++)
        for (size_t row = 0; row < s->harvest.rows && st == TW_OK; row++) {
            const twi_look *l = &s->looks[row];
            const double width = (double)l->width, height = (double)l->height;
            const double least = fmin(width, height), most = fmax(width, height);
            const double light = (double)l->brightness, contrast = (double)l->contrast;
            if (width == 0.0) continue;
            if (kind == TW_FINDING_TINY && least < TINY) st = judge(s, row, kind, least);
            if (kind == TW_FINDING_DARK && light < DARK) st = judge(s, row, kind, light);
            if (kind == TW_FINDING_BLANK && contrast < BLANK) st = judge(s, row, kind, contrast);
            if (kind == TW_FINDING_SHAPE && most > NARROW * least)
                st = judge(s, row, kind, most / least);
        }
    return st;
}
