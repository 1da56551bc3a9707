/* fold.c - batch norm, and constants that every channel is multiplied by or that are added to it,
 * as arithmetic on weights.
 *
 * With its statistics frozen, batch norm is y = a x + b for each channel, a = scale / sqrt(variance
 * + epsilon), b = shift - mean a (Ioffe & Szegedy 2015, algorithm 2). Worked out in double, rounded
 * once. */
#include "network/operators.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A dense layer made of a diagonal holds n * n weights: past this a stranger's file could ask for
 * anything. */
#define MAX_DIAGONAL 4096

typedef struct affine { /* y = a x + b; each [n] */
    double *a, *b;
    size_t n;
} affine;

/* dst [n], fallback where the tensor is not given. */
static tw_status param_doubles(tw_ctx *ctx, const twi_tensor *t, size_t n, double fallback,
                               double *dst)
{
    float *values = NULL;
    for (size_t i = 0; i < n; i++) dst[i] = fallback;
    if (!t) return TW_OK;
    tw_status st = twi_alloc(ctx, t->count, &values);
    if (st != TW_OK) return st;
    if ((st = twi_tensor_floats(ctx, t, values)) == TW_OK)
        for (size_t i = 0; i < n; i++) dst[i] = (double)values[i];
    twi_free(values);
    return st;
}

static tw_status constant_of(tw_ctx *ctx, const twi_node *node, size_t channels, twi_arena *arena,
                             affine *out)
{
    const twi_tensor *value = node->params[TWI_PARAM_VALUE];
    const bool product = node->op == TWI_OP_MUL_CONSTANT;
    tw_status st = twi_arena_take(ctx, arena, channels, &out->a);
    if (st == TW_OK) st = twi_arena_take(ctx, arena, channels, &out->b);
    if (st != TW_OK) return st;
    double *given = product ? out->a : out->b, *usual = product ? out->b : out->a;
    out->n = channels;
    st = param_doubles(ctx, value, value->count, 0.0, given);
    for (size_t i = 0; i < channels; i++) {
        usual[i] = product ? 0.0 : 1.0;
        if (value->count == 1) given[i] = given[0];
    }
    return st;
}

bool twi_fold_suits(const twi_node *node, size_t rank, size_t channels)
{
    if (node->op == TWI_OP_BATCH_NORM) return true;
    if (node->op != TWI_OP_MUL_CONSTANT && node->op != TWI_OP_ADD_CONSTANT) return false;
    const twi_shape value = twi_shape_of_tensor(node->params[TWI_PARAM_VALUE]);
    const size_t count = twi_shape_elements(&value);
    twi_shape aligned;
    if (!twi_shape_align(&value, rank, &aligned)) return false;
    return count == 1 || (count == channels && aligned.dims[twi_channel_axis(rank)] == channels);
}

static tw_status affine_of(tw_ctx *ctx, const twi_node *norm, twi_arena *arena, affine *out)
{
    static const double absent[TWI_PARAMS] = {[TWI_PARAM_SCALE] = 1.0};
    const size_t n = norm->params[TWI_PARAM_MEAN]->count;
    double *p[TWI_PARAMS];
    for (int i = 0; i < TWI_PARAMS; i++) {
        tw_status st = twi_arena_take(ctx, arena, n, &p[i]);
        if (st != TW_OK) return st;
        if ((st = param_doubles(ctx, norm->params[i], n, absent[i], p[i])) != TW_OK) return st;
    }
    for (size_t i = 0; i < n; i++) {
        const double spread = p[TWI_PARAM_VARIANCE][i] + norm->epsilon;
        if (!(spread > 0)) /* NaN as well */
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "layer %s: variance + epsilon of channel %zu is not above 0",
                            norm->name, i);
        p[TWI_PARAM_SCALE][i] /= sqrt(spread);
        p[TWI_PARAM_SHIFT][i] -= p[TWI_PARAM_MEAN][i] * p[TWI_PARAM_SCALE][i];
    }
    *out = (affine){p[TWI_PARAM_SCALE], p[TWI_PARAM_SHIFT], n};
    return TW_OK;
}

/* A new float32 tensor of like's dimensions, called "norm's name/like's name", in to's weights. Its
 * memory is to's arena rather than the list's own, which would be cleared first: a pass over
 * megabytes for nothing. */
static tw_status new_tensor(tw_ctx *ctx, twi_network *to, const twi_node *norm,
                            const twi_tensor *like, float **data, const twi_tensor **out)
{
    char *name;
    float *fresh;
    twi_tensors *weights = &to->weights;
    assert(weights->n < weights->capacity); /* nodes point into the list: it must not move */
    tw_status st = twi_arena_take(ctx, &to->memory, like->count, &fresh);
    if (st != TW_OK) return st;
    if ((st = twi_asprintf(ctx, &name, "%s/%s", norm->name, like->name)) != TW_OK) return st;
    st = twi_tensors_add(ctx, weights, name, TWI_F32, like->rank, like->dims, fresh, NULL);
    twi_free(name);
    if (st != TW_OK) return st;
    *data = fresh;
    *out = &weights->items[weights->n - 1];
    return TW_OK;
}

/* dst [count] = factor * the count values of t from first on. */
static tw_status scaled(tw_ctx *ctx, const twi_tensor *t, size_t first, double factor, size_t count,
                        float *dst)
{
    twi_tensor part = *t;
    part.count = count;
    part.data = (const char *)t->data + first * twi_dtype_size(t->dtype);
    const tw_status st = twi_tensor_floats(ctx, &part, dst);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < count; i++) dst[i] = (float)((double)dst[i] * factor);
    return TW_OK;
}

tw_status twi_fold_into(tw_ctx *ctx, const twi_node *norm, twi_node *node, twi_network *to)
{
    const twi_tensor *old_weight = node->params[TWI_PARAM_WEIGHT], *weight, *bias;
    const size_t channels = old_weight->dims[0], each = old_weight->count / channels;
    const twi_tensor bias_like = {.name = "bias", .rank = 1, .dims = {channels}, .count = channels};
    twi_tensor weight_like = *old_weight;
    weight_like.name = "weight";
    twi_arena arena = {0};
    float *w, *b;
    double *old_bias;
    affine y;
    tw_status st = norm->op == TWI_OP_BATCH_NORM ? affine_of(ctx, norm, &arena, &y)
                                                 : constant_of(ctx, norm, channels, &arena, &y);
    if (st != TW_OK) goto done;
    if (y.n != channels) {
        st = twi_fail(ctx, TW_ERR_FORMAT, "layer %s: %zu channels come in; its parameters need %zu",
                      norm->name, channels, y.n);
        goto done;
    }
    if ((st = new_tensor(ctx, to, norm, &weight_like, &w, &weight)) != TW_OK) goto done;
    if ((st = new_tensor(ctx, to, norm, &bias_like, &b, &bias)) != TW_OK) goto done;
    if ((st = twi_arena_take(ctx, &arena, channels, &old_bias)) != TW_OK) goto done;
    st = param_doubles(ctx, node->params[TWI_PARAM_BIAS], channels, 0.0, old_bias);
    if (st != TW_OK) goto done;
    for (size_t c = 0; c < channels && st == TW_OK; c++) {
        st = scaled(ctx, old_weight, c * each, y.a[c], each, w + c * each);
        b[c] = (float)(old_bias[c] * y.a[c] + y.b[c]);
    }
    if (st != TW_OK) goto done;
    node->params[TWI_PARAM_WEIGHT] = weight;
    node->params[TWI_PARAM_BIAS] = bias;
done:
    twi_arena_free(&arena);
    return st;
}

tw_status twi_fold_alone(tw_ctx *ctx, twi_node *norm, size_t rank, twi_network *to)
{
    const size_t n = norm->params[TWI_PARAM_MEAN]->count;
    const twi_tensor bias_like = {.name = "bias", .rank = 1, .dims = {n}, .count = n};
    const twi_tensor weight_like =
        rank == 3 ? (twi_tensor){.name = "weight", .rank = 4, .dims = {n, 1, 1, 1}, .count = n}
                  : (twi_tensor){.name = "weight", .rank = 2, .dims = {n, n}, .count = n * n};
    twi_node node = {.op = rank == 3 ? TWI_OP_CONV : TWI_OP_DENSE,
                     .name = norm->name,
                     .n_inputs = norm->n_inputs,
                     .inputs = norm->inputs,
                     .window = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}},
                     .groups = n,
                     .fused_add = TWI_NO_NODE};
    twi_arena arena = {0};
    float *w, *b;
    affine y;
    if (rank != 3 && n > MAX_DIAGONAL)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "layer %s: batch norm of a vector of %zu that no dense layer made; at most "
                        "%d are supported",
                        norm->name, n, MAX_DIAGONAL);
    tw_status st = affine_of(ctx, norm, &arena, &y);
    if (st != TW_OK) goto done;
    st = new_tensor(ctx, to, norm, &weight_like, &w, &node.params[TWI_PARAM_WEIGHT]);
    if (st != TW_OK) goto done;
    st = new_tensor(ctx, to, norm, &bias_like, &b, &node.params[TWI_PARAM_BIAS]);
    if (st != TW_OK) goto done;
    memset(w, 0, weight_like.count * sizeof *w);
    for (size_t c = 0; c < n; c++) {
        w[rank == 3 ? c : c * n + c] = (float)y.a[c];
        b[c] = (float)y.b[c];
    }
    *norm = node;
done:
    twi_arena_free(&arena);
    return st;
}
