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

static bool set_measured(twi_json *json, const twi_pretraining *p)
{
    bool ok = twi_json_set(json, "test_size", twi_json_number(p->opts.test_size));
    ok &= twi_json_set(json, "test_loss", twi_json_number(p->tested.val_loss));
    ok &= twi_json_set(json, "test_accuracy", twi_json_number(p->tested.val_accuracy));
    ok &= twi_json_set(json, "n_train", twi_json_integer((int64_t)p->n_train));
    ok &= twi_json_set(json, "n_val", twi_json_integer((int64_t)p->n_val));
    ok &= twi_json_set(json, "n_test", twi_json_integer((int64_t)p->n_test));
    return ok;
}

/* How it was made: no times, no paths. */
static twi_json *pretraining_json(const twi_pretraining *p)
{
    const tw_pretrain_opts *o = &p->opts;
    twi_json *json = twi_json_object();
    bool ok = json && twi_course_json(json, &TWI_COURSE_OF(o), p->precision, &p->result) &&
              set_measured(json, p);
    if (ok && p->teacher_backbone) {
        twi_json *teacher = twi_json_object();
        ok &= twi_json_set(teacher, "name", twi_json_text(p->teacher_backbone->name));
        ok &= twi_json_set(teacher, "digest", twi_json_text(p->teacher_backbone->digest));
        ok &= twi_json_set(json, "teacher", teacher);
    }
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
