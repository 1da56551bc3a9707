/* cmd_cache.c - topwork cache info and clear: what is kept of earlier runs. */
#include "session.h"

static int run_info(session *s)
{
    tw_cache_opts opts;
    tw_cache_info info;
    tw_cache_opts_init(&opts);
    opts.folder = s->opts.cache;
    opts.max_bytes = s->opts.cache_bytes;
    tw_status status = tw_cache_open(s->ctx, &opts, &s->cache);
    if (status == TW_OK) status = tw_cache_describe(s->ctx, s->cache, &info);
    if (status != TW_OK) return session_fail(s, status, PHASE_WRITE);
    if (s->opts.json) {
        js *const j = &s->json;
        js_object(j, NULL);
        js_name(j, "folder", info.folder);
        js_size(j, "rows", info.rows);
        js_size(j, "files", info.files);
        js_size(j, "used_bytes", info.used_bytes);
        js_size(j, "limit_bytes", info.limit_bytes);
        js_object_end(j);
        return EXIT_FINE;
    }
    text_escaped(stdout, info.folder);
    printf("\n%zu rows of features, %zu files known\n%.1f MiB of at most %.1f MiB\n", info.rows,
           info.files, (double)info.used_bytes / 0x1p20, (double)info.limit_bytes / 0x1p20);
    return EXIT_FINE;
}

static int run_clear(session *s)
{
    size_t bytes = 0, downloads = 0;
    tw_status status = tw_cache_clear(s->ctx, s->opts.cache, &bytes);
    if (status == TW_OK) status = tw_downloads_clear(s->ctx, s->opts.cache, &downloads);
    if (status != TW_OK) return session_fail(s, status, PHASE_WRITE);
    bytes += downloads;
    if (s->opts.json) {
        js_object(&s->json, NULL);
        js_size(&s->json, "freed_bytes", bytes);
        js_object_end(&s->json);
    } else {
        printf("%.1f MiB freed\n", (double)bytes / 0x1p20);
    }
    return EXIT_FINE;
}

static const option_use info_uses[] = {{OPT_CACHE, NULL},
                                       {OPT_CACHE_SIZE, NULL},
                                       {OPT_JSON, NULL},
                                       {OPT_QUIET, NULL},
                                       {OPT_HELP, NULL}};

const command command_cache_info = {
    .name = "cache info",
    .summary = "show how much the feature cache holds",
    .operands = "",
    .uses = info_uses,
    .use_count = LEN(info_uses),
    .description =
        "train, evaluate, compare, audit and extract keep the features of each photo, under the "
        "SHA-256 of the photo's bytes and of everything else they depend on: network, recipe, "
        "pooling, precision, instruction set and version of the engine. A photo that was moved or "
        "renamed is found again; a photo, a network or an option that changed is not. Files whose "
        "size, times and inode are those of an earlier run are not even read.\n\n"
        "Killing a run does no harm, and any number of runs may share the cache. It belongs on a "
        "local file system. What was used longest ago makes room when --cache-size is reached.",
    .output = "The folder, the rows and files it knows, and its size.\n\n--json: {\"folder\", "
              "\"rows\", \"files\", \"used_bytes\", \"limit_bytes\"}.",
    .examples = "$ topwork cache info\n",
    .run = run_info,
};

static const option_use clear_uses[] = {
    {OPT_CACHE, NULL}, {OPT_JSON, NULL}, {OPT_QUIET, NULL}, {OPT_HELP, NULL}};

const command command_cache_clear = {
    .name = "cache clear",
    .summary = "remove the feature cache and unfinished downloads",
    .operands = "",
    .uses = clear_uses,
    .use_count = LEN(clear_uses),
    .description =
        "Removes the features that were kept and what backbone pull has left of downloads that did "
        "not end, and nothing else from that folder. A run that is using features is not "
        "disturbed, "
        "and neither is a download that is under way.",
    .output = "How much that freed.\n\n--json: {\"freed_bytes\"}.",
    .examples = "$ topwork cache clear\n",
    .run = run_clear,
};
