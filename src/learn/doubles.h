/* doubles.h - the inner loops of this room in double: product tiles, and the passes of the
 * eigen-solver. As kernels.h: one body, compiled once per instruction set, the plain build the
 * reference. */
#ifndef TWI_LEARN_DOUBLES_H
#define TWI_LEARN_DOUBLES_H

#include <stddef.h>

#define TWI_TILE_ROWS    12 /* of tile(): a multiple of every build's */
#define TWI_TILE_COLUMNS 16 /* columns interleaved in one packed panel */
#define TWI_FOLD_ROWS    4  /* rows fold() takes at once */

/* What fold() works with. */
typedef struct twi_fold {
    const double *v, *w, *u;    /* [n] */
    const double *vr, *wr, *ur; /* [TWI_FOLD_ROWS] */
    double *y, *sum;
} twi_fold;

typedef struct twi_doubles {
    const char *name;
    /* c [TWI_TILE_ROWS, TWI_TILE_COLUMNS of stride ldc] += a . b: a [TWI_TILE_ROWS, depth of stride
     * lda] row-major, b [depth, TWI_TILE_COLUMNS] interleaved. */
    void (*tile)(const double *a, size_t lda, const double *b, size_t depth, double *c, size_t ldc);
    double (*dot)(const double *a, const double *b, size_t n);
    /* y [n] += s x [n]; they do not overlap. */
    void (*axpy)(double s, const double *x, size_t n, double *y);
    /* TWI_FOLD_ROWS rows of a [.., n of stride lda] -= vr v^T + wr w^T, the outer products with
     * vr and wr [TWI_FOLD_ROWS]; and, while they are in cache, y [n] += a^T ur and
     * sum [TWI_FOLD_ROWS] += a u. v, w, u [n]. */
    void (*fold)(double *a, size_t lda, size_t n, const twi_fold *by);
    /* Floats z [n] with doubles v, h [n]: sum z v; v += s z; sum h z^2; v += s h z. */
    double (*floats_dot)(const float *z, const double *v, size_t n);
    void (*floats_axpy)(double s, const float *z, size_t n, double *v);
    double (*floats_bend)(const float *z, const double *h, size_t n);
    void (*floats_add)(double s, const float *z, const double *h, size_t n, double *v);
} twi_doubles;

extern const twi_doubles twi_doubles_plain;
#if defined(__x86_64__)
extern const twi_doubles twi_doubles_avx2;
extern const twi_doubles twi_doubles_avx512;
#endif

/* The fastest build this machine runs; never NULL. */
const twi_doubles *twi_doubles_best(void);

#endif
