/* pretrain.c - a backbone from random weights, by labels or by a teacher. */
#include "api/pretrain.h"

#include "api/options.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- options ------------------------------------------------------------------------------- */

void tw_pretrain_opts_init(tw_pretrain_opts *opts)
{
    *opts = (tw_pretrain_opts){.size_bytes = sizeof *opts,
                               .side = 64,
                               .test_size = 0.2,
                               .seed = 42,
                               .stratify = TW_DEFAULT,
                               .precision = TW_PRECISION_AUTO,
                               .epochs = 30,
                               .batch = 32,
                               .weight_decay = -1.0,
                               .warmup = 0.1,
                               .smoothing = 0.1,
                               .average = 0.99,
                               .least_area = 0.35,
                               .jitter = 0.2,
                               .checkpoint_minutes = 5.0};
}

static tw_status check_photos(const twi_pretraining *p)
{
    if (p->dataset && p->opts.n_photos > 0)
        return twi_fail(p->ctx, TW_ERR_ARG,
                        "both a data set and %zu photos without labels; need one of them",
                        p->opts.n_photos);
    if (!p->dataset && (p->opts.n_photos == 0 || !p->opts.teacher))
        return twi_fail(p->ctx, TW_ERR_ARG,
                        "photos without labels teach nothing but with a teacher: need that and at "
                        "least 2 of them, or a data set");
    for (size_t k = 0; p->dataset && k < p->k; k++)
        if (strchr(tw_dataset_class_name(p->dataset, k), '\n'))
            return twi_fail(p->ctx, TW_ERR_DATA,
                            "class %s: a name with a line end cannot be kept in a backbone",
                            tw_dataset_class_name(p->dataset, k));
    return TW_OK;
}

static tw_status read_options(twi_pretraining *p, const tw_pretrain_opts *given)
{
    tw_pretrain_opts *o = &p->opts;
    tw_pretrain_opts_init(o);
    tw_status st = twi_options_read(p->ctx, o, sizeof *o, given, given ? given->size_bytes : 0);
    if (st == TW_OK) st = twi_course_check(p->ctx, &TWI_COURSE_OF(o), 2);
    if (st == TW_OK) st = twi_course_precision(p->ctx, o->precision, &p->precision);
    if (st != TW_OK) return st;
    const bool sgd = twi_course_sgd(&TWI_COURSE_OF(o));
    if (!o->arch) o->arch = "resnet18";
    if (o->rate == 0.0) o->rate = sgd ? 0.05 : 2e-3;
    if (o->weight_decay < 0.0) o->weight_decay = sgd ? 5e-4 : 0.05;
    p->k = p->dataset ? tw_dataset_class_count(p->dataset) : 0;
    return check_photos(p);
}

/* ---- the loop ------------------------------------------------------------------------------ */

static int tell(void *user, const twi_tune_epoch *e)
{
    const twi_pretraining *p = user;
    const tw_epoch epoch = twi_course_epoch(e);
    return p->opts.told ? p->opts.told(p->opts.user, &epoch) : 0;
}

static const char *photo_path(const void *user, size_t photo)
{
    const twi_pretraining *p = user;
    return p->paths[photo];
}

/* What a checkpoint depends on beside the loop's own options. */
static tw_status identity_of(const twi_pretraining *p, char **out)
{
    const tw_pretrain_opts *o = &p->opts;
    char hex[TWI_DIGEST_HEX + 1];
    const char *teacher = p->teacher_backbone ? p->teacher_backbone->digest : "none";
    twi_digest digest;
    const double numbers[] = {o->weight_decay, o->average,
                              (double)twi_course_sgd(&TWI_COURSE_OF(o)), (double)p->precision};
    twi_digest_start(&digest);
    twi_digest_add(&digest, numbers, sizeof numbers);
    twi_digest_add(&digest, p->digests, p->n * sizeof *p->digests);
    twi_digest_finish(&digest, hex);
    return twi_asprintf(p->ctx, out, "%s %s %s", p->backbone->digest, teacher, hex);
}

static tw_status loop(twi_pretraining *p)
{
    const tw_pretrain_opts *o = &p->opts;
    char *identity = NULL;
    tw_status st = identity_of(p, &identity);
    if (st != TW_OK) return st;
    twi_tune_photos photos = {.path = photo_path,
                              .user = p,
                              .labels = o->teacher ? NULL : p->labels,
                              .train = p->train,
                              .val = p->val,
                              .n_train = p->n_train,
                              .n_val = p->n_val,
                              .k = twi_trainer_output_count(p->trainer),
                              .recipe = &p->recipe,
                              .max_pixels = p->max_pixels};
    twi_tune_opts opts = twi_course_tune(&TWI_COURSE_OF(o), p->recipe.width, p->recipe.height);
    opts.teacher = p->teacher;
    opts.validator = p->validator;
    opts.identity = identity;
    opts.told = tell, opts.user = p;
    st = twi_tune_run(p->ctx, p->trainer, p->optimiser, &photos, &opts, &p->result);
    photos.val = p->test, photos.n_val = p->n_test;
    p->tested = (twi_tune_epoch){.val_loss = (double)NAN, .val_accuracy = (double)NAN};
    if (st == TW_OK && p->n_test > 0)
        st = twi_tune_measure(p->ctx, p->trainer, &photos, &opts, &p->tested);
    twi_free(identity);
    return st;
}

/* ---- the line ------------------------------------------------------------------------------ */

static void pretraining_free(twi_pretraining *p)
{
    twi_optimiser_free(p->optimiser);
    twi_trainer_free(p->trainer);
    twi_trainer_free(p->validator);
    twi_teacher_free(p->teacher);
    twi_network_free(p->network);
    tw_backbone_free(p->teacher_backbone);
    tw_backbone_free(p->backbone);
    twi_free(p->paths);
    twi_free(p->labels);
    twi_free(p->readable);
    twi_free(p->train);
    twi_free(p->val);
    twi_free(p->test);
    twi_free(p->digests);
}

tw_status tw_backbone_pretrain(tw_ctx *ctx, const tw_dataset *dataset, const tw_pretrain_opts *opts,
                               const char *out_path, tw_pretrained *result)
{
    twi_pretraining p = {.ctx = ctx, .dataset = dataset};
    tw_status st = read_options(&p, opts);
    if (st != TW_OK) return st;
    if ((st = twi_pretrain_draw(&p, out_path)) != TW_OK) goto done;
    if ((st = twi_pretrain_photos(&p)) != TW_OK) goto done;
    if ((st = twi_pretrain_compile(&p)) != TW_OK) goto done;
    if ((st = loop(&p)) != TW_OK) goto done;
    if ((st = twi_pretrain_write(&p, out_path)) != TW_OK) goto done;
    if (p.opts.checkpoint) (void)unlink(p.opts.checkpoint); /* the file is what remains of it */
    if (result)
        *result = (tw_pretrained){.n_train = p.n_train,
                                  .n_val = p.n_val,
                                  .n_test = p.n_test,
                                  .n_skipped = p.n_skipped,
                                  .best = twi_course_epoch(&p.result.best),
                                  .test_loss = p.tested.val_loss,
                                  .test_accuracy = p.tested.val_accuracy};
done:
    pretraining_free(&p);
    return st;
}
