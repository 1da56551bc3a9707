/* cmd_backbone_list.c - topwork backbone list: what is installed, and what can be pulled. */
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct installed {
    char *name, *path;
    tw_backbone *backbone; /* NULL: it cannot be opened; that has been said */
    size_t bytes;
    double speed; /* photos/s; 0: not measured */
} installed;

typedef struct listing {
    session *s;
    installed *items; /* [count] */
    size_t count;
    bool failed; /* no memory */
} listing;

/* ---- installed ----------------------------------------------------------------------------- */

static void keep_one(void *user, const char *name, const char *path)
{
    listing *const l = user;
    struct stat info;
    if (l->failed) return;
    installed *const items = realloc(l->items, (l->count + 1) * sizeof *items);
    l->failed = !items;
    if (!items) return;
    l->items = items;
    installed *const one = &items[l->count];
    *one = (installed){.name = strdup(name), .path = strdup(path)};
    l->count++; /* counted even when half of it is there: it is freed all the same */
    l->failed = !one->name || !one->path;
    if (stat(path, &info) == 0 && info.st_size > 0) one->bytes = (size_t)info.st_size;
}

static void free_listing(listing *l)
{
    for (size_t i = 0; i < l->count; i++) {
        tw_backbone_free(l->items[i].backbone);
        free(l->items[i].name);
        free(l->items[i].path);
    }
    free(l->items);
}

/* What precision a measured network chose is no news here. */
static void warn(void *user, tw_log_level level, const char *message)
{
    if (level == TW_LOG_WARNING) session_note(user, "warning: %s", message);
}

/* One that is damaged is told of and listed without its facts. 0, or an exit code. */
static int open_one(session *s, installed *one)
{
    const int code = session_interrupted(s);
    if (code) return code;
    if (tw_backbone_open(s->ctx, one->path, &one->backbone) != TW_OK) {
        one->backbone = NULL;
        session_note(s, "warning: %s", tw_last_error(s->ctx));
        return 0;
    }
    const tw_status status = tw_backbone_speed(s->ctx, one->backbone, s->opts.measure, &one->speed);
    return status == TW_OK ? 0 : session_fail(s, status, PHASE_MODEL);
}

static int open_all(listing *l)
{
    int code = 0;
    tw_ctx_set_log(l->s->ctx, warn, l->s);
    session_use_cache(l->s);
    for (size_t i = 0; i < l->count && !code; i++) code = open_one(l->s, &l->items[i]);
    return code;
}

/* The first 12 digits: enough to compare by eye. */
static const char *short_digest(const tw_backbone *b, char out[16])
{
    const char *const digest = tw_backbone_digest(b);
    const char *const colon = strchr(digest, ':');
    snprintf(out, 16, "%.12s", colon ? colon + 1 : digest);
    return out;
}

static void put_size(size_t bytes)
{
    if (bytes)
        printf("%7.1f MiB", (double)bytes / 0x1p20);
    else
        printf("%11s", "-");
}

static void put_speed(double speed)
{
    if (speed > 0)
        printf("  %8.*f", speed < 10 ? 1 : 0, speed);
    else
        printf("  %8s", "-");
}

/* name, then blanks up to width columns. */
static void put_name(const char *name, size_t width)
{
    const size_t columns = text_columns(name);
    text_escaped(stdout, name);
    printf("%*s", columns < width ? (int)(width - columns) : 0, "");
}

static size_t widest(size_t so_far, const char *name)
{
    const size_t columns = text_columns(name);
    return columns > so_far ? columns : so_far;
}

static void installed_text(const listing *l)
{
    char digest[16];
    size_t width = strlen("INSTALLED");
    for (size_t i = 0; i < l->count; i++) width = widest(width, l->items[i].name);
    put_name("INSTALLED", width);
    puts("    INPUT  FEATURES         SIZE  PHOTOS/S  DIGEST        FILE");
    for (size_t i = 0; i < l->count; i++) {
        const installed *const one = &l->items[i];
        size_t height = 0, across = 0;
        put_name(one->name, width);
        if (one->backbone) {
            tw_backbone_input(one->backbone, &height, &across);
            printf("  %3zux%-3zu  %8zu  ", height, across,
                   tw_backbone_feature_count(one->backbone));
        } else {
            printf("  %7s  %8s  ", "-", "-");
        }
        put_size(one->bytes);
        put_speed(one->speed);
        printf("  %-12s  ", one->backbone ? short_digest(one->backbone, digest) : "damaged");
        text_escaped(stdout, one->path);
        putchar('\n');
    }
}

static void installed_json(const listing *l)
{
    js *const j = &l->s->json;
    js_array(j, "installed");
    for (size_t i = 0; i < l->count; i++) {
        const installed *const one = &l->items[i];
        js_object(j, NULL);
        js_name(j, "name", one->name);
        js_name(j, "path", one->path);
        js_size(j, "file_bytes", one->bytes);
        if (one->backbone) {
            size_t height, width;
            tw_backbone_input(one->backbone, &height, &width);
            js_text(j, "digest", tw_backbone_digest(one->backbone));
            js_size(j, "features", tw_backbone_feature_count(one->backbone));
            js_size(j, "classes", tw_backbone_class_count(one->backbone));
            js_array(j, "input");
            js_size(j, NULL, height);
            js_size(j, NULL, width);
            js_array_end(j);
            if (one->speed > 0)
                js_double(j, "photos_per_second", one->speed);
            else
                js_null(j, "photos_per_second");
        }
        js_object_end(j);
    }
    js_array_end(j);
}

/* ---- published ----------------------------------------------------------------------------- */

static bool is_installed(const listing *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i].name, name) == 0) return true;
    return false;
}

static void published_text(void *user, const tw_published *p)
{
    const listing *const l = user;
    if (is_installed(l, p->name)) return;
    printf("%-18s  %3zux%-3zu  %8zu  ", p->name, p->input, p->input, p->features);
    put_size(p->download_bytes);
    putchar('\n');
}

static void published_json(void *user, const tw_published *p)
{
    const listing *const l = user;
    js *const j = &l->s->json;
    js_object(j, NULL);
    js_text(j, "name", p->name);
    js_bool(j, "installed", is_installed(l, p->name));
    js_text(j, "arch", p->arch);
    js_text(j, "address", p->address);
    js_text(j, "hash", p->hash);
    js_size(j, "features", p->features);
    js_array(j, "input");
    js_size(j, NULL, p->input);
    js_size(j, NULL, p->input);
    js_array_end(j);
    if (p->download_bytes)
        js_size(j, "download_bytes", p->download_bytes);
    else
        js_null(j, "download_bytes");
    js_object_end(j);
}

/* Without its importer topwork still lists what is installed. */
static int list_published(listing *l)
{
    session *const s = l->s;
    tw_status status;
    if (s->opts.json) {
        js_array(&s->json, "published");
        status = tw_backbone_published(s->ctx, published_json, l);
        js_array_end(&s->json);
    } else {
        puts("\nCAN BE PULLED         INPUT  FEATURES     DOWNLOAD");
        status = tw_backbone_published(s->ctx, published_text, l);
    }
    if (status == TW_OK) return EXIT_FINE;
    if (status == TW_ERR_CANCELLED || status == TW_ERR_NOMEM)
        return session_fail(s, status, PHASE_MODEL);
    session_note(s, "nothing can be pulled: %s", tw_last_error(s->ctx));
    return EXIT_FINE;
}

/* ---- the command --------------------------------------------------------------------------- */

static int list_all(session *s, listing *l)
{
    const tw_status status = tw_backbone_list(s->ctx, keep_one, l);
    if (status != TW_OK) return session_fail(s, status, PHASE_MODEL);
    if (l->failed) return session_fail_nomem(s);
    int code = open_all(l);
    if (code) return code;
    session_before_output(s);
    if (s->opts.json) {
        js_object(&s->json, NULL);
        installed_json(l);
    } else if (l->count > 0) {
        installed_text(l);
    } else {
        session_note(s, "no backbone is installed");
    }
    code = list_published(l);
    if (s->opts.json && s->json.depth == 1) js_object_end(&s->json);
    return code;
}

static int run_list(session *s)
{
    listing l = {.s = s};
    const int code = list_all(s, &l);
    free_listing(&l);
    return code;
}

static const option_use list_uses[] = {
    {OPT_MEASURE, NULL}, {OPT_THREADS, NULL},  {OPT_CACHE, NULL}, {OPT_NO_CACHE, NULL},
    {OPT_JSON, NULL},    {OPT_PROGRESS, NULL}, {OPT_QUIET, NULL}, {OPT_HELP, NULL}};

const command command_backbone_list = {
    .name = "backbone list",
    .summary = "list the pretrained networks that are installed, and those to pull",
    .operands = "",
    .uses = list_uses,
    .use_count = LEN(list_uses),
    .description =
        "Looks for backbone files (NAME.tw) where a name is looked up, in that order: the folders "
        "in "
        "TOPWORK_BACKBONES (separated by colons), XDG_DATA_HOME/topwork/backbones (without it: "
        "~/.local/share/topwork/backbones), beside the program, and the installation's data "
        "folder. Of two with one name the "
        "first counts. Each is opened and its digest checked. PHOTOS/S is what --measure last "
        "found on "
        "this machine, on drawn pictures of the network's own size: decoding large photos comes "
        "on top.\n\n"
        "Below stand the published networks that 'topwork backbone pull' takes by name: those "
        "whose architecture the importer knows. Nothing is asked of the network.",
    .output =
        "Two tables; the last column of the first is the file, and - is what is not known.\n\n"
        "--json: {\"installed\": [{\"name\", \"path\", \"file_bytes\", \"digest\", "
        "\"features\", \"classes\", \"input\": [height, width], \"photos_per_second\"}], "
        "\"published\": "
        "[{\"name\", \"installed\", \"arch\", \"address\", \"hash\", \"features\", "
        "\"input\", \"download_bytes\"}]}. A damaged file has no member after "
        "file_bytes; hash and download_bytes are null when not known.",
    .examples = "$ topwork backbone list\n\n"
                "$ topwork backbone list --json | jq -r '.published[].name'\n",
    .run = run_list,
};
