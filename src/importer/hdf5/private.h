/* private.h - between the files of this folder, the only ones that may include <hdf5.h>.
 *
 * The library is not made for hostile files: this runs in topwork-import only. What can be refused
 * before the library works on it is: links into other files, data outside the file, filters from
 * plug-ins, sizes above the caps. */
#ifndef TWI_IMPORTER_HDF5_PRIVATE_H
#define TWI_IMPORTER_HDF5_PRIVATE_H

#include "importer/readers.h"

#include <hdf5.h>

#define TWI_H5_MAX_NAMES        16384 /* in one list */
#define TWI_H5_MAX_NAME_BYTES   1024
#define TWI_H5_MAX_WEIGHTS      16384             /* in one file */
#define TWI_H5_MAX_VALUES_BYTES ((size_t)4 << 30) /* of all weights as float32 */

typedef struct twi_h5_reader {
    tw_ctx *ctx;
    const char *path;
    hid_t file, root, group_access, dataset_access;
    size_t left; /* bytes that may still be read */
    twi_weights *out;
} twi_h5_reader;

typedef struct twi_h5_names {
    const char **items;
    size_t n, capacity;
    twi_arena memory;
} twi_h5_names;
void twi_h5_names_free(twi_h5_names *list);

/* The attribute name of group, or its pieces name0, name1, ...; nothing when there is none. */
tw_status twi_h5_read_names(twi_h5_reader *in, hid_t group, const char *name, twi_h5_names *list);

/* An array of the file. */
typedef struct twi_h5_array {
    hid_t id;
    const char *layer, *name; /* in the file */
    size_t rank, dims[4], count;
} twi_h5_array;

/* Rank and dimensions of array, whose values are in the file; in PyTorch's layout it is then added
 * to the weights under the name as. */
tw_status twi_h5_keep(twi_h5_reader *in, twi_h5_array *array, const char *as);

/* Whether a file is that of Keras 1 or 2, or Keras 3; then its weights. */
bool twi_h5_has_layers(const twi_h5_reader *in);
tw_status twi_h5_read_layers(twi_h5_reader *in);
bool twi_h5_has_groups(const twi_h5_reader *in);
tw_status twi_h5_read_groups(twi_h5_reader *in);

#endif
