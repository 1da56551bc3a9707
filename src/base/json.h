/* json.h - JSON documents as values (over jansson, which only json.c includes). Objects keep the
 * order of insertion. Numbers are written %.17g whatever the locale. */
#ifndef TWI_BASE_JSON_H
#define TWI_BASE_JSON_H

#include "base/ctx.h"

#include <stdint.h>

typedef struct twi_json twi_json; /* a value; borrowed unless the comment says new */

/* Parses size bytes; name is for the message. Depth is limited; duplicate keys are refused. New. */
tw_status twi_json_parse(tw_ctx *ctx, const char *name, const char *text, size_t size,
                         twi_json **out);
/* Compact text, keys in insertion order, fresh memory (twi_free()). */
tw_status twi_json_print(tw_ctx *ctx, const twi_json *value, char **text, size_t *size);
twi_json *
twi_json_copy(const twi_json *value); /* deep; new, NULL when memory ran out or value is NULL */
void twi_json_free(twi_json *value); /* a new value that was not handed to a parent; NULL is fine */

/* Building. A failed call (no memory, text not UTF-8) returns NULL; setters accept a NULL child and
 * then mark nothing but return false, so a chain can be checked at its end. Setters take over the
 * child, also on failure. */
twi_json *twi_json_object(void);
twi_json *twi_json_array(void);
twi_json *twi_json_text(const char *text);
twi_json *twi_json_integer(int64_t value);
twi_json *twi_json_number(double value); /* not finite: null */
twi_json *twi_json_boolean(bool value);
bool twi_json_set(twi_json *object, const char *key, twi_json *child);
bool twi_json_append(twi_json *array, twi_json *child);

/* Reading: missing key or another type gives NULL / the fallback; value NULL is fine. */
const twi_json *twi_json_get(const twi_json *object, const char *key);
const twi_json *twi_json_at(const twi_json *array, size_t i);
size_t twi_json_length(const twi_json *array_or_object);
const char *twi_json_as_text(const twi_json *value, const char *fallback);
int64_t twi_json_as_integer(const twi_json *value, int64_t fallback);
double twi_json_as_number(const twi_json *value, double fallback); /* integers count */
bool twi_json_as_boolean(const twi_json *value, bool fallback);
bool twi_json_is_object(const twi_json *value);
bool twi_json_is_array(const twi_json *value);
/* Key i of an object in insertion order, NULL past the end. */
const char *twi_json_key(const twi_json *object, size_t i);
/* The key after previous (which must come from this function; NULL: the first), NULL past the end.
 */
const char *twi_json_next_key(const twi_json *object, const char *previous);

#endif
