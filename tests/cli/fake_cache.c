/* fake_cache.c - the test double's cache: it remembers how it was opened, and holds nothing. */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

struct tw_cache {
    char folder[512];
    size_t limit;
};

void tw_cache_opts_init(tw_cache_opts *opts)
{
    *opts = (tw_cache_opts){.size_bytes = sizeof *opts};
}

tw_status tw_cache_open(tw_ctx *ctx, const tw_cache_opts *opts, tw_cache **out)
{
    const tw_status status = planned(ctx, "tw_cache_open");
    if (status != TW_OK) return status;
    tw_cache *const cache = calloc(1, sizeof *cache);
    if (!cache) return fail(ctx, TW_ERR_NOMEM, "no memory for a cache");
    strncpy(cache->folder, opts->folder ? opts->folder : "default", sizeof cache->folder - 1);
    cache->limit = opts->max_bytes ? opts->max_bytes : (size_t)4 << 30;
    *out = cache;
    return TW_OK;
}

void tw_cache_free(tw_cache *cache)
{
    free(cache);
}

void tw_ctx_set_cache(tw_ctx *ctx, tw_cache *cache)
{
    (void)ctx, (void)cache;
}

tw_status tw_cache_describe(tw_ctx *ctx, tw_cache *cache, tw_cache_info *out)
{
    (void)ctx;
    *out = (tw_cache_info){cache->folder, 12, 10, 1536 * 1024, cache->limit};
    return TW_OK;
}

tw_status tw_cache_clear(tw_ctx *ctx, const char *folder, size_t *bytes)
{
    (void)folder;
    *bytes = 3 << 20;
    return planned(ctx, "tw_cache_clear");
}

tw_status tw_downloads_clear(tw_ctx *ctx, const char *folder, size_t *bytes)
{
    (void)folder;
    *bytes = 1 << 20;
    return planned(ctx, "tw_downloads_clear");
}
