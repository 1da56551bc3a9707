/* groups.c - the layout of Keras 3's .weights.h5 (and of tf.keras 2.13 to 2.15's), as
 * keras/src/saving/saving_lib.py writes it: layers/KIND_N/vars/0, 1, ... KIND is the class of the
 * layer in lower case and N how many of it come before; models inside the model have "layers" of
 * their own. Later versions write the layer's name as the attribute "name" of vars; without it the
 * architecture has to say which layer is the how-manieth (order.h). */
#include "importer/hdf5/private.h"
#include "importer/keras.h"

#include <stdio.h>
#include <string.h>

#define MAX_DEPTH  12    /* groups inside groups */
#define MAX_GROUPS 65536 /* met in one file: hard links may go in circles */
#define MAX_LABEL  200

typedef struct walk {
    twi_h5_reader *in;
    size_t groups, depth;
    size_t named, unnamed; /* layers with weights */
} walk;

typedef struct place { /* a group, and what its weights will be called without a name */
    hid_t id;
    char label[MAX_LABEL + 1];
} place;

static tw_status fail_at(const walk *w, const char *label, const char *what)
{
    return twi_fail(w->in->ctx, TW_ERR_FORMAT, "%s: layers/%s: %s", w->in->path, label, what);
}

static hsize_t count_links(hid_t group)
{
    H5G_info_t info;
    return H5Gget_info(group, &info) < 0 || info.nlinks > TWI_H5_MAX_NAMES ? 0 : info.nlinks;
}

/* The name of link i of group; false: too long, or no hard link, which is all that Keras writes. */
static bool link_name(hid_t group, hsize_t i, char *name, size_t room)
{
    H5L_info_t info;
    const ssize_t n =
        H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, room, H5P_DEFAULT);
    return n > 0 && (size_t)n < room && strlen(name) == (size_t)n && !strchr(name, '.') &&
           H5Lget_info(group, name, &info, H5P_DEFAULT) >= 0 && info.type == H5L_TYPE_HARD;
}

/* ---- vars ---------------------------------------------------------------------------------- */

static tw_status read_var(walk *w, const place *vars, const char *owner, size_t i, size_t n)
{
    char number[24], *as = NULL;
    twi_h5_reader *in = w->in;
    const char *part = twi_keras_numbered_part(vars->label, i, n);
    if (part && strcmp(part, "count") == 0) return TW_OK; /* which nothing needs */
    snprintf(number, sizeof number, "%zu", i);
    twi_h5_array array = {
        .layer = vars->label, .name = number, .id = H5Dopen2(vars->id, number, in->dataset_access)};
    if (array.id < 0)
        return twi_fail(in->ctx, TW_ERR_FORMAT,
                        "%s: layers/%s/vars holds %zu arrays, but none that can be read as %zu",
                        in->path, vars->label, n, i);
    tw_status st = part ? twi_asprintf(in->ctx, &as, "%s.%s", owner, part)
                        : twi_asprintf(in->ctx, &as, "%s.vars/%zu", owner, i);
    if (st == TW_OK) st = twi_h5_keep(in, &array, as);
    twi_free(as);
    H5Dclose(array.id);
    return st;
}

/* vars of a layer: its arrays, under the layer's name if it is written there. */
static tw_status read_vars(walk *w, const place *vars)
{
    twi_h5_names name = {0};
    const size_t n = (size_t)count_links(vars->id);
    if (n == 0) return TW_OK; /* a layer without weights */
    tw_status st = twi_h5_read_names(w->in, vars->id, "name", &name);
    const bool named = st == TW_OK && name.n == 1 && name.items[0][0] != '\0';
    w->named += named;
    w->unnamed += !named;
    for (size_t i = 0; i < n && st == TW_OK; i++)
        st = read_var(w, vars, named ? name.items[0] : vars->label, i, n);
    twi_h5_names_free(&name);
    return st;
}

/* ---- groups -------------------------------------------------------------------------------- */

static tw_status open_place(walk *w, hid_t parent, const char *name, place *out)
{
    out->id = H5Gopen2(parent, name, w->in->group_access);
    if (out->id < 0) return fail_at(w, out->label, "holds what is no group");
    if (++w->groups > MAX_GROUPS || w->depth > MAX_DEPTH) {
        H5Gclose(out->id);
        return fail_at(w, out->label, "groups inside groups without end");
    }
    return TW_OK;
}

static tw_status label_of(const walk *w, const char *parent, const char *name, char *out)
{
    const int n = snprintf(out, MAX_LABEL + 1, "%s%s%s", parent, *parent ? "/" : "", name);
    return n >= 0 && n <= MAX_LABEL ? TW_OK : fail_at(w, parent, "a name that is too long");
}

static tw_status walk_layer(walk *w, const place *layer);

/* A model that stands among layers, whose groups then count as the architecture's own. */
static bool is_model(hid_t layers, const char *name)
{
    char inside[64];
    if (strncmp(name, "functional", 10) != 0) return false;
    const int n = snprintf(inside, sizeof inside, "%s/layers", name);
    return n > 0 && (size_t)n < sizeof inside && H5Lexists(layers, inside, H5P_DEFAULT) > 0;
}

/* The layers of a model, each by its group. */
static tw_status walk_layers(walk *w, const place *layers)
{
    char name[128];
    size_t models = 0;
    tw_status st = TW_OK;
    const hsize_t n = count_links(layers->id);
    for (hsize_t i = 0; i < n; i++)
        models += link_name(layers->id, i, name, sizeof name) && is_model(layers->id, name);
    for (hsize_t i = 0; i < n && st == TW_OK; i++) {
        place layer;
        if (!link_name(layers->id, i, name, sizeof name))
            return fail_at(w, layers->label, "a link that Keras would not have written");
        const bool lifted = models == 1 && is_model(layers->id, name);
        st = models == 1 && !lifted && !*layers->label ? label_of(w, "outside", name, layer.label)
             : lifted                                  ? label_of(w, "", layers->label, layer.label)
                      : label_of(w, layers->label, name, layer.label);
        if (st == TW_OK) st = open_place(w, layers->id, name, &layer);
        if (st != TW_OK) break;
        st = walk_layer(w, &layer);
        H5Gclose(layer.id);
    }
    return st;
}

/* One child of a layer's group: vars, layers, or a layer that it keeps as an attribute. */
static tw_status walk_child(walk *w, const place *layer, const char *name)
{
    place child;
    if (strcmp(name, "seed_generator") == 0) return TW_OK; /* a dropout's state */
    const bool same = strcmp(name, "vars") == 0 || strcmp(name, "layers") == 0;
    tw_status st = same ? label_of(w, "", layer->label, child.label)
                        : label_of(w, layer->label, name, child.label);
    if (st == TW_OK) st = open_place(w, layer->id, name, &child);
    if (st != TW_OK) return st;
    st = strcmp(name, "vars") == 0     ? read_vars(w, &child)
         : strcmp(name, "layers") == 0 ? walk_layers(w, &child)
                                       : walk_layer(w, &child);
    H5Gclose(child.id);
    return st;
}

static tw_status walk_layer(walk *w, const place *layer)
{
    char name[128];
    tw_status st = TW_OK;
    const hsize_t n = count_links(layer->id);
    w->depth++;
    for (hsize_t i = 0; i < n && st == TW_OK; i++)
        st = link_name(layer->id, i, name, sizeof name)
                 ? walk_child(w, layer, name)
                 : fail_at(w, layer->label, "a link that Keras would not have written");
    w->depth--;
    return st;
}

bool twi_h5_has_groups(const twi_h5_reader *in)
{
    return H5Lexists(in->root, "layers", H5P_DEFAULT) > 0;
}

tw_status twi_h5_read_groups(twi_h5_reader *in)
{
    walk w = {.in = in};
    place layers = {.label = ""};
    /* What stands beside "layers" is an optimiser's and metrics' state. */
    tw_status st = open_place(&w, in->root, "layers", &layers);
    if (st != TW_OK) return st;
    st = walk_layers(&w, &layers);
    H5Gclose(layers.id);
    if (st == TW_OK && in->out->tensors.n == 0)
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: none of its layers has weights", in->path);
    if (st == TW_OK && w.named > 0 && w.unnamed > 0)
        st = twi_fail(in->ctx, TW_ERR_FORMAT,
                      "%s: %zu layers with a name and %zu without; need all or none", in->path,
                      w.named, w.unnamed);
    in->out->numbered = w.unnamed > 0;
    in->out->format = "keras3-hdf5";
    return st;
}
