/* pretrain_network.c - the student as it was drawn, its teacher, and what trains and measures it.
 */
#include "api/pretrain.h"

#include "base/rng.h"
#include "network/operators.h"

#include <math.h>

#define PROJECTION "topwork.projection"

/* A linear layer from the student's pooled features to as many as the teacher has: Romero et al.
 * (2015), FitNets, arXiv:1412.6550, section 2.2, the regressor. Drawn as torch.nn.Linear's weight;
 * its bias is 0, the mean of standardised targets. Only this run has it. */
static tw_status add_projection(twi_pretraining *p, size_t from, size_t to)
{
    twi_tensors *weights = &p->network->weights;
    const size_t dims[2] = {to, from};
    const uint32_t last = (uint32_t)p->network->n - 1;
    void *weight = NULL, *bias = NULL;
    tw_status st = twi_grow(p->ctx, &weights->items, &weights->capacity, weights->n + 2);
    if (st == TW_OK)
        st =
            twi_tensors_add(p->ctx, weights, PROJECTION ".weight", TWI_F32, 2, dims, NULL, &weight);
    if (st == TW_OK)
        st = twi_tensors_add(p->ctx, weights, PROJECTION ".bias", TWI_F32, 1, dims, NULL, &bias);
    if (st != TW_OK) return st;
    twi_rng rng;
    twi_draw_rng(p->opts.seed, SIZE_MAX, 0, &rng); /* no epoch's */
    const double most = 1.0 / sqrt((double)from);
    for (size_t i = 0; i < to * from; i++)
        ((float *)weight)[i] = (float)(most * (2.0 * twi_rng_double(&rng) - 1.0));
    twi_node node = {.op = TWI_OP_DENSE, .name = PROJECTION, .n_inputs = 1, .inputs = &last};
    node.params[TWI_PARAM_WEIGHT] = &weights->items[weights->n - 2];
    node.params[TWI_PARAM_BIAS] = &weights->items[weights->n - 1];
    return twi_network_append(p->ctx, p->network, &node, NULL);
}

static tw_status open_teacher(twi_pretraining *p)
{
    twi_extractor_opts extract;
    tw_status st = tw_backbone_open(p->ctx, p->opts.teacher, &p->teacher_backbone);
    if (st == TW_OK) st = twi_extract_resolve(p->ctx, p->teacher_backbone, NULL, &extract);
    if (st != TW_OK) return st;
    const twi_teacher_opts opts = {.recipe = &extract.recipe,
                                   .precision = p->precision,
                                   .batch = p->opts.batch,
                                   .threads = twi_threads(p->ctx)};
    return twi_teacher_new(p->ctx, p->teacher_backbone->network, &opts, &p->teacher);
}

static tw_status cut(twi_pretraining *p)
{
    const twi_output output = p->opts.teacher ? TWI_OUTPUT_AVG : TWI_OUTPUT_LOGITS;
    tw_status st =
        twi_network_for_inference(p->ctx, p->backbone->network, output, false, &p->network);
    if (st != TW_OK || !p->opts.teacher) return st;
    return add_projection(p, tw_backbone_feature_count(p->backbone),
                          twi_teacher_feature_count(p->teacher));
}

/* Two compiled forms: one that learns, by the batch's statistics, and one that only answers, by the
 * stored ones. A trainer must train something, so the second is told its last layer. */
static tw_status new_trainers(twi_pretraining *p)
{
    bool *last;
    twi_trainer_opts opts = {.precision = p->precision,
                             .batch = p->opts.batch,
                             .height = p->recipe.height,
                             .width = p->recipe.width,
                             .threads = twi_threads(p->ctx),
                             .batch_statistics = true,
                             .momentum = 0.1};
    tw_status st = twi_trainer_new(p->ctx, p->network, &opts, &p->trainer);
    if (st == TW_OK) st = twi_zalloc(p->ctx, p->network->n, &last);
    if (st != TW_OK) return st;
    size_t i = p->network->n;
    while (i > 1 && !p->network->nodes[i - 1].params[TWI_PARAM_WEIGHT]) i--;
    last[i - 1] = true;
    opts.batch_statistics = false;
    opts.trained = last;
    st = twi_trainer_new(p->ctx, p->network, &opts, &p->validator);
    twi_free(last);
    return st;
}

tw_status twi_pretrain_draw(twi_pretraining *p, const char *out_path)
{
    const tw_pretrain_opts *o = &p->opts;
    const twi_draw_opts draw = {.arch = o->arch,
                                .name = o->name,
                                .width = o->width,
                                .side = o->side,
                                .classes = o->teacher ? 0 : p->k,
                                .seed = o->seed};
    twi_extractor_opts extract;
    tw_status st = twi_backbone_draw(p->ctx, &draw, out_path, &p->backbone);
    if (st == TW_OK) st = twi_extract_resolve(p->ctx, p->backbone, NULL, &extract);
    if (st != TW_OK) return st;
    p->recipe = extract.recipe;
    p->max_pixels = extract.max_pixels;
    return TW_OK;
}

tw_status twi_pretrain_compile(twi_pretraining *p)
{
    const tw_pretrain_opts *o = &p->opts;
    if (o->batch > p->n_train) p->opts.batch = p->n_train;
    const twi_optimiser_opts optimiser =
        twi_course_optimiser(&TWI_COURSE_OF(o), 1.0, twi_threads(p->ctx));
    tw_status st = o->teacher ? open_teacher(p) : TW_OK;
    if (st == TW_OK) st = cut(p);
    if (st == TW_OK) st = new_trainers(p);
    if (st != TW_OK) return st;
    return twi_optimiser_new(p->ctx, p->trainer, &optimiser, TWI_NO_NODE, &p->optimiser);
}
