/* pca.h - principal components, as scikit-learn 1.2.1's PCA(n_components, svd_solver='full') has
 * them: centred, by descending variance, not whitened; each axis turned (svd_flip by u) so that the
 * sample farthest along it lies on the positive side. */
#ifndef TWI_LEARN_PCA_H
#define TWI_LEARN_PCA_H

#include "learn/learn.h"

typedef struct twi_pca {
    size_t d, components; /* features in and out; components 0: none */
    double *mean;         /* [d] */
    float *axes;          /* [components, d], orthonormal */
    double *variance;     /* [components], with n - 1, descending */
} twi_pca;

/* Worked out in double from the smaller of covariance and Gram matrix; memory beside the samples:
 * 8 min(n, d)^2 bytes and about 16 * components * (n + d). An axis of no variance, as the last of n
 * components of n samples, is any that is orthogonal to the others. Stages of progress:
 * "covariance", "components". The result does not depend on the number of threads. TW_ERR_ARG: 0
 * components. TW_ERR_DATA: more components than samples or features, less than 2 samples, a feature
 * that is not finite. */
tw_status twi_pca_fit(tw_ctx *ctx, const twi_samples *samples, size_t components, twi_pca *out);
/* x [n, d] -> out [n, components] */
tw_status twi_pca_apply(tw_ctx *ctx, const twi_pca *pca, const float *x, size_t n, float *out);
void twi_pca_free(twi_pca *pca);
/* Tensors "pca.mean", "pca.components" and "pca.variance", and back: the file is hostile. */
tw_status twi_pca_save(tw_ctx *ctx, const twi_pca *pca, twi_tensors *tensors);
tw_status twi_pca_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors, size_t d,
                       size_t components, twi_pca *out);

#endif
