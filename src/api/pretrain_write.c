/* pretrain_write.c - what was learned, as a backbone file. */
#include "api/pretrain.h"

#include <math.h>
#include <string.h>

/* Every weight of the drawn backbone as the trainer has it now, running statistics included. */
static tw_status store_weights(const twi_pretraining *p, twi_tensors *stored)
{
    const twi_tensors *weights = &p->backbone->network->weights;
    const size_t n = twi_trainer_parameter_count(p->trainer);
    tw_status st = TW_OK;
    for (size_t i = 0; i < weights->n && st == TW_OK; i++) {
        const twi_tensor *t = &weights->items[i];
        const twi_parameter *found = NULL;
        for (size_t k = 0; k < n && !found; k++) {
            const twi_parameter *q = twi_trainer_parameter(p->trainer, k);
            if (strcmp(q->name, t->name) == 0) found = q;
        }
        st = found ? twi_tensors_add(p->ctx, stored, t->name, TWI_F32, t->rank, t->dims,
                                     found->value, NULL)
                   : twi_fail(p->ctx, TW_ERR_UNSUPPORTED, "weight %s was not trained", t->name);
    }
    return st;
}

static tw_status store_labels(const twi_pretraining *p, twi_tensors *stored)
{
    size_t length = 0;
    void *data;
    if (p->opts.teacher) return TW_OK;
    for (size_t k = 0; k < p->k; k++) length += strlen(tw_dataset_class_name(p->dataset, k)) + 1;
    length--; /* a line end between two */
    const tw_status st = twi_tensors_add(p->ctx, stored, "labels", TWI_U8, 1, &length, NULL, &data);
    if (st != TW_OK) return st;
    char *to = data;
    for (size_t k = 0; k < p->k; k++) {
        const char *name = tw_dataset_class_name(p->dataset, k);
        if (k > 0) *to++ = '\n';
        memcpy(to, name, strlen(name));
        to += strlen(name);
    }
    return TW_OK;
}

static twi_json *epoch_json(const twi_tune_epoch *e)
{
    twi_json *json = twi_json_object();
    bool ok = twi_json_set(json, "epoch", twi_json_integer((int64_t)e->epoch));
    ok &= twi_json_set(json, "val_loss", twi_json_number(e->val_loss));
    ok &= twi_json_set(json, "val_accuracy", twi_json_number(e->val_accuracy));
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

static bool set_numbers(twi_json *json, const twi_pretraining *p)
{
    const tw_pretrain_opts *o = &p->opts;
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"rate", p->result.rate},
                   {"weight_decay", o->weight_decay},
                   {"warmup", o->warmup},
                   {"smoothing", o->smoothing},
                   {"mixup", o->mixup},
                   {"average", o->average},
                   {"least_area", o->least_area},
                   {"jitter", o->jitter},
                   {"erase", o->erase},
                   {"test_size", o->test_size},
                   {"test_loss", p->tested.val_loss},
                   {"test_accuracy", p->tested.val_accuracy}};
    const struct {
        const char *name;
        size_t value;
    } counts[] = {{"epochs", o->epochs}, {"epochs_run", p->result.epochs}, {"batch", o->batch},
                  {"seed", o->seed},     {"n_train", p->n_train},          {"n_val", p->n_val},
                  {"n_test", p->n_test}};
    bool ok = true;
    for (size_t i = 0; i < TWI_LEN(numbers); i++)
        ok &= twi_json_set(json, numbers[i].name, twi_json_number(numbers[i].value));
    for (size_t i = 0; i < TWI_LEN(counts); i++)
        ok &= twi_json_set(json, counts[i].name, twi_json_integer((int64_t)counts[i].value));
    return ok;
}

/* How it was made: no times, no paths. */
static twi_json *pretraining_json(const twi_pretraining *p)
{
    const tw_pretrain_opts *o = &p->opts;
    twi_json *json = twi_json_object();
    bool ok = json && set_numbers(json, p);
    if (ok && p->teacher_backbone) {
        twi_json *teacher = twi_json_object();
        ok &= twi_json_set(teacher, "name", twi_json_text(p->teacher_backbone->name));
        ok &= twi_json_set(teacher, "digest", twi_json_text(p->teacher_backbone->digest));
        ok &= twi_json_set(json, "teacher", teacher);
    }
    ok &= twi_json_set(json, "optimiser", twi_json_text(twi_pretrain_sgd(o) ? "sgd" : "adamw"));
    ok &= twi_json_set(json, "precision", twi_json_text(twi_precision_name(p->precision)));
    ok &= twi_json_set(json, "balanced", twi_json_boolean(o->balanced != 0));
    ok &= twi_json_set(json, "mirror", twi_json_boolean(!o->no_mirror));
    ok &= twi_json_set(json, "first", epoch_json(&p->result.first));
    ok &= twi_json_set(json, "best", epoch_json(&p->result.best));
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

tw_status twi_pretrain_write(const twi_pretraining *p, const char *out_path)
{
    static const char *const kept[] = {"name", "arch", "recipe", "graph", "parameters", "source"};
    twi_json *document = twi_json_object();
    twi_tensors stored = {0};
    bool ok = document != NULL;
    for (size_t i = 0; ok && i < TWI_LEN(kept); i++)
        ok = twi_json_set(document, kept[i],
                          twi_json_copy(twi_json_get(p->backbone->document, kept[i])));
    ok = ok && twi_json_set(document, "pretraining", pretraining_json(p));
    tw_status st =
        ok ? TW_OK : twi_fail(p->ctx, TW_ERR_NOMEM, "no memory for the backbone's description");
    if (st == TW_OK) st = store_weights(p, &stored);
    if (st == TW_OK) st = store_labels(p, &stored);
    if (st == TW_OK) st = twi_bundle_write(p->ctx, out_path, "backbone", &stored, document, NULL);
    twi_tensors_free(&stored);
    twi_json_free(document);
    return st;
}
