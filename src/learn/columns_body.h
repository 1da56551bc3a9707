/* columns_body.h - the body of one build of columns.h; the including file defines COLUMNS, the
 * table's name. No two columns meet, so the compiler may use vectors as wide as it likes without
 * changing a bit. */
#include "learn/columns.h"

/* In these loops no two arrays overlap. */
static void add(const float *restrict x, size_t width, double *restrict sum)
{
    for (size_t j = 0; j < width; j++) sum[j] += (double)x[j];
}

static void moments(const float *restrict x, const double *restrict mean, size_t width,
                    double *restrict error, double *restrict square)
{
    for (size_t j = 0; j < width; j++) {
        const double e = (double)x[j] - mean[j];
        error[j] += e;
        square[j] += e * e;
    }
}

static void transform(const float *restrict x, const double *restrict mean,
                      const double *restrict scale, size_t width, float *restrict z)
{
    for (size_t j = 0; j < width; j++) {
        const float centred = (float)((double)x[j] - mean[j]);
        z[j] = (float)((double)centred / scale[j]);
    }
}

const twi_columns COLUMNS = {add, moments, transform};
