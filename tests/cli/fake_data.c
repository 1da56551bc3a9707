/* fake_data.c - contexts, data sets and pictures of the test double. */
#include "fake.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static void *need(void *p)
{
    if (!p) abort(); /* a test double may */
    return p;
}

void names_add(names *list, const char *text)
{
    list->items = need(realloc(list->items, (list->n + 1) * sizeof *list->items));
    list->items[list->n++] = need(strdup(text));
}

void names_free(names *list)
{
    for (size_t i = 0; i < list->n; i++) free(list->items[i]);
    free(list->items);
    *list = (names){0};
}

const char *names_get(const names *list, size_t i)
{
    return i < list->n ? list->items[i] : NULL;
}

/* ---- status and context -------------------------------------------------------------------- */

const char *tw_status_name(tw_status status)
{
    static const char *const words[] = {"ok",        "arg",      "nomem",       "io",
                                        "data",      "format",   "unsupported", "diverged",
                                        "cancelled", "not_found"};
    return (size_t)status < LEN(words) ? words[status] : "unknown";
}

tw_status fail(tw_ctx *ctx, tw_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(ctx->message, sizeof ctx->message, format, args);
    va_end(args);
    return status;
}

tw_status planned(tw_ctx *ctx, const char *function)
{
    const char *const plan = getenv("FAKE_FAIL");
    const size_t n = strlen(function);
    if (!plan || strncmp(plan, function, n) != 0 || plan[n] != ':') return TW_OK;
    for (tw_status s = TW_ERR_ARG; s <= TW_ERR_NOT_FOUND; s++)
        if (strcmp(plan + n + 1, tw_status_name(s)) == 0)
            return ctx ? fail(ctx, s, "%s fails as planned", function) : s;
    abort();
}

tw_status tw_ctx_new(tw_ctx **out)
{
    const tw_status status = planned(NULL, "tw_ctx_new");
    if (status == TW_OK) *out = need(calloc(1, sizeof **out));
    return status;
}

void tw_ctx_free(tw_ctx *ctx)
{
    free(ctx);
}

const char *tw_last_error(const tw_ctx *ctx)
{
    return ctx->message;
}

void tw_ctx_set_threads(tw_ctx *ctx, size_t threads)
{
    ctx->threads = threads;
}

void tw_ctx_set_progress(tw_ctx *ctx, tw_progress_fn fn, void *user)
{
    ctx->progress = fn;
    ctx->progress_user = user;
}

void tw_ctx_set_log(tw_ctx *ctx, tw_log_fn fn, void *user)
{
    ctx->log = fn;
    ctx->log_user = user;
}

const char *tw_version(void)
{
    return "0.0.0-fake";
}

void tw_free(void *p)
{
    free(p);
}

tw_status progress(tw_ctx *ctx, const char *stage, size_t done, size_t total, size_t failed)
{
    const tw_progress p = {stage, done, total, failed};
    if (ctx->progress && ctx->progress(ctx->progress_user, &p))
        return fail(ctx, TW_ERR_CANCELLED, "the caller asked to stop");
    return TW_OK;
}

void misbehave(size_t i)
{
    const char *const number = getenv("FAKE_SIGNAL"), *const slow = getenv("FAKE_SLOW");
    if (slow) {
        const long ms = strtol(slow, NULL, 10);
        const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
        nanosleep(&pause, NULL);
    }
    if (number && i == 2) raise((int)strtol(number, NULL, 10));
}

/* ---- files --------------------------------------------------------------------------------- */

static const char head[] = "\x28\0\0\0\0\0\0\0{\"__metadata__\":{\"topwork\":\"fake\"}}     \n";

void head_write(FILE *out)
{
    fwrite(head, 1, sizeof head - 1, out);
}

bool head_read(FILE *in)
{
    char read[sizeof head];
    return fread(read, 1, sizeof head - 1, in) == sizeof head - 1 &&
           memcmp(read, head, sizeof head - 1) == 0;
}

picture_kind picture_read(const char *path, char name[256], float *probability)
{
    char line[512] = "";
    struct stat info;
    if (stat(path, &info) != 0) return NOT_READABLE;
    if (!S_ISREG(info.st_mode)) return errno = EISDIR, NOT_READABLE;
    FILE *const in = fopen(path, "r");
    if (!in) return NOT_READABLE;
    const bool any = fgets(line, sizeof line, in) != NULL;
    fclose(in);
    if (!any || strncmp(line, "PIC ", 4) != 0) return NOT_A_PICTURE;
    if (strncmp(line, "PIC damaged", 11) == 0) return PICTURE_DAMAGED;
    return sscanf(line, "PIC %255s %f", name, probability) == 2 ? PICTURE : PICTURE_DAMAGED;
}

/* ---- data sets ----------------------------------------------------------------------------- */

void tw_dataset_opts_init(tw_dataset_opts *opts)
{
    *opts = (tw_dataset_opts){.size_bytes = sizeof *opts};
}

static int all_names(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void add_file(tw_dataset *d, const char *path, const char *name, uint32_t label)
{
    char text[256];
    float p;
    const char *reason = NULL;
    const picture_kind kind = picture_read(path, text, &p);
    if (name[0] == '.') reason = "hidden";
    if (!reason && kind == NOT_A_PICTURE) reason = "not a picture";
    if (reason) {
        names_add(&d->skipped, path);
        names_add(&d->reasons, reason);
        return;
    }
    d->labels = need(realloc(d->labels, (d->paths.n + 1) * sizeof *d->labels));
    d->labels[d->paths.n] = label;
    names_add(&d->paths, path);
}

static bool wanted(const tw_dataset_opts *opts, const char *name)
{
    bool found = opts->n_categories == 0;
    for (size_t i = 0; i < opts->n_categories; i++)
        found = found || strcmp(opts->categories[i], name) == 0;
    return found && name[0] != '.';
}

static void read_class(tw_dataset *d, const char *folder, const char *name)
{
    struct dirent **entries;
    const int n = scandir(folder, &entries, all_names, alphasort);
    if (n < 0) return; /* a file beside the class folders */
    const uint32_t label = (uint32_t)d->classes.n;
    names_add(&d->classes, name);
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        add_file(d, path, entries[i]->d_name, label);
        free(entries[i]);
    }
    free(entries);
}

tw_status tw_dataset_open(tw_ctx *ctx, const char *path, const tw_dataset_opts *opts,
                          tw_dataset **out)
{
    struct dirent **entries;
    tw_status status = planned(ctx, "tw_dataset_open");
    if (status != TW_OK) return status;
    const int n = scandir(path, &entries, all_names, alphasort);
    if (n < 0) return fail(ctx, TW_ERR_DATA, "%s: %s", path, strerror(errno));
    tw_dataset *const d = need(calloc(1, sizeof *d));
    for (int i = 0; i < n; i++) {
        char folder[2048];
        snprintf(folder, sizeof folder, "%s/%s", path, entries[i]->d_name);
        if (wanted(opts, entries[i]->d_name)) read_class(d, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    const size_t least = opts->to_measure ? 1 : 2;
    if (d->classes.n < least) {
        status = fail(ctx, TW_ERR_DATA, "%s: %zu classes; need %zu", path, d->classes.n, least);
        tw_dataset_free(d);
        return status;
    }
    *out = d;
    return TW_OK;
}

void tw_dataset_free(tw_dataset *d)
{
    if (!d) return;
    names_free(&d->paths);
    names_free(&d->classes);
    names_free(&d->skipped);
    names_free(&d->reasons);
    free(d->labels);
    free(d);
}

size_t tw_dataset_count(const tw_dataset *d)
{
    return d->paths.n;
}

const char *tw_dataset_path(const tw_dataset *d, size_t i)
{
    return names_get(&d->paths, i);
}

uint32_t tw_dataset_label(const tw_dataset *d, size_t i)
{
    return d->labels[i];
}

tw_part tw_dataset_part(const tw_dataset *d, size_t i)
{
    (void)d, (void)i;
    return TW_PART_NONE;
}

size_t tw_dataset_class_count(const tw_dataset *d)
{
    return d->classes.n;
}

const char *tw_dataset_class_name(const tw_dataset *d, size_t k)
{
    return names_get(&d->classes, k);
}

size_t tw_dataset_skipped_count(const tw_dataset *d)
{
    return d->skipped.n;
}

const char *tw_dataset_skipped_path(const tw_dataset *d, size_t i)
{
    return names_get(&d->skipped, i);
}

const char *tw_dataset_skipped_reason(const tw_dataset *d, size_t i)
{
    return names_get(&d->reasons, i);
}
