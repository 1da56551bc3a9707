/* sparse.c - the penalties that this version refuses. */
#include "learn/learn.h"

tw_status twi_sparse_fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                         const tw_head_opts *opts, twi_logreg *out)
{
    (void)samples, (void)scaler, (void)out;
    return twi_fail(ctx, TW_ERR_UNSUPPORTED, "penalty %s is not in this version of topwork; l2 is",
                    opts->penalty);
}
