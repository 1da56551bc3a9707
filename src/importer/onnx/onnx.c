/* onnx.c - from bytes to a network: what is needed, node by node, and the recipe. */
#include "importer/onnx/onnx.h"
#include "base/text.h"
#include "importer/onnx/feature.h"

#include <string.h>

#define DEFAULT_SIDE 224
#define LISTED       1200 /* bytes of a message that lists operators */

/* The first field of a ModelProto, as every exporter writes it, is ir_version: tag 8, 3 to 12. */
bool twi_onnx_recognises(const unsigned char *head, size_t size)
{
    return size >= 4 && head[0] == 8 && head[1] >= 3 && head[1] <= 12 && (head[2] & 7) == 2;
}

/* ---- the input
 * ------------------------------------------------------------------------------------ */

typedef struct opening { /* the input's name and layout */
    const char *name;
    size_t height, width;
    bool channels_last;
    int64_t dims[4];
} opening;

static bool is_initializer(const twi_onnx_model *m, const char *name)
{
    for (size_t i = 0; i < m->n_initializers; i++)
        if (strcmp(m->initializers[i].name, name) == 0) return true;
    return false;
}

static tw_status find_input(tw_ctx *ctx, const twi_onnx_model *m, const twi_onnx_opts *opts,
                            opening *out)
{
    const twi_onnx_port *port = NULL;
    size_t n = 0;
    for (size_t i = 0; i < m->n_inputs; i++)
        if (!is_initializer(m, m->inputs[i].name)) port = &m->inputs[i], n++;
    if (n != 1)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: %zu inputs; need one, a picture", m->path, n);
    if (port->rank != 4 || (port->type != 1 && port->type != 10))
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "%s: input %s has %zu axes of type %d; need 4 of floating point", m->path,
                        port->name, port->rank, port->type);
    const bool last = port->dims[1] != 3 && port->dims[3] == 3;
    const int64_t *side = port->dims + (last ? 1 : 2);
    if (!last && port->dims[1] != 3 && port->dims[1] != -1)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: input %s has %lld channels; need 3", m->path,
                        port->name, (long long)port->dims[1]);
    if (port->dims[0] > 1)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "%s: input %s is of %lld pictures at once; export the model with a free "
                        "batch axis",
                        m->path, port->name, (long long)port->dims[0]);
    const int64_t own[2] = {side[0] > 0 ? side[0] : DEFAULT_SIDE,
                            side[1] > 0 ? side[1] : DEFAULT_SIDE};
    *out = (opening){.name = port->name,
                     .height = opts->height ? opts->height : (size_t)own[0],
                     .width = opts->width ? opts->width : (size_t)own[1],
                     .channels_last = last};
    if (out->height > 16384 || out->width > 16384)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: input %s is of %zu x %zu pixels", m->path,
                        port->name, out->height, out->width);
    return TW_OK;
}

/* A network of ours takes [c, h, w]; a model that takes [h, w, c] gets that turned round. */
static tw_status open_graph(tw_ctx *ctx, twi_onnx_model *m, const opening *in, twi_onnx_graph *g)
{
    static const twi_onnx_node input = {.name = "input", .op = "input", .domain = ""};
    twi_onnx_value *value;
    tw_status st = twi_onnx_graph_new(ctx, m, 3, in->height, in->width, g);
    if (st != TW_OK) return st;
    g->at = &input;
    g->made = 1;
    if ((st = twi_onnx_slot(g, in->name, &value)) != TW_OK) return st;
    *value =
        (twi_onnx_value){.kind = TWI_ONNX_NODE, .rank = 4, .dims = {1, 3, in->height, in->width}};
    if (!in->channels_last) return TW_OK;
    uint32_t turned;
    st = twi_onnx_make1(g, (twi_node){.op = TWI_OP_TOKENS}, 0, &turned);
    if (st != TW_OK) return st;
    *value = (twi_onnx_value){
        .kind = TWI_ONNX_NODE, .rank = 4, .dims = {1, in->height, in->width, 3}, .node = turned};
    return TW_OK;
}

/* ---- what is needed
 * -------------------------------------------------------------------------------- */

/* Names that needed nodes read, by a table of hashes: 16 bits a name keep mistakes, which cost a
 * node too many, rare. */
typedef struct sieve {
    uint64_t *bits;
    size_t mask;
} sieve;

static size_t sieve_at(const sieve *s, const void *name, size_t length)
{
    return (size_t)twi_onnx_hash(name, length) & s->mask;
}

static void sieve_add(void *user, twi_cursor name)
{
    const sieve *s = user;
    const size_t at = sieve_at(s, name.at, name.left);
    s->bits[at / 64] |= (uint64_t)1 << at % 64;
}

static void sieve_add_text(sieve *s, const char *name)
{
    sieve_add(s, twi_cursor_over(name, strlen(name)));
}

static bool sieve_has(const sieve *s, const char *name)
{
    const size_t at = sieve_at(s, name, strlen(name));
    return s->bits[at / 64] >> at % 64 & 1;
}

/* What the node reads, and what its branches do. */
static void add_reads(sieve *s, const twi_onnx_node *node)
{
    for (size_t i = 0; i < node->n_inputs; i++) sieve_add_text(s, node->inputs[i]);
    for (size_t i = 0; i < node->n_attributes; i++)
        twi_onnx_branch_reads(node->attributes[i].graph, 0, sieve_add, s);
}

static tw_status mark_needed(tw_ctx *ctx, const twi_onnx_model *m, const char *feature,
                             bool *needed)
{
    sieve s = {.mask = 1023};
    size_t names = 0;
    for (size_t n = 0; n < m->n_nodes; n++) names += m->nodes[n].n_inputs;
    while (s.mask < 16 * names && s.mask < ((size_t)1 << 28)) s.mask = 2 * s.mask + 1;
    const tw_status st = twi_zalloc(ctx, s.mask / 64 + 1, &s.bits);
    if (st != TW_OK) return st;
    if (feature) sieve_add_text(&s, feature);
    for (size_t i = 0; i < m->n_outputs && !feature; i++) sieve_add_text(&s, m->outputs[i].name);
    for (size_t n = m->n_nodes; n-- > 0;) {
        const twi_onnx_node *node = &m->nodes[n];
        for (size_t o = 0; o < node->n_outputs; o++)
            needed[n] = needed[n] || sieve_has(&s, node->outputs[o]);
        if (needed[n]) add_reads(&s, node);
    }
    twi_free(s.bits);
    return TW_OK;
}

static bool is_known(const twi_onnx_node *node)
{
    if (*node->domain && strcmp(node->domain, "ai.onnx") != 0) return false;
    return twi_onnx_find(node->op) || twi_onnx_folds(node->op);
}

/* All operators that are not read at once, each with its nodes. */
static tw_status check_operators(tw_ctx *ctx, const twi_onnx_model *m, const bool *needed)
{
    twi_text list = {0};
    size_t n_unknown = 0;
    for (size_t n = 0; n < m->n_nodes; n++) {
        const twi_onnx_node *node = &m->nodes[n];
        if (!needed[n] || is_known(node)) continue;
        n_unknown++;
        if (list.length > LISTED) continue;
        const char *name = *node->name || !node->n_outputs ? node->name : node->outputs[0];
        twi_text_format(&list, "%s%s%s%s (node %s)", list.length ? ", " : "", node->domain,
                        *node->domain ? "." : "", node->op, name);
    }
    tw_status st = TW_OK;
    if (list.failed)
        st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message");
    else if (n_unknown > 0)
        st = twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: %zu nodes are not read: %s%s", m->path,
                      n_unknown, list.text, list.length > LISTED ? ", ..." : "");
    twi_text_free(&list);
    return st;
}

/* ---- node by node
 * ----------------------------------------------------------------------------------- */

static tw_status lower_nodes(twi_onnx_graph *g, const bool *needed)
{
    tw_status st = TW_OK;
    for (size_t n = 0; n < g->model->n_nodes && st == TW_OK; n++)
        if (needed[n]) st = twi_onnx_lower_node(g, &g->model->nodes[n]);
    return st;
}

/* ---- the recipe
 * ------------------------------------------------------------------------------------- */

static const char *property(const twi_onnx_model *m, const char *key)
{
    for (size_t i = 0; i < m->n_properties; i++)
        if (strcmp(m->properties[i].key, key) == 0) return m->properties[i].value;
    return NULL;
}

/* "a,b,c" or "a" into three numbers; fallback where the model has no such property. */
static tw_status three(tw_ctx *ctx, const twi_onnx_model *m, const char *key,
                       const double *fallback, double out[3])
{
    const char *text = property(m, key);
    char *list = NULL;
    twi_json *json = NULL;
    memcpy(out, fallback, 3 * sizeof *out);
    if (!text) return TW_OK;
    tw_status st = twi_asprintf(ctx, &list, "[%s]", text);
    if (st == TW_OK) st = twi_json_parse(ctx, key, list, strlen(list), &json);
    const size_t n = st == TW_OK ? twi_json_length(json) : 0;
    for (size_t i = 0; i < 3 && n > 0; i++)
        out[i] = twi_json_as_number(twi_json_at(json, n == 1 ? 0 : i), 0.0);
    if (st == TW_OK && n != 1 && n != 3)
        st = twi_fail(ctx, TW_ERR_FORMAT, "%s: property %s is %s; need three numbers", m->path, key,
                      text);
    twi_json_free(json);
    twi_free(list);
    return st;
}

static void add_three(twi_text *text, const char *key, const double v[3])
{
    twi_text_format(text, ",\"%s\":[", key);
    for (size_t i = 0; i < 3; i++) {
        if (i) twi_text_add(text, ",");
        twi_text_double(text, v[i]);
    }
    twi_text_add(text, "]");
}

/* From the properties input.range, .channels, .mean and .std where the file has them; else as
 * torchvision trains. The short side is 256 / 224 of the input, centre cropped. */
static tw_status make_recipe(tw_ctx *ctx, const twi_onnx_model *m, const opening *in, char **out)
{
    static const double means[] = {0.485, 0.456, 0.406}, deviations[] = {0.229, 0.224, 0.225};
    const char *range = property(m, "input.range"), *channels = property(m, "input.channels");
    const bool bytes = range && strcmp(range, "0..255") == 0;
    const size_t least = in->height < in->width ? in->height : in->width;
    twi_text text = {0};
    double mean[3], deviation[3];
    tw_status st = three(ctx, m, "input.mean", means, mean);
    if (st == TW_OK) st = three(ctx, m, "input.std", deviations, deviation);
    if (st != TW_OK) return st;
    twi_text_format(&text,
                    "{\"height\":%zu,\"width\":%zu,\"geometry\":\"crop\",\"short_side\":%zu,"
                    "\"resize\":\"bilinear\",\"decode\":\"rgb\",\"exif\":true,"
                    "\"fast_decode\":false,\"channels\":\"%s\",\"scale\":",
                    in->height, in->width, (least * 256 + 112) / 224,
                    channels && strcmp(channels, "BGR") == 0 ? "bgr" : "rgb");
    twi_text_double(&text, bytes ? 1.0 : 1.0 / 255.0);
    add_three(&text, "mean", mean);
    add_three(&text, "std", deviation);
    twi_text_add(&text, "}");
    st = text.failed ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for the recipe")
                     : twi_strdup(ctx, text.text, out);
    twi_text_free(&text);
    return st;
}

/* ---- the whole
 * --------------------------------------------------------------------------------------- */

typedef struct reading {
    twi_onnx_model model;
    twi_onnx_graph graph;
    bool *needed;
} reading;

static tw_status lower_model(tw_ctx *ctx, reading *r, const twi_onnx_opts *opts,
                             twi_onnx_import *out)
{
    opening in;
    uint32_t feature, logits;
    const char *asked = NULL;
    tw_status st = find_input(ctx, &r->model, opts, &in);
    if (st == TW_OK) st = open_graph(ctx, &r->model, &in, &r->graph);
    if (st == TW_OK && opts->feature) st = twi_onnx_named(&r->graph, opts->feature, &asked);
    if (st == TW_OK) st = twi_zalloc(ctx, r->model.n_nodes, &r->needed);
    if (st == TW_OK) st = mark_needed(ctx, &r->model, asked, r->needed);
    if (st == TW_OK) st = check_operators(ctx, &r->model, r->needed);
    if (st == TW_OK) st = twi_onnx_take_initializers(&r->graph, &r->model);
    if (st == TW_OK) st = lower_nodes(&r->graph, r->needed);
    if (st == TW_OK) st = twi_onnx_features(&r->graph, opts->feature, &feature, &logits);
    if (st == TW_OK) st = twi_onnx_assemble(&r->graph, feature, logits, &out->network);
    if (st == TW_OK) st = make_recipe(ctx, &r->model, &in, &out->recipe);
    return st;
}

tw_status twi_onnx_read(tw_ctx *ctx, const char *path, const void *data, size_t size,
                        const twi_onnx_opts *opts, twi_onnx_import *out)
{
    twi_onnx_import import = {0};
    reading *r;
    tw_status st = twi_zalloc(ctx, 1, &r);
    if (st != TW_OK) return st;
    import.model = r;
    st = twi_onnx_parse(ctx, path, data, size, &r->model);
    if (st == TW_OK) st = lower_model(ctx, r, opts, &import);
    twi_onnx_graph_free(&r->graph);
    twi_free(r->needed);
    r->needed = NULL;
    if (st == TW_OK)
        *out = import;
    else
        twi_onnx_import_free(&import);
    return st;
}

void twi_onnx_import_free(twi_onnx_import *import)
{
    reading *r = import->model;
    twi_network_free(import->network);
    twi_free(import->recipe);
    if (r) twi_onnx_model_free(&r->model);
    twi_free(r);
    *import = (twi_onnx_import){0};
}
