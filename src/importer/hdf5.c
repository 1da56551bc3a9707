/* hdf5.c - Keras weights in an HDF5 file; the only file that may include <hdf5.h>.
 *
 * Layout (Keras 1 and 2, and the published files of keras.applications): the root, or the group
 * model_weights of a whole saved model, has an attribute layer_names; the group of each layer has
 * an attribute weight_names and holds the arrays. Attributes over 64 KiB are split into
 * layer_names0, layer_names1, ...
 *
 * The library is not made for hostile files: this runs in topwork-import only. What can be refused
 * before the library works on it is: links into other files, data outside the file, filters from
 * plug-ins, sizes above the caps. */
#include "importer/keras.h"
#include "importer/readers.h"

#include <hdf5.h>
#include <stdio.h>
#include <string.h>

#define MAX_NAMES        16384 /* in one list */
#define MAX_NAME_BYTES   1024
#define MAX_WEIGHTS      16384             /* in one file */
#define MAX_VALUES_BYTES ((size_t)4 << 30) /* of all weights as float32 */

typedef struct h5_reader {
    tw_ctx *ctx;
    const char *path;
    hid_t file, root, group_access, dataset_access;
    size_t left; /* bytes that may still be read */
    twi_weights *out;
} h5_reader;

typedef struct name_list {
    const char **items;
    size_t n, capacity;
    twi_arena memory;
} name_list;

static void name_list_free(name_list *list)
{
    twi_free(list->items);
    twi_arena_free(&list->memory);
}

static bool recognises(const unsigned char *head, size_t size)
{
    return size >= 8 && memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0;
}

/* ---- lists of names ------------------------------------------------------------------------ */

static tw_status add_name(h5_reader *in, name_list *list, const char *text, size_t room)
{
    const size_t length = strnlen(text, room);
    char *copy;
    if (length > MAX_NAME_BYTES)
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: a name of more than %d bytes", in->path,
                        MAX_NAME_BYTES);
    tw_status st = twi_arena_text(in->ctx, &list->memory, text, length, &copy);
    if (st != TW_OK) return st;
    st = twi_grow(in->ctx, &list->items, &list->capacity, list->n + 1);
    if (st == TW_OK) list->items[list->n++] = copy;
    return st;
}

/* Strings of one fixed length, padded with NULs. */
static tw_status read_fixed(h5_reader *in, hid_t attr, hid_t type, size_t n, name_list *list)
{
    const size_t size = H5Tget_size(type);
    char *text;
    if (size == 0 || size > MAX_NAME_BYTES)
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: names of %zu bytes; at most %d are allowed",
                        in->path, size, MAX_NAME_BYTES);
    tw_status st = twi_zalloc(in->ctx, n * size, &text); /* both capped: no overflow */
    if (st != TW_OK) return st;
    if (H5Aread(attr, type, text) < 0)
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: a list of names cannot be read", in->path);
    for (size_t i = 0; i < n && st == TW_OK; i++) st = add_name(in, list, text + i * size, size);
    twi_free(text);
    return st;
}

/* Strings of the library's making; type is the file's own, as it does not convert between ASCII and
 * UTF-8. */
static tw_status read_variable(h5_reader *in, hid_t attr, hid_t type, size_t n, name_list *list)
{
    char **texts;
    const hid_t space = H5Aget_space(attr);
    tw_status st = twi_zalloc(in->ctx, n, &texts);
    if (st != TW_OK) goto done;
    if (space < 0 || H5Aread(attr, type, texts) < 0) {
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: a list of names cannot be read", in->path);
        goto done;
    }
    for (size_t i = 0; i < n && st == TW_OK; i++)
        st = texts[i] ? add_name(in, list, texts[i], SIZE_MAX)
                      : twi_fail(in->ctx, TW_ERR_FORMAT, "%s: an empty name", in->path);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, texts);
done:
    if (space >= 0) H5Sclose(space);
    twi_free(texts);
    return st;
}

static tw_status read_attribute(h5_reader *in, hid_t group, const char *name, name_list *list)
{
    tw_status st = TW_OK;
    hid_t attr = H5Aopen(group, name, H5P_DEFAULT), type = -1, space = -1;
    if (attr >= 0) type = H5Aget_type(attr), space = H5Aget_space(attr);
    const hssize_t n = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    if (type < 0 || n < 0)
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: attribute %s cannot be read", in->path, name);
    else if (n > MAX_NAMES || list->n + (size_t)n > MAX_NAMES)
        st = twi_fail(in->ctx, TW_ERR_FORMAT,
                      "%s: attribute %s has %lld names; at most %d are allowed", in->path, name,
                      (long long)n, MAX_NAMES);
    else if (n > 0 && H5Tget_class(type) == H5T_STRING)
        st = H5Tis_variable_str(type) > 0 ? read_variable(in, attr, type, (size_t)n, list)
                                          : read_fixed(in, attr, type, (size_t)n, list);
    else if (n > 0) /* a list of no names is an empty array of doubles */
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: attribute %s holds no text", in->path, name);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (attr >= 0) H5Aclose(attr);
    return st;
}

/* name, or its pieces name0, name1, ... */
static tw_status read_names(h5_reader *in, hid_t group, const char *name, name_list *list)
{
    if (H5Aexists(group, name) > 0) return read_attribute(in, group, name, list);
    char piece[64];
    for (size_t i = 0; i < MAX_NAMES; i++) {
        snprintf(piece, sizeof piece, "%s%zu", name, i);
        if (H5Aexists(group, piece) <= 0) break;
        const tw_status st = read_attribute(in, group, piece, list);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

/* ---- arrays -------------------------------------------------------------------------------- */

/* Array and the name it will have. */
typedef struct h5_array {
    hid_t id;
    const char *layer, *name; /* in the file */
    const char *owner;        /* the layer it belongs to: layer, or one nested in it */
    size_t rank, dims[4], count;
} h5_array;

/* HDF5 can leave an array's bytes out (they read as a fill value) or in other files: neither is a
 * weight. */
static bool is_stored_here(hid_t dataset, size_t count)
{
    bool here = false;
    const hid_t plist = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);
    if (plist < 0 || type < 0) goto done;
    const hsize_t stored = H5Dget_storage_size(dataset);
    const H5D_layout_t layout = H5Pget_layout(plist);
    if (layout == H5D_CHUNKED)
        here = stored > 0;
    else if (layout == H5D_CONTIGUOUS)
        here = H5Pget_external_count(plist) == 0 && stored / H5Tget_size(type) >= count;
    else
        here = layout == H5D_COMPACT;
done:
    if (type >= 0) H5Tclose(type);
    if (plist >= 0) H5Pclose(plist);
    return here;
}

static bool is_float(hid_t dataset)
{
    const hid_t type = H5Dget_type(dataset);
    const bool yes = type >= 0 && H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) > 0;
    if (type >= 0) H5Tclose(type);
    return yes;
}

/* Rank and dimensions, and whether they may be read at all. */
static tw_status measure(h5_reader *in, h5_array *array)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    const hid_t space = H5Dget_space(array->id);
    const int rank = space >= 0 ? H5Sget_simple_extent_dims(space, dims, NULL) : -1;
    if (space >= 0) H5Sclose(space);
    if (rank < 1 || rank > 4 || !is_float(array->id))
        return twi_fail(in->ctx, TW_ERR_FORMAT,
                        "%s: %s/%s is not an array of 1 to 4 dimensions of floating-point numbers",
                        in->path, array->layer, array->name);
    size_t bytes = sizeof(float);
    bool over = false;
    array->rank = (size_t)rank;
    for (size_t i = 0; i < array->rank; i++) {
        array->dims[i] = (size_t)dims[i];
        over = over || twi_mul(bytes, array->dims[i], &bytes);
    }
    if (over || bytes > in->left)
        return twi_fail(in->ctx, TW_ERR_FORMAT,
                        "%s: %s/%s and what comes before it take more than %zu bytes", in->path,
                        array->layer, array->name, MAX_VALUES_BYTES);
    in->left -= bytes;
    array->count = bytes / sizeof(float);
    if (array->count > 0 && is_stored_here(array->id, array->count)) return TW_OK;
    return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: the values of %s/%s are not in the file", in->path,
                    array->layer, array->name);
}

/* Reads array into the list of weights, in our layout and under our name. */
static tw_status keep_array(h5_reader *in, const h5_array *array)
{
    const char *part = twi_keras_part(array->owner, array->name);
    size_t dims[4];
    float *raw = NULL;
    char *name = NULL;
    void *data;
    /* A weight of no known kind keeps its name: the architecture will call it by it when it refuses
     * it. */
    tw_status st = twi_asprintf(in->ctx, &name, "%s%s%s", array->owner, part ? "." : "/",
                                part ? part : array->name);
    if (st != TW_OK) return st;
    if (!twi_keras_dims(array->rank, array->dims, dims)) {
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: %s/%s has %zu dimensions; need 1, 2 or 4",
                      in->path, array->layer, array->name, array->rank);
        goto done;
    }
    if ((st = twi_alloc(in->ctx, array->count, &raw)) != TW_OK) goto done;
    if (H5Dread(array->id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) < 0) {
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: the values of %s/%s cannot be read", in->path,
                      array->layer, array->name);
        goto done;
    }
    st = twi_tensors_add(in->ctx, &in->out->tensors, name, TWI_F32, array->rank, dims, NULL, &data);
    if (st == TW_OK) twi_keras_reorder(raw, array->rank, array->dims, data);
done:
    twi_free(raw);
    twi_free(name);
    return st;
}

static tw_status read_array(h5_reader *in, hid_t group, const char *layer, const char *name,
                            bool nested)
{
    char owner[256];
    if (nested && !twi_keras_owner(name, owner, sizeof owner))
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: %s/%s does not name its layer", in->path,
                        layer, name);
    if (in->out->tensors.n == MAX_WEIGHTS)
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: more than %d weights", in->path, MAX_WEIGHTS);
    h5_array array = {.layer = layer,
                      .name = name,
                      .owner = nested ? owner : layer,
                      .id = H5Dopen2(group, name, in->dataset_access)};
    if (array.id < 0)
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: %s/%s is listed but not there", in->path,
                        layer, name);
    tw_status st = measure(in, &array);
    if (st == TW_OK) st = keep_array(in, &array);
    H5Dclose(array.id);
    return st;
}

/* ---- the file ------------------------------------------------------------------------------ */

static tw_status read_layer(h5_reader *in, const char *layer)
{
    name_list names = {0};
    const hid_t group = H5Gopen2(in->root, layer, in->group_access);
    if (group < 0)
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: layer %s is listed but not there", in->path,
                        layer);
    tw_status st = read_names(in, group, "weight_names", &names);
    const bool nested = twi_keras_is_nested(names.items, names.n);
    for (size_t i = 0; i < names.n && st == TW_OK; i++)
        if (!twi_keras_is_count(names.items[i]))
            st = read_array(in, group, layer, names.items[i], nested);
    name_list_free(&names);
    H5Gclose(group);
    return st;
}

static herr_t refuse_link(const char *from_file, const char *from_group, const char *to_file,
                          const char *to_object, unsigned *flags, hid_t access, void *user)
{
    (void)from_file, (void)from_group, (void)to_file, (void)to_object;
    (void)flags, (void)access, (void)user;
    return -1;
}

/* How files may be walked: never into another one. */
static bool set_access(h5_reader *in)
{
    in->group_access = H5Pcreate(H5P_GROUP_ACCESS);
    in->dataset_access = H5Pcreate(H5P_DATASET_ACCESS);
    return in->group_access >= 0 && in->dataset_access >= 0 &&
           H5Pset_elink_cb(in->group_access, refuse_link, NULL) >= 0 &&
           H5Pset_elink_cb(in->dataset_access, refuse_link, NULL) >= 0 &&
           H5PLset_loading_state(0) >= 0;
}

static bool has_group(const h5_reader *in, const char *name)
{
    return H5Lexists(in->file, name, H5P_DEFAULT) > 0;
}

static bool names_layers(hid_t group)
{
    return H5Aexists(group, "layer_names") > 0 || H5Aexists(group, "layer_names0") > 0;
}

static tw_status open_root(h5_reader *in)
{
    in->file = H5Fopen(in->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (in->file < 0)
        return twi_fail(in->ctx, TW_ERR_FORMAT,
                        "%s: the HDF5 library cannot open it: truncated or damaged", in->path);
    in->root = H5Gopen2(in->file, has_group(in, "model_weights") ? "/model_weights" : "/",
                        in->group_access);
    if (in->root >= 0 && names_layers(in->root)) return TW_OK;
    if (has_group(in, "layers"))
        return twi_fail(
            in->ctx, TW_ERR_UNSUPPORTED,
            "%s: the layout of Keras 3's .weights.h5, which does not name its arrays; need "
            "the one with layer_names that Keras 1 and 2 write",
            in->path);
    return twi_fail(in->ctx, TW_ERR_FORMAT,
                    "%s: HDF5, but no Keras weights: no attribute layer_names", in->path);
}

static tw_status read_layers(h5_reader *in)
{
    name_list layers = {0};
    tw_status st = read_names(in, in->root, "layer_names", &layers);
    for (size_t i = 0; i < layers.n && st == TW_OK; i++) st = read_layer(in, layers.items[i]);
    if (st == TW_OK && in->out->tensors.n == 0)
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: none of its %zu layers has weights", in->path,
                      layers.n);
    name_list_free(&layers);
    return st;
}

static tw_status read_file(tw_ctx *ctx, const char *path, twi_weights *out)
{
    twi_weights weights = {.format = "keras-hdf5", .convention = TWI_KERAS};
    h5_reader in = {ctx, path, -1, -1, -1, -1, MAX_VALUES_BYTES, &weights};
    tw_status st;
    if (H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 || !set_access(&in))
        st = twi_fail(ctx, TW_ERR_NOMEM, "the HDF5 library does not start");
    else if ((st = open_root(&in)) == TW_OK)
        st = read_layers(&in);
    if (in.root >= 0) H5Gclose(in.root);
    if (in.file >= 0) H5Fclose(in.file);
    if (in.dataset_access >= 0) H5Pclose(in.dataset_access);
    if (in.group_access >= 0) H5Pclose(in.group_access);
    if (st == TW_OK)
        *out = weights;
    else
        twi_weights_free(&weights);
    return st;
}

const twi_weights_reader twi_hdf5_reader = {"keras-hdf5", recognises, read_file};
