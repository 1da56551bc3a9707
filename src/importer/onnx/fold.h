/* fold.h - between the files that work out known numbers. */
#ifndef TWI_IMPORTER_ONNX_FOLD_H
#define TWI_IMPORTER_ONNX_FOLD_H

#include "importer/onnx/graph.h"

#define TWI_FOLD_MOST                                                                              \
    ((size_t)1 << 24) /* elements that folding may make beyond those it is given */

typedef struct twi_folding {
    twi_onnx_graph *g;
    const twi_onnx_const *in[4]; /* the inputs that are there */
    size_t n;
    twi_onnx_value out;
} twi_folding;

typedef struct twi_fold_operator { /* a row of a table; the last one's name is NULL */
    const char *name;
    size_t inputs; /* at least */
    tw_status (*work)(twi_folding *f);
} twi_fold_operator;

extern const twi_fold_operator twi_fold_moves[];  /* fold_moves.c */
extern const twi_fold_operator twi_fold_values[]; /* fold_values.c */

static inline double twi_fold_get(const twi_onnx_const *c, size_t i)
{
    return c->f ? (double)c->f[i] : (double)c->i[i];
}

void twi_fold_shape(twi_folding *f, size_t rank, const size_t *dims);
/* The outcome's shape and c's, each repeated along axes where it has 1 element. */
tw_status twi_fold_broadcast(twi_folding *f, const twi_onnx_const *c);
/* The index in c of the element that is at flat index `at` of the outcome. */
size_t twi_fold_behind(const twi_onnx_value *out, const twi_onnx_const *c, size_t at);
/* Fresh memory for the outcome, whose shape is set: floats or integers. i, x may be NULL. */
tw_status twi_fold_room(twi_folding *f, bool floats, int64_t **i, float **x);
/* Element `from` of c goes to `to` of the outcome. */
void twi_fold_copy(const twi_folding *f, const twi_onnx_const *c, size_t from, size_t to);

/* Resize of known numbers (fold_resize.c). */
tw_status twi_fold_resize(twi_folding *f);

#endif
