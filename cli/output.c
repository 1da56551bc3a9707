#include "output.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- checks before the work ---------------------------------------------------------------- */

/* The folder of path, in fresh memory: "." for a bare name. */
static char *folder_of(const char *path)
{
    const char *const slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Our own files are safetensors whose metadata begins with the key "topwork". */
static bool begins_like_topwork(const unsigned char *head, size_t n)
{
    static const char key[] = "\"topwork\"";
    return n > 8 && head[8] == '{' && memmem(head + 8, n - 8, key, sizeof key - 1) != NULL;
}

static bool begins_like(output_kind kind, const unsigned char *head, size_t n)
{
    switch (kind) {
    case OUTPUT_TOPWORK:
        return begins_like_topwork(head, n);
    case OUTPUT_NPY:
        return n >= 6 && memcmp(head, "\x93NUMPY", 6) == 0;
    case OUTPUT_SVG:
        return n >= 4 && memcmp(head, "<svg", 4) == 0;
    case OUTPUT_CSV:
        return n >= 5 && memcmp(head, "path", 4) == 0 && strchr(",\r\n", head[4]) && head[4];
    case OUTPUT_PNG:
        return false;
    }
    return false;
}

/* True when the file is empty or of that kind. One that cannot be read is not known to be ours. */
static bool is_ours(const char *path, output_kind kind)
{
    unsigned char head[4096];
    FILE *const in = fopen(path, "rb");
    if (!in) return false;
    const size_t n = fread(head, 1, sizeof head, in);
    const bool read_all = !ferror(in);
    fclose(in);
    return read_all && (n == 0 || begins_like(kind, head, n));
}

static int refuse(session *s, const char *path, const char *why)
{
    char *const shown = text_escape(path);
    if (!shown) return session_fail_nomem(s);
    const int code = session_fail_text(s, EXIT_RESOURCE, tw_status_name(TW_ERR_IO),
                                       "cannot write %s: %s", shown, why);
    free(shown);
    return code;
}

/* target: path with its links followed, which is where the bytes will go. */
static int check_target(session *s, const char *path, const char *target, output_kind kind)
{
    static const char *const kinds[] = {
        [OUTPUT_TOPWORK] = "it exists and is no topwork file (--force replaces it)",
        [OUTPUT_NPY] = "it exists and is no .npy file (--force replaces it)",
        [OUTPUT_SVG] = "it exists and is no SVG file (--force replaces it)",
        [OUTPUT_CSV] = "it exists and is no list of ours (--force replaces it)",
        [OUTPUT_PNG] = "it exists (--force replaces it)"};
    struct stat info;
    const size_t n = strlen(target);
    char *const folder = folder_of(target);
    if (!folder) return session_fail_nomem(s);
    const int denied = access(folder, W_OK | X_OK) == 0 ? 0 : errno;
    free(folder);
    if (stat(target, &info) == 0) {
        if (S_ISDIR(info.st_mode)) return refuse(s, path, "it is a folder");
        if (!S_ISREG(info.st_mode)) return refuse(s, path, "it exists and is no regular file");
        if (!s->opts.force && !is_ours(target, kind)) return refuse(s, path, kinds[kind]);
    } else if (errno != ENOENT) {
        return refuse(s, path, strerror(errno));
    }
    if (n && target[n - 1] == '/') return refuse(s, path, "it names a folder");
    return denied ? refuse(s, path, strerror(denied)) : 0;
}

int output_check(session *s, const char *path, output_kind kind)
{
    char *const target = realpath(path, NULL); /* NULL for a new file */
    const int code = check_target(s, path, target ? target : path, kind);
    free(target);
    return code;
}

char *output_as_path(const char *path)
{
    const size_t n = strlen(path);
    char *const fresh = malloc(n + 3);
    if (!fresh) return NULL;
    const bool bare = !strchr(path, '/');
    memcpy(fresh, "./", 2);
    memcpy(fresh + (bare ? 2 : 0), path, n + 1);
    return fresh;
}

/* ---- whole or not at all ------------------------------------------------------------------- */

struct outfile {
    FILE *stream;
    char *path;      /* links followed */
    char *temporary; /* beside it; NULL once renamed */
    int why;         /* errno of the first write that failed; 0: none did, or nobody asked */
};

static mode_t new_file_mode(void)
{
    const mode_t mask =
        umask(0); /* the only way to read it; no thread of ours makes files meanwhile */
    umask(mask);
    return 0666 & ~mask;
}

static bool open_temporary(outfile *f)
{
    const size_t n = strlen(f->path);
    f->temporary = malloc(n + sizeof ".XXXXXX");
    if (!f->temporary) return false;
    memcpy(f->temporary, f->path, n);
    memcpy(f->temporary + n, ".XXXXXX", sizeof ".XXXXXX");
    struct stat old;
    const int fd = mkstemp(f->temporary);
    if (fd < 0) {
        free(f->temporary);
        f->temporary = NULL;
        return false;
    }
    const mode_t mode = stat(f->path, &old) == 0 ? old.st_mode & 07777 : new_file_mode();
    if (fchmod(fd, mode) == 0) f->stream = fdopen(fd, "w+b");
    if (!f->stream) close(fd);
    return f->stream != NULL;
}

outfile *outfile_open(session *s, const char *path)
{
    outfile *const f = calloc(1, sizeof *f);
    if (!f) {
        session_fail_nomem(s);
        return NULL;
    }
    f->path = realpath(path, NULL);
    if (!f->path) f->path = strdup(path);
    errno = ENOMEM;
    if (f->path && open_temporary(f)) return f;
    refuse(s, path, strerror(errno));
    outfile_free(f);
    return NULL;
}

FILE *outfile_stream(outfile *f)
{
    return f->stream;
}

bool outfile_failed(outfile *f)
{
    if (!ferror(f->stream)) return false;
    if (f->why == 0) f->why = errno;
    return true;
}

int outfile_sync(session *s, outfile *f)
{
    errno = f->why ? f->why : EIO;
    const bool written =
        !ferror(f->stream) && fflush(f->stream) == 0 && fsync(fileno(f->stream)) == 0;
    const int why = errno;
    const bool closed = fclose(f->stream) == 0;
    f->stream = NULL;
    if (written && closed) return 0;
    return refuse(s, f->path, strerror(written ? errno : why));
}

int outfile_rename(session *s, outfile *f)
{
    if (rename(f->temporary, f->path) != 0) return refuse(s, f->path, strerror(errno));
    free(f->temporary);
    f->temporary = NULL;
    return 0;
}

void outfile_free(outfile *f)
{
    if (!f) return;
    if (f->stream) fclose(f->stream);
    if (f->temporary) unlink(f->temporary);
    free(f->temporary);
    free(f->path);
    free(f);
}

/* numpy/lib/format.py, "Format Version 1.0": magic, version, length, a Python dict, spaces, a line
 * end. */
void npy_header(FILE *out, const char *descr, size_t rows, size_t columns)
{
    char dict[NPY_HEADER], shape[64];
    if (columns)
        snprintf(shape, sizeof shape, "(%zu, %zu)", rows, columns);
    else
        snprintf(shape, sizeof shape, "(%zu,)", rows);
    snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr,
             shape); /* at most 58 + 45 characters of the 117 that the header has for it */
    const unsigned length = NPY_HEADER - 10;
    fwrite("\x93NUMPY\x01\x00", 1, 8, out);
    fputc((int)(length & 255), out);
    fputc((int)(length >> 8), out);
    fprintf(out, "%-*s\n", (int)length - 1, dict);
}
