/* model.c - the messages of an ONNX file. */
#include "importer/onnx/model.h"
#include "base/text.h"

#include <string.h>

#define MAX_ITEMS 65536 /* nodes, initialisers, names of a node, numbers of an attribute */

enum { NODES, INITIALIZERS, INPUTS, OUTPUTS, PROPERTIES };

typedef struct parse {
    tw_ctx *ctx;
    twi_onnx_model *model;
} parse;

static tw_status damaged(const parse *p, const char *what)
{
    return twi_fail(p->ctx, TW_ERR_FORMAT, "%s: no ONNX model: its %s is damaged", p->model->path,
                    what);
}

/* A text without zero bytes, in the model's memory. */
static tw_status take_text(const parse *p, twi_cursor bytes, const char **out)
{
    char *text;
    if (memchr(bytes.at, 0, bytes.left) || bytes.left > 65536) return damaged(p, "list of names");
    const tw_status st =
        twi_arena_text(p->ctx, &p->model->memory, (const char *)bytes.at, bytes.left, &text);
    if (st == TW_OK) *out = text;
    return st;
}

/* Room for one more item of a list of the model. */
#define ONE_MORE(p, list, which)                                                                   \
    ((p)->model->n_##list == MAX_ITEMS                                                             \
         ? twi_fail((p)->ctx, TW_ERR_FORMAT, "%s: more than %d " #list, (p)->model->path,          \
                    MAX_ITEMS)                                                                     \
         : twi_grow((p)->ctx, &(p)->model->list, &(p)->model->capacity[which],                     \
                    (p)->model->n_##list + 1))

/* How many fields of that number a message has. */
static size_t count_fields(twi_cursor message, uint32_t number)
{
    size_t count = 0;
    twi_field field;
    while (twi_field_next(&message, &field)) count += field.number == number;
    return count;
}

/* ---- attributes ---------------------------------------------------------------------------- */

/* Numbers of a repeated field, packed or one by one: counted first (out NULL), then stored. */
static bool numbers(const twi_field *field, int64_t *ints, float *floats, size_t *n)
{
    twi_cursor packed = field->bytes;
    if (field->type != TWI_WIRE_BYTES) {
        if (ints) ints[*n] = (int64_t)field->value;
        if (floats) floats[*n] = twi_field_float(field);
        ++*n;
        return true;
    }
    while (packed.left > 0 && !packed.failed) {
        if (field->number == 7) {
            const twi_field one = {.value = twi_take_u32le(&packed)};
            if (floats) floats[*n] = twi_field_float(&one);
        } else {
            const uint64_t one = twi_take_varint(&packed);
            if (ints) ints[*n] = (int64_t)one;
        }
        ++*n;
    }
    return !packed.failed;
}

static tw_status take_numbers(const parse *p, twi_cursor message, twi_onnx_attribute *out)
{
    twi_cursor again = message;
    twi_field field;
    int64_t *ints = NULL;
    float *floats = NULL;
    tw_status st = TW_OK;
    while (twi_field_next(&message, &field)) {
        size_t *n = field.number == 7 ? &out->n_floats : field.number == 8 ? &out->n_ints : NULL;
        if (n && !numbers(&field, NULL, NULL, n)) return damaged(p, "list of numbers");
        if (out->n_floats > MAX_ITEMS || out->n_ints > MAX_ITEMS)
            return damaged(p, "list of numbers");
    }
    if (out->n_ints) st = twi_arena_take(p->ctx, &p->model->memory, out->n_ints, &ints);
    if (st == TW_OK && out->n_floats)
        st = twi_arena_take(p->ctx, &p->model->memory, out->n_floats, &floats);
    if (st != TW_OK) return st;
    out->n_ints = out->n_floats = 0;
    while (twi_field_next(&again, &field)) {
        if (field.number == 7) (void)numbers(&field, NULL, floats, &out->n_floats);
        if (field.number == 8) (void)numbers(&field, ints, NULL, &out->n_ints);
    }
    out->ints = ints;
    out->floats = floats;
    return TW_OK;
}

static tw_status take_attribute(const parse *p, twi_cursor message, twi_onnx_attribute *out)
{
    twi_cursor at = message;
    twi_field field;
    tw_status st = TW_OK;
    *out = (twi_onnx_attribute){.name = ""};
    while (st == TW_OK && twi_field_next(&at, &field)) {
        if (field.number == 1 && field.type == TWI_WIRE_BYTES)
            st = take_text(p, field.bytes, &out->name);
        else if (field.number == 2 && field.type == TWI_WIRE_32)
            out->f = twi_field_float(&field);
        else if (field.number == 3 && field.type == TWI_WIRE_VARINT)
            out->i = (int64_t)field.value;
        else if (field.number == 4 && field.type == TWI_WIRE_BYTES)
            st = take_text(p, field.bytes, &out->s);
        else if (field.number == 5 && field.type == TWI_WIRE_BYTES)
            out->tensor = field.bytes;
        else if (field.number == 6 && field.type == TWI_WIRE_BYTES)
            out->graph = field.bytes;
    }
    if (st == TW_OK && at.failed) st = damaged(p, "attribute");
    return st == TW_OK ? take_numbers(p, message, out) : st;
}

/* ---- nodes --------------------------------------------------------------------------------- */

static tw_status make_lists(const parse *p, twi_cursor message, twi_onnx_node *node)
{
    twi_arena *memory = &p->model->memory;
    const size_t inputs = count_fields(message, 1), outputs = count_fields(message, 2);
    const size_t attributes = count_fields(message, 5);
    if (inputs > MAX_ITEMS || outputs > MAX_ITEMS || attributes > MAX_ITEMS)
        return damaged(p, "node");
    tw_status st = twi_arena_take(p->ctx, memory, inputs, &node->inputs);
    if (st == TW_OK) st = twi_arena_take(p->ctx, memory, outputs, &node->outputs);
    if (st == TW_OK) st = twi_arena_take(p->ctx, memory, attributes, &node->attributes);
    return st;
}

static tw_status take_node(const parse *p, twi_cursor message)
{
    twi_field field;
    twi_onnx_node node = {.name = "", .op = "", .domain = ""};
    tw_status st = ONE_MORE(p, nodes, NODES);
    if (st == TW_OK) st = make_lists(p, message, &node);
    while (st == TW_OK && twi_field_next(&message, &field)) {
        if (field.type != TWI_WIRE_BYTES) {
            if (field.number <= 7 && field.number != 6) st = damaged(p, "node");
            continue;
        }
        if (field.number == 1)
            st = take_text(p, field.bytes, &node.inputs[node.n_inputs++]);
        else if (field.number == 2)
            st = take_text(p, field.bytes, &node.outputs[node.n_outputs++]);
        else if (field.number == 3)
            st = take_text(p, field.bytes, &node.name);
        else if (field.number == 4)
            st = take_text(p, field.bytes, &node.op);
        else if (field.number == 5)
            st = take_attribute(p, field.bytes, &node.attributes[node.n_attributes++]);
        else if (field.number == 7)
            st = take_text(p, field.bytes, &node.domain);
    }
    if (st == TW_OK && message.failed) st = damaged(p, "node");
    if (st == TW_OK) p->model->nodes[p->model->n_nodes++] = node;
    return st;
}

/* ---- inputs, outputs, initialisers, properties ----------------------------------------------- */

static void take_dimension(twi_cursor message, int64_t *out)
{
    twi_field field;
    *out = -1;
    while (twi_field_next(&message, &field))
        if (field.number == 1 && field.type == TWI_WIRE_VARINT) *out = (int64_t)field.value;
}

static tw_status take_shape(const parse *p, twi_cursor message, twi_onnx_port *port)
{
    twi_field field;
    while (twi_field_next(&message, &field)) {
        if (field.number != 1 || field.type != TWI_WIRE_BYTES) continue;
        if (port->rank == TWI_ONNX_DIMS) return damaged(p, "shape");
        take_dimension(field.bytes, &port->dims[port->rank++]);
    }
    return message.failed ? damaged(p, "shape") : TW_OK;
}

static tw_status take_type(const parse *p, twi_cursor message, twi_onnx_port *port)
{
    twi_field outer, inner;
    tw_status st = TW_OK;
    while (st == TW_OK && twi_field_next(&message, &outer)) {
        if (outer.number != 1 || outer.type != TWI_WIRE_BYTES) continue; /* no tensor */
        while (st == TW_OK && twi_field_next(&outer.bytes, &inner)) {
            if (inner.number == 1 && inner.type == TWI_WIRE_VARINT) port->type = (int)inner.value;
            if (inner.number == 2 && inner.type == TWI_WIRE_BYTES)
                st = take_shape(p, inner.bytes, port);
        }
        if (st == TW_OK && outer.bytes.failed) st = damaged(p, "type");
    }
    if (st == TW_OK && message.failed) st = damaged(p, "type");
    return st;
}

static tw_status take_port(const parse *p, twi_cursor message, twi_onnx_port *port)
{
    twi_field field;
    tw_status st = TW_OK;
    *port = (twi_onnx_port){.name = ""};
    while (st == TW_OK && twi_field_next(&message, &field)) {
        if (field.type != TWI_WIRE_BYTES) continue;
        if (field.number == 1) st = take_text(p, field.bytes, &port->name);
        if (field.number == 2) st = take_type(p, field.bytes, port);
    }
    return st == TW_OK && message.failed ? damaged(p, "list of inputs and outputs") : st;
}

static tw_status take_initializer(const parse *p, twi_cursor message)
{
    twi_cursor at = message;
    twi_field field;
    twi_onnx_initializer one = {.name = "", .tensor = message};
    tw_status st = ONE_MORE(p, initializers, INITIALIZERS);
    while (st == TW_OK && twi_field_next(&at, &field))
        if (field.number == 8 && field.type == TWI_WIRE_BYTES)
            st = take_text(p, field.bytes, &one.name);
    if (st == TW_OK && at.failed) st = damaged(p, "initialiser");
    if (st == TW_OK) p->model->initializers[p->model->n_initializers++] = one;
    return st;
}

static tw_status take_property(const parse *p, twi_cursor message)
{
    twi_field field;
    twi_onnx_property one = {"", ""};
    tw_status st = ONE_MORE(p, properties, PROPERTIES);
    while (st == TW_OK && twi_field_next(&message, &field)) {
        if (field.type != TWI_WIRE_BYTES) continue;
        if (field.number == 1) st = take_text(p, field.bytes, &one.key);
        if (field.number == 2) st = take_text(p, field.bytes, &one.value);
    }
    if (st == TW_OK && message.failed) st = damaged(p, "list of properties");
    if (st == TW_OK) p->model->properties[p->model->n_properties++] = one;
    return st;
}

/* ---- graph and model ------------------------------------------------------------------------- */

static tw_status take_graph(const parse *p, twi_cursor message)
{
    twi_onnx_model *m = p->model;
    twi_field field;
    tw_status st = TW_OK;
    while (st == TW_OK && twi_field_next(&message, &field)) {
        if (field.type != TWI_WIRE_BYTES) continue;
        if (field.number == 1) st = take_node(p, field.bytes);
        if (field.number == 5) st = take_initializer(p, field.bytes);
        if (field.number == 11) {
            st = ONE_MORE(p, inputs, INPUTS);
            if (st == TW_OK) st = take_port(p, field.bytes, &m->inputs[m->n_inputs++]);
        }
        if (field.number == 12) {
            st = ONE_MORE(p, outputs, OUTPUTS);
            if (st == TW_OK) st = take_port(p, field.bytes, &m->outputs[m->n_outputs++]);
        }
        if (field.number == 15)
            st = twi_fail(p->ctx, TW_ERR_UNSUPPORTED, "%s: holds a sparse initialiser",
                          p->model->path);
    }
    return st == TW_OK && message.failed ? damaged(p, "graph") : st;
}

/* The opset of the default domain is what operators mean; others' operators are refused by name. */
static tw_status take_opset(const parse *p, twi_cursor message)
{
    twi_field field;
    const char *domain = "";
    int64_t version = 0;
    tw_status st = TW_OK;
    while (st == TW_OK && twi_field_next(&message, &field)) {
        if (field.number == 1 && field.type == TWI_WIRE_BYTES)
            st = take_text(p, field.bytes, &domain);
        if (field.number == 2 && field.type == TWI_WIRE_VARINT) version = (int64_t)field.value;
    }
    if (st == TW_OK && (*domain == '\0' || strcmp(domain, "ai.onnx") == 0))
        p->model->opset = version;
    return st == TW_OK && message.failed ? damaged(p, "list of opsets") : st;
}

tw_status twi_onnx_parse(tw_ctx *ctx, const char *path, const void *data, size_t size,
                         twi_onnx_model *out)
{
    twi_onnx_model model = {.path = path};
    const parse p = {ctx, &model};
    twi_cursor at = twi_cursor_over(data, size);
    twi_field field;
    size_t graphs = 0;
    tw_status st = TW_OK;
    while (st == TW_OK && twi_field_next(&at, &field)) {
        if (field.number == 1 && field.type == TWI_WIRE_VARINT)
            model.ir_version = (int64_t)field.value;
        if (field.type != TWI_WIRE_BYTES) continue;
        if (field.number == 7 && graphs++ == 0) st = take_graph(&p, field.bytes);
        if (field.number == 8) st = take_opset(&p, field.bytes);
        if (field.number == 14) st = take_property(&p, field.bytes);
    }
    if (st == TW_OK && at.failed) st = damaged(&p, "outermost message");
    if (st == TW_OK && graphs != 1)
        st = twi_fail(ctx, TW_ERR_FORMAT, "%s: no ONNX model: it holds %zu graphs; need 1", path,
                      graphs);
    if (st == TW_OK && (model.opset < 7 || model.opset > 21))
        st = twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: opset %lld; 7 to 21 are read", path,
                      (long long)model.opset);
    if (st == TW_OK)
        *out = model;
    else
        twi_onnx_model_free(&model);
    return st;
}

tw_status twi_onnx_parse_branch(tw_ctx *ctx, twi_onnx_model *model, twi_cursor graph,
                                const twi_onnx_model **out)
{
    twi_onnx_model *branch;
    tw_status st = twi_arena_take(ctx, &model->memory, 1, &branch);
    if (st != TW_OK) return st;
    *branch = (twi_onnx_model){.path = model->path, .next = model->next};
    model->next = branch;
    const parse p = {ctx, branch};
    st = take_graph(&p, graph);
    *out = branch;
    return st;
}

static void free_lists(twi_onnx_model *model)
{
    twi_free(model->nodes);
    twi_free(model->initializers);
    twi_free(model->inputs);
    twi_free(model->outputs);
    twi_free(model->properties);
}

void twi_onnx_model_free(twi_onnx_model *model)
{
    for (twi_onnx_model *branch = model->next; branch; branch = branch->next) {
        free_lists(branch);
        twi_arena_free(&branch->memory);
    }
    free_lists(model);
    twi_arena_free(&model->memory);
    *model = (twi_onnx_model){0};
}

/* ---- asking a node --------------------------------------------------------------------------- */

const twi_onnx_attribute *twi_onnx_attribute_of(const twi_onnx_node *node, const char *name)
{
    for (size_t i = 0; i < node->n_attributes; i++)
        if (strcmp(node->attributes[i].name, name) == 0) return &node->attributes[i];
    return NULL;
}

int64_t twi_onnx_int(const twi_onnx_node *node, const char *name, int64_t fallback)
{
    const twi_onnx_attribute *a = twi_onnx_attribute_of(node, name);
    return a ? a->i : fallback;
}

double twi_onnx_float(const twi_onnx_node *node, const char *name, double fallback)
{
    const twi_onnx_attribute *a = twi_onnx_attribute_of(node, name);
    return a ? (double)a->f : fallback;
}

const char *twi_onnx_text(const twi_onnx_node *node, const char *name, const char *fallback)
{
    const twi_onnx_attribute *a = twi_onnx_attribute_of(node, name);
    return a && a->s ? a->s : fallback;
}
