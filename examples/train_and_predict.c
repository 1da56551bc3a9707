/* train_and_predict.c - the library in one page: train on a folder, predict one picture held in
 * memory. train_and_predict FOLDER PICTURE FOLDER holds one sub-folder of pictures a class. */
#include <topwork/topwork.h>

#include <stdio.h>
#include <stdlib.h>

static int run(tw_ctx *ctx, const char *folder, tw_bytes picture)
{
    tw_dataset *dataset = NULL;
    tw_model *model = NULL;
    tw_report *report = NULL;
    tw_extractor *extractor = NULL;
    float *features = NULL, *prob = NULL;
    tw_summary summary;
    int status = 1;
    if (tw_dataset_open(ctx, folder, NULL, &dataset) != TW_OK) goto done;
    if (tw_model_train(ctx, dataset, NULL, &model, &report) != TW_OK) goto done;
    tw_report_summary(report, &summary);
    printf("accuracy on %zu held-out pictures: %.3f\n", summary.n_test, summary.accuracy);

    if (tw_model_extractor(ctx, model, &extractor) != TW_OK) goto done;
    const size_t d = tw_extractor_feature_count(extractor), k = tw_model_class_count(model);
    features = calloc(d, sizeof *features);
    prob = calloc(k, sizeof *prob);
    if (!features || !prob) goto done;
    if (tw_extract_bytes(ctx, extractor, &picture, 1, features, d) != TW_OK) goto done;
    if (tw_model_predict(ctx, model, features, 1, prob, k) != TW_OK) goto done;
    for (size_t c = 0; c < k; c++) printf("%-20s %.4f\n", tw_model_class_name(model, c), prob[c]);
    status = 0;
done:
    if (status != 0) fprintf(stderr, "%s\n", tw_last_error(ctx));
    free(prob);
    free(features);
    tw_extractor_free(extractor);
    tw_report_free(report);
    tw_model_free(model);
    tw_dataset_free(dataset);
    return status;
}

int main(int argc, char **argv)
{
    static unsigned char bytes[32 << 20]; /* a photo is smaller */
    tw_ctx *ctx = NULL;
    FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (!file) {
        fprintf(stderr, "usage: train_and_predict FOLDER PICTURE\n");
        return 2;
    }
    const tw_bytes picture = {bytes, fread(bytes, 1, sizeof bytes, file)};
    fclose(file);
    if (tw_ctx_new(&ctx) != TW_OK) return 5;
    const int status = run(ctx, argv[1], picture);
    tw_ctx_free(ctx);
    return status;
}
