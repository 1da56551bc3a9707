/* sniff.h - does a file start like a picture? */
#ifndef TWI_DATASET_SNIFF_H
#define TWI_DATASET_SNIFF_H

#include <stdbool.h>
#include <stddef.h>

#define TWI_SNIFF_BYTES 32 /* as many first bytes as are ever looked at */

/* True when head [size] begins like a known picture format, also one this build cannot decode: such
 * a photo is loaded, so that the decoder can say what it is. */
bool twi_sniff_picture(const unsigned char *head, size_t size);

#endif
