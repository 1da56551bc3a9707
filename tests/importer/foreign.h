/* foreign.h - weight files with torchvision's names and narrow layers, for the tests of this room.
 */
#ifndef TW_TESTS_IMPORTER_FOREIGN_H
#define TW_TESTS_IMPORTER_FOREIGN_H

#include "../testing.h"
#include "bundle/bundle.h"
#include "importer/importer.h"

#include <sys/stat.h>

/* A folder of this test's own, made once; files in it are overwritten. */
static inline const char *scratch(const char *name)
{
    static char folder[64] = "", path[512];
    if (!folder[0]) {
        strcpy(folder, "/tmp/topwork-importer-XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void scratch_remove(void)
{
    char command[600];
    const char *path = scratch("");
    snprintf(command, sizeof command, "rm -r '%s'", path);
    assert_int_equal(system(command), 0);
}

static inline void put_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline unsigned char *get_file(const char *path, size_t *size)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &info), 0);
    *size = (size_t)info.st_size;
    unsigned char *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

/* Values differ between tensors; variances are above 0. */
static inline float *add_weight(twi_tensors *list, const char *name, size_t rank,
                                const size_t *dims)
{
    void *data;
    assert_int_equal(twi_tensors_add(NULL, list, name, TWI_F32, rank, dims, NULL, &data), TW_OK);
    const twi_tensor *t = &list->items[list->n - 1];
    float *values = data;
    for (size_t k = 0; k < t->count; k++)
        values[k] = (float)((k * 7 + list->n * 13) % 101) / 64.0f + (rank == 1 ? 0.25f : -0.75f);
    return values;
}

static inline void add_vector(twi_tensors *list, const char *layer, const char *part, size_t n)
{
    char name[160];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    add_weight(list, name, 1, &n);
}

static inline void add_conv(twi_tensors *list, const char *layer, size_t out, size_t in, size_t k)
{
    char name[160];
    snprintf(name, sizeof name, "%s.weight", layer);
    add_weight(list, name, 4, (size_t[]){out, in, k, k});
}

static inline void add_norm(twi_tensors *list, const char *layer, size_t n)
{
    static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
    for (size_t i = 0; i < 4; i++) add_vector(list, layer, parts[i], n);
}

static inline void add_dense(twi_tensors *list, const char *layer, size_t out, size_t in)
{
    char name[160];
    snprintf(name, sizeof name, "%s.weight", layer);
    add_weight(list, name, 2, (size_t[]){out, in});
    add_vector(list, layer, "bias", out);
}

/* ResNet names; bottleneck: 1x1, 3x3, 1x1 with four times the width. classes 0: no classifier. */
static inline void add_resnet(twi_tensors *list, const size_t *blocks, bool bottleneck,
                              size_t kernel, size_t width, size_t classes)
{
    size_t in = width;
    char layer[80];
    add_conv(list, "conv1", width, 3, kernel);
    add_norm(list, "bn1", width);
    for (size_t s = 1; blocks[s - 1] > 0; s++, width *= 2) {
        const size_t out = bottleneck ? 4 * width : width;
        for (size_t b = 0; b < blocks[s - 1]; b++, in = out) {
            for (size_t c = 1; c <= (bottleneck ? 3u : 2u); c++) {
                const size_t from = c == 1 ? in : width, to = c == 3 ? out : width;
                snprintf(layer, sizeof layer, "layer%zu.%zu.conv%zu", s, b, c);
                add_conv(list, layer, to, from, bottleneck && c != 2 ? 1 : 3);
                snprintf(layer, sizeof layer, "layer%zu.%zu.bn%zu", s, b, c);
                add_norm(list, layer, to);
            }
            if (b > 0 || (s == 1 && in == out)) continue;
            snprintf(layer, sizeof layer, "layer%zu.0.downsample.0", s);
            add_conv(list, layer, out, in, 1);
            snprintf(layer, sizeof layer, "layer%zu.0.downsample.1", s);
            add_norm(list, layer, out);
        }
    }
    if (classes > 0) add_dense(list, "fc", classes, in);
}

static inline void add_sapling(twi_tensors *list, size_t classes)
{
    add_resnet(list, (size_t[]){2, 2, 2, 2, 0}, false, 3, 4, classes);
}

/* VGG-16, two channels everywhere. */
static inline void add_vgg16(twi_tensors *list, size_t classes)
{
    static const size_t modules[] = {0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28};
    char layer[80];
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        snprintf(layer, sizeof layer, "features.%zu", modules[i]);
        add_conv(list, layer, 2, i == 0 ? 3 : 2, 3);
        add_vector(list, layer, "bias", 2);
    }
    if (classes == 0) return;
    add_dense(list, "classifier.0", 5, 98);
    add_dense(list, "classifier.3", 5, 5);
    add_dense(list, "classifier.6", classes, 5);
}

static inline void add_squeezenet(twi_tensors *list, size_t classes)
{
    static const size_t fires[] = {3, 4, 6, 7, 9, 10, 11, 12};
    static const char *const parts[] = {"squeeze", "expand1x1", "expand3x3"};
    char layer[80];
    add_conv(list, "features.0", 4, 3, 3);
    add_vector(list, "features.0", "bias", 4);
    for (size_t i = 0; i < sizeof fires / sizeof *fires; i++) {
        for (size_t p = 0; p < 3; p++) {
            snprintf(layer, sizeof layer, "features.%zu.%s", fires[i], parts[p]);
            add_conv(list, layer, p == 0 ? 3 : 2, p > 0 ? 3 : 4, p == 2 ? 3 : 1);
            add_vector(list, layer, "bias", p == 0 ? 3 : 2);
        }
    }
    if (classes == 0) return;
    add_conv(list, "classifier.1", classes, 4, 1);
    add_vector(list, "classifier.1", "bias", classes);
}

/* Any safetensors file is a source; our own bundles are safetensors files. */
static inline void put_weights(const char *path, const twi_tensors *list)
{
    assert_int_equal(twi_bundle_write(NULL, path, "model", list, NULL, NULL), TW_OK);
}

#endif
