/* text.c - locale-free numbers, escapes, UTF-8, the growing string. */
#include "base/text.h"
#include "base/memory.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- growing string ------------------------------------------------------------------------ */

void twi_text_add_bytes(twi_text *out, const void *bytes, size_t size)
{
    size_t need;
    if (out->failed) return;
    if (twi_add(out->length, size, &need) || twi_add(need, 1, &need) ||
        twi_grow(NULL, &out->text, &out->capacity, need) != TW_OK) {
        out->failed = true;
        return;
    }
    if (size > 0) memcpy(out->text + out->length, bytes, size);
    out->length += size;
    out->text[out->length] = '\0';
}

void twi_text_add(twi_text *out, const char *text)
{
    twi_text_add_bytes(out, text, strlen(text));
}

void twi_text_format(twi_text *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    size_t need;
    if (out->failed || length < 0 || twi_add(out->length, (size_t)length + 1, &need) ||
        twi_grow(NULL, &out->text, &out->capacity, need) != TW_OK) {
        out->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(out->text + out->length, (size_t)length + 1, format, args);
    va_end(args);
    out->length += (size_t)length;
}

void twi_text_free(twi_text *out)
{
    twi_free(out->text);
    *out = (twi_text){0};
}

/* ---- numbers ------------------------------------------------------------------------------- */

/* snprintf writes the caller's decimal point; we write '.', by replacing whatever stands between
 * digits. The thread's locale is left alone (uselocale() would change what the caller's own code
 * sees on a signal). */
static void add_number(twi_text *out, double value, int digits)
{
    if (!isfinite(value)) {
        twi_text_add(out, "null");
        return;
    }
    char raw[64], clean[64];
    snprintf(raw, sizeof raw, "%.*g", digits, value);
    size_t n = 0;
    bool point = false;
    for (const char *p = raw; *p; p++) {
        if (strchr("+-0123456789e", *p)) {
            clean[n++] = *p;
        } else if (!point) { /* a decimal point may be several bytes long */
            clean[n++] = '.';
            point = true;
        }
    }
    twi_text_add_bytes(out, clean, n);
}

void twi_text_double(twi_text *out, double value)
{
    add_number(out, value, 17);
}

void twi_text_float(twi_text *out, float value)
{
    add_number(out, (double)value, 9);
}

double twi_parse_double(const char *text, char **end)
{
    const locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0) { /* no memory: nothing was parsed */
        if (end) *end = (char *)(uintptr_t)text;
        return 0.0;
    }
    const double value = strtod_l(text, end, c_locale);
    freelocale(c_locale);
    return value;
}

/* ---- UTF-8 and escapes --------------------------------------------------------------------- */

/* Length of the well-formed sequence at p (RFC 3629, table 3-7 of Unicode), 0 when it is none. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80) return 1;
    size_t n;
    unsigned char low = 0x80, high = 0xbf;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3;
        if (p[0] == 0xe0) low = 0xa0;  /* overlong */
        if (p[0] == 0xed) high = 0x9f; /* surrogates */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;
        if (p[0] == 0xf0) low = 0x90;  /* overlong */
        if (p[0] == 0xf4) high = 0x8f; /* past U+10FFFF */
    } else {
        return 0;
    }
    if (left < n || p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return n;
}

bool twi_utf8_valid(const char *bytes, size_t size)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t i = 0; i < size;) {
        const size_t n = utf8_sequence(p + i, size - i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

size_t twi_text_escape_control(const char *text, char *escape)
{
    static const char letters[] = "abtnvfr"; /* \a is 7, ... \r is 13 */
    const unsigned char c = (unsigned char)text[0], next = c ? (unsigned char)text[1] : 0;
    if (c >= 7 && c <= 13)
        sprintf(escape, "\\%c", letters[c - 7]);
    else if ((c > 0 && c < 0x20) || c == 0x7f)
        sprintf(escape, "\\%03o", c);
    else if (c == 0xc2 && next >= 0x80 && next <= 0x9f)
        return sprintf(escape, "\\302\\%03o", next), 2;
    else
        return 0;
    return 1;
}

const char *twi_text_reason(const char *message, const char *path)
{
    const char *at = message;
    while (*path) {
        char escape[12];
        const size_t taken = twi_text_escape_control(path, escape);
        const size_t length = taken > 0 ? strlen(escape) : 1;
        if (strncmp(at, taken > 0 ? escape : path, length) != 0) return message;
        at += length;
        path += taken > 0 ? taken : 1;
    }
    return strncmp(at, ": ", 2) == 0 ? at + 2 : message;
}

void twi_text_escape(twi_text *out, const char *text)
{
    while (*text) {
        char escape[12];
        const size_t taken = twi_text_escape_control(text, escape);
        if (taken > 0)
            twi_text_add(out, escape);
        else
            twi_text_add_bytes(out, text, 1);
        text += taken > 0 ? taken : 1;
    }
}
