/* rows.h - the three files of extract: the matrix, its labels and its names; all of them or none.
 */
#ifndef TOPWORK_CLI_ROWS_H
#define TOPWORK_CLI_ROWS_H

#include "session.h"

typedef struct rows rows;

/* Before the work: x.npy, x.labels.npy and x.names.csv can be made. 0, or the exit code after
 * having said why not. Without labels an x.labels.npy of an earlier run is refused too (it would be
 * taken for this one's), unless --force: then commit removes it. */
int rows_check(session *s, const char *path, bool labelled);

/* columns: features of a row. NULL: it has been said why. */
rows *rows_open(session *s, const char *path, bool labelled, size_t columns);

/* label and class_name are for labelled files only. Failed writes are seen at commit. */
void rows_add(rows *r, const float *features, const char *name, size_t label,
              const char *class_name);
size_t rows_count(const rows *r);
bool rows_failed(const rows *r); /* a write failed: no use in going on */

/* 0, or the exit code after having said why not. */
int rows_commit(session *s, rows *r);
void rows_free(rows *r); /* NULL is fine; without commit nothing is left behind */

/* Where they stand. */
const char *rows_labels_path(const rows *r); /* NULL: no labels */
const char *rows_names_path(const rows *r);

#endif
