/* readers.h - the readers of foreign weight files, one file each. */
#ifndef TWI_IMPORTER_READERS_H
#define TWI_IMPORTER_READERS_H

#include "importer/importer.h"

extern const twi_weights_reader twi_safetensors_reader, twi_hdf5_reader;

#endif
