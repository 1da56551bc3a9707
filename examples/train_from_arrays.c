/* train_from_arrays.c - a classifier of numbers that come from anywhere: two clouds of points, no
 * pictures and no files. */
#include <topwork/topwork.h>

#include <stdio.h>

enum { N = 200, D = 8 };

int main(void)
{
    static float x[N * D];
    static uint32_t y[N];
    uint32_t state = 1, label;
    float prob[2];
    tw_ctx *ctx = NULL;
    tw_classifier *classifier = NULL;
    for (size_t i = 0; i < N * D; i++) {
        state = state * 1664525u + 1013904223u; /* any numbers will do */
        y[i / D] = (uint32_t)(i / D % 2);
        x[i] = (float)(state >> 8) / 16777216.0f + 0.5f * (float)y[i / D];
    }
    if (tw_ctx_new(&ctx) != TW_OK) return 5;

    tw_head_opts opts;
    tw_head_opts_init(&opts);
    opts.kind = "svm-rbf";
    opts.C = TW_AUTO; /* by cross-validation */
    const tw_samples samples = {x, y, N, D, 2};
    tw_status status = tw_classifier_train(ctx, &samples, &opts, &classifier);
    if (status == TW_OK) status = tw_classifier_predict(ctx, classifier, x, 1, prob, &label);
    if (status == TW_OK)
        printf("row 0 is of class %u: %.3f and %.3f\n", (unsigned)label, prob[0], prob[1]);
    else
        fprintf(stderr, "%s\n", tw_last_error(ctx));
    tw_classifier_free(classifier);
    tw_ctx_free(ctx);
    return status == TW_OK ? 0 : 1;
}
