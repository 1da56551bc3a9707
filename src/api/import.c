/* import.c - tw_backbone_import(): the parent's side of topwork-import.
 *
 * Libraries that read foreign files are not safe on hostile ones, so they run in a child under
 * limits. The child writes into a folder of its own beside the output; only what opens as a sound
 * backbone takes the output's place. */
#include "api/backbone.h"
#include "api/child.h"
#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct import_run {
    tw_ctx *ctx;
    const char *path;
    twi_child child;
    char folder[4096]; /* the child's; "" before it is made */
    char *made;        /* the file it writes */
    char *recipe;      /* JSON text */
    char memory[24], cpu[24], seed[24], side[24], classes[24];
    char width[40];
} import_run;

/* ---- its arguments ------------------------------------------------------------------------- */

static void add_arg(import_run *run, const char *option, const char *value)
{
    twi_child_add(&run->child, option, value);
}

/* Limits grow with the file: each weight is held a few times over while it is turned about. */
static tw_status set_limits(import_run *run)
{
    struct stat info;
    if (stat(run->path, &info) != 0) return twi_fail_errno(run->ctx, errno, "%s", run->path);
    const uint64_t mib = ((uint64_t)info.st_size >> 20) + 1;
    const uint64_t seconds = 10 + mib / 4;
    if (mib > UINT32_MAX / 8)
        return twi_fail(run->ctx, TW_ERR_UNSUPPORTED, "%s: %zu MiB is no weight file", run->path,
                        (size_t)mib);
    twi_text text = {0};
    twi_text_format(&text, "%zu", (size_t)(1024 + 6 * mib));
    if (!text.failed) memcpy(run->memory, text.text, text.length + 1); /* at most 10 digits */
    text.length = 0;
    twi_text_format(&text, "%zu", (size_t)seconds);
    if (!text.failed) memcpy(run->cpu, text.text, text.length + 1);
    const bool failed = text.failed;
    twi_text_free(&text);
    if (failed) return twi_fail(run->ctx, TW_ERR_NOMEM, "no memory for the importer's arguments");
    run->child.cpu_seconds = (unsigned)seconds;
    run->child.wall_seconds = 60 + 4 * (unsigned)seconds; /* slow disks wait without computing */
    add_arg(run, "--memory-limit", run->memory);
    add_arg(run, "--cpu-limit", run->cpu);
    return TW_OK;
}

static tw_status add_text_option(import_run *run, const char *key, const char *option,
                                 const twi_json *value)
{
    const char *text = twi_json_as_text(value, NULL);
    if (!text) return twi_fail(run->ctx, TW_ERR_ARG, "import option \"%s\" is not text", key);
    add_arg(run, option, text);
    return TW_OK;
}

static tw_status add_options(import_run *run, const twi_json *opts)
{
    static const struct {
        const char *key, *option;
    } texts[] = {
        {"name", "--name"}, {"dtype", "--dtype"}, {"labels", "--labels"}, {"feature", "--feature"}};
    size_t size;
    for (size_t i = 0; twi_json_key(opts, i); i++) {
        const char *key = twi_json_key(opts, i);
        const twi_json *value = twi_json_get(opts, key);
        size_t t = 0;
        tw_status st;
        while (t < TWI_LEN(texts) && strcmp(texts[t].key, key) != 0) t++;
        if (t < TWI_LEN(texts)) {
            st = add_text_option(run, key, texts[t].option, value);
        } else if (strcmp(key, "recipe") == 0) {
            st = twi_json_print(run->ctx, value, &run->recipe, &size);
            if (st == TW_OK) add_arg(run, "--recipe-json", run->recipe);
        } else {
            st = twi_fail(run->ctx, TW_ERR_ARG,
                          "import option \"%s\" is none of name, dtype, labels, feature, "
                          "recipe",
                          key);
        }
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

static tw_status set_args(import_run *run, const char *arch, const twi_json *opts)
{
    tw_status st = set_limits(run);
    if (st != TW_OK) return st;
    if (arch) add_arg(run, "--arch", arch);
    if ((st = add_options(run, opts)) != TW_OK) return st;
    add_arg(run, "--output", run->made);
    add_arg(run, "--", run->path); /* a path may start with '-' */
    return TW_OK;
}

/* ---- its folder ---------------------------------------------------------------------------- */

static tw_status make_folder(import_run *run, const char *out_path)
{
    const char *slash = strrchr(out_path, '/');
    const size_t length = slash ? (size_t)(slash - out_path) + 1 : 0;
    static const char name[] = ".topwork-import-XXXXXX";
    if (length + sizeof name > sizeof run->folder)
        return twi_fail(run->ctx, TW_ERR_ARG, "%s: the path is too long", out_path);
    memcpy(run->folder, out_path, length);
    memcpy(run->folder + length, name, sizeof name);
    if (!mkdtemp(run->folder)) {
        const int why = errno;
        run->folder[0] = '\0';
        return twi_fail_errno(run->ctx, why, "%s: cannot be written", out_path);
    }
    return twi_asprintf(run->ctx, &run->made, "%s/backbone.tw", run->folder);
}

/* Also takes away what a child that was ended left half-written. */
static void remove_folder(const import_run *run)
{
    if (!run->folder[0]) return;
    DIR *folder = opendir(run->folder);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        unlinkat(dirfd(folder), entry->d_name, 0); /* "." and ".." refuse */
    if (folder) closedir(folder);
    rmdir(run->folder);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

/* Reads the child's file as any backbone is read, then puts its bytes in the output's place. */
static tw_status keep(const import_run *run, const char *out_path)
{
    tw_backbone *backbone = NULL;
    twi_bundle *bundle = NULL;
    twi_map map = {0};
    twi_outfile *file = NULL;
    tw_status st = twi_bundle_open(run->ctx, run->made, "backbone", &bundle);
    if (st != TW_OK) return st;
    st = twi_backbone_read(run->ctx, out_path, bundle, twi_bundle_document(bundle), "", &backbone);
    if (st != TW_OK) goto done;
    if ((st = twi_map_open(run->ctx, run->made, &map)) != TW_OK) goto done;
    if ((st = twi_outfile_open(run->ctx, out_path, &file)) != TW_OK) goto done;
    if ((st = twi_outfile_write(run->ctx, file, map.data, map.size)) != TW_OK) goto done;
    st = twi_outfile_commit(run->ctx, file);
done:
    twi_outfile_free(file);
    twi_map_close(&map);
    tw_backbone_free(backbone);
    twi_bundle_free(bundle);
    return st;
}

static tw_status run_import(import_run *run, const char *arch, const twi_json *opts,
                            const char *out_path)
{
    tw_status st = twi_child_find(&run->child);
    if (st != TW_OK) return st;
    if ((st = make_folder(run, out_path)) != TW_OK) return st;
    if ((st = set_args(run, arch, opts)) != TW_OK) return st;
    if ((st = twi_child_run(&run->child)) != TW_OK) return st;
    return keep(run, out_path);
}

tw_status tw_backbone_import(tw_ctx *ctx, const char *path, const char *arch, const char *opts_json,
                             const char *out_path)
{
    import_run run = {
        .ctx = ctx, .path = path, .child = {.ctx = ctx, .stage = "import", .subject = path}};
    twi_json *opts = NULL;
    tw_status st = TW_OK;
    if (opts_json) st = twi_json_parse(ctx, "import options", opts_json, strlen(opts_json), &opts);
    if (st == TW_OK && opts && !twi_json_is_object(opts))
        st = twi_fail(ctx, TW_ERR_ARG, "import options are not a JSON object");
    if (st == TW_OK) st = run_import(&run, arch, opts, out_path);
    remove_folder(&run);
    twi_json_free(opts);
    twi_free(run.recipe);
    twi_free(run.made);
    twi_child_free(&run.child);
    return st;
}

/* ---- weights drawn at random --------------------------------------------------------------- */

static void add_number(import_run *run, const char *option, char room[24], size_t value)
{
    snprintf(room, 24, "%zu", value);
    add_arg(run, option, room);
}

static tw_status set_draw_args(import_run *run, const twi_draw_opts *opts)
{
    twi_text width = {0};
    twi_text_double(&width, opts->width);
    const bool failed = width.failed;
    if (!failed) snprintf(run->width, sizeof run->width, "%s", width.text);
    twi_text_free(&width);
    if (failed) return twi_fail(run->ctx, TW_ERR_NOMEM, "no memory for the importer's arguments");
    run->child.cpu_seconds = 120;
    run->child.wall_seconds = 600;
    add_number(run, "--memory-limit", run->memory, 8192);
    add_number(run, "--cpu-limit", run->cpu, run->child.cpu_seconds);
    add_number(run, "--random", run->seed, opts->seed);
    add_number(run, "--size", run->side, opts->side);
    if (opts->classes > 0) add_number(run, "--classes", run->classes, opts->classes);
    if (opts->width > 0.0) add_arg(run, "--width", run->width);
    if (opts->name) add_arg(run, "--name", opts->name);
    add_arg(run, "--arch", opts->arch);
    add_arg(run, "--output", run->made);
    return TW_OK;
}

tw_status twi_backbone_draw(tw_ctx *ctx, const twi_draw_opts *opts, const char *beside,
                            tw_backbone **out)
{
    import_run run = {.ctx = ctx, .child = {.ctx = ctx, .stage = "import", .subject = opts->arch}};
    tw_status st = twi_child_find(&run.child);
    if (st == TW_OK) st = make_folder(&run, beside);
    if (st == TW_OK) st = set_draw_args(&run, opts);
    if (st == TW_OK) st = twi_child_run(&run.child);
    if (st == TW_OK) st = tw_backbone_open(ctx, run.made, out); /* stays mapped without its name */
    remove_folder(&run);
    twi_free(run.made);
    twi_child_free(&run.child);
    return st;
}
