/* onnx_make.c - onnx-make FOLDER: the models of onnx_bytes.h and onnx_models.h as files, the seeds
 * of the fuzz corpus. */
#include "onnx_models.h"

static int write_model(const char *folder, const char *name, const message *model)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.onnx", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) return 1;
    const int bad = fwrite(model->at, 1, model->n, file) != model->n;
    return fclose(file) != 0 || bad;
}

static void make_taken(message *model)
{
    make_branches(model, 8);
}

int main(int argc, char **argv)
{
    static message model;
    static const struct {
        const char *name;
        void (*make)(message *model);
    } models[] = {{"classifier", make_classifier}, {"patterns", make_patterns},
                  {"moves", make_moves},           {"attention", make_attention},
                  {"windows", make_windows},       {"branches", make_taken}};
    for (size_t i = 0; argc == 2 && i < sizeof models / sizeof models[0]; i++) {
        models[i].make(&model);
        if (write_model(argv[1], models[i].name, &model)) return 1;
    }
    return argc != 2;
}
