/* names.c - a list of names for a message. */
#include "dataset/names.h"

#define SHOWN 12 /* before "and N more" */

void twi_names_list(twi_text *out, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        if (i > 0) twi_text_add(out, ", ");
        twi_text_add(out, names[i]);
    }
    if (n > SHOWN) twi_text_format(out, " and %zu more", n - SHOWN);
}
