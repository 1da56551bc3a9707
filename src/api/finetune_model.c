/* finetune_model.c - what was learned, as a model. */
#include "api/calibrate.h"
#include "api/finetune.h"

#include <string.h>

/* The backbone's own tensor that a parameter of the cut network came from. */
static twi_tensor *own_tensor(const twi_finetuning *f, const twi_parameter *p)
{
    twi_tensors *weights = &f->backbone->network->weights;
    const twi_tensor *found = twi_tensors_find(weights, p->name);
    return found ? &weights->items[found - weights->items] : NULL;
}

/* Puts what was learned into the backbone, as float32, and gives it a digest of its own. */
static tw_status give_back(twi_finetuning *f)
{
    char hex[TWI_DIGEST_HEX + 1];
    twi_digest digest;
    tw_status st = TW_OK;
    twi_digest_start(&digest);
    twi_digest_add(&digest, f->backbone->digest, strlen(f->backbone->digest));
    for (size_t i = 0; i < twi_trainer_parameter_count(f->trainer) && st == TW_OK; i++) {
        const twi_parameter *p = twi_trainer_parameter(f->trainer, i);
        twi_tensor *tensor = own_tensor(f, p);
        float *data;
        if (p->node == f->head_node) {
            const bool weight = p->param == TWI_PARAM_WEIGHT;
            memcpy(weight ? f->head.weight : f->head.bias, p->value, p->count * sizeof(float));
            continue;
        }
        if (!tensor || !p->gradient) continue;
        st = twi_arena_take(f->ctx, &f->backbone->network->memory, p->count, &data);
        if (st != TW_OK) break;
        memcpy(data, p->value, p->count * sizeof *data);
        tensor->data = data;
        tensor->dtype = TWI_F32;
        twi_digest_add(&digest, data, p->count * sizeof *data);
    }
    if (st != TW_OK) return st;
    twi_digest_finish(&digest, hex);
    memcpy(f->backbone->digest, "sha256:", 7);
    memcpy(f->backbone->digest + 7, hex, sizeof hex);
    return twi_backbone_forget_ranges(f->ctx, f->backbone); /* they were of other weights */
}

/* How it was made: no times. from: the digest of the backbone it began with. */
static twi_json *document(const twi_finetuning *f, const char *from)
{
    const tw_finetune_opts *o = &f->opts;
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"layer_decay", o->layer_decay},
                   {"rotate", o->rotate},
                   {"randaugment", (double)o->randaugment},
                   {"C", f->C}};
    twi_json *json = twi_json_object();
    bool ok = twi_json_set(json, "from", twi_json_text(from));
    ok &= twi_json_set(json, "unfreeze", twi_json_text(o->unfreeze ? o->unfreeze : "all"));
    ok &= twi_course_json(json, &TWI_COURSE_OF(o), f->precision, &f->result);
    for (size_t i = 0; i < TWI_LEN(numbers); i++)
        ok &= twi_json_set(json, numbers[i].name, twi_json_number(numbers[i].value));
    ok &= twi_json_set(json, "n_train", twi_json_integer((int64_t)f->n_train));
    ok &= twi_json_set(json, "n_val", twi_json_integer((int64_t)f->n_val));
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

/* Where no epoch was better than none, the backbone is as it was and its head need not do without
 * the validation photos: the model is the one that tw_model_train() makes. */
tw_status twi_finetune_model(twi_finetuning *f, tw_model **out, tw_report **report)
{
    char from[sizeof f->backbone->digest];
    const bool learned = f->result.best.epoch > 0;
    twi_classifier classifier = {0};
    tw_train_opts train;
    tw_status st = TW_OK;
    memcpy(from, f->backbone->digest, sizeof from);
    if (learned)
        st = give_back(f);
    else
        twi_log(f->ctx, TW_LOG_INFO,
                "no epoch was better than the head alone: the model is the one that train makes");
    if (st == TW_OK && learned) st = twi_dense_head_classifier(f->ctx, &f->head, &classifier);
    if (st != TW_OK) return st;
    twi_json *json = document(f, from);
    if (!json) st = twi_fail(f->ctx, TW_ERR_NOMEM, "no memory for the model's document");
    tw_train_opts_init(&train);
    train.test_size = f->opts.test_size;
    train.seed = f->opts.seed;
    train.stratify = f->opts.stratify;
    train.groups = f->opts.groups;
    train.backbone = f->opts.backbone;
    train.head.balanced = f->opts.balanced;
    if (learned) train.head.C = f->C, train.head.no_standardise = 1;
    const twi_train_extra extra = {.backbone = f->backbone,
                                   .classifier = learned ? &classifier : NULL,
                                   .finetuning = json,
                                   .seconds = twi_seconds() - f->start,
                                   .seconds_fit = f->seconds_fit};
    if (st == TW_OK) {
        f->backbone = NULL; /* handed over */
        st = twi_model_train(f->ctx, f->dataset, &train, &extra, out, report);
    }
    twi_classifier_free(&classifier);
    twi_json_free(json);
    return st;
}
