/* pca.c - placeholder until the step is merged: it refuses. */
#include "learn/pca.h"

tw_status twi_pca_fit(tw_ctx *ctx, const twi_samples *samples, size_t components, twi_pca *out)
{
    (void)samples, (void)components, (void)out;
    return twi_fail(ctx, TW_ERR_UNSUPPORTED, "PCA is not there yet");
}

tw_status twi_pca_apply(tw_ctx *ctx, const twi_pca *pca, const float *x, size_t n, float *out)
{
    (void)pca, (void)x, (void)n, (void)out;
    return twi_fail(ctx, TW_ERR_UNSUPPORTED, "PCA is not there yet");
}

void twi_pca_free(twi_pca *pca)
{
    *pca = (twi_pca){0};
}

tw_status twi_pca_save(tw_ctx *ctx, const twi_pca *pca, twi_tensors *tensors)
{
    (void)pca, (void)tensors;
    return twi_fail(ctx, TW_ERR_UNSUPPORTED, "PCA is not there yet");
}

tw_status twi_pca_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors, size_t d,
                       size_t components, twi_pca *out)
{
    (void)name, (void)tensors, (void)d, (void)components, (void)out;
    return twi_fail(ctx, TW_ERR_UNSUPPORTED, "PCA is not there yet");
}
