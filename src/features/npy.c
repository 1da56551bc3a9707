/* npy.c - a float32 matrix as an .npy file, written as it is made.
 *
 * Format: NumPy enhancement proposal 1 / numpy.lib.format, version 1.0: magic, two version bytes,
 * header length (u16le), a Python dict as ASCII text, spaces, a newline; the data starts at a
 * multiple of 64. */
#include "features/features.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Two 64-bit numbers in the text fit always, so the header can be rewritten in place when the rows
 * are known. It is also the size numpy.save() itself gives a matrix. */
enum { HEADER_BYTES = 128, PREFIX_BYTES = 10 };

struct twi_npy {
    twi_outfile *file;
    size_t rows, columns;
};

static void header_make(size_t rows, size_t columns, char header[HEADER_BYTES])
{
    static const char prefix[PREFIX_BYTES] = {
        '\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, HEADER_BYTES - PREFIX_BYTES, 0};
    static const char order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>';
    char text[HEADER_BYTES];
    const int length = snprintf(text, sizeof text,
                                "{'descr': '%cf4', 'fortran_order': False, 'shape': (%zu, %zu), }",
                                order, rows, columns);
    memcpy(header, prefix, PREFIX_BYTES);
    memset(header + PREFIX_BYTES, ' ', HEADER_BYTES - PREFIX_BYTES);
    memcpy(header + PREFIX_BYTES, text,
           (size_t)length); /* 58 characters and two numbers of <= 20 */
    header[HEADER_BYTES - 1] = '\n';
}

tw_status twi_npy_create(tw_ctx *ctx, const char *path, size_t columns, twi_npy **out)
{
    char header[HEADER_BYTES];
    twi_npy *npy;
    tw_status st = twi_zalloc(ctx, 1, &npy);
    if (st != TW_OK) return st;
    npy->columns = columns;
    header_make(0, columns, header);
    if ((st = twi_outfile_open(ctx, path, &npy->file)) != TW_OK) goto done;
    if ((st = twi_outfile_write(ctx, npy->file, header, sizeof header)) != TW_OK) goto done;
    *out = npy, npy = NULL; /* handed over */
done:
    twi_npy_free(npy);
    return st;
}

tw_status twi_npy_append(tw_ctx *ctx, twi_npy *npy, const float *rows, size_t n)
{
    size_t total, bytes;
    if (twi_add(npy->rows, n, &total) || twi_mul(n, npy->columns, &bytes) ||
        twi_mul(bytes, sizeof *rows, &bytes))
        return twi_fail(ctx, TW_ERR_ARG, "%zu rows of %zu are too many", n, npy->columns);
    const tw_status st = twi_outfile_write(ctx, npy->file, rows, bytes);
    if (st == TW_OK) npy->rows = total;
    return st;
}

tw_status twi_npy_commit(tw_ctx *ctx, twi_npy *npy)
{
    char header[HEADER_BYTES];
    header_make(npy->rows, npy->columns, header);
    const tw_status st = twi_outfile_write_at(ctx, npy->file, 0, header, sizeof header);
    return st == TW_OK ? twi_outfile_commit(ctx, npy->file) : st;
}

void twi_npy_free(twi_npy *npy)
{
    if (!npy) return;
    twi_outfile_free(npy->file);
    twi_free(npy);
}
