/* finetune.c - from a head on cached features to a backbone trained for these photos. */
#include "api/finetune.h"

#include "api/options.h"
#include "network/operators.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VAL_FOLDS  7 /* one of them validates */
#define HEAD_FOLDS 5

typedef struct finetuning {
    tw_ctx *ctx;
    const tw_dataset *dataset;
    tw_finetune_opts opts;
    twi_parts_opts parts_opts;
    tw_backbone *backbone;
    twi_extractor_opts extract;
    twi_parts parts;
    twi_harvest harvest; /* of the training part */
    tw_report *report;
    uint32_t *y;         /* [harvest.rows] */
    size_t *train, *val; /* rows of harvest */
    size_t n_train, n_val, k;
    double C;
    twi_dense_head head;
    twi_network *network; /* the backbone to its pooled features, and the head */
    uint32_t head_node;
    bool *trained; /* [network->n] */
    tw_precision precision;
    twi_trainer *trainer;
    twi_optimiser *optimiser;
    twi_tune_result result;
} finetuning;

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

static bool is_sgd(const tw_finetune_opts *o)
{
    return o->optimiser && strcmp(o->optimiser, "sgd") == 0;
}

static tw_status check_options(tw_ctx *ctx, const tw_finetune_opts *o)
{
    if (o->optimiser && strcmp(o->optimiser, "adamw") != 0 && !is_sgd(o))
        return twi_fail(ctx, TW_ERR_ARG, "the optimiser is %s; need adamw or sgd", o->optimiser);
    if (o->epochs == 0 || o->epochs > 100000 || o->batch == 0 || o->batch > 65536)
        return twi_fail(ctx, TW_ERR_ARG,
                        "%zu epochs, batches of %zu; 1 to 100000 and 1 to 65536 are allowed",
                        o->epochs, o->batch);
    if (!(o->rate >= 0.0) || !(o->least_area > 0.0 && o->least_area <= 1.0) ||
        !(o->jitter >= 0.0 && o->jitter < 1.0) || !(o->erase >= 0.0 && o->erase <= 1.0) ||
        !(o->checkpoint_minutes >= 0.0))
        return twi_fail(ctx, TW_ERR_ARG,
                        "the rate must be 0 or more, the least area above 0 to 1, jitter 0 to "
                        "below 1, erase 0 to 1, minutes between checkpoints 0 or more");
    return TW_OK;
}

static tw_status read_options(finetuning *f, const tw_finetune_opts *given)
{
    tw_finetune_opts *o = &f->opts;
    tw_finetune_opts_init(o);
    tw_status st = twi_options_read(f->ctx, o, sizeof *o, given, given ? given->size_bytes : 0);
    if (st == TW_OK) st = check_options(f->ctx, o);
    if (st != TW_OK) return st;
    if (!o->backbone) o->backbone = "sapling";
    if (!(o->rate > 0.0)) o->rate = is_sgd(o) ? 5e-3 : 2e-4;
    if (o->weight_decay < 0.0) o->weight_decay = is_sgd(o) ? 1e-4 : 0.05;
    f->precision = o->precision;
    if (f->precision == TW_PRECISION_AUTO)
        f->precision =
            twi_precision_native(TW_PRECISION_BF16) ? TW_PRECISION_BF16 : TW_PRECISION_F32;
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
static tw_status harvest(finetuning *f)
{
    twi_extractor *extractor = NULL;
    tw_extract_opts opts;
    tw_extract_opts_init(&opts);
    opts.precision = TW_PRECISION_F32;
    tw_status st = tw_backbone_open(f->ctx, f->opts.backbone, &f->backbone);
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
static tw_status hold_back(finetuning *f)
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

static tw_status first_head(finetuning *f)
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

/* ---- the network --------------------------------------------------------------------------- */

static tw_status add_head(finetuning *f)
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
static void train_layers(finetuning *f, size_t n)
{
    for (uint32_t i = f->head_node; i-- > 0 && n > 0;) {
        f->trained[i] = true;
        n -= is_layer(&f->network->nodes[i]);
    }
}

/* Everything that works on maps as small as the last: layers that make them included. */
static tw_status train_last_block(finetuning *f)
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

static tw_status unfreeze(finetuning *f)
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
    errno = 0;
    const unsigned long n = strtoul(what, &end, 10);
    if (*what < '0' || *what > '9' || *end || errno)
        return twi_fail(f->ctx, TW_ERR_ARG,
                        "unfreeze is %s; need all, last-block, none or a number of layers", what);
    train_layers(f, n);
    return TW_OK;
}

static tw_status compile(finetuning *f)
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
                                      .trained = f->trained};
    const twi_optimiser_opts optimiser = {.kind = is_sgd(o) ? TWI_SGD : TWI_ADAMW,
                                          .weight_decay = o->weight_decay,
                                          .beta1 = 0.9,
                                          .beta2 = 0.999,
                                          .epsilon = 1e-8,
                                          .momentum = 0.9,
                                          .nesterov = true,
                                          .layer_decay = o->layer_decay,
                                          .average = o->average,
                                          .threads = twi_threads(f->ctx)};
    st = twi_trainer_new(f->ctx, f->network, &trainer, &f->trainer);
    if (st != TW_OK) return st;
    return twi_optimiser_new(f->ctx, f->trainer, &optimiser, f->head_node, &f->optimiser);
}

/* ---- the loop ------------------------------------------------------------------------------ */

static tw_epoch epoch_of(const twi_tune_epoch *e)
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

static int tell(void *user, const twi_tune_epoch *e)
{
    const finetuning *f = user;
    const tw_epoch epoch = epoch_of(e);
    return f->opts.told ? f->opts.told(f->opts.user, &epoch) : 0;
}

static const char *photo_path(const void *user, size_t row)
{
    const finetuning *f = user;
    return tw_dataset_path(f->dataset, f->harvest.sample[row]);
}

/* What a checkpoint depends on beside the loop's own options. */
static tw_status identity_of(finetuning *f, char **out)
{
    const tw_finetune_opts *o = &f->opts;
    char hex[TWI_DIGEST_HEX + 1];
    twi_digest digest;
    const double numbers[] = {o->weight_decay, o->layer_decay,    o->average,
                              (double)f->C,    (double)is_sgd(o), (double)f->precision};
    twi_digest_start(&digest);
    twi_digest_add(&digest, numbers, sizeof numbers);
    twi_digest_add(&digest, f->trained, f->network->n * sizeof *f->trained);
    twi_digest_add(&digest, f->harvest.digest, f->harvest.rows * TWI_DIGEST_BYTES);
    twi_digest_finish(&digest, hex);
    return twi_asprintf(f->ctx, out, "%s %s", f->backbone->digest, hex);
}

static tw_status loop(finetuning *f)
{
    const tw_finetune_opts *o = &f->opts;
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
    const twi_tune_opts opts = {.seed = o->seed,
                                .epochs = o->epochs,
                                .batch = o->batch,
                                .patience = o->patience,
                                .rate = o->rate,
                                .warmup = o->warmup,
                                .smoothing = o->smoothing,
                                .mixup = o->mixup,
                                .balanced = o->balanced != 0,
                                .augment = {.least_area = o->least_area,
                                            .stretch = 4.0 / 3.0,
                                            .mirror = !o->no_mirror,
                                            .jitter = o->jitter,
                                            .erase = o->erase,
                                            .width = f->extract.recipe.width,
                                            .height = f->extract.recipe.height},
                                .checkpoint = o->checkpoint,
                                .checkpoint_seconds = 60.0 * o->checkpoint_minutes,
                                .resume = o->resume != 0,
                                .identity = identity,
                                .told = tell,
                                .user = f};
    st = twi_tune_run(f->ctx, f->trainer, f->optimiser, &photos, &opts, &f->result);
    twi_free(identity);
    return st;
}

/* ---- the model ----------------------------------------------------------------------------- */

/* The backbone's own tensor that a parameter of the cut network came from. */
static twi_tensor *own_tensor(const finetuning *f, const twi_parameter *p)
{
    twi_tensors *weights = &f->backbone->network->weights;
    const twi_tensor *found = twi_tensors_find(weights, p->name);
    return found ? &weights->items[found - weights->items] : NULL;
}

/* Puts what was learned into the backbone, as float32, and gives it a digest of its own. */
static tw_status give_back(finetuning *f)
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

/* How it was made: no times. from: the digest of the backbone it began with. */
static twi_json *document(const finetuning *f, const char *from)
{
    const tw_finetune_opts *o = &f->opts;
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"rate", o->rate},
                   {"weight_decay", o->weight_decay},
                   {"layer_decay", o->layer_decay},
                   {"warmup", o->warmup},
                   {"smoothing", o->smoothing},
                   {"mixup", o->mixup},
                   {"average", o->average},
                   {"least_area", o->least_area},
                   {"jitter", o->jitter},
                   {"erase", o->erase},
                   {"C", f->C}};
    const struct {
        const char *name;
        size_t value;
    } counts[] = {{"epochs", o->epochs}, {"epochs_run", f->result.epochs},
                  {"batch", o->batch},   {"n_train", f->n_train},
                  {"n_val", f->n_val},   {"seed", o->seed}};
    twi_json *json = twi_json_object();
    bool ok = twi_json_set(json, "from", twi_json_text(from));
    ok &= twi_json_set(json, "unfreeze", twi_json_text(o->unfreeze ? o->unfreeze : "all"));
    ok &= twi_json_set(json, "optimiser", twi_json_text(is_sgd(o) ? "sgd" : "adamw"));
    ok &= twi_json_set(json, "precision", twi_json_text(twi_precision_name(f->precision)));
    for (size_t i = 0; i < TWI_LEN(numbers); i++)
        ok &= twi_json_set(json, numbers[i].name, twi_json_number(numbers[i].value));
    for (size_t i = 0; i < TWI_LEN(counts); i++)
        ok &= twi_json_set(json, counts[i].name, twi_json_integer((int64_t)counts[i].value));
    ok &= twi_json_set(json, "balanced", twi_json_boolean(o->balanced != 0));
    ok &= twi_json_set(json, "mirror", twi_json_boolean(!o->no_mirror));
    ok &= twi_json_set(json, "first", epoch_json(&f->result.first));
    ok &= twi_json_set(json, "best", epoch_json(&f->result.best));
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

static tw_status make_model(finetuning *f, tw_model **out, tw_report **report)
{
    char from[sizeof f->backbone->digest];
    twi_classifier classifier = {0};
    tw_train_opts train;
    memcpy(from, f->backbone->digest, sizeof from);
    tw_status st = give_back(f);
    if (st == TW_OK) st = twi_dense_head_classifier(f->ctx, &f->head, &classifier);
    if (st != TW_OK) return st;
    twi_json *json = document(f, from);
    if (!json) st = twi_fail(f->ctx, TW_ERR_NOMEM, "no memory for the model's document");
    tw_train_opts_init(&train);
    train.test_size = f->opts.test_size;
    train.seed = f->opts.seed;
    train.stratify = f->opts.stratify;
    train.groups = f->opts.groups;
    train.backbone = f->opts.backbone;
    train.head.C = f->C;
    train.head.no_standardise = 1;
    const twi_train_extra extra = {
        .backbone = f->backbone, .classifier = &classifier, .finetuning = json};
    if (st == TW_OK) {
        f->backbone = NULL; /* handed over */
        st = twi_model_train(f->ctx, f->dataset, &train, &extra, out, report);
    }
    twi_classifier_free(&classifier);
    twi_json_free(json);
    return st;
}

/* ---- the line ------------------------------------------------------------------------------ */

static void finetuning_free(finetuning *f)
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
    twi_free(f->y);
    twi_free(f->train);
    twi_free(f->val);
}

tw_status tw_model_finetune(tw_ctx *ctx, const tw_dataset *dataset, const tw_finetune_opts *opts,
                            tw_model **out, tw_report **report)
{
    finetuning f = {.ctx = ctx, .dataset = dataset};
    tw_status st = read_options(&f, opts);
    if (st != TW_OK) return st;
    st = twi_report_new(ctx, f.k, class_name, dataset, &f.report);
    if (st != TW_OK) goto done;
    if ((st = twi_parts_make(ctx, dataset, &f.parts_opts, &f.parts)) != TW_OK) goto done;
    if ((st = harvest(&f)) != TW_OK) goto done;
    if ((st = hold_back(&f)) != TW_OK) goto done;
    if ((st = first_head(&f)) != TW_OK) goto done;
    if ((st = compile(&f)) != TW_OK) goto done;
    if ((st = loop(&f)) != TW_OK) goto done;
    if ((st = make_model(&f, out, report)) != TW_OK) goto done;
    if (f.opts.checkpoint) (void)unlink(f.opts.checkpoint); /* the model is what remains of it */
done:
    finetuning_free(&f);
    return st;
}
