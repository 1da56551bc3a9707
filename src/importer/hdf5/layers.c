/* layers.c - the layout of Keras 1 and 2, and of the published files of keras.applications: the
 * root, or the group model_weights of a whole saved model, has an attribute layer_names; the group
 * of each layer has an attribute weight_names and holds the arrays. */
#include "importer/hdf5/private.h"
#include "importer/keras.h"

static tw_status read_array(twi_h5_reader *in, hid_t group, const char *layer, const char *name,
                            bool nested)
{
    char owner[256], *as = NULL;
    if (nested && !twi_keras_owner(name, owner, sizeof owner))
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: %s/%s does not name its layer", in->path,
                        layer, name);
    twi_h5_array array = {
        .layer = layer, .name = name, .id = H5Dopen2(group, name, in->dataset_access)};
    if (array.id < 0)
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: %s/%s is listed but not there", in->path,
                        layer, name);
    /* A weight of no known kind keeps its name: the architecture will call it by it when it refuses
     * it. */
    const char *of = nested ? owner : layer, *part = twi_keras_part(of, name);
    tw_status st = twi_asprintf(in->ctx, &as, "%s%s%s", of, part ? "." : "/", part ? part : name);
    if (st == TW_OK) st = twi_h5_keep(in, &array, as);
    twi_free(as);
    H5Dclose(array.id);
    return st;
}

static tw_status read_layer(twi_h5_reader *in, const char *layer)
{
    twi_h5_names names = {0};
    const hid_t group = H5Gopen2(in->root, layer, in->group_access);
    if (group < 0)
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: layer %s is listed but not there", in->path,
                        layer);
    tw_status st = twi_h5_read_names(in, group, "weight_names", &names);
    const bool nested = twi_keras_is_nested(names.items, names.n);
    for (size_t i = 0; i < names.n && st == TW_OK; i++)
        if (!twi_keras_is_count(names.items[i]))
            st = read_array(in, group, layer, names.items[i], nested);
    twi_h5_names_free(&names);
    H5Gclose(group);
    return st;
}

bool twi_h5_has_layers(const twi_h5_reader *in)
{
    return H5Aexists(in->root, "layer_names") > 0 || H5Aexists(in->root, "layer_names0") > 0;
}

tw_status twi_h5_read_layers(twi_h5_reader *in)
{
    twi_h5_names layers = {0};
    tw_status st = twi_h5_read_names(in, in->root, "layer_names", &layers);
    for (size_t i = 0; i < layers.n && st == TW_OK; i++) st = read_layer(in, layers.items[i]);
    if (st == TW_OK && in->out->tensors.n == 0)
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: none of its %zu layers has weights", in->path,
                      layers.n);
    twi_h5_names_free(&layers);
    return st;
}
