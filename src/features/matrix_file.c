/* matrix_file.c - a float32 matrix in a temporary file that has no name, written as it is made,
 * then mapped. */
#include "features/features.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct twi_matrix_file {
    int fd;
    char *folder; /* for messages */
    size_t rows, columns, bytes;
    void *map; /* NULL until mapped */
};

/* A file that vanishes with its descriptor. File systems without O_TMPFILE (overlays, NFS) say so
 * in several ways; there it has a name for a moment. */
static tw_status open_nameless(tw_ctx *ctx, const char *folder, int *fd)
{
    *fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd >= 0) return TW_OK;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return twi_fail_errno(ctx, errno, "%s: no temporary file", folder);
    char *name;
    const tw_status st = twi_asprintf(ctx, &name, "%s/topwork-XXXXXX", folder);
    if (st != TW_OK) return st;
    *fd = mkostemp(name, O_CLOEXEC);
    const int error = errno;
    if (*fd >= 0) unlink(name);
    twi_free(name);
    return *fd >= 0 ? TW_OK : twi_fail_errno(ctx, error, "%s: no temporary file", folder);
}

tw_status twi_matrix_file_create(tw_ctx *ctx, const char *folder, size_t columns,
                                 twi_matrix_file **out)
{
    twi_matrix_file *file;
    tw_status st = twi_zalloc(ctx, 1, &file);
    if (st != TW_OK) return st;
    file->fd = -1;
    file->columns = columns;
    if (!folder) folder = getenv("TMPDIR");
    if (!folder || !*folder) folder = "/tmp";
    if ((st = twi_strdup(ctx, folder, &file->folder)) != TW_OK) goto done;
    if ((st = open_nameless(ctx, folder, &file->fd)) != TW_OK) goto done;
    *out = file, file = NULL; /* handed over */
done:
    twi_matrix_file_free(file);
    return st;
}

tw_status twi_matrix_file_append(tw_ctx *ctx, twi_matrix_file *file, const float *rows, size_t n)
{
    size_t left, end;
    if (file->map) return twi_fail(ctx, TW_ERR_ARG, "a row after the matrix was mapped");
    if (twi_mul(n, file->columns, &left) || twi_mul(left, sizeof *rows, &left) ||
        twi_add(file->bytes, left, &end))
        return twi_fail(ctx, TW_ERR_ARG, "%zu rows of %zu are too many", n, file->columns);
    const char *at = (const char *)rows;
    /* file->bytes moves only when all rows are there, so a failed append can be tried again. */
    for (size_t offset = file->bytes; left > 0;) {
        const ssize_t wrote = pwrite(file->fd, at, left, (off_t)offset);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0)
            return twi_fail_errno(ctx, errno, "%s: a temporary file of %zu bytes cannot grow",
                                  file->folder, offset);
        at += wrote;
        offset += (size_t)wrote;
        left -= (size_t)wrote;
    }
    file->bytes = end;
    file->rows += n;
    return TW_OK;
}

tw_status twi_matrix_file_map(tw_ctx *ctx, twi_matrix_file *file, const float **x, size_t *rows)
{
    if (!file->map && file->bytes > 0) {
        void *map = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, file->fd, 0);
        if (map == MAP_FAILED)
            return twi_fail_errno(ctx, errno, "%s: a temporary file of %zu bytes cannot be mapped",
                                  file->folder, file->bytes);
        file->map = map;
    }
    *x = file->map;
    *rows = file->rows;
    return TW_OK;
}

void twi_matrix_file_free(twi_matrix_file *file)
{
    if (!file) return;
    if (file->map) munmap(file->map, file->bytes);
    if (file->fd >= 0) close(file->fd);
    twi_free(file->folder);
    twi_free(file);
}
