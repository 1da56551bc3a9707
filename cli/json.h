/* json.h - JSON written as a stream, element by element, and the few places that read it.
 *
 * Only json.c includes <jansson.h>. The writer is our own because an array of a million answers
 * must not be held in memory, and because jansson refuses names that are not UTF-8. */
#ifndef TOPWORK_CLI_JSON_H
#define TOPWORK_CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { JS_DEPTH = 15 };

/* A document being written. depth 0 and started: it is complete. */
typedef struct js {
    FILE *out;
    unsigned depth;
    bool started;
    bool filled[JS_DEPTH + 1]; /* per depth: something stands before, so a comma is due */
} js;

/* key: of the member when inside an object, NULL inside an array and at the top. */
void js_object(js *j, const char *key);
void js_array(js *j, const char *key);
void js_object_end(js *j);
void js_array_end(js *j);
/* An array whose elements (at depth 1) each stand on a line of their own, for readers that go by
 * line. */
void js_element_line(js *j);

void js_null(js *j, const char *key);
void js_bool(js *j, const char *key, bool value);
void js_size(js *j, const char *key, size_t value);
void js_float(js *j, const char *key, float value);    /* %.9g; not finite: null */
void js_double(js *j, const char *key, double value);  /* %.17g; not finite: null */
void js_raw(js *j, const char *key, const char *json); /* text that is already JSON */

/* Text; bytes that are not UTF-8 become U+FFFD. NULL: null. */
void js_text(js *j, const char *key, const char *text);

/* A member of an object whose value is a name as the file system has it. When it is not UTF-8 a
 * second member "<key>_base64" carries the exact bytes. */
void js_name(js *j, const char *key, const char *name);

/* An array of names, at(user, i) until it answers NULL; when one of them is not UTF-8, a second
 * member
 * "<key>_base64" holds the exact bytes of all of them in the same order. */
typedef const char *(*js_name_fn)(const void *user, size_t i);
void js_names(js *j, const char *key, js_name_fn at, const void *user);

/* ---- reading, over jansson ----------------------------------------------------------------- */

/* Writes a JSON object as indented "key  value" lines. Long arrays and objects deeper than
 * max_depth are given by their size alone. False (nothing written) when json is not an object. */
bool json_outline(FILE *out, const char *json, unsigned max_depth);

typedef struct import_words { /* any of which may be NULL; recipe is the text of a JSON object */
    const char *name, *dtype, *labels, *feature, *recipe;
} import_words;

/* The options object of tw_backbone_import(). Fresh memory (free()). NULL: why says what is wrong,
 * or "" for no memory. */
char *json_import_options(const import_words *words, char *why, size_t why_size);

#endif
