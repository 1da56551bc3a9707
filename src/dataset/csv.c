/* csv.c - comma-separated text. Source: RFC 4180, section 2. */
#include "dataset/csv.h"

#include <string.h>

tw_status twi_csv_open(tw_ctx *ctx, const char *name, char *bytes, size_t size, twi_csv *out)
{
    if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) bytes += 3, size -= 3;
    if (size >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0))
        return twi_fail(ctx, TW_ERR_DATA, "%s: is UTF-16; save it as UTF-8", name);
    *out = (twi_csv){name, bytes, bytes + size, 0, 1};
    return TW_OK;
}

static tw_status fail(tw_ctx *ctx, const twi_csv *csv, const char *what)
{
    return twi_fail(ctx, TW_ERR_DATA, "%s: line %zu: %s", csv->name, csv->next_line, what);
}

/* Takes a line end at the cursor, if one is there. A lone CR is none. */
static bool take_line_end(twi_csv *csv)
{
    const size_t left = (size_t)(csv->end - csv->at);
    const size_t size = left >= 1 && csv->at[0] == '\n'                         ? 1
                        : left >= 2 && csv->at[0] == '\r' && csv->at[1] == '\n' ? 2
                                                                                : 0;
    csv->at += size;
    csv->next_line += size > 0;
    return size > 0;
}

static tw_status check_byte(tw_ctx *ctx, const twi_csv *csv, char c)
{
    if (c == '\0') return fail(ctx, csv, "a NUL byte; this is not a text file");
    return TW_OK;
}

/* "a field": the quotes go, doubled ones become one. */
static tw_status take_quoted(tw_ctx *ctx, twi_csv *csv, char **field, char **field_end)
{
    char *to = *field = ++csv->at;
    for (;; csv->at++) {
        if (csv->at == csv->end) return fail(ctx, csv, "a quoted field is not closed");
        if (*csv->at == '"') {
            const bool doubled = csv->end - csv->at > 1 && csv->at[1] == '"';
            if (!doubled) break;
            csv->at++;
        }
        const tw_status st = check_byte(ctx, csv, *csv->at);
        if (st != TW_OK) return st;
        csv->next_line += *csv->at == '\n';
        *to++ = *csv->at;
        if ((size_t)(to - *field) > TWI_CSV_FIELD_BYTES) return fail(ctx, csv, "a field too long");
    }
    csv->at++; /* the closing quote */
    *field_end = to;
    return TW_OK;
}

static tw_status take_plain(tw_ctx *ctx, twi_csv *csv, char **field, char **field_end)
{
    *field = csv->at;
    for (; csv->at < csv->end; csv->at++) {
        const char c = *csv->at;
        if (c == ',' || c == '\n') break;
        if (c == '\r' && csv->end - csv->at > 1 && csv->at[1] == '\n') break;
        if (c == '\r' && csv->end - csv->at == 1) break; /* the last line, cut after its CR */
        if (c == '\r') return fail(ctx, csv, "a carriage return without a line feed");
        if (c == '"') return fail(ctx, csv, "a quote inside a field that is not quoted");
        const tw_status st = check_byte(ctx, csv, c);
        if (st != TW_OK) return st;
        if ((size_t)(csv->at - *field) >= TWI_CSV_FIELD_BYTES)
            return fail(ctx, csv, "a field too long");
    }
    *field_end = csv->at;
    return TW_OK;
}

/* One field and what follows it. *last: it was the record's last one. */
static tw_status take_field(tw_ctx *ctx, twi_csv *csv, char **field, bool *last)
{
    char *field_end;
    const bool quoted = csv->at < csv->end && *csv->at == '"';
    const tw_status st =
        quoted ? take_quoted(ctx, csv, field, &field_end) : take_plain(ctx, csv, field, &field_end);
    if (st != TW_OK) return st;
    if (csv->end - csv->at == 1 && *csv->at == '\r') csv->at = csv->end;
    const bool comma = csv->at < csv->end && *csv->at == ',';
    if (comma)
        csv->at++;
    else if (csv->at < csv->end && !take_line_end(csv))
        return fail(ctx, csv, "text behind a closing quote");
    *last = !comma;
    *field_end = '\0'; /* where the separator, the quote or the byte behind the end was */
    return TW_OK;
}

tw_status twi_csv_next(tw_ctx *ctx, twi_csv *csv, char **fields, size_t *n)
{
    *n = 0;
    while (take_line_end(csv)) continue; /* empty lines */
    csv->line = csv->next_line;
    for (bool last = csv->at == csv->end || (*csv->at == '\r' && csv->end - csv->at == 1); !last;) {
        if (*n == TWI_CSV_FIELDS) return fail(ctx, csv, "too many fields");
        const tw_status st = take_field(ctx, csv, &fields[*n], &last);
        if (st != TW_OK) return st;
        (*n)++;
    }
    return TW_OK;
}
