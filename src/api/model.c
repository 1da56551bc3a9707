/* model.c - a model as a file: saved, opened, asked. */
#include "api/model.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

/* ---- lists of names as tensors ------------------------------------------------------------- */

tw_status twi_names_save(tw_ctx *ctx, const twi_names *names, const char *tensor_name,
                         twi_tensors *tensors)
{
    size_t bytes = 0;
    for (size_t i = 0; i < names->n; i++) bytes += strlen(names->items[i]) + 1;
    void *data;
    const tw_status st = twi_tensors_add(ctx, tensors, tensor_name, TWI_U8, 1, &bytes, NULL, &data);
    if (st != TW_OK) return st;
    char *at = data;
    for (size_t i = 0; i < names->n; i++) {
        const size_t length = strlen(names->items[i]) + 1;
        memcpy(at, names->items[i], length);
        at += length;
    }
    return TW_OK;
}

tw_status twi_names_load(tw_ctx *ctx, const char *file, const twi_tensors *tensors,
                         const char *tensor_name, twi_names *out)
{
    const twi_tensor *t = twi_tensors_find(tensors, tensor_name);
    if (!t || t->dtype != TWI_U8 || t->rank != 1)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: the list %s is missing or not U8 text", file,
                        tensor_name);
    const char *at = t->data, *end = at + t->count;
    if (t->count > 0 && end[-1] != '\0')
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: the list %s does not end with a NUL", file,
                        tensor_name);
    while (at < end) {
        const tw_status st = twi_names_add(ctx, out, at);
        if (st != TW_OK) return st;
        at += strlen(at) + 1;
    }
    return TW_OK;
}

/* ---- reading ------------------------------------------------------------------------------- */

static tw_status read_precision(tw_ctx *ctx, const char *name, const twi_json *document,
                                tw_precision *out)
{
    static const tw_precision known[] = {TW_PRECISION_F32, TW_PRECISION_BF16, TW_PRECISION_INT8};
    const char *word = twi_json_as_text(twi_json_get(document, "precision"), "missing");
    for (size_t i = 0; i < TWI_LEN(known); i++) {
        if (strcmp(word, twi_precision_name(known[i])) != 0) continue;
        *out = known[i];
        if (!twi_precision_native(*out)) {
            twi_log(ctx, TW_LOG_INFO,
                    "%s was trained in %s, which this machine lacks; running in f32", name, word);
            *out = TW_PRECISION_F32;
        }
        return TW_OK;
    }
    return twi_fail(ctx, TW_ERR_FORMAT, "%s: precision is %s; need f32, bf16 or int8", name, word);
}

tw_status twi_model_read(tw_ctx *ctx, const char *name, tw_model *model)
{
    const twi_json *document = model->document;
    twi_extractor_opts *extract = &model->extract;
    tw_status st =
        twi_recipe_from_json(ctx, name, twi_json_get(document, "recipe"), &extract->recipe);
    if (st != TW_OK) return st;
    st = twi_pooling_parse(ctx, name, twi_json_as_text(twi_json_get(document, "pooling"), NULL),
                           &extract->output);
    if (st != TW_OK) return st;
    if ((st = read_precision(ctx, name, document, &extract->precision)) != TW_OK) return st;
    st = twi_names_load(ctx, name, &model->tensors, "classes", &model->classes);
    if (st != TW_OK) return st;
    st = twi_classifier_load(ctx, name, &model->tensors, twi_json_get(document, "head"),
                             &model->classifier);
    if (st == TW_OK)
        st = twi_reject_load(ctx, name, &model->tensors, twi_json_get(document, "reject"),
                             model->classifier.d, &model->reject);
    if (st == TW_OK && model->classifier.k != model->classes.n)
        st = twi_fail(ctx, TW_ERR_FORMAT, "%s: the head knows %zu classes, the list %zu", name,
                      model->classifier.k, model->classes.n);
    return st;
}

/* The list of all tensors of the bundle, data borrowed. */
static tw_status borrow_tensors(tw_ctx *ctx, const twi_bundle *bundle, twi_tensors *out)
{
    const twi_tensors *all = twi_bundle_tensors(bundle);
    for (size_t i = 0; i < all->n; i++) {
        const twi_tensor *t = &all->items[i];
        const tw_status st =
            twi_tensors_add(ctx, out, t->name, t->dtype, t->rank, t->dims, t->data, NULL);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

/* Names of nodes of the model's own backbone. */
static tw_status read_layers(tw_ctx *ctx, const char *path, tw_model *model)
{
    const twi_json *names = twi_json_get(model->document, "layers");
    const size_t n = twi_json_length(names);
    if (!names) return TW_OK;
    if (!twi_json_is_array(names) || n == 0 || n > TWI_MAX_LAYERS)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: \"layers\" is not a list of 1 to %d names", path,
                        TWI_MAX_LAYERS);
    for (size_t i = 0; i < n; i++) {
        const char *name = twi_json_as_text(twi_json_at(names, i), "");
        const tw_status st =
            twi_network_find(ctx, model->backbone->network, name, &model->extract.layers[i]);
        if (st != TW_OK) {
            (void)twi_fail_prefix(ctx, TW_ERR_FORMAT, "%s: ", path);
            return st == TW_ERR_ARG ? TW_ERR_FORMAT : st;
        }
    }
    model->extract.n_layers = n;
    return TW_OK;
}

/* Takes bundle over. */
static tw_status read_bundle(tw_ctx *ctx, const char *name, twi_bundle *bundle, tw_model **out)
{
    tw_model *model;
    tw_status st = twi_zalloc(ctx, 1, &model);
    if (st != TW_OK) {
        twi_bundle_free(bundle);
        return st;
    }
    model->bundle = bundle;
    model->document = twi_json_copy(twi_bundle_document(model->bundle));
    if (!model->document) {
        st = twi_fail(ctx, TW_ERR_NOMEM, "%s: no memory for its document", name);
        goto done;
    }
    if ((st = borrow_tensors(ctx, model->bundle, &model->tensors)) != TW_OK) goto done;
    if ((st = twi_model_read(ctx, name, model)) != TW_OK) goto done;
    st = twi_backbone_embedded(ctx, name, model->bundle, model->document, &model->backbone);
    if (st != TW_OK) goto done;
    if ((st = read_layers(ctx, name, model)) != TW_OK) goto done;
    *out = model, model = NULL; /* handed over */
done:
    tw_model_free(model);
    return st;
}

tw_status tw_model_open(tw_ctx *ctx, const char *path, tw_model **out)
{
    twi_bundle *bundle;
    const tw_status st = twi_bundle_open(ctx, path, "model", &bundle);
    return st == TW_OK ? read_bundle(ctx, path, bundle, out) : st;
}

tw_status tw_model_open_bytes(tw_ctx *ctx, const char *name, tw_bytes bytes, tw_model **out)
{
    twi_bundle *bundle;
    const tw_status st = twi_bundle_open_bytes(ctx, name, bytes, "model", &bundle);
    return st == TW_OK ? read_bundle(ctx, name, bundle, out) : st;
}

tw_status tw_model_save(tw_ctx *ctx, const tw_model *model, const char *path)
{
    return twi_bundle_write(ctx, path, "model", &model->tensors, model->document, NULL);
}

void tw_model_free(tw_model *model)
{
    if (!model) return;
    twi_classifier_free(&model->classifier);
    twi_reject_free(&model->reject);
    twi_names_free(&model->classes);
    twi_tensors_free(&model->tensors);
    twi_json_free(model->document);
    tw_backbone_free(model->backbone);
    twi_bundle_free(model->bundle);
    twi_free(model);
}

/* ---- asking -------------------------------------------------------------------------------- */

const tw_backbone *tw_model_backbone(const tw_model *model)
{
    return model->backbone;
}

size_t tw_model_class_count(const tw_model *model)
{
    return model->classes.n;
}

const char *tw_model_class_name(const tw_model *model, size_t k)
{
    return twi_names_get(&model->classes, k);
}

static void add_base64(twi_text *out, const char *name)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = (const unsigned char *)name;
    for (size_t left = strlen(name); left > 0; s += 3) {
        const unsigned b = left > 1 ? s[1] : 0, c = left > 2 ? s[2] : 0;
        const unsigned group = (unsigned)s[0] << 16 | b << 8 | c;
        const char four[] = {digits[group >> 18], digits[group >> 12 & 63],
                             left > 1 ? digits[group >> 6 & 63] : '=',
                             left > 2 ? digits[group & 63] : '='};
        twi_text_add_bytes(out, four, sizeof four);
        if (left <= 3) break;
        left -= 3;
    }
}

static twi_json *base64_json(const char *name)
{
    twi_text text = {0};
    twi_text_add(&text, "");
    add_base64(&text, name);
    twi_json *json = text.failed ? NULL : twi_json_text(text.text);
    twi_text_free(&text);
    return json;
}

/* Sets key to an array of names. JSON cannot hold those that are not UTF-8: they are null there,
 * and key_base64 has the bytes of all. */
static bool set_names(twi_json *document, const char *key, const twi_names *names)
{
    twi_json *array = twi_json_array(), *exact = twi_json_array();
    bool ok = true, all_valid = true;
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->items[i];
        const bool valid = twi_utf8_valid(name, strlen(name));
        all_valid &= valid;
        ok &= twi_json_append(array, valid ? twi_json_text(name) : twi_json_number((double)NAN));
        ok &= twi_json_append(exact, base64_json(name));
    }
    twi_text longer = {0};
    twi_text_format(&longer, "%s_base64", key);
    ok &= twi_json_set(document, key, array);
    ok &= !longer.failed;
    if (ok && !all_valid)
        ok = twi_json_set(document, longer.text, exact);
    else
        twi_json_free(exact);
    twi_text_free(&longer);
    return ok;
}

tw_status tw_model_describe(tw_ctx *ctx, const tw_model *model, char **json)
{
    static const char *const lists[] = {"train_files", "test_files"};
    size_t size;
    tw_status st = TW_OK;
    twi_json *document = twi_json_copy(model->document);
    bool ok = set_names(document, "classes", &model->classes);
    for (size_t i = 0; i < TWI_LEN(lists) && ok && st == TW_OK; i++) {
        twi_names names = {0};
        st = twi_names_load(ctx, "model", &model->tensors, lists[i], &names);
        if (st == TW_OK) ok = set_names(document, lists[i], &names);
        twi_names_free(&names);
    }
    if (st == TW_OK && !ok) st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for the description");
    if (st == TW_OK) st = twi_json_print(ctx, document, json, &size);
    twi_json_free(document);
    return st;
}

/* ---- predicting ---------------------------------------------------------------------------- */

tw_status tw_model_extractor(tw_ctx *ctx, const tw_model *model, tw_extractor **out)
{
    tw_extractor *extractor;
    twi_extractor_opts opts = model->extract;
    tw_extract_opts defaults;
    tw_extract_opts_init(&defaults);
    twi_extractor_opts resolved;
    tw_status st = twi_extract_resolve(ctx, model->backbone, &defaults, &resolved);
    if (st != TW_OK) return st;
    opts.max_pixels = resolved.max_pixels;
    memcpy(opts.identity, resolved.identity, sizeof opts.identity);
    if ((st = twi_zalloc(ctx, 1, &extractor)) != TW_OK) return st;
    st = twi_extractor_new(ctx, model->backbone->network, &opts, &extractor->inner);
    if (st == TW_OK && twi_extractor_feature_count(extractor->inner) != model->classifier.d)
        st = twi_fail(ctx, TW_ERR_FORMAT, "the backbone makes %zu features, the head takes %zu",
                      twi_extractor_feature_count(extractor->inner), model->classifier.d);
    if (st != TW_OK) {
        tw_extractor_free(extractor);
        return st;
    }
    *out = extractor;
    return TW_OK;
}

tw_status tw_model_predict(tw_ctx *ctx, const tw_model *model, const float *x, size_t n,
                           float *prob, size_t prob_count)
{
    const twi_classifier *c = &model->classifier;
    size_t need;
    double *wide;
    if (twi_mul(n, c->k, &need) || need != prob_count)
        return twi_fail(ctx, TW_ERR_ARG, "room for %zu probabilities; %zu rows of %zu need %zu",
                        prob_count, n, c->k, need);
    tw_status st = twi_alloc(ctx, need, &wide);
    if (st != TW_OK) return st;
    st = twi_classifier_answer(ctx, c, x, n, &(twi_answers){.prob = wide});
    for (size_t i = 0; st == TW_OK && i < need; i++) prob[i] = (float)wide[i];
    twi_free(wide);
    return st;
}

tw_status twi_model_measure(tw_ctx *ctx, const tw_model *model, const float *x,
                            const uint32_t *truth, size_t n, tw_report *report)
{
    const twi_classifier *c = &model->classifier;
    twi_answers answers = {0};
    size_t cells;
    if (twi_mul(n, c->k, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu rows of %zu classes do not fit in memory", n, c->k);
    tw_status st = twi_alloc(ctx, cells, &answers.score);
    if (st == TW_OK) st = twi_alloc(ctx, n, &answers.label);
    if (st == TW_OK) st = twi_classifier_answer(ctx, c, x, n, &answers);
    if (st == TW_OK) st = twi_report_measure(ctx, report, truth, answers.label, answers.score, n);
    if (st == TW_OK) st = twi_model_measure_known(ctx, model, x, truth, answers.label, n, report);
    report->summary.head = c->head->type->name;
    report->summary.calibration = twi_calibration_name(c->calibration.method);
    report->summary.converged = c->head->converged;
    report->summary.iterations = c->head->iterations;
    twi_free(answers.score);
    twi_free(answers.label);
    return st;
}
