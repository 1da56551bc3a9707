/* json.c - JSON values over jansson; the only library file that may include <jansson.h>. */
#include "base/json.h"
#include "base/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A twi_json is a json_t under another name, so that no other file needs to know jansson. */
static json_t *inner(twi_json *value)
{
    return (json_t *)(void *)value;
}

static const json_t *inner_const(const twi_json *value)
{
    return (const json_t *)(const void *)value;
}

static twi_json *outer(json_t *value)
{
    return (twi_json *)(void *)value;
}

static const twi_json *outer_const(const json_t *value)
{
    return (const twi_json *)(const void *)value;
}

tw_status twi_json_parse(tw_ctx *ctx, const char *name, const char *text, size_t size,
                         twi_json **out)
{
    json_error_t error;
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!value)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: not valid JSON at byte %d: %s", name,
                        error.position, error.text);
    *out = outer(value);
    return TW_OK;
}

tw_status twi_json_print(tw_ctx *ctx, const twi_json *value, char **text, size_t *size)
{
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY;
    const size_t length = json_dumpb(inner_const(value), NULL, 0, flags);
    if (length == 0) return twi_fail(ctx, TW_ERR_NOMEM, "a JSON document could not be written");
    char *buffer;
    const tw_status st = twi_alloc(ctx, length + 1, &buffer);
    if (st != TW_OK) return st;
    json_dumpb(inner_const(value), buffer, length, flags);
    buffer[length] = '\0';
    *text = buffer;
    *size = length;
    return TW_OK;
}

twi_json *twi_json_copy(const twi_json *value)
{
    return value ? outer(json_deep_copy(inner_const(value))) : NULL;
}

void twi_json_free(twi_json *value)
{
    json_decref(inner(value));
}

twi_json *twi_json_object(void)
{
    return outer(json_object());
}

twi_json *twi_json_array(void)
{
    return outer(json_array());
}

twi_json *twi_json_text(const char *text)
{
    return text ? outer(json_string(text)) : NULL;
}

twi_json *twi_json_integer(int64_t value)
{
    return outer(json_integer(value));
}

twi_json *twi_json_number(double value)
{
    return outer(isfinite(value) ? json_real(value) : json_null());
}

twi_json *twi_json_boolean(bool value)
{
    return outer(json_boolean(value));
}

bool twi_json_set(twi_json *object, const char *key, twi_json *child)
{
    if (!object) {
        twi_json_free(child);
        return false;
    }
    return json_object_set_new(inner(object), key, inner(child)) == 0;
}

bool twi_json_append(twi_json *array, twi_json *child)
{
    if (!array) {
        twi_json_free(child);
        return false;
    }
    return json_array_append_new(inner(array), inner(child)) == 0;
}

const twi_json *twi_json_get(const twi_json *object, const char *key)
{
    return outer_const(json_object_get(inner_const(object), key));
}

const twi_json *twi_json_at(const twi_json *array, size_t i)
{
    return outer_const(json_array_get(inner_const(array), i));
}

size_t twi_json_length(const twi_json *value)
{
    const json_t *json = inner_const(value);
    return json_is_object(json) ? json_object_size(json) : json_array_size(json);
}

const char *twi_json_as_text(const twi_json *value, const char *fallback)
{
    return json_is_string(inner_const(value)) ? json_string_value(inner_const(value)) : fallback;
}

int64_t twi_json_as_integer(const twi_json *value, int64_t fallback)
{
    return json_is_integer(inner_const(value)) ? json_integer_value(inner_const(value)) : fallback;
}

double twi_json_as_number(const twi_json *value, double fallback)
{
    return json_is_number(inner_const(value)) ? json_number_value(inner_const(value)) : fallback;
}

bool twi_json_as_boolean(const twi_json *value, bool fallback)
{
    return json_is_boolean(inner_const(value)) ? json_is_true(inner_const(value)) : fallback;
}

bool twi_json_is_object(const twi_json *value)
{
    return json_is_object(inner_const(value));
}

bool twi_json_is_array(const twi_json *value)
{
    return json_is_array(inner_const(value));
}

const char *twi_json_key(const twi_json *object, size_t i)
{
    /* jansson's iterator functions take a json_t that is not const but do not change it. */
    json_t *json = inner((twi_json *)(uintptr_t)object);
    void *at = json_object_iter(json);
    for (; at && i > 0; i--) at = json_object_iter_next(json, at);
    return at ? json_object_iter_key(at) : NULL;
}

const char *twi_json_next_key(const twi_json *object, const char *previous)
{
    json_t *json = inner((twi_json *)(uintptr_t)object);
    void *at = previous ? json_object_iter_next(json, json_object_key_to_iter(previous))
                        : json_object_iter(json);
    return at ? json_object_iter_key(at) : NULL;
}
