/* image_exif_fuzz.c - any bytes as the three places an orientation can stand in. */
#include "image/decoder.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int found[] = {twi_exif_orientation(data, size),
                         twi_xmp_orientation((const char *)data, size),
                         twi_exif_hex_orientation((const char *)data, size)};
    for (size_t i = 0; i < TWI_LEN(found); i++)
        if (found[i] < 0 || found[i] > 8) abort();
    return 0;
}
