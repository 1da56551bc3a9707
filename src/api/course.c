/* course.c - options of training, checked, handed on and written down. */
#include "api/course.h"

#include <string.h>

bool twi_course_sgd(const twi_course *c)
{
    return c->optimiser && strcmp(c->optimiser, "sgd") == 0;
}

tw_status twi_course_check(tw_ctx *ctx, const twi_course *c, size_t least_batch)
{
    if (c->optimiser && strcmp(c->optimiser, "adamw") != 0 && !twi_course_sgd(c))
        return twi_fail(ctx, TW_ERR_ARG, "the optimiser is %s; need adamw or sgd", c->optimiser);
    if (c->epochs == 0 || c->epochs > 100000 || c->batch < least_batch || c->batch > 65536)
        return twi_fail(ctx, TW_ERR_ARG,
                        "%zu epochs, batches of %zu; 1 to 100000 and %zu to 65536 are allowed",
                        c->epochs, c->batch, least_batch);
    if (!(c->rate >= 0.0 || c->rate == TW_AUTO) || !(c->least_area > 0.0 && c->least_area <= 1.0) ||
        !(c->jitter >= 0.0 && c->jitter < 1.0) || !(c->erase >= 0.0 && c->erase <= 1.0) ||
        !(c->checkpoint_minutes >= 0.0) || !(c->average >= 0.0 && c->average < 1.0))
        return twi_fail(ctx, TW_ERR_ARG,
                        "the rate must be 0 or more, the least area above 0 to 1, jitter and the "
                        "average's share 0 to below 1, erase 0 to 1, minutes between checkpoints 0 "
                        "or more");
    return TW_OK;
}

tw_status twi_course_precision(tw_ctx *ctx, tw_precision asked, tw_precision *out)
{
    *out = asked;
    if (asked == TW_PRECISION_INT8)
        return twi_fail(ctx, TW_ERR_ARG, "training in int8 is not possible; f32 and bf16 are");
    if (asked == TW_PRECISION_AUTO)
        *out = twi_precision_native(TW_PRECISION_BF16) ? TW_PRECISION_BF16 : TW_PRECISION_F32;
    return TW_OK;
}

twi_optimiser_opts twi_course_optimiser(const twi_course *c, double layer_decay, size_t threads)
{
    return (twi_optimiser_opts){.kind = twi_course_sgd(c) ? TWI_SGD : TWI_ADAMW,
                                .weight_decay = c->weight_decay,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .epsilon = 1e-8,
                                .momentum = 0.9,
                                .nesterov = true,
                                .layer_decay = layer_decay,
                                .average = c->average,
                                .threads = threads};
}

twi_tune_opts twi_course_tune(const twi_course *c, size_t width, size_t height)
{
    return (twi_tune_opts){.seed = c->seed,
                           .epochs = c->epochs,
                           .batch = c->batch,
                           .patience = c->patience,
                           .rate = c->rate,
                           .find_rate = c->rate == TW_AUTO,
                           .warmup = c->warmup,
                           .smoothing = c->smoothing,
                           .mixup = c->mixup,
                           .balanced = c->balanced,
                           .augment = {.least_area = c->least_area,
                                       .stretch = 4.0 / 3.0,
                                       .mirror = c->mirror,
                                       .jitter = c->jitter,
                                       .erase = c->erase,
                                       .width = width,
                                       .height = height},
                           .checkpoint = c->checkpoint,
                           .checkpoint_seconds = 60.0 * c->checkpoint_minutes,
                           .resume = c->resume};
}

tw_epoch twi_course_epoch(const twi_tune_epoch *e)
{
    return (tw_epoch){.epoch = e->epoch,
                      .epochs = e->epochs,
                      .loss = e->loss,
                      .val_loss = e->val_loss,
                      .val_accuracy = e->val_accuracy,
                      .rate = e->rate,
                      .photos_per_second = e->photos_per_second,
                      .seconds = e->seconds,
                      .best = e->best};
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

bool twi_course_json(twi_json *json, const twi_course *c, tw_precision precision,
                     const twi_tune_result *result)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"rate", result->rate},
                   {"weight_decay", c->weight_decay},
                   {"warmup", c->warmup},
                   {"smoothing", c->smoothing},
                   {"mixup", c->mixup},
                   {"average", c->average},
                   {"least_area", c->least_area},
                   {"jitter", c->jitter},
                   {"erase", c->erase}};
    const struct {
        const char *name;
        size_t value;
    } counts[] = {{"epochs", c->epochs},
                  {"epochs_run", result->epochs},
                  {"batch", c->batch},
                  {"seed", c->seed}};
    bool ok = twi_json_set(json, "optimiser", twi_json_text(twi_course_sgd(c) ? "sgd" : "adamw"));
    ok &= twi_json_set(json, "precision", twi_json_text(twi_precision_name(precision)));
    for (size_t i = 0; i < TWI_LEN(numbers); i++)
        ok &= twi_json_set(json, numbers[i].name, twi_json_number(numbers[i].value));
    for (size_t i = 0; i < TWI_LEN(counts); i++)
        ok &= twi_json_set(json, counts[i].name, twi_json_integer((int64_t)counts[i].value));
    ok &= twi_json_set(json, "balanced", twi_json_boolean(c->balanced));
    ok &= twi_json_set(json, "mirror", twi_json_boolean(c->mirror));
    ok &= twi_json_set(json, "first", epoch_json(&result->first));
    ok &= twi_json_set(json, "best", epoch_json(&result->best));
    return ok;
}
