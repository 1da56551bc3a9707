/* manifest.c - the rows of a manifest: columns found by the header, classes numbered in byte order,
 * repeated paths found. By sorting, so that no choice of names makes it slow. */
#include "dataset/manifest.h"

#include "dataset/csv.h"
#include "dataset/names.h"

#include <stdlib.h>
#include <string.h>

/* ---- records to rows ----------------------------------------------------------------------- */

enum { PATH, LABEL, SPLIT, GROUP, COLUMNS };

typedef struct columns {
    size_t at[COLUMNS]; /* SIZE_MAX: not there */
    size_t n;           /* fields in every record */
} columns;

static tw_status no_column(tw_ctx *ctx, const twi_csv *csv, const char *column, char **fields,
                           size_t n)
{
    twi_text found = {0};
    twi_names_list(&found, (const char *const *)fields, n);
    const tw_status st =
        twi_fail(ctx, TW_ERR_DATA,
                 "%s: line %zu: a manifest begins with the line path,label, perhaps with split and "
                 "group; no column "
                 "%s in: %s",
                 csv->name, csv->line, column, found.text ? found.text : "an empty file");
    twi_text_free(&found);
    return st;
}

static tw_status header_read(tw_ctx *ctx, twi_csv *csv, char **fields, columns *out)
{
    static const char *const names[COLUMNS] = {"path", "label", "split", "group"};
    size_t n;
    const tw_status st = twi_csv_next(ctx, csv, fields, &n);
    if (st != TW_OK) return st;
    out->n = n;
    for (size_t c = 0; c < COLUMNS; c++) {
        out->at[c] = SIZE_MAX;
        for (size_t i = 0; i < n; i++) {
            if (strcmp(fields[i], names[c]) != 0) continue;
            if (out->at[c] != SIZE_MAX)
                return twi_fail(ctx, TW_ERR_DATA, "%s: line %zu: column %s twice", csv->name,
                                csv->line, names[c]);
            out->at[c] = i;
        }
        if (c < SPLIT && out->at[c] == SIZE_MAX) return no_column(ctx, csv, names[c], fields, n);
    }
    return TW_OK;
}

static tw_status part_read(tw_ctx *ctx, const twi_csv *csv, const char *word, tw_part *out)
{
    static const struct {
        const char *word;
        tw_part part;
    } words[] = {{"train", TW_PART_TRAIN}, {"val", TW_PART_VAL}, {"test", TW_PART_TEST}};
    for (size_t i = 0; i < TWI_LEN(words); i++) {
        if (strcmp(word, words[i].word) != 0) continue;
        *out = words[i].part;
        return TW_OK;
    }
    return twi_fail(ctx, TW_ERR_DATA, "%s: line %zu: split is \"%s\", need train, val or test",
                    csv->name, csv->line, word);
}

static tw_status row_add(tw_ctx *ctx, const twi_csv *csv, const columns *c, char **fields,
                         twi_rows *rows)
{
    twi_row row = {.path = fields[c->at[PATH]], .label = fields[c->at[LABEL]], .line = csv->line};
    if (!row.path[0] || !row.label[0])
        return twi_fail(ctx, TW_ERR_DATA, "%s: line %zu: no %s", csv->name, csv->line,
                        row.path[0] ? "label" : "path");
    tw_status st = TW_OK;
    if (c->at[GROUP] != SIZE_MAX) {
        row.group = fields[c->at[GROUP]];
        if (!row.group[0])
            return twi_fail(ctx, TW_ERR_DATA, "%s: line %zu: no group", csv->name, csv->line);
    }
    if (c->at[SPLIT] != SIZE_MAX) st = part_read(ctx, csv, fields[c->at[SPLIT]], &row.part);
    if (st == TW_OK) st = twi_grow(ctx, &rows->items, &rows->capacity, rows->n + 1);
    if (st == TW_OK) rows->items[rows->n++] = row;
    return st;
}

static tw_status records_read(tw_ctx *ctx, twi_csv *csv, twi_rows *rows)
{
    char *fields[TWI_CSV_FIELDS];
    columns c;
    size_t n;
    tw_status st = header_read(ctx, csv, fields, &c);
    while (st == TW_OK) {
        if ((st = twi_csv_next(ctx, csv, fields, &n)) != TW_OK || n == 0) break;
        if (n != c.n)
            return twi_fail(ctx, TW_ERR_DATA, "%s: line %zu: %zu fields, the header has %zu",
                            csv->name, csv->line, n, c.n);
        st = row_add(ctx, csv, &c, fields, rows);
    }
    return st;
}

/* ---- classes and repeats ------------------------------------------------------------------- */

static int row_order(const twi_row *x, const twi_row *y, int compared)
{
    return compared ? compared : (x->line > y->line) - (x->line < y->line);
}

static int label_order(const void *a, const void *b)
{
    const twi_row *x = *(const twi_row *const *)a, *y = *(const twi_row *const *)b;
    return row_order(x, y, strcmp(x->label, y->label));
}

static int path_order(const void *a, const void *b)
{
    const twi_row *x = *(const twi_row *const *)a, *y = *(const twi_row *const *)b;
    return row_order(x, y, strcmp(x->path, y->path));
}

static tw_status classes_number(tw_ctx *ctx, twi_row **sorted, twi_rows *rows)
{
    qsort(sorted, rows->n, sizeof *sorted, label_order);
    for (size_t i = 0; i < rows->n; i++) {
        if (i == 0 || strcmp(sorted[i]->label, sorted[i - 1]->label) != 0) {
            if (rows->n_classes >= UINT32_MAX)
                return twi_fail(ctx, TW_ERR_DATA, "more than %zu classes", rows->n_classes);
            const tw_status st =
                twi_grow(ctx, &rows->classes, &rows->classes_capacity, rows->n_classes + 1);
            if (st != TW_OK) return st;
            rows->classes[rows->n_classes++] = sorted[i]->label;
        }
        sorted[i]->class_id = (uint32_t)(rows->n_classes - 1);
    }
    return TW_OK;
}

static tw_status repeat_mark(tw_ctx *ctx, const char *name, const twi_row *first, twi_row *again,
                             twi_arena *text)
{
    if (again->class_id != first->class_id)
        return twi_fail(ctx, TW_ERR_DATA, "%s: lines %zu and %zu give %s two labels, %s and %s",
                        name, first->line, again->line, first->path, first->label, again->label);
    if (again->part != first->part)
        return twi_fail(ctx, TW_ERR_DATA, "%s: lines %zu and %zu put %s into two parts", name,
                        first->line, again->line, first->path);
    twi_text reason = {0};
    twi_text_format(&reason, "listed twice, first on line %zu", first->line);
    if (reason.failed) return twi_fail(ctx, TW_ERR_NOMEM, "no memory for a reason");
    char *copy;
    const tw_status st = twi_arena_text(ctx, text, reason.text, reason.length, &copy);
    if (st == TW_OK) again->repeated = copy;
    twi_text_free(&reason);
    return st;
}

/* One photo in two rows would be counted twice, or be in the training and the test part. */
static tw_status repeats_find(tw_ctx *ctx, const char *name, twi_row **sorted, twi_rows *rows)
{
    qsort(sorted, rows->n, sizeof *sorted, path_order);
    tw_status st = TW_OK;
    for (size_t i = 1, first = 0; i < rows->n && st == TW_OK; i++) {
        if (strcmp(sorted[i]->path, sorted[first]->path) != 0)
            first = i;
        else
            st = repeat_mark(ctx, name, sorted[first], sorted[i], &rows->text);
    }
    return st;
}

tw_status twi_rows_parse(tw_ctx *ctx, const char *name, char *bytes, size_t size, twi_rows *rows)
{
    twi_csv csv;
    twi_row **sorted = NULL;
    tw_status st;
    if ((st = twi_csv_open(ctx, name, bytes, size, &csv)) != TW_OK) goto done;
    if ((st = records_read(ctx, &csv, rows)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, rows->n, &sorted)) != TW_OK) goto done;
    for (size_t i = 0; i < rows->n; i++) sorted[i] = &rows->items[i];
    if ((st = classes_number(ctx, sorted, rows)) != TW_OK) goto done;
    st = repeats_find(ctx, name, sorted, rows);
done:
    twi_free(sorted);
    return st;
}

void twi_rows_free(twi_rows *rows)
{
    twi_free(rows->items);
    twi_free(rows->classes);
    twi_arena_free(&rows->text);
    *rows = (twi_rows){0};
}
