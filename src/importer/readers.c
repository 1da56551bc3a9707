/* readers.c - the table of readers, asked in turn whether a file's first bytes are theirs. */
#include "importer/readers.h"
#include "base/file.h"

#include <string.h>

static const twi_weights_reader *const readers[] = {&twi_hdf5_reader, &twi_safetensors_reader,
                                                    &twi_keras_archive_reader, &twi_npz_reader};

void twi_weights_free(twi_weights *weights)
{
    twi_tensors_free(&weights->tensors);
    twi_free(weights->classes);
    if (weights->owner) weights->release(weights->owner);
    *weights = (twi_weights){0};
}

/* Files that people bring and no reader takes: say what they are. */
static tw_status refuse(tw_ctx *ctx, const char *path, const unsigned char *head, size_t size)
{
    if (size >= 2 && head[0] == 0x80 && head[1] <= 5)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "%s: a Python pickle, which runs code when it is read; save the weights as "
                        "safetensors",
                        path);
    return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                    "%s: not a weight file this program reads; need safetensors, NumPy's .npz or "
                    "Keras HDF5 or .keras",
                    path);
}

tw_status twi_weights_read(tw_ctx *ctx, const char *path, twi_weights *out)
{
    const twi_weights_reader *reader = NULL;
    twi_map map;
    tw_status st = twi_map_open(ctx, path, &map);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < TWI_LEN(readers) && !reader; i++)
        if (readers[i]->recognises(map.data, map.size)) reader = readers[i];
    if (!reader) st = refuse(ctx, path, map.data, map.size);
    twi_map_close(&map);
    return reader ? reader->read(ctx, path, out) : st;
}
