/* world.h - what the tests of the features room stand on: a small network, a folder of drawn
 * pictures, and a place where rows land. */
#ifndef TW_TESTS_FEATURES_WORLD_H
#define TW_TESTS_FEATURES_WORLD_H

#include "features/features.h"

#include "../pictures.h"
#include "../testing.h"

#include <math.h>
#include <sys/stat.h>

enum { SIDE = 32, CHANNELS = 16 };

/* The number of the network's weights: in [-0.5, 0.5], fixed. */
static inline float weight_at(size_t i)
{
    const uint32_t mixed = (uint32_t)i * 2654435761u;
    return (float)(mixed >> 8) / 16777216.0f - 0.5f;
}

static inline uint32_t add_conv(tw_ctx *ctx, twi_network *net, uint32_t from, const size_t size[2],
                                size_t stride)
{
    const size_t in = size[0], out = size[1];
    char weight[16], bias[16], conv[16], relu[16];
    snprintf(weight, sizeof weight, "w%zu", net->n);
    snprintf(bias, sizeof bias, "b%zu", net->n);
    snprintf(conv, sizeof conv, "conv%zu", net->n);
    snprintf(relu, sizeof relu, "relu%zu", net->n);
    void *data;
    assert_int_equal(twi_tensors_add(ctx, &net->weights, weight, TWI_F32, 4,
                                     (const size_t[]){out, in, 3, 3}, NULL, &data),
                     TW_OK);
    for (size_t i = 0; i < out * in * 9; i++) ((float *)data)[i] = weight_at(i + out);
    assert_int_equal(
        twi_tensors_add(ctx, &net->weights, bias, TWI_F32, 1, (const size_t[]){out}, NULL, &data),
        TW_OK);
    for (size_t i = 0; i < out; i++) ((float *)data)[i] = weight_at(i);
    twi_node node = {.op = TWI_OP_CONV, .name = conv, .n_inputs = 1, .inputs = &from, .groups = 1};
    node.window = (twi_window){.kernel = {3, 3},
                               .stride = {stride, stride},
                               .dilation = {1, 1},
                               .pad_begin = {1, 1},
                               .pad_end = {1, 1}};
    node.params[TWI_PARAM_WEIGHT] = twi_tensors_find(&net->weights, weight);
    node.params[TWI_PARAM_BIAS] = twi_tensors_find(&net->weights, bias);
    uint32_t id, last;
    assert_int_equal(twi_network_add(ctx, net, &node, &id), TW_OK);
    node = (twi_node){.op = TWI_OP_RELU, .name = relu, .n_inputs = 1, .inputs = &id};
    assert_int_equal(twi_network_add(ctx, net, &node, &last), TW_OK);
    return last;
}

/* Two convolutions of stride 2; CHANNELS features. */
static inline twi_network *small_network(tw_ctx *ctx)
{
    twi_network *net;
    assert_int_equal(twi_network_new(ctx, 3, &net), TW_OK);
    /* Nodes point at tensors, so the list must not move while they are added. */
    assert_int_equal(twi_grow(ctx, &net->weights.items, &net->weights.capacity, 8), TW_OK);
    const uint32_t middle = add_conv(ctx, net, 0, (const size_t[]){3, 8}, 2);
    net->feature = add_conv(ctx, net, middle, (const size_t[]){8, CHANNELS}, 2);
    return net;
}

/* One more convolution, of a size that the engine may compute in another way for a batch than for
 * one picture; WIDE features. */
enum { WIDE = 64 };
static inline twi_network *wide_network(tw_ctx *ctx)
{
    twi_network *net;
    assert_int_equal(twi_network_new(ctx, 3, &net), TW_OK);
    assert_int_equal(twi_grow(ctx, &net->weights.items, &net->weights.capacity, 8), TW_OK);
    const uint32_t first = add_conv(ctx, net, 0, (const size_t[]){3, WIDE}, 2);
    const uint32_t second = add_conv(ctx, net, first, (const size_t[]){WIDE, WIDE}, 2);
    net->feature = add_conv(ctx, net, second, (const size_t[]){WIDE, WIDE}, 1);
    return net;
}

static inline twi_extractor_opts small_opts(tw_ctx *ctx)
{
    twi_extractor_opts opts = {.output = TWI_OUTPUT_AVG, .precision = TW_PRECISION_F32};
    assert_int_equal(twi_recipe_init(ctx, "torch", SIDE, SIDE, &opts.recipe), TW_OK);
    return opts;
}

/* A folder of pictures p0.png ... of several sizes. */
typedef struct album {
    char folder[64];
    size_t n;
    char (*paths)[96];
} album;

static inline album album_new(size_t n)
{
    static unsigned char rgb[90 * 90 * 3];
    album a = {.folder = "/tmp/topwork-features-XXXXXX", .n = n};
    assert_non_null(mkdtemp(a.folder));
    a.paths = calloc(n + 1, sizeof *a.paths);
    assert_non_null(a.paths);
    for (size_t i = 0; i < n; i++) {
        const uint32_t width = 40 + (uint32_t)(i * 7 % 50), height = 40 + (uint32_t)(i * 11 % 50);
        snprintf(a.paths[i], sizeof a.paths[i], "%s/p%zu.png", a.folder, i);
        draw_stripes(rgb, width, height, (unsigned)i, (uint32_t)i + 1);
        assert_int_equal(png_write(a.paths[i], rgb, width, height), 0);
    }
    return a;
}

static inline void album_free(album *a)
{
    for (size_t i = 0; i < a->n; i++) remove(a->paths[i]);
    assert_int_equal(rmdir(a->folder), 0); /* whatever was written there is gone again */
    free(a->paths);
}

static inline const char *album_path(void *user, size_t i)
{
    const album *a = user;
    return i < a->n ? a->paths[i] : NULL;
}

/* Rows as they arrive; checks that they arrive in order. */
typedef struct landing {
    size_t d, n, capacity, failed;
    float *rows; /* [n, d], zeros where a picture failed */
    tw_status *status;
    char (*message)[160];
    size_t stop_after; /* rows; 0: never */
} landing;

static inline landing landing_new(size_t d, size_t capacity)
{
    landing l = {.d = d, .capacity = capacity};
    l.rows = calloc(capacity * d + 1, sizeof *l.rows);
    l.status = calloc(capacity + 1, sizeof *l.status);
    l.message = calloc(capacity + 1, sizeof *l.message);
    assert_true(l.rows && l.status && l.message);
    return l;
}

static inline void landing_free(landing *l)
{
    free(l->rows);
    free(l->status);
    free(l->message);
}

static inline int land(void *user, size_t i, tw_status status, const char *message,
                       const float *features)
{
    landing *l = user;
    assert_int_equal(i, l->n);
    assert_true(i < l->capacity);
    assert_true((status == TW_OK) == (features != NULL));
    assert_non_null(message);
    l->status[i] = status;
    snprintf(l->message[i], sizeof l->message[i], "%s", message);
    if (features) memcpy(l->rows + i * l->d, features, l->d * sizeof *features);
    l->failed += status != TW_OK;
    l->n++;
    return l->stop_after > 0 && l->n >= l->stop_after;
}

#endif
