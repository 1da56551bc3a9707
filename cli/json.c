#include "json.h"

#include "text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* ---- writing ------------------------------------------------------------------------------- */

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    while (*text) {
        const unsigned char c = (unsigned char)*text;
        const size_t n = utf8_length(text);
        if (n == 0) {
            fputs("\xef\xbf\xbd", out); /* U+FFFD for each byte that belongs to no sequence */
            text++;
            continue;
        }
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n' || c == '\t')
            fputs(c == '\n' ? "\\n" : "\\t", out);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fwrite(text, 1, n, out);
        text += n;
    }
    fputc('"', out);
}

static void put_base64(FILE *out, const char *name)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = (const unsigned char *)name;
    fputc('"', out);
    for (size_t left = strlen(name); left > 0;) {
        const unsigned a = s[0], b = left > 1 ? s[1] : 0, c = left > 2 ? s[2] : 0;
        const unsigned group = a << 16 | b << 8 | c;
        fputc(digits[group >> 18], out);
        fputc(digits[group >> 12 & 63], out);
        fputc(left > 1 ? digits[group >> 6 & 63] : '=', out);
        fputc(left > 2 ? digits[group & 63] : '=', out);
        if (left <= 3) break;
        s += 3, left -= 3;
    }
    fputc('"', out);
}

/* The comma and the key that a value needs before it. */
static void before_value(js *j, const char *key)
{
    if (j->filled[j->depth]) fputc(',', j->out);
    j->filled[j->depth] = true;
    j->started = true;
    if (!key) return;
    put_string(j->out, key);
    fputc(':', j->out);
}

static void open_with(js *j, const char *key, char bracket)
{
    assert(j->depth < JS_DEPTH); /* our documents are a few levels deep */
    before_value(j, key);
    fputc(bracket, j->out);
    j->filled[++j->depth] = false;
}

static void close_with(js *j, char bracket)
{
    assert(j->depth > 0);
    fputc(bracket, j->out);
    if (--j->depth == 0) fputc('\n', j->out);
}

void js_object(js *j, const char *key)
{
    open_with(j, key, '{');
}

void js_array(js *j, const char *key)
{
    open_with(j, key, '[');
}

void js_object_end(js *j)
{
    close_with(j, '}');
}

void js_array_end(js *j)
{
    if (j->depth == 1 && j->filled[1]) fputc('\n', j->out);
    close_with(j, ']');
}

void js_element_line(js *j)
{
    if (j->filled[j->depth]) fputc(',', j->out);
    j->filled[j->depth] = false; /* the comma is written, before the line end */
    fputc('\n', j->out);
}

void js_null(js *j, const char *key)
{
    js_raw(j, key, "null");
}

void js_bool(js *j, const char *key, bool value)
{
    js_raw(j, key, value ? "true" : "false");
}

void js_size(js *j, const char *key, size_t value)
{
    before_value(j, key);
    fprintf(j->out, "%zu", value);
}

void js_float(js *j, const char *key, float value)
{
    before_value(j, key);
    text_float(j->out, value);
}

void js_double(js *j, const char *key, double value)
{
    before_value(j, key);
    text_double(j->out, value);
}

void js_raw(js *j, const char *key, const char *json)
{
    before_value(j, key);
    fputs(json, j->out);
    if (j->depth == 0) fputc('\n', j->out);
}

void js_text(js *j, const char *key, const char *text)
{
    if (!text) {
        js_null(j, key);
        return;
    }
    before_value(j, key);
    put_string(j->out, text);
}

/* before_value() for the member "<key>_base64". */
static void before_base64(js *j, const char *key)
{
    char longer[64];
    snprintf(longer, sizeof longer, "%s_base64", key);
    before_value(j, longer);
}

void js_name(js *j, const char *key, const char *name)
{
    js_text(j, key, name);
    if (!name || utf8_valid(name)) return;
    before_base64(j, key);
    put_base64(j->out, name);
}

void js_names(js *j, const char *key, js_name_fn at, const void *user)
{
    const char *name;
    bool exact = true;
    js_array(j, key);
    for (size_t i = 0; (name = at(user, i)) != NULL; i++) {
        js_text(j, NULL, name);
        exact = exact && utf8_valid(name);
    }
    js_array_end(j);
    if (exact) return;
    before_base64(j, key);
    fputc('[', j->out);
    for (size_t i = 0; (name = at(user, i)) != NULL; i++) {
        if (i) fputc(',', j->out);
        put_base64(j->out, name);
    }
    fputc(']', j->out);
}

/* ---- reading ------------------------------------------------------------------------------- */

enum { LONG_ARRAY = 16, SHORT_TABLE = 4 };

static void put_scalar(FILE *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        text_escaped(out, json_string_value(value));
        break;
    case JSON_INTEGER:
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        fprintf(out, "%.9g", json_real_value(value));
        break;
    case JSON_TRUE:
        fputs("yes", out);
        break;
    case JSON_FALSE:
        fputs("no", out);
        break;
    default:
        fputs("none", out);
        break;
    }
}

static bool is_scalar(const json_t *value)
{
    return !json_is_object(value) && !json_is_array(value);
}

static bool is_short_list(const json_t *value)
{
    const size_t n = json_array_size(value);
    bool plain = json_is_array(value) && n <= LONG_ARRAY;
    for (size_t i = 0; i < n && plain; i++) plain = is_scalar(json_array_get(value, i));
    return plain;
}

static void put_list(FILE *out, const json_t *array)
{
    const size_t n = json_array_size(array);
    if (n == 0) fputs("none", out);
    for (size_t i = 0; i < n; i++) {
        if (i) fputs(", ", out);
        put_scalar(out, json_array_get(array, i));
    }
}

/* A short array of scalars, or of such arrays, on one line; anything else by its size. */
static void put_array(FILE *out, const json_t *array)
{
    const size_t n = json_array_size(array);
    if (is_short_list(array)) {
        put_list(out, array);
        return;
    }
    bool table = n <= SHORT_TABLE;
    for (size_t i = 0; i < n && table; i++) table = is_short_list(json_array_get(array, i));
    if (!table) fprintf(out, "%zu entries", n);
    for (size_t i = 0; i < n && table; i++) {
        if (i) fputs("; ", out);
        put_list(out, json_array_get(array, i));
    }
}

static size_t widest_key(json_t *object)
{
    size_t widest = 0;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const size_t columns = text_columns(key);
        if (!json_is_object(value) && columns > widest) widest = columns;
    }
    return widest;
}

static void put_object(FILE *out, json_t *object, unsigned level, unsigned max_depth)
{
    const size_t widest = widest_key(object);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        fprintf(out, "%*s", (int)(2 * level), "");
        text_escaped(out, key);
        if (json_is_object(value) && level + 1 < max_depth) {
            fputc('\n', out);
            put_object(out, value, level + 1, max_depth);
            continue;
        }
        const size_t columns = text_columns(key);
        fprintf(out, "%*s", (int)(columns < widest ? widest - columns + 2 : 2), "");
        if (json_is_object(value))
            fprintf(out, "%zu entries", json_object_size(value));
        else if (json_is_array(value))
            put_array(out, value);
        else
            put_scalar(out, value);
        fputc('\n', out);
    }
}

bool json_outline(FILE *out, const char *json, unsigned max_depth)
{
    json_t *const root = json_loads(json, 0, NULL);
    const bool object = json_is_object(root);
    if (object) put_object(out, root, 0, max_depth);
    json_decref(root);
    return object;
}

static bool set_text(json_t *object, const char *key, const char *text)
{
    return !text || json_object_set_new(object, key, json_string(text)) == 0;
}

char *json_import_options(const import_words *words, char *why, size_t why_size)
{
    const char *const recipe = words->recipe;
    char *text = NULL;
    json_error_t error;
    json_t *parsed = NULL, *const object = json_object();
    why[0] = '\0';
    if (recipe) {
        parsed = json_loads(recipe, JSON_REJECT_DUPLICATES, &error);
        if (!json_is_object(parsed)) {
            snprintf(why, why_size, "--recipe-json: %s", parsed ? "not an object" : error.text);
            goto done;
        }
    }
    if (!set_text(object, "name", words->name) || !set_text(object, "dtype", words->dtype) ||
        !set_text(object, "labels", words->labels) ||
        !set_text(object, "feature", words->feature)) {
        snprintf(why, why_size, "--name, --labels and --feature must be UTF-8 text");
        goto done;
    }
    if (parsed && json_object_set(object, "recipe", parsed) != 0) goto done;
    text = json_dumps(object, JSON_COMPACT);
done:
    json_decref(parsed);
    json_decref(object);
    return text;
}
