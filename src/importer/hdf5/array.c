/* array.c - the values of one weight. */
#include "importer/hdf5/private.h"
#include "importer/keras.h"

#include <string.h>

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
static tw_status measure(twi_h5_reader *in, twi_h5_array *array)
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
                        array->layer, array->name, TWI_H5_MAX_VALUES_BYTES);
    in->left -= bytes;
    array->count = bytes / sizeof(float);
    if (array->count > 0 && is_stored_here(array->id, array->count)) return TW_OK;
    return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: the values of %s/%s are not in the file", in->path,
                    array->layer, array->name);
}

/* Reads array into the list of weights, in our layout. */
static tw_status read_values(twi_h5_reader *in, const twi_h5_array *array, const char *as)
{
    size_t dims[4];
    float *raw = NULL;
    void *data;
    if (!twi_keras_dims(array->rank, array->dims, dims))
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: %s/%s has %zu dimensions; need 1, 2 or 4",
                        in->path, array->layer, array->name, array->rank);
    tw_status st = twi_alloc(in->ctx, array->count, &raw);
    if (st != TW_OK) return st;
    if (H5Dread(array->id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) < 0) {
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: the values of %s/%s cannot be read", in->path,
                      array->layer, array->name);
        goto done;
    }
    st = twi_tensors_add(in->ctx, &in->out->tensors, as, TWI_F32, array->rank, dims, NULL, &data);
    if (st == TW_OK) twi_keras_reorder(raw, array->rank, array->dims, data);
done:
    twi_free(raw);
    return st;
}

tw_status twi_h5_keep(twi_h5_reader *in, twi_h5_array *array, const char *as)
{
    if (in->out->tensors.n == TWI_H5_MAX_WEIGHTS)
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: more than %d weights", in->path,
                        TWI_H5_MAX_WEIGHTS);
    const tw_status st = measure(in, array);
    return st == TW_OK ? read_values(in, array, as) : st;
}
