/* keras.c - Keras names and layouts. */
#include "importer/keras.h"

#include <string.h>

/* Keras 1 called a kernel W, a bias b, and a moving variance (which it was) running_std. */
static const struct part_row {
    const char *keras, *ours;
} parts[] = {
    {"kernel", "weight"},
    {"W", "weight"},
    {"bias", "bias"},
    {"b", "bias"},
    {"gamma", "weight"},
    {"beta", "bias"},
    {"depthwise_kernel", "weight"},
    {"pointwise_kernel", "pointwise.weight"}, /* of a separable convolution */
    {"layer_scale_gamma", "weight"},          /* ConvNeXt's, in Keras 3 and in 2 */
    {"Variable", "weight"},
    {"mean", "running_mean"}, /* of a Normalization layer */
    {"variance", "running_var"},
    {"moving_mean", "running_mean"},
    {"running_mean", "running_mean"},
    {"moving_variance", "running_var"},
    {"running_std", "running_var"},
};

/* Length without a trailing "_1": TensorFlow numbers names it has met before. */
static size_t without_number(const char *text, size_t length)
{
    size_t end = length;
    while (end > 0 && text[end - 1] >= '0' && text[end - 1] <= '9') end--;
    return end > 1 && end < length && text[end - 1] == '_' ? end - 1 : length;
}

const char *twi_keras_part(const char *layer, const char *weight)
{
    const char *slash = strrchr(weight, '/');
    const char *part = slash ? slash + 1 : weight;
    const size_t prefix = strlen(layer);
    if (strncmp(part, layer, prefix) == 0 && part[prefix] == '_') part += prefix + 1;
    const size_t length = without_number(part, strcspn(part, ":"));
    for (size_t i = 0; i < TWI_LEN(parts); i++)
        if (strlen(parts[i].keras) == length && memcmp(parts[i].keras, part, length) == 0)
            return parts[i].ours;
    return NULL;
}

bool twi_keras_is_count(const char *weight)
{
    const char *slash = strrchr(weight, '/'), *part = slash ? slash + 1 : weight;
    const size_t length = without_number(part, strcspn(part, ":"));
    return length == 5 && memcmp(part, "count", 5) == 0;
}

/* Length of a weight's name without its part: "a/b" of "a/b/kernel:0". */
static size_t owner_length(const char *weight)
{
    const char *slash = strrchr(weight, '/');
    return slash ? (size_t)(slash - weight) : 0;
}

bool twi_keras_is_nested(const char *const *weights, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const size_t length = owner_length(weights[i]);
        if (length != owner_length(weights[0]) || memcmp(weights[i], weights[0], length) != 0)
            return true;
    }
    return false;
}

bool twi_keras_owner(const char *weight, char *owner, size_t room)
{
    const size_t length = owner_length(weight);
    size_t start = length; /* the last component */
    while (start > 0 && weight[start - 1] != '/') start--;
    if (length == start || length - start >= room) return false;
    memcpy(owner, weight + start, length - start);
    owner[length - start] = '\0';
    return true;
}

const char *twi_keras_numbered_part(const char *group, size_t i, size_t n)
{
    /* In the order in which Keras's layers make their weights; norms may lack scale (Inception's
     * do) but no more. */
    static const struct {
        const char *kind;
        size_t n; /* arrays; 0: any number */
        const char *parts[4];
    } rows[] = {
        {"conv2d", 0, {"weight", "bias"}},
        {"dense", 0, {"weight", "bias"}},
        {"depthwise_conv2d", 0, {"weight", "bias"}},
        {"separable_conv2d", 0, {"weight", "pointwise.weight", "bias"}},
        {"batch_normalization", 4, {"weight", "bias", "running_mean", "running_var"}},
        {"batch_normalization", 3, {"bias", "running_mean", "running_var"}},
        {"layer_normalization", 2, {"weight", "bias"}},
        {"normalization", 0, {"running_mean", "running_var", "count"}},
        {"layer_scale", 1, {"weight"}},
    };
    const char *slash = strrchr(group, '/'), *kind = slash ? slash + 1 : group;
    const size_t length = without_number(kind, strlen(kind));
    for (size_t r = 0; r < TWI_LEN(rows); r++)
        if (strlen(rows[r].kind) == length && memcmp(rows[r].kind, kind, length) == 0 &&
            (rows[r].n == 0 || rows[r].n == n))
            return i < TWI_LEN(rows[r].parts) ? rows[r].parts[i] : NULL;
    return NULL;
}

bool twi_keras_dims(size_t rank, const size_t *dims, size_t *out)
{
    if (rank == 1) {
        out[0] = dims[0];
    } else if (rank == 2) {
        out[0] = dims[1], out[1] = dims[0];
    } else if (rank == 4) {
        out[0] = dims[3], out[1] = dims[2], out[2] = dims[0], out[3] = dims[1];
    } else {
        return false;
    }
    return true;
}

#define TILE 32

/* dst[c * rows * step + r * step] = src[r * cols + c] for src [rows, cols]: in tiles, because a
 * dense layer of VGG has 25,088 x 4,096 of them and one side always strides. */
static void transpose(const float *src, size_t rows, size_t cols, size_t step, float *dst)
{
    for (size_t r0 = 0; r0 < rows; r0 += TILE) {
        const size_t r1 = rows - r0 < TILE ? rows : r0 + TILE;
        for (size_t c0 = 0; c0 < cols; c0 += TILE) {
            const size_t c1 = cols - c0 < TILE ? cols : c0 + TILE;
            for (size_t c = c0; c < c1; c++)
                for (size_t r = r0; r < r1; r++) dst[(c * rows + r) * step] = src[r * cols + c];
        }
    }
}

void twi_keras_reorder(const float *src, size_t rank, const size_t *dims, float *dst)
{
    if (rank == 1) {
        if (dims[0] > 0) memcpy(dst, src, dims[0] * sizeof *dst);
    } else if (rank == 2) {
        transpose(src, dims[0], dims[1], 1, dst);
    } else {
        const size_t taps = dims[0] * dims[1], in = dims[2], out = dims[3];
        for (size_t tap = 0; tap < taps; tap++)
            transpose(src + tap * in * out, in, out, taps, dst + tap);
    }
}
