#include "rows.h"

#include "output.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rows {
    outfile *matrix, *labels, *names; /* labels: NULL when there are none */
    char *labels_path, *names_path;
    size_t count, columns;
    bool labelled;
};

/* x.npy -> x.labels.npy; any other name gets the ending added. Fresh memory. */
static char *sibling(const char *path, const char *ending)
{
    const size_t n = strlen(path);
    const size_t stem = n > 4 && strcmp(path + n - 4, ".npy") == 0 ? n - 4 : n;
    char *const fresh = malloc(stem + strlen(ending) + 1);
    if (!fresh) return NULL;
    memcpy(fresh, path, stem);
    strcpy(fresh + stem, ending);
    return fresh;
}

static int check_paths(session *s, const char *path, const char *labels, const char *names,
                       bool labelled)
{
    int code = output_check(s, path, OUTPUT_NPY);
    if (code == 0) code = output_check(s, names, OUTPUT_CSV);
    if (code == 0 && labelled) code = output_check(s, labels, OUTPUT_NPY);
    if (code || labelled || s->opts.force || access(labels, F_OK) != 0) return code;
    char *const shown = text_escape(labels);
    if (!shown) return session_fail_nomem(s);
    code = session_fail_text(
        s, EXIT_RESOURCE, tw_status_name(TW_ERR_IO),
        "%s exists and would not belong to these features (--force removes it)", shown);
    free(shown);
    return code;
}

int rows_check(session *s, const char *path, bool labelled)
{
    char *const labels = sibling(path, ".labels.npy"), *const names = sibling(path, ".names.csv");
    const int code =
        labels && names ? check_paths(s, path, labels, names, labelled) : session_fail_nomem(s);
    free(labels);
    free(names);
    return code;
}

rows *rows_open(session *s, const char *path, bool labelled, size_t columns)
{
    rows *const r = calloc(1, sizeof *r);
    if (r) {
        r->columns = columns;
        r->labelled = labelled;
        r->labels_path = sibling(path, ".labels.npy");
        r->names_path = sibling(path, ".names.csv");
    }
    if (!r || !r->labels_path || !r->names_path) {
        session_fail_nomem(s);
        rows_free(r);
        return NULL;
    }
    r->matrix = outfile_open(s, path);
    if (r->matrix) r->names = outfile_open(s, r->names_path);
    if (r->names && labelled) r->labels = outfile_open(s, r->labels_path);
    if (!r->names || (labelled && !r->labels)) {
        rows_free(r);
        return NULL;
    }
    npy_header(outfile_stream(r->matrix), "<f4", 0,
               columns); /* again at commit, with the number of rows */
    if (labelled) npy_header(outfile_stream(r->labels), "<i8", 0, 0);
    fputs(labelled ? "path,label\r\n" : "path\r\n", outfile_stream(r->names));
    return r;
}

/* .npy's "<f4" and "<i8" are little-endian; so is every machine the engine runs on, and the build
 * says so. */
#if defined(__BYTE_ORDER__)
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are written as they lie in memory");
#endif

void rows_add(rows *r, const float *features, const char *name, size_t label,
              const char *class_name)
{
    FILE *const names = outfile_stream(r->names);
    fwrite(features, sizeof *features, r->columns, outfile_stream(r->matrix));
    text_csv(names, name);
    if (r->labelled) {
        const int64_t value = (int64_t)label;
        fwrite(&value, sizeof value, 1, outfile_stream(r->labels));
        fputc(',', names);
        text_csv(names, class_name);
    }
    fputs("\r\n", names);
    r->count++;
}

size_t rows_count(const rows *r)
{
    return r->count;
}

bool rows_failed(const rows *r)
{
    return outfile_failed(r->matrix) || outfile_failed(r->names) ||
           (r->labels && outfile_failed(r->labels));
}

static void rewrite_header(outfile *f, const char *descr, size_t count, size_t columns)
{
    FILE *const out = outfile_stream(f);
    if (!ferror(out) && fseeko(out, 0, SEEK_SET) == 0) npy_header(out, descr, count, columns);
}

/* Everything is on the disk before the first name changes; the matrix comes last, so that where a
 * new one stands its companions stand too. */
int rows_commit(session *s, rows *r)
{
    outfile *const files[] = {r->names, r->labels, r->matrix};
    int code = 0;
    rewrite_header(r->matrix, "<f4", r->count, r->columns);
    if (r->labels) rewrite_header(r->labels, "<i8", r->count, 0);
    for (size_t i = 0; i < LEN(files) && code == 0; i++)
        if (files[i]) code = outfile_sync(s, files[i]);
    if (code == 0 && !r->labelled && unlink(r->labels_path) != 0 && errno != ENOENT)
        code = session_fail_text(s, EXIT_RESOURCE, tw_status_name(TW_ERR_IO),
                                 "cannot remove %s: %s", r->labels_path, strerror(errno));
    for (size_t i = 0; i < LEN(files) && code == 0; i++)
        if (files[i]) code = outfile_rename(s, files[i]);
    return code;
}

void rows_free(rows *r)
{
    if (!r) return;
    outfile_free(r->matrix);
    outfile_free(r->labels);
    outfile_free(r->names);
    free(r->labels_path);
    free(r->names_path);
    free(r);
}

const char *rows_labels_path(const rows *r)
{
    return r->labelled ? r->labels_path : NULL;
}

const char *rows_names_path(const rows *r)
{
    return r->names_path;
}
