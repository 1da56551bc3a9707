/* pull.c - tw_backbone_pull(): fetched by a child, checked here, imported by a second child,
 * installed by one rename.
 *
 * In the cache folder, downloads/NAME-DIGITS (digits of the address's SHA-256) holds "part" and
 * "part.from" (src/importer/partial.h) while the file comes, then the file under its own name until
 * it is installed. downloads/NAME.lock is held all the while. */
#include "api/backbone.h"
#include "api/child.h"
#include "api/lock.h"
#include "api/options.h"
#include "api/published.h"
#include "base/digest.h"
#include "base/file.h"
#include "features/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NAME_BYTES 64
#define MAX_FILE_BYTES 100 /* of the name that a download gets on disk */
#define READ_BYTES     ((size_t)1 << 20)
#define DEFAULT_BYTES  ((size_t)4 << 30)
#define DEFAULT_STALL  30
#define DEFAULT_TRIES  5
#define QUIET_SECONDS  120 /* the child says something about 10 times a second */
#define FETCH_MEMORY   "1024"

typedef struct hashes {
    char md5[TWI_MD5_HEX + 1], sha256[TWI_DIGEST_HEX + 1];
    size_t bytes;
} hashes;

typedef struct pull {
    tw_ctx *ctx;
    const char *name;
    tw_pull_opts opts;
    const twi_published *row; /* NULL: not in the table */
    char arch[MAX_NAME_BYTES];
    const char *source; /* an address or a path */
    bool fetched;       /* source is an address */
    char expected[80];  /* "md5:..." or "sha256:..."; "": nobody states one */
    char *import_json;  /* for tw_backbone_import() */
    char *out_path;     /* where it is installed */
    char *downloads;    /* the folder of all */
    char *folder;       /* of this one */
    char *part, *file;  /* in it */
    twi_lock lock;
    size_t received, kept; /* bytes, of the fetch */
    hashes found;
} pull;

/* ---- what was asked for -------------------------------------------------------------------- */

void tw_pull_opts_init(tw_pull_opts *opts)
{
    *opts = (tw_pull_opts){.size_bytes = sizeof *opts};
}

/* The name becomes the name of files, and a word of command lines. */
static tw_status check_name(tw_ctx *ctx, const char *name)
{
    const size_t length = strlen(name);
    const char *fine = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
    const bool ends_tw = length > 3 && strcmp(name + length - 3, ".tw") == 0;
    if (length > 0 && length <= MAX_NAME_BYTES && name[strspn(name, fine)] == '\0' &&
        name[0] != '.' && name[0] != '-' && !ends_tw)
        return TW_OK;
    return twi_fail(ctx, TW_ERR_ARG,
                    "\"%s\" cannot name a backbone to install; need 1 to %d letters, digits or "
                    "._+- not starting with '.' or '-', not ending in .tw",
                    name, MAX_NAME_BYTES);
}

/* "sha256:" and 64 digits in lower case, from what somebody typed. */
static tw_status take_sha256(pull *p, const char *given)
{
    const char *digits = strncasecmp(given, "sha256:", 7) == 0 ? given + 7 : given;
    const size_t n = strlen(digits);
    if (n != TWI_DIGEST_HEX || digits[strspn(digits, "0123456789abcdefABCDEF")] != '\0')
        return twi_fail(p->ctx, TW_ERR_ARG, "SHA-256 \"%s\"; need 64 hexadecimal digits", given);
    memcpy(p->expected, "sha256:", 7);
    for (size_t i = 0; i <= n; i++) {
        const char c = digits[i];
        p->expected[7 + i] = (char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
    }
    return TW_OK;
}

static tw_status fail_unknown(const pull *p)
{
    twi_text names = {0}, readable = {0};
    char arch[MAX_NAME_BYTES];
    tw_status st = twi_published_ask(p->ctx, &readable);
    if (st != TW_OK) goto done;
    for (size_t i = 0; twi_published_at(i); i++) {
        if (!twi_published_readable(twi_published_at(i), &readable, arch, sizeof arch)) continue;
        if (names.length > 0) twi_text_add(&names, ", ");
        twi_text_add(&names, twi_published_at(i)->name);
    }
    st = twi_fail(p->ctx, TW_ERR_NOT_FOUND,
                  "%s is not among what can be pulled by name: %s. Other weights need their "
                  "architecture, where they are (an address or a file) and their SHA-256",
                  p->name, names.text ? names.text : "nothing");
done:
    twi_text_free(&names);
    twi_text_free(&readable);
    return st;
}

/* The architecture: given, or the row's if the importer knows it. */
static tw_status find_arch(pull *p)
{
    twi_text readable = {0};
    if (p->opts.arch) {
        const size_t n = strlen(p->opts.arch);
        if (n == 0 || n >= sizeof p->arch)
            return twi_fail(p->ctx, TW_ERR_ARG, "an architecture's name has 1 to %zu bytes",
                            sizeof p->arch - 1);
        memcpy(p->arch, p->opts.arch, n + 1);
        return TW_OK;
    }
    tw_status st = twi_published_ask(p->ctx, &readable);
    if (st == TW_OK && !twi_published_readable(p->row, &readable, p->arch, sizeof p->arch))
        st = twi_fail(p->ctx, TW_ERR_UNSUPPORTED,
                      "%s is published at %s, but this topwork-import does not know its "
                      "architecture",
                      p->name, p->row->address);
    twi_text_free(&readable);
    return st;
}

static tw_status find_source(pull *p)
{
    const tw_pull_opts *o = &p->opts;
    p->row = twi_published_find(p->name);
    if (!p->row && !(o->arch && o->from)) return fail_unknown(p);
    p->source = o->from ? o->from : p->row->address;
    p->fetched = strstr(p->source, "://") != NULL;
    if (o->sha256) return take_sha256(p, o->sha256);
    if (p->row && p->row->hash)
        memcpy(p->expected, p->row->hash, strlen(p->row->hash) + 1); /* the table's: it fits */
    else if (o->from)
        return twi_fail(p->ctx, TW_ERR_ARG,
                        "no hash is published for %s, so what comes from elsewhere needs its "
                        "SHA-256 (--sha256)",
                        p->name);
    return TW_OK;
}

/* The caller's options of the import, and the name. */
static tw_status make_import_json(pull *p)
{
    size_t size;
    twi_json *opts = NULL;
    const char *given = p->opts.import_json ? p->opts.import_json : "{}";
    tw_status st = twi_json_parse(p->ctx, "import options", given, strlen(given), &opts);
    if (st != TW_OK) return st;
    if (!twi_json_is_object(opts))
        st = twi_fail(p->ctx, TW_ERR_ARG, "import options are not a JSON object");
    else if (twi_json_get(opts, "name"))
        st = twi_fail(p->ctx, TW_ERR_ARG, "import option \"name\": what is pulled is called %s",
                      p->name);
    else if (!twi_json_set(opts, "name", twi_json_text(p->name)))
        st = twi_fail(p->ctx, TW_ERR_NOMEM, "no memory for the import's options");
    if (st == TW_OK) st = twi_json_print(p->ctx, opts, &p->import_json, &size);
    twi_json_free(opts);
    return st;
}

/* ---- folders ------------------------------------------------------------------------------- */

static tw_status make_folder(tw_ctx *ctx, const char *path)
{
    const tw_status st = twi_folder_make(ctx, path);
    return st == TW_OK ? TW_OK : twi_fail_prefix(ctx, st, "%s: ", path);
}

static tw_status find_out_path(pull *p)
{
    char *folder = NULL;
    tw_status st = p->opts.folder ? twi_strdup(p->ctx, p->opts.folder, &folder)
                                  : twi_backbone_user_folder(p->ctx, &folder);
    if (st == TW_OK) st = make_folder(p->ctx, folder);
    if (st == TW_OK) st = twi_asprintf(p->ctx, &p->out_path, "%s/%s.tw", folder, p->name);
    twi_free(folder);
    return st;
}

/* The last part of an address, fit to be a file name: it ends up in the backbone's origin. */
static void file_name_of(const char *address, char out[MAX_FILE_BYTES + 1])
{
    const char *end = address + strcspn(address, "?#"), *start = end;
    size_t n = 0;
    while (start > address && start[-1] != '/') start--;
    for (; start < end && n < MAX_FILE_BYTES; start++) {
        const char c = *start;
        const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '_' || c == '-' || (c == '.' && n > 0);
        out[n++] = fine ? c : '_';
    }
    if (n == 0) out[n++] = '_';
    out[n] = '\0';
    if (strcmp(out, "part") == 0 || strcmp(out, "part.from") == 0) out[0] = 'P';
}

static tw_status find_downloads(pull *p)
{
    char *cache = NULL, *lock = NULL, hex[TWI_DIGEST_HEX + 1], name[MAX_FILE_BYTES + 1];
    twi_digest digest;
    tw_status st = twi_cache_folder(p->ctx, p->opts.cache, &cache);
    if (st != TW_OK) return st;
    if ((st = twi_asprintf(p->ctx, &p->downloads, "%s/downloads", cache)) != TW_OK) goto done;
    if ((st = make_folder(p->ctx, p->downloads)) != TW_OK) goto done;
    if ((st = twi_asprintf(p->ctx, &lock, "%s/%s.lock", p->downloads, p->name)) != TW_OK) goto done;
    if ((st = twi_lock_take(p->ctx, lock, &p->lock)) != TW_OK) goto done;
    if (!p->fetched) goto done;
    twi_digest_start(&digest);
    twi_digest_add(&digest, p->source, strlen(p->source));
    twi_digest_finish(&digest, hex);
    file_name_of(p->source, name);
    st = twi_asprintf(p->ctx, &p->folder, "%s/%s-%.16s", p->downloads, p->name, hex);
    if (st == TW_OK) st = make_folder(p->ctx, p->folder);
    if (st == TW_OK) st = twi_asprintf(p->ctx, &p->part, "%s/part", p->folder);
    if (st == TW_OK) st = twi_asprintf(p->ctx, &p->file, "%s/%s", p->folder, name);
done:
    twi_free(cache);
    twi_free(lock);
    return st;
}

static void remove_download(const pull *p)
{
    char from[4096 + 8];
    if (!p->folder) return;
    unlink(p->file);
    unlink(p->part);
    const int n = snprintf(from, sizeof from, "%s.from", p->part);
    if (n > 0 && (size_t)n < sizeof from) unlink(from);
}

/* ---- the file ------------------------------------------------------------------------------ */

static tw_status hash_file(pull *p, const char *path)
{
    unsigned char *buffer = NULL;
    twi_digest sha256;
    twi_md5 md5;
    struct stat info;
    size_t bytes = 0;
    ssize_t n;
    /* O_NONBLOCK: a FIFO must not make us wait. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return twi_fail_errno(p->ctx, errno, "%s", path);
    tw_status st = TW_OK;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        st = twi_fail(p->ctx, TW_ERR_IO, "%s: not a regular file", path);
    if (st == TW_OK) st = twi_alloc(p->ctx, READ_BYTES, &buffer);
    twi_digest_start(&sha256);
    twi_md5_start(&md5);
    while (st == TW_OK) {
        do n = read(fd, buffer, READ_BYTES);
        while (n < 0 && errno == EINTR);
        if (n < 0) st = twi_fail_errno(p->ctx, errno, "%s", path);
        if (n <= 0) break;
        twi_digest_add(&sha256, buffer, (size_t)n);
        twi_md5_add(&md5, buffer, (size_t)n);
        bytes += (size_t)n;
        st = twi_progress(p->ctx, "check", bytes, 0, 0);
    }
    if (st == TW_OK) {
        twi_digest_finish(&sha256, p->found.sha256);
        twi_md5_finish(&md5, p->found.md5);
        p->found.bytes = bytes;
    }
    twi_free(buffer);
    close(fd);
    return st;
}

static bool is_expected(const pull *p)
{
    if (!p->expected[0]) return true;
    const bool md5 = strncmp(p->expected, "md5:", 4) == 0;
    return strcmp(md5 ? p->found.md5 : p->found.sha256, strchr(p->expected, ':') + 1) == 0;
}

static tw_status fail_hash(const pull *p, const char *what)
{
    const bool md5 = strncmp(p->expected, "md5:", 4) == 0;
    return twi_fail(p->ctx, TW_ERR_FORMAT,
                    "%s: the wrong file, or a damaged one: its %s is %s and should be %s; %s", what,
                    md5 ? "MD5" : "SHA-256", md5 ? p->found.md5 : p->found.sha256,
                    strchr(p->expected, ':') + 1,
                    p->fetched ? "it was removed" : "nothing was installed");
}

/* source without the name and password that it may hold, for messages: fresh memory. */
static tw_status shown_source(const pull *p, char **out)
{
    const char *scheme = p->fetched ? strstr(p->source, "://") + 3 : p->source;
    const size_t host = p->fetched ? strcspn(scheme, "/?#") : 0;
    const char *rest = scheme;
    for (size_t i = 0; i < host; i++)
        if (scheme[i] == '@') rest = scheme + i + 1;
    return twi_asprintf(p->ctx, out, "%.*s%s", (int)(scheme - p->source), p->source, rest);
}

static tw_status number(tw_ctx *ctx, size_t value, size_t fallback, char **out)
{
    return twi_asprintf(ctx, out, "%zu", value > 0 ? value : fallback);
}

/* Brings p->part up to the whole file. */
static tw_status run_fetch(pull *p)
{
    char *most = NULL, *stall = NULL, *tries = NULL, *shown = NULL;
    const size_t stall_seconds = p->opts.stall_seconds ? p->opts.stall_seconds : DEFAULT_STALL;
    twi_child child = {
        .ctx = p->ctx, .stage = "fetch", .quiet_seconds = QUIET_SECONDS + (unsigned)stall_seconds};
    tw_status st = shown_source(p, &shown);
    child.subject = shown;
    if (st == TW_OK) st = number(p->ctx, p->opts.max_bytes, DEFAULT_BYTES, &most);
    if (st == TW_OK) st = number(p->ctx, stall_seconds, DEFAULT_STALL, &stall);
    if (st == TW_OK) st = number(p->ctx, p->opts.attempts, DEFAULT_TRIES, &tries);
    if (st == TW_OK) st = twi_child_find(&child);
    if (st != TW_OK) goto done;
    twi_child_add(&child, "--memory-limit", FETCH_MEMORY);
    twi_child_add(&child, "--max-bytes", most);
    twi_child_add(&child, "--stall", stall);
    twi_child_add(&child, "--attempts", tries);
    twi_child_add(&child, "--output", p->part);
    twi_child_add(&child, "--fetch", p->source);
    if ((st = twi_child_run(&child)) != TW_OK) goto done;
    const char *line = child.said.text ? strstr(child.said.text, "topwork-import: fetched ") : NULL;
    size_t bytes, received, kept;
    if (!line ||
        sscanf(line, "topwork-import: fetched %zu %zu %zu", &bytes, &received, &kept) != 3) {
        st = twi_fail(p->ctx, TW_ERR_FORMAT, "%s: the importer did not say what it fetched", shown);
        goto done;
    }
    p->received += received;
    p->kept = kept;
done:
    twi_child_free(&child);
    twi_free(most);
    twi_free(stall);
    twi_free(tries);
    twi_free(shown);
    return st;
}

/* Fetches, checks, and gives the file its own name. Of a file joined from what two servers, or two
 * versions, sent, only the hash can tell: it is then fetched once more in one piece. */
static tw_status fetch_file(pull *p)
{
    char *shown = NULL;
    tw_status st = twi_path_exists(p->file) ? hash_file(p, p->file) : TW_OK;
    if (st != TW_OK) return st;
    if (p->found.bytes > 0 && is_expected(p)) { /* all of it came, and importing it then failed */
        p->kept = p->found.bytes;
        return TW_OK;
    }
    unlink(p->file);
    for (int round = 0; round < 2; round++) {
        if ((st = run_fetch(p)) != TW_OK) return st;
        if ((st = hash_file(p, p->part)) != TW_OK) return st;
        if (is_expected(p)) break;
        const bool joined = p->kept > 0;
        remove_download(p);
        if ((st = shown_source(p, &shown)) != TW_OK) return st;
        st = fail_hash(p, shown);
        if (joined && round == 0)
            twi_log(p->ctx, TW_LOG_WARNING,
                    "%s: what was here of it and what came now do not make the right file; "
                    "fetching all of it",
                    shown);
        twi_free(shown);
        if (!joined || round == 1) return st;
    }
    if (rename(p->part, p->file) != 0)
        return twi_fail_errno(p->ctx, errno, "%s: cannot be made", p->file);
    if (!p->expected[0])
        twi_log(p->ctx, TW_LOG_INFO, "%s: its publisher states no hash; SHA-256 of what came: %s",
                p->name, p->found.sha256);
    return TW_OK;
}

static tw_status check_local(pull *p)
{
    const tw_status st = hash_file(p, p->source);
    if (st != TW_OK) return st;
    return is_expected(p) ? TW_OK : fail_hash(p, p->source);
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* What is there already; *path NULL: nothing, or it is to be replaced. */
static tw_status find_installed(const pull *p, char **path)
{
    *path = NULL;
    if (p->opts.force) return TW_OK;
    if (twi_path_exists(p->out_path)) return twi_strdup(p->ctx, p->out_path, path);
    return p->opts.folder ? TW_OK : twi_backbone_find(p->ctx, p->name, path);
}

static tw_status warn_shadowed(const pull *p)
{
    char *first = NULL;
    if (p->opts.folder) return TW_OK;
    const tw_status st = twi_backbone_find(p->ctx, p->name, &first);
    if (st == TW_OK && first && strcmp(first, p->out_path) != 0)
        twi_log(p->ctx, TW_LOG_WARNING,
                "%s comes first on the search path: %s still means that file", first, p->name);
    twi_free(first);
    return st;
}

static tw_status install(pull *p)
{
    tw_status st = p->fetched ? fetch_file(p) : check_local(p);
    if (st != TW_OK) return st;
    st = tw_backbone_import(p->ctx, p->fetched ? p->file : p->source, p->arch, p->import_json,
                            p->out_path);
    if (st != TW_OK) return st;
    remove_download(p);
    return warn_shadowed(p);
}

/* Takes over *path. */
static tw_status report(const pull *p, char **path, bool was_there, tw_pulled **out)
{
    tw_pulled *pulled;
    tw_status st = twi_zalloc(p->ctx, 1, &pulled);
    if (st != TW_OK) return st;
    if (!was_there && (st = shown_source(p, &pulled->source)) != TW_OK) {
        tw_pulled_free(pulled);
        return st;
    }
    pulled->path = *path, *path = NULL;
    pulled->was_installed = was_there;
    pulled->file_bytes = p->found.bytes;
    pulled->received_bytes = p->received;
    pulled->kept_bytes = p->kept;
    memcpy(pulled->sha256, p->found.sha256, sizeof pulled->sha256);
    *out = pulled;
    return TW_OK;
}

void tw_pulled_free(tw_pulled *pulled)
{
    if (!pulled) return;
    twi_free(pulled->path);
    twi_free(pulled->source);
    twi_free(pulled);
}

static tw_status run_pull(pull *p, tw_pulled **out)
{
    char *path = NULL;
    tw_status st = check_name(p->ctx, p->name);
    if (st == TW_OK) st = find_out_path(p);
    if (st == TW_OK) st = find_installed(p, &path);
    if (st == TW_OK && !path) {
        if ((st = find_source(p)) != TW_OK) return st;
        if ((st = find_downloads(p)) != TW_OK) return st;
        st = find_installed(p, &path); /* by whom we have waited for */
    }
    if (st != TW_OK) return st;
    const bool was_there = path != NULL;
    if (!was_there) {
        if ((st = find_arch(p)) != TW_OK) return st;
        if ((st = make_import_json(p)) != TW_OK) return st;
        if ((st = install(p)) != TW_OK) return st;
        if ((st = twi_strdup(p->ctx, p->out_path, &path)) != TW_OK) return st;
    }
    st = report(p, &path, was_there, out);
    twi_free(path);
    return st;
}

tw_status tw_backbone_pull(tw_ctx *ctx, const char *name, const tw_pull_opts *opts, tw_pulled **out)
{
    pull p = {.ctx = ctx, .name = name, .lock = {.fd = -1}};
    tw_pull_opts_init(&p.opts);
    tw_status st = twi_options_read(ctx, &p.opts, sizeof p.opts, opts, opts ? opts->size_bytes : 0);
    if (st == TW_OK) st = run_pull(&p, out);
    if (p.folder) rmdir(p.folder); /* stays while something is in it */
    twi_lock_release(&p.lock);
    twi_free(p.import_json);
    twi_free(p.out_path);
    twi_free(p.downloads);
    twi_free(p.folder);
    twi_free(p.part);
    twi_free(p.file);
    return st;
}

/* ---- what there is to pull ----------------------------------------------------------------- */

tw_status tw_backbone_published(tw_ctx *ctx, tw_published_fn fn, void *user)
{
    twi_text readable = {0};
    char arch[MAX_NAME_BYTES];
    const twi_published *row;
    const tw_status st = twi_published_ask(ctx, &readable);
    for (size_t i = 0; st == TW_OK && (row = twi_published_at(i)); i++) {
        if (!twi_published_readable(row, &readable, arch, sizeof arch)) continue;
        const tw_published told = {.name = row->name,
                                   .arch = arch,
                                   .address = row->address,
                                   .hash = row->hash,
                                   .input = row->input,
                                   .features = row->features,
                                   .download_bytes = row->bytes};
        fn(user, &told);
    }
    twi_text_free(&readable);
    return st;
}
