/* child.c - starting topwork-import, listening to it, and saying how it ended. */
#include "api/child.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAID_BYTES 8192 /* of what the child prints */
#define POLL_MS        50

extern char **environ;

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

tw_status twi_child_find(twi_child *child)
{
    twi_text path = {0};
    const char *given = getenv("TOPWORK_IMPORT");
    tw_status st;
    if (given && *given) {
        twi_text_add(&path, given);
        if (is_program(&path)) goto found;
        st = twi_fail(child->ctx, TW_ERR_UNSUPPORTED, "TOPWORK_IMPORT is %s, which is no program",
                      given);
        goto done;
    }
    if (find_beside(&path)) goto found;
    path.length = 0;
    twi_text_add(&path, TWI_LIBEXECDIR "/topwork/topwork-import");
    if (is_program(&path)) goto found;
    st = twi_fail(child->ctx, TW_ERR_UNSUPPORTED,
                  "the program topwork-import is neither beside this one nor at %s; set "
                  "TOPWORK_IMPORT to its path",
                  TWI_LIBEXECDIR "/topwork/topwork-import");
    goto done;
found:
    st = twi_strdup(child->ctx, path.text, &child->program);
    if (st == TW_OK) child->args[child->n_args++] = child->program;
done:
    twi_text_free(&path);
    return st;
}

void twi_child_add(twi_child *child, const char *option, const char *value)
{
    if (child->n_args + 3 > TWI_CHILD_ARGS) return; /* cannot happen: every option comes once */
    child->args[child->n_args++] = option;
    if (value) child->args[child->n_args++] = value;
}

/* ---- the child ----------------------------------------------------------------------------- */

/* Everything of ours is close-on-exec; the child gets /dev/null, /dev/null and the pipe. */
static int set_files(const twi_child *child, posix_spawn_file_actions_t *files, int pipe_end)
{
    int bad = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
    if (!bad && child->hears_output)
        bad = posix_spawn_file_actions_adddup2(files, pipe_end, 1);
    else if (!bad)
        bad = posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0);
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
static tw_status start(twi_child *child)
{
    int ends[2];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return twi_fail_errno(child->ctx, errno, "no pipe for the importer");
    int bad = posix_spawn_file_actions_init(&files);
    if (bad) goto no_files;
    if ((bad = posix_spawnattr_init(&attr)) != 0) goto no_attr;
    bad = set_files(child, &files, ends[1]);
    if (!bad) bad = set_signals(&attr);
    if (!bad)
        bad = posix_spawn(&child->pid, child->program, &files, &attr,
                          (char *const *)(uintptr_t)child->args, environ);
    posix_spawnattr_destroy(&attr);
no_attr:
    posix_spawn_file_actions_destroy(&files);
no_files:
    close(ends[1]);
    if (bad) {
        close(ends[0]);
        return twi_fail_errno(child->ctx, bad, "%s cannot be started", child->program);
    }
    child->pipe = ends[0];
    return TW_OK;
}

static const char prefix[] = "topwork-import: ";

/* Takes lines of progress out of said, up to the last complete line. */
static void take_progress(twi_child *child)
{
    twi_text *said = &child->said;
    char *end;
    if (said->failed || !said->text) return;
    while ((end = strchr(said->text + child->parsed, '\n'))) {
        char *line = said->text + child->parsed;
        size_t done, total;
        if (sscanf(line, "topwork-import: progress %zu %zu\n", &done, &total) != 2) {
            child->parsed = (size_t)(end + 1 - said->text);
            continue;
        }
        child->done = total > 0 && done > total ? total : done;
        child->total = total;
        memmove(line, end + 1, said->length - (size_t)(end + 1 - said->text) + 1);
        said->length -= (size_t)(end + 1 - line);
    }
}

/* Takes what the child has said; closes the pipe at its end. Waits POLL_MS at most. */
static void listen_once(twi_child *child)
{
    char bytes[512];
    struct pollfd fd = {.fd = child->pipe, .events = POLLIN};
    if (child->pipe < 0) {
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
        return;
    }
    if (poll(&fd, 1, POLL_MS) <= 0) return;
    const ssize_t n = read(child->pipe, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0) {
        close(child->pipe);
        child->pipe = -1;
        return;
    }
    child->last_heard = twi_seconds();
    if (child->said.length < MAX_SAID_BYTES) twi_text_add_bytes(&child->said, bytes, (size_t)n);
    take_progress(child);
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

static tw_status check_time(const twi_child *child)
{
    const double now = twi_seconds();
    if (child->wall_seconds > 0 && now > child->deadline)
        return twi_fail(child->ctx, TW_ERR_NOMEM, "%s: the importer was stopped after %u seconds",
                        child->subject, child->wall_seconds);
    if (child->quiet_seconds > 0 && now > child->last_heard + child->quiet_seconds)
        return twi_fail(child->ctx, TW_ERR_IO,
                        "%s: the importer was stopped after %u seconds without a word",
                        child->subject, child->quiet_seconds);
    return TW_OK;
}

/* Until the child ends, the caller cancels, or the time is up: then it is killed. */
static tw_status watch(twi_child *child, child_end *end)
{
    tw_status st = TW_OK;
    bool over = false;
    while (!over && st == TW_OK) {
        listen_once(child);
        if (child->pipe < 0) *end = reap(child->pid, WNOHANG, &over);
        st = twi_progress(child->ctx, child->stage, child->done, child->total, 0);
        if (st == TW_OK && !over) st = check_time(child);
    }
    if (!over) {
        kill(child->pid, SIGKILL);
        *end = reap(child->pid, 0, &over);
    }
    return st;
}

/* ---- how it ended -------------------------------------------------------------------------- */

/* The sentence after the last "topwork-import: WORD: ", and the status that WORD names. NULL: none.
 */
static const char *find_sentence(twi_text *said, tw_status *status)
{
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

static tw_status explain_signal(const twi_child *child, int number)
{
    if (number == SIGXCPU)
        return twi_fail(child->ctx, TW_ERR_NOMEM,
                        "%s: the importer used its %u seconds of processor time", child->subject,
                        child->cpu_seconds);
    if (number == SIGKILL)
        return twi_fail(child->ctx, TW_ERR_NOMEM,
                        "the importer was killed from outside while reading %s: perhaps the "
                        "machine ran out of memory",
                        child->subject);
    if (number == SIGINT || number == SIGTERM || number == SIGHUP) /* Ctrl-C reaches it, too */
        return twi_fail(child->ctx, TW_ERR_CANCELLED, "stopped by signal %d", number);
    return twi_fail(child->ctx, TW_ERR_FORMAT,
                    "the importer was ended by signal %d while reading %s: the file is damaged",
                    number, child->subject);
}

/* A child nobody could ask counts as sound when it complained of nothing: its file is checked
 * anyway. */
static tw_status explain(twi_child *child, const child_end *end)
{
    tw_status status;
    if (end->known && WIFSIGNALED(end->status)) return explain_signal(child, WTERMSIG(end->status));
    const char *sentence = find_sentence(&child->said, &status);
    if (end->known && WEXITSTATUS(end->status) == 0) return TW_OK;
    if (sentence) return twi_fail(child->ctx, status, "%s", sentence);
    if (!end->known) return TW_OK;
    return twi_fail(child->ctx, TW_ERR_FORMAT, "the importer ended with code %d while reading %s",
                    WEXITSTATUS(end->status), child->subject);
}

tw_status twi_child_run(twi_child *child)
{
    child_end end = {0};
    child->args[child->n_args] = NULL;
    tw_status st = start(child);
    if (st != TW_OK) return st;
    child->last_heard = twi_seconds();
    child->deadline = child->last_heard + child->wall_seconds;
    st = watch(child, &end);
    if (child->pipe >= 0) close(child->pipe);
    child->pipe = -1;
    return st == TW_OK ? explain(child, &end) : st;
}

void twi_child_free(twi_child *child)
{
    twi_text_free(&child->said);
    twi_free(child->program);
    child->program = NULL;
}
