/* calibration.h - from scores to probabilities: CalibratedClassifierCV(ensemble=False)'s last step.
 */
#ifndef TWI_LEARN_CALIBRATION_H
#define TWI_LEARN_CALIBRATION_H

#include "learn/learn.h"

typedef enum twi_calibration_method {
    TWI_CALIBRATION_NONE,
    TWI_CALIBRATION_SIGMOID,
    TWI_CALIBRATION_ISOTONIC
} twi_calibration_method;

/* One curve for each class, against the rest; with two classes for the second alone. */
typedef struct twi_calibration {
    twi_calibration_method method;
    size_t k, curves;
    double *a, *b;   /* sigmoid [curves]: 1 / (1 + exp(a score + b)) */
    double *x, *y;   /* isotonic [offsets[curves]]: corners of rising polygons, x ascending */
    size_t *offsets; /* isotonic [curves + 1]: where in x and y each curve begins */
} twi_calibration;

/* score [n, k] as twi_head_score() gives it, of rows that the head was not fitted on; k == 2: of
 * the second column. */
tw_status twi_calibration_fit(tw_ctx *ctx, twi_calibration_method method, const double *score,
                              const uint32_t *y, size_t n, size_t k, twi_calibration *out);
/* score [n, k] -> prob [n, k], which may be score; each row sums to 1. */
void twi_calibration_apply(const twi_calibration *c, const double *score, size_t n, double *prob);
void twi_calibration_free(twi_calibration *c);
const char *
twi_calibration_name(twi_calibration_method method); /* "none", "sigmoid", ...; static */

/* Tensors "calibration.*" and a JSON object {"method": ...}; and back. json NULL: none. */
tw_status twi_calibration_save(tw_ctx *ctx, const twi_calibration *c, twi_tensors *tensors,
                               twi_json **json);
tw_status twi_calibration_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                               const twi_json *json, size_t k, twi_calibration *out);

#endif
