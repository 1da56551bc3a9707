/* text.h - text that does not depend on the locale: numbers, escapes, UTF-8, a growing string. */
#ifndef TWI_BASE_TEXT_H
#define TWI_BASE_TEXT_H

#include "base/ctx.h"

/* A growing string; zero-initialise. Appending after a failed append does nothing; check .failed
 * once. text is always NUL-terminated once something was appended. */
typedef struct twi_text {
    char *text;
    size_t length, capacity;
    bool failed; /* memory ran out */
} twi_text;

void twi_text_add(twi_text *out, const char *text);
void twi_text_add_bytes(twi_text *out, const void *bytes, size_t size);
void twi_text_format(twi_text *out, const char *format, ...) TWI_PRINTF(2, 3); /* no %f %g %e */
void twi_text_double(twi_text *out, double value); /* %.17g in the C locale; NaN and inf: "null" */
void twi_text_float(twi_text *out, float value);   /* %.9g in the C locale; NaN and inf: "null" */
void twi_text_free(twi_text *out);

/* The number at text in the C locale; *end as strtod's. */
double twi_parse_double(const char *text, char **end);

/* True when the bytes are well-formed UTF-8 (RFC 3629). */
bool twi_utf8_valid(const char *bytes, size_t size);

/* The C escape of the control character at text ("\\n", "\\033") into escape [12], and how many
 * bytes it stands for; 0: there is none. Those of Latin-1 (U+0080 to U+009F) count too: terminals
 * obey them. */
size_t twi_text_escape_control(const char *text, char *escape);

/* What a message says after the "path: " that it may begin with, path being escaped there. */
const char *twi_text_reason(const char *message, const char *path);

/* Appends text with its control characters escaped; other bytes, backslashes too, as they are:
 * escaping twice is escaping once. */
void twi_text_escape(twi_text *out, const char *text);

#endif
