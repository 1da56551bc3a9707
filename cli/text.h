/* text.h - what is written for people and for other programs: escapes, UTF-8, numbers, wrapping.
 *
 * The program never calls setlocale(), so printf and strtod keep the C locale whatever LC_ALL says.
 */
#ifndef TOPWORK_CLI_TEXT_H
#define TOPWORK_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__GNUC__)
#define PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define PRINTF(format_at, args_at)
#endif

/* Bytes of the well-formed UTF-8 sequence (RFC 3629) at text, 0 when there is none. Never looks
 * past a NUL. */
size_t utf8_length(const char *text);
bool utf8_valid(const char *text);

/* Writes text with control characters, DEL, the C1 controls and backslash C-escaped, so that a name
 * can neither forge a line nor drive a terminal. Other bytes pass as they are. */
void text_escaped(FILE *out, const char *text);

/* The same into fresh memory; NULL when there is none left. */
char *text_escape(const char *text);

/* What a message of the library says after the "path: " that it may begin with. The library escapes
 * control characters and leaves backslashes alone. */
const char *text_reason(const char *message, const char *path);

/* Columns that text takes: code points, not bytes. */
size_t text_columns(const char *text);

/* Writes text as a field of RFC 4180: quoted when it holds a quote, a comma or a line end. */
void text_csv(FILE *out, const char *text);

/* Writes text so that a POSIX shell reads it back as one word. */
void text_shell(FILE *out, const char *text);

/* %.9g and %.17g, which read back to the same bits; not finite: null. */
void text_float(FILE *out, float value);
void text_double(FILE *out, double value);

/* Paragraphs of text (split at newlines) broken at width columns, every line indented. */
void text_wrap(FILE *out, const char *text, size_t indent, size_t width);

/* Restricted Damerau-Levenshtein distance, for "did you mean"; at most 64 bytes of each are
 * compared. */
size_t text_distance(const char *a, const char *b);

#endif
