/* cross_validate.c - how good is a head on these features? scikit-learn's cross_val_score. */
#include <topwork/topwork.h>

#include <stdio.h>

enum { N = 300, D = 16, FOLDS = 5 };

int main(void)
{
    static const char *const kinds[] = {"logistic-regression", "linear-svm", "svm-rbf", "knn"};
    static float x[N * D];
    static uint32_t y[N];
    uint32_t state = 7;
    tw_ctx *ctx = NULL;
    tw_status status = TW_OK;
    for (size_t i = 0; i < N * D; i++) {
        state = state * 1664525u + 1013904223u; /* any numbers will do */
        y[i / D] = (uint32_t)(i / D % 3);
        x[i] = (float)(state >> 8) / 16777216.0f + 0.2f * (float)y[i / D];
    }
    if (tw_ctx_new(&ctx) != TW_OK) return 5;

    const tw_samples samples = {x, y, N, D, 3};
    for (size_t k = 0; k < 4 && status == TW_OK; k++) {
        double accuracy[FOLDS], sum = 0;
        tw_head_opts opts;
        tw_head_opts_init(&opts);
        opts.kind = kinds[k];
        status = tw_cross_validate(ctx, &samples, &opts, FOLDS, 1, 42, NULL, accuracy);
        for (size_t f = 0; f < FOLDS; f++) sum += accuracy[f];
        if (status == TW_OK) printf("%-20s %.3f\n", kinds[k], sum / FOLDS);
    }
    if (status != TW_OK) fprintf(stderr, "%s\n", tw_last_error(ctx));
    tw_ctx_free(ctx);
    return status == TW_OK ? 0 : 1;
}
