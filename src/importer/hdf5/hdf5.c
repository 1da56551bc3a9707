/* hdf5.c - Keras weights in an HDF5 file: opening it, from the disk or from memory. */
#include "importer/hdf5/private.h"

#include <string.h>

static bool recognises(const unsigned char *data, size_t size)
{
    return size >= 8 && memcmp(data, "\x89HDF\r\n\x1a\n", 8) == 0;
}

static herr_t refuse_link(const char *from_file, const char *from_group, const char *to_file,
                          const char *to_object, unsigned *flags, hid_t access, void *user)
{
    (void)from_file, (void)from_group, (void)to_file, (void)to_object;
    (void)flags, (void)access, (void)user;
    return -1;
}

/* How files may be walked: never into another one. */
static bool set_access(twi_h5_reader *in)
{
    in->group_access = H5Pcreate(H5P_GROUP_ACCESS);
    in->dataset_access = H5Pcreate(H5P_DATASET_ACCESS);
    return in->group_access >= 0 && in->dataset_access >= 0 &&
           H5Pset_elink_cb(in->group_access, refuse_link, NULL) >= 0 &&
           H5Pset_elink_cb(in->dataset_access, refuse_link, NULL) >= 0 &&
           H5PLset_loading_state(0) >= 0;
}

static bool has_group(const twi_h5_reader *in, const char *name)
{
    return H5Lexists(in->file, name, H5P_DEFAULT) > 0;
}

/* The file at in->path, or image [size], a whole file in memory. */
static hid_t open_file(const twi_h5_reader *in, void *image, size_t size)
{
    if (!image) return H5Fopen(in->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t file = -1;
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_fapl_core(access, (size_t)1 << 20, 0) >= 0 &&
        H5Pset_file_image(access, image, size) >= 0)
        file = H5Fopen("image", H5F_ACC_RDONLY, access);
    if (access >= 0) H5Pclose(access);
    return file;
}

static tw_status read_root(twi_h5_reader *in, void *image, size_t size)
{
    in->file = open_file(in, image, size);
    if (in->file < 0)
        return twi_fail(in->ctx, TW_ERR_FORMAT,
                        "%s: the HDF5 library cannot open it: truncated or damaged", in->path);
    in->root = H5Gopen2(in->file, has_group(in, "model_weights") ? "/model_weights" : "/",
                        in->group_access);
    if (in->root >= 0 && twi_h5_has_layers(in)) return twi_h5_read_layers(in);
    if (in->root >= 0 && twi_h5_has_groups(in)) return twi_h5_read_groups(in);
    return twi_fail(in->ctx, TW_ERR_FORMAT,
                    "%s: HDF5, but no Keras weights: neither an attribute layer_names nor a group "
                    "layers",
                    in->path);
}

tw_status twi_hdf5_parse(tw_ctx *ctx, const char *path, void *image, size_t size, twi_weights *out)
{
    twi_weights weights = {.format = "keras-hdf5", .convention = TWI_KERAS};
    twi_h5_reader in = {ctx, path, -1, -1, -1, -1, TWI_H5_MAX_VALUES_BYTES, &weights};
    tw_status st;
    if (H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 || !set_access(&in))
        st = twi_fail(ctx, TW_ERR_NOMEM, "the HDF5 library does not start");
    else
        st = read_root(&in, image, size);
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

static tw_status read_file(tw_ctx *ctx, const char *path, twi_weights *out)
{
    return twi_hdf5_parse(ctx, path, NULL, 0, out);
}

const twi_weights_reader twi_hdf5_reader = {"keras-hdf5", recognises, read_file};
