#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The smallest code point each length may hold: anything below it is an overlong form. */
static bool sequence_allowed(const unsigned char *s, size_t length)
{
    if (length == 3) {
        if (s[0] == 0xe0 && s[1] < 0xa0) return false;
        if (s[0] == 0xed && s[1] > 0x9f) return false; /* surrogates */
    }
    if (length == 4) {
        if (s[0] == 0xf0 && s[1] < 0x90) return false;
        if (s[0] == 0xf4 && s[1] > 0x8f) return false; /* above U+10FFFF */
    }
    return true;
}

size_t utf8_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t length = 0;
    if (s[0] == 0) return 0;
    if (s[0] < 0x80) return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) length = 2;
    if (s[0] >= 0xe0 && s[0] <= 0xef) length = 3;
    if (s[0] >= 0xf0 && s[0] <= 0xf4) length = 4;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    return sequence_allowed(s, length) ? length : 0;
}

bool utf8_valid(const char *text)
{
    while (*text) {
        const size_t length = utf8_length(text);
        if (length == 0) return false;
        text += length;
    }
    return true;
}

/* The escape of the character at s into out [8], and how many bytes of s it stands for; 0: none
 * needed. */
static size_t escape_at(const char *s, char *out)
{
    static const char letters[] = "abtnvfr"; /* \a is 7 ... \r is 13 */
    const unsigned char c = (unsigned char)s[0];
    if (c == '\\')
        strcpy(out, "\\\\");
    else if (c >= 7 && c <= 13)
        sprintf(out, "\\%c", letters[c - 7]);
    else if (c < 0x20 || c == 0x7f)
        sprintf(out, "\\%03o", c);
    else if (c == 0xc2 && (unsigned char)s[1] >= 0x80 && (unsigned char)s[1] <= 0x9f)
        return sprintf(out, "\\302\\%03o", (unsigned char)s[1]), 2; /* a C1 control in UTF-8 */
    else
        return 0;
    return 1;
}

void text_escaped(FILE *out, const char *text)
{
    char escape[12];
    while (*text) {
        const size_t taken = escape_at(text, escape);
        if (taken)
            fputs(escape, out);
        else
            fputc(*text, out);
        text += taken ? taken : 1;
    }
}

char *text_escape(const char *text)
{
    char *const fresh = malloc(4 * strlen(text) + 1); /* an escape is at most four bytes a byte */
    if (!fresh) return NULL;
    char *to = fresh;
    while (*text) {
        char escape[12];
        const size_t taken = escape_at(text, escape);
        if (taken) {
            const size_t n = strlen(escape);
            memcpy(to, escape, n);
            to += n;
        } else {
            *to++ = *text;
        }
        text += taken ? taken : 1;
    }
    *to = '\0';
    return fresh;
}

const char *text_reason(const char *message, const char *path)
{
    const char *at = message;
    while (*path) {
        char escape[12];
        const size_t taken = *path == '\\' ? 0 : escape_at(path, escape);
        const size_t n = taken ? strlen(escape) : 1;
        if (strncmp(at, taken ? escape : path, n) != 0) return message;
        at += n;
        path += taken ? taken : 1;
    }
    return strncmp(at, ": ", 2) == 0 ? at + 2 : message;
}

size_t text_columns(const char *text)
{
    size_t columns = 0;
    for (; *text; text++)
        if (((unsigned char)*text & 0xc0) != 0x80) columns++;
    return columns;
}

void text_csv(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

void text_shell(FILE *out, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+,:@%=";
    if (*text && text[strspn(text, plain)] == '\0') {
        fputs(text, out);
        return;
    }
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
    fputc('\'', out);
}

void text_float(FILE *out, float value)
{
    if (isfinite(value))
        fprintf(out, "%.9g", (double)value);
    else
        fputs("null", out);
}

void text_double(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "%.17g", value);
    else
        fputs("null", out);
}

static void put_indent(FILE *out, size_t n)
{
    while (n--) fputc(' ', out);
}

void text_wrap(FILE *out, const char *text, size_t indent, size_t width)
{
    size_t column = 0; /* 0: at the start of a line, nothing written */
    while (*text) {
        if (*text == '\n') {
            fputc('\n', out);
            column = 0, text++;
            continue;
        }
        if (*text == ' ') {
            text++;
            continue;
        }
        const size_t n = strcspn(text, " \n");
        if (column && column + 1 + n > width) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0)
            put_indent(out, indent), column = indent;
        else
            fputc(' ', out), column++;
        fwrite(text, 1, n, out);
        column += n;
        text += n;
    }
    if (column) fputc('\n', out);
}

enum { DISTANCE_MAX = 64 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Rows of the table roll: only the last two are looked at (a swap of neighbours looks two back). */
size_t text_distance(const char *a, const char *b)
{
    const size_t n = least(strlen(a), DISTANCE_MAX), m = least(strlen(b), DISTANCE_MAX);
    size_t rows[3][DISTANCE_MAX + 1];
    for (size_t j = 0; j <= m; j++) rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *const now = rows[i % 3];
        const size_t *const up = rows[(i - 1) % 3], *const up2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t change = up[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(change, least(up[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], up2[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}
