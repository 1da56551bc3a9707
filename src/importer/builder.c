/* builder.c - claiming weights and appending nodes. */
#include "importer/builder.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Attention cuts its weight in 3 and computes biases and masks. */
#define TWI_TENSORS_A_WEIGHT 4

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
    *b = (twi_builder){.ctx = ctx, .weights = weights, .plan = weights->plan};
    b->status = twi_network_new(ctx, 3, &b->network);
    if (b->status == TW_OK) b->status = twi_zalloc(ctx, weights->tensors.n, &b->used);
    /* Nodes point into the list of weights: room for all that can come keeps it where it is. */
    twi_tensors *list = b->network ? &b->network->weights : NULL;
    if (b->status == TW_OK)
        b->status = twi_grow(ctx, &list->items, &list->capacity,
                             TWI_TENSORS_A_WEIGHT * (weights->tensors.n + 8));
    if (b->status == TW_OK) b->status = twi_grow(ctx, &b->extents, &b->capacity, 1);
    if (b->status == TW_OK)
        b->extents[0] = (struct twi_extent){3, weights->side > 0 ? weights->side : 224};
}

bool twi_builder_has(const twi_builder *b, const char *prefix)
{
    if (b->plan) return twi_plan_has(b->plan, &b->weights->tensors, prefix);
    for (size_t i = 0; i < b->weights->tensors.n; i++)
        if (strncmp(b->weights->tensors.items[i].name, prefix, strlen(prefix)) == 0) return true;
    return false;
}

twi_layer_name twi_builder_ending(const twi_builder *b, const char *tail)
{
    const twi_layer_name end = twi_name("%s.weight", tail);
    const size_t length = strlen(end.text);
    for (size_t i = 0; i < b->weights->tensors.n; i++) {
        const char *name = b->weights->tensors.items[i].name;
        const size_t all = strlen(name), part = strlen(".weight");
        if (all >= length && strcmp(name + all - length, end.text) == 0)
            return twi_name("%.*s", (int)(all - part), name);
    }
    return twi_name("%s", "");
}

size_t twi_builder_channels(const twi_builder *b, uint32_t node)
{
    return b->status == TW_OK ? b->extents[node].channels : 0;
}

size_t twi_builder_side(const twi_builder *b, uint32_t node)
{
    return b->status == TW_OK ? b->extents[node].side : 0;
}

void twi_builder_fail(twi_builder *b, const char *format, ...)
{
    if (b->status != TW_OK) return;
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    b->status = twi_fail(b->ctx, TW_ERR_FORMAT, "%s", line);
}

void twi_builder_ignore(twi_builder *b, const char *prefix)
{
    for (size_t i = 0; i < b->weights->tensors.n && b->used; i++)
        if (strncmp(b->weights->tensors.items[i].name, prefix, strlen(prefix)) == 0)
            b->used[i] = true;
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

/* The weight called name of shape need [rank] (0: any size), or NULL. */
static const twi_tensor *look_up(twi_builder *b, const char *name, size_t rank, const size_t *need)
{
    if (b->status != TW_OK || b->plan) return NULL;
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
    return t;
}

/* Puts data, borrowed, in the network's list. */
static const twi_tensor *keep(twi_builder *b, const char *name, const twi_tensor *t, size_t rank,
                              const size_t *dims)
{
    twi_tensors *list = &b->network->weights;
    if (list->n == list->capacity) /* growing would move what nodes point at */
        b->status = twi_fail(b->ctx, TW_ERR_FORMAT, "more tensors than %zu weights can make",
                             b->weights->tensors.n);
    else
        b->status = twi_tensors_add(b->ctx, list, name, t->dtype, rank, dims, t->data, NULL);
    return b->status == TW_OK ? &list->items[list->n - 1] : NULL;
}

const twi_tensor *twi_builder_claim(twi_builder *b, const char *name, size_t rank,
                                    const size_t *need, twi_form form)
{
    const twi_tensor *t = look_up(b, name, rank, need);
    if (!t) return NULL;
    size_t dims[TWI_TENSOR_DIMS] = {0}, n = 0;
    for (size_t i = form == TWI_AS_ROWS; i < t->rank; i++)
        if (form != TWI_SQUEEZED || t->dims[i] != 1) dims[n++] = t->dims[i];
    if (n == 0) dims[n++] = 1;
    if (form == TWI_AS_KERNEL) dims[n++] = 1, dims[n++] = 1;
    return keep(b, name, t, n, dims);
}

const twi_tensor *twi_builder_expect(twi_builder *b, const char *name, size_t rank,
                                     const size_t *need)
{
    return look_up(b, name, rank, need);
}

static const twi_tensor *claim(twi_builder *b, const char *layer, const char *part, size_t rank,
                               const size_t *need)
{
    char name[160];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    return twi_builder_claim(b, name, rank, need, TWI_AS_IS);
}

const twi_tensor *twi_builder_rows(twi_builder *b, const char *weight, const char *as, size_t start,
                                   size_t rows)
{
    if (b->status != TW_OK || b->plan) return NULL;
    const twi_tensor *t = twi_tensors_find(&b->weights->tensors, weight);
    if (!t || t->rank == 0 || rows == 0 || start > t->dims[0] || rows > t->dims[0] - start) {
        twi_builder_fail(b, "weight %s has no rows %zu to %zu", weight, start, start + rows);
        return NULL;
    }
    b->used[t - b->weights->tensors.items] = true;
    twi_tensor part = *t;
    const size_t row = t->count / t->dims[0] * twi_dtype_size(t->dtype);
    part.data = (const char *)t->data + start * row;
    part.dims[0] = rows;
    return keep(b, as, &part, part.rank, part.dims);
}

const twi_tensor *twi_builder_fresh(twi_builder *b, const char *name, size_t rank,
                                    const size_t *dims, float **values)
{
    void *data = NULL;
    if (b->status != TW_OK || b->plan) return NULL;
    twi_tensors *list = &b->network->weights;
    if (list->n == list->capacity)
        b->status = twi_fail(b->ctx, TW_ERR_FORMAT, "more tensors than %zu weights can make",
                             b->weights->tensors.n);
    else
        b->status = twi_tensors_add(b->ctx, list, name, TWI_F32, rank, dims, NULL, &data);
    if (b->status != TW_OK) return NULL;
    *values = data;
    return &list->items[list->n - 1];
}

/* ---- nodes --------------------------------------------------------------------------------- */

/* Keras's word for what has weights and only one class; NULL: another. */
static const char *kind_of(twi_op op)
{
    switch (op) {
    case TWI_OP_CONV:
        return "conv2d";
    case TWI_OP_DENSE:
        return "dense";
    case TWI_OP_BATCH_NORM:
        return "batch_normalization";
    case TWI_OP_LAYER_NORM:
        return "layer_normalization";
    default:
        return NULL;
    }
}

uint32_t twi_build_layer(twi_builder *b, const twi_node *proto, struct twi_extent extent,
                         const char *kind)
{
    if (!b->plan || b->status != TW_OK) return twi_build_node(b, proto, extent);
    uint32_t id = 0;
    if (extent.side == 0 && proto->n_inputs > 0) extent.side = b->extents[proto->inputs[0]].side;
    b->status = twi_plan_add(b->ctx, b->plan, kind ? kind : kind_of(proto->op),
                             proto->name ? proto->name : "", proto->n_inputs, proto->inputs, &id);
    if (b->status == TW_OK) b->status = twi_grow(b->ctx, &b->extents, &b->capacity, id + 1U);
    if (b->status != TW_OK) return 0;
    b->extents[id] = extent;
    return id;
}

uint32_t twi_build_pass(twi_builder *b, uint32_t in)
{
    if (!b->plan) return in;
    const twi_node node = {.op = TWI_OP_PAD, .n_inputs = 1, .inputs = &in};
    return twi_build_node(b, &node, (struct twi_extent){.channels = 0});
}

void twi_builder_enter(twi_builder *b)
{
    if (b->plan) twi_plan_enter(b->plan);
}

void twi_builder_leave(twi_builder *b)
{
    if (b->plan) twi_plan_leave(b->plan);
}

uint32_t twi_build_node(twi_builder *b, const twi_node *proto, struct twi_extent extent)
{
    uint32_t id = 0;
    char name[64];
    twi_node node = *proto;
    if (b->status != TW_OK) return 0;
    if (b->plan) return twi_build_layer(b, proto, extent, NULL);
    if (!node.name) {
        snprintf(name, sizeof name, "%s%zu", twi_op_name(node.op), b->network->n);
        node.name = name;
    }
    if (extent.side == 0 && node.n_inputs > 0) extent.side = b->extents[node.inputs[0]].side;
    b->status = twi_network_add(b->ctx, b->network, &node, &id);
    if (b->status == TW_OK) b->status = twi_grow(b->ctx, &b->extents, &b->capacity, id + 1U);
    if (b->status != TW_OK) return 0;
    b->extents[id] = extent;
    return id;
}

static uint32_t append(twi_builder *b, const twi_node *proto, size_t channels)
{
    return twi_build_node(b, proto, (struct twi_extent){.channels = channels});
}

/* The window of taps over a map of side pixels, and how many positions it has there. */
static twi_window window_of(twi_taps taps, size_t side, size_t *positions)
{
    const size_t kernel[2] = {taps.kernel, taps.width > 0 ? taps.width : taps.kernel};
    const size_t pad[2] = {taps.pad, taps.width > 0 ? taps.pad_width : taps.pad};
    twi_window w = {
        .dilation = {1, 1}, .ceil_mode = taps.ceil_mode, .count_include_pad = taps.counts};
    for (size_t i = 0; i < 2; i++) {
        w.kernel[i] = kernel[i];
        w.stride[i] = taps.stride;
        w.pad_begin[i] = w.pad_end[i] = pad[i];
        if (!taps.same) continue;
        const size_t span = ((side + taps.stride - 1) / taps.stride - 1) * taps.stride + kernel[i];
        const size_t all = span > side ? span - side : 0;
        w.pad_begin[i] = all / 2;
        w.pad_end[i] = all - all / 2;
    }
    const size_t padded = side + w.pad_begin[0] + w.pad_end[0];
    *positions = padded < kernel[0] ? 1 : (padded - kernel[0]) / taps.stride + 1;
    if (taps.ceil_mode && padded >= kernel[0] && (padded - kernel[0]) % taps.stride > 0 &&
        *positions * taps.stride < side + w.pad_begin[0])
        ++*positions;
    return w;
}

/* A depthwise kernel of Keras is [1, channels, h, w]: the same values in the same order. */
static const twi_tensor *claim_kernel(twi_builder *b, const char *layer, const size_t *need)
{
    char name[160];
    snprintf(name, sizeof name, "%s.weight", layer);
    const twi_tensor *t = b->weights->convention == TWI_KERAS && need[1] == 1
                              ? twi_tensors_find(&b->weights->tensors, name)
                              : NULL;
    if (!t || t->rank != 4 || t->dims[0] != 1 || t->dims[1] == 1)
        return twi_builder_claim(b, name, 4, need, TWI_AS_IS);
    const size_t swapped[] = {1, need[0], need[2], need[3]};
    if (!look_up(b, name, 4, swapped)) return NULL;
    return keep(b, name, t, 4, (size_t[]){t->dims[1], 1, t->dims[2], t->dims[3]});
}

/* Keras's ResNeXt (keras.applications.resnet, block3) has no grouped convolutions: a depthwise one
 * of c outputs a channel, whose outputs it then sums over the c channels of a group. Output m of
 * group g is output m of its channels j: weight[g c + m, j] = kernel[m, g c + j]. */
static const twi_tensor *claim_summed(twi_builder *b, const char *layer, const size_t *need)
{
    char name[160];
    snprintf(name, sizeof name, "%s.weight", layer);
    const size_t each = need[1], taps = need[2] * need[3];
    const size_t dims[] = {need[0], each, need[2], need[3]};
    float *kernel, *values;
    const twi_tensor *t = look_up(b, name, 4, (const size_t[]){each, need[0], need[2], need[3]});
    const twi_tensor *made = twi_builder_fresh(b, name, 4, dims, &values);
    if (!t || !made || (b->status = twi_alloc(b->ctx, t->count, &kernel)) != TW_OK) return NULL;
    b->status = twi_tensor_floats(b->ctx, t, kernel);
    for (size_t o = 0; o < need[0] && b->status == TW_OK; o++)
        for (size_t j = 0; j < each; j++)
            memcpy(values + (o * each + j) * taps,
                   kernel + (o % each * need[0] + o / each * each + j) * taps,
                   taps * sizeof *values);
    twi_free(kernel);
    return b->status == TW_OK ? made : NULL;
}

/* Groups of a convolution over in channels. */
static size_t groups_of(twi_builder *b, const char *layer, size_t in, size_t groups)
{
    if (groups == TWI_DEPTHWISE) return in > 0 ? in : 1;
    if (groups != TWI_GROUPED) return groups > 0 ? groups : 1;
    char name[160];
    snprintf(name, sizeof name, "%s.weight", layer);
    const twi_tensor *t = twi_tensors_find(&b->weights->tensors, name);
    return t && t->rank == 4 && t->dims[1] > 0 && in % t->dims[1] == 0 && in > 0 ? in / t->dims[1]
                                                                                 : 1;
}

uint32_t twi_build_conv(twi_builder *b, uint32_t in, const char *name, twi_taps taps)
{
    const size_t channels = twi_builder_channels(b, in);
    const size_t groups = groups_of(b, name, channels, taps.groups);
    const size_t need[] = {taps.groups == TWI_DEPTHWISE ? channels : taps.out, channels / groups,
                           taps.kernel, taps.width > 0 ? taps.width : taps.kernel};
    const bool summed = b->weights->convention == TWI_KERAS && groups > 1 &&
                        taps.groups != TWI_DEPTHWISE && taps.groups != TWI_GROUPED;
    const twi_tensor *weight =
        summed ? claim_summed(b, name, (const size_t[]){channels, need[1], need[2], need[3]})
               : claim_kernel(b, name, need);
    const size_t out = weight ? weight->dims[0] : 0;
    size_t side;
    const twi_node node = {.op = TWI_OP_CONV,
                           .name = name,
                           .n_inputs = 1,
                           .inputs = &in,
                           .params = {weight, taps.bias ? claim(b, name, "bias", 1, &out) : NULL},
                           .window = window_of(taps, twi_builder_side(b, in), &side),
                           .groups = groups};
    const bool depthwise = summed || (taps.groups == TWI_DEPTHWISE && !taps.conv2d);
    return twi_build_layer(b, &node, (struct twi_extent){out, side},
                           depthwise ? "depthwise_conv2d" : "conv2d");
}

uint32_t twi_build_norm(twi_builder *b, uint32_t in, const char *name, twi_style style)
{
    const size_t channels = twi_builder_channels(b, in);
    const twi_tensor *scale = style.unscaled ? NULL : claim(b, name, "weight", 1, &channels);
    const twi_node node = {
        .op = TWI_OP_BATCH_NORM,
        .name = name,
        .n_inputs = 1,
        .inputs = &in,
        .params = {[TWI_PARAM_SCALE] = scale,
                   [TWI_PARAM_SHIFT] = claim(b, name, "bias", 1, &channels),
                   [TWI_PARAM_MEAN] = claim(b, name, "running_mean", 1, &channels),
                   [TWI_PARAM_VARIANCE] = claim(b, name, "running_var", 1, &channels)},
        .epsilon = style.epsilon};
    return append(b, &node, channels);
}

uint32_t twi_build_batch_norm(twi_builder *b, uint32_t in, const char *name, double epsilon)
{
    return twi_build_norm(b, in, name, (twi_style){.epsilon = epsilon});
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

static uint32_t pool(twi_builder *b, twi_op op, uint32_t in, const char *name, twi_taps taps)
{
    size_t side;
    const twi_node node = {.op = op,
                           .name = name,
                           .n_inputs = 1,
                           .inputs = &in,
                           .window = window_of(taps, twi_builder_side(b, in), &side)};
    return twi_build_node(b, &node, (struct twi_extent){twi_builder_channels(b, in), side});
}

uint32_t twi_build_max_pool(twi_builder *b, uint32_t in, const char *name, twi_taps taps)
{
    return pool(b, TWI_OP_MAX_POOL, in, name, taps);
}

uint32_t twi_build_avg_pool(twi_builder *b, uint32_t in, twi_taps taps)
{
    return pool(b, TWI_OP_AVG_POOL, in, NULL, taps);
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
    if (b->plan) {
        if (b->status == TW_OK)
            b->status = twi_plan_sort(b->ctx, b->plan, logits == TWI_NO_NODE ? feature : logits);
    } else if (b->status == TW_OK) {
        b->status = check_all_used(b);
    }
    if (b->status == TW_OK && !b->plan) {
        b->network->feature = feature;
        b->network->logits = logits;
        *out = b->network, b->network = NULL; /* handed over */
    }
    twi_network_free(b->network);
    twi_free(b->used);
    twi_free(b->extents);
    return b->status;
}
