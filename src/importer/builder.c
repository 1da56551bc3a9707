/* builder.c - claiming weights and appending nodes. */
#include "importer/builder.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

twi_layer_name twi_name(const char *format, ...)
{
    twi_layer_name name;
    va_list args;
    va_start(args, format);
    vsnprintf(name.text, sizeof name.text, format, args);
    va_end(args);
    return name;
}

void twi_builder_start(tw_ctx *ctx, const twi_weights *weights, twi_builder *b)
{
    *b = (twi_builder){.ctx = ctx, .weights = weights};
    b->status = twi_network_new(ctx, 3, &b->network);
    if (b->status == TW_OK) b->status = twi_zalloc(ctx, weights->tensors.n, &b->used);
    /* Nodes point into the list of weights: room for all that can come keeps it where it is. */
    twi_tensors *list = b->network ? &b->network->weights : NULL;
    if (b->status == TW_OK)
        b->status = twi_grow(ctx, &list->items, &list->capacity, weights->tensors.n + 1);
    if (b->status == TW_OK) b->status = twi_grow(ctx, &b->channels, &b->capacity, 1);
    if (b->status == TW_OK) b->channels[0] = 3;
}

bool twi_builder_has(const twi_builder *b, const char *prefix)
{
    for (size_t i = 0; i < b->weights->tensors.n; i++)
        if (strncmp(b->weights->tensors.items[i].name, prefix, strlen(prefix)) == 0) return true;
    return false;
}

size_t twi_builder_channels(const twi_builder *b, uint32_t node)
{
    return b->status == TW_OK ? b->channels[node] : 0;
}

/* ---- weights ------------------------------------------------------------------------------- */

static void add_shape(twi_text *text, size_t rank, const size_t *dims)
{
    twi_text_add(text, "[");
    for (size_t i = 0; i < rank; i++) {
        if (i > 0) twi_text_add(text, ", ");
        if (dims[i] == 0)
            twi_text_add(text, "any");
        else
            twi_text_format(text, "%zu", dims[i]);
    }
    twi_text_add(text, "]");
}

static tw_status fail_shape(tw_ctx *ctx, const twi_tensor *t, size_t rank, const size_t *need)
{
    twi_text text = {0};
    add_shape(&text, t->rank, t->dims);
    twi_text_add(&text, "; need ");
    add_shape(&text, rank, need);
    const tw_status st = text.failed
                             ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message")
                             : twi_fail(ctx, TW_ERR_FORMAT, "weight %s is %s", t->name, text.text);
    twi_text_free(&text);
    return st;
}

static bool shape_fits(const twi_tensor *t, size_t rank, const size_t *need)
{
    if (t->rank != rank || t->count == 0) return false;
    for (size_t i = 0; i < rank; i++)
        if (need[i] != 0 && t->dims[i] != need[i]) return false;
    return true;
}

/* The weight "<layer>.<part>" of shape need [rank] (0: any size), now in the network's list. */
static const twi_tensor *claim(twi_builder *b, const char *layer, const char *part, size_t rank,
                               const size_t *need)
{
    char name[160];
    if (b->status != TW_OK) return NULL;
    snprintf(name, sizeof name, "%s.%s", layer, part);
    const twi_tensors *all = &b->weights->tensors;
    const twi_tensor *t = twi_tensors_find(all, name);
    if (!t) {
        b->status =
            twi_fail(b->ctx, TW_ERR_FORMAT, "weight %s is missing; the file has %zu, from %s on",
                     name, all->n, all->n > 0 ? all->items[0].name : "none");
        return NULL;
    }
    if (!shape_fits(t, rank, need)) {
        b->status = fail_shape(b->ctx, t, rank, need);
        return NULL;
    }
    b->used[t - all->items] = true;
    twi_tensors *list = &b->network->weights;
    b->status = twi_tensors_add(b->ctx, list, name, t->dtype, rank, t->dims, t->data, NULL);
    return b->status == TW_OK ? &list->items[list->n - 1] : NULL;
}

/* ---- nodes --------------------------------------------------------------------------------- */

static uint32_t append(twi_builder *b, const twi_node *proto, size_t channels)
{
    uint32_t id = 0;
    if (b->status == TW_OK) b->status = twi_network_add(b->ctx, b->network, proto, &id);
    if (b->status == TW_OK) b->status = twi_grow(b->ctx, &b->channels, &b->capacity, id + 1U);
    if (b->status != TW_OK) return 0;
    b->channels[id] = channels;
    return id;
}

static twi_window square(twi_taps taps)
{
    return (twi_window){.kernel = {taps.kernel, taps.kernel},
                        .stride = {taps.stride, taps.stride},
                        .dilation = {1, 1},
                        .pad_begin = {taps.pad, taps.pad},
                        .pad_end = {taps.pad, taps.pad},
                        .ceil_mode = taps.ceil_mode};
}

uint32_t twi_build_conv(twi_builder *b, uint32_t in, const char *name, twi_taps taps)
{
    const size_t need[] = {taps.out, twi_builder_channels(b, in), taps.kernel, taps.kernel};
    const twi_tensor *weight = claim(b, name, "weight", 4, need);
    const size_t out = weight ? weight->dims[0] : 0;
    const twi_node node = {.op = TWI_OP_CONV,
                           .name = name,
                           .n_inputs = 1,
                           .inputs = &in,
                           .params = {weight, taps.bias ? claim(b, name, "bias", 1, &out) : NULL},
                           .window = square(taps),
                           .groups = 1};
    return append(b, &node, out);
}

uint32_t twi_build_batch_norm(twi_builder *b, uint32_t in, const char *name, double epsilon)
{
    const size_t channels = twi_builder_channels(b, in);
    const twi_node node = {
        .op = TWI_OP_BATCH_NORM,
        .name = name,
        .n_inputs = 1,
        .inputs = &in,
        .params = {[TWI_PARAM_SCALE] = claim(b, name, "weight", 1, &channels),
                   [TWI_PARAM_SHIFT] = claim(b, name, "bias", 1, &channels),
                   [TWI_PARAM_MEAN] = claim(b, name, "running_mean", 1, &channels),
                   [TWI_PARAM_VARIANCE] = claim(b, name, "running_var", 1, &channels)},
        .epsilon = epsilon};
    return append(b, &node, channels);
}

static uint32_t append_simple(twi_builder *b, twi_op op, uint32_t in, const char *name)
{
    const twi_node node = {.op = op, .name = name, .n_inputs = 1, .inputs = &in};
    return append(b, &node, twi_builder_channels(b, in));
}

uint32_t twi_build_relu(twi_builder *b, uint32_t in, const char *name)
{
    return append_simple(b, TWI_OP_RELU, in, name);
}

uint32_t twi_build_global_avg_pool(twi_builder *b, uint32_t in, const char *name)
{
    return append_simple(b, TWI_OP_GLOBAL_AVG_POOL, in, name);
}

uint32_t twi_build_max_pool(twi_builder *b, uint32_t in, const char *name, twi_taps taps)
{
    const twi_node node = {
        .op = TWI_OP_MAX_POOL, .name = name, .n_inputs = 1, .inputs = &in, .window = square(taps)};
    return append(b, &node, twi_builder_channels(b, in));
}

uint32_t twi_build_add(twi_builder *b, uint32_t one, uint32_t other, const char *name)
{
    const uint32_t inputs[] = {one, other};
    const twi_node node = {.op = TWI_OP_ADD, .name = name, .n_inputs = 2, .inputs = inputs};
    return append(b, &node, twi_builder_channels(b, one));
}

uint32_t twi_build_concat(twi_builder *b, uint32_t one, uint32_t other, const char *name)
{
    const uint32_t inputs[] = {one, other};
    const twi_node node = {.op = TWI_OP_CONCAT, .name = name, .n_inputs = 2, .inputs = inputs};
    return append(b, &node, twi_builder_channels(b, one) + twi_builder_channels(b, other));
}

uint32_t twi_build_flatten(twi_builder *b, uint32_t in, const char *name, bool nhwc)
{
    const twi_node node = {
        .op = TWI_OP_FLATTEN, .name = name, .n_inputs = 1, .inputs = &in, .nhwc = nhwc};
    return append(b, &node, 0);
}

uint32_t twi_build_dense(twi_builder *b, uint32_t in, const char *name)
{
    const size_t need[] = {0, twi_builder_channels(b, in)};
    const twi_tensor *weight = claim(b, name, "weight", 2, need);
    const size_t out = weight ? weight->dims[0] : 0;
    const twi_node node = {.op = TWI_OP_DENSE,
                           .name = name,
                           .n_inputs = 1,
                           .inputs = &in,
                           .params = {weight, claim(b, name, "bias", 1, &out)}};
    return append(b, &node, out);
}

/* ---- the end ------------------------------------------------------------------------------- */

/* PyTorch counts training steps beside each batch norm; nothing here needs the count. */
static bool is_bookkeeping(const char *name)
{
    static const char suffix[] = ".num_batches_tracked";
    const size_t length = strlen(name), tail = sizeof suffix - 1;
    return length > tail && strcmp(name + length - tail, suffix) == 0;
}

/* A weight that no layer took belongs to another network: half a match would compute nonsense. */
static tw_status check_all_used(const twi_builder *b)
{
    const twi_tensors *all = &b->weights->tensors;
    const char *first = NULL;
    size_t extra = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (b->used[i] || is_bookkeeping(all->items[i].name)) continue;
        if (extra++ == 0) first = all->items[i].name;
    }
    if (extra == 0) return TW_OK;
    if (extra == 1)
        return twi_fail(b->ctx, TW_ERR_FORMAT, "weight %s belongs to no layer of this architecture",
                        first);
    return twi_fail(b->ctx, TW_ERR_FORMAT,
                    "weight %s and %zu more belong to no layer of this architecture", first,
                    extra - 1);
}

tw_status twi_builder_finish(twi_builder *b, uint32_t feature, uint32_t logits, twi_network **out)
{
    if (b->status == TW_OK) b->status = check_all_used(b);
    if (b->status == TW_OK) {
        b->network->feature = feature;
        b->network->logits = logits;
        *out = b->network, b->network = NULL; /* handed over */
    }
    twi_network_free(b->network);
    twi_free(b->used);
    twi_free(b->channels);
    return b->status;
}
