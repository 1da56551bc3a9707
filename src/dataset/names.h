/* names.h - a list of names for a message. */
#ifndef TWI_DATASET_NAMES_H
#define TWI_DATASET_NAMES_H

#include "base/text.h"

/* Appends "cat, dog, owl and 5 more". */
void twi_names_list(twi_text *out, const char *const *names, size_t n);

#endif
