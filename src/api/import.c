/* import.c - tw_backbone_import(): the parent's side of topwork-import.
 *
 * Libraries that read foreign files are not safe on hostile ones, so they run in a child under
 * limits. The child writes into a folder of its own beside the output; only what opens as a sound
 * backbone takes the output's place. */
#include "api/backbone.h"
#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAID_BYTES 8192 /* of what the child prints */
#define POLL_MS        50
#define MAX_ARGS       20

extern char **environ;

typedef struct import_run {
    tw_ctx *ctx;
    const char *path;
    char *program;
    char folder[4096]; /* the child's; "" before it is made */
    char *made;        /* the file it writes */
    char *recipe;      /* JSON text */
    char memory[24], cpu[24];
    unsigned cpu_seconds, wall_seconds;
    double deadline; /* twi_seconds() */
    const char *args[MAX_ARGS];
    size_t n_args;
    pid_t pid;
    int pipe; /* the child's standard error; -1: closed */
    twi_text said;
} import_run;

/* ---- the program --------------------------------------------------------------------------- */

static bool is_program(const twi_text *path)
{
    struct stat info;
    return !path->failed && stat(path->text, &info) == 0 && S_ISREG(info.st_mode) &&
           access(path->text, X_OK) == 0;
}

/* In the build tree programs and tests lie one or two folders below its root. */
static bool find_beside(twi_text *path)
{
    static const char *const places[] = {"/topwork-import", "/../libexec/topwork/topwork-import",
                                         "/../import/topwork-import",
                                         "/../../import/topwork-import"};
    char self[4096];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) return false;
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash) return false;
    *slash = '\0';
    for (size_t i = 0; i < TWI_LEN(places); i++) {
        path->length = 0;
        twi_text_format(path, "%s%s", self, places[i]);
        if (is_program(path)) return true;
    }
    return false;
}

static tw_status find_program(import_run *run)
{
    twi_text path = {0};
    const char *given = getenv("TOPWORK_IMPORT");
    tw_status st;
    if (given && *given) {
        twi_text_add(&path, given);
        if (is_program(&path)) goto found;
        st = twi_fail(run->ctx, TW_ERR_UNSUPPORTED, "TOPWORK_IMPORT is %s, which is no program",
                      given);
        goto done;
    }
    if (find_beside(&path)) goto found;
    path.length = 0;
    twi_text_add(&path, TWI_LIBEXECDIR "/topwork/topwork-import");
    if (is_program(&path)) goto found;
    st = twi_fail(run->ctx, TW_ERR_UNSUPPORTED,
                  "the program topwork-import is neither beside this one nor at %s; set "
                  "TOPWORK_IMPORT to its path",
                  TWI_LIBEXECDIR "/topwork/topwork-import");
    goto done;
found:
    st = twi_strdup(run->ctx, path.text, &run->program);
done:
    twi_text_free(&path);
    return st;
}

/* ---- its arguments ------------------------------------------------------------------------- */

static void add_arg(import_run *run, const char *option, const char *value)
{
    if (run->n_args + 3 > MAX_ARGS) return; /* cannot happen: every option comes once */
    run->args[run->n_args++] = option;
    if (value) run->args[run->n_args++] = value;
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
    run->cpu_seconds = (unsigned)seconds;
    run->wall_seconds = 60 + 4 * run->cpu_seconds; /* slow disks wait without computing */
    run->deadline = twi_seconds() + run->wall_seconds;
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
    add_arg(run, run->program, NULL);
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

/* ---- the child ----------------------------------------------------------------------------- */

/* Everything of ours is close-on-exec; the child gets /dev/null, /dev/null and the pipe. */
static int set_files(posix_spawn_file_actions_t *files, int pipe_end)
{
    int bad = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
    if (!bad) bad = posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0);
    if (!bad) bad = posix_spawn_file_actions_adddup2(files, pipe_end, 2);
    return bad;
}

/* No signal stays blocked by the thread that called us, and a closed pipe ends the child. */
static int set_signals(posix_spawnattr_t *attr)
{
    sigset_t none, pipe_only;
    sigemptyset(&none);
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    int bad = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!bad) bad = posix_spawnattr_setsigmask(attr, &none);
    if (!bad) bad = posix_spawnattr_setsigdefault(attr, &pipe_only);
    return bad;
}

/* posix_spawn() and not fork(): the caller may have threads that hold locks. */
static tw_status start(import_run *run)
{
    int ends[2];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return twi_fail_errno(run->ctx, errno, "no pipe for the importer");
    int bad = posix_spawn_file_actions_init(&files);
    if (bad) goto no_files;
    if ((bad = posix_spawnattr_init(&attr)) != 0) goto no_attr;
    bad = set_files(&files, ends[1]);
    if (!bad) bad = set_signals(&attr);
    if (!bad)
        bad = posix_spawn(&run->pid, run->program, &files, &attr,
                          (char *const *)(uintptr_t)run->args, environ);
    posix_spawnattr_destroy(&attr);
no_attr:
    posix_spawn_file_actions_destroy(&files);
no_files:
    close(ends[1]);
    if (bad) {
        close(ends[0]);
        return twi_fail_errno(run->ctx, bad, "%s cannot be started", run->program);
    }
    run->pipe = ends[0];
    return TW_OK;
}

/* Takes what the child has said; closes the pipe at its end. Waits POLL_MS at most. */
static void listen_once(import_run *run)
{
    char bytes[512];
    struct pollfd fd = {.fd = run->pipe, .events = POLLIN};
    if (run->pipe < 0) {
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
        return;
    }
    if (poll(&fd, 1, POLL_MS) <= 0) return;
    const ssize_t n = read(run->pipe, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0) {
        close(run->pipe);
        run->pipe = -1;
    } else if (run->said.length < MAX_SAID_BYTES) {
        twi_text_add_bytes(&run->said, bytes, (size_t)n);
    }
}

typedef struct child_end {
    bool known; /* false: somebody else reaped it (the process ignores SIGCHLD) */
    int status; /* of waitpid() */
} child_end;

static child_end reap(pid_t pid, int flags, bool *over)
{
    child_end end = {0};
    pid_t got;
    do got = waitpid(pid, &end.status, flags);
    while (got < 0 && errno == EINTR);
    end.known = got == pid;
    *over = got != 0;
    return end;
}

/* Until the child ends, the caller cancels, or the time is up: then it is killed. */
static tw_status watch(import_run *run, child_end *end)
{
    tw_status st = TW_OK;
    bool over = false;
    while (!over && st == TW_OK) {
        listen_once(run);
        if (run->pipe < 0) *end = reap(run->pid, WNOHANG, &over);
        st = twi_progress(run->ctx, "import", 0, 0, 0);
        if (st == TW_OK && !over && twi_seconds() > run->deadline)
            st = twi_fail(run->ctx, TW_ERR_NOMEM, "%s: the importer was stopped after %u seconds",
                          run->path, run->wall_seconds);
    }
    if (!over) {
        kill(run->pid, SIGKILL);
        *end = reap(run->pid, 0, &over);
    }
    return st;
}

/* ---- how it ended -------------------------------------------------------------------------- */

/* The sentence after the last "topwork-import: WORD: ", and the status that WORD names. NULL: none.
 */
static const char *find_sentence(twi_text *said, tw_status *status)
{
    static const char prefix[] = "topwork-import: ";
    char *line = NULL;
    if (said->failed || said->length == 0) return NULL;
    for (char *at = said->text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, prefix, sizeof prefix - 1) == 0) line = at + sizeof prefix - 1;
    char *colon = line ? strstr(line, ": ") : NULL;
    if (!colon) return NULL;
    colon[strcspn(colon, "\n")] = '\0';
    *colon = '\0';
    *status = TW_ERR_FORMAT;
    for (int i = TW_ERR_ARG; i <= TW_ERR_NOT_FOUND; i++)
        if (strcmp(tw_status_name((tw_status)i), line) == 0) *status = (tw_status)i;
    return colon + 2;
}

static tw_status explain_signal(const import_run *run, int number)
{
    if (number == SIGXCPU)
        return twi_fail(run->ctx, TW_ERR_NOMEM,
                        "%s: the importer used its %u seconds of processor time", run->path,
                        run->cpu_seconds);
    if (number == SIGKILL)
        return twi_fail(run->ctx, TW_ERR_NOMEM,
                        "the importer was killed from outside while reading %s: perhaps the "
                        "machine ran out of memory",
                        run->path);
    return twi_fail(run->ctx, TW_ERR_FORMAT,
                    "the importer was ended by signal %d while reading %s: the file is damaged",
                    number, run->path);
}

/* A child nobody could ask counts as sound when it complained of nothing: its file is checked
 * anyway. */
static tw_status explain(import_run *run, const child_end *end)
{
    tw_status status;
    if (end->known && WIFSIGNALED(end->status)) return explain_signal(run, WTERMSIG(end->status));
    const char *sentence = find_sentence(&run->said, &status);
    if (end->known && WEXITSTATUS(end->status) == 0) return TW_OK;
    if (sentence) return twi_fail(run->ctx, status, "%s", sentence);
    if (!end->known) return TW_OK;
    return twi_fail(run->ctx, TW_ERR_FORMAT, "the importer ended with code %d while reading %s",
                    WEXITSTATUS(end->status), run->path);
}

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
    child_end end = {0};
    tw_status st = find_program(run);
    if (st != TW_OK) return st;
    if ((st = make_folder(run, out_path)) != TW_OK) return st;
    if ((st = set_args(run, arch, opts)) != TW_OK) return st;
    if ((st = start(run)) != TW_OK) return st;
    if ((st = watch(run, &end)) != TW_OK) return st;
    if ((st = explain(run, &end)) != TW_OK) return st;
    return keep(run, out_path);
}

tw_status tw_backbone_import(tw_ctx *ctx, const char *path, const char *arch, const char *opts_json,
                             const char *out_path)
{
    import_run run = {.ctx = ctx, .path = path, .pipe = -1};
    twi_json *opts = NULL;
    tw_status st = TW_OK;
    if (opts_json) st = twi_json_parse(ctx, "import options", opts_json, strlen(opts_json), &opts);
    if (st == TW_OK && opts && !twi_json_is_object(opts))
        st = twi_fail(ctx, TW_ERR_ARG, "import options are not a JSON object");
    if (st == TW_OK) st = run_import(&run, arch, opts, out_path);
    if (run.pipe >= 0) close(run.pipe);
    remove_folder(&run);
    twi_text_free(&run.said);
    twi_json_free(opts);
    twi_free(run.recipe);
    twi_free(run.made);
    twi_free(run.program);
    return st;
}
