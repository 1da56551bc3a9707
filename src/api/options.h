/* options.h - reading an options struct of any age: fields the caller's header did not have keep
 * their defaults. Fields of a newer header than this library's must not be there: size_bytes tells.
 */
#ifndef TWI_API_OPTIONS_H
#define TWI_API_OPTIONS_H

#include "base/ctx.h"

/* Copies given (of given_size bytes; NULL: nothing) over the defaults already in into. */
tw_status twi_options_read(tw_ctx *ctx, void *into, size_t into_size, const void *given,
                           size_t given_size);

#endif
