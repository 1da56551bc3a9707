/* finetune_network.c - the backbone with the head on it, and what of it is trained. */
#include "api/finetune.h"

#include "network/operators.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static tw_status add_head(twi_finetuning *f)
{
    twi_tensors *weights = &f->network->weights;
    const size_t dims[2] = {f->k, f->head.d};
    const uint32_t last = (uint32_t)f->network->n - 1;
    tw_status st = twi_grow(f->ctx, &weights->items, &weights->capacity, weights->n + 2);
    if (st == TW_OK)
        st = twi_tensors_add(f->ctx, weights, "topwork.head.weight", TWI_F32, 2, dims,
                             f->head.weight, NULL);
    if (st == TW_OK)
        st = twi_tensors_add(f->ctx, weights, "topwork.head.bias", TWI_F32, 1, dims, f->head.bias,
                             NULL);
    twi_node node = {.op = TWI_OP_DENSE, .name = "topwork.head", .n_inputs = 1, .inputs = &last};
    if (st != TW_OK) return st;
    node.params[TWI_PARAM_WEIGHT] = &weights->items[weights->n - 2];
    node.params[TWI_PARAM_BIAS] = &weights->items[weights->n - 1];
    return twi_network_append(f->ctx, f->network, &node, &f->head_node);
}

static bool is_layer(const twi_node *node)
{
    return node->op == TWI_OP_CONV || node->op == TWI_OP_DENSE;
}

/* The last n layers, with what norms stand behind them. */
static void train_layers(twi_finetuning *f, size_t n)
{
    for (uint32_t i = f->head_node; i-- > 0 && n > 0;) {
        f->trained[i] = true;
        n -= is_layer(&f->network->nodes[i]);
    }
}

/* Everything that works on maps as small as the last: layers that make them included. */
static tw_status train_last_block(twi_finetuning *f)
{
    twi_shape *shapes;
    size_t smallest = SIZE_MAX;
    tw_status st = twi_alloc(f->ctx, f->network->n, &shapes);
    if (st != TW_OK) return st;
    st = twi_network_shapes(f->ctx, f->network, f->extract.recipe.height, f->extract.recipe.width,
                            shapes);
    for (uint32_t i = 0; st == TW_OK && i < f->head_node; i++)
        if (shapes[i].rank == 3 && shapes[i].dims[1] > 1 && shapes[i].dims[1] < smallest)
            smallest = shapes[i].dims[1];
    for (uint32_t i = 0; st == TW_OK && i < f->head_node; i++)
        f->trained[i] = shapes[i].rank != 3 || shapes[i].dims[1] <= smallest;
    twi_free(shapes);
    return st;
}

static bool has_weights(const twi_node *node)
{
    for (unsigned k = 0; k < TWI_PARAMS; k++)
        if (node->params[k]) return true;
    return false;
}

/* Howard & Ruder (2018), ULMFiT, section 3.3, by layers: the last block in the first epoch, more
 * with every epoch, and all from the middle of them on. */
static tw_status train_gradually(twi_finetuning *f)
{
    const size_t epochs = f->opts.epochs, half = epochs > 1 ? epochs / 2 : 1;
    uint32_t *layers, block = f->head_node;
    size_t n = 0, last = 0;
    tw_status st = train_last_block(f);
    if (st == TW_OK) st = twi_alloc(f->ctx, f->head_node + 1, &layers);
    if (st != TW_OK) return st;
    while (block > 0 && f->trained[block - 1]) block--;
    for (uint32_t i = 0; i < f->head_node; i++) {
        if (!has_weights(&f->network->nodes[i])) continue;
        if (i < block) last = n + 1;
        layers[n++] = i;
    }
    layers[n] = f->head_node;
    st = twi_alloc(f->ctx, epochs, &f->train_from);
    for (size_t e = 0; e < epochs && st == TW_OK; e++)
        f->train_from[e] = layers[last - last * (e < half ? e : half) / half];
    twi_free(layers);
    train_layers(f, SIZE_MAX);
    return st;
}

static tw_status unfreeze(twi_finetuning *f)
{
    const char *what = f->opts.unfreeze ? f->opts.unfreeze : "all";
    tw_status st = twi_zalloc(f->ctx, f->network->n, &f->trained);
    char *end;
    if (st != TW_OK) return st;
    f->trained[f->head_node] = true;
    if (strcmp(what, "none") == 0) return TW_OK;
    if (strcmp(what, "last-block") == 0) return train_last_block(f);
    if (strcmp(what, "all") == 0) {
        train_layers(f, SIZE_MAX);
        return TW_OK;
    }
    if (strcmp(what, "gradual") == 0) return train_gradually(f);
    errno = 0;
    const unsigned long n = strtoul(what, &end, 10);
    if (*what < '0' || *what > '9' || *end || errno)
        return twi_fail(f->ctx, TW_ERR_ARG,
                        "unfreeze is %s; need all, last-block, gradual, none or a number of layers",
                        what);
    train_layers(f, n);
    return TW_OK;
}

tw_status twi_finetune_compile(twi_finetuning *f)
{
    const tw_finetune_opts *o = &f->opts;
    if (o->batch > f->n_train) f->opts.batch = f->n_train;
    tw_status st =
        twi_network_for_inference(f->ctx, f->backbone->network, TWI_OUTPUT_AVG, false, &f->network);
    if (st == TW_OK) st = add_head(f);
    if (st == TW_OK) st = unfreeze(f);
    if (st != TW_OK) return st;
    const twi_trainer_opts trainer = {.precision = f->precision,
                                      .batch = o->batch,
                                      .height = f->extract.recipe.height,
                                      .width = f->extract.recipe.width,
                                      .threads = twi_threads(f->ctx),
                                      .momentum = 0.1,
                                      .checkpointing = o->checkpointing != 0,
                                      .trained = f->trained};
    const twi_optimiser_opts optimiser =
        twi_course_optimiser(&TWI_COURSE_OF(o), o->layer_decay, twi_threads(f->ctx));
    st = twi_trainer_new(f->ctx, f->network, &trainer, &f->trainer);
    if (st != TW_OK) return st;
    return twi_optimiser_new(f->ctx, f->trainer, &optimiser, f->head_node, &f->optimiser);
}
