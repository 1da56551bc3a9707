/* finetune.c - from a head on cached features to a backbone trained for these photos. */
#include "api/calibrate.h"
#include "api/finetune.h"

#include "api/options.h"

#include <string.h>
#include <unistd.h>

#define VAL_FOLDS  7 /* one of them validates */
#define HEAD_FOLDS 5

/* ---- options ------------------------------------------------------------------------------- */

void tw_finetune_opts_init(tw_finetune_opts *opts)
{
    *opts = (tw_finetune_opts){.size_bytes = sizeof *opts,
                               .test_size = 0.2,
                               .seed = 42,
                               .stratify = TW_DEFAULT,
                               .precision = TW_PRECISION_AUTO,
                               .epochs = 10,
                               .patience = 4,
                               .batch = 16,
                               .weight_decay = -1.0,
                               .layer_decay = 0.8,
                               .warmup = 0.1,
                               .smoothing = 0.05,
                               .average = 0.99,
                               .least_area = 0.5,
                               .jitter = 0.2,
                               .checkpoint_minutes = 5.0};
}

static tw_status check_options(tw_ctx *ctx, const tw_finetune_opts *o)
{
    const twi_course course = TWI_COURSE_OF(o);
    const tw_status st = twi_course_check(ctx, &course, 1);
    if (st != TW_OK) return st;
    if (!(o->rotate >= 0.0 && o->rotate <= 180.0) || o->randaugment >= TWI_RANDAUGMENT_BINS)
        return twi_fail(ctx, TW_ERR_ARG, "rotate must be 0 to 180, randaugment 0 to 30");
    return TW_OK;
}

static tw_status read_options(twi_finetuning *f, const tw_finetune_opts *given)
{
    tw_finetune_opts *o = &f->opts;
    tw_finetune_opts_init(o);
    tw_status st = twi_options_read(f->ctx, o, sizeof *o, given, given ? given->size_bytes : 0);
    if (st == TW_OK) st = check_options(f->ctx, o);
    if (st != TW_OK) return st;
    const bool sgd = twi_course_sgd(&TWI_COURSE_OF(o));
    if (!o->backbone) o->backbone = "sapling";
    if (o->rate == 0.0) o->rate = sgd ? 5e-3 : 2e-4;
    if (o->weight_decay < 0.0) o->weight_decay = sgd ? 1e-4 : 0.05;
    if ((st = twi_course_precision(f->ctx, o->precision, &f->precision)) != TW_OK) return st;
    f->parts_opts = (twi_parts_opts){.test_size = o->test_size,
                                     .seed = o->seed,
                                     .stratify = o->stratify != TW_NO,
                                     .groups = o->groups != 0};
    f->k = tw_dataset_class_count(f->dataset);
    return TW_OK;
}

/* ---- the first head ------------------------------------------------------------------------ */

static const char *class_name(const void *user, size_t k)
{
    return tw_dataset_class_name(user, k);
}

/* Features of the training part; photos that cannot be read drop out here. */
static tw_status harvest(twi_finetuning *f)
{
    twi_extractor *extractor = NULL;
    tw_extract_opts opts;
    tw_extract_opts_init(&opts);
    opts.precision = TW_PRECISION_F32;
    tw_status st = tw_backbone_open(f->ctx, f->opts.backbone, &f->backbone);
    if (st == TW_OK) st = twi_finetune_seen(f);
    if (st == TW_OK) st = twi_extract_resolve(f->ctx, f->backbone, &opts, &f->extract);
    if (st == TW_OK) st = twi_extractor_new(f->ctx, f->backbone->network, &f->extract, &extractor);
    if (st == TW_OK)
        st = twi_harvest_run(f->ctx, extractor, f->dataset, f->parts.order, f->parts.n_train,
                             f->report, &f->harvest);
    twi_extractor_free(extractor);
    if (st == TW_OK) st = twi_alloc(f->ctx, f->harvest.rows, &f->y);
    for (size_t r = 0; st == TW_OK && r < f->harvest.rows; r++)
        f->y[r] = tw_dataset_label(f->dataset, f->harvest.sample[r]);
    return st;
}

/* Rows in fold 0 of VAL_FOLDS validate. */
static tw_status hold_back(twi_finetuning *f)
{
    const twi_harvest *h = &f->harvest;
    size_t folds = VAL_FOLDS;
    uint32_t *fold_of = NULL;
    tw_status st = twi_parts_folds(f->ctx, f->dataset, &f->parts_opts, h->sample, h->rows, f->y,
                                   f->k, &folds, 1, &fold_of);
    if (st == TW_OK && folds == 0)
        st = twi_fail(f->ctx, TW_ERR_DATA,
                      "a class (or all, by groups) has too few training pictures to hold some "
                      "back to validate on; each needs 2 at least");
    if (st == TW_OK) st = twi_alloc(f->ctx, h->rows, &f->train);
    if (st == TW_OK) st = twi_alloc(f->ctx, h->rows, &f->val);
    for (size_t r = 0; st == TW_OK && r < h->rows; r++)
        *(fold_of[r] == 0 ? &f->val[f->n_val++] : &f->train[f->n_train++]) = r;
    twi_free(fold_of);
    return st;
}

static tw_status first_head(twi_finetuning *f)
{
    const twi_harvest *h = &f->harvest;
    size_t folds = HEAD_FOLDS;
    uint32_t *fold_of = NULL, *y = NULL;
    size_t *sample = NULL;
    tw_status st = twi_alloc(f->ctx, f->n_train, &sample);
    if (st == TW_OK) st = twi_alloc(f->ctx, f->n_train, &y);
    for (size_t i = 0; st == TW_OK && i < f->n_train; i++) {
        sample[i] = h->sample[f->train[i]];
        y[i] = f->y[f->train[i]];
    }
    if (st == TW_OK)
        st = twi_parts_folds(f->ctx, f->dataset, &f->parts_opts, sample, f->n_train, y, f->k,
                             &folds, 1, &fold_of);
    const twi_samples samples = {
        .x = h->x, .y = f->y, .rows = f->train, .n = f->n_train, .d = h->d, .k = f->k};
    if (st == TW_OK) st = twi_dense_head_fit(f->ctx, &samples, fold_of, folds, &f->C, &f->head);
    twi_free(fold_of);
    twi_free(sample);
    twi_free(y);
    return st;
}

/* ---- the loop ------------------------------------------------------------------------------ */

static int tell(void *user, const twi_tune_epoch *e)
{
    const twi_finetuning *f = user;
    const tw_epoch epoch = twi_course_epoch(e);
    return f->opts.told ? f->opts.told(f->opts.user, &epoch) : 0;
}

static const char *photo_path(const void *user, size_t row)
{
    const twi_finetuning *f = user;
    return tw_dataset_path(f->dataset, f->harvest.sample[row]);
}

/* What a checkpoint depends on beside the loop's own options. */
static tw_status identity_of(twi_finetuning *f, char **out)
{
    const tw_finetune_opts *o = &f->opts;
    char hex[TWI_DIGEST_HEX + 1];
    twi_digest digest;
    const double numbers[] = {o->weight_decay,
                              o->layer_decay,
                              o->average,
                              (double)f->C,
                              (double)twi_course_sgd(&TWI_COURSE_OF(o)),
                              (double)f->precision};
    twi_digest_start(&digest);
    twi_digest_add(&digest, numbers, sizeof numbers);
    twi_digest_add(&digest, f->trained, f->network->n * sizeof *f->trained);
    twi_digest_add(&digest, f->harvest.digest, f->harvest.rows * TWI_DIGEST_BYTES);
    twi_digest_finish(&digest, hex);
    return twi_asprintf(f->ctx, out, "%s %s", f->backbone->digest, hex);
}

static twi_tune_opts tune_of(const twi_finetuning *f)
{
    const tw_finetune_opts *o = &f->opts;
    const twi_recipe *recipe = &f->extract.recipe;
    twi_tune_opts tune = twi_course_tune(&TWI_COURSE_OF(o), recipe->width, recipe->height);
    tune.augment.rotate = o->rotate;
    tune.augment.randaugment = o->randaugment;
    tune.train_from = f->train_from;
    return tune;
}

static tw_status loop(twi_finetuning *f)
{
    twi_tune_opts opts = tune_of(f);
    char *identity = NULL;
    tw_status st = identity_of(f, &identity);
    if (st != TW_OK) return st;
    const twi_tune_photos photos = {.path = photo_path,
                                    .user = f,
                                    .labels = f->y,
                                    .train = f->train,
                                    .val = f->val,
                                    .n_train = f->n_train,
                                    .n_val = f->n_val,
                                    .k = f->k,
                                    .recipe = &f->extract.recipe,
                                    .max_pixels = f->extract.max_pixels};
    opts.identity = identity;
    opts.told = tell, opts.user = f;
    st = twi_tune_run(f->ctx, f->trainer, f->optimiser, &photos, &opts, &f->result);
    twi_free(identity);
    return st;
}

/* ---- the line ------------------------------------------------------------------------------ */

static void finetuning_free(twi_finetuning *f)
{
    twi_optimiser_free(f->optimiser);
    twi_trainer_free(f->trainer);
    twi_network_free(f->network);
    twi_dense_head_free(&f->head);
    twi_harvest_free(&f->harvest);
    twi_parts_free(&f->parts);
    tw_report_free(f->report);
    tw_backbone_free(f->backbone);
    twi_free(f->trained);
    twi_free(f->train_from);
    twi_free(f->y);
    twi_free(f->train);
    twi_free(f->val);
}

tw_status tw_model_finetune(tw_ctx *ctx, const tw_dataset *dataset, const tw_finetune_opts *opts,
                            tw_model **out, tw_report **report)
{
    twi_finetuning f = {.ctx = ctx, .dataset = dataset, .start = twi_seconds()};
    tw_status st = read_options(&f, opts);
    if (st != TW_OK) return st;
    st = twi_report_new(ctx, f.k, class_name, dataset, &f.report);
    if (st != TW_OK) goto done;
    if ((st = twi_parts_make(ctx, dataset, &f.parts_opts, &f.parts)) != TW_OK) goto done;
    if ((st = harvest(&f)) != TW_OK) goto done;
    if ((st = hold_back(&f)) != TW_OK) goto done;
    const double fit_start = twi_seconds();
    if ((st = first_head(&f)) != TW_OK) goto done;
    if ((st = twi_finetune_compile(&f)) != TW_OK) goto done;
    if ((st = loop(&f)) != TW_OK) goto done;
    f.seconds_fit = twi_seconds() - fit_start;
    if ((st = twi_finetune_model(&f, out, report)) != TW_OK) goto done;
    if (f.opts.checkpoint) (void)unlink(f.opts.checkpoint); /* the model is what remains of it */
done:
    finetuning_free(&f);
    return st;
}

/* ---- the contact sheet --------------------------------------------------------------------- */

enum { SHEET_ROWS = 6, SHEET_COLUMNS = 8 };

static const char *part_path(const void *user, size_t place)
{
    const twi_finetuning *f = user;
    return tw_dataset_path(f->dataset, f->parts.order[place]);
}

static tw_status draw_sheet(twi_finetuning *f, const char *path)
{
    tw_extract_opts extract;
    tw_extract_opts_init(&extract);
    tw_status st = twi_extract_resolve(f->ctx, f->backbone, &extract, &f->extract);
    if (st == TW_OK) st = twi_alloc(f->ctx, f->parts.n_train, &f->train);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < f->parts.n_train; i++) f->train[i] = i;
    const twi_tune_photos photos = {.path = part_path,
                                    .user = f,
                                    .train = f->train,
                                    .n_train = f->parts.n_train,
                                    .recipe = &f->extract.recipe,
                                    .max_pixels = f->extract.max_pixels};
    const twi_tune_opts opts = tune_of(f);
    return twi_tune_sheet(f->ctx, &photos, &opts, SHEET_ROWS, SHEET_COLUMNS, path);
}

tw_status tw_finetune_sheet(tw_ctx *ctx, const tw_dataset *dataset, const tw_finetune_opts *opts,
                            const char *path)
{
    twi_finetuning f = {.ctx = ctx, .dataset = dataset};
    tw_status st = read_options(&f, opts);
    if (st == TW_OK) st = twi_parts_make(ctx, dataset, &f.parts_opts, &f.parts);
    if (st == TW_OK) st = tw_backbone_open(ctx, f.opts.backbone, &f.backbone);
    if (st == TW_OK) st = draw_sheet(&f, path);
    finetuning_free(&f);
    return st;
}
