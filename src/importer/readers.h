/* readers.h - the readers of foreign weight files, one file each. */
#ifndef TWI_IMPORTER_READERS_H
#define TWI_IMPORTER_READERS_H

#include "importer/importer.h"

extern const twi_weights_reader twi_safetensors_reader, twi_hdf5_reader, twi_npz_reader,
    twi_keras_archive_reader;

/* The arrays of a NumPy archive, copied into out, which is left for the caller to free whatever
 * comes. */
tw_status twi_npz_parse(tw_ctx *ctx, const char *path, const void *data, size_t size,
                        twi_tensors *out);

/* Keras weights of the HDF5 file at path or, where image is not NULL, of the file image [size];
 * path then names it. The library copies image. */
tw_status twi_hdf5_parse(tw_ctx *ctx, const char *path, void *image, size_t size, twi_weights *out);

/* Gives weights that are called by group ("conv2d_3.weight") the names that the config.json text
 * [size] of a .keras archive has for their layers; the others keep theirs. */
tw_status twi_keras_name_by_config(tw_ctx *ctx, const char *path, const void *text, size_t size,
                                   twi_weights *weights);

#endif
