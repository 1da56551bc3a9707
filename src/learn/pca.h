/* pca.h - principal components, as scikit-learn's PCA(n_components) has them. */
#ifndef TWI_LEARN_PCA_H
#define TWI_LEARN_PCA_H

#include "learn/learn.h"

typedef struct twi_pca {
    size_t d, components; /* features in and out; components 0: none */
    double *mean;         /* [d] */
    float *axes;          /* [components, d] */
    double *variance;     /* [components], with n - 1 */
} twi_pca;

tw_status twi_pca_fit(tw_ctx *ctx, const twi_samples *samples, size_t components, twi_pca *out);
/* x [n, d] -> out [n, components] */
tw_status twi_pca_apply(tw_ctx *ctx, const twi_pca *pca, const float *x, size_t n, float *out);
void twi_pca_free(twi_pca *pca);
tw_status twi_pca_save(tw_ctx *ctx, const twi_pca *pca, twi_tensors *tensors);
tw_status twi_pca_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors, size_t d,
                       size_t components, twi_pca *out);

#endif
