/* calibrate.c - the ranges of a backbone's values, for computing it in 8 bits, and how far its
 * features are then from those of float32. */
#include "api/calibrate.h"
#include "api/report.h"

#include <string.h>

#define SAMPLE ((size_t)64) /* half to watch, half to measure on */
/* Features farther away than this, on average, are not offered. */
#define LEAST_COSINE 0.98

typedef struct calibrating {
    tw_ctx *ctx;
    tw_backbone *backbone;
    const twi_extractor_opts *opts;
    twi_names paths[2]; /* to watch, to measure on */
    float *rows[2];     /* float32, 8 bits: [paths[1].n, d] */
    bool *read[2];      /* [paths[1].n] */
    size_t d;
    double (*before)[2]; /* what nodes had */
    tw_calibration result;
} calibrating;

int tw_backbone_calibrated(const tw_backbone *backbone)
{
    const twi_network *network = backbone->network;
    for (size_t i = 0; i < network->n; i++)
        if (network->nodes[i].observed[0] != 0 || network->nodes[i].observed[1] != 0) return 1;
    return 0;
}

static tw_status take_paths(calibrating *c, tw_path_fn next, void *user, size_t n)
{
    tw_status st = TW_OK;
    const char *path;
    for (size_t i = 0; i < n && st == TW_OK && (path = next(user, i)); i++)
        st = twi_names_add(c->ctx, &c->paths[i % 2], path);
    if (st != TW_OK || c->paths[1].n > 0) return st;
    return c->paths[0].n == 0 ? twi_fail(c->ctx, TW_ERR_DATA, "no picture to calibrate on")
                              : twi_names_add(c->ctx, &c->paths[1], c->paths[0].items[0]);
}

/* ---- ranges -------------------------------------------------------------------------------- */

static void set_observed(twi_network *network, double (*observed)[2])
{
    for (size_t i = 0; i < network->n; i++)
        memcpy(network->nodes[i].observed, observed[i], sizeof observed[i]);
}

static tw_status watch(calibrating *c)
{
    twi_network *network = c->backbone->network;
    double(*observed)[2];
    tw_status st = twi_zalloc(c->ctx, network->n, &observed);
    if (st == TW_OK) st = twi_zalloc(c->ctx, network->n, &c->before);
    for (size_t i = 0; i < network->n && st == TW_OK; i++)
        memcpy(c->before[i], network->nodes[i].observed, sizeof c->before[i]);
    if (st == TW_OK)
        st = twi_observe(c->ctx, network, c->opts, (const char *const *)c->paths[0].items,
                         c->paths[0].n, observed, &c->result.watched);
    if (st == TW_OK) set_observed(network, observed);
    twi_free(observed);
    return st;
}

/* ---- distance ------------------------------------------------------------------------------ */

typedef struct reading {
    const calibrating *c;
    int which;
} reading;

static const char *next_path(void *user, size_t i)
{
    const reading *r = user;
    return twi_names_get(&r->c->paths[1], i);
}

static int take_row(void *user, size_t i, tw_status status, const char *message,
                    const float *features)
{
    const reading *r = user;
    const calibrating *c = r->c;
    (void)message;
    c->read[r->which][i] = status == TW_OK;
    if (status == TW_OK) memcpy(c->rows[r->which] + i * c->d, features, c->d * sizeof *features);
    return 0;
}

static tw_status read_rows(calibrating *c, int which, tw_precision precision)
{
    twi_extractor *extractor = NULL;
    twi_extractor_opts opts = *c->opts;
    reading r = {c, which};
    size_t count;
    const twi_source source = {.path = next_path, .user = &r, .total = c->paths[1].n};
    opts.precision = precision;
    opts.strict = false;
    opts.identity[0] = '\0'; /* the backbone is not what its file says any more */
    tw_status st = twi_extractor_new(c->ctx, c->backbone->network, &opts, &extractor);
    if (st != TW_OK) return st;
    c->d = twi_extractor_feature_count(extractor);
    if (twi_mul(c->paths[1].n, c->d, &count))
        st = twi_fail(c->ctx, TW_ERR_NOMEM, "%zu features are too many", c->d);
    if (st == TW_OK) st = twi_alloc(c->ctx, count, &c->rows[which]);
    if (st == TW_OK) st = twi_zalloc(c->ctx, c->paths[1].n, &c->read[which]);
    if (st == TW_OK) st = twi_extractor_run(c->ctx, extractor, &source, take_row, &r, NULL);
    twi_extractor_free(extractor);
    return st;
}

static tw_status measure(calibrating *c)
{
    tw_calibration *result = &c->result;
    double sum = 0, least = 1;
    tw_status st = read_rows(c, 0, TW_PRECISION_F32);
    if (st == TW_OK) st = read_rows(c, 1, TW_PRECISION_INT8);
    for (size_t i = 0; i < c->paths[1].n && st == TW_OK; i++) {
        if (!c->read[0][i] || !c->read[1][i]) continue;
        const double each = twi_cosine(c->rows[0] + i * c->d, c->rows[1] + i * c->d, c->d);
        result->measured++;
        sum += each;
        if (!(each >= least)) least = each;
    }
    if (st != TW_OK) return st;
    if (result->measured == 0)
        return twi_fail(c->ctx, TW_ERR_DATA, "none of the %zu pictures to measure on could be read",
                        c->paths[1].n);
    result->cosine_mean = sum / (double)result->measured;
    result->cosine_least = least;
    return TW_OK;
}

/* ---- the document -------------------------------------------------------------------------- */

static twi_json *calibration_json(const tw_calibration *result)
{
    twi_json *json = twi_json_object();
    bool ok = twi_json_set(json, "photos", twi_json_integer((int64_t)result->watched));
    ok &= twi_json_set(json, "measured", twi_json_integer((int64_t)result->measured));
    ok &= twi_json_set(json, "cosine_mean", twi_json_number(result->cosine_mean));
    ok &= twi_json_set(json, "cosine_least", twi_json_number(result->cosine_least));
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

/* Gives backbone a document of its own, with its network as it is; calibration NULL: without one.
 */
static tw_status write_down(tw_ctx *ctx, tw_backbone *backbone, const tw_calibration *calibration)
{
    twi_json *document = twi_json_object();
    bool ok = document != NULL;
    for (size_t i = 0; ok && twi_json_key(backbone->document, i); i++) {
        const char *key = twi_json_key(backbone->document, i);
        if (strcmp(key, "graph") == 0)
            ok = twi_json_set(document, key, twi_network_to_json(backbone->network));
        else if (strcmp(key, "calibration") != 0)
            ok = twi_json_set(document, key, twi_json_copy(twi_json_get(backbone->document, key)));
    }
    if (ok && calibration)
        ok = twi_json_set(document, "calibration", calibration_json(calibration));
    if (!ok) {
        twi_json_free(document);
        return twi_fail(ctx, TW_ERR_NOMEM, "no memory for the backbone's document");
    }
    twi_json_free(backbone->own_document);
    backbone->own_document = document;
    backbone->document = document;
    return TW_OK;
}

tw_status twi_backbone_forget_ranges(tw_ctx *ctx, tw_backbone *backbone)
{
    twi_network *network = backbone->network;
    if (!tw_backbone_calibrated(backbone)) return TW_OK;
    for (size_t i = 0; i < network->n; i++)
        network->nodes[i].observed[0] = network->nodes[i].observed[1] = 0;
    return write_down(ctx, backbone, NULL);
}

/* Rounded down: %f would write the caller's decimal point. */
static unsigned millionths(double x)
{
    return x > 0 ? (unsigned)(x * 1e6) : 0;
}

static tw_status judge(const calibrating *c)
{
    const unsigned mean = millionths(c->result.cosine_mean);
    const unsigned least = millionths(c->result.cosine_least);
    if (!(c->result.cosine_mean >= LEAST_COSINE))
        return twi_fail(c->ctx, TW_ERR_DATA,
                        "in int8 features of %zu pictures have a mean cosine of %u.%06u to those "
                        "of f32; 0.98 is needed; precision auto keeps them",
                        c->result.measured, mean / 1000000, mean % 1000000);
    twi_log(c->ctx, TW_LOG_INFO,
            "precision int8: features of %zu pictures have a cosine of %u.%06u on average and "
            "%u.%06u at least to those of f32",
            c->result.measured, mean / 1000000, mean % 1000000, least / 1000000, least % 1000000);
    return TW_OK;
}

static tw_status calibrate(tw_ctx *ctx, tw_backbone *backbone, const twi_extractor_opts *opts,
                           tw_path_fn next, void *user, size_t n, tw_calibration *out)
{
    calibrating c = {.ctx = ctx, .backbone = backbone, .opts = opts};
    tw_status st = take_paths(&c, next, user, n);
    if (st == TW_OK) st = watch(&c);
    if (st == TW_OK) st = measure(&c);
    if (st == TW_OK) st = judge(&c);
    if (st == TW_OK) st = write_down(ctx, backbone, &c.result);
    if (st != TW_OK && c.before) set_observed(backbone->network, c.before);
    if (st == TW_OK && out) *out = c.result;
    for (int i = 0; i < 2; i++) {
        twi_names_free(&c.paths[i]);
        twi_free(c.rows[i]);
        twi_free(c.read[i]);
    }
    twi_free(c.before);
    return st;
}

tw_status tw_backbone_calibrate(tw_ctx *ctx, tw_backbone *backbone, const tw_extract_opts *given,
                                tw_path_fn next, void *user, size_t n, tw_calibration *out)
{
    twi_extractor_opts opts;
    const tw_status st = twi_extract_resolve(ctx, backbone, given, &opts);
    return st == TW_OK ? calibrate(ctx, backbone, &opts, next, user, n, out) : st;
}

typedef struct spread {
    const tw_dataset *dataset;
    const size_t *order; /* NULL: all, in order */
    size_t n, taken;
} spread;

static const char *spread_path(void *user, size_t i)
{
    const spread *s = user;
    const size_t at = i * s->n / s->taken;
    return tw_dataset_path(s->dataset, s->order ? s->order[at] : at);
}

tw_status twi_extract_prepare(tw_ctx *ctx, tw_backbone *backbone, const tw_extract_opts *given,
                              const tw_dataset *dataset, const size_t *order, size_t n,
                              twi_extractor_opts *out)
{
    spread s = {dataset, order, n, n < SAMPLE ? n : SAMPLE};
    tw_status st = twi_extract_resolve(ctx, backbone, given, out);
    if (st != TW_OK || out->precision != TW_PRECISION_INT8 || tw_backbone_calibrated(backbone))
        return st;
    st = calibrate(ctx, backbone, out, spread_path, &s, s.taken, NULL);
    return st == TW_OK ? twi_extract_resolve(ctx, backbone, given, out) : st;
}

tw_status tw_backbone_calibrate_dataset(tw_ctx *ctx, tw_backbone *backbone,
                                        const tw_extract_opts *given, const tw_dataset *dataset,
                                        tw_calibration *out)
{
    const size_t n = tw_dataset_count(dataset);
    spread s = {dataset, NULL, n, n < SAMPLE ? n : SAMPLE};
    return tw_backbone_calibrate(ctx, backbone, given, spread_path, &s, s.taken, out);
}

/* ---- the file ------------------------------------------------------------------------------ */

tw_status tw_backbone_save(tw_ctx *ctx, const tw_backbone *backbone, const char *path)
{
    const twi_tensors *const lists[] = {&backbone->network->weights, &backbone->extras};
    twi_tensors all = {0};
    tw_status st = TW_OK;
    for (size_t l = 0; l < TWI_LEN(lists); l++)
        for (size_t i = 0; i < lists[l]->n && st == TW_OK; i++) {
            const twi_tensor *t = &lists[l]->items[i];
            st = twi_tensors_add(ctx, &all, t->name, t->dtype, t->rank, t->dims, t->data, NULL);
        }
    if (st == TW_OK) st = twi_bundle_write(ctx, path, "backbone", &all, backbone->document, NULL);
    twi_tensors_free(&all);
    return st;
}
