/* teacher.h - a larger network whose features a smaller one learns to reproduce. */
#ifndef TWI_TUNE_TEACHER_H
#define TWI_TUNE_TEACHER_H

#include "engine/engine.h"
#include "image/image.h"

typedef struct twi_teacher twi_teacher; /* one thread at a time */

typedef struct twi_teacher_opts {
    const twi_recipe *recipe; /* the teacher's own; copied */
    tw_precision precision;   /* F32 or BF16 */
    size_t batch, threads;
} twi_teacher_opts;

/* network: a backbone's, whose averaged features are taught; it may be freed afterwards. */
tw_status twi_teacher_new(tw_ctx *ctx, const twi_network *network, const twi_teacher_opts *opts,
                          twi_teacher **out);
void twi_teacher_free(twi_teacher *teacher); /* NULL is fine */

size_t twi_teacher_feature_count(const twi_teacher *teacher); /* d */
const twi_recipe *twi_teacher_recipe(const twi_teacher *teacher);

/* pictures [n, height, width, 3] of its own recipe, n at most the batch -> its features as they
 * are, out [n, d]. */
tw_status twi_teacher_features(tw_ctx *ctx, twi_teacher *teacher, const float *pictures, size_t n,
                               float *out);

/* What twi_teacher_targets() standardises by: the mean and the deviation (divided by n, as
 * scikit-learn's StandardScaler has it) of each feature over rows x [n, d], from sums and sums of
 * squares [d]. A feature that does not vary keeps its scale. */
void twi_teacher_settle(twi_teacher *teacher, const double *sums, const double *squares, size_t n);

/* The features, each of mean 0 and deviation 1 over the photos that it was settled on. */
tw_status twi_teacher_targets(tw_ctx *ctx, twi_teacher *teacher, const float *pictures, size_t n,
                              float *out);

#endif
