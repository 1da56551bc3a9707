/* normalise.c - rows of length 1. */
#include "learn/normalise.h"

#include <float.h>
#include <math.h>

void twi_normalise(const float *x, size_t n, size_t d, float *out)
{
    for (size_t i = 0; i < n; i++) {
        double square = 0.0;
        for (size_t j = 0; j < d; j++) square += (double)x[i * d + j] * (double)x[i * d + j];
        double length = sqrt(square);
        /* scikit-learn 1.2.1, _handle_zeros_in_scale of float32 */
        if (length < 10.0 * (double)FLT_EPSILON) length = 1.0;
        for (size_t j = 0; j < d; j++) out[i * d + j] = (float)((double)x[i * d + j] / length);
    }
}
