/* fake_pull.c - the test double's pull: it writes NAME.tw into the current folder. */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void tw_pull_opts_init(tw_pull_opts *opts)
{
    *opts = (tw_pull_opts){.size_bytes = sizeof *opts};
}

static const char *or_none(const char *text)
{
    return text ? text : "-";
}

/* The options end up in the file, for the cases to look at. */
static tw_status write_backbone(tw_ctx *ctx, const char *name, const char *path,
                                const tw_pull_opts *o)
{
    FILE *const out = fopen(path, "wb");
    if (!out) return fail(ctx, TW_ERR_IO, "%s: %s", path, strerror(errno));
    head_write(out);
    fprintf(out, "backbone %s\n", name);
    fprintf(out, "%s %s %s %s %zu %zu %s\n", or_none(o->from), or_none(o->sha256), or_none(o->arch),
            or_none(o->cache), o->stall_seconds, o->attempts, or_none(o->import_json));
    fclose(out);
    return TW_OK;
}

tw_status tw_backbone_pull(tw_ctx *ctx, const char *name, const tw_pull_opts *opts, tw_pulled **out)
{
    char path[300];
    tw_status status = planned(ctx, "tw_backbone_pull");
    if (status != TW_OK) return status;
    snprintf(path, sizeof path, "./%s.tw", name);
    const int was_there = !opts->force && access(path, F_OK) == 0;
    if ((status = progress(ctx, "fetch", 1 << 20, 3 << 20, 0)) != TW_OK) return status;
    if (!was_there && (status = write_backbone(ctx, name, path, opts)) != TW_OK) return status;
    tw_pulled *const pulled = calloc(1, sizeof *pulled);
    if (!pulled) abort();
    *pulled = (tw_pulled){.path = strdup(path), .was_installed = was_there};
    if (!was_there) {
        pulled->source = strdup(opts->from ? opts->from : "https://example.org/w.h5");
        memset(pulled->sha256, 'a', 64);
        pulled->file_bytes = 3 << 20;
        pulled->received_bytes = 2 << 20;
        pulled->kept_bytes = 1 << 20;
    }
    *out = pulled;
    return TW_OK;
}

void tw_pulled_free(tw_pulled *pulled)
{
    if (!pulled) return;
    free(pulled->path);
    free(pulled->source);
    free(pulled);
}

tw_status tw_backbone_published(tw_ctx *ctx, tw_published_fn fn, void *user)
{
    static const tw_published rows[] = {
        {"vgg16", "vgg16", "https://example.org/vgg16.h5", "md5:6d6b", 224, 512, 58889256},
        {"xception", "xception", "https://example.org/xception.h5", NULL, 299, 2048, 0},
    };
    const tw_status status = planned(ctx, "tw_backbone_published");
    if (status != TW_OK) return status;
    for (size_t i = 0; i < LEN(rows); i++) fn(user, &rows[i]);
    return TW_OK;
}

int tw_backbone_calibrated(const tw_backbone *b)
{
    (void)b;
    return 0;
}

tw_status tw_backbone_calibrate_dataset(tw_ctx *ctx, tw_backbone *b, const tw_extract_opts *opts,
                                        const tw_dataset *dataset, tw_calibration *out)
{
    const tw_status status = planned(ctx, "tw_backbone_calibrate_dataset");
    (void)b, (void)opts, (void)dataset;
    if (status == TW_OK && out) *out = (tw_calibration){32, 31, 0.998, 0.875};
    return status;
}

tw_status tw_backbone_calibrate(tw_ctx *ctx, tw_backbone *b, const tw_extract_opts *opts,
                                tw_path_fn next, void *user, size_t n, tw_calibration *out)
{
    const tw_status status = planned(ctx, "tw_backbone_calibrate");
    size_t given = 0;
    (void)b, (void)opts;
    while (given < n && next(user, given)) given++;
    if (status == TW_OK) *out = (tw_calibration){given - given / 2, given / 2, 0.998, 0.875};
    return status;
}

tw_status tw_backbone_save(tw_ctx *ctx, const tw_backbone *b, const char *path)
{
    const tw_status status = planned(ctx, "tw_backbone_save");
    FILE *file = status == TW_OK ? fopen(path, "w") : NULL;
    (void)b;
    if (file) fclose(file);
    return status;
}

tw_status tw_backbone_speed(tw_ctx *ctx, const tw_backbone *b, int again, double *speed)
{
    const tw_status status = planned(ctx, "tw_backbone_speed");
    (void)b;
    if (status == TW_OK) *speed = again ? 123.5 : 0;
    return status;
}
