/* predict_from_memory.c - a model and a picture that are both in memory: predict_from_memory MODEL
 * PICTURE reads them there first. */
#include <topwork/topwork.h>

#include <stdio.h>
#include <stdlib.h>

static tw_bytes slurp(const char *path)
{
    tw_bytes bytes = {NULL, 0};
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) return bytes;
    const size_t size = (size_t)ftell(file);
    void *data = malloc(size);
    rewind(file);
    if (data && fread(data, 1, size, file) == size) bytes = (tw_bytes){data, size};
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    tw_ctx *ctx = NULL;
    tw_model *model = NULL;
    tw_extractor *extractor = NULL;
    float *features = NULL, *prob = NULL;
    int status = 1;
    if (argc != 3 || tw_ctx_new(&ctx) != TW_OK) return 2;
    const tw_bytes file = slurp(argv[1]), picture = slurp(argv[2]);
    if (tw_model_open_bytes(ctx, argv[1], file, &model) != TW_OK) goto done;
    if (tw_model_extractor(ctx, model, &extractor) != TW_OK) goto done;
    const size_t d = tw_extractor_feature_count(extractor), k = tw_model_class_count(model);
    features = malloc(d * sizeof *features);
    prob = malloc(k * sizeof *prob);
    if (tw_extract_bytes(ctx, extractor, &picture, 1, features, d) != TW_OK) goto done;
    if (tw_model_predict(ctx, model, features, 1, prob, k) != TW_OK) goto done;
    for (size_t c = 0; c < k; c++) printf("%-20s %.4f\n", tw_model_class_name(model, c), prob[c]);
    status = 0;
done:
    if (status) fprintf(stderr, "%s\n", tw_last_error(ctx));
    free(prob);
    free(features);
    tw_extractor_free(extractor);
    tw_model_free(model); /* before the bytes it lives in */
    free((void *)file.data);
    free((void *)picture.data);
    tw_ctx_free(ctx);
    return status;
}
